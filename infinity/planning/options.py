"""How a planned model is trained and sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infinity.configs import check_literals

__all__ = ["PlanOptions", "Precision"]

Precision = Literal["32", "bf16-mixed", "bf16-true"]


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """How the model would be trained and sampled.

    Args:
        batch_size: images per device, of one training step and of one drawing.
        devices: how many devices train together.
        strategy: what the devices share: "single" is one device; "ddp" repeats everything on each; "zero2"
            divides gradients and optimizer states, and keeps whole weights from the forward to the backward
            pass; "fsdp" divides the weights as well, and gathers a block's when they are needed.
        precision: "32"; "bf16-mixed", float32 weights under autocast; "bf16-true", bfloat16 weights.
        optimizer: "adamw", or "muon" for the matrices of the blocks and AdamW for all else.
        ema: whether an average of the weights is kept.
        checkpointing: "block" keeps the input of every block only and computes the rest again.
        guided: whether images are drawn with guidance, which doubles the batch.
        text_length: tokens of the longest caption in a batch.
    """

    batch_size: int = 1
    devices: int = 1
    strategy: Literal["single", "ddp", "zero2", "fsdp"] = "single"
    precision: Precision = "bf16-mixed"
    optimizer: Literal["adamw", "muon"] = "adamw"
    ema: bool = False
    checkpointing: Literal["none", "block"] = "none"
    guided: bool = True
    text_length: int = 512

    def __post_init__(self) -> None:
        check_literals(self)
        for name in ("batch_size", "devices", "text_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.strategy == "single" and self.devices > 1:
            raise ValueError(
                f"strategy single runs on 1 device, got {self.devices}; take ddp, zero2 or fsdp for more"
            )

    @property
    def weight_bytes(self) -> int:
        """Of one trained weight, its gradient or one of its averages."""
        return 2 if self.precision == "bf16-true" else 4

    @property
    def linear_bytes(self) -> int:
        """Of one number that a linear layer of a block reads or writes."""
        return 4 if self.precision == "32" else 2

    @property
    def num_sequences(self) -> int:
        """Sequences of a drawing: two per image with guidance."""
        return self.batch_size * (2 if self.guided else 1)

    def divided(self, count: int) -> int:
        """A device's share of what the devices divide under the strategy, or all of it."""
        return -(-count // self.devices) if self.strategy in ("zero2", "fsdp") else count
