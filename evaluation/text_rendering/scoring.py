"""How well an image shows a text, given the lines that were read in it.

Both are normalised: Unicode NFKC, lower case, punctuation as spaces. Other text may be about (a shop window
has more than one sign), so the run of neighbouring lines, or none, counts that is nearest to the text. Spaces
don't count, as OCR drops some.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from torchmetrics.functional.text import edit_distance

__all__ = ["TextScore", "normalised", "score_text"]


class TextScore(NamedTuple):
    """Errors in [0, 1].

    Args:
        cer: characters that are substituted, left out or added, per character of the text.
        wer: share of the text's words with an error, spaces put where it is least; what is added counts
            against a word beside it.
        read: the lines that count.
    """

    cer: float
    wer: float
    read: str

    @property
    def exact(self) -> bool:
        """Whether all characters are right."""
        return self.cer == 0


def score_text(written: str, lines: Sequence[str]) -> TextScore:
    """Compare a text with the lines that were read."""
    target = normalised(written)
    if not target:
        raise ValueError(f"the text to be written has no letters or digits: {written!r}; change the prompt")
    letters = _letters(target)
    runs = [
        " ".join(lines[start:end]) for start in range(len(lines)) for end in range(start + 1, len(lines) + 1)
    ]
    nearest = min(["", *runs], key=lambda run: _distance(_letters(normalised(run)), letters))
    found = _letters(normalised(nearest))
    words = target.split()
    return TextScore(
        cer=_distance(found, letters) / len(letters),
        wer=_word_errors(found, words) / len(words),
        read=nearest,
    )


def normalised(text: str) -> str:
    """Words in lower case with single spaces between them."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("\u2019", "")
    return " ".join("".join(one if one.isalnum() else " " for one in folded).split())


def _letters(text: str) -> str:
    return text.replace(" ", "")


def _distance(one: str, other: str) -> int:
    return int(edit_distance([one], [other], reduction="none")) if one else len(other)


def _word_errors(letters: str, words: Sequence[str]) -> int:
    """The least number of words with an error, over all ways to divide letters among them."""
    errors = [0] + [len(words)] * len(letters)  # by the number of letters used
    for word in words:
        after = [least + 1 for least in accumulate(errors, min)]  # any letters in its place, or none
        for end in range(len(word), len(letters) + 1):
            if letters[:end].endswith(word):
                after[end] = min(after[end], errors[end - len(word)])
        errors = after
    return errors[-1]
