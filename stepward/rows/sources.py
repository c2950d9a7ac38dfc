"""Where rows come from: a file, a folder of files, a pattern, or a data set of the hub's."""

import glob
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.rows.faults import BadRows
from stepward.rows.files import SUFFIXES, Meter, Row, read_rows
from stepward.rows.strict import value_faults

HUB = "hub:"
"""What a hub name may start with, to tell it from a path: `hub:owner/name`, or a local folder of the hub's shape."""


def find_rows(source: Path | str, bad: BadRows, meter: Meter | None = None) -> Iterator[Row]:
    """Read every row of a source, file by file in the order of their names.

    Args:
        source: A file whose name ends in one of `SUFFIXES`; a folder, of which all such files are read; a pattern
            with `*`, `?` or `[`; or a data set of the hub's, `owner/name[:split]` or `hub:FOLDER[:split]`, whose
            split is `train` if not given.
        bad: Takes what is wrong with rows that can't be read.
        meter: Is kept informed of how far reading has come; of the hub's data sets the size is not known.

    Returns:
        Each row that can be, one after another.

    Raises:
        StepwardError: Nothing is there, or it can't be opened.
    """
    files = files_of(source)
    if not files:
        return _hub_rows(str(source).removeprefix(HUB), bad)
    meter = meter or Meter()
    meter.total = sum(file.stat().st_size for file in files if file.exists())
    return chain.from_iterable(read_rows(file, bad, meter) for file in files)


def files_of(source: Path | str) -> list[Path]:
    """The files that a source's rows are read from, by name; none where it is a data set of the hub's.

    Raises:
        StepwardError: Nothing is there.
    """
    text = str(source)
    path = Path(source)
    if text.startswith(HUB):
        return []
    if path.exists():  # also where its name holds a character of patterns
        return find_files(path)
    if glob.has_magic(text):
        files = sorted(file for file in map(Path, glob.glob(text, recursive=True)) if _is_of_rows(file))
        if not files:
            raise StepwardError(f"{text}: no file fits this pattern; expected names that end in {', '.join(SUFFIXES)}")
        return files
    if text.endswith(SUFFIXES):
        return [path]
    if _is_hub_name(text):
        return []
    raise StepwardError(f"{text}: no such file; check the path")


def refuse_over(target: Path, sources: Sequence[Path | str]) -> None:
    """Refuses to write over a file of the sources.

    Raises:
        StepwardError: The target is such a file, or a source is not there.
    """
    read = [file for source in sources for file in files_of(source)]
    if target.exists() and any(file.exists() and target.samefile(file) for file in read):
        raise StepwardError(f"{target}: would take the place of what is read; name another file")


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
        raise StepwardError(f"{path}: no rows in this folder; expected files whose names end in {', '.join(SUFFIXES)}")
    return found


def _is_of_rows(file: Path) -> bool:
    """Whether it is a file of rows by its name, and not of rows that a conversion set aside."""
    return file.is_file() and file.name.endswith(SUFFIXES) and not file.name.endswith(".rejected.jsonl")


def _is_hub_name(text: str) -> bool:
    name, _, _ = text.partition(":")
    parts = name.split("/")
    return len(parts) == 2 and all(
        part and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in parts
    )


def _hub_rows(name: str, bad: BadRows) -> Iterator[Row]:
    name, _, split = name.partition(":")
    for number, row in enumerate(_load(name, split or "train"), start=1):
        bad.at(name, number, row)
        faults = value_faults(row)
        for field, fault in faults:
            bad.add(number, field, fault)
        if not faults:
            yield Row(Path(name), number, row)


def _load(name: str, split: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise StepwardError(f"{name}: the hub needs a library more: pip install 'stepward[data]'") from error
    try:
        # Streaming: rows come as they are read, and nothing but the pages in use is kept. No data set's own code runs.
        return datasets.load_dataset(name, split=split, streaming=True)
    except Exception as error:  # its errors are of a dozen libraries' types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StepwardError(
            f"{name}: no such file, and the hub's data set can't be had, split {split!r} ({reason}); check the name, "
            "the split and the network"
        ) from error
