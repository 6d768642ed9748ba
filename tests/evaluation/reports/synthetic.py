"""Run directories with every kind of content that a report shows, made of numbers and coloured squares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.image_folders import write_image
from evaluation.intervals import clustered_share
from evaluation.provenance import Provenance
from evaluation.results import MetricValue, Result, Table, write_samples

__all__ = ["GENEVAL", "write_run", "write_sweep"]

GENEVAL = "geneval[det=mask2former-743b7d99,clip=ViT-L-14-quickgelu,weights=89abcdef,prompts=553,images=2212]"
_REASONS = (
    "expected dog>=1, found 0",
    "expected red dog>=1, found 0 red; and 1 blue",
    "expected dog left of target, found right of target",
    "no target for dog to be above",
    "expected dog<4, found 4",
)
_TAGS = ("counting", "color_attr", "position")


def write_sweep(root: Path, *, num_prompts: int = 12, size: int = 32) -> list[Path]:
    """Four runs of one model, with two guidances and two temperatures."""
    settings = [(guidance, temperature) for guidance in (2.0, 4.0) for temperature in (0.5, 1.0)]
    return [
        write_run(
            root / f"g{guidance:g}-t{temperature:g}",
            share=0.3 + 0.1 * guidance - 0.2 * temperature,
            sampling={"guidance": guidance, "temperature": temperature},
            num_prompts=num_prompts,
            size=size,
            seed=number,
        )
        for number, (guidance, temperature) in enumerate(settings)
    ]


def write_run(
    folder: Path,
    *,
    share: float = 0.6,
    sampling: dict[str, Any] | None = None,
    num_prompts: int = 12,
    size: int = 32,
    seed: int = 0,
) -> Path:
    """One run: verdicts with boxes, scores, images, tables, caveats; about `share` of the images right."""
    rng = np.random.default_rng(seed)
    rows = [
        _row(folder, number, index, share, size, rng) for number in range(num_prompts) for index in range(2)
    ]
    Result(
        name=folder.name,
        metrics=_metrics(rows, rng),
        provenance=Provenance(
            date="2026-01-01T00:00:00+00:00",
            git_sha="0123456789abcdef",
            git_dirty=False,
            versions={"torch": "2"},
            hardware={"cpu": "one"},
            seeds={"sampling": 0},
            checkpoints={"transformer": "feed"},
        ),
        config={
            "sampling": sampling or {"guidance": 3.0, "temperature": [1.0, 0.5]},
            "caveats": ["Task fid was left out: weights are needed <b>here</b>."],
            "resolution": {"stride": 16, "pixels": "1M", "sides": [], "aspect_ratios": [1.0, 0.5]},
            "failed_images": 0,
            "transformer": {"extra": {"step": 1200}},
        },
        tables={
            "Wall time": Table(columns=("stage", "seconds"), rows=(("draw & score", 1.25),)),
            "numbers" * 12: Table(columns=("a",), rows=((1,), (None,))),
        },
    ).save(folder)
    write_samples(folder, rows)
    return folder


def _row(
    folder: Path, number: int, index: int, share: float, size: int, rng: np.random.Generator
) -> dict[str, Any]:
    tag, ratio = _TAGS[number % 3], (1.0, 0.5)[number % 2]
    height, width = int(size * ratio), size
    image = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    image[height // 4 : height // 2, width // 4 : width // 2] = 255 - image[0, 0]
    file = f"images/geneval/{number}-{index}.png"
    write_image(folder / file, image)
    is_right = bool(rng.random() < share)
    box = [width / 4, height / 4, width / 2, height / 2]
    return {
        "prompt_set": "geneval",
        "prompt_id": f"{number:05d}",
        "index": index,
        "prompt": f"a photo of {number} <i>dogs</i>",
        "aspect_ratio": ratio,
        "metadata": {"tag": tag},
        "file": file,
        "tasks": {
            "geneval": {
                "correct": is_right,
                "reason": "" if is_right else _REASONS[number % len(_REASONS)],
                "tag": tag,
                "detections": [{"class": "dog", "box": box, "score": 0.9, "color": "red"}],
            },
            "clipscore-embedded": {"score": float(0.2 + 0.1 * is_right + 0.02 * rng.random())},
        },
    }


def _metrics(rows: Sequence[dict[str, Any]], rng: np.random.Generator) -> tuple[MetricValue, ...]:
    judged = [(row["tasks"]["geneval"], row["prompt"]) for row in rows]
    metrics = []
    for name in ("overall", *_TAGS):
        own = [(one["correct"], prompt) for one, prompt in judged if name in ("overall", one["tag"])]
        if not own:
            continue
        value, low, high = clustered_share(*zip(*own, strict=True))
        metrics.append(
            MetricValue(id=f"{GENEVAL}/{name}", value=value, direction="higher", n=2212, ci95=(low, high))
        )
    scores = [row["tasks"]["clipscore-embedded"]["score"] for row in rows]
    knobs = "cos,effnet-lite0@64,hashing-v1,data=x,fp32,prompts=captions"
    score = float(np.mean(scores))
    return (
        *metrics,
        MetricValue(
            id=f"clipscore_embedded[{knobs}]",
            value=score,
            direction="higher",
            n=len(rows),
            ci95=(score - 0.02, score + 0.02),
        ),
        MetricValue(
            id="frechet[effnet-lite0@128,uint8,N=24,ref=x]",
            value=float(100 + 40 * rng.random()),
            direction="lower",
            n=len(rows),
            note="stand-in features: comparable only under this very id",
        ),
    )
