"""Any generative model of transformers' image-text-to-text or visual question answering classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from infinity.text.huggingface import weights_digest

__all__ = ["TransformersVQA"]

_ANSWER_TOKENS = 8
_PLAIN_GREEDY: dict[str, Any] = {
    "do_sample": False,
    "num_beams": 1,
    "repetition_penalty": 1.0,
    "temperature": None,
    "top_p": None,
    "top_k": None,
    "output_logits": True,
    "return_dict_in_generate": True,
}
"""Whatever the model's own generation_config.json says."""


class TransformersVQA:
    """A model from a local directory; implements :class:`evaluation.questions.vqa.VQA`.

    Models with a chat template are asked through it, in batches padded on the left. Others (BLIP) get the
    bare question, one at a time: their decoders may see padding.
    """

    def __init__(self, directory: Path, device: str = "cpu") -> None:
        self._model, self._processor = _load(directory, device)
        self._tokenizer = self._processor.tokenizer
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self.follows_instructions = bool(getattr(self._processor, "chat_template", None))
        dtype = str(self._model.dtype).removeprefix("torch.")
        digest = weights_digest(self._model, self._tokenizer)[:8]
        self.id = f"{directory.resolve().name}-{digest},{dtype}"

    def answer(self, images: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]:
        logits = self._logits(images, questions, steps=_ANSWER_TOKENS)
        return [self._words(logits_TV.argmax(-1).tolist()) for logits_TV in logits]

    def probability(
        self, images: Sequence[np.ndarray], questions: Sequence[str], answers: Sequence[Sequence[str]]
    ) -> list[float]:
        tokens = [[self._tokens(form) for form in forms] for forms in answers]
        singles = [forms[0] if len(forms) == 1 else [] for forms in tokens]
        steps = max(1, *map(len, singles))
        found = []
        for logits_TV, forms in zip(self._logits(images, questions, steps, singles), tokens, strict=True):
            log_TV = logits_TV.double().log_softmax(-1)
            if len(forms) == 1:
                found.append(float(log_TV[range(len(forms[0])), forms[0]].mean().exp()))
            else:
                found.append(float(log_TV[0, sorted({form[0] for form in forms})].exp().sum()))
        return found

    def _tokens(self, words: str) -> list[int]:
        if not (tokens := self._tokenizer(words, add_special_tokens=False)["input_ids"]):
            raise ValueError(
                f"the model's tokenizer makes no tokens of the answer {words!r}; take another model"
            )
        return tokens

    def _words(self, tokens: Sequence[int]) -> str:
        special = set(self._tokenizer.all_special_ids)
        end = next((k for k, token in enumerate(tokens) if token in special), len(tokens))
        return self._tokenizer.decode(tokens[:end]).strip()

    @torch.inference_mode()
    def _logits(
        self,
        images: Sequence[np.ndarray],
        questions: Sequence[str],
        steps: int,
        forced: Sequence[Sequence[int]] | None = None,
    ) -> list[Tensor]:
        """Logits (steps, vocabulary) of each answer, on the CPU; fewer rows where the model ended it.

        Args:
            forced: tokens that the answers must begin with.
        """
        pictures = [Image.fromarray(image) for image in images]
        if self.follows_instructions:
            texts = [self._as_chat(question) for question in questions]
            return self._generate(
                self._processor(
                    text=texts, images=[[one] for one in pictures], padding=True, return_tensors="pt"
                ),
                steps,
                forced,
            )
        return [
            logits
            for k, (picture, question) in enumerate(zip(pictures, questions, strict=True))
            for logits in self._generate(
                self._processor(images=picture, text=question, return_tensors="pt"),
                steps,
                None if forced is None else forced[k : k + 1],
            )
        ]

    def _as_chat(self, question: str) -> str:
        content = [{"type": "image"}, {"type": "text", "text": question}]
        turns = [{"role": "user", "content": content}]
        return self._processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)

    def _generate(self, inputs: Any, steps: int, forced: Sequence[Sequence[int]] | None) -> list[Tensor]:
        output = self._model.generate(
            **inputs.to(self._model.device, self._model.dtype),
            **_PLAIN_GREEDY,
            max_new_tokens=steps,
            logits_processor=[] if forced is None else [_Forced(forced)],
        )
        return list(torch.stack(output.logits, dim=1).float().cpu())


class _Forced:
    """A logits processor that leaves only the next token of an answer, as long as there is one."""

    def __init__(self, answers: Sequence[Sequence[int]]) -> None:
        self._answers = answers
        self._step = 0

    def __call__(self, input_ids: Tensor, scores_BV: Tensor) -> Tensor:
        scores_BV = scores_BV.clone()  # what is given are the logits that are to be read
        for scores_V, answer in zip(scores_BV, self._answers, strict=True):
            if self._step < len(answer):
                scores_V[:] = -torch.inf
                scores_V[answer[self._step]] = 0
        self._step += 1
        return scores_BV


def _load(directory: Path, device: str) -> tuple[Any, Any]:
    if not (directory / "config.json").is_file():
        raise ValueError(f"{directory} holds no config.json; clone the whole model from the Hugging Face hub")
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            "visual question answering needs the package transformers: pip install 'infinity-suite[eval]'"
        ) from error
    config = transformers.AutoConfig.from_pretrained(directory, local_files_only=True)
    answers = any("QuestionAnswering" in name for name in config.architectures or ())
    kind = (
        transformers.AutoModelForVisualQuestionAnswering
        if answers
        else transformers.AutoModelForImageTextToText
    )
    try:
        processor = transformers.AutoProcessor.from_pretrained(directory, local_files_only=True)
        model = kind.from_pretrained(
            directory,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32 if torch.device(device).type == "cpu" else "auto",
        )
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{directory} holds no model that answers questions about images: {reason}"
        ) from error
    if not hasattr(model, "generate"):
        raise ValueError(
            f"{directory} holds a {type(model).__name__}, which knows a fixed list of answers; take a model "
            "that generates them, e.g. BLIP or Qwen3-VL"
        )
    return model.eval().requires_grad_(False).to(device), processor
