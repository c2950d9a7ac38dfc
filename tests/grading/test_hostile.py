"""Hostile answers: a verdict for each in time, no code run, no free point, and memory that stays where it was."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from grading.hostile import Hostile, hostile_answers

from stepward.answer_extraction import STYLES, extract_answer
from stepward.grading import Verdict, grade, grade_many
from stepward.grading.graders import grade_exact, grade_multiple_choice, grade_string

Value = TypeVar("Value")

WARM = (r"\sin(2x)", r"2\sin(x)\cos(x)")
"""Needs algebra: the first such pair starts its processes, which takes as long as importing sympy."""

DEADLINE = 0.3
"""Seconds that algebra gets here; the default of 5 would only make the test longer."""

SECONDS = 6.0
"""What a verdict may take of this process's own time. The clock decides nothing: the machine may do other things."""

GROWTH = 100 * 2**20


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that code in an answer would make; the test runs in its folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "stepward-canary"


@pytest.fixture
def hostile(canary: Path) -> list[Hostile]:
    return hostile_answers(str(canary))


def test_there_are_enough_and_each_has_a_name_of_its_own(hostile: list[Hostile]) -> None:
    assert len(hostile) >= 260
    assert len({one.name for one in hostile}) == len(hostile)
    assert hostile == hostile_answers(str(Path.cwd() / "stepward-canary"))


def test_every_answer_gets_a_right_verdict_in_time_and_memory(hostile: list[Hostile], canary: Path) -> None:
    assert grade(*WARM).method == "algebra"  # the workers of algebra start here
    before = reset_peak()
    faults, methods = [], set()
    for one in hostile:
        verdict, seconds = timed(lambda one=one: grade(one.reference, one.answer, deadline=DEADLINE))
        if seconds > SECONDS:
            faults.append(f"{one.name}: {seconds:.1f} s")
        if one.equal is not None and verdict.equal is not one.equal:
            faults.append(f"{one.name}: {verdict}")
        methods.add(verdict.method)
    assert faults == []
    assert {"algebra", "timeout", "guard", "exact"} <= methods
    assert peak() - before < GROWTH
    assert_silent(canary)


@pytest.mark.slow
def test_the_deadline_of_a_call_without_one_is_kept(canary: Path) -> None:
    grade(*WARM)
    assert grade("1", r"(\sin x + \cos x)^{299}+\sin(x)^{298}").method == "timeout"


@pytest.mark.slow
def test_a_hostile_reference_gets_a_verdict(hostile: list[Hostile], canary: Path) -> None:
    grade(*WARM)
    verdicts = grade_many([(one.answer, one.reference) for one in hostile], deadline=1.0)
    assert len(verdicts) == len(hostile)
    faults = [one.name for one, verdict in zip(hostile, verdicts, strict=True) if verdict.equal and one.equal is False]
    assert faults == []
    assert_silent(canary)


@pytest.mark.parametrize("style", ["auto", *(pytest.param(one, marks=pytest.mark.slow) for one in STYLES)])
def test_extraction_is_done_in_time(hostile: list[Hostile], canary: Path, style: str) -> None:
    slow = []
    for one in hostile:
        answer, seconds = timed(lambda one=one: extract_answer(one.answer, style))
        assert answer is None or answer in one.answer
        if seconds > SECONDS:
            slow.append(f"{one.name}: {seconds:.1f} s")
    assert slow == []
    assert_silent(canary)


@pytest.mark.parametrize("grader", [grade_exact, grade_string, grade_multiple_choice])
def test_the_other_graders_give_a_verdict_in_time(
    hostile: list[Hostile], canary: Path, grader: Callable[[str, str | None], Verdict]
) -> None:
    faults = []
    for one in hostile:
        verdict, seconds = timed(lambda one=one: grader(one.reference, one.answer))
        if verdict.equal or seconds > SECONDS:
            faults.append(f"{one.name}: {verdict}, {seconds:.1f} s")
    assert faults == []
    assert_silent(canary)


def test_the_canary_would_sing(hostile: list[Hostile], canary: Path) -> None:
    """What the tests above rest on: run as Python, such an answer makes the file."""
    code = next(one for one in hostile if one.name.endswith("python-import")).answer
    subprocess.run([sys.executable, "-c", f"eval({code!r})"], check=True)
    assert canary.exists()


def assert_silent(canary: Path) -> None:
    # The workers of algebra keep the folder that they were started in, so that a relative path ends up there.
    for folder in (canary.parent, Path(__file__).parents[2], Path("/tmp"), Path.home()):
        assert not (folder / canary.name).exists()


def timed(work: Callable[[], Value]) -> tuple[Value, float]:
    """What it gives, and the processor time that this process took for it."""
    start = time.process_time()
    return work(), time.process_time() - start


def reset_peak() -> int:
    """Makes the kernel forget the most memory that this process ever had; its memory now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def peak() -> int:
    return status("VmHWM")


def status(name: str) -> int:
    lines = Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
