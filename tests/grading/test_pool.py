"""Algebra in killable processes: they die at their deadline, are replaced, and leave nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stepward.grading import grade, nursery
from stepward.grading.pool import AlgebraPool

# The pool is asked directly, past the guard, with what the guard would stop.
TOWER = "9^{9^{9^{9}}}"
HUNGRY = r"\frac{3^{10^{11}}}{7}"
EASY = (r"\sin^2 x + \cos^2 x", "1")


@pytest.fixture(scope="module")
def pool() -> Iterator[AlgebraPool]:
    pool = AlgebraPool(2)
    yield pool
    pool.close()


def children(process: int) -> list[int]:
    text = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in text.splitlines() if int(line.split()[1]) == process]


def is_gone(process: int, seconds: float = 6.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z" and os.getpid() not in (process,):
            # A zombie of ours would stay; one of the init process's goes in a moment.
            time.sleep(0.05)
            continue
        time.sleep(0.05)
    return False


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_algebra_decides(pool: AlgebraPool) -> None:
    assert pool.compare(*EASY, deadline=30) == (True, "algebra", "equal by algebra")
    assert pool.compare("x^2", "x^3", deadline=30)[:2] == (False, "algebra")


def test_a_worker_is_killed_at_its_deadline_and_replaced(pool: AlgebraPool) -> None:
    pool.compare(*EASY, deadline=30)
    before = descriptors()
    for _ in range(2):
        start = time.monotonic()
        assert pool.compare("1", TOWER, deadline=0.3)[:2] == (False, "timeout")
        assert time.monotonic() - start < 6
        assert pool.compare(*EASY, deadline=30)[0]
    assert descriptors() <= before + 1
    assert pool._process is not None
    # The killed ones were waited for: only live workers are left under the nursery.
    assert len(children(pool._process.pid)) <= 3


def test_a_worker_that_dies_is_a_crash_and_is_replaced() -> None:
    pool = AlgebraPool(1)
    try:
        pool.compare(*EASY, deadline=30)
        worker = pool._idle[0]
        killer = threading.Timer(0.5, os.kill, (worker.number, signal.SIGSEGV))
        killer.start()
        # The idle worker has answered before, so the question is asked once more: of a worker that lives.
        verdict = pool.compare("1", TOWER, deadline=2)
        killer.join()
        assert verdict[1] == "timeout"
        fresh = pool._fork()
        pool._idle.append(fresh)
        killer = threading.Timer(0.3, os.kill, (fresh.number, signal.SIGSEGV))
        killer.start()
        assert pool.compare("1", TOWER, deadline=5)[:2] == (False, "crash")
        killer.join()
        assert pool.compare(*EASY, deadline=30)[0]
    finally:
        pool.close()


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
    verdict = pool.compare("1", HUNGRY, deadline=5)
    # Which limit comes first is the machine's affair; that one does, and that the next question is answered, is ours.
    assert verdict[0] is False
    assert verdict[1] in ("memory", "timeout", "crash", "algebra")
    assert pool.compare(*EASY, deadline=30)[0]


def test_a_memory_error_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(_reference: str, _answer: str) -> None:
        raise MemoryError

    sent: list[object] = []
    monkeypatch.setattr("stepward.grading.algebra.compare", fill)
    monkeypatch.setattr(nursery, "receive_message", lambda _connection: ("1", "2", 5.0))
    monkeypatch.setattr(nursery, "send_message", lambda _connection, message: sent.append(message))
    monkeypatch.setattr(nursery.resource, "setrlimit", lambda _kind, _limits: None)
    with pytest.raises(EOFError):
        nursery._answer(None)  # type: ignore[arg-type]
    assert sent == [(False, "memory", "the algebra needed more than its 2 GiB")]


def test_workers_are_recycled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepward.grading.pool.REQUESTS", 2)
    pool = AlgebraPool(1)
    try:
        numbers = set()
        for _ in range(4):
            assert pool.compare(*EASY, deadline=30)[0]
            numbers |= {worker.number for worker in pool._idle}
        assert len(numbers) == 2
    finally:
        pool.close()


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


def test_closing_leaves_no_process(pool: AlgebraPool) -> None:
    own = AlgebraPool(1)
    own.compare(*EASY, deadline=30)
    assert own._process is not None
    nursery_number, worker = own._process.pid, own._idle[0].number
    before = descriptors()
    own.close()
    assert nursery_number not in children(os.getpid())
    assert is_gone(worker)
    assert descriptors() < before
    assert own.compare(*EASY, deadline=30)[0]
    own.close()


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
        "from stepward.grading.pool import POOL\n"
        "assert grade(r'\\ln(e^2)', '2').equal\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    assert POOL._process is None\n"
        "    os._exit(0 if grade(r'\\ln(e^3)', '3').equal else 1)\n"
        "status = os.waitpid(child, 0)[1]\n"
        "print(status == 0 and grade(r'\\ln(e^4)', '4').equal)"
    ),
}


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_it_works_in(program: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-"], input=PROGRAMS[program], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.stdout.strip(), ran.stderr) == ("True", "")


def test_a_killed_parent_leaves_no_process() -> None:
    program = (
        "import time\n"
        "from stepward.grading.pool import POOL\n"
        "POOL.compare('x', 'y', deadline=30)\n"
        "print(POOL._process.pid, POOL._idle[0].number, flush=True)\n"
        "time.sleep(60)\n"
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
        "from stepward.grading import algebra\n"
        "algebra.prepare()\n"
        "import sympy\n"
        "from sympy.parsing.sympy_parser import parse_expr\n"
        "for call in (sympy.sympify, parse_expr, sympy.parse_expr):\n"
        "    try: call('__import__(\"sys\").exit(3)')\n"
        "    except Exception: print('refused')\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert ran.stdout.split() == ["refused"] * 3
    assert ran.returncode == 0
