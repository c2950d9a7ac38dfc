"""A small study through the command line, and its tables and checks against figures computed here."""

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from raising import refused
from rich.console import Console
from small_runs import Stepward

from stepward.pipeline.report_data import report_run
from stepward.pipeline.studies import run as studies
from stepward.pipeline.studies.run import run_study, tabulate_study
from stepward.pipeline.training.data_run import InProcessPool
from stepward.recipes.study.plan import load_study
from stepward.storage.files import lock_dir
from stepward.storage.manifest import Manifest
from stepward.storage.run_dir import Layout

HOSTILE = "<script>alert(1)</script> | a"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two runs that train, over eta, and one that borrows."""
    study = {
        "about": HOSTILE,
        "source": "nobody",
        "base": {
            "recipe": "tiny-cpu",
            "problems": {"path": "arithmetic", "reward": 4, "validation": 2, "test": 4},
            "generator": {"model": "embedded", "max_new_tokens": 96},
            "solutions": {"reward": 3, "validation": 4, "test": 4, "unit": 2},
            "rollouts": {"completions": 2, "unit": 2},
            "labels.kinds": ["orm", "er"],
            "rewards": {"seeds": [0, 1], "epochs": 1, "batch": 8},
            "evaluation": {"ns": [1, 2, 4], "subsets": 5},
        },
        "cells": {
            "home": {},
            "sharp": {"title": "a larger eta", "labels.eta": 10},
            "away": {
                "rewards.of": "home",
                "problems": {"levels": [2], "reward": 0, "validation": 0},
                "generator.temperature": 0.9,
            },
        },
        "tables": {
            "main": {
                "title": "Best-of-4",
                "n": 4,
                "rows": {"SC": "majority", "orm": "orm",
                         "er min": {"method": "er", "voting": "best", "aggregation": "min"}},
                "columns": ["home", "sharp", "away"],
                "published": {"orm": [85.9, None, 39.2], "SC": [80, 70, None]},
                "published_columns": ["GSM8K", "GSM8K", "MATH"],
                "note": "read off nothing",
            },
            "n": {"title": "Over N", "cell": "home", "rows": ["er"], "columns": [1, 2, 4], "plot": "curves", "x": "n"},
            "heat": {"title": "Heat", "n": 4, "rows": ["orm", "er"], "columns": ["home", "sharp"], "plot": "heat"},
        },
        "checks": [
            {"says": "pass beats majority", "better": "pass", "than": "majority", "cell": "home", "n": 4},
            {"says": HOSTILE, "better": "sharp", "than": "home", "method": "er", "n": 4, "voting": "weighted"},
            {"says": "away is easier", "better": "away", "than": "home", "method": "er", "n": 4},
        ],
    }  # fmt: skip
    path = tmp_path_factory.mktemp("study") / "small.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def folder(file: Path, stepward: Stepward, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's folder."""
    runs = tmp_path_factory.mktemp("runs")
    ended = stepward("study", file, "name=mine", "--runs", runs, "--workers", 1, "--no-pages")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "taken from others: 5 solutions, 2 rollouts, 1 labels, 2 rewards, 2 scores" in ended.stdout
    assert f"Page: {runs / 'mine' / 'study.html'}" in ended.stdout
    return runs / "mine"


@pytest.fixture(scope="module")
def study(folder: Path) -> dict[str, Any]:
    """What study.json says."""
    found: dict[str, Any] = json.loads((folder / "study.json").read_text())
    return found


def summary(folder: Path, cell: str) -> list[dict[str, Any]]:
    """A run's rows."""
    rows: list[dict[str, Any]] = json.loads((folder / cell / "evaluation" / "summary.json").read_text())
    return rows


def linked(folder: Path, to: Path, *cells: str) -> Path:
    """A study's folder with some of another's cells."""
    to.mkdir()
    for cell in cells:
        os.symlink(folder / cell, to / cell)
    return to


def test_every_row_of_every_run_is_there_with_its_runs_facts(folder: Path, study: dict[str, Any]) -> None:
    expected = [(cell, row["method"], row["voting"], row["aggregation"], row["n"], row["mean"]) for cell in
                ("home", "sharp", "away") for row in summary(folder, cell)]  # fmt: skip
    assert expected == [
        (row["cell"], row["method"], row["voting"], row["aggregation"], row["n"], row["mean"]) for row in study["rows"]
    ]
    weights = folder / "home" / "rewards" / "er" / "seed-0" / "model.safetensors"
    size = int.from_bytes(weights.read_bytes()[:8], "little")
    header = json.loads(weights.read_bytes()[8 : 8 + size])
    numbers = sum(int(np.prod(one["shape"])) for name, one in header.items() if name != "__metadata__")
    facts = {cell["name"]: cell for cell in study["cells"]}
    names = ("parameters", "problems", "eta", "learning_rate")
    etas = {"home": 2.0, "sharp": 10.0, "away": 2.0}
    for cell, eta in etas.items():
        assert [facts[cell][name] for name in names] == [numbers, 4, eta, 0.001]
    for row in study["rows"]:
        assert [row[name] for name in names] == [facts[row["cell"]][name] for name in names]
    with (folder / "study.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["cell"], row["method"], float(row["mean"])) for row in rows] == [
        (row["cell"], row["method"], row["mean"]) for row in study["rows"]
    ]


def test_tables_have_the_runs_figures_beside_the_papers(folder: Path, study: dict[str, Any]) -> None:
    main = study["tables"][0]
    assert (main["rows"], main["columns"]) == (["SC", "orm", "er min"], ["home", "sharp", "away"])
    assert main["published"] == [[80, 70, None], [85.9, None, 39.2], [None, None, None]]
    for column, cell in enumerate(main["columns"]):
        rows = {(row["method"], row["voting"], row["aggregation"], row["n"]): row for row in summary(folder, cell)}
        chosen = json.loads((folder / cell / "evaluation" / "chosen.json").read_text())
        (orm,) = (one for one in chosen if one["method"] == "orm" and one["overall"])
        keys = [("majority", None, None, 4), ("orm", orm["voting"], orm["aggregation"], 4), ("er", "best", "min", 4)]
        assert [main["figures"][row][column]["mean"] for row in range(3)] == [rows[key]["mean"] for key in keys]
    text = (folder / "study.md").read_text()
    assert "|  | home | paper: GSM8K | sharp | paper: GSM8K | away | paper: MATH |" in text
    assert re.search(
        r"^\| orm \| [0-9.]+ ± [0-9.]+ \| 85\.9 \| [0-9.]+ ± [0-9.]+ \|  \| [0-9.]+ ± [0-9.]+ \| 39\.2 \|$", text, re.M
    )
    assert "read off nothing Of 1 pairs of rows that differ in the paper" in text
    assert study["tables"][1]["x"] == [1, 2, 4]


def test_borrowed_reward_models_are_used_as_their_run_chose(folder: Path) -> None:
    home, away = (json.loads((folder / cell / "evaluation" / "chosen.json").read_text()) for cell in ("home", "away"))
    assert away == home
    assert (
        len({row["problem_id"] for row in pq.read_table(folder / "away/evaluation/accuracies.parquet").to_pylist()})
        == 4
    )


def test_a_run_that_borrows_has_a_page(folder: Path, file: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "away", tmp_path / "away")
    report_run(load_study(str(file)).cells[2].recipe, Layout(tmp_path / "away"))
    assert "<h1" in (tmp_path / "away" / "report.html").read_text()


def accuracies(folder: Path, cell: str, *key: object) -> dict[str, float]:
    """A method's accuracy by problem, averaged over seeds."""
    table = pq.read_table(folder / cell / "evaluation" / "accuracies.parquet").to_pylist()
    wanted = ("method", "voting", "aggregation", "n")
    found: dict[str, list[float]] = {}
    for row in table:
        if tuple(row[name] for name in wanted) == key:
            found.setdefault(row["problem_id"], []).append(row["accuracy"])
    return {problem: float(np.mean(each)) for problem, each in found.items()}


def test_checks_are_paired_over_problems(folder: Path, study: dict[str, Any]) -> None:
    first, second, third = study["checks"]
    passed, majority = (accuracies(folder, "home", method, None, None, 4) for method in ("pass", "majority"))
    differences = [passed[name] - majority[name] for name in passed]
    assert first["mean"] == pytest.approx(np.mean(differences), abs=1e-12)
    assert first["problems"] == 4
    decided = first["p_holm"] <= 0.05
    assert first["verdict"] == (
        "agrees"
        if first["low"] > 0 and decided
        else "does not agree"
        if first["high"] < 0 and decided
        else "can't tell"
    )
    assert 0 < first["p"] <= first["p_holm"] <= 1 and first["low"] <= first["mean"] <= first["high"]
    both = []
    for cell in ("sharp", "home"):
        chosen = json.loads((folder / cell / "evaluation" / "chosen.json").read_text())
        (how,) = (one for one in chosen if one["method"] == "er" and one["voting"] == "weighted")
        both.append(accuracies(folder, cell, "er", "weighted", how["aggregation"], 4))
    assert second["mean"] == pytest.approx(np.mean([both[0][name] - both[1][name] for name in both[1]]), abs=1e-12)
    assert (third["verdict"], third["mean"]) == ("can't tell", None)
    assert "other test problems" in third["why"]


def test_the_page_has_all_of_it_and_runs_nothing(folder: Path) -> None:
    page = (folder / "study.html").read_text()
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("<svg") == 2
    for text in ("Best-of-4", "paper: MATH", "39.2", "pass beats majority", "a larger eta", "read off nothing"):
        assert text in page
    assert "http" not in page.replace("http://www.w3.org/", "").replace("http-equiv", "")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a study in this process, and gives what it said."""
    monkeypatch.setattr(studies, "Workers", InProcessPool)

    def run(file: Path, runs: Path, *overrides: str) -> str:
        said = io.StringIO()
        run_study(load_study(str(file), overrides), runs, Console(file=said, width=100), pages=False)
        return said.getvalue()

    return run


def test_a_second_time_nothing_is_run_and_the_files_are_the_same(
    folder: Path, file: Path, again: Callable[..., str]
) -> None:
    def state() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before = state()
    assert again(file, folder.parent, "name=mine").count("was done before") == 3
    assert state() == before


def test_what_is_not_run_yet_is_said(folder: Path, file: Path, tmp_path: Path) -> None:
    linked(folder, tmp_path / "mine", "home", "away")
    report = tabulate_study(load_study(str(file), ["name=mine"]), tmp_path / "mine")
    assert [cell.finished for cell in report.cells] == [True, False, True]
    assert report.tables[0].figures[0][1] is None
    assert [check.verdict for check in report.checks][1] == "not run yet"
    text = (tmp_path / "mine" / "study.md").read_text()
    assert "2 of 3 runs finished" in text and "| not run yet |" in text
    empty = tabulate_study(load_study(str(file), ["name=none"]), tmp_path / "none")
    assert (empty.rows, {check.verdict for check in empty.checks}) == ([], {"not run yet"})
    assert "<svg" not in (tmp_path / "none" / "study.html").read_text()


def test_a_study_that_changed_needs_another_name(folder: Path, file: Path, again: Callable[..., str]) -> None:
    with refused("changed", names=("home", "rewards.learning_rate", "0.001", "0.1")):
        again(file, folder.parent, "name=mine", "rewards.learning_rate=0.1")


def test_tables_of_cells_with_another_recipe_are_refused(folder: Path, file: Path) -> None:
    before = (folder / "study.json").read_bytes()
    for override, cell in (("rewards.learning_rate=0.1", "home"), ("cells.sharp.labels.eta=5", "sharp")):
        with refused("changed", names=(cell, *override.removeprefix("cells.sharp.").split("="))):
            tabulate_study(load_study(str(file), ["name=mine", override]), folder)
    assert (folder / "study.json").read_bytes() == before


def test_votings_that_are_never_chosen_can_be_shown_and_tested(folder: Path, file: Path, tmp_path: Path) -> None:
    how = {"method": "er", "aggregation": "min", "n": 4, "cell": "home"}
    asked = [
        "name=mine",
        "tables=" + json.dumps({"t": {"title": "t", "rows": {"mean": {**how, "voting": "weighted_mean"},
         "max": {**how, "voting": "weighted_max"}}, "columns": {"4": 4}}}),
        "checks=" + json.dumps([{"says": "x", "better": {**how, "voting": "weighted_max"}, "than": "majority",
         "cell": "home", "n": 4}]),
    ]  # fmt: skip
    report = tabulate_study(load_study(str(file), asked), linked(folder, tmp_path / "mine", "home"))
    rows = {(row["method"], row["voting"], row["aggregation"], row["n"]): row for row in summary(folder, "home")}
    shown = [row[0].mean if row[0] else None for row in report.tables[0].figures]
    assert shown == [rows["er", voting, "min", 4]["mean"] for voting in ("weighted_mean", "weighted_max")]
    (check,) = report.checks
    expected = rows["er", "weighted_max", "min", 4]["mean"] - rows["majority", None, None, 4]["mean"]
    assert check.mean == pytest.approx(expected, abs=1e-12)


def test_a_model_that_is_missing_is_said_before_the_first_cell(
    file: Path, tmp_path: Path, again: Callable[..., str]
) -> None:
    with refused("file_not_found", names=("away", "generator.model", "nowhere")):
        again(file, tmp_path, "name=mine", "cells.away.generator.model=nowhere")
    assert not list(tmp_path.rglob("*.parquet"))


def test_fewer_seeds_would_choose_again(folder: Path, file: Path, tmp_path: Path, again: Callable[..., str]) -> None:
    linked(folder, tmp_path / "mine", "home", "sharp")
    with refused("mismatch", field="rewards.seeds", names=("away", "rewards.of", (0, 1), (1,))):
        again(file, tmp_path, "name=mine", "cells.away.rewards.seeds=[1]")


@pytest.mark.slow
def test_an_evaluation_that_lacks_a_file_is_made_again_and_its_page_stays(
    folder: Path, file: Path, tmp_path: Path, again: Callable[..., str]
) -> None:
    run = shutil.copytree(folder, tmp_path / "mine") / "home"
    manifest = Manifest.read(run)
    (run / "report.html").write_text("of before")
    manifest.finish("report", "page", run / "report.html")
    for name in ("slices.json", "accuracies.parquet", "quintiles.json"):
        before = (run / "evaluation" / name).read_bytes()
        if name == "quintiles.json":  # as with a field that came later
            (run / "evaluation" / name).write_text('[{"method": "er"}]')
        else:
            (run / "evaluation" / name).unlink()
        assert again(file, tmp_path, "name=mine").count("was done before") == 2
        assert (run / "evaluation" / name).read_bytes() == before
    assert again(file, tmp_path, "name=mine").count("was done before") == 3
    assert (run / "report.html").read_text() == "of before", "the figures are those it was drawn of"


def test_a_run_that_is_running_keeps_its_title(
    folder: Path, file: Path, tmp_path: Path, again: Callable[..., str]
) -> None:
    shutil.copytree(folder, tmp_path / "mine")
    path = tmp_path / "mine" / "sharp" / "manifest.json"
    before = path.read_bytes()
    with lock_dir(path.parent), refused("locked", names=("sharp",)):
        again(file, tmp_path, "name=mine", "cells.sharp.title=very sharp")
    assert path.read_bytes() == before


@pytest.mark.slow
def test_another_title_changes_nothing_else(folder: Path, file: Path, again: Callable[..., str]) -> None:
    before = (folder / "study.html").read_text()
    said = again(file, folder.parent, "name=mine", "cells.sharp.title=very sharp")
    assert said.count("was done before") == 3
    assert (folder / "study.html").read_text() == before.replace("a larger eta", "very sharp")
    again(file, folder.parent, "name=mine")
    assert (folder / "study.html").read_text() == before


def test_from_takes_from_a_run_outside(folder: Path, file: Path, again: Callable[..., str]) -> None:
    content = yaml.safe_load(file.read_text())
    content["cells"] = {"again": {"from": "../mine/home", "labels.kinds": ["orm"]}}
    content["tables"] = {"t": {"title": "t", "n": 4, "rows": ["orm"], "columns": ["again"]}}
    del content["checks"]
    other = file.parent / "other.yaml"
    other.write_text(yaml.safe_dump(content))
    said = " ".join(again(other, folder.parent).split())
    assert "taken from others: 5 solutions, 1 labels, 2 rewards, 2 scores" in said
    content["cells"]["again"]["from"] = "../nobody"
    other.write_text(yaml.safe_dump(content))
    with refused("file_not_found", field="cells.again.from", names=("../nobody",)):
        again(other, folder.parent)


def test_studies_lists_them(stepward: Stepward) -> None:
    ended = stepward("list", "studies")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"^er-prm-main +\S.*\(4 runs", ended.stdout, re.M)
