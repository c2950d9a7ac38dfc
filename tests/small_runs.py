"""For tests of the whole path: the command line as a process of its own, and all that a run made, to compare."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

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
