"""Draws from a server, each once: what came, what is asked for again, and what is set down as a fault."""

import asyncio
from dataclasses import dataclass, field

from stepward.generation.interface import Completion, Prompt, Sampling, draw_seed
from stepward.generation.openai.client import BadRequestError, Calls, FatalServerError
from stepward.generation.openai.probe import check_alive, find_out_thoughts
from stepward.generation.openai.requests import RequestBuilder, untold
from stepward.generation.openai.responses import RetryableError, UnknownFinishReason

_FOR_ALL = (401, 402)
"""What a server says of every request. By 403 a moderated one may also mean a single prompt."""


@dataclass(slots=True)
class Draws:
    """The draws of one call of `complete`.

    Attributes:
        asking: How the model is asked.
        calls: The connections.
        sampling: How completions are drawn.
        seed: Where their seeds come from.
        finding_out: Held by who finds out what a cut draw is.
    """

    asking: RequestBuilder
    calls: Calls
    sampling: Sampling
    seed: int
    finding_out: asyncio.Lock = field(default_factory=asyncio.Lock)

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
            fault = await self._some(prompt, start, 1 if self.asking.several is False else end - start, found)
        return [found.get(draw) or Completion("", False, fault=fault) for draw in numbers]

    async def _some(self, prompt: Prompt, start: int, count: int, found: dict[int, Completion]) -> str:
        """Adds draws to those found, or says why there are none; adds none and says nothing to be asked for one."""
        asking = self.asking
        try:
            answer = await asking.ask(self.calls, prompt, self.sampling, draw_seed(self.seed, prompt.id, start), count)
        except UnknownFinishReason as error:
            if count == 1 or not error.mended_by_one:
                raise untold(asking, error) from None
            asking.several = False
            return ""
        except BadRequestError as error:
            asking.count_error("refused")
            return await self._rejected(prompt, start, count, found, error.fault)
        except FatalServerError as error:
            if not asking.accepted or error.status in _FOR_ALL:
                raise
            await check_alive(asking, self.calls, self.sampling, prompt, str(error))
            return f"refused: {error.words or error.status}"
        except RetryableError as error:
            await check_alive(asking, self.calls, self.sampling, prompt, error.kind)
            return f"failed: {error.kind}"
        if asking.context is not None and answer.read + self.sampling.max_new_tokens > asking.context:
            return "context"  # the server wrote what room there was, and did not say that it was less than asked
        if len(answer.choices) < count:
            asking.count_error("too few choices")
        elif count > 1:
            asking.several = True
        async with self.finding_out:
            if any(asking.may_be_thought(one, prompt) for one in answer.choices.values()):
                await find_out_thoughts(asking, self.calls, self.sampling)
        found.update(
            {start + index: asking.settled(one, prompt, self.sampling) for index, one in answer.choices.items()}
        )
        return ""

    async def _rejected(self, prompt: Prompt, start: int, count: int, found: dict[int, Completion], fault: str) -> str:
        """Finds out whose fault a refusal is: that of several choices at once, of the prompt, or of every request."""
        asking = self.asking
        if count > 1 and not asking.several and fault != "context":
            if fault_of_one := await self._some(prompt, start, 1, found):
                return fault_of_one
            asking.several = False
            return ""
        if not asking.accepted:
            await check_alive(asking, self.calls, self.sampling, prompt, fault)
        return fault
