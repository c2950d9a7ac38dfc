"""Data sets of any kind as tokenised rows: mapped by `datasets`, which keeps them on disk, by several processes."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepward.errors import StepwardError
from stepward.rewards.columns import CUT, KEPT, Features

_NAMED = 5


@dataclass(frozen=True)
class Counts:
    """What became of a data set's rows.

    Attributes:
        name: The data set's.
        fates: How many rows had each fate; empty where rows are streamed and not yet seen.
        first: The first rows left out, from 1, by fate.
    """

    name: str
    fates: dict[str, int]
    first: dict[str, list[int]]

    @property
    def kept(self) -> int:
        """Rows that are used, whole or cut."""
        return self.fates.get(KEPT, 0) + self.fates.get(CUT, 0)

    def sentence(self) -> str:
        """All of it in one sentence."""
        parts = [f"{self.kept:,} of {sum(self.fates.values()):,} rows of the {self.name} data are used"]
        if self.fates.get(CUT):
            parts.append(f"{self.fates[CUT]:,} of them cut to the steps that fit{self._named(CUT)}")
        parts += [
            f"{count:,} left out as {fate}{self._named(fate)}"
            for fate, count in self.fates.items()
            if fate not in (KEPT, CUT)
        ]
        return ", ".join(parts)

    def _named(self, fate: str) -> str:
        rows = self.first.get(fate, [])
        more = ", ..." if self.fates[fate] > len(rows) else ""
        return f" (row{'s' if self.fates[fate] > 1 else ''} {', '.join(map(str, rows))}{more})"


def make_features(rows: Any, make: Features, name: str, processes: int | None) -> tuple[Any, Counts]:
    """The rows as features, and what became of them.

    Args:
        rows: A `datasets.Dataset` or `IterableDataset`, or a list of rows.
        make: Turns a batch of columns, and the rows' places, into columns of features with a `fate`.
        name: The data set's, for messages.
        processes: How many tokenise.

    Raises:
        StepwardError: It is none of these, it is empty, or no row of it can be used; warns of rows left out.
    """
    from datasets import Dataset

    if is_streamed(rows) and hasattr(rows, "map"):
        return _streamed(rows, make), Counts(name, {}, {})
    if isinstance(rows, Sequence) and not isinstance(rows, str):
        columns = list(dict.fromkeys(column for row in rows for column in row))
        made = Dataset.from_dict(
            make({column: [row.get(column) for row in rows] for column in columns}, range(len(rows)))
        )
    elif isinstance(rows, Dataset):
        made = rows.map(
            make,
            batched=True,
            with_indices=True,
            remove_columns=rows.column_names,
            num_proc=processes,
            desc=f"tokenising the {name} data",
        )
    else:
        raise StepwardError(
            f"the {name} data is {type(rows).__name__}: expected a data set of `datasets`, or a list of rows"
        )
    fates = made["fate"] if len(made) else []
    first: dict[str, list[int]] = {}
    for place, fate in enumerate(fates):
        if fate != KEPT and len(first.setdefault(fate, [])) < _NAMED:
            first[fate].append(place + 1)
    counts = Counts(name, dict(Counter(fates)), first)
    if not counts.kept:
        raise StepwardError(f"nothing to use: {counts.sentence()}; expected rows with at least one label that fits")
    if set(counts.fates) - {KEPT}:
        warnings.warn(counts.sentence(), stacklevel=2)
    if counts.kept < len(made):
        made = made.select([place for place, fate in enumerate(fates) if fate in (KEPT, CUT)])
    return made.remove_columns("fate"), counts


def is_streamed(rows: Any) -> bool:
    """Whether rows come one after another and their number is not known."""
    return not hasattr(rows, "__len__")


def _streamed(rows: Any, make: Features) -> Any:
    columns = rows.column_names or list(next(iter(rows)))
    made = rows.map(make, batched=True, with_indices=True, remove_columns=columns)
    return made.filter(lambda row: row["fate"] in (KEPT, CUT)).remove_columns("fate")
