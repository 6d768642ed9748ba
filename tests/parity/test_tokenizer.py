"""The tokenizer against the official one: same weights, same images."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.quantizers.bits import bits_to_codes
from infinity.resample import area_down
from infinity.schedules import ScaleSchedule
from infinity.types import MultiScaleCodes
from infinity.vae import VAE
from tests.parity.ledger import Ledger
from tests.parity.official import bits_of, recorded_bits, tokenizer_of

TIE = 1e-5  # a normalised residual this close to 0 has no certain sign in float32


@pytest.mark.parametrize("layout", ["training", "inference"])
@pytest.mark.recorded("tokenizer")
def test_features_bits_codes_and_images_match(ledger: Ledger, layout: str) -> None:
    vae = tokenizer_of(ledger.of_file("sd."), ledger.meta)
    vae = vae.for_inference() if layout == "inference" else vae
    recorded = recorded_bits(ledger, "s")
    latent = ScaleSchedule(tuple((bits.shape[2], bits.shape[3]) for bits in recorded))
    schedule = token_schedule(ledger, latent, vae.config.patchify)
    with torch.no_grad():
        features = vae.encode(ledger["image"])
        ledger.relative("features", features, 1e-4)
        compare_scales(ledger, vae, features, recorded, latent)
        codes = vae.quantize(features, schedule)
        tokenized = vae.tokenize(ledger["image"], schedule)
        summed = vae.quantizer.sum_codes(recorded, latent)
        z = codes.features_BDHW if bits_are_equal(ledger, codes, recorded, features, latent) else summed
        recon = vae.decode(z)
        redrawn = vae.detokenize(recorded, schedule)
    assert all(torch.equal(*bits) for bits in zip(tokenized.bits, codes.bits, strict=True))
    ledger.absolute("z", z, 1e-5)
    ledger.absolute("summed_codes_from_bits", summed[:, :, None], 1e-5)
    ledger.relative("recon_unclamped", recon, 1e-4, floor=1.0)
    ledger.absolute("recon", recon.clamp(-1, 1), 1e-4)
    ledger.absolute("recon_from_bits", redrawn, 1e-4)
    ledger.settle()


def token_schedule(ledger: Ledger, latent: ScaleSchedule, patchify: int) -> ScaleSchedule:
    """The schedule in tokens, which must be that of the manifest if it tells one, as the latent one."""
    schedule = ScaleSchedule(tuple((h // patchify, w // patchify) for h, w in latent))
    facts = ledger.meta.get("cases", {}).get(ledger.part.prefix.removesuffix("."), {})
    for kind, scales in (("transformer", schedule), ("vae", latent)):
        ours = [[1, *scale] for scale in scales]
        assert ours == facts.get(f"{kind}_scale_schedule", ours)
    return schedule


def compare_scales(
    ledger: Ledger, vae: VAE, features: Tensor, recorded: list[Tensor], latent: ScaleSchedule
) -> None:
    """What enters and leaves the quantizer at every scale, given the recorded bits before it."""
    total = torch.zeros_like(features)
    for k, bits in enumerate(recorded):
        ledger.relative(f"s{k}.residual_in", area_down(features - total, latent[k])[:, :, None], 1e-4)
        ledger.absolute(f"s{k}.quantized", bits_to_codes(bits)[:, :, None], 1e-6)
        total = vae.quantizer.sum_codes(recorded[: k + 1], latent)
        following = latent[min(k + 1, len(latent) - 1)]
        ledger.absolute(f"s{k}.var_input_next_area", area_down(total, following)[:, :, None], 1e-5)


def bits_are_equal(
    ledger: Ledger, codes: MultiScaleCodes, recorded: list[Tensor], features: Tensor, latent: ScaleSchedule
) -> bool:
    """Compare all bits; up to the first that only rounding decides, for the next scales hang on it."""
    total = torch.zeros_like(features)
    for k, bits in enumerate(codes.bits):
        residual = F.normalize(area_down(features - total, latent[k]), dim=1)
        expected = torch.where(residual.abs() < TIE, recorded[k], bits)
        ledger.equal(f"s{k}.bits", expected, bits_of)
        if not torch.equal(bits, recorded[k]):
            return False
        total = total + F.interpolate(bits_to_codes(bits), size=latent.final, mode="bilinear")
    return True
