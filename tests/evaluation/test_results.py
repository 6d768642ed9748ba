from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.provenance import Provenance, _git_state, collect_provenance, merge_provenance, sha256_of
from evaluation.results import MetricValue, Result, Table, merge_results, read_samples, write_samples

PROVENANCE = Provenance(
    date="2026-01-01T00:00:00+00:00",
    git_sha="abc",
    git_dirty=False,
    versions={"torch": "2"},
    hardware={"cpu": "one"},
    seeds={"sampling": 3},
    checkpoints={"vae": "ff"},
)


def result(name: str = "run", *ids: str) -> Result:
    metrics = [
        MetricValue(id=one, value=1.5, direction="higher", n=4, ci95=(1, 2)) for one in ids or ("psnr",)
    ]
    table = Table(columns=("scale", "bits"), rows=((1, 0.5), (2, None)))
    return Result(
        name=name,
        metrics=tuple(metrics),
        provenance=PROVENANCE,
        config={"vae": {"d": 16}},
        tables={f"table of {name}": table},
    )


def test_a_result_survives_the_round_trip(tmp_path: Path) -> None:
    result().save(tmp_path / "new" / "folder")
    assert Result.load(tmp_path / "new" / "folder") == result()


def test_the_file_says_its_schema_version_and_the_promised_fields(tmp_path: Path) -> None:
    fields = json.loads(result().save(tmp_path).read_text())
    assert fields["schema_version"] == 1
    assert fields["metrics"][0].keys() >= {"id", "value", "ci95", "n", "direction"}
    assert fields["provenance"].keys() >= {"git_sha", "git_dirty", "checkpoints", "seeds", "versions"}


def test_other_schema_versions_are_refused(tmp_path: Path) -> None:
    path = result().save(tmp_path)
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(ValueError, match="expected schema_version 1, got 2"):
        Result.load(tmp_path)


def test_a_folder_without_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no result\.json"):
        Result.load(tmp_path)


@pytest.mark.parametrize("content", [b"[]", b'{"schema_version": 1}', b"\xff", b'{"schema'])
def test_other_files_in_place_of_a_result_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"{re.escape(str(tmp_path))}/result\.json is not? "):
        Result.load(tmp_path)


@pytest.mark.parametrize("content", ["5\n", "{}\n"])
def test_rows_about_no_image_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "samples.jsonl").write_text(content)
    with pytest.raises(ValueError, match=r"samples\.jsonl holds no rows about images"):
        read_samples(tmp_path)


def test_infinite_values_never_reach_the_file(tmp_path: Path) -> None:
    bad = Result(
        name="x",
        metrics=(MetricValue(id="psnr", value=float("inf"), direction="higher", n=1),),
        provenance=PROVENANCE,
    )
    with pytest.raises(ValueError, match="Out of range float"):
        bad.save(tmp_path)
    assert not (tmp_path / "result.json").exists()


def test_a_metric_id_can_be_used_once() -> None:
    with pytest.raises(ValueError, match="unique"):
        result("run", "psnr", "psnr")


def test_metrics_are_found_by_id() -> None:
    assert result()["psnr"].value == 1.5
    with pytest.raises(KeyError, match="there are psnr"):
        result()["ssim"]


def test_tables_have_full_rows() -> None:
    with pytest.raises(ValueError, match="needs 2 cells"):
        Table(columns=("a", "b"), rows=((1,),))


def test_results_merge_unless_they_measured_the_same() -> None:
    merged = merge_results([result("a", "psnr"), result("b", "ssim")])
    assert [metric.id for metric in merged.metrics] == ["psnr", "ssim"]
    assert merged.config == {"a": {"vae": {"d": 16}}, "b": {"vae": {"d": 16}}}
    assert list(merged.tables) == ["table of a", "table of b"]
    with pytest.raises(ValueError, match="unique"):
        merge_results([result("a"), result("b")])


def test_merged_provenance_names_what_differs() -> None:
    other = Provenance(
        date="2026-02-01", git_sha="def", git_dirty=True, versions={"torch": "3"}, hardware={"cpu": "one"}
    )
    merged = merge_provenance([PROVENANCE, other])
    assert merged.git_sha == "abc, def"
    assert merged.git_dirty is True
    assert merged.versions == {"torch": "2, 3"}
    assert merged.hardware == {"cpu": "one"}
    assert merged.date == "2026-02-01"
    assert merge_provenance([merged, PROVENANCE, other]) == merged


@pytest.mark.parametrize(
    ("states", "merged"),
    [((False, False), False), ((False, None), None), ((None, True), True), ((True, False), True)],
)
def test_merged_code_is_clean_only_if_all_of_it_is_known_to_be(states, merged) -> None:
    parts = [replace(PROVENANCE, git_dirty=state) for state in states]
    assert merge_provenance(parts).git_dirty is merged


def test_results_whose_seeds_differ_do_not_merge() -> None:
    with pytest.raises(ValueError, match="one seed of sampling, got 3 and 4"):
        merge_provenance([PROVENANCE, replace(PROVENANCE, seeds={"sampling": 4})])


def test_results_and_tables_of_one_name_do_not_merge() -> None:
    first, second = result("a", "psnr"), result("b", "ssim")
    with pytest.raises(ValueError, match="results .* got twice: a"):
        merge_results([first, replace(second, name="a")])
    with pytest.raises(ValueError, match="tables .* got twice: table of a"):
        merge_results([first, replace(second, tables=first.tables)])


def test_samples_are_one_row_a_line(tmp_path: Path) -> None:
    rows = [{"prompt_id": "0", "correct": True}, {"prompt_id": "1", "prompt": "a\nsquare"}]
    path = write_samples(tmp_path, rows)
    assert len(path.read_text().splitlines()) == 2
    assert read_samples(tmp_path) == rows
    assert read_samples(tmp_path / "elsewhere") == []


def test_provenance_knows_code_seeds_checkpoints_and_libraries(tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.safetensors"
    checkpoint.write_bytes(b"weights")
    facts = collect_provenance(seeds={"sampling": 7}, checkpoints={"vae": checkpoint}, data={"basic": "f00"})
    assert facts.seeds == {"sampling": 7}
    assert facts.checkpoints == {"vae": sha256_of(checkpoint)}
    assert facts.data == {"basic": "f00"}
    assert facts.versions["torch"].startswith("2.")
    assert int(facts.hardware["cores"]) >= 1
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    assert facts.git_sha == head or not head


def test_the_code_of_an_installed_copy_is_not_that_of_the_project_around_it(tmp_path: Path) -> None:
    copy = tmp_path / "project" / "site-packages"
    copy.mkdir(parents=True)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(copy.parent)]
    for words in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message=x"]):
        subprocess.run([*git, *words], check=True)
    assert len(_git_state(copy.parent.resolve())[0]) == 40
    assert _git_state(copy.resolve()) == ("unknown (no git checkout)", None)


def test_the_hash_of_a_folder_depends_on_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "a").write_text("1")
    first = sha256_of(folder)
    (folder / "a").write_text("2")
    second = sha256_of(folder)
    (folder / "a").rename(folder / "b")
    assert len({first, second, sha256_of(folder)}) == 3
