"""The server engine against a server that fails in every way: each draw once, and every failure has its outcome."""

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fake_server import MODEL, FakeServer, Way, good_answer, serving, well
from raising import refused

from stepward.generation.interface import Completion, Prompt, Sampling, draw_seed
from stepward.generation.openai import client as server_calls
from stepward.generation.openai.engine import ServerGenerator
from stepward.generation.prompts import PromptTemplate

QUICK: dict[str, Any] = {"backoff": 0.005, "timeout": 0.4, "probe": False}
PROMPTS = [Prompt(f"p{index}//s", f"What is {index} plus 1?", ("We add.",) * (index % 3), 8) for index in range(40)]
ONE = [Prompt("p//s", "What is 3 plus 1?", (), 4)]
SAMPLING = Sampling(max_new_tokens=32)
SECRET = "sk-secret-0123456789"


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with serving() as server:
        yield server


def engine(fake: FakeServer, prompting: PromptTemplate | None = None, **options: Any) -> ServerGenerator:
    return ServerGenerator(fake.url, MODEL, None, prompting, **{**QUICK, **options})


def seeds(drawn: list[Completion]) -> list[int]:
    found = [re.match(r"drawn by (\d+)\n", one.text) for one in drawn]
    return [int(one[1]) for one in found if one]


def expected(prompt: Prompt, seed: int) -> list[int]:
    return [draw_seed(seed, prompt.id, prompt.first + draw) for draw in range(prompt.count)]


SIX = ["429 after 0.01", (503, "overloaded"), "drop", "not UTF-8", "too few", "hang"]


def test_with_a_fifth_of_all_calls_failing_in_six_ways_every_draw_comes_once(fake: FakeServer) -> None:
    fake.misbehave = lambda number, _: SIX[number // 5 % 6] if number % 5 == 4 else "ok"
    fake.delay = 0.005
    generator = engine(fake, concurrency=6, choices=4)
    found = generator.complete(PROMPTS, SAMPLING, seed=7)
    assert [seeds(drawn) for drawn in found] == [expected(prompt, 7) for prompt in PROMPTS]
    assert all(one.finished and not one.fault for drawn in found for one in drawn)
    assert 1 < fake.most <= 6
    assert set(generator.meter.errors) == {
        "status 429", "status 503", "dropped", "not UTF-8", "too few choices", "timeout",
    }  # fmt: skip
    assert generator.meter.completions == 8 * len(PROMPTS)
    assert generator.meter.requests >= len(fake.asked) + 1 >= 80


def test_no_more_requests_are_under_way_than_asked(fake: FakeServer) -> None:
    fake.delay = 0.02
    engine(fake, concurrency=3, choices=4).complete(PROMPTS[:12], SAMPLING, seed=0)
    assert fake.most == 3 and len(fake.asked) == 24


def test_waves_and_growing_ask_for_new_draws_only(fake: FakeServer) -> None:
    together = engine(fake).complete(ONE, SAMPLING, seed=3)[0]
    for choices in (1, 3, 16):
        generator = engine(fake, choices=choices)
        waves = [
            generator.complete([Prompt("p//s", ONE[0].question, (), count, first)], SAMPLING, seed=3)[0]
            for first, count in ((0, 1), (1, 3), (4, 4))
        ]
        assert [one.text for one in waves[0] + waves[1]] == [one.text for one in together]
        assert seeds(waves[2]) == [draw_seed(3, "p//s", draw) for draw in range(4, 8)]
    assert not set(seeds(together)) & set(seeds(engine(fake).complete(ONE, SAMPLING, seed=4)[0]))


BROKEN: dict[str, tuple[Way, str]] = {
    "too many requests": ("429 after 0", "status 429"),
    "server error": ((500, "oh"), "status 500"),
    "gateway": ((502, "oh"), "status 502"),
    "dropped": ("drop", "dropped"),
    "hangs": ("hang", "timeout"),
    "drips": ("drip", "timeout"),
    "invalid UTF-8": ("not UTF-8", "not UTF-8"),
    "a page": (b"<html>Bad gateway</html>", "not JSON"),
    "deep": (b"[" * 100_000, "not JSON"),
    "cut": (b'{"choices": [{"te', "not JSON"),
    "nothing": (b"", "empty body"),
    "a list": (b"[]", "not an answer"),
    "no choices": ({"choices": []}, "no choices"),
    "choices of another kind": ({"choices": ["a"]}, "not an answer"),
    "a number for text": ({"choices": [{"text": 3, "finish_reason": "stop"}]}, "not an answer"),
    "an index that was not asked": ({"choices": [{"index": 99, "text": "a", "finish_reason": "stop"}]}, "no choices"),
    "half a surrogate": ({"choices": [{"text": "\ud83d", "finish_reason": "stop"}]}, "not UTF-8"),
    "empty text of which nothing is said": ({"choices": [{"text": ""}]}, "empty text"),
    "too few": ("too few", "too few choices"),
    "some lacking in the middle": ("scattered", "too few choices"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_asked_for_again(name: str, fake: FakeServer) -> None:
    way, kind = BROKEN[name]
    fake.misbehave = lambda number, _: way if number == 0 else "ok"
    generator = engine(fake)
    (drawn,) = generator.complete(ONE, SAMPLING, seed=1)
    assert seeds(drawn) == expected(ONE[0], 1)
    assert generator.meter.errors == {kind: 1}


def test_only_the_lacking_choices_are_asked_for(fake: FakeServer) -> None:
    fake.misbehave = lambda number, _: "too few" if number == 0 else "ok"
    engine(fake).complete(ONE, SAMPLING, seed=1)
    assert [fields["n"] for fields in fake.asked] == [4, 2]


def test_a_body_without_end_is_given_up(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_calls, "_LONGEST_BODY", 5_000)
    fake.misbehave = lambda number, _: b" " * 6_000 if number == 0 else "ok"
    generator = engine(fake)
    assert seeds(generator.complete(ONE, SAMPLING, seed=1)[0]) == expected(ONE[0], 1)
    assert generator.meter.errors == {"endless body": 1}


@pytest.mark.parametrize(("longest", "least", "most"), [(60, 0.3, 5.0), (0.05, 0.0, 0.29)])
def test_retry_after_is_honoured_up_to_the_longest_wait(
    longest: float, least: float, most: float, fake: FakeServer
) -> None:
    arrived: list[float] = []

    def late(number: int, fields: dict[str, Any]) -> Way:
        arrived.append(time.monotonic())
        return "429 after 0.3" if number == 0 else "ok"

    fake.misbehave = late
    engine(fake, longest_wait=longest).complete(ONE, SAMPLING, seed=0)
    assert least <= arrived[1] - arrived[0] < most


def test_retry_after_may_be_a_date() -> None:
    assert 8 < server_calls._wait(time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 10))) <= 10
    assert [server_calls._wait(one) for one in (None, "", "soon", "nan", "-3", "2.5")] == [0, 0, 0, 0, 0, 2.5]


@pytest.mark.parametrize(
    ("status", "field"),
    [(401, "key"), (402, "key"), (403, "key"), (404, "model"), (302, None), (429, None)],
)
def test_what_no_retry_can_mend_is_refused_at_once(status: int, field: str | None, fake: FakeServer) -> None:
    fake.misbehave = lambda *_: (status, "insufficient_quota")
    generator = engine(fake, concurrency=2)
    with refused("server_refused", field=field, names=(f"status {status}", "insufficient_quota")):
        generator.complete(PROMPTS, SAMPLING, seed=0)
    assert len(fake.asked) <= 4 and not generator.meter.errors


def test_another_model_is_refused_before_the_first_draw(fake: FakeServer) -> None:
    fake.models = ["one", "two"]
    with refused("unknown_name", field="model", names=(MODEL, "one, two")):
        engine(fake)
    assert fake.asked == []


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_a_list_of_models_is_found_out_by_its_answers(status: int, fake: FakeServer) -> None:
    fake.models = status
    fake.misbehave = lambda *_: {"model": "tiny/other"}
    with refused("mismatch", field="options.served_as", names=("tiny/other", "tiny/model")):
        engine(fake, retries=0).complete(PROMPTS, SAMPLING, seed=0)
    (drawn,) = engine(fake, retries=0, served_as="tiny/other").complete(ONE, SAMPLING, seed=0)
    assert seeds(drawn) == expected(ONE[0], 0)


def test_a_server_that_refuses_its_list_is_refused(fake: FakeServer) -> None:
    fake.models = 401
    with refused("server_refused", field="key", names=("/models", "status 401")):
        engine(fake)


def test_a_prompt_that_is_refused_is_a_fault_of_that_prompt(fake: FakeServer) -> None:
    # "What is 1 plus 1?" is what the server itself is tried with.
    words = {2: "This model's maximum context length is 10 tokens", 3: "bad words", 4: ""}

    def picky(_: int, fields: dict[str, Any]) -> Way:
        asked = re.match(r"What is (\d+) plus", fields["prompt"])
        number = int(asked[1]) if asked else 0
        return {"choices": [{"finish_reason": "content_filter", "text": ""}] * 8} if number == 4 else (
            (400, words[number]) if number in words else "ok"
        )  # fmt: skip

    fake.misbehave = picky
    found = engine(fake).complete(PROMPTS[1:6], SAMPLING, seed=0)
    assert [{one.fault for one in drawn} for drawn in found] == [
        {""}, {"context"}, {"refused: bad words"}, {"filtered"}, {""},
    ]  # fmt: skip
    assert all(len(drawn) == 8 for drawn in found)


def test_where_every_request_is_refused_the_run_stops(fake: FakeServer) -> None:
    fake.misbehave = lambda *_: (400, "unknown field top_p")
    with refused("server_refused", field="options.extra.top_p", names=("unknown field top_p",)):
        engine(fake).complete(PROMPTS, SAMPLING, seed=0)


def test_one_prompt_that_always_hangs_does_not_stop_the_others(fake: FakeServer) -> None:
    fake.misbehave = lambda _, fields: "hang" if "What is 2 plus 1" in fields["prompt"] else "ok"
    generator = engine(fake, retries=2, timeout=0.15)
    found = generator.complete(PROMPTS[:4], SAMPLING, seed=0)
    assert [{one.fault for one in drawn} for drawn in found] == [{""}, {""}, {"failed: timeout"}, {""}]
    assert generator.meter.completions == 24


def test_a_server_that_goes_down_stops_the_run_and_makes_no_faults(fake: FakeServer) -> None:
    fake.misbehave = lambda number, _: "ok" if number < 5 else (503, "down")
    with refused("unreachable", names=("status 503",)):
        engine(fake, retries=2).complete(PROMPTS, SAMPLING, seed=0)


def test_no_server_at_all_is_said() -> None:
    with serving() as gone:
        pass
    with refused("unreachable", field="url", names=("no connection",)):
        engine(gone, retries=1)


def test_how_a_completion_ended_is_read(fake: FakeServer) -> None:
    ends = ["stop", "length", "max_tokens", "eos", "tool_calls"]
    fake.misbehave = lambda *_: {"choices": [{"text": "a", "finish_reason": end} for end in ends]}
    (drawn,) = engine(fake).complete([Prompt("p", "Q", (), 5)], SAMPLING, seed=0)
    assert [one.finished for one in drawn] == [True, False, False, True, False]
    assert [one.fault for one in drawn[:4]] == [""] * 4 and drawn[4].fault.startswith("refused: ")


def test_an_empty_completion_that_the_model_ended_is_kept_as_such(fake: FakeServer) -> None:
    fake.misbehave = lambda *_: {"choices": [{"text": said, "finish_reason": "stop"} for said in ("", None, "a", "b")]}
    (drawn,) = engine(fake).complete(ONE, SAMPLING, seed=0)
    assert [(one.text, one.fault) for one in drawn] == [("", ""), ("", ""), ("a", ""), ("b", "")]


def test_a_stop_text_is_asked_for_and_cut_where_the_server_leaves_it(fake: FakeServer) -> None:
    (drawn,) = engine(fake).complete(ONE, Sampling(max_new_tokens=32, stop=("\nthe", "4")), seed=0)
    assert fake.asked[0]["stop"] == ["\nthe", "4"]
    assert all(one.finished and re.fullmatch(r"drawn by [\d]*", one.text) and "4" not in one.text for one in drawn)


def test_greedy_draws_are_asked_for_once(fake: FakeServer) -> None:
    (drawn,) = engine(fake).complete(ONE, Sampling(temperature=0), seed=0)
    assert len(drawn) == 4 and len(set(drawn)) == 1
    assert [fields["n"] for fields in fake.asked] == [1]


def test_nothing_asked_is_nothing_sent(fake: FakeServer) -> None:
    generator = engine(fake)
    assert generator.complete([], SAMPLING, seed=0) == []
    assert generator.complete([Prompt("p", "Q", (), 0)], SAMPLING, seed=0) == [[]]
    assert fake.asked == []


def test_tokens_and_money_are_counted(fake: FakeServer) -> None:
    texts = ["a", "bbb bbb", "", "cc"]
    fake.misbehave = lambda *_: {
        "choices": [{"text": text, "finish_reason": "stop"} for text in texts],
        "usage": {"prompt_tokens": 100, "completion_tokens": 37, "prompt_tokens_details": {"cached_tokens": 64}},
    }
    generator = engine(fake, price_in=2.0, price_out=8.0)
    (drawn,) = generator.complete(ONE, SAMPLING, seed=0)
    assert sum(one.tokens for one in drawn) == 37 == generator.meter.generated
    assert drawn[1].tokens > drawn[3].tokens > drawn[2].tokens
    assert (generator.meter.prefilled, generator.meter.reused) == (36, 64)
    assert generator.meter.cost == pytest.approx((100 * 2 + 37 * 8) / 1e6)


def test_a_server_that_counts_nothing_costs_nothing(fake: FakeServer) -> None:
    fake.misbehave = lambda *_: {"usage": None, "model": None}
    generator = engine(fake, price_in=2.0)
    assert seeds(generator.complete(ONE, SAMPLING, seed=0)[0]) == expected(ONE[0], 0)
    assert (generator.meter.generated, generator.meter.cost) == (0, 0)


def test_text_is_sent_without_chat_and_turns_with_it(fake: FakeServer) -> None:
    prompt = [Prompt("p", "What is 1 plus 1?", ("We add.",), 1)]
    engine(fake, PromptTemplate(system="Be brief.", question="Q: {question}")).complete(prompt, SAMPLING, seed=0)
    assert fake.asked[0]["prompt"] == "Be brief.\n\nQ: What is 1 plus 1?\nWe add.\n"
    chat = engine(fake, PromptTemplate(chat=True, system="Be brief."))
    (drawn,) = chat.complete(prompt, SAMPLING, seed=0)
    assert seeds(drawn) == [draw_seed(0, "p", 0)]
    assert [turn["role"] for turn in fake.asked[1]["messages"]] == ["system", "user", "assistant"]
    assert fake.asked[1]["continue_final_message"] is True and fake.asked[1]["add_generation_prompt"] is False
    chat.complete([Prompt("p", "What is 1 plus 1?", (), 1)], SAMPLING, seed=0)
    assert "continue_final_message" not in fake.asked[2]


def test_extra_fields_are_sent_and_null_leaves_one_out(fake: FakeServer) -> None:
    extra = {"top_k": 20, "seed": None, "max_tokens": None, "max_completion_tokens": 9}
    engine(fake, extra=extra).complete(ONE, SAMPLING, seed=0)
    assert fake.asked[0]["top_k"] == 20 and fake.asked[0]["max_completion_tokens"] == 9
    assert not {"seed", "max_tokens"} & set(fake.asked[0])


def test_the_key_is_sent_and_never_shown(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", SECRET)
    fake.misbehave = lambda *_: (401, f"Incorrect API key provided: {SECRET}")
    generator = ServerGenerator(fake.url, MODEL, "SOME_KEY", **QUICK)
    with refused("server_refused", field="key", names=("Incorrect API key provided: ***",)) as raised:
        generator.complete(ONE, SAMPLING, seed=0)
    assert fake.headers[0]["Authorization"] == f"Bearer {SECRET}"
    shown = [str(raised.value), repr(raised.value), repr(raised.value.__context__), repr(generator)]
    kept = [repr(vars(generator)), repr(vars(generator._server)), repr(generator._asking)]
    assert not any(SECRET in text for text in shown + kept)


@pytest.mark.parametrize(("value", "code"), [(None, "missing"), (" ", "missing"), ("a\nb\u00e9", "bad_value")])
def test_a_key_that_is_not_there_is_said_by_its_name(
    value: str | None, code: str, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    with refused(code, field="key", names=("SOME_KEY",)) as raised:
        ServerGenerator(fake.url, MODEL, "SOME_KEY", **QUICK)
    assert not value or not value.strip() or value not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://a/v1", "http://", "http://a:b/v1", "http://u:pw@a/v1", "http://a/?k=pw"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with refused("bad_value", field="url") as raised:
        ServerGenerator(url, MODEL)
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "code", "field"),
    [
        ({"concurency": 3}, "unknown_name", "concurency"),
        ({"concurrency": 0}, "bad_value", "concurrency"),
        ({"timeout": "1m"}, "wrong_type", "timeout"),
        ({"finish_reasons": {"fin": "end"}}, "bad_value", "finish_reasons.fin"),
        ({"extra": {"model": "x"}}, "conflict", "extra.model"),
        ({"extra": {"n": None}}, "conflict", "extra.n"),
        ({"extra": {"temperature": 2}}, "conflict", "extra.temperature"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], code: str, field: str, fake: FakeServer) -> None:
    with refused(code, field=f"options.{field}"):
        engine(fake, **options)


def test_it_runs_where_an_event_loop_runs_already(fake: FakeServer) -> None:
    async def notebook() -> list[list[Completion]]:
        return engine(fake).complete(ONE, SAMPLING, seed=0)

    assert seeds(asyncio.run(notebook())[0]) == expected(ONE[0], 0)


def test_the_fake_server_itself_answers_well() -> None:
    assert well(0, {}) == "ok"
    assert [one["index"] for one in good_answer({"model": "m", "n": 3, "seed": 5})["choices"]] == [0, 1, 2]


@pytest.mark.parametrize(("length", "faults"), [(10 + 128, {""}), (10 + 127, {"context"})])
def test_a_prompt_that_leaves_less_room_than_asked_is_too_long(fake: FakeServer, length: int, faults: set[str]) -> None:
    fake.listed = {"max_model_len": length}
    drawn = engine(fake).complete([Prompt("p", "How many?", (), 3)], Sampling(max_new_tokens=128), 0)
    assert {one.fault for one in drawn[0]} == faults
