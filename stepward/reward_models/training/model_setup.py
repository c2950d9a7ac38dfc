"""What the trainers take from a model that they are given: its tokenizer, its longest sequence, its dropout."""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from stepward.errors import StepwardError
from stepward.hub import PREFIX
from stepward.models import load_tokenizer
from stepward.reward_models.training.peft import base_of


def longest_of(model: PreTrainedModel, most: int | None) -> int:
    """The most tokens of a sequence: what is asked for, bounded by the model's positions."""
    positions = getattr(model.config, "max_position_embeddings", None)
    return min(bound for bound in (most, positions, 2**31) if bound is not None)


def loaded_from(model: PreTrainedModel) -> str:
    """Where a model was loaded from, with the commit where that is the hub; its class, where it doesn't say."""
    name, commit = model.config._name_or_path, getattr(model.config, "_commit_hash", None)
    if name and commit and not Path(name).exists():
        return f"{PREFIX}{name}@{commit}"
    return str(name or type(model).__name__)


def tokenizer_of(model: Any) -> Any:
    """The tokenizer of a model, or of a model's name.

    Raises:
        StepwardError: The model doesn't say where it is.
    """
    name = model if isinstance(model, str | Path) else base_of(model).config._name_or_path
    if not name:
        raise StepwardError(
            "the model doesn't say where its tokenizer is: give processing_class",
            code="missing",
            field="processing_class",
        )
    return load_tokenizer(name)


def disable_dropout(model: torch.nn.Module) -> None:
    """Sets all dropout of a model to 0."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0  # type: ignore[assignment]
