"""`stepward report`: what the page shows is what the runs' folders hold, for one run and for several."""

import base64
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from raising import holds
from typer.testing import CliRunner

from stepward.cli import app
from stepward.evaluation.compare import compare_runs
from stepward.evaluation.score_files.io import read_all
from stepward.report.run.text import MINUS
from stepward.storage.parquet import write_json
from stepward.storage.run_dir import Layout

pytestmark = pytest.mark.usefixtures("without_png")

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def runs(make_folder: Make, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs on the same problems, and one on others."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        make_folder(folder / "first"),
        make_folder(folder / "second", 0.6, labels={"eta": 5.0}),
        make_folder(folder / "other", 0.2, "u", labels={"eta": 7.0}),
    ]


def _report(*words: object) -> str:
    done = CliRunner().invoke(app, ["report", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def _problems(page: str) -> Any:
    packed = re.search(r'id="stepward-problems"[^>]*>([^<]+)<', page)
    assert packed is not None
    return json.loads(zlib.decompress(base64.b64decode(packed[1])))


def test_a_run_gets_its_page_with_all_its_problems_and_scores(runs: list[Path]) -> None:
    output = _report(runs[0])
    assert f"Report: {runs[0] / 'report.html'}" in output.replace("\n", "")
    page = (runs[0] / "report.html").read_text(encoding="utf-8")
    found = _problems(page)
    layout = Layout(runs[0])
    assert [one["i"] for one in found["problems"]] == sorted(problem.id for problem in layout.problems("test"))
    scores = {(one.solution_id, one.model): one.scores for one in layout.scores()}
    assert found["models"][0]["name"] == "ER-PRM" and not found["oracle"]
    for problem in found["problems"]:
        for row in problem["c"]:
            assert row[10][0] == [round(100 * score) for score in scores[row[11], "er/seed-0"]] and row[5] == -1
    text = re.sub(r"<[^>]+>", " ", page)
    assert "8 models" in text and "8,000 tokens" in text
    assert "Solutions too long to train on" in text and "Labels beside the oracle" not in text
    assert (runs[0] / "report-data" / "plots" / "curves-best.csv").exists()


@pytest.mark.slow
def test_page_folder_and_picture_go_where_they_are_told(runs: list[Path], tmp_path: Path) -> None:
    _report(runs[0], "--to", tmp_path / "a.html", "--data", tmp_path / "more", "--picture", tmp_path / "curves.svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "curves.svg", "more"]
    assert (tmp_path / "curves.svg").read_text().startswith("<svg")


def test_a_picture_of_another_kind_is_refused_before_anything_is_drawn(runs: list[Path], tmp_path: Path) -> None:
    words = ["report", runs[0], "--to", tmp_path / "a.html", "--picture", tmp_path / "x.png"]
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code != 0
    holds(done.exception, "bad_value", file=tmp_path / "x.png", field="--picture")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("report",), ("label", "--kind", "hard", "--from-rollouts")])
def test_a_run_of_another_version_is_refused(make_folder: Make, tmp_path: Path, words: tuple[str, ...]) -> None:
    folder = make_folder(tmp_path / "old")
    content = json.loads((folder / "manifest.json").read_text())
    content["recipe"]["evaluation"]["bygone"] = 3
    content["stages"]["rollouts"] = {"units": {"reward-0000": {"path": "rollouts/reward-0000.parquet"}}}
    (folder / "manifest.json").write_text(json.dumps(content))
    done = CliRunner().invoke(app, [*words, str(folder)])
    holds(done.exception, "wrong_version", names=(folder, "evaluation.bygone"))


def test_an_answer_counts_by_the_grader_not_by_its_text(make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "texts", texts={"3": "4.0"})  # and 4 is a group with it
    _report(folder)
    for problem in _problems((folder / "report.html").read_text(encoding="utf-8"))["problems"]:
        right, wrong = problem["k"], 31 - problem["k"] + 16
        assert problem["m"] == (right > wrong), problem["i"]


@pytest.mark.slow
def test_runs_are_compared_with_the_first(runs: list[Path], tmp_path: Path) -> None:
    _report(*runs, "--to", tmp_path / "runs.html")
    page = (tmp_path / "runs.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "Of 3 runs, each on 24 test problems, " in text
    assert "3 runs beside one another" in text and "labels.eta" in text
    measured = read_all(runs)
    pair = compare_runs([measured[1], measured[0]]).pairs[0]
    er = next(one for one in pair.differences if one.first.method == "er")
    assert er.paired and er.p is not None
    points = f"{abs(100 * er.mean):.1f}"
    assert re.search(rf"second first ER-PRM 16 24 [+{MINUS}]{re.escape(points)} ", text)
    assert re.search(r"other first ER-PRM 16 24 .{1,80} not paired", text)
    # Another number in each: a curve over it.
    assert "Accuracy over labels.eta" in text
    assert sorted(path.name for path in (tmp_path / "runs-data").glob("[!.]*")) == ["plots", "run-2", "run-3"]


@pytest.mark.slow
def test_calibration_is_drawn_where_it_was_measured(runs: list[Path], tmp_path: Path) -> None:
    path = runs[2] / "evaluation" / "calibration.json"
    bins = [{"low": 0.0, "high": 0.5, "count": 0, "mean_score": None, "mean_target": None}]
    bins += [{"low": 0.5, "high": 1.0, "count": 9, "mean_score": 0.75, "mean_target": 0.6}]
    ends = {"brier_low": 0.171, "brier_high": 0.229, "auc_low": None, "auc_high": None}
    write_json(path, [{"method": "er", "bins": bins, "ece": 0.15, "brier": 0.2, "auc": None, **ends}])
    ends = {"kind_f1_low": 0.312, "kind_f1_high": 0.588}
    found = [{"method": "er", "f1": f1, "with_error": 0.25, "without_error": None, **ends} for f1 in (0.4, 0.5)]
    write_json(path.with_name("first-errors.json"), found)
    _report(runs[2], "--to", tmp_path / "a.html")
    text = re.sub(r"<[^>]+>", " ", (tmp_path / "a.html").read_text(encoding="utf-8"))
    assert "Are the scores probabilities?" in text and "0.150" in text and "undefined" in text
    assert re.search(r"ER-PRM\s+0\.150\s+0\.200\s+0\.171 to 0\.229\s+undefined\s+none\s", text)
    assert re.search(r"ER-PRM\s+45\.0 ± 7\.1\s+31\.2 to 58\.8\s+25\.0 ± 0\.0\s+undefined\s", text)
    undefined = {"method": "er", "threshold": None, "f1": None, "with_error": None, "without_error": None}
    write_json(path.with_name("first-errors.json"), [undefined])
    _report(runs[2], "--to", tmp_path / "b.html")
    text = re.sub(r"<[^>]+>", " ", (tmp_path / "b.html").read_text(encoding="utf-8"))
    assert re.search(r"ER-PRM\s+undefined\s+none\s+undefined\s+undefined\s", text)
    path.with_name("first-errors.json").unlink()
    write_json(path, [{"method": "er"}])
    done = CliRunner().invoke(app, ["report", str(runs[2])])
    assert done.exit_code != 0
    holds(done.exception, "wrong_version", file=path)
    path.unlink()


@pytest.mark.slow
def test_runs_of_one_name_are_told_apart_and_one_twice_is_refused(
    make_folder: Make, runs: list[Path], tmp_path: Path
) -> None:
    same = make_folder(tmp_path / "first", 0.5)
    _report(runs[0], same, "--to", tmp_path / "runs.html")
    page = (tmp_path / "runs.html").read_text(encoding="utf-8")
    assert f">{same}, N = 16<" in page and f">{runs[0]}, N = 16<" in page
    for words, code in (([runs[0], runs[0]], "duplicate"), ([tmp_path], "file_not_found")):
        done = CliRunner().invoke(app, ["report", *map(str, words)])
        assert done.exit_code != 0
        holds(done.exception, code, names=words[:1])
