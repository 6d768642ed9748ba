"""The command line: fixed classes for every kind of model, filled from YAML files and flags."""

from __future__ import annotations

import dataclasses
import logging
import signal
import sys
import warnings
from argparse import ArgumentError
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException

from datamodules.module import ImageTextDataModule
from infinity.schedules import Resolution
from lit_modules.ar import ARModule
from lit_modules.base import SuiteModule
from lit_modules.callbacks import EMA, Checkpoints, Evaluation, Export, Images, ProgressLine, Throughput
from lit_modules.checkpoint_files import saved_config, starting_point
from lit_modules.config_files import NamingParser, SaveConfig
from lit_modules.metrics_log import MetricsLog
from lit_modules.sharding import is_sharded
from lit_modules.vae import VAEModule

__all__ = ["MODELS", "SuiteCLI", "main", "train"]

MODELS: dict[str, type[SuiteModule]] = {"vae": VAEModule, "ar": ARModule}

_PARSER = {"parser_mode": "omegaconf", "exit_on_error": False}
_USAGE = """\
usage: python -m lit_modules {vae,ar} {fit,validate,test} --config FILE [--config FILE ...] [--KEY VALUE ...]
       python -m lit_modules demo [--budget MINUTES]

  vae   the tokenizer: images to bits and back
  ar    the transformer: text to bits

Later files and flags win, key by key. A run is the directory trainer.default_root_dir; calling again with
--ckpt_path last goes on from where it stopped.

examples:
  python -m lit_modules vae fit --config configs/vae/emoji.yaml
  python -m lit_modules ar fit --config configs/ar/emoji.yaml --model.optimizer.lr 3e-4
  python -m lit_modules ar fit --config configs/ar/emoji.yaml --trainer.devices 2 --trainer.strategy ddp
  python -m lit_modules ar fit --config configs/ar/emoji.yaml --ckpt_path last
  python -m lit_modules ar validate --config configs/ar/emoji.yaml --ckpt_path last
  python -m lit_modules vae fit --help
"""


class SuiteCLI(LightningCLI):
    """One kind of model on image-text shards, with the callbacks that every run has."""

    start: Path | None = None  # the checkpoint
    saved: dict[str, Any] | None = None  # its configuration

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        return {name: keys for name, keys in LightningCLI.subcommands().items() if name != "predict"}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for name, callback in {
            "ema": EMA,
            "images": Images,
            "evaluation": Evaluation,
            "checkpoints": Checkpoints,
            "progress": ProgressLine,
        }.items():
            parser.add_lightning_class_args(callback, name)
        for field in dataclasses.fields(Resolution):
            parser.link_arguments(f"data.resolution.{field.name}", f"model.resolution.{field.name}")
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Lightning would read the whole checkpoint here for hyperparameters, of which it has none."""

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        _check_trainer(config.trainer)
        run = Path(config.trainer.default_root_dir)
        if self.subcommand == "fit":
            _check_room(run)
        self.start = starting_point(self.subcommand, run, config.ckpt_path)
        config.ckpt_path = str(self.start) if self.start else None
        self.saved = saved_config(self.start) if self.start else None

    def after_instantiate_classes(self) -> None:
        if self.saved is not None:
            self.model.check_config(self.saved)
            if self.start.is_dir() and not is_sharded(self.trainer):
                raise ValueError(
                    f"{self.start} is a checkpoint in shards, which trainer.strategy "
                    "lightning.pytorch.strategies.ModelParallelStrategy reads"
                )

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        config = self.config_init[self.subcommand].trainer
        fitting = self.subcommand == "fit"
        if config.logger is None or config.logger is True:
            run = config.default_root_dir
            loggers = [TensorBoardLogger(run, name="", version=""), MetricsLog(run)]
            kwargs["logger"] = loggers if fitting else False
        if fitting and self.config.fit.checkpoints.monitor not in ("", "val/loss"):
            # shows before training whether the monitored quantity is logged at all
            kwargs["num_sanity_val_steps"] = config.num_sanity_val_steps or 1
        if fitting and not config.fast_dev_run:
            kwargs["callbacks"] = [*(config.callbacks or []), Throughput(), Export()]
        return super().instantiate_trainer(**kwargs)


def train(model: str, argv: list[str], cli_class: type[SuiteCLI] = SuiteCLI) -> SuiteCLI:
    """Run one training or evaluation and return its parts."""
    subparsers = {name: dict(_PARSER) for name in SuiteCLI.subcommands()}
    return cli_class(
        MODELS[model],
        ImageTextDataModule,
        args=argv,
        seed_everything_default=0,
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
        parser_kwargs={"prog": f"python -m lit_modules {model}", **_PARSER, **subparsers},
        parser_class=NamingParser,
        save_config_callback=SaveConfig,
        save_config_kwargs={"overwrite": True},
        trainer_defaults={
            "log_every_n_steps": 10,
            "num_sanity_val_steps": 0,
            "use_distributed_sampler": False,  # the data module knows its rank
            "inference_mode": False,  # its tensors would stay in caches, and training can't use them
            "enable_model_summary": False,
        },
    )


def main(argv: list[str]) -> int:
    """The command; returns its exit status."""
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(_USAGE)
        return 0 if argv else 2
    command, *rest = argv
    _quiet()
    try:
        if command == "demo":
            from lit_modules import demo

            return demo.main(rest)
        if command not in MODELS:
            raise ValueError(f"unknown command {command!r}; expected one of {', '.join([*MODELS, 'demo'])}")
        train(command, rest)
    except SIGTERMException:
        return 128 + signal.SIGTERM
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        sys.stderr.write(
            f"error: {str(error).strip().rstrip('.')}, perhaps for its memory; go on by --ckpt_path last, "
            f"with a smaller data.num_workers or data.prefetch\n"
        )
        return 1
    except (ValueError, OSError, ArgumentError, MisconfigurationException) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 1
    return 0


def _check_trainer(trainer: Any) -> None:
    """Refuse options of Lightning's that these modules don't support."""
    run = trainer.default_root_dir
    if not run:
        raise ValueError(
            "trainer.default_root_dir names the directory of the run; set it, e.g. to runs/vae/try1"
        )
    for name in ("accumulate_grad_batches", "log_every_n_steps", "val_check_interval"):
        if trainer[name] == 0:
            raise ValueError(f"trainer.{name} must be at least 1, got 0")
    if trainer.overfit_batches:
        raise ValueError(
            f"trainer.overfit_batches {trainer.overfit_batches} would get other batches in every epoch, as "
            "the data goes on where it stopped; pack a data set of a few images, and train on that"
        )
    if str(trainer.strategy).startswith(("fsdp", "deepspeed")):
        raise ValueError(
            f"trainer.strategy {trainer.strategy} wraps whole modules, which is not supported; "
            "use lightning.pytorch.strategies.ModelParallelStrategy, which shards the transformer"
        )
    if str(trainer.precision).startswith("transformer-engine") and not find_spec("transformer_engine"):
        raise ValueError(
            f"trainer.precision {trainer.precision} needs the package transformer-engine, and a GPU that "
            "multiplies in 8 bits; install it, or use bf16-mixed"
        )
    if str(trainer.precision).startswith("16"):
        raise ValueError(
            f"trainer.precision {trainer.precision} needs scaled losses, which gradient clipping by groups "
            "doesn't undo here; use bf16-mixed or 32-true"
        )


def _check_room(run: Path) -> None:
    """Refuse a run whose folders can't be made, before anything is trained that can't be saved."""
    folders = (
        *reversed(run.parents),
        run,
        *(run / name for name in ("checkpoints", "images", "evaluation", "export")),
    )
    if blocking := [path for path in folders if path.exists() and not path.is_dir()]:
        raise ValueError(
            f"{blocking[0]} is a file, where trainer.default_root_dir {run} needs a folder; move it away, or "
            "choose another --trainer.default_root_dir"
        )


def _quiet() -> None:
    """Show our own messages, but not Lightning's general advice."""
    level = logging.WARNING if rank_zero_only.rank else logging.INFO
    logging.basicConfig(level=level, format="%(message)s")
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*IterableDataset.*__len__.*",
        ".*smaller than the logging interval.*",
        ".*LeafSpec.*",
        ".*dataloader is not resumable.*",  # the data module is
        ".*sync_dist=True.*",  # what is logged is a mean over ranks already
        ".*returned a view tensor.*",  # nothing is written into it
        "(?s).*Grad strides do not match bucket view strides.*",
    ):
        warnings.filterwarnings("ignore", message=message)
