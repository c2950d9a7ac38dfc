"""Files are written whole or not at all, errors name their own file, and no link or stranger's folder leads astray."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from raising import refused

from stepward.errors import StepwardError
from stepward.storage.files import LOCK, atomic_write, claim, lock_dir, refuse_filled, refuse_links, remove_made

MARKER = ".made"


def test_a_failure_inside_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "s.bin"
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []
    with atomic_write(path) as file:
        file.write(b"whole")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write(b"other")
        assert path.read_bytes() == b"whole"
        raise ZeroDivisionError
    assert [one.name for one in path.parent.iterdir()] == ["s.bin"]
    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize("size", [10, 100_000])
def test_an_error_of_writing_is_the_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with refused("unwritable", file=tmp_path / "s"), atomic_write(tmp_path / "s") as file:
        file.write(b"x" * size)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_full_device_is_the_outputs_error_too(tmp_path: Path, size: int) -> None:
    """Writing itself fails here, at the write or when the buffer is emptied."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with refused("unwritable", file=tmp_path / "s"), atomic_write(tmp_path / "s") as file:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, file.fileno())
        os.close(full)
        file.write(b"x" * size)


def test_an_error_of_reading_inside_names_its_own_file(tmp_path: Path) -> None:
    with refused("file_not_found", file=tmp_path / "source") as raised, atomic_write(tmp_path / "out") as file:
        file.write((tmp_path / "source").read_bytes())
    assert "out" not in str(raised.value).replace(str(tmp_path), "")
    with refused("unreadable", file=tmp_path), atomic_write(tmp_path / "out") as file:
        file.write(tmp_path.read_bytes())
    with pytest.raises(OSError) as plain, atomic_write(tmp_path / "out"):
        raise OSError(errno.EIO, "a read that names no file")
    assert plain.value.errno == errno.EIO
    assert list(tmp_path.iterdir()) == []


WRITER = """
import sys, time, pathlib
from stepward.storage.files import atomic_write
with atomic_write(pathlib.Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("there", flush=True)
    time.sleep(600)
"""


def writer(path: Path) -> subprocess.Popen[str]:
    """A process in the middle of writing a file."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "there\n"
    return process


def test_what_a_killed_writer_left_goes_with_the_next_one_and_a_living_writers_stays(tmp_path: Path) -> None:
    killed, living = writer(tmp_path / "out"), writer(tmp_path / "out")
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        (tmp_path / ".notes.tmp").write_text("somebody's")
        assert len(list(tmp_path.glob(".out.*.tmp"))) == 2
        script = "import sys, pathlib; from stepward.storage.files import atomic_write\n"
        script += "with atomic_write(pathlib.Path(sys.argv[1])): pass"
        subprocess.run([sys.executable, "-c", script, tmp_path / "out"], check=True)
        assert len(list(tmp_path.glob(".out.*.tmp"))) == 1
        assert sorted(path.name for path in tmp_path.iterdir())[:1] == [".notes.tmp"]
    finally:
        living.kill()
        living.wait()


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    script = """
import sys, pathlib
from stepward.errors import StepwardError
from stepward.storage.files import lock_dir
try:
    with lock_dir(pathlib.Path(sys.argv[1])):
        print("in")
except StepwardError as error:
    print(error.code)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "run")]
    with lock_dir(tmp_path / "run"):
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "locked\n"
        with refused("locked", file=tmp_path / "run"), lock_dir(tmp_path / "run"):
            pass
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "in\n"


def test_a_folder_in_which_nothing_was_made_is_gone_with_its_lock(tmp_path: Path) -> None:
    with lock_dir(tmp_path / "empty"):
        pass
    (tmp_path / "mine").mkdir()
    for name in ("mine", "used"):
        with lock_dir(tmp_path / name):
            (tmp_path / name / "shard").write_text("")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "mine", "mine/.lock", "mine/shard", "used", "used/.lock", "used/shard",
    ]  # fmt: skip


def test_a_lock_that_is_a_link_is_refused_and_its_target_stays(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "precious")
    with refused("unsafe_path", file=tmp_path / "run" / LOCK), lock_dir(tmp_path / "run"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


def test_links_out_are_refused_wherever_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    (folder / "b" / "c").mkdir(parents=True)
    (folder / "b" / "link").symlink_to(folder / "b" / "c")
    refuse_links(folder)
    refuse_links(tmp_path / "none")
    (tmp_path / "ab").mkdir()
    (folder / "b" / "c" / "out").symlink_to("../../../ab")
    with refused("unsafe_path", file=folder / "b" / "c" / "out"):
        refuse_links(folder)


def test_only_new_empty_or_own_folders_are_claimed(tmp_path: Path) -> None:
    claim(tmp_path / "new", MARKER)
    (tmp_path / "new" / "made.txt").write_text("")
    claim(tmp_path / "new", MARKER)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.csv").write_text("kept")
    with refused("file_exists", file=tmp_path / "mine", names=("thesis.csv",)):
        claim(tmp_path / "mine", MARKER)
    with refused("file_exists", file=tmp_path / "mine" / "thesis.csv"):
        claim(tmp_path / "mine" / "thesis.csv", MARKER)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.csv"]
    (tmp_path / "new" / "plots").symlink_to(tmp_path / "mine")
    with refused("unsafe_path", file=tmp_path / "new" / "plots"):
        claim(tmp_path / "new", MARKER)


def test_a_lock_and_half_written_files_fill_no_folder(tmp_path: Path) -> None:
    for name in (LOCK, ".manifest.json.0123456789abcdef.tmp", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_text("")
    refuse_filled(tmp_path)
    (tmp_path / ".git").mkdir()
    with refused("file_exists", file=tmp_path, names=(".git",)):
        refuse_filled(tmp_path)


def test_only_what_is_written_there_is_removed(tmp_path: Path) -> None:
    model, notes = tmp_path / "model", tmp_path / "model" / "notes.ods"
    model.mkdir()
    (model / "config.json").write_text("{}")
    notes.write_text("kept")
    with pytest.raises(StepwardError):
        remove_made(model, (".json",))
    with refused("file_exists", file=notes):
        remove_made(model, (".json",))
    assert sorted(path.name for path in model.iterdir()) == ["config.json", "notes.ods"]
    notes.unlink()
    (tmp_path / "precious.json").write_text("kept")
    (model / "link.json").symlink_to(tmp_path / "precious.json")
    with refused("file_exists", file=model / "link.json"):
        remove_made(model, (".json",))
    (model / "link.json").unlink()
    (model / ".DS_Store").write_text("")
    remove_made(model, (".json",))
    assert not model.exists()
