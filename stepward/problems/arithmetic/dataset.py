"""The arithmetic world: an endless, seeded source of multi-step word problems in plain English.

A problem belongs to exactly one split by what it computes (its signature), not by its text, so that renaming
people can't carry a training problem into the test set.
"""

import hashlib
from collections.abc import Iterator
from random import Random

from stepward.problems.arithmetic.story import Event, Story, in_range, right_answer
from stepward.problems.arithmetic.templates import (
    DAYS,
    DISTRACTORS,
    NAMES,
    PLAIN,
    SMALL,
    THINGS,
    TRANSFERS,
    TRICKY,
    TRICKY_TRANSFERS,
    Wording,
)
from stepward.records import Problem

LEVELS = (1, 2, 3, 4, 5)
SPLITS = {"generator": 70, "reward": 10, "validation": 10, "test": 10}
"""Shares of the space of signatures, in percent: what trains the generator, trains the reward model, chooses, tests."""

_EVENTS = {1: 2, 2: 3, 3: 4, 4: 3, 5: 4}
_SHARE_TRICKY = {1: 0.65, 2: 0.5, 3: 0.45, 4: 0.45, 5: 0.40}
_MOST_MISREAD = (0, 8, 9, 4, 2, 5, 7, 1, 6, 10, 3)
"""Indices into TRICKY, one of each kind of misreading first: the order in which a smaller world takes them up."""


def split_of(story: Story) -> str:
    """The one split that a story belongs to."""
    bucket = int.from_bytes(hashlib.sha256(story.signature.encode()).digest()[:8]) % 100
    for split, share in SPLITS.items():
        if bucket < share:
            return split
        bucket -= share
    raise AssertionError("the shares of SPLITS add up to 100")


def stories(split: str, seed: int = 0, levels: tuple[int, ...] = LEVELS, tricky: int = len(TRICKY)) -> Iterator[Story]:
    """Endless distinct stories of one split, the levels in turn.

    Args:
        split: A key of `SPLITS`.
        seed: Another seed gives another stream of the same split.
        levels: Which levels to draw, from `LEVELS`.
        tricky: How many of the tricky wordings of one person the stories use; fewer are quicker to learn from.

    Raises:
        ValueError: Unknown split or level, or more tricky wordings than there are.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
    if not levels or set(levels) - set(LEVELS):
        raise ValueError(f"unknown levels {levels}: expected some of {LEVELS}")
    if not 1 <= tricky <= len(TRICKY):
        raise ValueError(f"{tricky} tricky wordings: expected 1 to {len(TRICKY)}")
    used = TRICKY if tricky == len(TRICKY) else tuple(TRICKY[index] for index in _MOST_MISREAD[:tricky])
    seen: set[str] = set()
    index = 0
    while True:
        random = Random(f"{seed}/{split}/{index}")
        story = _draw(random, levels[index % len(levels)], used)
        while split_of(story) != split or story.text in seen:
            story = _draw(random, levels[index % len(levels)], used)
        seen.add(story.text)
        index += 1
        yield story


def problems(
    split: str, count: int, seed: int = 0, levels: tuple[int, ...] = LEVELS, tricky: int = len(TRICKY)
) -> list[Problem]:
    """The first `count` problems of one split. Arguments and errors as for `stories`."""
    found = []
    for index, story in zip(range(count), stories(split, seed, levels, tricky), strict=False):
        identity = "arithmetic-" + hashlib.sha256(story.text.encode()).hexdigest()[:12]
        level = levels[index % len(levels)]
        found.append(Problem(identity, story.text, str(right_answer(story)), level, f"arithmetic/{split}"))
    return found


def _draw(random: Random, level: int, tricky: tuple[Wording, ...]) -> Story:
    """A story of the level whose counts stay in range whatever is misread."""
    while True:
        story = _attempt(random, level, tricky)
        if in_range(story):
            return story


def _attempt(random: Random, level: int, tricky: tuple[Wording, ...]) -> Story:
    people = random.sample(NAMES, 2 if level >= 4 else 1)
    thing = random.choice(THINGS)
    starts = tuple((name, random.randint(12, 40)) for name in people)
    wordings = [_wording(random, level, tricky) for _ in range(_EVENTS[level])]
    if level >= 2 and random.random() < 0.5:
        wordings.insert(random.randrange(len(wordings) + 1), random.choice(DISTRACTORS))
    days = DAYS[1 : len(wordings) + 1]
    events = tuple(_event(random, day, wording, people) for day, wording in zip(days, wordings, strict=True))
    if level == 5 and random.random() < 0.5:
        return Story(thing, starts, events, None)
    before = days[-1] if level >= 2 and random.random() < 0.15 else None
    return Story(thing, starts, events, random.choice(people), before)


def _wording(random: Random, level: int, tricky: tuple[Wording, ...]) -> Wording:
    is_tricky = random.random() < _SHARE_TRICKY[level]
    if level >= 4 and random.random() < 0.5:
        return random.choice(TRICKY_TRANSFERS if is_tricky else TRANSFERS)
    return random.choice(tricky if is_tricky else PLAIN)


def _event(random: Random, day: str, wording: Wording, people: list[str]) -> Event:
    order = random.sample(people, len(people))
    named = "{a}" in wording.template
    other = order[1] if wording.people == 2 else None
    n = random.choice(wording.numbers)
    m = random.choice([value for value in SMALL if value != n]) if "{m}" in wording.template else None
    return Event(day, wording, order[0] if named else "", other, n, m)
