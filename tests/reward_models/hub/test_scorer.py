"""Each convention against a literal transcription of how its authors score, on a tiny random model of its shape."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from raising import refused
from safetensors.torch import load_file
from tiny_hub import SAVERS, SHAPE, Qwen2ForProcessRewardModel, change_config, mistral_tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
)

import stepward
from stepward.models import quiet
from stepward.records import Problem, Solution
from stepward.reward_models.hub.registry import SCORERS
from stepward.reward_models.hub.scorer import HubScorer, load_hub_scorer
from stepward.reward_models.model_dir import DESCRIPTION

QUESTION = "Janet's ducks lay 16 eggs a day. She eats 3 + 4 of them and sells the rest for $2 each. How much is it?"
STEPS = [
    "Step 1: She has 16 - 3 = 13 eggs left.",
    "Step 2: 13 - 4 = 9 eggs are sold.",
    "Step 3: 9 * $2 = $18 a day. The answer is: 18",
]
OTHERS = [["18"], STEPS[:2], [*STEPS, "é ≠ e", "Step 5: " + "so it is 18 + 0 - 0 and " * 12], ["1 + 1 = 3"] * 7]

Literal = Callable[[Path, str, Sequence[str]], list[float]]


@cache
def _load(folder: Path, kind: Any = AutoModelForCausalLM) -> tuple[Any, Any]:
    with quiet():
        return AutoTokenizer.from_pretrained(folder), kind.from_pretrained(folder).eval()


def math_shepherd(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    """The model card's: all logits at once, the rows of the tag picked by its id."""
    tokenizer, model = _load(folder)
    candidates = tokenizer.encode("+ -")[1:]
    tag = tokenizer.encode("ки")[-1]
    ids = torch.tensor([tokenizer.encode(question + " " + "\n".join(f"{step} ки" for step in steps))])
    shares = model(ids).logits[:, :, candidates].softmax(dim=-1)[:, :, 0]
    return shares[ids == tag].tolist()


def er_prm(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    """The repository's README: signs with a space, and no line end after a tag."""
    tokenizer, model = _load(folder)
    candidates = [tokenizer.encode(" +")[-1], tokenizer.encode(" -")[-1]]
    text = "".join(f"{step} ки\n" for step in steps)[:-1].replace("ки\n", "ки")
    ids = torch.tensor([tokenizer.encode(f"{question} {text}")])
    shares = model(ids).logits[:, :, candidates].softmax(dim=-1)[:, :, 0]
    return shares[ids == tokenizer.encode("ки")[-1]].tolist()


def _at_minus_three(tokenizer: Any, model: Any, turns: list[dict[str, str]]) -> float:
    candidates = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]
    ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True, date_string="26 Jul 2024")
    return float(model(ids["input_ids"]).logits[:, -3, candidates].softmax(dim=-1)[0, 0])


def rlhflow(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    """`prm_evaluate.py`: a conversation a step, read three tokens before its end."""
    tokenizer, model = _load(folder)
    turns: list[dict[str, str]] = []
    found = []
    for index, step in enumerate(steps):
        turns.append({"role": "user", "content": step if index else question + " " + step})
        turns.append({"role": "assistant", "content": "+"})
        found.append(_at_minus_three(tokenizer, model, turns))
    return found


def rlhflow_orm(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    """`orm_evaluate.py`: one turn."""
    tokenizer, model = _load(folder)
    said = {"role": "user", "content": question + " " + "\n".join(steps)}
    return [_at_minus_three(tokenizer, model, [said, {"role": "assistant", "content": "+"}])]


def qwen_prm(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    """The model card's, with the model's own class."""
    tokenizer, model = _load(folder, Qwen2ForProcessRewardModel)
    messages = [
        {"role": "system", "content": r"Please reason step by step, and put your final answer within \boxed{}."},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "<extra_0>".join(steps) + "<extra_0>"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
    ids = tokenizer.encode(text, return_tensors="pt")
    mask = ids == tokenizer.encode("<extra_0>")[0]
    return torch.softmax(model(input_ids=ids), dim=-1)[mask][:, 1].tolist()


def skywork(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    """`prepare_input` and the value head of the authors' inference code."""
    tokenizer, model = _load(folder)
    head = load_file(folder / "model.safetensors")
    ids = tokenizer.encode(tokenizer.bos_token + question + "\n")
    flags = [0] * len(ids)
    for line in "\n".join(steps).split("\n"):
        part = [*tokenizer.encode(line), tokenizer.encode("\n")[-1]]
        ids, flags = ids + part, flags + [0] * (len(part) - 1) + [1]
    state = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1]
    value = state @ head["v_head.summary.weight"].T + head["v_head.summary.bias"]
    return torch.sigmoid(value)[0, torch.tensor(flags) == 1, 0].tolist()


def trl(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    """`tokenize_row` of TRL's PRMTrainer, and a softmax where its labels stand."""
    tokenizer, model = _load(folder, AutoModelForTokenClassification)
    ids = tokenizer(question, add_special_tokens=False)["input_ids"]
    ids = ids if tokenizer.bos_token_id is None else [tokenizer.bos_token_id, *ids]
    ends = []
    for step in steps:
        ids += tokenizer(step, add_special_tokens=False)["input_ids"]
        ids += tokenizer.encode("\n", add_special_tokens=False)
        ends.append(len(ids) - 1)
    return model(torch.tensor([ids])).logits[0, ends].softmax(dim=-1)[:, 1].tolist()


def bradley_terry(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    """As the cards of such models do it; the reward's logistic function is the score."""
    tokenizer, model = _load(folder, AutoModelForSequenceClassification)
    chat = [{"role": "user", "content": question}, {"role": "assistant", "content": "\n".join(steps)}]
    ids = tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=True, date_string="26 Jul 2024")
    return [float(torch.sigmoid(model(ids["input_ids"]).logits[0][0]))]


LITERAL: dict[str, Literal] = {
    "math-shepherd": math_shepherd,
    "er-prm": er_prm,
    "rlhflow": rlhflow,
    "rlhflow-orm": rlhflow_orm,
    "qwen-prm": qwen_prm,
    "skywork": skywork,
    "trl": trl,
    "bradley-terry": bradley_terry,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    return {name: save(tmp_path_factory.mktemp(name)) for name, save in SAVERS.items()}


def test_every_convention_has_its_transcription() -> None:
    assert LITERAL.keys() == SCORERS.keys() == SAVERS.keys()


@pytest.mark.parametrize("name", sorted(LITERAL))
@torch.inference_mode()
def test_scores_are_those_of_the_published_recipe(folders: dict[str, Path], name: str) -> None:
    scorer = load_hub_scorer(folders[name], name)
    for steps in (STEPS, *OTHERS):
        scored = scorer.score(QUESTION, steps).steps
        assert len(scored) == (1 if SCORERS[name].whole else len(steps))
        assert scored == pytest.approx(LITERAL[name](folders[name], QUESTION, steps), abs=1e-6)


@pytest.mark.parametrize("name", sorted(LITERAL))
def test_scores_do_not_depend_on_the_batch(folders: dict[str, Path], name: str) -> None:
    scorer = load_hub_scorer(folders[name], name)
    alone = [scorer.score(QUESTION, steps).steps for steps in (STEPS, *OTHERS)]
    spread = [score for steps in alone for score in steps]
    assert max(spread) - min(spread) > 1e-3, "the model must tell solutions apart, or this shows nothing"
    for budget in (100, 10**6):
        scorer.batch_tokens = budget
        done: list[tuple[int, int]] = []
        pairs = [(QUESTION, [STEPS, *OTHERS]), ("3 + 4?", [["7"]])]
        together = scorer.score_many(pairs, lambda *told, done=done: done.append(told))
        assert done[-1] == (6, 6) and len(done) == (1 if budget > 100 else len(done))
        for one, other in zip(alone, together[0], strict=True):
            assert other.steps == pytest.approx(one, abs=1e-5)


def test_a_step_of_several_lines_is_scored_once_at_its_last_line(folders: dict[str, Path]) -> None:
    scorer = load_hub_scorer(folders["skywork"], "skywork")
    with torch.inference_mode():
        lines = skywork(folders["skywork"], QUESTION, STEPS)
    found = scorer.score(QUESTION, ["\n".join(STEPS[:2]), STEPS[2]]).steps
    assert found == pytest.approx(lines[1:], abs=1e-6)


def test_records_are_scored_in_their_order(folders: dict[str, Path]) -> None:
    scorer = load_hub_scorer(folders["trl"])
    problems = [Problem("p", QUESTION, "18"), Problem("q", "3 + 4?", "7")]
    solutions = [
        Solution(id_, problem, steps, "18", True)
        for id_, problem, steps in (("a", "q", ("7",)), ("b", "p", tuple(STEPS)), ("c", "q", ("7", "8")))
    ]
    found = scorer.score_solutions(problems, solutions)
    assert [one.solution_id for one in found] == ["a", "b", "c"]
    assert {one.model for one in found} == {folders["trl"].name}
    assert found[1].scores == scorer.score(QUESTION, STEPS).steps


def test_a_reward_is_any_number(folders: dict[str, Path]) -> None:
    scorer = load_hub_scorer(folders["bradley-terry"])
    reward = scorer.reward(QUESTION, "\n".join(STEPS))
    assert 1 / (1 + torch.tensor(-reward).exp()) == pytest.approx(scorer.score(QUESTION, STEPS).last)
    with refused("unsupported", field="model", names=(folders["trl"].name,)):
        load_hub_scorer(folders["trl"]).reward(QUESTION, "18")


def test_another_separator_for_trl(folders: dict[str, Path]) -> None:
    usual, other = (load_hub_scorer(folders["trl"], separator=text) for text in (None, "\n\n"))
    assert usual.score(QUESTION, STEPS).steps != other.score(QUESTION, STEPS).steps
    assert other.tokens(QUESTION, STEPS) >= usual.tokens(QUESTION, STEPS)
    for name, text in (("skywork", "\n\n"), ("trl", "")):
        with refused("conflict", field="separator", names=(repr(text), name)):
            load_hub_scorer(folders[name], name, separator=text)


def test_half_precision_is_near(folders: dict[str, Path]) -> None:
    scorer = load_hub_scorer(folders["qwen-prm"], dtype="bfloat16")
    whole = load_hub_scorer(folders["qwen-prm"])
    assert scorer.score(QUESTION, STEPS).steps == pytest.approx(whole.score(QUESTION, STEPS).steps, abs=0.1)
    with refused("bad_value", field="dtype", names=("int8", "float32")):
        load_hub_scorer(folders["qwen-prm"], dtype="int8")  # type: ignore[arg-type]


def test_the_public_name_loads_both_kinds(folders: dict[str, Path], base: Path) -> None:
    assert isinstance(stepward.load_scorer(folders["skywork"]), HubScorer)
    assert isinstance(stepward.load_scorer(str(folders["rlhflow"]), "rlhflow"), HubScorer)
    with refused("file_not_found", file=folders["trl"] / DESCRIPTION):
        stepward.load_scorer(folders["trl"], "stepward")
    with refused("ambiguous", file=base, field="--scorer"):
        stepward.load_scorer(base)


@pytest.mark.parametrize("name", sorted(LITERAL))
def test_what_is_longer_than_the_model_is_refused(folders: dict[str, Path], name: str) -> None:
    scorer = load_hub_scorer(folders[name], name)
    with refused("too_large", field="steps", names=(512, QUESTION[:40])):
        scorer.score(QUESTION, ["so it is 18 " * 200])
    for question, steps, field, named in (
        (" ", ["7"], "question", repr(" ")),
        ("3 + 4?", [], "steps", "3 + 4?"),
        ("3 + 4?", ["7", " "], "steps", "step 2"),
    ):
        with refused("empty", field=field, names=(named,)):
            scorer.score(question, steps)


@torch.inference_mode()
def test_a_head_whose_logits_are_capped(tmp_path: Path) -> None:
    tokenizer = mistral_tokenizer()
    shape = {**SHAPE, "vocab_size": len(tokenizer), "head_dim": 16, "query_pre_attn_scalar": 16}
    torch.manual_seed(0)
    Gemma2ForCausalLM(Gemma2Config(**shape, final_logit_softcapping=0.5)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    scored = load_hub_scorer(tmp_path, "math-shepherd").score(QUESTION, STEPS).steps
    assert scored == pytest.approx(math_shepherd(tmp_path, QUESTION, STEPS), abs=1e-5)
    change_config(tmp_path, final_logit_softcapping=None)
    assert load_hub_scorer(tmp_path, "math-shepherd").score(QUESTION, STEPS).steps != pytest.approx(scored, abs=1e-3)


def test_an_architecture_that_scales_its_logits_is_refused(tmp_path: Path) -> None:
    """Its output matrix alone would give other scores than the model."""
    tokenizer = mistral_tokenizer()
    shape = {**SHAPE, "vocab_size": len(tokenizer), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    GraniteForCausalLM(GraniteConfig(**shape, logits_scaling=8.0)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with refused("unsupported", file=tmp_path, names=("GraniteForCausalLM",)):
        load_hub_scorer(tmp_path, "math-shepherd")


def test_too_little_memory_is_said(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = load_hub_scorer(folders["trl"])

    def full(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(type(scorer._reader), "__call__", full)
    with refused("out_of_memory", field="--batch-tokens", names=("cpu",)):
        scorer.score(QUESTION, STEPS)
