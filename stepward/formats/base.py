"""What a format is: how one row becomes one record and back, and what has to be decided on the way."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from stepward.errors import Code, StepwardError
from stepward.records import LabelledSolution, Preference, Problem, Scores, Solution, StepLabels, StepRollouts
from stepward.rows import InvalidRow, SourceRow

Record = LabelledSolution | Preference | Problem | Solution | StepRollouts | StepLabels | Scores
Fields = Mapping[str, Any]

Neutral = Literal["positive", "negative", "drop"]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What the user decides where a format can't hold what a record says.

    Attributes:
        neutral: What a neutral step becomes in a format without neutral: positive (as Let's Verify scores it),
            negative, or dropped (no label).
        threshold: A label above it is positive in a format of positive and negative alone. None refuses labels that
            are neither 0 nor 1.
        cut: Leave out the steps that no labelled step follows and that have no label themselves, such as all after
            the first error, for a format that needs a label at every step.
        chat: Whether preferences are written as chat messages where the format allows both; None keeps what they are.
    """

    neutral: Neutral = "positive"
    threshold: float | None = None
    cut: bool = False
    chat: bool | None = None


class UnsupportedRecord(Exception):
    """A record can't be said in a format.

    Args:
        reason: Why, and what to do where something can be done.
        code: What kind of thing is wrong.
        field: The record's field at fault.
    """

    def __init__(self, reason: str, code: Code, field: str) -> None:
        super().__init__(reason)
        self.code: Code = code
        self.field = field


@dataclass(frozen=True, slots=True)
class Format:
    """One published shape of rows.

    Attributes:
        name: As `--from` and `--to` name it.
        about: What it is, in a line.
        kind: The record that one row becomes, or the records that it may become.
        matches: Whether a row looks like one of this format, from its fields.
        read: A row's record. Raises InvalidRow.
        write: A record's rows: one, or for a format without branches one a path. Raises UnsupportedRecord. None where
            Stepward only reads the format.
        rows: Where rows come from, for a source whose rows are joined and not read: given the source, its name in
            full and its rows. None: `stepward.rows.iter_rows`.
        shard: The record type whose Parquet schema (`stepward.storage.parquet.schema_of`) a row has. None: a Parquet
            file's columns are taken from its rows.
    """

    name: str
    about: str
    kind: type[Any] | tuple[type[Any], ...]
    matches: Callable[[Fields], bool]
    read: Callable[[SourceRow], Record]
    write: Callable[[Any, WriteOptions], list[dict[str, Any]]] | None
    rows: Callable[[Path | str], tuple[str, Iterator[SourceRow]]] | None = None
    shard: Callable[[Fields], type[Any]] | None = None

    @property
    def kinds(self) -> tuple[type[Any], ...]:
        """The records that a row may become."""
        return self.kind if isinstance(self.kind, tuple) else (self.kind,)


def extra_of(fields: Fields, known: tuple[str, ...]) -> str:
    """The fields that a record has no place for, as JSON; empty where there are none."""
    rest = {name: value for name, value in fields.items() if name not in known}
    return dump_extra(rest)


def dump_extra(extra: Mapping[str, Any]) -> str:
    """`extra` as a record keeps it: JSON, or empty."""
    if not extra:
        return ""
    try:
        return orjson.dumps(extra).decode()
    except TypeError:  # a number above 64 bits, or more than 254 levels, which orjson can't write
        pass
    try:
        return json.dumps(extra, ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise InvalidRow("", "nested too deeply to be kept; expected fewer than 1,000 levels", "too_large") from None


def load_extra(record: LabelledSolution | Preference, source: str) -> dict[str, Any]:
    """The source's own fields, where the record was read from this format; otherwise none."""
    if record.source != source or not record.extra:
        return {}
    extra: dict[str, Any] = json.loads(record.extra)
    return extra


def resolve_neutral(record: LabelledSolution, choices: WriteOptions) -> tuple[float | None, ...]:
    """A record's labels with neutral steps decided as `choices` says."""
    if not record.neutral or choices.neutral == "drop":
        return record.labels
    value = 1.0 if choices.neutral == "positive" else 0.0
    return tuple(value if index in record.neutral else label for index, label in enumerate(record.labels))


def need_texts(record: LabelledSolution, name: str) -> None:
    """UnsupportedRecord where a record has no steps, or no question apart from them, for a format that needs both."""
    if not record.steps:
        raise UnsupportedRecord("it has no steps", "empty", "steps")
    if not record.question.strip():
        raise UnsupportedRecord(
            f"its question is not parted from its first step, and {name} needs it apart", "missing", "question"
        )


def every_label(record: LabelledSolution, choices: WriteOptions, name: str) -> list[float]:
    """The labels for a format that has one at every step.

    Raises:
        UnsupportedRecord: A step has none.
    """
    labels = resolve_neutral(record, choices)
    for index, label in enumerate(labels):
        if label is None:
            raise UnsupportedRecord(
                f"step {index + 1} has no label, and {name} needs one at every step", "missing", f"labels[{index}]"
            )
    return [label for label in labels if label is not None]


def positive(label: float, choices: WriteOptions, name: str) -> bool:
    """Whether a label is positive, for a format of positive and negative alone.

    Raises:
        StepwardError: It is neither 0 nor 1, and no threshold was chosen.
    """
    if choices.threshold is not None:
        return label > choices.threshold
    if label not in (0.0, 1.0):
        raise StepwardError(
            f"{name} holds positive and negative labels alone, and a label is {label:g}: choose a threshold, "
            "0 for any completion right (Math-Shepherd's hard labels) or 0.5 for most of them (--threshold)",
            code="missing",
            field="--threshold",
        )
    return label == 1.0
