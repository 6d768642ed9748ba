"""Models and files of this area."""

from __future__ import annotations

from evaluation.weights import WeightFile

__all__ = ["DPG_BENCH", "DSG", "GENEVAL2", "NOUN_PHRASES", "VQA_MODEL"]

VQA_MODEL = WeightFile(
    name="vqa",
    file="vqa-model",
    source="the Hugging Face hub (the directory of any model that answers questions about images, e.g. "
    "Qwen/Qwen3-VL-8B-Instruct or Salesforce/blip-vqa-capfilt-large; or ANSWERS.jsonl, recorded elsewhere)",
)
DPG_BENCH = WeightFile(
    name="dpg-bench",
    file="dpg_bench",
    source="TencentQQGYLab/ELLA on GitHub, the directory dpg_bench with dpg_bench.csv and prompts/",
)
DSG = WeightFile(
    name="dsg",
    file="dsg-1k-anns.csv",
    source="dsg/data of j-min/DSG on GitHub",
    sha256="b7ce06ea8a0478ccfd8fba105ecd26d7d301eb99d5c412987546c4cc8e08917a",
)
GENEVAL2 = WeightFile(
    name="geneval2",
    file="geneval2_data.jsonl",
    source="facebookresearch/GenEval2 on GitHub",
    sha256="09233adbc9f877fba205f1a20efa4a8640e7e62a91dfd55893562bed8a928e43",
)
NOUN_PHRASES = WeightFile(
    name="t2i-compbench",
    file="t2i_compbench.jsonl",
    source='the prompts of Karine-Huang/T2I-CompBench on GitHub, a line {"prompt", "noun_phrases"} each '
    "(spaCy's noun_chunks with en_core_web_sm)",
)
