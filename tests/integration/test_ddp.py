"""Two processes with half the batch each train as one process with the whole batch, in shards as well."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from infinity.checkpoints.io import load_infinity
from lit_modules.cli import main
from tests.integration.runs import TINY_AR, TINY_VAE, metrics, short, write_yaml
from tests.static.project import ROOT

RUN_ALL = """
import json, sys
from lit_modules.cli import main
sys.exit(max(main(argv) for argv in json.loads(sys.argv[1])))
"""
STEPS = 3
VAE_OPTIONS = [
    "--model.optimizer.lr=1.0e-4",  # Adam turns rounding errors into steps of this size
    "--model.vae.quantizer.scale_depth_dropout=0.5",
    "--model.vae.quantizer.entropy_weight=1.0",
    "--model.loss.gan_weight=0.1",
    "--model.loss.gan_weighting=adaptive",
    "--model.loss.lecam_weight=0.1",
    "--model.loss.discriminator.channels=8",
    "--model.loss.discriminator.num_layers=1",
]
DDP = ["--trainer.devices=2", "--trainer.strategy=ddp"]
SHARDED = [
    "--trainer.devices=2",
    "--trainer.strategy=lightning.pytorch.strategies.ModelParallelStrategy",
    "--trainer.strategy.process_group_backend=gloo",
]
INCOMPARABLE = {
    "val/entropy_batch",  # depends on the size of a batch, and evaluation makes no larger one of two
    "epoch",  # a run that came to its end and is prolonged counts a new one
}
AR_OPTIONS = ["--model.transformer.condition_dropout=0.3", "--model.transformer.drop_path=0.2"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_on_two_ranks(commands: list[list[str]]) -> None:
    """Run commands one after the other in two processes, started as a cluster's launcher does."""
    port = str(free_port())
    processes = []
    for rank in range(2):
        place = {"WORLD_SIZE": "2", "NODE_RANK": "0", "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
        environment = {**os.environ, **place, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        call = [sys.executable, "-c", RUN_ALL, json.dumps(commands)]
        process = subprocess.Popen(
            call, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        processes.append(process)
    for process in processes:
        said, _ = process.communicate()
        assert process.returncode == 0, said[-3000:]


@pytest.mark.timeout(600)
def test_two_ranks_log_the_losses_and_gradients_of_one_process(tmp_path: Path, datasets: Path) -> None:
    vae, ar = (write_yaml(tmp_path / f"{i}.yaml", text) for i, text in enumerate((TINY_VAE, TINY_AR)))
    data = datasets / "shapesworld_basic"
    tokenizer = tmp_path / "alone/vae/export"

    def command(kind: str, name: str, batch_size: int, steps: int = STEPS) -> list[str]:
        options = VAE_OPTIONS if kind == "vae" else [*AR_OPTIONS, f"--model.vae={tokenizer}"]
        config = f"--config={vae if kind == 'vae' else ar}"
        run = short(steps, tmp_path / name / kind, data)
        return [kind, "fit", config, *run, f"--data.batch_size={batch_size}", *options]

    for kind in ("vae", "ar"):
        assert main(command(kind, "alone", 8)) == 0
    run_on_two_ranks(
        [
            [*command("vae", "ddp", 4), *DDP],
            [*command("ar", "ddp", 4), *DDP],
            [*command("ar", "sharded", 4, steps=2), *SHARDED],
            [*command("ar", "sharded", 4), *SHARDED, "--ckpt_path=last"],
            [*command("ar", "sharded", 4), *SHARDED, "--ckpt_path=last"],  # done, so it exports only
        ]
    )
    for kind, name in (("vae", "ddp"), ("ar", "ddp"), ("ar", "sharded")):
        alone, two = (metrics(tmp_path / run / kind) for run in ("alone", name))
        assert alone.keys() == two.keys()
        for step, row in alone.items():
            assert two[step]["train/loss"] == pytest.approx(row["train/loss"], rel=1e-5)
            for metric, value in row.items():
                if metric not in INCOMPARABLE and not metric.startswith("perf/"):
                    assert two[step][metric] == pytest.approx(value, rel=2e-3, abs=1e-5), metric
    one, two = (load_infinity(tmp_path / name / "ar/export/transformer") for name in ("alone", "sharded"))
    for weight, sharded in zip(one.model.parameters(), two.model.parameters(), strict=True):
        torch.testing.assert_close(weight, sharded, rtol=0.0, atol=1e-4)
