"""How reward models from the hub are asked: a question and steps become token ids and the positions that are read.

Each way is what the model's card or its authors' code does, id for id (docs/scorers.md names the source of each). Two
things are done more carefully. Where a score is read is known from where a step was put, never from finding a tag, a
sign or an offset from the end, which is right for one chat template only. And a text that holds the name of a special
token must not hold the token: one space is put after its first character. Where a tag is an ordinary word (`ки`), a
text that holds it is refused, since no spelling of it is plain.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from stepward.errors import Code, StepwardError
from stepward.records import join_steps
from stepward.rendering import Rendered, Renderer, Rendering, apply_template

QWEN_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
"""The system message of Qwen2.5-Math-PRM's model card."""

# Llama 3.1's template says this date where none is given; that of 3.2 would say today's, and scores would change daily.
_DATE = "26 Jul 2024"

# A private character, in no text, that shows where a template puts a sign.
_HERE = "\ue0b5"


class PromptFormat(Protocol):
    """Renders one question and the steps of one solution."""

    def __call__(self, question: str, steps: Sequence[str]) -> Rendered:
        """The ids, and as `ends` the positions whose states are read: one a step, or one in all."""


class _WholeText:
    """What the ways that encode one text at a time have in common."""

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.is_fast:
            raise _unfit(
                "tokenizer",
                f"{type(tokenizer).__name__} doesn't say which characters a token stands for: expected a fast "
                "tokenizer (tokenizer.json in the model's folder)",
            )
        self._tokenizer = tokenizer
        special = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
        self._names = sorted({*special, *tokenizer.all_special_tokens} - {""}, key=len, reverse=True)

    def _plain(self, text: str) -> str:
        """The text, in which names of special tokens are not read as these."""
        for name in self._names:
            if name in text:
                text = text.replace(name, f"{name[0]} {name[1:]}")
        return text

    def _encode(self, text: str, special: bool) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of a text and the characters that each stands for."""
        found = self._tokenizer(text, add_special_tokens=special, return_offsets_mapping=True)
        return list(found["input_ids"]), list(found["offset_mapping"])

    def _template(self, messages: list[dict[str, str]]) -> str:
        """The text that the tokenizer's chat template makes of messages."""
        return apply_template(self._tokenizer, messages, date_string=_DATE)


def _at(offsets: Sequence[tuple[int, int]], character: int, after: int) -> int:
    """The last token that stands for a character, looked for from a token on; -1 where none does."""
    found = -1
    for index in range(after, len(offsets)):
        start, end = offsets[index]
        if start <= character < end:
            found = index
        elif start > character:
            break
    return found


class MathShepherdFormat(_WholeText):
    """Math-Shepherd: one text, `QUESTION STEP ки`, a line end, `STEP ки`; the state at each tag is read.

    Args:
        tokenizer: The model's.
        between: What follows a tag where another step follows: a line end, or nothing (ER-PRM).
        tag: The tag, with one space before it.
    """

    def __init__(self, tokenizer: Any, between: str = "\n", tag: str = "ки") -> None:
        super().__init__(tokenizer)
        self._between, self._tag = between, tag

    def __call__(self, question: str, steps: Sequence[str]) -> Rendered:
        """As `Asking`."""
        text, tags = self._plain(question) + " ", []
        for index, step in enumerate(steps):
            text += f"{self._between if index else ''}{self._plain(step)} {self._tag}"
            tags.append(len(text) - 1)
        ids, offsets = self._encode(text, special=True)
        ends: list[int] = []
        for place in tags:
            ends.append(_at(offsets, place, ends[-1] + 1 if ends else 0))
        found = {ids[end] for end in ends}
        if -1 in ends or len(found) != 1 or sum(id_ in found for id_ in ids) != len(steps):
            raise StepwardError(
                f"the step tag {self._tag!r} stands in the question or a step itself, or is no token of its own there: "
                "the model would read it as the end of a step; take it out",
                code="conflict",
                field="steps",
            )
        return Rendered(tuple(ids), (), tuple(ends))


class RLHFlowFormat(_WholeText):
    """RLHFlow: each step is a user's turn, each answered by `+`; the state before each `+` is read.

    One reading of the whole conversation gives what the authors' code reads off one conversation a step, since all
    that a step's score may depend on stands before it.

    Args:
        tokenizer: The model's, with its chat template.
        whole: Whether the whole solution is one turn, as the outcome reward models take it.

    Attributes:
        signs: The ids of `-` and `+` as an assistant's turn.
    """

    def __init__(self, tokenizer: Any, whole: bool = False) -> None:
        super().__init__(tokenizer)
        _need_template(tokenizer)
        self._whole = whole
        wrong, right = (self._lay_out(["0"], sign) for sign in "-+")
        self.signs = (wrong[0][wrong[1][0]], right[0][right[1][0]])
        if self.signs[0] == self.signs[1] or tokenizer.unk_token_id in self.signs:
            raise _unfit("tokenizer", "the tokenizer doesn't tell the assistant's + from -: is it the model's own?")

    def __call__(self, question: str, steps: Sequence[str]) -> Rendered:
        """As `Asking`."""
        said = [join_steps(list(steps))] if self._whole else [step.strip() for step in steps]
        said[0] = f"{question} {said[0]}"
        if any(_HERE in text for text in said):
            raise StepwardError(
                f"the question or a step holds the private character {_HERE!r}: take it out",
                code="conflict",
                field="steps",
            )
        ids, signs = self._lay_out(said, "+")
        if any(ids[sign] != self.signs[1] for sign in signs):
            raise _unfit("tokenizer", "the tokenizer joins the assistant's + with what stands beside it")
        return Rendered(tuple(ids), (), tuple(sign - 1 for sign in signs))

    def _lay_out(self, said: Sequence[str], sign: str) -> tuple[list[int], list[int]]:
        """A conversation's ids, and where in them the assistant's signs are."""
        shown = self._template(self._turns(said, _HERE))
        parts = shown.split(_HERE)
        text = sign.join(parts)
        if len(parts) != len(said) + 1 or text != self._template(self._turns(said, sign)):
            raise _unfit(
                "chat_template", "the chat template doesn't write the assistant's turns as they are: it can't be used"
            )
        ids, offsets = self._encode(text, special=False)
        signs: list[int] = []
        place = -1
        for part in parts[:-1]:
            place += len(part) + 1
            found = _at(offsets, place, signs[-1] + 1 if signs else 0)
            # A space before the sign may be in its token; nothing else may.
            if (
                found < 1
                or offsets[found][0] < place - 1
                or text[offsets[found][0] : offsets[found][1]].strip() != sign
            ):
                raise _unfit("tokenizer", f"the assistant's {sign} is no token of its own in this chat template")
            signs.append(found)
        return ids, signs

    def _turns(self, said: Sequence[str], sign: str) -> list[dict[str, str]]:
        return [
            {"role": role, "content": content}
            for text in said
            for role, content in (("user", self._plain(text)), ("assistant", sign))
        ]


class QwenPRMFormat(_WholeText):
    """Qwen2.5-Math-PRM: a chat whose answer has `<extra_0>` after each step; the state at each is read."""

    def __init__(self, tokenizer: Any, separator: str = "<extra_0>") -> None:
        super().__init__(tokenizer)
        _need_template(tokenizer)
        ids = tokenizer.encode(separator, add_special_tokens=False)
        if len(ids) != 1:
            raise _unfit(
                "tokenizer", f"{separator} is {len(ids)} tokens to this tokenizer: is it this model's own?", "mismatch"
            )
        self._separator, self._id = separator, ids[0]
        self._names = sorted({*self._names, separator}, key=len, reverse=True)

    def __call__(self, question: str, steps: Sequence[str]) -> Rendered:
        """As `Asking`."""
        answer = "".join(self._plain(step) + self._separator for step in steps)
        messages = [
            {"role": "system", "content": QWEN_SYSTEM},
            {"role": "user", "content": self._plain(question)},
            {"role": "assistant", "content": answer},
        ]
        ids, _ = self._encode(self._template(messages), special=True)
        ends = tuple(index for index, id_ in enumerate(ids) if id_ == self._id)
        if len(ends) != len(steps):
            raise _unfit(
                "chat_template", f"{len(ends)} tokens {self._separator} for {len(steps)} steps: the template changes it"
            )
        return Rendered(tuple(ids), (), ends)


class SkyworkFormat(_WholeText):
    """Skywork-o1-Open-PRM: the opening token, the question and a line end, then each step and a line end's token.

    The state at a step's line end is read. A step of several lines is read line by line, as the authors' code would,
    and scored at the end of its last.
    """

    def __init__(self, tokenizer: Any) -> None:
        super().__init__(tokenizer)
        if tokenizer.bos_token is None:
            raise _unfit(
                "bos_token", "the tokenizer has no bos_token, with which this model's sequences open", "missing"
            )
        self._end = tokenizer.encode("\n", add_special_tokens=False)[-1]

    def __call__(self, question: str, steps: Sequence[str]) -> Rendered:
        """As `Asking`."""
        opening = f"{self._tokenizer.bos_token}{self._plain(question)}\n"
        ids, ends = self._encode(opening, special=True)[0], []
        for step in steps:
            for line in step.strip("\n").split("\n"):
                ids += [*self._tokenizer.encode(self._plain(line), add_special_tokens=False), self._end]
            ends.append(len(ids) - 1)
        return Rendered(tuple(ids), (), tuple(ends))


class TRLFormat:
    """TRL's PRMTrainer: question and steps encoded apart, the separator after each step, whose last token is read."""

    def __init__(self, tokenizer: Any, separator: str = "\n") -> None:
        self._renderer = Renderer(tokenizer, Rendering("", "", separator))

    def __call__(self, question: str, steps: Sequence[str]) -> Rendered:
        """As `Asking`."""
        return self._renderer.solution(question, steps)


class ChatFormat(_WholeText):
    """A sequence classifier: question and answer as a chat; the state at its last token that is no padding is read.

    Args:
        tokenizer: The model's, with its chat template.
        pad: The model's own padding id; transformers reads the last token that is another, also where padding is what
            ends a text.
    """

    def __init__(self, tokenizer: Any, pad: int | None) -> None:
        super().__init__(tokenizer)
        _need_template(tokenizer)
        self._pad = pad

    def __call__(self, question: str, steps: Sequence[str]) -> Rendered:
        """As `Asking`."""
        said = (("user", question), ("assistant", join_steps(list(steps))))
        ids, _ = self._encode(self._template([{"role": r, "content": self._plain(text)} for r, text in said]), False)
        last = max((index for index, id_ in enumerate(ids) if id_ != self._pad), default=len(ids) - 1)
        return Rendered(tuple(ids), (), (last,))


def plus_minus_ids(tokenizer: Any) -> tuple[int, int]:
    """The ids of `-` and `+` after a space within a text, where a tag stands in a model's own data.

    Alone, a sign may be another token: to Mistral's tokenizer `+` is 648 in a text, and 28806 alone where the
    tokenizer puts no space before a text.

    Raises:
        StepwardError: The tokenizer has no such tokens.
    """
    wrong, right = (tokenizer.encode(f"0 {sign}", add_special_tokens=False)[-1] for sign in "-+")
    if wrong == right or tokenizer.unk_token_id in (wrong, right):
        raise _unfit("tokenizer", "the tokenizer doesn't tell + from -: is it the model's own?")
    return int(wrong), int(right)


def _need_template(tokenizer: Any) -> None:
    if not getattr(tokenizer, "chat_template", None):
        raise _unfit(
            "chat_template",
            "the tokenizer has no chat template, with which this model is asked: is it its own?",
            "missing",
        )


def _unfit(part: str, message: str, code: Code = "unsupported") -> StepwardError:
    return StepwardError(message, code=code, field=part)
