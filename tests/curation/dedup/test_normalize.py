"""Two texts of one question have one normal form; texts that differ in the mathematics have two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.curation.dedup.normalize import (
    jaccard,
    key,
    normalize_question,
    question_of,
    shingles,
    whole_text,
    word_grams,
)
from stepward.records import LabelledSolution, Message, Preference, Problem


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("What is 3 + 4?", "what is  3+4"),
        ("Find $x^2$.", "Find x²"),
        ("Find $\\dfrac{1}{2}$.", "Find \\frac {1}{2}"),
        ("Let $a\\,b\\!c \\quad d$.", "Let a b c d"),
        ("Is \\left( x \\right) even?", "Is (x) even?"),
        ("Say \\[x = 1.\\]Then?", "Say $x=1$. Then?"),
        ("Tom\u2019s \u201cbig\u201d cat", "Tom's big cat"),
        ("5 \u2212 2", "5 - 2"),
        ("\uff12\uff13", "23"),
        ("1\u00bd cups", "1 1/2 cups"),
        ("2 \u00d7 3", "2 \\times 3"),
        ("Wie gro\u00df?", "wie GROSS"),
    ],
    ids=lambda text: ascii(text),
)
def test_the_same_question_typed_otherwise_has_the_same_form(left: str, right: str) -> None:
    assert normalize_question(left) == normalize_question(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("3+4", "3-4"),
        ("3.5", "35"),
        ("1,000", "1000"),
        ("f'(2)", "f(2)"),
        ("5!", "5"),
        ("2\u00b2", "22"),
        ("(0,1)", "[0,1]"),
        ("3:4", "34"),
        ("\u6c42x", "\u6c42y"),
        ("\\leftarrow x", "\\left x"),
        ("???", "!!!"),
        ("10%", "10"),
    ],
    ids=lambda text: ascii(text),
)
def test_what_changes_the_mathematics_changes_the_form(left: str, right: str) -> None:
    assert normalize_question(left) != normalize_question(right)


@given(st.text(max_size=60))
def test_a_form_is_blind_to_white_space_around_and_empty_for_an_empty_text_alone(text: str) -> None:
    assert normalize_question(f" \n{text}\t") == normalize_question(text)
    assert bool(normalize_question(text)) == bool(text.strip())
    assert len(key(normalize_question(text))) == 16


@given(st.text("ab 1+-x.", max_size=40))
def test_case_and_spaces_between_tokens_do_not_matter(text: str) -> None:
    assert normalize_question(text.upper()) == normalize_question(text)
    assert normalize_question(text.replace(" ", "  ")) == normalize_question(text)


def test_grams_are_runs_of_words_and_a_short_text_is_one_with_its_operators() -> None:
    form = normalize_question("One two, three + four.")
    assert word_grams(form, 3) == ["one two three", "two three four"]
    assert word_grams(form, 5) == ["one two three + four"]
    assert word_grams(normalize_question("x^{2}"), 13) == word_grams(normalize_question("x^2"), 13) == ["x ^ 2"]
    assert word_grams(normalize_question("3+4"), 13) != word_grams(normalize_question("3-4"), 13)
    assert word_grams("+ -", 13) == []


def test_each_character_of_an_unspaced_script_is_a_word() -> None:
    assert word_grams(normalize_question("\u6c42x\u7684\u503c\u3002"), 2) == ["\u6c42 x", "x \u7684", "\u7684 \u503c"]


@given(st.text(max_size=30), st.text(max_size=30))
def test_jaccard_is_the_share_of_common_runs(left: str, right: str) -> None:
    one, other = shingles(left), shingles(right)
    assert jaccard(one, other) == len(one & other) / len(one | other)


def test_jaccard_of_nothing_and_nothing_is_1() -> None:
    assert jaccard(set(), set()) == 1.0


def test_what_a_record_asks_and_says() -> None:
    said = tuple(Message("user", text) for text in ("Hi", "How?"))
    preference = Preference("p", said, (Message("assistant", "So"),), (Message("assistant", "No"),))
    solution = LabelledSolution("Why?", ("a", "b"), (1.0, None))
    assert question_of(preference) == "Hi\nHow?"
    assert whole_text(preference) == "So\nNo"
    assert (question_of(solution), whole_text(solution)) == ("Why?", "a\nb")
    assert question_of(Problem("p", "Why?", "1")) == whole_text(Problem("p", "Why?", "1")) == "Why?"
