"""Runs that do nothing but load, in processes of their own that can be killed.

Every rank writes the keys of each step into a journal and then waits for the others, as gradients make them
do; rank 0 saves the data's state every few steps.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import time
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule

from datamodules.module import ImageTextDataModule
from infinity.atomic import write_atomically
from infinity.types import ImageTextBatch
from tests.datamodules.conftest import RESOLUTION, on_rank

__all__ = ["GLOBAL_BATCH", "Journals", "Recorder", "Setting", "fit", "load", "run_ranks"]

GLOBAL_BATCH = 8
_SAVE_EVERY = 3
_PATIENCE = 60  # seconds until a process counts as hanging

_CONTEXT = get_context("forkserver")
# imported once, by the server that all processes are forked from
_CONTEXT.set_forkserver_preload(["tests.integration.elastic", "lightning.pytorch.cli"])


class Setting(NamedTuple):
    num_ranks: int
    num_workers: int


class Journals:
    """What the ranks of all attempts wrote: a file for each, of lines ``[step, keys]``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.num_ranks: list[int] = []  # of every attempt

    def path(self, attempt: int, rank: int) -> Path:
        return self.folder / f"{attempt}-{rank}.jsonl"

    def rows(self, attempt: int, rank: int) -> dict[int, list[str]]:
        if not (path := self.path(attempt, rank)).exists():
            return {}
        return dict(map(json.loads, path.read_text().splitlines()))

    def sequence(self) -> list[list[str]]:
        """Keys of the global batches; steps that were repeated after a kill must repeat them."""
        found: dict[int, list[str]] = {}
        for attempt, num_ranks in enumerate(self.num_ranks):
            first, *others = (self.rows(attempt, rank) for rank in range(num_ranks))
            for step, keys in first.items():
                if all(step in other for other in others):
                    merged = sum((other[step] for other in others), keys)
                    assert found.setdefault(step, merged) == merged, f"attempt {attempt}, step {step}"
        assert sorted(found) == list(range(len(found))), "steps are missing"
        return [found[step] for step in range(len(found))]


def load(
    rank: int, setting: Setting, options: dict[str, Any], journal: Path, folder: Path, num_batches: int
) -> None:
    """Go on from the saved state to `num_batches` global batches: what one rank's process runs."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{journal.parent}/{journal.stem.split('-')[0]}.rendezvous",
        rank=rank,
        world_size=setting.num_ranks,
        timeout=timedelta(seconds=_PATIENCE),
    )
    module = ImageTextDataModule(
        resolution=RESOLUTION,
        batch_size=GLOBAL_BATCH // setting.num_ranks,
        num_workers=setting.num_workers,
        worker_context="fork",  # children of a forkserver would start another one each
        **options,
    )
    on_rank(module, rank, setting.num_ranks)
    saved, step = folder / "state.pt", 0
    if saved.exists():
        checkpoint = torch.load(saved, weights_only=True)
        step = checkpoint["step"]
        module.load_state_dict(checkpoint["data"])
    stream = module.train_dataloader()
    with journal.open("a") as file:
        while step < num_batches:
            for batch in stream:
                file.write(json.dumps([step, batch.keys]) + "\n")
                file.flush()
                torch.distributed.all_reduce(torch.ones(()))
                step += 1
                if rank == 0 and step % _SAVE_EVERY == 0:
                    buffer = io.BytesIO()
                    torch.save({"step": step, "data": module.state_dict()}, buffer)
                    write_atomically(saved, buffer.getvalue())
                if step == num_batches:
                    break
    module.teardown()
    torch.distributed.destroy_process_group()


def run_ranks(
    setting: Setting,
    options: dict[str, Any],
    journals: Journals,
    num_batches: int,
    kill: tuple[int, random.Random] | None = None,
) -> None:
    """Run an attempt to its end, or SIGKILL its processes, in any order, some moment after so many steps."""
    attempt = len(journals.num_ranks)
    journals.num_ranks.append(setting.num_ranks)
    processes = []
    for rank in range(setting.num_ranks):
        journal = journals.path(attempt, rank)
        arguments = (rank, setting, options, journal, journals.folder, num_batches)
        processes.append(_CONTEXT.Process(target=load, args=arguments))
        processes[-1].start()
    if kill is not None:
        num_steps, rng = kill
        deadline = time.monotonic() + _PATIENCE
        while len(journals.rows(attempt, 0)) < num_steps and time.monotonic() < deadline:
            if not any(process.is_alive() for process in processes):  # fewer steps were left
                break
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.02))
        for process in rng.sample(processes, len(processes)):
            process.kill()
    for process, code in zip(processes, _exit_codes(processes), strict=True):
        assert code == 0 or (kill and code == -signal.SIGKILL), f"{process.name} ended with {code}"


def _exit_codes(processes: list[BaseProcess]) -> list[int | None]:
    for process in processes:
        process.join(_PATIENCE)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


class Recorder(LightningModule):
    """Writes the keys it is given into a journal; dies before a step, as a machine does.

    The number of steps is read first, as schedulers do: Lightning then drops a loader's own state.
    """

    def __init__(self, journal: str, killed_before: int = -1) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.journal = Path(journal)
        self.killed_before = killed_before

    def on_train_batch_start(self, batch: ImageTextBatch, batch_idx: int) -> None:
        if self.global_step == self.killed_before:
            os.kill(os.getpid(), signal.SIGKILL)

    def training_step(self, batch: ImageTextBatch, _: int) -> torch.Tensor:
        with self.journal.open("a") as file:
            file.write(json.dumps([self.global_step, batch.keys]) + "\n")
        return self.weight * batch.images_B3HW.mean()

    def validation_step(self, batch: ImageTextBatch, _: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        assert self.trainer.estimated_stepping_batches
        return torch.optim.SGD(self.parameters(), lr=0.1)


def _fit(arguments: list[str]) -> None:
    from lightning.pytorch.cli import LightningCLI

    torch.set_num_threads(1)
    LightningCLI(Recorder, ImageTextDataModule, args=arguments, save_config_callback=None)


def fit(arguments: list[str]) -> int | None:
    """Run ``fit`` of Lightning's command line in a process of its own; returns its exit code."""
    process = _CONTEXT.Process(target=_fit, args=(["fit", *arguments],))
    process.start()
    return _exit_codes([process])[0]
