"""A grid of trainings: every combination of some fields' values, each in a folder of its own, and their table.

A cell that is finished is not trained again, and one that was stopped goes on. What cells share, such as the rollouts
that labels of every eta are computed from, is made once before them.
"""

import itertools
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from stepward.errors import StepwardError
from stepward.pipeline.training.data_run import make_run
from stepward.pipeline.training.train import Facts, finished, train
from stepward.pipeline.workers.local import Workers, cores
from stepward.recipes.training import TrainingRecipe
from stepward.storage.files import lock_dir
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import write_json

SEED = "seed"
"""The field whose values are repetitions: the table says mean and deviation over them."""

SHOWN = ("training_loss", "loss", "accuracy", "pair_accuracy", "auc", "first_error_f1")
"""The figures that the terminal's table has; `grid.json` has them all."""

Values = dict[str, Any]
Runner = Callable[..., Iterator[tuple[str, Facts]]]


@dataclass(frozen=True)
class SweepRow:
    """One line of a grid's table.

    Attributes:
        values: The cells' fields but for their seed.
        seeds: How many cells there are.
        metrics: Mean, and deviation over the seeds (n - 1; None of one seed), of each figure.
    """

    values: Values
    seeds: int
    metrics: dict[str, tuple[float, float | None]]


def runs(recipe: TrainingRecipe) -> dict[str, Values]:
    """Every combination of the grid's values, by its folder's name.

    Raises:
        StepwardError: Two combinations have one name.
    """
    found: dict[str, Values] = {}
    for chosen in itertools.product(*recipe.grid.values()):
        values = dict(zip(recipe.grid, chosen, strict=True))
        name = ",".join(f"{field}={_said(value)}" for field, value in values.items())
        if name in found:
            raise StepwardError(f"grid: two cells would lie in {name}", code="duplicate", field="grid")
        found[name] = values
    return found


def train_grid(
    recipe: TrainingRecipe,
    folder: Path,
    console: Console,
    *,
    workers: int = 1,
    gpus: float | None = None,
    ray: bool = False,
    overwrite: bool,
) -> list[SweepRow]:
    """Trains every cell of a recipe's grid.

    Args:
        recipe: What to train.
        folder: Where the cells' folders go, and `grid.json`.
        console: Where progress is shown.
        workers: Processes; 1 trains in this one.
        gpus: GPUs of each process, as `Workers` takes them.
        ray: Whether cells are Ray tasks instead.
        overwrite: Train again what is finished.

    Returns:
        The table's lines.

    Raises:
        StepwardError: As `train`; or Ray is asked for and not installed.
    """
    runner = _runner(workers, gpus, ray, console)
    wanted = runs(recipe)
    main = _keeps(recipe)
    with lock_dir(folder) if main else nullcontext():
        done = {} if overwrite else _finished(recipe, folder, wanted)
        missing = [name for name in wanted if name not in done]
        console.print(f"{recipe.name}: {len(wanted)} cells, {len(done)} of them finished before", highlight=False)
        if missing and recipe.data.run is not None and main:
            make_run(recipe.data.run, folder / "run", console)
        for name, facts in runner(train_cell, missing, str(folder), recipe, overwrite):
            done[name] = facts
            console.print(f"cell {name}: {_in_a_line(facts)}", highlight=False, soft_wrap=True)
        lines = tabulate({name: (wanted[name], done[name]) for name in wanted})
        if main:
            _write(folder, wanted, done, lines)
    return lines


def train_cell(
    name: str, folder: str, recipe: TrainingRecipe, overwrite: bool, console: Console | None = None
) -> Facts:
    """Trains one cell; without a console it is a worker's, which shows nothing."""
    values = runs(recipe)[name]
    return train(
        recipe.with_values(values), Path(folder) / name, console or Console(quiet=True), run=Path(folder) / "run",
        resume=True, overwrite=overwrite,
    )  # fmt: skip


def tabulate(done: Mapping[str, tuple[Values, Facts]]) -> list[SweepRow]:
    """A line for each combination of values but the seed, in the cells' order."""
    groups: dict[str, list[tuple[Values, dict[str, float]]]] = {}
    for values, facts in done.values():
        rest = {field: value for field, value in values.items() if field != SEED}
        groups.setdefault(str(rest), []).append((rest, _figures(facts)))
    lines = []
    for members in groups.values():
        names = [name for name in members[0][1] if all(name in figures for _, figures in members)]
        metrics = {name: _spread([figures[name] for _, figures in members]) for name in names}
        lines.append(SweepRow(members[0][0], len(members), metrics))
    return lines


def grid_table(lines: Sequence[SweepRow], title: str) -> Table:
    """The lines for a terminal: the fields, then each figure with its deviation."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    fields = list(lines[0].values)
    everywhere = [name for name in lines[0].metrics if all(name in line.metrics for line in lines)]
    names = [name for name in everywhere if name in SHOWN] or everywhere[: len(SHOWN)]
    for heading in (*fields, "seeds", *names):
        table.add_column(heading, justify="right", overflow="fold")
    for line in lines:
        shown = [_said(line.values[field]) for field in fields]
        figures = [_with_deviation(*line.metrics[name]) for name in names]
        table.add_row(*shown, str(line.seeds), *figures)
    return table


def _runner(workers: int, gpus: float | None, ray: bool, console: Console) -> Runner:
    """What goes through the cells: this process, others, or Ray's."""
    if ray:
        return _ray_runner()

    def one_after_another(
        task: Callable[..., Facts], names: Sequence[str], *arguments: Any
    ) -> Iterator[tuple[str, Facts]]:
        for name in names:
            yield name, task(name, *arguments, console)

    def spread(task: Callable[..., Facts], names: Sequence[str], *arguments: Any) -> Iterator[tuple[str, Facts]]:
        with Workers(workers, max(1, cores() // workers), gpus) as pool:
            yield from pool.run(task, names, *arguments)

    return one_after_another if workers == 1 else spread


def _ray_runner() -> Runner:
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise StepwardError(
            "--ray: Ray is not installed; pip install 'stepward[ray]'", code="missing_dependency", field="--ray"
        ) from error
    import torch

    def spread(task: Callable[..., Facts], names: Sequence[str], *arguments: Any) -> Iterator[tuple[str, Facts]]:
        ray.init(ignore_reinit_error=True)
        remote = ray.remote(num_gpus=1 if torch.cuda.is_available() else 0)(task)
        pending = {remote.remote(name, *arguments): name for name in names}
        while pending:
            (ended, *_), _ = ray.wait(list(pending), num_returns=1)
            yield pending.pop(ended), ray.get(ended)

    return spread


def _finished(recipe: TrainingRecipe, folder: Path, wanted: Mapping[str, Values]) -> dict[str, Facts]:
    """What the finished cells came to.

    Raises:
        StepwardError: One was trained by another recipe; says what differs.
    """
    found = {}
    for name, values in wanted.items():
        if (facts := finished(folder / name)) is not None:
            Manifest.start(folder / name, recipe.with_values(values).fingerprint_fields())
            found[name] = facts
    return found


def _write(folder: Path, wanted: Mapping[str, Values], done: Mapping[str, Facts], lines: Sequence[SweepRow]) -> None:
    table = [
        {
            "values": line.values,
            "seeds": line.seeds,
            "metrics": {name: {"mean": mean, "deviation": spread} for name, (mean, spread) in line.metrics.items()},
        }
        for line in lines
    ]
    written = [
        {"folder": name, "values": values, **{key: value for key, value in done[name].items() if key != "path"}}
        for name, values in wanted.items()
    ]
    write_json(folder / "grid.json", {"table": table, "cells": written})


def _figures(facts: Facts) -> dict[str, float]:
    """A cell's figures: those of its evaluation, or its training loss where it had none."""
    loss = {} if facts["loss"] is None else {"training_loss": facts["loss"]}
    return dict(facts["metrics"]) or loss


def _spread(values: list[float]) -> tuple[float, float | None]:
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def _with_deviation(mean: float, deviation: float | None) -> str:
    return f"{mean:.3f}" if deviation is None else f"{mean:.3f} ± {deviation:.3f}"


def _in_a_line(facts: Facts) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in list(_figures(facts).items())[:4])


def _said(value: Any) -> str:
    """A value as it stands in a folder's name."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.replace("/", "_").replace("\\", "_").replace(" ", "")


def _keeps(recipe: TrainingRecipe) -> bool:
    """Whether this process makes what others read: the first of all, or of its machine where each keeps its own."""
    return os.environ.get("LOCAL_RANK" if recipe.config.get("save_on_each_node") else "RANK", "0") == "0"
