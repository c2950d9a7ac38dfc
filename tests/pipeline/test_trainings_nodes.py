"""Trainings over several machines: who makes the data, who waits, and what is said where they don't see each other."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from raising import refused
from rich.console import Console

from stepward.pipeline.training import train as training
from stepward.pipeline.training.sweep import _keeps
from stepward.recipes.training import training_from

# Two processes that believe to be on two machines of one process each; the first takes its time to make the data.
PROCESS = """
import json, os, sys, time
from pathlib import Path
from rich.console import Console
from stepward.pipeline.training import train as training
from stepward.pipeline.training.options import checked
from stepward.pipeline.training.dataset import Loaded
from stepward.recipes.training import training_from

out, each, rank = Path(sys.argv[1]), sys.argv[2] == "each", os.environ["RANK"]
folder = out / rank if each else out / "shared"

def make_run(recipe, where, console):
    while not (out / "late").exists():
        time.sleep(0.05)
    time.sleep(1)
    where.mkdir()
    (where / "made").write_text(rank)

def load_rows(recipe, run):
    seen = (run / "made").read_text() if (run / "made").exists() else None
    (out / f"seen-{rank}.json").write_text(json.dumps(seen))
    raise SystemExit

training.make_run, training.load_rows = make_run, load_rows
if rank == "1" or each:
    (out / "late").touch()
content = {"name": "x", "kind": "prm", "model": "embedded", "data": {"run": {}}}
content["config"] = {"use_cpu": True, "save_on_each_node": each}
training.train(checked(training_from(content, "here")), folder, Console(quiet=True))
"""


def seen(folder: Path, storage: str) -> list[Any]:
    """What each process found of the data that were to be made."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    nodes = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(folder), storage],
            env={**os.environ, **nodes, "RANK": rank, "GROUP_RANK": rank, "MASTER_PORT": port},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    said = [process.communicate()[1] for process in processes]
    found = [folder / f"seen-{rank}.json" for rank in "01"]
    assert all(path.exists() for path in found), said
    return [json.loads(path.read_text()) for path in found]


@pytest.mark.parametrize("each", [False, True])
def test_machines_wait_for_each_other_but_where_each_keeps_its_own(
    each: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asked(Exception):
        pass

    def first(local: bool = True, desc: str = "") -> Any:
        raise Asked(local)

    config = SimpleNamespace(
        max_steps=1, process_index=0, should_save=True, save_on_each_node=each, main_process_first=first
    )
    monkeypatch.setattr(training, "make_config", lambda *_: config)
    recipe = training_from({"name": "x", "kind": "prm", "model": "embedded", "data": {"train": "arithmetic"}}, "here")
    with pytest.raises(Asked) as asked:
        training.train(recipe, tmp_path, Console(quiet=True))
    assert asked.value.args == (each,)


@pytest.mark.slow
def test_a_second_machine_waits_for_what_the_first_makes(tmp_path: Path) -> None:
    assert seen(tmp_path, "shared") == ["0", "0"]


@pytest.mark.slow
def test_machines_that_share_nothing_make_their_own(tmp_path: Path) -> None:
    assert seen(tmp_path, "each") == ["0", "1"]


def test_a_folder_that_the_other_machine_does_not_show_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "PATIENCE", 0.0)
    with refused("file_not_found", file=tmp_path / "a", names=("save_on_each_node", "--out")):
        training._need_seen(tmp_path / "a")
    (tmp_path / "manifest.json").touch()
    training._need_seen(tmp_path)


def test_processes_that_read_other_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    class Config:
        world_size = 2

    def gather(found: list[str], mine: str) -> None:
        found[:] = [mine, others]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    others = "another"
    with refused("mismatch", file="rows.jsonl", names=(1,)):
        training._need_same(Config, [{"prompt": "a"}], "rows.jsonl")
    monkeypatch.setattr(
        torch.distributed, "all_gather_object", lambda found, mine: found.__setitem__(slice(2), [mine] * 2)
    )
    training._need_same(Config, [{"prompt": "a"}], "rows.jsonl")


@pytest.mark.parametrize(
    ("rank", "local", "each", "keeps"),
    [("0", "0", False, True), ("4", "0", False, False), ("4", "0", True, True), ("5", "1", True, False)],
)
def test_of_a_grid_one_process_keeps_the_books(
    monkeypatch: pytest.MonkeyPatch, rank: str, local: str, each: bool, keeps: bool
) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("LOCAL_RANK", local)
    content = {"name": "x", "kind": "prm", "model": "m", "data": {"train": "x"}, "config": {"save_on_each_node": each}}
    assert _keeps(training_from(content, "here")) == keeps
