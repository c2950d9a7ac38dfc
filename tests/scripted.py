"""A run in this process whose engine does what a test says, draw by draw."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from stepward.generation.interface import Completion, Prompt, Sampling, Usage
from stepward.pipeline.runner import RunOptions, run_recipe
from stepward.pipeline.stages import tasks
from stepward.pipeline.training.data_run import InProcessPool
from stepward.recipes.loading import load_recipe
from stepward.recipes.run import Recipe
from stepward.storage.manifest import Manifest

Answer = Callable[[Prompt, int], Completion]


def wrote(text: str, finished: bool = True) -> Completion:
    return Completion(text, finished, 5)


def lively(prompt: Prompt, draw: int) -> Completion:
    """Of every three draws of problem N, whose answer is N, one is right."""
    number = int(prompt.question.split()[-1])
    return wrote(f"step {draw % 5}\nThe answer is {number if draw % 3 == 0 else 99}.")


class Scripted:
    """An engine that answers as it is told, and counts what it was asked."""

    name = "script"

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.meter = Usage()
        self.asked: list[str] = []

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        self.asked += [prompt.question for prompt in prompts]
        return [[self.answer(one, draw) for draw in range(one.first, one.first + one.count)] for one in prompts]


def recipe_of(folder: Path, **changes: Any) -> Recipe:
    """A recipe on 20 problems, "Say N", whose answer is N."""
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps({"question": f"Say {n}", "reference": str(n)}) + "\n" for n in range(20)))
    fields = {
        "problems.path": path, "problems.reward": 8, "problems.validation": 4, "problems.test": 8,
        "solutions.reward": 4, "solutions.validation": 4, "solutions.test": 4, "solutions.unit": 4,
        "rollouts.completions": 3, "rollouts.unit": 4, "labels.kinds": "orm,hard", "rewards.seeds": "0",
        "rewards.epochs": 1, "rewards.batch": 8, "evaluation.ns": "1,2,4", "evaluation.subsets": 5,
    }  # fmt: skip
    fields |= {field.replace("__", "."): value for field, value in changes.items()}
    return load_recipe("tiny-cpu", ["name=run", *(f"{field}={value}" for field, value in fields.items())])


def run_scripted(
    patch: pytest.MonkeyPatch, recipe: Recipe, folder: Path, answer: Answer, until: str = "labels"
) -> tuple[Manifest, str, Scripted]:
    """Runs the recipe by an engine that answers so; gives its manifest, what was shown, and the engine."""
    engine = Scripted(answer)
    patch.setattr(tasks, "make_engine", lambda section, field: engine)
    console = Console(record=True, quiet=False, width=400, file=(folder / "shown.txt").open("a"))
    with InProcessPool(1) as pool:
        manifest, _ = run_recipe(recipe, folder / "run", console, RunOptions(until=until), pool=pool)
    return manifest, console.export_text(), engine
