"""Line charts as inline SVG: no plotting library, crisp at every size, in the page's own font."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from evaluation.reports.history import History
from evaluation.reports.labels import format_number, words

__all__ = ["COLORS", "Dot", "Panel", "Series", "history_panels", "line_chart", "nice_ticks"]
__all__ += ["scatter_chart"]

WIDTH, HEIGHT = 380, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 26
NAME = 16  # height of an axis's name
MAX_POINTS = 300
MAX_LEGEND = 12
PER = " per "
COLORS = (
    *("#2f6f9f", "#c4622d", "#4d7c3a", "#8a5a9e", "#a08020"),
    *("#1f8a85", "#b83f6d", "#6b7280", "#7a5230", "#5560c0"),
)
COARSE, FINE = np.array([214, 178, 94]), np.array([38, 88, 142])  # ends of the ramp for scales
MAIN_QUANTITIES = ("loss", "bit_ce", "nll", "bit_accuracy", "psnr", "reconstruction")


@dataclass(frozen=True)
class Series:
    label: str
    points: Sequence[tuple[int, float]]
    color: str

    @property
    def last(self) -> str:
        return format_number(self.points[-1][1])


@dataclass(frozen=True)
class Panel:
    title: str
    series: tuple[Series, ...]
    svg: str
    is_main: bool

    @property
    def legend(self) -> tuple[Series, ...]:
        """All curves, or the ends of the ramp where they are many."""
        return self.series if len(self.series) <= MAX_LEGEND else (self.series[0], self.series[-1])


def history_panels(history: History) -> list[Panel]:
    """One chart per quantity: train and val together, scales together; curves of one point are left out."""
    grouped: dict[str, dict[str, Sequence[tuple[int, float]]]] = {}
    for name, points in history.items():
        finite = [(step, value) for step, value in points if math.isfinite(value)]
        if len(finite) > 1:
            title, label = _place(name)
            grouped.setdefault(title, {})[label] = finite
    panels = []
    for title, curves in grouped.items():
        labels = sorted(curves, key=lambda label: (len(label), label))  # scale 2 before scale 10
        colors = _ramp(len(labels)) if PER in title else COLORS * len(labels)
        series = tuple(
            Series(label, curves[label], color) for label, color in zip(labels, colors, strict=False)
        )
        is_main = title.split(f"{PER}scale")[0].split("/")[-1] in MAIN_QUANTITIES
        panels.append(Panel(title, series, line_chart(series, title), is_main))
    return sorted(panels, key=lambda panel: (panel.title.split("/")[0], not panel.is_main, panel.title))


def line_chart(series: Sequence[Series], title: str) -> str:
    """An SVG of curves over steps. The range ignores how high the first steps are: they may run out."""
    thinned = [(one, _thin(one.points)) for one in series]
    steps = np.concatenate([points[:, 0] for _, points in thinned])
    frame = _Frame(
        across=(float(steps.min()), float(steps.max())),
        up=_value_range([points[:, 1] for _, points in thinned]),
        across_name="step",
    )
    curves = []
    for one, points in thinned:
        path = " ".join(f"{frame.x(step):.1f},{frame.y(value):.1f}" for step, value in points)
        curves.append(f'<polyline points="{path}" stroke="{one.color}"/>')
    return frame.svg("".join(curves), f"{title} over steps")


@dataclass(frozen=True)
class Dot:
    """A point of a scatter chart; those on the front are joined."""

    across: float
    up: float
    label: str
    is_front: bool = False


def scatter_chart(dots: Sequence[Dot], across: str, up: str) -> str:
    """An SVG of labelled points, with the names of both axes."""
    frame = _Frame(
        across=_widened(np.array([dot.across for dot in dots]), 0.12),
        up=_widened(np.array([dot.up for dot in dots]), 0.12),
        across_name=across,
        up_name=up,
    )
    front = sorted((frame.x(dot.across), frame.y(dot.up)) for dot in dots if dot.is_front)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in front)
    parts = [f'<polyline class="front" points="{path}" stroke="{COLORS[0]}"/>']
    for dot in dots:
        x, y = frame.x(dot.across), frame.y(dot.up)
        kind = "point front" if dot.is_front else "point"
        parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        anchor, shift = ("end", -7) if x > 0.8 * WIDTH else ("start", 7)
        place = f'x="{x + shift:.1f}" y="{y - 5:.1f}" text-anchor="{anchor}"'
        parts.append(f"<text {place}>{escape(dot.label)}</text>")
    return frame.svg("".join(parts), f"{up} over {across}")


@dataclass(frozen=True)
class _Frame:
    """Axes of a chart and the places of values."""

    across: tuple[float, float]
    up: tuple[float, float]
    across_name: str = ""
    up_name: str = ""

    @property
    def bottom(self) -> int:
        return HEIGHT - BOTTOM - (NAME if self.across_name else 0)

    @property
    def top(self) -> int:
        return TOP + (NAME if self.up_name else 0)

    def x(self, value: float) -> float:
        low, high = self.across
        return LEFT + (value - low) / max(high - low, 1e-9) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.up
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def svg(self, inside: str, label: str) -> str:
        """The whole chart; `inside` is clipped to the axes."""
        parts = []
        for tick in nice_ticks(*self.up, 5):
            y = self.y(tick)
            parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
        for tick in nice_ticks(*self.across, 5):
            text = f"{tick / 1000:g}k" if tick >= 10_000 else f"{tick:g}"
            x = f'x="{self.x(tick):.1f}" y="{self.bottom + 18}" text-anchor="middle"'
            parts.append(f"<text {x}>{text}</text>")
        if self.across_name:
            middle = (LEFT + WIDTH - RIGHT) / 2
            parts.append(
                f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(self.across_name)}</text>'
            )
        if self.up_name:
            parts.append(f'<text x="{LEFT}" y="{TOP + 4}">{escape(self.up_name)}</text>')
        width, height = WIDTH - LEFT - RIGHT, self.bottom - self.top
        corner = f'x="{LEFT}" y="{self.top}" width="{width}" height="{height}"'
        box = f'viewBox="{LEFT} {self.top} {width} {height}"'
        parts.append(f"<svg {corner} {box}>{inside}</svg>")  # an inner svg clips what runs out
        role = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}"'
        return f'<svg class="chart" {role}>{"".join(parts)}</svg>'


def _place(name: str) -> tuple[str, str]:
    """Chart and curve that a logged name belongs to."""
    parts = name.split("/")
    split = next((part for part in parts if part in ("train", "val", "test")), "")
    parts = [part for part in parts if part != split]
    kind, _, number = parts[-1].rpartition("_")
    if kind in ("scale", "bit") and number.isdigit() and len(parts) > 1:
        return f"{'/'.join(parts[:-1])}{PER}{kind}" + (f", {split}" if split else ""), words(parts[-1])
    return "/".join(parts), split


def _ramp(num: int) -> list[str]:
    shares = np.linspace(0, 1, num)[:, None]
    return ["#{:02x}{:02x}{:02x}".format(*map(int, rgb)) for rgb in (1 - shares) * COARSE + shares * FINE]


def _thin(points: Sequence[tuple[int, float]]) -> np.ndarray:
    """At most MAX_POINTS points (N, 2): means over neighbours."""
    array = np.array(points, np.float64)
    chunks = np.array_split(array, min(len(array), MAX_POINTS))
    return np.array([chunk.mean(axis=0) for chunk in chunks])


def _value_range(curves: list[np.ndarray]) -> tuple[float, float]:
    later = np.concatenate([curve[len(curve) // 20 :] for curve in curves])
    low, high = min(float(curve.min()) for curve in curves), float(np.quantile(later, 0.995))
    return _widened(np.array([low, high]), 0.06)


def _widened(values: np.ndarray, share: float) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = share * (high - low) or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """About `most` round numbers within a range."""
    raw = max(high - low, 1e-12) / most
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw)
    first = math.ceil(low / step)
    return [round(k * step, 10) for k in range(first, math.floor(high / step) + 1)]
