"""The manifest of a run: its recipe, where it was made, and which units of work are done.

A unit is the smallest thing that is done or not: one shard of records, one reward model, one page.
"""

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson

from stepward.errors import StepwardError
from stepward.store import atomic, digest, read_json

FORMAT = 1
_PACKAGES = ("stepward", "torch", "transformers", "tokenizers", "accelerate", "numpy", "pyarrow")


class Manifest:
    """A run folder's manifest.json, kept on the disc after every change.

    Args:
        folder: The run's folder.
        content: The manifest's JSON content.
    """

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self.folder = folder
        self.content = content

    @classmethod
    def start(cls, folder: Path, recipe: Mapping[str, Any]) -> "Manifest":
        """Opens the folder's manifest, or makes one.

        Args:
            folder: The run's folder.
            recipe: What decides the run's records, as JSON.

        Raises:
            StepwardError: The folder was made by another recipe; says which fields differ.
        """
        path = folder / "manifest.json"
        if not path.exists():
            manifest = cls(folder, _new(recipe))
            manifest.save()
            return manifest
        manifest = cls.read(folder)
        changed = differences(manifest.content["recipe"], recipe)
        if changed:
            raise StepwardError(
                f"{folder}: this run was started with another recipe; changed: {'; '.join(changed)}. "
                "Give the run another name (name=...), or remove the folder to start it over"
            )
        return manifest

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Opens an existing run's manifest.

        Raises:
            StepwardError: There is none, or it is of another format.
        """
        path = folder / "manifest.json"
        if not path.exists():
            raise StepwardError(f"{folder}: not a run (no manifest.json in it)")
        content = read_json(path)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise StepwardError(f"{path}: not a manifest of format {FORMAT}")
        return cls(folder, content)

    def save(self) -> None:
        """Writes the manifest, whole or not at all."""
        # Written after every unit: of 40,000 units that is 15 MB, which json takes seconds for.
        with atomic(self.folder / "manifest.json") as file:
            file.write(orjson.dumps(self.content, option=orjson.OPT_INDENT_2))

    def replace_recipe(self, recipe: Mapping[str, Any]) -> None:
        """Takes another recipe in the place of this run's; what it leaves undone is for the caller to say."""
        self.content |= {"recipe": dict(recipe), "recipe_hash": digest(recipe)}

    def units(self, stage: str) -> dict[str, dict[str, Any]]:
        """What is done of a stage: the facts of each finished unit, by its name."""
        found: dict[str, dict[str, Any]] = self.content["stages"].setdefault(stage, {"units": {}})["units"]
        return found

    def finished(self, stage: str, unit: str) -> bool:
        """Whether a unit is done and what it wrote is still there."""
        facts = self.units(stage).get(unit)
        return facts is not None and (self.folder / facts["path"]).exists()

    def finish(self, stage: str, unit: str, path: Path, **facts: Any) -> None:
        """Notes that a unit is done: where it lies and what is to be known of it.

        Raises:
            ValueError: A fact is no finite number, which would be written as null.
        """
        json.dumps(facts, allow_nan=False)
        self.units(stage)[unit] = {"path": str(path.relative_to(self.folder)), **facts}
        self.save()

    def finished_units(self) -> int:
        """How many units of all stages are done."""
        return sum(len(stage["units"]) for stage in self.content["stages"].values())

    def paths(self, stage: str, prefix: str = "") -> list[Path]:
        """Where the stage's finished units lie, in the order of their names."""
        units = self.units(stage)
        return [self.folder / units[name]["path"] for name in sorted(units) if name.startswith(prefix)]


def _new(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "recipe": dict(recipe),
        "recipe_hash": digest(recipe),
        "versions": {"python": platform.python_version(), **_versions()},
        "revision": _revision(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "stages": {},
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _revision() -> str | None:
    """The git revision of the source, where it is a checkout."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    """The fields in which two recipes, as JSON, differ: each as `field: before -> after`."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        found = []
        for key in sorted({*before, *after}):
            inner = f"{where}.{key}" if where else key
            found += differences(before.get(key), after.get(key), inner)
        return found
    return [] if before == after else [f"{where}: {before!r} -> {after!r}"]
