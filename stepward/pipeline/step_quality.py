"""How right a run's step scores are, where every step can be checked: calibration, and first errors found.

A step counts as right if it and all steps before it are. The threshold below which a step is called wrong is chosen on
the validation solutions, model by model, and is then held fixed on the test solutions: ProcessBench's way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from stepward.evaluation.calibration import reliability
from stepward.evaluation.candidates import RewardModel
from stepward.evaluation.first_errors import choose_threshold, first_below, locate
from stepward.labelling.filters import NO_ERROR
from stepward.labelling.labels import Oracle
from stepward.records import Scores, Solution


def step_quality(
    solutions: Mapping[str, Sequence[Solution]], scores: Mapping[str, Sequence[Scores]], oracle: Oracle, seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Measures every reward model's step scores on distinct solutions.

    Args:
        solutions: The distinct solutions, under `validation` and `test`.
        scores: Every model's scores of them, likewise.
        oracle: Says the index of a solution's first wrong step, or None.
        seed: Decides the intervals' resamples.

    Returns:
        Rows of `calibration.json`: a kind with its reliability curve, all its seeds' scores of test steps together.
        Rows of `first-errors.json`: a model with its threshold and what it finds. A threshold can't be chosen where
        all validation solutions are right, or none is: there are no rows then.
    """
    first = {
        part: {one.id: _index(oracle(one.problem_id, one.steps)) for one in members}
        for part, members in solutions.items()
    }
    models = sorted({score.model for score in scores["test"]}, key=RewardModel.parse)
    given = {
        part: {model: {one.solution_id: one.scores for one in rows if one.model == model} for model in models}
        for part, rows in scores.items()
    }
    kinds = dict.fromkeys(RewardModel.parse(model).kind for model in models)
    curves = [_curve(kind, [given["test"][m] for m in models if _kind(m) == kind], first["test"]) for kind in kinds]
    if len({error == NO_ERROR for error in first["validation"].values()}) < 2:
        return curves, []
    return curves, [_found(model, {part: given[part][model] for part in given}, first, seed) for model in models]


def _index(error: int | None) -> int:
    return NO_ERROR if error is None else error


def _kind(model: str) -> str:
    return RewardModel.parse(model).kind


def _curve(kind: str, of_seeds: Sequence[Mapping[str, Sequence[float]]], first: Mapping[str, int]) -> dict[str, Any]:
    values: list[float] = []
    targets: list[float] = []
    for given in of_seeds:
        for solution, steps in given.items():
            error = first[solution]
            values += steps
            targets += [float(error == NO_ERROR or at < error) for at in range(len(steps))]
    return {"method": kind, "seeds": len(of_seeds), **asdict(reliability(values, targets))}


def _found(
    model: str,
    given: Mapping[str, Mapping[str, Sequence[float]]],
    first: Mapping[str, Mapping[str, int]],
    seed: int,
) -> dict[str, Any]:
    ids = {part: sorted(members) for part, members in first.items()}
    truth = {part: np.array([first[part][id_] for id_ in ids[part]], dtype=np.int64) for part in ids}
    scored = {part: [given[part][id_] for id_ in ids[part]] for part in ids}
    threshold, on_validation = choose_threshold(scored["validation"], truth["validation"].tolist())
    located = asdict(locate("test", first_below(scored["test"], threshold), truth["test"], seed))
    named = RewardModel.parse(model)
    return {
        "method": named.kind, "seed": named.seed, "threshold": threshold, "validation_f1": on_validation, **located,
    }  # fmt: skip
