"""The verbs first-error, pairs and calibration, from files to tables and JSON."""

import json
from pathlib import Path

import pytest

from stepward.cli import judging  # noqa: F401  (adds its verbs)
from stepward.cli import program as cli


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def ask(capsys, monkeypatch):
    """Runs a command on a terminal of 80 columns; gives what it said, all of it."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object, code: int = 0) -> str:
        assert cli._guarded(lambda: cli.app(args=["evaluate", *map(str, words)])) == code
        said = capsys.readouterr()
        return said.out + said.err

    return run


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
    assert "processbench, 8 rows; a step is taken for wrong below 0.45, chosen on 4 rows of gsm8k" in said
    assert "mean of the parts (macro)" in said and "mean by rows (weighted)" in said
    assert "lowest score: at the first error in 50.0% of 4 rows, before it in 0.0%, after it in 50.0%" in said
    assert max(map(len, said.splitlines()[:20])) <= 80
    figures = json.loads((tmp_path / "out.json").read_text())
    assert (figures["benchmark"], figures["rows"], figures["f1"], figures["macro_f1"]) == ("processbench", 8, 1.0, 1.0)
    assert (figures["threshold"], figures["threshold_from"]) == (pytest.approx(0.45), "gsm8k")
    assert [part["part"] for part in figures["parts"]] == ["gsm8k", "math"]
    assert figures["wrong_process"]["all"]["rows"] == 2


def test_thresholds_given_stored_and_chosen_on_other_rows(ask, benchmark, predictions, tmp_path):
    out, again = tmp_path / "out.json", tmp_path / "again.json"
    said = ask("first-error", benchmark, "--predictions", predictions, "--threshold", "0.7", "--json", out)
    assert "below 0.7 (given)" in said
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
    assert "chosen on 8 rows" in said
    said = ask("first-error", math, "--predictions", predictions, code=1)
    assert "'gsm8k-0' is no row of the benchmark" in said


def test_two_models_beside_one_another(ask, benchmark, predictions, tmp_path):
    other = write(
        tmp_path / "other.jsonl", [{**json.loads(line), "step_scores": [0.9] * 3} for line in predictions.open()]
    )
    said = ask("first-error", benchmark, "--predictions", predictions, "--against", other, "--threshold", 0.45,
               "--json", tmp_path / "out.json")  # fmt: skip
    assert f"against {other}, where a step is taken for wrong below 0.45 (given)" in said.replace("\n", "")
    table = said[said.index("Beside the other model, in percent") : said.index("exchanged by chance")]
    assert max(map(len, table.splitlines())) <= 80
    figures = json.loads((tmp_path / "out.json").read_text())
    (macro, *_) = figures["against"]
    assert (macro["figure"], macro["first"], macro["second"], macro["mean"]) == ("macro_f1", 1.0, 0.0, 1.0)
    assert [one["figure"] for one in figures["against"]] == ["macro_f1", "f1", "f1 of gsm8k", "f1 of math"]
    # Four rows differ: of their 16 exchanges only none and all leave so large a difference.
    assert abs(macro["p"] - 2 / 16) < 0.02
    assert "take the place of what is read" in ask(
        "first-error", benchmark, "--predictions", predictions, "--against", other, "--json", other, code=1
    )  # fmt: skip


def test_the_options_of_a_threshold_exclude_each_other(ask, benchmark, predictions):
    words = ("first-error", benchmark, "--predictions", predictions, "--threshold", "0.5")
    assert "give one of them" in ask(*words, "--threshold-from", benchmark, code=1)
    assert "expected a number from 0 to 1" in ask(*words[:-1], "1.5", code=1)
    assert "would take the place of what is read" in ask(*words, "--json", predictions, code=1)


@pytest.mark.parametrize("source", ["rows", "rows/*.jsonl", "link.jsonl"])
def test_figures_never_take_the_place_of_a_file_that_is_read(ask, tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows").mkdir()
    file = write(tmp_path / "rows" / "pairs.jsonl", [{"id": 1, "chosen": 1, "rejected": 0}])
    (tmp_path / "link.jsonl").symlink_to(file)
    before = file.read_bytes()
    assert "would take the place of what is read" in ask("pairs", source, "--json", "rows/pairs.jsonl", code=1)
    assert file.read_bytes() == before
    ask("pairs", source, "--json", "rows/figures.json")
    assert json.loads((tmp_path / "rows" / "figures.json").read_text())["accuracy"] == 1.0


def test_critics_that_name_first_errors(ask, benchmark, tmp_path):
    said = [0, 1, -1, None] * 2
    rows = [{"id": f"{part}-{n}", "first_error": said[n]} for part in ("gsm8k", "math") for n in range(4)]
    shown = ask("first-error", benchmark, "--predictions", write(tmp_path / "verdicts.jsonl", rows))
    assert "first errors as predicted, no threshold" in shown
    assert "2 rows have no verdict: they count as wrong" in shown


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
    assert "13 rows name error steps past the end of their solution" in said
    assert "prmbench, 1,202 rows; a step is taken for wrong below 0.5 (default)" in said
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
    assert "16 rows by the rules of rewardbench; a tie is lost; 0 ties" in said
    assert "Score: 75.0 (" in said
    assert "alpacaeval-easy: rows 4, as published 100" in said
    figures = json.loads(out.read_text())
    assert (figures["benchmark"], figures["score"], figures["accuracy"]) == ("rewardbench", 0.75, 0.75)
    assert [one["name"] for one in figures["sections"]] == ["Chat", "Chat Hard", "Safety", "Reasoning"]
    said = ask("pairs", tmp_path / "pairs.jsonl", "--benchmark", "none")
    assert "by the rules of none" in said and "Score" not in said
    assert "none of RewardBench 2's" in ask("pairs", tmp_path / "pairs.jsonl", "--benchmark", "rewardbench2", code=1)


def test_two_models_preferences_beside_one_another(ask, tmp_path):
    one, other = (
        write(
            tmp_path / name,
            [{"id": i, "subset": "ab"[i % 2], "chosen": 1.0, "rejected": (i % 4) * step} for i in range(12)],
        )
        for name, step in (("one.jsonl", 0.1), ("other.jsonl", 0.6))
    )
    said = ask("pairs", one, "--against", other, "--json", tmp_path / "out.json")
    assert "Beside the other model, in percent" in said and f"against {other}" in said.replace("\n", "")
    found = {row["figure"]: row for row in json.loads((tmp_path / "out.json").read_text())["against"]}
    assert {name: (row["first"], row["second"]) for name, row in found.items()} == {
        "all rows": (1.0, 0.5), "a": (1.0, 0.5), "b": (1.0, 0.5),
    }  # fmt: skip
    assert "take the place of what is read" in ask("pairs", one, "--against", other, "--json", other, code=1)


def test_best_of_four_says_its_rule(ask, tmp_path):
    rows = [{"id": n, "subset": "Math", "chosen": 1, "rejected": [1, 0, 0]} for n in range(2)]
    said = ask("pairs", write(tmp_path / "pairs.jsonl", rows))
    assert "2 rows by the rules of rewardbench2; several rejected: ties share the win; 2 ties" in said
    assert "no score, for there are no rows of Factuality" in said


def test_rewardbench_2_says_what_leaves_ties_out(ask, tmp_path):
    rows = [{"id": 1, "subset": "Math", "chosen": 1, "rejected": [1, 0, 0]}]
    rows += [{"id": "ref:1", "subset": "Ties", "chosen": 1, "rejected": 1}]
    rows += [{"id": "tied:1", "subset": "Ties", "chosen": [2, 1], "rejected": 2}]
    said = ask("pairs", write(tmp_path / "pairs.jsonl", rows))
    assert "all but Ties" in said and "All rows" not in said
    assert "3 rows by the rules of rewardbench2; several rejected: ties share the win; 3 ties" in said


def test_calibration_from_files_to_figures(ask, tmp_path):
    rows = [{"id": n, "step_scores": [0.9, 0.2], "labels": [1, n % 2]} for n in range(20)]
    out = tmp_path / "out.json"
    said = ask("calibration", write(tmp_path / "scores.jsonl", rows), "--json", out, "--bins", "5")
    assert "20 rows, 40 scores with a label, 0 without" in said
    assert "expected calibration error, equal width" in said
    figures = json.loads(out.read_text())
    assert figures["ece"] == pytest.approx((0.1 + 0.3) / 2)
    assert len(figures["equal_width"]["bins"]) == 5
    assert "AUC is undefined" in ask(
        "calibration", write(tmp_path / "right.jsonl", [{"id": 1, "step_scores": [1], "labels": [1]}])
    )


def test_hostile_names_are_shown_as_they_are(ask, tmp_path):
    rows = [{"id": 1, "subset": "[bold]x[/] <script>", "chosen": 1, "rejected": 0}]
    assert "[bold]x[/]" in ask("pairs", write(tmp_path / "pairs.jsonl", rows))
