"""The process that algebra's workers are born in, and what a worker does.

Symbolic algebra on a model's text can hang, fill the memory or crash, and inside one process nothing stops it: a
signal does not interrupt a big-integer operation, and a thread cannot be killed. So it runs in workers that the
parent can have killed. They are forked from this *nursery*, a fresh Python process that has imported sympy and
math-verify once, so that a new worker is ready in milliseconds. The `multiprocessing` module is not used: its
daemonic children may have no children of their own, and `spawn` and `forkserver` import the user's `__main__`.

The nursery reads commands from a Unix socket: `F` with a file descriptor forks a worker that answers on that
descriptor, `K` and a process number kills a worker. Only the nursery waits for its children, so a number that it
still knows is never another process. It ends, with all workers, when the parent's end of the socket closes.

A worker takes requests, each a length and a JSON array (reference, answer, deadline in seconds), and answers with
a JSON array (equal, method, reason). Whatever goes wrong in it ends the worker alone.
"""

import contextlib
import json
import os
import random
import resource
import select
import signal
import socket
import sys
from typing import Any, NoReturn

MEMORY = 2 * 2**30
"""Bytes that a worker may map beyond what it has mapped when it starts."""
REQUESTS = 2_000
"""Requests after which a worker is replaced: sympy's caches only grow."""
FORK, KILL, READY, BROKEN = b"F", b"K", b"R", b"B"
_NUMBER = 4  # bytes of a length or a process number on the wire
_LONGEST_MESSAGE = 2**24


def send_message(connection: socket.socket, message: Any) -> None:
    """Send one JSON value behind its length."""
    body = json.dumps(message).encode()
    connection.sendall(len(body).to_bytes(_NUMBER, "big") + body)


def receive_message(connection: socket.socket) -> Any:
    """The next JSON value.

    Raises:
        EOFError: The other side is gone.
    """
    length = int.from_bytes(receive_exactly(connection, _NUMBER), "big")
    if length > _LONGEST_MESSAGE:
        raise EOFError
    return json.loads(receive_exactly(connection, length))


def receive_exactly(connection: socket.socket, length: int) -> bytes:
    """The next bytes, as many as asked for.

    Raises:
        EOFError: The other side is gone.
    """
    parts = []
    while length:
        part = connection.recv(length)
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def serve(control_descriptor: int) -> None:
    """Fork and kill workers as the parent asks until it is gone."""
    with socket.socket(fileno=control_descriptor) as control:
        try:
            from stepward.grading.algebra.math_verify import prepare

            prepare()
        except Exception as error:
            control.sendall(BROKEN)
            send_message(control, f"{type(error).__name__}: {error}")
            return
        control.sendall(READY)
        workers: set[int] = set()
        # A child's end writes a byte into a pipe, which ends the wait below: no polling, and no zombie stays.
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        with contextlib.suppress(EOFError, OSError):
            while True:
                ready, _, _ = select.select([control.fileno(), woken], [], [])
                if woken in ready:
                    os.read(woken, 4096)
                    _reap(workers)
                if control.fileno() in ready:
                    _handle_command(control, workers, [woken, wake])
        for worker in workers:
            os.kill(worker, signal.SIGKILL)


def _reap(workers: set[int]) -> None:
    while workers:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            return
        workers.discard(ended)


def _handle_command(control: socket.socket, workers: set[int], pipe: list[int]) -> None:
    """Read one command and do it."""
    command, descriptors, _, _ = socket.recv_fds(control, 1, 1)
    if not command:
        raise EOFError
    if command == KILL:
        worker = int.from_bytes(receive_exactly(control, _NUMBER), "big")
        _reap(workers)
        if worker in workers:
            os.kill(worker, signal.SIGKILL)
        return
    worker = os.fork()
    if not worker:
        control.close()
        _worker_loop(descriptors[0], pipe)
    workers.add(worker)
    os.close(descriptors[0])
    control.sendall(worker.to_bytes(_NUMBER, "big"))


def _worker_loop(descriptor: int, pipe: list[int]) -> NoReturn:
    """A worker's life: answer requests until there are no more, or too many were answered."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in pipe:
            os.close(end)
        _limit_memory()
        with socket.socket(fileno=descriptor) as connection, contextlib.suppress(EOFError, OSError):
            for _ in range(REQUESTS):
                _answer(connection)
    finally:
        # Nothing of the nursery's is flushed or closed a second time.
        os._exit(0)


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open("/proc/self/statm") as pages:
            mapped = int(pages.read().split()[0]) * resource.getpagesize()
    except OSError:
        return  # not Linux: there the limit on mapped memory is not kept by the kernel either
    limit = mapped + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _answer(connection: socket.socket) -> None:
    """Receive one request and answer it."""
    from stepward.grading.algebra.math_verify import compare

    reference, answer, deadline = receive_message(connection)
    # Should the parent itself be killed meanwhile, the kernel ends this worker soon after its deadline.
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime + deadline) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    random.seed(0)
    try:
        verdict = compare(reference, answer)
    except MemoryError:
        send_message(connection, (False, "memory", "the algebra needed more than its 2 GiB"))
        raise EOFError from None  # what filled the memory may still be held: this worker is done
    send_message(connection, verdict)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
