"""Scores: those of plain transformers, whether asked one at a time or many."""

import math
from pathlib import Path

import pytest
import torch
from tiny_world import make_world
from transformers import AutoModelForTokenClassification, AutoTokenizer

from stepward.errors import StepwardError
from stepward.records import Solution
from stepward.rendering import Rendering
from stepward.rewards.folder import DESCRIPTION
from stepward.rewards.record_training import train_reward_model
from stepward.rewards.scorer import Scorer, SolutionScore, load_scorer
from stepward.rewards.settings import TrainingSettings


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
    with pytest.raises(StepwardError, match="no steps"):
        scorer.score("Start at 1", [])
    with pytest.raises(StepwardError, match="step 1 of 1"):
        scorer.score("Start at 1", [""])
    with pytest.raises(StepwardError, match="512 positions"):
        scorer.score("Start at 1", ["1 plus 1 gives 2"] * 200)
    with pytest.raises(StepwardError, match="solution lost: its problem 'gone'"):
        scorer.score_solutions([], [Solution("lost", "gone", ("one",), None, False)])


def test_a_model_of_infinite_weights_is_refused(folder: Path) -> None:
    broken = load_scorer(folder)
    with torch.no_grad():
        broken._model.score.weight.fill_(float("nan"))
    with pytest.raises(StepwardError, match="er/seed-1 gives scores that are not numbers"):
        broken.score("Start at 1", ["the answer is 1"])


def test_a_path_that_is_no_reward_model_is_refused(base: Path, tmp_path: Path) -> None:
    for path in (base, tmp_path / "nowhere"):
        with pytest.raises(StepwardError, match="is not a reward model"):
            load_scorer(path)


@pytest.mark.parametrize(
    ("text", "named"),
    [("{", "can't be read"), ("[]", "can't be read"), ('{"schema_version": 2, "kind": "er"}', "can't be read")],
)
def test_a_broken_description_is_refused(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / DESCRIPTION).write_text(text)
    with pytest.raises(StepwardError, match=named):
        load_scorer(tmp_path)


def test_another_schema_version_is_refused(folder: Path, tmp_path: Path) -> None:
    text = (folder / DESCRIPTION).read_text().replace('"schema_version": 2', '"schema_version": 99')
    (tmp_path / DESCRIPTION).write_text(text)
    with pytest.raises(StepwardError, match="schema_version is 99, expected 2"):
        load_scorer(tmp_path)
