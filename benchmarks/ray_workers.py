"""Two one-core Ray workers beside one: rollouts of the arithmetic world, the same units, one machine, one run.

    python benchmarks/ray_workers.py [--problems 240] [--unit 10] [--passes 2] [--address local]

Each pool does all units once to start the actors and load the model, which is told apart as `start`; and then
`--passes` times, of which the fastest counts. A pass must take longer than loading (10 s) for two workers to be warm.

The last line is one JSON object; `ratio` is one worker's seconds over two's, `processes_ratio` the same for two plain
processes without Ray, which is what the machine gives (two that only multiply matrices may not reach 2 on a virtual
machine), and `load` the machine's load average before the first pass: it must be near 0 for a ratio to mean anything.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from rich.console import Console

from stepward.pipeline.runner import STAGES, Run
from stepward.pipeline.stages import tasks
from stepward.pipeline.workers.local import Workers
from stepward.pipeline.workers.ray_pool import RayConfig
from stepward.pipeline.workers.ray_tasks import RayWorkers
from stepward.recipes.loading import load_recipe
from stepward.recipes.run import Recipe
from stepward.storage.manifest import Manifest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=240)
    parser.add_argument("--unit", type=int, default=10)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--address", default="local")
    asked = parser.parse_args()
    sizes = {
        "problems.reward": asked.problems, "problems.validation": 1, "problems.test": 1,
        "solutions.reward": 8, "solutions.validation": 1, "solutions.test": 1, "evaluation.ns": "1",
        "rollouts.unit": asked.unit, "labels.kinds": "soft",
    }  # fmt: skip
    recipe = load_recipe("tiny-cpu", [f"{field}={value}" for field, value in sizes.items()])
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        units = prepare(recipe, Path(folder))
        teams = [RayWorkers(RayConfig(Path(folder), asked.address, count)) for count in (1, 2)]
        plain = [Workers(count) for count in (1, 2)]
        one, two, plain_one, plain_two = (
            passes(recipe, Path(folder), pool, units, asked.passes) for pool in (*teams, *plain)
        )
    found = {
        "ratio": round(min(one[1:]) / min(two[1:]), 3),
        "processes_ratio": round(min(plain_one[1:]) / min(plain_two[1:]), 3),
        "one_seconds": round(min(one[1:]), 2),
        "two_seconds": round(min(two[1:]), 2),
        "start": [round(one[0], 2), round(two[0], 2)],
        "units": len(units),
        "problems": asked.problems,
        "load": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "cores": os.cpu_count(),
    }
    print(json.dumps(found))


def prepare(recipe: Recipe, folder: Path) -> list[str]:
    """Problems and solutions, and the units of the rollouts."""
    manifest = Manifest.start(folder, recipe.fingerprint_fields())
    with Workers(2) as pool:
        run = Run(recipe, folder, manifest, pool, Console(quiet=True))
        for stage in ("problems", "solutions"):
            STAGES[stage](run)
    return [f"reward-{number:04d}" for number in range(-(-recipe.problems.reward // recipe.rollouts.unit))]


def passes(recipe: Recipe, folder: Path, made: RayWorkers | Workers, units: list[str], count: int) -> list[float]:
    """Seconds of a first pass over all units, in which workers start and load the model, and then of each other."""
    seconds = []
    with made as pool:
        for _ in range(count + 1):
            for path in (folder / "rollouts").glob("*.parquet"):
                path.unlink()  # or they would be gone on from
            start = time.perf_counter()
            for _ in pool.run(tasks.sample_rollouts, units, folder, recipe):
                pass
            seconds.append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
