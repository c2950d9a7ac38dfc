"""Parts are cut by problem, the same in any order of the rows, by the rule, and with nothing lost."""

import random
import signal
import subprocess
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.curation.split.sizes import stratum_sizes
from stepward.curation.split.split import Split, split

BY = st.sampled_from([None, "correct", "n"])
PARTS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def _solutions(problems: int, each: int = 3) -> list[dict[str, Any]]:
    return [
        {"prompt": f"What is {n} times seven?", "completions": [f"try {k}"], "labels": [bool((n + k) % 3)], "n": n}
        for n in range(problems)
        for k in range(each)
    ]


def _parts(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {path.stem: _rows(path) for path in sorted(folder.glob("*.jsonl"))}


@given(
    st.randoms(use_true_random=False), st.integers(3, 30), st.integers(0, 3), st.sampled_from([None, "correct", "n"])
)
def test_no_problem_is_in_two_parts_and_the_rows_order_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random, problems: int, seed: int, by: str | None
) -> None:
    folder = tmp_path_factory.mktemp("split")
    rows = _solutions(problems)
    shuffled = chance.sample(rows, len(rows))
    sizes = {"train": 1, "test": 0.5}
    found = []
    for name, order in (("one", rows), ("other", shuffled)):
        (folder / f"{name}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, order)))
        made = split(folder / f"{name}.jsonl", folder / name, sizes, seed=seed, stratify=by)
        found.append(made)
        where = {(row["n"], part) for part, part_rows in _parts(folder / name).items() for row in part_rows}
        assert len(where) == len({n for n, _ in where}) == made.parts["train"].problems + made.parts["test"].problems
    assert found[0].parts == found[1].parts
    one, other = _parts(folder / "one"), _parts(folder / "other")
    for part in sizes:
        assert {row["n"] for row in one[part]} == {row["n"] for row in other[part]}
        assert len(one[part]) == 3 * found[0].parts[part].problems
        kept = {row["n"] for row in other[part]}
        assert other[part] == [row for row in shuffled if row["n"] in kept]


def test_the_parts_hold_every_row_as_it_stood_and_split_json_says_so(write: Any, tmp_path: Path) -> None:
    rows = _solutions(20)
    source = write(rows)
    made = split(source, tmp_path / "parts", PARTS, seed=3)
    found = _parts(tmp_path / "parts")
    assert {name: part.problems for name, part in made.parts.items()} == {"train": 16, "validation": 2, "test": 2}
    assert sorted(map(orjson.dumps, chain(*found.values()))) == sorted(map(orjson.dumps, rows))
    assert {name: part.rows for name, part in made.parts.items()} == {name: len(part) for name, part in found.items()}
    written = orjson.loads((tmp_path / "parts/split.json").read_bytes())
    assert written == orjson.loads(orjson.dumps(made.as_json()))
    assert (written["seed"], written["rows"], written["problems"], written["set_aside"]) == (3, 60, 20, 0)


def test_another_seed_deals_otherwise_and_the_same_one_the_same(write: Any, tmp_path: Path) -> None:
    source = write(_solutions(40))
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        split(source, tmp_path / name, PARTS, seed=seed)
    a, b, c = (_parts(tmp_path / name) for name in "abc")
    assert a == b != c


def test_duplicates_with_other_case_spacing_and_id_stay_together(write: Any, tmp_path: Path) -> None:
    rows = []
    for n in range(30):
        question = f"Find ${n}x$."
        for number, text in enumerate((question, question.upper(), f" find  {n} x ")):
            rows.append({"problem": text, "final_answer": "1", "unique_id": f"{n}/{number}"})
    made = split(write(rows), tmp_path / "parts", {"a": 15, "b": 15})
    assert made.problems == 30
    for part in _parts(tmp_path / "parts").values():
        assert set(Counter(row["unique_id"].split("/")[0] for row in part).values()) == {3}


def test_strata_are_kept_by_the_rule(write: Any, tmp_path: Path) -> None:
    levels = {"1": 13, "2": 24, "Level ?": 3}
    rows = [
        {"problem": f"{level} and {n}", "final_answer": "1", "level": level if level == "Level ?" else int(level)}
        for level, count in levels.items()
        for n in range(count)
    ]
    made = split(write(rows), tmp_path / "parts", {"train": 0.5, "test": 11}, seed=5, stratify="level")
    expected = stratum_sizes(dict(sorted(levels.items())), {"train": 20, "test": 11, "": 9}, 5)
    for name, part in (*made.parts.items(), ("", made.left_out)):
        assert part.strata == {level: given[name] for level, given in expected.items() if given[name]}
    assert (made.left_out.problems, made.left_out.rows) == (9, 9)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("correct", {"correct": 4, "incorrect": 2}),
        ("source", {"one.jsonl": 3, "two.jsonl": 3}),
        ("kind", {"(none)": 3, "x": 3}),
        ("n", {str(n): 1 for n in range(6)}),
    ],
)
def test_what_can_be_stratified_by(write: Any, tmp_path: Path, by: str, expected: dict[str, int]) -> None:
    (tmp_path / "in").mkdir()
    write(_solutions(3, 1), "in/one.jsonl")
    write([{**row, "kind": "x"} for row in _solutions(6, 1)[3:]], "in/two.jsonl")
    made = split(tmp_path / "in", tmp_path / "parts", {"all": 1.0}, stratify=by)
    assert made.parts["all"].strata == expected


def test_a_problem_counts_by_what_most_of_its_rows_say(write: Any, tmp_path: Path) -> None:
    rows = [{**row, "tag": tag} for row, tag in zip(_solutions(2, 4), "bbaxdcdc", strict=True)]
    made = split(write(rows), tmp_path / "parts", {"all": 2}, stratify="tag")
    assert made.parts["all"].strata == {"b": 1, "c": 1}


def test_a_field_with_a_name_of_its_own_is_found_through_the_record(write: Any, tmp_path: Path) -> None:
    rows = [{"problem": f"{n}?", "final_answer": "1", "type": "Algebra" if n % 2 else "Geometry"} for n in range(8)]
    made = split(write(rows), tmp_path / "parts", {"a": 4, "b": 4}, stratify="subject")
    assert made.parts["a"].strata == made.parts["b"].strata == {"Algebra": 2, "Geometry": 2}


def _cleaned(write: Any, tmp_path: Path) -> Split:
    words = "A long story of a farmer with many cows and two very old tractors who sells milk number {} on {}"
    rows = [{"question": words.format(n, n), "answer": "#### 1"} for n in range(4)]
    rows += [{"question": f"What is {n} + 1?", "answer": "#### 1"} for n in range(6)]
    benchmark = write([rows[0], {"question": "WHAT IS 3+1", "answer": "#### 4"}], "benchmark.jsonl")
    return split(write(rows), tmp_path / "parts", {"train": 0.6, "test": 0.4}, clean_of=[benchmark])


def test_a_benchmarks_problems_go_to_no_part(write: Any, tmp_path: Path) -> None:
    made = _cleaned(write, tmp_path)
    assert (made.removed.problems, made.removed.rows, made.problems) == (5, 5, 10)
    assert {name: part.problems for name, part in made.parts.items()} == {"train": 3, "test": 2}
    questions = {row["question"] for part in _parts(tmp_path / "parts").values() for row in part}
    assert questions == {f"What is {n} + 1?" for n in (0, 1, 2, 4, 5)}


def test_rows_without_a_question_are_refused_or_told_apart_by_their_text(write: Any, tmp_path: Path) -> None:
    rows = [{"input": f"{n} is odd. ки\n", "label": f"{n} is odd. +\n", "task": "T"} for n in (1, 3, 5, 5)]
    source = write(rows)
    with refused("missing", file=source, row=1, field="question", names=("--without-question whole",)):
        split(source, tmp_path / "parts", {"a": 2})
    made = split(source, tmp_path / "parts", {"a": 2, "b": 1}, without_question="whole")
    assert (made.unasked, made.problems) == (4, 3)
    assert sum(part.rows for part in made.parts.values()) == 4


def test_rows_that_can_not_be_read_are_told_and_counted(write: Any, tmp_path: Path) -> None:
    told: list[Any] = []
    source = write([*_solutions(4, 1), {"prompt": "x", "completions": ["a"], "labels": []}])
    made = split(source, tmp_path / "parts", {"a": 4}, on_fault=told.append)
    assert (made.rows, made.set_aside, [fault.row for fault in told]) == (4, 1, [5])


@pytest.mark.parametrize(
    ("parts", "more", "code", "field", "names"),
    [
        ({"a": 0.9, "b": 0.2}, {}, "bad_value", "--parts", ("1.1",)),
        ({"a": 11}, {}, "too_few", "--parts", ("10", "11")),
        ({"a": 0.99, "b": 0.01}, {}, "too_few", "--parts", ("'b'", "10")),
        ({"a": 5}, {"stratify": "colour"}, "unknown_name", "colour", ("rows.jsonl",)),
        ({"a": 5}, {"without_question": "drop"}, "bad_value", "--without-question", ("'drop'", "refuse", "whole")),
        ({"a": 5}, {"threshold": 0.0, "clean_of": ["rows.jsonl"]}, "bad_value", "--threshold", ()),
    ],
    ids=["shares", "too many", "empty part", "no such field", "no such choice", "threshold"],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    write: Any,
    tmp_path: Path,
    parts: dict[str, Any],
    more: dict[str, Any],
    code: str,
    field: str,
    names: tuple[str, ...],
) -> None:
    source = write(_solutions(10))
    with refused(code, field=field, names=names):
        split(source, tmp_path / "parts", parts, **more)
    assert not (tmp_path / "parts").exists()


def test_a_folder_that_holds_something_is_refused(write: Any, tmp_path: Path) -> None:
    source = write(_solutions(10))
    split(source, tmp_path / "parts", {"a": 5})
    before = {path.name: path.read_bytes() for path in (tmp_path / "parts").iterdir()}
    with refused("file_exists", file=tmp_path / "parts", names=("a.jsonl",)):
        split(source, tmp_path / "parts", {"a": 5}, seed=1)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "parts").iterdir()}
    with refused("file_exists", file=source):
        split(source, source, {"a": 5})
    (tmp_path / "empty").mkdir()
    assert split(source, tmp_path / "empty", {"a": 5}).parts["a"].problems == 5


KILLED = """
import os, signal, sys
from stepward.storage import files
from stepward.curation.split import split as splitting
place, at = sys.argv[3], int(sys.argv[4])
module = files if place == "_sync_folder" else splitting
real, calls = getattr(module, place), []
def counted(*words):
    calls.append(words)
    if len(calls) == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*words)
setattr(module, place, counted)
splitting.split(sys.argv[1], sys.argv[2], {"old": 5, "test": 3})
"""


@pytest.mark.parametrize(
    ("place", "at"),
    [("json_line", 1), ("json_line", 7), ("_sync_folder", 1), ("_sync_folder", 2), ("_sync_folder", 3)],
    ids=["first row", "some rows", "its note", "one part", "both parts"],
)
def test_a_killed_split_can_be_run_again_and_leaves_nothing_of_itself(
    write: Any, tmp_path: Path, place: str, at: int
) -> None:
    source, folder = write(_solutions(10)), tmp_path / "parts"
    killed = subprocess.run([sys.executable, "-c", KILLED, source, folder, place, str(at)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (folder / "split.json").exists() and any(folder.iterdir())
    made = split(source, folder, {"train": 5, "test": 3})
    assert sorted(path.name for path in folder.iterdir()) == ["split.json", "test.jsonl", "train.jsonl"]
    fresh = split(source, tmp_path / "fresh", {"train": 5, "test": 3})
    assert made.parts == fresh.parts and _parts(folder) == _parts(tmp_path / "fresh")
    with refused("file_exists", file=folder):
        split(source, folder, {"train": 5, "test": 3})


def test_a_users_files_are_not_taken_for_a_killed_splits(write: Any, tmp_path: Path) -> None:
    source, folder = write(_solutions(10)), tmp_path / "parts"
    folder.mkdir()
    (folder / "train.jsonl").write_text("kept")
    with refused("file_exists", file=folder, names=("train.jsonl",)):
        split(source, folder, {"train": 5})
    (tmp_path / "kept.jsonl").write_text("kept")
    (folder / ".stepward-split").write_text("../kept\n/\n.x\n\n")
    split(source, folder, {"train": 5})
    assert (tmp_path / "kept.jsonl").read_text() == "kept"


@pytest.mark.data
def test_math_train_is_cut_whole(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "math/train_problems_and_answers.json"
    made = split(source, tmp_path / "parts", PARTS, on_fault=lambda _: None)
    # Four problems stand twice, typed otherwise.
    assert made.problems == made.rows - 4
    assert sum(part.rows for part in made.parts.values()) == made.rows
    assert made.left_out.rows == made.removed.rows == 0
