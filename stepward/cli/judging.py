"""Verbs that judge a reward model by labelled steps and by preferences: first errors, pairs, calibration."""

from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from stepward.cli.labels import evaluate
from stepward.cli.program import echo
from stepward.errors import StepwardError

if TYPE_CHECKING:
    from stepward.evaluation.error_detection.benchmarks import ErrorBenchmark
    from stepward.evaluation.error_detection.first_error import Threshold
    from stepward.evaluation.error_detection.predictions import Prediction

JsonOption = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Decides the resamples of the intervals.")]


class PairBenchmark(StrEnum):
    """Whose rules a file of pairs is measured by."""

    rewardbench = "rewardbench"
    rewardbench2 = "rewardbench2"
    none = "none"


@evaluate.command("first-error")
def evaluate_first_error(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="ProcessBench, PRMBench or BIG-Bench-Mistake rows.")
    ],
    predictions: Annotated[
        str, typer.Option(help="Rows of {id, step_scores}, or of {id, first_error}: from 0, -1 for none.")
    ],
    threshold: Annotated[
        float | None, typer.Option(help="A step is taken for wrong if its score is below this.")
    ] = None,
    threshold_from: Annotated[
        str | None, typer.Option(help="Labelled rows to choose it on, predicted too; or the --json of such a run.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Another model's rows, to compare with; its threshold is found in the same way.")
    ] = None,
    source_format: Annotated[str | None, typer.Option("--format", help="The rows' format; else guessed.")] = None,
    to_json: JsonOption = None,
    seed: SeedOption = 0,
) -> None:
    """Measure how well a model finds wrong steps: docs/first-error.md."""
    from stepward.cli.judging_tables import difference_table, first_error_lines, first_error_tables
    from stepward.evaluation.error_detection.benchmarks import read_benchmark
    from stepward.evaluation.error_detection.compare import compare_errors
    from stepward.evaluation.error_detection.evaluate import measure_errors

    if threshold is not None and threshold_from is not None:
        raise StepwardError("--threshold and --threshold-from: give one of them", code="conflict", field="--threshold")
    if threshold is not None and not 0 <= threshold <= 1:
        raise StepwardError(
            f"--threshold {threshold:g}: expected a number from 0 to 1, as scores are",
            code="bad_value",
            field="--threshold",
        )
    _keep(to_json, [*files, predictions, *(one for one in (threshold_from, against) if one is not None)])
    benchmark = read_benchmark(files, source_format)
    ours, chosen = _judged(benchmark, predictions, threshold, threshold_from)
    theirs = None if against is None else _judged(benchmark, against, threshold, threshold_from)
    found = measure_errors(benchmark, ours, chosen, seed=seed)
    for table in first_error_tables(found):
        Console().print(table)
    echo(f"{found.benchmark}, {found.rows:,} rows; {_threshold_line(chosen)}")
    for line in first_error_lines(found):
        echo(line)
    figures = found.figures()
    if against is not None and theirs is not None:
        differences = compare_errors(benchmark, (ours, chosen), theirs, seed=seed)
        Console().print(difference_table(differences))
        echo(f"against {against}, where {_threshold_line(theirs[1])}")
        figures["against"] = [asdict(one) for one in differences]
    _write(to_json, figures)


@evaluate.command("pairs")
def evaluate_pairs(
    file: Annotated[str, typer.Argument(help="Rows of {id, subset?, section?, chosen, rejected, margin?}.")],
    benchmark: Annotated[
        PairBenchmark | None, typer.Option(help="Whose rules to follow; told from the subsets if not given.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Another model's scores of the same rows, to compare with.")
    ] = None,
    to_json: JsonOption = None,
    seed: SeedOption = 0,
) -> None:
    """Measure how often preferred answers score above rejected ones: docs/pairs.md."""
    from stepward.cli.judging_tables import difference_table, pair_tables
    from stepward.evaluation.preference.accuracy import measure_pairs
    from stepward.evaluation.preference.compare import compare_pairs
    from stepward.evaluation.preference.rows import guess_benchmark, read_pairs

    _keep(to_json, [file, *([] if against is None else [against])])
    pairs = read_pairs(file)
    rules = guess_benchmark(pairs) if benchmark is None else benchmark.value
    differences = () if against is None else compare_pairs(pairs, read_pairs(against), rules, seed=seed)
    measured = measure_pairs(pairs, rules, seed=seed)
    for table in pair_tables(measured):
        Console().print(table)
    if measured.score is not None:
        interval = ""
        if measured.score_low is not None and measured.score_high is not None:
            interval = f" ({100 * measured.score_low:.1f} to {100 * measured.score_high:.1f})"
        echo(f"Score: {100 * measured.score:.1f}{interval}")
    if measured.score_with_prior_sets is not None:
        echo(f"Score with the prior sets at half weight: {100 * measured.score_with_prior_sets:.1f}")
    rule = "several rejected: ties share the win" if any(len(one.rejected) > 1 for one in pairs) else "a tie is lost"
    echo(f"{len(pairs):,} rows by the rules of {measured.benchmark}; {rule}; {sum(one.tied for one in pairs):,} ties")
    for note in measured.notes:
        echo(note)
    figures = asdict(measured)
    if differences:
        Console().print(difference_table(differences))
        echo(f"against {against}")
        figures["against"] = [asdict(one) for one in differences]
    own = {"benchmark": measured.benchmark, "rows": len(pairs), "score": measured.score}
    _write(
        to_json, own | {"accuracy": measured.overall.accuracy, "mean_margin": measured.overall.mean_margin} | figures
    )


@evaluate.command("calibration")
def evaluate_calibration(
    file: Annotated[str, typer.Argument(help="Rows of {id, step_scores, labels}; a label may be soft, or null.")],
    bins: Annotated[int, typer.Option(min=1, help="Bins of the reliability curves.")] = 15,
    to_json: JsonOption = None,
    seed: SeedOption = 0,
) -> None:
    """Measure how far step scores can be read as chances: docs/first-error.md."""
    from stepward.cli.judging_tables import calibration_tables
    from stepward.evaluation.calibration import measure_calibration, read_labelled_scores

    _keep(to_json, [file])
    measured = measure_calibration(read_labelled_scores(file), bins=bins, seed=seed)
    for table in calibration_tables(measured):
        Console().print(table)
    echo(f"{measured.rows:,} rows, {measured.count:,} scores with a label, {measured.unlabelled:,} without")
    if measured.auc is None:
        echo("AUC is undefined: all labelled steps are of one class")
    _write(to_json, {"ece": measured.equal_width.ece} | asdict(measured))


def _judged(
    benchmark: "ErrorBenchmark", path: str, threshold: float | None, threshold_from: str | None
) -> "tuple[list[Prediction], Threshold]":
    """A file's predictions in the order of the rows, and where wrong steps begin in them."""
    from stepward.evaluation.error_detection.evaluate import find_threshold
    from stepward.evaluation.error_detection.first_error import Threshold
    from stepward.evaluation.error_detection.predictions import matched, read_predictions

    given = read_predictions(path)
    if threshold_from is not None:
        chosen, ours = _threshold_from(threshold_from, benchmark, given, path)
        return ours, chosen
    ours = matched(benchmark, given, path)
    return ours, find_threshold(benchmark, ours) if threshold is None else Threshold(threshold, "given")


def _threshold_from(
    source: str, benchmark: "ErrorBenchmark", given: "tuple[Prediction, ...]", path: str
) -> "tuple[Threshold, list[Prediction]]":
    """The threshold that a file gives or is chosen on, and the predictions of the benchmark's rows."""
    from stepward.evaluation.error_detection.benchmarks import read_benchmark
    from stepward.evaluation.error_detection.evaluate import choose_on, stored_threshold
    from stepward.evaluation.error_detection.predictions import matched

    stored = stored_threshold(Path(source))
    if stored is not None:
        return stored, matched(benchmark, given, path)
    other = read_benchmark([source])
    known = {(row.file.resolve(), row.number): place for place, row in enumerate(benchmark.rows)}
    added = tuple(row for row in other.rows if (row.file.resolve(), row.number) not in known)
    rows = benchmark.rows + added
    order = benchmark.order + tuple(range(len(benchmark.rows), len(rows)))
    every = replace(benchmark, rows=rows, order=order, numbered=benchmark.numbered or other.numbered)
    taken = matched(every, given, path)
    places = {(row.file.resolve(), row.number): place for place, row in enumerate(every.rows)}
    theirs = [taken[places[row.file.resolve(), row.number]] for row in other.rows]
    return choose_on(other, theirs, source), taken[: len(benchmark.rows)]


def _threshold_line(threshold: "Threshold") -> str:
    if threshold.value is None:
        return "first errors as predicted, no threshold"
    line = f"a step is taken for wrong below {threshold.value:.4g}"
    if threshold.rows:
        return f"{line}, chosen on {threshold.rows:,} rows of {threshold.source}, whose own F1 it flatters"
    return f"{line} ({threshold.source})"


def _keep(to_json: Path | None, read: list[str]) -> None:
    """Refuses to write over what is read."""
    from stepward.rows import check_not_overwriting

    if to_json is not None:
        check_not_overwriting(to_json, read)


def _write(to_json: Path | None, figures: dict[str, object]) -> None:
    from stepward.storage.parquet import write_json

    if to_json is not None:
        write_json(to_json, figures)
        echo(f"Figures: {to_json}")
