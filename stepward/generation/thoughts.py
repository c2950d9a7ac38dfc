"""Thoughts that a model writes before its solution: they are no steps, and a thought that is cut is no solution."""

import re

_NAMES = "think|thinking|thought|reasoning|seed:think"
_OPENED = re.compile(rf"\s*(?:<({_NAMES})>|\[(THINK)\])")
_CLOSED = re.compile(rf"</(?:{_NAMES})>|\[/THINK\]")


def without_thoughts(text: str, finished: bool, begun: bool = False) -> tuple[str, bool]:
    """What follows the thoughts at a text's beginning, and whether that is whole: a thought without end is a cut text.

    Args:
        text: What a model wrote.
        finished: Whether it ended by itself.
        begun: Whether the prompt opened a thought, as templates of thinking models do, so that none is opened here.
    """
    opened = _OPENED.match(text)
    if opened is None and not begun:
        return text, finished
    closing = _CLOSED.search(text) if opened is None else re.search(re.escape(_closing(opened)), text)
    if closing is not None:
        return text[closing.end() :].lstrip(), finished
    # What ended by itself without any mark was no thought.
    return (text, True) if opened is None and finished else ("", False)


def ends_thoughts_begun_before(text: str) -> bool:
    """Whether a text closes a thought that it does not open: its prompt did."""
    return _OPENED.match(text) is None and _CLOSED.search(text) is not None


def opened_thought(prompt: str) -> str:
    """What closes the thought that a prompt leaves open at its end; empty where it leaves none."""
    found = re.search(rf"(?:<({_NAMES})>|\[(THINK)\])\s*$", prompt)
    return "" if found is None else _closing(found)


def _closing(opened: re.Match[str]) -> str:
    return f"</{opened[1]}>" if opened[1] else "[/THINK]"
