"""Plots of a data set, as PNGs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from datamodules.statistics.captions import CaptionLengths
from datamodules.statistics.images import SplitImages
from infinity.schedules import Resolution

__all__ = ["draw_plots"]

_COLORS = ("#2f6f9f", "#c4622d", "#4d7c3a", "#8a5a9e", "#a08020", "#6b7280")
_STYLE = {
    "axes.edgecolor": "#b9b5aa",
    "axes.grid": True,
    "axes.labelcolor": "#6a7280",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "font.size": 8.5,
    "grid.color": "#e6e3dc",
    "legend.frameon": False,
    "xtick.color": "#6a7280",
    "ytick.color": "#6a7280",
}
_DOTS = 20_000


def draw_plots(
    images: Mapping[str, SplitImages], captions: Mapping[str, CaptionLengths], resolution: Resolution
) -> dict[str, bytes]:
    """PNGs by name; every split is a color, and histograms show shares of a split."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        return {name: _png(figure) for name, figure in _figures(images, captions, resolution)}


def _figures(
    images: Mapping[str, SplitImages], captions: Mapping[str, CaptionLengths], resolution: Resolution
) -> Iterator[tuple[str, Any]]:
    yield "sizes", _sizes(images)
    ratios = {split: np.log2(1 / one.ratios) for split, one in images.items()}
    figure, axes = _histogram("Aspect ratio, with the buckets", "width / height", ratios)
    for ratio in resolution.aspect_ratios:
        axes.axvline(-np.log2(ratio), color="#22272e", linewidth=0.5, linestyle=":")
    _powers_of_two(axes, (1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 3 / 2, 2, 3, 4))
    yield "ratios", figure
    yield "buckets", _buckets(images, resolution)
    sides = {split: np.log2(one.enlargement) for split, one in images.items()}
    figure, axes = _histogram("Enlargement to the bucket's size", "factor of the sides", sides)
    axes.axvline(0, color="#b5523b", linewidth=0.8)
    _powers_of_two(axes, (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1, 3 / 2, 2, 3, 4, 6, 8))
    yield "enlargement", figure
    kinds = {
        f"{split}: {kind}" if len(one.words) > 1 else split: words
        for split, one in captions.items()
        for kind, words in one.words.items()
    }
    yield "captions", _histogram("Caption length", "words", kinds, whole=True)[0]
    sizes = {split: np.log2(np.maximum(one.num_bytes, 1) / 1024) for split, one in images.items()}
    figure, axes = _histogram("Image files", "KiB", sizes)
    _powers_of_two(axes)
    yield "bytes", figure


def _powers_of_two(axes: Any, ticks: tuple[float, ...] = ()) -> None:
    """Label an axis of base-2 logarithms with the numbers themselves."""
    low, high = axes.get_xlim()
    shown = [value for value in np.log2(ticks or (1.0,)) if low <= value <= high]
    if ticks and len(shown) > 1:
        axes.set_xticks(shown)
    axes.xaxis.set_major_formatter(lambda value, _: f"{2**value:.3g}")


def _axes(title: str, label: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 2.9), layout="constrained", facecolor="none")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(label)
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    return figure, axes


def _histogram(
    title: str, label: str, values: Mapping[str, np.ndarray], *, whole: bool = False
) -> tuple[Any, Any]:
    """Outlines of the shares of each group, on common bins; `whole` numbers get bins around them."""
    figure, axes = _axes(title, label)
    everything = np.concatenate([*values.values(), np.empty(0)])
    low, high = (float(everything.min()), float(everything.max())) if len(everything) else (0.0, 1.0)
    if whole:
        high = float(np.quantile(everything, 0.995)) if len(everything) else 1.0
        width = max(1, int((high - low) / 40))
        edges = np.arange(low - 0.5, high + width + 0.5, width)
    else:
        pad = max(0.05, (high - low) * 0.02)
        edges = np.linspace(low - pad, high + pad, 49)
    for color, (name, group) in zip(_COLORS * len(values), values.items(), strict=False):
        counts, _ = np.histogram(group, edges)
        axes.stairs(100 * counts / max(len(group), 1), edges, color=color, label=name, linewidth=1.3)
        axes.stairs(100 * counts / max(len(group), 1), edges, color=color, fill=True, alpha=0.12)
    axes.set_ylabel("% of the split")
    if len(values) > 1:
        axes.legend()
    return figure, axes


def _sizes(images: Mapping[str, SplitImages]) -> Any:
    """Width against height; many images of one size make one large dot."""
    figure, axes = _axes("Image sizes", "width (pixels)")
    for color, (split, one) in zip(_COLORS * len(images), images.items(), strict=False):
        sizes = np.stack([one.widths, one.heights], 1)
        pairs, counts = np.unique(sizes, axis=0, return_counts=True)
        if len(pairs) > _DOTS:
            chosen = np.random.default_rng(0).choice(len(pairs), _DOTS, replace=False)
            pairs, counts = pairs[chosen], counts[chosen]
        area = 8 + 120 * np.sqrt(counts / counts.max()) if len(pairs) < 50 else 4
        axes.scatter(*pairs.T, s=area, color=color, alpha=0.5, label=split, linewidths=0)
    axes.set_ylabel("height (pixels)")
    sides = np.concatenate([np.concatenate([one.widths, one.heights]) for one in images.values()])
    if sides.max() > 8 * sides.min():
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_box_aspect(0.62)
    axes.margins(0.15)
    if len(images) > 1:
        axes.legend()
    return figure


def _buckets(images: Mapping[str, SplitImages], resolution: Resolution) -> Any:
    """How many images each bucket holds, and what cropping to it costs."""
    figure, axes = _axes("Samples and crop loss per bucket", "width / height of the bucket")
    numbers = np.argsort([-ratio for ratio in resolution.aspect_ratios])
    width = 0.8 / len(images)
    for place, (color, (split, one)) in enumerate(zip(_COLORS * len(images), images.items(), strict=False)):
        counts = np.bincount(one.buckets, minlength=len(numbers))[numbers]
        left = np.arange(len(numbers)) - 0.4 + width * (place + 0.5)
        axes.bar(left, 100 * counts / len(one.widths), width, color=color, alpha=0.75, label=split)
    crops = [
        np.concatenate([one.crop_loss[one.buckets == number] for one in images.values()])
        for number in numbers
    ]
    filled = [place for place, crop in enumerate(crops) if len(crop)]
    axes.plot(
        *(filled, [100 * crops[place].mean() for place in filled]),
        *("D",),
        color="#b5523b",
        markersize=4,
        label="area cut away",
    )
    labels = [f"{1 / resolution.aspect_ratios[number]:.3g}" for number in numbers]
    axes.set_xticks(range(len(numbers)), labels, rotation=45 if len(numbers) > 8 else 0)
    axes.set_ylabel("%")
    axes.margins(y=0.25)
    axes.legend(ncols=2, loc="upper center")
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    return buffer.getvalue()
