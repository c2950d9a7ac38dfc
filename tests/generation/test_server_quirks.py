"""Servers as people run them, by their quirks: each ends in what is right, or in a refusal that says why."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_server import MODEL, FakeServer, Misbehave, Way, asked_of, serving, solved
from raising import refused

from stepward.generation.interface import Completion, Prompt, Sampling, failed_prompt
from stepward.generation.openai.engine import ServerGenerator
from stepward.generation.openai.finish_reasons import ending_of
from stepward.generation.prompts import PromptTemplate
from stepward.pipeline.stages import tasks
from stepward.recipes.run import Recipe
from stepward.records import Problem

SAMPLING = Sampling(max_new_tokens=64)
QUESTIONS = [f"What is {a} + {a + 1} * 3?" for a in range(2, 8)]
WHOLE = [Prompt(f"p{index}", question, (), 4) for index, question in enumerate(QUESTIONS)]
RIGHT = [f"{a + 1} * 3 = {3 * a + 3}" for a in range(2, 8)]
PREFIXES = [
    Prompt(f"p{index}/1", question, (step,), 4)
    for index, (question, step) in enumerate(zip(QUESTIONS, RIGHT, strict=True))
]


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with serving() as server:
        yield server


def engine(fake: FakeServer, *, chat: bool = True, **options: Any) -> ServerGenerator:
    quick = {"backoff": 0.005, "retries": 1}
    return ServerGenerator(fake.url, MODEL, None, PromptTemplate(chat=chat), **{**quick, **options})


def answers(drawn: list[list[Completion]]) -> list[str]:
    """The last line of each whole draw."""
    return [one.text.splitlines()[-1] for several in drawn for one in several if one.finished and not one.fault]


def without_n(number: int, fields: dict[str, Any]) -> Way:
    """Takes one choice a request."""
    return (400, "Only one completion choice is allowed") if fields["n"] > 1 else solved(fields)


def of_o_series(number: int, fields: dict[str, Any]) -> Way:
    """Takes no temperature, no top_p, and another limit."""
    for name in ("max_tokens", "temperature", "top_p"):
        if name in fields:
            return 400, f"Unsupported parameter: '{name}' is not supported with this model."
    return solved(fields)


def without_usage(fields: dict[str, Any], **changes: Any) -> Way:
    """Says how nothing ended, and counts nothing."""
    answer = solved(fields, finish_reason=None, **changes)
    assert isinstance(answer, dict)
    return {**answer, "usage": None}


QUIRKS: dict[str, Misbehave] = {
    "good": lambda _, fields: solved(fields),
    "no n": without_n,
    "n ignored": lambda _, fields: solved(fields, 1),
    "every index 0": lambda _, fields: solved(fields, index=0),
    "a line before": lambda _, fields: solved(fields, text="\n{}"),
    "TGI": lambda _, fields: solved(fields, finish_reason="eos_token"),
    "Gemini": lambda _, fields: solved(fields, finish_reason="STOP"),
    "nothing said, tokens counted": lambda _, fields: solved(fields, finish_reason=None),
    "thoughts apart": lambda _, fields: solved(fields, reasoning_content="Hm.\nThe answer is: 0"),
    "thoughts in tags": lambda _, fields: solved(fields, text="<think>\nThe answer is: 0\n</think>\n\n{}"),
    "thoughts begun by the template": lambda _, fields: solved(fields, text="The answer is: 0\n</think>\n\n{}"),
    "a thinking model's other limit": lambda _, fields: (
        (400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        if "max_tokens" in fields
        else solved(fields)
    ),
    "no counts": lambda _, fields: {**_dict(solved(fields)), "usage": {"prompt_tokens": None}},
}


def _dict(way: Way) -> dict[str, Any]:
    assert isinstance(way, dict)
    return way


@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_quirk_changes_no_draw(quirk: str, fake: FakeServer) -> None:
    """Solutions and completions are those of a server without quirks: none cut, none lost, no thought among them."""
    expected = []
    for way in (QUIRKS["good"], QUIRKS[quirk]):
        fake.misbehave = way
        generator = engine(fake)
        drawn = [generator.complete(prompts, SAMPLING, seed=1) for prompts in (WHOLE, PREFIXES)]
        expected.append(
            [[(one.text.strip(), one.finished, one.fault) for one in each] for two in drawn for each in two]
        )
    assert expected[0] == expected[1]
    assert len(expected[0]) == 12 and {one[1:] for each in expected[0] for one in each} == {(True, "")}


def test_models_of_a_bare_list_are_read(fake: FakeServer) -> None:
    fake.models = ["one"]
    fake.bare = True
    with refused("unknown_name", field="model", names=(MODEL, "one")):
        engine(fake)


@pytest.mark.parametrize(
    ("word", "ending"),
    [
        ("stop", "stop"), ("eos_token", "stop"), ("stop_sequence", "stop"), ("STOP", "stop"), ("end_turn", "stop"),
        ("COMPLETE", "stop"), ("length", "length"), ("MAX_TOKENS", "length"), ("model_length", "length"),
        ("content_filter", "filtered"), ("SAFETY", "filtered"), ("refusal", "filtered"), ("abort", "again"),
        ("load", "again"), ("tool_calls", "tool"), ("something", None), ("", None),
    ],
)  # fmt: skip
def test_every_family_of_servers_has_its_words(word: str, ending: str | None) -> None:
    assert ending_of(word, {}) == ending
    assert ending_of(word, {word: "length"}) == "length"


def test_an_unknown_word_is_named_and_can_be_explained(fake: FakeServer) -> None:
    fake.misbehave = lambda _, fields: solved(fields, finish_reason="fertig")
    with refused("server_incompatible", field="options.finish_reasons", names=("fertig",)):
        engine(fake).complete(WHOLE, SAMPLING, seed=1)
    explained = engine(fake, finish_reasons={"fertig": "length"}).complete(WHOLE, SAMPLING, seed=1)
    assert {one.finished for drawn in explained for one in drawn} == {False}


@pytest.mark.parametrize(("tokens", "finished"), [(63, True), (64, False), (70, False)])
def test_where_nothing_is_said_the_tokens_tell(tokens: int, finished: bool, fake: FakeServer) -> None:
    fake.misbehave = lambda _, fields: {
        **_dict(solved(fields, finish_reason=None)), "usage": {"completion_tokens": tokens * fields["n"]},
    }  # fmt: skip
    drawn = engine(fake).complete(WHOLE[:2], SAMPLING, seed=1)
    assert {(one.finished, one.fault) for each in drawn for one in each} == {(finished, "")}
    assert {fields["n"] for fields in fake.asked} == {1, 4}, "four together can't tell, one can"


def test_where_nothing_tells_how_a_draw_ended_the_server_is_refused(fake: FakeServer) -> None:
    fake.misbehave = lambda _, fields: without_usage(fields)
    for probe in (True, False):
        with refused("server_incompatible", field="options.finish_reasons"):
            engine(fake, probe=probe).complete(WHOLE, SAMPLING, seed=1)


THOUGHTS: dict[str, dict[str, Any]] = {
    "apart, no text": {"text": None, "reasoning_content": "Let me think. " * 9},
    "apart, by the newer name": {"text": "", "reasoning": "Let me think. " * 9},
    "in tags": {"text": "<think>\nThe answer is: {}"},
    "in others": {"text": "[THINK]The answer is: {}"},
    "ended": {"text": "<think>\nThe answer is: {}</think>\n"},
}


@pytest.mark.parametrize("reason", ["length", "stop"])
@pytest.mark.parametrize("quirk", THOUGHTS)
def test_a_thought_and_nothing_else_is_a_cut_draw_without_text(quirk: str, reason: str, fake: FakeServer) -> None:
    fake.misbehave = lambda _, fields: solved(fields, finish_reason=reason, **THOUGHTS[quirk])
    drawn = engine(fake).complete(WHOLE, SAMPLING, seed=1)
    assert {(one.text, one.finished, one.fault) for each in drawn for one in each} == {("", False, "")}
    assert all(one.tokens > 1 for each in drawn for one in each)


def test_a_cut_thought_that_the_template_began_is_known_by_the_answers_before(fake: FakeServer) -> None:
    def thinking(number: int, fields: dict[str, Any]) -> Way:
        cut = "2 +" in asked_of(fields)[0]
        return solved(fields, **({"finish_reason": "length"} if cut else {"text": "So so.\n</think>\n{}"}))

    fake.misbehave = thinking
    drawn = engine(fake).complete(WHOLE, SAMPLING, seed=1)
    assert {(one.text, one.finished) for one in drawn[0]} == {("", False)}
    assert len(answers(drawn)) == 20


@pytest.mark.parametrize("chat", [True, False])
def test_a_server_that_begins_again_is_refused_before_its_first_completion(chat: bool, fake: FakeServer) -> None:
    fake.misbehave = lambda _, fields: solved(fields, restarts=True)
    generator = engine(fake, chat=chat)
    assert len(answers(generator.complete(WHOLE, SAMPLING, seed=1))) == 24
    asked = len(fake.asked)
    with refused("server_incompatible", field="options.probe", names=("3 of 3",)):
        generator.complete(PREFIXES, SAMPLING, seed=1)
    assert len(fake.asked) == asked + 6, "three questions twice, and no draw"


def test_a_server_that_refuses_prefixes_is_refused_before_its_first_completion(fake: FakeServer) -> None:
    fake.misbehave = lambda _, fields: (
        (400, "Unrecognized request argument: add_generation_prompt")
        if "add_generation_prompt" in fields
        else solved(fields)
    )
    generator = engine(fake)
    assert len(answers(generator.complete(WHOLE, SAMPLING, seed=1))) == 24
    with refused("server_incompatible", field="prompt.chat", names=("add_generation_prompt", "prompt.chat=false")):
        generator.complete(PREFIXES, SAMPLING, seed=1)
    by_itself = {"continue_final_message": None, "add_generation_prompt": None}
    assert len(answers(engine(fake, extra=by_itself).complete(PREFIXES, SAMPLING, seed=1))) == 24


RIGHT_SERVERS: dict[str, Misbehave] = {
    "one line": lambda _, fields: {"choices": [{"text": "The answer is: 1", "finish_reason": "stop"}] * fields["n"]},
    "always the same lines": lambda _, fields: {
        "choices": [{"text": "again\nagain\nagain", "finish_reason": "stop"}] * fields["n"]
    },
    "no temperature of 0": lambda _, fields: (
        (422, "temperature must be strictly positive") if fields["temperature"] == 0 else solved(fields)
    ),
    "one problem filtered": lambda _, fields: (
        (400, "content management policy") if "2 +" in fields["prompt"] else solved(fields)
    ),
    "one problem begun again": lambda _, fields: solved(fields, restarts="2 +" in fields["prompt"]),
}


@pytest.mark.parametrize("way", RIGHT_SERVERS)
def test_the_probe_takes_no_right_server_for_a_wrong_one(way: str, fake: FakeServer) -> None:
    fake.misbehave = RIGHT_SERVERS[way]
    drawn = engine(fake, chat=False).complete(PREFIXES, SAMPLING, seed=1)
    lost = [failed_prompt(prompt, each) for prompt, each in zip(PREFIXES, drawn, strict=True)]
    assert [one.id for one in lost if one] == (["p0/1"] if way == "one problem filtered" else [])


def test_a_run_tries_prefixes_before_it_pays_for_a_solution(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    problems = [Problem(prompt.id, prompt.question, "1") for prompt in WHOLE]
    monkeypatch.setattr(tasks.Layout, "batch", lambda *_: ("reward", problems))
    fake.misbehave = lambda _, fields: solved(fields, restarts=True)
    generator = {"engine": "server", "url": fake.url, "model": MODEL, "prompt": {"chat": True}}
    recipe = Recipe.model_validate({"name": "r", "generator": generator, "labels": {"kinds": ["hard"]}})
    with refused("server_incompatible", field="options.probe"):
        tasks.sample_solutions("reward-0000", tmp_path, recipe)
    assert {fields["n"] for fields in fake.asked} == {1}
    whole = recipe.model_copy(update={"labels": recipe.labels.model_copy(update={"kinds": ("orm",)})})
    assert tasks.sample_solutions("reward-0000", tmp_path, whole)["draws"] == 15 * 6


def test_the_probe_is_asked_once_and_can_be_left_out(fake: FakeServer) -> None:
    fake.misbehave = lambda _, fields: solved(fields)
    for probe, extra in ((True, 1 + 6), (False, 0)):
        generator = engine(fake, probe=probe)
        fake.asked.clear()
        for _ in range(2):
            generator.complete(PREFIXES, SAMPLING, seed=1)
        assert len(fake.asked) == 12 + extra


FAULTS: dict[str, tuple[Way, str]] = {
    "context": ((400, "This model's maximum context length is 40 tokens. You requested 99."), "too_large"),
    "TGI's context": (
        (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000"),
        "too_large",
    ),
    "a filter": ((400, "blocked by the content management policy"), "server_refused"),
    "moderation": ((403, "flagged"), "server_refused"),
    "an error that stays": ((500, "internal"), "unreachable"),
    "one draw filtered": ({"finish_reason": "content_filter"}, "server_refused"),
    "a tool": ({"finish_reason": "tool_calls", "text": ""}, "server_refused"),
}


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_bad_problem_is_that_problems_alone(fault: str, several: bool, fake: FakeServer) -> None:
    way, code = FAULTS[fault]

    def picky(number: int, fields: dict[str, Any]) -> Way:
        if "4 +" not in asked_of(fields)[0]:
            return solved(fields)
        return solved(fields, **way) if isinstance(way, dict) else way

    fake.misbehave = picky
    drawn = engine(fake, choices=16 if several else 1).complete(WHOLE, SAMPLING, seed=1)
    lost = [failed_prompt(prompt, each) for prompt, each in zip(WHOLE, drawn, strict=True)]
    assert [(one.id, one.code, one.failed) for one in lost if one] == [("p2", code, 4)]
    assert len(answers(drawn)) == 20


def test_what_a_model_takes_no_value_of_is_left_out(fake: FakeServer) -> None:
    fake.misbehave = of_o_series
    with refused("server_refused", field="options.extra.temperature", names=("temperature: null",)):
        engine(fake).complete(WHOLE, SAMPLING, seed=1)
    generator = engine(fake, extra={"temperature": None, "top_p": None})
    fake.asked.clear()
    assert len(answers(generator.complete(WHOLE, SAMPLING, seed=1))) == 24
    sent = {name for fields in fake.asked[1:] for name in fields}
    assert "max_completion_tokens" in sent and not sent & {"max_tokens", "temperature", "top_p"}
    with refused("conflict", field="temperature", names=(0.5,)):
        generator.complete(WHOLE, Sampling(temperature=0.5), seed=1)


def test_a_completion_longer_than_the_context_is_refused_before_anything_is_asked(fake: FakeServer) -> None:
    fake.listed = {"max_model_len": 64}
    with refused("too_large", field="max_new_tokens", names=(64,)):
        engine(fake).complete(WHOLE, SAMPLING, seed=1)
    assert fake.asked == []
