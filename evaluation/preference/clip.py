"""CLIP (arXiv 2103.00020) by open_clip, with weights from a local file: images and texts as unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from evaluation.preference.huggingface_clip import CLIP_RULES, is_huggingface_clip
from evaluation.preference.published import load_published, read_published
from infinity.checkpoints.io import hash_weights
from infinity.checkpoints.keymap import apply_rules

__all__ = ["ClipEncoder", "load_clip"]


class ClipEncoder:
    """A CLIP of open_clip.

    Args:
        architecture: its name, for ids.
        net: ``open_clip.CLIP``.
    """

    def __init__(self, architecture: str, net: Any, device: str = "cpu") -> None:
        import open_clip

        self._net = net.eval().requires_grad_(False).to(device)
        self._tokenizer = open_clip.SimpleTokenizer(context_length=net.context_length)
        self.knobs = f"{architecture},weights={hash_weights(net.state_dict())[:8]}"
        self.image_size: int = net.visual.image_size[0]
        self.max_tokens: int = net.context_length
        self.logit_scale = float(net.logit_scale.exp())

    def encode_images(self, pixels_B3HW: Tensor) -> Tensor:
        """Unit vectors (B, C), float32."""
        return F.normalize(self._net.encode_image(pixels_B3HW).float(), dim=-1)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (B, C), float32; a text that comes several times is encoded once."""
        different = list(dict.fromkeys(texts))
        ids_UM = self._tokenizer(different).to(self._net.logit_scale.device)
        features_UC = F.normalize(self._net.encode_text(ids_UM).float(), dim=-1)
        return features_UC[[different.index(text) for text in texts]]

    def is_cut(self, text: str) -> bool:
        """Whether a text has more tokens than CLIP takes, two of which mark start and end."""
        return len(self._tokenizer.encode(text)) + 2 > self.max_tokens


def load_clip(architecture: str, weights: Path, device: str = "cpu") -> ClipEncoder:
    """The published weights of one of open_clip's architectures, in its own or in Hugging Face's format."""
    try:
        import open_clip
    except ImportError as error:
        raise ValueError(
            "scores by CLIP need the package open-clip-torch: pip install 'infinity-suite[eval]'"
        ) from error
    net = open_clip.CLIP(**open_clip.get_model_config(architecture))
    state = read_published(weights)
    if is_huggingface_clip(state):
        state = apply_rules(CLIP_RULES, state)
    load_published(net, state, weights)
    return ClipEncoder(architecture, net, device)
