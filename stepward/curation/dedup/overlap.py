"""Which problems of one source are in others, or twice in itself: counted, listed, and removed.

The others' questions are held in memory (benchmarks are small); of the source itself only a number a distinct question
and a byte a row are, so that it may have millions of rows. Looking for repeats within a source holds its questions.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from stepward import formats
from stepward.curation.dedup.near_duplicates import KINDS, Kind, NearDuplicate, QueryQuestion, QuestionIndex
from stepward.curation.dedup.normalize import Asking, normalize_question, question_of
from stepward.curation.dedup.two_pass import rows_again, with_rows
from stepward.errors import StepwardError
from stepward.records import LabelledSolution, Problem
from stepward.rows import RowError, SourceRow, json_line
from stepward.storage.files import atomic_write


@dataclass(frozen=True, slots=True)
class Match:
    """A problem of the source that is in another set.

    Attributes:
        kind: `exact`, `ngram` or `minhash`.
        within: The other set: as it was named, or the source itself.
        asked: The source's question, at its first row.
        other: The closest question of that kind there.
        similarity: Jaccard index of their runs of 5 characters, 1 for exact.
        shared: For `ngram` the share of the question's own n-grams that the other set has; else 1.
    """

    kind: Kind
    within: str
    asked: QueryQuestion
    other: QueryQuestion
    similarity: float
    shared: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """What was found.

    Attributes:
        source: What was looked through.
        format: Its format.
        others: What it was held against; empty for repeats within itself.
        rows: Its rows that could be read.
        set_aside: Its rows that could not.
        problems: Its distinct questions by normal form; within itself, its problems as they are written.
        unasked: Its rows without a question: they match nothing.
        matches: At most one of each kind for each problem and other set, in the order of the source.
        removed: A byte a row, 1 where its problem has a match.
    """

    source: str
    format: str
    others: tuple[str, ...]
    rows: int
    set_aside: int
    problems: int
    unasked: int
    matches: tuple[Match, ...]
    removed: bytes

    @property
    def matched(self) -> int:
        """How many problems have a match of any kind."""
        return len({(match.asked.file, match.asked.row) for match in self.matches})

    def counts(self) -> dict[str, dict[Kind, int]]:
        """For each other set, how many problems match by each kind; one may match by two."""
        found = Counter((match.within, match.kind) for match in self.matches)
        return {other: {kind: found[other, kind] for kind in KINDS} for other in self.others or (self.source,)}

    def as_json(self) -> dict[str, Any]:
        """The counts, as JSON holds them."""
        return {
            "source": self.source,
            "format": self.format,
            "others": list(self.others),
            "rows": self.rows,
            "set_aside": self.set_aside,
            "problems": self.problems,
            "rows_without_question": self.unasked,
            "matched_problems": self.matched,
            "matched_rows": sum(self.removed),
            "by_kind": self.counts(),
        }


def overlap(
    source: Path | str,
    others: Sequence[Path | str] = (),
    *,
    format: str | None = None,
    other_format: str | None = None,
    kinds: Sequence[Kind] = KINDS,
    ngram: int = 13,
    threshold: float = 0.8,
    on_fault: Callable[[RowError], None] | None = None,
) -> Overlap:
    """Find the source's problems that are in other sets; or, with no others, those that repeat an earlier one.

    Within itself a problem is a row where the format holds problems, and otherwise a question's exact text, as a file
    of solutions has many rows of one problem. The first of several that are alike is kept.

    Args:
        source: What `stepward.formats.read` reads.
        others: The sets to hold it against, likewise.
        format: The source's format; guessed if not given.
        other_format: The format of all the others; guessed one by one if not given.
        kinds: Which kinds to look for.
        ngram: Words of an n-gram.
        threshold: The least Jaccard index of a `minhash` match.
        on_fault: Is told of the source's rows that can't be read.

    Raises:
        StepwardError: A source can't be read, a setting is out of range, or datasketch is missing.
    """
    looked_in = {str(other): index_of(other, other_format, kinds, ngram, threshold) for other in others}
    own = None if others else QuestionIndex(kinds, ngram, threshold)
    reading = formats.read(source, format, on_fault=on_fault)
    known: dict[int, bool] = {}
    matches: list[Match] = []
    removed = bytearray()
    unasked = 0
    for row, record in with_rows(reading):
        text = question_of(record)
        if not text.strip():
            unasked += 1
            removed.append(False)
            continue
        form = normalize_question(text)
        member = hash(form) if own is None else _member(row, record, text)
        if member not in known:
            asked = QueryQuestion(_problem_id(record), str(row.file), row.number, text)
            found = [(name, near) for name, index in looked_in.items() for near in index.find(text, form)]
            if own is not None:
                found = [(str(source), near) for near in own.find(text, form)]
                own.add(asked, form)
            matches.extend(_match(asked, name, near) for name, near in found)
            known[member] = bool(found)
        removed.append(known[member])
    return Overlap(
        str(source), reading.format.name, tuple(looked_in), reading.rows, reading.bad.rows, len(known), unasked,
        tuple(matches), bytes(removed),
    )  # fmt: skip


def index_of(
    source: Path | str, format: str | None, kinds: Sequence[Kind], ngram: int, threshold: float
) -> QuestionIndex:
    """All questions of a source, to look others up in; a warning names its rows that can't be read.

    Raises:
        StepwardError: It can't be read, or a row asks nothing: only half of a benchmark would be kept clean of.
    """
    index = QuestionIndex(kinds, ngram, threshold)
    for row, record in with_rows(formats.read(source, format)):
        text = question_of(record)
        if not text.strip():
            raise StepwardError(
                f"{row.file}: row {row.number}: no question to keep clean of; expected one in every row (a format that "
                "doesn't part it from the first step can't be named here)",
                code="missing",
                file=row.file,
                row=row.number,
                field="question",
            )
        index.add(QueryQuestion(_problem_id(record), str(row.file), row.number, text))
    return index


def write_matches(found: Overlap, path: Path) -> None:
    """Write the matches, a JSON line each: `kind`, `within`, `asked`, `other`, `similarity`, `shared`."""
    with atomic_write(path) as file:
        for match in found.matches:
            file.write(orjson.dumps(asdict(match), option=orjson.OPT_APPEND_NEWLINE))


def write_clean(found: Overlap, path: Path) -> int:
    """Write the source's rows without a match, as they stood, and give their number.

    Raises:
        StepwardError: The name doesn't end in `.jsonl`, the source has changed, no row is left, or the disc is full.
    """
    if path.suffix != ".jsonl":
        raise StepwardError(
            f"{path}: rows are written as JSON lines; expected a name that ends in .jsonl", code="bad_value", file=path
        )
    if sum(found.removed) == len(found.removed):
        raise StepwardError(
            f"{found.source}: every row has a match; nothing would be left in {path}", code="empty", file=found.source
        )
    with atomic_write(path) as file:
        for place, row in enumerate(rows_again(found.source, found.format, len(found.removed))):
            if not found.removed[place]:
                file.write(json_line(row.fields))
    return len(found.removed) - sum(found.removed)


def _member(row: SourceRow, record: Asking, text: str) -> int:
    """What counts as one problem within a source."""
    return hash((row.file, row.number)) if isinstance(record, Problem) else hash(text)


def _problem_id(record: Asking) -> str:
    return record.problem_id if isinstance(record, LabelledSolution) else record.id


def _match(asked: QueryQuestion, within: str, near: NearDuplicate) -> Match:
    return Match(near.kind, within, asked, near.other, near.similarity, near.shared)
