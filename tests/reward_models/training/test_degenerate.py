"""Trainings that could not mean anything are refused, before they start where that can be told, and never saved."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import IterableDataset
from raising import refused
from tiny_world import make_world
from trained import QUIET, TRAINERS, Kind, rows_of, trainer_of

from stepward.reward_models.configs import ORMConfig, PRMConfig
from stepward.reward_models.training.from_records import train_reward_model
from stepward.reward_models.training.settings import TrainingSettings
from stepward.reward_models.training.step_trainers import ORMTrainer, PRMTrainer

ROWS = rows_of("prm")


def config(folder: Path, **changes: Any) -> PRMConfig:
    return PRMConfig(str(folder), **{"num_train_epochs": 1, "learning_rate": 1e-3, **QUIET, **changes})


def all_equal(label: float) -> list[dict[str, Any]]:
    return [{**row, "labels": [label] * len(row["labels"])} for row in ROWS[:8]]


@pytest.mark.parametrize("label", [0.0, 1.0, 0.25])
def test_steps_whose_labels_are_all_equal_are_refused(base: Path, tmp_path: Path, label: float) -> None:
    with refused("degenerate", field="labels", names=(label if label % 1 else int(label),)):
        PRMTrainer(base, config(tmp_path), train_dataset=all_equal(label))
    rows = all_equal(label)
    rows[-1]["labels"][-1] = 0.5
    assert PRMTrainer(base, config(tmp_path), train_dataset=rows).counts["train"].whole


def test_what_is_trained_on_counts_not_what_is_given(base: Path, tmp_path: Path) -> None:
    """Labels differ, and those of the last steps, which alone are trained on, do not."""
    rows = [{"prompt": "Start", "completions": ["plus", "gives"], "labels": [place % 2, 1]} for place in range(4)]
    with refused("degenerate", field="labels"):
        PRMTrainer(base, config(tmp_path, train_on_last_step_only=True), train_dataset=rows)


def test_outcomes_that_are_all_equal_are_refused(base: Path, tmp_path: Path) -> None:
    rows = [{**row, "label": True} for row in rows_of("orm")[:8]]
    with refused("degenerate", field="labels", names=(1,)):
        ORMTrainer(base, ORMConfig(str(tmp_path), **QUIET), train_dataset=rows)


def test_pairs_that_prefer_nothing_are_refused(base: Path, tmp_path: Path) -> None:
    trainer, kind, _ = TRAINERS["bt"]
    rows = [{"prompt": "Start", "chosen": word, "rejected": word} for word in (" plus", " gives")]
    with refused("degenerate", field="rejected"):
        trainer(base, kind(str(tmp_path), **QUIET), train_dataset=rows)
    rows[1]["rejected"] = " wrong"
    assert trainer(base, kind(str(tmp_path), **QUIET), train_dataset=rows).counts["train"].kept == 2


def test_streamed_labels_that_are_all_equal_are_refused_at_the_end(base: Path, tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield from all_equal(1.0)

    trainer = PRMTrainer(base, config(tmp_path, max_steps=2), train_dataset=IterableDataset.from_generator(rows))
    with refused("degenerate", field="labels", names=(1,)):
        trainer.train()


def test_a_runs_training_on_one_class_leaves_no_model(base: Path, tmp_path: Path) -> None:
    problems, solutions, labels = make_world(8, "hard")
    flat = [replace(one, labels=(0.0,) * len(one.labels)) for one in labels]
    with refused("degenerate", field="labels", names=(0,)):
        train_reward_model(base, problems, solutions, flat, tmp_path / "model", TrainingSettings("hard"), 0)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("warmup", [0.05, 0.9, 1, 10])
@pytest.mark.parametrize("steps", [1, 2])
def test_a_warm_up_never_takes_all_steps(base: Path, tmp_path: Path, warmup: float, steps: int) -> None:
    """Transformers rounds a share up, and the rate of a warm-up's first step is 0."""
    args = config(tmp_path, warmup_steps=warmup, max_steps=steps, lr_scheduler_type="cosine")
    trainer = PRMTrainer(base, args, train_dataset=ROWS)
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    for name, value in trainer.model.named_parameters():
        assert not torch.equal(before[name], value), name


def test_two_kinds_of_labels_give_two_models_after_one_step(base: Path, tmp_path: Path) -> None:
    found = {}
    for kind in ("soft", "hard"):
        problems, solutions, labels = make_world(4, kind)
        settings = TrainingSettings(kind, epochs=1, batch=100)
        report = train_reward_model(base, problems, solutions, labels, tmp_path / kind, settings, 0)
        assert len(report.losses) == 1
        found[kind] = (tmp_path / kind / "model.safetensors").read_bytes()
    assert found["soft"] != found["hard"]


@pytest.mark.parametrize("kind", ["prm", "bt"])
def test_weights_that_end_where_they_began_are_refused(base: Path, tmp_path: Path, kind: Kind) -> None:
    with refused("degenerate", field="learning_rate", names=(2,)):
        trainer_of(base, tmp_path, kind, max_steps=2, learning_rate=0.0).train()


def test_a_training_that_goes_on_may_end_where_it_goes_on(base: Path, tmp_path: Path) -> None:
    trainer_of(base, tmp_path, "prm", max_steps=2, save_strategy="steps", save_steps=2).train()
    again = trainer_of(base, tmp_path, "prm", max_steps=2)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 2


def test_weights_that_the_last_step_breaks_are_refused(base: Path, tmp_path: Path) -> None:
    """Its loss is a number still; the rate is more than float32 holds."""
    trainer = trainer_of(base, tmp_path, "prm", max_steps=1, learning_rate=1e39)
    with refused("not_finite", field="learning_rate"):
        trainer.train()
    assert len(trainer.losses) == 1
