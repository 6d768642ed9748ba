"""Configuration of the quantizers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from infinity.configs import check_literals

__all__ = ["QuantizerConfig"]

_MAX_BITS = {"bsq": 128, "lfq": 20, "vq": 16}


@dataclass(frozen=True, kw_only=True)
class QuantizerConfig:
    """Which quantizer codes every scale, and how its losses are weighed.

    Args:
        kind: "bsq" binary spherical (O(d) entropy penalty), "lfq" lookup-free (exact O(2^d) entropy), "vq" a
            learned codebook of 2^d vectors, the index-wise baseline.
        num_bits: bits of one latent cell (d); also the channels of the latent features.
        entropy_weight: weight of ``E[H(q(z))] - diversity_gamma * H(E[q(z)])`` over `inv_temperature` (paper
            section 3.2).
        commitment_weight: weight of the pull of features towards their codes.
        diversity_gamma: weight of the batch entropy (to be maximised) against the sample entropy (to be
            minimised).
        inv_temperature: sharpness of the soft assignment q(z) inside the entropies.
        scale_depth_dropout: probability that training drops the codes of a scale for a sample; never the last
            scale.
        detach_residual: whether the residual of a scale takes the coarser codes as constants for the
            gradient.
    """

    kind: Literal["bsq", "lfq", "vq"] = "bsq"
    num_bits: int = 32
    entropy_weight: float = 0.1
    commitment_weight: float = 0.25
    diversity_gamma: float = 1.0
    inv_temperature: float = 100.0
    scale_depth_dropout: float = 0.0
    detach_residual: bool = True

    def __post_init__(self) -> None:
        check_literals(self)
        limit = _MAX_BITS[self.kind]
        if not 1 <= self.num_bits <= limit:
            hint = "" if self.kind == "bsq" else "; its cost grows as 2**num_bits, use kind bsq for more"
            raise ValueError(f"num_bits of {self.kind} must be in [1, {limit}], got {self.num_bits}{hint}")
        for name in ("entropy_weight", "commitment_weight", "diversity_gamma"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.inv_temperature <= 0:
            raise ValueError(f"inv_temperature must be positive, got {self.inv_temperature}")
        if not 0 <= self.scale_depth_dropout < 1:
            raise ValueError(f"scale_depth_dropout must be in [0, 1), got {self.scale_depth_dropout}")

    def weigh(self, losses: dict[str, Tensor]) -> Tensor:
        """Sum a quantizer's unweighted losses with the weights of this config."""
        entropy = losses["entropy_sample"] - self.diversity_gamma * losses["entropy_batch"]
        total = (
            self.entropy_weight / self.inv_temperature * entropy
            + self.commitment_weight * losses["commitment"]
        )
        return total + losses["codebook"] if "codebook" in losses else total
