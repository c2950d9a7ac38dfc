"""Kills runs at random moments and looks at what they leave; for tests."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from small_runs import ENVIRONMENT, command, content, run_stepward

PATIENCE = 300.0
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


def wait_until(true: Callable[[], object], what: str = "it") -> None:
    """Looks every 20 ms."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what} took more than {PATIENCE} s"
        time.sleep(0.02)


def all_gone(ids: set[int]) -> bool:
    """Whether none of the processes still runs; one that nobody has asked after yet, state Z, does not."""
    return not any(id_ in ids and state != "Z" for id_, (_, state) in processes().items())


def start(words: tuple[object, ...], log: Path) -> subprocess.Popen[bytes]:
    """Starts a run in a session of its own, as a terminal would."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command(*words),
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
            preexec_fn=_heed_ctrl_c if signal.getsignal(signal.SIGINT) == signal.SIG_IGN else None,
        )


def _heed_ctrl_c() -> None:
    """A shell's job in the background ignores it, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def check_equal(folder: Path, whole: Path) -> None:
    """All that was made is equal, and nothing else lies about."""
    found, expected = content(folder), content(whole)
    assert list(found) == list(expected)
    assert [path for path in expected if found[path] != expected[path]] == []
    left = {path.name for path in folder.rglob(".*")} - {".lock", ".stepward-report"}
    assert not left, f"{left} beside what was made"


def check_kept(folder: Path, before: dict[Path, int]) -> dict[Path, int]:
    """What the manifest names is there, and what was done before was not done again.

    Returns:
        When each finished unit was written, in ns.
    """
    manifest = folder / "manifest.json"
    if not manifest.exists():
        assert not before
        return {}
    stages = json.loads(manifest.read_text())["stages"]
    found = {
        folder / facts["path"]: (folder / facts["path"]).stat().st_mtime_ns
        for stage in stages.values()
        for facts in stage["units"].values()
    }
    assert {path: found.get(path) for path in before} == before
    return found


def kill_at(words: tuple[object, ...], folder: Path, stages: tuple[str, ...]) -> None:
    """Kills a run, started again each time, as soon as a stage has noted one more unit, stage by stage."""

    def noted(stage: str) -> int:
        path = folder / "manifest.json"
        stages = json.loads(path.read_text())["stages"] if path.exists() else {}
        return len(stages.get(stage, {"units": {}})["units"])

    log = folder.parent / "log.txt"
    for stage in stages:
        before = noted(stage)
        process = start(words, log)
        wait_until(lambda: noted(stage) > before or process.poll() is not None, f"a unit of {stage}")  # noqa: B023
        workers = below(process.pid)
        process.kill()
        process.wait()
        wait_until(partial(all_gone, workers), "the workers' end")
        assert noted(stage) > before, log.read_text()


def kill_and_resume(words: tuple[object, ...], runs: Path, whole: tuple[Path, float], kills: int, seed: int) -> int:
    """Kills runs at random moments until `kills` of them died, a finished one being followed by a fresh one.

    Returns:
        How many runs were finished and compared.
    """
    random, finished = Random(seed), 0
    done: dict[Path, int] = {}
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
            done = check_kept(runs / name, done)
            continue
        assert code == 0, (runs / "log.txt").read_text()
        check_kept(runs / name, done)
        check_equal(runs / name, whole[0])
        done = {}
        finished += 1
    unfinished = runs / f"killed-{finished}"
    if unfinished.exists():
        ended = run_stepward(*words, f"name={unfinished.name}", "--runs", runs)
        assert ended.returncode == 0, ended.stderr
        check_equal(unfinished, whole[0])
        finished += 1
    return finished
