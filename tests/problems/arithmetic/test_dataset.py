"""The arithmetic world's splits share no problem, and the same seed gives the same problems."""

import re
from collections import Counter
from dataclasses import replace
from itertools import combinations, islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.problems.arithmetic.dataset import LEVELS, SPLITS, problems, split_of, stories
from stepward.problems.arithmetic.story import Story, read_story, right_answer
from stepward.problems.arithmetic.templates import NAMES, THINGS

PER_SPLIT = 500


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[Story]]:
    """Thousands of stories, under two seeds."""
    return {
        split: [story for seed in (0, 1) for story in islice(stories(split, seed), PER_SPLIT // 2)] for split in SPLITS
    }


def test_every_story_is_of_its_split_and_no_two_splits_share_one(drawn: dict[str, list[Story]]) -> None:
    for split, found in drawn.items():
        assert {split_of(story) for story in found} == {split}
    for one, other in combinations(drawn.values(), 2):
        assert not {story.text for story in one} & {story.text for story in other}
        assert not {story.signature for story in one} & {story.signature for story in other}


@given(st.sampled_from(sorted(SPLITS)), st.integers(0, 10**6), st.sampled_from(LEVELS), st.data())
def test_the_split_depends_on_the_signature_alone(split: str, seed: int, level: int, data: st.DataObject) -> None:
    """So equal texts (equal stories, by the round trip) and renamed problems can't be in two splits."""
    story = next(stories(split, seed, (level,)))
    names = data.draw(st.permutations(NAMES))
    renamed: dict[Any, Any] = dict(zip(NAMES, names, strict=True)) | {"": "", None: None}
    other = replace(
        story,
        thing=data.draw(st.sampled_from(THINGS)),
        starts=tuple((renamed[name], count) for name, count in story.starts),
        events=tuple(replace(event, a=renamed[event.a], b=renamed[event.b]) for event in story.events),
        asked=renamed[story.asked],
    )
    assert other.signature == story.signature == read_story(story.text).signature
    assert split_of(other) == split_of(read_story(story.text)) == split
    assert right_answer(other) == right_answer(story)


def test_another_number_or_question_is_another_signature() -> None:
    story = next(stories("test", 0, (2,)))
    event = story.events[0]
    changed = replace(story, events=(replace(event, n=event.n + 1), *story.events[1:]))
    (name, count), *others = story.starts
    assert len({story.signature, changed.signature, replace(story, starts=((name, count + 1), *others)).signature}) == 3
    late = replace(story, before=None if story.before else story.events[-1].day)
    assert late.signature != story.signature


def test_the_same_seed_gives_the_same_problems_and_another_seed_others() -> None:
    first = problems("test", 60, seed=4)
    assert problems("test", 60, seed=4) == first
    assert problems("test", 20, seed=4) == first[:20]
    assert len({problem.id for problem in first}) == 60
    assert not {problem.id for problem in problems("test", 60, seed=5)} & {problem.id for problem in first}


def test_problems_name_their_level_split_and_answer() -> None:
    found = problems("validation", 10, levels=(2, 5))
    assert Counter(problem.level for problem in found) == {2: 5, 5: 5}
    assert {problem.source for problem in found} == {"arithmetic/validation"}
    assert [problem.reference for problem in found] == [str(right_answer(read_story(one.question))) for one in found]


def test_levels_differ_in_people_and_length(drawn: dict[str, list[Story]]) -> None:
    for index, story in enumerate(drawn["generator"][: PER_SPLIT // 2]):
        level = LEVELS[index % len(LEVELS)]
        assert len(story.starts) == (2 if level >= 4 else 1)
        assert len(story.events) in {1: (2,), 2: (3, 4), 3: (4, 5), 4: (3, 4), 5: (4, 5)}[level]


def test_the_text_is_plain_english(drawn: dict[str, list[Story]]) -> None:
    for story in drawn["test"][:200]:
        assert re.fullmatch(r"(On [A-Z][a-z]+ [A-Za-z0-9 ]+\. )+How many [A-Za-z ]+\?", story.text)


@pytest.mark.parametrize(("split", "levels"), [("train", (1,)), ("test", (0,)), ("test", (6,)), ("test", ())])
def test_unknown_splits_and_levels_are_refused(split: str, levels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="unknown"):
        next(stories(split, 0, levels))
