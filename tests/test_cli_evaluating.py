"""`stepward evaluate scores` and `stepward compare`, as they are typed."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepward.cli import evaluating as verbs  # noqa: F401  (adds its verbs)
from stepward.cli import program as cli

Run = Callable[..., tuple[int, str, str]]

FIELDS = ["method", "voting", "aggregation", "n", "mean", "std", "low", "high", "seeds", "problems"]
DOCS = Path(__file__).parents[1] / "docs" / "external-scores.md"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line in this process and in a folder of its own: its code, what it prints, its errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def stepward(*words: object) -> tuple[int, str, str]:
        code = cli._run_command(lambda: cli.app(args=[str(word) for word in words]))
        said = capsys.readouterr()
        return code, said.out, said.err

    return stepward


def rows_of(path: Path, problems: int = 6, shift: float = 0.0, **more: Any) -> Path:
    """Four candidates a problem, of which 1 is right; the best score is 0's or 1's, and a shift lowers 1's."""
    with path.open("w") as file:
        for problem in range(problems):
            for one in range(4):
                score = (0.9 if one == problem % 2 else 0.2 + one / 10) * (1 - shift * (one == 1))
                answer = "7" if one == 1 else str(one)
                row = {"problem_id": problem, "solution_id": f"{problem}/{one}", "answer": answer}
                file.write(json.dumps(row | {"reference": "7", "step_scores": [0.5, score]} | more) + "\n")
    return path


def figures(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], float]:
    return {(row["method"], row["voting"], row["aggregation"], row["n"]): row["mean"] for row in rows}


def test_the_example_of_the_docs(run: Run, tmp_path: Path) -> None:
    text = DOCS.read_text()
    (rows,) = re.findall(r"```jsonl\n(.*?)```", text, re.DOTALL)
    command = re.findall(r"```sh\nstepward (evaluate scores .*?)\n```", text)[0]
    (tmp_path / "scores.jsonl").write_text(rows)
    code, out, _ = run(*command.split())
    assert code == 0
    found = figures(json.loads((tmp_path / "summary.json").read_text()))
    assert (found["score", "best", "last", 5], found["score", "weighted", "last", 5]) == (1, 1)
    assert found["majority", None, None, 5] == 0
    (tmp_path / "scores.jsonl").write_text(rows.replace('"reference": "9"', '"reference": "7"'))
    assert run(*command.split())[0] == 0
    found = figures(json.loads((tmp_path / "summary.json").read_text()))
    assert (found["majority", None, None, 5], found["score", "best", "last", 5]) == (0.5, 0)
    assert "1 problem, 5 candidates (5 each), 0 without" in out


def test_the_rows_are_those_of_a_runs_summary(run: Run, tmp_path: Path) -> None:
    rows_of(tmp_path / "scores.jsonl")
    code, out, _ = run("evaluate", "scores", "scores.jsonl", "--json", "out.json", "--csv", "out.csv")
    rows = json.loads((tmp_path / "out.json").read_text())
    assert code == 0 and all(list(row) == FIELDS for row in rows)
    keys = {(row["method"], row["voting"], row["aggregation"]) for row in rows}
    names = ("min", "prod", "last", "mean", "logodds")
    ways = [
        ("score", voting, name) for voting in ("best", "weighted", "weighted_mean", "weighted_max") for name in names
    ]
    assert keys == {("majority", None, None), ("pass", None, None), *ways}
    assert {row["n"] for row in rows} == {1, 2, 4}
    assert figures(rows)["score", "best", "last", 4] == 0.5
    with (tmp_path / "out.csv").open() as file:
        told = list(csv.DictReader(file))
    assert [float(row["mean"]) for row in told] == [row["mean"] for row in rows]
    assert told[0]["voting"] == "" and list(told[0]) == FIELDS
    assert max(map(len, out.split("6 problems, 24")[0].splitlines())) <= 80
    assert "95% interval at N = 4" in out


def test_a_models_name_can_be_no_formula_of_a_spreadsheet(run: Run, tmp_path: Path) -> None:
    rows_of(tmp_path / "scores.jsonl", model="=1+1")
    assert run("evaluate", "scores", "scores.jsonl", "--csv", "out.csv")[0] == 0
    with (tmp_path / "out.csv").open() as file:
        assert {row["method"] for row in csv.DictReader(file)} == {"majority", "pass", "'=1+1"}


def test_options_reach_the_measuring(run: Run, tmp_path: Path) -> None:
    rows_of(tmp_path / "a.jsonl", step_scores=[[0.1, 0.6, 0.3]])
    words = ("evaluate", "scores", "a.jsonl", "--json", "out.json", "--ns", "1,3,4", "--aggregation", "last,min")
    more = ("--aggregation", "mean", "--neutral", "right", "--ties", "first", "--subsets", "7", "--grader", "exact")
    code, out, _ = run(*words, *more)
    rows = json.loads((tmp_path / "out.json").read_text())
    assert code == 0 and "graded by exact" in out
    # Of four different answers a wrong one stands first; shared, the right one has a fourth of the votes.
    assert figures(rows)["majority", None, None, 4] == 0
    assert run(*words, *more[:4])[0] == 0
    assert figures(json.loads((tmp_path / "out.json").read_text()))["majority", None, None, 4] == 0.25
    assert {row["n"] for row in rows} == {1, 3, 4} and {row["aggregation"] for row in rows} == {
        None,
        "last",
        "min",
        "mean",
    }


def test_seeds_and_models_have_room_in_eighty_columns(run: Run, tmp_path: Path) -> None:
    for seed in range(3):
        rows_of(tmp_path / f"{seed}.jsonl", shift=0.3 * seed, model=f"my-reward-model-of-a-long-name/seed-{seed}")
    code, out, _ = run("evaluate", "scores", "0.jsonl", "1.jsonl", "2.jsonl", "--aggregation", "last")
    table = out.split("6 problems, 24")[0]
    assert code == 0 and max(map(len, table.splitlines())) <= 80
    assert re.search(r"best-of-N +last step +25.0 ± 0.0 +\d+\.\d ± \d+\.\d", table)


@pytest.mark.parametrize(
    ("words", "code", "names"),
    [
        (["none.jsonl"], "file_not_found", ["none.jsonl"]),
        (["a.jsonl", "--ns", "1,x"], "wrong_type", ["--ns", "1,x"]),
        (["a.jsonl", "--ns", "8"], "too_few", ["--ns", "'0'", "4", "8"]),
        (["a.jsonl", "--aggregation", "max"], "unknown_name", ["--aggregation", "max", "min, prod"]),
        (["a.jsonl", "--grader", "no"], "unknown_name", ["grader", "'no'", "math"]),
        (["a.jsonl", "--json", "a.jsonl"], "conflict", ["a.jsonl"]),
        (["a.jsonl", "--json", "b.json", "--csv", "./b.json"], "conflict", ["b.json", "--json", "--csv"]),
        (["a.jsonl", "bad.jsonl"], "bad_rows", ["bad.jsonl", "1 row"]),
        (["a.txt"], "", ["a.txt", ".jsonl"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_message(run: Run, tmp_path: Path, words: list[str], code: str, names: list[str]) -> None:
    rows_of(tmp_path / "a.jsonl")
    (tmp_path / "a.txt").write_text("{}")
    (tmp_path / "bad.jsonl").write_text('{"problem_id": 0, "solution_id": 1, "answer": null, "step_scores": [NaN]}\n')
    ended, _, err = run("evaluate", "scores", *words)
    assert ended == 1 and "Traceback" not in err
    assert_said(err, code, *names)


def test_what_compare_prints(run: Run, tmp_path: Path) -> None:
    for name, shift, problems in (("a", 0.0, 6), ("b", 0.8, 6), ("c", 0.0, 8)):
        rows_of(tmp_path / f"{name}.jsonl", problems=problems, shift=shift)
        assert run("evaluate", "scores", f"{name}.jsonl", "--to", name)[0] == 0
    code, out, _ = run("compare", "a", "b", "c", "--json", "out.json")
    # Tables fit into the terminal; a sentence stays on one line.
    assert code == 0 and max(len(line) for line in out.splitlines() if not line.endswith(".")) <= 80
    assert "a \N{MINUS SIGN} b, points at N = 4 (paired, 6 problems)" in out
    (unpaired,) = {line for line in out.splitlines() if line.startswith("Not paired")}
    assert "6 and 8, 6 of them" in unpaired
    told = json.loads((tmp_path / "out.json").read_text())
    (pair, *_), by_method = told["pairs"], {}
    for each in pair["differences"]:
        by_method[each["first"]["method"]] = (each["mean"], each["paired"])
    assert by_method == {"majority": (0.0, True), "pass": (0.0, True), "score": (0.5, True)}
    code, out, _ = run("compare", "a")
    assert code == 0 and "score \N{MINUS SIGN} majority voting" in out
    code, out, _ = run("compare", "a", "b", "--methods", "score", "--aggregation", "mean", "--voting", "weighted")
    assert code == 0 and "weighted, mean" in out and "majority voting" not in out.split("points at")[1]


def test_compare_says_what_is_amiss(run: Run, tmp_path: Path) -> None:
    rows_of(tmp_path / "a.jsonl")
    assert run("evaluate", "scores", "a.jsonl", "--to", "a")[0] == 0
    names: list[str]
    for words, code, names in (
        (["a", "nothing"], "file_not_found", ["nothing"]),
        (["a", "a"], "duplicate", ["a: "]),
        (["a", "--methods", "er"], "", ["--methods", "er", "majority, pass, score"]),
        (["a", "a.jsonl", "--json", "a.jsonl"], "conflict", ["a.jsonl"]),
        (["a", "--n", "3"], "", ["--n", "3", "1, 2, 4"]),
        (["a", "--voting", "most"], "unknown_name", ["score", "most last", "best"]),
    ):
        ended, _, err = run("compare", *words)
        assert ended == 1
        assert_said(err, code, *names)


def assert_said(err: str, code: str, *names: str) -> None:
    """The one message of an error: its code, where it is told, and what it names."""
    said = " ".join(err.split())
    assert said.startswith("stepward: ") and re.search(rf"\[{code or '[a-z_]+'}\]$", said), said
    assert not [name for name in names if name not in said], said
