"""Workers take the GPUs that this process was given, by their own names, and one each."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from raising import refused
from rich.console import Console

from stepward.generation.local import engine as local
from stepward.pipeline.training import sweep as training_grid
from stepward.pipeline.workers import gpus
from stepward.pipeline.workers.gpus import seats, visible_gpus
from stepward.pipeline.workers.local import Workers

PATIENCE = 300.0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine on which torch counts so many GPUs, and a CUDA_VISIBLE_DEVICES that may not be set."""

    def make(count: int, named: str | None) -> None:
        monkeypatch.setattr(gpus, "_has_driver", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        if named is None:
            monkeypatch.delenv(gpus.VARIABLE, raising=False)
        else:
            monkeypatch.setenv(gpus.VARIABLE, named)

    return make


@pytest.mark.parametrize(
    ("count", "named", "found"),
    [
        (3, None, ["0", "1", "2"]),
        (2, "4,5", ["4", "5"]),
        (2, "5, 4", ["5", "4"]),
        (1, "7,-1,6", ["7"]),
        (2, "GPU-8932f937,GPU-d7ab", ["GPU-8932f937", "GPU-d7ab"]),
        (1, "MIG-a1/1/0,MIG-a1/2/0", ["MIG-a1/1/0", "MIG-a1/2/0"]),
        (0, "MIG-a1/1/0", []),
        (8, "", []),
        (0, None, []),
    ],
)
def test_gpus_have_the_names_that_this_process_was_given(
    machine: Any, count: int, named: str | None, found: list[str]
) -> None:
    machine(count, named)
    assert visible_gpus() == found


def test_no_driver_is_no_gpu_and_torch_is_not_asked(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(2, None)
    monkeypatch.setattr(gpus, "_has_driver", lambda: False)
    assert visible_gpus() == []


def test_a_worker_has_a_gpu_of_its_own_unless_asked_otherwise() -> None:
    two = ["4", "5"]
    assert seats(two, None, None, 8) == seats(two, 2, None, 8) == ["4", "5"]
    assert seats(two, 1, None, 8) == ["4"]
    assert seats(two, None, 0.5, 8) == ["4", "5", "4", "5"]
    assert seats(two, 3, 0.5, 8) == ["4", "5", "4"]
    assert seats(two, None, 2, 8) == ["4,5"]
    assert seats(two, None, 0, 8) == [""] * 8 and seats([], 2, 0, 8) == ["", ""]
    assert seats([], None, None, 8) == [None] * 8 and seats([], 3, None, 8) == [None] * 3


def test_more_workers_than_there_is_room_for_are_refused() -> None:
    with refused("conflict", field="--workers", names=(3, 2)):
        seats(["4", "5"], 3, None, 8)
    with refused("conflict", field="--gpus-a-worker", names=(3, 2)):
        seats(["4", "5"], None, 3, 8)
    with refused("conflict", field="--gpus-a-worker", names=(0.5,)):
        seats([], 2, 0.5, 8)
    with refused("bad_value", field="--gpus-a-worker", names=(1.5,)):
        seats(["4", "5"], None, 1.5, 8)


def see(unit: str, folder: Path, together: int) -> dict[str, Any]:
    """Says which GPUs its process sees, once so many processes are at work."""
    (folder / f"{os.getpid()}").touch()
    end = time.monotonic() + PATIENCE
    while len(list(folder.iterdir())) < together and time.monotonic() < end:
        time.sleep(0.01)
    return {"sees": os.environ.get(gpus.VARIABLE), "share": os.environ.get(local.GPU_SHARE)}


def test_local_workers_see_a_gpu_each(machine: Any, tmp_path: Path) -> None:
    machine(2, "4,5")
    with Workers(None) as workers:
        seen = [facts["sees"] for _, facts in workers.run(see, ["a", "b"], tmp_path, 2)]
    assert sorted(seen) == ["4", "5"]
    with refused("conflict", field="--workers"), Workers(3) as workers:
        list(workers.run(see, ["a"], tmp_path, 1))


@pytest.mark.slow
def test_a_grids_workers_do_too(machine: Any, tmp_path: Path) -> None:
    machine(2, "GPU-8932f937,GPU-d7ab")
    spread = training_grid._runner(2, None, False, Console(quiet=True))
    assert sorted(facts["sees"] for _, facts in spread(see, ["a", "b"], tmp_path, 2)) == ["GPU-8932f937", "GPU-d7ab"]
    with refused("conflict", field="--workers", names=(3, 2)):
        list(training_grid._runner(3, None, False, Console(quiet=True))(see, ["a"], tmp_path, 1))


@pytest.mark.slow
def test_workers_that_share_a_gpu_share_its_memory(
    machine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(1, None)
    with Workers(1, gpus=0.5) as workers:
        ((_, facts),) = workers.run(see, ["a"], tmp_path, 1)
    assert facts == {"sees": "0", "share": "0.5"}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    assert local._bytes(None, torch.device("cuda")) == 600
    monkeypatch.setenv(local.GPU_SHARE, "0.5")
    assert local._bytes(None, torch.device("cuda")) == 300
