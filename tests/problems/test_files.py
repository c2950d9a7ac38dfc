"""Problems from files of every known shape, and every way in which a file can be bad."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raising import refused

from stepward.errors import StepwardError
from stepward.problems.files import read_problems

OURS = {"id": "p1", "question": "What is 3+4?", "reference": "7", "level": 2}
GSM8K = {"question": "What is 3+4?", "answer": "3+4 = <<3+4=7>>7\n#### 7"}


def write(folder: Path, *rows: dict[str, Any] | str | bytes, name: str = "sums.jsonl") -> Path:
    lines = [
        row if isinstance(row, bytes) else row.encode() if isinstance(row, str) else json.dumps(row).encode()
        for row in rows
    ]
    path = folder / name
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def fails(path: Path, code: str, **at: Any) -> StepwardError:
    """The error that reading the file raises, once it holds what is asked of it."""
    with refused(code, file=path, **{**at, "names": (path, *at.get("names", ()))}) as raised:
        read_problems(path)
    error: StepwardError = raised.value
    return error


@pytest.mark.parametrize(
    ("row", "reference", "level"),
    [
        (OURS, "7", 2),
        (GSM8K, "7", None),
        (
            {"problem": "p?", "solution": r"so \boxed{\frac{1}{2}}", "level": "Level 3", "type": "Algebra"},
            r"\frac{1}{2}",
            3,
        ),
        ({"problem": "p?", "final_answer": "x", "level": "Level ?"}, "x", None),
        # MATH-500 has all three: the bare answer is preferred to the worked solution.
        ({"problem": "p?", "solution": "no box", "answer": "12", "level": 5}, "12", 5),
        ({"question": "q?", "reference": " 5 ", "answer": "no mark", "level": None}, "5", None),
        ({"question": "q?", "reference": "5", "level": "4"}, "5", 4),
    ],
)
def test_known_fields_are_found(tmp_path: Path, row: dict[str, Any], reference: str, level: int | None) -> None:
    (problem,) = read_problems(write(tmp_path, row))
    assert (problem.reference, problem.level, problem.source) == (reference, level, "sums.jsonl")
    assert problem.question == row.get("question", row.get("problem"))


def test_every_kind_of_file_gives_the_same_problems(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n}+1?", "reference": str(n + 1), "level": n % 3} for n in range(5)]
    lines = "\n".join(map(json.dumps, rows)).encode()
    array = json.dumps(rows, indent=1).encode()
    files = {
        "sums.jsonl": lines,
        "sums.jsonl.gz": gzip.compress(lines),
        "sums.json": array,
        "sums.json.gz": gzip.compress(array),
        "lines/sums.json": lines,
    }
    (tmp_path / "lines").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "sums.parquet")
    read = [read_problems(tmp_path / name) for name in [*files, "sums.parquet"]]
    facts = [[(p.id, p.question, p.reference, p.level) for p in problems] for problems in read]
    assert facts[0] == [
        (p.id, row["question"], row["reference"], row["level"]) for p, row in zip(read[0], rows, strict=True)
    ]
    assert all(other == facts[0] for other in facts[1:])


def test_ids_do_not_change_when_rows_move(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n}+1?", "reference": str(n + 1)} for n in range(4)]
    before = {p.question: p.id for p in read_problems(write(tmp_path, *rows))}
    after = {
        p.question: p.id for p in read_problems(write(tmp_path, {"question": "new?", "reference": "1"}, *rows[::-1]))
    }
    assert before.items() <= after.items()
    assert len(set(after.values())) == 5


def test_own_ids_are_kept(tmp_path: Path) -> None:
    rows = [OURS, {**OURS, "id": 7, "question": "another?"}, {**OURS, "id": None, "question": "a third?"}]
    ids = [problem.id for problem in read_problems(write(tmp_path, *rows))]
    assert ids[:2] == ["p1", "7"]
    assert ids[2].startswith("sums-")


@pytest.mark.parametrize(
    ("worked", "reference"), [("so\n#### 7", "7"), (r"so \boxed{7}", "7"), ("The answer is 7.", "The answer is 7.")]
)
def test_named_fields(tmp_path: Path, worked: str, reference: str) -> None:
    path = write(tmp_path, {"query": "q?", "response": worked, "answer": "no"})
    (problem,) = read_problems(path, question="query", reference="response")
    assert (problem.question, problem.reference) == ("q?", reference)


def test_one_named_field_leaves_the_other_to_be_found(tmp_path: Path) -> None:
    path = write(tmp_path, {"question": "q?", "answer": "12"})
    fails(path, "missing", row=1, field="answer")
    assert [p.reference for p in read_problems(path, reference="answer")] == ["12"]
    assert [
        p.question for p in read_problems(write(tmp_path, {"query": "q?", "reference": "1"}), question="query")
    ] == ["q?"]


def test_unknown_fields_are_listed_with_the_known_and_the_options(tmp_path: Path) -> None:
    path = write(tmp_path, {"prompt": "q?", "gold": "1"})
    known = ("prompt, gold", "question, problem", "problems.question", "problems.reference")
    fails(path, "unknown_name", row=1, names=known)
    with refused("missing", file=path, row=1, field="a", names=("prompt, gold",)):
        read_problems(path, question="a", reference="b")


@pytest.mark.parametrize(
    ("row", "code", "field", "names"),
    [
        ({"question": "q?"}, "missing", "reference", ("question",)),
        ({"reference": "5"}, "missing", "question", ("reference",)),
        ({"question": "", "reference": "5"}, "empty", "question", ()),
        ({"question": " \n", "reference": "5"}, "empty", "question", ()),
        ({"question": ["q?"], "reference": "5"}, "wrong_type", "question", ("a list",)),
        ({"question": "q?", "reference": ""}, "empty", "reference", ()),
        ({"question": "q?", "reference": None}, "wrong_type", "reference", ("null",)),
        ({"question": "q?", "reference": 5}, "wrong_type", "reference", ("a number",)),
        ({"question": "q?", "reference": True}, "wrong_type", "reference", ("true or false",)),
        ({"question": "q?", "reference": "5", "level": "hard"}, "wrong_type", "level", ("'hard'",)),
        ({"question": "q?", "reference": "5", "level": True}, "wrong_type", "level", (True,)),
        ({"question": "q?", "reference": "5", "level": 1.5}, "wrong_type", "level", (1.5,)),
        ({"question": "q?", "reference": "5", "id": ""}, "wrong_type", "id", ("''",)),
        ({"question": "q?", "reference": "5", "id": [1]}, "wrong_type", "id", ([1],)),
        ({"question": "q?", "reference": "5", "id": "p1"}, "duplicate", "id", ("'p1'", "row 1")),
        ({"question": "What is 3+4?", "reference": "7"}, "duplicate", "question", ("row 1",)),
        ("{oops", "unreadable", "", ("JSON",)),
        ('{"question": "q?", "reference": NaN}', "not_finite", "reference", ("nan",)),
        ('{"question": "q?", "question": "r?", "reference": "5"}', "duplicate", "question", ()),
        ('{"question": "q\\u0000", "reference": "5"}', "bad_value", "question", ("NUL",)),
        (b'{"question": "\xc3", "reference": "5"}', "unreadable", "", ("UTF-8", "0xc3")),
    ],
)
def test_a_bad_row_is_named(
    tmp_path: Path, row: dict[str, Any] | str | bytes, code: str, field: str, names: tuple[object, ...]
) -> None:
    path = write(tmp_path, OURS, row, {**OURS, "id": "p3", "question": "third?"})
    error = fails(path, code, row=2, field=field, names=names)
    assert error.code == "bad_rows" and len(error.faults) == 1


@pytest.mark.parametrize(
    ("good", "row", "field", "mark"),
    [
        (GSM8K, {"question": "q?", "answer": "it is 7"}, "answer", "####"),
        (GSM8K, {"question": "q?", "answer": "####  "}, "answer", "####"),
        ({"problem": "p?", "solution": r"\boxed{1}"}, {"problem": "q?", "solution": r"\boxed{1"}, "solution", "boxed"),
    ],
)
def test_a_problem_without_a_reference_answer_is_refused(
    tmp_path: Path, good: dict[str, Any], row: dict[str, Any], field: str, mark: str
) -> None:
    fails(write(tmp_path, good, row), "missing", row=2, field=field, names=(mark, f"reference={field}"))


def test_bad_rows_of_every_cause_are_named_together(tmp_path: Path) -> None:
    worst = {**OURS, "question": 1, "reference": 2}
    path = write(tmp_path, {"question": "q?"}, "oops", OURS, {**OURS, "id": "p4"}, worst)
    error = fails(path, "bad_rows")
    shown = [line.split(",")[0].strip() for line in str(error).splitlines()[1:-1]]
    assert shown == ["row 1", "row 2", "row 4", "row 5", "row 5"]
    assert sorted((fault.row, fault.field, fault.code) for fault in error.faults) == [
        (1, "reference", "missing"), (2, "", "unreadable"), (4, "question", "duplicate"),
        (5, "question", "wrong_type"), (5, "reference", "wrong_type"),
    ]  # fmt: skip


def test_an_unusable_file_is_named(tmp_path: Path) -> None:
    fails(tmp_path / "none.jsonl", "file_not_found")
    fails(write(tmp_path), "empty")
    fails(write(tmp_path, OURS, name="sums.csv"), "unknown_name", names=(".jsonl",))
    fails(write(tmp_path, "oops"), "unreadable", row=1)
    fails(write(tmp_path, OURS, name="sums.parquet"), "unreadable", row=1)
    pq.write_table(pa.table({"question": pa.array([], pa.string())}), tmp_path / "sums.parquet")
    fails(tmp_path / "sums.parquet", "empty")


def test_a_bad_parquet_row_is_named(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        OURS,
        {"question": "q?", "reference": None, "level": None},
        {**OURS, "question": "a\0b"},
    ]
    pq.write_table(
        pa.Table.from_pylist([{**row, "weight": float("nan") if row is OURS else 1.0} for row in rows]),
        tmp_path / "sums.parquet",
    )
    faults = fails(tmp_path / "sums.parquet", "bad_rows").faults
    assert sorted((fault.row, fault.field, fault.code) for fault in faults) == [
        (1, "weight", "not_finite"),
        (2, "reference", "wrong_type"),
        (3, "question", "bad_value"),
    ]


def test_gsm8k_is_read_whole(shared_data: Path) -> None:
    problems = read_problems(shared_data / "gsm8k" / "train.jsonl")
    assert len({problem.id for problem in problems}) == len(problems) == 7_473
    # An independent reading of the references.
    lines = (shared_data / "gsm8k" / "train.jsonl").read_text().split("\n")[:-1]
    assert [p.reference for p in problems] == [json.loads(line)["answer"].split("#### ")[1] for line in lines]


def test_math_without_its_two_unanswered_rows(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "math" / "train_problems_and_answers.json"
    error = fails(path, "bad_rows", row=2301, field="final_answer")
    assert [fault.code for fault in error.faults] == ["empty", "empty"]
    rows = [row for row in json.loads(path.read_text()) if row["final_answer"]]
    assert [p.reference for p in read_problems(write(tmp_path, *rows))] == [row["final_answer"].strip() for row in rows]


def test_a_reference_that_can_not_be_graded_against_is_an_error_at_load(tmp_path: Path) -> None:
    path = write(tmp_path, OURS, {"question": "What is a half?", "reference": r"\frac{1}{"})
    fails(path, "bad_value", row=2, field="reference")
    # Other graders take what is no mathematics.
    assert len(read_problems(path, fault=lambda reference: None)) == 2
