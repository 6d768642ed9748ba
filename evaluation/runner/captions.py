"""The prompt set ``captions``: captions of held-out images, in shapes of these images."""

from __future__ import annotations

from itertools import islice

from evaluation.shard_captions import read_captioned_images
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
    for key, image, caption in islice(read_captioned_images(context.data, _SPLIT), context.limit):
        height, width = image.shape[:2]
        ratio = height / width
        if context.pipeline is not None:
            ratio = nearest_aspect_ratio(height, width, context.pipeline.resolution.aspect_ratios)
        metadata = {"split": _SPLIT, "key": key}
        prompts.append(EvalPrompt(id=key, text=caption, aspect_ratio=ratio, metadata=metadata))
    if not prompts:
        raise ValueError(f"{context.data / _SPLIT} holds no images with captions; take data that has some")
    return prompts
