"""The page of scores from elsewhere: a run's own scores, written out as another tool would, and the odd ones."""

import base64
import json
import math
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from raising import holds
from typer.testing import CliRunner

from stepward.cli import app
from stepward.errors import StepwardError
from stepward.evaluation.best_of_n import io as evaluation_folder

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


@pytest.mark.slow
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


@pytest.mark.slow
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
    ("rows", "code", "row", "field", "names"),
    [
        ([{"question": "a"}, {"question": "b"}], "mismatch", 2, "question", ("'b'", "'p'", "'a'")),
        ([{"question": 3}, {}], "wrong_type", 1, "question", ()),
        ([{"level": [1]}, {}], "wrong_type", 1, "level", ()),
        ([{"problem": "a"}, {"problem": 7, "question": "b"}], "mismatch", 2, "question", ("'b'",)),
        ([{"level": 10**30}, {}], "wrong_type", 1, "level", (1000,)),
        ([{"level": 2.5}, {}], "wrong_type", 1, "level", (2.5,)),
        ([{"level": "Level 5"}, {"level": 5.0}, {"level": 4}], "mismatch", 3, "level", (4, 5, "'p'")),
    ],
)
def test_what_rows_say_of_a_problem_must_agree(
    rows: list[dict[str, Any]], code: str, row: int, field: str, names: tuple[object, ...], tmp_path: Path
) -> None:
    path = tmp_path / "scores.jsonl"
    same = {"problem_id": "p", "answer": "1", "reference": "1", "step_scores": [0.5]}
    path.write_text("".join(json.dumps({**same, "solution_id": i, **one}) + "\n" for i, one in enumerate(rows)))
    done = CliRunner().invoke(app, ["evaluate", "scores", str(path)])
    holds(done.exception, code, row=row, field=field, names=names)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"problem_id": "p0"}, "it is both a test and a validation problem"),
        ({"model": "other"}, "only of the test or only of the validation problems"),
        ({"step_scores": None, "score": 3.0}, "one has `step_scores` and the other `score`"),
        ({"reference": None, "correct": True}, "one has `correct` and the other `reference`"),
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
    monkeypatch.setattr("stepward.evaluation.score_files.candidates.MOST_CANDIDATES", 130)
    path = write_scores(tmp_path / "scores.jsonl", "t", 6)
    said("evaluate", "scores", path, "--to", tmp_path / "mine")
    said("report", tmp_path / "mine")
    text, found = told(tmp_path / "mine" / "report.html")
    assert [one["i"] for one in found["problems"]] == ["t0", "t1"] and "on 6 test problems" in text
    assert "4 more problems did not fit into the page" in text


def test_too_few_validation_candidates_are_said_to_be_of_validation(tmp_path: Path) -> None:
    row = {"answer": "1", "reference": "1", "step_scores": [0.5]}
    for name, count in (("t", 4), ("v", 2)):
        rows = [{"problem_id": name, "solution_id": i, **row} for i in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    error = refused("evaluate", "scores", tmp_path / "t.jsonl", "--validation", tmp_path / "v.jsonl")
    holds(error, "too_few", names=("validation", "'v'", 2, 4))


def refused(*words: object) -> StepwardError:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(done.exception, StepwardError), done.output
    return done.exception


def test_nothing_of_the_readers_is_written_over(write_scores: Write, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "problems").mkdir(parents=True)
    given = write_scores(home / "scores.json", "t", 2)
    apart = write_scores(tmp_path / "apart.jsonl", "t", 2)
    (home / "problems" / "test.parquet").write_text("mine")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    holds(refused("evaluate", "scores", given, "--to", home), "conflict", file=home, names=(given,))
    words = ("evaluate", "scores", apart, "--validation", given, "--to", home)
    holds(refused(*words), "conflict", file=home, names=(given,))
    holds(refused("evaluate", "scores", apart, "--to", home), "file_exists", file=home)
    holds(refused("evaluate", "scores", apart, "--to", given), "file_exists", file=given)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_folder_is_made_again_and_one_that_was_interrupted_is_refused(
    write_scores: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = write_scores(tmp_path / "a.jsonl", "t", 3), write_scores(tmp_path / "b.jsonl", "t", 2)
    mine = tmp_path / "mine"
    said("evaluate", "scores", first, "--to", mine)
    said("report", mine)
    said("evaluate", "scores", second, "--to", mine)
    assert not (mine / "report.html").exists()
    said("report", mine)
    assert len(told(mine / "report.html")[1]["problems"]) == 2

    def full(*_: object) -> None:
        raise StepwardError("the disc is full", code="unwritable")

    with monkeypatch.context() as patch:
        patch.setattr("stepward.evaluation.score_files.io.write_candidates", full)
        refused("evaluate", "scores", first, "--to", mine)
    for words in (("report", mine), ("compare", mine)):
        holds(refused(*words), "unfinished", file=mine)
    said("evaluate", "scores", first, "--to", mine)
    said("compare", mine)
    facts = json.loads((mine / "scores.json").read_text())
    (mine / "scores.json").write_text(json.dumps({name: facts[name] for name in ("finished", "shown", "test")}))
    holds(refused("report", mine), "wrong_version", file=mine / "scores.json", names=("validation",))


def test_a_pipe_cannot_be_read_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    pipe = refused("evaluate", "scores", tmp_path / "pipe.jsonl", "--to", tmp_path / "mine")
    holds(pipe, "unreadable", file=tmp_path / "pipe.jsonl")
    missing = refused("evaluate", "scores", tmp_path / "none.jsonl", "--to", tmp_path / "mine")
    holds(missing, "file_not_found", file=tmp_path / "none.jsonl")


@pytest.mark.slow
def test_a_model_called_orm_with_another_aggregation(write_scores: Write, tmp_path: Path) -> None:
    test, held = write_scores(tmp_path / "t.jsonl", "t", 4), write_scores(tmp_path / "v.jsonl", "v", 4)
    for name, more in (("with", ("--validation", held)), ("without", ())):
        said("evaluate", "scores", test, *more, "--aggregation", "min", "--to", tmp_path / name)
        said("report", tmp_path / name)
        text, _ = told(tmp_path / name / "report.html")
        assert "ORM best-of-16" in text
    assert "best-of-N or weighted voting was chosen" in told(tmp_path / "with" / "report.html")[0]
    said("compare", tmp_path / "with", tmp_path / "without")
    said("report", tmp_path / "with", tmp_path / "without")


def test_texts_come_from_whatever_row_has_them(tmp_path: Path) -> None:
    rows = []
    for problem in range(2):
        for one in range(3):
            row = {"problem_id": f"p{problem}", "solution_id": one, "answer": "1", "reference": "1"}
            steps = {"steps": ["a", "b"]} if one == 0 else {"steps": None, "solution": "c\n\nd"} if one == 1 else {}
            rows.append({**row, "model": "orm", "step_scores": [0.5]})
            rows.append({**row, "model": "prm", "step_scores": [0.5, 0.25], **steps})
            rows.append({**row, "model": "other", "step_scores": [0.125, 0.25, 0.5], "steps": ["a", "b", "c"]})
    for row in rows:
        if row["model"] == "other" and row["solution_id"] < 2:
            del row["steps"]
    rows.sort(key=lambda row: str(row["model"]), reverse=True)
    path = tmp_path / "scores.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said("evaluate", "scores", path, "--to", tmp_path / "mine")
    said("report", tmp_path / "mine")
    _, found = told(tmp_path / "mine" / "report.html")
    names = [model["name"] for model in found["models"]]
    orm, prm, other = (names.index(name) for name in ("ORM", "prm", "other"))
    for problem in found["problems"]:
        texts = {row[11]: row[1] for row in problem["c"]}
        assert texts == {"0": ["a", "b", ""], "1": ["c\n\nd", "", ""], "2": ["a", "b", "c"]}
        for row in problem["c"]:
            scores = row[10]
            assert (scores[orm], scores[prm], scores[other]) == ([None, None, 50], [50, 25, None], [12, 25, 50])


@pytest.mark.slow
def test_problems_of_one_id_and_of_more_candidates_than_are_kept_are_paired(
    write_scores: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_scores(tmp_path / "scores.jsonl", "t", 6)
    said("evaluate", "scores", path, "--to", tmp_path / "all")
    monkeypatch.setattr("stepward.evaluation.score_files.candidates.MOST_CANDIDATES", 130)
    said("evaluate", "scores", path, "--to", tmp_path / "some")
    assert "paired, 6 problems" in said("compare", tmp_path / "all", tmp_path / "some")


@pytest.mark.slow
def test_every_problem_is_in_a_slice_of_each_kind(write_scores: Write, tmp_path: Path) -> None:
    path = write_scores(tmp_path / "scores.jsonl", "t", 6)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    levels = {"t0": 1, "t1": "1", "t2": "none", "t3": None, "t4": "hard", "t5": 12}
    path.write_text("".join(json.dumps({**row, "level": levels[row["problem_id"]]}) + "\n" for row in rows))
    said("evaluate", "scores", path, "--to", tmp_path / "mine")
    parts: dict[str, dict[str, int]] = {}
    for row in evaluation_folder.read(tmp_path / "mine" / "evaluation")[0].slices:
        parts.setdefault(row.slicing, {})[row.slice] = row.problems
    assert parts["level"] == {"1": 2, "12": 1, "hard": 1, "none": 2}
    assert {sum(counts.values()) for counts in parts.values()} == {6}
