"""Two processes with half the batch each train as one process with the whole batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.runs import TINY_AR, TINY_VAE, fit, metrics, short, write_yaml
from tests.static.project import ROOT

RUN_ALL = "import sys, json; from lit_modules.cli import main; sys.exit(max(main(a) for a in json.loads(sys.argv[1])))"
STEPS = 3
VAE_OPTIONS = [
    "--model.vae.quantizer.scale_depth_dropout=0.5",
    "--model.vae.quantizer.entropy_weight=1.0",
    "--model.loss.gan_weight=0.1",
    "--model.loss.lecam_weight=0.1",
    "--model.loss.discriminator.channels=8",
    "--model.loss.discriminator.num_layers=1",
]
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

    def arguments(kind: str, run: str, batch_size: int, tokenizer: Path) -> list[str]:
        options = VAE_OPTIONS if kind == "vae" else [*AR_OPTIONS, f"--model.vae={tokenizer}"]
        config = f"--config={vae if kind == 'vae' else ar}"
        return [
            config,
            *short(STEPS, tmp_path / run / kind, data),
            f"--data.batch_size={batch_size}",
            *options,
        ]

    tokenizer = tmp_path / "alone/vae/export"
    for kind in ("vae", "ar"):
        fit(kind, *arguments(kind, "alone", 8, tokenizer))
    ddp = ["--trainer.devices=2", "--trainer.strategy=ddp"]
    run_on_two_ranks([[kind, "fit", *arguments(kind, "two", 4, tokenizer), *ddp] for kind in ("vae", "ar")])
    for kind in ("vae", "ar"):
        alone, two = (metrics(tmp_path / run / kind) for run in ("alone", "two"))
        assert alone.keys() == two.keys()
        for step, row in alone.items():
            compared = {name: value for name, value in row.items() if not name.startswith("perf/")}
            assert {name: two[step][name] for name in compared} == pytest.approx(compared, rel=2e-3, abs=1e-5)
            assert two[step]["train/loss"] == pytest.approx(row["train/loss"], rel=1e-5)
