"""The token ids of an answer with its prompt, as Bradley-Terry models are trained and asked: text, or chat messages."""

from typing import Any

from stepward.errors import StepwardError


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
            raise StepwardError(f"prompt is {type(prompt).__name__} and {name} a list: expected messages in both")
        return _chat(tokenizer, [*(prompt or []), *answer], name)
    if not isinstance(answer, str) or not isinstance(prompt, str | None):
        raise StepwardError(
            f"{name} is {type(answer).__name__} and prompt {type(prompt).__name__}: expected text in both, or "
            "lists of messages with role and content"
        )
    if not answer.strip():
        raise StepwardError(f"{name} is empty: expected an answer's text")
    end = tokenizer.eos_token or ""
    text = (prompt or "") + answer
    ids = tokenizer(text if not end or text.endswith(end) else text + end)["input_ids"]
    return list(ids)


def _chat(tokenizer: Any, messages: list[Any], name: str) -> list[int]:
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str) or "role" not in message:
            raise StepwardError(f"{name} holds {message!r:.80}: expected messages with role and content")
    if not messages:
        raise StepwardError(f"{name} has no messages: expected at least one")
    if not getattr(tokenizer, "chat_template", None):
        raise StepwardError(f"{name} is chat, and the tokenizer has no chat template: give it one, or rows of text")
    return list(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"])
