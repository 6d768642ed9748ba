"""Tasks of this area; see ``evaluation/tasks/registry.py``."""

from __future__ import annotations

from evaluation.tasks.entry import TaskEntry

__all__ = ["PROMPT_SETS", "TASKS"]

_TASKS = "evaluation.shapeseval.tasks"
_LOWER = ("shapeseval[*,verifier=1]/*/binding_error_rate", "shapeseval[*,verifier=1]/gap/*")

TASKS: dict[str, TaskEntry] = {
    "shapeseval": TaskEntry(
        summary="GenEval's six tasks on ShapesWorld: trained and held-out combinations",
        target=f"{_TASKS}:ShapesEval",
        metrics=(
            "shapeseval[*,verifier=1]/id/*",
            "shapeseval[*,verifier=1]/ood/*",
            *_LOWER,
            "shapeseval[*,verifier=1,shuffled_prompts]/*",
        ),
        lower=_LOWER,
        needs=("data",),
    ),
    "shapeseval-hard": TaskEntry(
        summary="New wordings, five and six objects, new image shapes, three objects, coloured relations",
        target=f"{_TASKS}:ShapesEval",
        metrics=(
            "shapeseval[*,verifier=1]/hard/*",
            _LOWER[0],
            "shapeseval[*,verifier=1,shuffled_prompts]/hard/*",
        ),
        lower=_LOWER[:1],
        options={"prompt_set": "shapesworld_hard"},
        needs=("data",),
    ),
    "shapeseval-baselines": TaskEntry(
        summary="ShapesEval of the ground truth, of the nearest training picture and of random colours",
        target=f"{_TASKS}:ShapesEvalBaselines",
        metrics=(
            "shapeseval[*,verifier=1,ground_truth]/*",
            "shapeseval[*,verifier=1,nearest_training_prompt]/*",
            "shapeseval[*,verifier=1,random_colours]/*",
        ),
        needs=("data",),
    ),
    "shapeseval-ceiling": TaskEntry(
        summary="ShapesEval of the ground truth after the tokenizer: what generation can reach with it",
        target=f"{_TASKS}:ShapesEvalCeiling",
        metrics=("shapeseval[*,verifier=1,reconstructions]/*",),
        needs=("data", "pipeline"),
    ),
}

PROMPT_SETS: dict[str, str] = {
    "shapesworld": "evaluation.shapeseval.prompt_sets:standard_set",
    "shapesworld_hard": "evaluation.shapeseval.prompt_sets:hard_set",
}
