"""How often a preferred answer scores above a rejected one: RewardBench 1 and 2, and any file of preference scores.

A pair is won if chosen > rejected: an equal score is lost, as in RewardBench 1's scripts, and ties are counted, so that
what they cost is seen. Where one answer stands against several, the answers that tie on the best score share the win,
as in RewardBench 2. Intervals are 95% bootstrap intervals over rows, each subset resampled apart.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stepward.errors import StepwardError
from stepward.evaluation.preference.reward_bench import (
    PRIOR,
    PRIOR_SETS,
    PRIOR_WEIGHT,
    PROMPTS,
    REJECTED_2,
    SECTIONS,
    SUBSETS_2,
    TIES,
    TiesScore,
    section_of,
    ties_score,
    weight_of,
)
from stepward.evaluation.preference.rows import Benchmark, PreferenceRow
from stepward.evaluation.stats.bootstrap import accuracy_limits, limits, resampled_sums

Floats = NDArray[np.float64]

GROUPS = 5
"""Groups of rows by margin."""

DISTINCT = 10
"""Up to so many given margins each is a group of its own."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How often the preferred answer wins among some rows.

    Attributes:
        name: Of the rows: a subset, a section, or a group by margin.
        rows: How many.
        accuracy: Share of wins; of a section the mean of its subsets by weight; for Ties its own score.
        low: The lower end of its 95% interval; None where it is not known: of a section with a subset of one row.
        high: The upper end.
        ties: Rows whose best chosen and best rejected score are equal.
        ties_shared: The accuracy if ties shared the win; None for Ties.
        mean_margin: Mean of chosen less best rejected score; of a section the mean of its subsets by weight.
        margin_low: The lower end of its 95% interval.
        margin_high: The upper end.
        weight: What a subset weighs in its section; a section, in the score.
    """

    name: str
    rows: int
    accuracy: float
    low: float | None
    high: float | None
    ties: int
    ties_shared: float | None
    mean_margin: float
    margin_low: float | None
    margin_high: float | None
    weight: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """All figures of a file of preference scores.

    Attributes:
        benchmark: Whose rules were followed.
        score: The benchmark's score: the mean of RewardBench 1's four sections, or of RewardBench 2's six subsets;
            None without a benchmark, or where one of them has no rows.
        score_low: The lower end of its 95% interval; None where a subset has none, or a single row.
        score_high: The upper end.
        score_with_prior_sets: RewardBench 1's first total: the prior sets are a fifth section of half the weight.
        overall: All rows alike; `all but Ties` where Ties have their own score, as in the groups by margin.
        sections: By section.
        subsets: By subset.
        by_confidence: By how far apart the model's scores are, in groups of equally many rows.
        by_margin: By the given margin.
        ties_parts: What the score of the Ties subset is made of.
        notes: What differs from the benchmark as published.
    """

    benchmark: Benchmark
    score: float | None
    score_low: float | None
    score_high: float | None
    score_with_prior_sets: float | None
    overall: Accuracy
    sections: tuple[Accuracy, ...]
    subsets: tuple[Accuracy, ...]
    by_confidence: tuple[Accuracy, ...]
    by_margin: tuple[Accuracy, ...]
    ties_parts: TiesScore | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Subset:
    """The figures of a subset or section, with its accuracy, where known, and its margin in each resample."""

    figures: Accuracy
    section: str
    drawn: Floats | None
    margins: Floats
    ties: TiesScore | None = None


def measure_pairs(pairs: Sequence[PreferenceRow], benchmark: Benchmark, *, seed: int = 0) -> Pairs:
    """Measures preference scores by a benchmark's rules.

    Args:
        pairs: The rows.
        benchmark: `rewardbench`, `rewardbench2`, or `none`: accuracy by subset and section, without a score.
        seed: Decides the resamples of the intervals.

    Raises:
        StepwardError: A row does not fit the benchmark.
    """
    _check(pairs, benchmark)
    groups: dict[tuple[str, str], list[PreferenceRow]] = {}
    for one in pairs:
        section = (section_of(one.subset) if benchmark == "rewardbench" else None) or one.section
        groups.setdefault((section, one.subset), []).append(one)
    subsets = [
        _subset(section, name, rows, benchmark, seed + index)
        for index, ((section, name), rows) in enumerate(groups.items())
    ]
    ties = next((one for one in subsets if one.ties), None)
    plain = [one for one in pairs if not (ties and one.subset == TIES)]
    sections = [] if benchmark == "rewardbench2" else _sections(subsets, benchmark)
    scored = sections if benchmark == "rewardbench" else subsets
    wanted = {"rewardbench": tuple(SECTIONS), "rewardbench2": SUBSETS_2, "none": ()}[benchmark]
    score, low, high = _score(scored, wanted)
    prior = {one.figures.name: one.figures.accuracy for one in sections}.get(PRIOR)
    with_prior = None
    if score is not None and prior is not None:
        with_prior = (score * len(SECTIONS) + prior * PRIOR_WEIGHT) / (len(SECTIONS) + PRIOR_WEIGHT)
    unsure = _unsure(subsets, wanted) if score is not None and low is None else []
    name = f"all but {TIES}" if ties else "all"
    return Pairs(
        benchmark, score, low, high, with_prior,
        overall=_accuracy(name, plain, seed, len(plain))[0] if plain else subsets[0].figures,
        sections=tuple(one.figures for one in sections),
        subsets=tuple(one.figures for one in subsets if one.figures.name),
        by_confidence=_by_margin(plain, [abs(one.score_margin) for one in plain], seed),
        by_margin=_by_margin(*_given(plain), seed),
        ties_parts=ties.ties if ties else None,
        notes=(*_notes(pairs, benchmark), *unsure),
    )  # fmt: skip


def _check(pairs: Sequence[PreferenceRow], benchmark: Benchmark) -> None:
    """Refuses rows that the benchmark has no rule for."""
    for one in pairs:
        where = f"row {one.row} (id {one.id!r})"
        if benchmark == "rewardbench":
            if len(one.chosen) > 1 or len(one.rejected) > 1:
                raise StepwardError(
                    f"{where}: RewardBench 1 has one chosen and one rejected answer; found several",
                    code="unsupported",
                    row=one.row,
                    field="chosen" if len(one.chosen) > 1 else "rejected",
                )
            known = section_of(one.subset)
            if not (known or one.section):
                raise StepwardError(
                    f"{where}, field 'subset': {one.subset!r} is none of RewardBench 1's, and the row names no "
                    "section; mend it, or measure without a benchmark (--benchmark none)",
                    code="unknown_name",
                    row=one.row,
                    field="subset",
                )
            if known and one.section and one.section != known:
                raise StepwardError(
                    f"{where}, field 'section': {one.section!r}, but {one.subset} belongs to {known}",
                    code="mismatch",
                    row=one.row,
                    field="section",
                )
        if benchmark == "rewardbench2" and one.subset not in SUBSETS_2:
            raise StepwardError(
                f"{where}, field 'subset': {one.subset!r} is none of RewardBench 2's: {', '.join(SUBSETS_2)}; mend it, "
                "or measure without a benchmark (--benchmark none)",
                code="unknown_name",
                row=one.row,
                field="subset",
            )


def _subset(section: str, name: str, rows: Sequence[PreferenceRow], benchmark: Benchmark, seed: int) -> _Subset:
    weight = weight_of(name, len(rows)) if benchmark == "rewardbench" else len(rows)
    figures, drawn, margins = _accuracy(name, rows, seed, weight)
    if benchmark != "rewardbench2" or name != TIES:
        return _Subset(figures, section, drawn, margins)
    ties, ties_drawn = ties_score({one.id: (one.chosen, one.rejected) for one in rows}, seed)
    figures = replace(figures, accuracy=ties.score, low=ties.low, high=ties.high, ties_shared=None)
    return _Subset(figures, section, ties_drawn, margins, ties)


def _accuracy(name: str, rows: Sequence[PreferenceRow], seed: int, weight: float) -> tuple[Accuracy, Floats, Floats]:
    """The figures of some rows, and their accuracy and mean margin in each resample."""
    wins, leads = np.array([one.win for one in rows]), np.array([one.score_margin for one in rows])
    drawn, margins = resampled_sums(np.stack([wins, leads], axis=1), seed).T / len(rows)
    (low, high), (margin_low, margin_high) = accuracy_limits(drawn, wins), limits(margins)
    figures = Accuracy(
        name, len(rows), float(wins.mean()), low, high, sum(one.tied for one in rows),
        float(np.mean([one.shared_win for one in rows])), float(leads.mean()), margin_low, margin_high, weight,
    )  # fmt: skip
    return figures, drawn, margins


def _sections(subsets: Sequence[_Subset], benchmark: Benchmark) -> list[_Subset]:
    """The sections that rows are of, RewardBench 1's in its own order."""
    names = dict.fromkeys(one.section for one in subsets if one.section)
    order = [name for name in (*SECTIONS, PRIOR) if name in names] if benchmark == "rewardbench" else []
    found = []
    for name in dict.fromkeys([*order, *names]):
        members = [one for one in subsets if one.section == name]
        figures = [one.figures for one in members]
        heft = np.array([one.weight for one in figures]) / sum(one.weight for one in figures)
        drawn = heft @ np.stack([one.drawn for one in members if one.drawn is not None])
        margins = heft @ np.stack([one.margins for one in members])
        (low, high), (margin_low, margin_high) = limits(drawn), limits(margins)
        if min(one.rows for one in figures) == 1:  # one row, resampled apart, is always itself
            low = high = margin_low = margin_high = None
        whole = Accuracy(
            name, sum(one.rows for one in figures), _dot(heft, [one.accuracy for one in figures]), low, high,
            sum(one.ties for one in figures), _dot(heft, [one.ties_shared or 0.0 for one in figures]),
            _dot(heft, [one.mean_margin for one in figures]), margin_low, margin_high,
            PRIOR_WEIGHT if name == PRIOR else 1.0,
        )  # fmt: skip
        found.append(_Subset(whole, name, drawn, margins))
    return found


def _score(parts: Sequence[_Subset], wanted: Sequence[str]) -> tuple[float | None, float | None, float | None]:
    """The plain mean of the wanted parts with its interval; None where one is missing, or can't be resampled."""
    by_name = {one.figures.name: one for one in parts}
    if not wanted or any(name not in by_name for name in wanted):
        return None, None, None
    chosen = [by_name[name] for name in wanted]
    score = float(np.mean([one.figures.accuracy for one in chosen]))
    drawn = [one.drawn for one in chosen if one.drawn is not None]
    if len(drawn) < len(chosen) or any(one.figures.low is None or one.figures.rows == 1 for one in chosen):
        return score, None, None
    return score, *limits(np.mean(drawn, axis=0))


def _given(pairs: Sequence[PreferenceRow]) -> tuple[list[PreferenceRow], list[float]]:
    kept = [one for one in pairs if one.margin is not None]
    return kept, [one.margin for one in kept if one.margin is not None]


def _by_margin(pairs: Sequence[PreferenceRow], margins: Sequence[float], seed: int) -> tuple[Accuracy, ...]:
    """Accuracy by margin: a group each where they are few, else `GROUPS` of equally many rows; equals stay together."""
    if not pairs:
        return ()
    values = np.array(margins)
    levels = np.unique(values)
    starts = levels
    if len(levels) > DISTINCT:
        starts = np.unique(np.sort(values)[np.arange(GROUPS) * len(values) // GROUPS])
    which = np.searchsorted(starts, values, side="right") - 1
    groups = []
    for index in range(len(starts)):
        inside = np.flatnonzero(which == index).tolist()
        low, high = values[inside].min(), values[inside].max()
        name = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
        groups.append(_accuracy(name, [pairs[at] for at in inside], seed + index, len(inside))[0])
    return tuple(groups)


def _dot(heft: Floats, values: Sequence[float]) -> float:
    return float(heft @ np.array(values))


def _unsure(subsets: Sequence[_Subset], wanted: Sequence[str]) -> list[str]:
    """Why the score of the wanted parts has no interval."""
    inside = [one for one in subsets if one.section in wanted or one.figures.name in wanted]
    names = ", ".join(one.figures.name for one in inside if one.figures.rows == 1 or one.drawn is None)
    return [f"no interval of the score, for these have single rows, which resampled stay the same: {names}"]


def _notes(pairs: Sequence[PreferenceRow], benchmark: Benchmark) -> list[str]:
    """How the rows differ from the published benchmark."""
    notes = []
    rows = Counter(one.subset for one in pairs)
    if benchmark == "rewardbench":
        if missing := [name for name in PROMPTS if name not in rows]:
            notes.append(f"subsets without rows, which their sections leave out: {', '.join(missing)}")
        absent = [name for name in PRIOR_SETS if name not in rows]
        if 0 < len(absent) < len(PRIOR_SETS):
            notes.append(f"prior sets without rows: {', '.join(absent)}")
        notes += [
            f"{name}: rows {count:,}, as published {PROMPTS[name]:,}"
            for name, count in rows.items()
            if count != PROMPTS.get(name, count)
        ]
    if benchmark == "rewardbench2":
        if missing := [name for name in SUBSETS_2 if name not in rows]:
            notes.append(f"no score, for there are no rows of {', '.join(missing)}")
        odd = sum(len(one.rejected) != REJECTED_2 for one in pairs if one.subset != TIES)
        if odd:
            notes.append(f"{odd:,} rows outside {TIES} have not {REJECTED_2} rejected answers, as published")
    without = sum(one.margin is None for one in pairs)
    if 0 < without < len(pairs):
        notes.append(f"{without:,} rows have no margin and are in no group by margin")
    return notes
