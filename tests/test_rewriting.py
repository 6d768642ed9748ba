"""Prompt rewriting: a cache that survives, a user's function, and a language model with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from infinity.rewriting import CachedRewriter, HuggingFaceRewriter, build_rewriter

transformers = pytest.importorskip("transformers")


class Shouter:
    """A rewriter that remembers what it was asked."""

    def __init__(self, fingerprint: str = "shouter-1") -> None:
        self.fingerprint = fingerprint
        self.asked: list[str] = []

    def rewrite(self, prompts: list[str]) -> list[str]:
        self.asked += prompts
        return [prompt.upper() for prompt in prompts]


def test_a_prompt_is_rewritten_once_over_all_runs(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cache.jsonl"
    first, second = Shouter(), Shouter()
    assert CachedRewriter(first, path).rewrite(["a", "b", "a"]) == ["A", "B", "A"]
    assert CachedRewriter(second, path).rewrite(["c\u2028d", "a", "é"]) == ["C\u2028D", "A", "É"]
    assert (first.asked, second.asked) == (["a", "b"], ["c\u2028d", "é"])
    assert CachedRewriter(Shouter(), path).rewrite(["c\u2028d"]) == ["C\u2028D"]
    header, *rows = map(json.loads, path.read_text().splitlines())
    assert header == {"version": 1, "fingerprint": "shouter-1"}
    assert rows[0] == {"prompt": "a", "rewritten": "A"}


def test_what_was_rewritten_before_a_failure_is_kept(tmp_path: Path) -> None:
    class Failing(Shouter):
        def rewrite(self, prompts: list[str]) -> list[str]:
            if "30" in prompts:
                raise ConnectionError
            return super().rewrite(prompts)

    path = tmp_path / "cache.jsonl"
    prompts = [str(i) for i in range(40)]
    with pytest.raises(ConnectionError):
        CachedRewriter(Failing(), path).rewrite(prompts)
    rewriter = Shouter()
    assert CachedRewriter(rewriter, path).rewrite(prompts) == prompts
    assert 0 < len(rewriter.asked) < 40


@pytest.mark.parametrize(
    "header", ['{"version": 1, "fingerprint": "other"}', '{"version": 2}', "prompts", "[]"]
)
def test_a_file_that_is_no_cache_of_this_rewriter_is_refused_untouched(tmp_path: Path, header: str) -> None:
    path = tmp_path / "cache.jsonl"
    path.write_text(f"{header}\nmore")
    with pytest.raises(
        ValueError, match=r"is no cache of this rewriter: expected version 1 and fingerprint shou"
    ):
        CachedRewriter(Shouter(), path)
    assert path.read_text() == f"{header}\nmore"


@pytest.mark.parametrize("lost", [1, 5, 20])
def test_a_torn_last_line_is_dropped_and_rewritten_again(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "cache.jsonl"
    CachedRewriter(Shouter(), path).rewrite(["a", "b"])
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    rewriter = Shouter()
    assert CachedRewriter(rewriter, path).rewrite(["a", "b"]) == ["A", "B"]
    assert rewriter.asked == ["b"]
    assert path.read_bytes() == whole


@pytest.mark.parametrize("kept", [0, 1, 20, -1])
def test_a_torn_first_line_is_written_again(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cache.jsonl"
    CachedRewriter(Shouter(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    assert CachedRewriter(Shouter(), path).rewrite(["a"]) == ["A"]
    assert path.read_bytes().startswith(whole)
    assert CachedRewriter(Shouter(), path).rewrite(["a"]) == ["A"]


def test_without_a_file_prompts_are_remembered_in_memory() -> None:
    rewriter = Shouter()
    cached = CachedRewriter(rewriter)
    assert cached.rewrite(["a"]) + cached.rewrite(["a", "b"]) == ["A", "A", "B"]
    assert rewriter.asked == ["a", "b"]


@pytest.mark.parametrize("answers", [["A"], ["A", " "], ["A", None], "AB", None])
def test_answers_that_are_no_prompts_are_refused(tmp_path: Path, answers: object) -> None:
    rewriter = Shouter()
    rewriter.rewrite = lambda prompts: answers
    with pytest.raises(ValueError, match=r"a rewriter must return|expected a text"):
        CachedRewriter(rewriter, tmp_path / "cache.jsonl").rewrite(["a", "b"])
    assert len((tmp_path / "cache.jsonl").read_text().splitlines()) == 1


def test_a_function_is_named_by_its_module_and_fingerprinted_by_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name, word in (("one", "big"), ("two", "red")):
        text = f"def expand(prompts):\n    return ['a {word} ' + prompt for prompt in prompts]\n"
        (tmp_path / f"rewriters_{name}.py").write_text(text)
    one, two = build_rewriter("rewriters_one:expand"), build_rewriter("rewriters_two:expand")
    assert one.rewrite(["cat", "dog"]) == ["a big cat", "a big dog"]
    assert two.rewrite(["cat"]) == ["a red cat"]
    assert one.fingerprint.startswith("function-rewriters_one:expand-")
    assert one.fingerprint.rpartition("-")[2] != two.fingerprint.rpartition("-")[2]


@pytest.mark.parametrize(
    "name", ["no_such_module:f", "json:no_such_function", "json:decoder", "sys:exit", ":f"]
)
def test_a_function_that_is_not_there_is_one_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=r"no rewriter can be imported|is no function") as error:
        build_rewriter(name)
    assert name in str(error.value)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved Llama with a byte tokenizer; its own generation settings ask for sampling."""
    path = tmp_path_factory.mktemp("llama")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=384, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    model = transformers.LlamaForCausalLM(config)
    model.generation_config = transformers.GenerationConfig(
        do_sample=True, temperature=9.0, eos_token_id=1, pad_token_id=0
    )
    model.save_pretrained(path)
    transformers.ByT5Tokenizer().save_pretrained(path)
    return path


def greedy(directory: Path, question: str, num_tokens: int, *, special: bool = True) -> str:
    """The naive twin: the most likely token, one whole forward pass each. `special`: with an end after the
    question, which this tokenizer adds."""
    model = transformers.LlamaForCausalLM.from_pretrained(directory)
    tokenizer = transformers.ByT5Tokenizer.from_pretrained(directory)
    ids = given = tokenizer(question, add_special_tokens=special, return_tensors="pt")["input_ids"]
    for _ in range(num_tokens):
        with torch.no_grad():
            token = model(ids).logits[:, -1:].argmax(-1)
        if token.item() == 1:
            break
        ids = torch.cat([ids, token], dim=1)
    return (
        tokenizer.decode(ids[0, given.shape[1] :], skip_special_tokens=True)
        .strip()
        .partition("\n")[0]
        .strip()
    )


def test_a_language_model_answers_greedily_and_in_any_company_alike(directory: Path) -> None:
    rewriter = HuggingFaceRewriter(directory, instruction="Better {prompt}: {x}", max_new_tokens=12)
    answers = rewriter.rewrite(["a cat", "two dogs"])
    assert answers == [greedy(directory, f"Better {prompt}: {{x}}", 12) for prompt in ("a cat", "two dogs")]
    assert rewriter.rewrite(["two dogs"]) == answers[1:]
    assert all(answers)


def test_a_model_with_a_chat_template_is_asked_through_it(directory: Path, tmp_path: Path) -> None:
    transformers.LlamaForCausalLM.from_pretrained(directory).save_pretrained(tmp_path)
    tokenizer = transformers.ByT5Tokenizer.from_pretrained(directory)
    tokenizer.chat_template = "<{{ messages[0].role }}>{{ messages[0].content }}"
    tokenizer.save_pretrained(tmp_path)
    settings = {"instruction": "{prompt}", "max_new_tokens": 8}
    plain, chat = HuggingFaceRewriter(directory, **settings), HuggingFaceRewriter(tmp_path, **settings)
    assert chat.rewrite(["a cat"]) == [greedy(directory, "<user>a cat", 8, special=False)]
    assert plain.fingerprint != chat.fingerprint


def test_the_fingerprint_covers_weights_instruction_and_length(directory: Path, tmp_path: Path) -> None:
    other = transformers.LlamaForCausalLM.from_pretrained(directory)
    with torch.no_grad():
        other.model.norm.weight[3] += 0.1
    other.save_pretrained(tmp_path)
    transformers.ByT5Tokenizer().save_pretrained(tmp_path)
    prints = [
        HuggingFaceRewriter(path, **settings).fingerprint
        for path, settings in (
            (directory, {}),
            (tmp_path, {}),
            (directory, {"instruction": "{prompt}"}),
            (directory, {"max_new_tokens": 9}),
        )
    ]
    assert len(set(prints)) == 4
    assert build_rewriter(str(directory)).fingerprint == prints[0]


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no language model in"):
        build_rewriter(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ValueError, match="no causal language model could be loaded") as error:
        build_rewriter(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("settings", [{"instruction": "better"}, {"max_new_tokens": 0}])
def test_settings_that_cannot_work_are_refused(directory: Path, settings: dict) -> None:
    with pytest.raises(ValueError, match="must"):
        HuggingFaceRewriter(directory, **settings)


def test_a_row_that_is_not_the_caches_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    CachedRewriter(Shouter(), path).rewrite(["a"])
    path.write_text(path.read_text() + '{"prompt": "b"}\n')
    assert CachedRewriter(Shouter(), path).rewrite(["a", "b"]) == ["A", "B"]
