"""Checks of the device that a user names."""

from __future__ import annotations

import torch

__all__ = ["check_device"]


def check_device(device: str | torch.device) -> None:
    """Refuse a device that torch doesn't know or this machine doesn't have."""
    try:
        if torch.empty(0, device=device).is_meta:
            raise NotImplementedError("it holds no numbers")
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(
            f"the device {str(device)!r} cannot be used here ({reason}); try cpu, cuda or mps"
        ) from error
