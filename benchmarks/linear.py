"""Whether labelling costs the same a label however many problems there are, and in the same memory.

    python benchmarks/linear.py [--problems 100 1000 10000] [--solutions 4] [--completions 16]

Each size is a run of its own, by `stepward run ... --until rollouts` with one worker, problems of the arithmetic world.
Labels a second are the distinct prefixes of the rollouts over the seconds of that stage, start-up left out; memory is
the most that the run's processes ever held together. The last line is one JSON object: `slowest_over_fastest` (goal at
least .9) and `memory_ratio` (goal at most 1.5).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--solutions", type=int, default=4)
    parser.add_argument("--completions", type=int, default=16)
    parser.add_argument("--stop", default="all", help="all, first_right or interval")
    asked = parser.parse_args()
    rows = []
    for size in asked.problems:
        rows.append(measured(size, asked))
        print(json.dumps(rows[-1]), flush=True)
    rates = [row["labels_per_second"] for row in rows]
    memory = [row["peak_mib"] for row in rows]
    found = {
        "slowest_over_fastest": round(min(rates) / max(rates), 3),
        "memory_ratio": round(max(memory) / min(memory), 3),
        "rows": rows,
    }
    print(json.dumps(found))


def measured(size: int, asked: argparse.Namespace) -> dict[str, Any]:
    """One run of so many problems."""
    with tempfile.TemporaryDirectory() as runs:
        words = [
            sys.executable, "-m", "stepward", "run", "tiny-cpu", f"name=size-{size}", f"problems.reward={size}",
            "problems.validation=1", "problems.test=1", "solutions.validation=1", "solutions.test=1",
            "evaluation.ns=1", f"solutions.reward={asked.solutions}", f"rollouts.completions={asked.completions}",
            f"rollouts.stop={asked.stop}", "--runs", runs, "--workers", "1", "--until", "rollouts",
        ]  # fmt: skip
        peak, seconds = watched(words)
        units = json.loads((Path(runs) / f"size-{size}" / "manifest.json").read_text())["stages"]["rollouts"]["units"]
        # The first unit also loads the model.
        timed = list(units.values())[1:] or list(units.values())
        prefixes = sum(facts["prefixes"] for facts in timed)
        return {
            "problems": size,
            "labels": sum(facts["prefixes"] for facts in units.values()),
            "labels_per_second": round(prefixes / sum(facts["seconds"] for facts in timed), 1),
            "peak_mib": round(peak / 2**20),
            "seconds": round(seconds, 1),
        }


def watched(words: list[str]) -> tuple[int, float]:
    """Runs a command to its end: the most memory that it and its children held at once, in bytes, and its seconds."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            peak = max(peak, sum(one.memory_info().rss for one in tree))
        except psutil.Error:
            pass
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"a run ended with {process.returncode}")
    return peak, time.perf_counter() - start


if __name__ == "__main__":
    main()
