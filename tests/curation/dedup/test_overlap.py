"""Problems of one source that are in others, or twice in itself: counted, listed, removed."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from raising import refused

from stepward.curation.dedup import two_pass as passes
from stepward.curation.dedup.overlap import Overlap, overlap, write_clean, write_matches

LONG = "A baker fills {} trays with nine rolls each and sells all but {} of them before noon. How many has she sold?"
OTHER = "How many whole numbers below one hundred leave the same remainder when divided by six and by ten?"


def _problem(question: str, answer: str = "1") -> dict[str, Any]:
    return {"question": question, "answer": f"So.\n#### {answer}"}


def _solution(question: str, *steps: str) -> dict[str, Any]:
    return {"prompt": question, "completions": list(steps), "labels": [True] * len(steps)}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def _kinds(found: Overlap) -> list[tuple[str, int, int]]:
    return [(match.kind, match.asked.row, match.other.row) for match in found.matches]


def test_a_source_against_two_others(write: Any, tmp_path: Path) -> None:
    source = write(
        [
            _problem(OTHER),
            _problem(LONG.format(7, 5)),
            _problem("What is 3-4?"),
            _problem("Find  $x^2$!"),
            _problem(OTHER),
        ]
    )
    first = write([_problem("what is 3+4?"), _problem(OTHER.upper())], "first.jsonl")
    second = write([_problem(LONG.format(8, 6)), _problem("Find x²!"), _problem("Find x^2 !")], "second.jsonl")
    found = overlap(source, [first, second])
    assert [(match.kind, match.within, match.asked.row, match.other.row) for match in found.matches] == [
        ("exact", str(first), 1, 2),
        ("minhash", str(second), 2, 1),
        ("exact", str(second), 4, 2),
    ]
    assert found.matches[1].similarity >= 0.8
    assert (found.rows, found.problems, found.matched, list(found.removed)) == (5, 4, 3, [1, 1, 0, 1, 1])
    assert found.counts() == {
        str(first): {"exact": 1, "ngram": 0, "minhash": 0},
        str(second): {"exact": 1, "ngram": 0, "minhash": 1},
    }
    assert orjson.loads(orjson.dumps(found.as_json()))["matched_rows"] == 4

    assert write_clean(found, tmp_path / "clean.jsonl") == 1
    assert _rows(tmp_path / "clean.jsonl") == [_problem("What is 3-4?")]
    write_matches(found, tmp_path / "list.jsonl")
    listed = _rows(tmp_path / "list.jsonl")
    assert [row["asked"]["text"] for row in listed] == [OTHER, LONG.format(7, 5), "Find  $x^2$!"]
    assert listed[0]["other"] == {
        "id": found.matches[0].other.id, "file": str(first), "row": 2, "text": OTHER.upper(),
    }  # fmt: skip


def test_what_is_removed_leaves_nothing_to_find(write: Any, tmp_path: Path) -> None:
    source = write([_problem(LONG.format(n, m)) for n in range(3, 7) for m in (1, 2)] + [_problem(OTHER)])
    benchmark = write([_problem(LONG.format(90, 80))], "benchmark.jsonl")
    write_clean(overlap(source, [benchmark]), tmp_path / "clean.jsonl")
    assert overlap(tmp_path / "clean.jsonl", [benchmark]).matches == ()
    assert _rows(tmp_path / "clean.jsonl") == [_problem(OTHER)]


def test_within_itself_the_first_of_like_problems_stays(write: Any, tmp_path: Path) -> None:
    source = write([_problem(OTHER), _problem("Two?"), _problem(OTHER), _problem(LONG.format(1, 2)), _problem("two")])
    found = overlap(source)
    assert _kinds(found) == [("exact", 3, 1), ("exact", 5, 2)]
    assert found.counts() == {str(source): {"exact": 2, "ngram": 0, "minhash": 0}}
    assert write_clean(found, tmp_path / "clean.jsonl") == 3
    assert _rows(tmp_path / "clean.jsonl") == [_rows(source)[place] for place in (0, 1, 3)]


def test_solutions_of_one_problem_are_no_repeats_of_it(write: Any) -> None:
    rows = [_solution(OTHER, "a"), _solution(OTHER, "b"), _solution(OTHER.lower(), "c"), _solution(OTHER.lower(), "d")]
    found = overlap(write(rows))
    assert _kinds(found) == [("exact", 3, 1)]
    assert (found.problems, list(found.removed)) == (2, [0, 0, 1, 1])


def test_rows_without_a_question_match_nothing_and_are_counted(write: Any, tmp_path: Path) -> None:
    tagged = [{"input": "5 is odd. ки\n", "label": "5 is odd. +\n", "task": "T"}] * 2
    source = write(tagged, "tagged.jsonl")
    found = overlap(source, [write([_problem(OTHER)], "other.jsonl")])
    assert (found.unasked, found.problems, found.matches, list(found.removed)) == (2, 0, (), [0, 0])
    with refused("missing", file=source, row=1, field="question"):
        overlap(source, [source])


def test_records_that_ask_nothing_are_refused(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write([_problem(OTHER)])
    monkeypatch.setattr(passes, "Problem", int)
    with refused("mismatch", file=source, row=1, names=("Problem",)):
        overlap(source)


def test_a_clean_file_is_refused_where_it_makes_no_sense(write: Any, tmp_path: Path) -> None:
    source = write([_problem(OTHER)])
    found = overlap(source, [source])
    with refused("bad_value", file=tmp_path / "clean.parquet", names=(".jsonl",)):
        write_clean(found, tmp_path / "clean.parquet")
    with refused("empty", file=source, names=(tmp_path / "clean.jsonl",)):
        write_clean(found, tmp_path / "clean.jsonl")
    assert not (tmp_path / "clean.jsonl").exists()


@pytest.mark.parametrize("rows", [1, 3])
def test_a_source_that_changed_since_is_refused(write: Any, tmp_path: Path, rows: int) -> None:
    found = overlap(write([_problem(OTHER), _problem("Two?")]), [write([_problem("Two?")], "other.jsonl")])
    write([_problem(f"{number}?") for number in range(rows)])
    with refused("changed", names=(2,)):
        write_clean(found, tmp_path / "clean.jsonl")
    assert not (tmp_path / "clean.jsonl").exists()


def test_rows_are_written_as_they_stood(write: Any, tmp_path: Path) -> None:
    odd = {**_problem("One?"), "z": [1.5, None, {"ключ": "é"}], "a": True}
    source = write([odd, _problem(OTHER)])
    # A whole number that no 64 bits hold is kept to its last digit.
    big = source.read_bytes().replace(b"1.5", b"123456789012345678901234567890")
    source.write_bytes(big)
    write_clean(overlap(source, [write([_problem(OTHER)], "other.jsonl")]), tmp_path / "clean.jsonl")
    assert (tmp_path / "clean.jsonl").read_bytes().replace(b" ", b"") == big.splitlines(keepends=True)[0].replace(
        b" ", b""
    )


def test_parquet_rows_become_json_lines_of_the_same_fields(tmp_path: Path, write: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [_problem("One?"), _problem(OTHER)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    found = overlap(tmp_path / "rows.parquet", [write([_problem(OTHER)], "other.jsonl")])
    write_clean(found, tmp_path / "clean.jsonl")
    assert _rows(tmp_path / "clean.jsonl") == rows[:1]


@pytest.mark.slow
@pytest.mark.data
def test_gsm8k_and_math_share_nothing_and_repeat_little(shared_data: Path) -> None:
    gsm8k, math = shared_data / "gsm8k/train.jsonl", shared_data / "math/train_problems_and_answers.json"
    found = overlap(gsm8k, kinds=["exact", "ngram"])
    assert found.counts()[str(gsm8k)] == {"exact": 0, "ngram": 39, "minhash": 0}
    found = overlap(math, kinds=["exact"], on_fault=lambda _: None)
    assert found.counts()[str(math)]["exact"] == 4
    found = overlap(gsm8k, [gsm8k], kinds=["exact"])
    assert found.matched == found.rows == 7473
