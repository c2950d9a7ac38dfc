"""Runs units of work on a Ray cluster: the same tasks, one thread a worker, and so the same records as `Workers`.

Ray ends the process that is connected to it, at once and without an exception, when the cluster's head stays away for
a minute. So that process is a child of the run's: when it ends, the run says what is kept. The child ends by itself
when the run is gone, and Ray ends its actors with it, so nobody goes on writing in the run's folder.
"""

import multiprocessing
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stepward.errors import StepwardError
from stepward.pipeline.workers.local import Facts, without_interrupts
from stepward.pipeline.workers.ray_pool import (
    NO_RAY,
    TOKEN,
    RayConfig,
    RayPool,
    RunClosed,
    WorkerEnv,
    import_ray,
    versions,
)
from stepward.pipeline.workers.scheduler import Schedule, run_schedule

GRACE = 30.0
"""Seconds that the child has for leaving the cluster."""


class RayWorkers:
    """A pool on a cluster, as `Workers` is one on this machine. It joins the cluster when it is first needed.

    Args:
        team: Who works, and where.
    """

    def __init__(self, team: RayConfig) -> None:
        self.team = team
        self._process: multiprocessing.process.BaseProcess | None = None
        self._link: Connection | None = None

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Ends the actors, in the middle of their units where there was an error, and leaves the cluster."""
        if self._process is None or self._link is None:
            return
        self._link.close()
        self._process.join(GRACE)
        self._process.kill()
        self._process.join()
        self._process = None
        (self.team.folder / TOKEN).unlink(missing_ok=True)

    def run(self, task: Callable[..., Facts], units: Sequence[str], *arguments: Any) -> Iterator[tuple[str, Facts]]:
        """Calls `task(unit, *arguments)` for every unit, and gives each unit's facts as it ends.

        Raises:
            StepwardError: A unit's own error; one at which workers died again and again; a machine that lacks the
                folder or has other versions; no cluster, or one that was lost.
        """
        if not units:
            return
        if self._process is None or self._link is None:
            self._start()
        assert self._process is not None and self._link is not None
        self._link.send((task, list(units), arguments))
        while (message := _receive(self._process, self._link)) is not None:
            if isinstance(message, BaseException):
                raise message
            yield message

    def _start(self) -> None:
        if find_spec("ray") is None:
            raise StepwardError(NO_RAY, code="missing_dependency")
        token = secrets.token_hex(8)
        self.team.folder.mkdir(parents=True, exist_ok=True)
        (self.team.folder / TOKEN).write_text(token)
        sight = WorkerEnv(Path.cwd(), self.team.folder.absolute(), token, versions())
        context = multiprocessing.get_context("spawn")
        self._link, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self.team, sight), name="ray", daemon=True)
        with without_interrupts():
            self._process.start()
        theirs.close()


def _receive(process: multiprocessing.process.BaseProcess, link: Connection) -> Any:
    """The next message of the child.

    Raises:
        StepwardError: It ended, as Ray ends it when the cluster is lost.
    """
    wait([link, process.sentinel])
    try:
        if link.poll():
            return link.recv()
    except (EOFError, OSError):
        pass
    raise StepwardError(
        "the Ray cluster was lost: its head was stopped, restarted, or can't be reached; what is finished is kept, "
        "run again to go on when it is back",
        code="worker_died",
    )


def _serve(link: Connection, team: RayConfig, sight: WorkerEnv) -> None:
    """The child's life: joins the cluster, does what the run asks for, and ends with it."""
    crew: RayPool | None = None
    with suppress(RunClosed, EOFError, BrokenPipeError):
        while True:
            task, units, arguments = link.recv()
            try:
                crew = crew or RayPool(link, team, sight)
                crew.begin(task, arguments)
                for ended in run_schedule(crew, Schedule(units)):
                    link.send(ended)
                link.send(None)
            except StepwardError as error:
                link.send(error)
            except import_ray().exceptions.RayTaskError as error:
                link.send(RuntimeError(str(error)))  # it holds the worker's traceback
            else:
                continue
            if crew is not None:
                crew.end()
                crew = None
    import_ray().shutdown()
