"""Puts other weights of the same architecture into a loaded model, whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from stepward.errors import StepwardError
from stepward.models import load_causal_lm

Weights = Mapping[str, torch.Tensor] | str | Path
"""A state dict, or a transformers model folder."""

_NOT_SHAPE = ("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version")


def put_weights(model: Any, weights: Weights) -> None:
    """Copies weights into a model, in its own dtype and on its own device.

    Raises:
        StepwardError: They are another model's: its architecture differs, or a weight is lacking, is not the model's,
            or has another shape. The model is left as it was.
    """
    if isinstance(weights, str | Path):
        other = load_causal_lm(weights)
        _check_same(weights, model.config, other.config)
        named: Mapping[str, torch.Tensor] = other.state_dict()
    else:
        named = weights
    own = model.state_dict()
    # A saved model has a tied weight once; in memory it stands under both names.
    places = {name: tensor.data_ptr() for name, tensor in own.items()}
    given = {places[name] for name in named if name in places}
    lacking = [name for name in own if name not in named and places[name] not in given]
    strange = [name for name in named if name not in own]
    wrong = [name for name in named if name in own and named[name].shape != own[name].shape]
    for names, what in ((lacking, "is lacking"), (strange, "is not the model's"), (wrong, "has another shape")):
        if names:
            more = f", and {len(names) - 1} more" if len(names) > 1 else ""
            raise StepwardError(
                f"weights: {names[0]} {what}{more}; expected those of the model that is loaded",
                code="mismatch",
                field=names[0],
            )
    with torch.no_grad():
        for name, tensor in named.items():
            own[name].copy_(tensor)


def _check_same(folder: str | Path, config: Any, other: Any) -> None:
    ours, theirs = config.to_dict(), other.to_dict()
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in _NOT_SHAPE and ours.get(name) != theirs.get(name):
            raise StepwardError(
                f"{folder}: {name} of its config.json is {theirs.get(name)!r}, and that of the loaded model "
                f"{ours.get(name)!r}: expected the same model with other weights",
                code="mismatch",
                file=folder,
                field=name,
            )
