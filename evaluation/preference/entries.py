"""Tasks of this area; see ``evaluation/tasks/registry.py``."""

from __future__ import annotations

from evaluation.preference.weights import (
    AESTHETIC,
    BERT_VOCABULARY,
    CLIP_B_32,
    CLIP_L_14,
    HPS,
    HPS_PROMPTS,
    IMAGE_REWARD,
    IMAGE_REWARD_PROMPTS,
    PICKSCORE,
)
from evaluation.tasks.entry import Needs, TaskEntry
from evaluation.weights import WeightFile

__all__ = ["PROMPT_SETS", "TASKS"]

_L_14 = "ViT-L-14-quickgelu,weights=*"
_IMAGE_REWARD = "weights=*,tokens=35"
_HPS = "100*cos,ViT-H-14,weights=*,resize=floats"


def _entry(
    scorer: str,
    summary: str,
    knobs: str,
    weights: tuple[WeightFile, ...] = (),
    *,
    prompt_set: str = "captions",
    precision: str = "fp32",
    needs: tuple[Needs, ...] = (),
    stand_in_for: str = "",
) -> TaskEntry:
    knobs = f"{knobs},{precision},prompts={prompt_set},images=<N>"
    styles = (f"{scorer}[{knobs},style=<style>]",) if prompt_set == "hpsv2" else ()
    return TaskEntry(
        summary=summary,
        target="evaluation.preference.task:PreferenceTask",
        metrics=(f"{scorer}[{knobs}]", *styles),
        weights=weights,
        options={"scorer": scorer, "prompt_set": prompt_set, "precision": precision},
        needs=needs,
        stand_in_for=stand_in_for,
    )


TASKS: dict[str, TaskEntry] = {
    "clipscore": _entry(
        "clipscore",
        "CLIPScore of the paper, on held-out captions",
        "2.5*relu(cos),ViT-B-32-quickgelu,weights=*,prefix=A photo depicts",
        (CLIP_B_32,),
    ),
    "clipscore-torchmetrics": _entry(
        "clipscore_torchmetrics",
        "CLIPScore as torchmetrics has it, on held-out captions",
        f"100*cos,{_L_14}",
        (CLIP_L_14,),
    ),
    "clip-cosine": _entry(
        "clip_cosine",
        "the plain cosine that ImageReward's and Infinity's code calls CLIP score, on held-out captions",
        f"cos,{_L_14}",
        (CLIP_L_14,),
    ),
    "imagereward": _entry(
        "imagereward",
        "ImageReward on its 100 prompts, ten images each",
        _IMAGE_REWARD,
        (IMAGE_REWARD, BERT_VOCABULARY, IMAGE_REWARD_PROMPTS),
        prompt_set="imagereward",
    ),
    "imagereward-captions": _entry(
        "imagereward", "ImageReward on held-out captions", _IMAGE_REWARD, (IMAGE_REWARD, BERT_VOCABULARY)
    ),
    "hpsv2.1": _entry(
        "hpsv2.1",
        "HPSv2.1 on its 3200 prompts of four styles",
        _HPS,
        (HPS, HPS_PROMPTS),
        prompt_set="hpsv2",
        precision="fp16",  # as its own script
    ),
    "hpsv2.1-captions": _entry("hpsv2.1", "HPSv2.1 on held-out captions", _HPS, (HPS,), precision="fp16"),
    "pickscore": _entry(
        "pickscore",
        "PickScore on held-out captions",
        "exp(scale)*cos,ViT-H-14,weights=*",
        (PICKSCORE,),
    ),
    "aesthetic": _entry(
        "aesthetic",
        "LAION's aesthetic predictor (V2, linear) on images of held-out captions",
        f"{_L_14},head=*",
        (CLIP_L_14, AESTHETIC),
    ),
    "clipscore-embedded": _entry(
        "clipscore_embedded",
        "cosine of two small encoders trained on the data's own captions, no downloads",
        "cos,effnet-lite0@*,hashing-*,data=*",
        needs=("data",),
        stand_in_for="clipscore",
    ),
}

PROMPT_SETS: dict[str, str] = {
    "imagereward": "evaluation.preference.prompts:image_reward_prompts",
    "hpsv2": "evaluation.preference.prompts:hps_prompts",
}
