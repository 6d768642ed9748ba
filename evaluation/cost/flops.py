"""Task ``flops``: operations of drawing one image, by PyTorch's counter and in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from evaluation.bench.floor import matrix_flops
from evaluation.cost.drawing import STAGES, StagedDrawing
from evaluation.results import MetricValue, Table
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore
from infinity.transformer.flops import sampling_flops
from infinity.vae.flops import vae_decoding_flops

__all__ = ["Flops"]

_GIGA = 1e9


class Flops:
    """Matrix products, convolutions and attention, two operations per multiply-add.

    They are counted while one image is drawn; the closed forms, which plans and scaling studies use, stand
    beside them.
    """

    prompt_set = None

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        drawing = StagedDrawing.of(context, batch_size=1)
        counted, num_text_tokens = _counted(drawing)
        pipeline, schedule = drawing.pipeline, drawing.settings.schedule
        closed = {
            "transformer": sampling_flops(
                pipeline.transformer.config, schedule, num_text_tokens, guided=drawing.is_guided
            ),
            "decoder": vae_decoding_flops(pipeline.vae.config, schedule),
        }
        metrics = tuple(
            MetricValue(
                id=f"gflops_per_image[{drawing.knobs}]/{stage}",
                value=count / _GIGA,
                direction="lower",
                n=1,
                note=f"{drawing.note}; a prompt of {num_text_tokens} tokens",
            )
            for stage, count in {"total": sum(counted.values()), **counted}.items()
        )
        rows = tuple(
            (stage, count / _GIGA, closed[stage] / _GIGA if stage in closed else None)
            for stage, count in counted.items()
        )
        table = Table(columns=("stage", "counted, GFLOP", "closed form, GFLOP"), rows=rows)
        return TaskScore(metrics=metrics, tables={"Operations per image": table})


@torch.no_grad()
def _counted(drawing: StagedDrawing) -> tuple[dict[str, int], int]:
    """Operations by stage, and the number of text tokens."""
    captions, seeds = drawing.captions(0), drawing.seeds(0)
    text, negative = drawing.encode(captions)
    features = drawing.draw(text, negative, seeds)
    stages = (
        lambda: drawing.encode(captions),
        lambda: drawing.draw(text, negative, seeds),
        lambda: drawing.decode(features),
    )
    # the counter doesn't know the fused kernels of CPUs
    with nullcontext() if drawing.device.type == "cuda" else sdpa_kernel(SDPBackend.MATH):
        counted = dict(zip(STAGES, map(matrix_flops, stages), strict=True))
    return counted, text.mask_BM.shape[1]
