"""Runs units of work in processes of one thread each, so that rounding, and so records, don't depend on their number.

Where there are GPUs each process has one of its own, or as asked (stepward.pipeline.workers.gpus).

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
from stepward.pipeline.workers.gpus import VARIABLE, seats, visible_gpus

Facts = dict[str, Any]


class Pool(Protocol):
    """Who does units of work: processes of this machine, or a cluster's."""

    def run(self, task: Callable[..., Facts], units: Sequence[str], *arguments: Any) -> Iterator[tuple[str, Facts]]:
        """Calls `task(unit, *arguments)` for every unit, and gives each unit's facts as it ends."""
        ...


class Workers:
    """A pool that starts when it is first needed.

    Args:
        count: Processes; one a GPU, or a core where there is none, if not given.
        threads: torch threads in each.
        gpus: GPUs of each; a part of one lets processes share it, 0 keeps them on the CPU; 1 if not given.
        otherwise: Processes where no GPU bounds their number; one a core, up to eight, if not given.
    """

    def __init__(
        self, count: int | None, threads: int = 1, gpus: float | None = None, otherwise: int | None = None
    ) -> None:
        self.count = count
        self.threads = threads
        self.gpus = gpus
        self.otherwise = otherwise or min(8, cores())
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
            StepwardError: A unit's own error, more workers than GPUs have room for, or a worker that was killed.
        """
        if not units:
            return
        self._pool = self._pool or self._started()
        with without_interrupts():
            pending = {self._pool.submit(task, unit, *arguments): unit for unit in units}
        try:
            for future in as_completed(pending):
                yield pending[future], future.result()
        except BrokenProcessPool as error:
            raise StepwardError(
                "a worker process died: killed from outside, or out of memory (try --workers 1); "
                "what is finished is kept, run again to go on",
                code="worker_died",
            ) from error

    def _started(self) -> ProcessPoolExecutor:
        taken = seats(visible_gpus(), self.count, self.gpus, self.otherwise)
        context = multiprocessing.get_context("spawn")
        free = context.SimpleQueue()
        for seat in taken:
            free.put(seat)
        return ProcessPoolExecutor(
            len(taken), mp_context=context, initializer=_start, initargs=(self.threads, free, self.gpus)
        )


def cores() -> int:
    """The cores this process may use; macOS only tells how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def _start(threads: int, free: Any, gpus: float | None) -> None:
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    if (seat := free.get()) is not None:
        os.environ[VARIABLE] = seat  # before anything looks for GPUs
    prepare(threads, gpus)


def prepare(threads: int, gpus: float | None = None) -> None:
    """Makes this process a worker: so many torch threads, no downloads, and no progress bars but the run's own.

    Args:
        threads: torch threads.
        gpus: GPUs that it was given; of a part of one it takes that part of the memory.
    """
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    import transformers

    from stepward.generation.local.engine import GPU_SHARE

    if gpus and gpus < 1:
        os.environ[GPU_SHARE] = f"{gpus:g}"
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _stop_with_parent() -> None:
    """Ends this process when its parent is gone: a killed run must leave no one writing in its folder."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is started by multiprocessing"
    parent.join()
    os._exit(1)
