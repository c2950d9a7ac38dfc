"""Scores: those of plain transformers, whether asked one at a time or many."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from raising import refused
from tiny_world import make_world, save_base
from transformers import AutoModelForTokenClassification, AutoTokenizer

import stepward
from stepward.records import Problem, Solution
from stepward.rendering import Rendering
from stepward.reward_models.model_dir import DESCRIPTION
from stepward.reward_models.scorer import Scorer, SolutionScore, load_scorer
from stepward.reward_models.training.from_records import train_reward_model
from stepward.reward_models.training.settings import TrainingSettings


@pytest.fixture(scope="module")
def folder(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rewards") / "er" / "seed-1"
    settings = TrainingSettings("er", epochs=2, batch=16, rendering=Rendering("\n\n", ";\n"))
    train_reward_model(base, *make_world(8, "er"), path, settings, seed=1)
    return path


@pytest.fixture(scope="module")
def scorer(folder: Path) -> Scorer:
    return load_scorer(folder)


def test_a_score_is_what_plain_transformers_gives_at_the_last_token_of_each_step(folder: Path, scorer: Scorer) -> None:
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    question, steps = "Start at 1 plus 3", ["1 plus 1 gives 2", "1 plus 2 wrong 3", "the answer is 3"]
    expected = []
    for count in range(1, len(steps) + 1):
        text = "<s>" + question + "\n\n" + ";\n".join(steps[:count])
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            expected.append(torch.sigmoid(model(ids).logits[0, -1, 0]).item())
    assert scorer.score(question, steps).steps == pytest.approx(expected, abs=1e-6)


def test_scores_do_not_depend_on_company_or_order(scorer: Scorer) -> None:
    problems, solutions, _ = make_world(12, seed=5)
    groups = [
        (problem.question, [one.steps for one in solutions if one.problem_id == problem.id]) for problem in problems
    ]
    together = scorer.score_many(groups)
    for (question, many), scores in zip(groups, together, strict=True):
        for steps, score in zip(many, scores, strict=True):
            assert scorer.score(question, steps).steps == pytest.approx(score.steps, abs=1e-5)
    backwards = scorer.score_many([(question, many[::-1]) for question, many in reversed(groups)])
    for scores, reverse in zip(together, reversed(backwards), strict=True):
        for score, other in zip(scores, reverse[::-1], strict=True):
            assert score.steps == pytest.approx(other.steps, abs=1e-5)


def test_the_same_scores_twice(scorer: Scorer, folder: Path) -> None:
    problems, solutions, _ = make_world()
    assert scorer.score_solutions(problems, solutions) == load_scorer(folder).score_solutions(problems, solutions)


def test_records_are_scored_in_their_own_order(scorer: Scorer) -> None:
    problems, solutions, _ = make_world()
    mixed = solutions[::2] + solutions[1::2]
    told: list[tuple[int, int]] = []
    scores = scorer.score_solutions(problems, mixed, progress=lambda *done: told.append(done))
    assert [one.solution_id for one in scores] == [one.id for one in mixed]
    assert {one.model for one in scores} == {"er/seed-1"}
    assert all(len(one.scores) == len(solution.steps) for one, solution in zip(scores, mixed, strict=True))
    assert told[-1][0] == told[-1][1] == len(mixed)
    question = {problem.id: problem.question for problem in problems}[mixed[0].problem_id]
    assert scores[0].scores == pytest.approx(scorer.score(question, mixed[0].steps).steps, abs=1e-5)
    assert scorer.score_solutions(problems, mixed[:1], "mine")[0].model == "mine"


def test_nothing_to_score_gives_nothing(scorer: Scorer) -> None:
    assert scorer.score_many([]) == []
    assert scorer.score_many([("Start at 1", [])]) == [[]]


def test_equal_solutions_get_equal_scores(scorer: Scorer) -> None:
    ((first, second),) = scorer.score_many([("Start at 1", [["the answer is 1"], ["the answer is 1"]])])
    assert first == second


def test_a_solution_is_scored_four_ways() -> None:
    score = SolutionScore((0.5, 0.25, 0.75))
    assert (score.min, score.last, score.mean) == (0.25, 0.75, 0.5)
    assert math.isclose(score.prod, 0.09375)


def test_what_cannot_be_scored_is_refused(scorer: Scorer) -> None:
    with refused("empty", field="steps"):
        scorer.score("Start at 1", [])
    with refused("empty", field="steps", names=(1,)):
        scorer.score("Start at 1", [""])
    with refused("too_large", field="steps", names=(512,)):
        scorer.score("Start at 1", ["1 plus 1 gives 2"] * 200)
    with refused("missing", field="problem_id", names=("lost", "gone")):
        scorer.score_solutions([], [Solution("lost", "gone", ("one",), None, False)])
    for ask in (scorer.reward, lambda question, text: scorer.reward_many([(question, [text])])):
        with refused("unsupported", field="model", names=("er/seed-1",)):
            ask("Start at 1", "the answer is 1")


def test_a_text_is_split_into_steps_as_everywhere(scorer: Scorer) -> None:
    text = "1 plus 1 gives 2\n\n1 plus 2 gives 3  \nthe answer is 3\n"
    steps = ["1 plus 1 gives 2", "1 plus 2 gives 3", "the answer is 3"]
    expected = scorer.score("Start at 1", steps)
    assert scorer.score("Start at 1", text).steps == pytest.approx(expected.steps, abs=1e-6)
    assert len(expected.steps) == 3
    assert len(scorer.score("Start at 1", "2+2=4").steps) == 1
    assert scorer.tokens("Start at 1", text) == scorer.tokens("Start at 1", steps)
    ((one, two),) = scorer.score_many([("Start at 1", [text, steps])])
    for found in (one, two):
        assert found.steps == pytest.approx(expected.steps, abs=1e-6)
    record = Solution("s", "p", text, None, False)  # type: ignore[arg-type]
    (scored,) = scorer.score_solutions([Problem("p", "Start at 1", "3")], [record])
    assert scored.scores == pytest.approx(expected.steps, abs=1e-6)
    with refused("empty", field="steps"):
        scorer.score("Start at 1", " \n")


def test_a_text_in_the_place_of_several_solutions_is_refused(scorer: Scorer) -> None:
    with refused("wrong_type", field="pairs", names=("2+2=4",)):
        scorer.score_many([("Start at 1", "2+2=4")])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_scores_of_half_the_memory_are_about_those_of_all(folder: Path, scorer: Scorer, dtype: Any) -> None:
    problems, solutions, _ = make_world(8, seed=5)
    half = load_scorer(folder, dtype=dtype)
    assert {one.dtype for one in half._model.parameters()} == {getattr(torch, dtype)}
    for ours, exact in zip(
        half.score_solutions(problems, solutions), scorer.score_solutions(problems, solutions), strict=True
    ):
        assert ours.scores == pytest.approx(exact.scores, abs=0.02)
        assert ours.scores != exact.scores or len(ours.scores) < 2, "another precision"
    logits = half._logits([half._render("Start at 1", ["the answer is 1"])])
    assert logits.dtype == torch.float32
    with refused("bad_value", field="dtype", names=("int8",)):
        load_scorer(folder, dtype="int8")  # type: ignore[arg-type]


def test_any_loader_takes_a_dtype(folder: Path, scorer: Scorer) -> None:
    half = stepward.load_scorer(folder, dtype="bfloat16")
    assert half.score("Start at 1", ["the answer is 1"]).last == pytest.approx(
        scorer.score("Start at 1", ["the answer is 1"]).last, abs=0.02
    )
    with refused("conflict", field="separator"):
        stepward.load_scorer(folder, separator="\n\n")


def test_a_model_of_infinite_weights_is_refused(folder: Path) -> None:
    broken = load_scorer(folder)
    with torch.no_grad():
        broken._model.score.weight.fill_(float("nan"))
    with refused("not_finite", names=("er/seed-1",)):
        broken.score("Start at 1", ["the answer is 1"])


def test_a_path_that_is_no_reward_model_is_refused(base: Path, tmp_path: Path) -> None:
    for path in (base, tmp_path / "nowhere"):
        with refused("file_not_found", file=path / DESCRIPTION):
            load_scorer(path)


def described(folder: Path, to: Path, **changes: Any) -> Path:
    """The model's folder, with a description that says otherwise."""
    shutil.copytree(folder, to)
    said = json.loads((to / DESCRIPTION).read_text())
    (to / DESCRIPTION).write_text(json.dumps(said | changes))
    return to


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "unreadable"),
        ("[]", "unreadable"),
        ("[" * 100_000, "unreadable"),
        ('{"kind": "er"}', "wrong_version"),
        ('{"schema_version": 99, "kind": "er"}', "wrong_version"),
        ('{"schema_version": 2, "kind": "er"}', "bad_value"),
        ('{"schema_version": 2, "kind": "' + "e" * (1 << 20) + '"}', "too_large"),
    ],
)
def test_a_broken_description_is_refused(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / DESCRIPTION).write_text(text)
    with refused(code, file=tmp_path / DESCRIPTION):
        load_scorer(tmp_path)


LINEAR = {"kind": "linear", "classes": 1, "label_tokens": []}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": 7}, "kind"),
        ({"seed": -1}, "seed"),
        ({"seed": "1"}, "seed"),
        ({"eta": 0.0}, "eta"),
        ({"share_prefixes": "yes"}, "share_prefixes"),
        ({"rendering": {"step_separator": 3}}, "rendering.step_separator"),
        ({"rendering": {"step_seperator": "x"}}, "rendering.step_seperator"),
        ({"head": {**LINEAR, "classes": 1.5}}, "head.classes"),
        ({"head": {**LINEAR, "classes": 4}}, "head"),
        ({"head": {**LINEAR, "kind": "quadratic"}}, "head.kind"),
        ({"form": "prose"}, "form"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_description_of_the_wrong_types_or_values_is_refused(
    folder: Path, tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    path = described(folder, tmp_path / "model", **changes)
    with refused("bad_value", file=path / DESCRIPTION, field=field):
        load_scorer(path)


def configured(folder: Path, to: Path, **changes: Any) -> Path:
    """The model's folder, with a configuration that says otherwise."""
    shutil.copytree(folder, to)
    said = json.loads((to / "config.json").read_text())
    (to / "config.json").write_text(json.dumps(said | changes))
    return to


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"hidden_size": "wide"}, "wrong_type"),
        ({"num_attention_heads": 0}, "bad_value"),
        ({"max_position_embeddings": "many"}, "wrong_type"),
        ({"model_type": "no_such_model"}, "unsupported"),
        ({"rope_parameters": 7}, "unreadable"),
        ({"vocab_size": 10}, "unsupported"),
        ({"hidden_act": "no_such_function"}, "unsupported"),
    ],
)
def test_an_odd_configuration_is_named(folder: Path, tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    path = configured(folder, tmp_path / "model", **changes)
    with refused(code, names=(path,)):
        load_scorer(path)


@pytest.mark.parametrize("name", ["_attn_implementation", "attn_implementation"])
def test_an_attention_that_a_folder_names_is_not_fetched(
    folder: Path, scorer: Scorer, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository of the hub, whose kernel would be downloaded and run."""
    asked: list[object] = []
    monkeypatch.setattr(transformers.modeling_utils, "is_kernel", lambda attention: asked.append(attention))
    path = configured(folder, tmp_path / "model", **{name: "somebody/their-kernel"})
    found = load_scorer(path).score("Start at 1", ["the answer is 1"])
    assert found.steps == pytest.approx(scorer.score("Start at 1", ["the answer is 1"]).steps, abs=1e-6)
    assert asked and "somebody/their-kernel" not in asked


def test_a_tokenizer_of_another_model_is_named(base: Path, tmp_path: Path) -> None:
    small = save_base(tmp_path / "small")
    settings = TrainingSettings("er", epochs=1, batch=16)
    train_reward_model(small, *make_world(4, "er"), tmp_path / "model", settings, seed=1)
    tokenizer = AutoTokenizer.from_pretrained(small)
    tokenizer.add_tokens([" brand new"])
    tokenizer.save_pretrained(tmp_path / "model")
    scorer = load_scorer(tmp_path / "model")
    assert scorer.score("Start at 1", ["the answer is 1"]).last > 0
    with refused("mismatch", field="tokenizer", names=(len(tokenizer) - 1,)):
        scorer.score("Start at 1", ["a brand new step"])
