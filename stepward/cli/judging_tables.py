"""The terminal's tables of first errors, pairs and calibration: shares in percent, 80 columns wide."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from stepward.cli.tables import add_numbers, figures_table
from stepward.report.run.text import format_points, p_value

if TYPE_CHECKING:
    from stepward.evaluation.calibration import Calibration, Reliability
    from stepward.evaluation.error_detection.evaluate import ErrorDetectionResult
    from stepward.evaluation.error_detection.first_error import FirstErrorMetrics
    from stepward.evaluation.preference.accuracy import Accuracy, Pairs
    from stepward.evaluation.stats.paired_metric import MetricDifference


def first_error_tables(found: "ErrorDetectionResult") -> list[Table]:
    """The benchmark's own figures first."""
    from stepward.evaluation.error_detection.benchmarks import PRMBENCH, PROCESSBENCH

    if found.benchmark == PRMBENCH:
        return [_prm_table(found), _validity_table(found)]
    tables = [_located_table(found, by_f1=found.benchmark == PROCESSBENCH)]
    if found.wrong_process:
        tables.append(_wrong_process_table(found))
    if found.validity:
        tables.append(_validity_table(found))
    return tables


def difference_table(differences: "Iterable[MetricDifference]") -> Table:
    """Two models' figures beside one another."""
    table = figures_table(
        "Beside the other model, in percent",
        "p: what they said of a row is exchanged by chance; p, all: corrected for all figures (Holm)",
    )
    table.add_column("figure", overflow="fold")
    add_numbers(table, "rows", "this", "the other", "points", "95% interval", "p", "p, all")
    for one in differences:
        interval = (
            "" if one.low is None or one.high is None else f"{format_points(one.low)} to {format_points(one.high)}"
        )
        table.add_row(
            escape(one.figure), f"{one.rows:,}", _percent(one.first), _percent(one.second), format_points(one.mean),
            interval,
            p_value(one.p), p_value(one.p_holm), style="bold" if one.direction else None,
        )  # fmt: skip
    return table


def pair_tables(pairs: "Pairs") -> list[Table]:
    """Sections, subsets, and accuracy by margin."""
    tables = []
    for title, rows in (("By section", pairs.sections), ("By subset", pairs.subsets)):
        if rows:
            tables.append(_accuracy_table(title, rows))
    tables.append(_accuracy_table("Overall", [pairs.overall]))
    for title, rows in (
        ("By the distance of the scores", pairs.by_confidence),
        ("By the given margin", pairs.by_margin),
    ):
        if rows:
            tables.append(_accuracy_table(title, rows))
    return tables


def calibration_tables(measured: "Calibration") -> list[Table]:
    """The figures, and the curve over bins of equal width."""
    table = figures_table(
        f"Calibration of {measured.count:,} scores", "reliability - resolution + uncertainty + within = Brier"
    )
    table.add_column("figure")
    add_numbers(table, "value", "95% interval")
    parts = measured.decomposition
    for name, value, low, high in (
        ("expected calibration error, equal width", measured.equal_width.ece, None, None),
        ("expected calibration error, equal mass", measured.equal_mass.ece, None, None),
        ("Brier score", measured.brier, measured.brier_low, measured.brier_high),
        ("  reliability", parts.reliability, None, None),
        ("  resolution", parts.resolution, None, None),
        ("  uncertainty", parts.uncertainty, None, None),
        ("  within bins", parts.within, None, None),
        ("log loss, nats", measured.log_loss, measured.log_loss_low, measured.log_loss_high),
        ("AUC", measured.auc, measured.auc_low, measured.auc_high),
    ):
        table.add_row(name, _number(value), "" if low is None or high is None else f"{low:.3f} to {high:.3f}")
    return [table, _curve_table(measured.equal_width)]


def _located_table(found: "ErrorDetectionResult", by_f1: bool) -> Table:
    table = figures_table(
        f"First errors, {found.rows:,} rows, in percent",
        "F1: harmonic mean of the accuracy on rows with and without an error",
    )
    table.add_column("part", overflow="fold")
    add_numbers(table, "rows", "with error", "without error", "F1" if by_f1 else "all rows", "95% interval")
    if not by_f1:
        add_numbers(table, "F1")

    def add(name: str, one: "FirstErrorMetrics") -> None:
        own = (one.f1, one.f1_low, one.f1_high) if by_f1 else (one.accuracy, one.accuracy_low, one.accuracy_high)
        table.add_row(
            escape(name), f"{one.rows:,}", _percent(one.with_error), _percent(one.without_error), _percent(own[0]),
            _interval(*own[1:]), *([] if by_f1 else [_percent(one.f1)]),
        )  # fmt: skip

    for part in found.parts:
        add(part.part, part)
    if len(found.parts) > 1:
        add("all rows together", found.overall)
    if by_f1 and len(found.parts) > 1:
        for name, mean in (("mean of the parts (macro)", found.macro), ("mean by rows (weighted)", found.weighted)):
            table.add_row(name, "", "", "", _percent(mean.value), _interval(mean.low, mean.high))
    return table


def _wrong_process_table(found: "ErrorDetectionResult") -> Table:
    table = figures_table(
        "Right answers by wrong steps, in percent", "share: of the right answers; flagged: at any step"
    )
    table.add_column("part", overflow="fold")
    add_numbers(table, "rows", "share", "found", "95% interval", "flagged")
    for part, one in found.wrong_process.items():
        if part == "all" and len(found.parts) == 1:
            continue
        table.add_row(
            escape(part), f"{one.rows:,}", _percent(one.share), _percent(one.found),
            _interval(one.found_low, one.found_high), _percent(one.flagged),
        )  # fmt: skip
    return table


def _prm_table(found: "ErrorDetectionResult") -> Table:
    table = figures_table(
        "PRMScore by category, in percent", "PRMScore: mean of both F1; where no step is wrong, F1 right"
    )
    table.add_column("category", overflow="fold")
    add_numbers(table, "rows", "steps", "wrong", "F1 wrong", "F1 right", "PRM score", "95% interval")
    rows = [*found.categories, *([found.prm_score] if found.prm_score else [])]
    for one in rows:
        table.add_row(
            escape(one.category), f"{one.rows:,}", f"{one.steps:,}", f"{one.wrong_steps:,}", _percent(one.f1_wrong),
            _percent(one.f1_right), _percent(one.prm_score), _interval(one.low, one.high),
        )  # fmt: skip
    for name, mean in found.prm_means.items():
        table.add_row(f"mean of {name}", "", "", "", "", "", _percent(mean), "")
    return table


def _validity_table(found: "ErrorDetectionResult") -> Table:
    table = figures_table(
        "What is valid (ReasonEval's figures), in percent", "a solution's score is its lowest step score"
    )
    table.add_column("by")
    add_numbers(table, "count", "wrong", "macro-F1", "95% interval", "AUC", "95% interval")
    for one in found.validity:
        table.add_row(
            one.level, f"{one.count:,}", f"{one.wrong:,}", _percent(one.macro_f1),
            _interval(one.macro_f1_low, one.macro_f1_high), _percent(one.auc), _interval(one.auc_low, one.auc_high),
        )  # fmt: skip
    return table


def _accuracy_table(title: str, rows: "Iterable[Accuracy]") -> Table:
    table = figures_table(f"{title}: won, in percent")
    table.add_column("rows of", overflow="fold")
    add_numbers(table, "rows", "won", "95% interval", "ties", "ties shared", "mean margin")
    for one in rows:
        table.add_row(
            escape(one.name), f"{one.rows:,}", _percent(one.accuracy), _interval(one.low, one.high), f"{one.ties:,}",
            _percent(one.ties_shared), f"{one.mean_margin:.3g}",
        )  # fmt: skip
    return table


def _curve_table(curve: "Reliability") -> Table:
    table = figures_table("Reliability over bins of equal width")
    table.add_column("scores")
    add_numbers(table, "count", "mean score", "mean label")
    for one in curve.bins:
        table.add_row(
            f"{one.low:.3f} to {one.high:.3f}", f"{one.count:,}", _number(one.mean_score), _number(one.mean_target)
        )
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:z.3f}"


def first_error_lines(found: "ErrorDetectionResult") -> list[str]:
    """What the tables don't say, a line each: where the lowest score lies, PRMBench's originals, facts and notes."""
    lines = []
    if found.minimum is not None:
        one = found.minimum
        lines.append(
            f"lowest score: at the first error in {_percent(one.at)}% of {one.rows:,} rows, before it in "
            f"{_percent(one.before)}%, after it in {_percent(one.after)}%"
        )
    if found.originals is not None:
        lines.append(
            f"original solutions: {_percent(found.originals.accuracy)}% of {found.originals.steps:,} steps are taken "
            f"for right, and no step for wrong in {_percent(found.originals.untouched)}% of the solutions"
        )
    said = {
        "rows_without_verdict": "{} rows have no verdict: they count as wrong",
        "rows_past_end": "{} rows name error steps past the end of their solution: those steps are not there to be "
        "judged, the others count",
        "rows_repeated": "{} rows have the id of an earlier one and are left out, as by PRMBench's own script",
        "rows_past_end_alone": "{} of them name no other error step, and count as rows without one",
    }
    lines += [said[name].format(f"{count:,}") for name, count in found.facts.items() if count and name in said]
    return [*lines, *found.notes]
