"""The parent's side of algebra in killable processes: workers are borrowed, asked, and killed at their deadline.

One pool serves a whole process: any number of threads, code inside a running event loop, and daemonic children of
other pools. It starts with the first question, and starts again after a fork, since a child shares no process
with its parent. `stepward.grading.algebra.worker` says where workers come from and why.
"""

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from stepward.errors import StepwardError
from stepward.grading.algebra.worker import BROKEN, FORK, KILL, REQUESTS, receive_exactly, receive_message, send_message

_START = 120.0  # seconds that the nursery may take to import sympy, on a busy machine
_TICK = 0.05  # seconds, at least, until it is looked again how much a worker has used
_SLOWEST = 10  # times its deadline that a question may take by the clock, where the processor is not the worker's alone
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from stepward.grading.algebra.worker import serve; serve(int(sys.argv[1]))"
)


@dataclass(slots=True)
class _Worker:
    connection: socket.socket
    number: int
    nursery: int
    asked: int = 0


class AlgebraPool:
    """Worker processes that compare two answers by algebra.

    Args:
        size: Most workers at once; the number of processors when left out.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size or os.cpu_count() or 1
        self._changed = threading.Condition()
        self._idle: list[_Worker] = []
        self._busy: set[socket.socket] = set()
        self._lent = 0
        # Commands to the nursery are a question and its reply, so they go one at a time.
        self._commands = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._generation = 0

    def compare(
        self, reference: str, answer: str, *, deadline: float, workers: int | None = None
    ) -> tuple[bool, str, str]:
        """Compare two answers in a worker.

        Args:
            reference: The reference answer.
            answer: The extracted answer.
            deadline: Seconds of processor time after which the worker is killed, so that a busy machine gives the
                verdicts of an idle one; by the clock, ten times as many at most. Waiting for a free worker does not
                count, nor does starting the first.
            workers: Most workers at once, where not the pool's size.

        Returns:
            Equal, method and reason of a verdict; the method is `algebra`, `timeout`, `memory` or `crash`.

        Raises:
            StepwardError: The nursery cannot start.
        """
        limit = workers or self.size
        with self._changed:
            while self._lent >= limit:
                self._changed.wait()
            self._lent += 1
        try:
            return self._ask(reference, answer, deadline)
        finally:
            with self._changed:
                self._lent -= 1
                self._changed.notify()

    def close(self) -> None:
        """End every worker and the nursery, and wait for it; a later question starts them again."""
        with self._commands:
            self._stop()

    def reset_after_fork(self) -> None:
        """Let go of what a forked child has inherited: the parent's workers are not the child's."""
        connections = [worker.connection for worker in self._idle] + list(self._busy)
        if self._control is not None:
            connections.append(self._control)
        for connection in connections:
            connection.close()
        AlgebraPool.__init__(self, self.size)

    def _ask(self, reference: str, answer: str, deadline: float) -> tuple[bool, str, str]:
        for attempt in (1, 2):
            worker = self._borrow()
            try:
                verdict = _question(worker, reference, answer, deadline)
            except TimeoutError:
                self._end(worker, kill=True)
                return False, "timeout", f"the algebra took longer than {deadline:g} s"
            except (EOFError, OSError):
                self._end(worker, kill=True)
                # An idle worker may have died of an earlier cause; a fresh one has only this question to die of.
                if attempt == 1 and worker.asked > 1:
                    continue
                return False, "crash", "the algebra's process died"
            except BaseException:
                self._end(worker, kill=True)  # interrupted: the reply would answer the next question
                raise
            if worker.asked >= REQUESTS or verdict[1] == "memory":
                self._end(worker, kill=False)
            else:
                self._give_back(worker)
            return verdict
        raise AssertionError

    def _borrow(self) -> _Worker:
        with self._changed:
            if self._idle:
                worker = self._idle.pop()
                self._busy.add(worker.connection)
                return worker
        for attempt in (1, 2):
            with self._commands:
                try:
                    worker = self._fork()
                    break
                except (OSError, EOFError) as error:
                    # The nursery was killed: once more, with a new one.
                    self._stop()
                    if attempt == 2:
                        raise StepwardError(
                            f"grading: cannot start a process for algebra: {error!r}", code="worker_died"
                        ) from error
        with self._changed:
            self._busy.add(worker.connection)
        return worker

    def _give_back(self, worker: _Worker) -> None:
        with self._changed:
            self._busy.discard(worker.connection)
            keep = worker.nursery == self._generation and len(self._idle) < self.size
            if keep:
                self._idle.append(worker)
        if not keep:
            worker.connection.close()

    def _end(self, worker: _Worker, *, kill: bool) -> None:
        with self._changed:
            self._busy.discard(worker.connection)
        worker.connection.close()
        if kill:
            with self._commands, contextlib.suppress(OSError):
                if self._control is not None and worker.nursery == self._generation:
                    self._control.sendall(KILL + worker.number.to_bytes(4, "big"))

    def _fork(self) -> _Worker:
        """A new worker; called with the command lock held."""
        if self._process is None or self._process.poll() is not None:
            self._stop()
            self._start()
        assert self._control is not None
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._control, [FORK], [theirs.fileno()])
            number = int.from_bytes(receive_exactly(self._control, 4), "big")
        except BaseException:
            ours.close()
            raise
        return _Worker(ours, number, self._generation)

    def _start(self) -> None:
        if not sys.executable:
            raise StepwardError(
                "grading: sys.executable is empty, so that no process for algebra can be started", code="unsupported"
            )
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno()), json.dumps(sys.path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Algebra that orders by hash gives the same verdict in every run.
                env={**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        self._control = ours
        self._generation += 1
        ours.settimeout(_START)
        if receive_exactly(ours, 1) == BROKEN:
            reason = receive_message(ours)
            self._stop()
            raise StepwardError(
                f"grading: algebra cannot start: {reason}; is math-verify installed?", code="missing_dependency"
            )

    def _stop(self) -> None:
        """End the nursery; called with the command lock held."""
        with self._changed:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.connection.close()
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


def _question(worker: _Worker, reference: str, answer: str, deadline: float) -> tuple[bool, str, str]:
    """Ask a worker and wait for its reply, until the deadline.

    Raises:
        TimeoutError: The reply did not come by then.
    """
    end, before = time.monotonic() + _SLOWEST * deadline, _used(worker)
    worker.asked += 1
    worker.connection.settimeout(_SLOWEST * deadline)
    send_message(worker.connection, (reference, answer, deadline))
    wait = deadline
    while True:
        worker.connection.settimeout(wait)
        try:
            worker.connection.recv(1, socket.MSG_PEEK)
            break
        except TimeoutError:
            now = _used(worker)
            left = 0.0 if before is None or now is None else deadline - (now - before)
            wait = min(max(left, _TICK), end - time.monotonic())
            if left <= 0 or wait <= 0:
                raise
    worker.connection.settimeout(_SLOWEST * deadline)
    equal, method, reason = receive_message(worker.connection)
    return bool(equal), str(method), str(reason)


def _used(worker: _Worker) -> float | None:
    """Seconds of processor time that a worker has used; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{worker.number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


POOL = AlgebraPool()
"""The process's pool."""
atexit.register(POOL.close)
os.register_at_fork(after_in_child=POOL.reset_after_fork)
