"""Names and formats of metrics for people; the id stays beside them, for it carries the knobs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evaluation.results import MetricValue
from evaluation.shapeseval.results import VERIFIER_VERSION

__all__ = [
    "ARROWS",
    "Cell",
    "default_headline",
    "format_column",
    "format_interval",
    "format_number",
    "format_value",
    "heading_of",
    "is_baseline",
    "label_of",
    "num_decimals",
    "title_of",
    "words",
]

Cell = str | float | int | None

ARROWS = {"higher": "↑", "lower": "↓", "none": ""}
"""Which way a metric is better."""

_MAX_HEADLINE = 16
_LABELS = {
    "psnr": "Reconstruction PSNR (dB)",
    "ssim": "Reconstruction SSIM",
    "ms_ssim": "Reconstruction MS-SSIM",
    "lpips": "Reconstruction LPIPS",
    "rfid": "Reconstruction rFID",
    "rfrechet": "Reconstruction Fréchet distance, stand-in features",
    "recoded_bit_accuracy": "Bits found again in reconstructions",
    "recoded_token_accuracy": "Tokens found again in reconstructions",
    "val_loss": "Validation loss (nats per bit)",
    "bits_per_image": "Validation loss (bits per image)",
    "val_bit_accuracy": "Bits predicted right",
    "bit_usage": "Bits in use",
    "bit_entropy": "Entropy of a bit",
    "shapeseval": "ShapesEval",
    "shapesworld": "ShapesWorld",
    "geneval": "GenEval",
    "fid": "FID",
    "fid_inf": "FID of infinite images",
    "kid": "KID",
    "is": "Inception Score",
    "cmmd": "CMMD",
    "frechet": "Fréchet distance",
    "frechet_inf": "Fréchet distance of infinite images",
    "rfid_imagenet": "rFID on ImageNet",
    "clipscore": "CLIPScore",
    "clipscore_embedded": "Caption cosine of embedded encoders",
    "imagereward": "ImageReward",
    "hpsv2.1": "HPSv2.1",
    "pickscore": "PickScore",
    "vqascore": "VQAScore",
    "dpg_bench": "DPG-Bench",
    "soft_tifa": "Soft-TIFA",
    "aesthetic": "Aesthetic score",
    "human_win_rate": "Human win rate",
    "human_rating": "Human rating (Bradley-Terry)",
    "seconds_per_image": "Seconds per image",
    "gflops_per_image": "GFLOPs per image",
    "peak_mib": "Peak memory (MiB)",
}
_ARMS = {
    "ground_truth": "ShapesEval of the ground truth",
    "reconstructions": "ShapesEval of reconstructions (ceiling)",
    "shuffled_prompts": "ShapesEval against shuffled prompts (chance)",
    "nearest_training_prompt": "ShapesEval of the nearest training pictures",
    "random_colours": "ShapesEval of random colours",
}
_WORDS = {
    "color_attr": "color attribution",
    "id": "as in training",
    "ood": "held out",
    "count": "shape in a new number",
    "color": "shape in a new color",
    "relation": "shapes in a new relation",
    "pairs_L1": "pairs that never met",
    "pairs_L2": "one pair new",
    "pairs_L3": "both pairs new",
    "productivity": "larger counts",
    "aspect": "new aspect ratio",
    "hard": "beyond training",
    "template": "new wording",
}


def label_of(metric: MetricValue) -> str:
    """What a metric is, in words."""
    name = metric.id.split("[")[0].split("/")[0]
    tail = metric.id.split("]")[-1].strip("/") if "]" in metric.id else "/".join(metric.id.split("/")[1:])
    if name == "human_win_rate":
        return f"{title_of(name)}, {metric.id.partition('[')[2].rpartition(',')[0]}"
    if name == "shapeseval":
        arm = next((text for key, text in _ARMS.items() if f",{key}]" in metric.id), "ShapesEval")
        split, *group = tail.split("/")
        task = "" if group == ["overall"] else f"{words(group[-1])}, "
        return f"{arm}: {task}prompts {words(split)}"
    return title_of(name) + (f", {words(tail)}" if tail else "")


def is_baseline(metric: MetricValue) -> bool:
    """Whether it is what a score is held against, of which more is not better."""
    return any(f",{arm}]" in metric.id for arm in _ARMS if arm != "reconstructions")


def title_of(name: str) -> str:
    """What a metric, a task or a prompt set is called."""
    return _LABELS.get(name.replace("-", "_")) or heading_of(name)


def heading_of(name: str) -> str:
    """Like `words`, with a capital letter."""
    text = words(name)
    return text[:1].upper() + text[1:]


def words(name: str) -> str:
    """``two_object`` -> ``two object``; ``scale_03`` -> ``scale 3``."""
    head, _, number = name.rpartition("_")
    if head and number.isdigit():
        return f"{head.replace('_', ' ')} {int(number)}"
    return _WORDS.get(name, name.replace("_", " "))


def format_number(value: float, decimals: int | None = None) -> str:
    """About four digits if `decimals` are not given, without exponents where people can read it."""
    if decimals is None and value != 0 and not 5e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:.{_usual_decimals(value) if decimals is None else decimals}f}"


def num_decimals(ci95: tuple[float, float] | None) -> int | None:
    """How many show two digits of an interval's width, for more would mean nothing; None without a width."""
    width = ci95[1] - ci95[0] if ci95 else 0.0
    return max(0, 1 - math.floor(math.log10(width) + 1e-9)) if 1e-5 <= width < math.inf else None


def format_value(metric: MetricValue) -> str:
    return format_number(metric.value, num_decimals(metric.ci95))


def format_interval(metric: MetricValue) -> str:
    if not metric.ci95:
        return ""
    low, high = (format_number(end, num_decimals(metric.ci95)) for end in metric.ci95)
    return f"{low} to {high}"


def format_column(cells: Sequence[Cell]) -> list[str]:
    """Cells of one column of a table; floats have as many decimals as each other, so that points align."""
    sizes = [abs(cell) for cell in cells if isinstance(cell, float) and cell]
    decimals = min(3, max(map(_usual_decimals, sizes), default=0))
    is_even = all(10**-decimals <= size < 1e6 for size in sizes)  # none is too small or too long for it
    return [_format_cell(cell, decimals if is_even else None) for cell in cells]


def _format_cell(value: Cell, decimals: int | None) -> str:
    if value is None:
        return ""
    return format_number(value, decimals) if isinstance(value, float) else str(value)


def _usual_decimals(value: float) -> int:
    steps = ((1000, 0), (100, 1), (10, 2), (0.1, 3))
    return next((decimals for least, decimals in steps if abs(value) >= least), 4 if value else 0)


def default_headline(metrics: tuple[MetricValue, ...]) -> tuple[str, ...]:
    """The model's overall scores, its ceiling and chance, the reconstruction quality, and whole metrics."""
    model = f"verifier={VERIFIER_VERSION}]"
    places = (f"{model}/id", f"{model}/ood", ",reconstructions]/id", ",shuffled_prompts]/id")
    overall = [m.id for place in places for m in metrics if m.id.endswith(f"{place}/overall")]
    quality = [m.id for m in metrics if m.id.split("[")[0] in ("psnr", "ssim", "rfid", "rfrechet")]
    whole = [m.id for m in metrics if _is_whole(m.id) and not m.id.startswith("shapeseval[")]
    return tuple(dict.fromkeys([*overall, *quality, *whole]))[:_MAX_HEADLINE] or tuple(
        m.id for m in metrics[:6]
    )


def _is_whole(metric_id: str) -> bool:
    """Whether it is of all images, not of a part."""
    tail = metric_id.rpartition("]")[2] if "]" in metric_id else "/" + metric_id.partition("/")[2]
    return tail.strip("/") in ("", "overall")
