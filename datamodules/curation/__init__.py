"""Curation: a chain of scored, logged steps that filters a data set (paper, section 4: Data Curation)."""

from __future__ import annotations

from datamodules.curation import caption_steps, duplicate_step, header_steps, model_steps, text_steps
from datamodules.curation.chain import check_complete, load_chain, parse_chain
from datamodules.curation.run import CuratedSplit, StepReport, curate_split, plan_split
from datamodules.curation.step import STEPS, BoundedStep, Step, Verdict, register

__all__ = [
    "STEPS",
    "BoundedStep",
    "CuratedSplit",
    "Step",
    "StepReport",
    "Verdict",
    "caption_steps",
    "check_complete",
    "curate_split",
    "duplicate_step",
    "header_steps",
    "load_chain",
    "model_steps",
    "parse_chain",
    "plan_split",
    "register",
    "text_steps",
]
