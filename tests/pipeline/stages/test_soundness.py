"""A stage whose draws or labels can't mean anything stops the run, whatever the engine; what is merely odd is said."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from raising import refused
from scripted import Answer, Scripted, lively, recipe_of, run_scripted, wrote

from stepward.generation.interface import Completion, Prompt
from stepward.pipeline.stages.labels import check_labels
from stepward.pipeline.stages.soundness import check_drawn, doubts
from stepward.storage.manifest import Manifest

KNOWN = {"solutions", "rollouts", "labels"}


def always(text: str, finished: bool = True) -> Answer:
    return lambda prompt, draw: wrote(text, finished)


def numbered(right: bool) -> Answer:
    """Solutions that differ, and are all right, or all wrong."""

    def answer(prompt: Prompt, draw: int) -> Completion:
        number = prompt.question.split()[-1] if right else "99"
        return wrote(f"step {draw}\nThe answer is {number}.")

    return answer


def for_completions(broken: Answer) -> Answer:
    """Sound solutions, and then an engine that fails at prefixes."""
    return lambda prompt, draw: broken(prompt, draw) if prompt.steps else lively(prompt, draw)


@pytest.mark.parametrize(
    ("answer", "field", "figures"),
    [
        (always("step 1\nThe ans", finished=False), "solutions.reward", (32,)),
        (always("  "), "solutions.reward", (32,)),
        (always("step 1\nThe answer is 3."), "solutions.reward", (8, 1)),
        (numbered(right=True), "solutions.reward", (32,)),
        (numbered(right=False), "solutions.reward", (0, 32)),
        (for_completions(always("The ans", finished=False)), "rollouts.embedded", ()),
        (for_completions(always("")), "rollouts.embedded", ()),
        (for_completions(always("The answer is 3.")), "rollouts.embedded", ()),
    ],
    ids=["cut", "empty", "alike", "right", "wrong", "rollouts-cut", "rollouts-empty", "rollouts-alike"],
)
def test_what_teaches_nothing_stops_the_run_before_labels(
    answer: Answer, field: str, figures: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tmp_path)
    for _ in range(2):  # also when the command is given again
        with refused("degenerate", file=tmp_path / "run", field=field, names=figures):
            run_scripted(monkeypatch, recipe, tmp_path, answer)
    manifest = Manifest.read(tmp_path / "run")
    assert not manifest.units("labels")
    assert bool(manifest.units("rollouts")) == field.startswith("rollouts")


def test_test_solutions_of_one_grade_stop_a_run_that_would_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tmp_path)
    run_scripted(monkeypatch, recipe, tmp_path, lively, until="problems")
    tested = set(_questions(tmp_path / "run", "test"))

    def answer(prompt: Prompt, draw: int) -> Completion:
        return numbered(right=False)(prompt, draw) if prompt.question in tested else lively(prompt, draw)

    manifest, shown, _ = run_scripted(monkeypatch, recipe, tmp_path, answer, until="labels")
    found = [(one.stage, one.of, one.what, one.count, one.total) for one in doubts(manifest, recipe)]
    assert found == [("solutions", "test", "right", 0, 32)]
    assert "(0 of 32)" in shown
    with refused("degenerate", field="solutions.test", names=(0, 32)):
        run_scripted(monkeypatch, recipe, tmp_path, answer, until="report")
    assert not Manifest.read(tmp_path / "run").units("rewards")


def _questions(folder: Path, split: str) -> list[str]:
    from stepward.storage.run_dir import Layout

    return [one.question for one in Layout(folder).problems(split)]


@pytest.mark.parametrize(
    "changes",
    [
        {"generator__temperature": 0.0, "rollouts__temperature": 0.0},
        {"generator__temperature": 0.3, "rollouts__temperature": 0.3},
        {"solutions__reward": 1, "solutions__test": 4},
    ],
    ids=["greedy", "few-and-cold", "one-draw"],
)
def test_draws_may_be_alike_where_nothing_is_sampled(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(prompt: Prompt, draw: int) -> Completion:
        number = int(prompt.question.split()[-1])
        if "solutions__reward" in changes and prompt.count > 1:
            return lively(prompt, draw)
        return wrote(f"step 1\nThe answer is {number if number % 2 else 99}.")

    manifest, _, _ = run_scripted(monkeypatch, recipe_of(tmp_path, **changes), tmp_path, answer)
    assert manifest.units("labels").keys() == {"orm", "hard"}


def test_what_is_above_a_share_is_said_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(prompt: Prompt, draw: int) -> Completion:
        cut = draw % 4 == 1 if not prompt.steps else draw == 1
        return wrote("step 8\nThe an", finished=False) if cut else lively(prompt, draw)

    recipe = recipe_of(tmp_path)
    manifest, shown, _ = run_scripted(monkeypatch, recipe, tmp_path, answer)
    found = {(one.stage, one.of, one.what): one.count / one.total for one in doubts(manifest, recipe)}
    assert found == {
        ("solutions", "reward", "cut"): 0.25,
        ("solutions", "validation", "cut"): 0.25,
        ("solutions", "test", "cut"): 0.25,
        ("rollouts", "embedded", "cut"): pytest.approx(1 / 3),
    }
    assert shown.count("warning:") == len(found) and "(8 of 32)" in shown
    again = run_scripted(monkeypatch, recipe, tmp_path, answer)[1]
    assert "(8 of 32)" in again, "also where all was done before"


def test_completions_of_a_server_that_may_not_see_prefixes_are_doubted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = Scripted.complete

    def counted(engine: Scripted, prompts: Sequence[Prompt], *how: Any) -> list[list[Completion]]:
        engine.meter.untold += sum(prompt.count for prompt in prompts if prompt.steps)
        return complete(engine, prompts, *how)

    monkeypatch.setattr(Scripted, "complete", counted)
    recipe = recipe_of(tmp_path)
    manifest, shown, _ = run_scripted(monkeypatch, recipe, tmp_path, lively)
    (doubt,) = doubts(manifest, recipe)
    assert (doubt.stage, doubt.what) == ("rollouts", "untold") and 0 < doubt.count == doubt.total
    assert shown.count("warning:") == 1


@pytest.mark.parametrize("changes", [
    {"rollouts__search": "tree", "rollouts__budget": 12}, {"rollouts__search": "first_error"},
    {"rollouts__stop": "first_right"}, {"rollouts__stop": "interval", "rollouts__error": 0.4, "labels__kinds": "soft"},
])  # fmt: skip
def test_every_strategy_comes_to_labels(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(prompt: Prompt, draw: int) -> Completion:
        """Solutions of three steps; from a wrong one's steps some completions are right."""
        number = int(prompt.question.split()[-1])
        return wrote(f"step {draw % 4}\nstep {draw % 3}\nThe answer is {number if draw % 3 == 0 else 99}.")

    manifest, _, _ = run_scripted(
        monkeypatch, recipe_of(tmp_path, **({"labels__kinds": "hard"} | changes)), tmp_path, answer
    )
    (facts,) = manifest.units("labels").values()
    assert facts["steps"] > 0 and 0 < facts["mean"] < 1
    drawn = [facts["completions"] for facts in manifest.units("rollouts").values()]
    assert all(drawn)


def test_a_part_may_have_what_the_whole_may_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(tmp_path)
    manifest, _, _ = run_scripted(monkeypatch, recipe, tmp_path, lively, until="solutions")
    for facts in manifest.units("solutions").values():
        facts["right"] = 0
    check_drawn(manifest, recipe, "solutions", training=True, whole=False)
    with refused("degenerate", field="solutions.reward"):
        check_drawn(manifest, recipe, "solutions", training=True)


def test_nothing_is_said_of_a_sound_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(tmp_path)
    manifest, shown, _ = run_scripted(monkeypatch, recipe, tmp_path, lively)
    assert doubts(manifest, recipe) == [] and "warning:" not in shown


def test_labels_of_one_class_are_refused_and_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(prompt: Prompt, draw: int) -> Completion:
        """Solutions of one step are graded, and every longer one's prefixes succeed: hard labels are all 1."""
        number = int(prompt.question.split()[-1])
        return wrote(f"step {draw}\nThe answer is {number}.")

    recipe = recipe_of(tmp_path, labels__kinds="hard")
    with refused("degenerate", field="labels.hard"):
        run_scripted(monkeypatch, recipe, tmp_path, answer)
    assert not list((tmp_path / "run" / "labels").glob("*"))
    assert not Manifest.read(tmp_path / "run").units("labels")


@pytest.mark.parametrize("kind", ["orm", "hard", "soft", "er", "oracle", "prm_process", "judge"])
def test_labels_need_two_values(kind: str) -> None:
    check_labels(kind, 2, 0.0, 0.5)
    for steps, value in ((40, 0.0), (40, 1.0), (1, 0.5)):
        with refused("degenerate", field=f"labels.{kind}", names=(steps, f"{value:g}")):
            check_labels(kind, steps, value, value)
    with refused("degenerate", field=f"labels.{kind}"):
        check_labels(kind, 0, 0.0, 0.0)
