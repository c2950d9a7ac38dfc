"""The GSM8K authors' published model solutions (`example_model_solutions.jsonl`): four models' answers a question.

Each row holds `question`, `ground_truth` (worked, its last line "A: 16") and, a key a model, `{is_correct, solution}`.
The rows are read as they are; `stepward.solutions.published` grades them and makes records.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepward.answers import extract_answer
from stepward.jsonl import BadRows, kind, read_jsonl

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
        Its rows, in order; questions differ from one another.

    Raises:
        StepwardError: The file can't be read; or rows are bad: a field missing, empty or of a wrong type, no answer in
            `ground_truth`, no solutions, a question that stands twice.
    """
    path = Path(path)
    bad = BadRows(path)
    rows = [read for number, row in read_jsonl(path, bad) if (read := _published_row(number, row, bad))]
    first: dict[str, int] = {}
    for row in rows:
        if first.setdefault(row.question, row.row) != row.row:
            bad.add(row.row, "question", f"the same as row {first[row.question]}'s; keep one")
    bad.refuse()
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


def _published_row(number: int, row: dict[str, Any], bad: BadRows) -> PublishedRow | None:
    """The row, or None once its faults are noted."""
    before = len(bad.faults)
    question = _text(number, row, "question", "", bad)
    worked = _text(number, row, "ground_truth", "", bad)
    reference = extract_answer(worked, "a_line")
    if worked and reference is None:
        bad.add(number, "ground_truth", "no reference answer: expected a line 'A: <answer>'")
    generators = [name for name in row if name not in _NOT_GENERATORS]
    if not generators:
        bad.add(number, "", "no solutions: expected a field a model, such as 6b_finetuning")
    solutions = tuple(_solution(number, name, row[name], bad) for name in generators)
    if len(bad.faults) > before or reference is None:
        return None
    return PublishedRow(number, question, reference, solutions)


def _solution(number: int, generator: str, value: Any, bad: BadRows) -> PublishedSolution:
    fields = value if isinstance(value, dict) else {}
    if not isinstance(value, dict):
        bad.add(number, generator, f"expected an object with is_correct and solution, found {kind(value)}")
        return PublishedSolution(generator, "", False)
    text = _text(number, fields, "solution", f"{generator}.", bad)
    is_correct = fields.get("is_correct")
    if not isinstance(is_correct, bool):
        bad.add(number, f"{generator}.is_correct", f"expected true or false, found {kind(is_correct)}")
    return PublishedSolution(generator, text, is_correct is True)


def _text(number: int, fields: dict[str, Any], name: str, prefix: str, bad: BadRows) -> str:
    """The field's text without surrounding white space; empty once its fault is noted."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        found = "missing" if name not in fields else "empty" if value == "" else f"found {kind(value)}"
        bad.add(number, f"{prefix}{name}", f"{found}; expected text")
        return ""
    return value.strip()
