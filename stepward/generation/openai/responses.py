"""What an OpenAI-compatible server answers, read strictly: nothing in it is taken on trust."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stepward.generation.interface import Completion
from stepward.generation.openai.finish_reasons import Ending, ending_of


class RetryableError(Exception):
    """A call that may do better when it is made again.

    Attributes:
        kind: What failed, in a word or two.
        wait: Seconds that the server asks to wait; 0 where it does not.
    """

    def __init__(self, kind: str, wait: float = 0.0) -> None:
        super().__init__(kind)
        self.kind = kind
        self.wait = wait


class UnknownFinishReason(Exception):
    """An answer does not say how its completions ended, and neither do its counts.

    Attributes:
        word: The `finish_reason` that nobody knows; None where there is none.
        mended_by_one: Whether an answer with one choice would say it.
    """

    def __init__(self, word: str | None, mended_by_one: bool = False) -> None:
        super().__init__(word)
        self.word = word
        self.mended_by_one = mended_by_one


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """What an answer is read against.

    Attributes:
        chat: Whether turns were sent.
        count: Choices asked for.
        limit: The most tokens of a choice.
        words: What the user says that a `finish_reason` means.
    """

    chat: bool
    count: int
    limit: int
    words: Mapping[str, Ending] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer to one request.

    Attributes:
        choices: Completions by their index, as many as came.
        model: The model that wrote them; None where the server doesn't say.
        read: Tokens of the prompt.
        reused: Those among them that the server had read before.
        written: Tokens of all choices; 0 where the server doesn't count.
    """

    choices: dict[int, Completion]
    model: str | None
    read: int
    reused: int
    written: int


def read_answer(body: bytes, asked: ExpectedAnswer) -> Answer:
    """The answer in a body.

    A choice is finished if the server says that the model ended, and cut if it says that a limit did; one that a
    filter kept back has the fault `filtered`, and one that calls a tool, or refuses, `refused: ...`, whatever its end
    is called. Where the server says nothing, fewer tokens than the limit mean that the model ended.

    Raises:
        RetryableError: The body is no answer: not UTF-8, not JSON, without choices, with an error, or with other things
            in their place.
        Untold: How a choice ended can't be known.
    """
    given = read_json(body)
    _check_error(given)
    choices = given.get("choices")
    if not isinstance(choices, list) or not choices:
        raise RetryableError("no choices")
    if not all(isinstance(choice, dict) for choice in choices):
        raise RetryableError("not an answer")
    usage = given.get("usage")
    written = _number(usage, "completion_tokens")
    indices = [choice.get("index", place) for place, choice in enumerate(choices)]
    if indices == [0] * len(choices):
        indices = list(range(len(choices)))  # some servers number no choice
    found: dict[int, Completion] = {}
    lengths: dict[int, int] = {}
    for index, choice in zip(indices, choices, strict=True):
        if isinstance(index, int) and 0 <= index < asked.count and index not in found:
            found[index], lengths[index] = _completion(choice, asked, written, len(choices))
    if not found:
        raise RetryableError("no choices")
    read = _number(usage, "prompt_tokens")
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    reused = min(read, _number(details, "cached_tokens"))
    model = given.get("model")
    shared = _with_tokens(found, lengths, written)
    return Answer(shared, model if isinstance(model, str) else None, read, reused, written)


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        RetryableError: It is none, or not UTF-8.
    """
    if not body.strip():
        raise RetryableError("empty body")
    try:
        given = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise RetryableError("not UTF-8") from None
    except (ValueError, RecursionError):
        raise RetryableError("not JSON") from None
    if not isinstance(given, dict):
        raise RetryableError("not an answer")
    return given


def listed_models(body: bytes) -> list[dict[str, Any]]:
    """The models of a server's list; none where it is no list that can be read."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return []
    models = given.get("data") if isinstance(given, dict) else given
    return [one for one in models if isinstance(one, dict)] if isinstance(models, list) else []


_CONTEXT = re.compile(
    r"context.{0,9}(length|window|size)|max_model_len|(prompt|input|sequence) is too long|exceeds?.{0,30}context"
    r"|(input|prompt|sequence).{0,40}(length|tokens).{0,60}(exceed|must be <|must have less|longer than|too long)"
    r"|maximum (model|input|sequence) length|too many (input |prompt )?tokens",
    re.IGNORECASE,
)


def is_about_context(words: str) -> bool:
    """Whether a server that refuses a prompt says that it is longer than the context."""
    return bool(_CONTEXT.search(words))


_OF_A_TEXT = ("text", "output_text")
_THOUGHTS = ("reasoning_content", "reasoning")
_OF_A_THOUGHT = ("thinking", "reasoning")
_CALLS = ("tool_calls", "function_call")
_OF_A_CALL = ("tool_use", "tool_call", "function_call")
_CALLED = "refused: the model called a tool and wrote no solution"
_LONGEST_REFUSAL = 200


def _completion(choice: dict[str, Any], asked: ExpectedAnswer, written: int, choices: int) -> tuple[Completion, int]:
    """What a choice says, and its length with its thoughts'. Thoughts that are given apart are no part of it."""
    _check_error(choice)
    turn = choice.get("message") if asked.chat else choice
    if not isinstance(turn, dict):
        raise RetryableError("not an answer")
    if fault := _refused(turn):
        return Completion("", False, fault=fault), 0
    text = _text(turn.get("content" if asked.chat else "text"))
    reason = choice.get("finish_reason")
    thoughts = [turn[name] for name in _THOUGHTS if isinstance(turn.get(name), str)]
    if text is None and (reason is not None or any(thoughts)):
        text = ""  # the model wrote nothing, or its thoughts alone
    if text is None or not isinstance(reason, str | None):
        raise RetryableError("not an answer")
    if not text and not any(thoughts) and reason is None:
        raise RetryableError("empty text")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise RetryableError("not UTF-8") from None
    length = len(text.encode()) + sum(len(one) for one in thoughts)
    ending = _by_counts(asked, written, choices) if reason is None else ending_of(reason, asked.words)
    if ending is None:
        raise UnknownFinishReason(reason)
    if ending == "again":
        raise RetryableError(f"ended by {reason}")
    if ending in ("filtered", "tool"):
        return Completion("", False, fault="filtered" if ending == "filtered" else _CALLED), length
    only_thoughts = not text.strip() and (any(thoughts) or _thinks_in_parts(turn.get("content")))
    return Completion(text, ending == "stop" and not only_thoughts), length


def _check_error(given: dict[str, Any]) -> None:
    """Refuses what failed on its way, though the server answered, as those say that ask others.

    Raises:
        RetryableError: There is an error.
    """
    error = given.get("error")
    if error:
        code = error.get("code") if isinstance(error, dict) else None
        raise RetryableError(f"error {code}" if isinstance(code, int) else "error")


def _refused(turn: dict[str, Any]) -> str:
    """The fault of a turn that has no solution since the model refuses to, or calls a tool; empty for another."""
    content = turn.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    if any(turn.get(name) for name in _CALLS) or any(part.get("type") in _OF_A_CALL for part in parts):
        return _CALLED
    said = [turn.get("refusal"), *(part.get("refusal") for part in parts)]
    words = " ".join(" ".join(one for one in said if isinstance(one, str)).split())
    return f"refused: {words[:_LONGEST_REFUSAL]}" if words and not _text(content) else ""


def _text(content: Any) -> str | None:
    """The text of a turn, which may come in parts, thoughts apart; None where there is none."""
    if not isinstance(content, list):
        if not isinstance(content, str | None):
            raise RetryableError("not an answer")
        return content
    parts = [part for part in content if isinstance(part, dict) and part.get("type", "text") in _OF_A_TEXT]
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _thinks_in_parts(content: Any) -> bool:
    parts = content if isinstance(content, list) else []
    return any(isinstance(part, dict) and part.get("type") in _OF_A_THOUGHT for part in parts)


def _by_counts(asked: ExpectedAnswer, written: int, choices: int) -> Ending:
    """How a choice ended of which the server doesn't say it."""
    if 0 < written < asked.limit:
        return "stop"  # not even all choices together have reached the limit
    if written and choices == 1:
        return "length"
    raise UnknownFinishReason(None, mended_by_one=written > 0)


def _number(given: Any, name: str) -> int:
    value = given.get(name) if isinstance(given, dict) else None
    return value if isinstance(value, int) and value > 0 else 0


def _with_tokens(choices: dict[int, Completion], lengths: dict[int, int], written: int) -> dict[int, Completion]:
    """A server counts the tokens of all choices together; each gets its share by length, and they add up."""
    total, before, found = sum(lengths.values()) + len(lengths), 0, {}
    for index, one in choices.items():
        upto = before + lengths[index] + 1
        tokens = written * upto // total - written * before // total
        found[index] = replace(one, tokens=tokens)
        before = upto
    return found
