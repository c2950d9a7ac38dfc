"""What a server writes within a thought that its template opened is no solution, whichever draw comes first."""

from collections.abc import Iterator
from typing import Any

import pytest
from fake_server import MODEL, FakeServer, Way, asked_of, good_answer, serving

from stepward.generation.interface import Prompt, Sampling
from stepward.generation.openai.engine import ServerGenerator
from stepward.generation.prompts import PromptTemplate

SAMPLING = Sampling(max_new_tokens=8)
PROMPTS = [Prompt(f"p{number}", f"What is {number} + 1?", (), 3) for number in range(3)]


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with serving() as server:
        yield server


def writing(fields: dict[str, Any], words: str) -> Way:
    """Writes these words, as many as the limit allows."""
    wanted = words.split(" ")
    given = wanted[: fields["max_tokens"]]
    answer = good_answer(fields)
    for choice in answer["choices"]:
        choice["message"]["content"] = " ".join(given)
        choice["finish_reason"] = "stop" if given == wanted else "length"
    return answer


def thinking(number: int, fields: dict[str, Any]) -> Way:
    """Thinks for long about everything but the problem with 2, in a thought that its template opened."""
    return writing(fields, f"{'hm ' * (2 if '2 +' in asked_of(fields)[0] else 50)}</think> 1 + 1 = 2")


def rambling(number: int, fields: dict[str, Any]) -> Way:
    """Writes long solutions, without a thought."""
    return writing(fields, "so " * 50 + "2")


def engine(fake: FakeServer, **options: Any) -> ServerGenerator:
    return ServerGenerator(fake.url, MODEL, None, PromptTemplate(chat=True), backoff=0.005, retries=0, **options)


def drawn(fake: FakeServer, prompts: list[Prompt], **options: Any) -> dict[str, set[tuple[str, bool]]]:
    found = engine(fake, **options).complete(prompts, SAMPLING, seed=1)
    return {prompt.id: {(one.text, one.finished) for one in of} for prompt, of in zip(prompts, found, strict=True)}


@pytest.mark.parametrize("probe", [True, False])
def test_a_cut_thought_has_no_text_also_where_the_plain_answer_was_cut_too(probe: bool, fake: FakeServer) -> None:
    fake.misbehave = thinking
    expected = {"p0": {("", False)}, "p1": {("", False)}, "p2": {("1 + 1 = 2", True)}}
    assert drawn(fake, PROMPTS, probe=probe) == expected
    assert drawn(fake, PROMPTS[::-1], probe=probe) == expected
    assert drawn(fake, PROMPTS[:1], probe=probe) == {"p0": expected["p0"]}


@pytest.mark.parametrize("probe", [True, False])
def test_a_cut_solution_keeps_its_text(probe: bool, fake: FakeServer) -> None:
    fake.misbehave = rambling
    assert {one for several in drawn(fake, PROMPTS, probe=probe).values() for one in several} == {
        (" ".join(["so"] * 8), False)
    }
    plain = [fields["max_tokens"] for fields in fake.asked if asked_of(fields)[0] == "What is 1 plus 1?"]
    assert plain == [8, 2048][not probe :], "more room is asked for once, and only for what was cut"


def test_an_answer_that_never_ends_is_taken_for_a_thought(fake: FakeServer) -> None:
    fake.misbehave = lambda number, fields: writing(fields, "so " * 9000)
    fake.listed = {"max_model_len": 100}
    assert drawn(fake, PROMPTS)["p0"] == {("", False)}
    assert max(fields["max_tokens"] for fields in fake.asked) == 50, "the context is not overrun"
