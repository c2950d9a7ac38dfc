"""Records that don't belong together are refused by name; those that do become rows with nothing lost."""

from dataclasses import replace

import pytest
from byte_tokenizer import ByteTokenizer

from stepward.errors import StepwardError
from stepward.records import Problem, Solution, StepLabels
from stepward.rendering import Renderer
from stepward.rewards.preparation import prepare
from stepward.rewards.settings import TrainingSettings

PROBLEM = Problem("p", "Q", "2")
SOLUTIONS = [
    Solution("s1", "p", ("one", "two"), "2", True, copies=9),
    Solution("s2", "p", ("one", "too"), "too", False),
]
LABELS = [StepLabels("s2", "p", "soft", (0.5, 0.0)), StepLabels("s1", "p", "soft", (0.5, 1.0))]
SETTINGS = TrainingSettings("soft")


def test_each_distinct_solution_counts_once() -> None:
    prepared = prepare([PROBLEM], SOLUTIONS, LABELS, Renderer(ByteTokenizer()), SETTINGS)
    (row,) = prepared.rows
    assert (prepared.solutions, prepared.too_long, prepared.labelled) == (2, 0, 4)
    assert prepared.plain_tokens == 2 * len("^Q\none\ntwo")
    assert prepared.tokens == len("^Q\none\nt" + "wo" + "oo")
    assert sorted(zip(row.weights.tolist(), row.targets.tolist(), strict=True))[-3:] == [(1, 0.0), (1, 1.0), (2, 0.5)]


def test_a_null_label_has_no_loss() -> None:
    labels = [replace(LABELS[0], labels=(0.5, None)), LABELS[1]]
    assert prepare([PROBLEM], SOLUTIONS, labels, Renderer(ByteTokenizer()), SETTINGS).labelled == 3


def test_too_long_solutions_are_dropped_and_counted_or_refused() -> None:
    long = Solution("s3", "p", ("one", "x" * 50), None, False)
    solutions, labels = [*SOLUTIONS, long], [*LABELS, StepLabels("s3", "p", "soft", (0.5, 0.0))]
    settings = replace(SETTINGS, max_length=20)
    prepared = prepare([PROBLEM], solutions, labels, Renderer(ByteTokenizer()), settings)
    assert (prepared.solutions, prepared.too_long) == (2, 1)
    with pytest.raises(StepwardError, match="s3 has 57 tokens, more than max_length 20"):
        prepare([PROBLEM], solutions, labels, Renderer(ByteTokenizer()), replace(settings, too_long="refuse"))


def second(**changes: object) -> list[StepLabels]:
    """The labels, those of s2 changed."""
    return [replace(LABELS[0], **changes), LABELS[1]]  # type: ignore[arg-type]


EMPTY_STEP = [SOLUTIONS[0], replace(SOLUTIONS[1], steps=("one", ""))]
NULL = [replace(steps, labels=(None, None)) for steps in LABELS]
Records = tuple[list[Problem], list[Solution], list[StepLabels]]
BAD: dict[str, tuple[str, Records]] = {
    "count": ("s2 has 2 steps and 1 labels", ([PROBLEM], SOLUTIONS, second(labels=(0.5,)))),
    "above one": (r"s2, step 2: label 1\.5", ([PROBLEM], SOLUTIONS, second(labels=(0.5, 1.5)))),
    "nan": ("s2, step 1: label nan", ([PROBLEM], SOLUTIONS, second(labels=(float("nan"), 1.0)))),
    "kind": ("s2 are of kind 'hard'", ([PROBLEM], SOLUTIONS, second(kind="hard"))),
    "eta": ("more than one eta", ([PROBLEM], SOLUTIONS, second(eta=2.0))),
    "unlabelled": ("s2 has no labels", ([PROBLEM], SOLUTIONS, LABELS[1:])),
    "surplus": ("labels of solution s2", ([PROBLEM], SOLUTIONS[:1], LABELS)),
    "labelled twice": ("s1 is labelled twice", ([PROBLEM], SOLUTIONS, [*LABELS, LABELS[1]])),
    "solution twice": ("s1 is there twice", ([PROBLEM], [*SOLUTIONS, SOLUTIONS[0]], LABELS)),
    "no problem": ("s1: its problem 'p' is not", ([], SOLUTIONS, LABELS)),
    "empty": ("nothing to train on: 0 solutions", ([PROBLEM], [], [])),
    "all null": ("nothing to train on: 2 solutions", ([PROBLEM], SOLUTIONS, NULL)),
    "empty step": ("solution s2: step 2 of 2 is ''", ([PROBLEM], EMPTY_STEP, LABELS)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_records_are_named(case: str) -> None:
    message, records = BAD[case]
    with pytest.raises(StepwardError, match=message):
        prepare(*records, Renderer(ByteTokenizer()), SETTINGS)


def test_outcome_labels_that_differ_within_a_solution_are_refused() -> None:
    labels = [StepLabels("s1", "p", "orm", (1.0, 1.0)), StepLabels("s2", "p", "orm", (1.0, 0.0))]
    with pytest.raises(StepwardError, match="s2: orm labels"):
        prepare([PROBLEM], SOLUTIONS, labels, Renderer(ByteTokenizer()), TrainingSettings("orm"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", "best"), ("epochs", 0), ("learning_rate", float("nan")), ("warmup", 1.0), ("too_long", "cut")],
)
def test_settings_that_make_no_sense_are_named(field: str, value: object) -> None:
    with pytest.raises(StepwardError, match=f"training setting {field} is"):
        TrainingSettings(**({"kind": "soft"} | {field: value}))  # type: ignore[arg-type]
