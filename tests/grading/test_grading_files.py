"""Grading a file: every row is graded or set aside, and what was done is said."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.errors import StepwardError
from stepward.grading import dataset as grading_files
from stepward.grading import extract_answer, grade
from stepward.grading.columns import FieldOptions, find_fields
from stepward.grading.dataset import grade_file
from stepward.rows import SourceRow

ROWS: list[dict[str, Any]] = [
    {"id": 1, "reference": "5", "answer": "5"},
    {"id": 2, "reference": "1/2", "answer": "0.5", "note": {"a": [1, None]}},
    {"id": 3, "reference": "5", "answer": "6"},
    {"id": 4, "reference": "5", "answer": None},
    {"id": 5, "reference": "5", "answer": " "},
    {"id": 6, "reference": "7", "answer": 7},
    {"id": 7, "reference": 7.5, "answer": "15/2"},
]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_each_row_is_kept_and_has_its_verdict(tmp_path: Path) -> None:
    graded = grade_file(write(tmp_path / "a.jsonl", ROWS))
    assert graded.to == tmp_path / "a.graded.jsonl"
    rows = read(graded.to)
    assert [{name: row[name] for name in before} for row, before in zip(rows, ROWS, strict=True)] == ROWS
    assert [row["equal"] for row in rows] == [True, True, False, False, False, True, True]
    assert [row["extracted"] for row in rows] == ["5", "0.5", "6", None, " ", "7", "15/2"]
    assert [row["method"] for row in rows] == ["exact", "number", "number", "empty", "empty", "exact", "number"]
    assert all(row["reason"] for row in rows)
    assert not (tmp_path / "a.graded.jsonl.rejected.jsonl").exists()


def test_the_counts_add_up_and_are_said(tmp_path: Path) -> None:
    graded = grade_file(write(tmp_path / "a.jsonl", ROWS), tmp_path / "out.jsonl")
    found = graded.summary()
    assert (found["rows"], found["equal"], found["unequal"], found["no_answer"]) == (7, 4, 1, 2)
    assert (found["timeout"], found["memory"], found["crash"], found["set_aside"]) == (0, 0, 0, 0)
    assert found["methods"] == {"empty": 2, "exact": 2, "number": 3}
    said = "\n".join(graded.lines())
    for part in ("'reference' (guessed)", "'answer' (guessed)", "7 rows", "4 equal (57.1%)", "1 unequal", "2 no answer",
                 "0 timeout, 0 memory, 0 crash", str(tmp_path / "out.jsonl")):  # fmt: skip
        assert part in said
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("method", ["timeout", "memory", "crash"])
def test_what_was_not_decided_is_not_called_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(
        grading_files,
        "grade_many",
        lambda pairs, **_: [grading_files.Verdict(False, method, "no verdict")] * len(pairs),
    )
    found = grade_file(write(tmp_path / "a.jsonl", ROWS[:2])).summary()
    assert (found["rows"], found["unequal"], found["no_answer"], found[method]) == (2, 0, 0, 2)


def test_workers_and_deadline_reach_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fake(pairs: list[tuple[str, str | None]], **limits: Any) -> list[grading_files.Verdict]:
        asked.append((pairs, limits))
        return [grading_files.Verdict(True, "exact", "fake")] * len(pairs)

    monkeypatch.setattr(grading_files, "grade_many", fake)
    grade_file(write(tmp_path / "a.jsonl", ROWS[:1]), workers=3, deadline=1.5)
    assert asked == [([("5", "5")], {"workers": 3, "deadline": 1.5})]


def test_a_response_is_extracted_from(tmp_path: Path) -> None:
    rows = [
        {"gold": "18", "completion": "So 9 * 2.\n#### 18"},
        {"gold": "18", "completion": "it is \\boxed{17}"},
        {"gold": "18", "completion": "no idea"},
        {"gold": "18", "completion": None},
    ]
    graded = grade_file(write(tmp_path / "a.jsonl", rows))
    assert [row["extracted"] for row in read(graded.to)] == ["18", "17", extract_answer("no idea"), None]
    assert [row["equal"] for row in read(graded.to)] == [True, False, False, False]
    assert "response (style auto) from 'completion' (guessed)" in str(graded.fields)
    styled = grade_file(tmp_path / "a.jsonl", response="completion", style="boxed")
    assert [row["extracted"] for row in read(styled.to)] == [None, "17", None, None]
    assert "response (style boxed) from 'completion'" in str(styled.fields)


def test_a_worked_reference_needs_its_style(tmp_path: Path) -> None:
    rows = [{"question": "?", "answer": "9 * 2 = 18\n#### 18", "prediction": "18"}]
    path = write(tmp_path / "a.jsonl", rows)
    with refused("bad_value", row=1, field="answer", names=("--reference-style gsm8k",)):
        grade_file(path)
    graded = grade_file(path, reference_style="gsm8k")
    assert graded.equal == 1
    with refused("missing", row=1, field="answer", names=("boxed",)):
        grade_file(path, reference_style="boxed")


@pytest.mark.parametrize(
    ("names", "asked", "found"),
    [
        (("reference", "answer"), {}, ("reference", "answer", False)),
        (("gold", "pred"), {}, ("gold", "pred", False)),
        (("answer", "response"), {}, ("answer", "response", True)),
        (("question", "answer", "prediction"), {}, ("answer", "prediction", False)),
        (("reference", "answer", "response"), {}, ("reference", "answer", False)),
        (("reference", "answer", "response"), {"response": "response"}, ("reference", "response", True)),
        (("ground_truth", "solution"), {}, ("ground_truth", "solution", True)),
        (("final_answer", "solution", "answer"), {}, ("final_answer", "answer", False)),
        (("x", "y"), {"reference": "x", "answer": "y"}, ("x", "y", False)),
        (("x", "y"), {"reference": "x", "response": "y"}, ("x", "y", True)),
        (("answer", "y"), {"answer": "y"}, ("answer", "y", False)),
        (("answer", "y"), {"reference": "y"}, ("y", "answer", False)),
        (("reference", "solution"), {"answer": "solution"}, ("reference", "solution", False)),
    ],
    ids=str,
)
def test_fields_are_named_or_guessed(
    names: tuple[str, ...], asked: dict[str, str], found: tuple[str, str, bool]
) -> None:
    fields = find_fields(SourceRow(Path("a.jsonl"), 1, dict.fromkeys(names, "5")), FieldOptions(**asked))  # type: ignore[arg-type]
    assert (fields.reference, fields.answer, fields.is_response) == found
    assert fields.guessed == {fields.reference, fields.answer} - set(asked.values())


@pytest.mark.parametrize(
    ("options", "code", "field", "names"),
    [
        ({"reference": "gold"}, "unknown_name", "gold", ("row 1", "id, reference, answer")),
        ({"answer": "reply"}, "unknown_name", "reply", ("row 1",)),
        ({"response": "reply"}, "unknown_name", "reply", ("row 1",)),
        ({"reference": "reference", "answer": "answer", "response": "id"}, "conflict", "--answer", ("--response",)),
        ({"style": "bold"}, "unknown_name", "--style", ("'bold'", "boxed, gsm8k")),
        ({"reference_style": "bold"}, "unknown_name", "--reference-style", ("'bold'",)),
        ({"grader": "maths"}, "unknown_name", "grader", ("math?",)),
        ({"to": "a.csv"}, "bad_value", "--to", ("a.csv", ".jsonl")),
        ({"to": "a.jsonl"}, "conflict", "--to", ("a.jsonl",)),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, str],
    code: str,
    field: str,
    names: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "a.jsonl", ROWS)
    with refused(code, field=field, names=names):
        grade_file(path, **options)  # type: ignore[arg-type]
    assert [one.name for one in tmp_path.iterdir()] == ["a.jsonl"]


def test_rows_without_a_pair_of_fields_are_refused_with_what_they_have(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with refused("missing", file=path, row=1, field="--answer or --response", names=("answer, pred", "gold, x")):
        grade_file(write(path, [{"gold": "5", "x": "5"}]))
    with refused("missing", file=path, row=1, field="--reference", names=("reference, gold",)):
        grade_file(write(tmp_path / "a.jsonl", [{"x": "5"}]))


def test_a_field_of_the_row_is_never_overwritten(tmp_path: Path) -> None:
    rows = [{"reference": "5", "answer": "5", "equal": "mine"}]
    path = write(tmp_path / "a.jsonl", rows)
    with refused("duplicate", file=path, row=1, field="equal", names=("--prefix graded_",)):
        grade_file(path)
    (row,) = read(grade_file(path, prefix="graded_").to)
    assert row["equal"] == "mine" and row["graded_equal"] is True and row["graded_extracted"] == "5"
    graded = grade_file(write(path, [ROWS[0], *rows]))
    assert (graded.rows, graded.set_aside) == (1, 1)


BAD = [
    ('{"reference": "5", "answer": "5"', "", "not JSON"),
    ('{"reference": "5", "answer": NaN}', "answer", "nan"),
    ('{"reference": "5", "reference": "5", "answer": "5"}', "reference", "stands twice"),
    ('{"reference": "5", "answer": "\\u0000"}', "answer", "NUL"),
    ('{"reference": "5", "answer": "\\ud800"}', "answer", "surrogate"),
    ("[1]", "", "expected a JSON object"),
    ('{"answer": "5"}', "reference", "missing"),
    ('{"reference": "5"}', "answer", "missing"),
    ('{"reference": null, "answer": "5"}', "reference", "no reference answer"),
    ('{"reference": " ", "answer": "5"}', "reference", "no reference answer"),
    ('{"reference": true, "answer": "5"}', "reference", "expected text or a number, found true or false"),
    ('{"reference": "5", "answer": ["5"]}', "answer", "expected text or a number, found a list"),
    ('{"reference": "5", "answer": {"a": 5}}', "answer", "found an object"),
    ('{"reference": "\\\\frac{1}{", "answer": "5"}', "reference", "can't be graded against"),
    ('{"reference": "5", "answer": "5", "method": "mine"}', "method", "already"),
]


def test_bad_rows_are_set_aside_with_line_and_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [ROWS[0], *(line for line, _, _ in BAD), ROWS[1]])
    graded = grade_file(path, tmp_path / "out.jsonl")
    assert (graded.rows, graded.equal, graded.set_aside) == (2, 2, len(BAD))
    assert graded.rejected == tmp_path / "out.jsonl.rejected.jsonl"
    assert f"Set aside: {len(BAD)}, with their reasons in {graded.rejected}" in graded.lines()
    # Of a mostly bad file, the share is not of the few good rows.
    said = f"{2 + len(BAD)} rows: 2 equal ({2 / (2 + len(BAD)):.1%}), 0 unequal, 0 no answer, {len(BAD)} set aside."
    assert said in graded.lines()
    rejected = read(graded.rejected)
    assert [row["line"] for row in rejected] == list(range(2, len(BAD) + 2))
    for row, (line, field, reason) in zip(rejected, BAD, strict=True):
        assert row["field"] == field and reason in row["reason"]
        assert (
            json.dumps(json.loads(line)) == json.dumps(json.loads(row["text"])) if "missing" in reason else row["text"]
        )


@pytest.mark.parametrize("at", [0, 1, 2])
def test_strict_refuses_and_leaves_nothing(tmp_path: Path, at: int) -> None:
    rows: list[Any] = [ROWS[0], ROWS[1]]
    rows.insert(at, '{"reference": "5"')
    with refused("bad_rows", row=at + 1):
        grade_file(write(tmp_path / "a.jsonl", rows), strict=True)
    assert [one.name for one in tmp_path.iterdir()] == ["a.jsonl"]


def test_strict_changes_nothing_for_good_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ROWS)
    loose = grade_file(path, tmp_path / "loose.jsonl")
    strict = grade_file(path, tmp_path / "strict.jsonl", strict=True)
    assert loose.to.read_bytes() == strict.to.read_bytes()


def test_a_file_of_bad_rows_alone_is_refused(tmp_path: Path) -> None:
    with refused("bad_rows", row=1):
        grade_file(write(tmp_path / "a.jsonl", ["{", "{"]))
    for name, rows in (("b.jsonl", []), ("c.jsonl", None)):
        with pytest.raises(StepwardError) as nothing:
            grade_file(tmp_path / name if rows is None else write(tmp_path / name, rows))
        assert name in str(nothing.value)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl"]


def test_what_an_earlier_run_set_aside_does_not_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [ROWS[0], "{"])
    rejected = grade_file(path).rejected
    assert rejected is not None and rejected.exists()
    assert grade_file(write(path, ROWS)).rejected is None
    assert not rejected.exists()


def test_packed_array_and_parquet_files_are_graded(tmp_path: Path) -> None:
    rows = [{"reference": "5", "answer": "5.0"}, {"reference": "5", "answer": "6"}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write("".join(f"{json.dumps(row)}\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "c.parquet")
    for name in ("a.json", "b.jsonl.gz", "c.parquet"):
        graded = grade_file(tmp_path / name)
        assert [row["equal"] for row in read(graded.to)] == [True, False]
        assert graded.to.name == f"{name[0]}.graded.jsonl"


def test_what_json_cannot_say_is_set_aside(tmp_path: Path) -> None:
    rows = [{"reference": "5", "answer": "5", "x": b"\xff"}, {"reference": "5", "answer": "5", "x": None}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    graded = grade_file(tmp_path / "a.parquet")
    assert (graded.rows, graded.set_aside, graded.equal) == (1, 1, 1)
    assert graded.rejected is not None and "holds bytes; expected text" in read(graded.rejected)[0]["reason"]


def test_large_integers_and_deep_fields_are_kept(tmp_path: Path) -> None:
    deep = json.loads("[" * 300 + "]" * 300)
    rows = [{"reference": "5", "answer": "5", "big": 2**70, "deep": deep}]
    (row,) = read(grade_file(write(tmp_path / "a.jsonl", rows)).to)
    assert row["big"] == 2**70 and row["deep"] == deep


def test_rows_are_read_and_graded_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"reference": str(n % 7), "answer": str(n % 5)} for n in range(50)]
    path = write(tmp_path / "a.jsonl", rows)
    whole = grade_file(path, tmp_path / "whole.jsonl").to.read_bytes()
    progress: list[int] = []
    monkeypatch.setattr(grading_files, "_BATCH_ROWS", 8)
    graded = grade_file(path, tmp_path / "parts.jsonl", on_progress=progress.append)
    assert graded.to.read_bytes() == whole
    assert progress == [8] * 6 + [2]
    monkeypatch.setattr(grading_files, "_BATCH_CHARACTERS", 9)
    progress.clear()
    grade_file(path, tmp_path / "parts.jsonl", on_progress=progress.append)
    assert progress == [5] * 10


def test_another_grader_grades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"reference": "Paris", "answer": "paris."}, {"reference": "Rome", "answer": "Paris"}]
    path = write(tmp_path / "a.jsonl", rows)
    assert [row["method"] for row in read(grade_file(path, grader="string").to)] == ["string", "string"]
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "file_grader.py").write_text(
        "def same(reference, answer):\n    return reference == answer\n\ndef fails(reference, answer):\n    1 / 0\n"
    )
    assert grade_file(path, grader="file_grader:same").summary()["methods"] == {"file_grader:same": 2}
    names = ("file_grader:fails", "ZeroDivisionError")
    with refused("bad_value", file=path, row=1, field="grader", names=names):
        grade_file(path, grader="file_grader:fails")


texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(texts.filter(str.strip), st.none() | texts), min_size=1, max_size=8))
def test_a_file_is_graded_as_its_pairs_are(tmp_path_factory: Any, pairs: list[tuple[str, str | None]]) -> None:
    folder = tmp_path_factory.mktemp("graded")
    rows = [{"reference": reference, "answer": answer} for reference, answer in pairs]
    graded = grade_file(write(folder / "a.jsonl", rows), grader="exact")
    found = [(row["reference"], row["extracted"], row["equal"]) for row in read(graded.to)]
    assert found == [
        (reference, answer, bool(answer and reference.strip() == answer.strip())) for reference, answer in pairs
    ]
    assert grade("5", "5").equal
