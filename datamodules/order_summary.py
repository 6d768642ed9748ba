"""What an epoch is made of, as a user wants to see it before hours of training."""

from __future__ import annotations

from collections.abc import Sequence

from datamodules.order import TrainingOrder
from infinity.schedules import Resolution

__all__ = ["order_summary"]


def order_summary(order: TrainingOrder, resolution: Resolution, names: Sequence[str] = ()) -> str:
    """Tables of the buckets and, if they have names, of the data sets, in the first epoch."""
    epoch = order.epoch(0)
    samples, dropped = epoch.samples_per_bucket.tolist(), epoch.dropped_per_bucket.tolist()
    rows = [("aspect ratio", "image", "samples", "batches", "left over")]
    for ratio, size, num_left in zip(resolution.aspect_ratios, samples, dropped, strict=True):
        height, width = resolution.image_size(ratio)
        num_batches = size // order.global_batch
        rows.append((f"{ratio:g}", f"{width}x{height}", f"{size:,}", f"{num_batches:,}", f"{num_left:,}"))
    lines = [
        f"an epoch has {sum(samples):,} samples in {len(epoch):,} batches of {order.global_batch:,}, "
        f"{sum(dropped):,} are left over; windows of {order.shuffle_window:,} samples are shuffled, "
        f"{epoch.num_windows:,} an epoch",
        *_aligned(rows),
    ]
    if names:
        rows = [("data set", "samples", "in an epoch", "share", "passes")]
        for name, (start, stop, drawn) in zip(names, order.sources, strict=True):
            share, passes = drawn / sum(samples), drawn / (stop - start)
            rows.append((name, f"{stop - start:,}", f"{drawn:,}", f"{share:.1%}", f"{passes:.3g}"))
        lines += _aligned(rows)
    return "\n".join(lines)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.rjust, row, widths)) for row in rows]
