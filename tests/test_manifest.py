"""The manifest keeps what is done, and refuses a run whose recipe changed."""

import json
import subprocess
from pathlib import Path

import pytest

from stepward.errors import StepwardError
from stepward.manifest import Manifest

RECIPE = {"name": "r", "seed": 0, "labels": {"kinds": ["hard", "er"], "eta": 2.0}, "rewards": {"epochs": 2}}


def test_a_new_run_notes_its_recipe_and_versions(tmp_path: Path) -> None:
    content = Manifest.start(tmp_path / "run", RECIPE).content
    assert json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8")) == content
    assert content["recipe"] == RECIPE and content["stages"] == {}
    assert {"python", "pyarrow", "numpy"} <= set(content["versions"])
    assert content["revision"] is None or len(content["revision"]) == 40


def test_the_same_recipe_goes_on_and_a_changed_one_is_refused_naming_the_fields(tmp_path: Path) -> None:
    Manifest.start(tmp_path, RECIPE).finish("labels", "er", tmp_path / "er.parquet", steps=3)
    before = (tmp_path / "manifest.json").read_bytes()
    # As it comes from a recipe: other objects, another order.
    again = Manifest.start(tmp_path, dict(reversed(json.loads(json.dumps(RECIPE)).items())))
    assert again.units("labels") == {"er": {"path": "er.parquet", "steps": 3}}
    changed = {**RECIPE, "seed": 1, "labels": {"kinds": ["hard"], "eta": 2.0}, "rewards": {"epochs": 2, "base": "m"}}
    with pytest.raises(StepwardError) as error:
        Manifest.start(tmp_path, changed)
    message = str(error.value)
    assert "seed: 0 -> 1" in message
    assert "labels.kinds: ['hard', 'er'] -> ['hard']" in message
    assert "rewards.base: None -> 'm'" in message
    assert "eta" not in message and "epochs" not in message
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_a_unit_is_finished_while_its_file_is_there(tmp_path: Path) -> None:
    manifest = Manifest.start(tmp_path, RECIPE)
    path = tmp_path / "solutions" / "test-0000.parquet"
    assert not manifest.finished("solutions", "test-0000")
    path.parent.mkdir()
    path.write_bytes(b"records")
    assert not manifest.finished("solutions", "test-0000"), "a file that the manifest does not name is not done"
    manifest.finish("solutions", "test-0000", path, solutions=7)
    again = Manifest.read(tmp_path)
    assert again.finished("solutions", "test-0000") and not again.finished("rollouts", "test-0000")
    path.unlink()
    assert not again.finished("solutions", "test-0000")


def test_units_and_paths_are_kept_by_stage_and_name(tmp_path: Path) -> None:
    manifest = Manifest.start(tmp_path, RECIPE)
    for unit in ("test-0001", "reward-0000", "test-0000"):
        manifest.finish("solutions", unit, tmp_path / "solutions" / unit)
    manifest.finish("report", "page", tmp_path / "report.html")
    assert manifest.paths("solutions", "test-") == [tmp_path / "solutions" / f"test-000{number}" for number in (0, 1)]
    assert len(manifest.paths("solutions")) == 3 and manifest.paths("scores") == []
    assert manifest.finished_units() == 4


def test_a_moved_run_is_still_done(tmp_path: Path) -> None:
    manifest = Manifest.start(tmp_path / "a", RECIPE)
    (tmp_path / "a" / "report.html").write_text("page")
    manifest.finish("report", "page", tmp_path / "a" / "report.html")
    (tmp_path / "a").rename(tmp_path / "b")
    assert Manifest.read(tmp_path / "b").finished("report", "page")


@pytest.mark.parametrize("content", ['{"format": 99}', "[]", "{}"])
def test_a_manifest_of_another_format_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(StepwardError, match=r"manifest\.json: not a manifest of format 1"):
        Manifest.read(tmp_path)


def test_a_torn_manifest_and_a_folder_without_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StepwardError, match=r"not a run \(no manifest\.json"):
        Manifest.read(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 1, "rec')
    with pytest.raises(StepwardError, match="not JSON"):
        Manifest.start(tmp_path, RECIPE)


@pytest.mark.parametrize("failure", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 5)])
def test_without_git_the_revision_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise failure

    monkeypatch.setattr(subprocess, "run", fails)
    assert Manifest.start(tmp_path, RECIPE).content["revision"] is None
