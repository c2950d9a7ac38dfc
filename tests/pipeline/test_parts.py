"""A run that is done in parts, stopped early, merged, or grown ends as one that was done at once."""

import json
from pathlib import Path

import pytest
from raising import refused
from small_runs import ARITHMETIC, Stepward, content

from stepward.pipeline.runner import RunOptions

SAMPLED = ("problems/", "solutions/", "rollouts/")


def sampled(folder: Path) -> dict[str, object]:
    """The shards up to the rollouts."""
    return {path: rows for path, rows in content(folder).items() if path.startswith(SAMPLED)}


def done(stepward: Stepward, *words: object) -> str:
    """What a run said that ended well."""
    ended = stepward(*words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_parts_done_apart_and_merged_equal_a_run_done_at_once(
    whole: tuple[Path, float], small: tuple[str, ...], stepward: Stepward, tmp_path: Path
) -> None:
    for share in (1, 2):
        said = done(stepward, *small, "name=whole", "--part", f"{share}/2", "--runs", tmp_path / str(share))
        assert "rollouts" in said
    parts = [tmp_path / str(share) / "whole" for share in (1, 2)]
    one, two = (sampled(part) for part in parts)
    assert {path for path in one if path.startswith("rollouts/")} == {"rollouts/reward-0000.parquet"}
    assert {path for path in two if path.startswith("rollouts/")} == {"rollouts/reward-0001.parquet"}
    said = done(stepward, "merge", *parts, "--to", tmp_path / "whole")
    assert "rollouts 2 " in said
    assert sampled(tmp_path / "whole") == sampled(whole[0])
    done(stepward, *small, "name=whole", "--runs", tmp_path)
    found, expected = content(tmp_path / "whole"), content(whole[0])
    assert [path for path in expected if found[path] != expected[path]] == []


def test_growing_draws_only_what_is_new_and_ends_as_if_drawn_at_once(
    small: tuple[str, ...], stepward: Stepward, tmp_path: Path
) -> None:
    more = ("rollouts.completions=5",)
    done(stepward, *small, "name=grown", "--runs", tmp_path, "--until", "labels")
    before = json.loads((tmp_path / "grown" / "manifest.json").read_text())["stages"]["rollouts"]["units"]
    changed = stepward(*small, *more, "name=grown", "--runs", tmp_path, "--until", "labels")
    assert changed.returncode == 1 and "[changed]" in changed.stderr
    assert "rollouts.completions: 3 -> 5" in changed.stderr
    done(stepward, *small, *more, "name=grown", "--runs", tmp_path, "--until", "labels", "--grow")
    done(stepward, *small, *more, "name=at-once", "--runs", tmp_path, "--until", "labels")
    grown, at_once = (content(tmp_path / name) for name in ("grown", "at-once"))
    shards = [path for path in at_once if path.endswith(".parquet")]
    assert [path for path in shards if grown[path] != at_once[path]] == []
    units = json.loads((tmp_path / "grown" / "manifest.json").read_text())["stages"]["rollouts"]["units"]
    for unit, facts in units.items():
        assert facts["work"]["generated"] == facts["tokens"] - before[unit]["tokens"], "the old ones were kept"
    less = stepward(*small, "name=grown", "--runs", tmp_path, "--grow")
    assert less.returncode == 1 and "[changed]" in less.stderr
    assert all(word in less.stderr for word in ("--grow", "rollouts.completions", "5", "3"))
    other = stepward(*small, *more, "seed=3", "name=grown", "--runs", tmp_path, "--grow")
    assert other.returncode == 1 and "seed: 4 -> 3" in other.stderr and "[changed]" in other.stderr


@pytest.mark.slow
def test_another_completer_is_drawn_beside_the_first_and_pooled(
    small: tuple[str, ...], tiny_generator: Path, stepward: Stepward, tmp_path: Path
) -> None:
    done(stepward, *small, "name=two", "--runs", tmp_path, "--until", "labels")
    first = sampled(tmp_path / "two")
    also = f"rollouts.also.warm={{model: {tiny_generator}, max_new_tokens: 16, temperature: 1.3}}"
    done(stepward, *small, also, "name=two", "--runs", tmp_path, "--until", "labels", "--grow")
    both = sampled(tmp_path / "two")
    assert {path: rows for path, rows in both.items() if path in first} == first
    added = sorted(set(both) - set(first))
    assert added == ["rollouts/reward-0000+warm.parquet", "rollouts/reward-0001+warm.parquet"]
    assert [row["right"] for path in added for row in both[path]] != [
        row["right"] for path in first if path.startswith("rollouts/") for row in first[path]
    ]
    done(stepward, *small, also, "name=two", "--runs", tmp_path, "--until", "labels")


@pytest.mark.parametrize(
    ("words", "code", "field"),
    [
        ({"until": "rolouts"}, "unknown_name", "--until"),
        ({"part": (3, 2)}, "bad_value", "--part"),
        ({"part": (1, 2), "until": "labels"}, "conflict", "--until"),
    ],
)
def test_a_stage_or_part_that_there_is_not_is_refused(words: dict[str, object], code: str, field: str) -> None:
    with refused(code, field=field):
        RunOptions(**words)  # type: ignore[arg-type]


@pytest.mark.slow
def test_trees_grow_as_if_grown_at_once_and_are_written_as_rows(
    small: tuple[str, ...], stepward: Stepward, tmp_path: Path
) -> None:
    search = (*ARITHMETIC, "rollouts.search=tree", "labels.kinds=hard", "problems.reward=8")
    words = (*small, *search, "--runs", tmp_path, "--until", "labels")
    done(stepward, *words, "name=grown", "rollouts.budget=6")
    done(stepward, *words, "name=grown", "rollouts.budget=18", "--grow")
    done(stepward, *words, "name=at-once", "rollouts.budget=18")
    grown, at_once = (content(tmp_path / name) for name in ("grown", "at-once"))
    shards = [path for path in at_once if path.endswith(".parquet")]
    assert "trees/reward-0000.parquet" in shards
    assert [path for path in shards if grown[path] != at_once[path]] == []
    rows = tmp_path / "trees.jsonl"
    said = done(stepward, "trees", tmp_path / "grown", "--to", rows)
    problems = {row["problem_id"] for path in shards if path.startswith("trees/") for row in grown[path]}
    assert f"{len(problems)} trees" in said and len(rows.read_text().splitlines()) == len(problems) > 0
    done(stepward, "merge", tmp_path / "grown", "--to", tmp_path / "merged")
    merged = content(tmp_path / "merged")
    assert {path: merged.get(path) for path in shards if path.startswith(("trees/", "rollouts/"))} == {
        path: grown[path] for path in shards if path.startswith(("trees/", "rollouts/"))
    }
    assert "omegaprm" in done(stepward, "convert", rows, tmp_path / "steps.jsonl", "--to", "trl-stepwise")
