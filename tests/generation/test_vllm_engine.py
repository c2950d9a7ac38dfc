"""The vLLM engine on its CPU build with the embedded generator: it draws what the model says, and each draw once.

vLLM lives in an environment of its own: STEPWARD_VLLM_PYTHON is that environment's python. One process of it answers
every call below.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from raising import refused
from safetensors.torch import load_file, save_file
from tiny_llama import save_llama
from transformers import AutoModelForCausalLM, AutoTokenizer

import stepward
from stepward.generation.interface import Prompt, Sampling, Usage
from stepward.generation.prompts import PromptBuilder, PromptTemplate
from stepward.generation.vllm import VLLMGenerator

SCRIPT = Path(__file__).with_name("vllm_draws.py")
FOLDER = Path(stepward.__file__).parent / "embedded"
CONTEXT = 192
OPTIONS = {
    "dtype": "float32",
    "max_model_len": CONTEXT,
    # Less than the prompts of a call have, so that they are read over several steps.
    "max_num_batched_tokens": 256,
    "max_num_seqs": 32,
    "enforce_eager": True,
}
PROMPTING = {"system": "Solve the problem."}
NAMES = ("Ann", "Bo", "Cy", "Di")
QUESTIONS = [f"{name} has {index + 3} apples. {name} buys {index + 2} apples." for index, name in enumerate(NAMES)]
PROMPTS = [Prompt(f"p{index}//s", question, ("There are 3 apples.",), 8) for index, question in enumerate(QUESTIONS)]
FIRST = Prompt("first", QUESTIONS[0], (), 600)
LONG = Prompt("long", "apples " * CONTEXT, (), 3)
SAMPLING = Sampling(max_new_tokens=24)
GREEDY = Sampling(temperature=0, max_new_tokens=24)


def part(prompt: Prompt, first: int, count: int) -> Prompt:
    return Prompt(prompt.id, prompt.question, prompt.steps, count, first)


CALLS: dict[str, tuple[list[Prompt], Sampling, int]] = {
    "together": (PROMPTS, SAMPLING, 3),
    "again": (PROMPTS, SAMPLING, 3),
    "backwards": (PROMPTS[::-1], SAMPLING, 3),
    "wave 1": ([part(prompt, 0, 3) for prompt in PROMPTS], SAMPLING, 3),
    "wave 2": ([part(prompt, 3, 5) for prompt in PROMPTS], SAMPLING, 3),
    "another seed": (PROMPTS, SAMPLING, 4),
    "greedy": (PROMPTS, GREEDY, 3),
    "too long": ([PROMPTS[0], LONG, PROMPTS[1]], SAMPLING, 3),
    "stopped": (PROMPTS, Sampling(max_new_tokens=24, stop=("apples", "\n")), 3),
    "first tokens": ([FIRST], Sampling(max_new_tokens=1), 3),
    "first tokens, top p": ([FIRST], Sampling(max_new_tokens=1, top_p=0.5, temperature=2), 3),
    "nothing": ([part(PROMPTS[0], 0, 0)], SAMPLING, 3),
    "no prompts": ([], SAMPLING, 3),
    "stale": (PROMPTS, SAMPLING, 3),
    "reset": (PROMPTS, SAMPLING, 3),
}
SCALE = 1.5
BEFORE = {"stale": {"scale": SCALE}, "reset": {"reset": True}}
"""What is done before a call: weights are changed in place, and what was read by the old ones is forgotten."""

Answers = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What vLLM answers to each call. An interpreter that is named and doesn't work is a failure, no reason to skip."""
    return answered(tmp_path_factory.mktemp("vllm"), FOLDER, CALLS)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What it answers on a freshly loaded copy of the changed weights."""
    folder = tmp_path_factory.mktemp("changed")
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        scaled = {name: one * SCALE for name, one in tensors.items() if name.endswith("input_layernorm.weight")}
        assert scaled
        save_file(tensors | scaled, path, metadata={"format": "pt"})
    return answered(tmp_path_factory.mktemp("vllm"), folder, {"together": CALLS["together"]})


def answered(place: Path, folder: Path, asked_of: dict[str, tuple[list[Prompt], Sampling, int]]) -> Answers:
    named = os.environ.get("STEPWARD_VLLM_PYTHON")
    if not named and importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM can't be imported here; set STEPWARD_VLLM_PYTHON to the python that can")
    calls = [
        {
            "prompts": [asdict(one) for one in prompts],
            "sampling": asdict(sampling),
            "seed": seed,
            **BEFORE.get(name, {}),
        }
        for name, (prompts, sampling, seed) in asked_of.items()
    ]
    asked = {"folder": str(folder), "prompting": PROMPTING, "options": OPTIONS, "calls": calls}
    (place / "calls.json").write_text(json.dumps(asked), encoding="utf-8")
    done = subprocess.run(
        [named or sys.executable, str(SCRIPT), str(place / "calls.json"), str(place / "draws.json")],
        env=os.environ | {"PYTHONPATH": str(FOLDER.parents[1])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{SCRIPT.name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return dict(zip(asked_of, json.loads((place / "draws.json").read_text(encoding="utf-8")), strict=True))


def texts(answer: dict[str, Any]) -> list[list[str]]:
    return [[one["text"] for one in row] for row in answer["draws"]]


def share_equal(one: list[list[str]], other: list[list[str]]) -> float:
    pairs = [pair for rows in zip(one, other, strict=True) for pair in zip(*rows, strict=True)]
    return sum(first == second for first, second in pairs) / len(pairs)


@pytest.mark.vllm
def test_the_same_prompts_give_the_same_draws_and_another_seed_others(answers: Answers) -> None:
    together = texts(answers["together"])
    assert [len(row) for row in together] == [8] * len(PROMPTS)
    assert share_equal(together, texts(answers["again"])) >= 0.95
    assert share_equal(together, texts(answers["another seed"])) < 0.5
    assert len({text for row in together for text in row}) > 16, "draws that are all the same would agree with any"


@pytest.mark.vllm
def test_waves_and_order_change_no_draw_but_by_rounding(answers: Answers) -> None:
    together = texts(answers["together"])
    waves = [one + two for one, two in zip(texts(answers["wave 1"]), texts(answers["wave 2"]), strict=True)]
    assert share_equal(together, waves) >= 0.95
    assert share_equal(together, texts(answers["backwards"])[::-1]) >= 0.95


@pytest.mark.vllm
def test_draws_end_where_the_model_or_the_limit_ends_them(answers: Answers) -> None:
    draws = [one for row in answers["together"]["draws"] for one in row]
    assert {one["finished"] for one in draws} == {True, False}, "both ends are seen"
    assert all(one["finished"] or one["tokens"] == 24 for one in draws)
    assert all(0 < one["tokens"] <= 24 and not one["fault"] and "</s>" not in one["text"] for one in draws)


@pytest.mark.vllm
def test_greedy_is_what_transformers_writes(answers: Answers) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModelForCausalLM.from_pretrained(FOLDER)
    prompter = PromptBuilder(tokenizer, PromptTemplate(**PROMPTING))
    for prompt, row in zip(PROMPTS, texts(answers["greedy"]), strict=True):
        ids = torch.tensor([prompter.ids(prompt.question, prompt.steps)])
        written = model.generate(ids, do_sample=False, max_new_tokens=24)[0, ids.shape[1] :]
        assert row == [tokenizer.decode(written, skip_special_tokens=True)] * prompt.count
    assert answers["greedy"]["meter"]["completions"] == sum(prompt.count for prompt in PROMPTS)
    assert answers["greedy"]["meter"]["computed"] * 8 == answers["greedy"]["meter"]["generated"]


@pytest.mark.vllm
@pytest.mark.parametrize(("call", "temperature", "top_p"), [("first tokens", 1, 1), ("first tokens, top p", 2, 0.5)])
def test_first_tokens_follow_the_softmax(call: str, temperature: float, top_p: float, answers: Answers) -> None:
    from scipy.stats import chisquare

    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModelForCausalLM.from_pretrained(FOLDER)
    ids = PromptBuilder(tokenizer, PromptTemplate(**PROMPTING)).ids(FIRST.question, FIRST.steps)
    with torch.inference_mode():
        chances = torch.softmax(model(torch.tensor([ids])).logits[0, -1].double() / temperature, -1)
    order = chances.argsort(descending=True)
    kept = order[chances[order].cumsum(-1) - chances[order] < top_p]
    shares = {tokenizer.decode([int(id_)]): float(chances[id_] / chances[kept].sum()) for id_ in kept}
    drawn = Counter(one for row in texts(answers[call]) for one in row)
    likely = {text: share * FIRST.count for text, share in shares.items() if share * FIRST.count >= 5}
    counts = [drawn[text] for text in likely] + [FIRST.count - sum(drawn[text] for text in likely)]
    expected = [*likely.values(), FIRST.count - sum(likely.values())]
    if expected[-1] < 1e-9:
        counts, expected = counts[:-1], expected[:-1]
    assert set(drawn) <= set(shares) | {""}, "nothing is drawn that top_p cuts"
    assert len(likely) >= 2 and chisquare(counts, expected).pvalue > 0.001


@pytest.mark.vllm
def test_draws_after_a_reset_are_those_of_a_fresh_copy_of_the_changed_weights(answers: Answers, fresh: Answers) -> None:
    changed, expected = answers["reset"], fresh["together"]
    assert share_equal(texts(changed), texts(expected)) >= 0.95
    assert changed["meter"]["prefilled"] == expected["meter"]["prefilled"], "nothing that was read before is kept"
    stale = answers["stale"]
    assert stale["meter"]["prefilled"] < changed["meter"]["prefilled"]
    assert share_equal(texts(stale), texts(changed)) < 0.95, "what the old weights read would be seen"


@pytest.mark.vllm
def test_a_prefix_longer_than_the_context_is_a_fault_of_that_prefix(answers: Answers) -> None:
    draws = answers["too long"]["draws"]
    assert [one["fault"] for one in draws[1]] == ["context"] * 3
    assert not any(one["fault"] for one in draws[0] + draws[2])
    assert answers["too long"]["meter"]["completions"] == 16


@pytest.mark.vllm
def test_a_stop_text_ends_a_draw_before_it(answers: Answers) -> None:
    stopped, whole = answers["stopped"]["draws"], answers["together"]["draws"]
    pairs = [pair for rows in zip(stopped, whole, strict=True) for pair in zip(*rows, strict=True)]
    assert all("apples" not in one["text"] and "\n" not in one["text"] for one, _ in pairs)
    begun = [other["text"].startswith(one["text"]) for one, other in pairs]
    assert sum(begun) >= 0.95 * len(begun)
    assert sum(one["finished"] and one["tokens"] < other["tokens"] for one, other in pairs) > len(pairs) / 2


@pytest.mark.vllm
def test_the_meter_counts_what_was_read_and_what_was_kept(answers: Answers) -> None:
    prompter = PromptBuilder(AutoTokenizer.from_pretrained(FOLDER), PromptTemplate(**PROMPTING))
    lengths = [len(prompter.ids(prompt.question, prompt.steps)) for prompt in PROMPTS]
    meter = answers["together"]["meter"]
    assert meter["prefilled"] + meter["reused"] == 8 * sum(lengths)
    assert meter["reused"] >= 7 * sum(length // 32 * 32 for length in lengths) > 0
    assert meter["completions"] == 8 * len(PROMPTS)
    assert (
        meter["generated"]
        == meter["computed"]
        == sum(one["tokens"] for row in answers["together"]["draws"] for one in row)
    )
    assert answers["again"]["meter"]["prefilled"] < meter["prefilled"]
    assert answers["nothing"]["draws"] == [[]] and answers["no prompts"]["draws"] == []


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        ({"gpu_memory": 0.9}, "unknown_name", "gpu_memory_utilization"),
        ({"trust_remote_code": True}, "unknown_name", "max_model_len"),
        ({"gpu_memory_utilization": 1.5}, "bad_value", 1.5),
        ({"tensor_parallel_size": 0}, "bad_value", 0),
        ({"max_model_len": "4k"}, "wrong_type", "'4k'"),
        ({"enforce_eager": 1}, "wrong_type", 1),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_loaded(options: dict[str, Any], code: str, named: object) -> None:
    (name,) = options
    with refused(code, field=f"options.{name}", names=(named,)):
        VLLMGenerator("no/such/folder", **options)


def test_without_vllm_the_engine_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with refused("missing_dependency", field="engine", names=("stepward[vllm]",)):
        VLLMGenerator(save_llama(tmp_path))


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("stop", ("4", True, "")), ("length", ("4", False, "")), ("abort", ("", False, "failed: vLLM ended it by abort"))],
)
def test_how_a_draw_ended_is_read_and_its_thoughts_are_left_out(reason: str, expected: tuple[str, bool, str]) -> None:
    engine = VLLMGenerator.__new__(VLLMGenerator)
    engine.meter, engine.tokenizer = Usage(), SimpleNamespace(decode=lambda ids, **_: "<think>\n3?\n</think>\n4")
    one = engine._completion(SimpleNamespace(token_ids=[5, 6], finish_reason=reason), SAMPLING)
    assert (one.text, one.finished, one.fault) == expected
