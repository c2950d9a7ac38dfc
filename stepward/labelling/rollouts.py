"""Draws K completions at every distinct prefix and counts the right ones.

A prefix that several solutions of a problem share is one prefix, sampled once. A whole solution needs no sampling:
its count is its own grade.
"""

from collections.abc import Callable, Iterable, Sequence

from stepward import steps
from stepward.generation.protocol import Completion, Generator, Prompt, Sampling
from stepward.grading import extract_answer
from stepward.records import Problem, Solution, StepRollouts, prefix_id

Grader = Callable[[str, str | None], bool]
"""Says whether an answer equals a reference, from (reference, answer)."""


def draw_rollouts(
    problems: Sequence[Problem],
    solutions: Iterable[Solution],
    completer: Generator,
    grader: Grader,
    *,
    completions: int,
    sampling: Sampling,
    seed: int,
) -> list[StepRollouts]:
    """Counts, for each distinct prefix of the solutions, how many of its completions reach the reference answer.

    Args:
        problems: The problems of the solutions.
        solutions: Graded solutions; their prefixes are what is sampled.
        completer: Writes the completions.
        grader: Grades them.
        completions: K, how many completions a prefix gets, at least 1.
        sampling: How they are drawn.
        seed: Where the draws' randomness comes from, with the prefix's id.

    Returns:
        A record a distinct prefix, in the order of first appearance.
    """
    of = {problem.id: problem for problem in problems}
    whole: dict[str, StepRollouts] = {}
    stated: set[str] = set()
    open_prefixes: dict[str, tuple[str, tuple[str, ...]]] = {}
    order: dict[str, None] = {}
    for solution in solutions:
        for end in range(1, len(solution.steps) + 1):
            prefix = solution.steps[:end]
            key = prefix_id(solution.problem_id, prefix)
            order.setdefault(key)
            if end < len(solution.steps):
                open_prefixes.setdefault(key, (solution.problem_id, prefix))
            elif solution.answer is not None or key not in whole:
                right = int(solution.correct)
                whole[key] = StepRollouts(key, solution.problem_id, prefix, 1, right, True, completer.name)
                stated |= {key} if solution.answer is not None else set()
    # Where one solution continues another, the answer that the shorter one states is what the prefix is worth. One
    # that states none (it was cut, or stopped early) is wrong, but says nothing of how the longer one began.
    pending = {key: prefix for key, prefix in open_prefixes.items() if key not in stated}
    prompts = [
        Prompt(key, of[problem_id].question, prefix, completions) for key, (problem_id, prefix) in pending.items()
    ]
    counted = dict(whole)
    for prompt, drawn in zip(prompts, completer.complete(prompts, sampling, seed), strict=True):
        problem_id, prefix = pending[prompt.id]
        right = sum(grader(of[problem_id].reference, completion_answer(prefix, draw)) for draw in drawn)
        counted[prompt.id] = StepRollouts(prompt.id, problem_id, prefix, len(drawn), right, completer=completer.name)
    return [counted[key] for key in order]


def completion_answer(prefix: tuple[str, ...], completion: Completion) -> str | None:
    """The answer that a prefix and its completion state together; None if the completion was cut or adds no step."""
    added = steps.split(completion.text)
    if not completion.finished or not added:
        return None
    return extract_answer(steps.join((*prefix, *added)), "marked")
