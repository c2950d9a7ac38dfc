"""Whether a server goes on from a prefix: seen, seen not to, or not to be told.

Three things are looked at, each of which says something where the others don't. A sure model's own solution, cut in the
middle of a line, is gone on with to the letter, however weak the model is; no solution that is begun anew starts there.
One that writes its first line again has not gone on. And words that only the prefix tells are known to an able model if
it sees the prefix, however it words its solutions; that it is able, is told by the same words in a question.
"""

import asyncio
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from stepward.errors import StepwardError
from stepward.generation.interface import Prompt, Sampling
from stepward.generation.openai.client import BadRequestError, Calls
from stepward.generation.openai.requests import CONTINUED, RequestBuilder, untold
from stepward.generation.openai.responses import RetryableError, UnknownFinishReason
from stepward.records import join_steps, split_steps

_BEGUN = Prompt("probe", "What is 1 plus 1?", ("1 plus 1 is 2.",), 1)
_QUESTIONS = 3
"""Solutions that are begun again before it is believed of a server; most of them have to be."""

_WORDS = (("amber", "4827", "lantern"), ("walnut", "6153", "saddle"))
"""Words that can't be guessed."""
_TELLING = "Which words are they?"

_LONGEST_HEAD, _SHORTEST_HEAD = 16, 3
"""Letters by which it is seen that a solution is gone on with; fewer are met by chance."""

Seen = Literal["on", "again", "neither", "blind"]
"""It writes the rest; the first line once more; neither; or nothing by which the first line could be told."""

_KINDS = (str.isspace, str.isdigit, str.isalpha)

_WHAT_WORKS = (
    "complete prefixes by a server that does (vLLM serve, SGLang), or by one with a completions endpoint and "
    "prompt.chat=false"
)


async def check_prefixes(asking: RequestBuilder, calls: Calls, sampling: Sampling, prefixes: Sequence[Prompt]) -> bool:
    """Whether the server is seen to go on from prefixes; where that can't be told, a warning says so.

    Raises:
        StepwardError: It refuses prefixes, or does not go on from them.
    """
    first = {prompt.question: prompt for prompt in reversed(prefixes)}
    tried = [first[question] for question in list(dict.fromkeys(one.question for one in prefixes))[:_QUESTIONS]]
    tries = [_Try(asking, calls, sampling, prompt) for prompt in tried]
    seen = await asyncio.gather(*(one.looked() for one in tries))
    if all(one.refused for one in tries):
        plain = _Try(asking, calls, sampling, _BEGUN)
        await plain.looked()
        if plain.refused:
            raise _refuses(asking, plain.refused)
    again, of = seen.count("again"), len(seen) - seen.count("blind")
    if again and 3 * again >= 2 * of:
        raise _does_not(asking, f"writes the solution from its beginning again ({again} of {of} tries)")
    if "on" in seen:
        return True
    known = await asyncio.gather(*(_knows(asking, calls, sampling, words) for words in _WORDS))
    if not any(one is not False for one in known):
        raise _does_not(asking, "does not know words that stand there, though it knows those of a question")
    if not any(known):
        warnings.warn(
            f"{asking.url}: it can't be told whether it goes on from the steps of a prefix or begins solutions anew, "
            "of which labels would say nothing: look at some completions before you rely on them",
            stacklevel=2,
        )
    return any(known)


async def _knows(asking: RequestBuilder, calls: Calls, sampling: Sampling, words: tuple[str, str, str]) -> bool | None:
    """Whether words of a prefix are gone on with; False where words of a question are known, and none of a prefix's."""
    told = " ".join(words)
    begun = (f"These are the words: {told}.", f"Once more, these are the words: {words[0]}")
    by_prefix = _Try(asking, calls, sampling, replace(_BEGUN, question=_TELLING))
    control = _Try(asking, calls, sampling, replace(_BEGUN, question=f"Repeat these words: {told}."))
    repeated, written = _worded(await control.said(())), _worded(await by_prefix.said(begun, begun=True))
    if re.match(rf"\W*{words[1]}", written):
        return True
    unknown = re.search(r"\w", written) and not any(word in written for word in words)
    return False if unknown and words[1] in repeated else None


class _Try:
    """One question, solved, and gone on with from the middle of its own solution."""

    def __init__(self, asking: RequestBuilder, calls: Calls, sampling: Sampling, prompt: Prompt) -> None:
        self.asking, self.calls, self.prompt = asking, calls, prompt
        self.recipes = self.sampling = sampling
        self.refused = ""
        if not asking.left_out():
            # As sure as it can be, so that what follows half a solution is its other half.
            self.sampling = replace(sampling, temperature=0.0, top_p=1.0)

    async def looked(self) -> Seen:
        """What is seen of it."""
        whole = split_steps(await self.said(()))
        self.refused = ""
        prefix, rest = _halves(whole) or (whole[: max(1, len(whole) // 2)] or _BEGUN.steps, "")
        written = await self.said(prefix, begun=bool(rest))
        head = _flat(rest)[:_LONGEST_HEAD]
        chance = len(head) < _SHORTEST_HEAD or any(_flat(line).startswith(head) for line in whole)
        if not chance and _flat(written).startswith(head):
            return "on"
        lines = [_plain(line) for line in whole]
        if len(lines) < 2 or lines[0] in lines[1:] or not written.strip():
            return "blind"
        return "again" if lines[0] in [_plain(line) for line in split_steps(written)[:2]] else "neither"

    async def said(self, steps: tuple[str, ...], begun: bool = False) -> str:
        """What it writes after steps, of which the last may be only begun; empty where nothing comes."""
        prompt = replace(self.prompt, steps=steps)
        try:
            answer = await self.asking.ask(self.calls, prompt, self.sampling, 0, 1, begun=begun)
        except BadRequestError as error:
            if self.sampling is not self.recipes:  # some servers take no temperature of 0
                self.sampling = self.recipes
                return await self.said(steps, begun)
            self.refused = "" if error.fault == "context" else error.fault
            return ""
        except RetryableError:
            return ""
        except UnknownFinishReason as error:
            raise untold(self.asking, error) from None
        return self.asking.settled(answer.choices[0], prompt, self.sampling).text


def _halves(lines: Sequence[str]) -> tuple[tuple[str, ...], str] | None:
    """Steps of which the last is cut in its middle, and the text after it; None where no line but the first can be.

    A line is cut before a space, or else between figures, letters and signs: where tokenizers cut too, so that the rest
    is as likely as it was.
    """
    for number in range(max(1, len(lines) // 2), len(lines)):
        line = lines[number]
        places = [at for at in range(1, len(line)) if not line[at - 1].isspace()]
        between = [at for at in places if line[at].isspace()]
        between = between or [at for at in places if _kind(line[at - 1]) != _kind(line[at])]
        if between:
            at = min(between, key=lambda place: abs(2 * place - len(line)))
            rest = join_steps([line[at:], *lines[number + 1 :]])
            return (*lines[:number], line[:at]), rest
    return None


def _kind(sign: str) -> int:
    return next((kind for kind, test in enumerate(_KINDS) if test(sign)), len(_KINDS))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _worded(text: str) -> str:
    """A text in small letters, its thousands not parted."""
    return re.sub(r"(?<=\d),(?=\d{3})", "", text).casefold()


def _plain(line: str) -> str:
    """A line by its words alone."""
    return _flat(line.casefold().strip("*#->\u2022 "))


def _refuses(asking: RequestBuilder, words: str) -> StepwardError:
    return StepwardError(
        f"{asking.url}: it refuses to go on from the steps of a prefix ({words}); {_WHAT_WORKS}. If it goes on from an "
        f"assistant's turn by itself, leave out {' and '.join(CONTINUED)} by options.extra (null)",
        code="server_incompatible",
        field="prompt.chat" if asking.prompting.chat else None,
    )


def _does_not(asking: RequestBuilder, what: str) -> StepwardError:
    return StepwardError(
        f"{asking.url}: it does not go on from the steps of a prefix but {what}: labels would say nothing of a step; "
        f"{_WHAT_WORKS}. If this is wrong, options.probe=false tries nothing",
        code="server_incompatible",
        field="options.probe",
    )
