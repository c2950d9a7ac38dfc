"""Stepward: reward models for step-by-step reasoning, from data to use.

The public names load on first use, so that `import stepward` loads neither torch nor a web server.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepward.errors import StepwardError
    from stepward.records import Problem, Scores, Solution, StepLabels, StepRollouts
    from stepward.rewards.configs import ORMConfig, PreferenceConfig, PRMConfig
    from stepward.rewards.hub_scorer import load_scorer
    from stepward.rewards.preference import PreferenceTrainer
    from stepward.rewards.scorer import Scorer, SolutionScore
    from stepward.rewards.stepwise import ORMTrainer, PRMTrainer

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
    "PRMTrainer": "stepward.rewards.stepwise",
    "PRMConfig": "stepward.rewards.configs",
    "ORMTrainer": "stepward.rewards.stepwise",
    "ORMConfig": "stepward.rewards.configs",
    "PreferenceTrainer": "stepward.rewards.preference",
    "PreferenceConfig": "stepward.rewards.configs",
    "Scorer": "stepward.rewards.scorer",
    "SolutionScore": "stepward.rewards.scorer",
    "load_scorer": "stepward.rewards.hub_scorer",
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
