"""The one rendering: a question and steps become token ids and the positions that are scored.

Generation, training, scoring and export all call it, so that a separator can't be present in one and lacking in
another. Each segment is tokenised apart: no token straddles a step's end, and solutions that share a prefix of steps
share its ids exactly, which is what lets a reward model read that prefix once (stepward.rewards.packing).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stepward.errors import StepwardError

_REMEMBERED = 1 << 17
"""Texts whose ids are kept, at most."""


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
            raise StepwardError(f"the step token {self.rendering.step_token!r} has no tokens: expected one at least")

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
        ids = self._encode(question)
        if not question.strip() or not ids:
            raise StepwardError(f"the question {question!r} has no text to render: expected a question")
        return [*self._opening, *ids, *self._after_question]

    def prefix(self, question: str, steps: Sequence[str]) -> list[int]:
        """The ids from which a generator writes the step after `steps`; they end with a separator.

        Raises:
            StepwardError: The question or a step is empty or has no tokens.
        """
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
        if not steps:
            raise StepwardError(f"a solution of the question {question[:80]!r} has no steps: expected at least one")
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
        ids = self._encode(steps[index])
        if not steps[index].strip() or not ids:
            raise StepwardError(
                f"step {index + 1} of {len(steps)} is {steps[index]!r}, which has no text to score: "
                "expected steps as stepward.steps.split gives them"
            )
        return ids
