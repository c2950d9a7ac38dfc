"""Draws completions at prefixes and counts the right ones, round by round.

A round asks a search which prefixes matter, a stopping rule how many completions each still needs, and an engine for
all of them at once. Both decide from the counts alone, so whatever is counted already is never drawn again: a run that
was cut, one that grows from 16 completions to 32, and one that searches all go on from their records.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from stepward.errors import StepwardError
from stepward.generation.interface import Completion, Generator, Prompt, Sampling
from stepward.grading import extract_answer
from stepward.labeling.rollouts.binary_search import AllPrefixes, Search
from stepward.labeling.rollouts.prefixes import Prefix, Prefixes, prefixes_of
from stepward.labeling.rollouts.stopping import Stopping, num_remaining
from stepward.records import Problem, Solution, StepRollouts, join_steps, split_steps

Grader = Callable[[str, str | None], bool]
"""Says whether an answer equals a reference, from (reference, answer)."""


def draw_rollouts(
    problems: Sequence[Problem],
    solutions: Iterable[Solution],
    completer: Generator,
    grader: Grader,
    *,
    stopping: Stopping,
    search: Search | None = None,
    sampling: Sampling,
    seed: int,
    before: Iterable[StepRollouts] = (),
) -> list[StepRollouts]:
    """Counts, for distinct prefixes of the solutions, how many completions reach the reference answer.

    Args:
        problems: The problems of the solutions.
        solutions: Graded solutions; their prefixes are what is completed.
        completer: Writes the completions.
        grader: Grades them.
        stopping: When a prefix has enough of them.
        search: Which prefixes are completed; every one if not given.
        sampling: How completions are drawn.
        seed: Where the draws' randomness comes from, with the prefix's id.
        before: What the same completer drew before with the same seed; it is gone on from.

    Returns:
        A record a distinct prefix that was drawn from, was counted before, or is a whole solution, in the order of
        first appearance.

    Raises:
        StepwardError: `before` holds another completer's counts, or the completer gives more than it was asked.
    """
    of = {problem.id: problem for problem in problems}
    prefixes = prefixes_of(solutions)
    search = search or AllPrefixes()
    counts = _earlier(prefixes, before, completer.name)
    while wanted := _wanted(prefixes, counts, search, stopping):
        prompts = [
            Prompt(prefix.id, of[prefix.problem_id].question, prefix.steps, more, first=_draws(counts, prefix))
            for prefix, more in wanted
        ]
        for (prefix, _), drawn in zip(wanted, complete(completer, prompts, sampling, seed), strict=True):
            earlier = counts.get(prefix.id) or _nothing(prefix, completer.name)
            reference = of[prefix.problem_id].reference
            counts[prefix.id] = counted(earlier, drawn, reference, grader)
    return records_of(prefixes, {key: _under(stopping, one) for key, one in counts.items()}, completer.name)


def complete(completer: Generator, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
    """As many completions as each prompt asks; those that the engine left out are faulty ones.

    Raises:
        StepwardError: The engine gave more than was asked, or not one list a prompt: it can't be told what is what.
    """
    given = completer.complete(prompts, sampling, seed)
    if len(given) != len(prompts):
        raise StepwardError(
            f"completer {completer.name}: {len(given)} prefixes completed of {len(prompts)} asked",
            code="server_incompatible",
            field=completer.name,
        )
    for prompt, drawn in zip(prompts, given, strict=True):
        if len(drawn) > prompt.count:
            raise StepwardError(
                f"completer {completer.name}: {len(drawn)} completions for prefix {prompt.id}, {prompt.count} asked",
                code="server_incompatible",
                field=completer.name,
            )
    return [[*drawn, *[_LEFT_OUT] * (prompt.count - len(drawn))] for prompt, drawn in zip(prompts, given, strict=True)]


_LEFT_OUT = Completion("", False, fault="left out")


def completion_answer(prefix: tuple[str, ...], completion: Completion) -> str | None:
    """The answer that a prefix and its completion state together; None if the completion was cut or adds no step."""
    added = split_steps(completion.text)
    if not completion.finished or not added:
        return None
    return extract_answer(join_steps((*prefix, *added)), "marked")


def counted(earlier: StepRollouts, drawn: Sequence[Completion], reference: str, grader: Grader) -> StepRollouts:
    """The counts with more completions in them. Those without text, and those that failed, are counted apart.

    One without text that was cut is a wrong one like every cut one: a thinking model's thought had no end.
    """
    given = [one for one in drawn if not one.fault]
    written = [one for one in given if split_steps(one.text) or not one.finished]
    right = sum(grader(reference, completion_answer(earlier.steps, one)) for one in written)
    return replace(
        earlier,
        drawn=earlier.drawn + len(written),
        right=earlier.right + right,
        empty=earlier.empty + len(given) - len(written),
        failed=earlier.failed + len(drawn) - len(given),
        fault=next((one.fault for one in reversed(drawn) if one.fault), earlier.fault),
        tokens=earlier.tokens + sum(one.tokens for one in given),
    )


def records_of(prefixes: Prefixes, counts: Mapping[str, StepRollouts], completer: str) -> list[StepRollouts]:
    """A record a prefix that was counted or is a whole solution, in the prefixes' order."""
    found = []
    for prefix in prefixes.of.values():
        if prefix.id in prefixes.graded:
            right = int(prefixes.graded[prefix.id])
            found.append(StepRollouts(prefix.id, prefix.problem_id, prefix.steps, 1, right, True, completer))
        elif prefix.id in counts:
            found.append(counts[prefix.id])
    return found


def _under(stopping: Stopping, count: StepRollouts) -> StepRollouts:
    """Counts with the rule that they are enough for: also those that a smaller rule ended, and this one ends as well.

    Where a search has no more use for a prefix that this rule would draw on from, the rule that ended it stays.
    """
    return count if num_remaining(stopping, count) else replace(count, rule=str(stopping))


def _earlier(prefixes: Prefixes, before: Iterable[StepRollouts], completer: str) -> dict[str, StepRollouts]:
    counts = {one.id: one for one in before if one.id in prefixes.of and not one.complete}
    for one in counts.values():
        if one.completer != completer:
            raise StepwardError(
                f"rollouts {one.id}: drawn by {one.completer!r}, and {completer!r} shall go on from them; "
                "counts of several completers are kept apart",
                code="mismatch",
                field=one.id,
            )
    return counts


def _wanted(
    prefixes: Prefixes, counts: dict[str, StepRollouts], search: Search, stopping: Stopping
) -> list[tuple[Prefix, int]]:
    """Prefixes with the completions each gets in this round."""
    asked = search.next_prefixes(prefixes, counts, stopping)
    wanted = [(prefix, num_remaining(stopping, counts.get(prefix.id))) for prefix in asked]
    return [(prefix, more) for prefix, more in wanted if more]


def _draws(counts: dict[str, StepRollouts], prefix: Prefix) -> int:
    return counts[prefix.id].draws if prefix.id in counts else 0


def _nothing(prefix: Prefix, completer: str) -> StepRollouts:
    return StepRollouts(prefix.id, prefix.problem_id, prefix.steps, 0, 0, completer=completer)
