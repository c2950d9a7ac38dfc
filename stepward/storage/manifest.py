"""The manifest of a run: its recipe, where it was made, and which units of work are done.

A unit is the smallest thing that is done or not: one shard of records, one reward model, one page. Where it lies
follows from its stage and name, never from what a folder says: a folder may be a stranger's.
"""

import json
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson

from stepward.errors import StepwardError
from stepward.hub import not_found, refuse_long
from stepward.storage.dependents import made_from
from stepward.storage.files import atomic_write, refuse_links
from stepward.storage.manifest_schema import check_content, check_unit
from stepward.storage.parquet import file_hash, file_version, json_hash, read_json

FORMAT = 2
_PACKAGES = ("stepward", "torch", "transformers", "tokenizers", "accelerate", "numpy", "pyarrow")
_SINGLE = {"evaluation": "evaluation/summary.json", "report": "report.html", "training": "model"}
"""Where the only unit of a stage lies."""
_FIGURES = ("accuracies.parquet", "calibration.json", "chosen.json", "facts.json", "first-errors.json", "labels.json",
            "margins.json", "quintiles.json", "slices.json", "summary.json")  # fmt: skip
"""The files of an evaluation; what somebody puts beside them is theirs."""


def place(stage: str, unit: str) -> str:
    """Where a unit lies in its run's folder.

    Raises:
        StepwardError: Its name is none that a unit can have, such as one that leads out of the folder.
    """
    check_unit(stage, unit)
    if stage in _SINGLE:
        return _SINGLE[stage]
    if stage == "rewards":
        return f"rewards/{unit}"
    return f"{stage}/{unit.replace('/', '-') if stage == 'scores' else unit}.parquet"


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
    def start(cls, folder: Path, recipe: Mapping[str, Any], *, unbegun: bool = False) -> "Manifest":
        """Opens the folder's manifest, or makes one.

        Args:
            folder: The run's folder.
            recipe: What decides the run's records, as JSON.
            unbegun: Whether a run in which nothing is finished may start again with another recipe: a mended one. It is
                written with the first unit that is finished.

        Raises:
            StepwardError: The folder was made by another recipe; says which fields differ. Or as `read`.
        """
        refuse_long(folder)
        is_new = not (folder / "manifest.json").exists()
        if is_new:
            refuse_links(folder)
        manifest = cls(folder, _new(recipe)) if is_new else cls.read(folder)
        changed = differences(manifest.content["recipe"], recipe)
        if changed and unbegun and not manifest.finished_units():
            manifest, is_new = cls(folder, _new(recipe)), True
        elif changed:
            raise StepwardError(
                f"{folder}: this run was started with another recipe; changed: {'; '.join(changed)}. "
                "Give the run another name (name=...), or remove the folder to start it over",
                code="changed",
                file=folder,
                field=changed[0].partition(":")[0],
            )
        if is_new and not unbegun:
            manifest.save()
        return manifest

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Opens an existing run's manifest.

        Raises:
            StepwardError: There is none, it is of another format or damaged, or a link leads out of the folder.
        """
        path = _manifest_in(folder)
        refuse_links(folder)
        content = read_json(path)
        check_content(path, content, FORMAT, place)
        return cls(folder, content)

    @classmethod
    def view(cls, folder: Path) -> "Manifest":
        """The same for a worker: the folder is not looked through again, and the content is not to be changed.

        Raises:
            StepwardError: As `read`.
        """
        path = _manifest_in(folder)
        return cls(folder, _viewed(path, file_version(path)))

    def save(self) -> None:
        """Writes the manifest, whole or not at all."""
        # Written after every unit: of 40,000 units that is 15 MB, which json takes seconds for.
        with atomic_write(self.folder / "manifest.json") as file:
            file.write(orjson.dumps(self.content, option=orjson.OPT_INDENT_2))

    def replace_recipe(self, recipe: Mapping[str, Any]) -> None:
        """Takes another recipe in the place of this run's; what it leaves undone is for the caller to say."""
        self.content |= {"recipe": dict(recipe), "recipe_hash": json_hash(recipe)}

    def units(self, stage: str) -> dict[str, dict[str, Any]]:
        """What is done of a stage: the facts of each finished unit, by its name."""
        found: dict[str, dict[str, Any]] = self.content["stages"].setdefault(stage, {"units": {}})["units"]
        return found

    def finished(self, stage: str, unit: str) -> bool:
        """Whether a unit is done and what it wrote is still there."""
        return unit in self.units(stage) and (self.folder / place(stage, unit)).exists()

    def finish(self, stage: str, unit: str, path: Path, **facts: Any) -> dict[str, set[str]]:
        """Notes that a unit is done: where it lies, the hash of its shard or weights, and what is to be known of it.

        Returns:
            The units that are no longer done, as `note` gives them.

        Raises:
            ValueError: A fact is no finite number, which would be written as null; or the unit lies elsewhere.
        """
        json.dumps(facts, allow_nan=False)
        if path != self.folder / place(stage, unit):
            raise ValueError(f"{path}: expected {stage} {unit} at {self.folder / place(stage, unit)}")
        content = _content_hash(stage, path)
        hashed = {} if content is None else {"sha256": content}
        stale = self.note(stage, unit, {"path": place(stage, unit), **hashed, **facts})
        self.save()
        return stale

    def reopen(self, stage: str, units: Iterable[str]) -> None:
        """Puts units whose files are gone aside before they are made again.

        So a kill between the new file and its note leaves no file that the manifest takes for another's. What they were
        is kept until then, for what was made from them.
        """
        gone = [unit for unit in units if unit in self.units(stage)]
        for unit in gone:
            self.content.setdefault("lost", {}).setdefault(stage, {})[unit] = self.units(stage).pop(unit)
        if gone:
            self.save()

    def lost(self, stage: str) -> dict[str, dict[str, Any]]:
        """The units of a stage that were put aside, by name."""
        found: dict[str, dict[str, Any]] = self.content.get("lost", {}).get(stage, {})
        return found

    def note(self, stage: str, unit: str, facts: dict[str, Any]) -> dict[str, set[str]]:
        """Notes a unit's facts, unsaved; where it was done before and was another, what was made from it is undone.

        Returns:
            The units that are no longer done, by stage.
        """
        before = self.units(stage).get(unit) or self.lost(stage).pop(unit, None)
        self.units(stage)[unit] = facts
        if before is None or before.get("sha256") == facts.get("sha256"):
            return {}
        stale = made_from(self.content, stage, unit)
        for later, names in stale.items():
            for name in names:
                del self.units(later)[name]
                self.content.get("taken", {}).get(later, {}).pop(name, None)
                if later == "rollouts":  # the only shards that are gone on from
                    for kept in (later, "trees"):
                        (self.folder / place(kept, name)).unlink(missing_ok=True)
        return stale

    def where(self, stage: str, unit: str) -> Path:
        """Where a finished unit lies, when what lies there is what was written.

        Raises:
            StepwardError: The unit is not finished, or its shard or weights are gone or others.
        """
        facts, path = self.units(stage).get(unit), self.folder / place(stage, unit)
        if facts is None:
            raise StepwardError(
                f"{self.folder}: {stage} {unit} is not finished; run its recipe first",
                code="unfinished",
                file=self.folder,
            )
        if not path.exists():
            raise StepwardError(
                f"{path}: missing, though {self.folder / 'manifest.json'} names it; copy the whole folder, or run its "
                "recipe again",
                code="file_not_found",
                file=path,
            )
        unknown = stage == "evaluation" and "sha256" not in facts  # an older Stepward noted none
        if not unknown and _content_hash(stage, path) != facts.get("sha256"):
            what = f"{path.parent}: its figures are" if stage == "evaluation" else f"{path}:"
            raise StepwardError(
                f"{what} not what was written there: the SHA-256 in manifest.json is another; copy it anew, or remove "
                "it and run its recipe again",
                code="unreadable",
                file=path,
            )
        return path

    def finished_units(self) -> int:
        """How many units of all stages are done."""
        return sum(len(stage["units"]) for stage in self.content["stages"].values())

    def paths(self, stage: str, prefix: str = "") -> list[Path]:
        """Where the stage's finished units lie, in the order of their names.

        Raises:
            StepwardError: As `where`.
        """
        return [self.where(stage, name) for name in sorted(self.units(stage)) if name.startswith(prefix)]


def _manifest_in(folder: Path) -> Path:
    refuse_long(folder)
    path = folder / "manifest.json"
    if not folder.exists():
        raise not_found(folder, "run folder")
    if not path.exists():
        raise StepwardError(f"{folder}: not a run (no manifest.json in it)", code="file_not_found", file=folder)
    return path


@lru_cache(maxsize=4)
def _viewed(path: Path, stamp: tuple[int, int, int]) -> dict[str, Any]:
    """The content of a manifest, which a worker asks for several times a unit."""
    content: dict[str, Any] = read_json(path)
    check_content(path, content, FORMAT, place)
    return content


def _content_hash(stage: str, path: Path) -> str | None:
    """The hash of a shard, of a reward model's weights or an evaluation; None for a page, which may be edited."""
    if path.suffix == ".parquet":
        return file_hash(path)
    if stage == "rewards":
        return json_hash([[one.name, file_hash(one)] for one in sorted(path.glob("*.safetensors"))])
    if stage == "evaluation":
        files = (path.parent / name for name in _FIGURES)
        return json_hash([[one.name, file_hash(one)] for one in files if one.is_file()])
    return None


def _new(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "recipe": dict(recipe),
        "recipe_hash": json_hash(recipe),
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
