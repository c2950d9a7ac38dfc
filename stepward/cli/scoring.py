"""Verbs of scoring: one solution, or a file of them, with any reward model of a known convention."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stepward.cli.program import app, echo
from stepward.errors import StepwardError
from stepward.hub import hub_name, not_found

if TYPE_CHECKING:
    from stepward.reward_models.score_files.score_file import Progress as Told
    from stepward.reward_models.scorer import Scorer

_DTYPES = ("float32", "bfloat16", "float16")
_SPLITS = ("lines", "paragraphs")


@app.command()
def score(
    model: Annotated[str, typer.Argument(help="A reward model's folder, or its name on the hub.")],
    problem: Annotated[str | None, typer.Option(help="The problem's text.")] = None,
    solution: Annotated[str, typer.Option(help="The solution's text, a step a line; - reads standard input.")] = "-",
    file: Annotated[Path | None, typer.Option(help="Score the rows of this file instead.")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="The JSONL file for the scored rows.")] = None,
    scorer: Annotated[
        str | None,
        typer.Option("--scorer", help="How the model is asked (`stepward list scorers`); else detected."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split solutions by lines or paragraphs; else as is usual.")] = None,
    separator: Annotated[str | None, typer.Option(help=r"For trl: the text after a step, \n if not given.")] = None,
    name: Annotated[str | None, typer.Option(help="What the scored rows call the model; else its own name.")] = None,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Tokens read at once, padding counted.")] = 8192,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; a GPU if there is one.")] = None,
    dtype: Annotated[str, typer.Option(help="Of the weights: float32, bfloat16 or float16.")] = "float32",
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Set bad rows aside in OUT.rejected.jsonl instead of refusing all.")
    ] = False,
) -> None:
    """Score one solution, step by step, or a file of solutions; go on where an earlier call stopped."""
    if (file is None) == (problem is None) or (file is None) != (to is None):
        raise StepwardError(
            "expected either --problem, with --solution, or both --file IN.jsonl and --to OUT.jsonl",
            code="conflict",
            field="--problem",
        )
    if split not in (None, *_SPLITS):
        raise StepwardError(f"--split {split}: expected {' or '.join(_SPLITS)}", code="bad_value", field="--split")
    if dtype not in _DTYPES:
        raise StepwardError(f"--dtype {dtype}: expected one of {', '.join(_DTYPES)}", code="bad_value", field="dtype")
    if hub_name(model) is None and not Path(model).is_dir():
        raise not_found(model, "folder; expected a reward model there")
    if file is not None and not file.is_file():
        raise not_found(file, "file")
    loaded = _load(model, scorer, separator, device, dtype)
    loaded.batch_tokens = batch_tokens
    if file is None or to is None:
        assert problem is not None, "checked above"
        _score_one(loaded, problem, sys.stdin.read() if solution == "-" else solution, split)
    else:
        _score_file(loaded, model, file, to, name, split, [scorer, separator, dtype, batch_tokens], device, set_aside)


def _load(model: str, scorer: str | None, separator: str | None, device: str | None, dtype: str) -> "Scorer":
    from stepward.reward_models.hub.scorer import load_scorer

    if separator is not None:
        separator = separator.replace("\\n", "\n").replace("\\t", "\t")  # as a shell gives them
    return load_scorer(model, scorer, separator=separator, device=device, dtype=dtype)  # type: ignore[arg-type]


def _split(loaded: "Scorer", asked: str | None) -> Any:
    """How solutions are split: as asked, or as the convention's own data are."""
    from stepward.reward_models.hub.scorer import HubScorer

    usual = "paragraphs" if isinstance(loaded, HubScorer) and loaded.convention.paragraphs else "lines"
    return asked or usual


def _score_one(loaded: "Scorer", problem: str, solution: str, split: str | None) -> None:
    from stepward.reward_models.hub.scorer import gives_one_score, gives_reward
    from stepward.reward_models.score_files.rows import split_solution

    if gives_one_score(loaded):
        reward = f", reward {loaded.reward_many([(problem, [[solution]])])[0][0]:.3f}" if gives_reward(loaded) else ""
        echo(f"{loaded.score(problem, [solution]).last:.3f}  (the whole solution{reward})")
        return
    written = split_solution(solution, _split(loaded, split))
    scored = loaded.score(problem, written)
    for step, value in zip(written, scored.steps, strict=True):
        echo(f"{value:.3f}  {step}")
    echo(", ".join(f"{name} {getattr(scored, name):.3f}" for name in ("min", "prod", "last", "mean")))


def _score_file(
    loaded: "Scorer",
    model: str,
    file: Path,
    to: Path,
    name: str | None,
    split: str | None,
    settings: list[object],
    device: str | None,
    set_aside: bool,
) -> None:
    from stepward.models import model_folder
    from stepward.reward_models.hub.loading import device_named, weights_hash
    from stepward.reward_models.score_files.score_file import score_file

    # All that may change a digit of a score.
    mark = " ".join([weights_hash(model_folder(model)), *map(str, settings), str(device_named(device))])
    with _bar() as told:
        found = score_file(
            loaded, file, to, name=name or loaded.description.name, weights=mark, split=_split(loaded, split),
            set_aside=set_aside, progress=told,
        )  # fmt: skip
    before = f", {found.before:,} of them before" if found.before else ""
    echo(f"{found.rows:,} rows scored{before}, {found.scores:,} scores: {to}")
    if found.rejected is not None:
        echo(f"Set aside: {found.set_aside:,} rows, with their reasons in {found.rejected}")


@contextmanager
def _bar() -> Iterator["Told"]:
    """A progress bar of rows; give what is done to what this yields."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("left"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("checking", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
