"""PRM800K: a trunk of chosen steps with alternatives beside it, and everything else of the row brought back."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.formats import FORMATS, UnsupportedRecord, WriteOptions, iter_branches, read
from stepward.formats.step_labels.prm800k import read as read_row
from stepward.formats.step_labels.prm800k import write
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

HARD = WriteOptions()


def rated(text: str, rating: int | None, flagged: bool | None = False) -> dict[str, Any]:
    return {"text": text, "rating": rating, "flagged": flagged}


def stage(*completions: dict[str, Any], chosen: int | None = 0, human: str | None = None) -> dict[str, Any]:
    written = None if human is None else {"text": human, "rating": None, "source": "human", "flagged": False}
    return {"completions": list(completions), "human_completion": written, "chosen_completion": chosen}


def made(*stages: dict[str, Any], reason: str = "solution", **asked: Any) -> dict[str, Any]:
    return {
        "labeler": "8c0f", "timestamp": "2022-07-30T23:23:32", "generation": None,
        "is_quality_control_question": True, "is_initial_screening_question": False,
        "question": {"problem": "What is 2 + 3 * 4?", "ground_truth_answer": "14", **asked},
        "label": {"steps": list(stages), "total_time": 1234, "finish_reason": reason},
    }  # fmt: skip


PHASE_1 = made(
    stage(rated("Products come first.", 1), rated("Hm.", 0), chosen=0),
    stage(rated("3 * 4 = 7.", -1), rated("2 + 3 = 5.", -1, True), chosen=None, human="3 * 4 = 12."),
    stage(rated("2 + 12 = 14.", None), rated("So 14.", 1), chosen=1),
)
PHASE_2 = made(
    stage(rated("3 * 4 = 12.", 1, None)),
    stage(rated("2 + 12 = 15.", -1, None), rated("2 + 12 = 14.", 1), chosen=None),
    reason="found_error",
    ground_truth_solution="Multiply, then add.",
    pre_generated_steps=["3 * 4 = 12.", "2 + 12 = 15.", "# Answer\n\n15"],
    pre_generated_answer="15",
    pre_generated_verifier_score=0.01,
)


def row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("phase1.jsonl"), 1, fields)


def plain(*labels: float | None, **more: Any) -> LabelledSolution:
    steps = tuple(f"s{index + 1}" for index in range(len(labels)))
    return LabelledSolution("Q?", steps, labels, **more)


def test_phase_1_is_a_tree_along_the_chosen_steps() -> None:
    record = read_row(row(PHASE_1))
    assert record.steps[:5] == ("Products come first.", "Hm.", "3 * 4 = 7.", "2 + 3 = 5.", "3 * 4 = 12.")
    assert record.parents == (-1, -1, 0, 0, 0, 4, 4)
    assert record.labels == (1.0, None, 0.0, 0.0, 1.0, None, 1.0)
    assert record.neutral == (1,)
    assert (record.question, record.reference, record.correct) == ("What is 2 + 3 * 4?", "14", True)
    ways = [path.steps for path in iter_branches(record)]
    assert ways[-1] == ("Products come first.", "3 * 4 = 12.", "So 14.")
    assert len(ways) == 5


def test_phase_2_stops_at_the_first_error() -> None:
    record = read_row(row(PHASE_2))
    assert (record.parents, record.labels) == ((-1, 0, 0), (1.0, 0.0, 1.0))
    assert (record.correct, record.answer) == (None, None)
    assert json.loads(record.extra)["is_quality_control_question"] is True


def test_the_answer_is_the_generated_one_where_the_steps_are() -> None:
    fields = made(stage(rated("3 * 4 = 12.", 1)), pre_generated_steps=["3 * 4 = 12."], pre_generated_answer="14")
    assert read_row(row(fields)).answer == "14"


def test_rows_without_steps_and_without_completions() -> None:
    empty = made(reason="bad_problem", ground_truth_answer=None)
    record = read_row(row(empty))
    assert (record.steps, record.labels, record.parents, record.reference) == ((), (), (), None)
    given_up = made(
        stage(rated("a", 1)),
        {"completions": None, "human_completion": None, "chosen_completion": None},
        reason="give_up",
    )
    assert read_row(row(given_up)).steps == ("a",)
    for fields in (empty, given_up):
        assert write(read_row(row(fields)), HARD) == [fields]


def test_the_rows_come_back_as_they_were() -> None:
    for fields in (PHASE_1, PHASE_2):
        before = copy.deepcopy(fields)
        (back,) = write(read_row(row(fields)), HARD)
        assert json.dumps(back) == json.dumps(before)
        assert [form.name for form in FORMATS.values() if form.matches(fields)] == ["prm800k"]


def test_changes_are_written_and_nothing_else() -> None:
    record = read_row(row(PHASE_1))
    changed = replace(
        record, labels=(0.0, 1.0, 0.0, 0.0, 0.0, 1.0, None), neutral=(6,), question="Q?", reference="15",
        steps=("New.", *record.steps[1:]),
    )  # fmt: skip
    expected = copy.deepcopy(PHASE_1)
    first, second, third = expected["label"]["steps"]
    first["completions"] = [rated("New.", -1), rated("Hm.", 1)]
    second["human_completion"]["rating"] = -1
    third["completions"] = [rated("2 + 12 = 14.", 1), rated("So 14.", 0)]
    expected["question"] |= {"problem": "Q?", "ground_truth_answer": "15"}
    assert write(changed, HARD) == [expected]


def test_steps_that_no_longer_fit_their_row_are_refused() -> None:
    record = read_row(row(PHASE_1))
    with refused("mismatch", field="extra", error=UnsupportedRecord):
        write(replace(record, parents=(-1, 0, 0, 0, 0, 4, 4)), HARD)


def broken(where: list[Any], value: Any) -> dict[str, Any]:
    fields = copy.deepcopy(PHASE_1)
    inner = fields
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    return fields


STEP = ["label", "steps", 1]


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        (broken([*STEP, "completions", 0, "rating"], 2), "label.steps[1].completions[0].rating", "bad_value"),
        (broken([*STEP, "completions", 0, "rating"], True), "label.steps[1].completions[0].rating", "bad_value"),
        (broken([*STEP, "completions", 0, "rating"], [1]), "label.steps[1].completions[0].rating", "bad_value"),
        (broken([*STEP, "completions", 0], {"text": "a"}), "label.steps[1].completions[0].rating", "missing"),
        (broken([*STEP, "completions", 0, "text"], " "), "label.steps[1].completions[0].text", "empty"),
        (broken([*STEP, "completions", 0], "a"), "label.steps[1].completions[0]", "wrong_type"),
        (broken([*STEP, "completions"], "a"), "label.steps[1].completions", "wrong_type"),
        (broken(STEP, {"chosen_completion": 0}), "label.steps[1].completions", "missing"),
        (broken(STEP, None), "label.steps[1]", "wrong_type"),
        (broken([*STEP, "chosen_completion"], 2), "label.steps[1].chosen_completion", "bad_value"),
        (broken([*STEP, "chosen_completion"], -1), "label.steps[1].chosen_completion", "bad_value"),
        (broken([*STEP, "chosen_completion"], True), "label.steps[1].chosen_completion", "bad_value"),
        (broken([*STEP, "human_completion"], "a"), "label.steps[1].human_completion", "wrong_type"),
        (broken([*STEP, "human_completion"], None), "label.steps[2]", "bad_value"),
        (broken(["label", "finish_reason"], "tired"), "label.finish_reason", "bad_value"),
        (broken(["label", "steps"], {}), "label.steps", "wrong_type"),
        (broken(["label"], []), "label", "wrong_type"),
        (broken(["question", "problem"], ""), "question.problem", "empty"),
        (broken(["question", "ground_truth_answer"], 14), "question.ground_truth_answer", "wrong_type"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason(fields: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        read_row(row(fields))
    assert (raised.value.field, raised.value.code) == (field, code)


def test_a_plain_solution_is_laid_out_as_in_phase_2() -> None:
    (back,) = write(plain(1.0, None, 0.0, None, reference="7", answer="8", neutral=(1,)), HARD)
    assert back["question"] == {
        "problem": "Q?", "ground_truth_answer": "7",
        "pre_generated_steps": ["s1", "s2", "s3", "s4"], "pre_generated_answer": "8",
    }  # fmt: skip
    label = back["label"]
    assert [step["completions"][0]["rating"] for step in label["steps"]] == [1, 0, -1]
    assert [step["chosen_completion"] for step in label["steps"]] == [0, 0, None]
    assert label["finish_reason"] == "found_error"
    again = read_row(row(back))
    assert (again.steps, again.labels, again.neutral) == (("s1", "s2", "s3"), (1.0, None, 0.0), (1,))


@pytest.mark.parametrize(
    ("record", "end"),
    [
        (plain(1.0, 1.0, correct=True), "solution"),
        (plain(1.0, None), "solution"),
        (plain(1.0, correct=False), "give_up"),
        (plain(), "give_up"),
        (plain(0.0, correct=True), "found_error"),
    ],
)
def test_how_a_plain_solution_ends(record: LabelledSolution, end: str) -> None:
    assert write(record, HARD)[0]["label"]["finish_reason"] == end


def test_alternatives_along_one_trunk_are_laid_out_as_in_phase_1() -> None:
    record = replace(plain(0.0, 1.0, 0.0, 1.0), parents=(-1, -1, 1, 1))
    (back,) = write(record, HARD)
    first, second = back["label"]["steps"]
    assert (first["chosen_completion"], second["chosen_completion"]) == (1, 1)
    assert "pre_generated_steps" not in back["question"]
    again = read_row(row(back))
    assert (again.steps, again.labels, again.parents) == (record.steps, record.labels, record.parents)


def test_what_the_format_cannot_hold() -> None:
    with refused("conflict", field="labels", names=(3,), error=UnsupportedRecord):
        write(plain(1.0, 0.0, 1.0), HARD)
    with refused("conflict", field="labels", names=(3,), error=UnsupportedRecord):
        write(plain(1.0, 0.0, None, neutral=(2,)), HARD)
    with refused("not_writable", field="parents", names=(1,), error=UnsupportedRecord):
        write(replace(plain(1.0, 1.0, 1.0, 1.0), parents=(-1, -1, 0, 1)), HARD)
    with refused("conflict", field="labels", names=(3,), error=UnsupportedRecord):
        write(replace(plain(0.0, 1.0, None), parents=(-1, -1, 0)), HARD)
    with refused("missing", field="--threshold"):
        write(plain(0.5), HARD)
    assert write(plain(0.5, 0.2), WriteOptions(threshold=0.25))[0]["label"]["finish_reason"] == "found_error"


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
STEP_TEXT = TEXT.filter(lambda text: bool(text.strip()))
RATED = st.builds(rated, STEP_TEXT, st.sampled_from([-1, 0, 1, None]), st.sampled_from([True, False, None]))


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    stages = []
    for completions in draw(st.lists(st.lists(RATED, max_size=3), max_size=4)):
        chosen = draw(st.sampled_from([*range(len(completions)), None]))
        human = draw(STEP_TEXT) if chosen is None else draw(st.none() | STEP_TEXT)
        stages.append(stage(*completions, chosen=chosen, human=human))
    if draw(st.booleans()):
        stages.append(
            draw(st.sampled_from([stage(rated("x", -1), chosen=None), {**stage(chosen=None), "completions": None}]))
        )
    reason = draw(st.sampled_from(["found_error", "solution", "bad_problem", "give_up"]))
    return made(*stages, reason=reason, **draw(st.dictionaries(TEXT.map("x".__add__), st.none() | TEXT, max_size=2)))


@given(rows())
def test_any_row_of_this_shape_comes_back(fields: dict[str, Any]) -> None:
    before = copy.deepcopy(fields)
    record = read_row(row(fields))
    assert write(record, HARD) == [before]
    count = sum(
        len(one["completions"] or []) + (one["human_completion"] is not None) for one in before["label"]["steps"]
    )
    assert len(record.steps) == len(record.labels) == count
    assert all(parent < index for index, parent in enumerate(record.parents))


def test_the_published_rows_come_back(shared_data: Path) -> None:
    path = shared_data / "prm800k" / "samples.jsonl"
    reading = read(path)
    records = [record for record in reading if isinstance(record, LabelledSolution)]
    assert (reading.format.name, len(records), reading.bad.count) == ("prm800k", 6, 0)
    for record, line in zip(records, path.open(), strict=True):
        assert write(record, HARD) == [json.loads(line)]
        assert set(record.labels) <= {0.0, 1.0, None}
    wrote = [json.loads(line)["label"]["steps"] for line in path.open()]
    humans = sum(one["human_completion"] is not None for stages in wrote for one in stages)
    assert humans == 2
    assert sum(len(record.neutral) for record in records) == sum(
        node["rating"] == 0 for stages in wrote for one in stages for node in one["completions"] or []
    )
