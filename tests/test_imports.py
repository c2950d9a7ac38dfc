"""Importing is light: neither torch nor a web server nor a plotting library, and every public name is there."""

import subprocess
import sys

import pytest

import stepward

HEAVY = ("torch", "transformers", "matplotlib", "fastapi", "jinja2", "sympy", "math_verify", "datasets", "datasketch")
LIGHT = (
    "stepward",
    "stepward.cli",
    "stepward.grading",
    "stepward.formats",
    "stepward.curation.dedup.overlap",
    "stepward.labeling.labels",
    "stepward.labeling.rollouts.sampling",
    "stepward.evaluation.best_of_n.evaluate",
    "stepward.problems.files",
    "stepward.problems.arithmetic.dataset",
    "stepward.solutions",
    "stepward.recipes.loading",
    "stepward.pipeline.runner",
    "stepward.pipeline.stages.tasks",
    "stepward.storage.parquet",
    "stepward.storage.manifest",
)


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (ended.stdout.strip(), ended.stderr) == ("[]", "")


def test_every_public_name_is_there() -> None:
    assert stepward.__all__ == sorted(stepward.__all__)
    assert {getattr(stepward, name).__name__ for name in stepward.__all__} == set(stepward.__all__)
    assert set(stepward.__all__) <= set(dir(stepward))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        stepward.nothing  # noqa: B018


def test_python_m_stepward_is_stepward() -> None:
    ended = subprocess.run([sys.executable, "-m", "stepward", "--version"], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, stepward.__version__, "")
