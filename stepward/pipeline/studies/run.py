"""Runs a study's cells one after the other, each taking what the others have made, and tabulates what they come to."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.records import MetricRow
from stepward.evaluation.stats.paired_test import direction, holm, paired
from stepward.pipeline.reuse.fingerprints import ShardCache
from stepward.pipeline.reuse.other_run import source_run
from stepward.pipeline.runner import RunOptions, run_recipe
from stepward.pipeline.stages.inputs import check_models
from stepward.pipeline.studies.results import Finished, is_finished
from stepward.pipeline.workers.local import Workers
from stepward.recipes.loading import load_run_recipe
from stepward.recipes.run import Recipe
from stepward.recipes.study.cells import Cell
from stepward.recipes.study.plan import Hypothesis, Plan, Selection, TablePlan
from stepward.recipes.study.schema import WITHOUT_MODEL
from stepward.report.study.tables import CellFacts, CheckResult, StudyReport, StudyTable, Verdict, markdown
from stepward.storage.files import atomic_write, lock_dir
from stepward.storage.manifest import Manifest, differences
from stepward.storage.parquet import write_json
from stepward.storage.run_dir import Layout
from stepward.storage.spreadsheet import csv_text

WORKERS = 2
"""Processes of a study where no GPU bounds their number."""


def run_study(
    plan: Plan, runs: Path, console: Console, workers: int | None = None, *, pages: bool = True
) -> StudyReport:
    """Runs what is not finished of a study, and writes its tables.

    Args:
        plan: The study.
        runs: The folder in which its own is.
        console: Where progress is shown.
        workers: Processes that all its runs share; one a GPU, or 2, if not given.
        pages: Whether each run's own page is drawn too, which takes seconds a run.

    Returns:
        What the study found.

    Raises:
        StepwardError: Anything the user can mend; names the cell, and what is finished is kept.
    """
    folder = runs / plan.study.name
    ways, shelf = RunOptions(workers=workers, until=None if pages else "evaluation"), _shelf(plan, folder)
    _check_models(plan, folder)
    with Workers(workers, otherwise=WORKERS) as pool:
        for number, cell in enumerate(plan.cells, 1):
            where = folder / cell.name
            console.print(f"[bold]{number}/{len(plan.cells)} {escape(cell.name)}[/]: {escape(cell.title)}")
            try:
                _take_title(where, cell.recipe)
                manifest, worked = run_recipe(cell.recipe, where, console, ways, pool=pool, shelf=shelf)
            except StepwardError as error:
                raise _of_cell(cell, error) from error
            shelf.add(where)
            console.print(f"    {_said(manifest, worked)}", highlight=False)
    return tabulate_study(plan, folder)


def _shelf(plan: Plan, folder: Path) -> ShardCache:
    """What the study's cells have done before, and what runs outside it have that its file names."""
    shelf = ShardCache()
    for cell in plan.cells:
        if (folder / cell.name / "manifest.json").is_file():
            shelf.add(folder / cell.name)
    inside = {cell.name for cell in plan.cells}
    for cell in plan.cells:
        if cell.source is not None and cell.source not in inside:
            other = Layout(folder / cell.name).other(cell.source)
            if not (other / "manifest.json").is_file():
                raise StepwardError(
                    f"cells.{cell.name}.from: {cell.source}: no run there, beside the cell or as a path",
                    code="file_not_found",
                    field=f"cells.{cell.name}.from",
                )
            shelf.add(other)
    return shelf


def _check_models(plan: Plan, folder: Path) -> None:
    """Looks for the models of all cells before the first begins: the last one's would be missed after hours of work."""
    for cell in plan.cells:
        if not is_finished(folder / cell.name):
            try:
                check_models(cell.recipe)
            except StepwardError as error:
                raise _of_cell(cell, error, ". `make study-bases` makes those of Stepward's own studies") from error


def _of_cell(cell: Cell, error: StepwardError, advice: str = "") -> StepwardError:
    """The error of a run, with the cell's name."""
    return StepwardError(
        f"cell {cell.name}: {error}{advice}",
        code=error.code, file=error.file, row=error.row, field=error.field, faults=error.faults,
    )  # fmt: skip


def _take_title(folder: Path, recipe: Recipe) -> None:
    """Lets a run go on under another title, which decides no record."""
    if (folder / "manifest.json").is_file():
        with lock_dir(folder):
            manifest = Manifest.read(folder)
            if manifest.content["recipe"]["about"] != recipe.about and not _changed(manifest, recipe):
                manifest.replace_recipe(recipe.fingerprint_fields())
                manifest.save()


def _changed(manifest: Manifest, recipe: Recipe) -> list[str]:
    """In what a run's recipe differs from a cell's, but for the title."""
    return differences({**manifest.content["recipe"], "about": recipe.about}, recipe.fingerprint_fields())


def _check_recipe(folder: Path, cell: Cell) -> None:
    """Makes sure that what lies in a cell's folder is that cell, before its figures stand under the cell's name."""
    if (folder / "manifest.json").is_file() and (changed := _changed(Manifest.read(folder), cell.recipe)):
        raise StepwardError(
            f"cell {cell.name}: {folder} was run with another recipe; changed: {'; '.join(changed)}. Give the study "
            "another name (name=...), or the fields as they were",
            code="changed",
            file=folder,
            field="name",
        )


def _said(manifest: Manifest, worked: float) -> str:
    taken = {stage: len(units) for stage, units in manifest.content.get("taken", {}).items() if units}
    took = f"; taken from others: {', '.join(f'{count} {stage}' for stage, count in taken.items())}" if taken else ""
    return f"done in {worked:.0f} s{took}" if worked else "was done before"


def tabulate_study(plan: Plan, folder: Path) -> StudyReport:
    """What a study's finished runs come to, written as `study.json`, `.csv`, `.md`, `.html`, and its plots.

    Raises:
        StepwardError: A cell's folder holds a run of another recipe; names the cell and the fields.
    """
    from stepward.report.plots.figure import as_csv, as_png
    from stepward.report.study.page import render_study
    from stepward.report.study.plots import chart_of

    for cell in plan.cells:
        _check_recipe(folder / cell.name, cell)
    done = [cell for cell in plan.cells if is_finished(folder / cell.name)]
    finished = {cell.name: Finished(cell, folder / cell.name) for cell in done}
    rows = [(name, row) for name, one in finished.items() for row in one.evaluation.rows]
    report = StudyReport(
        plan.study.name, plan.study.about, plan.study.source,
        [_facts(cell, folder) for cell in plan.cells],
        rows,
        [_table(frame, finished, folder) for frame in plan.frames],
        _checks(plan.claims, finished),
    )  # fmt: skip
    write_json(folder / "study.json", as_json(report))
    texts = {"study.csv": _csv(report), "study.md": markdown(report), "study.html": render_study(report)}
    files = {name: text.encode("utf-8") for name, text in texts.items()}
    for chart in filter(None, map(chart_of, report.tables)):
        files |= {f"plots/{chart.name}.png": as_png(chart), f"plots/{chart.name}.csv": as_csv(chart).encode("utf-8")}
    for name, content in files.items():
        with atomic_write(folder / name) as file:
            file.write(content)
    return report


def _facts(cell: Cell, folder: Path) -> CellFacts:
    """What is to be known of a run, and of the run that trained its reward models."""
    where = folder / cell.name
    if not (where / "manifest.json").is_file():
        return CellFacts(cell.name, cell.title, cell.name, finished=False, values=cell.values)
    lender = Manifest.read(source_run(where, cell.recipe))
    trained = load_run_recipe(lender.folder)
    models = [facts["parameters"] for facts in lender.units("rewards").values() if "parameters" in facts]
    return CellFacts(
        cell.name,
        cell.title,
        cell.name,
        finished=is_finished(where),
        values=cell.values,
        parameters=max(models, default=None),
        problems=lender.units("problems").get("reward", {}).get("problems"),
        eta=trained.labels.eta if "er" in trained.labels.kinds else None,
        learning_rate=trained.rewards.learning_rate,
        seconds=Manifest.read(where).content.get("seconds", 0.0),
    )


def _table(frame: TablePlan, finished: dict[str, Finished], folder: Path) -> StudyTable:
    said = frame.table
    figures = [
        [finished[one.cell.name].figure(one) if one.cell.name in finished else None for one in row]
        for row in frame.figures
    ]
    return StudyTable(
        frame.name, said.title, frame.rows, frame.columns, figures, frame.published, said.published_columns, said.note,
        said.plot, _places(frame, folder) if said.plot == "curves" else [], _X_NAMES.get(said.x or "", said.x or ""),
        *(side if isinstance(side, str) else "" for side in (said.rows, said.columns)),
    )  # fmt: skip


_X_NAMES = {"n": "candidates N", "parameters": "parameters", "problems": "problems that train the reward model"}


def _places(frame: TablePlan, folder: Path) -> list[float | None]:
    """Where each column of a curve stands."""
    first, x = frame.figures[0], frame.table.x
    if x is None:
        return [_number(label, place) for place, label in enumerate(frame.columns)]
    if x == "n":
        return [float(one.n) for one in first]
    facts = [_facts(one.cell, folder) for one in first]
    if x in ("parameters", "problems"):
        return [getattr(one, x) for one in facts]
    return [_number(one.cell.values[x], place) for place, one in enumerate(first)]


def _number(value: object, place: int) -> float:
    """A label as a number, or else its place."""
    try:
        number = float(str(value))
    except ValueError:
        return float(place)
    return number if math.isfinite(number) else float(place)


def _checks(claims: Sequence[Hypothesis], finished: dict[str, Finished]) -> list[CheckResult]:
    """What the runs say to each claim; p is corrected for all that are tested."""
    found = [_check(claim, finished) for claim in claims]
    return [
        one if one.low is None or one.high is None else
        replace(one, p_holm=p, verdict=_VERDICTS[direction(one.low, one.high, p)])
        for one, p in zip(found, holm(found), strict=True)
    ]  # fmt: skip


_VERDICTS: dict[int, Verdict] = {1: "agrees", -1: "does not agree", 0: "can't tell"}


def _check(claim: Hypothesis, finished: dict[str, Finished]) -> CheckResult:
    better, than = _words(claim.better), _words(claim.than)
    if claim.better.cell.name not in finished or claim.than.cell.name not in finished:
        return CheckResult(claim.says, "not run yet", better, than)
    runs = [finished[one.cell.name] for one in (claim.better, claim.than)]
    (names, first), (others, second) = (
        run.accuracies(one) for run, one in zip(runs, (claim.better, claim.than), strict=True)
    )
    if names != others:
        why = "the two runs have other test problems, so that nothing is paired"
        return CheckResult(claim.says, "can't tell", better, than, why=why)
    if claim.better.method == claim.than.method and runs[0].trained_in == runs[1].trained_in:
        first, second = first - second, np.zeros_like(second[:1])  # the same models, seed by seed
    test = paired(first, second, seed=claim.better.cell.recipe.seed)
    return CheckResult(
        claim.says, "can't tell", better, than, test.mean, test.low, test.high, test.p, test.needed, len(names)
    )


def _words(selection: Selection) -> str:
    """A selection in words."""
    how = "" if selection.method in WITHOUT_MODEL else f", {selection.voting}"
    how += f" {selection.aggregation}" if selection.aggregation else ""
    return f"{selection.cell.name}: {selection.method} at {selection.n}{how}"


def as_json(report: StudyReport) -> dict[str, object]:
    """A study as strict JSON; each row has its run's parameters, problems, eta and learning rate."""
    facts = {
        cell.name: {name: getattr(cell, name) for name in ("parameters", "problems", "eta", "learning_rate")}
        for cell in report.cells
    }
    return {
        "name": report.name,
        "about": report.about,
        "source": report.source,
        "seconds": round(report.seconds, 3),
        "cells": [asdict(cell) for cell in report.cells],
        "rows": [{"cell": cell, **facts[cell], **_apart(row)} for cell, row in report.rows],
        "tables": [asdict(table) for table in report.tables],
        "checks": [asdict(check) for check in report.checks],
    }


def _apart(row: MetricRow) -> dict[str, object]:
    """A row whose problems can't be taken for those that trained the cell's reward models."""
    return {"test_problems" if name == "problems" else name: value for name, value in asdict(row).items()}


def _csv(report: StudyReport) -> str:
    rows = as_json(report)["rows"]
    assert isinstance(rows, list)
    return csv_text(list(rows[0]), [list(row.values()) for row in rows]) if rows else ""
