"""Task ``memory``: the most bytes that drawing one image takes, beside what was planned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from evaluation.bench.quantizers import peak_bytes
from evaluation.cost.drawing import StagedDrawing
from evaluation.results import MetricValue, Table
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore
from infinity.planning import PlanOptions, make_plan

__all__ = ["Memory"]

_MIB = 2**20


class Memory:
    """Weights, and what is held beside them at the largest moment.

    On GPUs by the allocator's count; on CPUs by the profiler's record of PyTorch's allocations, which doesn't
    see the scratch memory of kernels.
    """

    prompt_set = None

    def __init__(self, *, batch_size: int = 1) -> None:
        self.batch_size = batch_size

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        drawing = StagedDrawing.of(context, self.batch_size)
        drawing()  # weights may be laid out anew in the first call
        weights = _weight_bytes(drawing)
        working = _working_bytes(drawing)
        planned = _planned(drawing)
        where = "gpu" if drawing.device.type == "cuda" else drawing.device.type
        found = {"total": weights + working, "weights": weights, "working": working}
        metrics = tuple(
            MetricValue(
                id=f"peak_mib[{drawing.knobs},{where}]/{part}",
                value=num_bytes / _MIB,
                direction="lower",
                n=self.batch_size,
                note=drawing.note,
            )
            for part, num_bytes in found.items()
        )
        rows = [(f"measured: {part}", num_bytes / _MIB) for part, num_bytes in found.items()]
        rows += [(f"planned: {part}", num_bytes / _MIB) for part, num_bytes in planned.items()]
        return TaskScore(metrics=metrics, tables={"Memory": Table(columns=("part", "MiB"), rows=tuple(rows))})


def _working_bytes(drawing: StagedDrawing) -> int:
    """Most bytes held at once beside the weights."""
    if drawing.device.type != "cuda":
        return peak_bytes(drawing)
    torch.cuda.synchronize(drawing.device)
    before = torch.cuda.memory_allocated(drawing.device)
    torch.cuda.reset_peak_memory_stats(drawing.device)
    drawing()
    torch.cuda.synchronize(drawing.device)
    return torch.cuda.max_memory_allocated(drawing.device) - before


def _weight_bytes(drawing: StagedDrawing) -> int:
    """Of all networks; storages that several weights share count once."""
    pipeline = drawing.pipeline
    modules = [pipeline.vae, pipeline.transformer, *_modules(pipeline.text_encoder)]
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for module in modules
        for tensor in _tensors(module)
    }
    return sum(storages.values())


def _modules(encoder: Any) -> list[nn.Module]:
    """Networks of a text encoder, which need not be one itself."""
    found = [encoder, *vars(encoder).values()]
    return [one for one in found if isinstance(one, nn.Module)]


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _planned(drawing: StagedDrawing) -> dict[str, int]:
    """What :mod:`infinity.planning` expects of the same batch, text encoder left out."""
    pipeline = drawing.pipeline
    text, _ = drawing.encode(drawing.captions(0))
    options = PlanOptions(
        batch_size=drawing.batch_size,
        precision="32" if pipeline.dtype == torch.float32 else "bf16-true",
        guided=drawing.is_guided,
        text_length=text.mask_BM.shape[1],
    )
    plan = make_plan(pipeline.transformer.config, pipeline.vae.config, drawing.settings.schedule, options)
    return {**plan.drawing._asdict(), "total": plan.drawing.peak}
