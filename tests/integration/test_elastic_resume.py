"""Runs that are killed at any moment and go on, on other numbers of ranks and workers, read the same data."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from datamodules.module import ImageTextDataModule
from datamodules.packing import pack_dataset
from datamodules.shapesworld import shapesworld_dataset
from tests.datamodules.conftest import CONFIG, RESOLUTION, keys
from tests.integration.elastic import GLOBAL_BATCH, Journals, Setting, fit, run_ranks

NUM_BATCHES = 30  # of 11 an epoch
RANKS = (1, 2, 4)
WORKERS = (0, 1, 3, 8)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("elastic") / "shapesworld"
    pack_dataset(directory, shapesworld_dataset(CONFIG), samples_per_shard=25)
    return directory


def straight(root: Path) -> list[list[str]]:
    """What one process without workers reads when nothing happens to it."""
    sequence = keys(ImageTextDataModule(str(root), RESOLUTION, GLOBAL_BATCH), NUM_BATCHES)
    assert len({tuple(batch) for batch in sequence}) == NUM_BATCHES
    return sequence


def survive(root: Path, folder: Path, settings: list[Setting], rng: random.Random) -> list[list[str]]:
    """Run with each of the settings in turn; all but the last are killed."""
    journals = Journals(folder)
    *killed, last = settings
    for setting in killed:
        steps = rng.randint(1, 2 * NUM_BATCHES // len(settings))
        run_ranks(setting, {"root": str(root)}, journals, NUM_BATCHES, (steps, rng))
    run_ranks(last, {"root": str(root)}, journals, NUM_BATCHES)
    return journals.sequence()


def test_killed_runs_go_on_exactly_on_other_numbers_of_ranks_and_workers(root: Path, tmp_path: Path) -> None:
    settings = [Setting(1, 2), Setting(4, 1), Setting(2, 0)]
    assert survive(root, tmp_path, settings, random.Random(0)) == straight(root)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("seed", range(8))
def test_killed_runs_go_on_exactly_on_any_numbers(root: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    settings = [Setting(rng.choice(RANKS), rng.choice(WORKERS)) for _ in range(6)]
    assert survive(root, tmp_path, settings, rng) == straight(root)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("num_workers", WORKERS)
@pytest.mark.parametrize("num_ranks", RANKS)
def test_every_number_of_ranks_goes_on_with_every_number_of_workers(
    root: Path, tmp_path: Path, num_ranks: int, num_workers: int
) -> None:
    settings = [Setting(1, 0), Setting(num_ranks, num_workers)]
    assert survive(root, tmp_path, settings, random.Random(num_ranks)) == straight(root)


def test_lightning_goes_on_exactly_from_a_checkpoint_after_a_kill(root: Path, tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    ratios = list(RESOLUTION.aspect_ratios)
    arguments = [
        f"--data.root={root}",
        f"--data.resolution={{stride: 8, sides: [1, 2, 4], aspect_ratios: {ratios}}}",
        f"--data.batch_size={GLOBAL_BATCH}",
        "--data.worker_context=fork",
        f"--trainer.max_steps={NUM_BATCHES}",
        "--trainer.accelerator=cpu",
        "--trainer.logger=false",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        f"--trainer.default_root_dir={tmp_path}",
        "--trainer.callbacks=[{class_path: ModelCheckpoint, init_args: "
        f"{{dirpath: {tmp_path}, every_n_train_steps: 3, save_last: true, save_top_k: 1}}}}]",
    ]
    for attempt, (num_workers, killed_before) in enumerate([(2, 5), (0, 16), (1, -1)]):
        journals.num_ranks.append(1)
        resumed = [f"--ckpt_path={tmp_path / 'last.ckpt'}"] if attempt else []
        model = [f"--model.journal={journals.path(attempt, 0)}", f"--model.killed_before={killed_before}"]
        code = fit([*arguments, *model, *resumed, f"--data.num_workers={num_workers}"])
        assert code == (0 if killed_before == -1 else -signal.SIGKILL)
    assert min(journals.rows(1, 0)) == 3
    assert min(journals.rows(2, 0)) == 15
    assert journals.sequence() == straight(root)
