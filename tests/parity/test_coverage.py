"""Every file that the manifest lists is handled, and every tensor of it."""

from __future__ import annotations

from tests.parity.recordings import Recordings


def test_the_manifest_lists_files(recordings: Recordings) -> None:
    assert recordings.files, f"the manifest of {recordings.folder} lists no files: nothing is compared"


def test_a_file_has_all_its_tensors_and_a_test_for_each(recorded_file: str, recordings: Recordings) -> None:
    assert recordings.problem(recorded_file) is None
