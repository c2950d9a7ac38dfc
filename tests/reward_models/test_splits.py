"""Loss and gradient are the same however a batch is split, laid out and spread: to 1e-5 of the largest gradient."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_world import save_base
from trained import KINDS, Kind, gradients, metrics

HERE = Path(__file__).parent
FAST: tuple[Kind, ...] = ("prm", "bt")
"""Kinds that every change trains in each layout, and by two processes; the others are slow."""

SPLITS = [(8, 1), (2, 4), (1, 8)]
LAID = {
    "tree": {},
    "mask": {"attention": "mask"},
    "flat": {"pack": "flat"},
    "restarts": {"pack": "flat", "attention": "restarts"},
    "padded": {"pack": "padded"},
    "checkpointed": {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}},
    "ungrouped": {"group_by_prompt": False},
}


@pytest.fixture(scope="module")
def reference(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What 8 x 1 padded gives, the way everybody trains."""
    folder = tmp_path_factory.mktemp("reference")
    return {kind: gradients(base, folder / kind, kind, 8, 1, pack="padded") for kind in KINDS}


def check(found: tuple[float, dict[str, torch.Tensor]], expected: tuple[float, dict[str, torch.Tensor]]) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    largest = max(float(value.abs().max()) for value in expected[1].values())
    assert largest > 1e-3, "there is something to compare"
    for name, value in expected[1].items():
        assert float((found[1][name] - value).abs().max()) <= 1e-5 * largest, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "passes"), SPLITS)
def test_rows_and_accumulation(
    base: Path, tmp_path: Path, reference: dict[str, Any], kind: Kind, rows: int, passes: int
) -> None:
    check(gradients(base, tmp_path, kind, rows, passes), reference[kind])


@pytest.mark.parametrize(
    ("laid", "kind"),
    [
        pytest.param(laid, kind, marks=() if laid == "tree" or kind in FAST else pytest.mark.slow)
        for laid in LAID
        for kind in KINDS
    ],
)
def test_layouts(base: Path, tmp_path: Path, reference: dict[str, Any], kind: Kind, laid: str) -> None:
    check(gradients(base, tmp_path, kind, 4, 2, **LAID[laid]), reference[kind])


def test_fewer_tokens_are_computed_where_rows_share_them(base: Path, tmp_path: Path) -> None:
    """Guards the test above: the layouts really differ."""
    folder = save_base(tmp_path / "base")
    assert gradients(folder, tmp_path / "tree", "prm", 8, 1, tell=True) < gradients(
        folder, tmp_path / "flat", "prm", 8, 1, tell=True, pack="flat"
    )


LANES = [FAST, pytest.param(tuple(kind for kind in KINDS if kind not in FAST), marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=LANES, ids=["fast", "slow"])
def by_two(request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what two processes found."""
    folder = tmp_path_factory.mktemp("two")
    script = f"from trained import two_processes; two_processes({str(base)!r}, {str(folder)!r}, {request.param!r})"
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_two_processes(by_two: Path, reference: dict[str, Any]) -> None:
    found = torch.load(by_two / "found.pt", weights_only=True)
    assert found
    for (kind, _), gradient in found.items():
        check(gradient, reference[kind])


def test_two_processes_evaluate_as_one_does(base: Path, tmp_path: Path, by_two: Path) -> None:
    evaluated = torch.load(by_two / "metrics.pt", weights_only=True)
    assert evaluated
    for (kind, _), found in evaluated.items():
        expected = metrics(base, tmp_path, kind)
        assert {"eval_loss", "eval_pair_accuracy" if kind == "bt" else "eval_best_of_n_last"} <= set(expected)
        assert found == pytest.approx(expected, rel=1e-5)
