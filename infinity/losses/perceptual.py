"""LPIPS, the perceptual distance of arXiv 1801.03924 (version 0.1 of its weights).

The network is a trunk of torchvision (VGG16 as a training loss, AlexNet as a metric, SqueezeNet 1.1) with one
learned weight per channel on the squared difference of unit-normalised features. No weights come with this
project: those of the trunk are read from a file, or from torch hub's folder
(``$TORCH_HOME/hub/checkpoints``), the channel weights from torchmetrics, which ships them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["LPIPS", "TRUNK_FILES", "LpipsNet", "load_lpips"]

LpipsNet = Literal["vgg", "alex", "squeeze"]

TRUNK_FILES: dict[LpipsNet, str] = {
    "vgg": "vgg16-397923af.pth",
    "alex": "alexnet-owt-7be5be79.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
"""torchvision's names, which end in the first digits of the files' SHA-256."""

_CHANNELS: dict[LpipsNet, tuple[int, ...]] = {
    "vgg": (64, 128, 256, 512, 512),
    "alex": (64, 192, 384, 256, 256),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class LPIPS(nn.Module):
    """Distance of images in [-1, 1]; gradients reach the first argument, the weights are frozen.

    Attributes:
        stages: the trunk, cut after the layers that are compared; layers keep torchvision's numbers.
        channel_weights: one vector per stage.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: LpipsNet = "vgg") -> None:
        super().__init__()
        self.stages = {"vgg": _vgg16, "alex": _alexnet, "squeeze": _squeezenet}[net]()
        self.channel_weights = nn.ParameterList(nn.Parameter(torch.ones(c) / c) for c in _CHANNELS[net])
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, images_B3HW: Tensor, target_B3HW: Tensor) -> Tensor:
        """Distance per image: (B,), fp32."""
        x = (images_B3HW - self.shift) / self.scale
        with torch.no_grad():
            y = (target_B3HW - self.shift) / self.scale
        distance_B = torch.zeros(len(x), device=x.device)
        for stage, weights_C in zip(self.stages, self.channel_weights, strict=True):
            x = stage(x)
            with torch.no_grad():
                y = stage(y)
            difference_BC = (_unit(x) - _unit(y)).square().mean(dim=(2, 3))
            distance_B = distance_B + (difference_BC * weights_C).sum(dim=1)
        return distance_B


def load_lpips(net: LpipsNet = "vgg", trunk_file: Path | None = None) -> LPIPS:
    """LPIPS with its published weights; the trunk's are in torch hub's folder, if not given."""
    trunk_file = trunk_file or Path(torch.hub.get_dir()) / "checkpoints" / TRUNK_FILES[net]
    linear_file = _torchmetrics_file(net)
    if not trunk_file.is_file():
        raise FileNotFoundError(
            f"LPIPS ({net}) needs torchvision's weights {trunk_file.name} in {trunk_file.parent}: put the "
            "file there, point TORCH_HOME elsewhere, or set lpips_weight to 0"
        )
    lpips = LPIPS(net)
    trunk = torch.load(trunk_file, map_location="cpu", weights_only=True)
    linear = torch.load(linear_file, map_location="cpu", weights_only=True)
    state = {
        f"channel_weights.{k}": linear[f"lin{k}.model.1.weight"].flatten() for k in range(len(lpips.stages))
    }
    for key in lpips.state_dict():
        if key.startswith("stages."):  # stages.{stage}.{layer}.weight -> features.{layer}.weight
            state[key] = trunk["features." + key.split(".", 2)[2]]
    lpips.load_state_dict(state, strict=True)
    return lpips


def _torchmetrics_file(net: LpipsNet) -> Path:
    spec = find_spec("torchmetrics")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("LPIPS reads its channel weights from torchmetrics; install torchmetrics")
    return Path(spec.origin).parent / "functional" / "image" / "lpips_models" / f"{net}.pth"


def _unit(x_BCHW: Tensor) -> Tensor:
    # the constant is inside the root, or the gradient of an all-zero feature would be infinite
    x_BCHW = x_BCHW.float()
    return x_BCHW * (x_BCHW.square().sum(dim=1, keepdim=True) + 1e-8).rsqrt()


def _vgg16() -> nn.ModuleList:
    layers: list[nn.Module] = []
    cuts: list[int] = []
    in_channels = 3
    for channels, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        layers += [nn.MaxPool2d(2)] if layers else []
        for _ in range(repeats):
            layers += [nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU()]
            in_channels = channels
        cuts.append(len(layers))
    return _stages(layers, cuts)


def _alexnet() -> nn.ModuleList:
    layers: list[nn.Module] = [
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    ]
    return _stages(layers, [2, 5, 8, 10, 12])


class _Fire(nn.Module):
    """SqueezeNet's module; names are torchvision's."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.squeeze(x_BCHW).relu()
        return torch.cat([self.expand1x1(x_BCHW), self.expand3x3(x_BCHW)], dim=1).relu()


def _squeezenet() -> nn.ModuleList:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, stride=2), nn.ReLU()]
    in_channels = 64
    for squeezed, expanded in ((16, 64), (32, 128), (48, 192), (64, 256)):
        if squeezed != 64:
            layers.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
        for _ in range(2):
            layers.append(_Fire(in_channels, squeezed, expanded))
            in_channels = 2 * expanded
    return _stages(layers, [2, 5, 8, 10, 11, 12, 13])


def _stages(layers: list[nn.Module], cuts: list[int]) -> nn.ModuleList:
    stages = nn.ModuleList()
    for start, end in zip([0, *cuts], cuts, strict=False):
        stage = nn.Sequential()
        for i in range(start, end):
            stage.add_module(str(i), layers[i])
        stages.append(stage)
    return stages
