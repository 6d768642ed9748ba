"""Prompts of the published benchmarks, from their files, which are not ours to ship."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from evaluation.questions.graphs import read_graphs
from evaluation.questions.weights import DPG_BENCH, DSG, GENEVAL2, NOUN_PHRASES
from evaluation.tasks.api import EvalContext, EvalPrompt
from infinity.json_files import read_json_lines

__all__ = ["compbench_prompts", "dpg_prompts", "dsg_prompts", "geneval2_prompts"]

_DPG_IMAGES = 4
_COMPBENCH_IMAGES = 10


def dpg_prompts(context: EvalContext) -> list[EvalPrompt]:
    """DPG-Bench (arXiv 2403.05135): 1065 long prompts, four images each.

    The questions' file says which prompts there are, as none can be scored without questions.
    """
    folder = context.weights.require(DPG_BENCH)
    prompts = []
    for graph in read_graphs(_inside(folder, "dpg_bench.csv")):
        text = _inside(folder, f"prompts/{graph.id}.txt").read_text(encoding="utf-8").strip()
        prompts.append(EvalPrompt(id=graph.id, text=text, num_images=_DPG_IMAGES, metadata=graph.metadata()))
    return prompts


def dsg_prompts(context: EvalContext) -> list[EvalPrompt]:
    """DSG-1k (arXiv 2310.18235): 1060 prompts of ten sources, one image each."""
    graphs = read_graphs(context.weights.require(DSG))
    return [EvalPrompt(id=graph.id, text=graph.prompt, metadata=graph.metadata()) for graph in graphs]


def geneval2_prompts(context: EvalContext) -> list[EvalPrompt]:
    """GenEval 2 (arXiv 2512.16853): 800 prompts of three to ten atoms, one image each."""
    return _from_lines(context.weights.require(GENEVAL2), "geneval2", _geneval2_metadata)


def compbench_prompts(context: EvalContext) -> list[EvalPrompt]:
    """T2I-CompBench's prompts of attributes with their noun phrases, ten images each."""
    path = context.weights.require(NOUN_PHRASES)
    return _from_lines(path, "t2i-compbench", _compbench_metadata, _COMPBENCH_IMAGES)


def _geneval2_metadata(row: Any) -> dict[str, Any]:
    pairs, skills = row["vqa_list"], row["skills"]
    if len(pairs) != len(skills) or not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError("every question needs an answer and a skill")
    return {"vqa_list": pairs, "skills": skills, "atom_count": row["atom_count"]}


def _compbench_metadata(row: Any) -> dict[str, Any]:
    if not row["noun_phrases"]:
        raise ValueError("there is no noun phrase")
    return {"noun_phrases": list(row["noun_phrases"])}


def _from_lines(
    path: Path, name: str, metadata: Callable[[Any], dict[str, Any]], num_images: int = 1
) -> list[EvalPrompt]:
    prompts = []
    for number, row in enumerate(read_json_lines(path)):
        try:
            text, known = row["prompt"], metadata(row)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"prompt {number + 1} of {path} is not complete ({error}); get it again"
            ) from error
        prompts.append(
            EvalPrompt(id=f"{name}-{number:04d}", text=text, num_images=num_images, metadata=known)
        )
    return prompts


def _inside(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise ValueError(f"{folder} lacks {name}; get the whole directory dpg_bench, which has it")
    return folder / name
