"""Recorded weights through ``python -m infinity convert``: to a saved model and back, bit by bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def check_facts(ours: dict[str, Any], told: dict[str, Any]) -> None:
    """What the manifest tells of a model holds; it needn't tell everything."""
    assert ours == ours | {name: value for name, value in told.items() if name in ours}


@pytest.mark.recorded("tokenizer_weights")
def test_a_tokenizer_survives_the_way_there_and_back(ledger: Ledger, tmp_path: Path) -> None:
    facts = ledger.meta.get("config", {})
    flags = ["--patchify", "2" if facts["patchify"] else "1"] if "patchify" in facts else []
    back = there_and_back({"vae": ledger.under("")}, tmp_path, *flags)
    compare(ledger, back["vae"])  # pyright: ignore[reportArgumentType]
    config = load_vae(tmp_path / "model").config
    ours = {
        "d": config.num_bits,
        "base_ch": config.base_channels,
        "patch_size": config.stride,
        "num_res_blocks": config.num_res_blocks,
        "patchify": int(config.patchify > 1),
        "encoder_ch_mult": list(config.encoder_multipliers),
        "decoder_ch_mult": list(config.decoder_multipliers),
    }
    both = {f"{coder}_ch_mult": facts["ch_mult"] for coder in ("encoder", "decoder") if "ch_mult" in facts}
    check_facts(ours, both | facts | ledger.meta.get("vae_model_args", {}))


@pytest.mark.recorded("transformer_weights")
def test_a_transformer_survives_the_way_there_and_back(ledger: Ledger, tmp_path: Path) -> None:
    options = transformer_options(ledger.meta)
    flags = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
    compare(ledger, there_and_back(ledger.under(""), tmp_path, *flags))
    config = load_infinity(tmp_path / "model").model.config
    ours = {
        "depth": config.depth,
        "width": config.width,
        "heads": config.num_heads,
        "Ct5": config.text_width,
        "text_maxlen": config.text_max_len,
        "d_bits": config.token_bits,
        "ffn_hidden": config.ffn_width,
    }
    facts = ledger.meta.get("config", {})
    check_facts(ours, facts | ledger.meta)
    if options["scale_embedding"] == "every_chunk" and "chunks" in facts:
        # officially, a single chunk means: before every block
        assert config.num_chunks == (facts["chunks"] if facts["chunks"] > 1 else config.depth)
