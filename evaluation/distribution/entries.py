"""Tasks of this area; see ``evaluation/tasks/registry.py``."""

from __future__ import annotations

from evaluation.distribution.weights import CLIP, DINOV2, INCEPTION
from evaluation.results import Direction
from evaluation.tasks.entry import TaskEntry
from evaluation.weights import WeightFile

__all__ = ["PROMPT_SETS", "TASKS"]

_MANIFOLDS = ("precision", "recall", "density", "coverage")
_SUBSETS, _SPLITS = "subsets=*,seed=2020", "splits=*,seed=2020"


def _entry(
    summary: str,
    features: str,
    metrics: tuple[str, ...],
    ids: tuple[str, ...],
    weights: tuple[WeightFile, ...] = (),
    *,
    direction: Direction = "lower",
    stand_in_for: str = "",
) -> TaskEntry:
    return TaskEntry(
        summary=summary,
        target="evaluation.distribution.task:DistributionTask",
        metrics=ids,
        direction=direction,
        weights=weights,
        options={"features": features, "metrics": metrics},
        needs=("data",),
        stand_in_for=stand_in_for,
    )


def _pixel_metrics(filter: str) -> tuple[str, ...]:
    return f"psnr_imagenet[{filter}-*,N=*,data=*]", f"ssim_imagenet[gauss11,{filter}-*,N=*,data=*]"


_TF1 = "inception-6726825d,tf1-bilinear-299,uint8"
_CLEAN = "inception-6726825d,pil-bicubic-299,uint8"
_LEGACY = "inception-6726825d,infinity-legacy-299,uint8"
_DINO = "dinov2-*,pil-bicubic-224,uint8"
_EFFNET = "effnet-lite0@128,uint8"
_RECONSTRUCTION = "evaluation.tokenizer.imagenet:ImageNetReconstruction"

TASKS: dict[str, TaskEntry] = {
    "fid": _entry(
        "Fréchet Inception distance, as TensorFlow and ADM compute it, and its limit of infinite images",
        "inception",
        ("fid", "fid_inf"),
        (f"fid[{_TF1},N=*,ref=*]", f"fid_inf[{_TF1},seed=*,N=*,ref=*]"),
        (INCEPTION,),
    ),
    "fid-clean": _entry(
        "FID with clean-fid's resizing",
        "inception-clean",
        ("fid",),
        (f"clean_fid[{_CLEAN},N=*,ref=*]",),
        (INCEPTION,),
    ),
    "fid-infinity-legacy": _entry(
        "FID as Infinity's published script preprocesses images; comparable to nothing else",
        "inception-infinity",
        ("fid",),
        (f"fid_infinity_legacy[{_LEGACY},N=*,ref=*]",),
        (INCEPTION,),
    ),
    "kid": _entry(
        "Kernel Inception distance, unbiased at any number of images",
        "inception",
        ("kid",),
        (f"kid[{_TF1},{_SUBSETS},N=*,ref=*]",),
        (INCEPTION,),
    ),
    "inception-score": _entry(
        "Inception Score",
        "inception",
        ("is",),
        (f"is[{_TF1},{_SPLITS},N=*]",),
        (INCEPTION,),
        direction="higher",
    ),
    "prdc": _entry(
        "Precision, recall, density and coverage of Inception's features",
        "inception",
        _MANIFOLDS,
        tuple(f"{name}[{_TF1},k={k},N=*,ref=*]" for name, k in zip(_MANIFOLDS, (3, 3, 5, 5), strict=True)),
        (INCEPTION,),
        direction="higher",
    ),
    "fd-dinov2": _entry(
        "Fréchet distance of DINOv2's features, nearer to people's judgement than FID",
        "dinov2",
        ("fid", "fid_inf"),
        (f"fd_dinov2[{_DINO},N=*,ref=*]", f"fd_inf_dinov2[{_DINO},seed=*,N=*,ref=*]"),
        (DINOV2,),
    ),
    "cmmd": _entry(
        "Maximum mean discrepancy of CLIP's embeddings, good at few images",
        "clip",
        ("cmmd",),
        ("cmmd[clip-*,centre-crop,pil-bicubic-336,uint8,sigma=10,N=*,ref=*]",),
        (CLIP,),
    ),
    "frechet-effnet": _entry(
        "Fréchet distance of EfficientNet-Lite0's features, and its limit of infinite images",
        "effnet",
        ("fid", "fid_inf"),
        (f"frechet[{_EFFNET},N=*,ref=*]", f"frechet_inf[{_EFFNET},seed=*,N=*,ref=*]"),
        stand_in_for="fid",
    ),
    "cubic-mmd-effnet": _entry(
        "Kernel distance of EfficientNet-Lite0's features",
        "effnet",
        ("kid",),
        (f"cubic_mmd[{_EFFNET},{_SUBSETS},N=*,ref=*]",),
        stand_in_for="kid",
    ),
    "class-score-effnet": _entry(
        "Inception Score's formula on EfficientNet-Lite0's classes",
        "effnet",
        ("is",),
        (f"class_score[{_EFFNET},{_SPLITS},N=*]",),
        direction="higher",
        stand_in_for="inception-score",
    ),
    "manifolds-effnet": _entry(
        "Precision, recall, density and coverage of EfficientNet-Lite0's features",
        "effnet",
        _MANIFOLDS,
        tuple(
            f"features_{name}[{_EFFNET},k={k},N=*,ref=*]"
            for name, k in zip(_MANIFOLDS, (3, 3, 5, 5), strict=True)
        ),
        direction="higher",
        stand_in_for="prdc",
    ),
    "gaussian-mmd-effnet": _entry(
        "CMMD's formula on EfficientNet-Lite0's features",
        "effnet",
        ("cmmd",),
        (f"gaussian_mmd[{_EFFNET},sigma=10,N=*,ref=*]",),
        stand_in_for="cmmd",
    ),
    "rfid-imagenet": TaskEntry(
        summary="rFID, PSNR and SSIM of the tokenizer by ImageNet's protocol (50,000 validation images)",
        target=_RECONSTRUCTION,
        metrics=(f"rfid_imagenet[{_TF1},bilinear-*,N=*,data=*]", *_pixel_metrics("bilinear")),
        direction="lower",
        higher=_pixel_metrics("bilinear"),
        weights=(INCEPTION,),
        options={"features": "inception"},
        needs=("data", "pipeline"),
    ),
    "rfid-imagenet-lanczos": TaskEntry(
        summary="The same with images scaled by the Lanczos filter",
        target=_RECONSTRUCTION,
        metrics=(f"rfid_imagenet[{_TF1},lanczos-*,N=*,data=*]", *_pixel_metrics("lanczos")),
        direction="lower",
        higher=_pixel_metrics("lanczos"),
        weights=(INCEPTION,),
        options={"features": "inception", "filter": "lanczos"},
        needs=("data", "pipeline"),
    ),
    "rfrechet-imagenet-effnet": TaskEntry(
        summary="The same protocol on EfficientNet-Lite0's features",
        target=_RECONSTRUCTION,
        metrics=(f"rfrechet_imagenet[{_EFFNET},bilinear-*,N=*,data=*]", *_pixel_metrics("bilinear")),
        direction="lower",
        higher=_pixel_metrics("bilinear"),
        options={"features": "effnet"},
        needs=("data", "pipeline"),
        stand_in_for="rfid-imagenet",
    ),
}

PROMPT_SETS: dict[str, str] = {}
