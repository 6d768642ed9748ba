"""Maximum mean discrepancies between sets of features: KID (arXiv 1801.01401) and CMMD (arXiv 2401.09603)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor

from evaluation.intervals import LEVEL, Estimate

__all__ = ["KernelDistance", "clip_mmd", "kernel_distance"]

_Z = float(stats.norm.ppf((1 + LEVEL) / 2))
_BLOCK_VALUES = 2**24  # of a kernel matrix at once: 128 MB
_SIGMA = 10  # of CMMD's kernel, for embeddings of length 1


@dataclass(frozen=True, kw_only=True)
class KernelDistance:
    """KID and what it was made of; the interval is None where subsets are most of the images."""

    value: float
    std: float  # over subsets, as other implementations report
    num_subsets: int
    subset_size: int
    ci95: tuple[float, float] | None


def kernel_distance(
    features_ND: np.ndarray,
    others_MD: np.ndarray,
    *,
    num_subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 2020,
) -> KernelDistance:
    """Mean over subsets of the unbiased MMD^2 with the kernel ``(x . y / D + 1)^3``; may be negative.

    Subsets are drawn as torch-fidelity draws them; where a set has fewer images they are as large as it is,
    and where both do, one is enough. The interval scales the subsets' variance to all N images (subsampling
    without replacement).
    """
    num = min(len(features_ND), len(others_MD))
    size = min(subset_size, num)
    if size < 2:
        raise ValueError(f"a kernel distance needs at least 2 images of each kind, got {num}")
    if size == max(len(features_ND), len(others_MD)):
        num_subsets = 1
    rng = np.random.RandomState(seed)
    values = []
    for _ in range(num_subsets):
        x = features_ND[rng.choice(len(features_ND), size, replace=False)].astype(np.float64)
        y = others_MD[rng.choice(len(others_MD), size, replace=False)].astype(np.float64)
        values.append(_unbiased_mmd(x, y))
    value, std = float(np.mean(values)), float(np.std(values))
    ci95 = None
    if num >= 4 * size:
        half = _Z * std * (size / (num - size) + 1 / num_subsets) ** 0.5
        ci95 = (value - half, value + half)
    return KernelDistance(value=value, std=std, num_subsets=num_subsets, subset_size=size, ci95=ci95)


@torch.inference_mode()
def clip_mmd(
    features_ND: np.ndarray, others_MD: np.ndarray, *, device: str | torch.device = "cpu"
) -> Estimate:
    """1000 times the MMD^2 of features scaled to length 1, with a Gaussian kernel of width 10.

    As in CMMD's code the means keep the diagonals, so identical sets are at 0 and no set is below. Kernel
    matrices exist a few rows at a time, in float64, for values differ in the last digits of float32. The
    interval is the first-order one, from the images' own influences.
    """
    x, y = (F.normalize(torch.from_numpy(z).to(device, torch.float64)) for z in (features_ND, others_MD))
    (xx, _), (yy, _), (xy, yx) = _mean_kernel(x, x), _mean_kernel(y, y), _mean_kernel(x, y)
    value = 1000 * float(xx.mean() + yy.mean() - 2 * xy.mean())
    variance = 4 * (xx - xy).var(correction=0) / len(x) + 4 * (yy - yx).var(correction=0) / len(y)
    half = _Z * 1000 * float(variance) ** 0.5
    return Estimate(value, value - half, value + half)


def _unbiased_mmd(x_ND: np.ndarray, y_ND: np.ndarray) -> float:
    num, width = x_ND.shape
    within = sum(kernel.sum() - np.trace(kernel) for kernel in (_cubic(z, z, width) for z in (x_ND, y_ND)))
    return float(within / (num * (num - 1)) - 2 * _cubic(x_ND, y_ND, width).mean())


def _cubic(x_ND: np.ndarray, y_MD: np.ndarray, width: int) -> np.ndarray:
    return (x_ND @ y_MD.T / width + 1) ** 3


def _mean_kernel(x_ND: Tensor, y_MD: Tensor) -> tuple[Tensor, Tensor]:
    """The kernel less 1, which keeps the digits that matter: its means over y (N,) and over x (M,)."""
    over_y, over_x = [], y_MD.new_zeros(len(y_MD))
    for rows in x_ND.split(max(1, _BLOCK_VALUES // len(y_MD))):
        kernel = torch.addmm(y_MD.new_tensor(-1), rows, y_MD.T).div_(_SIGMA**2).expm1_()
        over_y.append(kernel.mean(dim=1))
        over_x += kernel.sum(dim=0)
    return torch.cat(over_y), over_x / len(x_ND)
