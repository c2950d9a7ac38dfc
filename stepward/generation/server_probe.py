"""What is tried of a server before its draws are taken: that it answers at all, and that it goes on from a prefix.

A server that refuses prefixes would fail every completion, and one that doesn't see them would write whole solutions
in their place: labels that say how hard the problem is, and nothing of the step.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from stepward import steps as solution_steps
from stepward.errors import StepwardError
from stepward.generation.protocol import Prompt, Sampling
from stepward.generation.server_answers import FailedCall, Untold
from stepward.generation.server_asking import CONTINUED, Asking, is_unknown
from stepward.generation.server_calls import Calls, RejectedPrompt
from stepward.generation.thoughts import ends_thoughts_begun_before

_PLAIN = Prompt("probe", "What is 1 plus 1?", (), 1)
_PLAIN_PREFIX = replace(_PLAIN, steps=("1 plus 1 is 2.",))
_PROBES = 3
_QUESTIONS = 3
"""Solutions that are begun again before it is believed of a server; most of them have to be."""

_LEFT_OUT = ("temperature", "top_p", "seed")
"""Fields that some servers don't take, and that a recipe can leave out."""

_WHAT_WORKS = (
    "complete prefixes by a server that does (vLLM serve, SGLang), or by one with a completions endpoint and "
    "prompt.chat=false"
)


async def probe(asking: Asking, calls: Calls, sampling: Sampling, prompts: Sequence[Prompt]) -> None:
    """Tries a server before its first draws, and again before its first completions of prefixes.

    Raises:
        StepwardError: It does not answer a plain question, refuses prefixes, or does not go on from them.
    """
    if not asking.accepted:
        await _look(asking, calls, sampling)
    prefixes = [prompt for prompt in prompts if prompt.steps]
    if prefixes and not asking.continues:
        await _check_prefixes(asking, calls, sampling, prefixes)
        asking.continues = True


async def check_alive(asking: Asking, calls: Calls, sampling: Sampling, prompt: Prompt, fault: str) -> None:
    """Asks something simple, to tell a prompt's fault from the server's.

    Raises:
        StepwardError: Not even this is answered.
    """
    failure: Exception | None = None
    for _ in range(_PROBES):
        try:
            await asking.ask(calls, _PLAIN, sampling, 0, 1, retries=0)
            return
        except (FailedCall, RejectedPrompt) as error:
            failure = error
        except Untold as error:
            raise untold(asking, error) from None
    assert failure is not None, "every try raised"
    raise _no_answer(asking, f"no completion for prompt {prompt.id} ({fault}), nor for a plain question", failure)


def untold(asking: Asking, error: Untold) -> StepwardError:
    """The refusal of a server that doesn't say how its completions end, in words that can be known."""
    if error.word is None:
        said = "its answers have no finish_reason, and their usage does not say how many tokens were written"
        mend = "a cut draw can't be told from a whole one: use a server that says it"
    else:
        said = f"its answers end by the finish_reason {error.word[:60]!r}, which is unknown"
        mend = f"say what it means by options.finish_reasons: {{{error.word[:60]}: stop}}, or length, or filtered"
    return StepwardError(f"{asking.url}: {said}; {mend}", code="server_incompatible", field="options.finish_reasons")


async def _look(asking: Asking, calls: Calls, sampling: Sampling) -> None:
    try:
        answer = await asking.ask(calls, _PLAIN, sampling, 0, 1)
    except (FailedCall, RejectedPrompt) as error:
        raise _no_answer(asking, "no completion for a plain question", error) from None
    except Untold as error:
        raise untold(asking, error) from None
    asking.thinks = any(ends_thoughts_begun_before(one.text) for one in answer.choices.values())


def _no_answer(asking: Asking, what: str, failure: Exception) -> StepwardError:
    words = str(failure)
    named = next((name for name in _LEFT_OUT if is_unknown(name, words)), None)
    advice = f"leave the field out by options.extra: {{{named}: null}}; " if named else ""
    if words == "context":
        advice = "max_new_tokens leaves no room in its context: lower it; "
    return StepwardError(
        f"{asking.url}: {what} ({words}); {advice}what was finished is kept: mend it and run again",
        code="server_refused" if isinstance(failure, RejectedPrompt) else "unreachable",
        field=f"options.extra.{named}" if named else None,
    )


async def _check_prefixes(asking: Asking, calls: Calls, sampling: Sampling, prefixes: Sequence[Prompt]) -> None:
    first = {prompt.question: prompt for prompt in reversed(prefixes)}
    tried = [first[question] for question in list(dict.fromkeys(one.question for one in prefixes))[:_QUESTIONS]]
    tries = [_Try(asking, calls, sampling, prompt) for prompt in tried]
    begun = await asyncio.gather(*(one.begins_again() for one in tries))
    refusals = [one.refused for one in tries if one.refused]
    if len(refusals) == len(tries):
        plain = _Try(asking, calls, sampling, _PLAIN_PREFIX)
        await plain.begins_again()
        if plain.refused:
            raise StepwardError(
                f"{asking.url}: it refuses to go on from the steps of a prefix ({plain.refused}); {_WHAT_WORKS}. If it "
                f"goes on from an assistant's turn by itself, leave out {' and '.join(CONTINUED)} by options.extra "
                "(null)",
                code="server_incompatible",
                field="prompt.chat" if asking.prompting.chat else None,
            )
    told = [one for one in begun if one is not None]
    if told and 3 * sum(told) >= 2 * len(told):
        raise StepwardError(
            f"{asking.url}: it does not go on from the steps of a prefix but writes the solution from its beginning "
            f"again ({sum(told)} of {len(told)} tries): labels would say nothing of a step; {_WHAT_WORKS}. If this is "
            "wrong, options.probe=false tries nothing",
            code="server_incompatible",
            field="options.probe",
        )


class _Try:
    """One question, solved, and solved again from the middle of its own solution."""

    def __init__(self, asking: Asking, calls: Calls, sampling: Sampling, prompt: Prompt) -> None:
        self.asking, self.calls, self.sampling, self.prompt = asking, calls, sampling, prompt
        self.refused = ""

    async def begins_again(self) -> bool | None:
        """Whether it writes the first line once more; None where that can't be told."""
        recipes = self.sampling
        if not self.asking.left_out():
            # As sure as it can be, so that what follows half a solution is its other half.
            self.sampling = replace(recipes, temperature=0.0, top_p=1.0)
        whole = await self._lines(())
        if self.refused:  # some servers take no temperature of 0
            self.sampling, self.refused = recipes, ""
            whole = await self._lines(())
        self.refused = ""
        rest = await self._lines(whole[: max(1, len(whole) // 2)] or _PLAIN_PREFIX.steps)
        lines = [_plain(line) for line in whole]
        if not rest or len(lines) < 2 or lines[0] in lines[1:]:
            return None
        return lines[0] in [_plain(line) for line in rest[:2]]

    async def _lines(self, steps: tuple[str, ...]) -> tuple[str, ...]:
        prompt = replace(self.prompt, steps=steps)
        try:
            answer = await self.asking.ask(self.calls, prompt, self.sampling, 0, 1)
        except RejectedPrompt as error:
            self.refused = "" if error.fault == "context" else error.fault
            return ()
        except FailedCall:
            return ()
        except Untold as error:
            raise untold(self.asking, error) from None
        return solution_steps.split(self.asking.settled(answer.choices[0], prompt, self.sampling).text)


def _plain(line: str) -> str:
    """A line by its words alone."""
    return " ".join(line.casefold().strip("*#->\u2022 ").split())
