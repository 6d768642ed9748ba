"""Names as phrases, and phrases as concepts."""

from __future__ import annotations

import pytest

from datamodules.sources.wording import joined, on_background, phrase_concept


@pytest.mark.parametrize(
    ("background", "text"),
    [("blue", "a cat on a blue background"), ("orange", "a cat on an orange background")],
)
def test_the_background_is_named_after_the_phrase(background: str, text: str) -> None:
    assert on_background("a cat", background) == text


@pytest.mark.parametrize(
    ("words", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_joined_as_in_a_sentence(words: list[str], text: str) -> None:
    assert joined(words) == text


@pytest.mark.parametrize(
    "variants",
    [
        ("red apple", "Apple 2", "green apples", "the small apple"),
        ("A green fedora.", "fedora"),
    ],
)
def test_variants_of_a_thing_are_one_concept(variants: tuple[str, ...]) -> None:
    assert len({phrase_concept(phrase) for phrase in variants}) == 1


@pytest.mark.parametrize(("phrase", "other"), [("apple", "apple tree"), ("cat", "cats and dogs"), ("7", "8")])
def test_other_things_are_other_concepts(phrase: str, other: str) -> None:
    assert phrase_concept(phrase) != phrase_concept(other)
