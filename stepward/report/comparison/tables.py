"""Several runs side by side: what differs in their recipes decides how they are drawn.

Runs that differ in two fields are a grid, drawn as a heat map; in one number (model parameters, problems, eta), a
curve; otherwise each run is a column, as for other generators or other problems.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepward.evaluation.best_of_n.evaluate import Evaluation, MetricRow
from stepward.report.data import RunReport
from stepward.report.run import text as phrases

PARAMETERS = "reward model's parameters"
_ASIDE = frozenset({"name", "about", "solutions.unit", "rollouts.unit", "evaluation.subsets"})
"""Fields that name a run, or change none of its figures."""
_MOST_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class RecipeDifference:
    """A field that differs between runs, with its value in each run [run]; None where a recipe lacks it."""

    field: str
    values: tuple[Any, ...]

    @property
    def numeric(self) -> bool:
        """Whether it is a number in every run."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)

    @property
    def distinct(self) -> list[Any]:
        """Its values: numbers by size, others in the order of the runs."""
        found = list({format_value(value): value for value in self.values}.values())
        return sorted(found) if self.numeric else found


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """A table of accuracies: a heading, and rows of a name with a cell a column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    corner: str


def format_value(value: Any) -> str:
    """A field's value as text."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(format_value(one) for one in value)
    return "none" if value is None else str(value)


def differences(runs: Sequence[RunReport]) -> list[RecipeDifference]:
    """The fields in which the runs' recipes differ, in the order of the recipe.

    A base model's path gives way to how many parameters it has, where that tells the runs apart as well. Scores from
    elsewhere have no recipe, so beside them nothing is told.
    """
    if not all(run.recipe for run in runs):
        return []
    flat = [_flat(run.recipe) for run in runs]
    fields = dict.fromkeys(field for one in flat for field in one if field not in _ASIDE)
    found = []
    for field in fields:
        values = tuple(one.get(field) for one in flat)
        if len({format_value(value) for value in values}) > 1:
            found.append(_sized(RecipeDifference(field, values), runs))
    return found


def _sized(difference: RecipeDifference, runs: Sequence[RunReport]) -> RecipeDifference:
    sizes = tuple(run.parameters for run in runs)
    pairs = {(format_value(value), size) for value, size in zip(difference.values, sizes, strict=True)}
    one_to_one = len(pairs) == len({value for value, _ in pairs}) == len({size for _, size in pairs})
    if difference.field != "rewards.base" or None in sizes or not one_to_one:
        return difference
    return RecipeDifference(PARAMETERS, sizes)


def _flat(recipe: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def is_grid(found: Sequence[RecipeDifference]) -> bool:
    """Whether runs that differ in these fields fill at least half of a grid of two of them, each cell once."""
    if len(found) != 2:
        return False
    cells = list(zip(*([format_value(value) for value in one.values] for one in found), strict=True))
    wide, high = (len(one.distinct) for one in found)
    return len(set(cells)) == len(cells) and wide > 1 and high > 1 and 2 * len(cells) >= wide * high


def is_line(found: Sequence[RecipeDifference]) -> bool:
    """Whether runs that differ in these fields lie on a line of one number, each at its own place."""
    return len(found) == 1 and found[0].numeric and len(found[0].distinct) == len(found[0].values)


def methods(runs: Sequence[RunReport]) -> list[str]:
    """The kinds of reward model of any run, in the order in which runs list them."""
    return list(dict.fromkeys(method for run in runs for method in run.evaluation.methods))


def chosen_row(evaluation: Evaluation, method: str) -> MetricRow | None:
    """A method's figure at the N of choice, under its overall choice; None where the run has no such method."""
    if method in ("majority", "pass"):
        return evaluation.row(method, evaluation.n)
    if method not in evaluation.methods:
        return None
    choice = evaluation.choice(method)
    return evaluation.row(method, evaluation.n, choice.voting, choice.aggregation)


def side_by_side(runs: Sequence[RunReport]) -> ComparisonTable:
    """Every method's accuracy in every run; few runs are columns, many are rows."""
    shown = ["majority", "pass", *methods(runs)]
    cells = [tuple(_cell(run.evaluation, method) for method in shown) for run in runs]
    titles = tuple(phrases.method_label(method) for method in shown)
    if len(runs) > _MOST_COLUMNS:
        return ComparisonTable(titles, tuple(zip((run.name for run in runs), cells, strict=True)), "run")
    names = tuple(f"{run.name}, N = {run.evaluation.n}" for run in runs)
    return ComparisonTable(names, tuple(zip(titles, zip(*cells, strict=True), strict=True)), "method")


def _cell(evaluation: Evaluation, method: str) -> str:
    row = chosen_row(evaluation, method)
    return phrases.with_spread(row) if row else ""


def headline_sentence(runs: Sequence[RunReport], same_problems: bool) -> str:
    """What a page of several runs opens with: the highest figure, and how many others its interval does not exclude."""
    found = [(row.mean, run, method) for run in runs for method in methods(runs) if (row := _kind(run, method))]
    on = _on(runs, same_problems)
    if not found:
        return f"{len(runs)} runs, {on}; none with a reward model."
    _, run, method = max(found, key=lambda one: one[0])
    row = chosen_row(run.evaluation, method)
    assert row is not None  # it is among those found
    how = phrases.describe_config(run.evaluation.choice(method), run.evaluation.n)
    label = phrases.method_label(method)
    most = f"Of {len(runs)} runs, {on}, {label} of {run.name} is highest: {phrases.with_spread(row)}"
    majority = f"majority voting there {_cell(run.evaluation, 'majority')}"
    return f"{most} ({how}); {majority}. {_near(row, [mean for mean, *_ in found])}"


def _on(runs: Sequence[RunReport], same_problems: bool) -> str:
    """How many test problems the runs have, and whether they share them."""
    sizes = {run.evaluation.rows[0].problems for run in runs}
    if len(sizes) > 1:
        return "each on its own test problems"
    return f"{'all on the same' if same_problems else 'each on'} {sizes.pop():,} test problems"


def _near(highest: MetricRow, means: Sequence[float]) -> str:
    """How many of the other figures lie within the highest one's interval."""
    interval = f"its 95% interval, {phrases.percent(highest.low)} to {phrases.percent(highest.high)}"
    others = len(means) - 1
    near = sum(mean >= highest.low for mean in means) - 1
    if near:
        return f"{near:,} of the {others:,} other figures of reward models {_lie(near)} within {interval}."
    return f"No other figure of a reward model lies within {interval}." if others else f"That is with {interval}."


def _lie(count: int) -> str:
    return "lies" if count == 1 else "lie"


def _kind(run: RunReport, method: str) -> MetricRow | None:
    return chosen_row(run.evaluation, method) if method in run.evaluation.methods else None
