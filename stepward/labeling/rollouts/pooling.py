"""Counts of several completers and of several machines, put together.

Completers' counts are kept apart, since each is a fact about one model. `pool` adds them up where one label is made of
them all; `merge` brings the records of runs together that were split or grown.
"""

from collections.abc import Iterable
from dataclasses import fields, replace

from stepward.errors import StepwardError
from stepward.labeling.rollouts.estimators import POOL
from stepward.records import StepRollouts


def pool(rollouts: Iterable[StepRollouts]) -> list[StepRollouts]:
    """One record a prefix with the counts of all its completers together, in the order of first appearance.

    A hard label of it is 1 where any completer succeeds. Its estimate (`estimates.estimate`) is the mean of the
    completers' own unbiased estimates: the chance of one of them, picked at random. The sums would favour the completer
    that drew more, and a rule that stopped early would have bent them; so the record's rule keeps each one's counts.
    A completer whose draws were all void has no say.

    Raises:
        StepwardError: One completer has two records of a prefix; `merge` comes first.
    """
    of: dict[str, list[StepRollouts]] = {}
    for one in rollouts:
        parts = of.setdefault(one.id, [])
        if any(one.completer == other.completer for other in parts):
            raise StepwardError(
                f"rollouts {one.id}: completer {one.completer!r} has two records; merge them first",
                code="duplicate",
                field=one.id,
            )
        parts.append(one)
    return [_pooled(sorted(parts, key=lambda one: one.completer)) for parts in of.values()]


def merge(*runs: Iterable[StepRollouts]) -> list[StepRollouts]:
    """The records of several runs of the same recipe and seed, each completer's record of a prefix once.

    Draws are numbered, so two runs with the same seed drew the same: equal records are one, and of a record that was
    grown the longer one holds the shorter. A prefix that is a whole solution in one run needs no counts of another.

    Returns:
        Records in the order of first appearance.

    Raises:
        StepwardError: Two records of one completer and prefix contradict each other: the runs' seeds, models or
            graders differ.
    """
    found: dict[tuple[str, str], StepRollouts] = {}
    for run in runs:
        for one in run:
            key = one.id, one.completer
            found[key] = _longer(found[key], one) if key in found else one
    return list(found.values())


def _pooled(parts: list[StepRollouts]) -> StepRollouts:
    whole = next((one for one in parts if one.complete), None)
    if whole or len(parts) == 1:
        return whole or parts[0]
    told = [f"{one.right}/{one.drawn}+{one.draws - one.drawn} {one.rule}" for one in parts if one.drawn]
    return replace(
        parts[0],
        **{name: sum(getattr(one, name) for one in parts) for name in ("drawn", "right", "empty", "failed", "tokens")},
        completer="+".join(one.completer for one in parts),
        fault=next((one.fault for one in reversed(parts) if one.fault), ""),
        rule=f"{POOL}[{'; '.join(told)}]" if told else "",
    )


_COUNTS = ("drawn", "right", "empty", "failed", "tokens")


def _longer(one: StepRollouts, other: StepRollouts) -> StepRollouts:
    if one == other:
        return one
    if one.complete != other.complete:
        return one if one.complete else other
    less, more = sorted((one, other), key=lambda record: record.draws)
    added = {name: getattr(more, name) - getattr(less, name) for name in _COUNTS}
    grown = more.draws > less.draws and min(added.values()) >= 0 and added["right"] <= added["drawn"]
    if one.complete or not grown:
        differs = [field.name for field in fields(one) if getattr(one, field.name) != getattr(other, field.name)]
        raise StepwardError(
            f"rollouts {one.id} of completer {one.completer!r}: two runs differ in {', '.join(differs)}; "
            "expected runs of one recipe and one seed",
            code="mismatch",
            field=one.id,
        )
    return more
