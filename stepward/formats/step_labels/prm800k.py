"""PRM800K, phases 1 and 2: people rate a solution's steps, with alternatives for a step, and may write one themselves.

The steps form a tree with one trunk: every completion, and a step that the labeller wrote, follows the step that was
chosen before. A rating of 1 is the label 1, -1 is 0, 0 is neutral, null is no label. A labeller wrote a step where no
completion was right, so it has the label 1 where its rating is null, as it always is.

What has no place in a record (ratings as they stood, flags, the choice, labeller, time, quality control, screening,
what was generated before) is kept in `extra` as the row without its texts, and the row is made again from that.
"""

from typing import Any

from stepward.formats.base import Fields, Format, UnsupportedRecord, WriteOptions, dump_extra, load_extra, positive
from stepward.formats.checks import an_object, inside, items, optional_text, text
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow, json_type

NAME = "prm800k"

Said = tuple[float | None, bool]
"""A step's label, and whether it is neutral."""


def rating_of(said: Said, choices: WriteOptions) -> int | None:
    """The rating of a label: 1, 0 (neutral), -1, or None for no label."""
    label, neutral = said
    if neutral:
        return 0
    if label is None:
        return None
    return 1 if positive(label, choices, NAME) else -1


def new_row(record: LabelledSolution, choices: WriteOptions) -> dict[str, Any]:
    """A row whose labeller, time and ids are null, as nothing is known of them.

    Raises:
        UnsupportedRecord: It branches anywhere but along one trunk, or a labelled step follows the first wrong one.
    """
    trunk = _trunk(record)
    ratings = [rating_of((label, index in record.neutral), choices) for index, label in enumerate(record.labels)]
    stages: list[dict[str, Any]] = []
    wrong = False
    for nodes, chosen in trunk:
        if wrong:
            _refuse_rest(record, nodes)
            continue
        if chosen is None:
            chosen = next((node for node in nodes if ratings[node] != -1), nodes[0])
        wrong = ratings[chosen] == -1
        completions = [{"text": record.steps[node], "rating": ratings[node], "flagged": None} for node in nodes]
        place = None if wrong else nodes.index(chosen)
        stages.append({"completions": completions, "human_completion": None, "chosen_completion": place})
    end = "found_error" if wrong else "solution" if stages and record.correct is not False else "give_up"
    asked: dict[str, Any] = {"problem": record.question, "ground_truth_answer": record.reference}
    if not record.parents:
        asked |= {"pre_generated_steps": list(record.steps), "pre_generated_answer": record.answer}
    return {
        "labeler": None, "timestamp": None, "generation": None,
        "is_quality_control_question": False, "is_initial_screening_question": False,
        "question": asked, "label": {"steps": stages, "total_time": None, "finish_reason": end},
    }  # fmt: skip


def _refuse_rest(record: LabelledSolution, nodes: list[int]) -> None:
    for node in nodes:
        if record.parents or record.labels[node] is not None or node in record.neutral:
            raise UnsupportedRecord(
                f"step {node + 1} follows the first wrong one, and {NAME} holds no such steps with labels or "
                "alternatives: take away its label, or the step",
                "conflict",
                "labels",
            )


def _trunk(record: LabelledSolution) -> list[tuple[list[int], int | None]]:
    """The steps stage by stage, each stage with the one that the next follows (None for the last stage)."""
    parents = record.parents or range(-1, len(record.steps) - 1)
    following: dict[int, list[int]] = {}
    for node, parent in enumerate(parents):
        following.setdefault(parent, []).append(node)
    trunk: list[tuple[list[int], int | None]] = []
    before: int | None = -1
    while before in following:
        nodes = following[before]
        followed = [node for node in nodes if node in following]
        if len(followed) > 1:
            raise UnsupportedRecord(
                f"it branches at step {nodes[0] + 1}, and {NAME} goes on from one alternative alone",
                "not_writable",
                "parents",
            )
        before = followed[0] if followed else None
        trunk.append((nodes, before))
    return trunk


_REASONS = ("found_error", "solution", "bad_problem", "give_up")
_LABELS = {1: 1.0, 0: None, -1: 0.0, None: None}

Node = tuple[dict[str, Any], bool]
"""A completion, and whether the labeller wrote it."""


def matches(fields: Fields) -> bool:
    """Whether a row has a `label` with steps and a `question` with a problem."""
    label, question = fields.get("label"), fields.get("question")
    return isinstance(label, dict) and "steps" in label and isinstance(question, dict) and "problem" in question


def read(row: SourceRow) -> LabelledSolution:
    """The row's tree of steps; a row without any is a record without any."""
    asked, label = an_object(row.fields.get("question"), "question"), an_object(row.fields.get("label"), "label")
    with inside("question"):
        question, reference = text(asked, "problem"), optional_text(asked, "ground_truth_answer")
        planned, answer = asked.get("pre_generated_steps"), optional_text(asked, "pre_generated_answer")
    with inside("label"):
        reason = label.get("finish_reason")
        if reason is not None and reason not in _REASONS:
            raise InvalidRow(
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


def write(record: LabelledSolution, choices: WriteOptions) -> list[dict[str, Any]]:
    """One row: as it was read, with the record's texts and labels; or a new one (`new_row`)."""
    as_read = load_extra(record, NAME)
    return [_again(record, as_read, choices) if as_read else new_row(record, choices)]


def _check(value: Any, where: str) -> None:
    stage = an_object(value, where)
    with inside(where):
        completions = [] if stage.get("completions", ()) is None else items(stage, "completions")
        chosen, human = stage.get("chosen_completion"), stage.get("human_completion")
        if chosen is not None and (type(chosen) is not int or not 0 <= chosen < len(completions)):
            found = f"found {chosen if type(chosen) is int else json_type(chosen)}"
            raise InvalidRow(
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
            raise InvalidRow("rating", "missing; expected -1, 0, 1 or null", "missing")
        rating = node["rating"]
        if isinstance(rating, bool) or rating not in (-1, 0, 1, None):
            raise InvalidRow("rating", f"unknown rating {str(rating)[:40]!r}; expected -1, 0, 1 or null", "bad_value")


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
            raise InvalidRow(
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


def _again(record: LabelledSolution, row: dict[str, Any], choices: WriteOptions) -> dict[str, Any]:
    """The row as it was read, with the record's question, reference, texts, and labels where they were changed."""
    stages = row["label"]["steps"]
    nodes = [node for stage in stages for node in _nodes(stage)]
    if len(nodes) != len(record.steps) or _parents(stages) != record.parents:
        raise UnsupportedRecord(
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


def _refilled(node: Node, record: LabelledSolution, index: int, choices: WriteOptions) -> dict[str, Any]:
    said = (record.labels[index], index in record.neutral)
    rating = node[0]["rating"] if _said(node) == said else rating_of(said, choices)
    return {**node[0], "text": record.steps[index], "rating": rating}


FORMAT = Format(NAME, "PRM800K, phases 1 and 2", LabelledSolution, matches, read, write)
