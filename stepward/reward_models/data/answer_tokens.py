"""How a prompt and its answer become one sequence for a Bradley-Terry model, in training and in scoring alike.

Rows are text, dialogues written as one text in the way of hh-rlhf, or chat messages. A reward means something for the
way its model's rows were written, and for no other: that way is told from the rows, saved with the model, and taken
again whenever the model is asked.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Literal

from stepward.errors import StepwardError
from stepward.formats.base import UnsupportedRecord
from stepward.formats.chat import ASSISTANT, USER
from stepward.formats.preferences.hh_rlhf import STARTS, dialogue
from stepward.records import Message
from stepward.rendering import apply_template

Form = Literal["solution", "text", "answer", "dialogue", "chat"]
"""How a question and its answer are one sequence, where that is not steps rendered one by one:

- `solution`: the answer's text in one piece after its question, rendered as steps are (outcome models);
- `text`: a prompt's text and an answer's, joined;
- `answer`: texts that hold their prompt;
- `dialogue`: texts that mark their turns, as hh-rlhf does;
- `chat`: messages, by the tokenizer's chat template.
"""

_LOOKED_AT = 100
"""Rows from which the form is told."""


def form_of(prompt: Any, answer: Any) -> Form:
    """The form of one answer as a row gives it."""
    if isinstance(answer, list):
        return "chat"
    if str(prompt or answer).startswith(STARTS):
        return "dialogue"
    return "text" if prompt else "answer"


def form_of_rows(rows: Any) -> tuple[Form | None, str]:
    """The form of the first rows, and the white space between prompt and answer that all of them have.

    Args:
        rows: Preferences; of those that are tokenised already nothing can be told.
    """
    if not isinstance(rows, Iterable):
        return None, ""
    first = [row for row in islice(rows, _LOOKED_AT) if isinstance(row, Mapping) and "chosen_ids" not in row]
    forms = [form_of(row.get("prompt"), row.get("chosen")) for row in first]
    form = next(iter(forms), None)
    if form == "answer" and "text" in forms:
        form = "text"  # a row without a prompt among those that have one
    if form != "text":
        return form, ""
    answers = [(row.get("prompt"), row.get(side)) for row in first for side in ("chosen", "rejected")]
    gaps = {_gap(prompt, answer) for prompt, answer in answers if isinstance(answer, str)}
    return form, gaps.pop() if len(gaps) == 1 else ""


def as_trained(prompt: Any, answer: Any, form: Form | None, gap: str) -> tuple[Any, Any]:
    """A prompt and an answer, whichever way they are given, as a model's rows had them.

    Args:
        prompt: Text, messages, or None.
        answer: Text or messages.
        form: The rows'.
        gap: What stood between prompt and answer in rows of `text`; not added where there is white space already.

    Raises:
        StepwardError: They can't be brought into that form; says why.
    """
    if form is None:
        raise StepwardError(
            "this model was trained on token ids: how text becomes these is not known. Write form (text, dialogue or "
            "chat) into its stepward_reward_model.json",
            code="missing",
            field="form",
        )
    if form in ("chat", "dialogue"):
        return _as_turns(prompt, answer, form)
    if isinstance(answer, list) or isinstance(prompt, list):
        raise StepwardError(
            "this model was trained on plain texts, and is asked about messages: give prompt and answer as text",
            code="mismatch",
            field="prompt" if isinstance(prompt, list) else "answer",
        )
    if form == "answer" and prompt:
        raise StepwardError(
            "this model was trained on texts that hold their prompt: how the two are joined is not known; give None as "
            "the prompt, and the whole text",
            code="mismatch",
            field="prompt",
        )
    apart = isinstance(prompt, str) and isinstance(answer, str) and prompt and not _gap(prompt, answer)
    return (prompt + gap if apart else prompt), answer


def _as_turns(prompt: Any, answer: Any, form: Form) -> tuple[Any, Any]:
    """Text as turns of user and assistant, and turns as they are written in the form."""
    if isinstance(answer, str):
        if form == "dialogue" and str(prompt or answer).startswith(STARTS):
            return prompt, answer
        if not prompt or not isinstance(prompt, str):
            raise StepwardError(
                "this model was trained on dialogues: give the prompt's text beside the answer's, or messages",
                code="missing",
                field="prompt",
            )
        prompt, answer = [{"role": USER, "content": prompt}], [{"role": ASSISTANT, "content": answer}]
    if form == "chat":
        return prompt, answer
    if prompt is not None and not isinstance(prompt, list):
        raise _kinds(prompt, answer, "answer")
    said = [*(prompt or []), *answer]
    _check(said, "answer")
    try:
        return None, dialogue(tuple(Message(one["role"], one["content"]) for one in said))
    except UnsupportedRecord as error:
        raise StepwardError(f"as this model was trained: {error}", code="not_writable", field="answer") from None


def _gap(prompt: Any, answer: str) -> str:
    """The white space where prompt and answer meet."""
    before = prompt if isinstance(prompt, str) else ""
    return before[len(before.rstrip()) :] + answer[: len(answer) - len(answer.lstrip())]


def answer_tokens(tokenizer: Any, prompt: Any, answer: Any, name: str = "answer") -> list[int]:
    """The ids of a whole answer.

    Text is prompt and answer joined as they are, with the tokenizer's special tokens and its end; chat is what the
    tokenizer's template makes of prompt and answer.

    Args:
        tokenizer: With a chat template, for chat.
        prompt: Text, or messages with `role` and `content`; None for none.
        answer: Of the same kind.
        name: What the answer is called in messages.

    Raises:
        StepwardError: The two are of different kinds, the answer is empty, or there is no template.
    """
    if isinstance(answer, list):
        if prompt is not None and not isinstance(prompt, list):
            raise _kinds(prompt, answer, name)
        messages = [*(prompt or []), *answer]
        _check(messages, name)
        return list(tokenizer(apply_template(tokenizer, messages), add_special_tokens=False)["input_ids"])
    if not isinstance(answer, str) or not isinstance(prompt, str | None):
        raise _kinds(prompt, answer, name)
    if not answer.strip():
        raise StepwardError(f"{name} is empty: expected an answer's text", code="empty", field=name)
    end = tokenizer.eos_token or ""
    text = (prompt or "") + answer
    ids = tokenizer(text if not end or text.endswith(end) else text + end)["input_ids"]
    return list(ids)


def _kinds(prompt: Any, answer: Any, name: str) -> StepwardError:
    return StepwardError(
        f"{name} is {type(answer).__name__} and prompt {type(prompt).__name__}: expected text in both, or lists of "
        "messages with role and content",
        code="wrong_type",
        field=name,
    )


def _check(messages: list[Any], name: str) -> None:
    for message in messages:
        if not isinstance(message, dict) or not all(isinstance(message.get(key), str) for key in ("role", "content")):
            raise StepwardError(
                f"{name} holds {message!r:.80}: expected messages with role and content", code="wrong_type", field=name
            )
    if not messages:
        raise StepwardError(f"{name} has no messages: expected at least one", code="empty", field=name)
