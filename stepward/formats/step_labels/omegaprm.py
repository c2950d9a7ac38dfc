"""OmegaPRM as MATH-APS publishes it, flat: a list of prefixes, each with the share of completions that were right.

Each prefix is the question and all steps so far in one text; the question itself comes first, with a value of its own.
The list doesn't say what a prefix continues. That is the longest prefix before it that it starts with; one that was
listed before follows what it followed then. On the published row that is there in both shapes this gives the tree that
was published. A step is what a prefix adds, without the white space around it, which is kept in `extra` wherever it
is not two line breaks in front.
"""

from typing import Any

from stepward.formats.base import Fields, Format, WriteOptions, dump_extra, every_label, load_extra
from stepward.formats.checks import exactly, inside, items, optional_text, probability, text
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

FLAT = "omegaprm"
TREE = "omegaprm-tree"

_SPACE = ["\n\n", ""]


def matches(fields: Fields) -> bool:
    """Whether a row lists prefixes in `reasoning_steps`."""
    entries = fields.get("reasoning_steps")
    return (
        isinstance(entries, list) and bool(entries) and isinstance(entries[0], dict) and "solution_prefix" in entries[0]
    )


def read(row: SourceRow) -> LabelledSolution:
    """The row's tree of steps; a label is a prefix's `mc_value`."""
    question = text(row.fields, "question")
    prefixes: list[str] = []
    labels: list[float] = []
    for index, value in enumerate(items(row.fields, "reasoning_steps")):
        where = f"reasoning_steps[{index}]"
        entry = exactly(value, ("solution_prefix", "mc_value"), where)
        with inside(where):
            prefixes.append(text(entry, "solution_prefix"))
            labels.append(probability(entry["mc_value"], "mc_value"))
    own = {}
    if prefixes[:1] == [question]:
        own["mc_value"] = labels[0]
        del prefixes[0], labels[0]
    parents = _parents(question, prefixes, first=len(own))
    added = [prefix[len(question if up < 0 else prefixes[up]) :] for prefix, up in zip(prefixes, parents, strict=True)]
    steps = [step.strip() for step in added]
    if "" in steps:
        at = steps.index("") + len(own)
        raise InvalidRow(
            f"reasoning_steps[{at}].solution_prefix", "adds only white space; expected a step's text", "bad_value"
        )
    spaces = {str(index): _space(step) for index, step in enumerate(added) if _space(step) != _SPACE}
    return tree_record(row, FLAT, steps, labels, parents, own | ({"spaces": spaces} if spaces else {}))


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """One row: each step's prefix, the question and all."""
    labels, kept = every_label(record, choices, FLAT), tree_extra(record)
    value, spaces = kept.get("mc_value"), kept.get("spaces", {})
    prefixes: list[str] = []
    for index, (step, up) in enumerate(zip(record.steps, parent_indices(record), strict=True)):
        front, back = spaces.get(str(index), _SPACE)
        prefixes.append(f"{record.question if up < 0 else prefixes[up]}{front}{step}{back}")
    entries = [{"solution_prefix": prefix, "mc_value": label} for prefix, label in zip(prefixes, labels, strict=True)]
    if value is not None:
        entries.insert(0, {"solution_prefix": record.question, "mc_value": value})
    return [tree_row(record, entries, kept.get("rest", {}))]


def tree_record(
    row: SourceRow, name: str, steps: list[str], labels: list[float], parents: list[int], own: dict[str, Any]
) -> LabelledSolution:
    """The record of either shape; `own` is what goes to `extra` besides the row's other fields."""
    texts = tuple(steps)
    reference = optional_text(row.fields, "final_answer")
    known = ("question", "reasoning_steps", *(["final_answer"] if reference is not None else []))
    rest = {field: value for field, value in row.fields.items() if field not in known}
    return LabelledSolution(
        row.fields["question"], texts, tuple(labels),
        parents=() if parents == list(range(-1, len(parents) - 1)) else tuple(parents),
        reference=reference, source=name, extra=dump_extra(own | ({"rest": rest} if rest else {})),
    )  # fmt: skip


def tree_extra(record: LabelledSolution) -> dict[str, Any]:
    """What either shape kept: the question's own value, white space, and under `rest` the row's other fields."""
    return load_extra(record, FLAT) or load_extra(record, TREE)


def tree_row(record: LabelledSolution, steps: Any, rest: dict[str, Any]) -> dict[str, Any]:
    """The row of either shape around its steps."""
    answer = {} if record.reference is None else {"final_answer": record.reference}
    number = {} if record.source in (FLAT, TREE) else {"question_id": record.problem_id}
    # The answer stands twice: once for its place, once because `rest` may hold a null that it takes the place of.
    return {"question": record.question, **answer, "reasoning_steps": steps, **number, **rest, **answer}


def parent_indices(record: LabelledSolution) -> tuple[int, ...]:
    """Each step's parent, also where the record doesn't branch."""
    return record.parents or tuple(range(-1, len(record.steps) - 1))


def _space(added: str) -> list[str]:
    step = added.strip()
    at = added.find(step)
    return [added[:at], added[at + len(step) :]]


def _parents(question: str, prefixes: list[str], first: int) -> list[int]:
    """What each prefix continues, -1 for the question alone; `first` is the place of the first one in its row."""
    starts = _longest_starts(prefixes)
    parents: list[int] = []
    last: dict[str, int] = {}
    for index, prefix in enumerate(prefixes):
        if not prefix.startswith(question) or prefix == question:
            where = f"reasoning_steps[{index + first}].solution_prefix"
            raise InvalidRow(
                where, "expected the question, and a step after it; the question alone may come first", "bad_value"
            )
        if prefix in last:
            parents.append(parents[last[prefix]])
        else:
            start = starts[prefix]
            while start is not None and start not in last:
                start = starts[start]
            parents.append(-1 if start is None else last[start])
        last[prefix] = index
    return parents


def _longest_starts(texts: list[str]) -> dict[str, str | None]:
    """For each text the longest other one that it starts with. In sorted order a stack holds those of the last text."""
    starts: dict[str, str | None] = {}
    stack: list[str] = []
    for one in sorted(set(texts)):
        while stack and not one.startswith(stack[-1]):
            stack.pop()
        starts[one] = stack[-1] if stack else None
        stack.append(one)
    return starts


FORMAT = Format(FLAT, "MATH-APS: prefixes in reasoning_steps", LabelledSolution, matches, read, write)
