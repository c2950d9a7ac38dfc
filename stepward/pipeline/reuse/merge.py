"""Joins the parts of one run that several machines did (`stepward run RECIPE --part I/N`)."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stepward.errors import StepwardError
from stepward.storage.files import atomic_write, lock_dir, refuse_filled
from stepward.storage.manifest import Manifest, differences
from stepward.storage.run_dir import TREES, Layout

STAGES = ("problems", "solutions", "rollouts")
"""What parts have; the stages after them need all of it, and are made by the merged run."""
_OF_THE_FILE = ("path", "sha256")


def merge_runs(parts: Sequence[Path], folder: Path) -> dict[str, int]:
    """Copies what every part has finished into one run's folder, which may be one of theirs or hold some of it already.

    Args:
        parts: Folders of runs of one recipe.
        folder: Where the merged run goes.

    Returns:
        How many finished units the merged run has, by stage.

    Raises:
        StepwardError: Two parts are of different recipes, or hold different records of one unit; nothing is lost.
    """
    manifests = [Manifest.read(part) for part in parts]
    recipe = manifests[0].content["recipe"]
    for part, manifest in zip(parts, manifests, strict=True):
        if changed := differences(recipe, manifest.content["recipe"]):
            raise StepwardError(
                f"{part}: another recipe than {parts[0]}'s: {'; '.join(changed)}; only parts of one run can be merged",
                code="mismatch",
                file=part,
                field=changed[0].partition(":")[0],
            )
    with lock_dir(folder):
        if not (folder / "manifest.json").exists():
            refuse_filled(folder)
        merged = Manifest.start(folder, recipe)
        for part, manifest in zip(parts, manifests, strict=True):
            if part.resolve() != folder.resolve():
                for stage in STAGES:
                    for unit, facts in sorted(manifest.units(stage).items()):
                        _take(merged, manifest, stage, unit, facts)
    return {stage: len(merged.units(stage)) for stage in STAGES}


def _take(merged: Manifest, part: Manifest, stage: str, unit: str, facts: dict[str, Any]) -> None:
    """Copies one finished unit, whole or not at all, unless it is there."""
    path, layout = part.where(stage, unit), Layout(merged.folder)
    target = layout.shard(stage, unit)
    if merged.finished(stage, unit):
        if not pq.read_table(merged.where(stage, unit)).equals(pq.read_table(path)):
            raise StepwardError(
                f"{path} and {target} hold different records of one unit, though of one recipe: another version of "
                "Stepward or of a model made one of them; keep one and remove the other part's",
                code="mismatch",
                file=path,
            )
        return
    trees = Layout(part.folder).shard(TREES, unit)
    if stage == "rollouts" and trees.is_file():
        _copy(trees, layout.shard(TREES, unit))
    _copy(path, target)
    merged.finish(stage, unit, target, **{name: fact for name, fact in facts.items() if name not in _OF_THE_FILE})


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, atomic_write(target) as file:
        shutil.copyfileobj(read, file)
