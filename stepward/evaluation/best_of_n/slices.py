"""Accuracy in parts of the problems: by difficulty, level, subject, number of steps and length.

Difficulty is the generator's pass rate, and a pass rate of the very candidates that the methods choose from would be
circular: a problem with bad luck in its draws would be called hard for it. So each problem's draws are cut in two by
a hash of solution and draw. One half says which fifth of the problems it belongs to; the methods choose from the other
half; then the other way round, and the two are averaged. Every row says so in `by`.

Halves hold half as many candidates, so N is the N of choice or, where a half is smaller, the smallest half.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.best_of_n.accuracy import Accuracies
from stepward.evaluation.best_of_n.candidates import Candidates
from stepward.evaluation.best_of_n.table import CandidateTable, ModelScores
from stepward.evaluation.stats.bootstrap import accuracy_interval, resampled_means, seed_std
from stepward.evaluation.stats.crossed import mean_variance

MOST_PARTS = 5


@dataclass(frozen=True, slots=True)
class ProblemAttributes:
    """What is known of a problem; None where it is not.

    Attributes:
        level: Difficulty as the source states it.
        subject: What it is about, likewise.
        steps: The candidates' median number of steps.
        length: Their median length in characters.
    """

    level: int | str | None = None
    subject: str | None = None
    steps: int | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True)
class SliceBy:
    """One way to part the problems.

    Attributes:
        name: `level`, `subject`, `steps` or `length`.
        by: What it goes by, in words.
        parts: The problems of each part, by their indices.
    """

    name: str
    by: str
    parts: dict[str, list[int]]


def problem_attributes(candidates: Sequence[Candidates]) -> list[ProblemAttributes]:
    """What is known of a run's problems."""
    return [
        ProblemAttributes(
            one.problem.level,
            one.problem.subject,
            _median(one, lambda steps: len(steps)),
            _median(one, lambda steps: sum(map(len, steps))),
        )
        for one in candidates
    ]


def slicings(traits: Sequence[ProblemAttributes]) -> list[SliceBy]:
    """The ways in which problems differ; one that leaves them all in one part is left out.

    Args:
        traits: What is known of each problem.
    """
    found = [
        SliceBy("level", "the source's level", _named([one.level for one in traits])),
        SliceBy("subject", "the source's subject", _named([one.subject for one in traits])),
        SliceBy("steps", "the candidates' median number of steps", _ranges([one.steps for one in traits])),
        SliceBy("length", "the candidates' median length in characters", _ranges([one.length for one in traits])),
    ]
    return [one for one in found if len(one.parts) > 1]


def _median(one: Candidates, size: Callable[[tuple[str, ...]], int]) -> int:
    sizes = np.array([size(solution.steps) for solution in one.solutions])
    return lower_median(sizes, one.copies)


def lower_median(sizes: np.ndarray, copies: np.ndarray) -> int:
    """The lower median of a problem's draws.

    Args:
        sizes: Of each candidate [candidate].
        copies: How many draws it stands for [candidate].
    """
    order = np.argsort(sizes, kind="stable")
    return int(sizes[order][np.searchsorted(np.cumsum(copies[order]), (copies.sum() + 1) // 2)])


def _named(values: Sequence[int | str | None]) -> dict[str, list[int]]:
    """A part for each value as it is shown: numbers by size, then texts, and `none` for those without last."""
    parts: dict[str, list[int]] = {}
    for value in sorted({one for one in values if one is not None}, key=lambda one: (isinstance(one, str), one)):
        parts.setdefault(str(value), [])
    for index, found in enumerate(values):
        parts.setdefault("none" if found is None else str(found), []).append(index)
    return parts


def _ranges(values: Sequence[int | None]) -> dict[str, list[int]]:
    """At most five parts of about as many problems, in which equal values stay together; none if one is not known."""
    sizes = [value for value in values if value is not None]
    if len(sizes) < len(values):
        return {}
    order = np.sort(np.asarray(sizes))
    bounds = sorted({int(part[0]) for part in np.array_split(order, min(MOST_PARTS, len(order)))})
    place = np.searchsorted(bounds, sizes, side="right") - 1
    parts = {}
    for number in range(len(bounds)):
        members = np.flatnonzero(place == number).tolist()
        low, high = min(sizes[index] for index in members), max(sizes[index] for index in members)
        parts[str(low) if low == high else f"{low} to {high}"] = members
    return parts


Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

BY = "pass rate of one half of the draws; accuracy on the other half, both ways averaged"

SAME = "pass rate of the same candidates, by their own grades"
"""Where a problem has a single candidate, which can't be halved: such fifths compare methods, and nothing else."""

PARTS = 5

Measure = Callable[[CandidateTable, Sequence[ModelScores], int, Sequence[str]], Accuracies]
"""Measures candidates at one N under some aggregations."""


@dataclass(frozen=True, slots=True)
class MethodConfig:
    """A method and how its scores are used; `majority` and `pass` have neither voting nor aggregation."""

    method: str
    voting: str | None
    aggregation: str | None

    def accuracy(self, measured: Accuracies, n: int) -> Floats:
        """Its accuracy at N [seed, problem]; without a reward model there is one row, of no seed."""
        column = measured.ns.index(n)
        if self.voting is None or self.aggregation is None:
            table = measured.majority if self.method == "majority" else measured.passed
            return np.asarray(table[None, :, column])
        return np.asarray(measured.scored[self.method, self.voting, self.aggregation][:, :, column])


@dataclass(frozen=True, slots=True)
class QuintileRow:
    """One method's accuracy in one fifth of the problems; a row of `quintiles.json`.

    Attributes:
        quintile: 1, the hardest, to 5, the easiest.
        by: What difficulty is measured by.
        pass_low: The lowest pass rate in the fifth, mean of the two halves.
        pass_high: The highest, likewise.
        problems: How many problems are in it.
        method: `majority`, `pass` or a kind of reward model.
        voting: `best`, `weighted` or None.
        aggregation: The one chosen for the method and voting on validation problems; None without a reward model.
        n: The size of the candidate sets.
        accuracy: Mean over seeds and problems, in [0, 1].
        std: Standard deviation over seeds; None with fewer than two.
        low: Lower end of its 95% interval, over the fifth's problems and over seeds, mean of the two halves.
        high: Upper end, likewise.
    """

    quintile: int
    by: str
    pass_low: float
    pass_high: float
    problems: int
    method: str
    voting: str | None
    aggregation: str | None
    n: int
    accuracy: float
    std: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One method's accuracy in one part of the problems; a row of `slices.json`.

    Attributes:
        slicing: `level`, `subject`, `steps` or `length`.
        slice: The part: a level, a subject, a number or a range of numbers; `none` where the source states none.
        by: What the slicing goes by.
        problems: How many problems are in the part.
        method: `majority`, `pass` or a kind of reward model.
        voting: `best`, `weighted` or None.
        aggregation: As chosen on validation problems; None without a reward model.
        n: The size of the candidate sets.
        accuracy: Mean over seeds and problems, in [0, 1].
        std: Standard deviation over seeds; None with fewer than two.
        low: Lower end of its 95% interval, over the part's problems and over seeds.
        high: Upper end.
    """

    slicing: str
    slice: str
    by: str
    problems: int
    method: str
    voting: str | None
    aggregation: str | None
    n: int
    accuracy: float
    std: float | None
    low: float
    high: float


def quintiles(rates: Floats) -> list[Longs]:
    """Indices of the problems of each fifth, the lowest pass rates first; of equal ones the earlier problem is first.

    With fewer than five problems, as many parts as there are problems.
    """
    return list(np.array_split(np.argsort(rates, kind="stable"), min(PARTS, len(rates))))


def split_halves(solutions: Sequence[str], copies: Longs, starts: Longs) -> tuple[Longs, Longs]:
    """How many draws of each candidate are in either half of its problem's draws [candidate].

    The draws of a problem are put in the order of a hash of the solution's id and the draw's number, and cut in the
    middle; of an odd number the first half has one less.

    Args:
        solutions: The candidates' ids [candidate].
        copies: How many draws each stands for [candidate].
        starts: Where each problem's candidates begin, and the end of the last [problem + 1].
    """
    first = []
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        own = copies[begin:end]
        owners = np.repeat(np.arange(len(own)), own)
        hashes = [
            hashlib.sha256(f"{solution} {draw}".encode("utf-8", "surrogatepass")).digest()
            for solution, drawn in zip(solutions[begin:end], own.tolist(), strict=True)
            for draw in range(drawn)
        ]
        order = sorted(range(len(hashes)), key=hashes.__getitem__)
        first.append(np.bincount(owners[order[: len(order) // 2]], minlength=len(own)))
    return np.concatenate(first), copies - np.concatenate(first)


def quintile_rows(
    split: tuple[Longs, Longs],
    table: CandidateTable,
    models: Sequence[ModelScores],
    uses: Sequence[MethodConfig],
    at: int,
    *,
    seed: int,
    measure: Measure,
) -> tuple[QuintileRow, ...]:
    """Every method's accuracy in each fifth of the problems by difficulty.

    Args:
        split: The draws of either half (`halves`).
        table: The candidates.
        models: Their scores.
        uses: The methods.
        at: The N of choice.
        seed: Seed of the bootstrap.
        measure: Measures candidates at one N under these aggregations.
    """
    smallest = min(int(np.add.reduceat(half, table.starts[:-1]).min()) for half in split)
    n, by = (min(at, smallest), BY) if smallest else (at, SAME)
    # (draws that decide the fifth, draws that methods choose from)
    ways = [split, split[::-1]] if smallest else [(table.copies, table.copies)]
    names = tuple(dict.fromkeys(use.aggregation for use in uses if use.aggregation is not None))
    found = []
    for deciding, chosen_from in ways:
        right = np.add.reduceat(deciding * table.correct, table.starts[:-1])
        rates = right / np.add.reduceat(deciding, table.starts[:-1])
        measured = measure(*drawn_part(table, models, chosen_from), n, names)
        found.append((rates, quintiles(rates), measured))
    rows = []
    for use in uses:
        accuracies = [use.accuracy(measured, n) for _, _, measured in found]
        for part in range(len(found[0][1])):
            own = [
                (rates[parts[part]], each[:, parts[part]])
                for (rates, parts, _), each in zip(found, accuracies, strict=True)
            ]
            mean, low, high = np.mean([_interval(each, seed) for _, each in own], axis=0).tolist()
            rows.append(
                QuintileRow(
                    quintile=part + 1,
                    by=by,
                    pass_low=float(np.mean([rates.min() for rates, _ in own])),
                    pass_high=float(np.mean([rates.max() for rates, _ in own])),
                    problems=len(own[0][0]),
                    method=use.method,
                    voting=use.voting,
                    aggregation=use.aggregation,
                    n=n,
                    accuracy=mean,
                    std=seed_std(np.mean([each.mean(axis=1) for _, each in own], axis=0)),
                    low=low,
                    high=high,
                )
            )
    return tuple(rows)


def _interval(accuracies: Floats, seed: int) -> tuple[float, float, float]:
    """The mean of accuracies [seed, problem] and the ends of its 95% interval over problems and seeds."""
    own = accuracies.mean(axis=0)[:, None]
    (low,), (high,) = accuracy_interval(resampled_means(own, seed), own, mean_variance([accuracies]).widening)
    mean = float(own.mean())
    return mean, min(float(low), mean), max(float(high), mean)


def drawn_part(
    table: CandidateTable, models: Sequence[ModelScores], copies: Longs
) -> tuple[CandidateTable, tuple[ModelScores, ...]]:
    """The candidates and scores of only some of the draws: `copies` of each candidate [candidate], 0 for none."""
    kept = copies > 0
    starts = np.concatenate([[0], np.cumsum(kept)])[table.starts]
    part = CandidateTable(table.problems, starts, table.answers[kept], table.correct[kept], copies[kept])
    scores = []
    for model in models:
        lengths = np.diff(model.starts)
        steps = model.steps[np.repeat(kept, lengths)]
        scores.append(ModelScores(model.method, model.seed, steps, np.concatenate([[0], np.cumsum(lengths[kept])])))
    return part, tuple(scores)


def slice_rows(
    traits: Sequence[ProblemAttributes], measured: Accuracies, uses: Sequence[MethodConfig], n: int, *, seed: int = 0
) -> tuple[SliceRow, ...]:
    """Every method's accuracy by level, subject, number of steps and length, where problems differ in it.

    Args:
        traits: What is known of each problem.
        measured: Accuracies on them.
        uses: The methods.
        n: The N.
        seed: Seed of the bootstrap.
    """
    rows = []
    accuracies = [(use, use.accuracy(measured, n)) for use in uses]
    for slicing in slicings(traits):
        for name, members in slicing.parts.items():
            for use, accuracy in accuracies:
                own, way = accuracy[:, members], (use.method, use.voting, use.aggregation)
                mean, low, high = _interval(own, seed)
                std = seed_std(own.mean(axis=1))
                rows.append(SliceRow(slicing.name, name, slicing.by, len(members), *way, n, mean, std, low, high))
    return tuple(rows)
