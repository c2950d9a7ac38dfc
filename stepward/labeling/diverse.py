"""Labels without sampling, after DIVERSE: a step is right if the steps of a right solution bear it out.

Every step of a right solution is right. A step of a wrong solution is right if it equals a step of a right solution of
the same problem after normalising (Li et al., 2023, as Math-Shepherd compares with it). `stepward.labeling.entailment`
asks a language-inference model instead. Problems of which no solution is right give no labels for their wrong ones.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from stepward.labeling.filters import Filtered
from stepward.records import Solution, StepLabels

KIND = "rules"

Support = Callable[[Sequence[str], Sequence[str]], Sequence[bool | None]]
"""Says for each step (second) whether the steps of right solutions (first) bear it out; None where it can't tell."""

# An integer with or without commas at the thousands, or a decimal; a full stop behind a number is not part of it.
_NUMBER = re.compile(r"(?:(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+")
_BESIDE = re.compile(r"\s*([-+*/=<>()\[\]{}^%$\u00d7\u00f7\u00b7\u2212])\s*")


def normalize_step(step: str) -> str:
    """A step as two are compared: no case, one form a number (1,000.50 is 1000.5), white space only between words."""
    # Unicode's canonical caseless form (definition D145): letters are taken apart before and after folding.
    text = unicodedata.normalize("NFD", unicodedata.normalize("NFD", step).casefold())
    text = _BESIDE.sub(r"\1", " ".join(text.split()))
    return _NUMBER.sub(lambda found: _plain(found.group()), text)


def _plain(number: str) -> str:
    """A number without commas, leading zeros, or zeros at the end of its decimals."""
    whole, _, decimals = number.replace(",", "").partition(".")
    decimals = decimals.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{decimals}" if decimals else "")


def exact_match_labels(solutions: Iterable[Solution]) -> Filtered:
    """Labels by equal steps; a step that equals none is wrong.

    Args:
        solutions: Graded solutions, all those of a problem together or not.
    """
    return labels_by_support(solutions, _equal, KIND)


def _equal(right: Sequence[str], steps: Sequence[str]) -> list[bool | None]:
    known = {normalize_step(step) for step in right}
    return [normalize_step(step) in known for step in steps]


def labels_by_support(solutions: Iterable[Solution], support: Support, kind: str) -> Filtered:
    """Labels of solutions by what the right solutions of the same problem bear out.

    The last step's label is the solution's grade, as everywhere.

    Args:
        solutions: Graded solutions.
        support: Asked once a problem, for the distinct steps of its wrong solutions.
        kind: What the labels are called.

    Returns:
        Labels in the order of the solutions; under `dropped`, the wrong solutions of problems with no right one.
    """
    given = list(solutions)
    right: defaultdict[str, dict[str, None]] = defaultdict(dict)
    wrong: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for solution in given:
        steps = solution.steps if solution.correct else solution.steps[:-1]
        (right if solution.correct else wrong)[solution.problem_id].update(dict.fromkeys(steps))
    verdicts: dict[str, dict[str, bool | None]] = {}
    for problem_id, steps_of_wrong in wrong.items():
        if problem_id in right:
            asked = list(steps_of_wrong)
            verdicts[problem_id] = dict(zip(asked, support(list(right[problem_id]), asked), strict=True))
    dropped: Counter[str] = Counter()
    labels = []
    for solution in given:
        if not solution.correct and solution.problem_id not in verdicts:
            dropped["no right solution of its problem"] += 1
            continue
        known = {} if solution.correct else verdicts[solution.problem_id]
        values = [1.0 if solution.correct else _label(known[step]) for step in solution.steps[:-1]]
        values.append(float(solution.correct))
        labels.append(StepLabels(solution.id, solution.problem_id, kind, tuple(values)))
    return Filtered(labels, dict(dropped))


def _label(verdict: bool | None) -> float | None:
    return None if verdict is None else float(verdict)
