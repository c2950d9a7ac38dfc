"""One run's figures, as far as runs are compared by them: its rows, how its methods are used, and each problem's."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.io import accuracies_of
from stepward.evaluation.best_of_n.records import MetricRow

Floats = NDArray[np.float64]
Way = tuple[str | None, str | None]
"""A voting and an aggregation; None twice without a reward model."""

PLAIN: Way = (None, None)
WITHOUT_MODEL = ("majority", "pass")


@dataclass(frozen=True, slots=True)
class LoadedRun:
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
    rows: tuple[MetricRow, ...]
    chosen: Mapping[str, Way]
    n: int
    accuracies: pa.Table | None
    recipe: Mapping[str, Any] | None
    questions: Mapping[str, str] | None
    uses: Mapping[str, str] = field(default_factory=dict)

    def used(self, use: str) -> "LoadedRun":
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

    def row(self, method: str, n: int) -> MetricRow:
        """A method's figures at N, as it is used."""
        key = (self.kind(method), *self.way(method), n)
        found = next((row for row in self.rows if (row.method, row.voting, row.aggregation, row.n) == key), None)
        if found is None:
            raise StepwardError(
                f"{self.name}: no row of {method} at N = {n}; evaluate it again, or give another --n",
                code="missing",
                file=self.name,
                field="n",
            )
        return found

    def methods(self) -> list[str]:
        """`majority`, `pass` and the run's own."""
        return [*WITHOUT_MODEL, *self.chosen]

    def kind(self, method: str) -> str:
        """The method whose models a use is of."""
        return self.uses.get(method, method)

    def per_problem(self, method: str, n: int) -> tuple[list[str], Floats]:
        """The problems' ids, in their order, and a method's accuracies at N on them [seed, problem]."""
        assert self.accuracies is not None
        return accuracies_of(self.accuracies, (self.kind(method), *self.way(method)), n)
