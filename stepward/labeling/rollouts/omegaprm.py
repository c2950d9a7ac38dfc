"""OmegaPRM's tree search: where to draw next, so that many first errors are found in one budget a problem.

Luo et al. 2024, "Improve Mathematical Reasoning in Language Models by Automated Process Supervision" (section 3.3).
A state is a prefix with the completions drawn from it; the root is the problem, and its completions are the problem's
solutions. Again and again a wrong completion r of a state s that sometimes succeeds (0 < MC(s) < 1) is selected by

    Q(s, r) + U(s),   Q = alpha^(1 - MC(s)) beta^(len(r) / L),   U = c sqrt(sum of all N) / (1 + N(s)),

with MC the share of right completions and N how often a completion of s was selected: nearly sure states and short
completions first, and states not looked at yet. Its first error is looked for by halves; every prefix that is asked on
the way becomes a state, whose own wrong completions may be selected later.

The tree is stored as its states with all their completions. Everything else, the selections too, is computed from them
again: going on plays the search again from the start and draws only where the stored states end. So a tree that was
grown twice is the tree grown at once. Prefixes are drawn from by a number of completions that is the same for all, so
its counts are as those of `all`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from stepward.generation.interface import Completion, Generator, Prompt, Sampling
from stepward.labeling.rollouts.prefixes import Prefixes, prefixes_of
from stepward.labeling.rollouts.sampling import Grader, complete, completion_answer
from stepward.records import Problem, Solution, StepRollouts, join_steps, prefix_id, split_steps

Steps = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """How a tree is grown. The defaults are the paper's.

    Attributes:
        completions: Completions of each state, K.
        budget: The most completions drawn for a problem; its solutions don't count.
        alpha: In (0, 1]: how much surer states are preferred.
        beta: In (0, 1]: how much shorter completions are preferred.
        exploration: c, at least 0: how much states are preferred that were selected seldom.
        length: L: the length, in words and signs, that costs a factor of `beta`. The paper counts tokens; words and
            signs are about as many, and the same for every completer.
    """

    completions: int = 8
    budget: int = 800
    alpha: float = 0.5
    beta: float = 0.9
    exploration: float = 0.125
    length: int = 500


@dataclass(frozen=True, slots=True)
class TreeDraw:
    """One completion of a state.

    Attributes:
        text: What was written after the state's steps.
        right: Whether it reaches the reference answer.
        finished: False where the token limit cut it.
        tokens: How many tokens it has.
        fault: Why the engine could not give it; empty where it could.
    """

    text: str
    right: bool
    finished: bool
    tokens: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class TreeState:
    """A prefix of a tree with its completions, in the order of their numbers; a record for `stepward.storage.parquet`.

    Attributes:
        id: `prefix_id(problem_id, steps)`.
        problem_id: The problem.
        steps: The prefix's steps.
        completer: Who wrote the completions.
        draws: The completions.
    """

    id: str
    problem_id: str
    steps: tuple[str, ...]
    completer: str
    draws: tuple[TreeDraw, ...]


def grow_trees(
    problems: Sequence[Problem],
    solutions: Iterable[Solution],
    completer: Generator,
    grader: Grader,
    *,
    settings: TreeSettings,
    sampling: Sampling,
    seed: int,
    before: Iterable[TreeState] = (),
) -> list[TreeState]:
    """Grows the trees of many problems in lock step, so that the completer gets one state of each at once.

    A problem with no right or no wrong solution has no state that sometimes succeeds, and so gets no draws.

    Args:
        problems: The problems.
        solutions: Their graded solutions: the completions of the roots.
        completer: Writes the completions.
        grader: Grades them.
        settings: How.
        sampling: How completions are drawn.
        seed: Where the draws' randomness comes from, with the prefix's id.
        before: The states of these problems that were stored, by the same completer, sampling and seed.

    Returns:
        All states, those of `before` too, problem by problem in the order in which the search came to them.
    """
    roots: dict[str, list[Solution]] = {problem.id: [] for problem in problems}
    for solution in solutions:
        roots[solution.problem_id].append(solution)
    trees: dict[str, dict[Steps, TreeState]] = {problem.id: {} for problem in problems}
    for state in before:
        if state.problem_id in trees:
            trees[state.problem_id][state.steps] = state
    waiting = [(problem, _search(roots[problem.id], trees[problem.id], settings)) for problem in problems]
    while waiting:
        stopped_at = [(problem, search, next(search, None)) for problem, search in waiting]
        waiting = [(problem, search) for problem, search, steps in stopped_at if steps is not None]
        asked = [(problem, steps) for problem, _, steps in stopped_at if steps is not None]
        _draw(asked, trees, completer, grader, settings.completions, sampling, seed)
    return [state for tree in trees.values() for state in tree.values()]


def tree_rollouts(states: Iterable[TreeState]) -> list[StepRollouts]:
    """The counts of states, for labels; those of prefixes that no solution has are among them."""
    return [
        StepRollouts(
            state.id, state.problem_id, state.steps,
            drawn=len(counted := _counted(state.draws)),
            right=sum(draw.right for draw in counted),
            completer=state.completer,
            empty=sum(not draw.fault for draw in state.draws) - len(counted),
            failed=sum(bool(draw.fault) for draw in state.draws),
            fault=next((draw.fault for draw in reversed(state.draws) if draw.fault), ""),
            tokens=sum(draw.tokens for draw in state.draws if not draw.fault),
            rule=f"all({len(state.draws)})",
        )
        for state in states
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A wrong completion that may be selected: the state it starts from, with its MC, and all its steps."""

    state: Steps
    share: float
    steps: Steps
    length: float


def _search(solutions: Sequence[Solution], tree: Mapping[Steps, TreeState], settings: TreeSettings) -> Iterator[Steps]:
    """Yields each state that has too few draws in `tree`; whoever goes on after that has put them there."""
    graded = _grades(prefixes_of(solutions))
    pool = _root_candidates(solutions, settings)
    known: dict[Steps, float | None] = {}
    visits: dict[Steps, int] = {}
    spent = 0
    while pool:
        one = pool.pop(_selected(pool, visits, settings))
        visits[one.state] = visits.get(one.state, 0) + 1
        low, high = len(one.state), len(one.steps)
        while high - low > 1:
            middle = (low + high) // 2
            steps = one.steps[:middle]
            if steps in graded:
                known[steps] = graded[steps]
            elif steps not in known:
                spent += settings.completions
                if spent > settings.budget:
                    return
                if steps not in tree or len(tree[steps].draws) < settings.completions:
                    yield steps
                drawn = _counted(tree[steps].draws[: settings.completions])
                known[steps] = sum(draw.right for draw in drawn) / len(drawn) if drawn else None
                pool += _candidates(steps, drawn, settings)
            share = known[steps]
            if share is None:
                # All its draws were void: nothing is known of it, nor of where this completion goes wrong.
                break
            low, high = (middle, high) if share > 0 else (low, middle)


def _selected(pool: Sequence[_Candidate], visits: Mapping[Steps, int], settings: TreeSettings) -> int:
    """The index of the candidate with the highest Q + U, the first of equals."""
    root = settings.exploration * sqrt(sum(visits.values()))

    def worth(index: int) -> float:
        one = pool[index]
        quality = settings.alpha ** (1 - one.share) * settings.beta ** (one.length / settings.length)
        return float(quality + root / (1 + visits.get(one.state, 0)))

    return max(range(len(pool)), key=worth)


def _root_candidates(solutions: Sequence[Solution], settings: TreeSettings) -> list[_Candidate]:
    drawn = sum(solution.copies for solution in solutions)
    right = sum(solution.copies for solution in solutions if solution.correct)
    wrong = dict.fromkeys(solution.steps for solution in solutions if not solution.correct)
    if not 0 < right < drawn:
        return []
    return [_Candidate((), right / drawn, steps, _length(steps)) for steps in wrong]


def _candidates(state: Steps, drawn: Sequence[TreeDraw], settings: TreeSettings) -> list[_Candidate]:
    right = sum(draw.right for draw in drawn)
    if not 0 < right < len(drawn):
        return []
    # Equal completions would be searched twice for the same error.
    wrong = dict.fromkeys(split_steps(draw.text) for draw in drawn if not draw.right)
    return [_Candidate(state, right / len(drawn), (*state, *added), _length(added)) for added in wrong if added]


def _length(added: Steps) -> int:
    return sum(len(re.findall(r"\w+|[^\w\s]", step)) for step in added)


def _grades(prefixes: Prefixes) -> dict[Steps, float]:
    """What whole solutions are worth, by their steps: nothing is drawn after an answer."""
    return {prefixes.of[key].steps: float(grade) for key, grade in prefixes.graded.items()}


def _counted(draws: Iterable[TreeDraw]) -> list[TreeDraw]:
    return [draw for draw in draws if not draw.fault and (split_steps(draw.text) or not draw.finished)]


def _draw(
    asked: Sequence[tuple[Problem, Steps]],
    trees: Mapping[str, dict[Steps, TreeState]],
    completer: Generator,
    grader: Grader,
    count: int,
    sampling: Sampling,
    seed: int,
) -> None:
    """Draws what is lacking to `count` at the states asked, and puts it into the trees."""
    states = [
        trees[problem.id].get(steps) or TreeState(prefix_id(problem.id, steps), problem.id, steps, completer.name, ())
        for problem, steps in asked
    ]
    prompts = [
        Prompt(state.id, problem.question, state.steps, count - len(state.draws), first=len(state.draws))
        for (problem, _), state in zip(asked, states, strict=True)
    ]
    if not prompts:
        return
    given = complete(completer, prompts, sampling, seed)
    for (problem, steps), state, drawn in zip(asked, states, given, strict=True):
        new = tuple(_tree_draw(steps, one, problem.reference, grader) for one in drawn)
        trees[problem.id][steps] = TreeState(state.id, problem.id, steps, state.completer, state.draws + new)


def _tree_draw(steps: Steps, one: Completion, reference: str, grader: Grader) -> TreeDraw:
    right = not one.fault and bool(split_steps(one.text)) and grader(reference, completion_answer(steps, one))
    return TreeDraw(one.text, right, one.finished, one.tokens, one.fault)


def tree_rows(
    problems: Sequence[Problem], solutions: Iterable[Solution], states: Iterable[TreeState]
) -> Iterator[dict[str, Any]]:
    """A row a problem that has a state; states of which no draw counts are left out.

    Args:
        problems: The problems of the states.
        solutions: Those that the trees were grown from: what the question itself is worth.
        states: All states of a problem, in any order.
    """
    right: dict[str, int] = {}
    drawn: dict[str, int] = {}
    for solution in solutions:
        right[solution.problem_id] = right.get(solution.problem_id, 0) + solution.copies * solution.correct
        drawn[solution.problem_id] = drawn.get(solution.problem_id, 0) + solution.copies
    of: dict[str, dict[tuple[str, ...], float]] = {}
    for one in tree_rollouts(states):
        if one.drawn:
            of.setdefault(one.problem_id, {})[one.steps] = one.right / one.drawn
    for problem in problems:
        if problem.id in of:
            # Shorter ones first: what a prefix continues must stand before it.
            values = sorted(of[problem.id].items(), key=lambda pair: (len(pair[0]), pair[0]))
            root = {"solution_prefix": problem.question, "mc_value": right[problem.id] / drawn[problem.id]}
            yield {
                "question": problem.question,
                "final_answer": problem.reference,
                "reasoning_steps": [
                    root,
                    *(
                        {"solution_prefix": f"{problem.question}\n\n{join_steps(steps)}\n", "mc_value": value}
                        for steps, value in values
                    ),
                ],
                "question_id": problem.id,
            }
