"""For tests of the whole path: the command line, in a process of its own or here, and all that a run made, to compare.

Runs that several tests only read are built once for all of pytest's workers; a test that changes one copies it.
"""

import contextlib
import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

Stepward = Callable[..., subprocess.CompletedProcess[str]]

ARITHMETIC = ("problems.path=arithmetic", "generator.model=embedded", "generator.max_new_tokens=96")
"""What makes a small run one of the arithmetic world, where solutions of one problem are right and wrong."""

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1"}


def command(*words: object) -> list[str]:
    """`python -m stepward` with the given words."""
    return [sys.executable, "-m", "stepward", *map(str, words)]


def run_stepward(*words: object, input: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs `python -m stepward` to its end."""
    return subprocess.run(
        command(*words), env=ENVIRONMENT, input=input, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def run_inside(*words: object, input: str | None = None) -> subprocess.CompletedProcess[str]:
    """The same in this process, which is its run's only worker too: nothing imports torch again."""
    from stepward.cli.program import _run_command, app
    from stepward.pipeline.runner import RunOptions
    from stepward.pipeline.training.data_run import InProcessPool

    said, complained = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("COLUMNS", "100"), ("NO_COLOR", "1"), ("STEPWARD_DEBUG", "")):
            patch.setenv(name, value)
        patch.setattr(RunOptions, "pool", lambda ways, folder: InProcessPool(1))
        patch.setattr(sys, "argv", ["stepward", *map(str, words)])  # a manifest notes it
        patch.setattr(sys, "stdin", io.StringIO(input or ""))
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            code = _run_command(lambda: app([str(word) for word in words]))
    return subprocess.CompletedProcess(list(words), code, said.getvalue(), complained.getvalue())


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """A folder that the first of pytest's workers to ask for it builds, while the others wait."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # a worker's own lies in that of all
    folder, done = base / name, base / f"{name}.built"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build(folder)
            done.touch()
    return folder


def content(folder: Path) -> dict[str, Any]:
    """All that a run made, by path: rows of every shard, weights, figures, and the manifest's units without times."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.parquet")):
        found[str(path.relative_to(folder))] = pq.read_table(path).to_pylist()
    for path in sorted(folder.rglob("*.safetensors")):
        found[str(path.relative_to(folder))] = path.read_bytes()
    for path in sorted((folder / "evaluation").glob("*.json")):
        found[str(path.relative_to(folder))] = json.loads(path.read_text())
    stages = json.loads((folder / "manifest.json").read_text())["stages"]
    for stage in stages.values():
        for facts in stage["units"].values():
            facts.pop("seconds", None)
            facts.pop("work", None)
    found["manifest.json"] = stages
    return found
