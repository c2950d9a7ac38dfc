"""Data sets of any kind as tokenised rows: mapped by `datasets`, which keeps them on disk, by several processes."""

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepward.errors import StepwardError
from stepward.reward_models.data.tokenization import CUT, KEPT, RowTokenizer

_NAMED = 5


@dataclass(frozen=True)
class Counts:
    """What became of a data set's rows.

    Streamed rows are counted as they are read, again each time they are read again, and by the process that reads
    them: with `dataloader_num_workers` these are the workers, and the trainer's own counts stay empty.

    Attributes:
        name: The data set's.
        fates: How many rows had each fate; of streamed rows, so far.
        first: The first rows that were not kept whole, from 1, by fate.
        streamed: Whether rows are counted as they are read.
    """

    name: str
    fates: dict[str, int]
    first: dict[str, list[int]]
    streamed: bool = False

    def take(self, fate: str, place: int) -> bool:
        """Counts a streamed row, and says whether it is used; warns of the first one of each fate but `KEPT`."""
        self.fates[fate] = self.fates.get(fate, 0) + 1
        if fate != KEPT and len(rows := self.first.setdefault(fate, [])) < _NAMED and place + 1 not in rows:
            rows.append(place + 1)
            if self.fates[fate] == 1:
                what = "is cut to the steps that fit" if fate == CUT else f"is left out as {fate}"
                warnings.warn(f"row {place + 1} of the streamed {self.name} data {what}", stacklevel=2)
        return fate in (KEPT, CUT)

    @property
    def whole(self) -> bool:
        """Whether no row was cut or left out."""
        return not set(self.fates) - {KEPT}

    @property
    def kept(self) -> int:
        """Rows that are used, whole or cut."""
        return self.fates.get(KEPT, 0) + self.fates.get(CUT, 0)

    def sentence(self) -> str:
        """All of it in one sentence."""
        rows = f"rows read of the streamed {self.name} data" if self.streamed else f"rows of the {self.name} data"
        parts = [f"{self.kept:,} of {sum(self.fates.values()):,} {rows} are used"]
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


def tokenize_dataset(rows: Any, make: RowTokenizer, name: str, processes: int | None) -> tuple[Any, Counts]:
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
        counts = Counts(name, {}, {}, streamed=True)
        return _streamed(rows, make, counts), counts
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
            f"the {name} data is {type(rows).__name__}: expected a data set of `datasets`, or a list of rows",
            code="wrong_type",
            field=f"{name}_dataset",
        )
    fates = made["fate"] if len(made) else []
    first: dict[str, list[int]] = {}
    for place, fate in enumerate(fates):
        if fate != KEPT and len(first.setdefault(fate, [])) < _NAMED:
            first[fate].append(place + 1)
    counts = Counts(name, dict(Counter(fates)), first)
    _check_kept(counts)
    if not counts.whole:
        warnings.warn(counts.sentence(), stacklevel=2)
    if counts.kept < len(made):
        made = made.select([place for place, fate in enumerate(fates) if fate in (KEPT, CUT)])
    return made.remove_columns("fate"), counts


def materialize(rows: Any, counts: Counts) -> Any:
    """Streamed features as a data set that is read.

    Raises:
        StepwardError: There are none.
    """
    from datasets import Dataset

    made = list(rows)
    _check_kept(counts)
    return Dataset.from_list(made)


def _check_kept(counts: Counts) -> None:
    if not counts.kept:
        raise StepwardError(
            f"nothing to use: {counts.sentence()}; expected rows with at least one label that fits",
            code="empty",
            field=f"{counts.name}_dataset",
        )


def is_streamed(rows: Any) -> bool:
    """Whether rows come one after another and their number is not known."""
    return not hasattr(rows, "__len__")


def columns_of(rows: Any) -> list[str]:
    """The columns of a data set, or of the first of some rows where it doesn't say; none of what has no rows."""
    named = getattr(rows, "column_names", None)
    if named or not isinstance(rows, Iterable):
        return list(named or ())
    first = next(iter(rows), None)
    return list(first) if isinstance(first, Mapping) else []


def already_tokenized(rows: Any, names: Sequence[str]) -> Any:
    """Rows that are features already, as a data set; None for other rows.

    Args:
        rows: As `tokenize_dataset` takes them.
        names: The columns that features are made with, their fate last.
    """
    if not set(names[:-1]) <= set(columns_of(rows)):
        return None
    if isinstance(rows, list):
        from datasets import Dataset

        return Dataset.from_list(rows)
    return rows


def _streamed(rows: Any, make: RowTokenizer, counts: Counts) -> Any:
    made = rows.map(make, batched=True, with_indices=True, remove_columns=columns_of(rows))
    return made.filter(counts.take, with_indices=True, input_columns="fate").remove_columns("fate")
