"""Weight and prompt files of this area."""

from __future__ import annotations

from evaluation.weights import WeightFile

__all__ = [
    "AESTHETIC",
    "BERT_VOCABULARY",
    "CLIP_B_32",
    "CLIP_L_14",
    "HPS",
    "HPS_PROMPTS",
    "IMAGE_REWARD",
    "IMAGE_REWARD_PROMPTS",
    "PICKSCORE",
]

CLIP_B_32 = WeightFile(
    name="clip-vit-b-32",
    file="vit_base_patch32_clip_224.openai/open_clip_model.safetensors",
    source="timm/vit_base_patch32_clip_224.openai on the Hugging Face hub",
)
CLIP_L_14 = WeightFile(
    name="clip-vit-l-14",
    file="vit_large_patch14_clip_224.openai/open_clip_model.safetensors",
    source="timm/vit_large_patch14_clip_224.openai on the Hugging Face hub",
)
IMAGE_REWARD = WeightFile(
    name="imagereward", file="ImageReward.pt", source="THUDM/ImageReward on the Hugging Face hub"
)
BERT_VOCABULARY = WeightFile(
    name="bert-vocabulary",
    file="bert-base-uncased/vocab.txt",
    source="google-bert/bert-base-uncased on the Hugging Face hub",
    sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
)
HPS = WeightFile(name="hpsv2.1", file="HPS_v2.1_compressed.pt", source="xswu/HPSv2 on the Hugging Face hub")
PICKSCORE = WeightFile(
    name="pickscore",
    file="PickScore_v1/model.safetensors",
    source="yuvalkirstain/PickScore_v1 on the Hugging Face hub",
)
AESTHETIC = WeightFile(
    name="aesthetic",
    file="sac+logos+ava1-l14-linearMSE.pth",
    source="christophschuhmann/improved-aesthetic-predictor on GitHub",
    sha256="21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
)
IMAGE_REWARD_PROMPTS = WeightFile(
    name="imagereward-prompts",
    file="imagereward/benchmark-prompts.json",
    source="benchmark/ of THUDM/ImageReward on GitHub",
    sha256="34682e824ebb3ad8e2531b3cde1b362dc72e1e29946ff6fab77bb49e9edb4b21",
)
HPS_PROMPTS = WeightFile(
    name="hpsv2-prompts",
    file="hpsv2/benchmark",
    source="benchmark/ of the data set zhwang/HPDv2 on the Hugging Face hub (the directory with anime.json, "
    "concept-art.json, paintings.json and photo.json)",
)
