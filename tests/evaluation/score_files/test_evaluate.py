"""Figures from scores of other tools, through the whole command, beside the definitions written out in plain Python."""

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest
from raising import refused

from stepward.evaluation.best_of_n.answer_groups import Equivalence
from stepward.evaluation.score_files import table as external_answers
from stepward.evaluation.score_files.evaluate import ScoreFileEvaluation, evaluate_scores
from stepward.evaluation.score_files.provenance import Provenance
from stepward.grading import Verdict

Rows = list[dict[str, Any]]
Candidate = tuple[str | None, bool, float]
"""Answer, grade, score."""

GOLDEN = [("7", 0.4), ("5", 0.3), ("5", 0.2), ("7", 0.05), ("9", 0.9)]
TEXTS = {Fraction(1, 2): ("0.5", "1/2", "\\frac{1}{2}"), Fraction(3): ("3", "3.0", "x=3"), Fraction(4): ("4",)}


def measured(tmp_path: Path, *files: Rows, **options: Any) -> ScoreFileEvaluation:
    paths = []
    for index, rows in enumerate(files):
        paths.append(tmp_path / f"{index}.jsonl")
        paths[-1].write_text("".join(json.dumps(one) + "\n" for one in rows))
    return evaluate_scores(paths, **options)


def figure(
    found: ScoreFileEvaluation, n: int, voting: str | None, aggregation: str | None = "last", method: str = "score"
) -> Any:
    if voting in ("majority", "pass"):
        method, voting, aggregation = voting, None, None
    key = (method, voting, aggregation, n)
    (row,) = [one for one in found.rows if (one.method, one.voting, one.aggregation, one.n) == key]
    return row


def golden(reference: str, **changed: Any) -> Rows:
    return [
        {"problem_id": "p", "solution_id": i, "answer": answer, "reference": reference, "step_scores": [score]}
        | changed
        for i, (answer, score) in enumerate(GOLDEN)
    ]


def test_the_golden_problem(tmp_path: Path) -> None:
    for reference, best, weighted, majority in (("9", 1, 1, 0), ("7", 0, 0, 1), ("5", 0, 0, 0)):
        found = measured(tmp_path, golden(reference), ties="first")
        assert figure(found, 5, "best").mean == best
        assert figure(found, 5, "weighted").mean == weighted
        assert figure(found, 5, "majority").mean == majority
        assert figure(found, 5, "pass").mean == 1
    shared = measured(tmp_path, golden("7"))
    assert figure(shared, 5, "majority").mean == 0.5


@pytest.mark.parametrize("voting", ["majority", "best", "weighted", "weighted_mean", "weighted_max"])
def test_constant_scores_choose_at_random_at_every_n(tmp_path: Path, voting: str) -> None:
    answers = ("9", "1", "2", "3")
    # The right answer stands first, where it would win every tie for which the file's order decided.
    rows = [
        {"problem_id": f"p{problem}", "solution_id": i, "answer": answer, "reference": "9", "step_scores": [0.5]}
        for problem in range(30)
        for i, answer in enumerate(answers)
    ]
    found = measured(tmp_path, rows, ns=[1, 2, 3, 4])
    assert found.facts.ties == "share"
    for n in (1, 2, 3, 4):
        random_choice = mean(mean(one == "9" for one in subset) for subset in combinations(answers, n))
        assert random_choice == 1 / 4
        assert figure(found, n, voting).mean == pytest.approx(random_choice, abs=1e-9)
    first = figure(measured(tmp_path, rows, ties="first"), 4, voting).mean
    assert first == (0.25 if voting == "best" else 1.0)


def made_up(problems: int, candidates: int, seed: int) -> Rows:
    """Problems whose answers stand in several notations, or not at all, with scores that often tie."""
    chance = random.Random(seed)
    rows: Rows = []
    for problem in range(problems):
        reference = chance.choice([*TEXTS])
        scored = [[chance.uniform(0.05, 0.95) for _ in range(chance.randint(1, 3))] for _ in range(4)]
        for one in range(candidates):
            value = chance.choice([*TEXTS, *TEXTS, None])
            rows.append(
                {
                    "problem_id": f"p{problem}",
                    "solution_id": f"s{one}",
                    "answer": None if value is None else chance.choice(TEXTS[value]),
                    "reference": TEXTS[reference][0],
                    "step_scores": chance.choice(scored),
                }
            )
    return rows


VALUE = {text: value for value, texts in TEXTS.items() for text in texts}

AGGREGATED: dict[str, Callable[[list[float]], float]] = {
    "min": min,
    "prod": math.prod,
    "last": lambda steps: steps[-1],
    "mean": mean,
    "logodds": lambda steps: 1 / (1 + math.exp(-sum(math.log(p / (1 - p)) for p in steps))),
}


def candidates_of(rows: Rows, aggregation: str) -> Iterator[list[tuple[Fraction | None, bool, float]]]:
    """Each problem's candidates: what the answer is worth, whether it is right, and the score."""
    for problem in dict.fromkeys(row["problem_id"] for row in rows):
        own = [row for row in rows if row["problem_id"] == problem]
        values = [None if row["answer"] is None else VALUE[row["answer"]] for row in own]
        reference = VALUE[own[0]["reference"]]
        yield [
            (value, value == reference, AGGREGATED[aggregation](row["step_scores"]))
            for value, row in zip(values, own, strict=True)
        ]


def chosen(subset: Sequence[tuple[Fraction | None, bool, float]], voting: str, first: bool) -> float:
    """The chance that what is chosen from the subset is right: ties share, or the first answer wins a vote."""
    if voting == "pass":
        return float(any(right for _, right, _ in subset))
    if voting == "best":
        top = max(score for *_, score in subset)
        return mean(float(right) for _, right, score in subset if math.isclose(score, top, rel_tol=1e-12))
    votes: dict[Fraction, list[float]] = {}
    right_of = {}
    for value, right, score in subset:
        if value is not None:
            votes.setdefault(value, []).append(score)
            right_of[value] = right
    if not votes:
        return 0.0
    rule: dict[str, Callable[[list[float]], float]] = {
        "majority": len, "weighted": sum, "weighted_mean": mean, "weighted_max": max,
    }  # fmt: skip
    totals = {value: rule[voting](scores) for value, scores in votes.items()}
    winners = [value for value, total in totals.items() if math.isclose(total, max(totals.values()), rel_tol=1e-9)]
    return float(right_of[winners[0]]) if first else mean(float(right_of[value]) for value in winners)


EXACT = ("pass", "best", "weighted_max")
"""What has a closed form; votes are exact for one candidate and for all."""


@pytest.mark.parametrize("ties", ["first", "share"])
@pytest.mark.parametrize("seed", range(3))
def test_every_figure_equals_all_subsets_gone_through(tmp_path: Path, seed: int, ties: str) -> None:
    rows = made_up(problems=4, candidates=6, seed=seed)
    found = measured(tmp_path, rows, ties=ties, subsets=20_000, ns=range(1, 7))
    for voting in ("majority", "pass", "best", "weighted", "weighted_mean", "weighted_max"):
        for aggregation in ("last",) if voting in ("majority", "pass") else AGGREGATED:
            problems = list(candidates_of(rows, aggregation))
            for n in range(1, 7):
                first = ties == "first" and n == 6
                expected = mean(mean(chosen(s, voting, first) for s in combinations(one, n)) for one in problems)
                close = 1e-9 if voting in EXACT or n in (1, 6) else 0.015
                assert figure(found, n, voting, aggregation).mean == pytest.approx(expected, abs=close)


def test_several_files_are_seeds_with_a_deviation(tmp_path: Path) -> None:
    rows = made_up(problems=8, candidates=4, seed=5)
    other = [row | {"step_scores": [1 - one for one in row["step_scores"]]} for row in reversed(rows)]
    both = measured(tmp_path, rows, other)
    apart = [figure(measured(tmp_path, one), 4, "best", "mean").mean for one in (rows, other)]
    row = figure(both, 4, "best", "mean")
    assert (row.mean, row.std, row.seeds) == (pytest.approx(mean(apart)), pytest.approx(stdev(apart)), 2)
    assert both.facts.models == ("score/seed-0", "score/seed-1")
    assert (figure(both, 4, "majority").seeds, figure(both, 4, "majority").std) == (0, None)


def test_models_of_one_file_are_methods(tmp_path: Path) -> None:
    rows = made_up(problems=5, candidates=4, seed=6)
    named = [row | {"model": name} for row in rows for name in ("b/seed-1", "a", "b/seed-0")]
    found = measured(tmp_path, named)
    assert {(row.method, row.seeds) for row in found.rows} == {("majority", 0), ("pass", 0), ("b", 2), ("a", 1)}
    alone = figure(measured(tmp_path, rows), 2, "best", "prod").mean
    assert [figure(found, 2, "best", "prod", method).mean for method in ("a", "b")] == pytest.approx([alone, alone])


def test_the_order_of_problems_changes_nothing(tmp_path: Path) -> None:
    rows = made_up(problems=6, candidates=5, seed=7)
    by_problem = sorted(rows, key=lambda row: row["problem_id"], reverse=True)
    assert measured(tmp_path, rows).rows == measured(tmp_path, by_problem).rows


def test_ns_are_powers_of_two_up_to_the_fewest_candidates(tmp_path: Path) -> None:
    rows = made_up(problems=2, candidates=6, seed=1) + made_up(problems=1, candidates=9, seed=2)[6:]
    assert sorted({row.n for row in measured(tmp_path, rows).rows}) == [1, 2, 4, 6]
    assert {row.n for row in measured(tmp_path, rows, ns=[3, 3, 1]).rows} == {1, 3}
    with refused("too_few", field="--ns", names=("'p1'", 6, 7, "1 of 2")):
        measured(tmp_path, rows, ns=[7])
    with refused("bad_value", field="--ns", names=("0,2",)):
        measured(tmp_path, rows, ns=[0, 2])


def test_only_the_aggregations_asked_for(tmp_path: Path) -> None:
    found = measured(tmp_path, golden("9"), aggregations=["last", "min"])
    assert {row.aggregation for row in found.rows} == {None, "min", "last"}
    with refused("unknown_name", field="--aggregation", names=("best", "min, prod, last, mean, logodds")):
        measured(tmp_path, golden("9"), aggregations=["best"])


def test_rewards_rank_by_themselves_and_vote_by_their_logistic(tmp_path: Path) -> None:
    rewards = [-3.0, 0.5, 60.0, 61.0, -80.0, 2.0]
    rows = made_up(problems=3, candidates=6, seed=3)
    given = [
        {name: value for name, value in row.items() if name != "step_scores"} | {"score": rewards[i % 6] + i // 6}
        for i, row in enumerate(rows)
    ]
    found = measured(tmp_path, given, ns=[1, 3, 6], ties="share")
    assert found.facts.rewards and not found.facts.in_unit
    assert {(row.voting, row.aggregation) for row in found.rows if row.voting} == {
        (voting, "last") for voting in ("best", "weighted", "weighted_mean", "weighted_max")
    }
    by_order, by_weight = 0.0, 0.0
    for problem, candidates in enumerate(candidates_of(rows, "last")):
        own = [(value, right, rewards[i] + problem) for i, (value, right, _) in enumerate(candidates)]
        logistic = [(value, right, 1 / (1 + math.exp(-score))) for value, right, score in own]
        by_order += mean(chosen(subset, "best", False) for subset in combinations(own, 3)) / 3
        by_weight += chosen(logistic, "weighted", False) / 3
    assert figure(found, 3, "best").mean == pytest.approx(by_order)
    assert figure(found, 6, "weighted").mean == pytest.approx(by_weight)
    with refused("conflict", field="--aggregation", names=("min", "last")):
        measured(tmp_path, given, aggregations=["min"])


def test_rewards_that_may_be_probabilities_are_said_to_be(tmp_path: Path) -> None:
    rows = [row | {"score": row["step_scores"][0], "step_scores": None} for row in golden("9")]
    facts = measured(tmp_path, rows).facts
    assert facts.in_unit and "step_scores: [p]" in facts.lines()[-1]


def test_facts_count_what_was_measured(tmp_path: Path) -> None:
    rows = made_up(problems=3, candidates=5, seed=4)
    silent = sum(row["answer"] is None for row in rows)
    facts = measured(tmp_path, rows).facts
    test = facts.test
    assert (test.problems, test.candidates, test.fewest, test.most, test.without_answer) == (3, 15, 5, 5, silent)
    assert (test.undecided, facts.validation, facts.grader, facts.ties) == (0, None, "math", "share")


def test_grades_of_the_rows_are_used_as_they_are(tmp_path: Path) -> None:
    grades = {"7": False, "5": True, "9": False}
    rows = [row | {"correct": grades[row["answer"]]} for row in golden("9")]
    found = measured(tmp_path, rows, ties="share")
    assert (found.facts.grader, figure(found, 5, "majority").mean) == (None, 0.5)
    assert figure(found, 1, "pass").mean == pytest.approx(0.4)
    assert "`correct`" in found.facts.graded_by


def test_answers_are_one_where_the_grader_says_so(tmp_path: Path) -> None:
    rows = [row | {"answer": text} for row, text in zip(golden("9"), ["1/2", "0.5", "2", "2", "0.50"], strict=True)]
    assert figure(measured(tmp_path, [r | {"reference": "0.5"} for r in rows]), 5, "majority").mean == 1
    assert figure(measured(tmp_path, [r | {"reference": "2"} for r in rows]), 5, "majority").mean == 0
    # Three texts of one vote each against two votes.
    exact = measured(tmp_path, [r | {"reference": "2"} for r in rows], grader="exact")
    assert figure(exact, 5, "majority").mean == 1


def test_each_distinct_answer_is_graded_once_and_the_undecided_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    def slow(pairs: Any) -> list[Verdict]:
        asked.extend(pairs)
        return [Verdict(False, "timeout", "the algebra took longer than 5 s") for _ in asked]

    monkeypatch.setattr(external_answers, "grade_many", slow)
    found = measured(tmp_path, golden("9"))
    assert asked == [("9", "7"), ("9", "5"), ("9", "9")]
    assert found.facts.test.undecided == 3 and "3 answers undecided" in found.facts.lines()[0]


def test_wrong_answers_that_were_left_alone_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = golden("9")
    compared = measured(tmp_path, rows).facts
    assert compared.test.alone == 0
    monkeypatch.setattr(external_answers, "equivalence_fn", lambda _: Equivalence(lambda *_: False, seconds=0))
    found = measured(tmp_path, rows)
    # Of 7 and 5 the second was to be compared with the first.
    assert found.facts.test.alone == 1 and len(found.facts.lines()[0]) > len(compared.lines()[0])
    assert Provenance.of_json(json.loads(json.dumps(asdict(found.facts)))) == found.facts


def test_graders_by_name(tmp_path: Path) -> None:
    rows = [row | {"answer": text} for row, text in zip(golden("B"), ["(B)", "A", "b.", "C", None], strict=True)]
    found = measured(tmp_path, rows, grader="multiple_choice")
    assert figure(found, 1, "pass").mean == pytest.approx(0.4)
    with refused("bad_value", field="reference", names=("'p'", "'none'", "multiple_choice")):
        measured(tmp_path, golden("none"), grader="multiple_choice")
    with refused("unknown_name", field="grader", names=("'maths'", "math?")):
        measured(tmp_path, golden("9"), grader="maths")


def test_accuracies_by_problem_come_with_the_rows(tmp_path: Path) -> None:
    found = measured(tmp_path, made_up(problems=12, candidates=4, seed=8))
    assert list(found.evaluation.accuracies.problems) == sorted(f"p{i}" for i in range(12))
    assert figure(found, 4, "best").mean == pytest.approx(
        float(np.mean(found.evaluation.accuracies.at("score", "best", "last", 4)))
    )


def test_a_problem_without_any_answer_is_wrong_not_left_out(tmp_path: Path) -> None:
    rows = [row | {"answer": None} for row in golden("9")] + [row | {"problem_id": "q"} for row in golden("9")]
    found = measured(tmp_path, rows)
    assert (figure(found, 5, "best").mean, figure(found, 5, "pass").problems) == (0.5, 2)
