"""What bitwise scales give for free, on a model that draws: the demo's, judged by ShapesEval's verifier.

``pytest tests/integration/test_demo_edits.py --demo-run runs/demo-basic-15`` takes the model that `make demo`
has left there; without the option one is trained first, for minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.shapeseval.detector import ShapeDetector
from evaluation.shapeseval.scorer import judge
from evaluation.shapeseval.world import Prompt, Query, World
from infinity.editing import (
    coarse_to_fine,
    load_bits,
    reconstruct,
    reconstruct_bits,
    redraw,
    save_bits,
)
from infinity.inpainting import inpaint, outpaint, place_on_canvas
from infinity.pipeline import InfinityPipeline
from infinity.sampling.results import PipelineOutput

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SHAPES = ("circle", "square", "triangle", "cross")
OTHER = dict(zip(SHAPES, (*SHAPES[1:], SHAPES[0]), strict=True))
PER_SHAPE = 6


class Demo(NamedTuple):
    """A model of ShapesWorld `basic`, and images that it drew: some of every shape, with any colour."""

    pipeline: InfinityPipeline
    detector: ShapeDetector
    prompts: list[Prompt]
    drawn: PipelineOutput

    def share(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> float:
        """How many show exactly what their prompts ask for."""
        pairs = zip(images, prompts, strict=True)
        return float(np.mean([judge(self.detector(np.asarray(i)), prompt).correct for i, prompt in pairs]))

    def alike(self, images: Sequence[Image.Image], others: Sequence[Image.Image]) -> tuple[float, float]:
        """Of two lists of single objects: the share with one colour, and how far apart they are (pixels)."""
        colors, distances = [], []
        for pair in zip(images, others, strict=True):
            found = [self.detector(np.asarray(image)) for image in pair]
            if all(len(objects) == 1 for objects in found):
                (a,), (b,) = found
                colors.append(a.color == b.color)
                distances.append(np.abs(np.subtract(a.box, b.box)).max())
        return float(np.mean(colors)), float(np.mean(distances))


def single(shape: str) -> Prompt:
    return Prompt(id=shape, tag="", text=f"a picture of a {shape}", include=(Query(shape=shape),))


def left_of(left: str, right: str) -> Prompt:
    objects = (Query(shape=right), Query(shape=left, relation="left of", target=0))
    return Prompt(id="", tag="", text=f"a picture of a {left} left of a {right}", include=objects)


def texts(prompts: Sequence[Prompt]) -> list[str]:
    return [prompt.text for prompt in prompts]


@pytest.fixture(scope="module")
def demo(demo_run: Path, datasets: Path) -> Demo:
    pipeline = InfinityPipeline.from_pretrained(demo_run / "ar" / "export")
    prompts = [single(shape) for shape in SHAPES for _ in range(PER_SHAPE)]
    drawn = pipeline(texts(prompts), seeds=range(len(prompts)))
    demo = Demo(pipeline, ShapeDetector(World.load(datasets / "shapesworld_basic")), prompts, drawn)
    share = demo.share(drawn.images, prompts)
    assert share > 0.7, f"only {share:.2f} of the images are as asked: train longer, or name a --demo-run"
    return demo


def test_the_tokenizer_keeps_what_an_image_shows(demo: Demo) -> None:
    again = reconstruct(demo.pipeline, demo.drawn.images)
    assert demo.share(again.images, demo.prompts) > 0.7
    colors, distance = demo.alike(demo.drawn.images, again.images)
    assert colors > 0.7
    assert distance < 1


def test_images_survive_as_packed_bits(demo: Demo, tmp_path: Path) -> None:
    path = tmp_path / "images.bits"
    save_bits(demo.pipeline, demo.drawn.bits, path)
    loaded = load_bits(demo.pipeline, path)
    assert all(torch.equal(*scales) for scales in zip(loaded, demo.drawn.bits, strict=True))
    num_bits = sum(scale.numel() for scale in demo.drawn.bits)
    assert num_bits / 8 <= path.stat().st_size < num_bits / 8 + 256
    for image, expected in zip(reconstruct_bits(demo.pipeline, loaded), demo.drawn.images, strict=True):
        assert difference(image, expected).max() <= 1


def test_an_image_becomes_what_was_asked_for_from_coarse_to_fine(demo: Demo) -> None:
    strip = coarse_to_fine(demo.pipeline, demo.drawn.bits)
    errors = [
        np.mean([difference(*pair).mean() for pair in zip(stage, demo.drawn.images, strict=True)])
        for stage in strip
    ]
    assert errors == sorted(errors, reverse=True)
    assert demo.share(strip[0], demo.prompts) < 0.5 < demo.share(strip[-1], demo.prompts)


def test_keeping_all_scales_keeps_the_image(demo: Demo) -> None:
    prompts = texts(demo.prompts)
    kept = redraw(demo.pipeline, demo.drawn.bits, prompts, keep_scales=len(demo.drawn.bits), seeds=99)
    assert all(torch.equal(*scales) for scales in zip(kept.bits, demo.drawn.bits, strict=True))
    assert kept.images[0].tobytes() == demo.drawn.images[0].tobytes()


def test_variations_show_the_same_and_keep_colour_and_place_with_the_first_scale(demo: Demo) -> None:
    colors, distances = [], []
    for keep in (0, 1, 2):
        varied = redraw(demo.pipeline, demo.drawn.bits, texts(demo.prompts), keep_scales=keep, seeds=99)
        assert demo.share(varied.images, demo.prompts) > 0.7
        same_color, distance = demo.alike(demo.drawn.images, varied.images)
        colors.append(same_color)
        distances.append(distance)
    assert colors == sorted(colors)
    assert colors[1] > colors[0] + 0.2
    assert distances == sorted(distances, reverse=True)


def test_an_edit_by_prompt_changes_shapes_and_less_the_more_scales_it_keeps(demo: Demo) -> None:
    wanted = [single(OTHER[prompt.id]) for prompt in demo.prompts]
    assert demo.share(demo.drawn.images, wanted) == 0
    shares, colors, distances = [], [], []
    for keep in (0, 1, 2):
        edited = redraw(demo.pipeline, demo.drawn.bits, texts(wanted), keep_scales=keep, seeds=99).images
        shares.append(demo.share(edited, wanted))
        same_color, distance = demo.alike(demo.drawn.images, edited)
        colors.append(same_color)
        distances.append(distance)
    assert shares == sorted(shares, reverse=True)  # two of three scales may have decided on most shapes
    assert shares[1] > 0.7
    assert colors[2] > colors[0] + 0.2
    assert distances[2] < distances[0]


def test_inpainting_draws_another_object_beside_one_that_stays(demo: Demo) -> None:
    asked = [left_of(a, b) for a in SHAPES for b in SHAPES if a != b for _ in range(4)]
    images = demo.pipeline(texts(asked), seeds=range(len(asked))).images
    right = [i for i, prompt in enumerate(asked) if demo.share([images[i]], [prompt])]
    assert len(right) >= 8
    mask = Image.new("L", images[0].size)
    mask.paste(255, (32, 0, 64, 64))
    known = np.s_[:, :28]  # the rest of the known half takes part in what the decoder mixes at the border
    wanted, repainted, errors = [], [], []
    for i in right:
        beside, old = asked[i].include[1].shape, asked[i].include[0].shape
        wanted.append(left_of(beside, next(shape for shape in SHAPES if shape not in (beside, old))))
        arguments = (demo.pipeline, images[i], mask, wanted[-1].text)
        repainted += inpaint(*arguments, seeds=7).images
        assert not difference(repainted[-1], images[i])[:, :32].any()
        raw = inpaint(*arguments, seeds=7, composite=False).images[0]
        errors.append(difference(raw, images[i])[known].mean())
    assert np.mean(errors) < 4  # grey levels, of what went through the tokenizer
    assert demo.share([images[i] for i in right], wanted) == 0
    assert demo.share(repainted, wanted) > 0.5


def test_outpainting_continues_the_background_and_nothing_else(demo: Demo) -> None:
    results = []
    for prompt, image in zip(demo.prompts, demo.drawn.images, strict=True):
        [wide] = outpaint(demo.pipeline, image, prompt.text, scale=0.6, seeds=5).images
        canvas, unknown = place_on_canvas(image, (64, 64), scale=0.6, position=(0.5, 0.5))
        assert not difference(wide, canvas)[np.asarray(unknown) == 0].any()
        results.append(wide)
    assert demo.share(results, demo.prompts) > 0.6


def difference(a: Image.Image, b: Image.Image) -> np.ndarray:
    """In grey levels (H, W, 3)."""
    return np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int))
