"""A model judges solutions: it reads the problem and the numbered steps and names the first wrong one.

Its reply is read strictly. One boxed integer that is a step's number, or -1 for no wrong step, is a vote, also where it
is said twice; anything else is counted as unreadable and never guessed at. The records keep the votes, so that labels
can be made of them again.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stepward.errors import StepwardError
from stepward.generation.interface import Completion, Generator, Prompt, Sampling
from stepward.labeling.filters import NO_ERROR, Filtered, labels_up_to, solution_of
from stepward.records import Problem, Solution, StepLabels

KIND = "judge"

PROMPT = """\
You check a solution of a maths problem, step by step.

<problem>
{question}
</problem>

The solution has {count} steps. Each stands between tags that carry its number, counted from 0.

{steps}

Read the steps in their order. For each, check that it follows from the problem and from the steps before it, and that \
what it computes is right. A step that is needless or clumsy, but right, is not wrong. Stop at the first wrong step: \
what comes after it doesn't matter. If no step is wrong, the number to give is -1.

Say shortly what you find. End with the number of the first wrong step, or with -1, in \\boxed{{}}. Write \\boxed{{}} \
once only, and nothing in it but the number."""
"""What the judge is asked. `judge_prompt` fills it in."""

_BOX = re.compile(r"\\boxed\s*\{([^{}]*)\}")
_INTEGER = re.compile(r"[-\u2212]?[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge says of one solution.

    Attributes:
        solution_id: The solution.
        problem_id: Its problem.
        first_error: The index of the first wrong step, -1 if none is; None where no one verdict has the most votes.
        votes: The verdicts that could be read, in the order of the draws.
        judge: Who judged.
        unparsed: Replies that could not be read, cut ones among them.
        failed: Replies that the engine could not give.
        fault: Why the last of them failed; empty where none did.
        tokens: Tokens that all replies have.
    """

    solution_id: str
    problem_id: str
    first_error: int | None
    votes: tuple[int, ...]
    judge: str
    unparsed: int = 0
    failed: int = 0
    fault: str = ""
    tokens: int = 0


def judge_prompt(question: str, steps: Sequence[str]) -> str:
    """What a judge is asked about one solution: `PROMPT`, with its problem and its steps."""
    tag = _tag((question, *steps))
    shown = "\n\n".join(f"<{tag}_{number}>\n{step}\n</{tag}_{number}>" for number, step in enumerate(steps))
    return PROMPT.format(question=question, steps=shown, count=len(steps))


def _tag(texts: Sequence[str]) -> str:
    """A tag's name that no text holds, so that none can close a step, or open another one."""
    tag = "step"
    while any(tag + "_" in text.casefold() for text in texts):
        tag += "_x"
    return tag


def read_verdict(text: str, steps: int) -> int | None:
    """The index that a reply gives: that of one of `steps` steps, or -1; None unless it boxes such an integer alone.

    It may say it twice, in bold and again at the end: that is one verdict still.
    """
    boxes = {box.strip() for box in _BOX.findall(text)}
    if len(boxes) != 1 or text.count("\\boxed") != len(_BOX.findall(text)):
        return None
    (box,) = boxes
    if not _INTEGER.fullmatch(box):
        return None
    verdict = int(box.replace("\u2212", "-"))
    return verdict if NO_ERROR <= verdict < steps else None


def judge_solutions(
    problems: Iterable[Problem],
    solutions: Iterable[Solution],
    judge: Generator,
    *,
    sampling: Sampling,
    seed: int,
    votes: int = 1,
) -> list[Judgement]:
    """Asks a judge for the first wrong step of every solution.

    Args:
        problems: The solutions' problems.
        solutions: What is judged; their grades are neither looked at nor told.
        judge: Any engine that puts the question as it stands, by the chat template for an instruct model.
        sampling: How replies are drawn; with several votes, at a temperature above 0.
        seed: Where the draws' randomness comes from, with the solution's id.
        votes: Replies a solution.

    Returns:
        A judgement a solution, in their order.

    Raises:
        StepwardError: A solution's problem is not given, fewer than one vote is asked for, several are asked for of a
            greedy judge, or the judge can't be asked at all.
    """
    if votes < 1:
        raise StepwardError(f"votes: {votes}, expected at least 1", code="bad_value", field="votes")
    if votes > 1 and sampling.temperature == 0:
        raise StepwardError(
            f"votes: {votes} at temperature 0 are all the same; give a temperature above 0, or 1 vote",
            code="conflict",
            field="votes",
        )
    of = {problem.id: problem for problem in problems}
    given = list(solutions)
    prompts = []
    for solution in given:
        if solution.problem_id not in of:
            raise StepwardError(
                f"solution {solution.id}: its problem {solution.problem_id} is not given",
                code="missing",
                field="problem_id",
            )
        prompts.append(Prompt(solution.id, judge_prompt(of[solution.problem_id].question, solution.steps), (), votes))
    replies = judge.complete(prompts, sampling, seed)
    return [_judgement(solution, drawn, judge.name) for solution, drawn in zip(given, replies, strict=True)]


def _judgement(solution: Solution, replies: Sequence[Completion], judge: str) -> Judgement:
    given = [reply for reply in replies if not reply.fault]
    read = [read_verdict(reply.text, len(solution.steps)) if reply.finished else None for reply in given]
    votes = tuple(verdict for verdict in read if verdict is not None)
    return Judgement(
        solution.id,
        solution.problem_id,
        majority_verdict(votes),
        votes,
        judge,
        unparsed=len(given) - len(votes),
        failed=len(replies) - len(given),
        fault=next((reply.fault for reply in reversed(replies) if reply.fault), ""),
        tokens=sum(reply.tokens for reply in given),
    )


def majority_verdict(votes: Iterable[int]) -> int | None:
    """The verdict with the most votes; None for a tie, or no votes."""
    leading = Counter(votes).most_common(2)
    if not leading or (len(leading) == 2 and leading[0][1] == leading[1][1]):
        return None
    return leading[0][0]


def judge_labels(solutions: Iterable[Solution], judgements: Iterable[Judgement]) -> Filtered:
    """Labels from judgements: 1 before the first wrong step, 0 at it, None after it.

    Args:
        solutions: The judged solutions.
        judgements: What was said of them.

    Returns:
        Labels of kind `judge`, in the order of the judgements; under `dropped`, the solutions without a verdict.

    Raises:
        StepwardError: A judged solution is not given, or has no such step.
    """
    of = {solution.id: solution for solution in solutions}
    dropped: Counter[str] = Counter()
    labels = []
    for one in judgements:
        if one.first_error is None:
            dropped[_undecided(one)] += 1
            continue
        steps = len(of[one.solution_id].steps) if one.solution_id in of else one.first_error + 1
        if not NO_ERROR <= one.first_error < steps:
            raise StepwardError(
                f"judgement of solution {one.solution_id}: step {one.first_error} of {steps} steps",
                code="mismatch",
                field="first_error",
            )
        made = StepLabels(one.solution_id, one.problem_id, KIND, labels_up_to(one.first_error, steps))
        solution_of(made, of)
        labels.append(made)
    return Filtered(labels, dict(dropped))


def _undecided(one: Judgement) -> str:
    if one.votes:
        return "a tie"
    return "no reply could be read" if one.unparsed else f"no reply: {one.fault or 'none was drawn'}"
