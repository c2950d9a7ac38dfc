"""A run's folder as a source: problems, solutions and labels joined, for other trainers."""

import json
from pathlib import Path
from typing import Any

import pytest
from raising import refused

from stepward import formats
from stepward.errors import StepwardError
from stepward.formats.step_labels.stepward_run import NAME, is_run
from stepward.records import LabelledSolution, Problem, Solution, StepLabels
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import write_shard

QUESTIONS = ("What is 2 + 3?", "What is 4 + 4?")
STEPS = (("2 + 3 = 5", "It is 5"), ("4 + 4 = 9", "It is 9"))


def make_run(folder: Path, *kinds: str, empty: str = "") -> Path:
    """A run of two problems, a solution each in a unit of its own, with these kinds of labels; a unit may be empty."""
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
        records = [] if empty == f"{stage}/{unit}" else records
        write_shard(path, records, record)
        manifest.finish(stage, unit, path, **({"problems": len(records)} if stage == "problems" else {}))
    return folder


def replace(run: Path, stage: str, unit: str, records: list[Any], kind: type) -> None:
    """Other records in a finished unit's place, as if the run had made them."""
    path, manifest = run / stage / f"{unit}.parquet", Manifest.read(run)
    write_shard(path, records, kind)
    manifest.finish(stage, unit, path, **({"problems": len(records)} if stage == "problems" else {}))


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
        choices=formats.WriteOptions(threshold=0.5), on_refusal=lambda record, reason: refused.append(reason),
    )  # fmt: skip
    assert (written.rows, refused) == (
        1,
        ["step 2 has no label, and processbench needs one up to the first error"],
    )
    (row,) = map(json.loads, path.read_text().splitlines())
    assert (row["problem"], row["label"], row["final_answer_correct"]) == (QUESTIONS[1], 0, False)


@pytest.mark.parametrize(
    ("kinds", "named", "code"),
    [((), "", "unfinished"), (("hard", "soft"), "", "ambiguous"), (("hard", "soft"), "#er", "unknown_name")],
    ids=["no labels", "several", "unknown"],
)
def test_labels_that_are_not_there_are_named(tmp_path: Path, kinds: tuple[str, ...], named: str, code: str) -> None:
    run = make_run(tmp_path / "run", *kinds)
    with refused(code, file=run, names=(*kinds, named[1:])):
        formats.read(f"{run}{named}")


def test_labels_of_a_shard_that_is_gone_are_not_finished(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "hard", "soft")
    (run / "labels" / "soft.parquet").unlink()
    assert formats.read(run).source == f"{run}#hard"


@pytest.mark.parametrize(
    ("empty", "row", "field"), [("solutions/reward-0001", 2, "solution_id"), ("problems/reward", 1, "problem_id")]
)
def test_a_run_that_is_not_whole_is_named(empty: str, row: int, field: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "hard", empty=empty)
    with refused("mismatch", file=run / "labels" / "hard.parquet", row=row, field=field):
        list(formats.read(run))


@pytest.mark.parametrize(("stage", "unit"), [("labels", "hard"), ("solutions", "reward-0000"), ("problems", "reward")])
def test_shards_that_changed_places_are_refused(tmp_path: Path, stage: str, unit: str) -> None:
    run, other = make_run(tmp_path / "run", "hard", "soft"), make_run(tmp_path / "other", "hard", "soft")
    path = run / stage / f"{unit}.parquet"
    path.write_bytes(next(one for one in sorted(other.glob(f"{stage}/*")) if one.name != path.name).read_bytes())
    with refused("unreadable", file=path, names=("manifest.json",)):
        list(formats.read(f"{run}#hard"))


def test_labels_that_do_not_match_the_steps_are_set_aside(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "hard")
    replace(run, "labels", "hard", [StepLabels("p0/s", "p0", "hard", (1.0,))], StepLabels)
    faults: list[Any] = []
    assert list(formats.read(run, on_fault=faults.append)) == []
    assert [(one.row, one.field) for one in faults] == [(1, "labels")]


def test_a_folder_that_is_no_run_is_read_as_rows(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[1")
    (tmp_path / "rows.jsonl").write_text('{"question": "q?", "answer": "#### 1"}\n')
    assert not is_run(tmp_path)
    assert not is_run("owner/name:train")
    assert formats.read(tmp_path / "rows.jsonl").format.name == "gsm8k"
    (tmp_path / "manifest.json").write_text('{"recipe": {}, "stages": {}}')
    with refused("wrong_version", file=tmp_path / "manifest.json", field="format"):
        formats.read(tmp_path)


def test_a_run_can_only_be_read(tmp_path: Path) -> None:
    with pytest.raises(StepwardError) as raised:
        formats.write([], tmp_path / "x.jsonl", NAME)
    assert NAME in str(raised.value) and not (tmp_path / "x.jsonl").exists()
