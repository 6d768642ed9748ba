from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from torchmetrics.functional.text import word_error_rate

from evaluation.text_rendering.scoring import normalised, score_text


def test_case_punctuation_and_spaces_dont_count() -> None:
    assert normalised("  Don't PANIC\u2014it\u2019s \uff12\uff10\uff12\uff14! ") == "dont panic its 2024"
    for read in ("FRESH BREAD", "fresh-bread", "Freshbread", "fre sh bread"):
        score = score_text("Fresh bread!", [read])
        assert (score.cer, score.wer, score.exact) == (0, 0, True)


@pytest.mark.parametrize(
    ("read", "characters", "words"),
    [
        ("silver rover", 1, 1),  # another letter
        ("silver rver", 1, 1),  # one left out
        ("silvver river", 1, 1),  # one too many
        ("sliver river", 2, 1),  # two in the wrong order
        ("silver", 5, 1),
        ("silver xx river", 2, 1),  # a word added
        ("silverriver", 0, 0),
        ("sivler rvier", 4, 2),
        ("river silver", 4, 2),  # r is s, l is missing, s is r, l is too many
        ("", 11, 2),
    ],
)
def test_errors_of_known_typos(read: str, characters: int, words: int) -> None:
    score = score_text("Silver River", [read] if read else [])
    assert score.cer == pytest.approx(characters / 11)
    assert score.wer == words / 2
    assert score.exact == (characters == 0)


def test_word_errors_are_the_least_over_all_spaces() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        text = " ".join("".join(rng.choice(["a", "b"], size=rng.integers(1, 4))) for _ in range(3))
        read = "".join(rng.choice(["a", "b"], size=7))
        spaced = [
            "".join(letter + gap for letter, gap in zip(read, (*gaps, ""), strict=True))
            for gaps in product(("", " "), repeat=len(read) - 1)
        ]
        least = min(float(word_error_rate([one], [text])) for one in spaced)
        score = score_text(text, [read])
        assert score.wer == (pytest.approx(least) if score.read else 1), (text, read)


def test_other_text_in_the_image_does_not_count() -> None:
    score = score_text("open all night", ["BAKERY", "Open", "all night", "Tel. 555"])
    assert (score.cer, score.wer, score.read) == (0, 0, "Open all night")
    nothing_like_it = score_text("open", ["1234567890"])
    assert (nothing_like_it.cer, nothing_like_it.read) == (1, "")


def test_text_in_the_same_line_counts() -> None:
    assert score_text("open", ["we are open"]).cer == 1  # nothing is as near as five letters too many
    assert score_text("open all night", ["we open all night"]).cer == pytest.approx(2 / 12)


def test_a_text_without_letters_is_refused() -> None:
    with pytest.raises(ValueError, match="no letters or digits: '!!!'"):
        score_text("!!!", [])
