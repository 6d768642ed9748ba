"""Models of published kinds, tiny and with random weights, in directories as the hub has them."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForQuestionAnswering,
    BlipImageProcessor,
    BlipProcessor,
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

__all__ = ["TEMPLATE", "save_blip", "save_llava"]

_WORDS = (
    *("Yes", "yes", "No", "no", "two", "2", "Is", "the", "cube", "red"),
    *("How", "many", "are", "there", "?", "USER", "ASSISTANT", ":"),
)
TEMPLATE = (
    "{% for turn in messages %}USER : {% for part in turn['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}ASSISTANT :{% endif %}"
)
_SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def save_llava(directory: Path) -> Path:
    """Four image tokens, a word each, chat template; ends with "</s>"."""
    special = ["<pad>", "<unk>", "<s>", "</s>", "<image>"]
    vocabulary = {word: number for number, word in enumerate([*special, *_WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<image>"],
    )
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_SIZES, image_size=28, patch_size=14),
        text_config=LlamaConfig(
            **_SIZES, vocab_size=len(vocabulary), bos_token_id=2, eos_token_id=3, pad_token_id=0
        ),
        image_token_id=vocabulary["<image>"],
        image_seq_length=4,
        vision_feature_layer=-1,
    )
    LlavaForConditionalGeneration(config).save_pretrained(directory)
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
        image_token="<image>",
    )
    processor.save_pretrained(directory)
    return directory


def save_blip(directory: Path) -> Path:
    """BLIP for questions; lower case words."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, *dict.fromkeys(word.lower() for word in _WORDS)]
    vocabulary = {word: number for number, word in enumerate(words)}
    torch.manual_seed(0)
    config = BlipConfig(
        text_config={
            **_SIZES,
            "encoder_hidden_size": 16,
            "vocab_size": len(words),
            "bos_token_id": 2,
            "eos_token_id": 3,
            "sep_token_id": 3,
            "pad_token_id": 0,
        },
        vision_config={**_SIZES, "image_size": 32, "patch_size": 16},
    )
    BlipForQuestionAnswering(config).save_pretrained(directory)
    pixels = BlipImageProcessor(size={"height": 32, "width": 32})
    BlipProcessor(pixels, BertTokenizer(vocab=vocabulary)).save_pretrained(directory)
    return directory
