"""A shard that is drawn again and comes out otherwise: what was made from the old one is made again, and no more."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from raising import refused
from scripted import lively, recipe_of, run_scripted
from small_runs import Stepward, content

from stepward.records import Solution
from stepward.storage.dependents import made_from
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import file_hash, read_shard, write_shard

KINDS = ("orm", "soft")
MODELS = {f"{kind}/seed-{seed}" for kind in KINDS for seed in (0, 1)}


@pytest.fixture
def copy(whole: tuple[Path, float], tmp_path: Path) -> Path:
    return shutil.copytree(whole[0], tmp_path / "whole")


def as_if_other(folder: Path, unit: str) -> None:
    """Makes a shard of solutions another one, as the manifest has it, and deletes it: the next run draws it anew."""
    path = folder / "solutions" / f"{unit}.parquet"
    write_shard(path, read_shard(path, Solution)[1:], Solution)
    manifest = Manifest.read(folder)
    manifest.units("solutions")[unit]["sha256"] = file_hash(path)
    manifest.save()
    path.unlink()


def test_all_that_was_made_from_a_shard_of_solutions_is_made_again(
    copy: Path, whole: tuple[Path, float], small: tuple[str, ...], stepward: Stepward
) -> None:
    as_if_other(copy, "reward-0001")
    # Marks by which what is not made again is known: nothing but the new shard's is.
    for stage, unit in (("labels", "soft"), ("rollouts", "reward-0001"), ("rollouts", "reward-0000")):
        manifest = Manifest.read(copy)
        path = manifest.where(stage, unit)
        table = pq.read_table(path)
        pq.write_table(table.slice(0, 1), path)
        manifest.units(stage)[unit]["sha256"] = file_hash(path)
        manifest.save()
    ended = stepward(*small, "name=whole", "--runs", copy.parent, "--until", "solutions")
    assert ended.returncode == 0, ended.stderr
    stages = json.loads((copy / "manifest.json").read_text())["stages"]
    left = {stage: set(found["units"]) for stage, found in stages.items()}
    assert left["rollouts"] == {"reward-0000"}
    assert all(not left[stage] for stage in ("labels", "rewards", "scores", "evaluation", "report"))
    assert "solutions reward-0001" in ended.stdout
    (copy / "rollouts" / "reward-0000.parquet").unlink()
    ended = stepward(*small, "name=whole", "--runs", copy.parent)
    assert ended.returncode == 0, ended.stderr
    assert content(copy) == content(whole[0])


def test_a_shard_that_comes_out_as_it_was_undoes_nothing(
    copy: Path, small: tuple[str, ...], stepward: Stepward
) -> None:
    before = (copy / "manifest.json").read_bytes()
    (copy / "solutions" / "reward-0001.parquet").unlink()
    ended = stepward(*small, "name=whole", "--runs", copy.parent, "--until", "solutions")
    assert ended.returncode == 0, ended.stderr
    was, now = (json.loads(one)["stages"] for one in (before, (copy / "manifest.json").read_bytes()))
    assert {stage: set(found["units"]) for stage, found in was.items()} == {
        stage: set(found["units"]) for stage, found in now.items()
    }


class _Killed(BaseException):
    """As `kill -9`, which nobody catches."""


def killed_at(stage: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Ends the next run after a shard of a stage is written, before the manifest has it."""
    noted = Manifest.finish

    def finish(self: Manifest, at: str, unit: str, path: Path, **facts: Any) -> dict[str, set[str]]:
        if at == stage:
            raise _Killed
        return noted(self, at, unit, path, **facts)

    monkeypatch.setattr(Manifest, "finish", finish)
    return monkeypatch


@pytest.mark.parametrize("stage", ["problems", "solutions", "rollouts", "labels"])
def test_a_kill_between_a_shard_and_its_note_stops_nobody(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(_Killed):
        run_scripted(killed_at(stage, patch), recipe, tmp_path, lively, until="labels")
    manifest, *_ = run_scripted(monkeypatch, recipe, tmp_path, lively, until="labels")
    assert manifest.units("labels")
    if stage != "solutions":
        return
    # The same where it was there before, was lost, and comes out otherwise.
    as_if_other(tmp_path / "run", "reward-0000")
    with monkeypatch.context() as patch, pytest.raises(_Killed):
        run_scripted(killed_at(stage, patch), recipe, tmp_path, lively, until="labels")
    manifest, shown, _ = run_scripted(monkeypatch, recipe, tmp_path, lively, until="labels")
    assert manifest.where("solutions", "reward-0000") and manifest.units("labels") and not manifest.lost("solutions")
    assert "warning:" in shown, "what was made from the old one was undone"


def test_what_is_put_beside_the_figures_is_somebody_elses(copy: Path) -> None:
    (copy / "evaluation" / "notes.json").write_text("{}")
    assert Manifest.read(copy).where("evaluation", "summary")
    (copy / "evaluation" / "chosen.json").write_text("[]")
    with refused("unreadable", names=(copy / "evaluation",)):
        Manifest.read(copy).where("evaluation", "summary")


def test_published_solutions_are_read_again_where_their_problems_were_lost(tmp_path: Path, stepward: Stepward) -> None:
    def publish(step: str) -> Path:
        rows = [
            {"question": f"What is {n} and 1?", "ground_truth": f"A: {n + 1}"}
            | {f"g{m}": {"is_correct": m == 1, "solution": f"{step} {n + m}\nA: {n + m}"} for m in range(4)}
            for n in range(9)
        ]
        path = tmp_path / "published.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    words = (
        "run", "tiny-cpu", f"solutions.path={publish('Count')}", "problems.reward=3", "problems.validation=3",
        "problems.test=3", "evaluation.ns=1,2", "labels.kinds=orm", "name=p", "--until", "solutions",
        "--runs", tmp_path,
    )  # fmt: skip
    assert (ended := stepward(*words)).returncode == 0, ended.stderr
    publish("Add")
    (tmp_path / "p" / "problems" / "reward.parquet").unlink()
    assert (ended := stepward(*words)).returncode == 0, ended.stderr
    (path,) = (tmp_path / "p" / "solutions").glob("reward-*.parquet")
    assert {row["steps"][0].split()[0] for row in pq.read_table(path).to_pylist()} == {"Add"}


@pytest.mark.parametrize(
    ("stage", "unit", "expected"),
    [
        ("problems", "test", {"solutions": {"test-0000"}, "scores": MODELS, "evaluation": {"summary"}}),
        ("solutions", "validation-0000", {"scores": MODELS, "evaluation": {"summary"}}),
        (
            "solutions",
            "reward-0001",
            # Two problems a shard of solutions, three one of rollouts.
            {
                "rollouts": {"reward-0000", "reward-0001"}, "judgements": {"a/reward-0000"},
                "labels": {"orm", "soft", "judge", "consensus"}, "rewards": MODELS, "scores": MODELS,
                "evaluation": {"summary"},
            },
        ),
        (
            "rollouts",
            "reward-0000",
            {
                "labels": {"soft", "consensus"}, "rewards": {"soft/seed-0", "soft/seed-1"},
                "scores": {"soft/seed-0", "soft/seed-1"}, "evaluation": {"summary"},
            },
        ),
        ("labels", "judge", {"labels": {"consensus"}}),
        ("labels", "consensus", {}),
        ("rewards", "orm/seed-1", {"scores": {"orm/seed-1"}, "evaluation": {"summary"}}),
        ("scores", "orm/seed-1", {"evaluation": {"summary"}}),
        ("evaluation", "summary", {}),
    ],
)  # fmt: skip
def test_what_was_made_from_a_unit_follows_from_the_names(stage: str, unit: str, expected: dict[str, set[str]]) -> None:
    units = {
        "problems": {"reward", "validation", "test"},
        "solutions": {"reward-0000", "reward-0001", "reward-0002", "validation-0000", "test-0000"},
        "rollouts": {"reward-0000", "reward-0001"}, "judgements": {"a/reward-0000"},
        "labels": {"orm", "soft", "judge", "consensus"}, "rewards": MODELS, "scores": MODELS,
        "evaluation": {"summary"}, "report": {"page"},
    }  # fmt: skip
    manifest = {
        "recipe": {"solutions": {"unit": 2, "path": None}, "rollouts": {"unit": 3}},
        "stages": {name: {"units": {one: {} for one in found}} for name, found in units.items()},
    }
    expected = {**expected, **({"report": {"page"}} if stage == "evaluation" or "evaluation" in expected else {})}
    assert made_from(manifest, stage, unit) == expected


@pytest.mark.parametrize("name", ["summary.json", "facts.json", "accuracies.parquet"])
def test_figures_that_are_not_what_was_written_are_not_shown_and_are_made_again(
    copy: Path, small: tuple[str, ...], stepward: Stepward, name: str
) -> None:
    path = copy / "evaluation" / name
    before = path.read_bytes()
    if name == "accuracies.parquet":
        table = pq.read_table(path)
        pq.write_table(table.take(list(range(len(table)))[::-1]), path)
    else:
        number = next(one for one in re.findall(rb"[0-9]+", before) if int(one))
        path.write_bytes(before.replace(number, str(int(number) + 1).encode()))
        assert path.read_bytes() != before
    (copy / "evaluation" / "._summary.json").write_text("what a desktop leaves")
    for words in (("report", copy), ("report", copy, "--picture", copy / "p.svg"), ("compare", copy)):
        ended = stepward(*words)
        assert ended.returncode == 1 and "[unreadable]" in ended.stderr, ended.stderr
    page = (copy / "report.html").read_bytes()
    ended = stepward(*small, "name=whole", "--runs", copy.parent)
    assert ended.returncode == 0, ended.stderr
    assert str(copy / "evaluation") in ended.stdout and path.read_bytes() == before
    assert (copy / "report.html").read_bytes() == page
    assert stepward("compare", copy).returncode == 0


@pytest.mark.parametrize("shard", ["scores/soft-seed-1", "solutions/test-0001", "problems/validation"])
def test_a_finished_run_whose_shard_was_changed_is_not_everything_done(
    copy: Path, small: tuple[str, ...], stepward: Stepward, shard: str
) -> None:
    path = copy / f"{shard}.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    ended = stepward(*small, "name=whole", "--runs", copy.parent)
    assert ended.returncode == 1 and "[unreadable]" in ended.stderr and path.name in ended.stderr


def test_a_run_that_an_older_stepward_evaluated_is_done(copy: Path, small: tuple[str, ...], stepward: Stepward) -> None:
    content = json.loads((copy / "manifest.json").read_text())
    del content["stages"]["evaluation"]["units"]["summary"]["sha256"]
    (copy / "manifest.json").write_text(json.dumps(content))
    assert stepward("compare", copy).returncode == 0
    ended = stepward(*small, "name=whole", "--runs", copy.parent)
    assert ended.returncode == 0 and "everything was done before" in ended.stdout
