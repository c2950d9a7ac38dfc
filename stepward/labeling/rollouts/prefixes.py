"""The distinct prefixes of a problem's solutions, and which of them are known without drawing.

A prefix that several solutions share is one prefix. A whole solution needs no drawing: its count is its own grade.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from stepward.records import Solution, prefix_id


@dataclass(frozen=True, slots=True)
class Prefix:
    """The problem and the first steps of a solution, with its id."""

    id: str
    problem_id: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Path:
    """One solution's prefixes.

    Attributes:
        prefixes: Their ids, shortest first; the last is the whole solution's.
        correct: The solution's grade.
        copies: How many of the generator's draws were this solution.
    """

    prefixes: tuple[str, ...]
    correct: bool
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The distinct prefixes of some solutions.

    Attributes:
        of: Every prefix by its id, in the order of first appearance.
        graded: What whole solutions are worth: their grade, by the prefix's id.
        paths: A path a solution, in their order.
    """

    of: dict[str, Prefix] = field(default_factory=dict)
    graded: dict[str, bool] = field(default_factory=dict)
    paths: list[Path] = field(default_factory=list)

    def unresolved(self) -> list[Prefix]:
        """The prefixes that are known only by drawing completions."""
        return [prefix for prefix in self.of.values() if prefix.id not in self.graded]


def prefixes_of(solutions: Iterable[Solution]) -> Prefixes:
    """The distinct prefixes of graded solutions.

    Where one solution continues another, the answer that the shorter one states is what the prefix is worth. One that
    states none (it was cut, or stopped early) is wrong, but says nothing of how the longer one began.
    """
    found = Prefixes()
    stated: dict[str, bool] = {}
    ended: dict[str, bool] = {}
    inner: set[str] = set()
    for solution in solutions:
        ids = []
        for end in range(1, len(solution.steps) + 1):
            steps = solution.steps[:end]
            key = prefix_id(solution.problem_id, steps)
            found.of.setdefault(key, Prefix(key, solution.problem_id, steps))
            ids.append(key)
        inner.update(ids[:-1])
        (ended if solution.answer is None else stated)[ids[-1]] = solution.correct
        found.paths.append(Path(tuple(ids), solution.correct, solution.copies))
    found.graded.update({key: grade for key, grade in ended.items() if key not in inner} | stated)
    return found
