"""Weight files of this area."""

from __future__ import annotations

from evaluation.weights import WeightFile

__all__ = ["CLIP", "DINOV2", "INCEPTION", "statistics_of"]

INCEPTION = WeightFile(
    name="inception",
    file="weights-inception-2015-12-05-6726825d.pth",
    source="the v0.2.0 release of toshas/torch-fidelity on GitHub",
    sha256="6726825d",  # its first digits, which torch.hub puts into file names
)
DINOV2 = WeightFile(
    name="dinov2", file="dinov2-large", source="facebook/dinov2-large on the Hugging Face hub (the directory)"
)
CLIP = WeightFile(
    name="clip-336",
    file="clip-vit-large-patch14-336",
    source="openai/clip-vit-large-patch14-336 on the Hugging Face hub (the directory)",
)


def statistics_of(features: str) -> WeightFile:
    """A file of mu and sigma in place of reference images, as ADM and clean-fid publish them."""
    return WeightFile(
        name=f"{features}-statistics",
        file=f"{features}-statistics.npz",
        source="whoever publishes statistics of the references",
    )
