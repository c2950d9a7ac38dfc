"""The fields of a row that is trained on, each of its type; a row that can't be used is refused with what it holds."""

from collections.abc import Mapping, Sequence
from typing import Any

from stepward.errors import StepwardError
from stepward.records import join_steps, question_id, split_steps

IGNORED = -100
"""The label of a token that has none, in tokenised rows."""


def outcome(row: Mapping[str, Any], whole: bool | None) -> tuple[str, list[str], list[float | None]]:
    """An outcome row's question, steps and its label at each; `completion` is one step, if it is not to be split."""
    if "completion" in row:
        steps = [text(row, "completion")] if whole is not False else list(split_steps(text(row, "completion")))
    else:
        steps = list(listed(row, "completions"))
        steps = [join_steps(steps)] if whole and steps else steps
    if not steps:
        raise StepwardError("no completions: expected at least one step", code="empty", field="completions")
    name = "label" if "label" in row else "correct"
    label = label_of(row.get(name), name)
    return text(row, "prompt"), steps, [label] * len(steps)


def is_tokenized(row: Mapping[str, Any]) -> tuple[list[int], list[int], list[float | None], list[int]]:
    """A row that is tokenised already: `labels` has one a token, `IGNORED` where there is none."""
    ids, labels = token_ids(row, "input_ids"), listed(row, "labels")
    if len(ids) != len(labels):
        raise StepwardError(
            f"{len(ids)} input_ids and {len(labels)} labels: expected one label a token, {IGNORED} for none",
            code="mismatch",
            field="labels",
        )
    marks = [place for place, label in enumerate(labels) if label != IGNORED]
    return ids, marks, [label_of(labels[mark], f"labels[{mark}]") for mark in marks], ids[: marks[0] if marks else 0]


def token_ids(row: Mapping[str, Any], name: str) -> list[int]:
    """The token ids of a field."""
    ids = list(listed(row, name))
    if not ids or not all(isinstance(id_, int) and id_ >= 0 for id_ in ids):
        raise StepwardError(f"{name} is {ids!r:.60}: expected token ids, at least one", code="bad_value", field=name)
    return ids


def label_of(value: Any, name: str) -> float | None:
    """A label in [0, 1]; None for none."""
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise StepwardError(
            f"{name} is {value!r}: expected true, false, a number from 0 to 1, or null", code="bad_value", field=name
        )
    return float(value)


def group_of(row: Mapping[str, Any], prompt: Any) -> int:
    """A number that rows of one prompt have in common, the same in every process; a row may name its own `group`."""
    named = row.get("group")
    return int(question_id(str(prompt if named is None else named))[:15], 16)


def text(row: Mapping[str, Any], name: str) -> str:
    """The text of a field."""
    value = row.get(name)
    if not isinstance(value, str):
        raise StepwardError(
            f"{name} is {value!r:.60}: expected text; the row has {', '.join(row) or 'no columns'}",
            code="wrong_type",
            field=name,
        )
    return value


def listed(row: Mapping[str, Any], name: str) -> Sequence[Any]:
    """The list of a field."""
    value = row.get(name)
    if not isinstance(value, list | tuple):
        raise StepwardError(
            f"{name} is {value!r:.60}: expected a list; the row has {', '.join(row) or 'no columns'}",
            code="wrong_type",
            field=name,
        )
    return value
