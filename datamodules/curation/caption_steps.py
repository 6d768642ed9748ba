"""Steps that look at captions alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

from datamodules.curation.step import BoundedStep, register
from datamodules.sample_files import StoredSample

__all__ = ["CaptionLanguage", "CaptionLength"]


@register("caption_length")
@dataclass(frozen=True, kw_only=True)
class CaptionLength(BoundedStep):
    """Drop captions that say nothing, and pages of text.

    Args:
        unit: characters for scripts that put no spaces between words.
    """

    unit: Literal["words", "characters"] = "words"

    score_is: ClassVar[str] = "words (or characters) of the caption"

    def score(self, sample: StoredSample) -> float:
        return len(sample.caption.split() if self.unit == "words" else sample.caption)


@register("caption_language")
@dataclass(frozen=True, kw_only=True)
class CaptionLanguage(BoundedStep):
    """Drop captions in other languages, as py3langid's naive Bayes tells them.

    A few words are no evidence for any language: such captions stay.

    Args:
        languages: codes of the wanted ones (ISO 639).
    """

    max: float = 0.5
    languages: tuple[str, ...] = ("en",)

    score_is: ClassVar[str] = "probability of the likeliest language that is none of `languages`"
    packages: ClassVar[tuple[str, ...]] = ("py3langid",)

    def score(self, sample: StoredSample) -> float:
        identifier = _identifier()
        if unknown := set(self.languages) - set(identifier.labels):
            listed = ", ".join(identifier.labels)
            raise ValueError(f"caption_language knows no {', '.join(sorted(unknown))}; it knows {listed}")
        ranking = identifier.rank(sample.caption)
        return next(share for language, share in ranking if language not in self.languages)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
