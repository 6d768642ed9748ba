"""Tasks of this area; see ``evaluation/tasks/registry.py``."""

from __future__ import annotations

from evaluation.questions.weights import DPG_BENCH, DSG, GENEVAL2, NOUN_PHRASES, VQA_MODEL
from evaluation.tasks.entry import TaskEntry

__all__ = ["PROMPT_SETS", "TASKS"]

_VQA = "vqa=<model>"
_COUNTS = "prompts=<P>,images=<N>"
_GRAPH_TASK = "evaluation.questions.graph_task:GraphTask"
_VQASCORE = "evaluation.questions.vqascore:VQAScore"


def _modes(name: str) -> tuple[str, ...]:
    return tuple(f"{name}[{_VQA},mode={mode},{_COUNTS}]" for mode in ("fixed", "official"))


TASKS: dict[str, TaskEntry] = {
    "dpg_bench": TaskEntry(
        summary="DPG-Bench: questions about long prompts that depend on each other, in percent",
        target=_GRAPH_TASK,
        metrics=_modes("dpg_bench"),
        weights=(VQA_MODEL, DPG_BENCH),
        options={"benchmark": "dpg_bench"},
    ),
    "dsg": TaskEntry(
        summary="DSG-1k: Davidsonian scene graphs of prompts of ten sources, in percent",
        target=_GRAPH_TASK,
        metrics=_modes("dsg"),
        weights=(VQA_MODEL, DSG),
        options={"benchmark": "dsg"},
    ),
    "soft_tifa": TaskEntry(
        summary="GenEval 2's Soft-TIFA: atoms of a prompt that a VQA model finds, in percent",
        target="evaluation.questions.soft_tifa:SoftTIFA",
        metrics=tuple(f"soft_tifa_{mean}[{_VQA},{_COUNTS}]" for mean in ("am", "gm")),
        weights=(VQA_MODEL, GENEVAL2),
    ),
    "vqascore": TaskEntry(
        summary="VQAScore of held-out captions: P(Yes) when asked whether the image shows them",
        target=_VQASCORE,
        metrics=(f"vqascore[{_VQA},template=paper,set=captions,{_COUNTS}]",),
        weights=(VQA_MODEL,),
    ),
    "vqascore-geneval2": TaskEntry(
        summary="VQAScore of GenEval 2's prompts, in its own words",
        target=_VQASCORE,
        metrics=(f"vqascore[{_VQA},template=geneval2,set=geneval2,{_COUNTS}]",),
        weights=(VQA_MODEL, GENEVAL2),
        options={"prompt_set": "geneval2", "template": "geneval2"},
    ),
    "attribute_binding": TaskEntry(
        summary="T2I-CompBench's attribute binding: yes to every noun phrase of a prompt",
        target="evaluation.questions.attribute_binding:AttributeBinding",
        metrics=(f"attribute_binding[{_VQA},{_COUNTS}]",),
        weights=(VQA_MODEL, NOUN_PHRASES),
    ),
}

PROMPT_SETS: dict[str, str] = {
    "dpg_bench": "evaluation.questions.prompts:dpg_prompts",
    "dsg": "evaluation.questions.prompts:dsg_prompts",
    "geneval2": "evaluation.questions.prompts:geneval2_prompts",
    "t2i_compbench": "evaluation.questions.prompts:compbench_prompts",
}
