from __future__ import annotations

import re

import pytest

from evaluation.features import INCEPTION_SHA256
from evaluation.reports.paper import PUBLISHED, is_stand_in, published
from evaluation.results import MetricValue
from evaluation.tasks.registry import TASKS
from tests.evaluation.reports.synthetic import GENEVAL


def metric(metric_id: str, n: int = 50_000, note: str = "") -> MetricValue:
    return MetricValue(id=metric_id, value=0.5, direction="higher", n=n, note=note)


RFID = f"rfid_imagenet[inception-{INCEPTION_SHA256},tf1-bilinear-299,uint8,bilinear-256,N=50000,data=0123]"


@pytest.mark.parametrize(
    ("metric_id", "values"),
    [
        (f"{GENEVAL}/overall", [0.73]),
        (f"{GENEVAL}/position", [0.49]),
        ("imagereward[weights=0123,tokens=35,fp32,prompts=imagereward]", [0.953]),
        ("hpsv2.1[100*cos,ViT-H-14,weights=0123,resize=floats,fp16,prompts=hpsv2]", [32.05]),
        (RFID, [1.22, 0.75, 0.61, 0.33]),
    ],
)
def test_the_same_metric_has_the_papers_number(metric_id: str, values: list[float]) -> None:
    assert [one.value for one in published(metric(metric_id))] == values


@pytest.mark.parametrize(
    "metric_id",
    [
        f"{GENEVAL}/counting",  # not in the paper
        GENEVAL.replace("mask2former-", "hf-mask2former-") + "/overall",
        GENEVAL.replace("743b7d99", "01234567") + "/overall",  # by other weights, of whatever origin
        GENEVAL.replace("553", "20") + "/overall",
        "imagereward[weights=0123,tokens=35,fp32,prompts=captions]",
        "hpsv2.1[100*cos,ViT-H-14,weights=0123,resize=floats,fp16,prompts=hpsv2,style=anime]",
        RFID.replace("N=50000", "N=1000"),
        "rfid[effnet-lite0@128,64px,N=50000]",
        f"fid[inception-{INCEPTION_SHA256},tf1-bilinear-299,N=40000,ref=0123]",  # of other references
        "shapeseval[basic,64px,verifier=1]/id/overall",
    ],
)
def test_other_metrics_and_stand_ins_have_none(metric_id: str) -> None:
    assert published(metric(metric_id)) == []


def test_a_part_of_a_benchmark_and_a_noted_stand_in_have_none() -> None:
    assert published(metric(f"{GENEVAL}/overall", n=552)) == []
    assert published(metric(f"{GENEVAL}/overall", note="stand-in detector")) == []


@pytest.mark.parametrize(
    ("metric_id", "expected"),
    [
        (f"{GENEVAL}/overall", False),
        (GENEVAL.replace("mask2former-", "maskrcnn-v2-") + "/overall", True),
        ("frechet[effnet-lite0@128,uint8,N=24,ref=x]", True),
        ("psnr[64px]/after_scale_01", False),  # of a stand-in's task too
        ("psnr[64px]", False),
    ],
)
def test_stand_ins_are_told_by_the_list_of_tasks(metric_id: str, expected: bool) -> None:
    assert is_stand_in(metric(metric_id)) == expected


def test_every_number_of_the_paper_has_a_task_that_can_measure_it() -> None:
    known = {r"\{.*\}|<task>": "position", "det=mask2former-<hash>": GENEVAL.split("[")[1].split(",")[0]}
    known |= {"<P>": "553", r"N=\*": "N=50000", r"\*|<\w+>": "mplug"}
    ids = []
    for one in (template for entry in TASKS.values() for template in entry.metrics):
        for pattern, value in known.items():
            one = re.sub(pattern, value, one)
        ids.append(one)
    ids += [one.replace("553", "1065") for one in ids] + [one.replace("-256,", "-512,") for one in ids]
    ids += [one.replace("position", part) for one in ids for part in ("overall", "two_object", "color_attr")]
    unmatched = [one.text for one in PUBLISHED if not any(re.fullmatch(one.metric, name) for name in ids)]
    assert unmatched == []
