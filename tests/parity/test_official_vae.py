"""The tokenizer against the official one, same weights, same images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from infinity.checkpoints.official_vae import OFFICIAL_VAES, export_official_vae, import_official_vae
from infinity.quantizers import QuantizerConfig, patchify_bits
from infinity.schedules import ScaleSchedule
from infinity.vae import VAE, VAEConfig
from tests.tolerances import TOL

MODELS = ["vae_d32", "vae_d14_patchify"]
CASES = ["sq64", "r1.5_96x64"]


def config_of(recording: Any) -> VAEConfig:
    facts = recording.meta["config"]
    return VAEConfig(
        quantizer=QuantizerConfig(num_bits=facts["d"]),
        base_channels=facts["base_ch"],
        encoder_multipliers=tuple(facts["ch_mult"]),
        decoder_multipliers=tuple(facts["ch_mult"]),
        num_res_blocks=facts["num_res_blocks"],
        patchify=2 if facts["patchify"] else 1,
    )


def schedule_of(recording: Any, case: str, kind: str = "transformer") -> ScaleSchedule:
    return ScaleSchedule(tuple((h, w) for _, h, w in recording.meta["cases"][case][f"{kind}_scale_schedule"]))


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest, recordings: Any) -> tuple[Any, VAE]:
    """A recording and our model with its weights."""
    recording = recordings[request.param]
    vae = VAE(config_of(recording)).eval()
    vae.load_state_dict(import_official_vae(recording.state_dict(), vae.config), strict=True)
    return recording, vae


def recorded_bits(tensors: dict[str, Tensor], k: int) -> Tensor:
    return tensors[f"s{k}.bits"].squeeze(1).movedim(-1, 1).bool()


def test_strides_are_those_of_the_official_model(pair: tuple[Any, VAE]) -> None:
    recording, vae = pair
    assert vae.config.stride == recording.meta["config"]["patch_size"]
    for case in CASES:
        latent = schedule_of(recording, case).latent(vae.config.patchify)
        assert latent.scales == schedule_of(recording, case, "vae").scales


@pytest.mark.parametrize("case", CASES)
def test_features_codes_bits_and_images_match(pair: tuple[Any, VAE], case: str) -> None:
    recording, vae = pair
    expected, schedule = recording.under(f"{case}."), schedule_of(recording, case)
    with torch.no_grad():
        features = vae.encode(expected["image"])
        codes = vae.quantize(features, schedule)
        recon = vae.decode(codes.features_BDHW)
        redrawn = vae.detokenize(codes.bits, schedule)
    torch.testing.assert_close(features, expected["features"], **TOL[torch.float32])
    for k, bits in enumerate(codes.bits):
        assert torch.equal(bits, recorded_bits(expected, k)), f"bits of scale {k} differ"
    torch.testing.assert_close(codes.features_BDHW, expected["z"], **TOL[torch.float32])
    torch.testing.assert_close(recon, expected["recon_unclamped"], rtol=0, atol=1e-4)
    torch.testing.assert_close(redrawn, expected["recon_from_bits"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_summed_codes_of_recorded_bits_match(pair: tuple[Any, VAE], case: str) -> None:
    recording, vae = pair
    expected, schedule = recording.under(f"{case}."), schedule_of(recording, case).latent(vae.config.patchify)
    bits = [recorded_bits(expected, k) for k in range(len(schedule))]
    summed = vae.quantizer.sum_codes(bits, schedule)
    torch.testing.assert_close(summed, expected["summed_codes_from_bits"].squeeze(2), **TOL[torch.float32])
    tokens = patchify_bits(bits[-1], vae.config.patchify)
    assert tokens.shape[1:] == (schedule_of(recording, case).final.area, vae.config.token_bits)


def test_export_undoes_import_to_the_last_key_and_bit(pair: tuple[Any, VAE]) -> None:
    recording, vae = pair
    theirs = recording.state_dict()
    back = export_official_vae(vae.state_dict(), vae.config)
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[key], theirs[key]) for key in theirs)


def test_a_missing_weight_is_refused(pair: tuple[Any, VAE]) -> None:
    recording, vae = pair
    theirs = recording.state_dict()
    theirs.pop("decoder.conv_in.conv.weight")
    converted = import_official_vae(theirs, vae.config)
    with pytest.raises(RuntimeError, match=r"Missing key.*decoder\.conv_in\.weight"):
        VAE(vae.config).load_state_dict(converted, strict=True)


def test_the_released_architectures_have_the_published_size() -> None:
    with torch.device("meta"):
        vae = VAE(OFFICIAL_VAES["infinity_vae_d32reg"])
    millions = [sum(p.numel() for p in part.parameters()) / 1e6 for part in (vae.encoder, vae.decoder)]
    assert [round(size, 1) for size in millions] == [45.0, 65.1]
    assert OFFICIAL_VAES["infinity_vae_d56_f8_14_patchify"].token_bits == 56
    assert {config.token_stride for config in OFFICIAL_VAES.values()} == {16}
