"""Runs the official implementation beside ours: a process of its own, as both packages are called `infinity`.

    python official_worker.py CHECKOUT

reads one JSON request a line ({"part", "batch_size", "bfloat16", ...}) and answers each with
{"seconds": ...} or {"error": ...}. Nothing here is imported by the suite. What the official code asks for and
a CPU cannot give (flash-attn's variable-length attention) is replaced by PyTorch's own; imports that it makes
no use of here (timm's drop path, image writers) by empty modules.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
import types
from collections.abc import Callable
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SCALES = [(1, side, side) for side in (1, 2, 4, 6, 8, 12, 16)]
NUM_BITS = 32
TEXT_WIDTH, TEXT_TOKENS = 2048, 64


def _variable_length_attention(
    q, kv, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, dropout_p=0.0, softmax_scale=None
):
    parts = []
    for i in range(len(cu_seqlens_q) - 1):
        queries = q[cu_seqlens_q[i] : cu_seqlens_q[i + 1]].transpose(0, 1)[None]
        keys, values = kv[cu_seqlens_k[i] : cu_seqlens_k[i + 1]].permute(1, 2, 0, 3)[:, None]
        attended = F.scaled_dot_product_attention(queries, keys, values, scale=softmax_scale)
        parts.append(attended[0].transpose(0, 1))
    return torch.cat(parts)


def _plain_attention(q, k, v, dropout_p=0.0, softmax_scale=None):
    raise NotImplementedError("the checkout should not choose flash attention on a CPU")


class _DropPath(nn.Module):
    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()

    def forward(self, x):
        return x


def _install_stand_ins(checkout: str) -> None:
    sys.path.insert(0, checkout)
    stand_ins = {
        "timm": {},
        "timm.loss": {"SoftTargetCrossEntropy": nn.CrossEntropyLoss},
        "timm.models": {"register_model": lambda f: f, "create_model": None},
        "timm.models.layers": {"DropPath": _DropPath, "drop_path": None},
        "flash_attn": {
            "flash_attn_func": _plain_attention,
            "flash_attn_varlen_kvpacked_func": _variable_length_attention,
        },
        **{name: {} for name in ("pytz", "tqdm", "imageio", "cv2") if find_spec(name) is None},
    }
    for name, members in stand_ins.items():
        module = types.ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        module.__dict__.update(members)
        sys.modules[name] = module
    package = types.ModuleType("infinity.models")  # its __init__ registers presets with timm
    package.__path__ = [f"{checkout}/infinity/models"]

    sys.modules["infinity.models"] = package
    import infinity.utils.dist as dist

    dist.barrier = lambda: None
    dist.allreduce = lambda tensor: None


@cache
def _tokenizer() -> Any:
    from infinity.models.bsq_vae.vae import vae_model

    torch.manual_seed(0)
    return vae_model({}, "dynamic", NUM_BITS, 2**NUM_BITS, patch_size=16)


@cache
def _transformer(chunks: int, dropped: float) -> Any:
    from infinity.models.infinity import Infinity

    torch.manual_seed(0)
    return Infinity(
        _tokenizer(), text_channels=TEXT_WIDTH, text_maxlen=512, embed_dim=768, depth=12, num_heads=8,
        shared_aln=True, head_aln=True, cond_drop_rate=dropped, cos_attn=True, rope2d_each_sa_layer=1,
        rope2d_normalized_by_hw=2, block_chunks=chunks, pad_to_multiplier=1, fused_norm=False, pn="0.06M",
        add_lvl_embeding_only_first_block=1, use_bit_label=1,
    )  # fmt: skip


def _captions(batch_size: int) -> tuple[Any, ...]:
    lengths = [TEXT_TOKENS] * batch_size
    states = torch.randn(sum(lengths), TEXT_WIDTH, generator=torch.Generator().manual_seed(1))
    ends = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    return states, lengths, ends, TEXT_TOKENS


def _autocast(bfloat16: bool) -> Any:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16)


def _correction() -> Any:
    from infinity.models.bitwise_self_correction import BitwiseSelfCorrection

    options = types.SimpleNamespace(
        noise_apply_layers=13, noise_apply_requant=1, noise_apply_strength=0.3, apply_spatial_patchify=0,
        debug_bsc=0,
    )  # fmt: skip
    return BitwiseSelfCorrection(_tokenizer(), options)


def _forward_backward(batch_size: int, bfloat16: bool, inputs: Any = None, labels: Any = None) -> None:
    model = _transformer(4, 0.0).train()
    if inputs is None:
        generator = torch.Generator().manual_seed(2)
        length = sum(h * w for _, h, w in SCALES)
        inputs = torch.randn(batch_size, length - 1, NUM_BITS, generator=generator)
        labels = torch.randint(0, 2, (batch_size, length, NUM_BITS), generator=generator)
    with _autocast(bfloat16):
        logits = model(_captions(batch_size), inputs, SCALES)
        logits = logits.reshape(batch_size, -1, NUM_BITS, 2).permute(0, 3, 1, 2)
        loss = F.cross_entropy(logits, labels, reduction="none").mean()
    loss.backward()
    model.zero_grad(set_to_none=True)


def _train_step(batch_size: int, bfloat16: bool, cached: bool) -> Callable[[], Any]:
    model, correction = _transformer(4, 0.0).train(), _correction()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.97), fused=True)
    images = torch.rand(batch_size, 3, 256, 256) * 2 - 1
    features = torch.randn(batch_size, NUM_BITS, 16, 16)

    def run() -> None:
        with torch.no_grad():
            raw = features if cached else _tokenizer().encode_for_raw_features(images, SCALES)[0]
            inputs, labels = correction.flip_requant(SCALES, images, raw, "cpu")
        with _autocast(bfloat16):
            logits = model(_captions(batch_size), inputs, SCALES)
            logits = logits.reshape(batch_size, -1, NUM_BITS, 2).permute(0, 3, 1, 2)
            loss = F.cross_entropy(logits, torch.cat(labels, 1).long(), reduction="none").mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


def _generate(batch_size: int, bfloat16: bool, decode: bool) -> None:
    scales = len(SCALES)
    with _autocast(bfloat16):
        _transformer(4, 0.0).eval().autoregressive_infer_cfg(
            vae=_tokenizer(), scale_schedule=SCALES, label_B_or_BLT=_captions(batch_size), B=batch_size,
            g_seed=0, cfg_list=[3.0] * scales, tau_list=[0.5] * scales, top_k=900, top_p=0.97,
            cfg_insertion_layer=[0], vae_type=NUM_BITS, returns_vemb=1, ret_img=decode,
            inference_mode=True,
        )  # fmt: skip


def _quantizer(batch_size: int, num_bits: int, sides: list[int]) -> Callable[[], Any]:
    from infinity.models.bsq_vae.multiscale_bsq import MultiScaleBSQ

    quantizer = MultiScaleBSQ(
        dim=num_bits, codebook_size=2**num_bits, entropy_loss_weight=0.1, diversity_gamma=1,
        commitment_loss_weight=0.25, new_quant=True, schedule_mode="dynamic",
    ).train()  # fmt: skip
    features = torch.randn(batch_size, num_bits, sides[-1], sides[-1], requires_grad=True)
    scales = [(1, side, side) for side in sides]
    losses: list[Any] = []
    binary = quantizer.lfq
    round_to_codes = binary.quantize_new

    def round_with_losses(unit: Any) -> Any:  # the release leaves out the losses whose code it has
        codes = round_to_codes(unit)
        per_sample, codebook, _ = binary.soft_entropy_loss(unit)
        losses.append(0.25 * F.mse_loss(unit, codes.detach()) + 0.1 * (per_sample - codebook))
        return codes

    binary.quantize_new = round_with_losses

    def run() -> None:
        losses.clear()
        codes = quantizer(features, scale_schedule=scales)[0]
        (codes.square().mean() + torch.stack(losses).mean()).backward()
        features.grad = None

    return run


def _part(request: dict[str, Any]) -> Callable[[], Any]:
    part, batch_size, bfloat16 = request["part"], request["batch_size"], request["bfloat16"]
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(batch_size, 3, 256, 256, generator=generator) * 2 - 1
    features = torch.randn(batch_size, NUM_BITS, 16, 16, generator=generator)
    if part == "quantizer":
        return _quantizer(batch_size, request["num_bits"], request["sides"])
    if part in ("train step", "train step, cached features"):
        return _train_step(batch_size, bfloat16, cached=part != "train step")
    if part == "forward + backward":
        return lambda: _forward_backward(batch_size, bfloat16)

    def run() -> None:
        with torch.no_grad():
            if part == "vae encode":  # the official code encodes and decodes in float32
                _tokenizer().encode_for_raw_features(images, SCALES)
            elif part == "vae decode":
                _tokenizer().decode(features)
            elif part == "self-correction":
                _correction().flip_requant(SCALES, images, features, "cpu")
            elif part == "generate":
                _generate(batch_size, bfloat16, decode=False)
            elif part == "generate + decode":
                _generate(batch_size, bfloat16, decode=True)
            else:
                raise ValueError(f"no part is called {part}")

    return run


def main() -> None:
    _install_stand_ins(sys.argv[1])
    parts: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # the official code prints much
                run = parts.get(line) or parts.setdefault(line, _part(json.loads(line)))
                start = time.perf_counter()
                run()
                answer = {"seconds": time.perf_counter() - start}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
