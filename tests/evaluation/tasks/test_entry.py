"""The list of tasks has a template for every id that a task gives a metric."""

from __future__ import annotations

import pytest

from evaluation.tasks.entry import fits
from evaluation.tasks.registry import TASKS

INCEPTION = "inception-6726825d,tf1-bilinear-299,uint8"

# Of tasks that need no weights, tests/integration/test_evaluation.py looks at all the ids there are.
IDS = [
    ("fid", f"fid[{INCEPTION},N=30000,ref=0a1b2c3d]", "lower"),
    ("fid", f"fid_inf[{INCEPTION},seed=0,N=30000,ref=0a1b2c3d]", "lower"),
    ("kid", f"kid[{INCEPTION},subsets=1x64,seed=2020,N=64,ref=0a1b2c3d]", "lower"),
    ("inception-score", f"is[{INCEPTION},splits=8,seed=2020,N=8]", "higher"),
    ("prdc", f"density[{INCEPTION},k=5,N=64,ref=0a1b2c3d]", "higher"),
    ("cmmd", "cmmd[clip-0a1b2c3d,centre-crop,pil-bicubic-336,uint8,sigma=10,N=9,ref=0a1b2c3d]", "lower"),
    ("rfid-imagenet", f"rfid_imagenet[{INCEPTION},bilinear-512,N=50000,data=0a1b2c3d]", "lower"),
    ("rfid-imagenet", "psnr_imagenet[bilinear-512,N=50000,data=0a1b2c3d]", "higher"),
    ("rfid-imagenet-lanczos", "ssim_imagenet[gauss11,lanczos-256,N=50000,data=0a1b2c3d]", "higher"),
    ("scales", "rfid[inception-6726825d,tf1-bilinear-299,256px,N=500]/after_scale_03", "lower"),
    ("scales", "psnr[256px,N=500]/after_scale_03", "higher"),
    (
        "geneval",
        "geneval[det=mask2former-743b7d99,clip=ViT-L-14-quickgelu,weights=0a1b2c3d,prompts=553,images=2212]"
        "/color_attr",
        "higher",
    ),
    ("dsg", "dsg[vqa=mplug,recorded,mode=official,prompts=1060,images=1060]", "higher"),
    (
        "dsg",
        "dsg[vqa=Qwen3-VL-0a1b2c3d,bfloat16,instruction=Answer yes or no.,mode=fixed,prompts=9,images=9]",
        "higher",
    ),
    ("vqascore", "vqascore[vqa=mplug,recorded,template=paper,set=captions,prompts=9,images=9]", "higher"),
    ("text_rendering", "ocr_exact[rapidocr-1.4.4@736,prompts=100,images=400]", "higher"),
    ("text_rendering", "ocr_wer[rapidocr-1.4.4@736,prompts=100,images=400]", "lower"),
]


@pytest.mark.parametrize(("task", "metric_id", "direction"), IDS)
def test_ids_are_listed_with_their_direction(task: str, metric_id: str, direction: str) -> None:
    entry = TASKS[task]
    assert [entry.direction_of(one) for one in entry.metrics if fits(one, metric_id)] == [direction]


def test_words_in_brackets_stand_for_anything_and_all_else_for_itself() -> None:
    assert fits("a[<size>,k=*]/{one,<two>}", "a[64 x 64,k=[3]]/other")
    assert not fits("a[k=3]", "a[k=4]")
    assert not fits("a[k=3]", "ak=3")
    assert not fits("psnr[*px]", "psnr[64px]/after_scale_01")
