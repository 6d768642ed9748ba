"""``python -m datamodules curate IN OUT``: filter a data set; OUT is an index over the same shards."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.table import Table

from datamodules.command_line import command_parser, local_folder, names_of
from datamodules.curation import (
    STEPS,
    CuratedSplit,
    Step,
    StepReport,
    check_complete,
    curate_split,
    load_chain,
    plan_split,
)
from datamodules.damage import naming_damage
from datamodules.index import ShardIndex
from datamodules.packing import Progress
from datamodules.splits import dataset_splits, write_subset
from infinity.atomic import write_atomically

__all__ = ["parser", "run"]

_VERSION = 1


def parser() -> ArgumentParser:
    """IN, OUT and the chain."""
    made = command_parser(
        "curate",
        "Filter a data set by a chain of steps. No shard is rewritten: OUT holds an index over those of IN.",
        "curate data/mine data/clean --config configs/data/curate.yaml",
    )
    made.add_argument("source", type=str, nargs="?", help="IN: data set directory")
    made.add_argument("out", type=str, nargs="?", help="OUT: directory to write; it keeps the scores too")
    made.add_argument(
        "--config", type=str, default="configs/data/curate.yaml", help="YAML file with the steps"
    )
    made.add_argument(
        "--splits", type=str | list[str], default=[], help="those to filter: train,val (default: all)"
    )
    made.add_argument(
        "--dry_run", "--dry-run", action="store_true", help="say what is to be done, do nothing"
    )
    made.add_argument("--list", action="store_true", help="list all steps with what each needs")
    return made


def run(options: Namespace, progress: Progress) -> str:
    """Filter every split; returns a table of what each step did."""
    if options.list:
        return _list()
    if not options.source or not options.out:
        raise ValueError("name the data set to filter and the directory to write: curate IN OUT")
    source, out = Path(options.source), local_folder(options.out)
    steps = load_chain(Path(options.config))
    check_complete(steps)
    every = dataset_splits(source)
    splits = _chosen(every, names_of(options.splits))
    _refuse_leaks(steps, [name for name in every if name not in splits])
    order = sorted(splits, key=lambda name: name == "train")  # last: it is to have nothing of the others
    done: dict[str, CuratedSplit] = {}
    if options.dry_run:
        for name in order:
            done[name] = plan_split(splits[name], steps, out / name, tuple(done.values()))
        return _table({name: done[name].reports for name in splits}, dry=True)
    for index in splits.values():
        index.verify()
    others = _begin(source, out, order)
    for name in order:
        done[name] = curate_split(
            splits[name],
            steps,
            out / name,
            tuple(done.values()),
            num_workers=options.num_workers,
            progress=progress,
        )
        kept = done[name].kept
        if kept is None or not len(kept):
            raise ValueError(
                f"no sample of {name} passes all steps: see {out / name}/dropped.jsonl and move a bound"
            )
        write_subset(splits[name], kept, out / name)
    _write_record(source, out, others | {name: _record_of(done[name]) for name in splits}, complete=True)
    return _table({name: done[name].reports for name in splits}, dry=False)


def _chosen(splits: dict[str, ShardIndex], names: Sequence[str]) -> dict[str, ShardIndex]:
    if unknown := [name for name in names if name not in splits]:
        raise ValueError(f"there is no split {', '.join(unknown)}; there are {', '.join(splits)}")
    return {name: splits[name] for name in names or splits}


def _refuse_leaks(steps: Sequence[Step], unnamed: Sequence[str]) -> None:
    """No split is to have what looks like another one, which takes them all."""
    comparing = [step.name for step in steps if step.compares]
    if comparing and unnamed:
        raise ValueError(
            f"{comparing[0]} compares all splits, but --splits leaves out {', '.join(unnamed)}; name all of "
            f"them (scores that are there are not made again), or leave that step out of the config"
        )


def _begin(source: Path, out: Path, names: Sequence[str]) -> dict[str, Any]:
    """Mark the curation of some splits as unfinished; returns the record of the others, which stay.

    A folder that holds anything but a curation of the same data set is refused.
    """
    record = out / "curation.json"
    others: dict[str, Any] = {}
    if record.exists():
        with naming_damage(record, f"choose another directory, or remove {out} yourself"):
            found = json.loads(record.read_text("utf-8"))
            made_from = found["source"]
            others = {name: split for name, split in found["splits"].items() if name not in names}
        if made_from != _relative(source, out):
            raise ValueError(f"{out} holds a curation of {out / made_from}; choose another directory")
    elif out.exists() and any(not path.match(".curation.json.*.tmp") for path in out.iterdir()):
        raise ValueError(f"{out} is not empty and holds no curation; choose another directory")
    out.mkdir(parents=True, exist_ok=True)
    for name in names:  # a killed run leaves none that looks finished
        (out / name / "index.json").unlink(missing_ok=True)
    _write_record(source, out, others, complete=False)
    return others


def _relative(source: Path, out: Path) -> str:
    return Path(os.path.relpath(source, out)).as_posix()


def _record_of(split: CuratedSplit) -> dict[str, Any]:
    return {
        "source_fingerprint": split.index.fingerprint,
        "fingerprint": ShardIndex.load(split.out).fingerprint,
        "num_in": len(split.index),
        "num_out": split.reports[-1].num_out,
        "steps": [report._asdict() for report in split.reports],
    }


def _write_record(source: Path, out: Path, splits: Mapping[str, Any], *, complete: bool) -> None:
    record = {
        "version": _VERSION,
        "source": _relative(source, out),
        "complete": complete,
        "splits": splits,
    }
    write_atomically(out / "curation.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def _list() -> str:
    table = Table("step", "drops by", "settings (default)", "needs")
    for name, step in sorted(STEPS.items()):
        plain = step()
        settings = ", ".join(f"{key} ({_short(value)})" for key, value in plain.settings().items())
        needs = [*plain.packages, *(f"{setting}: {source}" for setting, source in plain.weights.items())]
        table.add_row(name, step.score_is, settings, "\n".join(needs) or "nothing")
    return _drawn(table)


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value[:3])) + (", ..." if len(value) > 3 else "")
    return "none" if value in (None, "") else str(value)


def _table(reports: Mapping[str, Sequence[StepReport]], *, dry: bool) -> str:
    table = Table(title="What would be done" if dry else None)
    for column in ("split", "step", "bounds"):
        table.add_column(column)
    for column in ("in", "to score" if dry else "scored now", "dropped", "unreadable", "out"):
        table.add_column(column, justify="right")
    for split, steps in reports.items():
        for step in steps:
            counts = (step.num_in, step.num_scored, step.num_dropped, step.num_broken, step.num_out)
            table.add_row(
                split, step.step, step.bounds, *("?" if count is None else str(count) for count in counts)
            )
        table.add_section()
    return _drawn(table)


def _drawn(table: Table) -> str:
    console = Console(file=io.StringIO(), width=max(Console().width, 100), markup=False)
    console.print(table)
    return console.file.getvalue().rstrip()  # type: ignore[attr-defined]
