"""The page of scores from elsewhere: a run's own scores, written out as another tool would, and the odd ones."""

import base64
import json
import math
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stepward.cli import app
from stepward.errors import StepwardError
from stepward.evaluation import folder as evaluation_folder
from stepward.pipeline import scores_page

pytestmark = pytest.mark.usefixtures("without_png")

Write = Callable[..., Path]


def said(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def told(page: Path) -> tuple[str, Any]:
    """A page's text, and the problems in it."""
    html = page.read_text(encoding="utf-8")
    packed = re.search(r'id="stepward-problems"[^>]*>([^<]+)<', html)
    assert packed is not None
    found = json.loads(zlib.decompress(base64.b64decode(packed[1])))
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)), found


def test_a_runs_scores_written_out_give_the_runs_page(
    make_folder: Callable[..., Path], write_scores: Write, tmp_path: Path
) -> None:
    run, mine = make_folder(tmp_path / "run"), tmp_path / "mine"
    test, held = write_scores(tmp_path / "t.jsonl", "t", 24, 0.2), write_scores(tmp_path / "v.jsonl", "v", 8, 0.2)
    output = said("evaluate", "scores", test, "--validation", held, "--ns", "1,4,16", "--ties", "share", "--to", mine)
    assert "chosen on 8 validation problems" in output
    ours, theirs = (evaluation_folder.read(folder / "evaluation")[0] for folder in (mine, run))
    for choice in theirs.chosen:
        other = ours.choice(choice.method, choice.voting)
        if choice.voting == "best":  # votes are of random subsets, which the order of the rows decides
            assert (other.aggregation, other.problems, other.seeds) == (choice.aggregation, 8, choice.seeds)
            assert other.validation == pytest.approx(choice.validation)
            row = ours.row(choice.method, 16, "best", choice.aggregation)
            assert row.mean == pytest.approx(theirs.row(choice.method, 16, "best", choice.aggregation).mean)
    named = {(row.slicing, row.slice, row.method): row for row in ours.slices}
    for row in theirs.slices:
        if row.slicing in ("level", "subject") and row.method == "pass":
            assert named[row.slicing, row.slice, "pass"].accuracy == pytest.approx(row.accuracy)
    assert len(ours.quintiles) == len(theirs.quintiles)

    said("report", mine)
    said("report", run)
    (text, found), (_, known) = told(mine / "report.html"), told(run / "report.html")
    assert "was chosen on validation problems at 16 candidates" in text and "t.jsonl" in text
    of = {problem["i"]: problem for problem in known["problems"]}
    for problem in found["problems"]:
        same = of[problem["i"]]
        assert [problem[key] for key in "qrlsndk"] == [same[key] for key in "qrlsndk"]
        for row in problem["c"]:
            (own,) = [one for one in same["c"] if one[1] == row[1]]
            names = [model["name"] for model in found["models"]]
            places = [[model["name"] for model in known["models"]].index(name) for name in names]
            assert row[10] == [own[10][place] for place in places] and row[2:5] == own[2:5]
    said("report", run, mine, "--to", tmp_path / "both.html")
    text, _ = told(tmp_path / "both.html")
    assert "Of 2 runs, all on the same 24 test problems" in text and "What differs in their recipes" not in text


def test_without_texts_and_validation_the_page_says_so(write_scores: Write, tmp_path: Path) -> None:
    without = ("question", "reference", "level", "subject", "steps", "solution")
    path = write_scores(tmp_path / "bare.jsonl", "t", 6, whole="orm", without=without)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**row, "correct": row["answer"] == "7"}) + "\n" for row in rows))
    said("evaluate", "scores", path, "--aggregation", "min", "--aggregation", "mean", "--to", tmp_path / "mine")
    said("report", tmp_path / "mine")
    text, found = told(tmp_path / "mine" / "report.html")
    assert "There are no validation problems, so nothing was chosen" in text and "best-of-16, minimum" in text
    assert "Bold: what stands for the kind" in text and "the rows' own `correct`" in text.replace("&#39;", "'")
    assert not (tmp_path / "mine" / "problems" / "test.parquet").exists()
    for problem in found["problems"]:
        assert problem["q"] == problem["r"] == "" and problem["n"] == problem["d"] == 64
        for row in problem["c"]:
            assert set(row[1]) == {""} and all(len(scores) == len(row[1]) for scores in row[10])
            whole = row[10][[model["name"] for model in found["models"]].index("ORM")]
            assert whole[:-1] == [None] * (len(whole) - 1) and whole[-1] is not None
    slicings = {row.slicing for row in evaluation_folder.read(tmp_path / "mine" / "evaluation")[0].slices}
    assert slicings <= {"steps"}


def test_rewards_of_any_size_are_shown_by_their_logistic(tmp_path: Path) -> None:
    rows = [
        {"problem_id": f"p{i}", "solution_id": j, "answer": str(j % 2), "reference": "1", "score": score,
         "solution": "one\ntwo"}
        for i in range(3) for j, score in enumerate((-1e9, 2.0, 30.0, -0.5))
    ]  # fmt: skip
    path = tmp_path / "rewards.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said("evaluate", "scores", path, "--to", tmp_path / "mine")
    said("report", tmp_path / "mine")
    text, found = told(tmp_path / "mine" / "report.html")
    assert "weighted by the logistic of the rewards" in text
    (problem,) = {json.dumps([[*row[1:3], row[9], row[10]] for row in one["c"]]) for one in found["problems"]}
    shown = [round(100 / (1 + math.exp(-score))) for score in (-500, 2.0, 30.0, -0.5)]
    rewards = [-1e9, 2.0, 30.0, -0.5]
    assert json.loads(problem) == [[["one\ntwo"], str(j % 2), [rewards[j]], [[shown[j]]]] for j in range(4)]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([{"question": "a"}, {"question": "b"}], "field 'question': 'b', but an earlier row of problem 'p' has 'a'"),
        ([{"question": 3}, {}], "field 'question': expected text, found"),
        ([{"level": [1]}, {}], "field 'level': expected text or a whole number, found"),
        ([{"problem": "a"}, {"question": "b"}], "field 'question': 'b', but an earlier row"),
    ],
)
def test_what_rows_say_of_a_problem_must_agree(rows: list[dict[str, Any]], why: str, tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    same = {"problem_id": "p", "answer": "1", "reference": "1", "step_scores": [0.5]}
    path.write_text("".join(json.dumps({**same, "solution_id": i, **row}) + "\n" for i, row in enumerate(rows)))
    done = CliRunner().invoke(app, ["evaluate", "scores", str(path)])
    assert isinstance(done.exception, StepwardError)
    assert why in re.sub(r"\s+", " ", str(done.exception)), str(done.exception)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"problem_id": "p0"}, "it is both a test and a validation problem"),
        ({"model": "other"}, "only of the test or only of the validation problems"),
        ({"step_scores": None, "score": 3.0}, "one has `step_scores` and the other `score`"),
    ],
)
def test_validation_of_other_models_or_the_same_problems_is_refused(
    change: dict[str, Any], why: str, tmp_path: Path
) -> None:
    row = {"solution_id": 0, "answer": "1", "reference": "1", "step_scores": [0.5]}
    paths = [tmp_path / "t.jsonl", tmp_path / "v.jsonl"]
    paths[0].write_text(json.dumps({"problem_id": "p0", **row}) + "\n")
    paths[1].write_text(json.dumps({"problem_id": "v0", **row, **change}) + "\n")
    done = CliRunner().invoke(app, ["evaluate", "scores", str(paths[0]), "--validation", str(paths[1])])
    assert isinstance(done.exception, StepwardError) and why in str(done.exception), str(done.exception)


def test_a_page_of_many_problems_says_how_many_it_leaves_out(
    write_scores: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepward.evaluation.external_candidates.MOST_CANDIDATES", 130)
    path = write_scores(tmp_path / "scores.jsonl", "t", 6)
    said("evaluate", "scores", path, "--to", tmp_path / "mine")
    said("report", tmp_path / "mine")
    text, found = told(tmp_path / "mine" / "report.html")
    assert [one["i"] for one in found["problems"]] == ["t0", "t1"] and "on 6 test problems" in text
    assert "4 more problems did not fit into the page" in text


def test_a_folder_that_lacks_a_part_is_refused(write_scores: Write, tmp_path: Path) -> None:
    said("evaluate", "scores", write_scores(tmp_path / "s.jsonl", "t", 2), "--to", tmp_path / "mine")
    (tmp_path / "mine" / "scores.json").write_text("{}")
    done = CliRunner().invoke(app, ["report", str(tmp_path / "mine")])
    assert isinstance(done.exception, StepwardError) and "scores.json: 'files' is missing" in str(done.exception)
    assert scores_page.is_scores(tmp_path / "mine") and not scores_page.is_scores(tmp_path)
