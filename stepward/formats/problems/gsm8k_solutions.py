"""The GSM8K authors' published model solutions (`example_model_solutions.jsonl`): four models' answers a question.

Each row holds `question`, `ground_truth` (worked, its last line "A: 16") and, a key a model, `{is_correct, solution}`.
As a labelled solution a row branches at its start, a branch a model. `read_published_rows` gives the rows as they are
to `stepward.solutions`, which grades them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepward.answer_extraction import extract_answer
from stepward.formats.base import (
    Fields,
    Format,
    UnsupportedRecord,
    WriteOptions,
    dump_extra,
    load_extra,
    positive,
    resolve_neutral,
)
from stepward.formats.checks import boolean, text
from stepward.records import LabelledSolution, join_steps, split_steps
from stepward.rows import ErrorCollector, InvalidRow, SourceRow, json_type, read_rows

NAME = "gsm8k-solutions"

_NOT_GENERATORS = ("question", "ground_truth")


@dataclass(frozen=True, slots=True)
class PublishedSolution:
    """One model's solution, with the grade that its authors published."""

    generator: str
    text: str
    is_correct: bool


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One question with its reference answer and its solutions, at least one, a generator each."""

    row: int
    question: str
    reference: str
    solutions: tuple[PublishedSolution, ...]


def read_published_rows(path: Path) -> list[PublishedRow]:
    """Read the file of published model solutions.

    Returns:
        Its rows, in order, texts without surrounding white space; questions differ from one another.

    Raises:
        StepwardError: The file can't be read; or rows are bad: a field missing, empty or of a wrong type, no answer in
            `ground_truth`, no solutions, a question that stands twice.
    """
    path = Path(path)
    bad = ErrorCollector(path)
    rows: list[PublishedRow] = []
    first: dict[str, int] = {}
    for row in read_rows(path, bad):
        try:
            published = _published(row)
            if first.setdefault(published.question, row.number) != row.number:
                raise InvalidRow("question", f"the same as row {first[published.question]}'s; keep one", "duplicate")
        except InvalidRow as fault:
            bad.record(row.number, fault.field, fault.reason, fault.code)
        else:
            rows.append(published)
    bad.raise_if_any()
    return rows


def without_calculator(text: str) -> str:
    """The text without calculator marks: "17 + 7 = <<17+7=24>>24" becomes "17 + 7 = 24"."""
    first, *rest = text.split("<<")
    parts = [first]
    for part in rest:
        _, closed, after = part.partition(">>")
        # A mark that is never closed is no mark: its text stays.
        parts.append(after if closed else f"<<{part}")
    return "".join(parts)


def matches(fields: Fields) -> bool:
    """Whether a row has a worked `ground_truth`, and a solution with its grade."""
    graded = (isinstance(value, dict) and {"is_correct", "solution"} <= value.keys() for value in fields.values())
    return all(name in fields for name in _NOT_GENERATORS) and any(graded)


def read(row: SourceRow) -> LabelledSolution:
    """The row's solutions, a branch each, whose last step has the published grade for a label."""
    question = text(row.fields, "question")
    reference = _reference(row.fields)
    written = _solutions(row.fields)
    branches = [split_steps(one.text) for one in written]
    texts = {one.generator: one.text for one, branch in zip(written, branches, strict=True) if _unusual(one, branch)}
    extra = {
        "ground_truth": row.fields["ground_truth"],
        "generators": [one.generator for one in written],
        **({"texts": texts} if texts else {}),
    }
    every_step = tuple(step for branch in branches for step in branch)
    return LabelledSolution(
        question, every_step, _labels(written, branches),
        parents=_parents(branches) if len(branches) > 1 else (), reference=reference, source=NAME,
        extra=dump_extra(extra),
    )  # fmt: skip


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """The record's row, for a record that was read from such a row."""
    extra = load_extra(record, NAME)
    names = extra.get("generators", [])
    branches = _branches(record)
    if not names or len(names) != len(branches):
        raise UnsupportedRecord(
            f"{NAME} rows hold the solutions of several generators by name, and this record has no such",
            "mismatch",
            "extra",
        )
    labels = resolve_neutral(record, choices)
    row = {"question": record.question, "ground_truth": extra["ground_truth"]}
    for name, branch in zip(names, branches, strict=True):
        label = labels[branch[-1]]
        if label is None:
            raise UnsupportedRecord(
                f"the last step of {name}'s solution has no label, and {NAME} needs its grade there",
                "missing",
                "labels",
            )
        written = tuple(record.steps[index] for index in branch)
        stated = extra.get("texts", {}).get(name, "")
        solution = stated if split_steps(stated) == written else join_steps(written)
        row[name] = {"is_correct": positive(label, choices, NAME), "solution": solution}
    return [row]


def _published(row: SourceRow) -> PublishedRow:
    question = text(row.fields, "question").strip()
    reference = _reference(row.fields)
    solutions = _solutions(row.fields)
    stripped = tuple(PublishedSolution(one.generator, one.text.strip(), one.is_correct) for one in solutions)
    return PublishedRow(row.number, question, reference, stripped)


def _reference(fields: dict[str, Any]) -> str:
    reference = extract_answer(text(fields, "ground_truth"), "a_line")
    if reference is None:
        raise InvalidRow("ground_truth", "no reference answer; expected a line 'A: <answer>'", "missing")
    return reference


def _solutions(fields: dict[str, Any]) -> list[PublishedSolution]:
    names = [name for name in fields if name not in _NOT_GENERATORS]
    if not names:
        raise InvalidRow("", "no solutions; expected a field a model, such as 6b_finetuning", "missing")
    return [_solution(name, fields[name]) for name in names]


def _solution(name: str, value: Any) -> PublishedSolution:
    if not isinstance(value, dict) or value.keys() - {"is_correct", "solution"}:
        found = ", ".join(value) if isinstance(value, dict) else json_type(value)
        raise InvalidRow(name, f"expected an object with is_correct and solution, found {found}", "wrong_type")
    try:
        return PublishedSolution(name, text(value, "solution"), boolean(value, "is_correct"))
    except InvalidRow as fault:
        raise InvalidRow(f"{name}.{fault.field}", fault.reason, fault.code) from None


def _unusual(solution: PublishedSolution, branch: tuple[str, ...]) -> bool:
    """Whether the steps alone don't tell the text: empty lines, white space at a line's end."""
    return join_steps(branch) != solution.text


def _labels(written: list[PublishedSolution], branches: list[tuple[str, ...]]) -> tuple[float | None, ...]:
    labels: list[float | None] = []
    for solution, branch in zip(written, branches, strict=True):
        labels += [None] * (len(branch) - 1) + [float(solution.is_correct)]
    return tuple(labels)


def _parents(branches: list[tuple[str, ...]]) -> tuple[int, ...]:
    parents: list[int] = []
    for branch in branches:
        start = len(parents)
        parents += [-1, *range(start, start + len(branch) - 1)]
    return tuple(parents)


def _branches(record: LabelledSolution) -> list[list[int]]:
    """The indices of each branch's steps; each branch starts at a step that follows none."""
    branches: list[list[int]] = []
    for index, parent in enumerate(record.parents or range(-1, len(record.steps) - 1)):
        if parent == -1:
            branches.append([])
        branches[-1].append(index)
    return branches


FORMAT = Format(NAME, "a question with graded solutions of several models", LabelledSolution, matches, read, write)
