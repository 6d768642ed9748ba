"""The paper's numbers (arXiv 2412.04431), each with the metric that it may stand beside.

Only a number of the same metric, by the same protocol and of images of the same size, is shown beside a
measured one. Where nobody has published a hash of the weights (or data) behind a number, it says that they
are not verified. The paper's FIDs are of validation sets that are not public, so that no id matches them; a
stand-in never has a published metric's name and weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.features import INCEPTION_SHA256
from evaluation.geneval.weight_files import MASK2FORMER
from evaluation.reports.facts import configs_of
from evaluation.results import MetricValue, Result
from evaluation.tasks.entry import fits
from evaluation.tasks.registry import TASKS
from infinity.schedules import Resolution

__all__ = ["PUBLISHED", "Published", "is_stand_in", "published"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A number of the paper.

    Args:
        metric: what the id of a measured metric has to match; whole benchmarks only.
        setting: of what model, how and where in the paper.
        unverified: what no published hash tells to be the paper's.
        side: of the paper's square images in pixels, where the id does not say it.
    """

    metric: str
    value: float
    setting: str
    unverified: str = ""
    side: int | None = 1024

    @property
    def text(self) -> str:
        doubt = f"; {self.unverified} not verified" if self.unverified else ""
        return f"{self.value:g} ({self.setting}{doubt})"


_TABLE_1, _TABLE_2 = "Infinity-2B at 1024 px, Table 1", "Infinity-2B at 1024 px, Table 2"
_REWRITTEN = "Infinity-2B at 1024 px, rewritten prompts, Table 1"
_GENEVAL = rf"geneval\[det=mask2former-{MASK2FORMER.sha256},[^\]]*,prompts=553,images=2212\]"
_DPG = r"dpg_bench\[vqa=mplug[^\]]*,mode=official,prompts=1065,images=4260\]"
_IMAGE_REWARD = r"imagereward\[weights=\w+,tokens=35,fp32,prompts=imagereward,images=1000\]"
_HPS = r"hpsv2\.1\[100\*cos,ViT-H-14,weights=\w+,resize=floats,fp16,prompts=hpsv2,images=3200\]"
_RFID = rf"rfid_imagenet\[inception-{INCEPTION_SHA256},[^\]]*-%d,N=50000[^\]]*\]"

PUBLISHED: tuple[Published, ...] = (
    *(
        Published(metric=f"{_GENEVAL}/{part}", value=value, setting=_REWRITTEN, unverified=unverified)
        for part, value, unverified in (
            ("overall", 0.73, "CLIP's weights"),  # which tells colours
            ("two_object", 0.85, ""),
            ("position", 0.49, ""),
            ("color_attr", 0.57, "CLIP's weights"),
        )
    ),
    Published(metric=_DPG, value=83.5, setting=_TABLE_1, unverified="mPLUG's weights"),
    Published(metric=_IMAGE_REWARD, value=0.953, setting=_TABLE_2, unverified="weights"),
    Published(metric=_HPS, value=32.05, setting=_TABLE_2, unverified="weights"),
    *(
        Published(
            metric=_RFID % size,
            value=value,
            setting=f"tokenizer of {bits} bits, Table 4",
            unverified="data",
            side=None,
        )
        for size, values in ((256, (1.22, 0.75, 0.61, 0.33)), (512, (0.31, 0.30, 0.23, 0.15)))
        for bits, value in zip((16, 24, 32, 64), values, strict=True)
    ),
)


def published(metric: MetricValue, result: Result) -> list[Published]:
    """The paper's numbers of this very metric of a result; none for a stand-in."""
    if is_stand_in(metric):
        return []
    sides = {_side(config) for config in configs_of(result)} - {None}
    return [
        one
        for one in PUBLISHED
        if re.fullmatch(one.metric, metric.id) and (one.side is None or sides == {one.side})
    ]


def _side(config: Mapping[str, Any]) -> int | None:
    """Of the square images that a run's model draws; None where its record does not say."""
    try:
        return Resolution(**config["resolution"]).image_size(1.0)[0]
    except (KeyError, TypeError, ValueError):
        return None


def is_stand_in(metric: MetricValue) -> bool:
    """Whether a metric stands in for a published one: its note says so, or the list of tasks does."""
    if "stand-in" in metric.note:
        return True
    claims = {
        entry.stand_in_for != ""
        for entry in TASKS.values()
        for template in entry.metrics
        if fits(template, metric.id)
    }
    return claims == {True}
