"""Trees as rows of OmegaPRM's published form (MATH-APS, stepward.formats.omegaprm): prefixes with their MC values.

The form says what a prefix continues by its text alone. So every prefix here ends with a line break: else one that
ends in "= 2" would look like the beginning of another that ends in "= 23".
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stepward import steps as lines
from stepward.labelling.tree_search import TreeState, tree_rollouts
from stepward.records import Problem, Solution


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
                        {"solution_prefix": f"{problem.question}\n\n{lines.join(steps)}\n", "mc_value": value}
                        for steps, value in values
                    ),
                ],
                "question_id": problem.id,
            }
