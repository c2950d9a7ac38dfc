"""What a trainer must be able to do: learn a few rows by heart, and give back the mean of soft labels."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from tiny_world import make_world, save_base
from trained import QUIET

from stepward import load_scorer
from stepward.formats import iter_branches, read
from stepward.records import LabelledSolution
from stepward.reward_models.configs import PRMConfig
from stepward.reward_models.training.step_trainers import PRMTrainer

RATINGS = (-1, 0, 1)


def prm800k_row(random: Random) -> dict[str, Any]:
    """A question, three rated steps and an alternative to each, as PRM800K has them; ratings follow no rule."""

    def step() -> dict[str, Any]:
        left, right = random.randrange(100), random.randrange(100)
        return {"text": f"{left} plus {right} gives {left + right}", "rating": random.choice(RATINGS), "flagged": False}

    stages = [{"completions": [step(), step()], "human_completion": None, "chosen_completion": 0} for _ in range(3)]
    return {
        "labeler": "a", "timestamp": "2026-01-01T00:00:00", "generation": None,
        "is_quality_control_question": False, "is_initial_screening_question": False,
        "question": {"problem": f"Start at {random.randrange(10_000)}", "ground_truth_answer": "1"},
        "label": {"steps": stages, "total_time": 1, "finish_reason": "solution"},
    }  # fmt: skip


def as_columns(source: Path) -> list[dict[str, Any]]:
    rows = []
    for record in read(source):
        assert isinstance(record, LabelledSolution)
        for path in iter_branches(record, once=True):
            said = {"completions": list(path.steps), "labels": list(path.labels), "neutral": list(path.neutral)}
            rows.append({"prompt": path.question + "\n", **said})
    return rows


@pytest.mark.slow
def test_32_rows_of_prm800ks_shape_are_learnt_by_heart(tmp_path: Path) -> None:
    random = Random(0)
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(prm800k_row(random)) + "\n" for _ in range(32)), encoding="utf-8")
    shape = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 2, "initializer_range": 0.1}
    base = save_base(tmp_path / "base", **shape)
    rows = as_columns(source)
    settings = {"num_labels": 3, "neutral": "class", "num_train_epochs": 36, "per_device_train_batch_size": 64}
    args = PRMConfig(str(tmp_path / "run"), learning_rate=2e-3, **{**QUIET, **settings})
    trainer = PRMTrainer(base, args, train_dataset=rows, eval_dataset=rows)
    labels = [label for made in trainer.train_dataset["labels"] for label in made]
    assert len(labels) == 32 * 6 and set(labels) == {-1.0, 0.0, 1.0}, "each rated step counts once"
    trainer.train()
    assert trainer.losses[0] > 1.0
    assert trainer.evaluate()["eval_loss"] < 0.01


def test_the_predicted_mean_is_the_mean_of_soft_labels(base: Path, tmp_path: Path) -> None:
    """Labels are shares of eight rollouts: equal steps have different labels, and none can be learnt by heart."""
    random = Random(0)
    problems, solutions, soft = make_world(80, "soft")
    questions = {problem.id: problem.question + "\n" for problem in problems}

    def drawn(chance: float | None) -> float:
        assert chance is not None
        return sum(random.random() < chance for _ in range(8)) / 8

    rows: list[dict[str, Any]] = [
        {"prompt": questions[one.problem_id], "completions": list(one.steps), "labels": [*map(drawn, steps.labels)]}
        for one, steps in zip(solutions, soft, strict=True)
    ]
    settings = {"num_labels": 1, "num_train_epochs": 8, "per_device_train_batch_size": 32}
    args = PRMConfig(str(tmp_path / "run"), learning_rate=3e-3, **{**QUIET, **settings})
    trainer = PRMTrainer(base, args, train_dataset=rows)
    trainer.train()
    trainer.save_model(str(tmp_path / "model"))
    scorer = load_scorer(tmp_path / "model")
    scores = [scorer.score(row["prompt"], row["completions"]).steps for row in rows]
    chances, labels, scored = (
        torch.tensor([value for part in parts for value in part])
        for parts in ((steps.labels for steps in soft), (row["labels"] for row in rows), scores)
    )
    assert len(labels) > 700
    assert float(scored.mean()) == pytest.approx(float(labels.mean()), abs=0.01)
    for chance in (0.125, 0.875):
        of_kind = chances == chance
        assert float(scored[of_kind].mean()) == pytest.approx(float(labels[of_kind].mean()), abs=0.01)
