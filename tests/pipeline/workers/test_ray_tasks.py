"""Real Ray, on this machine: the same records by any number of workers, whoever dies; and nobody outlives the run."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import ray_tasks
from killing import all_gone, wait_until
from raising import refused
from rich.console import Console
from small_runs import content

from stepward.errors import StepwardError
from stepward.pipeline.runner import STAGES, Run
from stepward.pipeline.workers import ray_pool as ray_crew
from stepward.pipeline.workers.ray_pool import RayActor, RayConfig, WorkerEnv, fitting, versions
from stepward.pipeline.workers.ray_tasks import RayWorkers
from stepward.recipes.loading import load_recipe
from stepward.recipes.run import Recipe
from stepward.storage.manifest import Manifest

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'stepward[ray]'"),
]

TESTS = Path(__file__).parents[2]
UNITS = ["a", "b", "c", "d"]
SHARED = ("problems", "solutions", "rollouts", "labels", "rewards", "scores")
"""Stages that workers have a part in, and those between."""


class Cluster:
    """A head with two CPUs, in a session of its own, that can be killed and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.address = f"127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self.folder / "head.log"
        words = ("start", "--head", "--block", f"--port={self.port}", "--num-cpus=2", "--include-dashboard=false")
        # A busy machine takes longer than the 30 s after which Ray gives its own helpers up.
        patient = {"RAY_agent_register_timeout_ms": "180000", "RAY_USAGE_STATS_ENABLED": "0"}
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", *words, "--object-store-memory=80000000"],
                env=os.environ | patient | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        wait_until(lambda: "Ray runtime started" in log.read_text() or self.process.poll() is not None)  # type: ignore[union-attr]
        assert self.process.poll() is None, log.read_text()

    def kill(self) -> None:
        """Ends head, workers and all at once, as a machine that loses its power."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture(scope="module", autouse=True)
def token() -> Iterator[None]:
    """Clusters and runs that know one another by a token of their own, whatever this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        yield


@pytest.fixture(scope="module")
def cluster(token: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.kill()


@pytest.fixture(scope="module")
def team(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> RayConfig:
    return RayConfig(tmp_path_factory.mktemp("team"), address=cluster.address, count=2)


@pytest.fixture(scope="module")
def recipe(small: tuple[str, ...]) -> Recipe:
    return load_recipe(small[1], [*small[2:], "name=whole"])


def make(recipe: Recipe, folder: Path, pool: AbstractContextManager[Any]) -> dict[str, Any]:
    """All stages that workers have a part in, and their records."""
    manifest = Manifest.start(folder, recipe.fingerprint_fields())
    with pool as workers:
        run = Run(recipe, folder, manifest, workers, Console(quiet=True))
        run.remove_leftovers()
        for stage in SHARED:
            STAGES[stage](run)
    assert not [path for path in folder.rglob(".*") if path.name != ".lock"], "nothing else lies about"
    return made_by_workers(content(folder))


def made_by_workers(found: dict[str, Any]) -> dict[str, Any]:
    """What workers make of a run."""
    stages = {stage: found["manifest.json"][stage] for stage in SHARED}
    records = {path: one for path, one in found.items() if path.split("/")[0] in SHARED}
    return {**records, "manifest.json": stages}


@pytest.fixture(scope="module")
def expected(whole: tuple[Path, float]) -> dict[str, Any]:
    """The records by a process of this machine."""
    return made_by_workers(content(whole[0]))


class Killing(RayWorkers):
    """Kills a worker that is busy, and another one once a unit was told; beside the run, or luck would decide."""

    kills = told = 0

    def __enter__(self) -> RayWorkers:
        self.killer = Thread(target=self._kill_two, daemon=True)
        self.killer.start()
        return super().__enter__()

    def run(self, task: Any, units: Any, *arguments: Any) -> Iterator[Any]:
        for one in super().run(task, units, *arguments):
            self.told += 1
            yield one

    def _kill_two(self) -> None:
        while self.kills < 2:
            busy = processes_named("ray::Hand.do") if self.told >= self.kills else []
            if busy:
                os.kill(busy[0], signal.SIGKILL)
                self.kills += 1
            time.sleep(0.01)


def processes_named(name: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(name.encode()):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_facts_errors_and_deaths_reach_the_caller(team: RayConfig) -> None:
    with RayWorkers(team) as pool:
        assert list(pool.run(ray_tasks.write, [])) == [] and pool._process is None, "nothing to do starts nothing"
        facts = dict(pool.run(ray_tasks.write, UNITS, team.folder))
        assert sorted(facts) == UNITS and all((team.folder / f"{unit}.txt").read_text() == unit for unit in UNITS)
        assert {fact["threads"] for fact in facts.values()} == {1}
        assert {fact["cwd"] for fact in facts.values()} == {str(Path.cwd())}, (
            "paths of a recipe start where the run does"
        )
        assert sorted(dict(pool.run(ray_tasks.die_once, UNITS, team.folder))) == UNITS, "another does it"
        with refused("bad_value", row=3, field="a"):
            list(pool.run(ray_tasks.refuse, ["a"], team.folder))
        with pytest.raises(RuntimeError, match=r"(?s)in stumble.*ZeroDivisionError: a bug of the task"):
            list(pool.run(ray_tasks.stumble, ["a"], team.folder))
        assert sorted(dict(pool.run(ray_tasks.write, UNITS, team.folder))) == UNITS, "and it goes on"
        with refused("worker_died", field="b", names=(4,)):
            list(pool.run(ray_tasks.die, ["b"], team.folder))
    assert not (team.folder / ray_crew.TOKEN).exists()


@pytest.mark.slow
def test_an_error_in_the_run_ends_the_actors(team: RayConfig) -> None:
    noted = team.folder / "slow"
    with pytest.raises(KeyboardInterrupt), RayWorkers(team) as pool:
        assert next(pool.run(ray_tasks.linger, ["quick", "slow"], team.folder)) == ("quick", {})
        wait_until(lambda: noted.exists() and noted.read_text())
        raise KeyboardInterrupt
    wait_until(lambda: all_gone({int(noted.read_text())}))


RUN = """
import sys
from pathlib import Path
import ray_tasks
from stepward.pipeline.workers.ray_pool import RayConfig
from stepward.pipeline.workers.ray_tasks import RayWorkers
if __name__ == "__main__":
    folder, address = Path(sys.argv[1]), sys.argv[2]
    with RayWorkers(RayConfig(folder, address, 1)) as pool:
        list(pool.run(ray_tasks.linger, ["one"], folder))
"""


@pytest.mark.slow
def test_actors_end_with_a_run_that_is_killed(team: RayConfig, tmp_path: Path) -> None:
    script, noted = tmp_path / "run.py", tmp_path / "one"
    script.write_text(RUN)
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    run = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), team.address], env=os.environ | {"PYTHONPATH": path}
    )
    wait_until(lambda: (noted.exists() and noted.read_text()) or run.poll() is not None)
    worker = int(noted.read_text())
    assert not all_gone({worker})
    run.kill()
    run.wait()
    wait_until(lambda: all_gone({worker}))


def test_a_local_worker_makes_the_records_of_a_process(
    recipe: Recipe, expected: dict[str, Any], tmp_path: Path
) -> None:
    assert make(recipe, tmp_path, RayWorkers(RayConfig(tmp_path, "local", 1))) == expected


@pytest.mark.slow
def test_two_workers_that_are_killed_make_the_same_records(
    team: RayConfig, recipe: Recipe, expected: dict[str, Any], tmp_path: Path
) -> None:
    pool = Killing(replace(team, folder=tmp_path))
    assert make(recipe, tmp_path, pool) == expected
    assert pool.kills == 2


@pytest.mark.slow
def test_a_head_that_is_killed_and_started_again_loses_nothing(
    recipe: Recipe, expected: dict[str, Any], tmp_path: Path
) -> None:
    own, folder = Cluster(tmp_path), tmp_path / "run"
    own.start()
    team = RayConfig(folder, own.address, 2)

    class HeadLost(RayWorkers):
        def run(self, task: Any, units: Any, *arguments: Any) -> Iterator[Any]:
            for unit, facts in super().run(task, units, *arguments):
                yield unit, facts
                if unit == "reward-0000":
                    own.kill()
                    own.start()

    try:
        with refused("worker_died"):
            make(recipe, folder, HeadLost(team))
        # Units that were done when the head died are still reported, so how many of a stage there are is chance.
        assert Manifest.read(folder).units("solutions") and not Manifest.read(folder).units("scores")
        assert make(recipe, folder, RayWorkers(team)) == expected
    finally:
        own.kill()


def test_what_is_wrong_with_a_machine_is_said_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_crew, "SHARED_FS_TIMEOUT", 0.1)
    monkeypatch.chdir(tmp_path)
    sight = WorkerEnv(tmp_path, tmp_path, "token", versions())
    other = RayActor(1).begin(replace(sight, versions={"stepward": "0.0.0"}))
    assert f"Ray node {socket.gethostname()} (" in str(other) and "this machine stepward 0.0.0" in str(other)
    assert f"does not see {tmp_path} as this machine does" in str(RayActor(1).begin(sight))
    (tmp_path / ray_crew.TOKEN).write_text("another's")
    assert f"does not see {tmp_path} as this machine does" in str(RayActor(1).begin(sight)), "a folder of the same name"
    (tmp_path / ray_crew.TOKEN).write_text("token")
    assert RayActor(1).begin(replace(sight, cwd=tmp_path / "nowhere")) is None
    late = RayActor(1).do("a", (ray_tasks.write, (tmp_path,), tmp_path / "manifest.json", 1))
    assert isinstance(late, StepwardError) and "sees an old" in str(late)


def test_addresses_at_which_nobody_is(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for address, code in (("there", "bad_value"), (f"127.0.0.1:{port}", "unreachable")):
        with refused(code, field="--ray", names=(address,)), RayWorkers(RayConfig(tmp_path, address)) as pool:
            list(pool.run(ray_tasks.write, ["a"], tmp_path))


@pytest.mark.parametrize(
    ("resources", "threads", "gpus", "count"),
    [
        ({"CPU": 8.0}, 1, 0.0, 8),
        ({"CPU": 8.0, "GPU": 4.0}, 2, 1.0, 4),
        ({"CPU": 8.0, "GPU": 1.0}, 1, 0.5, 2),
        ({"CPU": 8.0}, 1, 1.0, 1),
        ({}, 1, 0.0, 1),
    ],
)
def test_as_many_workers_as_fit(
    resources: dict[str, float], threads: int, gpus: float, count: int, tmp_path: Path
) -> None:
    assert fitting(resources, RayConfig(tmp_path, threads=threads, gpus=gpus)) == count
