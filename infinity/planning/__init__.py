"""What a model costs before it is built: operations and memory of training and of drawing."""

from __future__ import annotations

from infinity.planning.memory import DrawingMemory, TrainingMemory
from infinity.planning.options import PlanOptions
from infinity.planning.plan import Plan, make_plan, paper_tokenizer

__all__ = ["DrawingMemory", "Plan", "PlanOptions", "TrainingMemory", "make_plan", "paper_tokenizer"]
