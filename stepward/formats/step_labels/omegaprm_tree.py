"""OmegaPRM as MATH-APS publishes it, nested: each node has a step's text, its value and its children.

The root holds the question and a value of its own. Trees may be deep, so nothing here calls itself.
"""

from typing import Any

from stepward.formats.base import Fields, Format, UnsupportedRecord, WriteOptions, every_label
from stepward.formats.checks import exactly, inside, items, probability, text
from stepward.formats.step_labels.omegaprm import FLAT, TREE, parent_indices, tree_extra, tree_record, tree_row
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

DEEPEST = 120
"""Steps that may follow one another: JSON is written to 254 levels at most, and each step takes two."""

_NODE = ("text", "mc_value", "children")


def matches(fields: Fields) -> bool:
    """Whether a row has a tree in `reasoning_steps`."""
    tree = fields.get("reasoning_steps")
    return isinstance(tree, dict) and "children" in tree


def read(row: SourceRow) -> LabelledSolution:
    """The row's tree, each step before those that follow it; a label is a node's `mc_value`."""
    question = text(row.fields, "question")
    root = exactly(row.fields.get("reasoning_steps"), _NODE, "reasoning_steps")
    with inside("reasoning_steps"):
        if text(root, "text") != question:
            raise InvalidRow("text", "differs from the question; expected the question in the root", "mismatch")
        own = {} if root["mc_value"] is None else {"mc_value": probability(root["mc_value"], "mc_value")}
        pending = [(child, -1) for child in reversed(items(root, "children"))]
    steps: list[str] = []
    labels: list[float] = []
    parents: list[int] = []
    while pending:
        value, parent = pending.pop()
        at = len(steps)
        # The whole way to a node may be long; its number in the order of the text is as good to find it by.
        where = f"reasoning_steps(node {at + 1})"
        node = exactly(value, _NODE, where)
        with inside(where):
            steps.append(text(node, "text"))
            labels.append(probability(node["mc_value"], "mc_value"))
            pending += [(child, at) for child in reversed(items(node, "children"))]
        parents.append(parent)
    return tree_record(row, TREE, steps, labels, parents, own)


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """One row: the steps nested, the question in the root."""
    labels, kept = every_label(record, choices, TREE), tree_extra(record)
    root: dict[str, Any] = {"text": record.question, "mc_value": kept.get("mc_value"), "children": []}
    nodes: list[dict[str, Any]] = []
    depths: list[int] = []
    for step, label, up in zip(record.steps, labels, parent_indices(record), strict=True):
        nodes.append({"text": step, "mc_value": label, "children": []})
        depths.append(1 if up < 0 else depths[up] + 1)
        (root if up < 0 else nodes[up])["children"].append(nodes[-1])
    if max(depths, default=0) > DEEPEST:
        raise UnsupportedRecord(
            f"{max(depths)} steps follow one another, and {TREE} nests {DEEPEST} at most; write {FLAT}",
            "too_large",
            "steps",
        )
    return [tree_row(record, root, kept.get("rest", {}))]


FORMAT = Format(TREE, "MATH-APS: a tree in reasoning_steps", LabelledSolution, matches, read, write)
