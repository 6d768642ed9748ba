"""Precision, recall (arXiv 1904.06991), density and coverage (arXiv 2002.09797) of a set of features.

Distances exist a block of rows at a time, so 50,000 images a side take a few hundred megabytes, not 20 GB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Manifolds", "compare_manifolds"]

_BLOCK_VALUES = 2**25  # distances at once: 128 MB


class Manifolds(NamedTuple):
    """Verdicts on images, whose means are the four scores."""

    precise: np.ndarray  # bool (N,), generated images in some reference's ball
    recalled: np.ndarray  # bool (M,), references in some generated image's ball
    density: np.ndarray  # float (N,), balls around references that a generated image lies in, over k
    covered: np.ndarray  # bool (M,), references with a generated image in their own ball


@torch.inference_mode()
def compare_manifolds(
    generated_ND: np.ndarray,
    references_MD: np.ndarray,
    *,
    k: int = 3,
    density_k: int = 5,
    device: str | torch.device = "cpu",
) -> Manifolds:
    """Balls reach to an image's k-th nearest neighbour in its own set, borders included (torch-fidelity).

    Density and coverage leave borders out and take their own k (prdc). Distances are float32, of centred
    features.
    """
    smallest = min(len(generated_ND), len(references_MD))
    if smallest <= max(k, density_k):
        raise ValueError(f"{max(k, density_k)} neighbours need more images of each kind, got {smallest}")
    centre = references_MD.mean(axis=0, dtype=np.float64).astype(np.float32)
    generated, references = (
        torch.from_numpy(features.astype(np.float32, copy=False) - centre).to(device)
        for features in (generated_ND, references_MD)
    )
    own_radius, _ = _radii(generated, k, density_k)
    radius, density_radius = _radii(references, k, density_k)
    precise, density = [], []
    recalled = torch.zeros(len(references), dtype=torch.bool, device=generated.device)
    nearest = torch.full((len(references),), torch.inf, device=generated.device)
    for rows, distances in _blocks(generated, references):
        precise.append((distances <= radius).any(dim=1))
        density.append((distances < density_radius).sum(dim=1) / density_k)
        recalled |= (distances <= own_radius[rows, None]).any(dim=0)
        nearest = torch.minimum(nearest, distances.amin(dim=0))
    covered = nearest < density_radius
    return Manifolds(*(x.cpu().numpy() for x in (torch.cat(precise), recalled, torch.cat(density), covered)))


def _radii(features_ND: Tensor, k: int, density_k: int) -> tuple[Tensor, Tensor]:
    """Squared distances to the k-th and the density_k-th nearest other."""
    found = []
    for rows, distances in _blocks(features_ND, features_ND):
        distances[torch.arange(len(distances)), torch.arange(rows.start, rows.stop)] = torch.inf
        found.append(distances.topk(max(k, density_k), largest=False).values)
    nearest = torch.cat(found)
    return nearest[:, k - 1], nearest[:, density_k - 1]


def _blocks(x_ND: Tensor, y_MD: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of some rows of x to all of y."""
    squares_y = y_MD.square().sum(dim=1)
    step = max(1, _BLOCK_VALUES // len(y_MD))
    for start in range(0, len(x_ND), step):
        x = x_ND[start : start + step]
        distances = torch.addmm(squares_y, x, y_MD.T, alpha=-2).add_(x.square().sum(dim=1, keepdim=True))
        yield slice(start, start + len(x)), distances.clamp_(min=0)
