"""Math-Shepherd: `input` has a tag after each step, `label` the same text with + or - in its place, `task` the set.

The question and the first step share a line; the last "Step 1:" before the first tag parts them. ER-PRM lays its text
out in the same way, so both are parted and joined here.
"""

from typing import Any

from stepward.formats.base import (
    Fields,
    Format,
    UnsupportedRecord,
    WriteOptions,
    dump_extra,
    every_label,
    extra_of,
    load_extra,
    positive,
)  # fmt: skip
from stepward.formats.branches import iter_branches
from stepward.formats.checks import text
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

NAME = "math-shepherd"
TAG = "ки"
FIRST_STEP = "Step 1:"

_SIGNS = {"+": 1.0, "-": 0.0}


def matches(fields: Fields) -> bool:
    """Whether a row has the tag in `input`, and a `label` text."""
    return isinstance(fields.get("label"), str) and TAG in str(fields.get("input", ""))


def read(row: SourceRow) -> LabelledSolution:
    """The row's solution, with a hard label a step."""
    tagged, signed = text(row.fields, "input"), text(row.fields, "label")
    *parts, rest = tagged.split(TAG)
    if parts and rest.strip():
        raise InvalidRow(
            "input", f"text after the last step tag ({rest.strip()[:40]!r}); expected {TAG} at the end", "bad_value"
        )
    question, steps = split_steps(parts, "input")
    labels = _labels(parts, rest, signed)
    # A row that is laid out as nearly all are needs no more than its steps to be written again.
    extra = extra_of(row.fields, ("input", "label"))
    first = f"{question} {steps[0]} " if question else f"{steps[0]} "
    if rest or parts[0] != first or parts[1:] != [f"\n{step} " for step in steps[1:]]:
        extra = dump_extra({name: value for name, value in row.fields.items() if name != "label"})
    return LabelledSolution(question, steps, labels, source=NAME, extra=extra)


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """A row a path, with + or - for each label."""
    return [_row(path, choices) for path in iter_branches(record)]


def split_question(text: str) -> tuple[str, str]:
    """The question and the first step of a text that starts with both; no question where "Step 1:" stands nowhere."""
    at = text.rfind(FIRST_STEP)
    return ("", text) if at < 0 else (text[:at].removesuffix(" "), text[at:])


def split_steps(parts: list[str], name: str) -> tuple[str, tuple[str, ...]]:
    """The question and the steps of the texts before each tag; InvalidRow, naming the field, where a step is empty."""
    if not parts:
        raise InvalidRow(name, f"no step tag; expected {TAG} after each step", "bad_value")
    question, first = split_question(parts[0])
    steps = (first.strip(), *[part.strip() for part in parts[1:]])
    if "" in steps:
        raise InvalidRow(name, f"step {steps.index('') + 1} is empty; expected text before its tag", "empty")
    return question, steps


def join_steps(question: str, steps: tuple[str, ...]) -> str:
    """The question and the steps in one text, a tag after each step."""
    body = "\n".join([f"{step} {TAG}" for step in steps])
    return f"{question} {body}" if question else body


def render(path: LabelledSolution, as_read: str | None) -> str:
    """The text of a solution with a tag after each step: as it was read, where that still says the same.

    Raises:
        UnsupportedRecord: There are no steps, or a text holds the tag itself.
    """
    if not path.steps:
        raise UnsupportedRecord("it has no steps", "empty", "steps")
    if as_read is not None and split_steps(tagged_parts(as_read), "") == (path.question, path.steps):
        return as_read
    tagged = join_steps(path.question, path.steps)
    if tagged.count(TAG) != len(path.steps):
        raise UnsupportedRecord(f"the question or a step holds the tag {TAG} itself", "bad_value", "steps")
    return tagged


def tagged_parts(tagged: str) -> list[str]:
    """The texts before each tag, and the one after the last tag where there is one."""
    *parts, rest = tagged.split(TAG)
    return [*parts, rest] if parts and rest.strip() else parts


def _labels(parts: list[str], rest: str, signed: str) -> tuple[float, ...]:
    """The signs that stand where the tags do; InvalidRow where the two texts differ elsewhere."""
    labels: list[float] = []
    at = 0
    for part in parts:
        end = at + len(part)
        label = _SIGNS.get(signed[end : end + 1])
        if label is None or not signed.startswith(part, at):
            raise InvalidRow(
                "label",
                f"differs from input at step {len(labels) + 1}; expected its text with + or - for {TAG}",
                "mismatch",
            )
        labels.append(label)
        at = end + 1
    if signed[at:] != rest:
        raise InvalidRow(
            "label", f"differs from input after the last step; expected its text with + or - for {TAG}", "mismatch"
        )
    return tuple(labels)


def _row(path: LabelledSolution, choices: WriteOptions) -> dict[str, Any]:
    extra = load_extra(path, NAME)
    tagged = render(path, extra.pop("input", None))
    signs = ["+" if positive(label, choices, NAME) else "-" for label in every_label(path, choices, NAME)]
    first, *rest = tagged.split(TAG)
    return {
        "input": tagged,
        "label": "".join([first, *(sign + part for sign, part in zip(signs, rest, strict=True))]),
        **extra,
    }


FORMAT = Format(NAME, "input with ки after each step, label with + or -", LabelledSolution, matches, read, write)
