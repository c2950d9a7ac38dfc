"""A branching record's solutions, one by one: the paths from its first steps to its last ones."""

from collections.abc import Iterator
from dataclasses import replace

from stepward.records import LabelledSolution


def iter_branches(record: LabelledSolution, *, once: bool = False) -> Iterator[LabelledSolution]:
    """Each way through the record's steps, from the start to a step that none follows.

    Args:
        record: A labelled solution; one that doesn't branch is its own only path.
        once: Give each step's label in the first path that has it, and None in the later ones, so that a trainer
            counts it once. Otherwise each path has all its labels.

    Yields:
        Solutions that don't branch, in the order of their last steps. `correct`, `answer` and `extra` belong to the
        whole record and stay with a record that doesn't branch.
    """
    if not record.parents:
        yield record
        return
    told: set[int] = set()
    for last in _leaves(record.parents):
        way = _way(record.parents, last)
        labels = tuple(None if once and index in told else record.labels[index] for index in way)
        neutral = tuple(
            place for place, index in enumerate(way) if index in record.neutral and not (once and index in told)
        )
        steps = tuple(record.steps[index] for index in way)
        told.update(way)
        yield replace(
            record, steps=steps, labels=labels, neutral=neutral, parents=(),
            answer=None, correct=None, extra="",
        )  # fmt: skip


def trim_unlabeled(record: LabelledSolution) -> LabelledSolution:
    """The record without its unlabelled ends: steps with no label that no labelled step follows.

    Its `correct` and `answer`, which were those of the whole, go with them where anything is left out.
    """
    parents = record.parents or tuple(range(-1, len(record.steps) - 1))
    kept: set[int] = set()
    for index in range(len(parents)):
        if record.labels[index] is not None or index in record.neutral:
            kept.update(_way(parents, index))
    if len(kept) == len(parents):
        return record
    places = {index: place for place, index in enumerate(sorted(kept))}
    steps = tuple(record.steps[index] for index in places)
    return replace(
        record, steps=steps,
        labels=tuple(record.labels[index] for index in places),
        neutral=tuple(places[index] for index in record.neutral),
        parents=tuple(places.get(parents[index], -1) for index in places) if record.parents else (),
        answer=None, correct=None, extra="",
    )  # fmt: skip


def _leaves(parents: tuple[int, ...]) -> list[int]:
    followed = set(parents)
    return [index for index in range(len(parents)) if index not in followed]


def _way(parents: tuple[int, ...], last: int) -> list[int]:
    way = []
    while last >= 0:
        way.append(last)
        last = parents[last]
    return way[::-1]
