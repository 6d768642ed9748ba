"""Times the parts, with their floors and beside the official code, and keeps the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from evaluation.bench.floor import matrix_flops, matrix_rate
from evaluation.bench.official import OfficialCode
from evaluation.bench.parts import PARTS, Bench
from evaluation.bench.quantizers import peak_bytes, quantizer_work
from evaluation.bench.timing import interleave_medians, timed
from infinity.sampling.cache import ScaleDecoder
from infinity.schedules import paper_schedule

__all__ = ["QUANTIZER_BITS", "Row", "cache_row", "part_rows", "quantizer_rows"]

_NOT_COMPILED = ("generate", "generate + decode", "self-correction")  # the former have a shape per scale
QUANTIZER_BITS = {"bsq": (16, 20, 32, 64), "lfq": (8, 10, 12)}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One part: medians in seconds. `floor` is the time of its matrix products at the measured rate."""

    part: str
    batch_size: int
    precision: str
    seconds: float
    floor: float | None = None
    official: float | None = None
    compiled: float | None = None
    bytes: int | None = None

    @property
    def best(self) -> float:
        return self.seconds if self.compiled is None else min(self.seconds, self.compiled)

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the official code."""
        return None if self.official is None else self.official / self.best

    @property
    def share(self) -> float | None:
        """Share of the floor's speed that is reached."""
        return None if self.floor is None else self.floor / self.best

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "share": self.share}


def part_rows(
    bench: Bench,
    parts: Sequence[str],
    *,
    rounds: int,
    official: OfficialCode | None = None,
    compiled: bool = False,
) -> Iterator[Row]:
    """Time parts at one batch size and precision; `compiled` also with compiled blocks and tokenizer."""
    precision = "bfloat16" if bench.bfloat16 else "float32"
    rate = matrix_rate(getattr(torch, precision), bench.device)
    twin = _compiled(bench) if compiled else None
    for part in parts:
        work = PARTS[part](bench)
        runs = {"seconds": timed(work, bench.device)}
        if twin is not None and part not in _NOT_COMPILED:
            runs["compiled"] = timed(PARTS[part](twin), bench.device)
        if official is not None:
            runs["official"] = official.run(part=part, batch_size=bench.batch_size, bfloat16=bench.bfloat16)
        medians = interleave_medians(runs, rounds)
        floor = matrix_flops(work) / rate
        yield Row(part=part, batch_size=bench.batch_size, precision=precision, floor=floor, **medians)


def quantizer_rows(*, batch_size: int, rounds: int, official: OfficialCode | None = None) -> Iterator[Row]:
    """Quantizers with their losses, forward and backward, over the number of bits: seconds and peak bytes."""
    for kind, widths in QUANTIZER_BITS.items():
        pixels = "1M" if kind == "bsq" else "0.06M"  # LFQ enumerates 2^d codes for every cell
        schedule = paper_schedule(1.0, pixels)
        for num_bits in widths:
            work = quantizer_work(kind, num_bits, batch_size, schedule)
            runs = {"seconds": timed(work, torch.device("cpu"))}
            if official is not None and kind == "bsq":
                sides = [scale.h for scale in schedule]
                request = {"part": "quantizer", "num_bits": num_bits, "sides": sides}
                runs["official"] = official.run(batch_size=batch_size, bfloat16=False, **request)
            medians = interleave_medians(runs, rounds)
            yield Row(
                part=f"{kind} with losses, d = {num_bits}, {pixels}",
                batch_size=batch_size,
                precision="float32",
                bytes=peak_bytes(work),
                **medians,
            )


def cache_row(bench: Bench, rounds: int = 1) -> Row:
    """Bytes of the KV cache of a guided batch, and the time of the first scale, which allocates it."""
    guided = replace(bench, batch_size=2 * bench.batch_size)
    decoders: list[ScaleDecoder] = []

    @torch.no_grad()
    def work() -> None:
        decoders.append(ScaleDecoder(guided.sampler, guided.text, guided.schedule))
        decoders[-1].step(0, None)

    medians = interleave_medians({"seconds": timed(work, guided.device)}, rounds)
    return Row(
        part="first scale and the KV cache",
        batch_size=bench.batch_size,
        precision="bfloat16" if bench.bfloat16 else "float32",
        bytes=decoders[-1].cache.num_bytes,
        **medians,
    )


def _compiled(bench: Bench) -> Bench:
    twin = replace(bench, vae=deepcopy(bench.vae), model=deepcopy(bench.model))
    for module in (*twin.model.layers, twin.vae.encoder, twin.tokenizer.encoder, twin.tokenizer.decoder):
        module.compile(dynamic=False)
    return twin
