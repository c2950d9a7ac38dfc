"""Two models' preference scores beside one another, against each one's own figures and the exact sign-flip test."""

import numpy as np
import pytest
from raising import refused

from stepward.evaluation.preference.accuracy import measure_pairs
from stepward.evaluation.preference.compare import compare_pairs
from stepward.evaluation.preference.reward_bench import PRIOR_SETS, PROMPTS, SUBSETS_2, TIES
from stepward.evaluation.preference.rows import Benchmark, PreferenceRow
from stepward.evaluation.stats.paired_test import paired


def scored(subsets: list[str], count: int, skill: float, seed: int, rejected: int = 1) -> list[PreferenceRow]:
    """Rows whose preferred answer scores higher by a skill."""
    generator = np.random.default_rng(seed)
    return [
        PreferenceRow(f"{('ref', 'tied')[number % 2]}:{number // 2}", number + 1, subset, "",
             tuple(generator.normal(skill, size=1 + (subset == TIES and number % 2)).tolist()),
             tuple(generator.normal(size=rejected).tolist()), None)
        for subset in subsets for number in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("benchmark", ["rewardbench", "rewardbench2", "none"])
def test_figures_are_those_of_each_model_alone(benchmark: Benchmark) -> None:
    names = {"rewardbench": [*PROMPTS, *PRIOR_SETS], "rewardbench2": [*SUBSETS_2], "none": ["a", "b"]}[benchmark]
    both = [
        scored(names, 8, skill, seed, 3 if benchmark == "rewardbench2" else 1) for seed, skill in ((1, 2), (2, 0.5))
    ]
    alone = [measure_pairs(one, benchmark) for one in both]
    found = {one.figure: one for one in compare_pairs(both[0], both[1], benchmark)}
    expected = [{one.name: one.accuracy for one in (*each.sections, *each.subsets)} for each in alone]
    if benchmark == "rewardbench2":
        for each in expected:
            del each[TIES]
    for name in expected[0]:
        assert (found[name].first, found[name].second) == (
            pytest.approx(expected[0][name]), pytest.approx(expected[1][name]),
        )  # fmt: skip
    assert (found["all rows"].first, found["all rows"].rows) == (
        pytest.approx(alone[0].overall.accuracy), alone[0].overall.rows,
    )  # fmt: skip
    assert set(found) == {*expected[0], "all rows", *(["score"] if benchmark == "rewardbench" else [])}
    if benchmark == "rewardbench":
        assert found["score"].first == pytest.approx(alone[0].score)
        assert found["score"].rows == 8 * len(PROMPTS)
    for one in found.values():
        assert one.low is not None and one.high is not None and one.low <= one.mean <= one.high


def test_p_of_all_rows_is_that_of_the_sign_flip_test() -> None:
    first, second = (scored([""], 24, skill, seed) for seed, skill in ((3, 1.5), (4, 0.0)))
    (one,) = compare_pairs(first, second, "none")
    wins = [np.array([row.win for row in rows]) for rows in (first, second)]
    exact = paired(wins[0], wins[1], seed=0)
    assert 0.001 < exact.p < 0.5
    assert (one.mean, one.p) == (pytest.approx(exact.mean), pytest.approx(exact.p, abs=0.02))


def test_other_rows_are_refused() -> None:
    rows = scored(["a"], 3, 1, 0)
    with refused("mismatch", field="id", names=("ref:1", "a")):
        compare_pairs(rows, [row for row in rows if row.id != "ref:1"], "none")
    ties = scored([TIES], 3, 1, 0)
    with refused("empty", field="subset"):
        compare_pairs(ties, ties, "rewardbench2")
