"""Features of sets: their order, the cache, merging, and statistics that others publish."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.distribution.feature_sets import (
    FeatureSet,
    extract_features,
    features_once,
    published_statistics,
)
from evaluation.metrics.frechet import FeatureStatistics, frechet_distance


def features(num: int, seed: int = 0, width: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num, width)).astype(np.float32)


class MeanColour:
    """Features that tell which image they are of."""

    id = "mean-colour"
    is_stand_in = True

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, images_NHW3: np.ndarray) -> np.ndarray:
        self.batches.append(len(images_NHW3))
        return images_NHW3.mean(axis=(1, 2))


def test_features_keep_the_order_of_images_of_many_sizes() -> None:
    sizes = [(4, 4), (8, 4), (4, 4), (2, 6)] * 40
    images = [np.full((*size, 3), number, np.uint8) for number, size in enumerate(sizes)]
    extractor = MeanColour()
    found = extract_features(extractor, images)
    np.testing.assert_array_equal(found, np.arange(160)[:, None].repeat(3, axis=1))
    assert max(extractor.batches) == 64


def test_cached_features_are_made_once(tmp_path: Path) -> None:
    first = features_once(tmp_path, {"data": "a"}, lambda: features(9))
    again = features_once(tmp_path, {"data": "a"}, lambda: pytest.fail("made twice"))
    np.testing.assert_array_equal(again.kept(), first.kept())
    np.testing.assert_array_equal(again.moments.scatter, first.moments.scatter)
    assert [path.suffix for path in (tmp_path / "features").iterdir()] == [".npz"]


@pytest.mark.parametrize("knob", ["data", "sizes", "filter", "features"])
def test_whatever_features_depend_on_makes_them_anew(knob: str, tmp_path: Path) -> None:
    about = {"data": "a", "sizes": [[4, 4]], "filter": "bicubic", "features": "x"}
    features_once(tmp_path, about, lambda: features(9))
    other = features_once(tmp_path, {**about, knob: "other"}, lambda: features(9, seed=1))
    np.testing.assert_array_equal(other.kept(), features(9, seed=1))


def test_a_damaged_or_foreign_file_is_made_anew(tmp_path: Path) -> None:
    features_once(tmp_path, {"data": "a"}, lambda: features(9))
    (mine,) = (tmp_path / "features").iterdir()
    content = mine.read_bytes()
    mine.write_bytes(content[: len(content) // 2])
    found = features_once(tmp_path, {"data": "a"}, lambda: features(9, seed=1))
    np.testing.assert_array_equal(found.kept(), features(9, seed=1))
    features_once(tmp_path, {"data": "b"}, lambda: features(9, seed=2))
    (other,) = set((tmp_path / "features").iterdir()) - {mine}
    other.replace(mine)  # a file about other data under this name
    found = features_once(tmp_path, {"data": "a"}, lambda: features(9, seed=3))
    np.testing.assert_array_equal(found.kept(), features(9, seed=3))


def test_memory_keeps_the_last_two_sets() -> None:
    made: list[str] = []

    def ask(name: str) -> FeatureSet:
        return features_once(None, {"test": name}, lambda: made.append(name) or features(5))

    for name in ("a", "b", "a", "c", "a", "b"):
        ask(name)
    assert made == ["a", "b", "c", "b"]


@pytest.mark.parametrize("num", [40, 4], ids=["N > D", "N < D"])
def test_distances_of_sets_are_those_of_their_features(num: int) -> None:
    one, other = FeatureSet(features=features(num)), FeatureSet(features=features(30, seed=1))
    expected = frechet_distance(features(num).astype(float), features(30, seed=1).astype(float))
    assert one.distance(other) == pytest.approx(expected, rel=1e-9)


def test_statistics_of_two_ranks_are_those_of_one() -> None:
    """What every rank sees of a set adds up, in any order."""
    x, y = features(50), features(70, seed=1)
    ranks = [FeatureStatistics.of(y[rank::2]) for rank in (1, 0)]
    merged = FeatureSet(known_moments=ranks[0] + ranks[1])
    expected = FeatureSet(features=x).distance(FeatureSet(features=y))
    assert FeatureSet(features=x).distance(merged) == pytest.approx(expected, rel=1e-9)


def test_published_statistics_give_the_distance_of_their_features(tmp_path: Path) -> None:
    x, y = features(40), features(60, seed=1)
    np.savez(tmp_path / "adm.npz", mu=y.mean(axis=0), sigma=np.cov(y, rowvar=False), arr_0=np.zeros(3))
    reference = published_statistics(tmp_path / "adm.npz", width=6)
    expected = frechet_distance(x.astype(float), y.astype(float))
    assert FeatureSet(features=x).distance(reference) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="Fréchet distances alone"):
        reference.kept()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(6)}, "no .npz with the arrays mu and sigma"),
        ({"mu": np.zeros(4), "sigma": np.eye(4)}, "expected 6 features; take statistics of the same network"),
        ({"mu": np.zeros(6), "sigma": np.triu(np.ones((6, 6)))}, "not symmetric and finite"),
        ({"mu": np.array([object()] * 6), "sigma": np.eye(6)}, "no .npz with the arrays"),
    ],
    ids=["no sigma", "another network", "not symmetric", "pickles"],
)
def test_other_files_are_refused(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "file.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        published_statistics(tmp_path / "file.npz", width=6)
