"""The oracle finds the first wrong step, and says how it is wrong, for every kind of error."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.problems.arithmetic.checker import ERRORS, FirstError, first_error
from stepward.problems.arithmetic.dataset import LEVELS, SPLITS, stories
from stepward.problems.arithmetic.story import Story, answer_line, careless_solution, right_answer, right_lines

QUESTION = (
    "On Monday Tom has 20 pens and Mia has 30. On Tuesday Tom sells 5 pens for 3 dollars each. "
    "On Wednesday Tom lends Mia 4 pens. On Thursday Mia reads 6 pages. On Friday Mia finds 7 pens. "
    "How many pens do Tom and Mia have together?"
)
RIGHT = (
    "Tuesday: Tom has 20 - 5 = 15.",
    "Wednesday: Tom has 15 - 4 = 11.",
    "Wednesday: Mia has 30 + 4 = 34.",
    "Friday: Mia has 34 + 7 = 41.",
    "Together they have 11 + 41 = 52.",
    "The answer is 52.",
)

any_story = st.builds(
    lambda split, seed, level: next(stories(split, seed, (level,))),
    st.sampled_from(sorted(SPLITS)),
    st.integers(0, 10**6),
    st.sampled_from(LEVELS),
)


def written(story: Story) -> list[str]:
    """The right solution."""
    return [line.text for line in right_lines(story)] + [answer_line(right_answer(story))]


CORRUPTIONS = [
    ({0: "Tuesday: Tom has 20 - 5 = 16."}, 0, "wrong arithmetic"),
    ({4: "Together they have 11 + 41 = 53."}, 4, "wrong arithmetic"),
    ({0: "Tuesday: Tom has 20 - 3 = 17."}, 0, "wrong operand"),
    ({3: "Friday: Mia has 30 + 7 = 37."}, 3, "wrong operand"),
    ({3: "Friday: Mia has 7 + 34 = 41."}, 3, "wrong operand"),
    ({1: "Wednesday: Tom has 15 + 4 = 19."}, 1, "wrong operation"),
    ({3: "Friday: Mia has 34 * 7 = 238."}, 3, "wrong operation"),
    ({2: None}, 2, "skipped clause"),
    ({0: None}, 0, "skipped clause"),
    ({4: None}, 4, "skipped clause"),
    ({3: "Thursday: Mia has 34 + 6 = 40."}, 3, "invented step"),
    ({3: "Friday: Zoe has 34 + 7 = 41."}, 3, "invented step"),
    ({6: "Friday: Mia has 34 + 7 = 41."}, 6, "invented step"),
    ({5: "Friday: Mia has 34 + 7 = 41."}, 5, "invented step"),
    ({5: "The answer is 51."}, 5, "wrong final answer"),
    ({5: "The answer is 052x."}, 5, "unreadable"),
    ({1: "So Tom has 11."}, 1, "unreadable"),
    ({1: "Wednesday: Tom has 15 - 4 = 11"}, 1, "unreadable"),
    ({1: "Wednesday: Tom has 15 - \u0664 = 11."}, 1, "unreadable"),
]


@pytest.mark.parametrize(("changes", "step", "kind"), CORRUPTIONS)
def test_each_error_is_found_at_its_step(changes: dict[int, str | None], step: int, kind: str) -> None:
    steps = [changes.get(index, line) for index, line in enumerate(RIGHT)]
    steps += [line for index, line in changes.items() if index >= len(RIGHT)]
    wrong = [line for line in steps if line is not None]
    assert first_error(QUESTION, wrong) == FirstError(step, kind)
    assert first_error(QUESTION, wrong[:step]) is None and first_error(QUESTION, wrong[: step + 1]) is not None


def test_every_kind_is_made_above() -> None:
    assert {kind for _, _, kind in CORRUPTIONS} == set(ERRORS)


def test_the_right_solution_and_its_prefixes_have_no_error() -> None:
    assert all(first_error(QUESTION, RIGHT[:end]) is None for end in range(len(RIGHT) + 1))


def test_the_two_lines_of_one_sentence_may_come_in_either_order() -> None:
    swapped = [RIGHT[0], RIGHT[2], RIGHT[1], *RIGHT[3:]]
    assert first_error(QUESTION, swapped) is None
    # But not apart: Friday's line between them skips half a sentence.
    assert first_error(QUESTION, [RIGHT[0], RIGHT[2], RIGHT[3], RIGHT[1]]) == FirstError(2, "skipped clause")
    # Nor twice.
    assert first_error(QUESTION, [RIGHT[0], RIGHT[1], RIGHT[1]]) == FirstError(2, "invented step")


def test_a_right_answer_does_not_mend_a_wrong_step() -> None:
    steps = [*RIGHT[:3], "Friday: Mia has 34 + 7 = 40.", *RIGHT[4:]]
    assert first_error(QUESTION, steps) == FirstError(3, "wrong arithmetic")


def test_a_question_about_an_earlier_day_is_answered_by_that_day() -> None:
    question = "On Monday Tom has 20 pens. On Tuesday Tom finds 5 pens. How many pens did Tom have before Tuesday?"
    assert first_error(question, ["Tuesday: Tom has 20 + 5 = 25.", "The answer is 20."]) is None
    late = ["Tuesday: Tom has 20 + 5 = 25.", "The answer is 25."]
    assert first_error(question, late) == FirstError(1, "wrong final answer")


@given(any_story)
def test_right_solutions_have_no_error(story: Story) -> None:
    assert first_error(story.text, written(story)) is None


@given(any_story, st.data())
def test_any_number_changed_is_found_at_its_step_and_by_its_kind(story: Story, data: st.DataObject) -> None:
    steps = written(story)
    at = data.draw(st.integers(0, len(steps) - 1))
    numbers = list(re.finditer(r"\d+", steps[at]))
    which = data.draw(st.integers(0, len(numbers) - 1))
    span = numbers[which]
    value = data.draw(st.integers(0, 999).filter(lambda number: number != int(span[0])))
    steps[at] = f"{steps[at][: span.start()]}{value}{steps[at][span.end() :]}"
    kind = (
        "wrong final answer" if at == len(steps) - 1 else ("wrong operand", "wrong operand", "wrong arithmetic")[which]
    )
    assert first_error(story.text, steps) == FirstError(at, kind)


@given(any_story, st.data())
def test_a_step_left_out_or_doubled_is_found(story: Story, data: st.DataObject) -> None:
    steps = written(story)
    at = data.draw(st.integers(0, len(steps) - 1))
    shorter = steps[:at] + steps[at + 1 :]
    found = first_error(story.text, shorter)
    if at < len(steps) - 1:
        # The other line of the same sentence may stand first; the one after it can't.
        assert found is not None and found.step in (at, at + 1) and found.kind == "skipped clause"
    else:
        assert found is None
    doubled = first_error(story.text, [*steps[: at + 1], *steps[at:]])
    assert doubled is not None and doubled.step == at + 1


@given(any_story, st.integers(0, 10**6))
def test_careless_solutions_are_right_up_to_their_first_error(story: Story, seed: int) -> None:
    steps, right = careless_solution(story, Random(seed), slip=0.02), written(story)
    error = first_error(story.text, steps)
    if error is None:
        assert steps == right
    else:
        assert error.kind != "unreadable"
        assert error.step < len(steps) and set(steps[: error.step]) <= set(right)


def test_a_question_of_another_world_is_refused() -> None:
    with pytest.raises(ValueError, match="not a problem of the arithmetic world"):
        first_error("What is 2 + 2?", ["The answer is 4."])
