from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evaluation.bench.command import bench_command
from evaluation.bench.official import OfficialCode
from evaluation.bench.parts import PARTS, Bench
from infinity.quantizers.config import QuantizerConfig
from infinity.transformer import Infinity, InfinityConfig
from infinity.vae import VAE, VAEConfig

_CPU = torch.device("cpu")


def tiny_bench(batch_size: int, bfloat16: bool, device: torch.device) -> Bench:
    """The benchmark's schedule with small networks."""
    torch.manual_seed(0)
    quantizer = QuantizerConfig(kind="bsq", num_bits=4)
    vae = VAE(VAEConfig(quantizer=quantizer, base_channels=8, num_res_blocks=1))
    config = InfinityConfig(depth=1, width=16, num_heads=2, token_bits=4, text_width=8, text_max_len=64)
    return Bench(vae.for_inference(), Infinity(config), batch_size, bfloat16, device)


def test_every_part_runs_and_is_written_with_its_floor(tmp_path: Path) -> None:
    shown = bench_command(
        output=tmp_path,
        parts=list(PARTS),
        batch_sizes=[1],
        precisions=["float32", "bfloat16"],
        rounds=1,
        device="cpu",
        compiled=False,
        quantizers=False,
        official=None,
        make_bench=tiny_bench,
    )
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert [row["part"] for row in rows[: len(PARTS)]] == list(PARTS)
    assert len(rows) == 2 * (len(PARTS) + 1)
    for row in rows:
        assert row["seconds"] > 0
        assert row["part"] == "self-correction" or row["bytes"] or 0 < row["share"] < 1
    assert (tmp_path / "bench.md").read_text().count("\n") == len(rows) + 2
    assert (tmp_path / "bench.md").read_text() in shown


def test_a_training_step_moves_the_weights_and_forward_backward_does_not() -> None:
    bench = tiny_bench(2, False, _CPU)
    before = bench.model.word_embed.weight.detach().clone()
    bench.forward_backward()()
    assert torch.equal(bench.model.word_embed.weight, before)
    bench.train_step()()
    assert not torch.equal(bench.model.word_embed.weight, before)


def test_bfloat16_halves_the_cache() -> None:
    from evaluation.bench.measure import cache_row

    bench = tiny_bench(1, False, _CPU)
    assert cache_row(bench).bytes == 2 * cache_row(replace(bench, bfloat16=True)).bytes
    # keys and values of one layer and two samples, for all tokens but those of the last scale
    assert cache_row(bench).bytes == 2 * 2 * (521 - 256) * 16 * 4


@pytest.mark.parametrize(
    ("part", "device", "message"),
    [
        ("decoder", "cpu", "unknown part 'decoder'"),
        ("generate", "nonsense", "the device 'nonsense' cannot be used here"),
    ],
)
def test_unknown_parts_and_devices_are_refused(tmp_path: Path, part: str, device: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bench_command(
            output=tmp_path,
            parts=[part],
            batch_sizes=[1],
            precisions=["float32"],
            rounds=1,
            device=device,
            compiled=False,
            quantizers=False,
            official=None,
            make_bench=tiny_bench,
        )


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no checkout of the official"):
        OfficialCode(tmp_path)


def test_what_the_official_code_cannot_do_is_said(tmp_path: Path) -> None:
    for name in ("__init__.py", "utils/__init__.py", "utils/dist.py", "models/bitwise_self_correction.py"):
        file = tmp_path / "infinity" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    code = OfficialCode(tmp_path)
    with pytest.raises(RuntimeError, match="no part is called juggling"):
        code.run(part="juggling", batch_size=1, bfloat16=False)()
    code.close()
