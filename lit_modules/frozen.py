"""The frozen networks of transformer training, tokenizer and text encoder, with a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from infinity.text import TextEncoder
from infinity.types import ImageTextBatch, TextStates
from infinity.vae import VAE
from infinity.vae.parts import encode_in_parts

__all__ = ["FrozenEncoders", "TensorCache"]


class TensorCache:
    """Tensors by name in main memory; once the budget is spent, no more are kept."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.num_bytes = 0
        self._tensors: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self._tensors)

    def get(self, names: Sequence[str], compute: Callable[[list[int]], Iterable[Tensor]]) -> list[Tensor]:
        """One tensor per name; `compute` gives those of the positions that are missing, in order.

        They are kept exactly as computed: features decide bits by their sign.
        """
        missing = [i for i, name in enumerate(names) if name not in self._tensors]
        computed = dict(zip(missing, compute(missing), strict=True)) if missing else {}
        for i, tensor in computed.items():
            num_bytes = tensor.numel() * tensor.element_size()
            if names[i] not in self._tensors and self.num_bytes + num_bytes <= self.budget_bytes:
                self._tensors[names[i]] = tensor.to("cpu", copy=True)
                self.num_bytes += num_bytes
        return [computed[i] if i in computed else self._tensors[name] for i, name in enumerate(names)]


class FrozenEncoders:
    """Turns a batch into what the transformer is trained on. No module: not trained, saved or sharded.

    Args:
        cache_bytes: memory for what the networks compute, so that they see every image and caption only once;
            0 for none. Samples must then look the same in every epoch.
        idle_text: batches bring their text states, so the text encoder may stay on the CPU.
    """

    def __init__(self, vae: VAE, text: TextEncoder, cache_bytes: int, *, idle_text: bool = False) -> None:
        self.vae = vae.for_inference()
        self.text = text
        self.cache = TensorCache(cache_bytes)
        self.idle_text = idle_text

    def to(self, device: torch.device) -> FrozenEncoders:
        self.vae.to(device)
        if not self.idle_text:
            self.text.to(device)
        return self

    @torch.no_grad()
    def features(self, split: str, batch: ImageTextBatch) -> Tensor:
        """Tokenizer features (B, D, H, W), float32, the batch's own if it has some."""
        if batch.features_BDHW is not None:
            return batch.features_BDHW
        images_B3HW = batch.images_B3HW
        if not self.cache.budget_bytes:
            return encode_in_parts(self.vae, images_B3HW)
        names = [f"image/{split}/{batch.aspect_ratio}/{key}" for key in batch.keys]  # unique in a split only
        features = self.cache.get(names, lambda rows: encode_in_parts(self.vae, images_B3HW[rows]))
        return torch.stack([feature.to(images_B3HW.device) for feature in features])

    def text_states(self, batch: ImageTextBatch, device: torch.device) -> TextStates:
        """States of a batch's captions, float32, the batch's own if it has some."""
        if batch.text is None:
            return self.states(batch.captions, device)
        return TextStates(batch.text.states_BME.to(device, torch.float32), batch.text.mask_BM.to(device))

    @torch.no_grad()
    def states(self, captions: list[str], device: torch.device) -> TextStates:
        """States of the text encoder, padded to the longest caption."""
        if not self.cache.budget_bytes:
            return self.text.encode(captions).to(device)
        names = [f"text/{caption}" for caption in captions]
        states = self.cache.get(names, lambda rows: self._states([captions[row] for row in rows]))
        return TextStates.padded([state.to(device) for state in states])

    def _states(self, captions: list[str]) -> list[Tensor]:
        """States (M, E) of every caption, without padding."""
        states_BME, mask_BM = self.text.encode(captions)
        return [state[mask] for state, mask in zip(states_BME, mask_BM, strict=True)]
