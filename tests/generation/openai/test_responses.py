"""A choice that is no solution never counts as a finished empty one: it was refused, called a tool, or failed."""

import json
from typing import Any

import pytest

from stepward.generation.openai.responses import Answer, ExpectedAnswer, RetryableError, read_answer

CALL = [{"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]
ASKED = ExpectedAnswer(chat=True, count=1, limit=64)


def read(turn: dict[str, Any], *, reason: str | None = "stop", chat: bool = True, **more: Any) -> Answer:
    answer = more.pop("answer", {})
    said = {"message": {"role": "assistant", **turn}} if chat else turn
    body = {"choices": [{"index": 0, "finish_reason": reason, **said, **more}], **answer}
    return read_answer(json.dumps(body).encode(), ExpectedAnswer(chat, 1, 64))


@pytest.mark.parametrize(
    ("turn", "word"),
    [
        ({"content": None, "refusal": "I can't help with that."}, "can't help"),
        ({"content": "", "refusal": "I can't help with that."}, "can't help"),
        ({"content": [{"type": "refusal", "refusal": "I can't help with that."}]}, "can't help"),
        ({"content": None, "refusal": "no " * 999}, "no no"),
        ({"content": None, "tool_calls": CALL}, "tool"),
        ({"content": "Let me add.", "tool_calls": CALL}, "tool"),
        ({"content": None, "function_call": {"name": "add", "arguments": "{}"}}, "tool"),
        ({"content": [{"type": "tool_use", "name": "add", "input": {}}]}, "tool"),
    ],
)
@pytest.mark.parametrize("reason", ["stop", None])
def test_a_refusal_and_a_call_of_a_tool_are_faults(turn: dict[str, Any], word: str, reason: str | None) -> None:
    (one,) = read(turn, reason=reason).choices.values()
    assert (one.text, one.finished) == ("", False)
    assert one.fault.startswith("refused: ") and word in one.fault and len(one.fault) < 300


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_fields_that_say_nothing_change_nothing(nothing: Any) -> None:
    turn = {"content": "2", "refusal": nothing, "tool_calls": nothing, "function_call": nothing}
    (one,) = read(turn, error=nothing, answer={"error": nothing}).choices.values()
    assert (one.text, one.finished, one.fault) == ("2", True, "")
    (empty,) = read({"content": "", "refusal": nothing, "tool_calls": nothing}).choices.values()
    assert (empty.text, empty.finished, empty.fault) == ("", True, "")


def test_a_refusal_beside_a_solution_is_none() -> None:
    (one,) = read({"content": "2", "refusal": "none"}).choices.values()
    assert (one.text, one.finished, one.fault) == ("2", True, "")


THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "The answer is: 2"}]}


@pytest.mark.parametrize("said", ["", "\n", "2"])
@pytest.mark.parametrize("parts", [True, False])
def test_thoughts_given_apart_are_no_empty_solution(said: str, parts: bool) -> None:
    """As with those in tags: a draw of thoughts alone is a cut one, which states no answer."""
    in_parts = {"content": [THINKING, {"type": "text", "text": said}]}
    (one,) = read(in_parts if parts else {"content": said, "reasoning": "The answer is: 2"}).choices.values()
    assert (one.text, one.finished, one.fault) == (said, said == "2", "")


ERROR = {"code": 502, "message": "the provider went away"}


@pytest.mark.parametrize("text", ["", "1 + 1"])
@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"error": ERROR}, "error 502"), ({"error": "oh"}, "error"), ({"error": {"code": "x" * 500}}, "error"),
        ({"answer": {"error": ERROR}}, "error 502"),
    ],
)  # fmt: skip
def test_an_error_within_an_answer_is_asked_again(text: str, chat: bool, more: dict[str, Any], kind: str) -> None:
    with pytest.raises(RetryableError) as failed:
        read({"content" if chat else "text": text}, chat=chat, **more)
    assert failed.value.kind == kind


def test_an_error_in_the_place_of_choices_is_named() -> None:
    with pytest.raises(RetryableError) as failed:
        read_answer(json.dumps({"error": ERROR}).encode(), ASKED)
    assert failed.value.kind == "error 502"
