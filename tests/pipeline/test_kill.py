"""Runs that are killed or stopped at any moment, and started again, end as one that nothing disturbed."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from killing import PATIENCE, all_gone, below, check_equal, kill_and_resume, kill_at, start, wait_until
from small_runs import run_stepward

KILLS = 20


def test_killed_once_in_every_kind_of_stage_and_resumed_equals_undisturbed(
    whole: tuple[Path, float], small: tuple[str, ...], tmp_path: Path
) -> None:
    words = (*small, "name=killed", "--runs", tmp_path, "--workers", 1)
    kill_at(words, tmp_path / "killed", ("rollouts", "rewards", "scores"))
    ended = run_stepward(*words)
    assert (ended.returncode, ended.stderr) == (0, "")
    check_equal(tmp_path / "killed", whole[0])


@pytest.mark.slow
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


@pytest.mark.slow
def test_ctrl_c_says_what_is_kept_and_the_next_run_goes_on(
    whole: tuple[Path, float], small: tuple[str, ...], tmp_path: Path
) -> None:
    words = (*small, "name=stopped", "--runs", tmp_path, "--workers", 2)
    process = start(words, tmp_path / "log.txt")
    manifest = tmp_path / "stopped" / "manifest.json"
    wait_until(lambda: manifest.exists() and '"reward-0000"' in manifest.read_text(), "the first unit")
    workers = below(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert len((tmp_path / "log.txt").read_text().splitlines()) == 1, "one message, and no worker's traceback"
    wait_until(partial(all_gone, workers), "the workers' end")
    ended = run_stepward(*words)
    assert ended.returncode == 0, ended.stderr
    check_equal(tmp_path / "stopped", whole[0])
