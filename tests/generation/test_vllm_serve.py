"""The server engine against `vllm serve` on its CPU build, with the embedded generator.

vLLM lives in an environment of its own: STEPWARD_VLLM_PYTHON is that environment's python. One server answers all.
"""

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from raising import refused
from transformers import AutoModelForCausalLM, AutoTokenizer

import stepward
from stepward.generation.interface import Completion, Prompt, Sampling
from stepward.generation.openai.engine import ServerGenerator
from stepward.generation.prompts import PromptBuilder, PromptTemplate
from stepward.grading.graders import load_grader
from stepward.labeling.rollouts.sampling import draw_rollouts
from stepward.labeling.rollouts.stopping import All
from stepward.problems.arithmetic.dataset import problems as made_problems
from stepward.records import StepRollouts
from stepward.solutions import draw_solutions

FOLDER = Path(stepward.__file__).parent / "embedded"
MODEL = "tiny"
CONTEXT = 256
WAIT = 300.0
# Prompts are read whole: on a CPU, vLLM 0.32 fails where one that has a seed is read in pieces.
FLAGS = [
    "--dtype=float32", f"--max-model-len={CONTEXT}", "--max-num-seqs=32", "--block-size=32", "--enforce-eager",
    "--no-enable-chunked-prefill", "--enable-prompt-tokens-details",
]  # fmt: skip
QUIET = {
    "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1", "OMP_NUM_THREADS": "1",
}  # fmt: skip

# A server tokenises text as the model's tokenizer does by itself, and this one puts no <s> before it.
PROMPTING = PromptTemplate(question="<s>{question}")
NAMES = ("Ann", "Bo", "Cy", "Di")
QUESTIONS = [
    f"{name} has {index + 3} apples. {name} buys {index + 2} apples. How many apples does {name} have now?"
    for index, name in enumerate(NAMES)
]
PROMPTS = [Prompt(f"p{index}//s", question, ("Monday: 3 + 4 = 7.",), 8) for index, question in enumerate(QUESTIONS)]
SAMPLING = Sampling(max_new_tokens=40)

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address. An interpreter that is named and can't serve is a failure, no reason to skip."""
    named = os.environ.get("STEPWARD_VLLM_PYTHON")
    if not named and importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM can't be imported here; set STEPWARD_VLLM_PYTHON to the python that can")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What `vllm serve` runs. The script itself asks for a distribution named vllm; the CPU build's is vllm-cpu.
    command = [named or sys.executable, "-m", "vllm.entrypoints.openai.api_server", *FLAGS]
    command += [f"--model={FOLDER}", f"--served-model-name={MODEL}", "--host=127.0.0.1", f"--port={port}"]
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("w") as file:
        server = subprocess.Popen(
            command, env=os.environ | QUIET, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        end(server)


def wait_for(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + WAIT
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    pytest.fail(f"vLLM does not serve (it ended with {server.poll()}):\n{log.read_text(encoding='utf-8')[-4000:]}")


def end(server: "subprocess.Popen[bytes]") -> None:
    """Ends the server and the process that its model runs in."""
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def engine(url: str, **options: Any) -> ServerGenerator:
    return ServerGenerator(url, MODEL, None, PROMPTING, **{"timeout": 120, "retries": 0, **options})


def part(prompt: Prompt, first: int, count: int) -> Prompt:
    return Prompt(prompt.id, prompt.question, prompt.steps, count, first)


def texts(found: list[list[Completion]]) -> list[list[str]]:
    return [[one.text for one in drawn] for drawn in found]


def share_equal(one: list[list[str]], other: list[list[str]]) -> float:
    """Equal draws among all; batches round otherwise, so a few may differ."""
    pairs = [pair for rows in zip(one, other, strict=True) for pair in zip(*rows, strict=True)]
    return sum(first == second for first, second in pairs) / len(pairs)


def counted_by_vllm(url: str, name: str) -> float:
    """A counter among the server's own metrics."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


def test_the_same_request_gives_the_same_texts_and_another_seed_others(url: str) -> None:
    generator = engine(url)
    first = texts(generator.complete(PROMPTS, SAMPLING, 3))
    assert [len(row) for row in first] == [8] * len(PROMPTS)
    assert share_equal(first, texts(generator.complete(PROMPTS, SAMPLING, 3))) >= 0.95
    assert share_equal(first, texts(generator.complete(PROMPTS, SAMPLING, 4))) < 0.5
    assert all(len(set(row)) > 4 for row in first), "draws of a prompt are not all the same one"


def test_growing_and_the_size_of_requests_change_no_draw(url: str) -> None:
    together = texts(engine(url).complete(PROMPTS, SAMPLING, 3))
    generator = engine(url)
    begun = texts(generator.complete([part(prompt, 0, 4) for prompt in PROMPTS], SAMPLING, 3))
    grown = texts(generator.complete([part(prompt, 4, 4) for prompt in PROMPTS], SAMPLING, 3))
    assert share_equal(together, [one + two for one, two in zip(begun, grown, strict=True)]) >= 0.95
    assert share_equal(together, texts(engine(url, choices=3).complete(PROMPTS, SAMPLING, 3))) >= 0.95
    assert share_equal(begun, grown) < 0.5


def test_greedy_is_what_transformers_writes(url: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model: Any = AutoModelForCausalLM.from_pretrained(FOLDER)
    prompter = PromptBuilder(tokenizer)
    found = engine(url).complete(PROMPTS, Sampling(temperature=0, max_new_tokens=24), 3)
    for prompt, row in zip(PROMPTS, texts(found), strict=True):
        ids = torch.tensor([prompter.ids(prompt.question, prompt.steps)])
        written = model.generate(ids, do_sample=False, max_new_tokens=24)[0, ids.shape[1] :]
        assert row == [tokenizer.decode(written, skip_special_tokens=True)] * prompt.count


def test_draws_end_at_the_limit_or_at_a_stop_and_are_counted_as_vllm_counts(url: str) -> None:
    generator, tokenizer = engine(url, choices=1, probe=False), AutoTokenizer.from_pretrained(FOLDER)
    written = counted_by_vllm(url, "vllm:generation_tokens_total")
    whole = generator.complete(PROMPTS, SAMPLING, 3)
    draws = [one for row in whole for one in row]
    assert {one.finished for one in draws} == {True, False}, "both ends are seen"
    assert all(one.tokens == 40 for one in draws if not one.finished)
    assert all(0 < one.tokens <= 40 and not one.fault and "</s>" not in one.text for one in draws)
    meter = generator.meter.copy()
    assert meter.completions == len(draws) == 8 * len(PROMPTS) and not meter.errors
    assert meter.generated == sum(one.tokens for one in draws)
    assert meter.generated == counted_by_vllm(url, "vllm:generation_tokens_total") - written
    prompter = PromptBuilder(tokenizer)
    lengths = [len(prompter.ids(prompt.question, prompt.steps)) for prompt in PROMPTS]
    assert meter.prefilled + meter.reused == 8 * sum(lengths)
    assert meter.reused >= 7 * sum(length // 32 * 32 for length in lengths) > 0

    stopped = generator.complete(PROMPTS, Sampling(max_new_tokens=40, stop=("=", "\n")), 3)
    pairs = [pair for rows in zip(stopped, whole, strict=True) for pair in zip(*rows, strict=True)]
    assert all("=" not in one.text and "\n" not in one.text and one.finished for one, _ in pairs)
    assert sum(other.text.startswith(one.text) for one, other in pairs) >= 0.95 * len(pairs)
    assert sum(one.tokens < other.tokens for one, other in pairs) > len(pairs) / 2


def test_a_prefix_longer_than_the_context_is_a_fault_of_that_prefix(url: str) -> None:
    generator = engine(url)
    far = Prompt("far", "apples " * CONTEXT, (), 2)
    found = generator.complete([PROMPTS[0], far, PROMPTS[1]], SAMPLING, 3)
    assert [[one.fault for one in row] for row in found] == [[""] * 8, ["context"] * 2, [""] * 8]
    assert generator.meter.completions == 16 and generator.meter.errors == {"refused": 1}


def test_a_prompt_that_leaves_less_room_than_asked_is_too_long(url: str) -> None:
    """VLLM answers it all the same, with completions that end where the context does."""
    near = Prompt("near", " ".join(["apples"] * (CONTEXT - 8)), (), 8)
    room = CONTEXT - len(PromptBuilder(AutoTokenizer.from_pretrained(FOLDER)).ids(near.question, ()))
    assert 0 < room < 8
    draws = engine(url, choices=1).complete([near], SAMPLING, 3)[0]
    assert [one.fault for one in draws] == ["context"] * 8


def test_another_model_than_it_has_is_refused_before_the_first_draw(url: str) -> None:
    with refused("unknown_name", field="model", names=("other", MODEL)):
        ServerGenerator(url, "other")


def test_rollouts_are_drawn_once_and_grow(url: str) -> None:
    problems = made_problems("reward", 4, levels=(1, 2), tricky=1)
    grade = load_grader("math")

    def grader(reference: str, answer: str | None) -> bool:
        return grade(reference, answer).equal

    generator, sampling = engine(url, probe=False), Sampling(max_new_tokens=96)
    solutions = draw_solutions(problems, generator, grader, count=3, sampling=sampling, seed=1).solutions

    def roll_out(count: int, before: list[StepRollouts]) -> list[StepRollouts]:
        return draw_rollouts(
            problems, solutions, generator, grader, stopping=All(count), sampling=sampling, seed=1, before=before
        )

    started = generator.meter.copy()
    four = roll_out(4, [])
    drawn = [one for one in four if not one.complete]
    assert drawn and all(one.draws == 4 and not one.failed and one.completer == MODEL for one in drawn)
    assert 0 < sum(one.right for one in drawn) < 4 * len(drawn), "some completions are right, and some wrong"
    used = generator.meter.since(started)
    assert (used.completions, used.requests) == (4 * len(drawn), len(drawn))
    assert used.generated == sum(one.tokens for one in drawn)

    before = generator.meter.copy()
    assert roll_out(4, four) == four and generator.meter == before
    grown, at_once = roll_out(8, four), roll_out(8, [])
    assert generator.meter.since(before).completions == 12 * len(drawn)
    same = [one.right == other.right for one, other in zip(grown, at_once, strict=True)]
    assert sum(same) >= 0.9 * len(same)
