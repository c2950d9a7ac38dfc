"""Whether a server goes on from a prefix is found out, refused where it doesn't, and said where it can't be told."""

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_server import MODEL, FakeServer, Misbehave, Way, asked_of, good_answer, serving, solved
from raising import refused

from stepward.generation.interface import Prompt, Sampling
from stepward.generation.openai.engine import ServerGenerator
from stepward.generation.prompts import PromptTemplate

SAMPLING = Sampling(max_new_tokens=64)
QUESTIONS = [f"What is {a} + {a + 1} * 3?" for a in range(2, 8)]
PREFIXES = [
    Prompt(f"p{a}/1", question, (f"{a + 1} * 3 = {3 * a + 3}",), 4) for a, question in enumerate(QUESTIONS, start=2)
]
OPENINGS = ("First", "Let us see", "Well", "Now", "Begin", "To start", "Multiply", "Think", "Here", "Look", "Consider")


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with serving() as server:
        yield server


def engine(fake: FakeServer, *, chat: bool = True, **options: Any) -> ServerGenerator:
    return ServerGenerator(
        fake.url, MODEL, None, PromptTemplate(chat=chat), **{"backoff": 0.005, "retries": 1, **options}
    )


def said(fields: dict[str, Any], text: str) -> Way:
    """The same text for every choice."""
    answer = good_answer(fields)
    for choice in answer["choices"]:
        choice["message" if "message" in choice else "text"] = (
            {"role": "assistant", "content": text} if "message" in choice else text
        )
    return answer


def anew(number: int, fields: dict[str, Any]) -> Way:
    """Doesn't see prefixes, and words its first line differently each time."""
    return solved(fields, restarts=True, text=f"{OPENINGS[number % len(OPENINGS)]}: {{}}")


def going_on(number: int, fields: dict[str, Any]) -> Way:
    """Goes on, in words that differ each time."""
    return solved(fields, text=f"{OPENINGS[number % len(OPENINGS)]}: {{}}")


def never_sure(way: Misbehave) -> Misbehave:
    """Takes no temperature of 0."""
    return lambda number, fields: (
        (422, "temperature must be strictly positive") if fields["temperature"] == 0 else way(number, fields)
    )


def able(way: Misbehave, *, sees: bool, goes_on: Callable[..., str] = " {1} {2}.".format) -> Misbehave:
    """A model that repeats words which it sees."""

    def answered(number: int, fields: dict[str, Any]) -> Way:
        question, written = asked_of(fields)
        if "What is" in question:
            return way(number, fields)
        seen = question + (written if sees else "")
        words = re.search(r"words:? (?:are )?(\w+) (\d+) (\w+)\.", seen)
        if words is None:
            return said(fields, "I know of no words.")
        return said(fields, (goes_on if written and sees else "{} {} {}".format)(*words.groups()))

    return answered


def babbling(number: int, fields: dict[str, Any]) -> Way:
    """A weak model that is never sure: something else each time, whatever is asked."""
    return said(fields, f"so {number} it\nis {number * 7} and {number}\nThe answer is: {number}")


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("sure", [True, False])
def test_a_server_that_does_not_see_prefixes_is_refused_however_it_words_its_first_line(
    sure: bool, chat: bool, fake: FakeServer
) -> None:
    way = able(anew, sees=False)
    fake.misbehave = way if sure else never_sure(way)
    with refused("server_incompatible", field="options.probe"):
        engine(fake, chat=chat).complete(PREFIXES, SAMPLING, seed=1)
    assert {fields["n"] for fields in fake.asked} == {1}, "no draw is paid for"


UNSURE: dict[str, Misbehave] = {
    "a weak model that begins anew": anew,
    "a model that is never sure": babbling,
    "one line": lambda _, fields: said(fields, "The answer is: 1"),
    "always the same lines": lambda _, fields: said(fields, "again\nagain\nagain"),
    "nothing": lambda _, fields: said(fields, ""),
    **{
        f"an able model that goes on by {form!r}": able(going_on, sees=True, goes_on=form.format)
        for form in ("", ".", "\nThe answer is: \\boxed{{{2}}}", " {0}, {2}.", " \\text{{{1}}}.", "The last is {2}.")
    },
    "an able model that writes large": able(going_on, sees=True, goes_on=lambda *words: f" Or {words[2].upper()}."),
}


def test_one_problem_begun_again_is_not_all_of_them(fake: FakeServer) -> None:
    """A weak model's, of which nothing else can be told."""

    def way(number: int, fields: dict[str, Any]) -> Way:
        return solved(fields, restarts=True) if "2 + " in asked_of(fields)[0] else babbling(number, fields)

    fake.misbehave = way
    with pytest.warns(UserWarning, match="goes on"):
        engine(fake).complete(PREFIXES, SAMPLING, seed=1)


@pytest.mark.parametrize("way", UNSURE)
def test_what_cannot_be_told_is_said_and_counted_and_not_refused(way: str, fake: FakeServer) -> None:
    fake.misbehave = UNSURE[way]
    generator = engine(fake)
    with pytest.warns(UserWarning, match="goes on"):
        generator.complete(PREFIXES[:3], SAMPLING, seed=1)
    assert generator.meter.untold == 12
    with warnings.catch_warnings(action="error"):  # it is tried, and said, once
        generator.complete(PREFIXES[3:], SAMPLING, seed=1)
    assert generator.meter.untold == 24


SURE: dict[str, Misbehave] = {
    "a weak model": lambda _, fields: solved(fields),
    "a strong one, which is worded differently each time": able(going_on, sees=True),
    "a strong one that takes no temperature of 0": never_sure(able(going_on, sees=True)),
    "one that leaves out the space": lambda _, fields: _stripped(solved(fields)),
    "one that parts thousands": able(going_on, sees=True, goes_on=lambda _, number, word: f" {int(number):,} {word}."),
    "a weak one that takes no temperature of 0": never_sure(lambda _, fields: solved(fields)),
}


def _stripped(way: Way) -> Way:
    assert isinstance(way, dict)
    for choice in way["choices"]:
        choice["message"]["content"] = choice["message"]["content"].strip()
    return way


@pytest.mark.parametrize("way", SURE)
def test_a_server_that_goes_on_is_seen_to_go_on(way: str, fake: FakeServer) -> None:
    fake.misbehave = SURE[way]
    generator = engine(fake)
    with warnings.catch_warnings(action="error"):
        drawn = generator.complete(PREFIXES, SAMPLING, seed=1)
    assert generator.meter.untold == 0
    assert all(one.finished and not one.fault for several in drawn for one in several)


def test_lines_without_spaces_are_cut_between_figures_and_signs(fake: FakeServer) -> None:
    lines = "3*4=12\n12+5=17\n17"

    def going_on(number: int, fields: dict[str, Any]) -> Way:
        written = asked_of(fields)[1]
        return said(fields, lines.removeprefix(written) if lines.startswith(written) else "17")

    fake.misbehave = going_on
    generator = engine(fake)
    generator.complete(PREFIXES, SAMPLING, seed=1)
    assert generator.meter.untold == 0
