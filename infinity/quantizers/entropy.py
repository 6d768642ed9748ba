"""Entropies of the soft assignment q(z) behind the penalty ``E[H(q(z))] - H(E[q(z)])`` (paper section 3.2).

q(z) is the softmax over all codes c of ``2 T <z, c>`` with T the inverse temperature. For binary codes
+-1/sqrt(d) it is a product of d coins with logits ``4 T z_i / sqrt(d)``, hence two ways to compute the
entropies, O(2^d) and O(d).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.distributed import all_reduce_mean

__all__ = ["Entropies", "exact_entropies", "factorised_entropies"]

_EPS = 1e-8  # the official constant: keeps the gradient finite where a bit never changes in the batch


class Entropies(NamedTuple):
    """Scalars, in nats per latent cell."""

    sample: Tensor  # E[H(q(z))]
    batch: Tensor  # H(E[q(z)]), the mean being over cells (and over ranks)


def factorised_entropies(logits_BDHW: Tensor, *, sync: bool) -> Entropies:
    """Sum the entropies of D independent coins; memory O(D) per cell.

    The sample entropy is exact. The batch entropy is that of the product of marginals, an upper bound.

    Args:
        logits_BDHW: log-odds of every bit.
        sync: whether the batch means all ranks' cells.
    """
    prob_BDHW = logits_BDHW.sigmoid()
    sample = F.binary_cross_entropy_with_logits(logits_BDHW, prob_BDHW, reduction="none").sum(dim=1).mean()
    mean_D = prob_BDHW.mean(dim=(0, 2, 3))
    mean_D = all_reduce_mean(mean_D) if sync else mean_D
    return Entropies(sample, _entropy(torch.stack((mean_D, 1 - mean_D))))


def exact_entropies(logits_NV: Tensor, *, sync: bool) -> Entropies:
    """Enumerate all V = 2^d codes for N cells; memory O(2^d) per cell."""
    log_prob_NV = logits_NV.log_softmax(dim=1)
    prob_NV = log_prob_NV.exp()
    mean_V = prob_NV.mean(dim=0)
    mean_V = all_reduce_mean(mean_V) if sync else mean_V
    return Entropies(-(prob_NV * log_prob_NV).sum(dim=1).mean(), _entropy(mean_V))


def _entropy(prob: Tensor) -> Tensor:
    return -(prob * (prob + _EPS).log()).sum()
