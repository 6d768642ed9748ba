"""The paper's numbers (arXiv 2412.04431), each with the metric that it may stand beside.

Only a number of the same metric is shown beside a measured one. The paper's FIDs are of validation sets that
are not public, so that no id matches them; a stand-in never has a published metric's name and weights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from evaluation.features import INCEPTION_SHA256
from evaluation.geneval.weight_files import MASK2FORMER
from evaluation.results import MetricValue
from evaluation.tasks.registry import TASKS

__all__ = ["PUBLISHED", "Published", "is_stand_in", "published"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A number of the paper.

    Args:
        metric: what the id of a measured metric has to match; whole benchmarks only.
        setting: of what model, how and where in the paper.
        num_images: how many images at least are behind a number that may stand beside it.
    """

    metric: str
    value: float
    setting: str
    num_images: int

    @property
    def text(self) -> str:
        return f"{self.value:g} ({self.setting})"


_REWRITTEN, _TABLE_1 = "Infinity-2B, rewritten prompts, Table 1", "Infinity-2B, Table 1"
_TABLE_2 = "Infinity-2B, Table 2"
_GENEVAL = rf"geneval\[det=mask2former-{MASK2FORMER.sha256},[^\]]*,prompts=553,[^\]]*\]"
_DPG = r"dpg_bench\[vqa=mplug[^\]]*,mode=official,prompts=1065,[^\]]*\]"
_RFID = rf"rfid_imagenet\[inception-{INCEPTION_SHA256},[^\]]*-%d,[^\]]*N=50000[^\]]*\]"

PUBLISHED: tuple[Published, ...] = (
    *(
        Published(metric=f"{_GENEVAL}/{part}", value=value, setting=_REWRITTEN, num_images=num)
        for part, value, num in (
            ("overall", 0.73, 553),
            ("two_object", 0.85, 99),
            ("position", 0.49, 100),
            ("color_attr", 0.57, 100),
        )
    ),
    Published(metric=_DPG, value=83.5, setting=_TABLE_1, num_images=1065),
    Published(metric=r"imagereward\[.*,prompts=imagereward\]", value=0.953, setting=_TABLE_2, num_images=100),
    Published(metric=r"hpsv2\.1\[.*,prompts=hpsv2\]", value=32.05, setting=_TABLE_2, num_images=3200),
    *(
        Published(
            metric=_RFID % size, value=value, setting=f"tokenizer of {bits} bits, Table 4", num_images=50_000
        )
        for size, values in ((256, (1.22, 0.75, 0.61, 0.33)), (512, (0.31, 0.30, 0.23, 0.15)))
        for bits, value in zip((16, 24, 32, 64), values, strict=True)
    ),
)


def published(metric: MetricValue) -> list[Published]:
    """The paper's numbers of this very metric; none for a stand-in."""
    if is_stand_in(metric):
        return []
    return [one for one in PUBLISHED if metric.n >= one.num_images and re.fullmatch(one.metric, metric.id)]


def is_stand_in(metric: MetricValue) -> bool:
    """Whether a metric stands in for a published one: its note says so, or the list of tasks does."""
    if "stand-in" in metric.note:
        return True
    claims = {
        entry.stand_in_for != ""
        for entry in TASKS.values()
        for template in entry.metrics
        if _fits(template, metric.id)
    }
    return claims == {True}


def _fits(template: str, metric_id: str) -> bool:
    """Whether an id is one of a template, where ``*``, ``<word>`` and ``{a,b}`` stand for anything."""
    return fnmatchcase(metric_id, re.sub(r"\{.*?\}|<\w+>", "*", template).replace("[", "[[]"))
