"""VQAScore (arXiv 2404.01291): P("Yes") of a VQA model that is asked whether an image shows a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from evaluation.questions.summary import mean_over_prompts
from evaluation.questions.vqa import ask_probabilities, build_vqa
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore

__all__ = ["TEMPLATES", "Template", "TemplateName", "VQAScore"]

TemplateName = Literal["paper", "t2v-metrics-3.1", "geneval2"]


class Template(NamedTuple):
    """A question with a place for the text, and forms of the right answer."""

    question: str
    answers: tuple[str, ...]


TEMPLATES: dict[TemplateName, Template] = {
    "paper": Template('Does this figure show "{}"? Please answer yes or no.', ("Yes",)),
    "t2v-metrics-3.1": Template('Does this figure show "{}"? Please answer Yes or No.', ("Yes",)),
    "geneval2": Template(
        'Does this image show "{}"? Answer the question with Yes or No.', ("Yes", "yes", " yes", " Yes")
    ),
}


class VQAScore:
    """Mean over prompts of the mean over their images.

    Args:
        template: of the question; the one of GenEval 2 adds up the answer's first tokens.
    """

    def __init__(self, *, prompt_set: str = "captions", template: TemplateName = "paper") -> None:
        if template not in TEMPLATES:
            raise ValueError(f"template must be one of {', '.join(TEMPLATES)}, got {template!r}")
        self.prompt_set = prompt_set
        self._template: TemplateName = template

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        vqa = build_vqa(context)
        question, answers = TEMPLATES[self._template]
        jobs = [(sample, question.format(sample.prompt.text), answers) for sample in samples]
        scores = ask_probabilities(vqa, jobs, context.batch_size)
        metric = mean_over_prompts(
            "vqascore",
            f"vqa={vqa.id},template={self._template},set={self.prompt_set}",
            samples,
            scores,
            seed=context.seed,
            note="The paper asks CLIP-FlanT5-XXL; other models give other numbers.",
        )
        return TaskScore(
            metrics=(metric,),
            rows=tuple(
                {"prompt_id": sample.prompt.id, "index": sample.index, "score": score}
                for sample, score in zip(samples, scores, strict=True)
            ),
        )
