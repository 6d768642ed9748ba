"""CLIP from local files, in open_clip's and in Hugging Face's format."""

from __future__ import annotations

import hashlib
import logging
import zipfile
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel

from evaluation.preference.clip import ClipEncoder, load_clip
from evaluation.preference.huggingface_clip import CLIP_RULES
from evaluation.preference.pixels import pillow_pixels
from infinity.checkpoints.keymap import invert_rules
from tests.evaluation.preference.samples import formula_image
from tests.tolerances import TOL

WIDTH = 32  # of everything
SIZES = {
    "embed_dim": WIDTH,
    "vision_cfg": {"image_size": 28, "layers": 2, "width": WIDTH, "head_width": 16, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": WIDTH, "heads": 2, "layers": 2},
}
TEXTS = ["a red cat", "two dogs", "a red cat"]


@pytest.fixture(autouse=True)
def _tiny_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = {"tiny": SIZES}
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: configs[name])


@pytest.fixture(scope="module")
def theirs() -> CLIPModel:
    """Hugging Face's CLIP with random weights."""
    torch.manual_seed(0)
    common: dict[str, Any] = {
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "hidden_act": "gelu",
    }
    config = CLIPConfig(
        text_config={**common, "vocab_size": 49408, "max_position_embeddings": 77, "eos_token_id": 49407},
        vision_config={**common, "image_size": 28, "patch_size": 14},
        projection_dim=WIDTH,
    )
    return CLIPModel(config).eval()


def pixels() -> torch.Tensor:
    return torch.stack([pillow_pixels(formula_image(number, 30, 40), 28) for number in range(3)])


def test_hugging_faces_weights_give_hugging_faces_cosines(theirs: CLIPModel, tmp_path: Path) -> None:
    positions = {"text_model.embeddings.position_ids": torch.arange(77)[None]}  # as old versions store them
    save_file(theirs.state_dict() | positions, tmp_path / "model.safetensors")
    ours = load_clip("tiny", tmp_path / "model.safetensors")
    ids = open_clip.SimpleTokenizer()(TEXTS)
    with torch.no_grad():
        output = theirs(input_ids=ids, pixel_values=pixels())
    cosines = ours.encode_images(pixels()) @ ours.encode_texts(TEXTS).T
    torch.testing.assert_close(cosines * ours.logit_scale, output.logits_per_image, **TOL[torch.float32])


def test_a_state_dict_within_a_checkpoint_is_found(tmp_path: Path) -> None:
    net = open_clip.CLIP(**SIZES)
    torch.save({"iteration": 4000, "state_dict": net.half().state_dict()}, tmp_path / "HPS.pt")
    loaded = load_clip("tiny", tmp_path / "HPS.pt")
    encoder = ClipEncoder("tiny", net.float())
    assert loaded.knobs == encoder.knobs  # which has the weights' hash
    torch.testing.assert_close(loaded.encode_texts(TEXTS), encoder.encode_texts(TEXTS))


def test_files_of_other_models_are_refused(tmp_path: Path) -> None:
    state = open_clip.CLIP(**{**SIZES, "embed_dim": 16}).state_dict()
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(
        ValueError, match=r"other\.safetensors is not the file that CLIP needs: .*another shape"
    ):
        load_clip("tiny", tmp_path / "other.safetensors")


def test_a_program_is_not_run(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ViT-B-32.pt", "w") as archive:  # laid out as torch.jit.save does
        archive.writestr("ViT-B-32/code/__torch__.py", "")
        archive.writestr("ViT-B-32/data.pkl", "")
    with pytest.raises(ValueError, match="is a TorchScript archive, as OpenAI publishes CLIP"):
        load_clip("tiny", tmp_path / "ViT-B-32.pt")


def test_a_text_that_repeats_is_encoded_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    net = open_clip.CLIP(**SIZES)
    seen: list[int] = []
    net.token_embedding.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    features = ClipEncoder("tiny", net).encode_texts(TEXTS)
    assert seen == [2]
    assert torch.equal(features[0], features[2])
    assert not torch.equal(features[0], features[1])


def test_texts_of_more_than_77_tokens_are_cut() -> None:
    encoder = ClipEncoder("tiny", open_clip.CLIP(**SIZES))
    assert not encoder.is_cut("cat " * 75)  # with the marks of start and end, 77
    assert encoder.is_cut("cat " * 76)


def test_the_keys_of_hpsv2_are_those_of_open_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash of names and shapes: ``CLIP`` of tgxs002/HPSv2 (commit 866735e) with its ViT-H-14.json."""
    monkeypatch.undo()
    with torch.device("meta"):
        state = open_clip.CLIP(**open_clip.get_model_config("ViT-H-14")).state_dict()
    lines = sorted(f"{name} {list(tensor.shape)}" for name, tensor in state.items())
    assert len(lines) == 686
    assert (
        hashlib.sha256("\n".join(lines).encode()).hexdigest()
        == "2d21a943bdca7a5569e9ad67870e7f0e5fc6deb5d023c6c177a279cc47148c4e"
    )
    assert len(invert_rules(CLIP_RULES, state)) > 686  # every key has a counterpart in Hugging Face's format
