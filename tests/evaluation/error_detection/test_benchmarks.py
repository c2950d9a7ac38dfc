"""Benchmarks of wrong steps and predictions of them: what is read, what is refused, and the figures on public rows."""

import json
from pathlib import Path

import numpy as np
import pytest
from raising import refused
from sklearn.metrics import f1_score, roc_auc_score

from stepward.errors import StepwardError
from stepward.evaluation.error_detection.benchmarks import read_benchmark
from stepward.evaluation.error_detection.evaluate import (
    choose_on,
    find_threshold,
    measure_errors,
    stored_threshold,
)
from stepward.evaluation.error_detection.first_error import Threshold
from stepward.evaluation.error_detection.predictions import Prediction, matched, read_predictions

HALF = Threshold(0.5, "given")


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def processbench(number, label, part="gsm8k", steps=3, correct=None, **more):
    correct = label == -1 if correct is None else correct
    return {
        "id": f"{part}-{number}", "generator": "g", "problem": "p", "steps": [f"s{at}" for at in range(steps)],
        "final_answer_correct": correct, "label": label, **more,
    }  # fmt: skip


def prmbench(idx, errors, steps=4, classification="circular", original=2):
    return {
        "idx": idx, "original_question": "q", "modified_question": "q", "original_process": ["a"] * original,
        "modified_process": ["b"] * steps, "error_steps": errors, "classification": classification,
    }  # fmt: skip


def mistake(index, steps=3):
    return {"input": "1 + 1", "steps": ["x"] * steps, "target": "2", "answer": "3", "mistake_index": index}


def predict(tmp_path, rows, benchmark):
    path = write(tmp_path / "predictions.jsonl", rows)
    return matched(benchmark, read_predictions(path), path)


def oracle(benchmark):
    """Predictions of 1 for every right step and 0 for every other."""
    return [
        Prediction(row.names[-1], at, tuple(1.0 if label else 0.0 for label in row.labels), None, None)
        for at, row in enumerate(benchmark.rows, start=1)
    ]


def constant(benchmark, score):
    return [
        Prediction(row.names[-1], at, (score,) * len(row.labels), None, None)
        for at, row in enumerate(benchmark.rows, start=1)
    ]


def test_rows_carry_parts_labels_and_names(tmp_path):
    file = write(tmp_path / "a.jsonl", [processbench(0, 1), processbench(1, -1, "omnimath", correct=False)])
    got = read_benchmark([file])
    assert (got.name, [row.part for row in got.rows]) == ("processbench", ["gsm8k", "omnimath"])
    assert [row.first_error for row in got.rows] == [1, -1]
    assert got.rows[0].labels == (1.0, 0.0, None)
    assert [row.correct for row in got.rows] == [False, False]
    assert not got.numbered


def test_prmbench_ids_are_told_apart_by_classification(tmp_path):
    one = write(tmp_path / "circular.jsonl", [prmbench("p1_0", [2])])
    two = write(tmp_path / "confidence.jsonl", [prmbench("p1_0", [1], classification="confidence")])
    got = read_benchmark([one, two])
    assert [row.names for row in got.rows] == [("p1_0", "circular_p1_0"), ("p1_0", "confidence_p1_0")]
    with refused("ambiguous", field="id", names=("'p1_0'", "'circular_p1_0'", "'confidence_p1_0'")):
        predict(tmp_path, [{"id": "p1_0", "step_scores": [1, 0, 1, 1]}], got)
    rows = [{"id": f"{name}_p1_0", "step_scores": [1, 0, 1, 1]} for name in ("confidence", "circular")]
    assert [one.row for one in predict(tmp_path, rows, got)] == [2, 1]
    assert [one.row for one in predict(tmp_path, rows[1:], read_benchmark([one]))] == [1]
    assert read_benchmark([write(one, [prmbench("circular_p2", [1])])]).rows[0].names == ("circular_p2",)


def test_ids_that_repeat_between_files_may_be_told_by_their_order(tmp_path):
    names = ("circular", "confidence")
    files = [
        write(tmp_path / f"{name}.jsonl", [prmbench(f"p1_{n}", [n + 1], 3 + n, name) for n in range(2)])
        for name in names
    ]
    benchmark = read_benchmark(files)
    rows = [{"id": f"p1_{n}", "step_scores": [0.5] * (3 + n)} for _ in names for n in range(2)]
    assert [one.row for one in predict(tmp_path, rows, benchmark)] == [1, 2, 3, 4]
    with refused("mismatch", row=1, field="step_scores", names=(4, 3)):
        predict(tmp_path, [rows[0] | {"step_scores": [1] * 4}, *rows[1:]], benchmark)
    for other in ([rows[0], rows[2], rows[1], rows[3]], rows[:3]):
        with refused("ambiguous", field="id", names=("'circular_p1_",)):
            predict(tmp_path, other, benchmark)


def test_prmbench_rows_that_repeat_an_id_are_left_out_and_counted(tmp_path):
    # As published: five ids of multi_solutions stand twice, with different solutions.
    file = write(tmp_path / "a.jsonl", [prmbench("x", [1]), prmbench("x", [2], steps=5), prmbench("y", [1])])
    benchmark = read_benchmark([file])
    assert [len(row.labels) for row in benchmark.rows] == [4, 4]
    rows = [{"id": "x", "step_scores": [0, 1, 1, 1]}, {"id": "y", "step_scores": [0, 1, 1, 1]}]
    assert len(predict(tmp_path, rows, benchmark)) == 2
    rows.insert(1, {"id": "x", "step_scores": [1, 0, 1, 1, 1]})
    found = measure_errors(benchmark, predict(tmp_path, rows, benchmark), HALF)
    assert (found.prm_score.prm_score, found.facts["rows_repeated"]) == (1.0, 1)
    with refused("duplicate", row=4, field="id", names=("'x'", "row 1")):
        predict(tmp_path, [*rows[:3], rows[0]], benchmark)


def test_predictions_in_the_order_of_the_rows_may_name_a_repeated_id_each_time(tmp_path):
    files = [
        write(tmp_path / "circular.jsonl", [prmbench("x", [1]), prmbench("x", [2], 5), prmbench("y", [1])]),
        write(tmp_path / "multi.jsonl", [prmbench("y", [2], 3, "multi"), prmbench("x", [2], 6, "multi")]),
    ]
    benchmark = read_benchmark(files)
    assert benchmark.order == (0, 0, 1, 2, 3)
    rows = [{"id": name, "step_scores": [0.5] * steps} for name, steps in zip("xxyyx", (4, 5, 4, 3, 6), strict=True)]
    assert [one.row for one in predict(tmp_path, rows, benchmark)] == [1, 3, 4, 5]
    with refused("ambiguous", field="id", names=("2 rows",)):
        predict(tmp_path, [rows[0], *rows[2:]], benchmark)


def test_rows_without_an_id_are_named_by_their_numbers(tmp_path):
    one = write(tmp_path / "arithmetic.jsonl", [mistake(0), mistake(None)])
    two = write(tmp_path / "sorting.jsonl", [mistake(2)])
    single = read_benchmark([one])
    from_one = [{"id": number, "step_scores": [0.5] * 3} for number in (2, 1)]
    assert [one.id for one in predict(tmp_path, from_one, single)] == ["1", "2"]
    from_nought = [{"id": str(number), "step_scores": [0.5] * 3} for number in (1, 0)]
    assert [one.id for one in predict(tmp_path, from_nought, single)] == ["0", "1"]
    both = read_benchmark([one, two])
    names = ["arithmetic:1", "sorting:1", "arithmetic:2"]
    rows = [{"id": name, "step_scores": [0.5] * 3} for name in names]
    assert [one.id for one in predict(tmp_path, rows, both)] == ["arithmetic:1", "arithmetic:2", "sorting:1"]
    with refused("ambiguous", field="id", names=("'1'", "2 rows")):
        predict(tmp_path, [{"id": 1, "step_scores": [0.5] * 3}], both)


BAD_PREDICTIONS = {
    "missing": ([{"id": "gsm8k-0", "step_scores": [1, 1, 1]}], "missing", "id", ("1 of 2", "'gsm8k-1'", "a.jsonl")),
    "surplus": ([{"id": "other", "step_scores": [1, 1, 1]}], "unknown_name", "id", ("'other'",)),
    "repeated": ([{"id": "gsm8k-0", "step_scores": [1, 1, 1]}] * 2, "duplicate", "id", ("row 2", "'gsm8k-0'", "row 1")),
    "too few": ([{"id": "gsm8k-0", "step_scores": [1, 1]}], "mismatch", "step_scores", (2, 3, "'gsm8k-0'")),
    "too many": ([{"id": "gsm8k-0", "step_scores": [1] * 4}], "mismatch", "step_scores", (4, 3)),
    "NaN": ([{"id": "gsm8k-0", "step_scores": [1, float("nan"), 1]}], "bad_rows", "step_scores[1]", ("nan",)),
    "infinite": ([{"id": "gsm8k-0", "step_scores": [1, float("inf"), 1]}], "bad_rows", "step_scores[1]", ("inf",)),
    "text": ([{"id": "gsm8k-0", "step_scores": [1, "0.5", 1]}], "wrong_type", "step_scores[1]", ("text",)),
    "null": ([{"id": "gsm8k-0", "step_scores": [1, None, 1]}], "wrong_type", "step_scores[1]", ("null",)),
    "logit": ([{"id": "gsm8k-0", "step_scores": [1, -2.5, 1]}], "bad_value", "step_scores[1]", (-2.5,)),
    "empty": ([{"id": "gsm8k-0", "step_scores": []}], "empty", "step_scores", ()),
    "no list": ([{"id": "gsm8k-0", "step_scores": 0.4}], "bad_rows", "step_scores", ("a number",)),
    "no scores": ([{"id": "gsm8k-0", "score": 1}], "missing", "step_scores", ("id, score",)),
    "no id": ([{"step_scores": [1]}], "missing", "id", ("step_scores",)),
    "id null": ([{"id": None, "step_scores": [1]}], "wrong_type", "id", ("null",)),
    "both": ([{"id": "gsm8k-0", "step_scores": [1, 1, 1], "first_error": 0}], "conflict", "first_error", ()),
    "past the end": ([{"id": "gsm8k-0", "first_error": 3}], "bad_value", "first_error", (3, "'gsm8k-0'")),
    "no index": ([{"id": "gsm8k-0", "first_error": 1.5}], "bad_rows", "first_error", ("a number",)),
    "mixed": (
        [{"id": "gsm8k-0", "first_error": 1}, {"id": "gsm8k-1", "step_scores": [1, 1, 1]}],
        "missing", "step_scores", ("row 1",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_PREDICTIONS)
def test_bad_predictions_are_refused_by_their_row(tmp_path, case):
    rows, code, field, names = BAD_PREDICTIONS[case]
    benchmark = read_benchmark([write(tmp_path / "a.jsonl", [processbench(0, 1), processbench(1, -1)])])
    with refused(code, file=tmp_path / "predictions.jsonl", field=field, names=names):
        predict(tmp_path, rows, benchmark)


BAD_BENCHMARKS = {
    "repeated": ([processbench(0, 1), processbench(0, -1)], "duplicate", "id", ("'gsm8k-0'", "row 1")),
    "label": ([processbench(0, 3)], "bad_rows", "label", (3,)),
    "no steps": ([processbench(0, -1, steps=0)], "bad_rows", "steps", ()),
    "error 0": ([prmbench("a", [0])], "bad_rows", "error_steps[0]", (0,)),
    "error text": ([prmbench("a", ["2"])], "bad_rows", "error_steps[0]", ("text",)),
    "mistake": ([mistake(5)], "bad_rows", "mistake_index", (5,)),
    "id": ([processbench(0, 1) | {"id": [1]}], "wrong_type", "id", ("a list",)),
    "another": ([{"question": "q", "answer": "#### 2"}], "unsupported", "--format", ("gsm8k", "prmbench")),
    "unknown": ([{"x": 1}], "unsupported", "--format", ("x", "prmbench")),
    "two kinds": ([processbench(0, 1), mistake(1)], "bad_rows", "problem", ()),
}


@pytest.mark.parametrize("case", BAD_BENCHMARKS)
def test_bad_benchmark_rows_are_refused(tmp_path, case):
    rows, code, field, names = BAD_BENCHMARKS[case]
    with refused(code, file=tmp_path / "a.jsonl", row=len(rows), field=field, names=names):
        read_benchmark([write(tmp_path / "a.jsonl", rows)])


def test_a_format_without_first_errors_is_refused(tmp_path):
    file = write(tmp_path / "a.jsonl", [processbench(0, 1)])
    with refused("unsupported", field="format", names=("gsm8k", "processbench, prmbench or big-bench-mistake")):
        read_benchmark([file], "gsm8k")
    with pytest.raises(StepwardError) as near:
        read_benchmark([file], "prmbenchh")
    assert "prmbench?" in str(near.value)


def test_the_threshold_is_chosen_on_gsm8k_and_frozen(tmp_path):
    rows = [processbench(0, 0), processbench(1, -1), processbench(0, 0, "math"), processbench(1, -1, "math")]
    benchmark = read_benchmark([write(tmp_path / "a.jsonl", rows)])
    scores = {"gsm8k-0": [0.2, 0.9, 0.9], "gsm8k-1": [0.4] * 3, "math-0": [0.6] * 3, "math-1": [0.9] * 3}
    given = predict(tmp_path, [{"id": name, "step_scores": of} for name, of in scores.items()], benchmark)
    chosen = find_threshold(benchmark, given)
    assert (chosen.source, chosen.rows, chosen.f1) == ("gsm8k", 2, 1.0)
    assert 0.2 < chosen.value <= 0.4
    found = measure_errors(benchmark, given, chosen)
    assert {part.part: part.f1 for part in found.parts} == {"gsm8k": 1.0, "math": 0.0}  # .7 would find both
    assert (found.macro.value, found.weighted.value) == (0.5, 0.5)
    whole = choose_on(benchmark, given, "all")
    assert (whole.rows, whole.source) == (4, "all")
    without = read_benchmark([write(tmp_path / "b.jsonl", rows[2:])])
    assert find_threshold(without, given[2:]) == Threshold(0.5, "default")


def test_critics_may_name_first_errors(tmp_path):
    rows = [processbench(0, 1), processbench(1, -1), processbench(2, 0), processbench(3, -1)]
    benchmark = read_benchmark([write(tmp_path / "a.jsonl", rows)])
    verdicts = [1, -1, None, 0]
    given = predict(tmp_path, [{"id": f"gsm8k-{n}", "first_error": one} for n, one in enumerate(verdicts)], benchmark)
    found = measure_errors(benchmark, given, find_threshold(benchmark, given))
    assert (found.overall.with_error, found.overall.without_error, found.overall.f1) == (0.5, 0.5, 0.5)
    assert found.facts["rows_without_verdict"] == 1
    assert (found.validity, found.minimum, found.threshold.value) == ((), None, None)
    with refused("conflict", field="threshold", names=("step_scores",)):
        measure_errors(benchmark, given, HALF)


def test_null_is_no_mistake_in_predictions_of_big_bench_mistake(tmp_path):
    benchmark = read_benchmark([write(tmp_path / "a.jsonl", [mistake(None), mistake(1), mistake(None)])])
    given = predict(tmp_path, [{"id": n, "first_error": one} for n, one in ((1, None), (2, 1), (3, -1))], benchmark)
    assert measure_errors(benchmark, given, find_threshold(benchmark, given)).overall.accuracy == 1.0


def test_prmbench_needs_step_scores(tmp_path):
    benchmark = read_benchmark([write(tmp_path / "a.jsonl", [prmbench("a", [1])])])
    given = predict(tmp_path, [{"id": "a", "first_error": 0}], benchmark)
    with refused("missing", field="step_scores", names=("PRMBench",)):
        measure_errors(benchmark, given, find_threshold(benchmark, given))


def test_prmbench_originals_are_measured_where_scored(tmp_path):
    benchmark = read_benchmark([write(tmp_path / "a.jsonl", [prmbench("a", [1]), prmbench("b", [2])])])
    rows = [
        {"id": name, "step_scores": [0.2, 0.6, 0.6, 0.6], "original_step_scores": of}
        for name, of in (("a", [0.9, 0.7]), ("b", [0.4, 1]))
    ]
    got = measure_errors(benchmark, predict(tmp_path, rows, benchmark), HALF).originals
    assert (got.rows, got.steps, got.accuracy, got.untouched) == (2, 4, 0.75, 0.5)
    assert (got.mean_score, got.mean_score_modified) == (pytest.approx(0.75), pytest.approx(0.5))
    at_one = measure_errors(benchmark, predict(tmp_path, rows, benchmark), Threshold(0.9, "given")).originals
    assert (at_one.accuracy, at_one.untouched) == (0.25, 0.0)  # a score at the threshold is not above it
    with refused("mismatch", row=2, field="original_step_scores", names=(1, 2)):
        predict(tmp_path, [rows[0], {**rows[1], "original_step_scores": [1]}], benchmark)
    with refused("missing", row=2, field="original_step_scores"):
        predict(tmp_path, [rows[0], {"id": "b", "step_scores": [1] * 4}], benchmark)


def test_all_right_categories_have_the_f1_of_right_steps(tmp_path):
    rows = [prmbench("a", [], classification="multi_solutions"), prmbench("b", [1])]
    benchmark = read_benchmark([write(tmp_path / "a.jsonl", rows)])
    scores = [{"id": "a", "step_scores": [1, 1, 1, 0]}, {"id": "b", "step_scores": [0, 1, 1, 1]}]
    found = measure_errors(benchmark, predict(tmp_path, scores, benchmark), HALF)
    multi = found.categories[0]
    assert (multi.f1_right, multi.prm_score, multi.f1_wrong) == (pytest.approx(6 / 7), pytest.approx(6 / 7), 0.0)
    assert found.prm_means == {"categories": pytest.approx((6 / 7 + 1) / 2)}
    # Pooled, by hand: wrong steps 1 found of 1, 2 taken for wrong; right steps 6 found of 7.
    assert found.prm_score.prm_score == pytest.approx((2 / 3 + 12 / 13) / 2)


def test_groups_of_categories_have_means(tmp_path):
    rows = [prmbench("a", [1], classification="redundency"), prmbench("b", [1], classification="circular")]
    benchmark = read_benchmark([write(tmp_path / "a.jsonl", rows)])
    found = measure_errors(benchmark, oracle(benchmark), HALF)
    assert found.prm_means == {"categories": 1.0, "simplicity": 1.0}


def test_stored_thresholds_are_found_in_figures_alone(tmp_path):
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({"benchmark": "processbench", "threshold": 0.25}))
    assert stored_threshold(figures) == Threshold(0.25, str(figures))
    assert stored_threshold(write(tmp_path / "rows.jsonl", [processbench(0, 1)])) is None
    assert stored_threshold(tmp_path / "absent.json") is None


@pytest.mark.parametrize(
    ("threshold", "code", "name"),
    [(7, "bad_value", "7"), (True, "bad_value", "true"), (None, "missing", "--threshold")],
)
def test_stored_thresholds_are_looked_through(tmp_path, threshold, code, name):
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({"benchmark": "processbench", "threshold": threshold}))
    with refused(code, file=figures, field="threshold", names=(name,)):
        stored_threshold(figures)


def test_public_prmbench_rows(shared_data):
    benchmark = read_benchmark([shared_data / "prmbench"])
    assert len(benchmark.rows) == 1202
    perfect = measure_errors(benchmark, oracle(benchmark), HALF)
    assert perfect.prm_score.prm_score == 1.0
    assert [one.prm_score for one in perfect.categories] == [1.0] * 3
    assert perfect.validity[0].macro_f1 == perfect.validity[0].auc == 1.0
    assert perfect.overall.f1 == 1.0
    assert perfect.facts == {
        "rows_without_verdict": 0, "rows_past_end": 13, "error_steps_past_end": 23, "rows_past_end_alone": 4,
        "rows_repeated": 0,
    }  # fmt: skip


@pytest.mark.parametrize("score", [1.0, 0.5, 0.0])
def test_constant_scores_on_public_prmbench_rows_give_the_definition(shared_data, score):
    lines = (shared_data / "prmbench" / "train_p1_circular.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    steps = sum(len(row["modified_process"]) for row in rows)
    wrong = sum(len({n for n in row["error_steps"] if n <= len(row["modified_process"])}) for row in rows)
    found = measure_errors(benchmark := read_benchmark([shared_data / "prmbench/train_p1_circular.jsonl"]),
                           constant(benchmark, score), HALF)  # fmt: skip
    # All are taken for one class: the other's F1 is 0, and that one's 2 TP / (2 TP + FP).
    # A score at the threshold, too, takes a step for wrong, as the public script does: right is above it.
    hits = steps - wrong if score > 0.5 else wrong
    assert found.prm_score.prm_score == pytest.approx((2 * hits / (hits + steps)) / 2)
    assert found.validity[0].auc == 0.5
    assert found.facts["rows_past_end"] == 3


def test_public_big_bench_mistake_rows(shared_data):
    benchmark = read_benchmark([shared_data / "big_bench_mistake"])
    perfect = measure_errors(benchmark, oracle(benchmark), HALF)
    assert (perfect.rows, perfect.overall.accuracy, perfect.overall.f1) == (300, 1.0, 1.0)
    assert (perfect.overall.rows_with_error, perfect.overall.rows_without_error) == (238, 62)
    none = measure_errors(benchmark, constant(benchmark, 1.0), HALF).overall
    assert (none.accuracy, none.with_error, none.without_error, none.f1) == (62 / 300, 0.0, 1.0, 0.0)
    every = measure_errors(benchmark, constant(benchmark, 0.0), HALF).overall
    at_once = sum(row.first_error == 0 for row in benchmark.rows)
    assert (every.with_error, every.without_error) == (at_once / 238, 0.0)


def test_step_figures_are_sklearns(shared_data):
    benchmark = read_benchmark([shared_data / "big_bench_mistake"])
    random = np.random.default_rng(0)
    given = [
        Prediction(row.names[-1], 1, tuple(np.round(random.random(len(row.labels)), 1)), None, None)
        for row in benchmark.rows
    ]
    by_step, by_solution = measure_errors(benchmark, given, HALF).validity
    marks = [
        (score, label)
        for row, one in zip(benchmark.rows, given, strict=True)
        for score, label in zip(one.scores, row.labels, strict=True)
        if label is not None
    ]
    scores, labels = (np.array(of) for of in zip(*marks, strict=True))
    assert by_step.macro_f1 == pytest.approx(f1_score(labels, scores > 0.5, average="macro"))
    assert by_step.auc == pytest.approx(roc_auc_score(labels, scores))
    lowest = np.array([min(one.scores) for one in given])
    valid = np.array([row.first_error < 0 for row in benchmark.rows])
    assert by_solution.macro_f1 == pytest.approx(f1_score(valid, lowest > 0.5, average="macro"))
    assert by_solution.auc == pytest.approx(roc_auc_score(valid, lowest))
    for one in (by_step, by_solution):
        assert one.macro_f1_low < one.macro_f1 < one.macro_f1_high
        assert one.auc_low < one.auc < one.auc_high


def test_prm_scores_are_sklearns(shared_data):
    benchmark = read_benchmark([shared_data / "prmbench"])
    random = np.random.default_rng(1)
    given = [Prediction(row.names[-1], 1, tuple(random.random(len(row.labels))), None, None) for row in benchmark.rows]
    found = measure_errors(benchmark, given, Threshold(0.3, "given"))
    for category in (*found.categories, found.prm_score):
        chosen = [
            (score, label)
            for row, one in zip(benchmark.rows, given, strict=True)
            if category.category in ("overall", row.part)
            for score, label in zip(one.scores, row.labels, strict=True)
        ]
        scores, labels = (np.array(of) for of in zip(*chosen, strict=True))
        wrong, right = f1_score(labels, scores >= 0.3, average=None)
        assert (category.f1_wrong, category.f1_right) == (pytest.approx(wrong), pytest.approx(right))
        assert category.prm_score == pytest.approx((wrong + right) / 2)
        assert category.low < category.prm_score < category.high


def test_one_class_only_is_said(tmp_path):
    benchmark = read_benchmark([write(tmp_path / "a.jsonl", [processbench(0, -1), processbench(1, -1)])])
    found = measure_errors(benchmark, constant(benchmark, 1.0), HALF)
    assert (found.overall.f1, found.validity[0].auc, found.validity[0].macro_f1) == (None, None, None)
    assert [sum(name in one for one in found.notes) for name in ("F1 of first errors", "AUC by step")] == [1, 1]
    assert json.loads(json.dumps(found.figures(), allow_nan=False))["f1"] is None
