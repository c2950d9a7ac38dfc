"""Runs beside one another, and methods of one run: differences with their intervals, paired where they can be.

Two runs on the same problems are compared problem by problem, which tells far smaller differences apart than their two
intervals do. Problems are the same where their ids are and, where both runs hold their texts, these too. Otherwise the
difference has the interval of two independent means, by the square roots of the squares of their own intervals' arms
(Newcombe 1998; Zou and Donner 2008), and says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.paired import paired_columns
from stepward.evaluation.summary import Row
from stepward.manifest import differences

Floats = NDArray[np.float64]
Way = tuple[str | None, str | None]
"""A voting and an aggregation; None twice without a reward model."""

PLAIN: Way = (None, None)
WITHOUT_MODEL = ("majority", "pass")

_NO_DIFFERENCE = ("name", "about")
"""Fields of a recipe that decide nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run's figures.

    Attributes:
        name: What it is called: its folder's or file's name.
        rows: Its `summary.json`.
        chosen: How each of its methods is used: by its overall choice on validation problems, or as was asked.
        n: The N of that choice.
        accuracies: Its `accuracies.parquet`; None where it has none.
        recipe: Its recipe; None for scores from elsewhere.
        questions: The problems' texts by their ids, as far as it has them; None where it has none.
        uses: Other uses of its methods that were asked for, such as `er:weighted:last`, and whose they are.
    """

    name: str
    rows: tuple[Row, ...]
    chosen: Mapping[str, Way]
    n: int
    accuracies: pa.Table | None
    recipe: Mapping[str, Any] | None
    questions: Mapping[str, str] | None
    uses: Mapping[str, str] = field(default_factory=dict)

    def used(self, use: str) -> "Measured":
        """The same with a use METHOD:VOTING:AGGREGATION beside its methods, if it was measured."""
        if use.count(":") < 2:
            return self
        method, voting, aggregation = use.rsplit(":", 2)
        if (method, voting, aggregation) not in {(row.method, row.voting, row.aggregation) for row in self.rows}:
            return self
        return replace(self, chosen={**self.chosen, use: (voting, aggregation)}, uses={**self.uses, use: method})

    def way(self, method: str) -> Way:
        """How a method is used."""
        return PLAIN if method in WITHOUT_MODEL else self.chosen[method]

    def row(self, method: str, n: int) -> Row:
        """A method's figures at N, as it is used."""
        key = (self.uses.get(method, method), *self.way(method), n)
        found = next((row for row in self.rows if (row.method, row.voting, row.aggregation, row.n) == key), None)
        if found is None:
            raise StepwardError(f"{self.name}: no row of {method} at N = {n}; evaluate it again, or give another --n")
        return found

    def methods(self) -> list[str]:
        """`majority`, `pass` and the run's own."""
        return [*WITHOUT_MODEL, *self.chosen]

    def per_problem(self, method: str, n: int) -> dict[str, float]:
        """A method's accuracy at N on each problem, averaged over seeds."""
        assert self.accuracies is not None
        voting, aggregation = self.way(method)
        own = pc.equal(self.accuracies["method"], self.uses.get(method, method))
        kept = pc.and_(own, pc.equal(self.accuracies["n"], n))
        for name, value in (("voting", voting), ("aggregation", aggregation)):
            column = self.accuracies[name]
            kept = pc.and_(kept, pc.is_null(column) if value is None else pc.fill_null(pc.equal(column, value), False))
        found = self.accuracies.filter(kept)
        return dict(zip(found["problem_id"].to_pylist(), found["accuracy"].to_pylist(), strict=True))


Used = tuple[Measured, str]
"""A run and a method of it."""


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared: a method of a run, as it is used there."""

    run: str
    method: str
    voting: str | None
    aggregation: str | None
    accuracy: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The first side's accuracy minus the second's.

    Attributes:
        first: What is compared.
        second: With what.
        n: How many candidates both chose from.
        problems: How many problems the first side has; the same ones as the second where `paired`.
        mean: The difference of the two accuracies, in [-1, 1].
        low: Lower end of its 95% interval.
        high: Upper end.
        paired: Whether the problems are the same, and differences were taken on each of them.
        p: Two-sided, of a paired permutation test; None where it is not paired.
        needed: How many problems would be needed to tell a difference of this size (5% two-sided, power 80%); None
            where it is 0 or not paired.
    """

    first: Side
    second: Side
    n: int
    problems: int
    mean: float
    low: float
    high: float
    paired: bool
    p: float | None
    needed: int | None


@dataclass(frozen=True, slots=True)
class Pair:
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
    runs: tuple[Measured, ...]
    pairs: tuple[Pair, ...]

    def content(self) -> dict[str, Any]:
        """All of it as JSON."""
        runs = []
        for run in self.runs:
            rows = [asdict(run.row(method, self.n)) for method in self.methods if method in run.methods()]
            runs.append({"name": run.name, "problems": run.rows[0].problems, "n_of_choice": run.n, "rows": rows})
        return {"n": self.n, "methods": list(self.methods), "runs": runs, "pairs": [asdict(one) for one in self.pairs]}


def compare_runs(
    runs: Sequence[Measured], *, methods: Sequence[str] | None = None, n: int | None = None, seed: int = 0
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
                f"--methods {method}: no such method; expected {', '.join(listed)}, or METHOD:VOTING:AGGREGATION"
            )
    kept = [method for method in listed if not methods or method in methods or method in WITHOUT_MODEL]
    if len(runs) == 1:
        own = list(dict.fromkeys(methods)) if methods else [*runs[0].chosen, "majority"]
        pairs = [_within(runs[0], own, at, seed)]
    else:
        asked = [method for method in kept if not methods or method in methods]
        pairs = [_between(first, second, asked, at, seed) for first, second in combinations(runs, 2)]
    return Comparison(at, tuple(kept), tuple(runs), tuple(pairs))


def _common_n(runs: Sequence[Measured], asked: int | None) -> int:
    common = set.intersection(*({row.n for row in run.rows} for run in runs))
    if asked is not None:
        if asked not in common:
            raise StepwardError(f"--n {asked}: not measured by all; expected one of {_listed(common)}")
        return asked
    if not common:
        raise StepwardError("no N is common to these runs; measure them at the same ones (evaluation.ns, or --ns)")
    own = {run.n for run in runs}
    return own.pop() if len(own) == 1 and own <= common else max(common)


def _listed(ns: set[int]) -> str:
    return ", ".join(map(str, sorted(ns))) or "none: they have no N in common"


def _within(run: Measured, methods: Sequence[str], n: int, seed: int) -> Pair:
    """Every two methods of one run, on its problems."""
    if run.accuracies is None:
        raise StepwardError(
            f"{run.name}: no accuracies by problem (evaluation/accuracies.parquet), so its methods can't be compared; "
            "evaluate it again"
        )
    if len(methods) < 2:
        raise StepwardError(f"--methods {', '.join(methods)}: of one run name two methods or more, to compare them")
    found = _paired([*combinations([(run, method) for method in methods], 2)], n, seed)
    return Pair(run.name, run.name, "", tuple(found), ())


def _between(first: Measured, second: Measured, methods: Sequence[str], n: int, seed: int) -> Pair:
    """Two runs, method by method."""
    why = why_unpaired(first, second)
    both = [method for method in methods if method in first.methods() and method in second.methods()]
    pairs = [((first, method), (second, method)) for method in both]
    found = [_unpaired(*pair, n) for pair in pairs] if why else _paired(pairs, n, seed)
    changed: list[str] = []
    if first.recipe is not None and second.recipe is not None:
        changed = [one for one in differences(first.recipe, second.recipe) if one.split(":")[0] not in _NO_DIFFERENCE]
    return Pair(first.name, second.name, why, tuple(found), tuple(changed))


def why_unpaired(first: Measured, second: Measured) -> str:
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


def _side(run: Measured, method: str, n: int) -> Side:
    return Side(run.name, method, *run.way(method), run.row(method, n).mean)


def _paired(pairs: Sequence[tuple[Used, Used]], n: int, seed: int) -> list[Difference]:
    """Differences problem by problem, all on the same resamples."""
    if not pairs:
        return []
    columns = [_accuracies(*first, n) - _accuracies(*second, n) for first, second in pairs]
    tested = paired_columns(np.stack(columns, axis=1), seed=seed)
    return [
        Difference(
            first=_side(*first, n), second=_side(*second, n), n=n, problems=len(columns[0]), mean=found.mean,
            low=found.low, high=found.high, paired=True, p=found.p, needed=found.needed,
        )
        for (first, second), found in zip(pairs, tested, strict=True)
    ]  # fmt: skip


def _accuracies(run: Measured, method: str, n: int) -> Floats:
    """A method's accuracy at N [problem], in the order of the problems' ids."""
    found, expected = run.per_problem(method, n), run.row(method, n).problems
    if len(found) != expected:
        raise StepwardError(
            f"{run.name}: evaluation/accuracies.parquet has {len(found):,} problems of {method} at N = {n}, and "
            f"summary.json {expected:,}; evaluate the run again"
        )
    return np.array([found[problem] for problem in sorted(found)])


def _unpaired(first: Used, second: Used, n: int) -> Difference:
    own, other = first[0].row(first[1], n), second[0].row(second[1], n)
    mean = own.mean - other.mean
    return Difference(
        first=_side(*first, n), second=_side(*second, n), n=n, problems=own.problems, mean=mean,
        low=mean - math.hypot(own.mean - own.low, other.high - other.mean),
        high=mean + math.hypot(own.high - own.mean, other.mean - other.low),
        paired=False, p=None, needed=None,
    )  # fmt: skip
