"""Where an answer stands in a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.answer_extraction import STYLES, extract_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{5}", "5"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"\fbox{3}", "3"),
        (r"\boxed {4}", "4"),
        (r"{ \boxed{5} } and {", "5"),
        (r"\boxed{1} \boxed{2", "1"),
        (r"line\\\boxed{6}", "6"),
        (r"\boxed{}", None),
        (r"\boxed{a{b}", None),
        (r"\boxedness{3}", None),
        ("boxed{3}", None),
        ("", None),
    ],
)
def test_boxed_is_the_last_balanced_box(text: str, answer: str | None) -> None:
    assert extract_answer(text, "boxed") == answer


@pytest.mark.parametrize(
    ("style", "text", "answer"),
    [
        ("gsm8k", "3+4=7\n#### 7", "7"),
        ("gsm8k", "#### 1\n#### 1,234 \nmore", "1,234"),
        ("gsm8k", "####", None),
        ("gsm8k", "7", None),
        ("a_line", "3+4=7\nA: 7", "7"),
        ("a_line", "A: 7", "7"),
        ("a_line", "A: 1\nA: 2\r\nQ: next", "2"),
        ("a_line", "PLAN A: 7", None),
        ("a_line", "A:  ", None),
        ("answer_line", "Tom has 3.\nThe answer is 39.", "39"),
        ("answer_line", "the answer is: 39", "39"),
        ("answer_line", "THE ANSWER IS $5.50.", "$5.50"),
        ("answer_line", "The answer is 39. I hope it is correct.", "39"),
        ("answer_line", "The answer is 1.\nNo, the answer is 2.", "2"),
        ("answer_line", "Final Answer: **73**", "73"),
        ("answer_line", "The answer isn't 5", None),
        ("answer_line", "The answer is", None),
        ("answer_line", "the sum is 5", None),
    ],
)
def test_marked_lines(style: str, text: str, answer: str | None) -> None:
    assert extract_answer(text, style) == answer


def test_auto_tries_the_most_explicit_mark_first() -> None:
    marked = [r"\boxed{1}", "#### 2", "The answer is 3.", "A: 4"]
    for start in range(len(marked)):
        # The order in which the marks stand in the text doesn't matter.
        assert extract_answer("\n".join(reversed(marked[start:]))) == str(start + 1)
    assert extract_answer("nothing here") is None
    assert extract_answer("A: The answer is 5.") == "5"


def test_unknown_style_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"auto, marked .* boxed, gsm8k, answer_line, a_line"):
        extract_answer("5", "latex")


@given(st.text(alphabet="\\boxed{}A:# answer is.1\n", max_size=80), st.sampled_from(["auto", "marked", *STYLES]))
def test_an_answer_is_a_stripped_part_of_the_text(text: str, style: str) -> None:
    answer = extract_answer(text, style)
    assert answer is None or (answer and answer in text and answer == answer.strip())


@given(st.text(alphabet="ab12{}", max_size=12))
def test_a_balanced_box_is_read_back(inner: str) -> None:
    depth = 0
    for character in inner:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return
    if depth == 0 and inner:
        assert extract_answer(rf"so \boxed{{{inner}}} it is", "boxed") == inner


@pytest.mark.parametrize("part", [r"\boxed{", "{", "####", "the answer is ", "A:", "\\", "\nA:", "}", "\\boxed"])
def test_hostile_repetition_is_answered(part: str) -> None:
    text = part * (100_000 // len(part))
    for style in ("auto", *STYLES):
        answer = extract_answer(text, style)
        assert answer is None or len(answer) <= len(text)
    # Whatever stood before, a closed box behind it counts.
    assert extract_answer(text + " {} \\boxed{3}", "boxed") == "3"
