"""The run that makes a training recipe's data: its problems, solutions, rollouts and labels, and nothing after."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from stepward.grading.graders import load_grader
from stepward.pipeline.reuse.extend import start_run
from stepward.pipeline.runner import Run
from stepward.pipeline.workers.local import Facts, Workers
from stepward.recipes.run import Recipe
from stepward.storage.files import lock_dir

STAGES = (Run.problems, Run.solutions, Run.rollouts, Run.labels)


class InProcessPool(Workers):
    """Does the work in this process, one unit after another, in one thread, as a worker does."""

    def run(self, task: Callable[..., Facts], units: Sequence[str], *arguments: Any) -> Iterator[tuple[str, Facts]]:
        """Calls `task(unit, *arguments)` for every unit, and gives each unit's facts."""
        import torch

        from stepward.models import quiet

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for unit in units:
                with quiet():
                    facts = task(unit, *arguments)
                yield unit, facts
        finally:
            torch.set_num_threads(threads)


def make_run(recipe: Recipe, folder: Path, console: Console) -> None:
    """Makes a run up to its labels, going on from what is done there.

    Raises:
        StepwardError: Anything the user can mend; what is finished is kept.
    """
    load_grader(recipe.grader)
    with lock_dir(folder):
        manifest = start_run(folder, recipe)
        run = Run(recipe, folder, manifest, InProcessPool(1), console, training=False)
        run.remove_leftovers()
        for stage in STAGES:
            stage(run)
