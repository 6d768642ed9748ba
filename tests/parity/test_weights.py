"""Recorded weights through ``python -m infinity convert``: to a saved model and back, bit by bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from infinity.__main__ import main
from infinity.checkpoints.io import load_infinity, load_vae
from tests.parity.ledger import Ledger
from tests.parity.official import transformer_options


def there_and_back(file: dict[str, object], tmp_path: Path, *options: str) -> dict[str, Tensor]:
    """Save a file as the official code does, convert it to ``model`` and back; return what comes out."""
    torch.save(file, tmp_path / "official.pth")
    main(["convert", str(tmp_path / "official.pth"), str(tmp_path / "model"), *options])
    main(["convert", "--to-official", str(tmp_path / "model"), str(tmp_path / "back.pth")])
    return torch.load(tmp_path / "back.pth", weights_only=True)


def compare(ledger: Ledger, back: dict[str, Tensor]) -> None:
    """All names, types and values of the state dict."""
    recorded = ledger.under("")
    assert {k: v.dtype for k, v in back.items()} == {k: v.dtype for k, v in recorded.items()}
    for name, tensor in back.items():
        ledger.equal(name, tensor)
    ledger.settle()


@pytest.mark.recorded("tokenizer_weights")
def test_a_tokenizer_survives_the_way_there_and_back(ledger: Ledger, tmp_path: Path) -> None:
    facts = ledger.meta["config"]
    patchify = 2 if facts["patchify"] else 1
    back = there_and_back({"vae": ledger.under("")}, tmp_path, "--patchify", str(patchify))
    compare(ledger, back["vae"])  # pyright: ignore[reportArgumentType]
    config = load_vae(tmp_path / "model").config
    assert (config.num_bits, config.base_channels, config.stride) == (
        facts["d"],
        facts["base_ch"],
        facts["patch_size"],
    )
    assert (config.patchify, config.num_res_blocks) == (patchify, facts["num_res_blocks"])
    args = ledger.meta.get("vae_model_args", {})
    for coder in ("encoder", "decoder"):
        expected = args.get(f"{coder}_ch_mult", facts["ch_mult"])
        assert list(getattr(config, f"{coder}_multipliers")) == expected


@pytest.mark.recorded("transformer_weights")
def test_a_transformer_survives_the_way_there_and_back(ledger: Ledger, tmp_path: Path) -> None:
    options = transformer_options(ledger.meta)
    flags = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
    compare(ledger, there_and_back(ledger.under(""), tmp_path, *flags))
    facts, config = ledger.meta["config"], load_infinity(tmp_path / "model").model.config
    assert (config.depth, config.width, config.num_heads) == (facts["depth"], facts["width"], facts["heads"])
    assert (config.text_width, config.text_max_len) == (facts["Ct5"], facts["text_maxlen"])
    assert (config.token_bits, config.ffn_width) == (ledger.meta["d_bits"], ledger.meta["ffn_hidden"])
    if options["scale_embedding"] == "every_chunk":  # officially, a single chunk means: before every block
        assert config.num_chunks == (facts["chunks"] if facts["chunks"] > 1 else facts["depth"])
