"""Joins the parts of one run that several machines did (`stepward run RECIPE --part I/N`)."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stepward.errors import StepwardError
from stepward.manifest import Manifest, differences
from stepward.pipeline.layout import TREES, Layout
from stepward.store import atomic, locked

STAGES = ("problems", "solutions", "rollouts")
"""What parts have; the stages after them need all of it, and are made by the merged run."""


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
                f"{part}: another recipe than {parts[0]}'s: {'; '.join(changed)}; only parts of one run can be merged"
            )
    with locked(folder):
        merged = Manifest.start(folder, recipe)
        for part, manifest in zip(parts, manifests, strict=True):
            if part.resolve() != folder.resolve():
                for stage in STAGES:
                    for unit, facts in sorted(manifest.units(stage).items()):
                        _take(merged, manifest, stage, unit, dict(facts))
    return {stage: len(merged.units(stage)) for stage in STAGES}


def _take(merged: Manifest, part: Manifest, stage: str, unit: str, facts: dict[str, Any]) -> None:
    """Copies one finished unit, whole or not at all, unless it is there."""
    path = part.folder / facts["path"]
    if not path.is_file():
        raise StepwardError(f"{path}: missing, though {part.folder / 'manifest.json'} names it; copy the whole folder")
    target = merged.folder / facts.pop("path")
    if merged.finished(stage, unit):
        if not pq.read_table(target).equals(pq.read_table(path)):
            raise StepwardError(
                f"{path} and {target} hold different records of one unit, though of one recipe: another version of "
                "Stepward or of a model made one of them; keep one and remove the other part's"
            )
        return
    trees = Layout(part.folder).shard(TREES, unit)
    if stage == "rollouts" and trees.is_file():
        _copy(trees, Layout(merged.folder).shard(TREES, unit))
    _copy(path, target)
    merged.finish(stage, unit, target, **facts)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, atomic(target) as file:
        shutil.copyfileobj(read, file)
