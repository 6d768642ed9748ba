"""``python -m lit_modules demo``: data, tokenizer, transformer, images, scores and report in one time budget.

Called again, it skips finished stages and resumes an interrupted training from its last checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from datamodules.packing import pack_dataset
from datamodules.progress_bars import progress_bars
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from infinity.json_files import read_json_object, write_json

__all__ = ["DemoOptions", "main", "run_demo"]

log = logging.getLogger(__name__)

_EXAMPLES = """examples:
  python -m lit_modules demo
  python -m lit_modules demo --budget 60
  python -m lit_modules demo --tier full --budget 60
"""
_EVALUATION_SECONDS = 60.0  # sampling, scoring and report: a quarter of it on 2 idle cores
_VAE_SHARE = 0.3  # of the time that is left for training
_CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What to run.

    Args:
        budget: minutes for everything.
        tier: of ShapesWorld; `basic` is learnable in minutes, `full` is not.
        output: folder of the run; named after tier and budget if not given.
        data: folder for data sets.
        seed: of data, training and sampling.
    """

    budget: float = 15.0
    tier: Literal["basic", "full"] = "basic"
    output: Path | None = None
    data: Path = Path("data")
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.5 <= self.budget <= 24 * 60:
            raise ValueError(f"--budget is in minutes and must be in [0.5, 1440], got {self.budget}")

    @property
    def run(self) -> Path:
        return self.output or Path("runs") / f"demo-{self.tier}-{self.budget:g}"

    @property
    def model(self) -> Path:
        return self.run / "ar" / "export"

    @property
    def dataset(self) -> Path:
        return self.data / f"shapesworld_{self.tier}"


class Stages:
    """Runs each stage once, and records in ``stages.json`` what is done and how long it took."""

    def __init__(self, options: DemoOptions) -> None:
        self.path = options.run / "stages.json"
        self.budget = 60 * options.budget
        self.reserve = min(_EVALUATION_SECONDS, 0.3 * self.budget)
        settings = {"budget": options.budget, "tier": options.tier, "seed": options.seed}
        options.run.mkdir(parents=True, exist_ok=True)
        state = read_json_object(self.path) if self.path.is_file() else {"settings": settings}
        if state.get("settings") != settings:
            raise ValueError(
                f"{options.run} holds a demo with other settings ({state.get('settings')}); "
                "choose another --output"
            )
        self.state: dict[str, Any] = {"seconds": {}, "granted": {}, **state}

    def run(self, name: str, work: Callable[[], None]) -> None:
        """Do a stage, unless it is done."""
        if name in self.state["seconds"]:
            log.info("[%s] done before, in %.0f s", name, self.state["seconds"][name])
            return
        log.info("[%s] ...", name)
        start = time.monotonic()
        work()
        self.state["seconds"][name] = time.monotonic() - start
        self._save()
        log.info("[%s] done in %.0f s", name, self.state["seconds"][name])

    def grant(self, name: str, share: float) -> float:
        """Seconds of training for a stage: its share of what is left; the same after a restart."""
        if name not in self.state["granted"]:
            granted = self.state["granted"]  # counts in full, even if a restart timed only the end of a stage
            spent = sum(max(took, granted.get(stage, 0.0)) for stage, took in self.state["seconds"].items())
            left = self.budget - spent - self.reserve
            self.state["granted"][name] = max(5.0, share * left)
            self._save()
        return self.state["granted"][name]

    def _save(self) -> None:
        write_json(self.path, self.state)


def run_demo(options: DemoOptions) -> Path:
    """Run what is not done yet and return the path of the report."""
    stages, run = Stages(options), options.run
    stages.run("data", lambda: _render(options))
    stages.run("tokenizer", lambda: _train("vae", options, stages.grant("tokenizer", _VAE_SHARE)))
    stages.run("transformer", lambda: _train("ar", options, stages.grant("transformer", 1.0)))
    stages.run("evaluation", lambda: _evaluate(options))
    return run / "report" / "report.html"


def _render(options: DemoOptions) -> None:
    parts = shapesworld_dataset(ShapesWorldConfig(tier=options.tier, seed=options.seed))
    with progress_bars() as progress:
        pack_dataset(options.dataset, parts, num_workers=os.cpu_count() or 1, progress=progress)


def _train(model: Literal["vae", "ar"], options: DemoOptions, seconds: float) -> None:
    from lit_modules.cli import train

    arguments = [
        "fit",
        f"--config={_CONFIGS / model / f'shapesworld_{options.tier}.yaml'}",
        f"--data.root={options.dataset}",
        f"--seed_everything={options.seed}",
        f"--trainer.default_root_dir={options.run / model}",
        f"--trainer.max_time={duration_text(seconds)}",
        "--ckpt_path=last",
    ]
    if model == "ar":
        arguments.append(f"--model.vae={options.run / 'vae' / 'export'}")
    train(model, arguments)


def duration_text(seconds: float) -> str:
    """Lightning's ``DD:HH:MM:SS``."""
    whole = timedelta(seconds=int(seconds))
    hours, rest = divmod(whole.seconds, 3600)
    return f"{whole.days:02}:{hours:02}:{rest // 60:02}:{rest % 60:02}"


def _evaluate(options: DemoOptions) -> None:
    from evaluation.commands import run_command

    run = options.run
    run_command(
        model=options.model,
        data=options.dataset,
        output=run / "report",
        history={"vae": run / "vae", "ar": run / "ar"},
        seed=options.seed,
        bf16=True,
        title=f"Demo on ShapesWorld {options.tier}, {options.budget:g} minutes",
    )


def headline(report: Path) -> list[str]:
    """The numbers that the report opens with, one per line, with 95 % intervals."""
    from evaluation.reports.labels import default_headline, format_interval, format_value, label_of
    from evaluation.results import Result

    result = Result.load(report)
    metrics = [result[metric_id] for metric_id in default_headline(result.metrics)]
    intervals = [f" ({format_interval(metric)})" if metric.ci95 else "" for metric in metrics]
    return [
        f"{label_of(metric)}: {format_value(metric)}{interval}"
        for metric, interval in zip(metrics, intervals, strict=True)
    ]


def main(argv: Sequence[str]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lit_modules demo",
        description="Train and measure small models on ShapesWorld, from nothing to a report.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--budget", type=float, default=15.0, help="minutes for everything (default: 15)")
    parser.add_argument("--tier", choices=("basic", "full"), default="basic", help="default: basic")
    parser.add_argument("--output", type=Path, help="folder of the run (default: runs/demo-TIER-BUDGET)")
    parser.add_argument("--data", type=Path, default=Path("data"), help="of data sets (default: data)")
    parser.add_argument("--seed", type=int, default=0, help="of data, training and sampling (default: 0)")
    report = run_demo(DemoOptions(**vars(parser.parse_args(argv))))
    for line in headline(report.parent):
        log.info(line)
    log.info("report: %s", report.resolve())
    return 0
