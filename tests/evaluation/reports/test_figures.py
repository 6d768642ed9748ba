from __future__ import annotations

import re

import pytest

from evaluation.reports.figures import TOP, Series, history_panels, line_chart
from evaluation.reports.labels import (
    default_headline,
    format_column,
    format_interval,
    format_number,
    format_value,
    label_of,
)
from evaluation.results import MetricValue


def points_of(svg: str) -> list[list[tuple[float, float]]]:
    lines = re.findall(r'<polyline points="(.*?)"', svg)
    return [[tuple(map(float, pair.split(","))) for pair in line.split()] for line in lines]


def test_train_and_val_share_a_chart_and_scales_another() -> None:
    curve = [(0, 1.0), (10, 0.5)]
    names = ["vae/train/loss", "vae/val/loss", "val/bit_accuracy/scale_10", "val/bit_accuracy/scale_02"]
    panels = {panel.title: panel for panel in history_panels(dict.fromkeys(names, curve))}
    assert panels.keys() == {"vae/loss", "bit_accuracy per scale, val"}
    assert [one.label for one in panels["vae/loss"].series] == ["val", "train"]
    assert [one.label for one in panels["bit_accuracy per scale, val"].series] == ["scale 2", "scale 10"]
    assert all(panel.is_main for panel in panels.values())


def test_charts_of_many_bits_are_no_main_ones_and_have_a_short_legend() -> None:
    history = {f"train/bit_accuracy/bit_{k:02d}": [(0, 0.5), (10, 0.6)] for k in range(32)}
    (panel,) = history_panels(history)
    assert panel.title == "bit_accuracy per bit, train"
    assert not panel.is_main
    assert [one.label for one in panel.legend] == ["bit 0", "bit 31"]
    assert len({one.color for one in panel.series}) > 25


def test_curves_that_say_nothing_are_left_out() -> None:
    assert history_panels({"a": [(0, 1.0)], "b": [(0, float("nan")), (1, float("inf"))]}) == []


def test_long_curves_are_thinned_and_keep_their_mean() -> None:
    svg = line_chart([Series("x", [(step, step % 2) for step in range(10_000)], "#000")], "x")
    (line,) = points_of(svg)
    assert len(line) == 300


def test_a_chart_spans_its_data() -> None:
    svg = line_chart([Series("x", [(0, 2.0), (50, 3.0), (100, 4.0)], "#000")], "x")
    (line,) = points_of(svg)
    xs, ys = zip(*line, strict=True)
    assert xs[0] < xs[1] < xs[2]
    assert ys[0] > ys[1] > ys[2] > TOP - 1
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)


def test_a_first_spike_does_not_flatten_the_rest() -> None:
    points = [(0, 1e6), *((step, 1 - step / 100) for step in range(1, 100))]
    (line,) = points_of(line_chart([Series("x", points, "#000")], "x"))
    heights = [y for _, y in line[10:]]
    assert max(heights) - min(heights) > 100


def test_a_constant_curve_is_drawn() -> None:
    assert len(points_of(line_chart([Series("x", [(0, 0.0), (5, 0.0)], "#000")], "x"))[0]) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (27.256, "27.26"), (0.0123, "0.0123"), (1234.5, "1234"), (2e-5, "2e-05"), (0, "0")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "ci95", "texts"),
    [
        (0.7266, (0.7063, 0.7469), ("0.727", "0.706 to 0.747")),
        (0.5, (0.25, 0.75), ("0.50", "0.25 to 0.75")),
        (83.46, (82.5, 84.4), ("83.5", "82.5 to 84.4")),
        (1180.2, (1101.0, 1260.0), ("1180", "1101 to 1260")),
        (0.61, (0.61, 0.61), ("0.610", "0.610 to 0.610")),
        (0.61, None, ("0.610", "")),
    ],
)
def test_an_interval_decides_how_many_digits_are_shown(value, ci95, texts) -> None:
    metric = MetricValue(id="m", value=value, direction="higher", n=9, ci95=ci95)
    assert (format_value(metric), format_interval(metric)) == texts


@pytest.mark.parametrize(
    ("cells", "texts"),
    [
        ([97.3, 8.25, 100.0, None, "x", 3], ["97.300", "8.250", "100.000", "", "x", "3"]),
        ([12.0, 345.25], ["12.00", "345.25"]),
        ([2e-5, 1.5], ["2e-05", "1.500"]),
        ([0.0, 0.0], ["0", "0"]),
        ([], []),
    ],
)
def test_points_of_a_column_align(cells, texts) -> None:
    assert format_column(cells) == texts


def test_ticks_that_are_close_have_different_names() -> None:
    svg = line_chart([Series("x", [(0, 0.9731), (10, 0.9739)], "#000")], "x")
    names = re.findall(r'text-anchor="end">(.*?)<', svg)
    assert len(set(names)) == len(names) > 2


def test_the_headline_is_the_model_its_ceiling_chance_and_the_reconstruction(report) -> None:
    assert default_headline(report.result.metrics) == (
        "shapeseval[basic,64px,verifier=1]/id/overall",
        "shapeseval[basic,64px,verifier=1]/ood/overall",
        "shapeseval[basic,64px,verifier=1,shuffled_prompts]/id/overall",
        "psnr[64px]",
    )


@pytest.mark.parametrize(
    ("metric_id", "label"),
    [
        ("psnr[64px]", "Reconstruction PSNR (dB)"),
        ("rfrechet[effnet-lite0@128,64px,N=9]", "Reconstruction Fréchet distance, stand-in features"),
        ("rfid[inception-6726825d,tf1-bilinear-299,256px,N=9]", "Reconstruction rFID"),
        ("psnr[64px]/after_scale_03", "Reconstruction PSNR (dB), after scale 3"),
        ("bit_usage[min=0.01,64px]/scale_03", "Bits in use, scale 3"),
        ("shapeseval[basic,64px,verifier=1]/id/overall", "ShapesEval: prompts as in training"),
        (
            "shapeseval[basic,64px,verifier=1,ground_truth]/ood/color_attr",
            "ShapesEval of the ground truth: color attribution, prompts held out",
        ),
    ],
)
def test_metrics_have_names_for_people(metric_id: str, label: str) -> None:
    note = "stand-in features" if "effnet" in metric_id else ""
    assert label_of(MetricValue(id=metric_id, value=0.1, direction="lower", n=9, note=note)) == label
