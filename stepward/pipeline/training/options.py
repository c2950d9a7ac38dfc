"""A training recipe's options as the trainer's config: each is known, of its type, and named where it is not.

The config classes are transformers' dataclasses, which check no types: a YAML `1e-6`, which is text to YAML, would be
found out by the optimiser, after the data are tokenised.
"""

import dataclasses
import difflib
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepward.errors import StepwardError
from stepward.recipes.training import TrainingRecipe

if TYPE_CHECKING:
    from stepward.reward_models.configs import BaseRewardConfig

RENAMED = {
    "evaluation_strategy": "eval_strategy",
    "warmup_ratio": "warmup_steps (below 1 it is a share of the steps)",
    "max_prompt_length": "max_length and max_completion_length",
    "group_by_length": "nothing: batches are balanced by length as it is",
    "gradient_accumulation": "gradient_accumulation_steps",
    "batch_size": "per_device_train_batch_size",
    "epochs": "num_train_epochs",
}
"""Names that other versions and people use, and what to say instead."""


def config_class(kind: str) -> "type[BaseRewardConfig]":
    """The config class of a kind of reward model."""
    from stepward.reward_models.configs import ORMConfig, PRMConfig, RewardConfig

    return {"prm": PRMConfig, "orm": ORMConfig, "bt": RewardConfig}[kind]


def trainer_class(kind: str) -> Callable[..., Any]:
    """The trainer of a kind of reward model."""
    from stepward.reward_models.training.reward_trainer import RewardTrainer
    from stepward.reward_models.training.step_trainers import ORMTrainer, PRMTrainer

    return {"prm": PRMTrainer, "orm": ORMTrainer, "bt": RewardTrainer}[kind]


def checked(recipe: TrainingRecipe) -> TrainingRecipe:
    """The recipe with every option, and every value of its grid, of its type.

    Raises:
        StepwardError: An option that there is none of, with the nearest; or a value of another type.
    """
    options = checked_options(recipe.kind, recipe.config)
    grid = {name: [_of_grid(recipe, name, value) for value in values] for name, values in recipe.grid.items()}
    for name, values in grid.items():
        if len({str(value) for value in values}) < len(values):
            raise StepwardError(
                f"grid.{name}: a value stands twice in {values}", code="duplicate", field=f"grid.{name}"
            )
    return recipe.model_copy(update={"config": options, "grid": grid})


def checked_options(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of their types.

    Raises:
        StepwardError: An option that there is none of, with the nearest; or a value of another type.
    """
    known = _types(kind)
    return {name: _typed(name, value, _known(name, known)) for name, value in options.items()}


def make_config(recipe: TrainingRecipe, folder: Path, evaluates: bool, **changes: Any) -> "BaseRewardConfig":
    """The trainer's config, writing its checkpoints into a folder.

    Where the recipe doesn't say otherwise there are no reports to anyone, no bars of tqdm's, and an evaluation each
    epoch where there are data for it.

    Raises:
        StepwardError: An option that makes no sense; says which.
    """
    import torch

    options = {
        "report_to": "none",
        "dataloader_pin_memory": torch.cuda.is_available(),
        "disable_tqdm": True,
        "eval_strategy": "epoch" if evaluates else "no",
        **checked_options(recipe.kind, recipe.config),
        **changes,
        "output_dir": str(folder),
    }
    if not evaluates:
        options["eval_strategy"] = "no"
    try:
        return config_class(recipe.kind)(**options)
    except (ValueError, ImportError, TypeError) as error:
        raise StepwardError(
            f"the options can't be used: {' '.join(str(error).split())}", code="bad_value", field="config"
        ) from error


def _of_grid(recipe: TrainingRecipe, name: str, value: Any) -> Any:
    """A grid's value, of its type; what is no option of the trainer is checked by the recipe's schema."""
    if name == "eta" or name.split(".")[0] in TrainingRecipe.model_fields:
        recipe.with_values({name: value})
        return float(value) if name == "eta" else value
    known = _types(recipe.kind)
    return _typed(name, value, _known(name.removeprefix("config."), known))


def _types(kind: str) -> dict[str, Any]:
    """The type of each option."""
    config = config_class(kind)
    hints = typing.get_type_hints(config)
    return {field.name: hints[field.name] for field in dataclasses.fields(config) if field.init}


def _known(name: str, known: Mapping[str, Any]) -> Any:
    if name in known:
        return known[name]
    if name in RENAMED:
        raise StepwardError(f"unknown option {name}: say {RENAMED[name]}", code="unknown_name", field=name)
    close = difflib.get_close_matches(name, [*known, *TrainingRecipe.model_fields], n=1)
    near = f"; did you mean {close[0]}?" if close else "; see docs/training.md for the names"
    raise StepwardError(f"unknown option {name}{near}", code="unknown_name", field=name)


def _typed(name: str, value: Any, kind: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    if typing.get_origin(kind) is tuple and isinstance(value, str):
        value = value.split(",")  # so that label_tokens=+,- needs no brackets or quotes in a shell
    if kind is bool and not isinstance(value, bool):
        raise StepwardError(f"option {name} is {value!r}: expected true or false", code="wrong_type", field=name)
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        expected = "; or ".join(dict.fromkeys(problem["msg"] for problem in error.errors()))
        raise StepwardError(
            f"option {name} is {value!r}: {expected[0].lower() + expected[1:]}", code="wrong_type", field=name
        ) from error
