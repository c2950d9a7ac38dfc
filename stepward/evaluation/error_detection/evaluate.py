"""Everything that is measured of predictions on a benchmark of wrong steps, put together.

Which figure is a benchmark's own: ProcessBench the first-error F1 by part with its macro mean, PRMBench the PRMScore by
category and of all steps, BIG-Bench-Mistake the accuracy of the mistake's location. The others are given beside it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.error_detection.benchmarks import PRMBENCH, PROCESSBENCH, ErrorBenchmark
from stepward.evaluation.error_detection.first_error import (
    UNREAD,
    CorrectAnswerWrongSteps,
    FirstErrorMetrics,
    LowestScorePosition,
    MeanWithInterval,
    Threshold,
    choose_threshold,
    first_below,
    locate,
    mean_f1,
    minimum,
    wrong_process,
)
from stepward.evaluation.error_detection.predictions import Prediction, verdict
from stepward.evaluation.error_detection.prm_score import (
    PRMScore,
    ReasonEvalMetrics,
    UnmodifiedSolutionStats,
    group_means,
    originals,
    prm_scores,
    validity,
)

DEFAULT_THRESHOLD = 0.5

CHOSEN_ON = "gsm8k"
"""The part of ProcessBench on which its authors fix a scalar model's threshold."""

Scores = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class ErrorDetectionResult:
    """All figures of a model on one benchmark.

    Attributes:
        benchmark: Its name.
        rows: Rows.
        threshold: Where wrong steps begin.
        overall: First errors over all rows.
        parts: First errors by part.
        macro: The mean of the parts' F1, each part alike: what ProcessBench calls the average.
        weighted: The mean of the parts' F1 by their rows.
        minimum: Where the lowest score lies; None without scores, or without errors.
        wrong_process: Right answers by wrong steps, over all rows and by part.
        prm_score: PRMBench's figures of all rows; None for other benchmarks.
        categories: By category.
        prm_means: Mean PRMScores of the categories and of PRMBench's groups of them.
        originals: PRMBench's original solutions, where they are scored.
        validity: ReasonEval's figures by step and by solution; empty without scores.
        facts: Counts that the figures don't tell.
        notes: What is undefined, and why.
    """

    benchmark: str
    rows: int
    threshold: Threshold
    overall: FirstErrorMetrics
    parts: tuple[FirstErrorMetrics, ...]
    macro: MeanWithInterval
    weighted: MeanWithInterval
    minimum: LowestScorePosition | None
    wrong_process: dict[str, CorrectAnswerWrongSteps]
    prm_score: PRMScore | None
    categories: tuple[PRMScore, ...]
    prm_means: dict[str, float | None]
    originals: UnmodifiedSolutionStats | None
    validity: tuple[ReasonEvalMetrics, ...]
    facts: dict[str, int]
    notes: tuple[str, ...] = field(default=())

    def figures(self) -> dict[str, Any]:
        """All of it as JSON, the benchmark's own figures first."""
        own: dict[str, Any] = {"benchmark": self.benchmark, "rows": self.rows}
        if self.prm_score is not None:
            own |= {"prm_score": self.prm_score.prm_score, "macro_prm_score": self.prm_means["categories"]}
        own |= {
            "f1": self.overall.f1,
            "macro_f1": self.macro.value,
            "weighted_f1": self.weighted.value,
            "accuracy": self.overall.accuracy,
            "accuracy_with_error": self.overall.with_error,
            "accuracy_without_error": self.overall.without_error,
        }
        rest = asdict(self)
        rest["overall_prm_score"] = rest.pop("prm_score")
        chosen = self.threshold
        own |= {"threshold": chosen.value, "threshold_from": chosen.source}
        own |= {"threshold_rows": chosen.rows, "threshold_f1": chosen.f1}
        return own | {name: value for name, value in rest.items() if name not in own}


def choose_on(benchmark: ErrorBenchmark, predictions: Sequence[Prediction], source: str) -> Threshold:
    """The threshold of the highest F1 on a benchmark's rows.

    Raises:
        StepwardError: There are no scores, or rows of one kind only.
    """
    value, best = choose_threshold(_scores(predictions), [row.first_error for row in benchmark.rows])
    return Threshold(value, source, len(benchmark.rows), best)


def stored_threshold(path: Path) -> Threshold | None:
    """The threshold of figures that an earlier run wrote (`--json`); None where the file holds no figures.

    Raises:
        StepwardError: The figures have no threshold, or one that is no number from 0 to 1.
    """
    try:
        figures = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None  # rows, which their reader looks at
    if not (isinstance(figures, dict) and "benchmark" in figures and "threshold" in figures):
        return None
    value = figures["threshold"]
    if value is None:
        raise StepwardError(
            f"{path}: figures without a threshold, of predicted first errors; give one (--threshold) or none",
            code="missing",
            file=path,
            field="threshold",
        )
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise StepwardError(
            f"{path}, field 'threshold': expected a number from 0 to 1, found {orjson.dumps(value).decode()}",
            code="bad_value",
            file=path,
            field="threshold",
        )
    return Threshold(float(value), str(path))


def find_threshold(benchmark: ErrorBenchmark, predictions: Sequence[Prediction]) -> Threshold:
    """The threshold where none was given: chosen on ProcessBench's GSM8K part, or 0.5.

    None for predictions of first errors, which need none.
    """
    if predictions[0].scores is None:
        return Threshold(None, "not needed")
    if benchmark.name == PROCESSBENCH:
        chosen = [place for place, row in enumerate(benchmark.rows) if row.part == CHOSEN_ON]
        kinds = {benchmark.rows[place].first_error >= 0 for place in chosen}
        if kinds == {True, False}:
            rows = tuple(benchmark.rows[place] for place in chosen)
            part = ErrorBenchmark(benchmark.name, rows, tuple(range(len(rows))), benchmark.numbered)
            return choose_on(part, [predictions[place] for place in chosen], CHOSEN_ON)
    return Threshold(DEFAULT_THRESHOLD, "default")


def measure_errors(
    benchmark: ErrorBenchmark, predictions: Sequence[Prediction], threshold: Threshold, *, seed: int = 0
) -> ErrorDetectionResult:
    """Measures predictions on a benchmark.

    Args:
        benchmark: Its rows.
        predictions: In the order of the rows (`predictions.matched`).
        threshold: Where wrong steps begin.
        seed: Decides the resamples of the intervals.

    Raises:
        StepwardError: First errors alone are predicted for PRMBench, whose score counts every step.
    """
    rows = benchmark.rows
    scored = predictions[0].scores is not None
    if benchmark.name == PRMBENCH and not scored:
        raise StepwardError(
            "PRMBench's score counts every step: give step_scores, 0 or 1 where a critic says no more",
            code="missing",
            field="step_scores",
        )
    first = np.array([row.first_error for row in rows], dtype=np.int64)
    found = found_errors(benchmark, predictions, threshold)
    places = _places([row.part for row in rows])
    by_part = [(found[at], first[at]) for at in places.values()]
    scores = _scores(predictions) if scored else []
    labels = [row.labels for row in rows]
    prm: PRMScore | None = None
    categories: list[PRMScore] = []
    original = None
    valid: tuple[ReasonEvalMetrics, ...] = ()
    if threshold.value is not None:
        # PRMBench's and ReasonEval's scripts take a step for right if its score is above the threshold, not at it.
        above = float(np.nextafter(threshold.value, np.inf))
        valid = validity(scores, labels, above, seed)
        if benchmark.name == PRMBENCH:
            categories, prm = prm_scores(scores, labels, [row.part for row in rows], above, seed)
            given = [one.original for one in predictions if one.original is not None]
            original = originals(given, scores, above) if given else None
    return ErrorDetectionResult(
        benchmark.name, len(rows), threshold,
        overall=locate("all", found, first, seed),
        parts=tuple(locate(part, *pair, seed) for part, pair in zip(places, by_part, strict=True)),
        macro=mean_f1(by_part, False, seed),
        weighted=mean_f1(by_part, True, seed),
        minimum=minimum(scores, first.tolist()) if scored else None,
        wrong_process=_wrong_processes(benchmark, found, first, places, seed),
        prm_score=prm,
        categories=tuple(categories),
        prm_means=group_means(categories) if categories else {},
        originals=original,
        validity=valid,
        facts=_facts(benchmark, found),
        notes=tuple(_notes(first, valid, prm)),
    )  # fmt: skip


def _scores(predictions: Sequence[Prediction]) -> list[tuple[float, ...]]:
    scores = [one.scores for one in predictions if one.scores is not None]
    if len(scores) < len(predictions):
        raise StepwardError(
            "a threshold needs step_scores, and the predictions name first errors; leave it out",
            code="conflict",
            field="threshold",
        )
    return scores


def found_errors(
    benchmark: ErrorBenchmark, predictions: Sequence[Prediction], threshold: Threshold
) -> NDArray[np.int64]:
    """The first errors that are predicted [row], from 0; -1 for none, `UNREAD` without a verdict."""
    if threshold.value is not None:
        return first_below(_scores(predictions), threshold.value)
    verdicts = [verdict(one, benchmark.name) for one in predictions]
    return np.array([UNREAD if one is None else one for one in verdicts], dtype=np.int64)


def _places(parts: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, part in enumerate(parts):
        places.setdefault(part, []).append(place)
    return places


def _wrong_processes(
    benchmark: ErrorBenchmark,
    found: NDArray[np.int64],
    first: NDArray[np.int64],
    places: dict[str, list[int]],
    seed: int,
) -> dict[str, CorrectAnswerWrongSteps]:
    correct = [row.correct for row in benchmark.rows]
    chosen = {"all": list(range(len(first)))} | places
    slices = {
        name: wrong_process(found[at], first[at], [correct[place] for place in at], seed) for name, at in chosen.items()
    }
    return {name: one for name, one in slices.items() if one is not None}


def _facts(benchmark: ErrorBenchmark, found: NDArray[np.int64]) -> dict[str, int]:
    past = [row for row in benchmark.rows if row.past_end]
    facts = {"rows_without_verdict": int((found == UNREAD).sum())}
    if benchmark.name == PRMBENCH:
        facts["rows_past_end"] = len(past)
        facts["error_steps_past_end"] = sum(row.past_end for row in past)
        facts["rows_past_end_alone"] = sum(row.first_error < 0 for row in past)
        facts["rows_repeated"] = sum(row.repeats for row in benchmark.rows)
    return facts


def _notes(first: NDArray[np.int64], valid: Sequence[ReasonEvalMetrics], prm: PRMScore | None) -> list[str]:
    notes = []
    if (first >= 0).all() or (first < 0).all():
        notes.append(f"F1 of first errors is undefined: {'every' if (first >= 0).all() else 'no'} row has an error")
    for one in valid:
        if one.auc is None:
            notes.append(f"AUC by {one.level} is undefined: all are {'wrong' if one.wrong else 'right'}")
        if one.macro_f1 is None:
            notes.append(f"macro-F1 by {one.level} is undefined: no {one.level} is wrong or right, nor taken for it")
    if prm is not None and prm.prm_score is None:
        notes.append("PRMScore is undefined: no step is wrong, nor taken for it")
    return notes
