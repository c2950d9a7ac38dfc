"""The Ray side of a run: actors on machines of a cluster, placed by CPUs and GPUs, each doing unit after unit."""

import importlib
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.pipeline.workers.local import Facts, prepare
from stepward.pipeline.workers.scheduler import FileVersion, TaskResult, file_version

TOKEN = ".ray-token.tmp"
"""The file by which workers tell that they see the run's folder and not another; what a killed run left is removed."""

SHARED_FS_TIMEOUT = 60.0
"""Seconds that a shared folder may take to show what another machine wrote."""

START_TIMEOUT = 600.0
"""Seconds without any worker after which a cluster is said to have no room."""

HEALTH_INTERVAL = 10.0
"""Seconds between two looks at whether the cluster is still the one that was joined."""

MAX_START_FAILURES = 3
"""How many workers may die before they did anything."""

NO_RAY = "--ray: Ray is not installed; pip install 'stepward[ray]'"
_SAME = ("stepward", "torch", "transformers")


@dataclass(frozen=True)
class RayConfig:
    """Who works, and where.

    Attributes:
        folder: The run's folder, on a path that is the same on every machine.
        address: The cluster's, as `host:port`; `auto` for the one that this machine belongs to; `local` for one of this
            machine alone, which ends with the run.
        count: Workers; as many as fit if not given.
        threads: torch threads, and CPUs, of each.
        gpus: GPUs of each; a part, such as 0.5, lets workers share one.
    """

    folder: Path
    address: str = "local"
    count: int | None = None
    threads: int = 1
    gpus: float = 0.0


@dataclass(frozen=True)
class WorkerEnv:
    """What a worker must see before it begins.

    Attributes:
        cwd: Where paths of the recipe start.
        folder: The run's folder.
        token: What its token file says.
        versions: Of the packages that decide records.
    """

    cwd: Path
    folder: Path
    token: str
    versions: dict[str, str]


class RunClosed(Exception):
    """The run ended or was killed: its side of the link is closed."""


def import_ray() -> Any:
    """The module `ray`, which only those who use it need."""
    return importlib.import_module("ray")


class RayPool:
    """Actors by number; one that starts is not free until it said that it sees what it needs."""

    def __init__(self, link: Connection, team: RayConfig, sight: WorkerEnv) -> None:
        self.link = link
        self.team = team
        self.sight = sight
        self.ray = join(team.address)
        self.node = self.ray.get_runtime_context().get_node_id()
        self._kind = self.ray.remote(RayActor).options(
            num_cpus=team.threads, num_gpus=team.gpus, max_restarts=0, max_task_retries=0
        )
        self._actors: dict[int, Any] = {}
        self._calls: dict[Any, int] = {}
        self._starting: set[int] = set()
        self._deaths = 0
        self._looked = self._lively = time.monotonic()
        for worker in range(team.count or fitting(self.ray.cluster_resources(), team)):
            self._hire(worker)

    def begin(self, task: Callable[..., Facts], arguments: tuple[Any, ...]) -> None:
        """What the next units are given to. Workers wait until they see the manifest as it is now, or a later one."""
        manifest = self.sight.folder / "manifest.json"
        written = manifest.stat().st_mtime_ns if manifest.exists() else 0
        self._task = self.ray.put((task, arguments, manifest, written))

    def free(self) -> list[int]:
        """Those that are ready and do nothing."""
        busy = set(self._calls.values())
        return [worker for worker in self._actors if worker not in busy]

    def give(self, worker: int, unit: str) -> None:
        """Lets a free worker do a unit."""
        self._calls[self._actors[worker].do.remote(unit, self._task)] = worker

    def wait(self, seconds: float) -> list[TaskResult]:
        """Who is through; the dead are replaced.

        Raises:
            StepwardError: The cluster is another, has no room, or a machine lacks what it needs.
        """
        self._look()
        calls = list(self._calls)
        ready, _ = self.ray.wait(calls, num_returns=1, timeout=seconds)
        if ready:  # and whoever else is through by now
            ready, _ = self.ray.wait(calls, num_returns=len(calls), timeout=0)
        return [ended for call in ready if (ended := self._ended(call)) is not None]

    def stop(self, worker: int) -> None:
        """Kills a worker and hires another."""
        self.ray.kill(self._actors[worker], no_restart=True)
        for call in [call for call, other in self._calls.items() if other == worker]:
            del self._calls[call]
            with suppress(self.ray.exceptions.RayError):
                self.ray.get(call, timeout=SHARED_FS_TIMEOUT)
        time.sleep(1)  # Ray says that an actor is dead when it has asked for its end; that takes its machine a moment
        self._hire(worker)

    def end(self) -> None:
        """Kills all, whatever they do."""
        for actor in self._actors.values():
            self.ray.kill(actor, no_restart=True)

    def _hire(self, worker: int) -> None:
        self._actors[worker] = actor = self._kind.remote(self.team.threads, self.team.gpus)
        self._starting.add(worker)
        self._calls[actor.begin.remote(self.sight)] = worker

    def _ended(self, call: Any) -> TaskResult | None:
        """What became of a call; None where it only began or ended a worker that had no unit."""
        if call not in self._calls:  # it was stopped a moment ago
            return None
        worker = self._calls.pop(call)
        starting = worker in self._starting
        try:
            outcome = self.ray.get(call)
        except self.ray.exceptions.RayTaskError:
            raise
        except self.ray.exceptions.RayError as error:
            if starting:
                self._died_early(error)
            self._hire(worker)
            return None if starting else TaskResult(worker, None)
        self._starting.discard(worker)
        if not starting:
            return TaskResult(worker, outcome)
        if isinstance(outcome, StepwardError):
            raise outcome
        return None

    def _died_early(self, error: Exception) -> None:
        self._deaths += 1
        if self._deaths >= MAX_START_FAILURES:
            raise StepwardError(
                f"Ray: {self._deaths} workers died before they began; every machine needs the same Python and Stepward "
                f"as this one. Ray says: {error}",
                code="worker_died",
            ) from error

    def _look(self) -> None:
        """Sees to it that someone is there: the run, the cluster, and a worker."""
        if self.link.poll():
            raise RunClosed  # nothing is sent while units are done, so this is the link's end
        now = time.monotonic()
        if now - self._looked > HEALTH_INTERVAL:
            self._looked = now
            # Ends this process where the head stays away. One that came back without its memory knows no such node.
            if not any(node["NodeID"] == self.node and node["Alive"] for node in self.ray.nodes()):
                raise StepwardError(
                    "the Ray cluster was lost: it doesn't know this machine any more; what is finished is kept, "
                    "run again to go on",
                    code="worker_died",
                )
        if len(self._starting) < len(self._actors):
            self._lively = now
        elif now - self._lively > START_TIMEOUT:
            raise StepwardError(
                f"Ray: no worker could start in {START_TIMEOUT:.0f} s; each needs {self.team.threads} CPUs and "
                f"{self.team.gpus:g} GPUs, and the cluster has {_said(self.ray.cluster_resources())} in all",
                code="too_few",
                field="--gpus-a-worker",
            )


class RayActor:
    """The actor: a process on some machine of the cluster that does one unit after another.

    Args:
        threads: torch threads.
        gpus: GPUs that Ray gives it.
    """

    def __init__(self, threads: int, gpus: float = 0.0) -> None:
        self.threads, self.gpus = threads, gpus

    def begin(self, sight: WorkerEnv) -> StepwardError | None:
        """Makes ready, and gives what is wrong with this machine, if anything."""
        where = f"Ray node {socket.gethostname()} ({import_ray().util.get_node_ip_address()})"
        if (own := versions()) != sight.versions:
            return StepwardError(
                f"{where} has {_said(own)}, and this machine {_said(sight.versions)}: records may depend on it. "
                "Install the same everywhere",
                code="mismatch",
            )
        if sight.cwd.is_dir():
            os.chdir(sight.cwd)
        if not _within(SHARED_FS_TIMEOUT, lambda: _text(sight.folder / TOKEN) == sight.token):
            return StepwardError(
                f"{where} does not see {sight.folder} as this machine does; put runs on a folder that all machines "
                "share, at the same path, and name it with --runs",
                code="mismatch",
                file=sight.folder,
            )
        prepare(self.threads, self.gpus)
        return None

    def do(
        self, unit: str, asked: tuple[Callable[..., Facts], tuple[Any, ...], Path, int]
    ) -> tuple[Facts, FileVersion | None] | StepwardError:
        """Does a unit; gives its facts with its file's stamp, or the user's mistake that it met."""
        task, arguments, manifest, written = asked
        if written and not _within(
            SHARED_FS_TIMEOUT, lambda: manifest.exists() and manifest.stat().st_mtime_ns >= written
        ):
            return StepwardError(
                f"Ray node {socket.gethostname()} sees an old {manifest}: the shared folder is "
                f"{SHARED_FS_TIMEOUT:.0f} s behind",
                code="mismatch",
                file=manifest,
            )
        try:
            facts = task(unit, *arguments)
        except StepwardError as error:
            return error
        return facts, file_version(facts.get("path"))


def join(address: str) -> Any:
    """Connects this process to a cluster and gives the module `ray`.

    Raises:
        StepwardError: Ray is not installed, or nobody answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = import_ray()
    except ImportError as error:
        raise StepwardError(NO_RAY, code="missing_dependency") from error
    if address not in ("auto", "local"):
        _check(address)
    try:
        ray.init(
            address=address,
            ignore_reinit_error=True,
            include_dashboard=False,
            logging_level="ERROR",
            log_to_driver=False,
        )
    except Exception as error:  # Ray raises many kinds: no cluster, another Python, another Ray
        raise StepwardError(
            f"--ray {address}: can't join the cluster: {error}. "
            "If it asks for a token, set RAY_AUTH_MODE=token here too",
            code="unreachable",
            field="--ray",
        ) from error
    return ray


def _check(address: str) -> None:
    """Asks whether anybody listens there: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise StepwardError(
            f"--ray {address}: expected auto, local, or HOST:PORT such as 10.0.0.1:6379",
            code="bad_value",
            field="--ray",
        )
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise StepwardError(
            f"--ray {address}: nobody answers there ({error}); start the head with: ray start --head --port={port}",
            code="unreachable",
            field="--ray",
        ) from error


def fitting(resources: dict[str, float], team: RayConfig) -> int:
    """How many of a team's workers a cluster has room for; at least one, since machines may still join."""
    room = resources.get("CPU", 0) // team.threads
    if team.gpus:
        room = min(room, resources.get("GPU", 0) // team.gpus)
    return max(1, int(room))


def _within(seconds: float, met: Callable[[], bool]) -> bool:
    """Whether something becomes true in time."""
    end = time.monotonic() + seconds
    while not met():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def versions() -> dict[str, str]:
    """Of the packages that decide records, those of this machine."""
    found = {}
    for package in _SAME:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _said(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
