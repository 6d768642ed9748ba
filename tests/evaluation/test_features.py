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
    build_extractor,
)
from evaluation.provenance import sha256_of
from tests.evaluation.random_features import RandomConvFeatures


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
    assert int(extractor.logits(features).argmax()) == 967


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights stand for the published ones."""
    weights = tmp_path_factory.mktemp("weights") / INCEPTION_FILE
    torch.save(random_inception_state(), weights)
    return weights


def theirs(weights: Path, images_NHW3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features and logits of torch-fidelity's whole extractor."""
    names = ["2048", "logits_unbiased"]
    net = FeatureExtractorInceptionV3("x", names, feature_extractor_weights_path=str(weights))
    features, logits = net(torch.from_numpy(images_NHW3).permute(0, 3, 1, 2))
    return features.double().numpy(), logits.double().numpy()


def test_inception_is_torch_fidelitys_with_weights_from_a_local_file(inception_weights: Path) -> None:
    extractor = InceptionFeatures(inception_weights)
    assert extractor.is_stand_in  # these are not the published weights
    assert extractor.id == f"inception-{sha256_of(inception_weights)[:8]},tf1-bilinear-299"
    features, logits = theirs(inception_weights, images(2))
    found = extractor(images(2))
    assert found.shape == (2, 2048)
    assert np.abs(found[0] - found[1]).mean() > 0.01 * np.abs(found).mean()  # there is something to compare
    np.testing.assert_allclose(found, features, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(extractor.logits(found), logits, rtol=1e-4, atol=1e-4)


def test_clean_fids_resizing_reaches_the_same_network(inception_weights: Path) -> None:
    """At 299 pixels there is nothing to resize, so both ways agree; elsewhere they do not."""
    extractor = InceptionFeatures(inception_weights, resize="pil-bicubic")
    assert extractor.id.endswith(",pil-bicubic-299")
    full = images(1, size=299)
    np.testing.assert_allclose(extractor(full), theirs(inception_weights, full)[0], rtol=1e-5, atol=1e-6)
    assert not np.allclose(extractor(images(1)), theirs(inception_weights, images(1))[0], rtol=1e-3)


def test_infinitys_script_normalizes_twice(inception_weights: Path) -> None:
    """A flat image of level v reaches the network as 2 (v / 255 - mean) / std - 1."""
    prepared = InceptionFeatures(inception_weights, resize="infinity-legacy")._prepare(
        torch.full((1, 3, 40, 60), 100, dtype=torch.uint8)
    )
    assert prepared.shape == (1, 3, 299, 299)
    expected = [
        2 * (100 / 255 - mean) / std - 1 for mean, std in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))
    ]
    np.testing.assert_allclose(prepared.mean(dim=(0, 2, 3)), expected, rtol=1e-4)


def random_inception_state() -> dict[str, torch.Tensor]:
    """A state dict with the right names and shapes, whose features differ from image to image.

    The module's own start makes every layer's output smaller than its input, until only rounding is left.
    """
    captured: dict[str, torch.Tensor] = {}

    def take(module: torch.nn.Module, *_: object, **__: object) -> None:
        captured.update({name: value.clone() for name, value in module.state_dict().items()})

    with (
        patch.object(FeatureExtractorInceptionV3, "load_state_dict", take),
        patch("torch.load", lambda *_, **__: {}),
    ):
        FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path="unused")
    generator = torch.Generator().manual_seed(0)
    for value in captured.values():
        if value.ndim == 4:
            torch.nn.init.kaiming_normal_(value, nonlinearity="relu", generator=generator)
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
    for variable in ("TORCH_HOME", "INFINITY_WEIGHTS"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert build_extractor(stand_in_size=64).id == "effnet-lite0@64"


@pytest.mark.parametrize("bad", [images(2) / 255, images(2)[0]], ids=["float", "one image"])
def test_images_of_the_wrong_kind_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="RGB uint8"):
        RandomConvFeatures()(bad)
