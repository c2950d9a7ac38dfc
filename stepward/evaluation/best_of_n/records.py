"""The figures of an evaluation, as records: what `summary.json` and its neighbours hold a row of."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stepward.evaluation.best_of_n.accuracy import Accuracies
from stepward.evaluation.best_of_n.slices import QuintileRow, SliceRow


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One method at one N on the test problems; a row of `summary.json`.

    Attributes:
        method: `majority`, `pass` (oracle pass@N), or a kind of reward model.
        voting: `best` (best-of-N); `weighted`, `weighted_mean` or `weighted_max` (the vote for the answer with the
            largest sum, mean or maximum of scores); None without a reward model.
        aggregation: `min`, `prod`, `last`, `mean` or `logodds`; None without a reward model.
        n: How many candidates are chosen from.
        mean: Accuracy in [0, 1], over problems and seeds.
        std: Standard deviation over seeds; None with fewer than two.
        low: Lower end of the 95% interval over problems and seeds (`statistics.accuracy_interval`, `crossed`); with one
            seed, over problems, for this one model.
        high: Upper end.
        seeds: How many seeds; 0 without a reward model.
        problems: How many problems.
    """

    method: str
    voting: str | None
    aggregation: str | None
    n: int
    mean: float
    std: float | None
    low: float
    high: float
    seeds: int
    problems: int


@dataclass(frozen=True, slots=True)
class SelectedConfig:
    """How the scores of one kind of reward model are used, by validation problems' choice; a row of `chosen.json`.

    Attributes:
        method: The kind.
        voting: `best` or `weighted`.
        aggregation: The best one for this voting on validation problems; of equals the first of `AGGREGATIONS`.
        n: The size of the candidate sets it was chosen at.
        validation: Its accuracy on the validation problems, in [0, 1]; None where there are none, as with most scores
            from elsewhere, and then voting and aggregation were asked for, not chosen.
        overall: Whether this voting is the method's better one; exactly one of a method's choices is.
        seeds: The method's seeds.
        problems: How many validation problems.
    """

    method: str
    voting: str
    aggregation: str
    n: int
    validation: float | None
    overall: bool
    seeds: tuple[int, ...]
    problems: int


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A paired difference of accuracies on the test problems; a row of `margins.json`.

    Attributes:
        method: A kind, under its overall choice; under its choice for `best` where `against` is the kind itself.
        against: `majority`, another kind under its overall choice (ER against all others, of the rest the later listed
            against the earlier), or the kind itself at another N.
        voting: The method's voting.
        aggregation: The method's aggregation.
        n: The method's N.
        against_n: The other's N.
        mean: Mean difference, in [-1, 1].
        low: Lower end of its 95% interval over problems and seeds, not corrected for there being several.
        high: Upper end.
        wins: Whether the method is better beyond chance: the interval lies above 0, and `p_holm` is at most .05.
        loses: Whether it is worse beyond chance, likewise.
        p: Of this comparison alone, two-sided, over problems and seeds; see `stepward.evaluation.stats.paired_test`.
        p_holm: The same, corrected for all comparisons of the run.
        needed: How many problems would tell the two apart at this difference; None where it is 0, or where no number
            would, since the seeds differ too much.
        seeds: How many models the method has.
        against_seeds: How many the other has; 0 without a reward model.
    """

    method: str
    against: str
    voting: str
    aggregation: str
    n: int
    against_n: int
    mean: float
    low: float
    high: float
    wins: bool
    loses: bool
    p: float
    p_holm: float
    needed: int | None
    seeds: int
    against_seeds: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of a run: see `Row`, `SelectedConfig`, `PairedDifference`, `QuintileRow` and `SliceRow`.

    Attributes:
        rows: Every method at every N.
        chosen: What validation chose.
        margins: Comparisons of methods.
        quintiles: Accuracy by difficulty.
        slices: Accuracy by level, subject, number of steps and length.
        facts: What else to know of the candidates, in numbers: how many have no answer, for example.
        accuracies: What all of it was computed from, problem by problem; None where it was read from disk.
    """

    rows: tuple[MetricRow, ...]
    chosen: tuple[SelectedConfig, ...]
    margins: tuple[PairedDifference, ...]
    quintiles: tuple[QuintileRow, ...]
    slices: tuple[SliceRow, ...] = ()
    facts: dict[str, int] = field(default_factory=dict)
    accuracies: Accuracies | None = field(default=None, compare=False, repr=False)

    @property
    def n(self) -> int:
        """The size of the candidate sets at which methods are chosen and compared."""
        return self.chosen[0].n if self.chosen else selection_n([row.n for row in self.rows])

    @property
    def methods(self) -> tuple[str, ...]:
        """The kinds of reward model, in the order of the rows."""
        return tuple(dict.fromkeys(choice.method for choice in self.chosen))

    def choice(self, method: str, voting: str | None = None) -> SelectedConfig:
        """A kind's choice for one voting, or overall."""
        found = [c for c in self.chosen if c.method == method and (c.overall if voting is None else c.voting == voting)]
        return found[0]

    def row(self, method: str, n: int, voting: str | None = None, aggregation: str | None = None) -> MetricRow:
        """The row of a method at N.

        Raises:
            KeyError: There is no such row.
        """
        for row in self.rows:
            if (row.method, row.voting, row.aggregation, row.n) == (method, voting, aggregation, n):
                return row
        raise KeyError((method, voting, aggregation, n))

    def margin(self, method: str, against: str) -> PairedDifference | None:
        """The margin of a method against another; None where it was not measured."""
        return next((m for m in self.margins if (m.method, m.against) == (method, against)), None)


def selection_n(ns: Sequence[int]) -> int:
    """The N at which methods are chosen and compared: 16, or the largest if 16 is not among them."""
    return 16 if 16 in ns else max(ns)
