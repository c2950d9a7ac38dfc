"""A run's folder as a source: problems, solutions and labels joined, for other trainers."""

import json
from pathlib import Path
from typing import Any

import pytest

from stepward import formats
from stepward.errors import StepwardError
from stepward.formats.run_folder import NAME, is_run
from stepward.manifest import Manifest
from stepward.records import LabelledSolution, Problem, Solution, StepLabels
from stepward.store import write_shard

QUESTIONS = ("What is 2 + 3?", "What is 4 + 4?")
STEPS = (("2 + 3 = 5", "It is 5"), ("4 + 4 = 9", "It is 9"))


def make_run(folder: Path, *kinds: str) -> Path:
    """A run of two problems, a solution each in a unit of its own, with the given kinds of labels."""
    manifest = Manifest.start(folder, {"name": "small"})
    problems = [Problem(f"p{index}", question, "5") for index, question in enumerate(QUESTIONS)]
    solutions = [
        Solution(f"p{index}/s", f"p{index}", steps, steps[1][-1], index == 0, copies=2, generator="tiny")
        for index, steps in enumerate(STEPS)
    ]
    made: list[tuple[str, str, list[Any], type]] = [
        ("problems", "reward", problems, Problem),
        ("problems", "test", [Problem("t", "What is 1 + 1?", "2")], Problem),
        ("solutions", "reward-0000", solutions[:1], Solution),
        ("solutions", "reward-0001", solutions[1:], Solution),
        ("solutions", "test-0000", [Solution("t/s", "t", ("2",), "2", True)], Solution),
    ]
    values = {"hard": (1.0, 0.0), "soft": (0.75, 0.25), "er": (0.875, 0.125), "orm": (1.0, 0.0)}
    for kind in kinds:
        eta = 2.0 if kind == "er" else None
        labels = [
            StepLabels(one.id, one.problem_id, kind, (values[kind][index], None), eta)
            for index, one in enumerate(solutions)
        ]
        made.append(("labels", kind, labels, StepLabels))
    for stage, unit, records, record in made:
        path = folder / stage / f"{unit}.parquet"
        write_shard(path, records, record)
        manifest.finish(stage, unit, path)
    return folder


def test_a_run_is_joined(tmp_path: Path) -> None:
    reading = formats.read(make_run(tmp_path / "run", "hard"))
    first, second = reading
    assert (reading.format.name, reading.guessed, reading.source) == (NAME, True, f"{tmp_path / 'run'}#hard")
    assert first == LabelledSolution(
        QUESTIONS[0], STEPS[0], (1.0, None),
        reference="5", answer="5", correct=True, generator="tiny", source=NAME, extra=first.extra,
    )  # fmt: skip
    assert json.loads(first.extra) == {
        "labels": "hard", "solution_id": "p0/s", "problem_id": "p0", "copies": 2, "finished": True
    }  # fmt: skip
    assert isinstance(second, LabelledSolution)
    assert (second.question, second.labels, second.correct) == (QUESTIONS[1], (0.0, None), False)


@pytest.mark.parametrize(
    ("kinds", "named", "taken"),
    [
        (("hard", "soft", "er"), "", "er"),
        (("hard", "soft", "er"), "#soft", "soft"),
        (("orm",), "", "orm"),
        (("orm",), "#", "orm"),
        (("hard", "soft"), "#hard", "hard"),
    ],
)
def test_the_kind_of_labels_is_named_or_guessed_and_said(
    tmp_path: Path, kinds: tuple[str, ...], named: str, taken: str
) -> None:
    run = make_run(tmp_path / "run", *kinds)
    for format in (None, NAME):
        reading = formats.read(f"{run}{named}", format)
        records = list(reading)
        assert reading.source == f"{run}#{taken}"
        assert [json.loads(one.extra)["labels"] for one in records if isinstance(one, LabelledSolution)] == [taken] * 2
    assert ("eta" in json.loads(first_extra(records))) == (taken == "er")


def first_extra(records: list[Any]) -> str:
    extra: str = records[0].extra
    return extra


def test_a_run_s_labels_go_to_another_trainer(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "soft")
    refused: list[str] = []
    path = tmp_path / "out.jsonl"
    written = formats.write(
        formats.read(run), path, "processbench",
        choices=formats.Choices(threshold=0.5), on_refusal=lambda record, reason: refused.append(reason),
    )  # fmt: skip
    assert (written.rows, refused) == (
        1,
        ["step 2 has no label, and processbench needs one up to the first error"],
    )
    (row,) = map(json.loads, path.read_text().splitlines())
    assert (row["problem"], row["label"], row["final_answer_correct"]) == (QUESTIONS[1], 0, False)


@pytest.mark.parametrize(
    ("kinds", "named", "reason"),
    [
        ((), "", "the run has no labels yet; finish it with stepward run"),
        (("hard", "soft"), "", "name one of them"),
        (("hard", "soft"), "#er", "no labels of kind 'er'; expected one of hard, soft"),
    ],
    ids=["no labels", "several", "unknown"],
)
def test_labels_that_are_not_there_are_named(tmp_path: Path, kinds: tuple[str, ...], named: str, reason: str) -> None:
    run = make_run(tmp_path / "run", *kinds)
    with pytest.raises(StepwardError, match=reason):
        formats.read(f"{run}{named}")


def test_labels_of_a_shard_that_is_gone_are_not_finished(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "hard", "soft")
    (run / "labels" / "soft.parquet").unlink()
    assert formats.read(run).source == f"{run}#hard"


def test_a_run_that_is_not_whole_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "hard")
    write_shard(run / "solutions" / "reward-0001.parquet", [], Solution)
    with pytest.raises(StepwardError, match=r"labels/hard\.parquet: row 2: the run's shards lack its solution"):
        list(formats.read(run))
    write_shard(run / "problems" / "reward.parquet", [], Problem)
    with pytest.raises(StepwardError, match="row 1: the run's shards lack its problem"):
        list(formats.read(run))


def test_labels_that_do_not_match_the_steps_are_set_aside(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "hard")
    write_shard(run / "labels" / "hard.parquet", [StepLabels("p0/s", "p0", "hard", (1.0,))], StepLabels)
    faults: list[str] = []
    assert list(formats.read(run, on_fault=lambda fault: faults.append(str(fault)))) == []
    assert faults == ["row 1, field 'labels': 1 labels for 2 steps; expected one a step"]


def test_a_folder_that_is_no_run_is_read_as_rows(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[1")
    (tmp_path / "rows.jsonl").write_text('{"question": "q?", "answer": "#### 1"}\n')
    assert not is_run(tmp_path)
    assert not is_run("owner/name:train")
    assert formats.read(tmp_path / "rows.jsonl").format.name == "gsm8k"
    with pytest.raises(StepwardError, match="not a manifest"):
        (tmp_path / "manifest.json").write_text('{"recipe": {}, "stages": {}}')
        formats.read(tmp_path)


def test_a_run_can_only_be_read(tmp_path: Path) -> None:
    with pytest.raises(StepwardError, match="Stepward reads this format and doesn't write it"):
        formats.write([], tmp_path / "x.jsonl", NAME)
