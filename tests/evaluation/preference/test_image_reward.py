"""ImageReward against the official class: a tiny one with weights by a formula, recorded once.

``image_reward.json`` holds what ``ImageReward.score`` of THUDM/ImageReward (commit c1392c6, with transformers
4.30.2 and timm 0.6.13) gave, and the names and shapes of its full state dict as a hash.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from evaluation.preference.blip import BlipConfig
from evaluation.preference.image_reward import UNUSED_KEYS, ImageReward, ImageRewardScorer, load_image_reward
from tests.evaluation.preference.samples import formula_image
from tests.tolerances import TOL

GOLDEN = json.loads(Path(__file__).with_name("image_reward.json").read_text(encoding="utf-8"))
CONFIG = BlipConfig(
    image_size=GOLDEN["vit"]["image_size"],
    vision_width=GOLDEN["vit"]["width"],
    vision_depth=GOLDEN["vit"]["depth"],
    vision_heads=GOLDEN["vit"]["num_heads"],
    text_width=GOLDEN["bert"]["width"],
    text_hidden=GOLDEN["bert"]["hidden"],
    text_depth=GOLDEN["bert"]["depth"],
    text_heads=GOLDEN["bert"]["num_heads"],
    vocab_size=len(GOLDEN["vocab"]) + 2,
    num_positions=GOLDEN["bert"]["num_positions"],
)


def unused(config: BlipConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of what the checkpoint holds in vain."""
    widths = {"text": config.text_width, "vision": config.vision_width}
    shapes: dict[str, tuple[int, ...]] = {UNUSED_KEYS[0]: (1, config.num_positions)}
    for name, width in widths.items():
        shapes |= {f"blip.{name}_proj.weight": (256, width), f"blip.{name}_proj.bias": (256,)}
    return shapes


def formula_weights(config: BlipConfig) -> dict[str, Tensor]:
    """The recorded checkpoint: quasi-random numbers that follow from names and positions."""
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in ImageReward(config).state_dict().items()}
    shapes |= unused(config)
    state = {}
    for number, name in enumerate(sorted(shapes)):
        i = torch.arange(torch.Size(shapes[name]).numel(), dtype=torch.float64)
        values = (i * i * 0.6180339887498949 + number * 0.41421356237309515) % 1.0 - 0.5
        if "norm" in name.lower() and name.endswith("weight"):
            values = 1 + values / 2
        elif name.startswith("mlp."):
            values = 0.3 * values
        state[name] = values.float().reshape(shapes[name])
    state[UNUSED_KEYS[0]] = torch.arange(config.num_positions)[None]
    return state


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "ImageReward.pt"
    torch.save(formula_weights(CONFIG), path)
    return path


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bert") / "vocab.txt"
    path.write_text("\n".join(GOLDEN["vocab"]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def scorer(checkpoint: Path, vocabulary: Path) -> ImageRewardScorer:
    return ImageRewardScorer(load_image_reward(checkpoint, CONFIG), vocabulary)


@pytest.fixture(scope="module")
def pixels(scorer: ImageRewardScorer) -> Tensor:
    sizes = enumerate(GOLDEN["sizes"])
    return torch.stack([scorer.pixels(formula_image(number, *size)) for number, size in sizes])


def test_rewards_equal_those_of_the_official_class(scorer: ImageRewardScorer, pixels: Tensor) -> None:
    for prompt, rewards in zip(GOLDEN["prompts"], GOLDEN["rewards"], strict=True):
        torch.testing.assert_close(
            scorer(pixels, [prompt] * len(rewards)), torch.tensor(rewards), **TOL[torch.float32]
        )


def test_a_batch_of_different_prompts_gives_each_its_own_reward(
    scorer: ImageRewardScorer, pixels: Tensor
) -> None:
    rewards = torch.tensor(GOLDEN["rewards"])
    scores = scorer(pixels, GOLDEN["prompts"][:3])
    torch.testing.assert_close(scores, rewards.diagonal(), **TOL[torch.float32])


def test_prompts_are_cut_after_35_tokens(scorer: ImageRewardScorer, pixels: Tensor) -> None:
    ids_BM, mask_BM = scorer.tokens(GOLDEN["prompts"])
    assert ids_BM.tolist() == GOLDEN["input_ids"]
    assert mask_BM.sum(dim=1).tolist() == [8, 10, 5, 35]
    assert [scorer.is_cut(prompt) for prompt in GOLDEN["prompts"]] == [False, False, False, True]
    longest = GOLDEN["prompts"][3]
    torch.testing.assert_close(scorer(pixels[:1], [longest + " cat cat"]), scorer(pixels[:1], [longest]))


def test_names_and_shapes_are_those_of_the_published_checkpoint() -> None:
    with torch.device("meta"):
        net = ImageReward(BlipConfig())
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()} | unused(BlipConfig())
    lines = sorted(f"{name} {list(shape)}" for name, shape in shapes.items())
    published = GOLDEN["published_state_dict"]
    assert len(lines) == published["num_tensors"] == 625
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == published["sha256"]


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    state = formula_weights(CONFIG)
    del state["mlp.layers.7.bias"]
    torch.save(state, tmp_path / "less.pt")
    with pytest.raises(ValueError, match=r"less\.pt is not the file that ImageReward needs: 1 missing"):
        load_image_reward(tmp_path / "less.pt", CONFIG)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="holds no weights by name"):
        load_image_reward(tmp_path / "list.pt", CONFIG)


def test_another_vocabulary_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join([*GOLDEN["vocab"], "more"]) + "\n")
    with pytest.raises(ValueError, match="with 17 words, got 18"):
        ImageRewardScorer(load_image_reward(checkpoint, CONFIG), tmp_path / "vocab.txt")


def test_the_id_tells_other_weights_apart(
    scorer: ImageRewardScorer, vocabulary: Path, tmp_path: Path
) -> None:
    state = formula_weights(CONFIG)
    state["mlp.layers.7.bias"] += 1
    torch.save(state, tmp_path / "other.pt")
    other = ImageRewardScorer(load_image_reward(tmp_path / "other.pt", CONFIG), vocabulary)
    assert other.knobs != scorer.knobs
