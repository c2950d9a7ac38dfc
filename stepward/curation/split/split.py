"""A source cut into parts by problem, never by row: no part holds a problem of another.

Rows belong together that ask the same question after normalising (`stepward.curation.dedup.normalize`), so a problem's
other solutions, and its duplicates with another id, case or spacing, go where it goes. Problems are dealt in the order
of a hash of the seed and the question, so neither the rows' order nor other rows move a problem within its stratum. Two
passes: the first keeps 16 bytes a problem and a number a row, the second writes the rows as they stood.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from stepward import formats
from stepward.curation.dedup.near_duplicates import KINDS, QuestionIndex
from stepward.curation.dedup.normalize import Asking, key, normalize_question, question_of, whole_text
from stepward.curation.dedup.overlap import index_of
from stepward.curation.dedup.two_pass import rows_again, with_rows
from stepward.curation.split.sizes import UNASSIGNED, Sizes, names_part, part_sizes, stratum_sizes
from stepward.errors import StepwardError
from stepward.problems.splits import sort_key
from stepward.records import LabelledSolution
from stepward.rows import RowError, SourceRow, json_line
from stepward.storage.files import atomic_write, refuse_filled

MissingQuestion = Literal["refuse", "whole"]

_NO_VALUE = "(none)"
_CORRECT = {True: "correct", False: "incorrect", None: _NO_VALUE}
# Not the name of a part: a part can't start with a dot.
_REMOVED = ".removed"
_UNFINISHED = ".stepward-split"
"""Lists the parts that are being written, so that those of a killed split are not taken for somebody's files."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: how many problems and rows it has, and how many problems of each stratum."""

    problems: int
    rows: int
    strata: dict[str, int]


@dataclass(frozen=True, slots=True)
class Split:
    """What was written, and by which settings; `split.json` holds the same.

    Attributes:
        source: What was cut.
        format: Its format.
        seed: As asked.
        stratified_by: As asked; None for no strata.
        clean_of: The benchmarks whose problems were removed.
        rows: Rows that could be read.
        set_aside: Rows that could not.
        unasked: Rows without a question, each told apart by its whole text.
        problems: Distinct questions by normal form.
        parts: By name.
        left_out: What no part asked for.
        removed: What `clean_of` removed.
    """

    source: str
    format: str
    seed: int
    stratified_by: str | None
    clean_of: tuple[str, ...]
    rows: int
    set_aside: int
    unasked: int
    problems: int
    parts: dict[str, Part]
    left_out: Part
    removed: Part

    def as_json(self) -> dict[str, Any]:
        """The same, as JSON holds it."""
        return asdict(self)


@dataclass(slots=True)
class _Groups:
    """What the first pass finds: the problems, which one each row is of, and what each says of its stratum."""

    keys: dict[bytes, int] = field(default_factory=dict)
    of_row: "array[int]" = field(default_factory=lambda: array("I"))
    values: list[Counter[str]] = field(default_factory=list)
    removed: set[int] = field(default_factory=set)
    unasked: int = 0


def split(
    source: Path | str,
    folder: Path | str,
    parts: Sizes,
    *,
    seed: int = 0,
    stratify: str | None = None,
    clean_of: Sequence[Path | str] = (),
    format: str | None = None,
    clean_format: str | None = None,
    ngram: int = 13,
    threshold: float = 0.8,
    without_question: MissingQuestion = "refuse",
    on_fault: Callable[[RowError], None] | None = None,
) -> Split:
    """Cut a source into parts: `<part>.jsonl` of its rows as they stood, and `split.json`.

    Args:
        source: What `stepward.formats.read` reads.
        folder: Where the parts go; it may exist if it is empty.
        parts: Sizes in problems, by the parts' names (`stepward.curation.split.sizes.part_sizes` says how).
        seed: Another seed deals another way.
        stratify: Keep the shares of this in every part: `correct` (as the source states it, else whether the last
            label is above 0.5), `level`, `subject`, `source` (that field, else the row's file), or another field of the
            rows. A problem whose rows differ in it counts by the value that most of them have; the first by name of
            several.
        clean_of: Benchmarks whose problems go to no part, by any kind of likeness (`stepward.curation.dedup.overlap`).
            They are removed before the sizes are taken.
        format: The source's format; guessed if not given.
        clean_format: The format of the benchmarks; guessed one by one if not given.
        ngram: Words of an n-gram, for `clean_of`.
        threshold: The least Jaccard index of near duplicates, for `clean_of`.
        without_question: What to do with rows whose format doesn't part the question from the first step: `refuse`,
            or tell problems apart by the `whole` text, which can put two solutions of one problem in two parts.
        on_fault: Is told of the source's rows that can't be read. Without it a warning names the first ones.

    Raises:
        StepwardError: The sizes don't fit, a row has no question, the folder is not empty, the field is in no row, a
            source can't be read, or the disc is full.
    """
    folder = Path(folder)
    if without_question not in get_args(MissingQuestion):
        raise StepwardError(
            f"--without-question: expected refuse or whole, found {without_question!r}",
            code="bad_value",
            field="--without-question",
        )
    _refuse_filled(folder)
    part_sizes(parts, 10**9, str(source))  # a mistake in them should not wait for the first pass
    indexes = [index_of(other, clean_format, KINDS, ngram, threshold) for other in clean_of]
    reading = formats.read(source, format, on_fault=on_fault)
    groups = _Groups()
    for row, record in with_rows(reading):
        _take(groups, row, record, stratify, indexes, without_question)
    if stratify and all(set(values) <= {_NO_VALUE} for values in groups.values):
        raise StepwardError(
            f"{source}: no row has a value of {stratify!r} to stratify by; name another field",
            code="unknown_name",
            file=source,
            field=stratify,
        )
    strata = [_stratum(values) for values in groups.values] or [""] * len(groups.keys)
    names = list(parts)
    dealt = _deal(groups, strata, parts, seed, str(source))
    _begin(folder, names)
    rows = _write(source, reading.format.name, folder, names, groups, dealt)
    counted = {name: _part(name, dealt, strata, rows) for name in (*names, UNASSIGNED, _REMOVED)}
    made = Split(
        str(source), reading.format.name, seed, stratify, tuple(map(str, clean_of)), reading.rows, reading.bad.rows,
        groups.unasked, len(groups.keys), {name: counted[name] for name in names}, counted[UNASSIGNED],
        counted[_REMOVED],
    )  # fmt: skip
    with atomic_write(folder / "split.json") as file:
        file.write(orjson.dumps(made.as_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    (folder / _UNFINISHED).unlink(missing_ok=True)
    return made


def _refuse_filled(folder: Path) -> None:
    """Raises StepwardError where parts of two splits would mix; what a killed one left may be there."""
    if (folder / "split.json").exists() or not (folder / _UNFINISHED).is_file():
        refuse_filled(folder)


def _begin(folder: Path, names: list[str]) -> None:
    """Removes the parts that a killed split left, and notes those that are written now."""
    noted = folder / _UNFINISHED
    left = noted.read_text("utf-8").splitlines() if noted.is_file() else []
    for name in left:
        if names_part(name):
            (folder / f"{name}.jsonl").unlink(missing_ok=True)
    with atomic_write(noted) as file:
        file.write("".join(f"{name}\n" for name in names).encode())


def _take(
    groups: _Groups,
    row: SourceRow,
    record: Asking,
    stratify: str | None,
    indexes: Sequence[QuestionIndex],
    without_question: MissingQuestion,
) -> None:
    """Note one row's problem."""
    text = question_of(record)
    form = normalize_question(text)
    if not form:
        if without_question == "refuse":
            raise StepwardError(
                f"{row.file}: row {row.number}: no question, so it can't be told which rows are of one problem; "
                "expected a format that holds the question, or say --without-question whole to tell rows apart by all "
                "their text",
                code="missing",
                file=row.file,
                row=row.number,
                field="question",
            )
        groups.unasked += 1
        form = normalize_question(whole_text(record))
    known = len(groups.keys)
    group = groups.keys.setdefault(key(form), known)
    groups.of_row.append(group)
    is_new = len(groups.keys) > known
    if is_new and text and any(index.find(text, form) for index in indexes):
        groups.removed.add(group)
    if stratify:
        if is_new:
            groups.values.append(Counter())
        groups.values[group][_value(row, record, stratify)] += 1


def _value(row: SourceRow, record: Asking, by: str) -> str:
    """What a row says of its problem's stratum."""
    if by == "correct" and isinstance(record, LabelledSolution):
        last = record.labels[-1] if record.labels else None
        correct = record.correct if record.correct is not None or last is None else last > 0.5
        return _CORRECT[correct]
    value = row.fields.get(by)
    if value is None:
        # A format may hold the level or subject in a field of another name; without a field the file is the source.
        value = row.file.name if by == "source" else getattr(record, by, None) if by in ("level", "subject") else None
    return _NO_VALUE if value is None else str(value)


def _stratum(values: Counter[str]) -> str:
    """The value that most rows have; the first by name of several."""
    return min(values, key=lambda value: (-values[value], value))


def _deal(groups: _Groups, strata: list[str], parts: Sizes, seed: int, source: str) -> list[str]:
    """The part of each problem."""
    dealt = [_REMOVED] * len(strata)
    members: dict[str, list[tuple[bytes, int]]] = defaultdict(list)
    for digest, group in groups.keys.items():
        if group not in groups.removed:
            members[strata[group]].append((sort_key(seed, digest.hex()), group))
    counts = {stratum: len(members[stratum]) for stratum in sorted(members)}
    sizes = part_sizes(parts, sum(counts.values()), source)
    for stratum, given in stratum_sizes(counts, sizes, seed).items():
        # The order in which the members are found depends on the rows'; their places don't.
        order = iter(sorted(members[stratum]))
        for name, size in given.items():
            for _ in range(size):
                dealt[next(order)[1]] = name
    return dealt


def _write(
    source: Path | str, format: str, folder: Path, names: list[str], groups: _Groups, dealt: list[str]
) -> Counter[str]:
    """Write each part's rows, and count them."""
    rows: Counter[str] = Counter()
    with ExitStack() as stack:
        files = {name: stack.enter_context(atomic_write(folder / f"{name}.jsonl")) for name in names}
        for row, group in zip(rows_again(source, format, len(groups.of_row)), groups.of_row, strict=True):
            name = dealt[group]
            rows[name] += 1
            if name in files:
                files[name].write(json_line(row.fields))
    return rows


def _part(name: str, dealt: list[str], strata: list[str], rows: Counter[str]) -> Part:
    found = Counter(stratum for part, stratum in zip(dealt, strata, strict=True) if part == name)
    return Part(found.total(), rows[name], {stratum: found[stratum] for stratum in sorted(found) if stratum})
