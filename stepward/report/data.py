"""What a page is made of: for every run its figures, what they cost, and its problems with their candidates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stepward.evaluation.best_of_n.evaluate import Evaluation
from stepward.evaluation.calibration import Reliability
from stepward.evaluation.compare import Difference
from stepward.evaluation.labels.agreement import LabelQuality
from stepward.records import Problem, Solution
from stepward.report.run import text as phrases


@dataclass(frozen=True, slots=True)
class Candidate:
    """A solution with what the models and the oracle say of it.

    Attributes:
        solution: The solution.
        group: The number of its answer among the problem's, as the grader tells them apart; -1 without an answer.
        scores: Step scores by each model that the page colours by [model][step]; None for a step that a model of whole
            solutions has no score for.
        totals: Its score as a whole by each of them, as their evaluation aggregates it [model].
        first_error: The first step that the oracle calls wrong, from 0; None where it finds none, or there is none.
    """

    solution: Solution
    group: int
    scores: tuple[tuple[float | None, ...], ...] = ()
    totals: tuple[float, ...] = ()
    first_error: int | None = None


@dataclass(frozen=True, slots=True)
class ProblemView:
    """A problem with all its candidates, at least one."""

    problem: Problem
    candidates: Sequence[Candidate]


@dataclass(frozen=True, slots=True)
class ModelView:
    """A reward model that colours steps: its kind, its name as a person reads it, and how steps become one score."""

    method: str
    name: str
    aggregation: str


def models_of(evaluation: Evaluation) -> tuple[ModelView, ...]:
    """The reward model of the first seed of every kind, the leading kind first, as it is used for best-of-N."""
    first = phrases.lead_method(evaluation)
    kinds = sorted(evaluation.methods, key=lambda kind: kind != first)
    return tuple(
        ModelView(kind, phrases.method_label(kind), evaluation.choice(kind, "best").aggregation) for kind in kinds
    )


@dataclass(frozen=True, slots=True)
class ErrorsFound:
    """How well one kind finds first errors, in percent with the deviation over its seeds, as text; empty if undefined.

    Attributes:
        method: The kind.
        f1: The harmonic mean of the next two.
        with_error: Of the solutions with an error, those whose first one is found.
        without_error: Of the others, those in which none is found.
        f1_interval: The 95% interval of the F1 over problems and seeds, in words; empty where there is none.
    """

    method: str
    f1: str
    with_error: str
    without_error: str
    f1_interval: str = ""


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one stage took: seconds of worker time, and what it made in words."""

    stage: str
    seconds: float
    facts: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """All that the page shows of a run.

    Attributes:
        name: The run's name.
        evaluation: Its figures.
        labels: Its labels beside the oracle; None where there is no oracle, and then no step is marked as wrong.
        facts: What else to know of the run, in order: numbers of problems and solutions, seeds, versions.
        about: What the run is, in a line.
        recipe: Its recipe as JSON, by which several runs are told apart; empty for scores from elsewhere.
        parameters: How many parameters its reward models have, where known.
        calibration: By kind, how far its scores are probabilities.
        calibration_intervals: By kind and figure, `brier` and `auc`, its 95% interval in words; empty for none.
        errors: How well its kinds find first errors; nothing where there is no oracle.
        costs: What its stages took.
        models: The reward models that colour steps.
        views: Gives its test problems with their candidates; called once, so that one run's are held at a time.
        oracle: Whether steps were judged by an oracle.
        unshown: Problems that are measured but not among the views.
        rewards: Whether scores are rewards of any size, one a solution, of which a step's colour is the logistic.
    """

    name: str
    evaluation: Evaluation
    labels: LabelQuality | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    calibration: Mapping[str, Reliability] = field(default_factory=dict)
    calibration_intervals: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    errors: Sequence[ErrorsFound] = ()
    costs: Sequence[StageCost] = ()
    models: tuple[ModelView, ...] = ()
    views: Callable[[], Sequence[ProblemView]] = tuple
    oracle: bool = False
    unshown: int = 0
    rewards: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The page: one run or several.

    Attributes:
        runs: At least one.
        differences: Every other run's from the first.
        same_problems: Whether all runs are known to have the same test problems.
    """

    runs: tuple[RunReport, ...]
    differences: tuple[Difference, ...] = ()
    same_problems: bool = False
