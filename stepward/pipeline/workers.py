"""Runs units of work in processes of one thread each, so that rounding, and so records, don't depend on their number.

Processes are spawned, not forked: torch's threads don't survive a fork. A worker whose parent is gone stops itself.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, Self

from stepward.errors import StepwardError

Facts = dict[str, Any]


class Pool(Protocol):
    """Who does units of work: processes of this machine, or a cluster's."""

    def run(self, task: Callable[..., Facts], units: Sequence[str], *arguments: Any) -> Iterator[tuple[str, Facts]]:
        """Calls `task(unit, *arguments)` for every unit, and gives each unit's facts as it ends."""
        ...


class Workers:
    """A pool that starts when it is first needed.

    Args:
        count: Processes.
        threads: torch threads in each.
    """

    def __init__(self, count: int, threads: int = 1) -> None:
        self.count = count
        self.threads = threads
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Ends the processes: at once where there was an error, since their units would be lost anyway."""
        if self._pool is None:
            return
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=kind is None, cancel_futures=True)
        if kind is not None:
            for process in processes:
                process.kill()

    def run(self, task: Callable[..., Facts], units: Sequence[str], *arguments: Any) -> Iterator[tuple[str, Facts]]:
        """Calls `task(unit, *arguments)` for every unit, and gives each unit's facts as it ends.

        Raises:
            StepwardError: A unit's own error, or a worker that was killed.
        """
        if not units:
            return
        self._pool = self._pool or ProcessPoolExecutor(
            self.count,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(self.threads,),
        )
        with without_interrupts():
            pending = {self._pool.submit(task, unit, *arguments): unit for unit in units}
        try:
            for future in as_completed(pending):
                yield pending[future], future.result()
        except BrokenProcessPool as error:
            raise StepwardError(
                "a worker process died: killed from outside, or out of memory (try --workers 1); "
                "what is finished is kept, run again to go on"
            ) from error


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Holds Ctrl-C back while processes start: they inherit that, and it reaches this one when the block ends.

    It is sent to every process of the terminal; this one ends the workers, without a traceback of each.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(threads: int) -> None:
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    prepare(threads)


def prepare(threads: int) -> None:
    """Makes this process a worker: so many torch threads, no downloads, and no progress bars but the run's own."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    import transformers

    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _stop_with_parent() -> None:
    """Ends this process when its parent is gone: a killed run must leave no one writing in its folder."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is started by multiprocessing"
    parent.join()
    os._exit(1)
