"""PRM800K, phases 1 and 2: people rate a solution's steps, with alternatives for a step, and may write one themselves.

The steps form a tree with one trunk: every completion, and a step that the labeller wrote, follows the step that was
chosen before. A rating of 1 is the label 1, -1 is 0, 0 is neutral, null is no label. A labeller wrote a step where no
completion was right, so it has the label 1 where its rating is null, as it always is.

What has no place in a record (ratings as they stood, flags, the choice, labeller, time, quality control, screening,
what was generated before) is kept in `extra` as the row without its texts, and the row is made again from that.
"""

from typing import Any

from stepward.formats.fields import items, optional_text, text
from stepward.formats.format import Choices, Fields, Format, NotWritable, dump_extra, load_extra
from stepward.formats.nested import an_object, inside
from stepward.formats.prm800k_new import NAME, Said, new_row, rating_of
from stepward.records import LabelledSolution
from stepward.rows import Row, RowFault, kind

_REASONS = ("found_error", "solution", "bad_problem", "give_up")
_LABELS = {1: 1.0, 0: None, -1: 0.0, None: None}

Node = tuple[dict[str, Any], bool]
"""A completion, and whether the labeller wrote it."""


def matches(fields: Fields) -> bool:
    """Whether a row has a `label` with steps and a `question` with a problem."""
    label, question = fields.get("label"), fields.get("question")
    return isinstance(label, dict) and "steps" in label and isinstance(question, dict) and "problem" in question


def read(row: Row) -> LabelledSolution:
    """The row's tree of steps; a row without any is a record without any."""
    asked, label = an_object(row.fields.get("question"), "question"), an_object(row.fields.get("label"), "label")
    with inside("question"):
        question, reference = text(asked, "problem"), optional_text(asked, "ground_truth_answer")
        planned, answer = asked.get("pre_generated_steps"), optional_text(asked, "pre_generated_answer")
    with inside("label"):
        reason = label.get("finish_reason")
        if reason is not None and reason not in _REASONS:
            raise RowFault(
                "finish_reason", f"found {str(reason)[:40]!r}; expected one of {', '.join(_REASONS)}", "bad_value"
            )
        stages = items(label, "steps")
    for index, stage in enumerate(stages):
        _check(stage, f"label.steps[{index}]")
    nodes = [node for stage in stages for node in _nodes(stage)]
    said = [_said(node) for node in nodes]
    steps = tuple(node["text"] for node, _ in nodes)
    return LabelledSolution(
        question, steps,
        labels=tuple(label for label, _ in said),
        neutral=tuple(index for index, (_, neutral) in enumerate(said) if neutral),
        parents=_parents(stages),
        reference=reference,
        answer=answer if planned == list(steps) else None,
        correct=True if reason == "solution" else None,
        source=NAME,
        extra=dump_extra({
            **row.fields,
            "question": {**asked, "problem": None},
            "label": {**label, "steps": [_bare(stage) for stage in stages]},
        }),
    )  # fmt: skip


def write(record: LabelledSolution, choices: Choices) -> list[dict[str, Any]]:
    """One row: as it was read, with the record's texts and labels; or a new one (`new_row`)."""
    as_read = load_extra(record, NAME)
    return [_again(record, as_read, choices) if as_read else new_row(record, choices)]


def _check(value: Any, where: str) -> None:
    stage = an_object(value, where)
    with inside(where):
        completions = [] if stage.get("completions", ()) is None else items(stage, "completions")
        chosen, human = stage.get("chosen_completion"), stage.get("human_completion")
        if chosen is not None and (type(chosen) is not int or not 0 <= chosen < len(completions)):
            found = f"found {chosen if type(chosen) is int else kind(chosen)}"
            raise RowFault(
                "chosen_completion", f"{found}; expected null or an index of the {len(completions)}", "bad_value"
            )
        for index, completion in enumerate(completions):
            _check_node(completion, f"completions[{index}]")
        if human is not None:
            _check_node(human, "human_completion")


def _check_node(value: Any, where: str) -> None:
    node = an_object(value, where)
    with inside(where):
        text(node, "text")
        if "rating" not in node:
            raise RowFault("rating", "missing; expected -1, 0, 1 or null", "missing")
        rating = node["rating"]
        if isinstance(rating, bool) or rating not in (-1, 0, 1, None):
            raise RowFault("rating", f"unknown rating {str(rating)[:40]!r}; expected -1, 0, 1 or null", "bad_value")


def _nodes(stage: dict[str, Any]) -> list[Node]:
    """The completions, and after them what the labeller wrote."""
    written = stage.get("human_completion")
    completions = [(node, False) for node in stage["completions"] or []]
    return completions if written is None else [*completions, (written, True)]


def _said(node: Node) -> Said:
    completion, written = node
    rating = completion["rating"]
    return (1.0, False) if rating is None and written else (_LABELS[rating], rating == 0)


def _parents(stages: list[dict[str, Any]]) -> tuple[int, ...]:
    """What each node follows: the node that was chosen in the stage before, or else what the labeller wrote there."""
    parents: list[int] = []
    before: int | None = -1
    for index, stage in enumerate(stages):
        nodes = _nodes(stage)
        if nodes and before is None:
            raise RowFault(
                f"label.steps[{index}]", "has steps, and none was chosen in the stage before; expected one", "bad_value"
            )
        first, chosen = len(parents), stage.get("chosen_completion")
        parents += [-1 if before is None else before] * len(nodes)
        if chosen is None:
            before = len(parents) - 1 if stage.get("human_completion") is not None else None
        else:
            before = first + chosen
    return () if parents == list(range(-1, len(parents) - 1)) else tuple(parents)


def _bare(stage: dict[str, Any]) -> dict[str, Any]:
    """The stage without its texts."""
    completions, written = stage["completions"], stage.get("human_completion")
    bare = dict(stage)
    if completions is not None:
        bare["completions"] = [{**node, "text": None} for node in completions]
    if written is not None:
        bare["human_completion"] = {**written, "text": None}
    return bare


def _again(record: LabelledSolution, row: dict[str, Any], choices: Choices) -> dict[str, Any]:
    """The row as it was read, with the record's question, reference, texts, and labels where they were changed."""
    stages = row["label"]["steps"]
    nodes = [node for stage in stages for node in _nodes(stage)]
    if len(nodes) != len(record.steps) or _parents(stages) != record.parents:
        raise NotWritable(
            "its steps don't fit the row it was read from any more; clear `extra` to write a new row",
            "mismatch",
            "extra",
        )
    refilled = iter([_refilled(node, record, index, choices) for index, node in enumerate(nodes)])
    for stage in stages:
        if stage["completions"] is not None:
            stage["completions"] = [next(refilled) for _ in stage["completions"]]
        if stage.get("human_completion") is not None:
            stage["human_completion"] = next(refilled)
    row["question"]["problem"] = record.question
    if record.reference != row["question"].get("ground_truth_answer"):
        row["question"]["ground_truth_answer"] = record.reference
    return row


def _refilled(node: Node, record: LabelledSolution, index: int, choices: Choices) -> dict[str, Any]:
    said = (record.labels[index], index in record.neutral)
    rating = node[0]["rating"] if _said(node) == said else rating_of(said, choices)
    return {**node[0], "text": record.steps[index], "rating": rating}


FORMAT = Format(NAME, "PRM800K, phases 1 and 2", LabelledSolution, matches, read, write)
