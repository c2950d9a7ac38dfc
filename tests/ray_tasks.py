"""Tasks for Ray's workers, which import them by this name: the tests' folder is on their path."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.storage.files import atomic_write


def write(unit: str, folder: Path) -> dict[str, Any]:
    """Works: writes the unit's name, and tells who did."""
    import torch

    path = folder / f"{unit}.txt"
    with atomic_write(path) as file:
        file.write(unit.encode())
    return {"path": path, "process": os.getpid(), "threads": torch.get_num_threads(), "cwd": os.getcwd()}


def refuse(unit: str, folder: Path) -> dict[str, Any]:
    """Meets a user's mistake."""
    raise StepwardError(f"{unit}: row 3: mend it", code="bad_value", row=3, field=unit)


def stumble(unit: str, folder: Path) -> dict[str, Any]:
    """Has a bug."""
    raise ZeroDivisionError("a bug of the task")


def die_once(unit: str, folder: Path) -> dict[str, Any]:
    """Is killed in the middle of unit `b` when that is first done."""
    died = folder / "died"
    if unit == "b" and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return write(unit, folder)


def die(unit: str, folder: Path) -> dict[str, Any]:
    """Is always killed at unit `b`."""
    if unit == "b":
        os.kill(os.getpid(), signal.SIGKILL)
    return write(unit, folder)


def linger(unit: str, folder: Path) -> dict[str, Any]:
    """Tells who does it, and takes long, but for the unit `quick`."""
    (folder / unit).write_text(str(os.getpid()))
    if unit != "quick":
        time.sleep(300)
    return {}
