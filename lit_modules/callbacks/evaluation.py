"""Benchmarks of a transformer, while it is trained."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.seed import isolate_rng

from lit_modules.callbacks.ema import averaged_weights
from lit_modules.callbacks.throughput import Throughput
from lit_modules.sharding import is_sharded

if TYPE_CHECKING:
    from evaluation.runner.run import RunnerOptions

__all__ = ["Evaluation"]

logger = logging.getLogger(__name__)


class Evaluation(Callback):
    """Every few steps, draws prompts with the averaged weights, scores them with tasks of ``python -m
    evaluation list`` and logs ``eval/<metric>``; images and scores stay in ``<run>/evaluation/step_0001000``.

    The first rank evaluates while the others wait, which they do no longer than the process group's timeout.
    Training goes on as if nothing had happened, whatever fails: its random numbers, the network's mode and
    its weights are put back, and the time does not count as training's.

    Args:
        every_n_steps: how often; 0 for never.
        tasks: their names; take cheap ones.
        data: data directory with prompts and references; that of the training if empty.
        limit: prompts, or references, of every task; the same ones with the same seeds every time.
        images_per_prompt: images of every prompt.
        batch_size: images drawn at once.
        weights: paths of files that the tasks need, by name.
    """

    def __init__(
        self,
        every_n_steps: int = 0,
        tasks: tuple[str, ...] = (),
        data: str = "",
        limit: int = 64,
        images_per_prompt: int = 1,
        batch_size: int = 32,
        weights: dict[str, str] | None = None,
    ) -> None:
        if every_n_steps < 0:
            raise ValueError(f"evaluation.every_n_steps must not be negative, got {every_n_steps}")
        if every_n_steps and not tasks:
            raise ValueError(
                "evaluation.every_n_steps needs evaluation.tasks; `python -m evaluation list` shows them"
            )
        self.every_n_steps = every_n_steps
        self.tasks = tuple(tasks)
        self.data = data
        self.limit = limit
        self.images_per_prompt = images_per_prompt
        self.batch_size = batch_size
        self.weights = dict(weights or {})
        self._step = 0

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Refuse, on every rank alike, what could not be done later."""
        if not self.every_n_steps:
            return
        if not hasattr(pl_module, "pipeline"):
            raise ValueError(
                "evaluation.every_n_steps draws images from prompts, which takes a transformer; set it to 0"
            )
        if is_sharded(trainer):
            raise ValueError(
                "evaluation.every_n_steps needs the whole network on a rank, and trainer.strategy shards it; "
                "set it to 0 and evaluate exports with `python -m evaluation run`"
            )
        from evaluation.runner.run import select

        select(self._options(trainer, pl_module), with_model=True)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._step = trainer.global_step

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        step = trainer.global_step
        if not self.every_n_steps or step % self.every_n_steps or step == self._step:
            return
        self._step = step
        with _no_training_time(trainer, pl_module):
            if trainer.is_global_zero:
                with isolate_rng(), averaged_weights(trainer, pl_module), _mode_kept(pl_module.net):
                    self._evaluate(trainer, pl_module)
            trainer.strategy.barrier()

    def _evaluate(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        try:
            values = self._scores(trainer, pl_module)
        except Exception as error:  # none is worth a training
            is_known = isinstance(error, ValueError | OSError | torch.OutOfMemoryError)
            logger.warning(
                "evaluation at step %d failed: %s",
                trainer.global_step,
                str(error) or type(error).__name__,
                exc_info=not is_known,
            )
            return
        for one in trainer.loggers:
            one.log_metrics(values, step=trainer.global_step)

    def _scores(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, float]:
        from evaluation.runner.run import evaluate, select

        options = self._options(trainer, pl_module)
        shutil.rmtree(options.output, ignore_errors=True)  # of a run that stopped here, and came again
        outcome = evaluate(
            pl_module.pipeline(pl_module.net),
            select(options, with_model=True),
            options,
            origin={"step": trainer.global_step},
        )
        assert outcome is not None
        for name, reason in outcome.failed.items():
            logger.warning("evaluation at step %d: task %s failed: %s", trainer.global_step, name, reason)
        outcome.result.save(options.output)
        return {f"eval/{metric.id}": metric.value for metric in outcome.result.metrics}

    def _options(self, trainer: L.Trainer, pl_module: L.LightningModule) -> RunnerOptions:
        from evaluation.runner.run import RunnerOptions, default_cache

        return RunnerOptions(
            tasks=self.tasks,
            output=Path(trainer.default_root_dir) / "evaluation" / f"step_{trainer.global_step:07}",
            data=self._data(trainer),
            weights={name: Path(path) for name, path in self.weights.items()},
            cache=default_cache(),
            limit=self.limit,
            images_per_prompt=self.images_per_prompt,
            batch_size=self.batch_size,
            device=str(pl_module.device),
        )

    def _data(self, trainer: L.Trainer) -> Path | None:
        roots = [source.root for source in getattr(trainer.datamodule, "sources", ())]
        if self.data or len(roots) != 1:
            return Path(self.data) if self.data else None
        return Path(roots[0])


@contextmanager
def _mode_kept(net: Any) -> Iterator[None]:
    """Within the context the network may be put into evaluation mode."""
    training = net.training
    try:
        yield
    finally:
        net.train(training)


@contextmanager
def _no_training_time(trainer: L.Trainer, pl_module: L.LightningModule) -> Iterator[None]:
    """Throughput does not count what happens within the context."""
    clocks = [callback for callback in trainer.callbacks if isinstance(callback, Throughput)]
    for clock in clocks:
        clock.on_validation_start(trainer, pl_module)
    yield
    for clock in clocks:
        clock.on_validation_end(trainer, pl_module)
