"""The whole evaluation on made-up records, against figures computed the long way round."""

import statistics
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from raising import refused

from stepward.evaluation.best_of_n.answer_groups import Equivalence
from stepward.evaluation.best_of_n.evaluate import Evaluation, evaluate
from stepward.evaluation.stats.paired_test import holm
from stepward.records import Problem, Scores, Solution

Part = tuple[list[Problem], list[Solution], list[Scores]]
NS = (1, 2, 4, 8)
STRENGTH = {"orm": 0.5, "hard": 2.0, "soft": 2.0, "er": 2.0}


def _made_up(prefix: str, count: int, seed: int) -> Part:
    """Problems with 8 candidates, of which majority is often wrong and reward models see some of it."""
    generator = np.random.default_rng(seed)
    problems = [Problem(f"{prefix}{i}", "?", "7") for i in range(count)]
    solutions, scores = [], []
    for problem in problems:
        right = int(generator.integers(0, 6))
        copies = {f"right {i}": 1 for i in range(right)} | {"wrong": 8 - right}
        for name, drawn in copies.items():
            ok = name.startswith("right")
            answer = "7" if ok else "3"
            solutions.append(Solution(f"{problem.id}/{name}", problem.id, (name, "so"), answer, ok, drawn))
    for kind, strength in STRENGTH.items():
        for model_seed in (0, 42):
            for solution in solutions:
                logit = generator.normal(strength if solution.correct else -strength, 2.0, size=2)
                steps = tuple(float(x) for x in 1 / (1 + np.exp(-logit)))
                scores.append(Scores(solution.id, solution.problem_id, f"{kind}/seed-{model_seed}", steps))
    return problems, solutions, scores


TEST, HELD = _made_up("t", 40, 0), _made_up("v", 20, 1)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(*TEST, validation=HELD, ns=NS, choose_at=4, subsets=100)


def test_every_method_voting_aggregation_and_n_has_a_row(evaluation: Evaluation) -> None:
    keys = {(row.method, row.voting, row.aggregation, row.n) for row in evaluation.rows}
    assert len(keys) == len(evaluation.rows) == len(NS) * (2 + 4 * 4 * 5)
    for row in evaluation.rows:
        assert 0 <= row.low <= row.mean <= row.high <= 1
        assert row.problems == 40
        assert (row.std is None, row.seeds) == ((True, 0) if row.voting is None else (False, 2))


def test_a_row_equals_enumeration_over_problems_and_seeds(evaluation: Evaluation) -> None:
    problems, solutions, scores = TEST
    steps = {(score.model, score.solution_id): score.scores for score in scores}
    by_seed = []
    for seed in (0, 42):
        total = 0.0
        for problem in problems:
            drawn = [s for s in solutions if s.problem_id == problem.id for _ in range(s.copies)]
            picks = []
            for subset in combinations(drawn, 4):
                value = {s.id: min(steps[f"hard/seed-{seed}", s.id]) for s in subset}
                picks.append(max(subset, key=lambda s: value[s.id]).correct)
            total += statistics.mean(picks)
        by_seed.append(total / len(problems))
    row = evaluation.row("hard", 4, "best", "min")
    assert row.mean == pytest.approx(statistics.mean(by_seed))
    assert row.std == pytest.approx(statistics.stdev(by_seed))


def test_choices_come_from_validation(evaluation: Evaluation) -> None:
    as_test = evaluate(*HELD, validation=TEST, ns=(4,), subsets=100)
    for choice in evaluation.chosen:
        rows = [r for r in as_test.rows if (r.method, r.voting) == (choice.method, choice.voting)]
        if choice.method == "orm":
            rows = [row for row in rows if row.aggregation == "last"]
        assert choice.validation == pytest.approx(max(row.mean for row in rows))
        assert choice.aggregation in {r.aggregation for r in rows if r.mean == pytest.approx(choice.validation)}
        assert choice.seeds == (0, 42)
    for method in STRENGTH:
        both = [choice for choice in evaluation.chosen if choice.method == method]
        assert [choice.voting for choice in both] == ["best", "weighted"]
        assert evaluation.choice(method).validation == max(choice.validation for choice in both)


def test_margins_are_the_differences_of_the_chosen_rows(evaluation: Evaluation) -> None:
    assert [(m.method, m.against, m.n) for m in evaluation.margins] == [
        *[(kind, "majority", 4) for kind in STRENGTH],
        ("er", "orm", 4),
        ("er", "hard", 4),
        ("er", "soft", 4),
        ("hard", "orm", 4),
        ("soft", "orm", 4),
        ("soft", "hard", 4),
        *[(kind, kind, 8) for kind in STRENGTH],
    ]

    def chosen(kind: str) -> float:
        choice = evaluation.choice(kind)
        return evaluation.row(kind, 4, choice.voting, choice.aggregation).mean

    for margin in evaluation.margins[:10]:
        other = evaluation.row("majority", 4).mean if margin.against == "majority" else chosen(margin.against)
        assert margin.mean == pytest.approx(chosen(margin.method) - other)
    for margin in evaluation.margins:
        assert margin.low <= margin.mean <= margin.high
        assert (margin.wins, margin.loses) == (
            margin.low > 0 and margin.p_holm <= 0.05, margin.high < 0 and margin.p_holm <= 0.05
        )  # fmt: skip
        assert 0 < margin.p <= margin.p_holm <= 1
        assert margin.needed is None or margin.needed >= 6
        assert (margin.seeds, margin.against_seeds) == (2, 0 if margin.against == "majority" else 2)
    assert [margin.p_holm for margin in evaluation.margins] == holm(evaluation.margins)
    hard, falls = evaluation.margin("hard", "majority"), evaluation.margin("hard", "hard")
    assert hard is not None and hard.wins
    assert falls is not None and (falls.n, falls.against_n, falls.voting) == (8, 4, "best")
    assert evaluation.margin("soft", "er") is None


def test_quintiles_hold_every_problem_and_every_chosen_method(evaluation: Evaluation) -> None:
    methods = {(row.method, row.voting) for row in evaluation.quintiles}
    assert len(methods) == 2 + 4 * 2
    for method, voting in methods:
        rows = [row for row in evaluation.quintiles if (row.method, row.voting) == (method, voting)]
        assert [row.quintile for row in rows] == [1, 2, 3, 4, 5] and {row.n for row in rows} == {4}
        mean = sum(row.accuracy * row.problems for row in rows) / 40
        # Each half is one draw of what the row is the mean of.
        assert mean == pytest.approx(evaluation.row(method, 4, voting, rows[0].aggregation).mean, abs=0.06)


def test_slices_average_to_the_row() -> None:
    levelled = [Problem(p.id, p.question, p.reference, level=int(p.id[1:]) % 3) for p in TEST[0]]
    sliced = evaluate(levelled, *TEST[1:], validation=HELD, ns=NS, choose_at=4, subsets=20).slices
    assert {row.slicing for row in sliced} == {"level"}
    evaluation = evaluate(*TEST, validation=HELD, ns=NS, choose_at=4, subsets=20)
    for method, voting in {(row.method, row.voting) for row in sliced}:
        rows = [row for row in sliced if (row.slicing, row.method, row.voting) == ("level", method, voting)]
        assert [row.slice for row in rows] == ["0", "1", "2"]
        mean = sum(row.accuracy * row.problems for row in rows) / 40
        assert mean == pytest.approx(evaluation.row(method, 4, voting, rows[0].aggregation).mean)


def test_candidates_without_answers_are_counted_and_count_as_wrong() -> None:
    problems, solutions, scores = TEST
    silent = [replace(s, answer=None) if s.id.endswith("/wrong") else s for s in solutions]
    evaluation = evaluate(problems, silent, scores, validation=HELD, ns=NS, choose_at=4, subsets=20)
    wrong = sum(s.copies for s in solutions if s.id.endswith("/wrong"))
    assert evaluation.facts == {
        "problems": 40,
        "candidates": 320,
        "distinct_candidates": len(solutions),
        "fewest_candidates": 8,
        "without_answer": wrong,
        "problems_without_answer": sum(s.copies == 8 for s in solutions),
        "problems_without_right": sum(s.copies == 8 for s in solutions),
        "models": 8,
    }
    plain = evaluate(*TEST, validation=HELD, ns=NS, choose_at=4, subsets=20)
    for method, voting, aggregation in [("pass", None, None), ("er", "best", "min")]:
        assert evaluation.row(method, 4, voting, aggregation) == plain.row(method, 4, voting, aggregation)
    # Those that have an answer are all right: a vote fails only where none of a subset has one.
    assert evaluation.row("majority", 8).mean == plain.row("pass", 8).mean


def test_answers_are_one_by_the_grader_not_by_their_text() -> None:
    def part(prefix: str) -> Part:
        problems = [Problem(f"{prefix}{i}", "?", "1/2") for i in range(4)]
        solutions = [
            Solution(f"{one.id}/{i}", one.id, ("x" * (i + 1),), answer, answer in ("1/2", "0.5"))
            for one in problems
            for i, answer in enumerate(["1/2", "3", "0.5", "7", "7"])
        ]
        return problems, solutions, []

    evaluation = evaluate(*part("t"), validation=part("v"), ns=(5,))
    assert evaluation.row("majority", 5).mean == 0.5  # two halves against two sevens
    wrong = [replace(s, answer="3.0") if s.id.endswith("/4") else s for s in part("t")[1]]
    mathematical = evaluate(part("t")[0], wrong, [], validation=part("v"), ns=(5,))
    assert mathematical.row("majority", 5).mean == 0.5  # two halves against 3 and 3.0
    assert evaluate(part("t")[0], wrong, [], validation=part("v"), ns=(5,), grader="exact").row("majority", 5).mean == 1


def test_wrong_answers_that_were_left_alone_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def part(prefix: str) -> Part:
        problem = Problem(prefix, "?", "9")
        return [problem], [Solution(f"{prefix}/{one}", prefix, (one,), one, False) for one in ("1", "2", "3")], []

    assert "answers_alone" not in evaluate(*part("t"), validation=part("v"), ns=(3,)).facts
    monkeypatch.setattr(
        "stepward.evaluation.best_of_n.evaluate.equivalence_fn", lambda _: Equivalence(lambda *_: True, seconds=0)
    )
    assert evaluate(*part("t"), validation=part("v"), ns=(3,)).facts["answers_alone"] == 2


def test_arrival_order_changes_nothing_and_the_seed_does(evaluation: Evaluation) -> None:
    backward: list[Part] = [(p[::-1], s[::-1], c[::-1]) for p, s, c in (TEST, HELD)]
    assert evaluate(*backward[0], validation=backward[1], ns=NS, choose_at=4, subsets=100) == evaluation
    other = evaluate(*TEST, validation=HELD, ns=NS, choose_at=4, subsets=100, seed=1)
    assert other.row("majority", 4) != evaluation.row("majority", 4)


def test_no_reward_models_leaves_majority_and_pass() -> None:
    alone = evaluate(TEST[0], TEST[1], [], validation=(HELD[0], HELD[1], []), ns=NS)
    assert {row.method for row in alone.rows} == {"majority", "pass"}
    assert (alone.chosen, alone.margins, alone.methods, alone.n) == ((), (), (), 8)
    with pytest.raises(KeyError):
        alone.row("er", 4, "best", "min")


def test_one_seed_has_no_spread() -> None:
    one = [[s for s in part[2] if s.model == "er/seed-0"] for part in (TEST, HELD)]
    single = evaluate(TEST[0], TEST[1], one[0], validation=(HELD[0], HELD[1], one[1]), ns=(1, 4))
    assert single.row("er", 4, "best", "min").std is None
    assert single.row("er", 4, "best", "min").seeds == 1


@pytest.mark.parametrize(
    ("ns", "choose_at", "field"), [((), None, "ns"), ((0, 1), None, "ns"), ((1, 2), 4, "choose_at")]
)
def test_impossible_sizes_are_refused(ns: tuple[int, ...], choose_at: int | None, field: str) -> None:
    with refused("bad_value", field=field, names=ns):
        evaluate(*TEST, validation=HELD, ns=ns, choose_at=choose_at)


def test_more_candidates_than_drawn_are_refused_by_problem() -> None:
    with refused("too_few", names=("t0", 8, 16)):
        evaluate(*TEST, validation=HELD, ns=(16,))


def test_parts_must_be_disjoint_and_scored_alike() -> None:
    with refused("conflict", field="problems", names=("t0",)):
        evaluate(*TEST, validation=TEST, ns=NS)
    fewer = [score for score in HELD[2] if score.model != "er/seed-42"]
    with refused("mismatch", field="scores", names=("er/seed-42",)):
        evaluate(*TEST, validation=(HELD[0], HELD[1], fewer), ns=NS)
