from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.curation import STEPS, check_complete, load_chain, parse_chain
from tests.static.project import ROOT


def test_a_file_gives_steps_in_order_with_their_settings(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "steps:\n  - resolution: {min: 256}\n  - caption_language: {languages: [de, fr]}\n  - aspect_ratio:\n"
    )
    first, second, third = load_chain(tmp_path / "c.yaml")
    assert (first.name, first.min) == ("resolution", 256.0)  # type: ignore[attr-defined]
    assert second.languages == ("de", "fr")  # type: ignore[attr-defined]
    assert third == STEPS["aspect_ratio"]()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: [{sharpness: {min: 1}}]", "no step is called sharpness; there are aesthetic, aspect_ratio"),
        ("steps: [{resolution: {least: 1}}]", "step resolution: .*least"),
        ("steps: [{resolution: {min: many}}]", "step resolution: .*min"),
        ("steps: [{resolution: {min: 3, max: 2}}]", "min must not be above max, got 3.0 and 2.0"),
        (
            "steps: [{near_duplicates: {max_distance: 9}}]",
            r"max_distance must be in \[0, 7\] of 64 bits, got 9",
        ),
        ("steps: [{caption_length: {unit: lines}}]", "step caption_length: .*unit"),
        ("steps: [{resolution: 256}]", "must have names, as `min: 256`, got 256"),
        ("steps: [resolution]", "a step is its name with its settings"),
        ("steps: []", "name at least one step"),
        ("filters: []", "expected one key, `steps`"),
        ("steps: [", "is no YAML"),
    ],
)
def test_mistakes_in_a_file_are_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        load_chain(tmp_path / "c.yaml")
    assert "\n" not in str(error.value)


def test_missing_weights_are_told_with_their_source_before_anything_runs() -> None:
    steps = parse_chain(
        {"steps": [{"watermark": {"network_weights": "none.pt"}}, {"aesthetic": {"clip_weights": __file__}}]}
    )
    with pytest.raises(ValueError, match=r"no file none\.pt\): watermark_model_v1\.pt of LAION") as error:
        check_complete(steps)
    assert "`head_weights` (no path is given): sac+logos+ava1-l14-linearMSE.pth" in str(error.value)


def test_the_example_config_names_every_step_and_is_valid() -> None:
    path = ROOT / "configs" / "data" / "curate.yaml"
    assert len(load_chain(path)) == 7
    everything = path.read_text("utf-8").replace("  # - ", "  - ").replace("  #   ", "    ")
    path_with_all = everything[everything.index("steps:") :].replace("  # These two", "  #  These two")
    assert all(f"- {name}" in path_with_all for name in STEPS)


def test_only_what_scores_depend_on_changes_the_fingerprint(tmp_path: Path) -> None:
    length = STEPS["caption_length"]
    assert length(min=2).fingerprint == length(max=9).fingerprint
    assert length(unit="words").fingerprint != length(unit="characters").fingerprint
    near = STEPS["near_duplicates"]
    assert near(max_distance=1).fingerprint == near(max_distance=5, max_color=1).fingerprint
    prints = []
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
        prints.append(STEPS["watermark"](network_weights=str(tmp_path / name)).fingerprint)
    assert prints[0] == prints[1] != prints[2]
