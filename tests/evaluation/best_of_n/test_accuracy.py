"""Tables of candidates measured as a whole, against plain Python on every subset; golden numbers; what is refused."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from raising import refused

from stepward.evaluation.best_of_n import accuracy
from stepward.evaluation.best_of_n.accuracy import VOTINGS, Accuracies, measure_table
from stepward.evaluation.best_of_n.aggregation import AGGREGATIONS, aggregate
from stepward.evaluation.best_of_n.table import CandidateTable, ModelScores
from stepward.evaluation.best_of_n.voting import Ties

Candidate = tuple[int, tuple[float, ...]]
"""An answer from 0 to 2, of which 0 is right, or -1; and its step scores."""

STEPS = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]), min_size=1, max_size=3).map(tuple)
PROBLEM = st.lists(st.tuples(st.integers(-1, 2), STEPS), min_size=4, max_size=8)


def _table(problems: list[list[Candidate]]) -> tuple[CandidateTable, ModelScores]:
    candidates = [one for each in problems for one in each]
    answers = np.array([answer for answer, _ in candidates], dtype=np.int32)
    table = CandidateTable(
        problems=[f"p{number}" for number in range(len(problems))],
        starts=np.cumsum([0] + [len(each) for each in problems]),
        answers=answers,
        correct=answers == 0,
        copies=np.ones(len(candidates), dtype=np.int64),
    )
    flat = np.array([score for _, steps in candidates for score in steps])
    return table, ModelScores("score", 0, flat, np.cumsum([0] + [len(steps) for _, steps in candidates]))


def _weight(name: str, voting: str, steps: tuple[float, ...]) -> float:
    """What a candidate counts; sums of log odds are added up as chances, and compared as they are."""
    found = aggregate(name, steps)
    return 1 / (1 + math.exp(-found)) if name == "logodds" and voting in ("weighted", "weighted_mean") else found


def _share(subset: tuple[Candidate, ...], voting: str, name: str) -> float:
    """How much of one subset's place goes to right answers, by plain Python."""
    if voting == "best":
        scored = [(aggregate(name, steps), answer == 0) for answer, steps in subset]
        tied = [right for score, right in scored if math.isclose(score, max(scored)[0], rel_tol=1e-12, abs_tol=1e-12)]
        return sum(tied) / len(tied)
    given: dict[int, list[float]] = defaultdict(list)
    for answer, steps in subset:
        if answer >= 0:
            given[answer].append(_weight(name, voting, steps))
    worth: Callable[[list[float]], float] = {
        "weighted": sum, "weighted_mean": lambda own: sum(own) / len(own), "weighted_max": max, "majority": len
    }[voting]  # fmt: skip
    votes = {answer: worth(own) for answer, own in given.items()}
    near = 1e-12 if voting == "weighted_max" else 0.0  # sums of log odds may cancel to 0
    winners = [a for a, own in votes.items() if math.isclose(own, max(votes.values()), rel_tol=1e-11, abs_tol=near)]
    return (0 in winners) / len(winners) if winners else 0.0


@given(st.lists(PROBLEM, min_size=1, max_size=3))
@example([[(0, (1.0,)), (1, (0.0,)), (0, (0.0, 0.0)), (2, (0.5,))]])  # means of .5 less 5e-10 and of .5: no tie
def test_every_method_at_all_candidates_and_closed_forms_at_every_n(problems: list[list[Candidate]]) -> None:
    table, model = _table(problems)
    fewest = min(map(len, problems))
    ns = range(1, fewest + 1)
    measured = measure_table(table, [model], ns, seed=0, subsets=3)
    for name in AGGREGATIONS:
        for row, n in itertools.product(range(len(problems)), ns):
            for voting in VOTINGS:
                if voting in ("weighted", "weighted_mean") and 1 < n < len(problems[row]):
                    continue
                subsets = list(itertools.combinations(problems[row], n))
                expected = np.mean([_share(one, voting, name) for one in subsets])
                assert measured.scored["score", voting, name][0, row, n - 1] == pytest.approx(expected, abs=1e-9)
    for row, n in itertools.product(range(len(problems)), ns):
        subsets = list(itertools.combinations(problems[row], n))
        passed = np.mean([any(answer == 0 for answer, _ in one) for one in subsets])
        assert measured.passed[row, n - 1] == pytest.approx(passed)
        if n in (1, len(problems[row])):
            expected = np.mean([_share(one, "majority", "last") for one in subsets])
            assert measured.majority[row, n - 1] == pytest.approx(expected)


@pytest.mark.parametrize("score", [0.1, 0.3, 0.7, 0.93])
@pytest.mark.parametrize("aggregation", ["min", "last", "mean"])
def test_a_score_that_is_the_same_everywhere_gives_the_mean_accuracy(score: float, aggregation: str) -> None:
    table, model = _table([[(index % 2, (score,) * length) for index, length in enumerate((1, 3, 6, 2, 7, 11, 3))]])
    measured = measure_table(table, [model], (1, 3, 7), seed=0, subsets=3)
    assert measured.scored["score", "best", aggregation][0, 0] == pytest.approx(4 / 7)


def _golden(right: int, ties: Ties) -> Accuracies:
    """Answers 7, 5, 5, 7, 9 with scores .4, .3, .2, .05, .9."""
    table, model = _table([[(0, (0.4,)), (1, (0.3,)), (1, (0.2,)), (0, (0.05,)), (2, (0.9,))]])
    table = replace(table, correct=table.answers == right)
    return measure_table(table, [model], (1, 5), seed=0, subsets=400, ties=ties)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_golden_numbers(aggregation: str) -> None:
    seven, five, nine = (_golden(right, "first") for right in range(3))
    for voting in VOTINGS:
        won = [float(one.scored["score", voting, aggregation][0, 0, 1]) for one in (seven, five, nine)]
        assert won == [0, 0, 1]
    assert [float(one.majority[0, 1]) for one in (seven, five, nine)] == [1, 0, 0]
    assert [float(_golden(right, "share").majority[0, 1]) for right in range(3)] == [0.5, 0.5, 0]
    assert seven.majority[0, 0] == pytest.approx(2 / 5)


def test_the_first_of_tied_answers_wins_every_vote_of_all_but_best_of_n_shares() -> None:
    table, model = _table([[(0, (0.5,)), (1, (0.5,))], [(0, (0.5,)), (1, (0.5,)), (1, (0.1,)), (0, (0.1,))]])
    table = replace(table, correct=np.array([False, True, True, False, False, True]))
    measured = measure_table(table, [model], (2,), seed=0, subsets=100, ties="first")
    assert measured.majority[0, 0] == 0.0  # all of the first problem's, of which the first answer is wrong
    for voting in ("weighted", "weighted_mean", "weighted_max"):
        assert measured.scored["score", voting, "last"][0, 0, 0] == 0.0
    assert measured.scored["score", "best", "last"][0, 0, 0] == 0.5
    shared = measure_table(table, [model], (2,), seed=0, subsets=100)
    # Two of the second problem's four are a random subset, which has no order.
    assert measured.majority[1, 0] == shared.majority[1, 0]
    assert shared.majority[0, 0] == 0.5


def _random(problems: int = 30, candidates: int = 12, models: int = 3) -> tuple[CandidateTable, list[ModelScores]]:
    generator = np.random.default_rng(0)
    rows = [
        [
            (int(generator.integers(-1, 3)), tuple(generator.random(int(generator.integers(1, 4)))))
            for _ in range(candidates)
        ]
        for _ in range(problems)
    ]
    table, model = _table(rows)
    made = [
        replace(model, method="er" if i else "orm", seed=i, steps=generator.random(len(model.steps)))
        for i in range(models)
    ]
    return table, made


def test_blocks_and_the_company_of_other_models_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table, models = _random()
    whole = measure_table(table, models, (1, 4, 12), seed=0, subsets=50)
    assert whole.seeds == {"orm": (0,), "er": (1, 2)} and list(whole.problems) == list(table.problems)
    monkeypatch.setattr(accuracy, "_BLOCK", 30)
    for alone in (
        measure_table(table, models, (12, 4, 1), seed=0, subsets=50),
        measure_table(table, models[1:], (1, 4, 12), seed=0, subsets=50),
    ):
        for key in alone.scored:
            assert (alone.scored[key] == whole.scored[key]).all()
        assert (alone.majority == whole.majority).all() and (alone.passed == whole.passed).all()
    some = measure_table(table, models, (1, 4, 12), seed=0, subsets=50, aggregations=("last",))
    assert {key[2] for key in some.scored} == {"last"}
    assert (some.scored["er", "weighted", "last"] == whole.scored["er", "weighted", "last"]).all()


def test_at_averages_over_seeds() -> None:
    table, models = _random()
    measured = measure_table(table, models, (4,), seed=0, subsets=10)
    both = measured.scored["er", "best", "min"][:, :, 0]
    assert measured.at("er", "best", "min", 4) == pytest.approx((both[0] + both[1]) / 2)


def test_copies_count_as_so_many_candidates() -> None:
    table, (model, *_) = _random(problems=5, candidates=6)
    doubled = replace(table, copies=np.full(30, 2))
    spread = CandidateTable(
        table.problems,
        table.starts * 2,
        np.repeat(table.answers, 2),
        np.repeat(table.correct, 2),
        np.ones(60, np.int64),
    )
    lengths = np.diff(model.starts)
    steps = np.concatenate([np.tile(model.steps[a:b], 2) for a, b in itertools.pairwise(model.starts)])
    twice = replace(model, steps=steps, starts=np.concatenate([[0], np.cumsum(np.repeat(lengths, 2))]))
    one = measure_table(doubled, [model], (1, 3, 12), seed=0, subsets=400)
    other = measure_table(spread, [twice], (1, 3, 12), seed=0, subsets=400)
    for key in one.scored:
        exact = key[1] in ("best", "weighted_max")
        assert one.scored[key] == pytest.approx(other.scored[key], abs=1e-9 if exact else 0.12)


def test_progress_is_told_of_every_problem() -> None:
    table, models = _random()
    seen: list[int] = []
    measure_table(table, models, (1,), seed=0, subsets=1, progress=lambda: seen.append(1))
    assert len(seen) == 30


TABLE, MODELS = _random(problems=3, candidates=4)
EMPTY_FIRST = np.array([0, 0, *range(2, 13)])
BAD_STEPS = np.where(np.arange(len(MODELS[0].steps)) == 2, np.nan, MODELS[0].steps)


@pytest.mark.parametrize(
    ("table", "models", "ns", "code", "field", "names"),
    [
        (TABLE, MODELS, (), "bad_value", "ns", ()),
        (TABLE, MODELS, (0, 2), "bad_value", "ns", (0, 2)),
        (TABLE, MODELS, (5,), "too_few", "ns", ("p0", 4, 5)),
        (CandidateTable([], np.zeros(1, int), *np.empty((3, 0), int)), [], (1,), "empty", "problems", ()),
        (replace(TABLE, starts=np.array([0, 4, 4, 12])), MODELS, (1,), "too_few", "candidates", ("p1",)),
        (
            replace(TABLE, correct=np.arange(12) == 0, answers=np.zeros(12, np.int32)),
            [],
            (1,),
            "mismatch",
            "correct",
            ("p0",),
        ),
        (
            replace(TABLE, correct=np.arange(12) == 9, answers=np.full(12, -1, np.int32)),
            [],
            (1,),
            "mismatch",
            "correct",
            ("p2",),
        ),
        (TABLE, [MODELS[0], MODELS[0]], (1,), "duplicate", "seed", ("orm", 0)),
        (TABLE, [replace(MODELS[0], steps=BAD_STEPS)], (1,), "not_finite", "scores", ("orm", 0)),
        (TABLE, [replace(MODELS[0], steps=MODELS[0].steps + 1)], (1,), "bad_value", "scores", ("orm",)),
        (TABLE, [replace(MODELS[0], steps=MODELS[0].steps[:-1])], (1,), "mismatch", "scores", ("orm",)),
        (TABLE, [replace(MODELS[0], starts=MODELS[0].starts[1:])], (1,), "mismatch", "scores", ("orm",)),
        (
            TABLE,
            [ModelScores("er", 0, np.ones(12), np.array([0, 0, *range(2, 13)]))],
            (1,),
            "missing",
            "scores",
            ("er",),
        ),
    ],
)
def test_what_would_change_a_denominator_is_refused(
    table: CandidateTable,
    models: list[ModelScores],
    ns: tuple[int, ...],
    code: str,
    field: str,
    names: tuple[object, ...],
) -> None:
    with refused(code, field=field, names=names):
        measure_table(table, models, ns, seed=0, subsets=1)


def test_a_score_that_is_none_is_refused_by_its_candidate() -> None:
    with refused("not_finite", row=2, field="scores"):
        starts = np.array([0, 1, *range(3, 14)])  # the second candidate has two steps
        steps = np.where(np.arange(13) == 2, np.nan, 0.5)
        measure_table(TABLE, [ModelScores("er", 0, steps, starts)], (1,), seed=0, subsets=1)
