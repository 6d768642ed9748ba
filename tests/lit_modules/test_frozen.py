from __future__ import annotations

import torch
from torch import Tensor

from infinity.quantizers.config import QuantizerConfig
from infinity.text import HashingTextConfig, HashingTextEncoder
from infinity.types import ImageTextBatch, TextStates
from infinity.vae import VAE, VAEConfig
from lit_modules.frozen import FrozenEncoders, TensorCache


class Rows:
    """Computes row i of a table and remembers which rows it was asked for."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.asked: list[list[str]] = []

    def __call__(self, missing: list[int]) -> Tensor:
        self.asked.append([self.names[i] for i in missing])
        return torch.stack([torch.full((4,), float(ord(self.names[i]))) for i in missing])


def test_the_cache_computes_only_what_it_lacks_and_keeps_the_order() -> None:
    cache = TensorCache(budget_bytes=1000)
    first, second = Rows(["b", "a"]), Rows(["a", "c", "b"])
    cache.get(first.names, first)
    rows = torch.stack(cache.get(second.names, second))
    assert first.asked == [["b", "a"]]
    assert second.asked == [["c"]]
    assert rows[:, 0].tolist() == [ord("a"), ord("c"), ord("b")]


def test_the_cache_never_exceeds_its_budget_and_stays_right() -> None:
    cache = TensorCache(budget_bytes=2 * 16)
    for _ in range(2):
        rows = Rows(["a", "b", "c"])
        values = torch.stack(cache.get(rows.names, rows))
        assert values[:, 0].tolist() == [97, 98, 99]
    assert len(cache) == 2
    assert cache.num_bytes == 32
    assert rows.asked == [["c"]]


def encoders(cache_bytes: int) -> FrozenEncoders:
    config = VAEConfig(
        quantizer=QuantizerConfig(num_bits=4),
        base_channels=32,
        encoder_multipliers=(1,),
        decoder_multipliers=(1,),
        num_res_blocks=1,
        stem_patch=4,
    )
    text = HashingTextEncoder(HashingTextConfig(width=16, max_len=8))
    return FrozenEncoders(VAE(config), text, cache_bytes)


def test_cached_features_are_bit_for_bit_what_was_computed_first() -> None:
    frozen = encoders(cache_bytes=2**20)
    images = torch.rand(3, 3, 16, 16) * 2 - 1
    batch = ImageTextBatch(images, ["one", "two", "three"], ["k1", "k2", "k3"], 1.0)
    first = frozen.features("train", batch)
    again = frozen.features("train", batch._replace(images_B3HW=torch.zeros_like(images)))
    assert torch.equal(again, first)
    others = encoders(0).features("train", batch)  # of other weights
    assert not torch.equal(first, others), "features are no constant"


def test_a_key_names_another_image_in_another_split() -> None:
    frozen = encoders(cache_bytes=2**20)
    train, val = (ImageTextBatch(torch.rand(1, 3, 16, 16) * 2 - 1, ["one"], ["k1"], 1.0) for _ in range(2))
    frozen.features("train", train)
    assert torch.equal(frozen.features("val", val), frozen.vae.encode(val.images_B3HW))
    assert len(frozen.cache) == 2


def test_cached_text_states_are_those_of_the_encoder_in_any_company() -> None:
    frozen = encoders(cache_bytes=2**20)
    device = torch.device("cpu")
    frozen.states(["a red circle on a square", "dogs"], device)
    batch = ["dogs", "two cats", "a red circle on a square", "dogs"]
    direct, cached = frozen.text.encode(batch), frozen.states(batch, device)
    assert torch.equal(cached.states_BME, direct.states_BME)
    assert torch.equal(cached.mask_BM, direct.mask_BM)
    assert len(frozen.cache) == 3


def test_frozen_networks_have_no_gradients() -> None:
    frozen = encoders(cache_bytes=0)
    batch = ImageTextBatch(torch.zeros(1, 3, 16, 16), ["one"], ["k1"], 1.0)
    assert not frozen.features("train", batch).requires_grad
    assert not any(p.requires_grad for p in frozen.vae.parameters())


def test_what_a_batch_brings_is_not_computed() -> None:
    frozen = encoders(cache_bytes=2**20)
    features, states = torch.randn(1, 4, 2, 2), torch.randn(1, 3, 16).bfloat16()
    text = TextStates.padded([states[0]])
    batch = ImageTextBatch(None, ["one"], ["k1"], 1.0, features_BDHW=features, text=text)
    assert torch.equal(frozen.features("train", batch), features)
    given = frozen.text_states(batch, torch.device("cpu"))
    assert given.states_BME.dtype == torch.float32, "as the encoder's own"
    assert torch.equal(given.states_BME, states.float())
    assert len(frozen.cache) == 0


def test_an_idle_text_encoder_stays_where_it_is() -> None:
    vae = encoders(cache_bytes=0).vae
    for idle in (False, True):
        text = Movable()
        FrozenEncoders(vae, text, 0, idle_text=idle).to(torch.device("cpu"))
        assert text.moved == (not idle)


class Movable(HashingTextEncoder):
    """Remembers whether it was moved."""

    moved = False

    def __init__(self) -> None:
        super().__init__(HashingTextConfig(width=16))

    def to(self, device: torch.device | str) -> HashingTextEncoder:
        self.moved = True
        return self
