"""How right a run's step scores are, where every step can be checked: calibration, and first errors found.

A step counts as right if it and all steps before it are. The threshold below which a step is called wrong is chosen on
the validation solutions, model by model, and is then held fixed on the test solutions: ProcessBench's way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from stepward.evaluation.calibration import reliability
from stepward.evaluation.candidates import RewardModel
from stepward.evaluation.first_errors import Located, choose_threshold, first_below, locate
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
        Rows of `calibration.json`: a kind with its reliability curve, all its seeds' scores of test steps together, and
        the means over its seeds of each one's own calibration error, Brier score and AUC (None if a seed's is).
        Rows of `first-errors.json`: a model with its threshold and what it finds. A threshold can't be chosen where
        all validation solutions are right, or none is: it is None then, and what hangs on it.
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
        return curves, [_undefined(model, first["test"]) for model in models]
    return curves, [_found(model, {part: given[part][model] for part in given}, first, seed) for model in models]


def _index(error: int | None) -> int:
    return NO_ERROR if error is None else error


def _kind(model: str) -> str:
    return RewardModel.parse(model).kind


def _curve(kind: str, of_seeds: Sequence[Mapping[str, Sequence[float]]], first: Mapping[str, int]) -> dict[str, Any]:
    values: list[list[float]] = []
    targets: list[list[float]] = []
    for given in of_seeds:
        values.append([score for steps in given.values() for score in steps])
        targets.append(
            [
                float(first[solution] == NO_ERROR or at < first[solution])
                for solution, steps in given.items()
                for at in range(len(steps))
            ]
        )
    # Scores of several models are those of none: the curve shows where they all lie, the figures are each model's own.
    curve = reliability(np.concatenate(values), np.concatenate(targets))
    own = [reliability(*pair) for pair in zip(values, targets, strict=True)]
    areas = [one.auc for one in own if one.auc is not None]
    return {
        "method": kind, "seeds": len(of_seeds), "bins": asdict(curve)["bins"],
        "ece": float(np.mean([one.ece for one in own])),
        "brier": float(np.mean([one.brier for one in own])),
        "auc": float(np.mean(areas)) if len(areas) == len(own) else None,
    }  # fmt: skip


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


def _undefined(model: str, first: Mapping[str, int]) -> dict[str, Any]:
    """The row of a model without a threshold: how many solutions there are, and None for the rest."""
    named = RewardModel.parse(model)
    erring = sum(error != NO_ERROR for error in first.values())
    counts = {"part": "test", "rows": len(first), "rows_with_error": erring, "rows_without_error": len(first) - erring}
    located = dict.fromkeys(field.name for field in fields(Located)) | counts
    return {"method": named.kind, "seed": named.seed, "threshold": None, "validation_f1": None, **located}
