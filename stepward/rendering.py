"""The one rendering: a question and steps become token ids and the positions that are scored.

Generation, training, scoring and export all call it, so that a separator can't be present in one and lacking in
another. Each segment is tokenised apart: no token straddles a step's end, and solutions that share a prefix of steps
share its ids exactly, which is what lets a reward model read that prefix once
(stepward.reward_models.packing.prefix_tree).
"""

import ctypes
import resource
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from stepward.errors import StepwardError
from stepward.template_guard import TooMuch, guard_templates

_REMEMBERED = 1 << 17
"""Texts whose ids are kept, at most."""


TEMPLATE_SIZE = 1 << 20
"""Characters of a chat template, and of what it adds to messages, at most."""

TEMPLATE_SECONDS = 10.0
"""How long a chat template may run; those in use take a thousandth of a second."""

TEMPLATE_MEMORY = 1 << 30
"""Bytes by which the process may grow meanwhile."""


class Tokenizer(Protocol):
    """What a rendering needs of a tokenizer; those of transformers have it."""

    @property
    def bos_token_id(self) -> int | None:
        """The id that opens a sequence; None where the tokenizer has none."""

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool) -> list[int]:
        """The ids of a text; the names of special tokens in it are plain text where these are split."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What stands between a question and its steps; saved beside a reward model, which is only valid with it.

    Attributes:
        question_separator: Text after the question.
        step_separator: Text between two steps.
        step_token: Text after each step, whose last token is scored: a special token's name, or any text. Empty: the
            step's own last token is scored.
    """

    question_separator: str = "\n"
    step_separator: str = "\n"
    step_token: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A solution's token ids and where its steps are in them.

    Attributes:
        ids: `[token]`: opening id, question, separator, then the steps with separators between them.
        starts: `[step]`: index in `ids` of a step's first token.
        ends: `[step]`: index in `ids` of the token that is scored: the last of a step, or of its step token.
    """

    ids: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]


class Renderer:
    """Renders with one tokenizer and one set of separators, remembering the ids of segments it has seen."""

    def __init__(self, tokenizer: Tokenizer, rendering: Rendering | None = None) -> None:
        """Takes the tokenizer to render with; without a rendering, both separators are a line end.

        Raises:
            StepwardError: The step token has no tokens.
        """
        self.rendering = rendering or Rendering()
        self._opening = () if tokenizer.bos_token_id is None else (tokenizer.bos_token_id,)

        self._tokenizer = tokenizer
        self._known: dict[str, tuple[int, ...]] = {}
        own = (self.rendering.question_separator, self.rendering.step_separator, self.rendering.step_token)
        # A rendering's own texts may be special tokens.
        self._after_question, self._between, self._mark = (
            tuple(tokenizer.encode(text, add_special_tokens=False, split_special_tokens=False)) if text else ()
            for text in own
        )
        if self.rendering.step_token and not self._mark:
            raise StepwardError(
                f"the step token {self.rendering.step_token!r} has no tokens: expected one at least",
                code="unsupported",
                field="step_token",
            )

    def remember(self, texts: Sequence[str]) -> None:
        """Encodes many texts at once, which a fast tokenizer does in a fraction of the time."""
        new = [text for text in texts if text not in self._known]
        if len(self._known) + len(new) > _REMEMBERED:
            self._known.clear()
            new = list(texts)
        if new and callable(self._tokenizer):
            found = self._tokenizer(new, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            self._known.update(zip(new, map(tuple, found), strict=True))

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what it remembers, so that equal renderers have equal pickles."""
        return {**self.__dict__, "_known": {}}

    def _encode(self, text: str) -> tuple[int, ...]:
        """The ids of a text. A question that names a special token does not hold that token."""
        ids = self._known.get(text)
        if ids is None:
            ids = tuple(self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[text] = ids
        return ids

    def prompt(self, question: str) -> list[int]:
        """The ids that a whole solution continues: the question and its separator.

        Raises:
            StepwardError: The question is empty or has no tokens.
        """
        if not isinstance(question, str):
            raise StepwardError(
                f"the question is {type(question).__name__}: expected its text", code="wrong_type", field="question"
            )
        ids = self._encode(question)
        if not question.strip() or not ids:
            raise StepwardError(
                f"the question {question!r} has no text to render: expected a question", code="empty", field="question"
            )
        return [*self._opening, *ids, *self._after_question]

    def prefix(self, question: str, steps: Sequence[str]) -> list[int]:
        """The ids from which a generator writes the step after `steps`; they end with a separator.

        Raises:
            StepwardError: The question or a step is empty or has no tokens.
        """
        _check_steps(steps)
        ids = self.prompt(question)
        for index in range(len(steps)):
            ids += self._step(steps, index)
            ids += self._mark
            ids += self._between
        return ids

    def solution(self, question: str, steps: Sequence[str]) -> Rendered:
        """The ids of a solution, or of a prefix of one, with the positions of its steps.

        Raises:
            StepwardError: There is no step, or the question or a step is empty or has no tokens.
        """
        _check_steps(steps)
        if not steps:
            raise StepwardError(
                f"a solution of the question {question[:80]!r} has no steps: expected at least one",
                code="empty",
                field="steps",
            )
        ids = self.prompt(question)
        starts, ends = [], []
        for index in range(len(steps)):
            if index:
                ids += self._between
            starts.append(len(ids))
            ids += self._step(steps, index)
            ids += self._mark
            ends.append(len(ids) - 1)
        return Rendered(tuple(ids), tuple(starts), tuple(ends))

    def _step(self, steps: Sequence[str], index: int) -> tuple[int, ...]:
        if not isinstance(steps[index], str):
            raise StepwardError(
                f"step {index + 1} of {len(steps)} is {type(steps[index]).__name__}: expected its text",
                code="wrong_type",
                field="steps",
            )
        ids = self._encode(steps[index])
        if not steps[index].strip() or not ids:
            raise StepwardError(
                f"step {index + 1} of {len(steps)} is {steps[index]!r}, which has no text to score: "
                "expected steps as stepward.records.split_steps gives them",
                code="empty",
                field="steps",
            )
        return ids


def _check_steps(steps: Sequence[str]) -> None:
    """Refuses a text, which is a sequence too: each of its characters would be a step."""
    if isinstance(steps, str):
        raise StepwardError(
            f"steps is one text ({steps[:40]!r}): expected a list of steps, as stepward.records.split_steps gives them",
            code="wrong_type",
            field="steps",
        )


def apply_template(tokenizer: Any, messages: Sequence[Mapping[str, str]], **options: Any) -> str:
    """The text that a tokenizer's chat template makes of messages. A template is a stranger's program: it is bounded.

    Args:
        tokenizer: With a chat template.
        messages: Each with `role` and `content`.
        options: Of transformers' `apply_chat_template`.

    Raises:
        StepwardError: There is no template, it can't write the messages, or it takes too much.
    """
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        raise StepwardError(
            "messages are given, and the tokenizer has no chat template: give it one, or give text",
            code="missing",
            field="chat_template",
        )
    if len(str(template)) > TEMPLATE_SIZE:
        raise _too_large(f"has {len(str(template)):,} characters, more than {TEMPLATE_SIZE:,}")
    try:
        guard_templates()
        with _bounded():
            text = str(tokenizer.apply_chat_template(messages, tokenize=False, **options))
    except (TooMuch, MemoryError) as error:
        limits = f"{TEMPLATE_SECONDS:g} s or {TEMPLATE_MEMORY >> 20:,} MiB of memory"
        raise _too_large(f"asks for {error}" if str(error) else f"takes more than {limits}") from None
    except Exception as error:  # a template may raise anything
        raise StepwardError(
            f"the tokenizer's chat template can't write the messages ({error})",
            code="unsupported",
            field="chat_template",
        ) from error
    if len(text) > TEMPLATE_SIZE + 4 * sum(len(str(message.get("content"))) for message in messages):
        raise _too_large(f"makes {len(text):,} characters of so few")
    return text


def _too_large(what: str) -> StepwardError:
    return StepwardError(
        f"the tokenizer's chat template {what}: it is no template of a model to be used", code="too_large",
        field="chat_template",
    )  # fmt: skip


@contextmanager
def _bounded() -> Iterator[None]:
    """Stops what this thread does in the block when it takes more time or memory than a template may."""
    caller, over, lock = threading.get_ident(), threading.Event(), threading.Lock()

    def watch() -> None:
        end, most = time.monotonic() + TEMPLATE_SECONDS, _peak() + TEMPLATE_MEMORY
        while not over.wait(0.05):
            if time.monotonic() > end or _peak() > most:
                with lock:
                    if not over.is_set():
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(caller), ctypes.py_object(TooMuch))
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        with lock:
            over.set()


def _peak() -> int:
    """The most bytes of memory that the process has had; Linux counts them in KiB, macOS one by one."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
