"""What the page of scores from elsewhere shows, gathered from the folder that `stepward evaluate scores --to` wrote."""

from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stepward.evaluation.best_of_n import io as evaluation_folder
from stepward.evaluation.best_of_n.aggregation import aggregate
from stepward.evaluation.score_files.candidates import ScoredCandidate, read_candidates
from stepward.evaluation.score_files.io import read_facts
from stepward.evaluation.score_files.provenance import TIED, Provenance
from stepward.records import Problem, Solution
from stepward.storage.parquet import read_shard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepward.report.data import Candidate, ModelView, ProblemView, RunReport


def scores_report(folder: Path, name: str) -> "RunReport":
    """What a page shows of such a folder.

    Raises:
        StepwardError: A file in it is missing or of another version.
    """
    from stepward.report.data import RunReport, models_of

    facts, shown = read_facts(folder)
    evaluation, _ = evaluation_folder.read(folder / "evaluation")
    models = models_of(evaluation)
    return RunReport(
        name=name, evaluation=evaluation, facts=_shown(facts), models=models, about="scores from elsewhere",
        views=partial(_views, folder, evaluation.methods, models, facts.rewards),
        unshown=facts.test.problems - shown, rewards=facts.rewards,
    )  # fmt: skip


def _shown(facts: Provenance) -> dict[str, str]:
    """How the figures came about, in words."""
    found = {"Scores": ", ".join(facts.test.files), "Measured on": facts.test.line()}
    if facts.validation is not None:
        found["Chosen by"] = f"{', '.join(facts.validation.files)}: {facts.validation.line()}"
    found |= {
        "Models": ", ".join(facts.models),
        "Graded by": facts.graded_by,
        "Ties": f"{TIED[facts.ties]}; by difficulty always shared",
    }
    if facts.rewards:
        found["Votes"] = "weighted by the logistic of the rewards, whose order alone decides best-of-N"
    return found


def _views(folder: Path, methods: "Sequence[str]", models: "Sequence[ModelView]", rewards: bool) -> "list[ProblemView]":
    from stepward.report.data import ProblemView

    places = [list(methods).index(model.method) for model in models]
    problems = {one.id: one for one in read_shard(folder / "problems" / "test.parquet", Problem)}
    return [
        ProblemView(problems[name], [_candidate(*each, places, models, rewards) for each in _merged(list(group))])
        for name, group in groupby(read_candidates(folder), key=lambda one: one.problem_id)
    ]


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
    from stepward.report.data import Candidate

    given = [tuple(one.scores[place]) for place in places]
    totals = tuple(
        scores[0] if rewards else aggregate(model.aggregation, scores)
        for model, scores in zip(models, given, strict=True)
    )
    if rewards:
        given = [(float(1 / (1 + np.exp(-min(max(scores[0], -500.0), 500.0)))),) for scores in given]
    longest = max(map(len, given), default=0)
    spread = tuple(_spread(scores, longest) for scores in given)
    solution = Solution(one.solution_id, one.problem_id, _texts(one.steps, longest), one.answer, one.correct, copies)
    return Candidate(solution, one.group, spread, totals)


def _spread(scores: tuple[float, ...], count: int) -> tuple[float | None, ...]:
    """A score or none for each of so many steps: the score of a whole solution stands at the last one."""
    rest = (None,) * (count - len(scores))
    return (*rest, *scores) if len(scores) == 1 else (*scores, *rest)


def _texts(steps: tuple[str, ...], count: int) -> tuple[str, ...]:
    """So many texts: the steps, those that there are, the lines of a whole solution, or all of it before empty ones."""
    lines = [line for step in steps for line in step.splitlines() if line.strip()]
    if len(lines) == count and len(steps) == 1:
        return tuple(lines)
    if 1 < len(steps) <= count:
        return (*steps, *[""] * (count - len(steps)))
    return ("\n".join(steps), *[""] * (count - 1))
