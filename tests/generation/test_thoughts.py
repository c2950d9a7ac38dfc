"""Thoughts are taken off what a model wrote, and one without end makes it a cut text."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stepward.answer_extraction import extract_answer
from stepward.generation.thoughts import begun_before, opened_thought, without_thoughts
from stepward.records import split_steps

ANALYSIS = "<|channel|>analysis<|message|>Hm."
ANALYSIS_CUT = ANALYSIS[:-2]


@pytest.mark.parametrize(
    ("text", "finished", "begun", "expected"),
    [
        ("1 + 1 = 2", True, False, ("1 + 1 = 2", True)),
        ("1 + 1 = 2", False, False, ("1 + 1 = 2", False)),
        ("<think>\nHm.\n</think>\n\n1 + 1 = 2\n", True, False, ("1 + 1 = 2\n", True)),
        ("<think></think>1 + 1", False, False, ("1 + 1", False)),
        (" \n<thinking>Hm.</thinking>2", True, False, ("2", True)),
        ("[THINK]Hm.[/THINK]2", True, False, ("2", True)),
        ("<think>Is </thinking> it?</think>2", True, False, ("2", True)),
        ("<think>\nHm.", False, False, ("", False)),
        ("<think>\nHm.", True, False, ("", False)),
        ("2 = 2\n<think>Is it?", True, False, ("2 = 2\n", False)),
        ("<think>a</think>\n<think>b</think>\n2", True, False, ("2", True)),
        ("<think>a<think>b</think>c</think>2", True, False, ("2", True)),
        ("<think>Is <think> a tag?</think>2", True, False, ("2", True)),
        ("<THINK>a</Think>2", True, False, ("2", True)),
        ("\ufeff<think>a</think>2", True, False, ("2", True)),
        ("First.\n<think>a</think>\n2", True, False, ("First.\n\n\n2", True)),
        ("Sure! <think>a</think>2", True, False, ("Sure! \n2", True)),
        ("a</think>2", True, False, ("2", True)),
        ("a</think>", True, False, ("", False)),
        ("Steps.\nThe answer is: 4\n</think>", True, False, ("", False)),
        ("<reasoning>2 + 3 = 5\nThe answer is 5</reasoning>", True, False, ("", False)),
        ("<think>a</think><answer> </answer>", True, False, ("", False)),
        (f"{ANALYSIS}<|end|><|start|>assistant<|channel|>final<|message|> <|return|>", True, False, ("", False)),
        ("", True, False, ("", True)),
        ("We [think] that 2+2=4.\nThe answer is: 4", True, False, ("We [think] that 2+2=4.\nThe answer is: 4", True)),
        ("Sure!<think>a</think> 2", True, False, ("Sure!\n 2", True)),
        ("The sum <think>a</think>is 2", True, False, ("The sum is 2", True)),
        ("The sum<think>a</think>is <think>b</think>\n<think>c</think>2", True, False, ("The sum is 2", True)),
        ("2 = 2\n<think>a</think>So 4", True, False, ("2 = 2\nSo 4", True)),
        ("\u25c1think\u25b7a\u25c1/think\u25b72", True, False, ("2", True)),
        ("\u25c1think\u25b7a", False, False, ("", False)),
        (
            f"{ANALYSIS}<|end|><|start|>assistant<|channel|>final<|message|>2 = 2<|return|>",
            True,
            False,
            ("2 = 2", True),
        ),
        (
            f"<|start|>assistant{ANALYSIS}<|end|><|start|>assistant<|channel|>final<|message|>2",
            False,
            False,
            ("2", False),
        ),
        (ANALYSIS, False, False, ("", False)),
        (f"{ANALYSIS}<|end|><|start|>assistant<|channel|>final", False, True, ("", False)),
        ("analysisWe add.assistantfinal2", True, False, ("2", True)),
        ("analysisWe add.", False, False, ("", False)),
        ("analysis of it", True, False, ("analysis of it", True)),
        ("<reasoning>\na\nb\n</reasoning>\n<answer>\n2\n</answer>\n", True, False, ("a\nb\nThe answer is: 2", True)),
        ("b\n</reasoning>\n<answer>2</answer>", True, False, ("b\nThe answer is: 2", True)),
        ("b\n</reasoning>\n<answer>2</answer>", True, True, ("b\nThe answer is: 2", True)),
        ("<reasoning>a</reasoning><answer>\\boxed{2}</answer>", True, False, ("a\n\\boxed{2}", True)),
        ("<reasoning>a</reasoning><answer>2", False, False, ("a\nThe answer is: 2", False)),
        ("<think>x</think><reasoning>a</reasoning><answer>2</answer>", True, False, ("a\nThe answer is: 2", True)),
        ("<reasoning>a</reasoning>\n1 + 1 = 2", True, False, ("1 + 1 = 2", True)),
        ("<reasoning>a", False, False, ("", False)),
        ("<think>a</think><answer>2</answer>", True, False, ("The answer is: 2", True)),
        ("Hm.\n</think>\n2", True, True, ("2", True)),
        ("Hm.", False, True, ("", False)),
        ("No thought at all.", True, True, ("No thought at all.", True)),
    ],
)
def test_what_follows_the_thoughts_is_the_text(
    text: str, finished: bool, begun: bool, expected: tuple[str, bool]
) -> None:
    assert without_thoughts(text, finished, begun) == expected


@pytest.mark.parametrize("before", ["The answer is", "The answer is ", "The answer is:", "**Answer:** "])
@pytest.mark.parametrize("after", ["5", " 5"])
def test_an_answer_that_a_thought_breaks_is_found(before: str, after: str) -> None:
    assert extract_answer(without_thoughts(f"{before}<think>hm</think>{after}", True)[0], "marked") == "5"


@pytest.mark.parametrize(
    ("text", "finished", "expected"),
    [
        ("Hm.</think>2", True, True), ("Hm.</think>2", False, True), ("<think>Hm.</think>2", True, False),
        ("<think>Hm.", False, False), ("2", True, False), ("Hm", False, None), (ANALYSIS_CUT, False, False),
    ],
)  # fmt: skip
def test_whose_thought_it_is_that_a_text_begins_in_is_told(text: str, finished: bool, expected: bool | None) -> None:
    assert begun_before(text, finished) is expected


PARTS = (
    "<think>", "</think>", "<THINKING>", "</Thinking>", "<thought>", "</thought>", "<reasoning>", "</reasoning>",
    "<seed:think>", "</seed:think>", "[THINK]", "[/THINK]", "\u25c1think\u25b7", "\u25c1/think\u25b7", "<answer>",
    "</answer>", "<|channel|>analysis<|message|>", "<|channel|>final<|message|>", "<|channel|>", "<|message|>",
    "<|end|>", "<|start|>assistant", "1 + 1 = 2", "So", "thi", "nk>", "<", "\n", " ", "\ufeff", "analysis", "final",
)  # fmt: skip
MARK = re.compile(
    r"(?i:</?(think|thinking|thought|reasoning|seed:think)>)|\[/?THINK\]|\u25c1/?think\u25b7|<\|channel\|>"
)


@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join), st.booleans(), st.booleans())
def test_no_step_has_a_mark_of_a_thought(text: str, finished: bool, begun: bool) -> None:
    said, whole = without_thoughts(text, finished, begun)
    assert not any(MARK.search(step) for step in split_steps(said))
    assert finished or not whole


@given(st.text() | st.lists(st.sampled_from([one for one in PARTS if "|" not in one]), max_size=9).map("".join))
def test_a_text_without_marks_is_as_it_was(text: str) -> None:
    assume(not MARK.search(text) and not re.match(r"\s*analysis[A-Z]", text))
    assert without_thoughts(text, True) == (text, True)
    assert without_thoughts(text, False) == (text, False)


@pytest.mark.parametrize(
    ("prompt", "closing"),
    [
        ("<user>Q<assistant><think>\n", "</think>"),
        ("Q[THINK]", "[/THINK]"),
        ("Q<think>\n</think>\n", ""),
        ("Q", ""),
        ("Q\u25c1think\u25b7", "\u25c1/think\u25b7"),
        ("<think>Q", ""),
    ],
)
def test_a_thought_that_a_prompt_leaves_open_is_found(prompt: str, closing: str) -> None:
    assert opened_thought(prompt) == closing
