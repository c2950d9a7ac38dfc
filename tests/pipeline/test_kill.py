"""Runs that are killed or stopped at any moment, and started again, end as one that nothing disturbed."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

import pytest
from small_runs import ENVIRONMENT, Stepward, command, content, run_stepward

pytestmark = pytest.mark.slow

KILLS = 20
_PATIENCE = 180.0
"""Seconds for what takes milliseconds on an idle machine."""


def processes() -> dict[int, tuple[int, str]]:
    """The parent and the state of every process, by its id."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        found[int(path.parent.name)] = (int(parent), state)
    return found


def below(process: int) -> set[int]:
    """The ids of a process's children, and of theirs."""
    parents = {child: parent for child, (parent, _) in processes().items()}
    found: set[int] = set()
    added = {process}
    while added:
        added = {child for child, parent in parents.items() if parent in added}
        found |= added
    return found


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Looks every 20 ms."""
    end = time.monotonic() + _PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what} took more than {_PATIENCE} s"
        time.sleep(0.02)


def all_gone(ids: set[int]) -> bool:
    """Whether none of the processes still runs; one that nobody has asked after yet, state Z, does not."""
    return not any(id_ in ids and state != "Z" for id_, (_, state) in processes().items())


def start(words: tuple[object, ...], log: Path) -> subprocess.Popen[bytes]:
    """Starts a run in a session of its own, as a terminal would."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command(*words), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=file, start_new_session=True
        )


def check_equal(folder: Path, whole: Path) -> None:
    """All that was made is equal, and nothing else lies about."""
    found, expected = content(folder), content(whole)
    assert list(found) == list(expected)
    assert [path for path in expected if found[path] != expected[path]] == []
    assert [path.name for path in folder.rglob(".*")] == [".lock"]


def kill_and_resume(words: tuple[object, ...], runs: Path, whole: tuple[Path, float], kills: int, seed: int) -> int:
    """Kills runs at random moments until `kills` of them died, a finished one being followed by a fresh one.

    Returns:
        How many runs were finished and compared.
    """
    random, finished = Random(seed), 0
    while kills or not finished:
        name = f"killed-{finished}"
        process = start((*words, f"name={name}", "--runs", runs), runs / "log.txt")
        try:
            # The moments cover a whole run; the last run is left alone.
            code = process.wait(random.uniform(0, whole[1]) if kills else None)
        except subprocess.TimeoutExpired:
            workers = below(process.pid)
            process.kill()
            process.wait()
            wait_until(partial(all_gone, workers), "the workers' end")
            kills -= 1
            continue
        assert code == 0, (runs / "log.txt").read_text()
        check_equal(runs / name, whole[0])
        finished += 1
    unfinished = runs / f"killed-{finished}"
    if unfinished.exists():
        ended = run_stepward(*words, f"name={unfinished.name}", "--runs", runs)
        assert ended.returncode == 0, ended.stderr
        check_equal(unfinished, whole[0])
        finished += 1
    return finished


def test_killed_at_random_moments_and_resumed_equals_undisturbed(
    whole: tuple[Path, float], small: tuple[str, ...], tmp_path: Path
) -> None:
    # Two at a time, one by one worker and one by two, so that the test takes half as long.
    chains = []
    with ThreadPoolExecutor(2) as pool:
        for workers in (1, 2):
            runs = tmp_path / str(workers)
            runs.mkdir()
            words = (*small, "--workers", workers)
            chains.append(pool.submit(kill_and_resume, words, runs, whole, KILLS // 2, workers))
    assert all(chain.result() >= 1 for chain in chains)


def test_ctrl_c_says_what_is_kept_and_the_next_run_goes_on(
    whole: tuple[Path, float], small: tuple[str, ...], stepward: Stepward, tmp_path: Path
) -> None:
    words = (*small, "name=stopped", "--runs", tmp_path, "--workers", 2)
    process = start(words, tmp_path / "log.txt")
    manifest = tmp_path / "stopped" / "manifest.json"
    wait_until(lambda: manifest.exists() and '"reward-0000"' in manifest.read_text(), "the first unit")
    workers = below(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(_PATIENCE) == 130
    message = "stepward: stopped; what is finished is kept, run the same command again to go on\n"
    assert (tmp_path / "log.txt").read_text() == message
    wait_until(partial(all_gone, workers), "the workers' end")
    ended = stepward(*words)
    assert ended.returncode == 0, ended.stderr
    check_equal(tmp_path / "stopped", whole[0])
