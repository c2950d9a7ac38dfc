"""Files that are written whole or not at all, and folders that are held, claimed, and left by no link."""

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

from stepward.errors import StepwardError

LOCK = ".lock"
"""The file in a folder whose lock says that somebody works there."""

_OF_DESKTOPS = (".DS_Store", "Thumbs.db", "desktop.ini")
"""What file managers leave in a folder that is looked at."""

# Locks don't always reach from one machine to another, so whose file it is stands in its name.
_HERE = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
_TEMPORARY = re.compile(r"\..+\.([0-9a-f]{8})[0-9a-f]{8}\.tmp", re.DOTALL)
_IDLE = 86_400.0
"""Seconds after which another machine's temporary file is nobody's."""

_looked_into: set[str] = set()


class _Output(io.FileIO):
    """A temporary file for a target; an error of writing it is the target's, and no other error of the block is."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f".{target.name}.{_HERE}{secrets.token_hex(4)}.tmp")
        super().__init__(self.path, "x")

    def write(self, data: Any) -> int:
        with writing(self.target):
            return super().write(data)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Opens a temporary file that takes `path`'s place when the block ends without an error.

    What killed writers left in the folder is removed.

    Raises:
        StepwardError: The disc is full or can't be written, or the block could not use another file, which is named;
            nothing is left behind.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_dead(path.parent)
        raw = _locked_output(path)
    try:
        with io.BufferedWriter(raw) as file:
            yield file
            file.flush()
            with writing(path):
                os.fsync(file.fileno())
                # Still locked, so that nobody takes it for a dead writer's.
                raw.path.replace(path)
                _sync_folder(path.parent)
    except OSError as error:
        _remove(raw.path)
        if error.filename is None:
            raise
        raise unusable(Path(os.fsdecode(error.filename)), error) from error
    except BaseException:
        _remove(raw.path)
        raise


def _locked_output(path: Path) -> _Output:
    """A temporary file whose lock tells that its writer lives."""
    while True:
        output = _Output(path)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(output, fcntl.LOCK_EX)
        if os.fstat(output.fileno()).st_nlink:
            return output
        output.close()  # somebody took it for a dead writer's before it was locked


def _remove_dead(folder: Path) -> None:
    """Removes what killed writers left; a process looks into a folder once."""
    whole = os.path.abspath(folder)
    if whole in _looked_into:
        return
    _looked_into.add(whole)
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if _TEMPORARY.fullmatch(entry.name)]
    for entry in found:
        # Nothing here may keep the writer from writing.
        with contextlib.suppress(OSError):
            if entry.is_file(follow_symlinks=False) and _is_dead(Path(entry.path)):
                os.unlink(entry.path)


def _is_dead(temporary: Path) -> bool:
    made = _TEMPORARY.fullmatch(temporary.name)
    if made is None or made[1] != _HERE:
        return made is not None and time.time() - temporary.stat().st_mtime > _IDLE
    with temporary.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


def _remove(temporary: Path) -> None:
    # A folder that is in truth a file, or can't be written, must not hide the first error behind another.
    with contextlib.suppress(OSError):
        temporary.unlink()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Says of a system's error in the block that the path can't be written."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> StepwardError:
    """What to tell the user when a file can't be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        said = "the disc is full; free some space and run again: what is finished is kept"
    else:
        said = f"can't be written ({error.strerror or error}); what is finished is kept"
    return StepwardError(f"{path}: {said}", code="unwritable", file=path)


def unusable(path: Path, error: OSError) -> StepwardError:
    """What to tell the user when a file can't be read."""
    missing = error.errno == errno.ENOENT
    said = "no such file" if missing else f"can't be read ({error.strerror or error})"
    return StepwardError(f"{path}: {said}", code="file_not_found" if missing else "unreadable", file=path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def lock_dir(folder: Path) -> Iterator[None]:
    """Holds a folder for this process; whoever writes into a run's folder does.

    Raises:
        StepwardError: Another process works in it, or its lock is a link.
    """
    path, made = folder / LOCK, not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Neither followed nor emptied: in a stranger's folder it may be a link to anything.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StepwardError(f"{path}: a link; remove it and run again", code="unsafe_path", file=path) from error
        raise write_error(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise StepwardError(
                f"{folder}: this disc keeps no locks ({error.strerror}); put the run on one that does",
                code="unwritable", file=folder,
            ) from error  # fmt: skip
        raise StepwardError(
            f"{folder}: another stepward is running there; wait for it or stop it", code="locked", file=folder
        ) from error
    if not os.fstat(descriptor).st_nlink:  # whoever made the folder removed it again just now
        os.close(descriptor)
        raise StepwardError(f"{folder}: another stepward was there just now; run again", code="locked", file=folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if made and os.listdir(folder) == [LOCK]:  # nothing came of it: no trace is left
                path.unlink()
                folder.rmdir()
        os.close(descriptor)


def refuse_links(folder: Path) -> None:
    """Refuses a folder that would lead its reader out of it, or let it wait for ever.

    Raises:
        StepwardError: A link in it leads out of it, or something in it is neither a file nor a folder.
    """
    whole, waiting = os.path.realpath(folder), [os.fspath(folder)]
    while waiting:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_symlink():
                    target = os.path.realpath(entry.path)
                    if target != whole and not target.startswith(whole + os.sep):
                        raise StepwardError(
                            f"{entry.path}: a link to {target}, outside of {folder}; put the files themselves there",
                            code="unsafe_path",
                            file=entry.path,
                        )
                elif not entry.is_file(follow_symlinks=False):
                    raise StepwardError(
                        f"{entry.path}: neither a file nor a folder; remove it", code="unsafe_path", file=entry.path
                    )


def refuse_filled(folder: Path) -> None:
    """Refuses to begin where something lies already, which could be somebody's; a lock and what was half written may.

    Raises:
        StepwardError: Something does.
    """
    if folder.exists() and not folder.is_dir():
        raise StepwardError(f"{folder}: a file stands there; name a folder", code="file_exists", file=folder)
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    left = (name for name in names if not (name.startswith(".") and name.endswith(".tmp")))
    found = [name for name in left if name not in (LOCK, *_OF_DESKTOPS)]
    if found:
        raise StepwardError(
            f"{folder}: holds {found[0]} already; name a new or empty folder",
            code="file_exists",
            file=folder,
        )


def remove_made(folder: Path, endings: Collection[str]) -> None:
    """Removes a folder that was half written, where it holds nothing but what is written there.

    Raises:
        StepwardError: It holds something else, which somebody put there.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.suffix in endings or path.name in _OF_DESKTOPS):
            raise StepwardError(
                f"{path}: not by Stepward, but where it writes; put it elsewhere", code="file_exists", file=path
            )
    shutil.rmtree(folder, ignore_errors=True)


def claim(folder: Path, marker: str) -> None:
    """Makes a folder one whose files may be replaced and removed: a new or empty one, or one that was claimed before.

    Args:
        folder: The folder.
        marker: The name of the file in it that says so.

    Raises:
        StepwardError: It holds files and no marker, a link leads out of it, or it can't be written.
    """
    if not (folder / marker).is_file():
        refuse_filled(folder)
        with atomic_write(folder / marker) as file:
            file.write(b"Made by Stepward, which replaces and removes files of its own here.\n")
    refuse_links(folder)
