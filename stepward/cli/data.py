"""Verbs of other people's files: convert them, describe them, split them, and find what two sets share."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from stepward.cli.program import app, echo
from stepward.errors import StepwardError

if TYPE_CHECKING:
    from stepward.formats import RecordReader

SourceArgument = Annotated[
    str, typer.Argument(help="A file, a folder, a pattern, a run's folder, or a hub data set (owner/name[:split]).")
]
FormatOption = Annotated[str | None, typer.Option("--format", help="The rows' format; guessed if not given.")]


@app.command()
def convert(
    source: SourceArgument,
    to: Annotated[Path, typer.Argument(help="The file to write: .jsonl, .jsonl.gz, .jsonl.zst or .parquet.")],
    source_format: Annotated[str | None, typer.Option("--from", help="The source's format; else guessed.")] = None,
    to_format: Annotated[str, typer.Option("--to", help="The format to write (`stepward list formats`).")] = "stepward",
    neutral: Annotated[
        str, typer.Option(help="A neutral step, where --to has none: positive, negative or drop.")
    ] = "positive",
    threshold: Annotated[
        float | None, typer.Option(help="Labels above it are positive, where --to has no others.")
    ] = None,
    cut: Annotated[bool, typer.Option("--cut", help="Leave out unlabelled ends, as after the first error.")] = False,
    chat: Annotated[bool | None, typer.Option("--chat/--no-chat", help="Preferences as messages or as text.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the source at its first bad row.")] = False,
) -> None:
    """Convert a source from one format to another; what can't be is set aside beside OUT, with its reason."""
    from stepward.formats import WriteOptions
    from stepward.formats.convert import convert as convert_source

    if neutral not in ("positive", "negative", "drop"):
        raise StepwardError(
            f"--neutral: expected positive, negative or drop, found {neutral}", code="bad_value", field="--neutral"
        )
    choices = WriteOptions(neutral, threshold, cut, chat)  # type: ignore[arg-type]  # checked above
    with _reading_bar() as start:
        done = convert_source(
            source, to, source_format=source_format, to_format=to_format, choices=choices, strict=strict, on_start=start
        )
    guessed = " (guessed)" if done.reading.guessed else ""
    written = done.written
    echo(
        f"{done.reading.source}: {done.reading.format.name}{guessed}, {done.reading.rows:,} rows read; "
        f"{written.records:,} written to {to} as {written.rows:,} {to_format} rows"
    )
    _say_set_aside(done.reading.bad.rows, written.refused, done.rejected)


def _say_set_aside(unreadable: int, refused: int, rejected: Path | None) -> None:
    if rejected is not None:
        echo(f"Set aside: {unreadable:,} that could not be read, {refused:,} that could not be written: {rejected}")


@app.command()
def stats(
    source: SourceArgument,
    form: FormatOption = None,
    tokenizer: Annotated[Path | None, typer.Option(help="A folder with a tokenizer; else characters count.")] = None,
    max_length: Annotated[list[int] | None, typer.Option(help="Say what this limit would cut; repeatable.")] = None,
    to: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
) -> None:
    """Say what a source is like before training on it: rows, labels, lengths, duplicates."""
    import orjson

    from stepward.curation.statistics.summary import describe
    from stepward.curation.statistics.tables import statistics_tables
    from stepward.storage.files import atomic_write

    counter = None if tokenizer is None else _token_counter(tokenizer)
    found = describe(source, format=form, count_tokens=counter, max_lengths=max_length or ())
    for table in statistics_tables(found):
        Console().print(table)
    if to is not None:
        with atomic_write(to) as file:
            file.write(orjson.dumps(found.as_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        echo(f"Figures: {to}")


def _token_counter(folder: Path) -> Callable[[Sequence[str]], list[int]]:
    """How many tokens each of some texts has under a folder's tokenizer, without special tokens."""
    from stepward.models import load_tokenizer

    tokenizer = load_tokenizer(folder)

    def count(texts: Sequence[str]) -> list[int]:
        # verbose=False: a text longer than the model takes is counted whole, without a warning about it.
        return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]

    return count


@app.command()
def split(
    source: SourceArgument,
    folder: Annotated[Path, typer.Argument(help="Where the parts go; a new or empty folder.")],
    parts: Annotated[str, typer.Option(help="Shares or counts of problems.")] = "train=0.9,validation=0.05,test=0.05",
    seed: Annotated[int, typer.Option(help="Another seed deals another way.")] = 0,
    stratify: Annotated[
        str | None, typer.Option(help="level, subject, source, correct, or another field of the rows.")
    ] = None,
    clean_of: Annotated[
        list[str] | None, typer.Option(help="A benchmark whose problems go to no part; repeatable.")
    ] = None,
    form: FormatOption = None,
    without_question: Annotated[str, typer.Option(help="Rows without a question: refuse, or whole.")] = "refuse",
) -> None:
    """Cut a source into parts by problem, never by row; the rows are written as they stood."""
    from stepward.curation.split.sizes import parse_parts
    from stepward.curation.split.split import split as cut_source
    from stepward.curation.statistics.tables import split_table
    from stepward.formats.convert import Rejected, rejected_path

    with Rejected(rejected_path(folder)) as rejected:
        made = cut_source(
            source, folder, parse_parts(parts), seed=seed, stratify=stratify, clean_of=clean_of or (), format=form,
            without_question=without_question,  # type: ignore[arg-type]  # checked there
            on_fault=rejected.add,
        )  # fmt: skip
    Console().print(split_table(made))
    echo(f"{source}: {made.problems:,} problems, {made.rows:,} rows, {made.set_aside:,} set aside ({made.format})")
    if made.unasked:
        echo(f"{made.unasked:,} rows have no question and were told apart by all their text")
    if rejected.count:
        echo(f"Set aside: {made.set_aside:,}, with their reasons in {rejected.path}")
    echo(f"Parts: {folder}")


@app.command()
def overlap(
    source: SourceArgument,
    others: Annotated[list[str] | None, typer.Argument(help="What to hold it against; nothing for itself.")] = None,
    listed: Annotated[Path | None, typer.Option("--list", help="Write the matches to this .jsonl file.")] = None,
    clean: Annotated[Path | None, typer.Option("--remove", help="Write the other rows to this .jsonl file.")] = None,
    kinds: Annotated[str, typer.Option(help="Some of exact, ngram, minhash.")] = "exact,ngram,minhash",
    ngram: Annotated[int, typer.Option(help="Words of a shared run.")] = 13,
    threshold: Annotated[float, typer.Option(help="The least Jaccard index of a near duplicate.")] = 0.8,
    form: FormatOption = None,
    other_form: Annotated[str | None, typer.Option("--other-format", help="The others' format, likewise.")] = None,
) -> None:
    """Find a source's problems that are in other sets, or twice in itself; list them, remove them."""
    from stepward.curation.dedup.overlap import overlap as find
    from stepward.curation.dedup.overlap import write_clean, write_matches
    from stepward.curation.statistics.tables import overlap_table

    found = find(
        source, others or (), format=form, other_format=other_form, kinds=kinds.split(","),  # type: ignore[arg-type]
        ngram=ngram, threshold=threshold,
    )  # fmt: skip
    Console().print(overlap_table(found))
    echo(f"{found.matched:,} of {found.problems:,} problems match, {sum(found.removed):,} of {found.rows:,} rows")
    if found.unasked:
        echo(f"{found.unasked:,} rows have no question and match nothing")
    if listed is not None:
        write_matches(found, listed)
        echo(f"Matches: {listed}")
    if clean is not None:
        echo(f"{write_clean(found, clean):,} rows without a match: {clean}")


@contextmanager
def _reading_bar() -> Iterator[Callable[["RecordReader"], None]]:
    """A progress bar of a reading, by the bytes that are read; give the reading to what this yields.

    A thread of its own looks at the reading ten times a second, so that reading itself pays nothing for it.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    reading: list[RecordReader] = []

    class Bar(Progress):
        def get_renderables(self) -> Any:
            for one in reading:
                total = one.meter.total or None
                self.update(task, completed=one.meter.done, total=total, description=f"{one.rows:,} rows")
            return super().get_renderables()

    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=None)
        yield reading.append
