"""ShapesWorld: deterministic, captioned scenes of flat shapes, with splits that hold out combinations."""

from __future__ import annotations

from datamodules.shapesworld.dataset import ShapesWorldConfig, shapesworld_dataset, training_scene
from datamodules.shapesworld.render import render_scene
from datamodules.shapesworld.vocabulary import WORLDS, Tier, World

__all__ = [
    "WORLDS",
    "ShapesWorldConfig",
    "Tier",
    "World",
    "render_scene",
    "shapesworld_dataset",
    "training_scene",
]
