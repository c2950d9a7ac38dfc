"""What the page of scores from elsewhere shows, gathered from the folder that `stepward evaluate scores --to` wrote."""

from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stepward.errors import StepwardError
from stepward.evaluation import folder as evaluation_folder
from stepward.evaluation.aggregation import aggregate
from stepward.evaluation.external_candidates import ScoredCandidate, read_candidates
from stepward.evaluation.external_folder import FACTS
from stepward.records import Problem, Solution
from stepward.store import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepward.report.contents import Candidate, ModelView, ProblemView, RunReport


def is_scores(folder: Path) -> bool:
    """Whether a folder is of scores from elsewhere."""
    return (folder / FACTS).is_file()


def scores_report(folder: Path, name: str) -> "RunReport":
    """What a page shows of such a folder.

    Raises:
        StepwardError: A file in it is missing or of another version.
    """
    from stepward.report.contents import RunReport, models_of

    evaluation, _ = evaluation_folder.read(folder / "evaluation")
    models = models_of(evaluation)
    facts = read_json(folder / FACTS)
    try:
        shown = _shown(facts)
        rewards, problems = bool(facts["rewards"]), int(facts["problems"])
    except (KeyError, TypeError) as error:
        raise StepwardError(f"{folder / FACTS}: {error} is missing; evaluate the scores again") from None
    kept = {one.problem_id for one in read_candidates(folder)}
    return RunReport(
        name=name, evaluation=evaluation, facts=shown, models=models, about="scores from elsewhere",
        views=partial(_views, folder, evaluation.methods, models, rewards), unshown=problems - len(kept),
    )  # fmt: skip


def _shown(facts: dict[str, Any]) -> dict[str, str]:
    """How the figures came about, in words."""
    tied = {"first": "the first in the file wins a vote of all candidates, else shared", "share": "shared"}
    found = {
        "Scores": ", ".join(facts["files"]),
        "Chosen by": ", ".join(facts["validation_files"]) or "nothing: no validation problems",
        "Models": ", ".join(facts["models"]),
        "Graded by": facts["grader"] or "the rows' own `correct`",
        "Ties": tied[facts["ties"]],
    }
    if facts["undecided"]:
        found["Answers that grading did not end for"] = f"{facts['undecided']:,}, counted as wrong"
    if facts["rewards"]:
        found["Votes"] = "weighted by the logistic of the rewards, whose order alone decides best-of-N"
    return found


def _views(folder: Path, methods: "Sequence[str]", models: "Sequence[ModelView]", rewards: bool) -> "list[ProblemView]":
    from stepward.report.contents import ProblemView

    places = [list(methods).index(model.method) for model in models]
    views = []
    for _, group in groupby(read_candidates(folder), key=lambda one: one.problem_id):
        candidates = list(group)
        one = candidates[0]
        problem = Problem(one.problem_id, one.question, one.reference, one.level, subject=one.subject)
        views.append(ProblemView(problem, [_candidate(*each, places, models, rewards) for each in _merged(candidates)]))
    return views


def _merged(candidates: "Sequence[ScoredCandidate]") -> list[tuple[ScoredCandidate, int]]:
    """Each distinct candidate with how often it was drawn; without texts no two are known to be one."""
    found: dict[Any, list[ScoredCandidate]] = {}
    for one in candidates:
        key = (one.steps, one.answer, str(one.scores)) if one.steps else one.solution_id
        found.setdefault(key, []).append(one)
    return [(same[0], len(same)) for same in found.values()]


def _candidate(
    one: ScoredCandidate, copies: int, places: "Sequence[int]", models: "Sequence[ModelView]", rewards: bool
) -> "Candidate":
    """A candidate with a text for each score, an empty one where there is none."""
    from stepward.report.contents import Candidate

    given = [tuple(one.scores[place]) for place in places]
    totals = tuple(
        scores[0] if rewards else aggregate(model.aggregation, scores)
        for model, scores in zip(models, given, strict=True)
    )
    if rewards:
        given = [(float(1 / (1 + np.exp(-min(max(scores[0], -500.0), 500.0)))),) for scores in given]
    longest = max(map(len, given), default=0)
    # A model that scores the whole beside one that scores steps gives its score to the last step.
    spread = tuple((None,) * (longest - len(scores)) + scores for scores in given)
    solution = Solution(one.solution_id, one.problem_id, _texts(one.steps, longest), one.answer, one.correct, copies)
    return Candidate(solution, one.group, spread, totals)


def _texts(steps: tuple[str, ...], count: int) -> tuple[str, ...]:
    """So many texts: the steps, the lines of a whole solution, or all of it before empty ones."""
    lines = [line for step in steps for line in step.splitlines() if line.strip()]
    for texts in (steps, lines):
        if len(texts) == count:
            return tuple(texts)
    return ("\n".join(steps), *[""] * (count - 1))
