"""Stepward: reward models for step-by-step reasoning, from data to use.

The public names load on first use, so that `import stepward` loads neither torch nor a web server.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepward.errors import StepwardError
    from stepward.records import Problem, Scores, Solution, StepLabels, StepRollouts
    from stepward.reward_models.configs import ORMConfig, PreferenceConfig, PRMConfig
    from stepward.reward_models.hub.scorer import load_scorer
    from stepward.reward_models.scorer import Scorer, SolutionScore
    from stepward.reward_models.training.reward_trainer import PreferenceTrainer
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
    "Scores": "stepward.records",
    "PRMTrainer": "stepward.reward_models.training.step_trainers",
    "PRMConfig": "stepward.reward_models.configs",
    "ORMTrainer": "stepward.reward_models.training.step_trainers",
    "ORMConfig": "stepward.reward_models.configs",
    "PreferenceTrainer": "stepward.reward_models.training.reward_trainer",
    "PreferenceConfig": "stepward.reward_models.configs",
    "Scorer": "stepward.reward_models.scorer",
    "SolutionScore": "stepward.reward_models.scorer",
    "load_scorer": "stepward.reward_models.hub.scorer",
}

__all__ = [
    "ORMConfig",
    "ORMTrainer",
    "PRMConfig",
    "PRMTrainer",
    "PreferenceConfig",
    "PreferenceTrainer",
    "Problem",
    "Scorer",
    "Scores",
    "Solution",
    "SolutionScore",
    "StepLabels",
    "StepRollouts",
    "StepwardError",
    "load_scorer",
]


def __getattr__(name: str) -> Any:
    """Loads a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'stepward' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return [*__all__, "__version__"]
