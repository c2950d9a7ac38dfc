"""Where a training goes on: which checkpoint is meant, and the losses of the steps before it."""

import json
from pathlib import Path

from transformers.trainer_utils import get_last_checkpoint

from stepward.errors import StepwardError

LOSSES = "stepward_losses.json"
"""A checkpoint's file with the loss of each step so far: transformers keeps those that were logged alone."""


def checkpoint_of(asked: str | Path | bool | None, folder: str) -> Path | None:
    """The checkpoint that a training goes on from; None for a training from the start.

    Args:
        asked: A checkpoint's folder, or True for the last one of the training's folder.
        folder: The training's.

    Raises:
        StepwardError: The last one is asked for, and there is none.
    """
    if asked is not True:
        return Path(asked) if asked else None
    last = get_last_checkpoint(folder) if Path(folder).is_dir() else None
    if last is None:
        raise StepwardError(
            f"{folder} has no checkpoint to go on from: leave resume_from_checkpoint out, or give a checkpoint's",
            code="file_not_found",
            file=folder,
            field="resume_from_checkpoint",
        )
    return Path(last)


def write_losses(losses: list[float], checkpoint: Path) -> None:
    """Writes the losses into a checkpoint's folder."""
    checkpoint.mkdir(parents=True, exist_ok=True)
    (checkpoint / LOSSES).write_text(json.dumps(losses, allow_nan=False) + "\n", encoding="utf-8")


def read_losses(checkpoint: Path) -> list[float]:
    """The losses of the steps up to a checkpoint, in nats.

    Raises:
        StepwardError: The checkpoint has none that can be read.
    """
    path = checkpoint / LOSSES
    try:
        return [float(loss) for loss in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise StepwardError(
            f"{path} can't be read ({error}): go on from another checkpoint", code="unreadable", file=path
        ) from None
