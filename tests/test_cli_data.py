"""The verbs of other people's files, as they are typed: what they write, what they say, and how they refuse."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from formats.bad_fields import GOOD
from typer.testing import CliRunner

from stepward import cli
from stepward.errors import StepwardError
from stepward.formats import FORMATS


def said(*words: object) -> str:
    """What a command that goes well says, its white space made single; held by the numbers and names in it."""
    shown = CliRunner().invoke(cli.app, [str(word) for word in words])
    assert shown.exit_code == 0, (shown.output, shown.exception)
    return " ".join(shown.output.split())


def refused(*words: object, names: tuple[object, ...]) -> StepwardError:
    """The error of a command that is refused, which names these values."""
    shown = CliRunner().invoke(cli.app, [str(word) for word in words])
    assert isinstance(shown.exception, StepwardError), (shown.output, shown.exception)
    assert holds(str(shown.exception), *names)
    return shown.exception


def holds(text: str, *values: object) -> bool:
    """Whether a text has them all, in this order."""
    for value in values:
        before, found, text = text.partition(str(value))
        assert found, f"{value!r} is not in: {before}"
    return True


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.jsonl"
    rows = [{**GOOD["scan"], "question": f"What is {number}?"} for number in range(10)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_convert_says_what_it_guessed_and_wrote(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert holds(said("convert", scan, out), scan, "scan", "guessed", "10", "10", out, "10", "stepward")
    assert {row["record"] for row in lines_of(out)} == {"LabelledSolution"}
    again = tmp_path / "again.jsonl"
    shown = said("convert", out, again, "--from", "stepward", "--to", "scan")
    assert holds(shown, out, "stepward", "10", "10", again, "10", "scan") and "guessed" not in shown
    assert lines_of(again) == [{**row, "scores": [1.0, 0.5, 0.0]} for row in lines_of(scan)]


def test_convert_takes_the_choices(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    refused("convert", scan, out, "--to", "rlhflow-prm", names=("0.5", "threshold"))
    said("convert", scan, out, "--to", "rlhflow-prm", "--threshold", 0.5)
    assert [turn["content"] for turn in lines_of(out)[0]["conversations"][1::2]] == ["+", "-", "-"]
    values = ("--neutral", "positive", "negative", "drop", "maybe")
    assert refused("convert", scan, out, "--neutral", "maybe", names=values).field == "--neutral"
    people = tmp_path / "people.jsonl"
    people.write_text(json.dumps({
        "question": {"problem": "Q?"}, "label": {"finish_reason": None, "steps": [
            {"completions": [{"text": "a", "rating": rating}], "human_completion": None, "chosen_completion": 0}
            for rating in (1, 0, None)
        ]},
    }) + "\n")  # fmt: skip
    for neutral, labels in (("positive", [1.0, 1.0]), ("negative", [1.0, 0.0])):
        said("convert", people, out, "--to", "scan", "--cut", "--neutral", neutral)
        assert lines_of(out)[0]["scores"] == labels
    pair = tmp_path / "pair.jsonl"
    pair.write_text(json.dumps(GOOD["hh-rlhf"]) + "\n")
    said("convert", pair, out, "--to", "trl-preference", "--no-chat")
    assert lines_of(out) == [{"prompt": "Sky?", "chosen": "Blue.", "rejected": "Green."}]
    said("convert", pair, out, "--to", "trl-preference", "--chat")
    assert lines_of(out)[0]["prompt"] == [{"role": "user", "content": "Sky?"}]


def test_convert_says_where_the_rest_lies(scan: Path, tmp_path: Path) -> None:
    with scan.open("a") as file:
        file.write("oops\n" + json.dumps({**GOOD["scan"], "scores": [2, 1, 1]}) + "\n")
    out = tmp_path / "out.parquet"
    rejected = tmp_path / "out.parquet.rejected.jsonl"
    assert holds(said("convert", scan, out), "2", "0", rejected)
    assert [(row["row"], row["field"]) for row in lines_of(rejected)] == [(11, ""), (12, "scores[0]")]
    out.unlink()
    error = refused("convert", scan, out, "--strict", names=(scan, "row 11"))
    assert (error.code, [one.row for one in error.faults]) == ("bad_rows", [11])
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["none.jsonl", "out.jsonl"], ("none.jsonl",)),
        (["IN", "out.csv"], ("out.csv", ".jsonl")),
        (["IN", "out.jsonl", "--to", "other"], ("'other'", "stepward, ")),
        (["IN", "out.jsonl", "--from", "other"], ("'other'", "stepward, ")),
        (["IN", "out.jsonl", "--to", "gsm8k"], ("gsm8k", "Problem", "LabelledSolution")),
        (["IN", "out.jsonl", "--to", "stepward-run"], ("stepward-run",)),
        (["IN", "out.parquet", "--to", "scan", "--from", "gsm8k"], ("out.parquet",)),
    ],
    ids=range(7),
)
def test_convert_refuses_what_cannot_be(scan: Path, tmp_path: Path, words: list[str], names: tuple[str, ...]) -> None:
    there = {"IN": str(scan)} | {name: str(tmp_path / name) for name in ("out.jsonl", "out.csv", "out.parquet")}
    refused("convert", *[there.get(word, word) for word in words], names=names)
    assert not (tmp_path / "out.jsonl").exists() and not (tmp_path / "out.parquet").exists()


def test_formats_lists_every_format() -> None:
    shown = CliRunner().invoke(cli.app, ["list", "formats"]).output.splitlines()
    assert [line.split()[0] for line in shown if not line.startswith(" ")] == list(FORMATS)
    assert [line.split()[0] for line in shown if line.endswith("(read only)")] == ["stepward-run"]


def test_stats_split_and_overlap_go_on_from_one_another(scan: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    assert str(figures) in said("stats", scan, "--json", figures, "--max-length", 20)
    assert json.loads(figures.read_bytes())["rows"] == 10
    parts = tmp_path / "parts"
    shown = said("split", scan, parts, "--parts", "train=0.8,test=0.2")
    assert holds(shown, scan, "10", "10", "0", "scan", parts)
    split = [{row["question"] for row in lines_of(parts / f"{name}.jsonl")} for name in ("train", "test")]
    assert [len(part) for part in split] == [8, 2] and not split[0] & split[1]
    matches, clean = tmp_path / "matches.jsonl", tmp_path / "clean.jsonl"
    shown = said("overlap", scan, parts / "test.jsonl", "--kinds", "exact", "--list", matches, "--remove", clean)
    assert holds(shown, "2 of 10", "2 of 10", matches, "8", clean)
    assert len(lines_of(matches)) == 2
    assert {row["question"] for row in lines_of(clean)} == split[0]


def test_the_program_itself_ends_with_one_message_and_code_1(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("oops\n")
    done = subprocess.run(
        [sys.executable, "-c", "from stepward.cli import main; main()", "convert", "in.jsonl", "out.jsonl"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert holds(done.stderr, "stepward: in.jsonl", "row 1", "[bad_rows]") and "Traceback" not in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_rows_that_split_sets_aside_lie_beside_the_parts(scan: Path, tmp_path: Path) -> None:
    scan.write_text(scan.read_text() + "oops\n")
    shown = said("split", scan, tmp_path / "parts", "--parts", "train=0.8,test=0.2")
    rejected = tmp_path / "parts.rejected.jsonl"
    assert holds(shown, "1", rejected)
    assert [(row["row"], row["text"]) for row in lines_of(rejected)] == [(11, "oops")]


def test_a_warning_is_said_without_the_line_of_code_that_gave_it(scan: Path) -> None:
    scan.write_text(scan.read_text() + "oops\n")
    done = subprocess.run(
        [sys.executable, "-m", "stepward", "stats", scan], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stderr.startswith(f"stepward: {scan}: ") and "row 11" in done.stderr
    assert "UserWarning" not in done.stderr and "warn(" not in done.stderr
