"""What is tried of a server before its draws are taken: that it answers at all, and that it goes on from a prefix.

A server that refuses prefixes would fail every completion, and one that doesn't see them would write whole solutions
in their place: labels that say how hard the problem is, and nothing of the step.
"""

from collections.abc import Sequence
from dataclasses import replace

from stepward.errors import StepwardError
from stepward.generation.interface import Prompt, Sampling
from stepward.generation.openai.client import BadRequestError, Calls
from stepward.generation.openai.prefixes import check_prefixes
from stepward.generation.openai.requests import RequestBuilder, is_unknown, untold
from stepward.generation.openai.responses import RetryableError, UnknownFinishReason
from stepward.generation.thoughts import begun_before

_PLAIN = Prompt("probe", "What is 1 plus 1?", (), 1)
_PROBES = 3

_ROOM, _LEAST_ROOM = 4, 2048
"""So many times a draw's tokens, and so many at least, are given to an answer that was cut."""

_LEFT_OUT = ("temperature", "top_p", "seed")
"""Fields that some servers don't take, and that a recipe can leave out."""


async def probe(asking: RequestBuilder, calls: Calls, sampling: Sampling, prompts: Sequence[Prompt]) -> None:
    """Tries a server before its first draws, and again before its first completions of prefixes.

    Raises:
        StepwardError: It does not answer a plain question, refuses prefixes, or does not go on from them.
    """
    if not asking.accepted:
        await _look(asking, calls, sampling)
    prefixes = [prompt for prompt in prompts if prompt.steps]
    if prefixes and asking.continues is None:
        asking.continues = await check_prefixes(asking, calls, sampling, prefixes)


async def check_alive(asking: RequestBuilder, calls: Calls, sampling: Sampling, prompt: Prompt, fault: str) -> None:
    """Asks something simple, to tell a prompt's fault from the server's.

    Raises:
        StepwardError: Not even this is answered.
    """
    failure: Exception | None = None
    for _ in range(_PROBES):
        try:
            await asking.ask(calls, _PLAIN, sampling, 0, 1, retries=0)
            return
        except (RetryableError, BadRequestError) as error:
            failure = error
        except UnknownFinishReason as error:
            raise untold(asking, error) from None
    assert failure is not None, "every try raised"
    raise _no_answer(asking, f"no completion for prompt {prompt.id} ({fault}), nor for a plain question", failure)


async def _look(asking: RequestBuilder, calls: Calls, sampling: Sampling) -> None:
    try:
        answer = await asking.ask(calls, _PLAIN, sampling, 0, 1)
    except (RetryableError, BadRequestError) as error:
        raise _no_answer(asking, "no completion for a plain question", error) from None
    except UnknownFinishReason as error:
        raise untold(asking, error) from None
    asking.thinks = begun_before(answer.choices[0].text, answer.choices[0].finished)


async def find_out_thoughts(asking: RequestBuilder, calls: Calls, sampling: Sampling) -> None:
    """Finds out by a longer answer to a plain question whether the server's answers begin within a thought.

    One that does not end even so is taken for a thought: a cut draw then loses its text, which states no answer; steps
    that are thoughts would be worse.
    """
    room = max(_ROOM * sampling.max_new_tokens, _LEAST_ROOM)
    if asking.context is not None:
        room = max(sampling.max_new_tokens, min(room, asking.context // 2))
    asking.thinks = True
    try:
        answer = await asking.ask(calls, _PLAIN, replace(sampling, max_new_tokens=room), 0, 1)
    except (RetryableError, BadRequestError, UnknownFinishReason):
        return
    asking.thinks = begun_before(answer.choices[0].text, answer.choices[0].finished) is not False


def _no_answer(asking: RequestBuilder, what: str, failure: Exception) -> StepwardError:
    words = str(failure)
    named = next((name for name in _LEFT_OUT if is_unknown(name, words)), None)
    advice = f"leave the field out by options.extra: {{{named}: null}}; " if named else ""
    if words == "context":
        advice = "max_new_tokens leaves no room in its context: lower it; "
    return StepwardError(
        f"{asking.url}: {what} ({words}); {advice}what was finished is kept: mend it and run again",
        code="server_refused" if isinstance(failure, BadRequestError) else "unreachable",
        field=f"options.extra.{named}" if named else None,
    )
