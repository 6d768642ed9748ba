from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from evaluation.reports import content_of, load_runs
from evaluation.reports.tensorboard import tag_of, write_tensorboard
from tests.evaluation.reports.synthetic import GENEVAL, write_run


def test_summaries_hold_values_intervals_pictures_and_text(tmp_path: Path) -> None:
    (run,) = load_runs([write_run(tmp_path / "run", num_prompts=3, size=8)])
    write_tensorboard(tmp_path / "tb", {run.name: run.result}, content_of([run]))
    events = EventAccumulator(str(tmp_path / "tb" / run.name)).Reload()
    metric = run.result[f"{GENEVAL}/overall"]
    for end, value in (("", metric.value), ("/low", metric.ci95[0]), ("/high", metric.ci95[1])):
        (scalar,) = events.Scalars(tag_of(metric.id) + end)
        assert scalar.step == 1200  # of training, as the export says
        assert scalar.value == pytest.approx(value, rel=1e-6)
    assert "Samples_geneval_the_first_ones" in events.Tags()["images"]
    texts = [name for name in events.Tags()["tensors"] if "text_summary" in name]
    table = events.Tensors("headline/text_summary")[0].tensor_proto.string_val[0].decode()
    assert len(texts) == 2
    assert f"`{GENEVAL}/overall`" in table


def test_tags_are_what_tensorboard_takes() -> None:
    assert tag_of("fid[inception-1,N=5]/id/overall") == "fid_inception-1_N_5_/id/overall"


@pytest.mark.parametrize("name", ["../../outside", "/outside", ".."])
def test_event_files_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    (run,) = load_runs([write_run(tmp_path / "run", num_prompts=1, size=4)])
    before = set(tmp_path.rglob("*"))
    write_tensorboard(tmp_path / "logs" / "tb", {name: run.result}, content_of([run]))
    new = set(tmp_path.rglob("*tfevents*")) - before
    assert len(new) == 1
    assert new.pop().is_relative_to(tmp_path / "logs" / "tb")
