"""A disc that fills up: one message, what is finished is kept, and with room the run ends as one that had it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import content, run_stepward

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disc(tmp_path: Path) -> Iterator[Path]:
    """A disc of 200 kB: room for the records and about one reward model."""
    disc = tmp_path / "disc"
    disc.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disc)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting a small disc is not permitted here ({mounted.stderr.strip()})")
    yield disc
    subprocess.run(["umount", str(disc)], check=True)


def test_a_full_disc_is_said_and_the_run_goes_on_with_room(
    small_disc: Path, whole: tuple[Path, float], small: tuple[str, ...]
) -> None:
    words = (*small, "name=full", "--runs", small_disc, "--workers", 1)
    ended = run_stepward(*words)
    assert ended.returncode == 1
    said = ended.stderr.splitlines()
    assert len(said) == 1, ended.stderr
    assert said[0].startswith(f"stepward: {small_disc / 'full' / 'rewards'}") and said[0].endswith("[unwritable]")
    kept = {str(path.relative_to(small_disc)): path.stat().st_mtime_ns for path in small_disc.rglob("*.parquet")}
    assert len([path for path in kept if "/solutions/" in path]) == 6
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disc)], check=True)
    ended = run_stepward(*words)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert content(small_disc / "full") == content(whole[0])
    assert {path: (small_disc / path).stat().st_mtime_ns for path in kept} == kept
