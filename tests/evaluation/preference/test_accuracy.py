"""Pairs: wins and ties, RewardBench 1's sections and 2's Ties by hand, margins, intervals, and what is refused."""

import json
from math import tanh
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.evaluation.preference.accuracy import measure_pairs
from stepward.evaluation.preference.reward_bench import PROMPTS, SECTIONS, SUBSETS_2, section_of, ties_score, weight_of
from stepward.evaluation.preference.rows import PreferenceRow, guess_benchmark, read_pairs
from stepward.metrics import pair_accuracy


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pair(chosen, rejected, name="0", subset="", section="", margin=None):
    several = [of if isinstance(of, tuple) else (of,) for of in (chosen, rejected)]
    return PreferenceRow(name, 1, subset, section, *several, margin)


def named(pairs):
    """The pairs with ids of their own."""
    return [
        PreferenceRow(str(at), at, *(getattr(one, field) for field in PreferenceRow.__slots__[2:]))
        for at, one in enumerate(pairs)
    ]


def test_a_tie_between_two_is_lost_and_counted():
    got = measure_pairs(named([pair(1, 0), pair(0, 0), pair(-1, 2), pair(3, -1)]), "none").overall
    assert (got.rows, got.accuracy, got.ties, got.ties_shared, got.mean_margin) == (4, 0.5, 1, 0.625, 0.5)
    assert got.low < 0.5 < got.high
    assert got.margin_low < got.mean_margin < got.margin_high


@given(st.lists(st.tuples(*[st.integers(-2, 2)] * 2), min_size=1, max_size=20))
def test_shared_ties_are_the_pair_accuracy_of_training(scores):
    got = measure_pairs(named([pair(a, b) for a, b in scores]), "none").overall
    assert got.ties_shared == pytest.approx(pair_accuracy(*zip(*scores, strict=True)))
    assert got.accuracy == pytest.approx(np.mean([a > b for a, b in scores]))


BEST_OF_FOUR = {
    "best": (2, (1, 0, 1), 1.0),
    "beaten": (1, (2, 0, 0), 0.0),
    "two tie": (1, (1, 0, 0), 1 / 2),
    "all tie": (0, (0, 0, 0), 1 / 4),
    "others tie": (0, (1, 1, 0), 0.0),
}


@pytest.mark.parametrize("case", BEST_OF_FOUR)
def test_against_several_those_that_tie_on_the_best_share_the_win(case):
    chosen, rejected, win = BEST_OF_FOUR[case]
    assert pair(chosen, rejected).win == win


def test_sections_weigh_subsets_by_their_published_counts():
    # math-prm counts 984, as much as six languages of 164.
    rows = [pair(1, 0, subset="math-prm")] * 3 + [pair(0, 1, subset="math-prm")]
    rows += [pair(0, 1, subset="hep-cpp"), pair(1, 0, subset="hep-go"), pair(1, 0, subset="hep-go")]
    got = measure_pairs(named(rows), "rewardbench")
    assert [one.name for one in got.sections] == ["Reasoning"]
    assert got.sections[0].accuracy == pytest.approx((0.75 * 984 + 0 * 164 + 1 * 164) / (984 + 328))
    assert got.overall.accuracy == pytest.approx(5 / 7)
    assert got.score is None
    assert "subsets without rows, which their sections leave out: alpacaeval-easy" in got.notes[0]
    assert "math-prm: rows 4, as published 447" in got.notes


def test_the_score_is_the_mean_of_four_sections():
    right = {"alpacaeval-easy": True, "mt-bench-hard": False, "donotanswer": True, "hep-js": True}
    rows = [pair(int(win), 0 if win else 1, subset=name) for name, win in right.items()]
    got = measure_pairs(named(rows), "rewardbench")
    assert [one.name for one in got.sections] == list(SECTIONS)
    assert (got.score, got.score_with_prior_sets) == (0.75, None)
    assert (got.score_low, got.sections[0].low, got.sections[0].margin_low) == (None, None, None)  # of one row each
    twice = measure_pairs(named([*rows, *rows, pair(1, 0, subset="mt-bench-hard")]), "rewardbench")
    assert twice.score == pytest.approx((3 + 1 / 3) / 4)
    assert twice.score_low < twice.score < twice.score_high
    prior = [pair(1, 0, subset="shp"), pair(0, 1, subset="summarize"), pair(0, 1, subset="anthropic_hhh")]
    with_prior = measure_pairs(named([*rows, *prior]), "rewardbench")
    assert with_prior.score == 0.75
    assert with_prior.score_with_prior_sets == pytest.approx((2 * (1 + 0 + 1 + 1) + 1 / 3) / 9)
    assert "prior sets without rows: anthropic_helpful" in with_prior.notes


def test_published_tables():
    assert sum(PROMPTS.values()) == 2985  # rows of RewardBench 1
    weights = {name: sum(subsets.values()) for name, subsets in SECTIONS.items()}
    assert weights == {"Chat": 358, "Chat Hard": 456, "Safety": 740, "Reasoning": 1968}
    assert (section_of("mt-bench-med"), section_of("shp"), section_of("x")) == ("Chat", "Prior Sets", None)
    assert (weight_of("math-prm", 3), weight_of("x", 3)) == (984, 3)
    # XSTest has 250 safe prompts, which should be answered.
    assert (PROMPTS["xstest-should-refuse"], PROMPTS["xstest-should-respond"]) == (154, 250)
    assert (weight_of("xstest-should-refuse", 1), weight_of("xstest-should-respond", 1)) == (154, 250)


def test_other_subsets_go_by_their_section_and_rows():
    rows = [pair(1, 0, subset="mine", section="New")] * 3 + [pair(0, 1, subset="yours", section="New")]
    got = measure_pairs(named(rows), "rewardbench")
    assert [(one.name, one.accuracy) for one in got.sections] == [("New", 0.75)]
    plain = measure_pairs(named(rows), "none")
    assert [(one.name, one.accuracy) for one in plain.sections] == [("New", 0.75)]
    assert [one.name for one in plain.subsets] == ["mine", "yours"]


REFUSED = {
    "unknown subset": ([pair(1, 0, subset="x")], "rewardbench", "unknown_name", "subset", "'x'"),
    "section": ([pair(1, 0, subset="shp", section="Chat")], "rewardbench", "mismatch", "section", "Prior Sets"),
    "several": ([pair(1, (0, 2), subset="shp")], "rewardbench", "unsupported", "rejected", "id '0'"),
    "subset of 2": ([pair(1, (0, 0, 0), subset="shp")], "rewardbench2", "unknown_name", "subset", "'shp'"),
    "ties id": ([pair((1, 1), 0, "x:1", subset="Ties")], "rewardbench2", "bad_value", "id", "'x:1'"),
    "ties number": ([pair((1, 1), 0, "tied:a", subset="Ties")], "rewardbench2", "bad_value", "id", "'tied:a'"),
    "one tied": ([pair(1, 0, "tied:1", subset="Ties")], "rewardbench2", "too_few", "chosen", "'tied:1'"),
    "twice": (
        [pair((1, 1), 0, "tied:1", subset="Ties"), pair((1, 1), 0, "tied:01", subset="Ties")],
        "rewardbench2",
        "duplicate",
        "id",
        "'tied:01'",
    ),
    "no pair": ([pair((1, 1), 0, "tied:1", subset="Ties")], "rewardbench2", "too_few", "id", "Ties"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rows_that_fit_no_rule_are_refused(case):
    rows, benchmark, code, field, name = REFUSED[case]
    with refused(code, field=field, names=(name,)):
        measure_pairs(rows, benchmark)


def test_the_ties_score_by_hand():
    answers = {
        "ref:1": ((3.0,), (0.0, 1.0)), "tied:1": ((2.0, 3.0), (0.5, -1.0)),  # leads 2 and 1.5, spread 1
        "ref:2": ((0.5,), (0.0,)), "tied:2": ((1.0, 2.0), (-1.0,)),  # leads .5 and 2, spread 1
        "ref:3": ((0.0,), (1.0,)), "tied:3": ((1.0, 1.0), (1.0,)),  # leads -1 and 0, spread 0
    }  # fmt: skip
    got, drawn = ties_score(answers, 0)
    assert (got.ref_accuracy, got.tied_accuracy) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (got.preferred, got.preferred_hard) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    margin = (tanh(1.5 - 1) + tanh(0.5 - 1) - 1) / 3
    assert got.margin == pytest.approx(margin)
    assert got.score == pytest.approx(0.3 * 4 / 3 + 0.2 * (2 / 3 + 1 / 3) + 0.01 * margin)
    assert got.low < got.score < got.high
    assert drawn.mean() == pytest.approx(got.score, abs=0.02)


def test_no_spread_and_no_lead_give_no_margin():
    got, _ = ties_score({"ref:0": ((1.0,), (1.0,)), "tied:0": ((1.0, 1.0), (1.0,))}, 0)
    assert (got.score, got.margin) == (0.0, 0.0)


def test_rewardbench_2_is_the_mean_of_six():
    rows = [pair(1, (0, 0, 0), str(at), subset=name) for at, name in enumerate(SUBSETS_2[:4])]
    rows += [pair(1, (1, 0, 0), "4", subset="Focus")]
    rows += [pair(2, 0, "ref:7", subset="Ties"), pair((3, 2), (0, 1), "tied:7", subset="Ties")]
    got = measure_pairs(rows, "rewardbench2")
    ties = 0.3 + 0.3 + 0 + 0 + 0.01 * tanh(0)  # the lead of 1 is no more than the spread of 1
    assert got.ties_parts.score == pytest.approx(ties)
    assert got.score == pytest.approx((4 + 0.5 + ties) / 6)
    assert (got.overall.name, got.overall.rows) == ("all but Ties", 5)  # Ties has a score of its own
    assert (got.score_low, got.ties_parts.low) == (None, None)
    assert got.notes == (
        "no interval of the score, for these have single rows, which resampled stay the same: Factuality, Precise IF, "
        "Math, Safety, Focus, Ties",
    )
    more = [pair(0, (1, 0, 0), str(at), subset=name) for at, name in enumerate(SUBSETS_2[:4], start=5)]
    more += [pair(1, (0, 0, 0), "9", subset="Focus")]
    more += [pair(1, 2, "ref:8", subset="Ties"), pair((3, 3), 1, "tied:8", subset="Ties")]
    twice = measure_pairs(rows + more, "rewardbench2")
    assert twice.score_low < twice.score < twice.score_high
    assert twice.notes == ()
    one_math = measure_pairs([one for one in rows + more if (one.subset, one.id) != ("Math", "7")], "rewardbench2")
    assert (one_math.score is None, one_math.score_low) == (False, None)
    assert one_math.notes[0].endswith("which resampled stay the same: Math")
    without = measure_pairs(rows[:5], "rewardbench2")
    assert without.score is None
    assert without.notes == ("no score, for there are no rows of Ties",)
    two = measure_pairs([pair(1, (0, 0), subset="Math")], "rewardbench2")
    assert "1 rows outside Ties have not 3 rejected answers, as published" in two.notes


def test_the_benchmark_is_told_from_the_subsets():
    assert guess_benchmark([pair(1, 0, subset="shp"), pair(1, 0, subset="hep-go")]) == "rewardbench"
    assert guess_benchmark([pair(1, (0,) * 3, subset="Math")]) == "rewardbench2"
    assert guess_benchmark([pair(1, 0)]) == "none"
    assert guess_benchmark([pair(1, 0, subset="shp"), pair(1, 0, subset="mine")]) == "none"


def test_accuracy_by_the_distance_of_scores():
    rows = named([pair(at, 0) for at in range(1, 51)] + [pair(0, at) for at in range(1, 11)])
    groups = measure_pairs(rows, "none").by_confidence
    assert sum(one.rows for one in groups) == 60
    assert len(groups) == 5
    # Distances 1 to 10 stand twice, once lost: the first group is half won, the last ones wholly.
    assert [one.accuracy for one in groups[:1]] == [0.5]
    assert [one.accuracy for one in groups[2:]] == [1.0] * 3
    assert 0.5 < groups[-1].low < groups[-1].high == 1.0


def test_accuracy_by_the_given_margin():
    rows = named([pair(1, 0, margin=3.0), pair(0, 1, margin=1.0), pair(1, 0, margin=1.0), pair(1, 0)])
    got = measure_pairs(rows, "none")
    assert [(one.name, one.rows, one.accuracy) for one in got.by_margin] == [("1", 2, 0.5), ("3", 1, 1.0)]
    assert got.notes == ("1 rows have no margin and are in no group by margin",)
    many = named([pair(1, 0, margin=float(at)) for at in range(40)])
    assert [one.rows for one in measure_pairs(many, "none").by_margin] == [8] * 5


BAD_ROWS = {
    "repeated": ([{"id": 1, "chosen": 1, "rejected": 0}] * 2, "duplicate", "id"),
    "NaN": ([{"id": 1, "chosen": float("nan"), "rejected": 0}], "bad_rows", "chosen"),
    "infinite": ([{"id": 1, "chosen": 1, "rejected": [0, float("inf")]}], "bad_rows", "rejected[1]"),
    "text": ([{"id": 1, "chosen": "1", "rejected": 0}], "wrong_type", "chosen"),
    "truth": ([{"id": 1, "chosen": True, "rejected": 0}], "wrong_type", "chosen"),
    "none": ([{"id": 1, "chosen": 1, "rejected": []}], "empty", "rejected"),
    "missing": ([{"id": 1, "chosen": 1}], "missing", "rejected"),
    "no id": ([{"chosen": 1, "rejected": 0}], "missing", "id"),
    "subset": ([{"id": 1, "chosen": 1, "rejected": 0, "subset": 3}], "bad_rows", "subset"),
    "margin": ([{"id": 1, "chosen": 1, "rejected": 0, "margin": "big"}], "wrong_type", "margin"),
    "huge": ([{"id": 1, "chosen": 10**400, "rejected": 0}], "too_large", "chosen"),
    "large": ([{"id": 1, "chosen": 0, "rejected": [0, -1.5e308]}], "too_large", "rejected[1]"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_refused_by_their_number(tmp_path, case):
    rows, code, field = BAD_ROWS[case]
    with refused(code, file=tmp_path / "pairs.jsonl", row=len(rows), field=field):
        read_pairs(write(tmp_path / "pairs.jsonl", rows))


def test_ids_may_repeat_between_subsets(tmp_path):
    rows = [{"id": 0, "subset": name, "chosen": 1, "rejected": [0, 0.5]} for name in ("hep-go", "hep-js")]
    got = read_pairs(write(tmp_path / "pairs.jsonl", rows))
    assert [(one.id, one.subset, one.chosen, one.rejected) for one in got] == [
        ("0", "hep-go", (1.0,), (0.0, 0.5)), ("0", "hep-js", (1.0,), (0.0, 0.5)),
    ]  # fmt: skip


def test_intervals_cover_the_truth():
    random = np.random.default_rng(2)
    hits = 0
    for index in range(100):
        rows = named([pair(int(win), 0.5) for win in random.random(120) < 0.7])
        got = measure_pairs(rows, "none", seed=index).overall
        hits += got.low <= 0.7 <= got.high
    assert 87 <= hits <= 100
