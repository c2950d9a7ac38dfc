"""Which GPUs this process may use, and how its workers share them out: one worker a GPU, unless asked otherwise."""

import ctypes
import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from stepward.errors import StepwardError

VARIABLE = "CUDA_VISIBLE_DEVICES"
_MIG = "MIG-"


def visible_gpus() -> list[str]:
    """The GPUs that this process sees, each by the name under which a child process sees it alone.

    These are the names that `CUDA_VISIBLE_DEVICES` gives, numbers, UUIDs or those of MIG's parts, up to the first that
    is none, as CUDA reads it; their numbers where it is not set.
    """
    said = os.environ.get(VARIABLE)
    if said == "" or not _has_driver():
        return []
    import torch

    count = torch.cuda.device_count()
    if said is None:
        return [str(number) for number in range(count)]
    names = [name.strip() for name in said.split(",")]
    if count and names[0].startswith(_MIG):
        return list(takewhile(lambda name: name.startswith(_MIG), names))  # a process sees one of them, and counts one
    return names[:count]


def seats(gpus: Sequence[str], workers: int | None, each: float | None, otherwise: int) -> list[str | None]:
    """The GPUs of each worker, as `CUDA_VISIBLE_DEVICES` names them; None leaves a worker what its parent sees.

    Args:
        gpus: As `visible_gpus` gives them.
        workers: How many are wanted; as many as the GPUs have room for if not given.
        each: GPUs of each worker: a part of one lets workers share it, 0 keeps them on the CPU; 1 if not given.
        otherwise: Workers where no GPU bounds their number.

    Raises:
        StepwardError: There are fewer GPUs than that takes.
    """
    if each == 0:
        return [""] * (workers or otherwise)
    if not gpus:
        if each is not None:
            raise StepwardError(
                f"--gpus-a-worker {each:g}: no GPU is visible to this process", code="conflict", field="--gpus-a-worker"
            )
        return [None] * (workers or otherwise)
    room = _seats(gpus, 1.0 if each is None else each)
    if not room or len(room) < (workers or 1):
        asked = "" if workers is None else f"--workers {workers}: "
        raise StepwardError(
            f"{asked}{len(gpus)} GPUs are visible to this process, and a worker takes {each or 1:g} of them, so there "
            f"is room for {len(room)} workers. Give fewer, let workers share a GPU (--gpus-a-worker 0.5) or keep them "
            "on the CPU (--gpus-a-worker 0)",
            code="conflict", field="--workers" if workers else "--gpus-a-worker",
        )  # fmt: skip
    return list(room[:workers])


def _seats(gpus: Sequence[str], each: float) -> list[str]:
    if each < 1:
        return [*gpus] * int(1 / each + 1e-9)
    if each != int(each):
        raise StepwardError(
            f"--gpus-a-worker {each:g}: expected a whole number, or a part of one GPU",
            code="bad_value",
            field="--gpus-a-worker",
        )
    size = int(each)
    return [",".join(gpus[start : start + size]) for start in range(0, len(gpus) - size + 1, size)]


def _has_driver() -> bool:
    """Whether a GPU's driver is there at all; without one torch, which takes seconds to load, is not asked."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()  # AMD's
    return True
