"""Votes of raters, put back to the runs whose images they saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from evaluation.preference_study.build import KEY
from infinity.json_files import expecting, read_json

__all__ = ["Side", "Vote", "find_keys", "read_votes"]

Side = Literal["left", "right", "tie", "skip"]
_SIDES = ("left", "right", "tie", "skip")
_OF_PAIRS = ("id", "prompt", "left", "right")


class Vote(NamedTuple):
    """One rater's choice on one pair.

    Args:
        first, second: the runs, in the order of the study's names, whatever side they were on.
        outcome: 1 if the first is preferred, 0 if the second is, 0.5 for a tie; None if it was skipped.
        item: the pair of images, among all studies.
        prompt: what its images were drawn for.
    """

    first: str
    second: str
    outcome: float | None
    item: str
    prompt: str
    rater: str
    side: Side
    seconds: float


@dataclass(frozen=True)
class _Study:
    names: tuple[str, str]
    pairs: Mapping[str, Mapping[str, Any]]


def find_keys(votes: Iterable[Path]) -> list[Path]:
    """``key.json`` beside the files, or in the folder above."""
    places = [folder / KEY for path in votes for folder in (path.parent, path.resolve().parent.parent)]
    return list(dict.fromkeys(path for path in places if path.is_file()))


def read_votes(files: Sequence[Path], keys: Sequence[Path]) -> list[Vote]:
    """All votes of all files; a file that does not fit a key is an error."""
    studies = {}
    for path in keys:
        key = read_json(path)
        if not isinstance(key, dict) or not key.keys() >= {"study", "names", "pairs"}:
            raise ValueError(f"{path} is no key of a study; name the key.json that was made with its page")
        with expecting("key of a study", path):
            first, second = key["names"]
            pairs = {pair["id"]: {name: pair[name] for name in _OF_PAIRS} for pair in key["pairs"]}
            studies[key["study"]] = _Study((first, second), pairs)
    if not studies:
        raise ValueError(
            f"no {KEY} beside the votes or in the folder above; name the one that was made with the page "
            "with --key"
        )
    votes: list[Vote] = []
    seen: dict[tuple[str, str], Path] = {}
    for path in files:
        content = read_json(path)
        is_vote = isinstance(content, dict) and content.keys() >= {"study", "rater", "votes"}
        if not is_vote or not isinstance(content["votes"], list):
            raise ValueError(f"{path} holds no votes; pass what raters saved from the page")
        if str(content["study"]) not in studies:
            raise ValueError(
                f"{path} is of the study {content['study']}, the keys are of {', '.join(studies)}; name its "
                "key with --key"
            )
        who = content["study"], str(content["rater"])
        if who in seen:
            raise ValueError(f"{seen[who]} and {path} are both votes of {who[1]!r}; pass the later one only")
        seen[who] = path
        votes += _votes(path, content, studies[content["study"]])
    if not any(vote.outcome is not None for vote in votes):
        raise ValueError("there are no votes but skips; collect some first")
    return votes


def _votes(path: Path, content: Mapping[str, Any], study: _Study) -> list[Vote]:
    found: dict[str, Vote] = {}
    for vote in content["votes"]:
        known = isinstance(vote, dict) and vote.get("vote") in _SIDES
        pair = study.pairs.get(str(vote.get("pair"))) if known else None
        if pair is None or pair["id"] in found:
            raise ValueError(f"{path}: expected one vote of {', '.join(_SIDES)} on a pair, got {vote}")
        side = vote["vote"]
        is_first = side in ("left", "right") and pair[side]["name"] == study.names[0]
        outcome = {"tie": 0.5, "skip": None}.get(side, float(is_first))
        seconds = vote.get("seconds")
        found[pair["id"]] = Vote(
            *study.names,
            outcome=outcome,
            item=f"{content['study']}/{pair['id']}",
            prompt=pair["prompt"],
            rater=str(content["rater"]),
            side=side,
            seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        )
    return list(found.values())
