"""Where rows come from: a file, a folder of files, a pattern, or a data set of the hub's."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.hub import PREFIX, HubName, hub_name, not_found, pinned_data, refuse_long
from stepward.rows.errors import ErrorCollector
from stepward.rows.readers import SUFFIXES, ReadProgress, SourceRow, read_rows
from stepward.rows.strict_json import value_faults

SHAPED = "hub:"
"""What tells a local folder of a hub data set's shape, whose splits are read apart, from one of files: `hub:FOLDER`."""


@dataclass(frozen=True, slots=True)
class _DataSet:
    """A data set's split, on the hub or in a local folder of its shape."""

    place: HubName | Path
    split: str

    def __str__(self) -> str:
        return f"{SHAPED if isinstance(self.place, Path) else ''}{self.place}:{self.split}"


def iter_rows(source: Path | str, bad: ErrorCollector, meter: ReadProgress | None = None) -> Iterator[SourceRow]:
    """Read every row of a source, file by file in the order of their names.

    Args:
        source: A file whose name ends in one of `SUFFIXES`; a folder, of which all such files are read; a pattern
            with `*`, `?` or `[`; or a data set: `hf://owner/name[@revision][:split]` of the hub's, where nothing local
            looks like it without `hf://` too, or a local folder of the hub's shape, `hub:FOLDER[:split]`. The split is
            `train` if not given.
        bad: Takes what is wrong with rows that can't be read.
        meter: Is kept informed of how far reading has come; of data sets the size is not known.

    Returns:
        Each row that can be, one after another.

    Raises:
        StepwardError: Nothing is there, or it can't be opened.
    """
    found = _data_set(source)
    if found is not None:
        return _data_set_rows(found, bad)
    files = expand_source(source)
    meter = meter or ReadProgress()
    meter.total = sum(file.stat().st_size for file in files if file.exists())
    return chain.from_iterable(read_rows(file, bad, meter) for file in files)


def pinned_source(source: str) -> str:
    """A source as it can be recorded: a data set of the hub's with its commit and split, any other as it is.

    Raises:
        StepwardError: The hub has no such data set, or can't be asked.
    """
    found = _data_set(source)
    if found is None or isinstance(found.place, Path):
        return source
    return str(replace(found, place=pinned_data(found.place)))


def expand_source(source: Path | str) -> list[Path]:
    """The files that a source's rows are read from, by name; none where it is a data set.

    Raises:
        StepwardError: Nothing is there.
    """
    if _data_set(source) is not None:
        return []
    text = str(source)
    path = Path(source)
    if path.exists():  # also where its name holds a character of patterns
        return find_files(path)
    if glob.has_magic(text):
        files = sorted(file for file in map(Path, glob.glob(text, recursive=True)) if _is_of_rows(file))
        if not files:
            message = f"{text}: no file fits this pattern; expected names that end in {', '.join(SUFFIXES)}"
            raise StepwardError(message, code="file_not_found", file=text)
        return files
    raise not_found(text, "file")


def check_not_overwriting(target: Path, sources: Sequence[Path | str]) -> None:
    """Refuses to write over a file of the sources.

    Raises:
        StepwardError: The target is such a file, or a source is not there.
    """
    read = [file for source in sources for file in expand_source(source)]
    if target.exists() and any(file.exists() and target.samefile(file) for file in read):
        message = f"{target}: would take the place of what is read; name another file"
        raise StepwardError(message, code="file_exists", file=target)


def find_files(path: Path) -> list[Path]:
    """The path itself, or the files in a folder whose rows can be read, by name.

    Raises:
        StepwardError: The folder holds none.
    """
    if not path.is_dir():
        return [path]
    # Names with a dot or an underscore in front are other tools' own: temporary files, markers, caches.
    found = sorted(
        file
        for file in path.rglob("*")
        if _is_of_rows(file) and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
    )
    if not found:
        message = f"{path}: no rows in this folder; expected files whose names end in {', '.join(SUFFIXES)}"
        raise StepwardError(message, code="empty", file=path)
    return found


def _is_of_rows(file: Path) -> bool:
    """Whether it is a file of rows by its name, and not of rows that a conversion set aside."""
    return file.is_file() and file.name.endswith(SUFFIXES) and not file.name.endswith(".rejected.jsonl")


def _data_set(source: Path | str) -> _DataSet | None:
    """The data set that a source names, or None."""
    refuse_long(source)
    text = str(source)
    if isinstance(source, Path) or Path(text).exists():
        return None
    if text.startswith(SHAPED):
        place, _, split = text.removeprefix(SHAPED).partition(":")
        if not Path(place).is_dir():
            raise not_found(place, "folder of a data set")
        return _DataSet(Path(place), split or "train")
    asked, rest = text.startswith(PREFIX), text.removeprefix(PREFIX)
    name, _, split = rest.partition(":")
    found = hub_name(f"{PREFIX if asked else ''}{name}")
    return None if found is None else _DataSet(found, split or "train")


def _data_set_rows(source: _DataSet, bad: ErrorCollector) -> Iterator[SourceRow]:
    place = source.place if isinstance(source.place, Path) else pinned_data(source.place)
    shown = str(place).removeprefix(PREFIX)
    for number, row in enumerate(_load(place, source.split), start=1):
        bad.set_position(shown, number, row)
        faults = value_faults(row)
        for fault in faults:
            bad.record(number, *fault)
        if not faults:
            yield SourceRow(Path(shown), number, row)


def _load(place: HubName | Path, split: str) -> Any:
    name, revision = (place.name, place.revision) if isinstance(place, HubName) else (str(place), None)
    try:
        import datasets
    except ImportError as error:
        message = f"{name}: a data set needs a library more: pip install 'stepward[data]'"
        raise StepwardError(message, code="missing_dependency") from error
    try:
        # Streaming: rows come as they are read, and nothing but the pages in use is kept. No data set's own code runs.
        return datasets.load_dataset(name, split=split, revision=revision, streaming=True)
    except Exception as error:  # its errors are of a dozen libraries' types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StepwardError(
            f"{place}: split {split!r} of this data set can't be had ({reason}); check name, split and network",
            code="unreachable" if isinstance(place, HubName) else "unknown_name",
            file=name,
            field=split,
        ) from error
