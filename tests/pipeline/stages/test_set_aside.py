"""One bad problem is set aside with its reason, and the run goes on; too many of them stop it."""

import json
from pathlib import Path
from typing import Any

import pytest
from raising import refused
from scripted import lively, recipe_of, run_scripted
from small_runs import content

from stepward.generation.interface import Completion, Prompt
from stepward.pipeline.stages.set_aside import NAME, kept, set_aside, told, unlabelled
from stepward.recipes.loading import load_run_recipe
from stepward.storage.manifest import Manifest
from stepward.storage.run_dir import Layout

LOST = Completion("", False, fault="context")


def failing(bad: set[str], only_completions: bool = False) -> Any:
    """As `lively`, but of the bad problems no draw can be had, or the second draw only."""

    def answer(prompt: Prompt, draw: int) -> Completion:
        fails = prompt.question in bad and (bool(prompt.steps) or not only_completions)
        return LOST if fails and (draw == 1 or only_completions) else lively(prompt, draw)

    return answer


def questions(folder: Path, split: str) -> list[str]:
    return [one.question for one in Layout(folder).problems(split)]


def listed(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / NAME).read_text().splitlines()]


def test_a_bad_problem_is_set_aside_in_every_later_stage(
    tmp_path: Path, tiny_generator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tmp_path, problems__set_aside=0.3, generator__model=tiny_generator, labels__kinds="orm")
    folder = tmp_path / "run"
    run_scripted(monkeypatch, recipe, tmp_path, lively, until="problems")
    bad = {split: questions(folder, split)[place] for split, place in (("reward", 5), ("validation", 0), ("test", 7))}
    answer = failing(set(bad.values()))
    manifest, shown, _ = run_scripted(monkeypatch, recipe, tmp_path, answer, until="report")
    rows = listed(folder)
    assert [(row["split"], row["row"], row["question"]) for row in rows] == [
        ("reward", 6, bad["reward"]), ("validation", 1, bad["validation"]), ("test", 8, bad["test"]),
    ]  # fmt: skip
    assert {(row["stage"], row["code"], row["draws"], row["failed"]) for row in rows} == {
        ("solutions", "too_large", 4, 1)
    }
    assert all(row["reason"] and row["unit"] for row in rows)
    for split in bad:
        aside = set_aside(manifest, split)
        assert {row["problem"] for row in rows if row["split"] == split} == aside
        assert aside.isdisjoint(one.problem_id for one in Layout(folder).solutions(split))
        assert [one.question for one in kept(manifest, split)] == [
            q for q in questions(folder, split) if q != bad[split]
        ]
    aside = {row["problem"] for row in rows}
    for shard in [*folder.glob("labels/*.parquet"), *folder.glob("scores/*.parquet")]:
        assert aside.isdisjoint(row["problem_id"] for row in content(folder)[str(shard.relative_to(folder))])
    summary = json.loads((folder / "evaluation" / "summary.json").read_text())
    assert {row["problems"] for row in summary} == {7}, "every denominator is without it"
    sentences = told(manifest)
    assert [sentence.split()[:4] for sentence in sentences] == [
        ["1", "of", "8", "reward"], ["1", "of", "4", "validation"], ["1", "of", "8", "test"],
    ]  # fmt: skip
    page = (folder / "report.html").read_text()
    assert all(sentence in page for sentence in sentences)
    assert "3 set aside" in shown and "10 of 10 problems" in shown


def test_a_run_that_goes_on_has_the_same_aside_and_asks_for_none_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    recipe = recipe_of(tmp_path, problems__set_aside=0.2)
    run_scripted(monkeypatch, recipe, whole, lively, until="problems")
    bad = questions(whole / "run", "reward")[2]
    run_scripted(monkeypatch, recipe, whole, failing({bad}))
    run_scripted(monkeypatch, recipe, parts, failing({bad}), until="solutions")
    # The engine is mended meanwhile; what is aside stays aside, and has no rollouts.
    manifest, _, engine = run_scripted(monkeypatch, recipe, parts, lively)
    assert content(whole / "run") == content(parts / "run")
    assert (whole / "run" / NAME).read_bytes() == (parts / "run" / NAME).read_bytes()
    assert bad not in engine.asked and engine.asked
    before = manifest.content
    assert run_scripted(monkeypatch, recipe, parts, lively)[0].content == before
    # A unit that is lost is drawn again, and then nothing is aside.
    (parts / "run" / "solutions" / "reward-0000.parquet").unlink()
    manifest, _, engine = run_scripted(monkeypatch, recipe, parts, lively, until="solutions")
    assert bad in engine.asked and not set_aside(manifest, "reward") and not (parts / "run" / NAME).exists()


def test_more_than_the_share_stops_the_run_with_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(tmp_path, problems__set_aside=0.25)
    run_scripted(monkeypatch, recipe, tmp_path, lively, until="problems")
    bad = questions(tmp_path / "run", "reward")[3:6]
    rows = {one.question: one.id for one in Layout(tmp_path / "run").problems("reward")}
    for _ in range(2):
        with refused(
            "too_many_failures", file=tmp_path / "run" / NAME, row=4, field="problems.set_aside",
            names=("3 of 8", *(rows[one] for one in bad), "solutions/reward-0001.parquet"),
        ):  # fmt: skip
            run_scripted(monkeypatch, recipe, tmp_path, failing(set(bad)))
    assert len(listed(tmp_path / "run")) == 3
    # The share decides no record, so it may be raised.
    more = recipe_of(tmp_path, problems__set_aside=0.4)
    manifest, _, _ = run_scripted(monkeypatch, more, tmp_path, failing(set(bad)))
    assert manifest.units("labels").keys() == {"orm", "hard"}


def test_a_problem_whose_completions_all_fail_has_no_label_of_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tmp_path, problems__set_aside=0.2)
    run_scripted(monkeypatch, recipe, tmp_path, lively, until="problems")
    bad = questions(tmp_path / "run", "reward")[6]
    manifest, _, _ = run_scripted(monkeypatch, recipe, tmp_path, failing({bad}, only_completions=True))
    (problem,) = unlabelled(manifest)
    assert [(row["stage"], row["row"], row["problem"], row["question"]) for row in listed(tmp_path / "run")] == [
        ("rollouts", 7, problem, bad)
    ]
    for kind, labelled in (("hard", False), ("orm", True)):
        of = [one for one in Layout(tmp_path / "run").labels(kind) if one.problem_id == problem]
        assert of and all((value is not None) == labelled for one in of for value in one.labels)
    assert any("rollouts" in sentence and "1 of 8" in sentence for sentence in told(manifest))
    none = recipe_of(tmp_path, problems__set_aside=0.1)
    with refused("too_many_failures", row=7, names=(problem, "1 of 8")):
        run_scripted(monkeypatch, none, tmp_path, lively)


def test_all_completions_that_fail_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(tmp_path, problems__set_aside=0.9)
    lost = failing({f"Say {number}" for number in range(20)}, only_completions=True)
    with refused("too_many_failures", names=("8 of 8",)):
        run_scripted(monkeypatch, recipe, tmp_path, lost)


def test_the_share_is_no_part_of_what_decides_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (recipe_of(tmp_path, problems__set_aside=share) for share in (0.05, 0.5))
    assert one.fingerprint_fields() == other.fingerprint_fields()
    run_scripted(monkeypatch, other, tmp_path, lively, until="problems")
    assert load_run_recipe(tmp_path / "run").problems.set_aside == 0.05
    assert Manifest.read(tmp_path / "run").content["recipe"] == one.fingerprint_fields()
