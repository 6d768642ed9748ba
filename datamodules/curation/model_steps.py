"""Steps that run a network of published weights, given as local files; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from datamodules.curation.step import BoundedStep, register
from datamodules.decode import BrokenSampleError
from datamodules.sample_files import StoredSample

if TYPE_CHECKING:  # imported when a model is: `--list` and `--help` needn't wait for torch
    import torch
    from PIL import Image
    from torch import Tensor, nn

__all__ = ["Aesthetic", "Watermark"]


@dataclass(frozen=True, kw_only=True)
class _ModelStep(BoundedStep):
    """A step that runs a network on batches of images.

    Args:
        device: where the network runs; the GPU if there is one.
    """

    device: str = "auto"

    in_processes: ClassVar[bool] = False

    def scores(self, samples: Iterable[StoredSample]) -> list[Any]:
        import torch

        results: list[Any] = []
        pixels: list[Tensor] = []
        for sample in samples:
            try:
                pixels.append(self._prepare(sample.image))
                results.append(None)
            except BrokenSampleError as error:
                results.append(error)
        if pixels:
            with torch.inference_mode():
                predicted = iter(self._predict(torch.stack(pixels).to(self._torch_device)).tolist())
            results = [next(predicted) if result is None else result for result in results]
        return results

    def _prepare(self, image: Image.Image) -> Tensor:
        raise NotImplementedError

    def _predict(self, images_B3HW: Tensor) -> Tensor:
        """Scores (B,)."""
        raise NotImplementedError

    @cached_property
    def _torch_device(self) -> torch.device:
        import torch

        return torch.device(
            ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device
        )


@register("aesthetic")
@dataclass(frozen=True, kw_only=True)
class Aesthetic(_ModelStep):
    """Drop ugly images: LAION's Aesthetic-V2 (paper, Data Curation), a head on CLIP's image embedding.

    Args:
        clip_weights: weights of `clip_model` in a format that open_clip reads.
        head_weights: the predictor's layers, with the published names (``layers.0.weight`` ...).
        clip_model: its name in open_clip.
    """

    clip_weights: str = ""
    head_weights: str = ""
    clip_model: str = "ViT-L-14-quickgelu"

    score_is: ClassVar[str] = "predicted rating, about 1 to 10; LAION-Aesthetics takes 4.5 and more"
    packages: ClassVar[tuple[str, ...]] = ("open_clip_torch",)

    @property
    def weights(self) -> dict[str, str]:
        return {
            "clip_weights": "open_clip_model.safetensors of "
            "timm/vit_large_patch14_clip_224.openai at Hugging Face",
            "head_weights": "sac+logos+ava1-l14-linearMSE.pth of improved-aesthetic-predictor by "
            "christophschuhmann at GitHub",
        }

    def _prepare(self, image: Image.Image) -> Tensor:
        return self._models[1](image)

    def _predict(self, images_B3HW: Tensor) -> Tensor:
        from torch.nn.functional import normalize

        clip, _, head = self._models
        return head(normalize(clip.encode_image(images_B3HW).float(), dim=-1))[:, 0]

    @cached_property
    def _models(self) -> tuple[nn.Module, Any, nn.Module]:
        import open_clip
        import torch

        clip, _, prepare = open_clip.create_model_and_transforms(
            self.clip_model, pretrained=self.clip_weights
        )
        state = torch.load(self.head_weights, map_location="cpu", weights_only=True)
        head = aesthetic_head(state["layers.0.weight"].shape[1])
        head.load_state_dict({name.removeprefix("layers."): value for name, value in state.items()})
        return clip.to(self._torch_device).eval(), prepare, head.to(self._torch_device).eval()


def aesthetic_head(width: int) -> nn.Sequential:
    """The published predictor: linear layers alone; dropout is there for the numbers in their names."""
    from torch import nn

    return nn.Sequential(
        nn.Linear(width, 1024),
        nn.Dropout(0.2),
        nn.Linear(1024, 128),
        nn.Dropout(0.2),
        nn.Linear(128, 64),
        nn.Dropout(0.1),
        nn.Linear(64, 16),
        nn.Linear(16, 1),
    )


@register("watermark")
@dataclass(frozen=True, kw_only=True)
class Watermark(_ModelStep):
    """Drop watermarked images: LAION-5B's detector, an EfficientNet-B3 at 256 x 256.

    Args:
        network_weights: the published state dict.
    """

    max: float = 0.5
    network_weights: str = ""

    score_is: ClassVar[str] = "probability of a watermark"
    packages: ClassVar[tuple[str, ...]] = ("timm",)

    @property
    def weights(self) -> dict[str, str]:
        return {"network_weights": "watermark_model_v1.pt of LAION-AI/LAION-5B-WatermarkDetection at GitHub"}

    def _prepare(self, image: Image.Image) -> Tensor:
        from torchvision.transforms.v2 import functional as F

        pixels = F.pil_to_tensor(image.resize((256, 256), 2)).float() / 255  # 2 = bilinear, as in training
        return F.normalize(pixels, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])

    def _predict(self, images_B3HW: Tensor) -> Tensor:
        return self._network(images_B3HW).softmax(1)[:, 0]

    @cached_property
    def _network(self) -> nn.Module:
        import torch

        network = watermark_network()
        network.load_state_dict(torch.load(self.network_weights, map_location="cpu", weights_only=True))
        return network.to(self._torch_device).eval()


def watermark_network() -> nn.Module:
    """The published network; its classes are (watermark, clear)."""
    import timm
    from torch import nn

    network = timm.create_model("efficientnet_b3", pretrained=False, num_classes=2)
    network.classifier = nn.Sequential(
        nn.Linear(network.num_features, 625),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(625, 256),
        nn.ReLU(),
        nn.Linear(256, 2),
    )
    return network
