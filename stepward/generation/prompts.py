"""How a problem is put to a model: plainly, with worked examples, or as chat.

The same layout is made twice: as token ids for engines that have the model's tokenizer, and as text or turns for
servers, which tokenise for themselves. In ids, each segment is tokenised apart, as `stepward.rendering` does, and what
a problem says can't become a special token. A server is only told the text, so there it can.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepward.errors import StepwardError
from stepward.generation.thoughts import opened_thought
from stepward.records import STEP_SEPARATOR, join_steps, split_steps
from stepward.rendering import Renderer, Rendering, apply_template

BETWEEN_BLOCKS = "\n"
"""Without chat, a blank line stands between what the system says, the examples and the question."""

_TOLD = {"enable_thinking": False, "date_string": "26 Jul 2024"}
"""What chat templates that ask are told: solutions are steps and not thoughts, and a prompt is the same every day."""


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """What stands around a question.

    Attributes:
        chat: Whether the chat template is used.
        system: What the system turn says, or, without chat, what stands before everything.
        examples: Worked problems shown first, as (question, solution with a step a line).
        question: The text that a question stands in, at `{question}`.
    """

    chat: bool = False
    system: str = ""
    examples: tuple[tuple[str, str], ...] = ()
    question: str = "{question}"

    def format_question(self, question: str) -> str:
        """A question in the text that it stands in.

        Raises:
            StepwardError: The question has no text.
        """
        if not question.strip():
            raise StepwardError(
                f"the question {question!r} has no text to render: expected a question", code="empty", field="question"
            )
        return self.question.replace("{question}", question)

    def format_examples(self) -> list[tuple[str, tuple[str, ...]]]:
        """The examples as (question in its text, steps).

        Raises:
            StepwardError: One has no question or no steps.
        """
        found = []
        for number, (question, solution) in enumerate(self.examples, 1):
            written = split_steps(solution)
            if not written or not question.strip():
                raise StepwardError(
                    f"example {number} of the prompt has no {'solution' if question.strip() else 'question'}: "
                    "expected a question, and its solution with a step a line",
                    code="empty",
                    row=number,
                    field=f"prompt.examples.{'solution' if question.strip() else 'question'}",
                )
            found.append((self.format_question(question), written))
        return found


class PromptBuilder:
    """Token ids from which a model goes on.

    Args:
        tokenizer: The model's.
        prompting: What stands around a question.

    Raises:
        StepwardError: Chat is asked for and the tokenizer has no chat template, or one that can't show every turn.
    """

    def __init__(self, tokenizer: Any, prompting: PromptTemplate | None = None) -> None:
        self.prompting = prompting or PromptTemplate()
        opening = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        if self.prompting.chat:
            # A chat template writes the opening id itself, where there is to be one.
            before, after = _by_template(tokenizer, self.prompting)
            self._before = _ids(tokenizer, before)
        else:
            before, after = _plainly(self.prompting), STEP_SEPARATOR
            self._before = [*opening, *_ids(tokenizer, before)]
        self._replaced = len(opening)
        self._renderer = Renderer(tokenizer, Rendering(question_separator=after))

    def ids(self, question: str, steps: Sequence[str]) -> list[int]:
        """The ids of a question and the steps already written, after which the next step begins.

        Those of a prefix begin with those of every shorter prefix, so that what they share can be read once.

        Raises:
            StepwardError: The question or a step is empty or has no tokens.
        """
        return self._before + self._renderer.prefix(self.prompting.format_question(question), steps)[self._replaced :]


def text(prompting: PromptTemplate, question: str, steps: Sequence[str]) -> str:
    """The text after which the next step begins, for a server that is given text.

    Raises:
        StepwardError: The question or an example is empty.
    """
    before = "".join(segment for segment, _ in _plainly(prompting))
    return before + prompting.format_question(question) + STEP_SEPARATOR + _lines(steps)


def messages(prompting: PromptTemplate, question: str, steps: Sequence[str]) -> list[dict[str, str]]:
    """The turns after which the next step begins; with steps, the last one is the assistant's, to be continued.

    Raises:
        StepwardError: The question or an example is empty.
    """
    found = [{"role": role, "content": content} for role, content in _turns(prompting)]
    found.append({"role": "user", "content": prompting.format_question(question)})
    if steps:
        found.append({"role": "assistant", "content": _lines(steps)})
    return found


Segment = tuple[str, bool]
"""A text, and whether special tokens that it names are meant: a template's are, a problem's are not."""


def _ids(tokenizer: Any, segments: Sequence[Segment]) -> list[int]:
    found: list[int] = []
    for segment, special in segments:
        found += tokenizer.encode(segment, add_special_tokens=False, split_special_tokens=not special)
    return found


def _lines(steps: Sequence[str]) -> str:
    return "".join(step + STEP_SEPARATOR for step in steps)


def _turns(prompting: PromptTemplate) -> list[tuple[str, str]]:
    """Who says what before the question is asked."""
    found = [("system", prompting.system)] if prompting.system else []
    for question, written in prompting.format_examples():
        found += [("user", question), ("assistant", join_steps(written))]
    return found


def _plainly(prompting: PromptTemplate) -> list[Segment]:
    """What stands before the question without chat."""
    separator = STEP_SEPARATOR
    texts = [prompting.system, separator, BETWEEN_BLOCKS] if prompting.system else []
    for question, written in prompting.format_examples():
        texts += [question, separator]
        for step in written:
            texts += [step, separator]
        texts.append(BETWEEN_BLOCKS)
    return [(text, False) for text in texts]


def _by_template(tokenizer: Any, prompting: PromptTemplate) -> tuple[list[Segment], str]:
    """What a chat template writes before the question, and after it.

    The template is given a mark for each turn, and the turns take the marks' places in what it makes of them. So a
    template can't take a turn's own text for something else, nor change it.
    """
    name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
    if not getattr(tokenizer, "chat_template", None):
        raise StepwardError(
            f"{name}: its tokenizer has no chat template, as those of base models have none: "
            "set prompt.chat to false, or name an instruct model",
            code="unsupported",
            field="prompt.chat",
        )
    turns = [*_turns(prompting), ("user", "")]
    marks = [f"stepwardturn{number}mark" for number in range(len(turns))]
    marked = [{"role": role, "content": mark} for (role, _), mark in zip(turns, marks, strict=True)]
    try:
        written = apply_template(tokenizer, marked, add_generation_prompt=True, **_TOLD)
    except StepwardError as error:
        raise StepwardError(
            f"{name}: its chat template does not take these turns ({', '.join(role for role, _ in turns)}): {error}; "
            "leave out prompt.system or prompt.examples",
            code=error.code,
            field="chat_template",
        ) from error
    places = [written.find(mark) for mark in marks]
    for mark, (role, _) in zip(marks, turns, strict=True):
        if written.count(mark) != 1 or places != sorted(places):
            raise StepwardError(
                f"{name}: its chat template shows the {role} turn {written.count(mark)} times, or turns out of order; "
                "expected each once: leave out prompt.system or prompt.examples",
                code="unsupported",
                field="chat_template",
            )
    segments: list[Segment] = []
    for mark, (_, content) in zip(marks, turns, strict=True):
        before, _, written = written.partition(mark)
        segments += [(before, True), (content, False)]
    closing = opened_thought(written)
    return segments[:-1], f"{written}\n{closing}\n\n" if closing else written
