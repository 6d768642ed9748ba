"""Weight files of this area."""

from __future__ import annotations

from pathlib import Path

from evaluation.weights import WeightFile

__all__ = ["LPIPS_TRUNKS"]

_FILES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}

LPIPS_TRUNKS = {
    net: WeightFile(
        name=f"lpips-{net}",
        file=file,
        source=f"https://download.pytorch.org/models/{file} (torchvision)",
        sha256=Path(file).stem.rpartition("-")[2],
    )
    for net, file in _FILES.items()
}
"""The networks under LPIPS; its linear layers come with torchmetrics."""
