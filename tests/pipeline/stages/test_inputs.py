"""The path on text that no one here wrote: a problems file, and published solutions with their problems."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_runs import Stepward, run_stepward

from stepward.problems.arithmetic import dataset as arithmetic


def shards(folder: Path, stage: str) -> list[dict[str, Any]]:
    """The rows of all of a stage's shards."""
    return [row for path in sorted((folder / stage).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def check_splits(folder: Path, sizes: dict[str, int]) -> None:
    """The splits have their sizes and share no question."""
    splits = {name: pq.read_table(folder / "problems" / f"{name}.parquet").to_pylist() for name in sizes}
    assert {name: len(problems) for name, problems in splits.items()} == sizes
    questions = [problem["question"] for problems in splits.values() for problem in problems]
    assert len(set(questions)) == len(questions)


@pytest.mark.slow
def test_a_recipe_runs_on_a_problems_file(stepward: Stepward, tmp_path: Path) -> None:
    made = arithmetic.problems("test", 30, 5, (1, 2))
    rows = [{"question": problem.question, "reference": problem.reference} for problem in made]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "mine.yaml").write_text(
        "problems: {reward: 8, validation: 4, test: 6}\n"
        "solutions: {reward: 4, validation: 4, test: 4}\n"
        "rollouts: {completions: 2}\n"
        "labels: {kinds: [hard]}\n"
        "rewards: {seeds: [3], epochs: 1}\n"
        "evaluation: {ns: [1, 4], subsets: 10}\n"
    )
    ended = stepward("run", tmp_path / "mine.yaml", f"problems.path={path}", "--runs", tmp_path, "--workers", 1)
    assert (ended.returncode, ended.stderr) == (0, "")
    folder = tmp_path / "mine"
    check_splits(folder, {"reward": 8, "validation": 4, "test": 6})
    references = {row["question"]: row["reference"] for row in rows}
    problems = shards(folder, "problems")
    assert all(references[problem["question"]] == problem["reference"] for problem in problems)
    assert {problem["source"] for problem in problems} == {"mine.jsonl"}
    summary = json.loads((folder / "evaluation" / "summary.json").read_text())
    assert {row["method"] for row in summary} == {"majority", "pass", "hard"}
    assert all(row["std"] is None for row in summary), "one seed has no spread"
    # No checker knows these problems, so nothing is said of the labels' quality.
    assert json.loads((folder / "evaluation" / "labels.json").read_text()) is None
    shown = stepward("show", folder)
    assert (shown.returncode, shown.stderr) == (0, "") and "oracle" not in shown.stdout


@pytest.mark.slow
@pytest.mark.data
def test_published_solutions_train_an_orm_that_is_measured_on_other_questions(
    shared_data: Path, stepward: Stepward, tmp_path: Path
) -> None:
    path = shared_data / "gsm8k" / "example_model_solutions.jsonl"
    sizes = {"reward": 12, "validation": 6, "test": 8}
    words = (
        "run", "tiny-cpu", "name=published", f"solutions.path={path}", "labels.kinds=orm", "rewards.seeds=0",
        "rewards.epochs=1", "rewards.max_length=2048", "evaluation.ns=1,2,4", "evaluation.subsets=20",
        *(f"problems.{split}={size}" for split, size in sizes.items()), "--runs", tmp_path, "--workers", 1,
    )  # fmt: skip
    ended = stepward(*words)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "ORM best-of-4: " in ended.stdout
    folder = tmp_path / "published"
    check_splits(folder, sizes)
    published = {row["question"]: row for row in map(json.loads, path.read_text("utf-8").splitlines())}
    problems = {row["id"]: row for row in shards(folder, "problems")}
    solutions = shards(folder, "solutions")
    assert len(solutions) == 4 * sum(sizes.values())
    for solution in solutions:
        theirs = published[problems[solution["problem_id"]]["question"]][solution["generator"]]
        assert solution["correct"] == theirs["is_correct"]
        assert solution["steps"] == [line.rstrip() for line in theirs["solution"].split("\n") if line.strip()]
    summary = json.loads((folder / "evaluation" / "summary.json").read_text())
    best = next(
        row
        for row in summary
        if [row[key] for key in ("method", "voting", "aggregation", "n")] == ["orm", "best", "last", 4]
    )
    assert best["problems"] == 8 and best["seeds"] == 1
    last = {row["solution_id"]: row["scores"][-1] for row in shards(folder, "scores")}
    right = 0
    for problem in pq.read_table(folder / "problems" / "test.parquet").to_pylist():
        candidates = [solution for solution in solutions if solution["problem_id"] == problem["id"]]
        assert len(candidates) == 4
        right += max(candidates, key=lambda solution: last[solution["id"]])["correct"]
    assert best["mean"] == pytest.approx(right / 8)
    check_lost_shards_are_written_again(stepward, words, folder)


def check_lost_shards_are_written_again(stepward: Stepward, words: tuple[object, ...], folder: Path) -> None:
    """And only those: whatever is there stays as it is."""
    lost = {folder / "solutions" / "test-0000.parquet", folder / "problems" / "reward.parquet"}
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet") if path not in lost}
    before = {path: path.read_bytes() for path in lost}
    for path in lost:
        path.unlink()
    ended = stepward(*words)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert {path: path.read_bytes() for path in lost} == before
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_too_many_candidates_asked_of_published_solutions_is_said_before_training(
    shared_data: Path, stepward: Stepward, tmp_path: Path
) -> None:
    path = shared_data / "gsm8k" / "example_model_solutions.jsonl"
    sizes = ("problems.reward=12", "problems.validation=6", "problems.test=8", "evaluation.ns=1,8")
    ended = stepward("run", "tiny-cpu", f"solutions.path={path}", "labels.kinds=orm", *sizes, "--runs", tmp_path)
    assert ended.returncode == 1
    assert all(word in ended.stderr for word in ("evaluation.ns", "8", "validation", "[too_few]"))


@pytest.mark.slow
def test_a_recipe_takes_the_users_grader(tmp_path: Path) -> None:
    (tmp_path / "strange_grader.py").write_text("def even(reference, answer):\n    return answer[-1] in '02468'\n")
    (tmp_path / "mine.yaml").write_text(
        "grader: strange_grader:even\n"
        "problems: {reward: 4, validation: 2, test: 2, levels: [1]}\n"
        "solutions: {reward: 2, validation: 2, test: 2}\n"
        "labels: {kinds: [orm]}\n"
        "rewards: {seeds: [0], epochs: 1}\n"
        "evaluation: {ns: [1, 2], subsets: 10}\n"
    )
    ended = run_stepward("run", "mine.yaml", "--runs", tmp_path, "--workers", 1, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    solutions = shards(tmp_path / "mine", "solutions")
    answers = [solution for solution in solutions if solution["answer"] is not None]
    assert {solution["correct"] for solution in answers} == {True, False}
    assert all(solution["correct"] == (solution["answer"][-1] in "02468") for solution in answers)
    refused = run_stepward(
        "run", "mine.yaml", "grader=strange_grader:none", "name=other", "--runs", tmp_path, cwd=tmp_path
    )
    assert refused.returncode == 1
    assert "strange_grader:none" in refused.stderr and "Traceback" not in refused.stderr
