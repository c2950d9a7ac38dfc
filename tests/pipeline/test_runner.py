"""One small run of the whole path on the embedded generator, and every verb that reads it."""

import json
import math
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from small_runs import ENVIRONMENT, Stepward, built_once, run_inside
from transformers import AutoModelForTokenClassification, AutoTokenizer

import stepward as package

KINDS = ("orm", "hard", "soft", "er")
SEEDS = (0, 7)
WORDS = (
    "run", "tiny-cpu", "name=first", "problems.reward=6", "problems.validation=3", "problems.test=4",
    "solutions.reward=4", "solutions.validation=4", "solutions.test=4", "solutions.unit=3", "rollouts.unit=3",
    "rollouts.completions=4", "rewards.seeds=0,7", "rewards.epochs=1", "evaluation.ns=1,2,4", "evaluation.subsets=20",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's folder; not to be changed."""

    def build(runs: Path) -> None:
        ended = run_inside(*WORDS, "--runs", runs)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert f"{runs / 'first' / 'report.html'}" in ended.stdout
        assert "\n\n" not in ended.stdout

    return built_once(tmp_path_factory, "first", build) / "first"


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The run, to be changed; its files' times are kept."""
    return shutil.copytree(folder, tmp_path / "first")


def without_torch(*words: object) -> subprocess.CompletedProcess[str]:
    """The command line where importing torch or transformers is an error."""
    program = "import sys; sys.modules['torch'] = sys.modules['transformers'] = None; "
    command = [sys.executable, "-c", program + "from stepward.cli import main; main()", *map(str, words)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


def rows(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """The rows of all shards that match."""
    return [row for path in sorted(folder.glob(pattern)) for row in pq.read_table(path).to_pylist()]


def modified(folder: Path) -> dict[str, int]:
    """When each file was last written, in ns."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_every_file_of_a_run_is_there(folder: Path) -> None:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    drawn = {path for path in found if path.startswith("report-data/plots/")}
    assert {Path(path).suffix for path in drawn} == {".csv", ".png"}
    found -= drawn
    expected = {
        ".lock",
        "manifest.json",
        "report.html",
        "report-data/.stepward-report",
        "evaluation/accuracies.parquet",
    }
    names = ("summary", "chosen", "margins", "quintiles", "slices", "facts", "labels", "calibration", "first-errors")
    expected |= {f"evaluation/{name}.json" for name in names}
    expected |= {f"problems/{split}.parquet" for split in ("reward", "validation", "test")}
    batches = ("reward-0000", "reward-0001", "validation-0000", "test-0000", "test-0001")
    expected |= {f"solutions/{batch}.parquet" for batch in batches}
    expected |= {f"rollouts/{batch}.parquet" for batch in batches[:2]}
    expected |= {f"labels/{kind}.parquet" for kind in KINDS}
    models = [(kind, seed) for kind in KINDS for seed in SEEDS]
    expected |= {f"scores/{kind}-seed-{seed}.parquet" for kind, seed in models}
    names = ("config.json", "model.safetensors", "stepward_reward_model.json", "tokenizer.json", "training.json")
    names += ("tokenizer_config.json",)
    expected |= {f"rewards/{kind}/seed-{seed}/{name}" for kind, seed in models for name in names}
    assert found == expected


def test_the_manifest_says_where_the_run_comes_from_and_what_is_done(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["recipe"]["rewards"]["seeds"] == [0, 7]
    assert len(manifest["recipe_hash"]) == 16
    assert {"python", "stepward", "torch", "transformers"} <= set(manifest["versions"])
    assert manifest["command"][1:3] == ["run", "tiny-cpu"]
    units = {stage: len(content["units"]) for stage, content in manifest["stages"].items()}
    assert units == {
        "problems": 3, "solutions": 5, "rollouts": 2, "labels": 4, "rewards": 8, "scores": 8, "evaluation": 1,
        "report": 1,
    }  # fmt: skip
    paths = [facts["path"] for stage in manifest["stages"].values() for facts in stage["units"].values()]
    assert all((folder / path).exists() for path in paths)


def test_the_summary_has_the_promised_rows(folder: Path) -> None:
    summary = json.loads((folder / "evaluation" / "summary.json").read_text())
    fields = ["method", "voting", "aggregation", "n", "mean", "std", "low", "high", "seeds", "problems"]
    assert all(list(row) == fields for row in summary)
    expected = {(method, None, None, n) for method in ("majority", "pass") for n in (1, 2, 4)}
    expected |= {
        (kind, voting, how, n)
        for kind in KINDS for voting in ("best", "weighted", "weighted_mean", "weighted_max")
        for how in ("min", "prod", "last", "mean", "logodds") for n in (1, 2, 4)
    }  # fmt: skip
    assert {(row["method"], row["voting"], row["aggregation"], row["n"]) for row in summary} == expected
    assert len(summary) == len(expected)
    assert all(0 <= row["low"] <= row["mean"] <= row["high"] <= 1 and row["problems"] == 4 for row in summary)
    models = [row for row in summary if row["voting"]]
    assert all(row["seeds"] == 2 and row["std"] >= 0 for row in models)
    assert all(row["seeds"] == 0 and row["std"] is None for row in summary if not row["voting"])


def test_draws_add_up_and_every_prefix_stands_once(folder: Path) -> None:
    problems = {row["id"]: row for row in rows(folder, "problems/reward.parquet")}
    solutions = rows(folder, "solutions/reward-*.parquet")
    copies = dict.fromkeys(problems, 0)
    for solution in solutions:
        copies[solution["problem_id"]] += solution["copies"]
    assert set(copies.values()) == {4}
    prefixes = {
        (row["problem_id"], tuple(row["steps"][:end])) for row in solutions for end in range(1, len(row["steps"]) + 1)
    }
    rollouts = rows(folder, "rollouts/*.parquet")
    assert sorted(prefixes) == sorted((row["problem_id"], tuple(row["steps"])) for row in rollouts)
    assert {row["drawn"] for row in rollouts if not row["complete"]} == {4}
    assert {row["drawn"] for row in rollouts if row["complete"]} == {1}
    assert sum(row["right"] for row in rollouts) > 0, "a run in which nothing is right shows nothing"


def expected_label(kind: str, right: int, drawn: int, eta: float = 2.0) -> float:
    """The label by its formula, in plain arithmetic."""
    p = right / drawn
    return {"hard": float(right > 0), "soft": p, "er": math.log(1 - p + p * math.exp(eta)) / eta}[kind]


def check_labels(folder: Path, labels: list[dict[str, Any]], kind: str, eta: float = 2.0) -> None:
    """Labels equal those computed here from the counts, and every solution has its own."""
    solutions = {row["id"]: row for row in rows(folder, "solutions/reward-*.parquet")}
    counts = {(row["problem_id"], tuple(row["steps"])): row for row in rows(folder, "rollouts/*.parquet")}
    assert sorted(label["solution_id"] for label in labels) == sorted(solutions)
    for label in labels:
        steps = tuple(solutions[label["solution_id"]]["steps"])
        prefixes = [counts[label["problem_id"], steps[:end]] for end in range(1, len(steps) + 1)]
        wanted = [expected_label(kind, prefix["right"], prefix["drawn"], eta) for prefix in prefixes]
        assert label["labels"] == pytest.approx(wanted, abs=1e-12)
        assert (label["kind"], label["eta"]) == (kind, eta if kind == "er" else None)


@pytest.mark.parametrize("kind", ["hard", "soft", "er"])
def test_labels_follow_from_the_counts(folder: Path, kind: str) -> None:
    check_labels(folder, rows(folder, f"labels/{kind}.parquet"), kind)


def test_outcome_labels_are_the_grades(folder: Path) -> None:
    grades = {row["id"]: row["correct"] for row in rows(folder, "solutions/reward-*.parquet")}
    for label in rows(folder, "labels/orm.parquet"):
        assert set(label["labels"]) == {float(grades[label["solution_id"]])}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_scores_as_the_run_did_by_its_scorer_and_by_plain_transformers(folder: Path, kind: str) -> None:
    model_folder = folder / "rewards" / kind / "seed-7"
    questions = {row["id"]: row["question"] for row in rows(folder, "problems/test.parquet")}
    stored = {row["solution_id"]: row["scores"] for row in rows(folder, f"scores/{kind}-seed-7.parquet")}
    scorer = package.load_scorer(model_folder)
    model = AutoModelForTokenClassification.from_pretrained(model_folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    for solution in rows(folder, "solutions/test-0000.parquet"):
        question, steps = questions[solution["problem_id"]], solution["steps"]
        assert scorer.score(question, steps).steps == pytest.approx(stored[solution["id"]], abs=1e-5)
        ids, ends = [tokenizer.bos_token_id, *tokenizer.encode(question, add_special_tokens=False)], []
        for step in steps:
            ids += tokenizer.encode("\n", add_special_tokens=False) + tokenizer.encode(step, add_special_tokens=False)
            ends.append(len(ids) - 1)
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, :, 0]
        assert torch.sigmoid(logits[ends]).tolist() == pytest.approx(stored[solution["id"]], abs=1e-5)


def test_seeds_differ(folder: Path) -> None:
    for kind in KINDS:
        first, second = (rows(folder, f"scores/{kind}-seed-{seed}.parquet") for seed in SEEDS)
        assert [row["solution_id"] for row in first] == [row["solution_id"] for row in second]
        assert [row["scores"] for row in first] != [row["scores"] for row in second]


def test_a_second_run_does_nothing(copy: Path) -> None:
    before = modified(copy)
    ended = without_torch(*WORDS, "--runs", copy.parent)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"{copy / 'report.html'}" in ended.stdout
    changed = {path for path, at in modified(copy).items() if before.get(path) != at}
    assert changed <= {str(copy / ".lock")}


def test_a_changed_recipe_is_refused_and_the_run_stays(copy: Path) -> None:
    before = modified(copy)
    ended = without_torch(*WORDS, "labels.eta=5", "rewards.epochs=3", "--runs", copy.parent)
    assert ended.returncode == 1
    for words in ("labels.eta: 2.0 -> 5", "rewards.epochs: 1 -> 3", "[changed]"):
        assert words in ended.stderr
    assert {path for path, at in modified(copy).items() if before.get(path) != at} <= {str(copy / ".lock")}


def test_a_lost_shard_is_made_again_as_it_was(copy: Path) -> None:
    path = copy / "labels" / "soft.parquet"
    before = pq.read_table(path).to_pylist()
    path.unlink()
    ended = without_torch(*WORDS, "--runs", copy.parent)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert pq.read_table(path).to_pylist() == before


def test_what_a_killed_run_half_wrote_is_removed_or_made_again(copy: Path, stepward: Stepward) -> None:
    half = [
        copy / "solutions" / ".test-0000.parquet.1.tmp",
        copy / "rewards" / "er" / ".seed-7.partial" / "config.json",
    ]
    for path in half:
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")
    # As if killed while it replaced a model that it had not yet noted.
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["stages"]["rewards"]["units"]["er/seed-7"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    model = copy / "rewards" / "er" / "seed-7"
    weights = (model / "model.safetensors").read_bytes()
    (model / "stepward_reward_model.json").unlink()
    ended = stepward(*WORDS, "--runs", copy.parent)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(path.name for path in copy.rglob(".*")) == [".lock", ".stepward-report"]
    assert (model / "model.safetensors").read_bytes() == weights
    assert (model / "stepward_reward_model.json").exists()


def test_label_samples_nothing(copy: Path, tmp_path: Path) -> None:
    before = modified(copy)
    path = tmp_path / "new" / "er.parquet"
    ended = without_torch("label", "--from-rollouts", copy, "--kind", "er", "--eta", 5, "--to", path)
    assert (ended.returncode, ended.stderr) == (0, "")
    check_labels(copy, pq.read_table(path).to_pylist(), "er", 5.0)
    assert modified(copy) == before
    ended = without_torch("label", "--from-rollouts", copy, "--eta", 0.5)
    assert ended.returncode == 0
    check_labels(copy, rows(copy, "labels/er-eta-0.5.parquet"), "er", 0.5)


def test_show_puts_labels_and_scores_beside_the_steps(folder: Path) -> None:
    problem = rows(folder, "problems/reward.parquet")[1]
    ended = without_torch("show", folder, "--split", "reward", "--problem", problem["id"])
    assert (ended.returncode, ended.stderr) == (0, "")
    assert problem["id"] in ended.stdout and problem["question"][:40] in ended.stdout
    solutions = [row for row in rows(folder, "solutions/reward-*.parquet") if row["problem_id"] == problem["id"]]
    assert all(step[:20] in ended.stdout for row in solutions for step in row["steps"])
    header = next(line for line in ended.stdout.splitlines() if "oracle" in line)
    assert all(kind in header for kind in KINDS)
    ended = without_torch("show", folder, "--solutions", 1)
    assert (ended.returncode, ended.stderr) == (0, "")
    first = rows(folder, "problems/test.parquet")[0]
    assert first["id"] in ended.stdout and ended.stdout.count("drawn ") == 1


@pytest.mark.slow
def test_report_draws_the_same_page_again(copy: Path) -> None:
    path = copy / "report.html"
    page = path.read_text("utf-8")
    path.unlink()
    ended = without_torch("report", copy)
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", f"Report: {path}\n")
    assert path.read_text("utf-8") == page
    assert "http://" not in page.replace("http://www.w3.org/", "") and "https://" not in page


def test_score_gives_what_the_run_stored(folder: Path, stepward: Stepward) -> None:
    solution = rows(folder, "solutions/test-0000.parquet")[0]
    questions = {row["id"]: row["question"] for row in rows(folder, "problems/test.parquet")}
    stored = next(row for row in rows(folder, "scores/er-seed-0.parquet") if row["solution_id"] == solution["id"])
    model = folder / "rewards" / "er" / "seed-0"
    ended = stepward("score", model, "--problem", questions[solution["problem_id"]], input="\n".join(solution["steps"]))
    assert (ended.returncode, ended.stderr) == (0, "")
    *steps, summary = ended.stdout.splitlines()
    assert steps == [f"{score:.3f}  {step}" for score, step in zip(stored["scores"], solution["steps"], strict=True)]
    assert f"min {min(stored['scores']):.3f}" in summary and f"last {stored['scores'][-1]:.3f}" in summary


def test_growing_n_never_lowers_pass(folder: Path) -> None:
    summary = json.loads((folder / "evaluation" / "summary.json").read_text())
    passed = [row["mean"] for row in summary if row["method"] == "pass"]
    assert all(before <= after + 1e-12 for before, after in pairwise(passed))
    assert os.path.getsize(folder / "report.html") < 5_000_000
