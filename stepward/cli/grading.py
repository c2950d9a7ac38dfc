"""The verb that grades a file."""

import json
from pathlib import Path
from typing import Annotated

import typer

from stepward.cli.program import app, echo


@app.command()
def grade(
    file: Annotated[Path, typer.Argument(help="Rows: JSON lines, a JSON array or Parquet.")],
    to: Annotated[Path | None, typer.Option("--to", help="The .jsonl to write; else FILE.graded.jsonl.")] = None,
    reference: Annotated[str | None, typer.Option(help="Field of the reference; guessed if not given.")] = None,
    answer: Annotated[str | None, typer.Option(help="Field of the answer; guessed if not given.")] = None,
    response: Annotated[str | None, typer.Option(help="Field of a text that states the answer.")] = None,
    style: Annotated[str, typer.Option(help="How a response marks its answer.")] = "auto",
    reference_style: Annotated[str | None, typer.Option(help="How a worked reference marks it, such as gsm8k.")] = None,
    grader: Annotated[str, typer.Option(help="math, exact, string, multiple_choice or module:function.")] = "math",
    prefix: Annotated[str, typer.Option(help="Stands before the names of the added fields.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the file at its first bad row.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes for algebra; one a core if not given.")] = None,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds that algebra has for one pair.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as one JSON object.")] = False,
) -> None:
    """Grade a file's answers against its references."""
    from stepward.grading.dataset import grade_file

    graded = grade_file(
        file, to, reference=reference, answer=answer, response=response, style=style, reference_style=reference_style,
        grader=grader, prefix=prefix, strict=strict, workers=workers, deadline=deadline,
    )  # fmt: skip
    for line in [json.dumps(graded.summary())] if as_json else graded.lines():
        echo(line)
