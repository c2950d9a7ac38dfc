"""What a new user would guess: twenty imports and calls, without a look into the source."""

import json
from pathlib import Path

from raising import refused

import stepward
from stepward import (
    ORMConfig,
    ORMTrainer,
    Preference,
    PRMConfig,
    PRMTrainer,
    Problem,
    RewardConfig,
    RewardTrainer,
    Solution,
    StepLabels,
    StepRollouts,
    StepwardError,
    compute_labels,
    convert,
    evaluate_scores,
    extract_answer,
    grade,
    load_scorer,
    read,
    run_recipe,
    write,
)
from stepward.labeling import entropy_regularized, hard, soft


def test_records_labels_and_grades() -> None:
    problem = Problem(id="p", question="What is 2 + 3?", reference="5")
    solution = Solution(id="s", problem_id="p", steps=("2 + 3 = 5",), answer="5", correct=True)
    assert extract_answer("So the answer is \\boxed{5}.") == solution.answer == problem.reference
    assert grade("1/2", "0.5").equal and not grade("5", "6").equal
    (labels,) = compute_labels([solution], {}, "hard")
    assert isinstance(labels, StepLabels) and labels.labels == (1.0,)
    assert (hard(3, 16), soft(3, 16)) == (1.0, 3 / 16) and 3 / 16 < entropy_regularized(3 / 16, eta=2.0) < 1
    assert {type(one).__name__ for one in (problem, solution)} == {"Problem", "Solution"}


def test_files_are_read_written_and_converted(tmp_path: Path) -> None:
    rows = [{"prompt": "2 + 3?", "completions": ["2 + 3 = 5"], "labels": [True]}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    records = list(read(tmp_path / "rows.jsonl"))
    assert write(records, tmp_path / "shepherd.jsonl", "math-shepherd").rows == 1
    convert(tmp_path / "rows.jsonl", tmp_path / "own.jsonl")
    assert len(list(read(tmp_path / "own.jsonl"))) == 1


def test_scores_from_elsewhere_are_measured(tmp_path: Path) -> None:
    rows = [
        {"problem_id": f"p{n // 4}", "solution_id": f"s{n}", "answer": str(n % 3), "reference": "1", "score": n % 5 / 5}
        for n in range(40)
    ]
    (tmp_path / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows_of = evaluate_scores([tmp_path / "scores.jsonl"]).evaluation.rows
    assert {"majority", "pass"} < {row.method for row in rows_of}


def test_trainers_scorers_and_runs_have_their_names() -> None:
    trainers = (PRMTrainer, PRMConfig, ORMTrainer, ORMConfig, RewardTrainer, RewardConfig)
    assert all(isinstance(one, type) for one in (*trainers, StepRollouts, Preference))
    assert callable(load_scorer) and issubclass(StepwardError, Exception)
    with refused("file_not_found", names=("nowhere",)):
        run_recipe("nowhere.yaml")
    assert set(stepward.__all__) <= set(dir(stepward))
    assert (Path(stepward.__file__).parent / "py.typed").is_file(), "type checkers read its annotations"
