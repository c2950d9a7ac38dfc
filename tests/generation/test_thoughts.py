"""Thoughts are taken off what a model wrote, and one without end makes it a cut text."""

import pytest

from stepward.generation.thoughts import ends_thoughts_begun_before, opened_thought, without_thoughts


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
        ("So <think> is a tag.", True, False, ("So <think> is a tag.", True)),
        ("Hm.\n</think>\n2", True, True, ("2", True)),
        ("Hm.", False, True, ("", False)),
        ("No thought at all.", True, True, ("No thought at all.", True)),
    ],
)
def test_what_follows_the_thoughts_is_the_text(
    text: str, finished: bool, begun: bool, expected: tuple[str, bool]
) -> None:
    assert without_thoughts(text, finished, begun) == expected


def test_whose_thought_it_is_that_a_text_ends_is_told() -> None:
    assert ends_thoughts_begun_before("Hm.</think>2")
    assert not ends_thoughts_begun_before("<think>Hm.</think>2")
    assert not ends_thoughts_begun_before("2")


@pytest.mark.parametrize(
    ("prompt", "closing"),
    [("<user>Q<assistant><think>\n", "</think>"), ("Q[THINK]", "[/THINK]"), ("Q<think>\n</think>\n", ""), ("Q", "")],
)
def test_a_thought_that_a_prompt_leaves_open_is_found(prompt: str, closing: str) -> None:
    assert opened_thought(prompt) == closing
