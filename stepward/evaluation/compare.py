"""Runs beside one another, and methods of one run: differences with their intervals, paired where they can be.

Two runs on the same problems are compared problem by problem, which tells far smaller differences apart than their two
intervals do. Problems are the same where their ids are and, where both runs hold their texts, these too. Otherwise the
difference has the interval of two independent means, by the square roots of the squares of their own intervals' arms
(Newcombe 1998; Zou and Donner 2008), and says so. All intervals are over problems and seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.loaded_run import WITHOUT_MODEL, LoadedRun
from stepward.evaluation.stats.bootstrap import Z
from stepward.evaluation.stats.paired_test import Sides, direction, holm, is_counted, paired_many
from stepward.storage.manifest import differences

Floats = NDArray[np.float64]

_NO_DIFFERENCE = ("name", "about")
"""Fields of a recipe that decide nothing."""

Used = tuple[LoadedRun, str]
"""A run and a method of it."""


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared: a method of a run, as it is used there, of so many models; 0 without a reward model."""

    run: str
    method: str
    voting: str | None
    aggregation: str | None
    accuracy: float
    seeds: int


@dataclass(frozen=True, slots=True)
class Difference:
    """The first side's accuracy minus the second's.

    Attributes:
        first: What is compared.
        second: With what.
        n: How many candidates both chose from.
        problems: How many problems the first side has; the same ones as the second where `paired`.
        mean: The difference of the two accuracies, in [-1, 1].
        low: Lower end of its 95% interval over problems and seeds.
        high: Upper end.
        paired: Whether the problems are the same, and differences were taken on each of them.
        p: Two-sided, of this comparison alone; where it is not paired, of the interval by a normal approximation.
        needed: How many problems would be needed to tell a difference of this size (5% two-sided, power 80%); None
            where it is 0 or not paired, or where seeds differ too much for any number.
        p_holm: p corrected for all comparisons that are made together.
    """

    first: Side
    second: Side
    n: int
    problems: int
    mean: float
    low: float
    high: float
    paired: bool
    p: float
    needed: int | None
    p_holm: float = 1.0

    @property
    def direction(self) -> int:
        """Whether the first side is better (1) or worse (-1) beyond chance, all comparisons considered; else 0."""
        return direction(self.low, self.high, self.p_holm)


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs, or the one run whose methods are compared.

    Attributes:
        first: A run's name.
        second: Another's, or the same.
        why_unpaired: Why its differences are not taken problem by problem; empty where they are.
        differences: A method each, or a pair of methods of the one run.
        recipes: The fields in which the two recipes differ: `field: the first's -> the second's`.
    """

    first: str
    second: str
    why_unpaired: str
    differences: tuple[Difference, ...]
    recipes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs beside one another at one N.

    Attributes:
        n: How many candidates are chosen from.
        methods: The rows of the table.
        runs: Its columns.
        pairs: The differences.
    """

    n: int
    methods: tuple[str, ...]
    runs: tuple[LoadedRun, ...]
    pairs: tuple[RunComparison, ...]

    @property
    def comparisons(self) -> int:
        """For how many comparisons the p are corrected."""
        return sum(is_counted(one) for pair in self.pairs for one in pair.differences)

    def content(self) -> dict[str, Any]:
        """All of it as JSON."""
        runs = []
        for run in self.runs:
            rows = [asdict(run.row(method, self.n)) for method in self.methods if method in run.methods()]
            runs.append({"name": run.name, "problems": run.rows[0].problems, "selection_n": run.n, "rows": rows})
        return {
            "n": self.n,
            "methods": list(self.methods),
            "comparisons": self.comparisons,
            "runs": runs,
            "pairs": [asdict(one) for one in self.pairs],
        }


def compare_runs(
    runs: Sequence[LoadedRun], *, methods: Sequence[str] | None = None, n: int | None = None, seed: int = 0
) -> Comparison:
    """Compares every two runs method by method; of one run, every two of its methods.

    Args:
        runs: One or more.
        methods: Which to compare, as each is used, or as METHOD:VOTING:AGGREGATION; all if not given.
        n: At how many candidates; if not given, the N of the runs' choices where it is one, else the largest N that
            all of them were measured at.
        seed: Seed of the intervals and of the test.

    Raises:
        StepwardError: No N is common to all, or the one asked for is not; a method is unknown, or of one run only one
            is named.
    """
    for method in methods or ():
        runs = [run if method in run.methods() else run.used(method) for run in runs]
    at = _common_n(runs, n)
    listed = list(dict.fromkeys(method for run in runs for method in run.methods()))
    for method in methods or ():
        if method not in listed:
            raise StepwardError(
                f"--methods {method}: no such method; expected {', '.join(listed)}, or METHOD:VOTING:AGGREGATION",
                code="unknown_name",
                field="--methods",
            )
    kept = [method for method in listed if not methods or method in methods or method in WITHOUT_MODEL]
    if len(runs) == 1:
        own = list(dict.fromkeys(methods)) if methods else [*runs[0].chosen, "majority"]
        pairs = [_within(runs[0], own, at, seed)]
    else:
        asked = [method for method in kept if not methods or method in methods]
        pairs = [_between(first, second, asked, at, seed) for first, second in combinations(runs, 2)]
    return Comparison(at, tuple(kept), tuple(runs), _corrected(pairs))


def _corrected(pairs: Sequence[RunComparison]) -> tuple[RunComparison, ...]:
    """The pairs with each p corrected for all differences of all of them."""
    differences = iter(correct([one for pair in pairs for one in pair.differences]))
    return tuple(replace(pair, differences=tuple(next(differences) for _ in pair.differences)) for pair in pairs)


def correct(differences: Sequence[Difference]) -> list[Difference]:
    """Differences with each p corrected for all of them."""
    return [replace(one, p_holm=p) for one, p in zip(differences, holm(differences), strict=True)]


def _common_n(runs: Sequence[LoadedRun], asked: int | None) -> int:
    common = set.intersection(*({row.n for row in run.rows} for run in runs))
    if asked is not None:
        if asked not in common:
            raise StepwardError(
                f"--n {asked}: not measured by all; expected one of {_listed(common)}", code="unknown_name", field="--n"
            )
        return asked
    if not common:
        raise StepwardError(
            "no N is common to these runs; measure them at the same ones (evaluation.ns, or --ns)",
            code="mismatch",
            field="ns",
        )
    own = {run.n for run in runs}
    return own.pop() if len(own) == 1 and own <= common else max(common)


def _listed(ns: set[int]) -> str:
    return ", ".join(map(str, sorted(ns))) or "none: they have no N in common"


def _within(run: LoadedRun, methods: Sequence[str], n: int, seed: int) -> RunComparison:
    """Every two methods of one run, on its problems."""
    if run.accuracies is None:
        raise StepwardError(
            f"{run.name}: no accuracies by problem (evaluation/accuracies.parquet), so its methods can't be compared; "
            "evaluate it again",
            code="unfinished",
            file=run.name,
        )
    if len(methods) < 2:
        raise StepwardError(
            f"--methods {', '.join(methods)}: of one run name two methods or more, to compare them",
            code="too_few",
            field="--methods",
        )
    found = _paired([*combinations([(run, method) for method in methods], 2)], n, seed)
    return RunComparison(run.name, run.name, "", tuple(found), ())


def _between(first: LoadedRun, second: LoadedRun, methods: Sequence[str], n: int, seed: int) -> RunComparison:
    """Two runs, method by method."""
    why = why_unpaired(first, second)
    both = [method for method in methods if method in first.methods() and method in second.methods()]
    pairs = [((first, method), (second, method)) for method in both]
    found = [_unpaired(*pair, n) for pair in pairs] if why else _paired(pairs, n, seed)
    changed: list[str] = []
    if first.recipe is not None and second.recipe is not None:
        changed = [one for one in differences(first.recipe, second.recipe) if one.split(":")[0] not in _NO_DIFFERENCE]
    return RunComparison(first.name, second.name, why, tuple(found), tuple(changed))


def why_unpaired(first: LoadedRun, second: LoadedRun) -> str:
    """Why two runs can't be compared problem by problem; empty where they can."""
    for run in (first, second):
        if run.accuracies is None:
            return f"{run.name} has no accuracies by problem"
    own, other = ({*pc.unique(run.accuracies["problem_id"]).to_pylist()} for run in (first, second))  # type: ignore[index]
    if own != other:
        return f"other problems: {len(own):,} and {len(other):,}, {len(own & other):,} of them in both"
    if first.questions is not None and second.questions is not None:
        known = first.questions.keys() & second.questions.keys()
        odd = sum(first.questions[one] != second.questions[one] for one in known)
        if odd:
            return f"other problems: {odd:,} of {len(own):,} have one id but another text"
    return ""


def _side(run: LoadedRun, method: str, n: int) -> Side:
    row = run.row(method, n)
    return Side(run.name, method, *run.way(method), row.mean, row.seeds)


def _paired(pairs: Sequence[tuple[Used, Used]], n: int, seed: int) -> list[Difference]:
    """Differences problem by problem, all on the same resamples."""
    tested = paired_many([_sides(first, second, n) for first, second in pairs], seed=seed)
    return [
        Difference(
            first=_side(*first, n), second=_side(*second, n), n=n, problems=first[0].row(first[1], n).problems,
            mean=found.mean, low=found.low, high=found.high, paired=True, p=found.p, needed=found.needed,
        )
        for (first, second), found in zip(pairs, tested, strict=True)
    ]  # fmt: skip


def _sides(first: Used, second: Used, n: int) -> Sides:
    own, other = _accuracies(*first, n), _accuracies(*second, n)
    if first[0] is second[0] and first[0].kind(first[1]) == second[0].kind(second[1]):
        return own - other, np.zeros_like(own[:1])  # two uses of the same models
    return own, other


def _accuracies(run: LoadedRun, method: str, n: int) -> Floats:
    """A method's accuracies at N [seed, problem], in the order of the problems' ids."""
    found, row = run.per_problem(method, n)[1], run.row(method, n)
    if found.shape != (max(row.seeds, 1), row.problems):
        raise StepwardError(
            f"{run.name}: evaluation/accuracies.parquet has {found.shape[1]:,} problems and {len(found)} seeds of "
            f"{method} at N = {n}, and summary.json {row.problems:,} and {row.seeds}; evaluate the run again",
            code="mismatch",
            file="accuracies.parquet",
        )
    return found


def _unpaired(first: Used, second: Used, n: int) -> Difference:
    own, other = first[0].row(first[1], n), second[0].row(second[1], n)
    mean = own.mean - other.mean
    below = math.hypot(own.mean - own.low, other.high - other.mean)
    above = math.hypot(own.high - own.mean, other.mean - other.low)
    towards = below if mean > 0 else above
    p = math.erfc(Z * abs(mean) / towards / math.sqrt(2)) if towards else float(mean == 0)
    return Difference(
        first=_side(*first, n), second=_side(*second, n), n=n, problems=own.problems, mean=mean,
        low=mean - below, high=mean + above, paired=False, p=p, needed=None,
    )  # fmt: skip
