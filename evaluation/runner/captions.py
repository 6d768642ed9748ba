"""The prompt set ``captions``: captions of held-out images, in shapes of these images."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePath

from evaluation.image_folders import decode_image
from evaluation.shard_images import IMAGE_SUFFIXES
from evaluation.tasks.api import EvalContext, EvalPrompt
from infinity.schedules import nearest_aspect_ratio

__all__ = ["held_out_captions"]

_SPLIT = "val"


def held_out_captions(context: EvalContext) -> list[EvalPrompt]:
    """The first captions of the data's ``val`` split, one image each; ids are the samples' keys.

    An image's ratio is the model's that is nearest to the held-out image's, as in training.
    """
    if context.data is None:
        raise ValueError("prompts from held-out captions need a data set; name one with --data")
    prompts = []
    for key, caption, (height, width) in islice(_captions(context.data / _SPLIT), context.limit):
        ratio = height / width
        if context.pipeline is not None:
            ratio = nearest_aspect_ratio(height, width, context.pipeline.resolution.aspect_ratios)
        metadata = {"split": _SPLIT, "key": key}
        prompts.append(EvalPrompt(id=key, text=caption, aspect_ratio=ratio, metadata=metadata))
    if not prompts:
        raise ValueError(
            f"{context.data / _SPLIT} holds no shards with captions; make the data set first (`make data`)"
        )
    return prompts


def _captions(folder: Path) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Key, caption and (height, width) of every sample that has an image and a caption."""
    for shard in sorted(folder.glob("*.tar")):
        captions: dict[str, str] = {}
        sizes: dict[str, tuple[int, int]] = {}
        try:
            with tarfile.open(shard) as tar:
                for member in tar:
                    name = PurePath(member.name)
                    file = tar.extractfile(member) if member.isfile() else None
                    if file is None:
                        continue
                    if name.suffix == ".txt":
                        captions[name.stem] = file.read().decode("utf-8", errors="replace").strip()
                    elif name.suffix in IMAGE_SUFFIXES:
                        image = decode_image(io.BytesIO(file.read()), f"{name} in {shard}")
                        sizes[name.stem] = image.shape[:2]
                    if captions.get(name.stem) and name.stem in sizes:
                        yield name.stem, captions.pop(name.stem), sizes.pop(name.stem)
        except tarfile.TarError as error:
            raise ValueError(f"{shard} is no whole tar file ({error}); make the data set again") from error
