"""The same seed gives the same records and scores, whoever works on them; another seed gives others."""

from pathlib import Path

import pytest
from small_runs import content, run_stepward


@pytest.mark.slow
def test_one_worker_or_two_give_the_same_and_another_seed_does_not(
    whole: tuple[Path, float], small: tuple[str, ...], tmp_path: Path
) -> None:
    for words in (("name=two", "--workers", 2), ("name=other", "seed=1", "--workers", 1)):
        ended = run_stepward(*small, *words, "--runs", tmp_path)
        assert ended.returncode == 0, ended.stderr
    first, two, other = (content(folder) for folder in (whole[0], tmp_path / "two", tmp_path / "other"))
    assert list(first) == list(two) == list(other)
    assert [path for path in first if first[path] != two[path]] == []
    sampled = [path for path in first if path.startswith(("problems/", "solutions/", "rollouts/", "scores/"))]
    assert len(sampled) == 15
    assert [path for path in sampled if first[path] == other[path]] == []
    assert sum(row["right"] for path in first if path.startswith("rollouts/") for row in first[path]) > 0
