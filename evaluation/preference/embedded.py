"""Stand-in for CLIPScore that needs no download: two small encoders that learn the data's own captions.

Frozen features of EfficientNet-Lite0 and of hashed n-grams, each with a linear head, trained with InfoNCE
(arXiv 2103.00020, figure 3) on the train split. It knows the words of that data and nothing else, so its
number compares models of one data set; it is not CLIPScore.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from evaluation.features import EfficientNetLite0Features
from evaluation.preference.captioned import captioned_images
from evaluation.tasks.api import EvalContext
from infinity.json_files import read_json
from infinity.text.hashing import HashingTextConfig, HashingTextEncoder

__all__ = ["EmbeddedScorer", "TwoTowers", "load_embedded", "train_towers"]

Pair = tuple[np.ndarray, str]
"""An image (RGB uint8) with its caption."""

_INPUT_SIZE = 64
_NUM_TRAIN, _NUM_HELD_OUT = 2048, 256
_WIDTH = 64
_BATCH, _LEARNING_RATE, _WEIGHT_DECAY = 256, 2e-3, 0.1


class Tower(nn.Module):
    """Features to unit vectors: standardised, then a linear map.

    Args:
        features_NF: of the training data, whose mean and deviation are taken.
    """

    def __init__(self, features_NF: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", features_NF.mean(dim=0))
        self.register_buffer("scale", 1 / (features_NF.std(dim=0) + 1e-3))
        self.head = nn.Linear(features_NF.shape[1], _WIDTH)

    def forward(self, features_BF: Tensor) -> Tensor:
        return F.normalize(self.head((features_BF - self.mean) * self.scale), dim=-1)


class TwoTowers(nn.Module):
    """Images and texts in one space."""

    def __init__(self, images_NF: Tensor, texts_NE: Tensor) -> None:
        super().__init__()
        self.image, self.text = Tower(images_NF), Tower(texts_NE)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))


def train_towers(
    images_NF: Tensor, texts_NE: Tensor, captions: Sequence[str], *, seed: int = 0, num_steps: int = 400
) -> TwoTowers:
    """Towers under which an image is nearer to its caption than to other images' captions.

    Args:
        captions: images that share one are right answers for each other.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        towers = TwoTowers(images_NF, texts_NE).to(images_NF.device)
    numbers = {caption: number for number, caption in enumerate(dict.fromkeys(captions))}
    labels_N = torch.tensor([numbers[caption] for caption in captions], device=images_NF.device)
    optimizer = torch.optim.AdamW(towers.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    for _ in range(num_steps):
        chosen = torch.randperm(len(labels_N), generator=generator)[:_BATCH]
        logits_BB = towers.log_scale.exp() * towers.image(images_NF[chosen]) @ towers.text(texts_NE[chosen]).T
        same_BB = (labels_N[chosen][:, None] == labels_N[chosen]).float()
        target_BB = same_BB / same_BB.sum(dim=1, keepdim=True)  # symmetric, as equality is
        loss = F.cross_entropy(logits_BB, target_BB) + F.cross_entropy(logits_BB.T, target_BB)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return towers.requires_grad_(False)


class EmbeddedScorer:
    """Cosine of an image and its prompt under trained heads."""

    name = "clipscore_embedded"
    lowest_mean = -math.inf

    def __init__(self, data: Path, device: str = "cpu", seed: int = 0) -> None:
        self._device = device
        self._extract = EfficientNetLite0Features(_INPUT_SIZE, device)
        self._encoder = HashingTextEncoder(HashingTextConfig(width=512, position_weight=0.0))
        self.max_tokens: int | None = self._encoder.max_len
        train, held_out = (
            _several_captions(data, split, num)
            for split, num in (("train", _NUM_TRAIN), ("val", _NUM_HELD_OUT))
        )
        images_NF, texts_NE, captions = self._features(train)
        self._towers = train_towers(images_NF, texts_NE, captions, seed=seed)
        self.knobs = ",".join(
            (
                "cos",
                self._extract.id,
                self._encoder.fingerprint,
                f"data={_fingerprint(data)}",
                f"pairs={len(train)}",
                f"seed={seed}",
            )
        )
        self.caveats = (self._held_out_accuracy(held_out),)

    def pixels(self, image_HW3: np.ndarray) -> Tensor:
        """Bytes (3, 64, 64), of the whole image."""
        square = Image.fromarray(image_HW3).resize((_INPUT_SIZE, _INPUT_SIZE), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1)

    def is_cut(self, text: str) -> bool:
        before = self._encoder.num_truncated
        self._encoder.encode([text])
        return self._encoder.num_truncated > before

    def __call__(self, pixels_B3HW: Tensor, texts: Sequence[str]) -> Tensor:
        images_BC = self._towers.image(self._image_features(pixels_B3HW))
        return (images_BC * self._towers.text(self._text_features(texts))).sum(dim=-1)

    def _image_features(self, pixels_B3HW: Tensor) -> Tensor:
        images_NHW3 = pixels_B3HW.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return torch.from_numpy(self._extract(images_NHW3)).float().to(self._device)

    def _text_features(self, texts: Sequence[str]) -> Tensor:
        states_BME, mask_BM = self._encoder.encode(list(texts))
        return (states_BME.sum(dim=1) / mask_BM.sum(dim=1, keepdim=True)).to(self._device)

    def _features(self, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor, list[str]]:
        captions = [caption for _, caption in pairs]
        pixels_N3HW = torch.stack([self.pixels(image) for image, _ in pairs])
        return self._image_features(pixels_N3HW), self._text_features(captions), captions

    @torch.inference_mode()
    def _held_out_accuracy(self, pairs: Sequence[Pair]) -> str:
        """How good it is: whether held-out images are nearer to their captions than to others'."""
        images_NF, texts_NE, captions = self._features(pairs)
        cosines_NN = self._towers.image(images_NF) @ self._towers.text(texts_NE).T
        others_NN = torch.tensor([[one != other for other in captions] for one in captions]).to(self._device)
        nearer = (cosines_NN.diagonal()[:, None] > cosines_NN)[others_NN].float().mean()
        return (
            f"{self.name} is a stand-in trained on the data's captions: {float(nearer):.0%} of comparisons "
            f"of the right caption with another's go the right way on {len(pairs)} held-out images (50% is "
            "chance)"
        )


def _several_captions(data: Path, split: str, limit: int) -> list[Pair]:
    pairs = list(captioned_images(data, split, limit))
    if len({caption for _, caption in pairs}) < 2:
        raise ValueError(
            f"{data / split} must hold images with different captions to tell apart; add captions"
        )
    return pairs


def _fingerprint(data: Path) -> str:
    index = data / "train" / "index.json"
    if not index.is_file():
        raise ValueError(f"{data / 'train'} has no index; make it with `python -m datamodules index`")
    return read_json(index)["fingerprint"][:8]


def load_embedded(context: EvalContext) -> EmbeddedScorer:
    """Train it on the context's data, which takes a core about ten seconds."""
    if context.data is None:
        raise ValueError("clipscore_embedded learns from a data set's captions; name one with --data")
    return EmbeddedScorer(context.data, context.device, context.seed)
