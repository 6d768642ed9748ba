"""Tasks of this area; see ``evaluation/tasks/registry.py``."""

from __future__ import annotations

from evaluation.distribution.weights import INCEPTION
from evaluation.tasks.entry import TaskEntry
from evaluation.tokenizer.weights import LPIPS_TRUNKS

__all__ = ["PROMPT_SETS", "TASKS"]

_TASKS = "evaluation.tokenizer.tasks"
_PSNR_AFTER = "psnr[*px,N=*]/after_scale_*"

TASKS: dict[str, TaskEntry] = {
    "reconstruction": TaskEntry(
        summary="PSNR, SSIM, MS-SSIM and use of bits of the tokenizer on held-out images",
        target=f"{_TASKS}:Reconstruction",
        metrics=(
            "psnr[*px,N=*]",
            "ssim[gauss11,*px,N=*]",
            "ms_ssim[gauss11,5 scales,*px,N=*]",
            "bit_usage[min=0.01,*px,N=*]/scale_*",
            "bit_entropy[*px,N=*]/scale_*",
        ),
        needs=("data", "pipeline"),
    ),
    "scales": TaskEntry(
        summary="PSNR and rFID of the tokenizer after the first k scales, for every k",
        target=f"{_TASKS}:PerScale",
        metrics=(
            "rfid[inception-6726825d,tf1-bilinear-299,*px,N=*]/after_scale_*",
            _PSNR_AFTER,
        ),
        direction="lower",
        higher=(_PSNR_AFTER,),
        weights=(INCEPTION,),
        options={"features": "inception"},
        needs=("data", "pipeline"),
    ),
    "scales-effnet": TaskEntry(
        summary="The same on EfficientNet-Lite0's features",
        target=f"{_TASKS}:PerScale",
        metrics=("rfrechet[effnet-lite0@128,*px,N=*]/after_scale_*", _PSNR_AFTER),
        direction="lower",
        higher=(_PSNR_AFTER,),
        options={"features": "effnet"},
        needs=("data", "pipeline"),
        stand_in_for="scales",
    ),
    "recoding": TaskEntry(
        summary="Share of its bits and tokens that the tokenizer finds again in its reconstructions",
        target=f"{_TASKS}:Recoding",
        metrics=("recoded_bit_accuracy[*px,N=*]/scale_*", "recoded_token_accuracy[*px,N=*]/scale_*"),
        needs=("data", "pipeline"),
    ),
    **{
        f"lpips-{net}": TaskEntry(
            summary=f"LPIPS of the tokenizer on held-out images, on {weight.file.split('-')[0]}",
            target="evaluation.tokenizer.perceptual:Lpips",
            metrics=(f"lpips[{net}-{weight.sha256},v0.1,*px,N=*]",),
            direction="lower",
            weights=(weight,),
            options={"net": net},
            needs=("data", "pipeline"),
        )
        for net, weight in LPIPS_TRUNKS.items()
    },
}

PROMPT_SETS: dict[str, str] = {}
