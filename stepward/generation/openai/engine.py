"""An OpenAI-compatible server as an engine: vLLM serve, SGLang, llama.cpp, or a hosted API.

What is promised: every draw is given once or has a fault; no more requests are under way than asked; every request has
a seed that is a function of (seed, prompt id, number of its first draw), so growing K asks for new draws. What is not:
servers batch, and change their models and machines. vLLM serve gives the same draws again but for rounding. A server
that ignores seeds gives others each time: a run that was cut then ends with other draws than one that was not, though
each is still counted once.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from stepward.errors import StepwardError
from stepward.generation.interface import Completion, Prompt, Sampling, Usage
from stepward.generation.openai.client import BadRequestError, FatalServerError, Server
from stepward.generation.openai.probe import probe
from stepward.generation.openai.requests import RequestBuilder
from stepward.generation.openai.responses import RetryableError, listed_models
from stepward.generation.openai.sampling import Draws
from stepward.generation.options import ServerOptions, read_options
from stepward.generation.prompts import PromptTemplate

_OURS = ("model", "prompt", "messages", "n", "stream", "stop", "temperature", "top_p")
"""Fields of a request that `extra` may not change: records would say otherwise than what was drawn."""

_MAY_BE_LEFT_OUT = ("temperature", "top_p")
"""Those among them that some models take no value of. Left out, they are 1, as is said of a request without them."""

_NO_LIST = (404, 405, 501)

Found = TypeVar("Found")


class ServerGenerator:
    """Draws completions from a server.

    Args:
        url: The server's address up to `/v1`.
        model: The model's name there.
        key: The environment variable with the server's key, where it asks for one.
        prompting: How a problem is put to the model. With chat, turns are sent and the server's template is used;
            without, text.
        **options: As `ServerOptions` has them.

    Raises:
        StepwardError: The address, key or an option is wrong, the server can't be reached, or has another model.
    """

    def __init__(
        self, url: str, model: str, key: str | None = None, prompting: PromptTemplate | None = None, **options: Any
    ) -> None:
        read = read_options(ServerOptions, options)
        for field in _OURS:
            if field in read.extra and not (field in _MAY_BE_LEFT_OUT and read.extra[field] is None):
                raise StepwardError(
                    f"options.extra.{field}: expected no field that the recipe itself decides",
                    code="conflict",
                    field=f"options.extra.{field}",
                )
        self.name = model
        self.meter = Usage()
        self._server = Server(url, key, read.concurrency, read.timeout)
        self._asking = RequestBuilder(self._server.url, model, prompting or PromptTemplate(), read, self.meter)
        _finish(self._check_model())

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        """Draws `prompt.count` completions for each prompt, in the order of the prompts.

        A failed call is made again. A prompt that the server refuses, or for which every try fails while the server
        answers others, gets completions with a fault: `context`, `filtered`, `refused: ...` or `failed: ...`. Greedy
        draws (temperature 0) of a prompt are all the same one, which is asked for once.

        A completion's `tokens` are its share, by length, of what the server counts for all choices of a request.

        Raises:
            StepwardError: The server can't be reached any more, refuses the key or every request, or answers with
                another model.
        """
        return _finish(self._complete(prompts, sampling, seed))

    def try_prefixes(self, questions: Sequence[str], sampling: Sampling) -> None:
        """Tries whether the server goes on from prefixes, as the first call of `complete` that has some does.

        Args:
            questions: Some that will be asked.
            sampling: How they will be.

        Raises:
            StepwardError: It refuses prefixes, writes solutions from their beginning again, or does not know words
                that stand in a prefix.
        """

        async def tried() -> None:
            async with self._server.calls() as calls:
                prompts = [Prompt(f"probe {number}", asked, ("",), 1) for number, asked in enumerate(questions)]
                await probe(self._asking, calls, sampling, prompts)

        self._check(sampling)
        if self._asking.options.probe and self._asking.continues is None:
            _finish(tried())

    async def _complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        self._check(sampling)
        most = self._asking.options.choices
        tasks: list[list[asyncio.Task[list[Completion]]]] = []
        async with self._server.calls() as calls:
            draws = Draws(self._asking, calls, sampling, seed)
            if self._asking.options.probe and any(prompt.count for prompt in prompts):
                await probe(self._asking, calls, sampling, [prompt for prompt in prompts if prompt.count])
            try:
                async with asyncio.TaskGroup() as group:
                    for prompt in prompts:
                        count = prompt.count if sampling.temperature else min(1, prompt.count)
                        firsts = range(prompt.first, prompt.first + count, most)
                        sizes = [min(most, firsts.stop - first) for first in firsts]
                        asked = [draws.draw(prompt, first, size) for first, size in zip(firsts, sizes, strict=True)]
                        tasks.append([group.create_task(one) for one in asked])
            except BaseExceptionGroup as several:
                raise several.exceptions[0] from None
        found = [[one for task in of_prompt for one in task.result()] for of_prompt in tasks]
        if not sampling.temperature:
            found = [drawn * prompt.count for drawn, prompt in zip(found, prompts, strict=True)]
        given = [one for drawn in found for one in drawn if not one.fault]
        self.meter.completions += len(given)
        self.meter.generated += sum(one.tokens for one in given)
        if self._asking.continues is False:
            drawn = [one for prompt, of in zip(prompts, found, strict=True) if prompt.steps for one in of]
            self.meter.untold += sum(not one.fault for one in drawn)
        return found

    def _check(self, sampling: Sampling) -> None:
        """Refuses sampling that the server can't be told, before anything is asked."""
        for name in self._asking.left_out():
            if getattr(sampling, name) != 1:
                raise StepwardError(
                    f"{name} is {getattr(sampling, name)}, but options.extra leaves it out of every request: expected "
                    "1, which it then is",
                    code="conflict",
                    field=name,
                )
        context = self._asking.context
        if context is not None and sampling.max_new_tokens >= context:
            raise StepwardError(
                f"{self._server.url}: max_new_tokens is {sampling.max_new_tokens}, and the context of {self.name} "
                f"{context}: expected less, so that a prompt fits too",
                code="too_large",
                field="max_new_tokens",
            )

    async def _check_model(self) -> None:
        """Refuses a server that lists its models and not this one. One that lists none is found out by its answers."""
        url = self._server.url
        async with self._server.calls() as calls:
            try:
                body = await self._asking.retry(lambda: calls.get("/models"), "models")
            except FatalServerError as error:
                if error.status in _NO_LIST:
                    return
                raise
            except (RetryableError, BadRequestError) as error:
                raise StepwardError(
                    f"{url}: {error}; expected an OpenAI-compatible server there",
                    code="server_refused" if isinstance(error, BadRequestError) else "unreachable",
                    field="url",
                ) from None
        listed = listed_models(body)
        names = [str(one.get("id")) for one in listed]
        lengths = [one.get("max_model_len") for one in listed if one.get("id") == self.name]
        self._asking.context = next((length for length in lengths if isinstance(length, int)), None)
        if names and self.name not in names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            raise StepwardError(
                f"{url} has no model {self.name!r}; it has {', '.join(names[:5])}{more}",
                code="unknown_name",
                field="model",
            )


def _finish(work: Coroutine[Any, Any, Found]) -> Found:
    """Runs asynchronous work to its end, also where an event loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
