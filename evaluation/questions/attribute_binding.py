"""T2I-CompBench's attribute binding (arXiv 2307.06350): does a VQA model say yes to every noun phrase?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from evaluation.questions.summary import mean_over_prompts
from evaluation.questions.vqa import ask_probabilities, build_vqa
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore

__all__ = ["AttributeBinding"]


class AttributeBinding:
    """Mean of an image's product, over the prompt's noun phrases, of P("yes" | image, "a green bench?")."""

    prompt_set: str | None = "t2i_compbench"

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        vqa = build_vqa(context)
        jobs = [
            (sample, f"{phrase}?", ("yes",))
            for sample in samples
            for phrase in sample.prompt.metadata["noun_phrases"]
        ]
        answered = iter(ask_probabilities(vqa, jobs, context.batch_size))
        phrases = [[next(answered) for _ in sample.prompt.metadata["noun_phrases"]] for sample in samples]
        scores = [math.prod(values) for values in phrases]
        metric = mean_over_prompts(
            "attribute_binding",
            f"vqa={vqa.id}",
            samples,
            scores,
            seed=context.seed,
            note="Published T2I-CompBench scores ask BLIP's VQA model; other models give other numbers.",
        )
        return TaskScore(
            metrics=(metric,),
            rows=tuple(
                {
                    "prompt_id": sample.prompt.id,
                    "index": sample.index,
                    "score": score,
                    "reason": "; ".join(
                        f"{phrase} {value:.2f}"
                        for phrase, value in zip(sample.prompt.metadata["noun_phrases"], values, strict=True)
                    ),
                }
                for sample, score, values in zip(samples, scores, phrases, strict=True)
            ),
        )
