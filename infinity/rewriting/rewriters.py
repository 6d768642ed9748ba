"""What makes longer prompts of short ones: a function of the user, or a local language model."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from infinity.text.huggingface import weights_digest

__all__ = [
    "INSTRUCTION",
    "FunctionRewriter",
    "HuggingFaceRewriter",
    "PromptRewriter",
    "build_rewriter",
]

INSTRUCTION = """\
Rewrite a short prompt for a text-to-image model as one detailed prompt. Keep every object, number, colour,
position and quoted text; add the setting, the light, the composition and the style. Answer with the new
prompt alone, on one line.

Prompt: a cat on a mat
New prompt: A tabby cat lies curled up on a woven mat by a window, soft morning light, photograph.

Prompt: {prompt}
New prompt:"""


class PromptRewriter(Protocol):
    """A function from prompts to prompts."""

    @property
    def fingerprint(self) -> str:
        """Names the function; the key of cached prompts, recorded with every image."""
        ...

    def rewrite(self, prompts: Sequence[str]) -> list[str]:
        """One new prompt for every given one, in their order."""
        ...


class FunctionRewriter:
    """A user's function ``rewrite(prompts: list[str]) -> list[str]``, named ``module:function``.

    Its fingerprint covers the text of its module, but no other module that it calls.
    """

    def __init__(self, name: str) -> None:
        module_name, _, function_name = name.partition(":")
        try:
            module = importlib.import_module(module_name)
            source = inspect.getsource(module)
            self._function: Callable[[list[str]], list[str]] = getattr(module, function_name)
        except (ImportError, AttributeError, ValueError, TypeError, OSError) as error:
            raise ValueError(
                f"no rewriter can be imported from {name!r} ({error}): expected module:function, in the "
                "current folder or an installed package"
            ) from error
        if not callable(self._function):
            raise ValueError(f"{name!r} is no function but a {type(self._function).__name__}")
        self.fingerprint = f"function-{name}-{_digest(source)}"

    def rewrite(self, prompts: Sequence[str]) -> list[str]:
        return self._function(list(prompts))


class HuggingFaceRewriter:
    """Greedy continuation of an instruction by a causal language model in a local directory.

    The new prompt is the first line of the answer. Prompts are rewritten one at a time, so that a result
    depends on its prompt alone.

    Args:
        directory: what ``save_pretrained`` of a model and its tokenizer wrote; nothing is downloaded.
        instruction: text with ``{prompt}`` in it; wrapped into the model's chat template if it has one.
        max_new_tokens: longest answer.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        instruction: str = INSTRUCTION,
        max_new_tokens: int = 128,
        device: str | torch.device = "cpu",
    ) -> None:
        if "{prompt}" not in instruction:
            raise ValueError(f"the instruction must have {{prompt}} in it, got {instruction!r}")
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
        self._instruction = instruction
        self._tokenizer, self._model, self._settings = _load(Path(directory), max_new_tokens)
        self._model.eval().requires_grad_(False).to(device)
        how = _digest(f"{self._question('a prompt')} {max_new_tokens}")
        self.fingerprint = f"huggingface-{weights_digest(self._model, self._tokenizer)}-{how}"

    @torch.no_grad()
    def rewrite(self, prompts: Sequence[str]) -> list[str]:
        return [self._answer(self._question(prompt)) for prompt in prompts]

    def _question(self, prompt: str) -> str:
        text = self._instruction.replace("{prompt}", prompt)
        if self._tokenizer.chat_template is None:
            return text
        message = {"role": "user", "content": text}
        return self._tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)

    def _answer(self, question: str) -> str:
        templated = self._tokenizer.chat_template is not None  # then special tokens are in the text already
        tokens = self._tokenizer(question, add_special_tokens=not templated, return_tensors="pt")
        ids = tokens["input_ids"].to(self._model.device)
        drawn = self._model.generate(
            ids, attention_mask=torch.ones_like(ids), generation_config=self._settings
        )
        answer = self._tokenizer.decode(drawn[0, ids.shape[1] :], skip_special_tokens=True)
        return answer.strip().partition("\n")[0].strip()


def build_rewriter(source: str, device: str | torch.device = "cpu") -> PromptRewriter:
    """A rewriter from ``module:function``, or from the directory of a causal language model."""
    if ":" in source and not Path(source).exists():
        return FunctionRewriter(source)
    return HuggingFaceRewriter(source, device=device)


def _load(directory: Path, max_new_tokens: int) -> tuple[Any, Any, Any]:
    """Tokenizer, model, and greedy settings that keep nothing of the model's own but its end tokens."""
    if not (directory / "config.json").is_file():
        raise FileNotFoundError(
            f"there is no language model in {directory}: expected a directory with config.json, tokenizer "
            "files and weights, or module:function"
        )
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            "rewriting with a language model needs the package transformers: pip install 'infinity-suite[hf]'"
        ) from error
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(directory, local_files_only=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            directory, local_files_only=True, dtype="auto"
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"no causal language model could be loaded from {directory} ({reason})") from error
    ends = model.generation_config.eos_token_id
    ends = tokenizer.eos_token_id if ends is None else ends
    padding = ends[0] if isinstance(ends, list) else ends
    settings = transformers.GenerationConfig(
        do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=ends, pad_token_id=padding
    )
    return tokenizer, model, settings


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
