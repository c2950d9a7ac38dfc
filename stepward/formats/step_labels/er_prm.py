"""ER-PRM: `text` is laid out as Math-Shepherd's `input`, `value` has a soft label a step.

The published description has a tag after every step; the published script that makes such files leaves the last step
without one. Both are read: there must be as many values as steps.
"""

from typing import Any

from stepward.formats.base import Fields, Format, WriteOptions, dump_extra, every_label, extra_of, load_extra
from stepward.formats.branches import iter_branches
from stepward.formats.checks import probabilities, same_count, text
from stepward.formats.step_labels.math_shepherd import join_steps, render, split_steps, tagged_parts
from stepward.records import LabelledSolution
from stepward.rows import SourceRow

NAME = "er-prm"


def matches(fields: Fields) -> bool:
    """Whether a row has a `text` and a list `value`."""
    return isinstance(fields.get("text"), str) and isinstance(fields.get("value"), list)


def read(row: SourceRow) -> LabelledSolution:
    """The row's solution, with a soft label a step."""
    tagged, labels = text(row.fields, "text"), probabilities(row.fields, "value")
    question, steps = split_steps(tagged_parts(tagged), "text")
    same_count(len(steps), len(labels), "value")
    extra = extra_of(row.fields, ("text", "value"))
    if join_steps(question, steps) != tagged:
        extra = dump_extra({name: value for name, value in row.fields.items() if name != "value"})
    return LabelledSolution(question, steps, labels, source=NAME, extra=extra)


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """A row a path, a tag after each step."""
    return [_row(path, choices) for path in iter_branches(record)]


def _row(path: LabelledSolution, choices: WriteOptions) -> dict[str, Any]:
    extra = load_extra(path, NAME)
    tagged = render(path, extra.pop("text", None))
    return {"text": tagged, "value": every_label(path, choices, NAME), **extra}


FORMAT = Format(NAME, "text with ки after each step, value with a soft label", LabelledSolution, matches, read, write)
