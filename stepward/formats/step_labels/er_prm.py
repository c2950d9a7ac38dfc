"""ER-PRM: `text` is laid out as Math-Shepherd's `input`, `value` has a soft label a step.

The published description has a tag after every step; the published script that makes such files leaves the last step
without one. Both are read: there must be as many values as steps.
"""

from typing import Any

from stepward.formats.base import Choices, Fields, Format, dump_extra, every_label, extra_of, load_extra
from stepward.formats.branches import paths
from stepward.formats.checks import same_count, shares, text
from stepward.formats.step_labels.math_shepherd import join_steps, lay_out, part_steps, tagged_parts
from stepward.records import LabelledSolution
from stepward.rows import Row

NAME = "er-prm"


def matches(fields: Fields) -> bool:
    """Whether a row has a `text` and a list `value`."""
    return isinstance(fields.get("text"), str) and isinstance(fields.get("value"), list)


def read(row: Row) -> LabelledSolution:
    """The row's solution, with a soft label a step."""
    tagged, labels = text(row.fields, "text"), shares(row.fields, "value")
    question, steps = part_steps(tagged_parts(tagged), "text")
    same_count(len(steps), len(labels), "value")
    extra = extra_of(row.fields, ("text", "value"))
    if join_steps(question, steps) != tagged:
        extra = dump_extra({name: value for name, value in row.fields.items() if name != "value"})
    return LabelledSolution(question, steps, labels, source=NAME, extra=extra)


def write(record: LabelledSolution, choices: Choices) -> list[dict[str, Any]]:
    """A row a path, a tag after each step."""
    return [_row(path, choices) for path in paths(record)]


def _row(path: LabelledSolution, choices: Choices) -> dict[str, Any]:
    extra = load_extra(path, NAME)
    tagged = lay_out(path, extra.pop("text", None))
    return {"text": tagged, "value": every_label(path, choices, NAME), **extra}


FORMAT = Format(NAME, "text with ки after each step, value with a soft label", LabelledSolution, matches, read, write)
