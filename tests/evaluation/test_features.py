from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from evaluation.features import (
    INCEPTION_FILE,
    EfficientNetLite0Features,
    InceptionFeatures,
    RandomConvFeatures,
    build_extractor,
)
from evaluation.provenance import sha256_of


def images(num: int, seed: int = 0, size: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num, size, size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def stand_in() -> EfficientNetLite0Features:
    return EfficientNetLite0Features(64)


def test_the_stand_in_is_named_and_deterministic(stand_in: EfficientNetLite0Features) -> None:
    assert stand_in.id == "effnet-lite0@64"
    assert stand_in.is_stand_in
    features = stand_in(images(3))
    assert features.shape == (3, 1280)
    assert features.dtype == np.float64
    np.testing.assert_allclose(stand_in(images(3)), features)


def test_features_of_an_image_do_not_depend_on_its_batch(stand_in: EfficientNetLite0Features) -> None:
    many = images(70)
    np.testing.assert_allclose(stand_in(many)[66:68], stand_in(many[66:68]), rtol=1e-3, atol=1e-4)


def test_the_stand_in_knows_an_espresso() -> None:
    """ImageNet's class 967 on scikit-image's coffee cup: weights and preprocessing fit each other."""
    from skimage.data import coffee

    extractor = EfficientNetLite0Features(224)
    features = extractor(np.ascontiguousarray(coffee()[None, :400, 100:500]))
    logits = extractor._net._fc(torch.from_numpy(features).float())
    assert int(logits.argmax()) == 967


def test_random_features_depend_on_their_seed_only() -> None:
    before = torch.get_rng_state()
    features = RandomConvFeatures()(images(2))
    torch.testing.assert_close(torch.get_rng_state(), before)
    np.testing.assert_array_equal(RandomConvFeatures()(images(2)), features)
    assert not np.allclose(RandomConvFeatures(seed=1)(images(2)), features)


def test_inception_is_read_from_a_local_file(tmp_path: Path) -> None:
    """Random weights stand for the published ones; torch-fidelity's own module gives the same features."""
    weights = tmp_path / INCEPTION_FILE
    torch.save(random_inception_state(), weights)
    extractor = InceptionFeatures(weights)
    assert extractor.is_stand_in  # these are not the published weights
    assert extractor.id == f"inception-{sha256_of(weights)[:8]},tf1-bilinear-299"
    features = extractor(images(2))
    theirs = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(weights))
    tensor = torch.from_numpy(images(2)).permute(0, 3, 1, 2)
    expected = theirs(tensor)[0].double().numpy()
    assert features.shape == (2, 2048)
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)


def random_inception_state() -> dict[str, torch.Tensor]:
    """A state dict with the right names and shapes."""
    captured: dict[str, torch.Tensor] = {}

    def take(module: torch.nn.Module, *_: object, **__: object) -> None:
        captured.update({name: value.clone() for name, value in module.state_dict().items()})

    with (
        patch.object(FeatureExtractorInceptionV3, "load_state_dict", take),
        patch("torch.load", lambda *_, **__: {}),
    ):
        FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path="unused")
    return captured


def test_pickles_that_hold_more_than_tensors_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / INCEPTION_FILE
    torch.save({"weight": Path("anything")}, weights)
    with pytest.raises(ValueError, match="is no file of tensors alone; get weights-inception"):
        InceptionFeatures(weights)


def test_missing_weights_say_which_file_goes_where(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"no Inception weights at .*; get {INCEPTION_FILE} from .* put it"):
        build_extractor(tmp_path / "nothing.pth")


def test_without_weights_the_stand_in_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert build_extractor(stand_in_size=64).id == "effnet-lite0@64"


@pytest.mark.parametrize("bad", [images(2) / 255, images(2)[0]], ids=["float", "one image"])
def test_images_of_the_wrong_kind_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="RGB uint8"):
        RandomConvFeatures()(bad)
