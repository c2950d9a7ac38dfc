"""Rows of scores from elsewhere: what is read, and what is refused, by file, row and field."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from raising import refused

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.candidates import RewardModel
from stepward.evaluation.score_files.reader import read_columns
from stepward.evaluation.score_files.table import grade_and_group, tabulate_columns

Rows = list[dict[str, Any]]


def row(problem: str = "p", solution: str | int = "a", **changed: Any) -> dict[str, Any]:
    """A row without fault; a field changed to `...` is left out."""
    whole = {
        "problem_id": problem, "solution_id": solution, "answer": "5", "reference": "5", "step_scores": [0.5, 0.25],
    } | changed  # fmt: skip
    return {name: value for name, value in whole.items() if value is not ...}


def written(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def test_columns_hold_what_the_rows_say(tmp_path: Path) -> None:
    rows = [
        row("q", 1, answer=" 5 ", extra={"any": ["thing"]}),
        row("p", "b", answer=None, step_scores=[1, 0]),
        row("q", 2, answer=7.5),
        row("p", "a", answer="", reference="5"),
    ]
    columns = read_columns([written(tmp_path / "scores.jsonl", rows)])
    assert [one.id for one in columns.asked] == ["q", "p"]
    assert [one.answers for one in columns.asked] == [["5", "7.5"], []]
    assert columns.answer.tolist() == [0, -1, 1, -1]
    assert columns.scores.tolist() == [0.5, 0.25, 1, 0, 0.5, 0.25, 0.5, 0.25]
    assert columns.models == [RewardModel("score", 0)]
    tabulated = tabulate_columns(columns, grade_and_group(columns, "math"))
    table, (scores,) = tabulated.table, tabulated.models
    assert (table.problems, table.starts.tolist()) == (("p", "q"), [0, 2, 4])  # by id; candidates as in the file
    assert (table.answers.tolist(), table.correct.tolist()) == ([-1, -1, 0, 1], [False, False, True, False])
    assert scores.steps.tolist() == [1, 0, 0.5, 0.25, 0.5, 0.25, 0.5, 0.25]


def _parquet(path: Path, rows: Rows) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def _packed(pack: Callable[[bytes], bytes]) -> Callable[[Path, Rows], None]:
    return lambda path, rows: (path.write_bytes(pack("".join(json.dumps(one) + "\n" for one in rows).encode())), None)[
        1
    ]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("scores.jsonl.gz", _packed(gzip.compress)),
        ("scores.jsonl.zst", _packed(zstandard.compress)),
        ("scores.parquet", _parquet),
        ("scores.json", lambda path, rows: path.write_text(json.dumps(rows))),
    ],
    ids=["gzip", "zstandard", "parquet", "array"],
)
def test_kinds_of_files_read_alike(tmp_path: Path, name: str, write: Callable[[Path, Rows], None]) -> None:
    rows = [row("p", "a"), row("p", "b", answer=None, step_scores=[0.1]), row("q", "a", answer="7")]
    write(tmp_path / name, rows)
    plain, other = read_columns([written(tmp_path / "plain.jsonl", rows)]), read_columns([tmp_path / name])
    assert plain.asked == other.asked
    for field in ("problem", "answer", "starts", "scores", "number"):
        np.testing.assert_array_equal(getattr(plain, field), getattr(other, field))


BAD: dict[str, tuple[dict[str, Any], str, str, tuple[object, ...]]] = {
    "no step_scores": ({"step_scores": ...}, "missing", "step_scores", ("`score`",)),
    "null": ({"step_scores": None}, "missing", "step_scores", ("null",)),
    "empty": ({"step_scores": []}, "empty", "step_scores", ()),
    "text": ({"step_scores": "0.5"}, "wrong_type", "step_scores", ("text",)),
    "text in it": ({"step_scores": [0.5, "0.5"]}, "wrong_type", "step_scores[1]", ("text",)),
    "true in it": ({"step_scores": [True]}, "wrong_type", "step_scores[0]", ("true or false",)),
    "null in it": ({"step_scores": [0.5, None]}, "wrong_type", "step_scores[1]", ("null",)),
    "NaN": ({"step_scores": [0.5, float("nan")]}, "bad_rows", "step_scores[1]", ("nan",)),
    "infinity": ({"step_scores": [float("inf")]}, "bad_rows", "step_scores[0]", ("inf",)),
    "a logit": ({"step_scores": [0.5, -1.5]}, "bad_value", "step_scores[1]", (-1.5,)),
    "above 1": ({"step_scores": [1.0000001]}, "bad_value", "step_scores[0]", (1.0000001,)),
    "triples": ({"step_scores": [[0.1, 0.1, 0.8]]}, "wrong_type", "step_scores[0]", ("--neutral right",)),
    "surplus": ({"steps": ["one"]}, "mismatch", "step_scores", (2, 1)),
    "no answer": ({"answer": ...}, "missing", "answer", ()),
    "answer a list": ({"answer": ["5"]}, "wrong_type", "answer", ("a list",)),
    "no grade": ({"reference": ...}, "missing", "reference", ("`correct`",)),
    "reference empty": ({"reference": "  "}, "missing", "reference", ()),
    "reference broken": ({"problem_id": "r", "reference": "\\frac{1}{2"}, "bad_value", "reference", ()),
    "reference worked": ({"problem_id": "r", "reference": "so #### 5"}, "bad_value", "reference", ("####",)),
    "references differ": ({"reference": "6"}, "mismatch", "reference", ("'6'", "row 1", "'p'", "'5'")),
    "correct as well": ({"correct": True}, "mismatch", "correct", ("row 1", "`reference`")),
    "no problem": ({"problem_id": ...}, "missing", "problem_id", ()),
    "problem a list": ({"problem_id": ["p"]}, "wrong_type", "problem_id", ("a list",)),
    "no solution": ({"solution_id": ""}, "missing", "solution_id", ()),
    "a model's": ({"model": "mine"}, "missing", "model", ()),
    "a reward": ({"step_scores": ..., "score": 1.5}, "mismatch", "score", ("row 1", "`step_scores`")),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_named_with_its_field(tmp_path: Path, name: str) -> None:
    changed, code, field, names = BAD[name]
    path = written(tmp_path / "scores.jsonl", [row("p", "a"), row("p", "b"), row("p", "c", **changed)])
    with refused(code, file=path, row=3, field=field, names=(path, *names)) as raised:
        read_columns([path])
    assert len(raised.value.faults) == 1


def test_grades_of_rows_are_checked_against_one_another(tmp_path: Path) -> None:
    good = [row(solution="a", reference=..., correct=True), row(solution="b", reference=..., correct=False, answer="7")]
    assert read_columns([written(tmp_path / "good.jsonl", good)]).asked[0].correct == [True, False]
    names: tuple[str, ...]
    for changed, code, names in (
        ({"correct": False}, "mismatch", ("'5'", "'p'", "row 1")),
        ({"correct": 1}, "wrong_type", ("a number",)),
        ({"answer": None, "correct": True}, "mismatch", ("true",)),
        ({"correct": ..., "reference": "5"}, "mismatch", ("row 1", "`correct`")),
    ):
        bad = [*good, row(**{"solution": "c", "reference": ..., "correct": True} | changed)]
        with refused(code, row=3, field="correct", names=names):
            read_columns([written(tmp_path / "bad.jsonl", bad)])


@pytest.mark.parametrize(
    ("value", "code"),
    [(float("nan"), "bad_rows"), ("1", "wrong_type"), (True, "wrong_type"), (10**400, "not_finite")],
    ids=["nan", "text", "bool", "large"],
)
def test_a_reward_is_a_finite_number(tmp_path: Path, value: Any, code: str) -> None:
    with refused(code, row=1, field="score"):
        read_columns([written(tmp_path / "scores.jsonl", [row(step_scores=..., score=value)])])


def test_triples_count_neutral_as_asked(tmp_path: Path) -> None:
    rows = [row(step_scores=[[0.2, 0.3, 0.5], [0, 1, 0]])]
    path = written(tmp_path / "scores.jsonl", rows)
    assert read_columns([path], neutral="right").scores.tolist() == pytest.approx([0.8, 1])
    assert read_columns([path], neutral="wrong").scores.tolist() == pytest.approx([0.5, 0])
    for given, code, name in (
        ([[0.2, 0.3]], "wrong_type", "a list of 2"),
        ([0.5], "wrong_type", "--neutral"),
        ([[0.2, 0.3, 0.4]], "bad_value", "0.9"),
        ([[-0.2, 0.3, 0.9]], "bad_value", "-0.2"),
        ([["0.2", 0.3, 0.5]], "bad_value", "'0.2'"),
    ):
        with refused(code, row=1, field="step_scores[0]", names=(name,)):
            read_columns([written(path, [row(step_scores=given)])], neutral="right")
    with refused("conflict", row=1, field="score", names=("--neutral",)):
        read_columns([written(path, [row(step_scores=..., score=0.5)])], neutral="right")


def test_many_bad_rows_fit_one_screen(tmp_path: Path) -> None:
    path = written(tmp_path / "scores.jsonl", [row(solution=str(i), step_scores=[]) for i in range(500)])
    with refused("bad_rows", file=path, names=("500 rows", "490 more")) as raised:
        read_columns([path])
    assert len(str(raised.value).splitlines()) < 15


def _tabulated(tmp_path: Path, **files: Rows) -> Any:
    columns = read_columns([written(tmp_path / f"{name}.jsonl", rows) for name, rows in files.items()])
    return tabulate_columns(columns, grade_and_group(columns, "math"))


def test_a_repeated_solution_is_named_with_both_rows(tmp_path: Path) -> None:
    again = [row("p", "a"), row("q", "a"), row("p", "b"), row("p", "a"), row("q", "a")]
    names = ("'a'", "'p'", "one.jsonl: row 1")
    with refused("duplicate", file=tmp_path / "one.jsonl", row=4, field="solution_id", names=names):
        _tabulated(tmp_path, one=again)


def test_files_without_names_are_seeds_in_their_order(tmp_path: Path) -> None:
    first, second = [row("p", "a"), row("p", "b", answer="7")], [row("p", "b", answer="7"), row("p", "a")]
    second[0]["step_scores"] = [0.125, 0.0]
    tabulated = _tabulated(tmp_path, x=first, y=second)
    table, models = tabulated.table, tabulated.models
    assert [(one.method, one.seed) for one in models] == [("score", 0), ("score", 1)]
    assert models[1].steps.tolist() == [0.5, 0.25, 0.125, 0.0]  # in the order of the first file
    assert table.answers.tolist() == [0, 1]


def test_models_are_named_by_their_rows(tmp_path: Path) -> None:
    names = ["b/seed-42", "a", "b/seed-3", "x/seed-1/last"]
    models = _tabulated(tmp_path, x=[row("p", "s", model=name) for name in names]).models
    assert [(one.method, one.seed) for one in models] == [("b", 3), ("b", 42), ("a", 0), ("x/seed-1/last", 0)]
    for name, code, shown in (
        ("majority", "conflict", "'majority'"), ("", "conflict", "''"), (5, "wrong_type", "a number"),
        ("\x1b[31m", "bad_value", "x1b[31m"), ("a/seed-" + "9" * 5000, "bad_value", "a/seed-9"),
        ("a/seed-x", "bad_value", "'a/seed-x'"), ("a/seed-0", "duplicate", "'a/seed-0' and 'a'"),
    ):  # fmt: skip
        with refused(code, row=5, field="model", names=(shown,)):
            _tabulated(tmp_path, x=[row("p", "s", model=one) for one in [*names, name]])


def test_models_must_score_the_same_solutions(tmp_path: Path) -> None:
    first, second = [row("p", "a"), row("p", "b"), row("q", "c")], [row("p", "a"), row("q", "c")]
    x, y = tmp_path / "x.jsonl", tmp_path / "y.jsonl"
    with refused("missing", file=x, row=2, field="step_scores", names=("'b'", "'p'", "score/seed-1")):
        _tabulated(tmp_path, x=first, y=second)
    with refused("missing", file=y, row=2, field="step_scores", names=("'b'", "'p'", "score/seed-0")):
        _tabulated(tmp_path, x=second, y=first)
    other = [row("p", "a", answer="8"), row("p", "b"), row("q", "c")]
    with refused("mismatch", file=y, row=1, field="answer", names=("'a'", x)):
        _tabulated(tmp_path, x=first, y=other)
    longer = [row("p", "a", step_scores=[0.5]), row("p", "b"), row("q", "c")]
    with refused("mismatch", field="step_scores", names=("'a'", "'p'", "2 by score/seed-0", "1 by score/seed-1")):
        _tabulated(tmp_path, x=first, y=longer)
    with refused("mismatch", file=y, row=1, field="reference", names=("'6'", f"row 1 of {x}")):
        _tabulated(tmp_path, x=first, y=[row("p", "a", reference="6")])


def test_methods_may_see_other_numbers_of_steps(tmp_path: Path) -> None:
    rows = [row("p", "a", model="x"), row("p", "a", model="y", step_scores=[0.5])]
    models = _tabulated(tmp_path, both=rows).models
    assert [one.starts.tolist() for one in models] == [[0, 2], [0, 1]]


def test_files_that_are_missing_or_given_twice(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", [row()])
    with refused("duplicate", file=path):
        read_columns([path, path])
    with refused("file_not_found", file=tmp_path / "none.jsonl"):
        read_columns([path, tmp_path / "none.jsonl"])
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(StepwardError) as empty:
        read_columns([tmp_path / "empty.jsonl"])
    assert "empty.jsonl" in str(empty.value)
