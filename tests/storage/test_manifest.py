"""The manifest keeps what is done, refuses a run whose recipe changed, and trusts nothing that a folder says."""

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raising import holds, refused

from stepward.errors import StepwardError
from stepward.recipes.loading import load_run_recipe
from stepward.recipes.run import Recipe
from stepward.records import Problem, Scores
from stepward.storage.manifest import FORMAT, Manifest, place
from stepward.storage.parquet import write_shard

RECIPE = {"name": "r", "seed": 0, "labels": {"kinds": ["hard", "er"], "eta": 2.0}, "rewards": {"epochs": 2}}


def finish(manifest: Manifest, stage: str, unit: str, **facts: Any) -> Path:
    """A shard of one problem, noted as done."""
    path = manifest.folder / place(stage, unit)
    write_shard(path, [Problem(f"{stage}/{unit}", "1 + 1?", "2")], Problem)
    manifest.finish(stage, unit, path, **facts)
    return path


def test_a_new_run_notes_its_recipe_and_versions(tmp_path: Path) -> None:
    content = Manifest.start(tmp_path / "run", RECIPE).content
    assert json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8")) == content
    assert content["recipe"] == RECIPE and content["stages"] == {}
    assert {"python", "pyarrow", "numpy"} <= set(content["versions"])
    assert content["revision"] is None or len(content["revision"]) == 40


def test_the_same_recipe_goes_on_and_a_changed_one_is_refused_naming_the_fields(tmp_path: Path) -> None:
    finish(Manifest.start(tmp_path, RECIPE), "labels", "er", steps=3)
    before = (tmp_path / "manifest.json").read_bytes()
    # As it comes from a recipe: other objects, another order.
    again = Manifest.start(tmp_path, dict(reversed(json.loads(json.dumps(RECIPE)).items())))
    assert again.units("labels")["er"]["steps"] == 3
    changed = {**RECIPE, "seed": 1, "labels": {"kinds": ["hard"], "eta": 2.0}, "rewards": {"epochs": 2, "base": "m"}}
    for unbegun in (False, True):
        with pytest.raises(StepwardError) as error:
            Manifest.start(tmp_path, changed, unbegun=unbegun)
        values = ("seed: 0 -> 1", "labels.kinds: ['hard', 'er'] -> ['hard']", "rewards.base: None -> 'm'")
        holds(error.value, "changed", file=tmp_path, field="labels.kinds", names=values)
        assert "eta" not in str(error.value) and "epochs" not in str(error.value)
        assert (tmp_path / "manifest.json").read_bytes() == before


def test_a_run_in_which_nothing_is_finished_may_take_another_recipe(tmp_path: Path) -> None:
    Manifest.start(tmp_path, RECIPE)
    with refused("changed", field="seed"):
        Manifest.start(tmp_path, {**RECIPE, "seed": 1})
    mended = Manifest.start(tmp_path, {**RECIPE, "seed": 1}, unbegun=True)
    assert mended.content["recipe"]["seed"] == 1
    assert Manifest.read(tmp_path).content["recipe"]["seed"] == 0, "written with the first unit that is finished"
    finish(mended, "labels", "er")
    assert Manifest.read(tmp_path).content["recipe"]["seed"] == 1


def test_a_unit_is_finished_while_its_file_is_there(tmp_path: Path) -> None:
    manifest = Manifest.start(tmp_path, RECIPE)
    path = tmp_path / "solutions" / "test-0000.parquet"
    assert not manifest.finished("solutions", "test-0000")
    write_shard(path, [], Problem)
    assert not manifest.finished("solutions", "test-0000"), "a file that the manifest does not name is not done"
    with refused("unfinished", file=tmp_path, names=("test-0000",)):
        manifest.where("solutions", "test-0000")
    manifest.finish("solutions", "test-0000", path, solutions=7)
    again = Manifest.read(tmp_path)
    assert again.finished("solutions", "test-0000") and not again.finished("rollouts", "test-0000")
    assert again.where("solutions", "test-0000") == path
    path.unlink()
    assert not again.finished("solutions", "test-0000")
    with refused("file_not_found", file=path):
        again.where("solutions", "test-0000")


def test_units_and_paths_are_kept_by_stage_and_name(tmp_path: Path) -> None:
    manifest = Manifest.start(tmp_path, RECIPE)
    for unit in ("test-0001", "reward-0000", "test-0000"):
        finish(manifest, "solutions", unit)
    (tmp_path / "report.html").write_text("page")
    manifest.finish("report", "page", tmp_path / "report.html")
    shards = [tmp_path / "solutions" / f"test-000{number}.parquet" for number in (0, 1)]
    assert manifest.paths("solutions", "test-") == shards
    assert len(manifest.paths("solutions")) == 3 and manifest.paths("scores") == []
    assert manifest.finished_units() == 4
    with pytest.raises(ValueError):
        manifest.finish("solutions", "test-0002", shards[0])


def test_a_moved_run_is_still_done(tmp_path: Path) -> None:
    finish(Manifest.start(tmp_path / "a", RECIPE), "solutions", "test-0000")
    (tmp_path / "a").rename(tmp_path / "b")
    assert Manifest.read(tmp_path / "b").where("solutions", "test-0000").is_file()


def test_a_shard_or_weights_that_changed_are_refused(tmp_path: Path) -> None:
    manifest = Manifest.start(tmp_path, RECIPE)
    shard, weights = finish(manifest, "solutions", "test-0000"), tmp_path / "rewards/er/seed-0/model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    manifest.finish("rewards", "er/seed-0", weights.parent)
    for path, stage, unit, at in ((shard, "solutions", "test-0000", shard), (weights, "rewards", "er/seed-0", None)):
        assert Manifest.read(tmp_path).where(stage, unit) == (at or weights.parent)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with refused("unreadable", file=at or weights.parent, names=("manifest.json",)):
            Manifest.read(tmp_path).where(stage, unit)


@pytest.mark.parametrize("content", ['{"format": 99}', "[]", "{}", '{"format": 1}', '{"format": true}', '"x"'])
def test_a_manifest_of_another_format_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with refused("wrong_version", file=tmp_path / "manifest.json", field="format", names=(FORMAT,)):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("content", ['{"format": 2, "rec', "[" * 100_000, '{"format": 1e999', "\ufeff{}", ""])
def test_what_is_no_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with refused("unreadable", file=tmp_path / "manifest.json"):
        Manifest.start(tmp_path, RECIPE)


def test_a_folder_without_a_manifest_is_no_run(tmp_path: Path) -> None:
    with refused("file_not_found", file=tmp_path):
        Manifest.read(tmp_path)


def nested(levels: int) -> Any:
    return {"inner": nested(levels - 1)} if levels else 0


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("recipe", lambda content: content.update(recipe=[])),
        ("recipe", lambda content: content.update(recipe=nested(200))),
        ("recipe_hash", lambda content: content.pop("recipe_hash")),
        ("versions.python", lambda content: content["versions"].update(python=3)),
        ("seconds", lambda content: content.update(seconds="long")),
        ("taken.solutions", lambda content: content.update(taken={"solutions": 1})),
        ("stages.solutions.units", lambda content: content["stages"]["solutions"].pop("units")),
        ("stages.solutions.units.test-0000.path", lambda content: unit(content).pop("path")),
        ("stages.solutions.units.test-0000.draws", lambda content: unit(content).update(draws=2**62)),
        ("stages.solutions.units.test-0000.seconds", lambda content: unit(content).update(seconds=-1)),
        (
            "stages.problems.units.test.problems",
            lambda content: content["stages"].update(problems={"units": {"test": {"path": "problems/test.parquet"}}}),
        ),
    ],
)
def test_a_damaged_field_is_named(tmp_path: Path, field: str, change: Any) -> None:
    finish(Manifest.start(tmp_path, RECIPE), "solutions", "test-0000")
    content = json.loads((tmp_path / "manifest.json").read_text())
    change(content)
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with refused("unreadable", file=tmp_path / "manifest.json", field=field):
        Manifest.read(tmp_path)


def unit(content: Any) -> Any:
    """The facts of the one unit in it."""
    return content["stages"]["solutions"]["units"]["test-0000"]


@pytest.mark.parametrize("path", ["../outside.parquet", "/etc/passwd", "solutions/test-0001.parquet", "", "a\0b"])
def test_a_unit_that_lies_elsewhere_is_refused(tmp_path: Path, path: str) -> None:
    finish(Manifest.start(tmp_path, RECIPE), "solutions", "test-0000")
    content = json.loads((tmp_path / "manifest.json").read_text())
    unit(content)["path"] = path
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with refused("unsafe_path", file=tmp_path / "manifest.json", field="stages.solutions.units.test-0000.path"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("name", ["..", "../../x", "/x", "a/../b", "a/b/c", ".x", "a b", "", "a\n", "x" * 300])
def test_a_unit_s_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    manifest = Manifest.start(tmp_path, RECIPE)
    with refused("unsafe_path"):
        place("solutions", name)
    manifest.units("solutions")[name] = {"path": f"solutions/{name}.parquet"}
    manifest.save()
    with refused("unsafe_path", file=tmp_path / "manifest.json", field="stages.solutions"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("where", ["solutions", "solutions/test-0001.parquet", "evaluation/summary.json", "notes"])
@pytest.mark.parametrize("broken", [False, True])
def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path, where: str, broken: bool) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    Manifest.start(run, RECIPE)
    if not broken:
        outside.mkdir()
    (run / where).parent.mkdir(exist_ok=True)
    (run / where).symlink_to(outside)
    with refused("unsafe_path", file=run / where, names=(outside,)):
        Manifest.read(run)
    (run / "manifest.json").unlink()
    with refused("unsafe_path", file=run / where):
        Manifest.start(run, RECIPE)


def test_a_link_inside_of_the_folder_and_one_to_it_are_followed(tmp_path: Path) -> None:
    finish(Manifest.start(tmp_path / "run", RECIPE), "solutions", "test-0000")
    (tmp_path / "run" / "latest").symlink_to("solutions")
    (tmp_path / "linked").symlink_to(tmp_path / "run")
    assert Manifest.read(tmp_path / "linked").where("solutions", "test-0000").is_file()


def test_a_pipe_in_the_folder_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    Manifest.start(tmp_path, RECIPE)
    (tmp_path / "manifest.json").unlink()
    os.mkfifo(tmp_path / "manifest.json")
    with refused("unsafe_path", file=tmp_path / "manifest.json"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("failure", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 5)])
def test_without_git_the_revision_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise failure

    monkeypatch.setattr(subprocess, "run", fails)
    assert Manifest.start(tmp_path, RECIPE).content["revision"] is None


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a unit of several stages, to damage."""
    folder = tmp_path_factory.mktemp("run")
    manifest = Manifest.start(folder, Recipe(name="r").fingerprint_fields())
    finish(manifest, "problems", "test", problems=1)
    finish(manifest, "solutions", "test-0000", draws=3, seconds=0.5, work={"prefilled": 3})
    finish(manifest, "labels", "hard", steps=1, mean=0.5)
    path = folder / place("scores", "hard/seed-0")
    write_shard(path, [Scores("s", "p", "hard/seed-0", (0.5,))], Scores)
    manifest.finish("scores", "hard/seed-0", path, seconds=1)
    return folder


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(one for key, each in inner for one in places(each, (*at, key)))]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_damaged_manifest_is_refused_in_words_or_read(
    run: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content: Any = json.loads((run / "manifest.json").read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        found = [one for one in places(content) if one]
        *way, last = data.draw(st.sampled_from(found)) if found else [None]
        if last is None:
            break
        place_of = content
        for key in way:
            place_of = place_of[key]
        if data.draw(st.booleans()):
            place_of[last] = data.draw(anything)
        else:
            del place_of[last]
    raw = json.dumps(content).encode()
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw = raw[:at] + data.draw(st.binary(max_size=3)) + raw[at + 1 :]
    damaged = tmp_path_factory.mktemp("damaged")
    for path in run.rglob("*.parquet"):
        (damaged / path.relative_to(run)).parent.mkdir(exist_ok=True)
        os.link(path, damaged / path.relative_to(run))
    (damaged / "manifest.json").write_bytes(raw)
    readers = (use, load_run_recipe, lambda folder: Manifest.start(folder, Recipe(name="other").fingerprint_fields()))
    for reader in readers:
        with suppress(StepwardError):
            reader(damaged)
    assert {path.name for path in damaged.iterdir()} <= {"manifest.json", "problems", "solutions", "labels", "scores"}


def use(folder: Path) -> None:
    """What readers do with a manifest."""
    manifest = Manifest.read(folder)
    assert manifest.finished_units() == sum(len(manifest.units(stage)) for stage in manifest.content["stages"])
    for stage in list(manifest.content["stages"]):
        for path in manifest.paths(stage):
            assert folder in path.parents
        assert sum(float(facts.get("seconds", 0)) for facts in manifest.units(stage).values()) >= 0
