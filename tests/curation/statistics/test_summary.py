"""The statistics of small sources, counted by hand, and of random ones, counted another way."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.curation.statistics.labels import TAIL, LabelBalance, LabelCounts, depths, first_error
from stepward.curation.statistics.lengths import Cut
from stepward.curation.statistics.preferences import PreferenceCounts
from stepward.curation.statistics.solutions import FirstErrors, Grades, SolutionCounts
from stepward.curation.statistics.summary import describe
from stepward.records import LabelledSolution, Message, Preference

LABELS = st.one_of(st.sampled_from([0.0, 1.0, None]), st.floats(0, 1))


def _record(question: str, labels: Sequence[float | None], **more: Any) -> LabelledSolution:
    steps = tuple(f"step {index}" for index in range(len(labels)))
    return LabelledSolution(question, steps, tuple(labels), **more)


def _counted(*records: LabelledSolution, limits: Sequence[int] = ()) -> Any:
    counts = SolutionCounts(None)
    for record in records:
        counts.add(record)
    return counts.finish(limits)


@given(st.lists(st.lists(LABELS, max_size=TAIL + 5), max_size=8))
def test_balance_by_position_against_plain_lists(solutions: list[list[float | None]]) -> None:
    counts = LabelCounts()
    at: dict[int, list[float | None]] = defaultdict(list)
    for labels in solutions:
        counts.add(_record("?", labels))
        for index, label in enumerate(labels):
            at[min(index, TAIL)].append(label)
    found = counts.by_position()
    assert len(found) == len(at)
    for position, balance in enumerate(found):
        known = [label for label in at[position] if label is not None]
        assert balance.steps == len(at[position])
        assert balance.positive == sum(label > 0.5 for label in known)
        assert balance.negative == sum(label <= 0.5 for label in known)
        assert balance.none == len(at[position]) - len(known)
        assert balance.between == sum(0 < label < 1 for label in known)
        assert balance.mean == (pytest.approx(np.mean(known)) if known else None)
    whole = counts.balance()
    assert whole.steps == sum(map(len, solutions))
    assert whole.positive == sum(balance.positive for balance in found)


def test_neutral_steps_are_neither_labelled_nor_without_a_label() -> None:
    found = _counted(_record("?", (1.0, None, None), neutral=(1,)))
    assert found.labels == LabelBalance(3, 1, 0, 1, 1, 0, 1.0)
    assert found.by_position[1] == LabelBalance(1, 0, 0, 1, 0, 0, None)
    assert found.grades == Grades(0, 0, 1, 0)


def test_a_branching_row_counts_its_steps_once_and_its_paths_each() -> None:
    branching = _record("?", (1.0, 0.0, 1.0, 0.0), parents=(-1, 0, 0, 2))
    found = _counted(branching)
    assert depths((-1, 0, 0, 2)) == [0, 1, 1, 2]
    assert (found.solutions, found.branching, found.problems, found.per_problem.max) == (2, 1, 1, 2)
    assert [balance.steps for balance in found.by_position] == [1, 2, 1]
    assert found.labels.positive == found.labels.negative == 2
    assert (found.steps.min, found.steps.max) == (2, 3)
    assert found.grades == Grades(0, 2, 0, 0)
    assert found.first_errors == FirstErrors((0, 1, 1), 0, 0)


def test_grades_are_stated_or_by_the_last_label() -> None:
    found = _counted(
        _record("a", (0.0,), correct=True),
        _record("b", (1.0,), correct=False),
        _record("c", (0.0, 1.0)),
        _record("d", (1.0, 0.5)),
        _record("e", (1.0, None)),
        _record("f", (None,)),
        _record("g", ()),
    )
    assert found.grades == Grades(correct=2, incorrect=2, unknown=3, stated=2)
    assert found.first_errors == FirstErrors((2, 1), 2, 2)
    assert found.no_steps == 1
    assert first_error((None, 0.6, 0.5)) == 2


def test_errors_far_down_are_counted_together() -> None:
    found = _counted(_record("a", (1.0,) * 30 + (0.0,)), _record("b", (1.0,) * TAIL + (0.0,)))
    assert found.first_errors.at == (0,) * TAIL + (2,)
    assert found.by_position[TAIL].steps == 12


def test_what_stands_twice() -> None:
    one = _record("a", (1.0, 0.0), reference="7")
    found = _counted(
        one, one, _record("a", (1.0, 1.0), reference="8"), _record("a", (1.0,)), _record("b", (1.0,), reference="7"),
        _record("", (1.0,)), _record(" ", (1.0,)),
    )  # fmt: skip
    assert found.repeated_solutions == 2
    assert found.conflicting_labels == 1
    assert found.conflicting_references == 1
    assert found.empty_questions == 2


def test_lengths_are_of_the_question_and_the_steps_a_line_each(write: Any) -> None:
    rows = [
        {"prompt": "Why?", "completions": ["One step.", "Two."], "labels": [True, False]},
        {"prompt": "How so?", "completions": ["x"], "labels": [True]},
    ]
    texts: list[str] = []

    def count(batch: Sequence[str]) -> list[int]:
        texts.extend(batch)
        return [len(text.split()) for text in batch]

    found = describe(write(rows), count_tokens=count, max_lengths=[3, 4]).solutions
    assert found is not None
    assert texts == ["Why?\nOne step.\nTwo.", "How so?\nx"]
    assert (found.unit, found.lengths.total, found.lengths.max, found.lengths.median) == ("tokens", 7, 4, 3.5)
    assert found.cuts == (Cut(3, 1, 0.5), Cut(4, 0, 0.0))
    found = describe(tmp := write(rows)).solutions
    assert found is not None
    assert (found.unit, found.lengths.total) == ("characters", sum(map(len, texts))), tmp


def test_tokens_are_counted_in_batches_and_none_is_lost(write: Any) -> None:
    rows = [{"prompt": "p", "completions": ["x" * n], "labels": [True]} for n in range(1, 1300)]
    sizes: list[int] = []

    def count(batch: Sequence[str]) -> list[int]:
        sizes.append(len(batch))
        return [len(text) for text in batch]

    path = write(rows)
    with_tokens, without = describe(path, count_tokens=count).solutions, describe(path).solutions
    assert with_tokens is not None and without is not None
    assert with_tokens.lengths == without.lengths
    assert sizes == [512, 512, 275]
    with pytest.raises(ValueError, match="zip"):
        describe(path, count_tokens=lambda batch: [1])


def test_preferences(write: Any) -> None:
    def pair(chosen: str, rejected: str, prompt: str = "Hello there") -> dict[str, Any]:
        return {"prompt": prompt, "chosen": chosen, "rejected": rejected}

    rows = [pair("long one", "x"), pair("x", "long one"), pair("dead", "same"), pair("dead", "same"), pair("a", "b")]
    found = describe(write([*rows, pair("abc", "ab", "Other")]), max_lengths=[15])
    told = found.preferences
    assert told is not None and found.solutions is None and found.problems is None
    assert (told.preferences, told.prompts, told.repeated, found.repeated_rows) == (6, 2, 1, 1)
    assert (told.chosen_longer, told.same_length, told.equal_pairs, told.empty_prompts) == (2, 3, 0, 0)
    assert (told.chosen.total, told.rejected.total, told.prompt.total) == (21, 20, 60)
    assert told.whole.max == len("Hello there\nlong one")
    assert told.cuts == (Cut(15, 4, 4 / 6),)
    assert told.prompt_turns.max == 1


def test_pairs_without_a_prompt_and_of_one_answer_twice() -> None:
    said = (Message("", "same"),)
    counts = PreferenceCounts(None)
    counts.add(Preference("p", (), said, said))
    found = counts.finish([4, 3])
    assert (found.equal_pairs, found.empty_prompts, found.same_length, found.whole.max) == (1, 1, 1, 4)
    assert [cut.count for cut in found.cuts] == [0, 1]


def test_problems(write: Any) -> None:
    rows = [
        {"problem": "a?", "final_answer": "1", "level": 1, "subject": "X"},
        {"problem": "a?", "final_answer": "2", "level": 1, "subject": "Y"},
        {"problem": "bb?", "final_answer": "2", "level": "Level ?"},
        {"problem": "a?", "final_answer": "2", "level": 1, "subject": "Y"},
    ]
    found = describe(write(rows), max_lengths=[2])
    told = found.problems
    assert told is not None and found.repeated_rows == 1
    assert (told.problems, told.references, told.distinct_references) == (4, 4, 2)
    assert (told.levels, told.subjects) == ({"1": 3, "none": 1}, {"X": 1, "Y": 2, "none": 1})
    assert (told.repeated_questions, told.conflicting_references, told.empty_questions) == (2, 1, 0)
    assert (told.lengths.total, told.cuts) == (9, (Cut(2, 1, 0.25),))


def test_bad_rows_are_counted_and_told_and_each_row_ticks(write: Any) -> None:
    rows = [{"prompt": "p", "completions": ["a"], "labels": labels} for labels in ([True], [], [0.25])]
    told: list[Any] = []
    ticks: list[None] = []
    found = describe(write(rows), on_fault=told.append, on_row=lambda: ticks.append(None))
    assert (found.rows, found.set_aside, len(told), len(ticks)) == (2, 1, 1, 2)
    assert (found.format, found.guessed) == ("trl-stepwise", True)
    assert orjson.loads(orjson.dumps(found.as_json()))["solutions"]["labels"]["between"] == 1


def test_a_number_above_64_bits_does_not_stop_the_count_of_repeats(write: Any) -> None:
    row = {"prompt": "p", "completions": ["a"], "labels": [True], "n": 0}
    path = write([row, row])
    path.write_bytes(path.read_bytes().replace(b'"n":0', b'"n":123456789012345678901234567890'))
    assert describe(path).repeated_rows == 1


def test_a_limit_below_1_is_refused(write: Any) -> None:
    with refused("bad_value", field="--max-length", names=(0,)):
        describe(write([]), max_lengths=[512, 0])


@pytest.mark.data
def test_shared_files(shared_data: Path) -> None:
    found = describe(shared_data / "gsm8k/train.jsonl").problems
    assert found is not None
    assert (found.problems, found.references, found.repeated_questions) == (7473, 7473, 0)
    told = describe(shared_data / "scan/SCAN-Base.jsonl").solutions
    assert told is not None
    rows = [orjson.loads(line) for line in (shared_data / "scan/SCAN-Base.jsonl").read_bytes().splitlines()]
    lengths = [len("\n".join([row["question"], *row["steps"]])) for row in rows]
    assert told.lengths.p99 == pytest.approx(np.percentile(lengths, 99))
    assert told.steps.total == sum(len(row["steps"]) for row in rows)
    scores = Counter(score > 0.5 for row in rows for score in row["scores"])
    assert (told.labels.positive, told.labels.negative) == (scores[True], scores[False])
