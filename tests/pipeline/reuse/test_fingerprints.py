"""Runs that take what others have finished end as runs from nothing do; and runs that borrow reward models."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from raising import refused
from rich.console import Console
from small_runs import content

from stepward.pipeline.reuse import fingerprints as branching
from stepward.pipeline.reuse.fingerprints import ShardCache, link
from stepward.pipeline.runner import RunOptions, run_recipe
from stepward.pipeline.training.data_run import InProcessPool
from stepward.recipes.loading import load_recipe
from stepward.recipes.run import Recipe
from stepward.records import Problem
from stepward.storage.manifest import Manifest
from stepward.storage.run_dir import Layout

Make = Callable[..., Recipe]


@pytest.fixture(scope="module")
def make() -> Make:
    """A recipe of seconds with some fields changed; its solutions are right and wrong."""
    sizes = {
        "generator.model": "embedded", "generator.max_new_tokens": 96,
        "problems.reward": 4, "problems.validation": 2, "problems.test": 3,
        "solutions.reward": 3, "solutions.validation": 3, "solutions.test": 3, "solutions.unit": 2,
        "rollouts.completions": 2, "rollouts.unit": 2, "labels.kinds": "orm,er", "rewards.seeds": "0",
        "rewards.epochs": 1, "rewards.batch": 8, "evaluation.ns": "1,2", "evaluation.subsets": 5,
    }  # fmt: skip

    def made(name: str, **changes: Any) -> Recipe:
        fields = sizes | {field.replace("__", "."): value for field, value in changes.items()}
        return load_recipe("tiny-cpu", [f"name={name}", *(f"{field}={value}" for field, value in fields.items())])

    return made


def run(recipe: Recipe, runs: Path, *others: Path, until: str = "scores") -> Path:
    """Runs a recipe in this process, taking from other runs."""
    shelf = ShardCache()
    for other in others:
        shelf.add(other)
    with InProcessPool(1) as pool:
        run_recipe(recipe, runs / recipe.name, Console(quiet=True), RunOptions(until=until), pool=pool, shelf=shelf)
    return runs / recipe.name


def taken(folder: Path) -> dict[str, list[str]]:
    """The units that a run took, by stage."""
    found = Manifest.read(folder).content.get("taken", {})
    return {stage: sorted(units) for stage, units in found.items() if units}


@pytest.fixture(scope="module")
def first(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that others take from."""
    return run(make("first"), tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def alone(make: Make, first: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Gives a run from nothing with some fields changed; each is run once."""
    runs = tmp_path_factory.mktemp("alone")
    made = {"{}": first}

    def run_alone(**changes: Any) -> Path:
        key = str(changes)
        if key not in made:
            made[key] = run(make(f"alone-{len(made)}", **changes), runs)
        return made[key]

    return run_alone


ALL_SOLUTIONS = ["reward-0000", "reward-0001", "test-0000", "test-0001", "validation-0000"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["rollouts", "er", "orm", "er/seed-0", "orm/seed-0"]),
        ({"labels__eta": 5}, ["rollouts", "orm", "orm/seed-0"]),
        pytest.param({"rewards__learning_rate": 0.01}, ["rollouts", "er", "orm"], marks=pytest.mark.slow),
        pytest.param(
            {"rewards__seeds": "7,0", "labels__kinds": "er"}, ["rollouts", "er", "er/seed-0"], marks=pytest.mark.slow
        ),
        pytest.param({"rollouts__completions": 3}, ["orm", "orm/seed-0"], marks=pytest.mark.slow),
    ],
)
def test_a_branched_run_is_as_one_from_nothing(
    changes: dict[str, Any], expected: list[str], first: Path, make: Make, alone: Callable[..., Path], tmp_path: Path
) -> None:
    before = content(first)
    branched = run(make("second", **changes), tmp_path, first)
    assert content(branched) == content(alone(**changes))
    by_stage = {
        "solutions": ALL_SOLUTIONS,
        "rollouts": ["reward-0000", "reward-0001"] if "rollouts" in expected else [],
        "labels": [unit for unit in expected if unit in ("er", "orm")],
        "rewards": [unit for unit in expected if "/" in unit],
        "scores": [unit for unit in expected if "/" in unit],
    }
    assert taken(branched) == {stage: units for stage, units in by_stage.items() if units}
    assert taken(alone(**changes)) == {}
    assert content(first) == before
    where = Manifest.read(branched).content["taken"]["solutions"]["test-0000"]
    assert (branched / where).resolve() == first.resolve()


@pytest.mark.slow
def test_runs_of_other_sizes_share_the_batches_that_both_have(make: Make, tmp_path: Path) -> None:
    changes = {"labels__kinds": "er"}
    small = run(make("small", **changes), tmp_path, until="labels")
    large = make("large", **changes, problems__reward=5)
    branched = run(large, tmp_path, small, until="labels")
    assert content(branched) == content(run(large, tmp_path / "alone", until="labels"))
    assert taken(branched) == {"solutions": ALL_SOLUTIONS, "rollouts": ["reward-0000", "reward-0001"]}


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"generator__temperature": 0.5}, {"grader": "exact"}, {"solutions__unit": 3}],
)
def test_nothing_is_taken_where_something_else_decides(changes: dict[str, Any], first: Path, make: Make,
                                                       tmp_path: Path) -> None:  # fmt: skip
    folder = run(make("other", **changes), tmp_path, first, until="solutions")
    assert "reward-0000" not in taken(folder).get("solutions", [])
    assert "test-0000" not in taken(folder).get("solutions", [])


def test_nothing_is_taken_from_another_version(first: Path, make: Make, tmp_path: Path) -> None:
    other = tmp_path / "other"
    link(first, other)
    text = (first / "manifest.json").read_text()
    changed = json.loads(text)
    changed["versions"]["torch"] = "0.1"
    (other / "manifest.json").unlink()
    (other / "manifest.json").write_text(json.dumps(changed))
    assert (first / "manifest.json").read_text() == text
    assert taken(run(make("second"), tmp_path, other, until="solutions")) == {}


def test_a_run_that_was_killed_while_it_took_goes_on(
    first: Path, make: Make, alone: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, links = make("second", labels__eta=5), []

    def dying(source: Path, target: Path) -> None:
        links.append(target)
        if len(links) == 9:
            raise KeyboardInterrupt
        link(source, target)

    monkeypatch.setattr(branching, "link", dying)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path, first)
    assert "rewards" not in taken(tmp_path / "second")
    monkeypatch.undo()
    folder = run(recipe, tmp_path, first)
    assert content(folder) == content(alone(labels__eta=5))
    assert not [path.name for path in folder.rglob(".*") if path.name != ".lock"]


def test_a_finished_run_takes_nothing(first: Path, make: Make, tmp_path: Path) -> None:
    folder = run(make("second"), tmp_path, until="solutions")
    before = (folder / "manifest.json").read_bytes()
    run(make("second"), tmp_path, first, until="solutions")
    assert (folder / "manifest.json").read_bytes() == before


def test_a_lost_unit_is_taken_or_made_again(first: Path, make: Make, tmp_path: Path) -> None:
    folder = run(make("second"), tmp_path, first, until="labels")
    before = content(folder)
    (folder / "solutions" / "test-0000.parquet").unlink()
    assert (first / "solutions" / "test-0000.parquet").exists()
    run(make("second"), tmp_path, until="labels")
    assert content(folder) == before
    assert "test-0000" not in taken(folder)["solutions"]


def test_what_is_lost_there_is_not_taken(first: Path, make: Make, tmp_path: Path) -> None:
    other = run(make("other"), tmp_path, first, until="solutions")
    (other / "solutions" / "test-0000.parquet").unlink()
    folder = run(make("second"), tmp_path, other, until="solutions")
    assert taken(folder)["solutions"] == [unit for unit in ALL_SOLUTIONS if unit != "test-0000"]


def test_files_are_linked_and_copied_where_they_cant_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "model"
    (source / "deep").mkdir(parents=True)
    (source / "a.txt").write_text("a")
    (source / "deep" / "b.txt").write_text("b")
    link(source, tmp_path / "linked")
    link(source, tmp_path / "linked")
    assert (tmp_path / "linked" / "deep" / "b.txt").stat().st_ino == (source / "deep" / "b.txt").stat().st_ino

    def refuses(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "another disc")

    monkeypatch.setattr(os, "link", refuses)
    link(source, tmp_path / "copied")
    copied = tmp_path / "copied" / "deep" / "b.txt"
    assert copied.read_text() == "b"
    assert copied.stat().st_ino != (source / "deep" / "b.txt").stat().st_ino
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.txt"] * 3 + ["b.txt"] * 3

    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "link", full)
    with refused("unwritable", names=(tmp_path,)):
        link(source, tmp_path / "none")
    with refused("file_not_found", file=tmp_path / "gone"):
        link(tmp_path / "gone", tmp_path / "none")


# Other runs' reward models


@pytest.fixture(scope="module")
def lender(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the arithmetic world, whose reward models others use."""
    return run(make("lender"), tmp_path_factory.mktemp("runs"))


BORROWER = {
    "problems__levels": "2,3", "problems__reward": 0, "problems__validation": 0,
    "generator__temperature": 0.8,
}  # fmt: skip


def test_a_run_uses_anothers_reward_models_and_trains_none(lender: Path, make: Make) -> None:
    folder = run(make("borrower", **BORROWER, rewards__of="lender"), lender.parent)
    manifest = Manifest.read(folder)
    units = {stage: sorted(manifest.units(stage)) for stage in manifest.content["stages"] if manifest.units(stage)}
    assert units == {
        "problems": ["reward", "test", "validation"],
        "solutions": ["test-0000", "test-0001", "validation-0000"],
        "rewards": ["er/seed-0", "orm/seed-0"],
        "scores": ["er/seed-0", "orm/seed-0"],
    }
    assert not (folder / "labels").exists() and not (folder / "rollouts").exists()
    for path in ("rewards/er/seed-0/model.safetensors", "problems/validation.parquet"):
        assert (folder / path).read_bytes() == (lender / path).read_bytes()
    validation = {one.id for one in Layout(folder).solutions("validation")}
    mine, theirs = (
        {one.solution_id: one.scores for one in Layout(run).scores() if one.solution_id in validation}
        for run in (folder, lender)
    )
    assert mine == theirs and len(mine) == len(validation) > 0
    levels = {one.level for one in Layout(folder).problems("test")}
    assert levels == {2, 3}
    before = content(folder)
    for lost in ("solutions/validation-0000", "problems/validation", "scores/er-seed-0"):
        (folder / f"{lost}.parquet").unlink()
    run(make("borrower", **BORROWER, rewards__of="lender"), lender.parent)
    assert content(folder) == before
    # A run may borrow from one that borrows; the models and choices are those of the first.
    chained = run(make("chained", **(BORROWER | {"rewards__of": "borrower", "problems__levels": "3"})), lender.parent)
    assert (chained / "rewards/er/seed-0/model.safetensors").samefile(lender / "rewards/er/seed-0/model.safetensors")


@pytest.mark.parametrize(
    ("changes", "code", "names"),
    [
        ({"labels__kinds": "soft"}, "unfinished", ("soft/seed-0", "er/seed-0, orm/seed-0")),
        ({"rewards__seeds": "0,3"}, "unfinished", ("orm/seed-3",)),
        ({"seed": 5}, "mismatch", ("seed 0", "has 5")),
        ({"grader": "exact"}, "mismatch", ("grader math", "has exact")),
        ({"evaluation__subsets": 9}, "mismatch", ("evaluation.subsets 5", "has 9")),
        ({"evaluation__ns": "1"}, "mismatch", ("evaluation.ns 2", "has 1")),
        ({"rewards__of": "nowhere"}, "file_not_found", ("nowhere",)),
        ({"rewards__of": "misfit"}, "conflict", ("misfit",)),
    ],
)
def test_a_lender_that_does_not_fit_is_refused(
    changes: dict[str, Any], code: str, names: tuple[str, ...], lender: Path, make: Make
) -> None:
    recipe = make("misfit", **(BORROWER | {"rewards__of": "lender"} | changes))
    with refused(code, names=names):
        run(recipe, lender.parent, until="problems")
    assert not list((lender.parent / "misfit").rglob("*.parquet"))


def test_test_problems_that_trained_the_models_are_refused(lender: Path, make: Make, tmp_path: Path) -> None:
    trained = Layout(lender).problems("reward")
    path = tmp_path / "problems.jsonl"
    rows = [{"id": f"p{number}", "question": one.question, "reference": one.reference} for number, one in
            enumerate([*trained, *([Problem("", "Count to three.", "3")])])]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = make("leak", **(BORROWER | {"rewards__of": str(lender), "problems__path": path, "problems__test": 5}))
    with refused("conflict", names=(lender,)):
        run(recipe, tmp_path, until="problems")


def test_a_recipe_without_problems_needs_anothers_reward_models(make: Make) -> None:
    with refused("bad_value", names=("problems.reward", "problems.validation", "0 and 2")):
        make("none", problems__reward=0)


# Labels by another run's reward model


def test_a_missing_judge_is_said_before_anything_is_drawn(lender: Path, make: Make) -> None:
    recipe = make("no-judge", labels__kinds="prm_process", labels__by="lender/er/seed-9")
    with refused("unknown_name", names=("labels.by", "er/seed-9", "er/seed-0")):
        run(recipe, lender.parent)
    assert not list((lender.parent / "no-judge").rglob("*.parquet"))


@pytest.mark.parametrize("changes", [{"labels__kinds": "prm_process"}, {"labels__by": "a/er/seed-0"}])
def test_a_judge_and_its_kinds_belong_together(changes: dict[str, Any], make: Make) -> None:
    with refused("bad_value", names=("labels.by", "labels.kinds")):
        make("none", **changes)


def test_a_reward_model_labels_for_others(lender: Path, make: Make, tmp_path: Path) -> None:
    changes = {
        "labels__kinds": "orm,prm_process,prm_outcome",
        "labels__by": "lender/er/seed-0", "labels__after_first_error": "drop",
    }  # fmt: skip
    lowest = sorted(min(one.scores) for one in Layout(lender).scores() if one.model == "er/seed-0")
    threshold = round(lowest[len(lowest) // 3], 3)
    recipe = make("pupil", **changes, labels__right_from=threshold)
    folder = run(recipe, lender.parent)
    judged = {
        row["solution_id"]: row["scores"]
        for path in (folder / "judged").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    }
    solutions = Layout(folder).solutions("reward")
    assert set(judged) == {one.id for one in solutions}
    assert {len(judged[one.id]) == len(one.steps) for one in solutions} == {True}
    for kind in ("prm_process", "prm_outcome"):
        labels = Layout(folder).labels(kind)
        assert {one.solution_id for one in labels} == set(judged)
        for one in labels:
            right = [score >= threshold for score in judged[one.solution_id]]
            expected: list[float | None] = [float(all(right))] * len(right)
            if kind == "prm_process":
                wrong = right.index(False) if False in right else len(right)
                expected = [1.0 if at < wrong else 0.0 if at == wrong else None for at in range(len(right))]
            assert list(one.labels) == expected
    description = json.loads((folder / "rewards/prm_outcome/seed-0/stepward_reward_model.json").read_text())
    assert description["kind"] == "prm_outcome"
    # Another run of the same labels takes all of it; one with another judge takes what it shares.
    again = run(make("pupil-2", **changes, labels__right_from=threshold), lender.parent, folder)
    assert content(again) == content(folder)
    assert taken(again)["judged"] == ["reward-0000", "reward-0001"]
    lowest = sorted(min(one.scores) for one in Layout(lender).scores() if one.model == "orm/seed-0")
    threshold = round(lowest[len(lowest) // 2], 4)
    other = make("pupil-3", **(changes | {"labels__by": "lender/orm/seed-0"}), labels__right_from=threshold)
    assert taken(run(other, lender.parent, folder, until="labels"))["labels"] == ["orm"]


@pytest.mark.slow
def test_labels_of_one_class_and_a_threshold_that_was_not_chosen_are_refused(lender: Path, make: Make) -> None:
    changes = {"labels__kinds": "prm_outcome", "labels__by": "lender/er/seed-0"}
    with refused("degenerate", field="labels.prm_outcome", names=("labels.right_from",)):
        run(make("strict", **changes, labels__right_from=1.0), lender.parent, until="labels")
    path = lender / "evaluation" / "first-errors.json"
    chosen = make("by-choice", **changes, labels__right_from="chosen")
    with refused("missing", names=("labels.right_from", path, "er/seed-0")):
        run(chosen, lender.parent, until="labels")
    scores = sorted(min(one.scores) for one in Layout(lender).scores() if one.model == "er/seed-0")
    threshold = scores[len(scores) // 3]
    row = {"method": "er", "seed": 0, "threshold": threshold}
    before = (lender / "manifest.json").read_bytes()
    path.parent.mkdir()  # the lender is not evaluated, and is left as it was

    def evaluated(*rows: dict[str, Any]) -> None:
        summary = lender / "evaluation" / "summary.json"
        summary.write_text("{}")
        path.write_text(json.dumps(rows))
        Manifest.read(lender).finish("evaluation", "summary", summary)

    try:
        evaluated({**row, "threshold": None})
        with refused("missing", names=("labels.right_from", path, "er/seed-0")):
            run(chosen, lender.parent, until="labels")
        evaluated({**row, "seed": 1, "threshold": 0.9}, row)
        folder = run(chosen, lender.parent, until="labels")
    finally:
        shutil.rmtree(path.parent)
        (lender / "manifest.json").write_bytes(before)
    given = run(make("given", **changes, labels__right_from=threshold), lender.parent, until="labels")
    assert Layout(folder).labels("prm_outcome") == Layout(given).labels("prm_outcome")
