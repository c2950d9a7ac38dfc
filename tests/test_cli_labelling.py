"""Labels made again by the command line, filtered and held against better ones."""
# ruff: noqa: F401, F811  (fixtures of another file)

import json
from pathlib import Path

import pytest
from test_cli_labels import Said, make_run, run, said

from stepward.labeling.filters import Filtered
from stepward.labeling.labels import oracle_labels
from stepward.pipeline.stages.evaluate import oracle_of
from stepward.pipeline.stages.extra_labels import write_labels
from stepward.records import StepLabels, StepRollouts, prefix_id
from stepward.storage.parquet import read_shard
from stepward.storage.run_dir import Layout


def counts_of(run: Path) -> dict[str, StepRollouts]:
    return {one.id: one for one in Layout(run).rollouts()}


def test_filters_take_labels_away_and_say_how_many(run: Path, said: Said, tmp_path: Path) -> None:
    plain, hard = tmp_path / "plain.parquet", tmp_path / "hard.parquet"
    said("label", "--from-rollouts", run, "--kind", "soft", "--to", plain)
    text = said(
        "label", "--from-rollouts", run, "--kind", "soft", "--above", 0.5, "--wrong-up-to", 0.25,
        "--until-first-error", "--to", hard,
    )  # fmt: skip
    between = after = 0
    for soft, found in zip(read_shard(plain, StepLabels), read_shard(hard, StepLabels), strict=True):
        wanted: list[float | None] = []
        for value in soft.labels:
            if 0.0 in wanted:
                after += value <= 0.25 or value > 0.5
                between += 0.25 < value <= 0.5
                wanted.append(None)
            elif 0.25 < value <= 0.5:
                between += 1
                wanted.append(None)
            else:
                wanted.append(float(value > 0.5))
        assert (found.kind, list(found.labels)) == ("hard", wanted)
    assert between > 0 and after > 0
    assert f"Dropped: {between:,} between the thresholds, {after:,} after the first error" in text


def test_labels_of_few_completions_are_dropped(run: Path, said: Said, tmp_path: Path) -> None:
    path = tmp_path / "few.parquet"
    text = said("label", "--from-rollouts", run, "--kind", "hard", "--drawn", 5, "--to", path)
    assert "fewer than 5 completions" in text
    counts = counts_of(run)
    for found, solution in zip(read_shard(path, StepLabels), Layout(run).solutions("reward"), strict=True):
        wanted = [
            index == len(solution.steps) - 1
            or counts[prefix_id(solution.problem_id, solution.steps[: index + 1])].complete
            for index in range(len(solution.steps))
        ]
        assert [value is not None for value in found.labels] == wanted
    text = said("label", "--from-rollouts", run, "--kind", "hard", "--within", 0.1, "--to", path)
    assert "an interval wider than 0.1" in text


@pytest.mark.parametrize(
    ("words", "code", "name"),
    [
        (("--above", 0.5), "missing", "--to"),
        (("--wrong-up-to", 0.2, "--to", "x.parquet"), "missing", "--above"),
        (("--above", 1.5, "--to", "x.parquet"), "bad_value", "1.5"),
        (("--within", 2, "--to", "x.parquet"), "bad_value", "width 2"),
    ],
    ids=["no-file", "no-above", "threshold", "width"],
)
def test_filters_that_cannot_be_are_refused(
    run: Path,
    said: Said,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[object, ...],
    code: str,
    name: str,
) -> None:
    monkeypatch.chdir(run)
    text = said("label", "--from-rollouts", run, *words, code=1)
    assert name in text and f"[{code}]" in text
    assert not (run / "x.parquet").exists()


def test_labels_are_held_against_better_ones(run: Path, said: Said, tmp_path: Path) -> None:
    layout = Layout(run)
    truth = oracle_labels(layout.solutions("reward"), oracle_of(layout.problems("reward")))
    write_labels(run, "oracle", Filtered(truth))
    told = tmp_path / "noise.json"
    text = said("evaluate", "label-noise", f"{run}#hard", f"{run}#oracle", "--json", told)
    noise = json.loads(told.read_text())
    cases = {one["case"]: one["count"] for one in noise["shares"]}
    wrong = {one.solution_id: (*one.labels, 0.0).index(0.0) for one in truth}
    found = {
        one.solution_id: (*one.labels, 0.0).index(0.0) for one in read_shard(layout.shard("labels", "hard"), StepLabels)
    }
    ends = {one.solution_id: len(one.labels) for one in truth}
    assert cases["exact"] == sum(found[key] == wrong[key] < ends[key] for key in wrong)
    assert cases["none"] == sum(found[key] == wrong[key] == ends[key] for key in wrong)
    assert cases["early"] == sum(found[key] < wrong[key] < ends[key] for key in wrong) > 0
    assert sum(cases.values()) == len(truth) == noise["solutions"] and f"{len(truth)} solutions of 12 problems" in text
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"chosen": "a", "rejected": "b"}\n')
    assert "[wrong_type]" in said("evaluate", "label-noise", pairs, f"{run}#oracle", code=1)
    # Neither a file of a run, nor one that is given itself, is written over.
    for words, read in (((f"{run}#hard", f"{run}#oracle"), layout.shard("labels", "hard")), ((pairs, run), pairs)):
        before = read.read_bytes()
        assert "[file_exists]" in said("evaluate", "label-noise", *words, "--json", read, code=1)
        assert read.read_bytes() == before
    for option in ("--above", "--true-above"):
        for value in ("nan", "7", "-0.5"):
            text = said("evaluate", "label-noise", f"{run}#hard", f"{run}#oracle", option, value, code=1)
            assert f"{option} {value}" in text and "[bad_value]" in text
