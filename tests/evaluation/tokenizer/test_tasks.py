from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics.functional.image.lpips import _LPIPS

from evaluation.metrics.frechet import frechet_distance
from evaluation.metrics.image_pairs import psnr_per_image
from evaluation.provenance import sha256_of
from evaluation.tasks.api import EvalContext, TaskScore
from evaluation.tasks.registry import TASKS, build_task
from evaluation.tokenizer import tasks
from evaluation.tokenizer.reconstruct import Reconstructed, reconstructions
from evaluation.tokenizer.tasks import _agreement
from evaluation.tokenizer.weights import LPIPS_TRUNKS
from evaluation.weights import WeightFinder
from infinity.images import to_uint8
from infinity.losses.perceptual import LPIPS, TRUNK_FILES
from infinity.pipeline import InfinityPipeline
from tests.evaluation.random_features import RandomConvFeatures


@pytest.fixture
def squares(context: EvalContext) -> list[Reconstructed]:
    return [batch for batch in reconstructions(context) if batch.size == "64px"]


def values(score: TaskScore) -> dict[str, float]:
    found = {metric.id: metric.value for metric in score.metrics}
    assert len(found) == len(score.metrics)
    return found


@pytest.fixture
def _random_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features that need no package of weights."""
    monkeypatch.setattr(tasks, "build_features", lambda name, context: RandomConvFeatures(8))


def test_reconstruction_scores_every_size_apart(context: EvalContext, squares: list[Reconstructed]) -> None:
    score = build_task("reconstruction").score([], context)
    originals, recons = (
        np.concatenate([getattr(batch, name) for batch in squares])
        for name in ("originals_NHW3", "recons_NHW3")
    )
    found, num = values(score), len(originals)
    assert found[f"psnr[64px,N={num}]"] == pytest.approx(psnr_per_image(originals, recons).mean())
    assert {f"ssim[gauss11,64px,N={num}]", f"bit_usage[min=0.01,64px,N={num}]/scale_03"} <= set(found)
    assert sum(name.startswith("psnr[80x48px,N=") for name in found) == 1
    assert set(score.tables) == {"bits_per_scale_at_64px", "bits_per_scale_at_80x48px"}


@pytest.mark.usefixtures("_random_features")
def test_after_the_last_scale_images_are_the_reconstructions(
    context: EvalContext, squares: list[Reconstructed], pipeline: InfinityPipeline
) -> None:
    score = build_task("scales-effnet").score([], context)
    found, features = values(score), RandomConvFeatures(8)
    originals = np.concatenate([batch.originals_NHW3 for batch in squares])
    recons = np.concatenate([batch.recons_NHW3 for batch in squares])
    num = len(originals)
    psnr = f"psnr[64px,N={num}]"
    assert found[f"{psnr}/after_scale_03"] == pytest.approx(psnr_per_image(originals, recons).mean())
    name = f"rfrechet[{features.id},64px,N={num}]/after_scale_03"
    expected = frechet_distance(features(originals), features(recons))
    assert found[name] == pytest.approx(expected, rel=1e-4)
    coarse = [
        to_uint8(pipeline.decode(pipeline.vae.quantizer.sum_codes(batch.codes.bits[:1], latent)))
        for batch in squares
        for latent in [batch.schedule.latent(2)]
    ]
    after_one = psnr_per_image(originals, np.concatenate(coarse)).mean()
    assert found[f"{psnr}/after_scale_01"] == pytest.approx(after_one)
    (table,) = score.tables.values()
    assert [row[:3] for row in table.rows if row[0] == "64px"] == [
        ("64px", 1, "1 x 1"),
        ("64px", 2, "2 x 2"),
        ("64px", 3, "4 x 4"),
    ]


def test_a_token_is_found_again_if_all_its_bits_are(squares: list[Reconstructed]) -> None:
    one = squares[0]
    assert all((share == 1).all() for shares in _agreement(one, one, 2) for share in shares)
    bits = [scale.clone() for scale in one.codes.bits]
    bits[1][0, 0, 0, 0] ^= True  # one bit of one of the four tokens of 16 bits
    other = replace(one, codes=one.codes._replace(bits=tuple(bits)))
    (bit, token) = _agreement(one, other, 2)[1]
    np.testing.assert_allclose(bit, [1 - 1 / 64, 1])
    np.testing.assert_allclose(token, [3 / 4, 1])


def test_recoding_reports_bits_and_tokens_of_every_scale(context: EvalContext) -> None:
    metrics = build_task("recoding").score([], context).metrics
    assert len(metrics) == 2 * 2 * 3
    for bit, token in zip(metrics[:6], metrics[6:], strict=True):
        assert token.id == bit.id.replace("_bit_", "_token_")
        assert f"px,N={bit.n}]/scale_0" in bit.id
        assert 0 <= token.value <= bit.value <= 1


def write_trunk(path: Path) -> LPIPS:
    torch.manual_seed(1)
    lpips = LPIPS("alex")
    state = {
        f"features.{key.split('.', 2)[2]}": value
        for key, value in lpips.state_dict().items()
        if key.startswith("stages.")
    }
    torch.save(state, path)
    return lpips


def test_lpips_is_torchmetrics_on_the_same_weights(
    context: EvalContext, squares: list[Reconstructed], tmp_path: Path
) -> None:
    path = tmp_path / "trunk.pth"
    write_trunk(path)
    context = replace(context, weights=WeightFinder({"lpips-alex": path}))
    found = values(build_task("lpips-alex").score([], context))
    theirs, state = _LPIPS(net="alex", pnet_rand=True), torch.load(path)
    for name, parameter in theirs.net.named_parameters():
        parameter.data.copy_(state[f"features.{name.split('.', 1)[1]}"])

    def scaled(images: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1

    distances = [
        theirs(scaled(batch.originals_NHW3), scaled(batch.recons_NHW3)).flatten() for batch in squares
    ]
    expected, weights = torch.cat(distances), sha256_of(path)[:8]
    metric_id = f"lpips[alex-{weights},v0.1,64px,N={len(expected)}]"  # not the published ones, and it says so
    assert found[metric_id] == pytest.approx(expected.mean().item(), rel=1e-4)


@pytest.mark.parametrize("net", list(LPIPS_TRUNKS))
def test_missing_trunks_are_named(
    net: str, context: EvalContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("INFINITY_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert TASKS[f"lpips-{net}"].weights == (LPIPS_TRUNKS[net],)
    with pytest.raises(ValueError, match=rf"{TRUNK_FILES[net]} .*--weights lpips-{net}=PATH"):  # type: ignore[index]
        build_task(f"lpips-{net}").score([], context)
