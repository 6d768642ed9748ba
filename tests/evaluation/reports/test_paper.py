from __future__ import annotations

import re
from typing import Any

import pytest

from evaluation.features import INCEPTION_SHA256
from evaluation.provenance import Provenance
from evaluation.reports.paper import PUBLISHED, is_stand_in, published
from evaluation.results import MetricValue, Result, merge_results
from evaluation.tasks.registry import TASKS
from tests.evaluation.reports.synthetic import GENEVAL

AT_1024 = {"resolution": {"stride": 16, "pixels": "1M", "sides": [], "aspect_ratios": [1.0]}}
AT_256 = {"resolution": {"stride": 16, "pixels": "0.06M", "sides": [], "aspect_ratios": [1.0]}}
RFID = f"rfid_imagenet[inception-{INCEPTION_SHA256},tf1-bilinear-299,uint8,bilinear-256,N=50000,data=0123]"
IMAGE_REWARD = "imagereward[weights=0123,tokens=35,fp32,prompts=imagereward,images=1000]"
HPS = "hpsv2.1[100*cos,ViT-H-14,weights=0123,resize=floats,fp16,prompts=hpsv2,images=3200]"
DPG = "dpg_bench[vqa=mplug-large-0123,fp32,mode=official,prompts=1065,images=4260]"


def metric(metric_id: str, n: int = 2212, note: str = "") -> MetricValue:
    return MetricValue(id=metric_id, value=0.5, direction="higher", n=n, note=note)


def result(config: dict[str, Any], name: str = "run") -> Result:
    provenance = Provenance(date="2026-01-01", git_sha="0", git_dirty=False, versions={}, hardware={})
    return Result(name=name, metrics=(), provenance=provenance, config=config)


def numbers(one: MetricValue, config: dict[str, Any] = AT_1024) -> list[str]:
    return [number.text for number in published(one, result(config))]


@pytest.mark.parametrize(
    ("metric_id", "n", "texts"),
    [
        (
            f"{GENEVAL}/overall",
            2212,
            ["0.73 (Infinity-2B at 1024 px, rewritten prompts, Table 1; CLIP's weights not verified)"],
        ),
        (f"{GENEVAL}/position", 400, ["0.49 (Infinity-2B at 1024 px, rewritten prompts, Table 1)"]),
        (IMAGE_REWARD, 1000, ["0.953 (Infinity-2B at 1024 px, Table 2; weights not verified)"]),
        (HPS, 3200, ["32.05 (Infinity-2B at 1024 px, Table 2; weights not verified)"]),
        (DPG, 4240, ["83.5 (Infinity-2B at 1024 px, Table 1; mPLUG's weights not verified)"]),
        (
            RFID,
            50_000,
            [
                f"{value} (tokenizer of {bits} bits, Table 4; data not verified)"
                for value, bits in ((1.22, 16), (0.75, 24), (0.61, 32), (0.33, 64))
            ],
        ),
    ],
)
def test_the_same_metric_has_the_papers_number_and_what_is_not_known_of_it(
    metric_id: str, n: int, texts: list[str]
) -> None:
    assert numbers(metric(metric_id, n)) == texts


@pytest.mark.parametrize(
    "metric_id",
    [
        f"{GENEVAL}/counting",  # not in the paper
        GENEVAL.replace("mask2former-", "hf-mask2former-") + "/overall",
        GENEVAL.replace("743b7d99", "01234567") + "/overall",  # by other weights, of whatever origin
        GENEVAL.replace("553", "20") + "/overall",
        GENEVAL.replace("2212", "553") + "/overall",  # one image of each prompt instead of four
        DPG.replace("4260", "1065"),
        DPG.replace("mplug", "qwen"),
        DPG.replace("official", "fixed"),
        IMAGE_REWARD.replace("prompts=imagereward", "prompts=captions"),
        HPS.replace("fp16", "bf16"),
        HPS.replace("prompts=hpsv2", "prompts=hpsv2,style=anime"),
        RFID.replace("N=50000", "N=1000"),
        "rfid[effnet-lite0@128,64px,N=50000]",
        f"fid[inception-{INCEPTION_SHA256},tf1-bilinear-299,N=40000,ref=0123]",  # of other references
        "shapeseval[basic,64px,verifier=1]/id/overall",
    ],
)
@pytest.mark.parametrize("n", [1000, 2212, 3200, 50_000])
def test_other_metrics_and_stand_ins_have_none(metric_id: str, n: int) -> None:
    assert numbers(metric(metric_id, n)) == []


@pytest.mark.parametrize("metric_id", [IMAGE_REWARD.replace("1000", "100"), HPS.replace("3200", "400")])
def test_a_part_of_a_benchmark_has_none(metric_id: str) -> None:
    assert numbers(metric(metric_id)) == []


@pytest.mark.parametrize("config", [AT_256, {}, {"resolution": "1M"}, {"resolution": {"pixels": "2M"}}])
def test_images_of_another_or_unknown_size_have_none(config: dict[str, Any]) -> None:
    assert numbers(metric(f"{GENEVAL}/overall"), config) == []
    assert numbers(metric(RFID), config)  # whose id has the size


def test_merged_results_have_the_size_of_their_parts() -> None:
    overall = metric(f"{GENEVAL}/overall")
    assert published(overall, merge_results([result(AT_1024, "a"), result({}, "b")]))
    assert not published(overall, merge_results([result(AT_1024, "a"), result(AT_256, "b")]))


def test_a_noted_stand_in_has_none() -> None:
    assert numbers(metric(f"{GENEVAL}/overall", note="stand-in detector")) == []


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
    known |= {"(?<=imagereward,images=)<N>": "1000", "(?<=hpsv2,images=)<N>": "3200"}
    known |= {r"bilinear-\*": "bilinear-256"}
    known |= {"<P>": "553", "<N>": "2212", r"N=\*": "N=50000", r"\*|<\w+>": "mplug"}
    known |= {"100mplugcos": "100*cos"}
    ids = []
    for one in (template for entry in TASKS.values() for template in entry.metrics):
        for pattern, value in known.items():
            one = re.sub(pattern, value, one)
        ids.append(one)
    ids += [one.replace("553", "1065").replace("2212", "4260") for one in ids]
    ids += [one.replace("-256,", "-512,") for one in ids]
    ids += [one.replace("position", part) for one in ids for part in ("overall", "two_object", "color_attr")]
    unmatched = [one.text for one in PUBLISHED if not any(re.fullmatch(one.metric, name) for name in ids)]
    assert unmatched == []
