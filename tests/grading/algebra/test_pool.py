"""Algebra in killable processes: they die at their deadline, are replaced, and leave nothing behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stepward.grading import grade
from stepward.grading.algebra import worker as nursery
from stepward.grading.algebra.pool import AlgebraPool

# The pool is asked directly, past the guard, with what the guard would stop.
TOWER = "9^{9^{9^{9}}}"
HUNGRY = r"\frac{3^{10^{11}}}{7}"
EASY = (r"\sin^2 x + \cos^2 x", "1")


@pytest.fixture(scope="module")
def pool() -> Iterator[AlgebraPool]:
    pool = AlgebraPool(2)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def single() -> Iterator[AlgebraPool]:
    """A pool of one worker: the idle one is the one that is asked."""
    pool = AlgebraPool(1)
    yield pool
    pool.close()


def children(process: int) -> list[int]:
    text = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in text.splitlines() if int(line.split()[1]) == process]


def comes_true(what: Callable[[], bool], seconds: float = 300.0) -> bool:
    """Whether something is so before long; how long decides nothing but when a test that fails ends."""
    end = time.monotonic() + seconds
    while not (so := what()) and time.monotonic() < end:
        time.sleep(0.02)
    return so


def is_gone(process: int) -> bool:
    return comes_true(lambda: not Path(f"/proc/{process}").exists())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_algebra_decides(pool: AlgebraPool) -> None:
    assert pool.compare(*EASY, deadline=30) == (True, "algebra", "equal by algebra")
    assert pool.compare("x^2", "x^3", deadline=30)[:2] == (False, "algebra")


def test_a_worker_is_killed_at_its_deadline_and_replaced(pool: AlgebraPool) -> None:
    pool.compare(*EASY, deadline=30)
    before = descriptors()
    for _ in range(2):
        asked = pool._idle[-1].number
        assert pool.compare("1", TOWER, deadline=0.3)[:2] == (False, "timeout")
        assert is_gone(asked)
        assert pool.compare(*EASY, deadline=30)[0]
    assert descriptors() <= before + 1
    process = pool._process
    assert process is not None
    # The killed ones were waited for: only live workers are left under the nursery.
    assert comes_true(lambda: len(children(process.pid)) <= 3)


def test_a_worker_that_gets_no_processor_is_waited_for(single: AlgebraPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy stands still for a worker: its deadline is of its own work."""
    single.compare(*EASY, deadline=30)
    stopped = single._idle[0].number
    monkeypatch.setattr("stepward.grading.algebra.pool._SLOWEST", 10_000)
    os.kill(stopped, signal.SIGSTOP)
    resumed = threading.Timer(1.0, os.kill, (stopped, signal.SIGCONT))
    resumed.start()
    assert single.compare(*EASY, deadline=0.3)[0]
    resumed.join()
    # By the clock it ends all the same.
    monkeypatch.setattr("stepward.grading.algebra.pool._SLOWEST", 1)
    os.kill(stopped, signal.SIGSTOP)
    assert single.compare(*EASY, deadline=0.3)[1] == "timeout"
    assert is_gone(stopped)


def test_a_worker_that_dies_is_a_crash_and_is_replaced(single: AlgebraPool) -> None:
    def die_at_work(worker: int) -> threading.Thread:
        before = used(worker)

        def kill() -> None:
            # Not before it works on the question. Should this thread be late, its deadline has ended it.
            with contextlib.suppress(OSError):
                comes_true(lambda: used(worker) > before + 2)
                os.kill(worker, signal.SIGSEGV)

        thread = threading.Thread(target=kill)
        thread.start()
        return thread

    single.compare(*EASY, deadline=30)
    first = single._idle[0].number
    # The idle worker has answered before, so the question is asked once more: of a worker that lives.
    killer = die_at_work(first)
    assert single.compare("1", TOWER, deadline=1)[1] == "timeout"
    killer.join()
    assert is_gone(first)
    single._idle.append(single._fork())
    killer = die_at_work(single._idle[0].number)
    assert single.compare("1", TOWER, deadline=300)[:2] == (False, "crash")
    killer.join()
    assert single.compare(*EASY, deadline=30)[0]


def used(worker: int) -> int:
    """The processor time of a process, in ticks of a hundredth of a second."""
    fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_dead_idle_worker_costs_no_verdict(pool: AlgebraPool) -> None:
    pool.compare(*EASY, deadline=30)
    for worker in pool._idle:
        os.kill(worker.number, signal.SIGKILL)
    assert pool.compare(*EASY, deadline=30)[0]


def test_a_dead_nursery_is_started_again(pool: AlgebraPool) -> None:
    pool.compare(*EASY, deadline=30)
    assert pool._process is not None
    first = pool._process.pid
    os.kill(first, signal.SIGKILL)
    assert pool.compare(*EASY, deadline=30)[0]
    pool._idle.clear()
    assert pool.compare(*EASY, deadline=30)[0]
    assert pool._process.pid != first


def test_memory_ends_in_a_verdict_of_its_own(pool: AlgebraPool) -> None:
    verdict = pool.compare("1", HUNGRY, deadline=2)
    # Which limit comes first is the machine's affair; that one does, and that the next question is answered, is ours.
    assert verdict[0] is False
    assert verdict[1] in ("memory", "timeout", "crash", "algebra")
    assert pool.compare(*EASY, deadline=30)[0]


def test_a_memory_error_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(_reference: str, _answer: str) -> None:
        raise MemoryError

    sent: list[object] = []
    monkeypatch.setattr("stepward.grading.algebra.math_verify.compare", fill)
    monkeypatch.setattr(nursery, "receive_message", lambda _connection: ("1", "2", 5.0))
    monkeypatch.setattr(nursery, "send_message", lambda _connection, message: sent.append(message))
    monkeypatch.setattr(nursery.resource, "setrlimit", lambda _kind, _limits: None)
    with pytest.raises(EOFError):
        nursery._answer(None)  # type: ignore[arg-type]
    assert sent == [(False, "memory", "the algebra needed more than its 2 GiB")]


def test_workers_are_recycled(single: AlgebraPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepward.grading.algebra.pool.REQUESTS", 2)
    numbers = set()
    for _ in range(4):
        assert single.compare(*EASY, deadline=30)[0]
        numbers |= {worker.number for worker in single._idle}
    assert len(numbers) == 2


def test_threads_share_the_pool(pool: AlgebraPool) -> None:
    questions = [(f"(x+{n})^2", f"x^2+{2 * n}x+{n * n + n % 2}") for n in range(1, 9)]
    with ThreadPoolExecutor(6) as threads:
        verdicts = list(threads.map(lambda pair: pool.compare(*pair, deadline=30)[0], questions))
    assert verdicts == [n % 2 == 0 for n in range(1, 9)]
    assert len(pool._idle) <= 2


def test_async_code_may_grade() -> None:
    async def both() -> tuple[bool, bool]:
        inside = grade(*EASY).equal
        return inside, (await asyncio.to_thread(grade, r"\ln(e^2)", "2")).equal

    assert asyncio.run(both()) == (True, True)


def test_closing_leaves_no_process(single: AlgebraPool) -> None:
    single.compare(*EASY, deadline=30)
    assert single._process is not None
    nursery_number, worker = single._process.pid, single._idle[0].number
    before = descriptors()
    single.close()
    assert nursery_number not in children(os.getpid())
    assert is_gone(worker)
    assert descriptors() < before
    assert single.compare(*EASY, deadline=30)[0]


PROGRAMS = {
    "standard input": "from stepward.grading import grade\nprint(grade(r'\\ln(e^2)', '2').equal)",
    "daemonic child": (
        "import multiprocessing\n"
        "from stepward.grading import grade\n"
        "def work(pipe): pipe.send(grade(r'\\ln(e^2)', '2').equal)\n"
        "ours, theirs = multiprocessing.Pipe()\n"
        "context = multiprocessing.get_context('fork')\n"
        "child = context.Process(target=work, args=(theirs,), daemon=True)\n"
        "child.start(); print(ours.recv()); child.join()"
    ),
    "fork after use": (
        "import os\n"
        "from stepward.grading import grade\n"
        "from stepward.grading.algebra.pool import POOL\n"
        "assert grade(r'\\ln(e^2)', '2').equal\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    assert POOL._process is None\n"
        "    os._exit(0 if grade(r'\\ln(e^3)', '3').equal else 1)\n"
        "status = os.waitpid(child, 0)[1]\n"
        "print(status == 0 and grade(r'\\ln(e^4)', '4').equal)"
    ),
}


@pytest.mark.parametrize(
    "program",
    [one if one == "daemonic child" else pytest.param(one, marks=pytest.mark.slow) for one in sorted(PROGRAMS)],
)
def test_it_works_in(program: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-"], input=PROGRAMS[program], capture_output=True, text=True, timeout=600, check=False
    )
    assert (ran.stdout.strip(), ran.stderr) == ("True", "")


def test_a_killed_parent_leaves_no_process() -> None:
    program = (
        "import time\n"
        "from stepward.grading.algebra.pool import POOL\n"
        "POOL.compare('x', 'y', deadline=30)\n"
        "print(POOL._process.pid, POOL._idle[0].number, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    numbers = [int(word) for word in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert len(numbers) == 2
    assert all(is_gone(number) for number in numbers)


def test_text_is_never_evaluated() -> None:
    program = (
        "from stepward.grading.algebra import math_verify as algebra\n"
        "algebra.prepare()\n"
        "import sympy\n"
        "from sympy.parsing.sympy_parser import parse_expr\n"
        "for call in (sympy.sympify, parse_expr, sympy.parse_expr):\n"
        "    try: call('__import__(\"sys\").exit(3)')\n"
        "    except Exception: print('refused')\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert ran.stdout.split() == ["refused"] * 3
    assert ran.returncode == 0
