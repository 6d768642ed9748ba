from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from evaluation.tasks.api import EvalContext
from evaluation.tasks.registry import build_prompts
from evaluation.weights import WeightFinder


def write_shard(path: Path, samples: dict[str, tuple[str | None, tuple[int, int]]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for key, (caption, size) in samples.items():
            picture = io.BytesIO()
            Image.new("RGB", size).save(picture, "PNG")
            files = {"png": picture.getvalue()}
            if caption is not None:
                files["txt"] = caption.encode()
            for suffix, content in files.items():
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def context(data: Path | None, **options: object) -> EvalContext:
    return EvalContext(weights=WeightFinder(), data=data, **options)


def test_prompts_are_held_out_captions_in_the_models_nearest_shapes(tmp_path, pipeline) -> None:
    write_shard(tmp_path / "val" / "00000.tar", {"a": ("a cat", (64, 64)), "b": (None, (64, 64))})
    write_shard(tmp_path / "val" / "00001.tar", {"c": ("a dog", (100, 62)), "d": ("a cow", (60, 64))})
    write_shard(tmp_path / "train" / "00000.tar", {"t": ("a rat", (64, 64))})
    prompts = build_prompts("captions", context(tmp_path, pipeline=pipeline))
    assert [(one.id, one.text, one.aspect_ratio) for one in prompts] == [
        ("a", "a cat", 1.0),
        ("c", "a dog", 0.6),
        ("d", "a cow", 1.0),
    ]
    assert prompts[1].metadata == {"split": "val", "key": "c"}
    assert len(build_prompts("captions", context(tmp_path, limit=2))) == 2


def test_captions_that_are_not_there_are_asked_for(tmp_path) -> None:
    with pytest.raises(ValueError, match="name one with --data"):
        build_prompts("captions", context(None))
    with pytest.raises(ValueError, match="val holds no shards"):
        build_prompts("captions", context(tmp_path))
