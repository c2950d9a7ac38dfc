"""A run that is done in parts, stopped early, merged, or grown ends as one that was done at once."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_runs import ARITHMETIC, Stepward, content

from stepward.errors import StepwardError
from stepward.pipeline.merging import merge_runs
from stepward.pipeline.run import Ways

pytestmark = pytest.mark.slow

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
        assert "until rollouts" in said
    parts = [tmp_path / str(share) / "whole" for share in (1, 2)]
    one, two = (sampled(part) for part in parts)
    assert {path for path in one if path.startswith("rollouts/")} == {"rollouts/reward-0000.parquet"}
    assert {path for path in two if path.startswith("rollouts/")} == {"rollouts/reward-0001.parquet"}
    said = done(stepward, "merge", *parts, "--to", tmp_path / "whole")
    assert "rollouts 2 finished units" in said
    assert sampled(tmp_path / "whole") == sampled(whole[0])
    done(stepward, *small, "name=whole", "--runs", tmp_path)
    found, expected = content(tmp_path / "whole"), content(whole[0])
    assert [path for path in expected if found[path] != expected[path]] == []


def test_a_merge_refuses_other_recipes_and_other_records(whole: tuple[Path, float], tmp_path: Path) -> None:
    other, torn = tmp_path / "other", tmp_path / "torn"
    for copy in (other, torn):
        shutil.copytree(whole[0], copy)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["recipe"]["seed"] = 5
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StepwardError, match=r"other: another recipe than .*seed: 0 -> 5; only parts of one run"):
        merge_runs([whole[0], other], tmp_path / "merged")
    path = torn / "rollouts" / "reward-0000.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    with pytest.raises(StepwardError, match="hold different records of one unit"):
        merge_runs([whole[0], torn], tmp_path / "merged")
    path.unlink()
    with pytest.raises(StepwardError, match=r"reward-0000.parquet: missing, though .*manifest.json names it"):
        merge_runs([torn], tmp_path / "again")


def test_growing_draws_only_what_is_new_and_ends_as_if_drawn_at_once(
    small: tuple[str, ...], stepward: Stepward, tmp_path: Path
) -> None:
    more = ("rollouts.completions=5",)
    done(stepward, *small, "name=grown", "--runs", tmp_path, "--until", "labels")
    before = json.loads((tmp_path / "grown" / "manifest.json").read_text())["stages"]["rollouts"]["units"]
    refused = stepward(*small, *more, "name=grown", "--runs", tmp_path, "--until", "labels")
    assert refused.returncode == 1 and "rollouts.completions: 3 -> 5" in refused.stderr
    done(stepward, *small, *more, "name=grown", "--runs", tmp_path, "--until", "labels", "--grow")
    done(stepward, *small, *more, "name=at-once", "--runs", tmp_path, "--until", "labels")
    grown, at_once = (content(tmp_path / name) for name in ("grown", "at-once"))
    shards = [path for path in at_once if path.endswith(".parquet")]
    assert [path for path in shards if grown[path] != at_once[path]] == []
    units = json.loads((tmp_path / "grown" / "manifest.json").read_text())["stages"]["rollouts"]["units"]
    for unit, facts in units.items():
        assert facts["work"]["generated"] == facts["tokens"] - before[unit]["tokens"], "the old ones were kept"
    less = stepward(*small, "name=grown", "--runs", tmp_path, "--grow")
    assert less.returncode == 1 and "rollouts.completions falls from 5 to 3" in less.stderr
    other = stepward(*small, *more, "seed=3", "name=grown", "--runs", tmp_path, "--grow")
    assert other.returncode == 1 and "seed: 0 -> 3" in other.stderr


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
    ("words", "message"),
    [
        ({"until": "rolouts"}, "--until rolouts: expected one of problems, solutions"),
        ({"part": (3, 2)}, "--part 3/2: expected I/N"),
        ({"part": (1, 2), "until": "labels"}, "a part ends with the rollouts"),
    ],
)
def test_a_stage_or_part_that_there_is_not_is_refused(words: dict[str, object], message: str) -> None:
    with pytest.raises(StepwardError, match=message):
        Ways(**words)  # type: ignore[arg-type]


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
