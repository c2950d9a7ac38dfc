"""How many steps are labelled positive, negative and neutral, in all and by their position in the solution."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stepward.records import LabelledSolution

TAIL = 20
"""Steps after this many are counted together."""

THRESHOLD = 0.5
"""A label above it counts as positive, one up to it as negative."""

_HARD: frozenset[float | None] = frozenset((0.0, 1.0, None))


@dataclass(frozen=True, slots=True)
class LabelBalance:
    """The labels of some steps.

    Attributes:
        steps: How many steps.
        positive: Labels above 0.5.
        negative: Labels of 0.5 and less.
        neutral: Steps called neutral.
        none: Steps without a label that are not neutral.
        between: Labels strictly between 0 and 1, counted as positive or negative too.
        mean: The mean label; None where no step has one.
    """

    steps: int
    positive: int
    negative: int
    neutral: int
    none: int
    between: int
    mean: float | None


@dataclass(slots=True)
class _Soft:
    """Labels that are not all 0, 1 or none, of one position."""

    positive: int = 0
    negative: int = 0
    between: int = 0
    sum: float = 0.0


@dataclass(slots=True)
class LabelCounts:
    """Counts labels as solutions come; `balance` and `by_position` sum them up."""

    _hard: Counter[tuple[int, float | None]] = field(default_factory=Counter)
    _neutral: Counter[int] = field(default_factory=Counter)
    _soft: dict[int, _Soft] = field(default_factory=dict)

    def add(self, record: LabelledSolution) -> None:
        """Take in a solution's labels; each step of one that branches counts once, at its depth."""
        positions = depths(record.parents) if record.parents else range(len(record.labels))
        if _HARD.issuperset(record.labels):
            # In C, several times as fast as a loop: a million rows have ten million steps.
            self._hard.update(zip(positions, record.labels, strict=True))
        else:
            self._add_soft(positions, record.labels)
        for index in record.neutral:
            self._neutral[min(positions[index], TAIL)] += 1

    def balance(self) -> LabelBalance:
        """The labels of all steps."""
        return self._balance(None)

    def by_position(self) -> list[LabelBalance]:
        """The labels at each position from the first step on; those after `TAIL` steps together, as one more."""
        last = max([min(position, TAIL) for position, _ in self._hard] + list(self._soft), default=-1)
        return [self._balance(position) for position in range(last + 1)]

    def _add_soft(self, positions: Sequence[int], labels: tuple[float | None, ...]) -> None:
        for position, label in zip(positions, labels, strict=True):
            if label is None:
                self._hard[position, None] += 1
                continue
            found = self._soft.setdefault(min(position, TAIL), _Soft())
            if label > THRESHOLD:
                found.positive += 1
            else:
                found.negative += 1
            found.between += 0 < label < 1
            found.sum += label

    def _balance(self, position: int | None) -> LabelBalance:
        """The labels at one position (the last stands for all after it), or at all."""
        hard: Counter[float | None] = Counter()
        for (at, label), times in self._hard.items():
            if position is None or min(at, TAIL) == position:
                hard[label] += times
        soft = _sum(found for at, found in self._soft.items() if position is None or at == position)
        neutral = sum(times for at, times in self._neutral.items() if position is None or at == position)
        positive, negative = hard[1.0] + soft.positive, hard[0.0] + soft.negative
        labelled = positive + negative
        return LabelBalance(
            labelled + hard[None], positive, negative, neutral, hard[None] - neutral, soft.between,
            (hard[1.0] + soft.sum) / labelled if labelled else None,
        )  # fmt: skip


def depths(parents: tuple[int, ...]) -> list[int]:
    """How many steps stand before each step of a solution that branches."""
    found: list[int] = []
    for parent in parents:
        found.append(found[parent] + 1 if parent >= 0 else 0)
    return found


def first_error(labels: tuple[float | None, ...]) -> int | None:
    """The index of the first negative step, or None."""
    return next((index for index, label in enumerate(labels) if label is not None and label <= THRESHOLD), None)


def _sum(found: Iterable[_Soft]) -> _Soft:
    total = _Soft()
    for one in found:
        total.positive += one.positive
        total.negative += one.negative
        total.between += one.between
        total.sum += one.sum
    return total
