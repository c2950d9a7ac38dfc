"""Two reward models on the same preference rows: how often each prefers the preferred answer, row by row."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.preference.reward_bench import SECTIONS, TIES, section_of, weight_of
from stepward.evaluation.preference.rows import Benchmark, PreferenceRow
from stepward.evaluation.stats.paired_metric import Metric, MetricDifference, compare_metrics
from stepward.evaluation.stats.strata import Stratum, Sums

Floats = NDArray[np.float64]


def compare_pairs(
    first: Sequence[PreferenceRow], second: Sequence[PreferenceRow], benchmark: Benchmark, *, seed: int = 0
) -> tuple[MetricDifference, ...]:
    """Compares two models' wins: RewardBench 1's score, its sections, all rows, then the subsets.

    RewardBench 2's Ties subset has a score that is no share of wins, so it is left out, and its total with it.

    Args:
        first: A model's rows.
        second: The other's rows of the same ids.
        benchmark: Whose sections and weights are followed.
        seed: Decides the resamples and the exchanges.

    Raises:
        StepwardError: A row is only in one of both, or all rows are of the Ties subset.
    """
    theirs = {(one.subset, one.id): one for one in second}
    ours = {(one.subset, one.id): one for one in first}
    if odd := ours.keys() ^ theirs.keys():
        subset, name = min(odd)
        where = "the first" if (subset, name) in ours else "the other"
        of = f" of subset {subset}" if subset else ""
        raise StepwardError(
            f"id {name!r}{of}: only in {where} of both files ({len(odd):,} such); score the same rows",
            code="mismatch",
            field="id",
        )
    rows: dict[Stratum, list[PreferenceRow]] = {}
    for one in first:
        if benchmark != "rewardbench2" or one.subset != TIES:
            section = (section_of(one.subset) if benchmark == "rewardbench" else None) or one.section
            rows.setdefault((section, one.subset), []).append(one)
    if not rows:
        raise StepwardError(
            "all rows are of the Ties subset, whose score is no share of wins: nothing to compare",
            code="empty",
            field="subset",
        )
    numbers = {
        key: (
            np.array([[one.win] for one in members]),
            np.array([[theirs[one.subset, one.id].win] for one in members]),
        )
        for key, members in rows.items()
    }
    sizes = {key: len(members) for key, members in rows.items()}
    return compare_metrics(numbers, _figures(benchmark, sizes), seed=seed)


def _figures(benchmark: Benchmark, sizes: Mapping[Stratum, int]) -> list[Metric]:
    sections = list(dict.fromkeys(section for section, _ in sizes if section))
    weights: dict[str, dict[Stratum, float]] = {}
    for section in sections:
        members = [key for key in sizes if key[0] == section]
        heft = [weight_of(key[1], sizes[key]) if benchmark == "rewardbench" else sizes[key] for key in members]
        weights[section] = {key: one / sum(heft) for key, one in zip(members, heft, strict=True)}
    found = []
    if benchmark == "rewardbench" and all(section in weights for section in SECTIONS):
        score = {key: one / len(SECTIONS) for section in SECTIONS for key, one in weights[section].items()}
        found.append(_figure("score", score, sizes))
    found += [_figure(section, weights[section], sizes) for section in sections]
    total = sum(sizes.values())
    found.append(_figure("all rows", {key: size / total for key, size in sizes.items()}, sizes))
    return found + [_figure(key[1], {key: 1.0}, sizes) for key in sizes if key[1] and len(sizes) > 1]


def _figure(name: str, weights: Mapping[Stratum, float], sizes: Mapping[Stratum, int]) -> Metric:
    """The mean of subsets' shares of wins by these weights."""

    def of(sums: Sums) -> Floats:
        return np.asarray(sum(weight * sums[key][:, 0] / sizes[key] for key, weight in weights.items()))

    return Metric(name, tuple(weights), of)
