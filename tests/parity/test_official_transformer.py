"""The transformer against the official one: same weights, texts and bits."""

from __future__ import annotations

from typing import Any, NamedTuple, get_args

import pytest
import torch
from torch import Tensor

from infinity.checkpoints.official_ar import (
    export_official_transformer,
    import_official_transformer,
    infer_official_transformer,
)
from infinity.checkpoints.official_vae import import_official_vae
from infinity.objectives import token_weights
from infinity.quantizers.bits import patchify_bits, unpatchify_bits
from infinity.resample import bilinear_resize, bilinear_up
from infinity.rope2d import RopeGrid, rope_tables
from infinity.sampling import SamplingConfig, generate
from infinity.sampling.cache import ScaleDecoder
from infinity.sampling.generate import guidance_batch
from infinity.schedules import PixelBudget, ScaleSchedule, paper_schedule
from infinity.transformer import Infinity
from infinity.types import TextStates
from infinity.vae import VAE
from tests.parity.listing import recorded_facts, recorded_transformers
from tests.parity.test_official_vae import config_of as vae_config_of

LOGITS = {"rtol": 0.0, "atol": 1e-4}


class Pair(NamedTuple):
    recording: Any
    model: Infinity
    schedule: ScaleSchedule
    patchify: int


def load(recording: Any) -> Pair:
    """Our model with the recorded weights."""
    options = recording.meta["config"]["kw"]
    grids: dict[int, RopeGrid] = {0: "index", 1: "interpolate", 2: "reference"}
    first = options["add_lvl_embeding_only_first_block"]
    config = infer_official_transformer(
        recording.state_dict(),
        rope_grid=grids[options["rope2d_normalized_by_hw"]],
        scale_embedding="first_block" if first else "every_chunk",
    )
    model = Infinity(config).eval()
    model.load_state_dict(import_official_transformer(recording.state_dict(), config), strict=True)
    return Pair(recording, model, schedule_of(recording), 2 if options["apply_spatial_patchify"] else 1)


def schedule_of(recording: Any) -> ScaleSchedule:
    scales = tuple((h, w) for _, h, w in recording.meta["scale_schedule"])
    ratio = recording.meta["config"]["ratio"]
    candidates = [paper_schedule(ratio, pixels) for pixels in get_args(PixelBudget)]
    return next(schedule for schedule in candidates if schedule.scales == scales)


def text_of(recording: Any, prefix: str = "") -> TextStates:
    """Packed states as padded ones."""
    packed, ends = (
        recording.tensors[f"{prefix}text.kv"],
        recording.tensors[f"{prefix}text.cu_seqlens"].tolist(),
    )
    captions = [packed[start:end] for start, end in zip(ends, ends[1:], strict=False)]
    states = torch.nn.utils.rnn.pad_sequence(captions, batch_first=True)
    lengths = torch.tensor([len(caption) for caption in captions])
    return TextStates(states, torch.arange(states.shape[1]) < lengths[:, None])


def one_logit(two_logits: Tensor) -> Tensor:
    zero, one = two_logits.unflatten(-1, (-1, 2)).unbind(-1)
    return one - zero


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Test every transformer that the manifest lists; sampling and decoding where they were recorded."""
    models = recorded_transformers(metafunc.config)
    sampled = [name for name, facts in models.items() if facts["ar"]]
    decoded = [name for name in sampled if models[name]["vae"] in recorded_facts(metafunc.config)]
    for fixture, names in (("pair", list(models)), ("sampled", sampled), ("decoded", decoded)):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest, recordings: Any) -> Pair:
    return load(recordings[request.param])


@pytest.fixture(scope="module")
def sampled(request: pytest.FixtureRequest, recordings: Any) -> Pair:
    return load(recordings[request.param])


@pytest.fixture(scope="module")
def decoded(request: pytest.FixtureRequest, recordings: Any) -> Pair:
    return load(recordings[request.param])


def test_the_architecture_is_read_off_the_weights(pair: Pair) -> None:
    facts, config = pair.recording.meta["config"], pair.model.config
    assert (config.depth, config.width, config.num_heads) == (facts["depth"], facts["width"], facts["heads"])
    assert (config.num_chunks, config.text_width) == (facts["chunks"], facts["Ct5"])
    assert config.text_max_len == facts["text_maxlen"]
    assert config.token_bits == pair.recording.meta["d_bits"]
    assert config.ffn_width == pair.recording.meta["ffn_hidden"]


def test_export_gives_back_every_official_tensor_exactly(pair: Pair) -> None:
    exported = export_official_transformer(pair.model.state_dict(), pair.model.config)
    official = pair.recording.state_dict()
    assert exported.keys() == official.keys()
    for name, tensor in official.items():
        torch.testing.assert_close(exported[name], tensor, rtol=0, atol=0, msg=name)


def test_rotations_match(pair: Pair) -> None:
    cos, sin = pair.recording.tensors["rope_cache"].flatten(1, 4)
    config = pair.model.config
    ours = rope_tables(pair.schedule, config.head_dim, config.rope_grid, torch.device("cpu"))
    half = config.head_dim // 2
    length = pair.schedule.seq_len
    torch.testing.assert_close(ours.cos[:, 0, 0, :half], cos[:length], rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.sin[:, 0, 0, half:], sin[:length], rtol=0, atol=1e-5)


def test_logits_match(pair: Pair) -> None:
    tensors = pair.recording.tensors
    with torch.no_grad():
        logits = pair.model(tensors["x_in"], text_of(pair.recording), pair.schedule)
    torch.testing.assert_close(logits, one_logit(tensors["logits"]), **LOGITS)


def test_logits_of_condition_dropped_samples_match(pair: Pair) -> None:
    tensors, text = pair.recording.tensors, text_of(pair.recording)
    drop_B = torch.arange(len(text.mask_BM)) == 1
    states_before = text.states_BME.clone()
    with torch.no_grad():
        logits = pair.model(tensors["x_in"], text, pair.schedule, drop_condition_B=drop_B)
    torch.testing.assert_close(logits, one_logit(tensors["logits_dropped"]), **LOGITS)
    assert torch.equal(text.states_BME, states_before)


def test_losses_and_all_parameter_gradients_match(pair: Pair) -> None:
    recording, model, schedule, _ = pair
    tensors, text = recording.tensors, text_of(recording)
    drop_B = torch.zeros(len(text.mask_BM), dtype=torch.bool)
    logits = model(tensors["x_in"], text, schedule, drop_condition_B=drop_B)
    nll_BL = model.head.loss(logits, tensors["gt"].bool())
    torch.testing.assert_close(nll_BL, tensors["loss_per_token"], rtol=1e-5, atol=1e-6)
    losses = {
        name: (nll_BL.mean(dim=0) * token_weights(schedule, name, nll_BL.device)).sum()
        for name in ("none", "sqrt_area")
    }
    torch.testing.assert_close(losses["none"], tensors["loss_mean"], rtol=1e-5, atol=0)
    torch.testing.assert_close(losses["sqrt_area"].double(), tensors["loss_reweighted"], rtol=1e-5, atol=0)
    model.zero_grad()
    losses["sqrt_area"].backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    expected = import_official_transformer(recording.under("grad."), model.config)
    for name, gradient in expected.items():
        ours = gradients[name]
        assert ours is not None, name
        difference = (ours - gradient).abs().max() / gradient.abs().max().clamp_min(1e-12)
        assert difference <= 1e-4, f"{name}: {difference:.1e}"


def recorded_bits(tensors: dict[str, Tensor], run: str, k: int) -> Tensor:
    return tensors[f"{run}.s{k}.bits"].movedim(-1, 1).bool()


@pytest.mark.parametrize("run", ["ar", "arleak"])
def test_cached_guided_logits_match_along_the_recorded_bits(sampled: Pair, run: str) -> None:
    recording, model, schedule, patchify = sampled
    tensors, text = recording.tensors, text_of(recording, "ar.")
    both, drop_B = guidance_batch(text, None)
    latent = schedule.latent(patchify)
    with torch.no_grad():
        decoder = ScaleDecoder(model, both, schedule, drop_B=drop_B)
        total = torch.zeros(1)
        for k in range(len(schedule)):
            inputs = None
            if k:
                inputs = patchify_bits(bilinear_resize(total, latent[k]), patchify)
                torch.testing.assert_close(inputs, tensors[f"{run}.s{k}.word_embed_in"], rtol=0, atol=1e-5)
                inputs = inputs.repeat(2, 1, 1)
            logits = decoder.step(k, inputs)
            torch.testing.assert_close(logits, one_logit(tensors[f"{run}.s{k}.raw_logits"]), **LOGITS)
            codes = (recorded_bits(tensors, run, k).float() * 2 - 1) / recorded_bits(tensors, run, k).shape[
                1
            ] ** 0.5
            total = total + bilinear_up(codes, latent.final)
    torch.testing.assert_close(total, tensors[f"{run}.summed_codes"], rtol=0, atol=1e-5)


def guided_margins(tensors: dict[str, Tensor], run: str, k: int, guidance: float) -> Tensor:
    """How far each guided logit of the recorded run is from 0."""
    conditional, unconditional = one_logit(tensors[f"{run}.s{k}.raw_logits"]).chunk(2)
    return (guidance * conditional + (1 - guidance) * unconditional).abs()


@pytest.mark.parametrize("run", ["ar", "arleak"])
def test_a_greedy_free_run_draws_the_recorded_bits(sampled: Pair, run: str) -> None:
    recording, model, schedule, patchify = sampled
    facts = recording.meta["config"]["ar"]
    forced = []
    if run == "arleak":
        forced = [recording.tensors[f"arleak.gt{k}"][:, 0].movedim(-1, 1).bool() for k in range(3)]
    config = SamplingConfig(guidance=facts["cfg"], temperature=0)  # recorded with top-k 1
    drawn = generate(
        model, text_of(recording, "ar."), schedule, config, patchify=patchify, forced_bits=forced
    )
    for k in range(len(forced), len(schedule)):
        margins = guided_margins(recording.tensors, run, k, facts["cfg"][k])
        sure = unpatchify_bits(margins >= 1e-3, patchify, schedule[k])
        assert torch.equal(drawn.bits[k][sure], recorded_bits(recording.tensors, run, k)[sure]), (
            f"scale {k + 1}"
        )
        if not sure.all():
            break  # rounding may decide a bit here, and then all later ones


def test_the_decoded_image_matches_to_one_grey_level(decoded: Pair, recordings: Any) -> None:
    recording, _, schedule, patchify = decoded
    vae_recording = recordings[recording.meta["config"]["vae"]]
    vae = VAE(vae_config_of(vae_recording)).eval()
    vae.load_state_dict(import_official_vae(vae_recording.state_dict(), vae.config))
    bits = [recorded_bits(recording.tensors, "ar", k) for k in range(len(schedule))]
    assert vae.config.patchify == patchify
    with torch.no_grad():
        images = vae.detokenize(bits, schedule)
    grey = (
        ((images + 1) / 2 * 255).to(torch.uint8).permute(0, 2, 3, 1).flip(-1)
    )  # the official code writes BGR
    difference = (grey.int() - recording.tensors["ar.image_uint8_bgr"].int()).abs().max()
    assert difference <= 1
