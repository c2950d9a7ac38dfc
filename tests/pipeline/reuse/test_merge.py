"""A merge takes what each part finished, writes nowhere but into its own folder, and takes nothing that is damaged."""

import json
import shutil
from pathlib import Path

import pytest
from raising import refused

from stepward.pipeline.reuse.merge import merge_runs
from stepward.recipes.run import Recipe
from stepward.records import Solution
from stepward.storage.files import lock_dir
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import read_shard, write_shard
from stepward.storage.run_dir import Layout

RECIPE = Recipe(name="parted")


def solution(number: int) -> Solution:
    return Solution(f"p{number}/s", f"p{number}", (f"{number} + 1",), str(number), True)


def make_part(folder: Path, *numbers: int) -> Path:
    """A run that has finished the batches of these numbers, a solution each."""
    manifest = Manifest.start(folder, RECIPE.fingerprint_fields())
    for number in numbers:
        put(manifest, number, solution(number))
    return folder


def put(manifest: Manifest, number: int, record: Solution) -> None:
    path = Layout(manifest.folder).shard("solutions", f"reward-{number:04d}")
    write_shard(path, [record], Solution)
    manifest.finish("solutions", f"reward-{number:04d}", path, solutions=1)


def test_parts_are_joined_and_joined_again(tmp_path: Path) -> None:
    parts = [make_part(tmp_path / "one", 0, 2), make_part(tmp_path / "two", 1)]
    for _ in range(2):
        assert merge_runs(parts, tmp_path / "merged")["solutions"] == 3
    found = Layout(tmp_path / "merged").solutions("reward")
    assert found == [solution(0), solution(1), solution(2)]
    assert Manifest.read(tmp_path / "merged").units("solutions")["reward-0001"]["solutions"] == 1


def test_other_recipes_and_other_records_of_one_unit_are_refused(tmp_path: Path) -> None:
    one, two = make_part(tmp_path / "one", 0), make_part(tmp_path / "two", 0)
    put(Manifest.read(two), 0, solution(7))
    shard = two / "solutions" / "reward-0000.parquet"
    with refused("mismatch", file=shard, names=(tmp_path / "merged",)):
        merge_runs([one, two], tmp_path / "merged")
    other = tmp_path / "other"
    Manifest.start(other, Recipe(name="parted", seed=5).fingerprint_fields())
    with refused("mismatch", file=other, field="seed", names=("0 -> 5",)):
        merge_runs([one, other], tmp_path / "again")


def test_a_missing_or_damaged_shard_is_named(tmp_path: Path) -> None:
    part = make_part(tmp_path / "one", 0, 1)
    shard = part / "solutions" / "reward-0001.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)
    with refused("unreadable", file=shard):
        merge_runs([part], tmp_path / "merged")
    shard.unlink()
    with refused("file_not_found", file=shard):
        merge_runs([part], tmp_path / "merged")
    assert Layout(tmp_path / "merged").solutions("reward") == [solution(0)], "what was whole is kept"


def stranger(folder: Path, **facts: object) -> None:
    """Writes into the manifest what its own run never would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["stages"]["solutions"]["units"]["reward-0000"] |= facts
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("at", ["../precious.parquet", "{tmp}/precious.parquet", "solutions/link/precious.parquet"])
def test_a_path_in_a_manifest_is_no_target(tmp_path: Path, at: str) -> None:
    part, precious = make_part(tmp_path / "part", 0), tmp_path / "precious.parquet"
    precious.write_text("kept")
    merged = make_part(tmp_path / "merged")
    (merged / "solutions").mkdir()
    (merged / "solutions" / "link").symlink_to(tmp_path)
    stranger(part, path=at.format(tmp=tmp_path))
    with refused("unsafe_path"):
        merge_runs([part], merged)
    (merged / "solutions" / "link").unlink()
    with refused("unsafe_path", file=part / "manifest.json", field="stages.solutions.units.reward-0000.path"):
        merge_runs([part], merged)
    assert precious.read_text() == "kept" and not list(merged.rglob("*.parquet"))


def test_a_linked_folder_in_a_part_or_in_the_merged_run_is_not_followed(tmp_path: Path) -> None:
    part, outside = make_part(tmp_path / "part", 0), tmp_path / "outside"
    outside.mkdir()
    merged = tmp_path / "merged"
    merged.mkdir()
    (merged / "solutions").symlink_to(outside)
    with refused("file_exists", file=merged):
        merge_runs([part], merged)
    shutil.copy(make_part(tmp_path / "begun") / "manifest.json", merged)
    with refused("unsafe_path", file=merged / "solutions"):
        merge_runs([part], merged)
    shutil.move(part / "solutions", tmp_path / "elsewhere")
    (part / "solutions").symlink_to(tmp_path / "elsewhere")
    with refused("unsafe_path", file=part / "solutions"):
        merge_runs([part], tmp_path / "other")
    assert list(outside.iterdir()) == []


def test_a_folder_that_holds_other_things_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "mine" / "solutions").mkdir(parents=True)
    (tmp_path / "mine" / "solutions" / "reward-0000.parquet").write_text("kept")
    with refused("file_exists", file=tmp_path / "mine", names=("solutions",)):
        merge_runs([make_part(tmp_path / "part", 0)], tmp_path / "mine")
    assert (tmp_path / "mine" / "solutions" / "reward-0000.parquet").read_text() == "kept"


def test_a_run_that_somebody_works_in_is_no_target(tmp_path: Path) -> None:
    with lock_dir(tmp_path / "merged"), refused("locked", file=tmp_path / "merged"):
        merge_runs([make_part(tmp_path / "part", 0)], tmp_path / "merged")


def test_shards_of_one_run_that_changed_places_are_refused(tmp_path: Path) -> None:
    part = make_part(tmp_path / "part", 0, 1)
    one, other = (part / "solutions" / f"reward-000{number}.parquet" for number in (0, 1))
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    assert read_shard(one, Solution) == [solution(1)], "each of them is whole"
    with refused("unreadable", file=one):
        Layout(part).solutions("reward")
