"""Records that don't belong together are refused by name; those that do become rows with nothing lost."""

from dataclasses import replace

import pytest
from raising import refused

from stepward.errors import Code
from stepward.records import Problem, Solution, StepLabels
from stepward.reward_models.data.from_records import labelled_rows
from stepward.reward_models.training.settings import TrainingSettings

PROBLEM = Problem("p", "Q", "2")
SOLUTIONS = [
    Solution("s1", "p", ("one", "two"), "2", True, copies=9),
    Solution("s2", "p", ("one", "too"), "too", False),
]
LABELS = [StepLabels("s2", "p", "soft", (0.5, 0.0)), StepLabels("s1", "p", "soft", (0.5, 1.0))]


def test_each_distinct_solution_is_a_row() -> None:
    assert labelled_rows([PROBLEM], SOLUTIONS, LABELS, "soft") == [
        {"id": "s1", "prompt": "Q", "completions": ["one", "two"], "labels": [0.5, 1.0]},
        {"id": "s2", "prompt": "Q", "completions": ["one", "too"], "labels": [0.5, 0.0]},
    ]


def test_an_outcome_has_one_label() -> None:
    labels = [StepLabels("s1", "p", "orm", (1.0, 1.0)), StepLabels("s2", "p", "orm", (0.0, 0.0))]
    assert [row["label"] for row in labelled_rows([PROBLEM], SOLUTIONS, labels, "orm")] == [1.0, 0.0]


def second(**changes: object) -> list[StepLabels]:
    """The labels, those of s2 changed."""
    return [replace(LABELS[0], **changes), LABELS[1]]  # type: ignore[arg-type]


Records = tuple[list[Problem], list[Solution], list[StepLabels]]
BAD: dict[str, tuple[Code, str, tuple[object, ...], Records]] = {
    "count": ("mismatch", "labels", ("s2", 2, 1), ([PROBLEM], SOLUTIONS, second(labels=(0.5,)))),
    "above one": ("bad_value", "labels", ("s2", 2, 1.5), ([PROBLEM], SOLUTIONS, second(labels=(0.5, 1.5)))),
    "nan": ("bad_value", "labels", ("s2", 1, "nan"), ([PROBLEM], SOLUTIONS, second(labels=(float("nan"), 1.0)))),
    "kind": ("mismatch", "kind", ("s2", "hard", "soft"), ([PROBLEM], SOLUTIONS, second(kind="hard"))),
    "eta": ("conflict", "eta", (2.0,), ([PROBLEM], SOLUTIONS, second(eta=2.0))),
    "unlabelled": ("missing", "labels", ("s2",), ([PROBLEM], SOLUTIONS, LABELS[1:])),
    "surplus": ("missing", "solution_id", ("s2",), ([PROBLEM], SOLUTIONS[:1], LABELS)),
    "labelled twice": ("duplicate", "solution_id", ("s1",), ([PROBLEM], SOLUTIONS, [*LABELS, LABELS[1]])),
    "solution twice": ("duplicate", "id", ("s1",), ([PROBLEM], [*SOLUTIONS, SOLUTIONS[0]], LABELS)),
    "no problem": ("missing", "problem_id", ("s1", "p"), ([], SOLUTIONS, LABELS)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_records_are_named(case: str) -> None:
    code, field, names, records = BAD[case]
    with refused(code, field=field, names=names):
        labelled_rows(*records, "soft")


def test_outcome_labels_that_differ_within_a_solution_are_refused() -> None:
    labels = [StepLabels("s1", "p", "orm", (1.0, 1.0)), StepLabels("s2", "p", "orm", (1.0, 0.0))]
    with refused("mismatch", field="labels", names=("s2", "orm")):
        labelled_rows([PROBLEM], SOLUTIONS, labels, "orm")


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", "best"), ("epochs", 0), ("learning_rate", float("nan")), ("warmup", 1.0), ("too_long", "cut")],
)
def test_settings_that_make_no_sense_are_named(field: str, value: object) -> None:
    with refused("bad_value", field=field, names=(value,)):
        TrainingSettings(**({"kind": "soft"} | {field: value}))  # type: ignore[arg-type]
