"""Evaluations on disc as they are compared: a run's, one of scores from elsewhere, or its rows alone.

Scores from elsewhere are written as a run's evaluation is; without validation problems nothing is chosen, and what is
compared may say how their scores are used.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n import io as evaluation_folder
from stepward.evaluation.best_of_n.evaluate import FIXED_AGGREGATION, MetricRow, SelectedConfig, selection_n
from stepward.evaluation.loaded_run import WITHOUT_MODEL, LoadedRun, Way
from stepward.evaluation.score_files.candidates import write_candidates
from stepward.evaluation.score_files.evaluate import ScoreFileEvaluation
from stepward.evaluation.score_files.provenance import Provenance
from stepward.hub import not_found
from stepward.records import Problem
from stepward.storage.files import lock_dir, refuse_filled, refuse_links
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import read_json, read_shard, write_json, write_shard

DEFAULT: Way = ("best", "last")
"""How scores are used where nothing was chosen on validation problems: best-of-N by the last step's score."""

FACTS = "scores.json"
"""What says that a folder is of scores from elsewhere, and whether it was finished."""

_PROBLEMS = Path("problems") / "test.parquet"


def write_rows(measured: ScoreFileEvaluation, path: Path) -> None:
    """Writes the rows to a file, as in a run's `summary.json`."""
    write_json(path, [asdict(row) for row in measured.rows])


def check_target(folder: Path, inputs: Sequence[Path] = ()) -> None:
    """Refuses a folder that `write` would spoil.

    Args:
        folder: Where it is to write.
        inputs: What is read.

    Raises:
        StepwardError: It is a file or a run, it holds what `write` did not make, or an input is in it.
    """
    if (folder / "manifest.json").exists():
        raise StepwardError(
            f"{folder}: this is a run, whose evaluation would be replaced; name another folder",
            code="file_exists",
            file=folder,
        )
    for path in inputs:
        if folder.resolve() in path.resolve().parents:
            raise StepwardError(
                f"{folder}: {path} lies in it and might be replaced; name another folder", code="conflict", file=folder
            )
    if not is_scores(folder):
        refuse_filled(folder)


def is_scores(folder: Path) -> bool:
    """Whether a folder is one that `write` made, or began to."""
    try:
        content = read_json(folder / FACTS)
    except StepwardError:
        return False
    return isinstance(content, dict) and "finished" in content


def read_facts(folder: Path) -> tuple[Provenance, int]:
    """How a folder's figures came about, and how many problems' candidates are kept.

    Raises:
        StepwardError: The folder is not finished, or of another version.
    """
    refuse_links(folder)
    content = read_json(folder / FACTS)
    if content.get("finished") is not True:
        raise StepwardError(
            f"{folder}: writing it was interrupted; evaluate the scores again", code="unfinished", file=folder
        )
    try:
        return Provenance.of_json(content), int(content["shown"])
    except (KeyError, TypeError) as error:
        raise StepwardError(
            f"{folder / FACTS}: {error}; evaluate the scores again", code="wrong_version", file=folder / FACTS
        ) from None


def write(measured: ScoreFileEvaluation, folder: Path) -> None:
    """Writes a folder that is compared and reported on as a run is.

    In it are `evaluation/`, `scores.json` (what was measured and how), `candidates.parquet`, and
    `problems/test.parquet`. What an earlier call wrote there is replaced, and its page removed.

    Raises:
        StepwardError: As `check_target`; or the folder can't be written.
    """
    check_target(folder)
    with lock_dir(folder):
        refuse_links(folder)
        write_json(folder / FACTS, {"finished": False})
        (folder / "report.html").unlink(missing_ok=True)
        write_shard(folder / _PROBLEMS, measured.problems, Problem)
        write_candidates(measured.candidates, folder)
        evaluation_folder.write(measured.evaluation, None, folder / "evaluation")
        shown = len({one.problem_id for one in measured.candidates})
        write_json(folder / FACTS, {"finished": True, "shown": shown, **asdict(measured.facts)})


def read_all(paths: Sequence[Path], way: tuple[str | None, str | None] = (None, None)) -> list[LoadedRun]:
    """The figures of several runs, each under a name of its own.

    Args:
        paths: See `read`.
        way: The voting and the aggregation to use; None for what each run chose on validation problems, or `DEFAULT`
            where nothing was chosen.

    Raises:
        StepwardError: One is there twice; or as `read`.
    """
    resolved = [path.resolve() for path in paths]
    for path, whole in zip(paths, resolved, strict=True):
        if resolved.count(whole) > 1:
            raise StepwardError(f"{path}: given twice; name each run once", code="duplicate", file=path)
    names = [path.name for path in resolved]
    shown = [name if names.count(name) == 1 else str(path) for name, path in zip(names, paths, strict=True)]
    return [read(path, name, way) for path, name in zip(paths, shown, strict=True)]


def read(path: Path, name: str, way: tuple[str | None, str | None] = (None, None)) -> LoadedRun:
    """One run's figures: a run's folder, one that `write` wrote, or a JSON file of rows.

    Raises:
        StepwardError: It is none of these, it is not evaluated yet, or it lacks the way asked for.
    """
    refuse_links(path)
    if path.is_file():
        rows = read_rows(path)
        return LoadedRun(name, rows, _ways(path, rows, [], way), _n(rows), None, None, None)
    if is_scores(path):
        read_facts(path)
    folder, manifest = path / "evaluation", None
    if (path / "manifest.json").exists():
        manifest = Manifest.read(path)
        manifest.where("evaluation", "summary")
    elif not path.is_dir():
        raise not_found(path, "run, folder of scores or file of rows")
    elif not is_scores(path) and not (folder / "summary.json").exists():
        raise StepwardError(f"{path}: neither a run nor a folder of scores", code="file_not_found", file=path)
    if not (folder / "summary.json").exists():
        raise StepwardError(
            f"{path}: no evaluation/summary.json in it; finish the run first: stepward run",
            code="unfinished",
            file=path,
        )
    given: list[SelectedConfig] = []
    if (folder / "chosen.json").exists():
        evaluation, _ = evaluation_folder.read(folder)
        rows, n, given = evaluation.rows, evaluation.n, list(evaluation.chosen)
    else:
        rows = read_rows(folder / "summary.json")
        n = _n(rows)
    recipe = None if manifest is None else manifest.content["recipe"]
    accuracies = evaluation_folder.read_accuracies(folder) if (folder / "accuracies.parquet").exists() else None
    return LoadedRun(name, rows, _ways(path, rows, given, way), n, accuracies, recipe, _questions(path))


def _n(rows: Sequence[MetricRow]) -> int:
    return selection_n([row.n for row in rows])


_KINDS: dict[str, tuple[type, ...]] = {
    "method": (str,), "voting": (str, type(None)), "aggregation": (str, type(None)), "n": (int,),
    "mean": (int, float), "std": (int, float, type(None)), "low": (int, float), "high": (int, float),
    "seeds": (int,), "problems": (int,),
}  # fmt: skip
"""What each field of a row may be."""


def read_rows(path: Path) -> tuple[MetricRow, ...]:
    """The rows of a file as `summary.json`.

    Raises:
        StepwardError: It is no list of such rows.
    """
    content, expected = read_json(path), {field.name for field in fields(MetricRow)}
    if not isinstance(content, list) or not content:
        raise StepwardError(
            f"{path}: expected a list of rows as in evaluation/summary.json", code="wrong_type", file=path
        )
    for number, row in enumerate(content, start=1):
        if not isinstance(row, dict) or set(row) != expected:
            odd = sorted(set(row) ^ expected) if isinstance(row, dict) else sorted(expected)
            raise StepwardError(
                f"{path}: row {number}: missing or unknown fields {', '.join(odd)}; write it again",
                code="wrong_version",
                file=path,
                row=number,
                field=odd[0],
            )
        for name, value in row.items():
            kept = isinstance(value, _KINDS[name]) and not isinstance(value, bool)
            if not kept or (name == "method" and not str(value).isprintable()):
                raise StepwardError(
                    f"{path}: row {number}, field {name}: {value!r} can't be; write it again",
                    code="bad_value",
                    file=path,
                    row=number,
                    field=name,
                )
    return tuple(MetricRow(**row) for row in content)


def _ways(
    path: Path, rows: Sequence[MetricRow], chosen: Sequence[SelectedConfig], way: tuple[str | None, str | None]
) -> dict[str, Way]:
    """How each method is used: as asked, else as chosen, with the aggregation that was chosen for the voting."""
    found: dict[str, Way] = {}
    # Of a method's choices the one for the voting that is asked for comes last, and stands.
    order = sorted(chosen, key=lambda one: (one.voting == way[0], one.overall))
    own: dict[str, Way] = {one.method: (one.voting, one.aggregation) for one in order}
    for method in dict.fromkeys(row.method for row in rows if row.method not in WITHOUT_MODEL):
        there = list(dict.fromkeys((row.voting, row.aggregation) for row in rows if row.method == method))
        usual = own.get(method) or (DEFAULT if DEFAULT in there else ("best", there[0][1]))
        fixed = FIXED_AGGREGATION.get(method)
        fixed = fixed if fixed in {aggregation for _, aggregation in there} else None
        wanted = (way[0] or usual[0], fixed or way[1] or usual[1])
        if wanted not in there:
            votings, names = (", ".join(dict.fromkeys(str(key[which]) for key in there)) for which in (0, 1))
            raise StepwardError(
                f"{path}: {method} was not measured by {' '.join(map(str, wanted))}; expected a voting of {votings} "
                f"and an aggregation of {names}",
                code="unknown_name",
                file=path,
                field="--voting" if wanted[0] not in dict(there) else "--aggregation",
            )
        found[method] = wanted
    return found


def _questions(path: Path) -> dict[str, str] | None:
    """The test problems' texts, where the run keeps them."""
    shard = path / _PROBLEMS
    return {one.id: one.question for one in read_shard(shard, Problem) if one.question} if shard.exists() else None
