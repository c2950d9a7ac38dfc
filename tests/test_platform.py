"""Where Stepward runs, and what it says elsewhere."""

import importlib.util
import os
import tomllib
from pathlib import Path

import psutil
import pytest
import torch
from typer.testing import CliRunner

import stepward
from stepward.cli import app
from stepward.generation.local import engine as local


def test_windows_is_refused_by_one_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks, signals and worker processes are POSIX's: better said at once than by the first that is missing."""
    spec = importlib.util.spec_from_file_location("stepward_elsewhere", Path(stepward.__file__))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        with pytest.raises(ImportError) as raised:
            spec.loader.exec_module(module)
    assert "Windows" in str(raised.value) and "WSL" in str(raised.value)
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    systems = {one for one in project["classifiers"] if one.startswith("Operating System")}
    assert systems == {"Operating System :: POSIX :: Linux", "Operating System :: MacOS"}


def test_the_version_is_an_option_and_a_verb() -> None:
    for words in (["--version"],):
        ended = CliRunner().invoke(app, words)
        assert (ended.exit_code, ended.output) == (0, f"{stepward.__version__}\n")


def test_free_memory_is_asked_where_there_is_no_sysconf(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has no SC_AVPHYS_PAGES, and Linux's leaves out what its caches would give back."""

    class Memory:
        available = 4 * 2**30

    monkeypatch.setattr(os, "sysconf", lambda name: pytest.fail(f"{name} is not there on macOS"))
    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    assert local._bytes(None, torch.device("cpu")) == 2**30
    Memory.available = 400 * 2**30
    assert local._bytes(None, torch.device("cpu")) == 2 * 2**30
