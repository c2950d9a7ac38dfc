"""PRM800K rows for records of other sources, laid out as people's labels were.

A solution that doesn't branch is laid out as in phase 2: its steps up to the first wrong one, one completion each, and
all of them in `pre_generated_steps`. One whose alternatives lie along one trunk is laid out as in phase 1.
"""

from typing import Any

from stepward.formats.format import Choices, NotWritable, positive
from stepward.records import LabelledSolution

NAME = "prm800k"

Said = tuple[float | None, bool]
"""A step's label, and whether it is neutral."""


def rating_of(said: Said, choices: Choices) -> int | None:
    """The rating of a label: 1, 0 (neutral), -1, or None for no label."""
    label, neutral = said
    if neutral:
        return 0
    if label is None:
        return None
    return 1 if positive(label, choices, NAME) else -1


def new_row(record: LabelledSolution, choices: Choices) -> dict[str, Any]:
    """A row whose labeller, time and ids are null, as nothing is known of them.

    Raises:
        NotWritable: It branches anywhere but along one trunk, or a labelled step follows the first wrong one.
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
            raise NotWritable(
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
            raise NotWritable(
                f"it branches at step {nodes[0] + 1}, and {NAME} goes on from one alternative alone",
                "not_writable",
                "parents",
            )
        before = followed[0] if followed else None
        trunk.append((nodes, before))
    return trunk
