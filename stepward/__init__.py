"""Stepward: reward models for step-by-step reasoning, from data to use.

The public names load on first use, so that `import stepward` loads neither torch nor a web server.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepward.answer_extraction import extract_answer
    from stepward.errors import StepwardError
    from stepward.evaluation.score_files.evaluate import evaluate_scores
    from stepward.formats.convert import convert
    from stepward.formats.reader import read
    from stepward.formats.writer import write
    from stepward.grading.grade import grade
    from stepward.labeling.labels import compute_labels
    from stepward.pipeline.runner import run_recipe
    from stepward.records import LabelledSolution, Preference, Problem, Scores, Solution, StepLabels, StepRollouts
    from stepward.reward_models.configs import ORMConfig, PRMConfig, RewardConfig
    from stepward.reward_models.hub.scorer import load_scorer
    from stepward.reward_models.scorer import Scorer, SolutionScore
    from stepward.reward_models.training.reward_trainer import RewardTrainer
    from stepward.reward_models.training.step_trainers import ORMTrainer, PRMTrainer

__version__ = "0.1.0"

if os.name != "posix":
    raise ImportError(
        "Stepward runs on Linux and macOS: its locks and worker processes are POSIX's. On Windows, use WSL."
    )

_HOMES = {
    "StepwardError": "stepward.errors",
    "Problem": "stepward.records",
    "Solution": "stepward.records",
    "StepRollouts": "stepward.records",
    "StepLabels": "stepward.records",
    "LabelledSolution": "stepward.records",
    "Preference": "stepward.records",
    "Scores": "stepward.records",
    "PRMTrainer": "stepward.reward_models.training.step_trainers",
    "ORMTrainer": "stepward.reward_models.training.step_trainers",
    "PRMConfig": "stepward.reward_models.configs",
    "ORMConfig": "stepward.reward_models.configs",
    "RewardConfig": "stepward.reward_models.configs",
    "RewardTrainer": "stepward.reward_models.training.reward_trainer",
    "Scorer": "stepward.reward_models.scorer",
    "SolutionScore": "stepward.reward_models.scorer",
    "load_scorer": "stepward.reward_models.hub.scorer",
    "grade": "stepward.grading.grade",
    "extract_answer": "stepward.answer_extraction",
    "read": "stepward.formats.reader",
    "write": "stepward.formats.writer",
    "convert": "stepward.formats.convert",
    "run_recipe": "stepward.pipeline.runner",
    "evaluate_scores": "stepward.evaluation.score_files.evaluate",
    "compute_labels": "stepward.labeling.labels",
}

__all__ = [
    "LabelledSolution",
    "ORMConfig",
    "ORMTrainer",
    "PRMConfig",
    "PRMTrainer",
    "Preference",
    "Problem",
    "RewardConfig",
    "RewardTrainer",
    "Scorer",
    "Scores",
    "Solution",
    "SolutionScore",
    "StepLabels",
    "StepRollouts",
    "StepwardError",
    "compute_labels",
    "convert",
    "evaluate_scores",
    "extract_answer",
    "grade",
    "load_scorer",
    "read",
    "run_recipe",
    "write",
]


def __getattr__(name: str) -> Any:
    """Loads a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'stepward' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return [*__all__, "__version__"]
