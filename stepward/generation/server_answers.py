"""What an OpenAI-compatible server answers, read strictly: nothing in it is taken on trust."""

import json
import re
from dataclasses import dataclass
from typing import Any

from stepward.generation.protocol import Completion


class FailedCall(Exception):
    """A call that may do better when it is made again.

    Attributes:
        kind: What failed, in a word or two.
        wait: Seconds that the server asks to wait; 0 where it does not.
        unreadable: Whether there was a body that is not what an OpenAI-compatible server sends.
    """

    def __init__(self, kind: str, wait: float = 0.0, *, unreadable: bool = False) -> None:
        super().__init__(kind)
        self.kind = kind
        self.wait = wait
        self.unreadable = unreadable


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


def read_answer(body: bytes, chat: bool, count: int) -> Answer:
    """The answer in a body, of which `count` choices were asked for.

    A choice is finished if the server says that it stopped. One that reached a limit, or of which nothing is said, is
    taken as cut; one that a filter kept back has the fault `filtered`.

    Raises:
        FailedCall: The body is no answer: not UTF-8, not JSON, without choices, or with other things in their place.
    """
    given = read_json(body)
    choices = given.get("choices")
    if not isinstance(choices, list) or not choices:
        raise FailedCall("no choices")
    usage = given.get("usage")
    written = _number(usage, "completion_tokens")
    found: dict[int, Completion] = {}
    for place, choice in enumerate(choices):
        if not isinstance(choice, dict):
            raise FailedCall("not an answer")
        index = choice.get("index", place)
        if isinstance(index, int) and 0 <= index < count:
            found.setdefault(index, _completion(choice, chat))
    if not found:
        raise FailedCall("no choices")
    read = _number(usage, "prompt_tokens")
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    reused = min(read, _number(details, "cached_tokens"))
    model = given.get("model")
    return Answer(_with_tokens(found, written), model if isinstance(model, str) else None, read, reused, written)


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        FailedCall: It is none, or not UTF-8.
    """
    if not body.strip():
        raise FailedCall("empty body", unreadable=True)
    try:
        given = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise FailedCall("not UTF-8", unreadable=True) from None
    except (ValueError, RecursionError):
        raise FailedCall("not JSON", unreadable=True) from None
    if not isinstance(given, dict):
        raise FailedCall("not an answer", unreadable=True)
    return given


_CONTEXT = re.compile(
    r"context.{0,9}(length|window|size)|max_model_len|(prompt|input|sequence) is too long", re.IGNORECASE
)


def is_about_context(words: str) -> bool:
    """Whether a server that refuses a prompt says that it is longer than the context."""
    return bool(_CONTEXT.search(words))


def _completion(choice: dict[str, Any], chat: bool) -> Completion:
    turn = choice.get("message") if chat else choice
    if not isinstance(turn, dict):
        raise FailedCall("not an answer")
    text = turn.get("content" if chat else "text")
    reason = choice.get("finish_reason")
    if text is None and reason is not None:
        text = ""  # some servers say so that a model wrote nothing
    if not isinstance(text, str) or not isinstance(reason, str | None):
        raise FailedCall("not an answer")
    if not text and reason is None:
        raise FailedCall("empty text")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise FailedCall("not UTF-8", unreadable=True) from None
    if reason == "content_filter":
        return Completion("", False, fault="filtered")
    return Completion(text, reason in ("stop", "eos", "end_turn"))


def _number(given: Any, name: str) -> int:
    value = given.get(name) if isinstance(given, dict) else None
    return value if isinstance(value, int) and value > 0 else 0


def _with_tokens(choices: dict[int, Completion], written: int) -> dict[int, Completion]:
    """A server counts the tokens of all choices together; each gets its share by length, and they add up."""
    lengths = {index: len(one.text.encode()) + 1 for index, one in choices.items()}
    total, before, found = sum(lengths.values()), 0, {}
    for index, one in choices.items():
        upto = before + lengths[index]
        tokens = written * upto // total - written * before // total
        found[index] = Completion(one.text, one.finished, tokens, one.fault)
        before = upto
    return found
