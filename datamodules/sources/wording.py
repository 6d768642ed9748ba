"""Names and titles as English phrases, and the concept that a phrase is about."""

from __future__ import annotations

import re

__all__ = ["joined", "on_background", "phrase_concept", "with_article"]

# words that tell variants of one thing apart, not things
_QUALIFIERS = frozenset(
    re.findall(
        r"\w+",
        "a an the of on in with and or for to at by from some my his her your its s "
        "white black gray grey red orange yellow green blue purple violet pink brown gold golden silver "
        "light dark bright big large small little tiny left right top bottom front back side "
        "old new simple plain one two three four five",
    )
)


def with_article(name: str) -> str:
    """ "apple" becomes "an apple"; plurals ("grapes") get no article."""
    words = name.split(" (")[0].split()
    plural = words[-1].endswith("s") and not words[-1].endswith(("ss", "us", "is"))
    if plural and words[0] not in ("man", "woman", "person"):
        return name
    vowel = name[0] in "aeiouAEIO" and not name.startswith(("uni", "one", "euro", "uk"))
    return f"{'an' if vowel or name.startswith('hour') else 'a'} {name}"


def on_background(phrase: str, background: str) -> str:
    """ "a cat" becomes "a cat on an orange background"."""
    return f"{phrase} on {'an' if background[0] in 'aeiou' else 'a'} {background} background"


def joined(words: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def phrase_concept(phrase: str) -> str:
    """What a phrase is about: "A red apple 02" and "green apples" are one concept, the unit of hold-out."""
    words = [word for word in re.findall(r"[^\W\d_]+", phrase.lower()) if word not in _QUALIFIERS]
    return " ".join(_singular(word) for word in words) or " ".join(phrase.lower().split())


def _singular(word: str) -> str:
    plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if plural else word
