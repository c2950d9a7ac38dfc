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

from stepward.errors import StepwardError
from stepward.evaluation.candidates import RewardModel
from stepward.evaluation.external_answers import group_answers
from stepward.evaluation.external_rows import read_columns
from stepward.evaluation.external_table import tabulate_columns

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
    tabulated = tabulate_columns(columns, group_answers(columns, "math"))
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


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no step_scores": ({"step_scores": ...}, "field 'step_scores': missing; expected a list of numbers in [0, 1]"),
    "null": ({"step_scores": None}, "field 'step_scores': null; expected a list"),
    "empty": ({"step_scores": []}, "field 'step_scores': empty; expected a number for each step"),
    "text": (
        {"step_scores": "0.5"},
        "field 'step_scores': expected a list of numbers in [0, 1], one a step, found text",
    ),
    "text in it": ({"step_scores": [0.5, "0.5"]}, "field 'step_scores[1]': expected a number in [0, 1], found text"),
    "true in it": ({"step_scores": [True]}, "field 'step_scores[0]': expected a number in [0, 1], found true or false"),
    "null in it": ({"step_scores": [0.5, None]}, "field 'step_scores[1]': expected a number in [0, 1], found null"),
    "NaN": ({"step_scores": [0.5, float("nan")]}, "field 'step_scores[1]': holds nan; expected a finite number"),
    "infinity": ({"step_scores": [float("inf")]}, "field 'step_scores[0]': holds inf; expected a finite number"),
    "a logit": ({"step_scores": [0.5, -1.5]}, "field 'step_scores[1]': -1.5 is not in [0, 1]; put logits through"),
    "above 1": ({"step_scores": [1.0000001]}, "field 'step_scores[0]': 1.0000001 is not in [0, 1]"),
    "triples": ({"step_scores": [[0.1, 0.1, 0.8]]}, "say what neutral counts as: --neutral right"),
    "surplus": ({"steps": ["one"]}, "field 'step_scores': 2 scores for 1 `steps`; expected one a step"),
    "no answer": ({"answer": ...}, "field 'answer': missing; expected the solution's final answer, or null"),
    "answer a list": ({"answer": ["5"]}, "field 'answer': expected text or a number, found a list"),
    "no grade": ({"reference": ...}, "field 'reference': missing; expected `reference`"),
    "reference empty": ({"reference": "  "}, "field 'reference': missing"),
    "reference broken": (
        {"problem_id": "r", "reference": "\\frac{1}{2"},
        "can't be graded against: the ref",
    ),
    "reference worked": ({"problem_id": "r", "reference": "so #### 5"}, "give what stands after its ####"),
    "references differ": ({"reference": "6"}, "field 'reference': '6', but in row 1 the same problem 'p' has '5'"),
    "correct as well": (
        {"correct": True},
        "field 'correct': row 1 has none, only `reference`; give `correct`",
    ),
    "no problem": ({"problem_id": ...}, "field 'problem_id': missing; expected text or a whole number"),
    "problem a list": ({"problem_id": ["p"]}, "field 'problem_id': found a list; expected text"),
    "no solution": ({"solution_id": ""}, "field 'solution_id': empty; expected text or a whole number"),
    "a model's": ({"model": "mine"}, "field 'model': some rows of the file name a model and others don't"),
    "a reward": ({"step_scores": ..., "score": 1.5}, "field 'score': row 1 has `step_scores`; give all rows the one"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_named_with_its_field(tmp_path: Path, name: str) -> None:
    changed, message = BAD[name]
    path = written(tmp_path / "scores.jsonl", [row("p", "a"), row("p", "b"), row("p", "c", **changed)])
    with pytest.raises(StepwardError) as refused:
        read_columns([path])
    said = str(refused.value)
    assert said.startswith(f"{path}: 1 row can't be used\n  row 3, ") and message in said


def test_grades_of_rows_are_checked_against_one_another(tmp_path: Path) -> None:
    good = [row(solution="a", reference=..., correct=True), row(solution="b", reference=..., correct=False, answer="7")]
    assert read_columns([written(tmp_path / "good.jsonl", good)]).asked[0].correct == [True, False]
    for changed, message in (
        ({"correct": False}, "answer '5' of problem 'p' is wrong here and right in row 1; grade equal answers alike"),
        ({"correct": 1}, "field 'correct': expected true or false, found a number"),
        ({"answer": None, "correct": True}, "field 'correct': true, but there is no answer"),
        ({"correct": ..., "reference": "5"}, "field 'correct': row 1 has `correct`; give `correct` in every row"),
    ):
        bad = [*good, row(**{"solution": "c", "reference": ..., "correct": True} | changed)]
        with pytest.raises(StepwardError, match="row 3, ") as refused:
            read_columns([written(tmp_path / "bad.jsonl", bad)])
        assert message in str(refused.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "holds nan"), ("1", "expected a number, found text"), (True, "expected a number, found true"),
        (10**400, "too large; expected a finite number"),
    ],
    ids=["nan", "text", "bool", "large"],
)  # fmt: skip
def test_a_reward_is_a_finite_number(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(StepwardError, match="row 1, field 'score'") as refused:
        read_columns([written(tmp_path / "scores.jsonl", [row(step_scores=..., score=value)])])
    assert message in str(refused.value)


def test_triples_count_neutral_as_asked(tmp_path: Path) -> None:
    rows = [row(step_scores=[[0.2, 0.3, 0.5], [0, 1, 0]])]
    path = written(tmp_path / "scores.jsonl", rows)
    assert read_columns([path], neutral="right").scores.tolist() == pytest.approx([0.8, 1])
    assert read_columns([path], neutral="wrong").scores.tolist() == pytest.approx([0.5, 0])
    for given, message in (
        ([[0.2, 0.3]], "expected [wrong, neutral, right], found a list of 2"),
        ([0.5], "expected [wrong, neutral, right], found a number; without triples leave out --neutral"),
        ([[0.2, 0.3, 0.4]], "wrong, neutral and right add up to 0.9; expected 1"),
        ([[-0.2, 0.3, 0.9]], "-0.2 is not a number in [0, 1]"),
        ([["0.2", 0.3, 0.5]], "'0.2' is not a number in [0, 1]"),
    ):
        with pytest.raises(StepwardError, match=r"row 1, field 'step_scores\[0\]'") as refused:
            read_columns([written(path, [row(step_scores=given)])], neutral="right")
        assert message in str(refused.value)
    with pytest.raises(StepwardError, match="--neutral is for step_scores"):
        read_columns([written(path, [row(step_scores=..., score=0.5)])], neutral="right")


def test_many_bad_rows_fit_one_screen(tmp_path: Path) -> None:
    path = written(tmp_path / "scores.jsonl", [row(solution=str(i), step_scores=[]) for i in range(500)])
    with pytest.raises(StepwardError, match="500 rows can't be used") as refused:
        read_columns([path])
    assert "and 490 more" in str(refused.value) and len(str(refused.value).splitlines()) < 15


def _tabulated(tmp_path: Path, **files: Rows) -> Any:
    columns = read_columns([written(tmp_path / f"{name}.jsonl", rows) for name, rows in files.items()])
    return tabulate_columns(columns, group_answers(columns, "math"))


def test_a_repeated_solution_is_named_with_both_rows(tmp_path: Path) -> None:
    again = [row("p", "a"), row("q", "a"), row("p", "b"), row("p", "a"), row("q", "a")]
    with pytest.raises(StepwardError, match=r"one.jsonl: row 4, field 'solution_id': 'a' of problem 'p' stands there"):
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
    for name, message in (
        ("majority", "'majority' can't be a model's name"), ("", "can't be a model's name"), (5, "expected a name"),
        ("\x1b[31m", "holds a control character"), ("a/seed-" + "9" * 5000, "is not <name>/seed-<seed>"),
        ("a/seed-x", "'a/seed-x' is not <name>/seed-<seed>"), ("a/seed-0", "'a/seed-0' and 'a' are one name of seed 0"),
    ):  # fmt: skip
        with pytest.raises(StepwardError, match="row 5, field 'model'") as refused:
            _tabulated(tmp_path, x=[row("p", "s", model=one) for one in [*names, name]])
        assert message in str(refused.value)


def test_models_must_score_the_same_solutions(tmp_path: Path) -> None:
    first, second = [row("p", "a"), row("p", "b"), row("q", "c")], [row("p", "a"), row("q", "c")]
    with pytest.raises(StepwardError, match=r"x.jsonl: row 2: sol\w+ 'b' of problem 'p' has no scores by score/seed-1"):
        _tabulated(tmp_path, x=first, y=second)
    with pytest.raises(StepwardError, match=r"y.jsonl: row 2: sol\w+ 'b' of problem 'p' has no scores by score/seed-0"):
        _tabulated(tmp_path, x=second, y=first)
    other = [row("p", "a", answer="8"), row("p", "b"), row("q", "c")]
    with pytest.raises(StepwardError, match=r"y.jsonl: row 1, field 'answer': solution 'a' has another answer in .*x"):
        _tabulated(tmp_path, x=first, y=other)
    longer = [row("p", "a", step_scores=[0.5]), row("p", "b"), row("q", "c")]
    with pytest.raises(StepwardError, match=r"'a' of problem 'p', field 'step_scores': 2 by score/seed-0, 1 by"):
        _tabulated(tmp_path, x=first, y=longer)
    with pytest.raises(StepwardError, match=r"'6', but in row 1 of .*x.jsonl the same problem"):
        _tabulated(tmp_path, x=first, y=[row("p", "a", reference="6")])


def test_methods_may_see_other_numbers_of_steps(tmp_path: Path) -> None:
    rows = [row("p", "a", model="x"), row("p", "a", model="y", step_scores=[0.5])]
    models = _tabulated(tmp_path, both=rows).models
    assert [one.starts.tolist() for one in models] == [[0, 2], [0, 1]]


def test_files_that_are_missing_or_given_twice(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", [row()])
    with pytest.raises(StepwardError, match="given twice"):
        read_columns([path, path])
    with pytest.raises(StepwardError, match=r"none.jsonl: no such file"):
        read_columns([path, tmp_path / "none.jsonl"])
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(StepwardError, match="holds no rows"):
        read_columns([tmp_path / "empty.jsonl"])
