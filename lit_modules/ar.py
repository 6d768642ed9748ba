"""Training of the transformer on a trained tokenizer's bits."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.caching import check_encoders, vae_fingerprint
from infinity.checkpoints.io import load_infinity, load_vae, weights_sha256
from infinity.objectives import ARObjectiveConfig, ar_objective
from infinity.pipeline import InfinityPipeline
from infinity.randomness import Randomness
from infinity.sampling import SamplingConfig, generate
from infinity.schedules import Resolution
from infinity.text import TextEncoderConfig, build_text_encoder
from infinity.transformer import Infinity, InfinityConfig
from infinity.transformer.flops import training_flops
from infinity.types import ImageTextBatch, LossTerms
from infinity.vae import VAE
from lit_modules.base import Split, SuiteModule, plain
from lit_modules.compilation import compile_in_place
from lit_modules.frozen import FrozenEncoders
from lit_modules.optim import OptimizerConfig, build_optimizer
from lit_modules.sharding import is_sharded, shard

__all__ = ["ARModule"]


class ARModule(SuiteModule):
    """Trains a transformer to predict the bits of every scale from the scales before it.

    Args:
        transformer: the network.
        vae: directory of the exported tokenizer.
        resolution: image shapes and their scale schedules; set by ``data.resolution``.
        objective: self-correction and weighting of the loss.
        text: the frozen text encoder.
        optimizer: of the transformer.
        sampling: how the pictures of a validation are drawn.
        prompts: captions of those pictures; by default the first ones of the validation split.
        feature_cache_mib: memory for tokenizer features and text states, so that every image and caption is
            encoded only once; 0 for none.
        init_from: directory of an exported pipeline whose weights training starts with (the next stage of
            a recipe); empty for random weights.
        seed: of everything that is drawn while training; set by ``seed_everything``.
        activation_checkpointing: recompute blocks in the backward pass instead of keeping their activations.
        compile: compile the transformer's forward pass.
    """

    net: Infinity
    encoders: FrozenEncoders

    def __init__(
        self,
        transformer: InfinityConfig,
        vae: str,
        resolution: Resolution,
        objective: ARObjectiveConfig = ARObjectiveConfig(),
        text: TextEncoderConfig = TextEncoderConfig(),
        optimizer: OptimizerConfig = OptimizerConfig(),
        sampling: SamplingConfig = SamplingConfig(),
        prompts: tuple[str, ...] = (),
        feature_cache_mib: int = 0,
        init_from: str = "",
        seed: int = 0,
        activation_checkpointing: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__(optimizer=optimizer, seed=seed)
        self.configs = {
            "transformer": transformer,
            "resolution": resolution,
            "objective": objective,
            "text": text,
            "optimizer": optimizer,
        }
        self.resolution = resolution
        self.objective = objective
        self.text_config = text
        self.sampling = sampling
        self.prompts = tuple(prompts)
        self.vae_directory = vae
        self.feature_cache_mib = feature_cache_mib
        self.init_from = init_from
        self.compile_enabled = compile
        self._num_text_tokens = 0
        for name, ratio in itertools.product(("guidance", "temperature", "top_p"), resolution.aspect_ratios):
            sampling.per_scale(name, resolution.schedule(ratio))  # refuses lists of another length
        self.net = Infinity(transformer)
        self.net.activation_checkpointing = activation_checkpointing

    def setup(self, stage: str) -> None:
        device = self.trainer.strategy.root_device
        if stage == "fit" and device.type == "cpu" and self.net.config.attention == "flex":
            raise ValueError(
                "model.transformer.attention flex has no backward pass on a CPU; use split, an equal one"
            )
        if "encoders" not in self.__dict__:
            vae, text = load_vae(self.vae_directory), build_text_encoder(self.text_config)
            self._check_fit(vae, text.width, text.max_len)
            caches = getattr(self.trainer.datamodule, "caches", [])
            check_encoders(caches, features=vae_fingerprint(self.vae_directory), text=text.fingerprint)
            idle_text = any(cache.facts.content == "text" for cache in caches)
            encoders = FrozenEncoders(vae, text, self.feature_cache_mib * 2**20, idle_text=idle_text)
            object.__setattr__(self, "encoders", encoders)  # out of reach of nn.Module
            self._vae_sha256 = weights_sha256(self.vae_directory)
        self.encoders.to(device)
        if stage == "fit" and self.init_from:
            self._start_from(load_infinity(Path(self.init_from) / "transformer").model)
        if self.compile_enabled:
            # a sharded network gathers its weights block by block, between compiled parts
            parts = self.net.blocks if is_sharded(self.trainer) else [self.net]
            compile_in_place(*parts, device=device)

    def configure_model(self) -> None:
        if is_sharded(self.trainer):
            shard(self.net, self.net.blocks, self.trainer.strategy.root_device)

    def _check_fit(self, vae: VAE, text_width: int, text_max_len: int) -> None:
        """Check that tokenizer, text encoder, transformer and resolution fit each other."""
        ours, config = self.net.config, vae.config
        for key, value, source, expected in (
            (
                "data.resolution.stride",
                self.resolution.stride,
                "the tokenizer's pixels per token",
                config.token_stride,
            ),
            (
                "model.transformer.token_bits",
                ours.token_bits,
                "the tokenizer's bits per token",
                config.token_bits,
            ),
            ("model.transformer.text_width", ours.text_width, "the text encoder's width", text_width),
        ):
            if value != expected:
                raise ValueError(f"{key} is {value}, but {source} is {expected}; set it to {expected}")
        if ours.text_max_len < text_max_len:
            raise ValueError(
                f"model.transformer.text_max_len is {ours.text_max_len}, but captions have up to "
                f"{text_max_len} tokens; raise it or shorten captions in model.text"
            )

    def configure_optimizers(self) -> dict[str, Any]:
        config = self.optimizer_config
        groups = [{"name": "transformer", **group} for group in self.net.param_groups(config.weight_decay)]
        matrices = [module.weight for module in self.net.blocks.modules() if isinstance(module, nn.Linear)]
        return self.with_schedule(build_optimizer(groups, config, matrices=matrices))

    def training_step(self, batch: ImageTextBatch, batch_idx: int) -> Tensor:
        terms = self._objective("train", batch, self.randomness("train", len(batch.captions), batch_idx))
        self.log_terms("train", terms, len(batch.captions))
        return terms.total

    def validation_step(self, batch: ImageTextBatch, batch_idx: int) -> None:
        self._evaluate("val", batch, batch_idx)

    def test_step(self, batch: ImageTextBatch, batch_idx: int) -> None:
        self._evaluate("test", batch, batch_idx)

    def _evaluate(self, split: Split, batch: ImageTextBatch, batch_idx: int) -> None:
        """Log the loss without flips and, if training flips bits, with the same flips in every epoch."""
        terms = self._objective(split, batch, None)
        if self.objective.self_correction.mode != "off":
            generator = self.randomness(split, len(batch.captions), batch_idx)
            flipped = self._objective(split, batch, generator).logs
            terms.logs.update({f"flipped_{name}": flipped[name] for name in ("bit_ce", "bit_accuracy")})
        self.log_terms(split, terms, batch.weight)

    def _objective(self, split: Split, batch: ImageTextBatch, generator: Randomness | None) -> LossTerms:
        text = self.encoders.text_states(batch, self.device)
        self._num_text_tokens = text.mask_BM.shape[1]
        return ar_objective(
            self.net,
            self.encoders.features(split, batch),
            text,
            self.resolution.schedule(batch.aspect_ratio),
            config=self.objective,
            generator=generator,
            patchify=self.encoders.vae.config.patchify,
            quantizer=self.encoders.vae.quantizer.quantizer,
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["vae_sha256"] = self._vae_sha256

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        if checkpoint["vae_sha256"] != self._vae_sha256:
            raise ValueError(
                f"the checkpoint was trained on another tokenizer than the one in {self.vae_directory}, "
                "whose bits mean something else; point model.vae to the right one"
            )

    @torch.no_grad()
    def preview(self, batch: ImageTextBatch) -> list[Tensor]:
        """Columns of a picture: two images per prompt, after the true image if prompts are captions."""
        captions, vae = self.prompts or batch.captions, self.encoders.vae
        text = self.encoders.states(list(captions), self.device)
        schedule = self.resolution.schedule(batch.aspect_ratio)
        columns = [] if self.prompts else [batch.images_B3HW]
        for column in range(2):
            seeds = range(column * len(captions), (column + 1) * len(captions))
            generators = [torch.Generator(self.device).manual_seed(seed) for seed in seeds]
            drawn = generate(
                self.net,
                text,
                schedule,
                self.sampling,
                patchify=vae.config.patchify,
                generators=generators,
                codes_from_bits=vae.quantizer.quantizer.codes_from_bits,
            )
            columns.append(vae.decode(drawn.features_BDHW).clamp(-1, 1))
        return columns

    def training_flops(self, batch: ImageTextBatch) -> int:
        """Floating-point operations in the transformer of the last step, which was on `batch`."""
        schedule = self.resolution.schedule(batch.aspect_ratio)
        return len(batch.captions) * training_flops(self.net.config, schedule, self._num_text_tokens)

    def pipeline(self, net: Infinity) -> InfinityPipeline:
        """A pipeline that draws with `net`, which it puts into evaluation mode."""
        return InfinityPipeline(
            self.encoders.vae,
            net,
            text=self.text_config,
            resolution=self.resolution,
            sampling=self.sampling,
            text_encoder=self.encoders.text,
        )

    def export(self, directory: Path, net: Infinity) -> None:
        """Write a pipeline, with the record of how it was trained."""
        extra = {
            "step": self.num_steps,
            "vae_sha256": self._vae_sha256,
            "text_fingerprint": self.encoders.text.fingerprint,
            **{name: value for name, value in plain(self.configs).items() if name != "transformer"},
        }
        self.pipeline(net).save_pretrained(directory, extra=extra)
