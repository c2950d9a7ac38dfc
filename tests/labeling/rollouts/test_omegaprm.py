"""OmegaPRM's tree: what is selected, what it costs, that it can go on, and its rows read back."""

from dataclasses import replace
from math import ceil, log2
from pathlib import Path
from random import Random

import pytest
from labeling.completers import OTHER, PROBLEM, SAMPLING, ChanceCompleter, attempt, same

from stepward.formats import WriteOptions
from stepward.formats.step_labels import omegaprm
from stepward.labeling.rollouts.omegaprm import (
    TreeSettings,
    TreeState,
    _Candidate,
    _selected,
    grow_trees,
    tree_rollouts,
    tree_rows,
)
from stepward.records import Problem, Solution, prefix_id, split_steps
from stepward.rows import SourceRow
from stepward.storage.parquet import read_shard, write_shard

SMALL = TreeSettings(completions=4, budget=40)


def wrong(*steps: str, problem: Problem = PROBLEM, copies: int = 1) -> Solution:
    return attempt(*steps, answer="-1", problem=problem, copies=copies)


RIGHT = attempt("a", "The answer is 6.", answer="6", copies=3)
LONG = wrong("a", "b", "c", "d", "X", "e", "f", "g")


def fails_at_x(steps: tuple[str, ...]) -> float:
    return 0.0 if "X" in steps else 1.0


def halves(steps: tuple[str, ...]) -> float:
    return 0.0 if any("Hm 0" in step or step == "X" for step in steps) else 0.5


def grow(
    completer: ChanceCompleter,
    settings: TreeSettings = SMALL,
    solutions: tuple[Solution, ...] = (RIGHT, LONG),
    before: list[TreeState] | None = None,
    problems: tuple[Problem, ...] = (PROBLEM, OTHER),
) -> list[TreeState]:
    return grow_trees(
        problems, solutions, completer, same, settings=settings, sampling=SAMPLING, seed=5, before=before or ()
    )


def test_a_wrong_solution_is_searched_by_halves() -> None:
    states = grow(ChanceCompleter(fails_at_x))
    assert [len(state.steps) for state in states] == [4, 6, 5]
    assert [(one.right, one.drawn, one.rule) for one in tree_rollouts(states)] == [
        (4, 4, "all(4)"), (0, 4, "all(4)"), (0, 4, "all(4)"),
    ]  # fmt: skip
    assert len(states) == ceil(log2(len(LONG.steps)))


@pytest.mark.parametrize("solutions", [(), (RIGHT,), (LONG,)])
def test_without_a_right_and_a_wrong_solution_nothing_is_drawn(solutions: tuple[Solution, ...]) -> None:
    completer = ChanceCompleter(halves)
    assert grow(completer, solutions=solutions) == [] and completer.rounds == 0


def test_states_that_sometimes_succeed_are_searched_from_within_the_budget() -> None:
    completer = ChanceCompleter(halves)
    states = grow(completer)
    assert completer.draws() == sum(len(state.draws) for state in states) == 40
    paths = {solution.steps for solution in (RIGHT, LONG)}
    beyond = [state for state in states if not any(path[: len(state.steps)] == state.steps for path in paths)]
    # Some states lie on completions, which no solution has.
    assert beyond and len({state.id for state in states}) == len(states) == 10
    assert [state.id for state in states] == [prefix_id("p", state.steps) for state in states]
    written = {
        (*state.steps, *split_steps(draw.text)) for state in states for draw in state.draws if len(state.steps) > 0
    }
    assert all(any(path[: len(state.steps)] == state.steps for path in written) for state in beyond)


@pytest.mark.parametrize("void", [0.0, 0.3])
def test_a_tree_grown_twice_is_the_tree_grown_at_once(void: float) -> None:
    once, twice = (ChanceCompleter(halves, empty=void, failed=void / 3) for _ in range(2))
    expected = grow(once, replace(SMALL, budget=60))
    grown: list[TreeState] = []
    for budget in (3, 9, 24, 60):
        grown = grow(twice, replace(SMALL, budget=budget), before=grown)
    assert grown == expected and twice.draws() == once.draws()
    assert grow(twice, SMALL, before=grown) == grown and twice.draws() == once.draws()


def test_more_completions_draw_only_the_new_ones() -> None:
    settings = replace(SMALL, completions=6, budget=1000)
    completer = ChanceCompleter(fails_at_x)
    first = grow(completer, replace(SMALL, budget=1000))
    assert grow(completer, settings, before=first) == grow(ChanceCompleter(fails_at_x), settings)
    assert completer.draws() == 3 * 6


def test_many_problems_go_in_lock_step_and_each_grows_as_if_alone() -> None:
    other = [
        attempt("x", "The answer is 2.", answer="2", problem=OTHER),
        wrong("x", "y", "z", "u", "v", problem=OTHER),
    ]
    together, alone = ChanceCompleter(halves), ChanceCompleter(halves)
    both = grow(together, solutions=(RIGHT, LONG, *other))
    first = grow(alone, problems=(PROBLEM,))
    rounds = alone.rounds
    assert both == first + grow(alone, solutions=tuple(other), problems=(OTHER,))
    assert together.rounds == max(rounds, alone.rounds - rounds) < alone.rounds


def test_the_selection_prefers_the_shorter_of_two() -> None:
    long, short = wrong("a", *["b c d e f g h i j k"] * 40), wrong("z", "y", "x")
    completer = ChanceCompleter(lambda steps: 1.0)
    grow(completer, solutions=(RIGHT, long, short))
    assert completer.asked[0].steps == ("z",)
    # Without regard to length the first comes first.
    careless = ChanceCompleter(lambda steps: 1.0)
    grow(careless, replace(SMALL, beta=1.0), solutions=(RIGHT, long, short))
    assert careless.asked[0].steps[0] == "a"


def test_the_worth_of_a_completion_is_the_papers() -> None:
    pool = [
        _Candidate((), 0.6, ("x",) * 3, 3),
        _Candidate(("a",), 0.9, ("a", "y"), 700),
        _Candidate(("b",), 0.2, ("b", "z"), 10),
        _Candidate(("c",), 0.5, ("c", "z"), 1),
    ]
    random = Random(2)
    chosen = set()
    for _ in range(200):
        visits = {one.state: random.randrange(9) for one in pool}
        tried = TreeSettings(8, 80, random.uniform(0.1, 1), random.uniform(0.1, 1), random.uniform(0, 2), 100)
        scores = [
            tried.alpha ** (1 - one.share) * tried.beta ** (one.length / tried.length)
            + tried.exploration * sum(visits.values()) ** 0.5 / (1 + visits[one.state])
            for one in pool
        ]
        assert _selected(pool, visits, tried) == scores.index(max(scores))
        chosen.add(_selected(pool, visits, tried))
    assert chosen == {0, 1, 2, 3}
    defaults = TreeSettings()
    assert (defaults.alpha, defaults.beta, defaults.exploration, defaults.length) == (0.5, 0.9, 0.125, 500)


def test_nothing_is_drawn_after_a_stated_answer_and_void_states_end_their_search() -> None:
    stated = wrong("a", "b", "c", "d")
    completer = ChanceCompleter(fails_at_x)
    grow(completer, solutions=(RIGHT, LONG, stated))
    assert stated.steps not in {prompt.steps for prompt in completer.asked}
    mute = ChanceCompleter(fails_at_x, empty=1.0)
    states = grow(mute)
    assert [len(state.steps) for state in states] == [4]
    (count,) = tree_rollouts(states)
    assert (count.drawn, count.empty) == (0, 4)
    assert list(tree_rows([PROBLEM], [RIGHT, LONG], states)) == []


def test_states_are_stored_as_records(tmp_path: Path) -> None:
    states = grow(ChanceCompleter(halves, empty=0.1, failed=0.1))
    write_shard(tmp_path / "trees.parquet", states, TreeState)
    assert read_shard(tmp_path / "trees.parquet", TreeState) == states


def test_the_rows_are_read_back_as_omegaprms() -> None:
    states = grow(ChanceCompleter(halves))
    # Steps of which one begins with another are no beginning of one another.
    twins = [replace(states[0], steps=("1 + 1 = 2",), id="x"), replace(states[0], steps=("1 + 1 = 23",), id="y")]
    (row,) = tree_rows([OTHER, PROBLEM], [RIGHT, LONG], states + twins)
    assert omegaprm.matches(row)
    record = omegaprm.read(SourceRow(Path("trees.jsonl"), 1, row))
    assert (record.question, record.reference) == (PROBLEM.question, "6")
    assert row["reasoning_steps"][0] == {"solution_prefix": PROBLEM.question, "mc_value": 0.75}
    found = {}
    for index, (step, label) in enumerate(zip(record.steps, record.labels, strict=True)):
        up = record.parents[index]
        before = () if up < 0 else found[up][0]
        found[index] = ((*before, *step.split("\n")), label)
    expected = {one.steps: one.right / one.drawn for one in tree_rollouts(states + twins)}
    assert dict(found.values()) == expected
    assert omegaprm.write(record, WriteOptions()) == [row]
