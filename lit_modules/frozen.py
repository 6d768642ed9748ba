"""The frozen networks of transformer training, tokenizer and text encoder, with a cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from infinity.text import TextEncoder
from infinity.types import ImageTextBatch, TextStates
from infinity.vae import VAE

__all__ = ["FrozenEncoders", "TensorCache"]


class TensorCache:
    """Tensors by name in main memory, up to a budget; what comes later is not kept."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.num_bytes = 0
        self._tensors: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self._tensors)

    def stack(self, names: Sequence[str], compute: Callable[[list[int]], Tensor]) -> Tensor:
        """One row per name; `compute` gives the rows of the positions that are missing, in order.

        Rows are kept exactly as computed: features decide bits by their sign.
        """
        missing = [i for i, name in enumerate(names) if name not in self._tensors]
        computed = compute(missing) if missing else None
        if computed is not None and len(missing) == len(names):
            self._keep(names, computed)
            return computed
        rows = [self._tensors.get(name) for name in names]
        if computed is not None:
            for i, row in zip(missing, computed, strict=True):
                rows[i] = row.cpu()
            self._keep([names[i] for i in missing], computed)
        return torch.stack([row for row in rows if row is not None])

    def _keep(self, names: Sequence[str], rows: Tensor) -> None:
        num_bytes = rows[0].numel() * rows.element_size()
        for name, row in zip(names, rows, strict=True):
            if name not in self._tensors and self.num_bytes + num_bytes <= self.budget_bytes:
                self._tensors[name] = row.to("cpu", copy=True)
                self.num_bytes += num_bytes


class FrozenEncoders:
    """Turns a batch into what the transformer is trained on. Not a module: neither trained, saved nor
    sharded.

    Args:
        cache_bytes: memory for tokenizer features, which are then computed once per sample; 0 for none.
            Samples have to look the same in every epoch.
    """

    def __init__(self, vae: VAE, text: TextEncoder, cache_bytes: int) -> None:
        self.vae = vae.eval().requires_grad_(False)
        self.text = text
        self.cache = TensorCache(cache_bytes)

    def to(self, device: torch.device) -> FrozenEncoders:
        self.vae.to(device)
        self.text.to(device)
        return self

    @torch.no_grad()
    def features(self, batch: ImageTextBatch) -> Tensor:
        """Tokenizer features (B, D, H, W), float32."""
        images_B3HW = batch.images_B3HW
        if not self.cache.budget_bytes:
            return self.vae.encode(images_B3HW)
        names = [f"{batch.aspect_ratio}/{key}" for key in batch.keys]
        features_BDHW = self.cache.stack(names, lambda rows: self.vae.encode(images_B3HW[rows]))
        return features_BDHW.to(images_B3HW.device)

    @torch.no_grad()
    def states(self, captions: list[str], device: torch.device) -> TextStates:
        """States of the text encoder."""
        return self.text.encode(captions).to(device)
