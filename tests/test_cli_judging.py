"""The verbs first-error, pairs and calibration, from files to tables and JSON."""

import json
import re
from pathlib import Path

import pytest
from raising import refused

from stepward.cli import judging  # noqa: F401  (adds its verbs)
from stepward.cli import program as cli


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def ask(capsys, monkeypatch):
    """Runs a command on a terminal of 80 columns; gives what it said, all of it."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> str:
        assert cli._run_command(lambda: cli.app(args=["evaluate", *map(str, words)])) == 0
        said = capsys.readouterr()
        return said.out + said.err

    return run


def wrong(*words: object) -> None:
    """Runs a command that raises."""
    cli.app(args=["evaluate", *map(str, words)])


def numbers(said: str) -> list[str]:
    """The numbers of a text, in order, without thousands' commas; none of names, such as gsm8k and F1."""
    return re.findall(r"(?<![\w./-])-?\d+(?:\.\d+)?(?!\w)", re.sub(r"(\d),(\d)", r"\1\2", said))


def line(said: str, *held: object) -> str:
    """The first line that holds all of these values."""
    return next(one for one in said.splitlines() if all(str(value) in one for value in held))


def row(number, label, part="gsm8k"):
    return {
        "id": f"{part}-{number}", "generator": "g", "problem": "p", "steps": ["a", "b", "c"],
        "final_answer_correct": label != 0, "label": label,
    }  # fmt: skip


@pytest.fixture
def benchmark(tmp_path) -> Path:
    rows = [row(n, label, part) for part in ("gsm8k", "math") for n, label in enumerate((0, 1, -1, -1))]
    return write(tmp_path / "processbench.jsonl", rows)


@pytest.fixture
def predictions(tmp_path) -> Path:
    scores = [[0.2, 0.9, 0.9], [0.9, 0.3, 0.1], [0.9] * 3, [0.6] * 3]
    rows = [{"id": f"{part}-{n}", "step_scores": one} for part in ("math", "gsm8k") for n, one in enumerate(scores)]
    return write(tmp_path / "predictions.jsonl", rows)


def test_processbench_from_files_to_figures(ask, benchmark, predictions, tmp_path):
    said = ask("first-error", benchmark, "--predictions", predictions, "--json", tmp_path / "out.json")
    assert numbers(line(said, "processbench", "gsm8k")) == ["8", "0.45", "4"]
    assert "macro" in said and "weighted" in said
    assert numbers(line(said, "lowest score")) == ["50.0", "4", "0.0", "50.0"]
    assert max(map(len, said.splitlines()[:20])) <= 80
    figures = json.loads((tmp_path / "out.json").read_text())
    assert (figures["benchmark"], figures["rows"], figures["f1"], figures["macro_f1"]) == ("processbench", 8, 1.0, 1.0)
    assert (figures["threshold"], figures["threshold_from"]) == (pytest.approx(0.45), "gsm8k")
    assert [part["part"] for part in figures["parts"]] == ["gsm8k", "math"]
    assert figures["wrong_process"]["all"]["rows"] == 2


def test_thresholds_given_stored_and_chosen_on_other_rows(ask, benchmark, predictions, tmp_path):
    out, again = tmp_path / "out.json", tmp_path / "again.json"
    said = ask("first-error", benchmark, "--predictions", predictions, "--threshold", "0.7", "--json", out)
    assert line(said, "processbench", 0.7)
    assert json.loads(out.read_text())["accuracy_without_error"] == 0.5
    said = ask("first-error", benchmark, "--predictions", predictions, "--threshold-from", out, "--json", again)
    assert json.loads(again.read_text())["threshold"] == 0.7
    math = write(tmp_path / "math.jsonl", [row(n, label, "math") for n, label in enumerate((0, 1, -1, -1))])
    gsm8k = write(tmp_path / "gsm8k.jsonl", [row(n, label) for n, label in enumerate((0, 1, -1, -1))])
    ask("first-error", math, "--predictions", predictions, "--threshold-from", gsm8k, "--json", again)
    figures = json.loads(again.read_text())
    assert (figures["rows"], figures["threshold_rows"], figures["threshold_from"]) == (4, 4, str(gsm8k))
    assert figures["threshold"] == pytest.approx(0.45)
    said = ask("first-error", benchmark, "--predictions", predictions, "--threshold-from", benchmark)
    assert numbers(line(said, str(benchmark))) == ["8", "0.45", "8"]
    with refused("unknown_name", file=predictions, row=5, field="id", names=("gsm8k-0",)):
        wrong("first-error", math, "--predictions", predictions)


def test_two_models_beside_one_another(ask, benchmark, predictions, tmp_path):
    other = write(
        tmp_path / "other.jsonl", [{**json.loads(line), "step_scores": [0.9] * 3} for line in predictions.open()]
    )
    said = ask("first-error", benchmark, "--predictions", predictions, "--against", other, "--threshold", 0.45,
               "--json", tmp_path / "out.json")  # fmt: skip
    assert str(other) in said.replace("\n", "")
    shown = said.splitlines()
    tables = shown[: shown.index(line(said, "processbench,"))]
    assert len(tables) > 12 and max(map(len, tables)) <= 80
    figures = json.loads((tmp_path / "out.json").read_text())
    (macro, *_) = figures["against"]
    assert (macro["figure"], macro["first"], macro["second"], macro["mean"]) == ("macro_f1", 1.0, 0.0, 1.0)
    assert [one["figure"] for one in figures["against"]] == ["macro_f1", "f1", "f1 of gsm8k", "f1 of math"]
    # Four rows differ: of their 16 exchanges only none and all leave so large a difference.
    assert abs(macro["p"] - 2 / 16) < 0.02
    with refused("file_exists", file=other):
        wrong("first-error", benchmark, "--predictions", predictions, "--against", other, "--json", other)


def test_the_options_of_a_threshold_exclude_each_other(benchmark, predictions):
    words = ("first-error", benchmark, "--predictions", predictions, "--threshold", "0.5")
    with refused("conflict", field="--threshold", names=("--threshold-from",)):
        wrong(*words, "--threshold-from", benchmark)
    with refused("bad_value", field="--threshold", names=(1.5,)):
        wrong(*words[:-1], "1.5")
    with refused("file_exists", file=predictions):
        wrong(*words, "--json", predictions)


@pytest.mark.parametrize("source", ["rows", "rows/*.jsonl", "link.jsonl"])
def test_figures_never_take_the_place_of_a_file_that_is_read(ask, tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows").mkdir()
    file = write(tmp_path / "rows" / "pairs.jsonl", [{"id": 1, "chosen": 1, "rejected": 0}])
    (tmp_path / "link.jsonl").symlink_to(file)
    before = file.read_bytes()
    with refused("file_exists", file="rows/pairs.jsonl"):
        wrong("pairs", source, "--json", "rows/pairs.jsonl")
    assert file.read_bytes() == before
    ask("pairs", source, "--json", "rows/figures.json")
    assert json.loads((tmp_path / "rows" / "figures.json").read_text())["accuracy"] == 1.0


def test_critics_that_name_first_errors(ask, benchmark, tmp_path):
    said = [0, 1, -1, None] * 2
    rows = [{"id": f"{part}-{n}", "first_error": said[n]} for part in ("gsm8k", "math") for n in range(4)]
    shown = ask("first-error", benchmark, "--predictions", write(tmp_path / "verdicts.jsonl", rows))
    assert numbers(line(shown, "processbench")) == ["8"], "no threshold"
    assert numbers(line(shown, "no verdict")) == ["2"]


def test_public_prmbench_rows_say_what_points_past_the_end(ask, shared_data, tmp_path):
    rows = [json.loads(line) for file in sorted((shared_data / "prmbench").iterdir()) for line in file.open()]
    oracle = [
        {
            "id": f"{row['classification']}_{row['idx']}",
            "step_scores": [0.0 if n + 1 in row["error_steps"] else 1.0 for n in range(len(row["modified_process"]))],
        }
        for row in rows
    ]
    out = tmp_path / "out.json"
    predictions = write(tmp_path / "oracle.jsonl", oracle)
    said = ask("first-error", shared_data / "prmbench", "--predictions", predictions, "--json", out)
    assert numbers(line(said, "prmbench,")) == ["1202", "0.5"]
    assert line(said, 13)
    figures = json.loads(out.read_text())
    assert (figures["prm_score"], figures["macro_prm_score"], figures["facts"]["rows_past_end"]) == (1.0, 1.0, 13)


def test_big_bench_mistake_rows_have_numbers(ask, shared_data, tmp_path):
    file = shared_data / "big_bench_mistake" / "multistep_arithmetic.jsonl"
    rows = [json.loads(line) for line in file.open()]
    given = [
        {"id": number, "step_scores": [0.0 if at == one["mistake_index"] else 1.0 for at in range(len(one["steps"]))]}
        for number, one in enumerate(rows, start=1)
    ]
    out = tmp_path / "out.json"
    ask("first-error", file, "--predictions", write(tmp_path / "oracle.jsonl", given), "--json", out)
    assert json.loads(out.read_text())["accuracy"] == 1.0


def test_pairs_from_files_to_figures(ask, tmp_path):
    rows = [
        {"id": n, "subset": subset, "chosen": 1.0 + n, "rejected": 1.5, "margin": n % 2}
        for subset in ("alpacaeval-easy", "mt-bench-hard", "donotanswer", "math-prm")
        for n in range(4)
    ]
    out = tmp_path / "out.json"
    said = ask("pairs", write(tmp_path / "pairs.jsonl", rows), "--json", out)
    assert numbers(line(said, "rewardbench")) == ["16", "0"]
    assert numbers(line(said, "Score"))[0] == "75.0"
    assert numbers(line(said, "alpacaeval-easy:")) == ["4", "100"]
    figures = json.loads(out.read_text())
    assert (figures["benchmark"], figures["score"], figures["accuracy"]) == ("rewardbench", 0.75, 0.75)
    assert [one["name"] for one in figures["sections"]] == ["Chat", "Chat Hard", "Safety", "Reasoning"]
    said = ask("pairs", tmp_path / "pairs.jsonl", "--benchmark", "none")
    assert "none" in said and "Score" not in said
    with refused("unknown_name", row=1, field="subset", names=("alpacaeval-easy",)):
        wrong("pairs", tmp_path / "pairs.jsonl", "--benchmark", "rewardbench2")


def test_two_models_preferences_beside_one_another(ask, tmp_path):
    one, other = (
        write(
            tmp_path / name,
            [{"id": i, "subset": "ab"[i % 2], "chosen": 1.0, "rejected": (i % 4) * step} for i in range(12)],
        )
        for name, step in (("one.jsonl", 0.1), ("other.jsonl", 0.6))
    )
    said = ask("pairs", one, "--against", other, "--json", tmp_path / "out.json")
    assert str(other) in said.replace("\n", "")
    found = {row["figure"]: row for row in json.loads((tmp_path / "out.json").read_text())["against"]}
    assert {name: (row["first"], row["second"]) for name, row in found.items()} == {
        "all rows": (1.0, 0.5), "a": (1.0, 0.5), "b": (1.0, 0.5),
    }  # fmt: skip
    with refused("file_exists", file=other):
        wrong("pairs", one, "--against", other, "--json", other)


def test_best_of_four_says_its_rule(ask, tmp_path):
    rows = [{"id": n, "subset": "Math", "chosen": 1, "rejected": [1, 0, 0]} for n in range(2)]
    said = ask("pairs", write(tmp_path / "pairs.jsonl", rows))
    assert numbers(line(said, "rewardbench2")) == ["2", "2"], "rows, ties"
    assert line(said, "Factuality") and "Score" not in said


def test_rewardbench_2_says_what_leaves_ties_out(ask, tmp_path):
    rows = [{"id": 1, "subset": "Math", "chosen": 1, "rejected": [1, 0, 0]}]
    rows += [{"id": "ref:1", "subset": "Ties", "chosen": 1, "rejected": 1}]
    rows += [{"id": "tied:1", "subset": "Ties", "chosen": [2, 1], "rejected": 2}]
    said = ask("pairs", write(tmp_path / "pairs.jsonl", rows))
    assert "all but Ties" in said and "All rows" not in said
    assert numbers(line(said, "rewardbench2")) == ["3", "3"], "rows, ties"


def test_calibration_from_files_to_figures(ask, tmp_path):
    rows = [{"id": n, "step_scores": [0.9, 0.2], "labels": [1, n % 2]} for n in range(20)]
    out = tmp_path / "out.json"
    said = ask("calibration", write(tmp_path / "scores.jsonl", rows), "--json", out, "--bins", "5")
    assert numbers(line(said, "20 rows")) == ["20", "40", "0"]
    figures = json.loads(out.read_text())
    assert figures["ece"] == pytest.approx((0.1 + 0.3) / 2)
    assert len(figures["equal_width"]["bins"]) == 5
    one_class = write(tmp_path / "right.jsonl", [{"id": 1, "step_scores": [1], "labels": [1]}])
    ask("calibration", one_class, "--json", out)
    assert json.loads(out.read_text())["auc"] is None


def test_hostile_names_are_shown_as_they_are(ask, tmp_path):
    rows = [{"id": 1, "subset": "[bold]x[/] <script>", "chosen": 1, "rejected": 0}]
    assert "[bold]x[/]" in ask("pairs", write(tmp_path / "pairs.jsonl", rows))
