"""How far the scoring of a file is: rows go to a file beside the wanted one, and a journal says how far it is good.

A row counts once the journal names it, and the journal is written after the rows are on the disc. So whatever a kill
leaves half written is written again, and nothing twice.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import orjson

from stepward.errors import StepwardError
from stepward.storage.files import write_error
from stepward.storage.parquet import write_json


@dataclass(slots=True)
class State:
    """How far a scoring is, as the journal has it.

    Attributes:
        scoring: A hash of what is scored, by what and how.
        rows: Rows that are scored and written.
        size: Bytes of the written file that hold them.
        scores: Scores in these rows.
        finished: Whether all is done.
    """

    scoring: str
    rows: int = 0
    size: int = 0
    scores: int = 0
    finished: bool = False


class Journal:
    """A scoring's file, held for this process; to be had by `hold`.

    Attributes:
        state: How far it is.
    """

    def __init__(self, to: Path, part: IO[bytes], scoring: str) -> None:
        """Goes on where an earlier scoring of the same mark stopped.

        Raises:
            StepwardError: What is there is of another scoring.
        """
        self._to, self._part = to, part
        earlier = self._earlier(scoring)
        self.state = earlier or State(scoring)
        if (to.exists() and not self.state.finished) or (earlier is None and _size(part)):
            there = to if to.exists() else _part_path(to)
            raise StepwardError(
                f"{there} is there already, from another scoring (another file, model or setting): remove it, or name "
                "another file with --to",
                code="file_exists",
                file=there,
            )
        if not self.state.finished:
            self._write()
            part.truncate(self.state.size)
            part.seek(self.state.size)

    def add(self, rows: Sequence[bytes], scores: int) -> None:
        """Writes rows, each a line, with so many scores in all."""
        self._part.writelines(rows)
        self._part.flush()
        os.fsync(self._part.fileno())
        self.state.rows += len(rows)
        self.state.size = self._part.tell()
        self.state.scores += scores
        self._write()

    def finish(self) -> None:
        """Gives the file its name."""
        if not self.state.finished:
            self.state.finished = True
            self._write()
        if _size(self._part):
            _part_path(self._to).replace(self._to)

    def _write(self) -> None:
        write_json(_journal_path(self._to), asdict(self.state))

    def _earlier(self, scoring: str) -> State | None:
        """What an earlier call left, where it is of the same scoring and the rows are there."""
        try:
            state = State(**orjson.loads(_journal_path(self._to).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        done = state.finished and self._to.is_file() and self._to.stat().st_size == state.size
        there = done or _size(self._part) >= state.size
        return state if state.scoring == scoring and there else None


@contextlib.contextmanager
def hold(to: Path, scoring: str) -> Iterator[Journal]:
    """The journal of a scoring, held until the block ends; what is finished by then stays.

    Args:
        to: The file that is wanted.
        scoring: A mark of what is scored, by what and how.

    Raises:
        StepwardError: Another process writes it, what is there is of another scoring, or it can't be written.
    """
    path = _part_path(to)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if path.exists() else "x+b") as part:
            _lock(part, path)
            try:
                journal = Journal(to, part, scoring)
                try:
                    yield journal
                finally:
                    if not (journal.state.rows or _size(part)):
                        _journal_path(to).unlink(missing_ok=True)
            finally:
                # Nothing in it: nothing was written, or all was done before.
                if not _size(part):
                    path.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


def _lock(part: IO[bytes], path: Path) -> None:
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking, another process may have finished, and given the file another name.
        same = os.fstat(part.fileno()).st_ino == path.stat().st_ino
    except OSError:
        same = False
    if not same:
        raise StepwardError(f"{path}: another stepward is writing it; wait for it or stop it", code="locked", file=path)


def _size(part: IO[bytes]) -> int:
    return os.fstat(part.fileno()).st_size


def _part_path(to: Path) -> Path:
    return to.with_name(f"{to.name}.part")


def _journal_path(to: Path) -> Path:
    return to.with_name(f".{to.name}.journal")
