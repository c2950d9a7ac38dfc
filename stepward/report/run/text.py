"""The run's findings in sentences, every word of which follows from its own numbers.

The page opens with them and the terminal ends with them, so that neither can say what the other does not. A method that
does not win is said not to win.
"""

from collections.abc import Iterable, Mapping, Sequence

from stepward.evaluation.best_of_n.evaluate import Evaluation, MetricRow, PairedDifference, SelectedConfig
from stepward.evaluation.stats.paired_test import is_counted

NAMES = {
    "majority": "majority voting",
    "pass": "pass@N",
    "orm": "ORM",
    "hard": "Hard-PRM",
    "soft": "Soft-PRM",
    "er": "ER-PRM",
    "oracle": "Oracle-PRM",
    "prm_process": "PRM by a PRM's steps",
    "prm_outcome": "PRM by a PRM's outcome",
}
"""What people call the methods; others are called by their own name."""

AGGREGATION_NAMES = {"min": "minimum", "prod": "product", "last": "last step", "mean": "mean", "logodds": "log odds"}

VOTING_NAMES = {
    "best": "best-of-N",
    "weighted": "weighted",
    "weighted_mean": "weighted (mean)",
    "weighted_max": "weighted (max)",
}

VOTING_TITLES = {
    "best": "Best-of-N",
    "weighted": "Reward-weighted voting",
    "weighted_mean": "Voting by an answer's mean score",
    "weighted_max": "Voting by an answer's best score",
}

MINUS = "\N{MINUS SIGN}"


def method_label(method: str) -> str:
    """A method's name; of a model `<kind>/seed-<seed>`, the kind's name and the seed."""
    kind, found, seed = method.rpartition("/seed-")
    if not (found and kind and seed.isdecimal()):
        return NAMES.get(method, method)
    return f"{NAMES.get(kind, kind)}, seed {seed}"


def percent(share: float) -> str:
    """A share in [0, 1] in percent with one decimal, without a sign: `71.2`."""
    # Adding 0 turns the -0.0 that a rounded -1e-17 leaves into 0.0.
    return f"{round(100 * share, 1) + 0.0:.1f}"


def format_points(difference: float) -> str:
    """A difference of shares in percentage points with one decimal and its sign, a true minus; 0.0 has none."""
    rounded = round(100 * difference, 1)
    return "0.0" if rounded == 0 else f"{'+' if rounded > 0 else MINUS}{abs(rounded):.1f}"


def with_spread(row: MetricRow) -> str:
    """A row's mean with its standard deviation over seeds where there is one: `71.2 ± 0.8`."""
    return percent(row.mean) if row.std is None else f"{percent(row.mean)} ± {percent(row.std)}"


def deviates(rows: Iterable[MetricRow]) -> bool:
    """Whether any figure is a mean over several seeds, and so has a deviation over them."""
    return any(row.std is not None for row in rows)


def describe_config(choice: SelectedConfig, n: int) -> str:
    """How a choice uses its scores: `best-of-16, minimum`."""
    return f"{voting_at(choice.voting, n)}, {aggregation_name(choice.aggregation)}"


def voting_at(voting: str, n: int) -> str:
    """A voting at one N: `best-of-16`, `weighted voting at 16`."""
    if voting == "best":
        return f"best-of-{n}"
    _, _, by = voting.partition("_")
    return f"weighted voting{f' by {by}' if by else ''} at {n}"


def aggregation_name(aggregation: str) -> str:
    """An aggregation's name; one that is not known here, as it is."""
    return AGGREGATION_NAMES.get(aggregation, aggregation)


def p_value(p: float) -> str:
    """A p-value as papers print it: three decimals, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_values(p: float, p_holm: float) -> str:
    """A comparison's p, and the p that is corrected for there being several: `p = 0.012, 0.048 corrected`."""
    alone, corrected = ("p < 0.001" if one < 0.001 else f"p = {one:.3f}" for one in (p, p_holm))
    return alone if corrected == alone else f"{alone}, {corrected.removeprefix('p = ')} corrected"


def needed(mean: float, problems: int | None) -> str:
    """How many problems would tell a difference, or that only more seeds would; nothing where there is none."""
    if problems is not None:
        return f"{problems:,}"
    return "more seeds" if round(mean, 9) else ""


def verdict(margin: PairedDifference) -> str:
    """Whether a method differs beyond chance, all comparisons considered: `wins`, `loses` or `can't tell`."""
    return "wins" if margin.wins else "loses" if margin.loses else "can't tell"


def comparing(evaluation: Evaluation) -> str:
    """How many comparisons there are, what their intervals and p are over, and what is said of single models."""
    count = sum(is_counted(margin) for margin in evaluation.margins)
    if not count:
        return ""
    single = [method_label(one.method) for one in evaluation.chosen if one.overall and len(one.seeds) == 1]
    text = f"Intervals and p are over problems{' and seeds' if len(single) < len(evaluation.methods) else ''}. "
    if single:
        have, these = ("has one model", "this model") if len(single) == 1 else ("have one model each", "these models")
        text += f"{_and(single)} {have}: what is said is of {these}, and not of "
        text += "the method, which other seeds would train to other models. "
    if count == 1:
        return f"{text}There is one comparison."
    return f"{text}Of {count} comparisons, those that differ at 5% for all together (Holm) are said to win or lose."


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def counts(facts: Mapping[str, int]) -> list[str]:
    """What is to be known of the candidates, a sentence each; nothing where nothing was counted."""
    if not facts:
        return []
    few, silent = facts["fewest_candidates"], facts["without_answer"]
    distinct = f", {facts['distinct_candidates']:,} of them distinct" if "distinct_candidates" in facts else ""
    sentences = [
        f"{facts['candidates']:,} candidates{distinct}; every problem has at least {few:,}.",
        f"{silent:,} of them have no answer: they count as wrong, and win no vote."
        if silent
        else "Every candidate has an answer.",
    ]
    if alone := facts.get("answers_alone"):
        sentences.append(f"{alone:,} different wrong answers vote alone: comparing them with others took too long.")
    if mute := facts["problems_without_answer"]:
        sentences.append(f"On {mute:,} problems no candidate has an answer; they are in every denominator.")
    if hopeless := facts["problems_without_right"]:
        sentences.append(f"On {hopeless:,} of {facts['problems']:,} problems no candidate is right: no choice can be.")
    return sentences


def choosing(evaluation: Evaluation, choices: Sequence[str]) -> str:
    """How it was chosen what stands for each kind, in a sentence or two.

    Args:
        evaluation: The figures.
        choices: What stands for each kind, in words.
    """
    listed = f" ({'; '.join(choices)})" if choices else ""
    if any(choice.validation is None for choice in evaluation.chosen):
        return (
            f"There are no validation problems, so nothing was chosen{listed}. All other ways to use the scores are in "
            "the tables; the best of them on these problems would be too good to be true."
        )
    ways = {(row.method, row.aggregation) for row in evaluation.rows if row.aggregation is not None}
    several = len(ways) > len(evaluation.methods)
    aggregated = ", and how its step scores are aggregated," if several else ""
    return (
        f"Whether a kind is used by best-of-N or weighted voting{aggregated} was chosen on validation problems at "
        f"{evaluation.n} candidates{listed}."
    )


def lead_method(evaluation: Evaluation) -> str | None:
    """The method that a report opens with: ER where it was run, else the last kind listed; None without a model."""
    methods = evaluation.methods
    return None if not methods else "er" if "er" in methods else methods[-1]


def headline(evaluation: Evaluation) -> list[str]:
    """All findings, a sentence each: what every method reaches, what wins, and whether more candidates hurt."""
    return [*answers(evaluation), *comparisons(evaluation), *over_optimisation(evaluation)]


def answers(evaluation: Evaluation) -> list[str]:
    """What every kind of reward model reaches at the N of choice, the leading one first, with its baselines."""
    n = evaluation.n
    plain = f"majority voting {percent(evaluation.row('majority', n).mean)}"
    plain += f", pass@{n} {percent(evaluation.row('pass', n).mean)}."
    first = lead_method(evaluation)
    if first is None:
        return [plain[0].upper() + plain[1:]]
    others = [method for method in evaluation.methods if method != first]
    sentences = [_answer(evaluation, method) for method in [first, *others]]
    return [f"{sentences[0]}, {plain}", *(f"{sentence}." for sentence in sentences[1:])]


def _answer(evaluation: Evaluation, method: str) -> str:
    rows = {voting: _chosen_row(evaluation, method, voting, evaluation.n) for voting in ("best", "weighted")}
    best, weighted = with_spread(rows["best"]), with_spread(rows["weighted"])
    return f"{method_label(method)} best-of-{evaluation.n}: {best}, weighted voting {weighted}"


def _chosen_row(evaluation: Evaluation, method: str, voting: str, n: int) -> MetricRow:
    return evaluation.row(method, n, voting, evaluation.choice(method, voting).aggregation)


def comparisons(evaluation: Evaluation) -> list[str]:
    """What the leading kind wins and loses, then every other kind against majority voting."""
    first = lead_method(evaluation)
    between = [m for m in evaluation.margins if m.method != m.against]
    between = [m for m in between if m.against == "majority" or first in (m.method, m.against)]
    return [_comparison(evaluation, margin) for margin in sorted(between, key=lambda m: m.method != first)]


def _comparison(evaluation: Evaluation, margin: PairedDifference) -> str:
    choice = evaluation.choice(margin.method)
    who, whom = (
        f"{method_label(margin.method)} ({describe_config(choice, margin.n)}{_one_model(margin)})",
        method_label(margin.against),
    )
    low, high = margin.low, margin.high
    if margin.wins:
        return f"{who} beats {whom} by {percent(margin.mean)} points (95% interval {percent(low)} to {percent(high)})."
    if margin.loses:
        interval = f"95% interval {percent(-high)} to {percent(-low)}"
        return f"{who} loses to {whom} by {percent(-margin.mean)} points ({interval})."
    if low == high:
        points = format_points(margin.mean)
        return f"{who} does not differ from {whom}: {points} points on every problem, which has no interval."
    interval = f"95% interval {format_points(low)} to {format_points(high)}"
    why = "which includes 0" if low <= 0 <= high else p_values(margin.p, margin.p_holm)
    return f"{who} does not differ from {whom} beyond chance: {format_points(margin.mean)} points ({interval}, {why})."


def _one_model(margin: PairedDifference) -> str:
    """That a side is a single model, whose seed nothing is told of."""
    return ", one model" if margin.seeds == 1 else ""


def over_optimisation(evaluation: Evaluation) -> list[str]:
    """Whether best-of-N falls from the N of choice to the largest N; nothing where there is no larger N."""
    growth = [margin for margin in evaluation.margins if margin.method == margin.against]
    if not growth:
        return []
    span = f"from {growth[0].against_n} to {growth[0].n} candidates"
    falls = [margin for margin in growth if margin.loses]
    if not falls:
        return [f"Best-of-N does not fall {span} for any kind, beyond chance."]
    listed = ", ".join(f"{method_label(m.method)} {format_points(m.mean)} points" for m in falls)
    kept = [method_label(margin.method) for margin in growth if not margin.loses]
    rest = f" It does not, beyond chance, for {', '.join(kept)}." if kept else ""
    return [f"Over-optimisation: best-of-N falls {span} for {listed}; every 95% interval lies below 0.{rest}"]
