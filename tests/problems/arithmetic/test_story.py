"""A story's text says all of it, and its solutions, right or careless, stay in the world's range."""

import re
from itertools import islice, product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.problems.arithmetic.dataset import LEVELS, SPLITS, stories
from stepward.problems.arithmetic.story import (
    CAP,
    Story,
    answer_line,
    careless_solution,
    read_story,
    right_answer,
    right_lines,
)
from stepward.problems.arithmetic.templates import DAYS, WORDINGS


def draw_story(split: str, seed: int, level: int) -> Story:
    """The first story of a stream."""
    return next(stories(split, seed, (level,)))


any_story = st.builds(draw_story, st.sampled_from(sorted(SPLITS)), st.integers(0, 10**6), st.sampled_from(LEVELS))


class Scripted(Random):
    """Gives the listed numbers from `random()`."""

    def script(self, numbers: list[float]) -> "Scripted":
        self.numbers = numbers
        return self

    def random(self) -> float:
        return self.numbers.pop(0)


# What each sentence does, read off its English by this file alone: a mark, then (who, operation, which number).
ENGLISH = (
    (r"reads|rains|walks|admires|nearly loses", ()),
    (r"times as big|fold", ((0, "*", 0),)),
    (r"gives [A-Z]|lends [A-Z]|trades", ((0, "-", 0), (1, "+", 0))),
    (r"takes \d+ \w+ from|is lent", ((0, "+", 0), (1, "-", 0))),
    (r"for \d+ dollars each", ((0, "-", 0),)),
    (r"pays \d+ dollars for", ((0, "+", 1),)),
    (r"loses|sells|gives away|drops|lends out|pays back|relieved|thief", ((0, "-", 0),)),
    (r"finds|buys|gets|wins|is repaid|borrows|is spared|aunt", ((0, "+", 0),)),
)


def solve(text: str) -> int:
    """The answer to a problem's text, worked out sentence by sentence without Stepward's reader or wordings."""
    opening, *sentences, question = re.split(r"(?<=\.) ", text)
    now = {name: int(count) for name, count in re.findall(r"([A-Z][a-z]+) (?:has )(\d+)", opening)}
    before: dict[str, dict[str, int]] = {}
    for sentence in sentences:
        _, day, rest = sentence.split(" ", 2)
        before[day] = dict(now)
        names, numbers = [word for word in re.findall(r"[A-Z][a-z]+", rest) if word in now], re.findall(r"\d+", rest)
        changes = next(changes for mark, changes in ENGLISH if re.search(mark, rest))
        for who, operation, number in changes:
            n, name = int(numbers[number]), names[who]
            now[name] = {"+": now[name] + n, "-": now[name] - n, "*": now[name] * n}[operation]
    if "together" in question:
        return sum(now.values())
    asked = next(word for word in re.findall(r"[A-Z][a-z]+", question) if word in now)
    late = re.search(r"before ([A-Z][a-z]+)", question)
    return (before[late[1]] if late else now)[asked]


@given(any_story)
def test_a_storys_text_reads_back_as_the_story(story: Story) -> None:
    assert read_story(story.text) == story
    assert story.text.isascii() and "\n" not in story.text


@given(any_story)
def test_the_right_answer_is_what_an_independent_reader_works_out(story: Story) -> None:
    assert right_answer(story) == solve(story.text)


def test_every_wording_is_drawn_and_solved() -> None:
    drawn = list(islice(stories("generator", seed=3), 500))
    assert {event.wording for story in drawn for event in story.events} == set(WORDINGS)
    assert [right_answer(story) for story in drawn] == [solve(story.text) for story in drawn]
    assert any(story.before for story in drawn) and any(story.asked is None for story in drawn)


@given(any_story)
def test_counts_stay_in_range_whatever_is_misread(story: Story) -> None:
    misreadable = sum(event.wording.misreading is not None for event in story.events)
    for choices in product((0.0, 0.999), repeat=misreadable + 1):
        written = careless_solution(story, Scripted().script(list(choices)))
        numbers = [int(number) for line in written for number in re.findall(r"\d+", line)]
        assert all(1 <= number <= CAP for number in numbers), written


@given(any_story)
def test_a_careless_solution_with_all_read_rightly_is_the_right_solution(story: Story) -> None:
    misreadable = sum(event.wording.misreading is not None for event in story.events)
    written = careless_solution(story, Scripted().script([0.999] * (misreadable + 1)))
    assert written == [line.text for line in right_lines(story)] + [answer_line(right_answer(story))]


@given(any_story, st.integers(0, 10**6))
def test_with_all_care_nothing_is_misread_and_with_half_it_is_rarer(story: Story, seed: int) -> None:
    right = [line.text for line in right_lines(story)] + [answer_line(right_answer(story))]
    assert careless_solution(story, Random(seed), care=1.0) == right
    halved = careless_solution(story, Scripted().script([0.31] * 9), care=0.5)
    assert halved == right, "no wording's share is above .6"


def test_each_wording_is_misread_as_often_as_it_says() -> None:
    """Within 4 standard errors of the share, over every wording that can be misread."""
    read = {wording: [0, 0] for wording in WORDINGS if wording.misreading is not None}
    for index, story in enumerate(islice(stories("generator", seed=5, levels=(3,)), 150)):
        right = {line.text for line in right_lines(story)}
        first = story.events[0]
        if first.wording in read and first.wording.people == 1:
            for draw in range(20):
                written = careless_solution(story, Random(f"{index}/{draw}"))
                line_of_first = [line for line in written if line.startswith(first.day)]
                count = read[first.wording]
                count[0] += 1
                count[1] += bool(line_of_first) != bool(first.wording.meaning) or not set(line_of_first) <= right
    tried = {wording: count for wording, count in read.items() if count[0]}
    assert len(tried) >= 8
    for wording, (total, misread) in tried.items():
        error = (wording.share * (1 - wording.share) / total) ** 0.5
        assert abs(misread / total - wording.share) < 4 * error, wording.template


@given(any_story, st.integers(0, 10**6))
def test_a_slip_is_one_line_off_by_one_or_ten(story: Story, seed: int) -> None:
    written = careless_solution(story, Random(seed), slip=1.0)
    values, off = [], []
    for line in written[:-1]:
        left, operation, right, value = re.search(r"(\d+) ([+*-]) (\d+) = (\d+)", line).groups()  # type: ignore[union-attr]
        meant = {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}[operation]
        values.append(int(value))
        off.append(int(value) - meant)
    assert all(0 <= value <= CAP for value in values)
    # Counts are held at the range's ends, which may hide a slip or make a later line wrong; all misread as nothing
    # leaves no line to slip in.
    if off and not {0, CAP} & set(values):
        assert sorted(map(abs, off))[-1] in (1, 10)
        assert sum(shift != 0 for shift in off) == 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("What is 2 + 2?", "expected 'On Monday <name> has ...'"),
        ("On Monday Tom has 20 pens. How old is Tom?", "no known question"),
        ("On Monday Tom has 20 pens. On Tuesday Tom eats 3 pens. How many pens does Tom have now?", "unknown sentence"),
        (
            "On Monday Tom has 20 pens. On Someday Tom finds 3 pens. How many pens does Tom have now?",
            "no day 'Someday'",
        ),
    ],
)
def test_a_text_of_another_world_is_refused_by_what_it_says(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        read_story(text)


def test_no_sentence_reads_as_two_wordings() -> None:
    for wording in WORDINGS:
        text = wording.template.format(a="Tom", b="Mia", n=3, m=4, t="pens")
        assert [other for other in WORDINGS if other.pattern.fullmatch(text)] == [wording]
    assert len(set(DAYS)) == 7
