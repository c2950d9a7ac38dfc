"""Every format by its name, and which of them a row looks like."""

import difflib
from pathlib import Path

from stepward.errors import StepwardError
from stepward.formats.base import Fields, Format
from stepward.formats.benchmarks import big_bench_mistake, prmbench, processbench, scan
from stepward.formats.preferences import hh_rlhf, trl_preference
from stepward.formats.problems import gsm8k, gsm8k_solutions, math
from stepward.formats.step_labels import (
    er_prm,
    llama_factory,
    math_shepherd,
    omegaprm,
    omegaprm_tree,
    prm800k,
    rlhflow_orm,
    rlhflow_prm,
    stepward_run,
    trl_stepwise,
)
from stepward.formats.step_labels import stepward as own

_MODULES = (
    own,
    stepward_run,
    math_shepherd,
    er_prm,
    rlhflow_prm,
    rlhflow_orm,
    omegaprm,
    omegaprm_tree,
    prm800k,
    trl_stepwise,
    processbench,
    prmbench,
    big_bench_mistake,
    scan,
    gsm8k_solutions,
    llama_factory,
    hh_rlhf,
    trl_preference,
    gsm8k,
    math,
)

FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in _MODULES}
"""In the order in which a row is held against them: the more telling fields first."""


def named(name: str) -> Format:
    """The format of that name.

    Raises:
        StepwardError: There is none.
    """
    if name not in FORMATS:
        near = difflib.get_close_matches(name, FORMATS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise StepwardError(
            f"unknown format {name!r}; expected one of {', '.join(FORMATS)}{hint}", code="unknown_name", field="format"
        )
    return FORMATS[name]


def guess_source(source: Path | str) -> Format | None:
    """The format that a source is of as a whole, whatever its rows, or None."""
    return stepward_run.FORMAT if stepward_run.is_run(source) else None


def guess(fields: Fields) -> Format | None:
    """The first format that a row looks like one of, or None."""
    return next((one for one in FORMATS.values() if one.matches(fields)), None)
