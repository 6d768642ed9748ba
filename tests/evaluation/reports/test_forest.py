from __future__ import annotations

import pytest

from evaluation.reports.forest import Mark, Measured, draw_forest


def measured(value: float, low: float, high: float) -> Measured:
    return Measured(value=value, ci95=(low, high), count="n = 5")


def test_shares_have_the_whole_axis() -> None:
    forest = draw_forest("x", [("a", [measured(0.5, 0.4, 0.75)], [Mark("paper", 0.9, "")])], is_share=True)
    (row,) = forest.rows
    (bar,) = row.bars
    assert (bar.dot, bar.left, bar.width) == pytest.approx((50, 40, 35))
    assert row.marks[0].place == 90
    assert [place for place, _ in forest.ticks] == [0, 25, 50, 75, 100]
    assert (bar.score, bar.interval) == ("0.50", "0.40 to 0.75")


@pytest.mark.parametrize("values", [(100.0, 104.0), (0.25, 0.26), (-1.0, 0.5), (3.0, 3.0), (0.0, 0.0)])
def test_other_values_are_spread_over_the_axis(values: tuple[float, float]) -> None:
    one, other = (Measured(value=value, ci95=None, count="") for value in values)
    forest = draw_forest("x", [("a", [one], []), ("b", [other], [])])
    left, right = (row.bars[0].dot for row in forest.rows)
    assert 0 < left <= right < 100
    if values[0] < values[1]:
        assert right - left > 50
    assert forest.ticks
    assert all(-0.01 <= place <= 100.01 for place, _ in forest.ticks)


def test_a_mark_far_away_stays_on_the_axis() -> None:
    forest = draw_forest("x", [("a", [measured(5, 4, 6)], [Mark("paper", 50, "")])])
    assert 0 < forest.rows[0].bars[0].dot < forest.rows[0].marks[0].place < 100


def test_runs_have_colors_of_their_own() -> None:
    values = [Measured(value=0.5, ci95=None, count="", run=run) for run in range(3)]
    (row,) = draw_forest("x", [("a", values, [])]).rows
    assert len({bar.color for bar in row.bars}) == 3
