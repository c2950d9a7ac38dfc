"""Draws from a server, each once: what is asked, asked again, counted, and set down as a fault."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from stepward.errors import StepwardError
from stepward.generation.options import ServerOptions
from stepward.generation.prompting import Prompting, messages, text
from stepward.generation.protocol import Completion, Meter, Prompt, Sampling, uniforms
from stepward.generation.seeds import draw_seed
from stepward.generation.server_answers import Answer, FailedCall, read_answer
from stepward.generation.server_calls import Calls, RejectedPrompt
from stepward.generation.stop_texts import before_stop

_PROBE = Prompt("probe", "What is 1 plus 1?", (), 1)
_PROBES = 3

Found = TypeVar("Found")


@dataclass(slots=True)
class Asking:
    """How a model on a server is asked.

    Attributes:
        url: The server's address.
        model: The model's name.
        prompting: How a problem is put to it.
        options: How the server is asked.
        meter: What was done so far.
        accepted: Whether it ever answered; before that, a refusal may be due to every request and not to a prompt.
        context: The most tokens of a prompt and its completion, where the server says so.
    """

    url: str
    model: str
    prompting: Prompting
    options: ServerOptions
    meter: Meter
    accepted: bool = False
    context: int | None = None

    @property
    def path(self) -> str:
        """Where completions are asked for."""
        return "/chat/completions" if self.prompting.chat else "/completions"

    def fields(self, prompt: Prompt, sampling: Sampling, seed: int, count: int) -> dict[str, Any]:
        """A request's fields. Those that are null in `extra` are left out, for servers that don't know them."""
        fields: dict[str, Any] = {
            "model": self.model,
            "n": count,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed,
        }
        if sampling.stop:
            fields["stop"] = list(sampling.stop)
        if not self.prompting.chat:
            fields["prompt"] = text(self.prompting, prompt.question, prompt.steps)
        else:
            fields["messages"] = messages(self.prompting, prompt.question, prompt.steps)
            if prompt.steps:
                fields |= {"continue_final_message": True, "add_generation_prompt": False}
        return {name: value for name, value in (fields | self.options.extra).items() if value is not None}

    async def again(self, call: Callable[[], Awaitable[Found]], salt: str) -> Found:
        """Makes a call until it succeeds, waiting longer each time.

        Raises:
            FailedCall: The last try's failure.
        """
        for attempt in range(self.options.retries + 1):
            self.meter.requests += 1
            try:
                return await call()
            except FailedCall as error:
                self.count_error(error.kind)
                if attempt == self.options.retries:
                    raise
                # Spread out, so that calls that failed together don't come back together; the same each run.
                spread = 0.5 + 0.5 * float(uniforms(0, salt, attempt, 1)[0])
                wait = max(self.options.backoff * 2**attempt * spread, error.wait)
            await asyncio.sleep(min(wait, self.options.longest_wait))
        raise AssertionError("the last try returns or raises")

    def count_error(self, kind: str) -> None:
        """Counts a failure."""
        self.meter.errors[kind] = self.meter.errors.get(kind, 0) + 1

    def take(self, answer: Answer) -> None:
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
                "is the same model by another name, say so as options.served_as"
            )
        self.accepted = True


@dataclass(slots=True)
class Draws:
    """The draws of one call of `complete`.

    Attributes:
        asking: How the model is asked.
        calls: The connections.
        sampling: How completions are drawn.
        seed: Where their seeds come from.
    """

    asking: Asking
    calls: Calls
    sampling: Sampling
    seed: int

    async def draw(self, prompt: Prompt, first: int, count: int) -> list[Completion]:
        """Draws `count` completions from number `first` on. Of an answer with too few, the rest is asked for.

        Raises:
            StepwardError: The server can't be reached any more, refuses every request, or has another model.
        """
        found: dict[int, Completion] = {}
        numbers = range(first, first + count)
        fault = ""
        while len(found) < count and not fault:
            start = next(draw for draw in numbers if draw not in found)
            end = next((draw for draw in numbers if draw > start and draw in found), first + count)
            fault = await self._some(prompt, start, end - start, found)
        return [found.get(draw) or Completion("", False, fault=fault) for draw in numbers]

    async def _some(self, prompt: Prompt, start: int, count: int, found: dict[int, Completion]) -> str:
        """Adds at least one draw to those found, or says why there is none."""
        asking = self.asking
        fields = asking.fields(prompt, self.sampling, draw_seed(self.seed, prompt.id, start), count)

        async def call() -> Answer:
            return read_answer(await self.calls.post(asking.path, fields), asking.prompting.chat, count)

        try:
            answer = await asking.again(call, f"{prompt.id}/{start}")
        except RejectedPrompt as error:
            asking.count_error("refused")
            if error.fault != "context" and not asking.accepted:
                await self._probe(prompt, error.fault)
            return error.fault
        except FailedCall as error:
            await self._probe(prompt, error.kind)
            return f"failed: {error.kind}"
        asking.take(answer)
        if asking.context is not None and answer.read + self.sampling.max_new_tokens > asking.context:
            return "context"  # the server wrote what room there was, and did not say that it was less than asked
        if len(answer.choices) < count:
            asking.count_error("too few choices")
        found.update({start + index: self._ended(one) for index, one in answer.choices.items()})
        return ""

    def _ended(self, one: Completion) -> Completion:
        said, stopped = before_stop(one.text, self.sampling.stop)
        return Completion(said, one.finished or stopped, one.tokens, one.fault)

    async def _probe(self, prompt: Prompt, fault: str) -> None:
        """Asks something simple, to tell a prompt's fault from the server's.

        Raises:
            StepwardError: Not even this is answered.
        """
        fields = self.asking.fields(_PROBE, self.sampling, 0, 1)
        failure: Exception | None = None
        for _ in range(_PROBES):
            self.asking.meter.requests += 1
            try:
                body = await self.calls.post(self.asking.path, fields)
                return self.asking.take(read_answer(body, self.asking.prompting.chat, 1))
            except (FailedCall, RejectedPrompt) as error:
                failure = error
        raise StepwardError(
            f"{self.asking.url}: no completion for prompt {prompt.id} ({fault}), nor for a plain question ({failure}); "
            "what was finished is kept: mend it and run again"
        )
