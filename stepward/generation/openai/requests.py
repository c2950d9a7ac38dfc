"""How a model on a server is asked: the fields of a request, asking again, and what is learned of the server."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from stepward.errors import StepwardError
from stepward.generation.interface import Completion, Prompt, Sampling, Usage, truncate_at_stop, uniforms
from stepward.generation.openai.client import BadRequestError, Calls
from stepward.generation.openai.responses import (
    Answer,
    ExpectedAnswer,
    RetryableError,
    UnknownFinishReason,
    read_answer,
)
from stepward.generation.options import ServerOptions
from stepward.generation.prompts import PromptTemplate, messages, text
from stepward.generation.thoughts import without_thoughts
from stepward.records import STEP_SEPARATOR

CONTINUED: dict[str, bool] = {"continue_final_message": True, "add_generation_prompt": False}
"""What asks a chat server to go on from the last turn: vLLM and SGLang know it."""

_UNKNOWN = re.compile(r"un(supported|recognized|known|expected)|not (supported|permitted|allowed)|deprecated", re.I)

Found = TypeVar("Found")


@dataclass(slots=True)
class RequestBuilder:
    """How a model on a server is asked.

    Attributes:
        url: The server's address.
        model: The model's name.
        prompting: How a problem is put to it.
        options: How the server is asked.
        meter: What was done so far.
        accepted: Whether it ever answered; before that, a refusal may be due to every request and not to a prompt.
        several: Whether it ever gave several choices; None where that is not known, False where it refuses to.
        continues: Whether it was seen to go on from a prefix; None before that was tried.
        thinks: Whether its template opens a thought, so that an answer begins within one; None where its answer to a
            plain question was cut before that could be seen. No draw decides it, or what one comes to would depend on
            which came first.
        limit: The field that bounds a completion's tokens.
        context: The most tokens of a prompt and its completion, where the server says so.
    """

    url: str
    model: str
    prompting: PromptTemplate
    options: ServerOptions
    meter: Usage
    accepted: bool = False
    several: bool | None = None
    continues: bool | None = None
    thinks: bool | None = None
    limit: str = "max_tokens"
    context: int | None = None

    @property
    def path(self) -> str:
        """Where completions are asked for."""
        return "/chat/completions" if self.prompting.chat else "/completions"

    def left_out(self) -> tuple[str, ...]:
        """Which of temperature and top_p no request has, so that the server draws by its own."""
        return tuple(name for name in ("temperature", "top_p") if self.options.extra.get(name, 0) is None)

    def fields(self, prompt: Prompt, sampling: Sampling, seed: int, count: int, begun: bool = False) -> dict[str, Any]:
        """A request's fields. Those that are null in `extra` are left out, for servers that don't know them."""
        end = STEP_SEPARATOR if begun else ""
        fields: dict[str, Any] = {
            "model": self.model,
            "n": count,
            self.limit: sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed,
        }
        if sampling.stop:
            fields["stop"] = list(sampling.stop)
        if not self.prompting.chat:
            fields["prompt"] = text(self.prompting, prompt.question, prompt.steps).removesuffix(end)
        else:
            fields["messages"] = messages(self.prompting, prompt.question, prompt.steps)
            if prompt.steps:
                fields |= CONTINUED
                fields["messages"][-1]["content"] = fields["messages"][-1]["content"].removesuffix(end)
        return {name: value for name, value in (fields | self.options.extra).items() if value is not None}

    async def ask(
        self, calls: Calls, prompt: Prompt, sampling: Sampling, seed: int, count: int,
        retries: int | None = None, begun: bool = False,
    ) -> Answer:  # fmt: skip
        """Asks for choices of one prompt, again and again where a call fails.

        Args:
            calls: The connections.
            prompt: The prompt; its own count is not looked at.
            sampling: How choices are drawn.
            seed: The request's seed.
            count: How many choices.
            retries: As in the options, if not given.
            begun: Whether the prompt's last step is only begun, so that the choice goes on within its line.

        Raises:
            RetryableError: The last try's failure.
            BadRequestError: The server refuses the request for what is in it.
            Untold: How a choice ended can't be known.
            StepwardError: The server refuses every request, or another model answers.
        """
        sent = self.limit

        async def call() -> Answer:
            fields = self.fields(prompt, sampling, seed, count, begun)
            limit = fields.get("max_completion_tokens", fields.get("max_tokens", sampling.max_new_tokens))
            asked = ExpectedAnswer(self.prompting.chat, count, limit, self.options.finish_reasons)
            return read_answer(await calls.post(self.path, fields), asked)

        salt = f"{prompt.id}/{prompt.first}"
        try:
            answer = await self.retry(call, salt, retries)
        except BadRequestError as error:
            if sent != "max_tokens" or not _wants_other_limit(error.fault):
                raise
            self.limit = "max_completion_tokens"
            answer = await self.retry(call, salt, retries)
        self._record_usage(answer)
        return answer

    async def retry(self, call: Callable[[], Awaitable[Found]], salt: str, retries: int | None = None) -> Found:
        """Makes a call until it succeeds, waiting longer each time.

        Raises:
            RetryableError: The last try's failure.
        """
        last = self.options.retries if retries is None else retries
        for attempt in range(last + 1):
            self.meter.requests += 1
            try:
                return await call()
            except RetryableError as error:
                self.count_error(error.kind)
                if attempt == last:
                    raise
                # Spread out, so that calls that failed together don't come back together; the same each run.
                spread = 0.5 + 0.5 * float(uniforms(0, salt, attempt, 1)[0])
                wait = max(self.options.backoff * 2**attempt * spread, error.wait)
            await asyncio.sleep(min(wait, self.options.longest_wait))
        raise AssertionError("the last try returns or raises")

    def settled(self, one: Completion, prompt: Prompt, sampling: Sampling) -> Completion:
        """A choice without its thoughts, ending before the first stop text."""
        said, finished = without_thoughts(one.text, one.finished, bool(self.thinks) and not prompt.steps)
        said, stopped = truncate_at_stop(said, sampling.stop)
        return replace(one, text=said, finished=finished or stopped)

    def may_be_thought(self, one: Completion, prompt: Prompt) -> bool:
        """Whether what a choice comes to depends on the server's template, of which it is not known if it thinks."""
        unknown = self.thinks is None and self.prompting.chat and not prompt.steps
        ways = {without_thoughts(one.text, one.finished, begun) for begun in (True, False)} if unknown else ()
        return len(ways) > 1

    def count_error(self, kind: str) -> None:
        """Counts a failure."""
        self.meter.errors[kind] = self.meter.errors.get(kind, 0) + 1

    def _record_usage(self, answer: Answer) -> None:
        """Counts what an answer cost.

        Raises:
            StepwardError: Another model wrote it.
        """
        self.meter.prefilled += answer.read - answer.reused
        self.meter.reused += answer.reused
        self.meter.cost += (answer.read * self.options.price_in + answer.written * self.options.price_out) / 1e6
        expected = self.options.served_as or self.model
        if answer.model is not None and answer.model != expected:
            raise StepwardError(
                f"{self.url} answers with model {answer.model!r}, not {expected!r}: its draws are not taken; if it "
                "is the same model by another name, say so as options.served_as",
                code="mismatch",
                field="options.served_as",
            )
        self.accepted = True


def untold(asking: RequestBuilder, error: UnknownFinishReason) -> StepwardError:
    """The refusal of a server that doesn't say how its completions end, in words that can be known."""
    if error.word is None:
        said = "its answers have no finish_reason, and their usage does not say how many tokens were written"
        mend = "a cut draw can't be told from a whole one: use a server that says it"
    else:
        said = f"its answers end by the finish_reason {error.word[:60]!r}, which is unknown"
        mend = f"say what it means by options.finish_reasons: {{{error.word[:60]}: stop}}, or length, or filtered"
    return StepwardError(f"{asking.url}: {said}; {mend}", code="server_incompatible", field="options.finish_reasons")


def is_unknown(field: str, words: str) -> bool:
    """Whether a refusal says that the model takes no such field."""
    return re.search(rf"\b{field}\b", words) is not None and _UNKNOWN.search(words) is not None


def _wants_other_limit(words: str) -> bool:
    """Whether a refusal asks for `max_completion_tokens`, as OpenAI's thinking models do."""
    return "max_completion_tokens" in words or is_unknown("max_tokens", words)
