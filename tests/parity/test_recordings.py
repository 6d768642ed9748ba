"""The tests on recordings notice what is strange, missing, forgotten or different."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.parity import test_coverage, test_sampling, test_self_correction, test_transformer
from tests.parity.folder import ASSETS
from tests.parity.ledger import Ledger
from tests.parity.recordings import Part, Recordings


def recordings_of(folder: Path, tensors: dict[str, Tensor], listed: tuple[str, ...] = ()) -> Recordings:
    """A folder with one file, of which the manifest lists further tensors."""
    save_file(tensors, folder / "file.safetensors")
    entry = {"meta": {}, "tensors": dict.fromkeys([*tensors, *listed], {})}
    (folder / "manifest.json").write_text(json.dumps({"files": {"file.safetensors": entry}}))
    return Recordings(folder)


def case(tmp_path: Path, **tensors: Tensor) -> Ledger:
    recordings = recordings_of(
        tmp_path, {"d4.z_in": torch.zeros(1)} | {f"d4.{k}": v for k, v in tensors.items()}
    )
    (part,) = recordings.parts
    ledger = Ledger(recordings, part)
    ledger["z_in"]  # an input
    return ledger


def test_the_tensors_of_a_file_belong_to_the_tests_that_their_names_call_for(tmp_path: Path) -> None:
    names = ["a.b.image", "a.b.s0.bits", "c.image", "sd.encoder.conv_in.conv.weight", "sd.x", "lfq_d4.z_in"]
    parts = recordings_of(tmp_path, {name: torch.zeros(1) for name in names}).parts
    assert [(part.test, part.prefix, sorted(part.names)) for part in parts] == [
        ("tokenizer_weights", "sd.", ["sd.encoder.conv_in.conv.weight", "sd.x"]),
        ("tokenizer", "a.b.", ["a.b.image", "a.b.s0.bits"]),
        ("tokenizer", "c.", ["c.image"]),
        ("lookup_free", "lfq_d4.", ["lfq_d4.z_in"]),
    ]


def test_a_case_may_be_named_like_the_beginning_of_another(tmp_path: Path) -> None:
    names = ["r1.image", "r1.s0.bits", "r1.wide.image", "r1.wide.s0.bits"]
    parts = recordings_of(tmp_path, {name: torch.zeros(1) for name in names}).parts
    assert {part.prefix: sorted(part.names) for part in parts} == {"r1.wide.": names[2:], "r1.": names[:2]}


def test_a_tensor_without_a_test_is_a_problem(tmp_path: Path) -> None:
    recordings = recordings_of(tmp_path, {"c.image": torch.zeros(1), "riddle": torch.zeros(1)})
    assert recordings.problem("file") == "no test is for 1 of its tensors, such as riddle"


def test_a_listed_tensor_that_the_file_lacks_is_a_problem(tmp_path: Path) -> None:
    recordings = recordings_of(tmp_path, {"c.image": torch.zeros(1)}, listed=("c.features",))
    assert recordings.problem("file") == "it lacks 1 tensors that the manifest lists, such as c.features"


def test_a_file_that_can_t_be_read_is_a_problem(tmp_path: Path) -> None:
    recordings = recordings_of(tmp_path, {"c.image": torch.zeros(1)})
    (tmp_path / "file.safetensors").write_bytes(b"no tensors")
    assert recordings.problem("file") == "it can't be read"


def test_a_tensor_that_was_compared_with_nothing_fails(tmp_path: Path) -> None:
    ledger = case(tmp_path, w=torch.zeros(1), v=torch.zeros(1))
    ledger.absolute("w", torch.zeros(1), 0)
    with pytest.raises(AssertionError, match=r"1 tensors were compared with nothing: d4\.v"):
        ledger.settle()


@pytest.mark.parametrize("value", [1.1, float("nan")])
def test_a_difference_beyond_its_limit_fails(tmp_path: Path, value: float) -> None:
    for compare in ("absolute", "relative"):
        ledger = case(tmp_path, w=torch.tensor([-2.0, 1.0]))
        getattr(ledger, compare)("w", torch.tensor([-2.0, value]), 0.2)
        if value == 1.1:
            ledger.settle()  # off by 0.1, or by 0.05 of the largest value
        getattr(ledger, compare)("w", torch.tensor([-2.0, value]), 0.04)
        with pytest.raises(AssertionError, match="tensors differ too much"):
            ledger.settle()


def test_an_unequal_value_or_another_shape_fails(tmp_path: Path) -> None:
    ledger = case(tmp_path, w=torch.tensor([1, 0]))
    ledger.equal("w", torch.tensor([1, 1]))
    with pytest.raises(AssertionError, match=r"d4\.w .* 1.0e\+00 of 0.0e\+00 unequal"):
        ledger.settle()
    with pytest.raises(AssertionError, match=r"w is \(2,\), ours is \(1, 2\)"):
        ledger.equal("w", torch.tensor([[1, 0]]))


def test_a_manifest_without_files_fails(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"files": {}}')
    with pytest.raises(AssertionError, match="lists no files: nothing is compared"):
        test_coverage.test_the_manifest_lists_files(Recordings(tmp_path))


def test_an_image_without_its_tokenizer_fails(tmp_path: Path) -> None:
    ledger = case(tmp_path, image_uint8_bgr=torch.zeros(1))
    ledger.meta = {"config": {"vae": "vae_of_nobody"}}
    with pytest.raises(AssertionError, match="no manifest lists the tokenizer vae_of_nobody"):
        test_sampling.compare_images(ledger, torch.zeros(1))


@pytest.mark.parametrize(
    ("file", "test"),
    [
        ("bsc", test_self_correction.test_inputs_and_labels_match),
        ("inf_rope1", test_transformer.test_logits_losses_and_gradients_match),
    ],
)
def test_tensors_alone_will_do(tmp_path: Path, file: str, test: Callable[[Ledger], None]) -> None:
    name = f"{file}.safetensors"
    (tmp_path / name).write_bytes((ASSETS / name).read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {name: {}}}))
    recordings = Recordings(tmp_path)
    parts = [part for part in recordings.parts if part.test in ("self_correction", "transformer")]
    assert parts
    for part in parts:
        test(Ledger(recordings, part))


def test_a_part_is_named_by_its_file_and_prefix() -> None:
    assert Part("tokenizer", "vae", "r1.5_96x64.", ()).id == "vae-r1.5_96x64"
    assert Part("transformer", "inf", "", ()).id == "inf-transformer"
