"""A Stepward run as a source: its problems, solutions and one kind of labels, joined into labelled solutions.

So a run's labels go to any other trainer: `runs/tiny-cpu`, or `runs/tiny-cpu#soft` where the run has several kinds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.formats.base import Fields, Format, dump_extra
from stepward.formats.checks import same_count
from stepward.records import LabelledSolution, Problem, Solution, StepLabels
from stepward.rows import SourceRow
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import read_json, read_shard

NAME = "stepward-run"
PREFERRED = "er"
"""The kind of labels that is taken where the run has several and none is named."""


def is_run(source: Path | str) -> bool:
    """Whether a source is a run's folder, with or without `#<kind of labels>`."""
    manifest = _parts(source)[0] / "manifest.json"
    if not manifest.is_file():
        return False
    try:
        content = read_json(manifest)
    except StepwardError:
        return False  # another tool's
    return isinstance(content, dict) and "recipe" in content and "stages" in content


def joined(source: Path | str) -> tuple[str, Iterator[SourceRow]]:
    """A run's solutions of the reward split, each a row of its problem, its solution and its labels.

    Args:
        source: The run's folder; `#<kind>` behind it names the kind of labels.

    Returns:
        The source with the kind that was taken, and the rows, in the order of the labels.

    Raises:
        StepwardError: It is no run, it has no such labels, which of several is meant is not said, or a shard is
            missing or torn.
    """
    folder, kind = _parts(source)
    manifest = Manifest.read(folder)
    kind = _kind(manifest, folder, kind)
    return f"{folder}#{kind}", _rows(manifest, kind)


def matches(fields: Fields) -> bool:
    """Never: a run is known by its folder, not by a row."""
    return False


def read(row: SourceRow) -> LabelledSolution:
    """The joined row's solution."""
    problem: Problem = row.fields["problem"]
    solution: Solution = row.fields["solution"]
    labels: StepLabels = row.fields["labels"]
    same_count(len(solution.steps), len(labels.labels), "labels")
    extra: dict[str, Any] = {
        "labels": labels.kind,
        "solution_id": solution.id,
        "problem_id": problem.id,
        "copies": solution.copies,
        "finished": solution.finished,
    }
    if labels.eta is not None:
        extra["eta"] = labels.eta
    return LabelledSolution(
        problem.question, solution.steps, labels.labels,
        reference=problem.reference, answer=solution.answer, correct=solution.correct, generator=solution.generator,
        source=NAME, extra=dump_extra(extra),
    )  # fmt: skip


def _parts(source: Path | str) -> tuple[Path, str]:
    """The folder, and the kind of labels behind `#`; empty for none."""
    if Path(source).is_dir():
        return Path(source), ""
    folder, _, kind = str(source).rpartition("#")
    return Path(folder or source), kind if folder else ""


def _kind(manifest: Manifest, folder: Path, named: str) -> str:
    kinds = [kind for kind in sorted(manifest.units("labels")) if manifest.finished("labels", kind)]
    if not kinds:
        raise StepwardError(
            f"{folder}: the run has no labels yet; finish it with stepward run", code="unfinished", file=folder
        )
    if named and named not in kinds:
        raise StepwardError(
            f"{folder}: no labels of kind {named!r}; expected one of {', '.join(kinds)}",
            code="unknown_name",
            file=folder,
            field=named,
        )
    if named or len(kinds) == 1:
        return named or kinds[0]
    if PREFERRED in kinds:
        return PREFERRED
    raise StepwardError(
        f"{folder}: several kinds of labels; name one of them: {folder}#{kinds[0]} ({', '.join(kinds)})",
        code="ambiguous",
        file=folder,
    )


def _rows(manifest: Manifest, kind: str) -> Iterator[SourceRow]:
    problems = {one.id: one for path in manifest.paths("problems", "reward") for one in read_shard(path, Problem)}
    solutions = {one.id: one for path in manifest.paths("solutions", "reward-") for one in read_shard(path, Solution)}
    path = manifest.where("labels", kind)
    for number, labels in enumerate(read_shard(path, StepLabels), start=1):
        solution = solutions.get(labels.solution_id)
        problem = problems.get(labels.problem_id)
        if solution is None or problem is None:
            raise StepwardError(
                f"{path}: row {number}: the run's shards lack its {'problem' if solution else 'solution'}; the folder "
                "is not whole: copy it anew, or remove it and run again",
                code="mismatch",
                file=path,
                row=number,
                field="problem_id" if solution else "solution_id",
            )
        yield SourceRow(path, number, {"problem": problem, "solution": solution, "labels": labels})


FORMAT = Format(NAME, "a run's folder, RUN or RUN#KIND", LabelledSolution, matches, read, None, rows=joined)
