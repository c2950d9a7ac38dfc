"""Problems that an engine could not do: set aside with the reason, counted, and listed for who mends them.

A unit's facts name its own, so they are there exactly where the unit is: a run that goes on, takes units from another
or is merged has the same ones aside. They have no solutions, so no later stage sees them; where only the rollouts
failed, their steps have no label of a kind that is computed from rollouts.
"""

import json
from collections import Counter
from typing import Any

from stepward.errors import StepwardError
from stepward.generation.interface import Completion, FailedPrompt, Prompt, failed_prompt
from stepward.recipes.run import Recipe
from stepward.records import Problem, StepRollouts
from stepward.storage.files import atomic_write
from stepward.storage.manifest import Manifest
from stepward.storage.run_dir import BY, SPLITS, Layout, batch_number

STAGES = ("solutions", "rollouts")
"""Stages in which a problem can fail."""
NAME = "set_aside.jsonl"
"""The list, in the run's folder."""
_SHOWN = 5


def facts_of(problems: list[Problem], failed: list[FailedPrompt], unit: str, size: int) -> dict[str, Any]:
    """What a unit's facts say of the problems that failed: nothing where none did."""
    first = batch_number(unit) * size + 1
    rows = {problem.id: first + place for place, problem in enumerate(problems)}
    found = [
        {"problem": one.id, "row": rows[one.id], "code": one.code, "reason": one.reason, "draws": one.draws,
         "failed": one.failed}
        for one in failed
    ]  # fmt: skip
    return {"set_aside": found} if found else {}


def without_rollouts(problems: list[Problem], counted: list[StepRollouts]) -> list[FailedPrompt]:
    """The problems of which every completion failed."""
    given: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    faults: dict[str, str] = {}
    for one in counted:
        if not one.complete:
            given[one.problem_id] += one.drawn + one.empty
            failed[one.problem_id] += one.failed
            faults[one.problem_id] = one.fault or faults.get(one.problem_id, "")
    found: list[FailedPrompt] = []
    for problem in problems:
        if failed[problem.id] and not given[problem.id]:
            lost = [Completion("", False, fault=faults[problem.id])] * failed[problem.id]
            record = failed_prompt(Prompt(problem.id, problem.question, (), len(lost)), lost)
            found += [record] if record is not None else []
    return found


def set_aside(manifest: Manifest, split: str) -> set[str]:
    """The ids of a split's problems that have no solutions."""
    return {one["problem"] for one in _entries(manifest, "solutions", split)}


def unlabelled(manifest: Manifest) -> set[str]:
    """The ids of the problems that no completer could complete: nothing but their solutions' grades is known."""
    entries = _entries(manifest, "rollouts", "reward")
    named = {unit.partition(BY)[2] for unit in units_of(manifest, "rollouts")}
    by_completer = [{one["problem"] for one in entries if one["unit"].partition(BY)[2] == name} for name in named]
    return set.intersection(*by_completer) if by_completer else set()


def kept(manifest: Manifest, split: str) -> list[Problem]:
    """A split's problems that were not set aside."""
    aside = set_aside(manifest, split)
    return [problem for problem in Layout(manifest.folder).problems(split) if problem.id not in aside]


def check_failures(manifest: Manifest, recipe: Recipe, stage: str, sizes: dict[str, int]) -> None:
    """Stops a run in which more problems failed than the recipe allows.

    Args:
        manifest: The run's.
        recipe: The run's.
        stage: `solutions` or `rollouts`.
        sizes: How many problems each split has.

    Raises:
        StepwardError: With the code `too_many_failures`; names the first of them with their reasons.
    """
    for split in SPLITS:
        by_completer: dict[str, list[dict[str, Any]]] = {}
        for one in _entries(manifest, stage, split):
            by_completer.setdefault(one["unit"].partition(BY)[2], []).append(one)
        for failed in by_completer.values():
            if len(failed) > recipe.problems.set_aside * sizes[split] + 1e-9:
                write_list(manifest)
                raise _too_many(manifest, stage, f"{len(failed):,} of {sizes[split]:,} {split} problems", failed)


def _too_many(manifest: Manifest, stage: str, which: str, failed: list[dict[str, Any]]) -> StepwardError:
    path = manifest.folder / NAME
    shown = [f"{one['problem']} (row {one['row']}): {one['reason']}" for one in failed[:_SHOWN]]
    shards = sorted({f"{stage}/{one['unit']}.parquet" for one in failed})[:_SHOWN]
    return StepwardError(
        f"{path}: {which} failed in the {stage}, more than problems.set_aside allows: {'; '.join(shown)}"
        f"{'; ...' if len(failed) > _SHOWN else ''}. Mend the engine and remove {', '.join(shards)} to draw "
        "them again, or raise problems.set_aside; what is finished is kept",
        code="too_many_failures", file=path, row=failed[0]["row"], field="problems.set_aside",
    )  # fmt: skip


def write_list(manifest: Manifest) -> None:
    """Writes `set_aside.jsonl`, a line a problem and stage; removes it where nothing is aside."""
    rows = []
    for stage in STAGES:
        for split in SPLITS:
            entries = _entries(manifest, stage, split)
            questions = {one.id: one.question for one in Layout(manifest.folder).problems(split)} if entries else {}
            rows += [{"stage": stage, "split": split, **one, "question": questions[one["problem"]]} for one in entries]
    path = manifest.folder / NAME
    if rows:
        with atomic_write(path) as file:
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8"))
    else:
        path.unlink(missing_ok=True)


def told(manifest: Manifest) -> list[str]:
    """What is set aside, a sentence a stage and split, for whoever reads the run's figures."""
    effects = {
        "reward": "nothing is trained on them",
        "validation": "nothing is chosen by them",
        "test": "no figure counts them",
    }
    parts = [("solutions", split, set_aside(manifest, split), effect) for split, effect in effects.items()]
    parts.append(("rollouts", "reward", unlabelled(manifest), "their steps have no labels"))
    found = []
    for stage, split, aside, effect in parts:
        codes = Counter(
            {
                one["problem"]: one["code"] for one in _entries(manifest, stage, split) if one["problem"] in aside
            }.values()
        )
        if aside:
            total = manifest.units("problems")[split]["problems"]
            why = ", ".join(f"{count:,} {code}" for code, count in sorted(codes.items()))
            found.append(f"{len(aside):,} of {total:,} {split} problems set aside in the {stage} ({why}): {effect}")
    return found


def _entries(manifest: Manifest, stage: str, split: str) -> list[dict[str, Any]]:
    """What a stage's units of a split set aside, each with its unit; a problem once a completer."""
    units = units_of(manifest, stage)
    return [
        {**one, "unit": unit}
        for unit in sorted(units)
        if unit.startswith(f"{split}-")
        for one in units[unit].get("set_aside", ())
    ]


def units_of(manifest: Manifest, stage: str) -> dict[str, dict[str, Any]]:
    """What is done of a stage, without noting the stage where nothing is."""
    found: dict[str, dict[str, Any]] = manifest.content["stages"].get(stage, {"units": {}})["units"]
    return found
