"""Any Hugging Face text encoder by directory or hub id: Flan-T5-XL as in the paper, ByT5, MiniLM."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any, Literal

import torch

from infinity.configs import check_literals
from infinity.types import TextStates

__all__ = ["HuggingFaceTextConfig", "HuggingFaceTextEncoder", "weights_digest"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class HuggingFaceTextConfig:
    """Which encoder, and how it is run.

    Args:
        model: a local directory, or a hub id that is in the cache of ``HF_HOME`` or can be downloaded.
        max_len: longest caption in tokens.
        dtype: of the encoder's weights; states are float32 in any case.
    """

    model: str = "google/flan-t5-xl"
    max_len: int = 512
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"

    def __post_init__(self) -> None:
        check_literals(self)
        if not self.model:
            raise ValueError("model must name a directory or a hub id, got an empty string")
        if self.max_len < 1:
            raise ValueError(f"max_len must be at least 1, got {self.max_len}")


class HuggingFaceTextEncoder:
    """Last hidden states of a frozen encoder; implements :class:`infinity.text.base.TextEncoder`.

    Of encoder-decoder models (T5 and its kin) only the encoder is loaded.
    """

    def __init__(self, config: HuggingFaceTextConfig) -> None:
        self.config = config
        self.num_truncated = 0
        self._tokenizer, self._model = _load(config)
        self._model.eval().requires_grad_(False)
        self._tokenizer.padding_side = "right"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token

    @property
    def width(self) -> int:
        return self._model.config.hidden_size

    @property
    def max_len(self) -> int:
        return self.config.max_len

    @property
    def fingerprint(self) -> str:
        """:func:`weights_digest`, with the settings."""
        digest = weights_digest(self._model, self._tokenizer)
        return f"huggingface-{digest}-{self.max_len}-{self.config.dtype}"

    def to(self, device: torch.device | str) -> HuggingFaceTextEncoder:
        self._model.to(device)
        return self

    @torch.no_grad()
    def encode(self, captions: list[str]) -> TextStates:
        """States (B, M, E) on the encoder's device; M is the length of the longest caption."""
        self._count_truncated(captions)
        tokens = self._tokenizer(
            captions, padding=True, truncation=True, max_length=self.max_len, return_tensors="pt"
        ).to(self._model.device)
        mask_BM = tokens["attention_mask"].bool()
        if not mask_BM.any(dim=1).all():
            raise ValueError("a caption has no tokens; give every image a caption that is not empty")
        with torch.autocast(self._model.device.type, enabled=False):
            states_BME = self._model(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            ).last_hidden_state
        return TextStates(states_BME.float() * mask_BM[..., None], mask_BM)

    def _count_truncated(self, captions: list[str]) -> None:
        lengths = [len(ids) for ids in self._tokenizer(captions, verbose=False)["input_ids"]]
        for caption, length in zip(captions, lengths, strict=True):
            if length > self.max_len:
                self.num_truncated += 1
                if self.num_truncated == 1:
                    logger.warning(
                        "a caption of %d tokens is cut to %d (further ones are only counted): %.60s...",
                        length,
                        self.max_len,
                        caption,
                    )


def weights_digest(model: Any, tokenizer: Any) -> str:
    """Hash of the architecture, of all weights, and of how a sample text is cut into tokens.

    Of a matrix the sums of its rows and of its columns are hashed, its bits being taken for integers: exact,
    the same on every device, and a fraction of a second for a gigabyte.
    """
    digest = hashlib.sha256(type(model).__name__.encode())
    for name, parameter in model.named_parameters():
        digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}".encode())
        if not parameter.numel():
            continue
        rows = parameter.detach().reshape(parameter.shape[0] if parameter.ndim > 1 else 1, -1)
        if rows.storage_offset() or rows.stride() != (rows.shape[1], 1):  # can't be viewed as integers
            rows = rows.clone(memory_format=torch.contiguous_format)
        words = rows.view(torch.int64 if rows[0].nbytes % 8 == 0 else torch.uint8)
        for axis in (0, 1):
            digest.update(words.sum(axis).cpu().numpy().tobytes())
    digest.update(str(tokenizer("Two red circles, 3 blue squares.")["input_ids"]).encode())
    return digest.hexdigest()[:16]


def _load(config: HuggingFaceTextConfig) -> tuple[Any, Any]:
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            "Hugging Face text encoders need the package transformers: pip install 'infinity-suite[hf]'"
        ) from error
    try:
        facts = transformers.AutoConfig.from_pretrained(config.model)
        tokenizer = transformers.AutoTokenizer.from_pretrained(config.model)
        auto = transformers.AutoModelForTextEncoding if facts.is_encoder_decoder else transformers.AutoModel
        model = auto.from_pretrained(config.model, dtype=getattr(torch, config.dtype))
    except (OSError, ValueError, ImportError) as error:  # a tokenizer may need one more package
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"no text encoder could be loaded from {config.model!r}: it must be a directory with "
            "config.json, tokenizer files and weights (model.safetensors), or a hub id that is cached or "
            f"can be downloaded ({reason})"
        ) from error
    return tokenizer, model
