"""What tests of the page share: small runs with figures, problems and scores, and a browser to open pages in."""

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepward.evaluation.best_of_n import io as evaluation_folder
from stepward.evaluation.best_of_n.aggregation import aggregate
from stepward.evaluation.best_of_n.evaluate import Evaluation, evaluate
from stepward.evaluation.calibration import reliability
from stepward.evaluation.labels.agreement import Agreement, LabelQuality
from stepward.recipes.run import Recipe
from stepward.records import Problem, Scores, Solution
from stepward.report.data import Candidate, ModelView, ProblemView, RunReport, StageCost
from stepward.report.run import page
from stepward.report.run.text import method_label as method_name
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import write_shard

KINDS = ("orm", "hard", "er", "mine")
LABELS = LabelQuality(
    (Agreement(1, 1234, 0.8, 0.05, 0.15), Agreement(16, 1234, 0.93, 0.04, 0.03)),
    Agreement(None, 200, 0.97, 0.03, 0.0),
    0.951,
    0.6,
)
_SWITCHES = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--no-first-run")  # fmt: skip

Part = tuple[list[Problem], list[Solution], list[Scores]]
MakeRun = Callable[..., RunReport]


def part(prefix: str, count: int, shift: float = 0.0, text: Callable[[str], str] = str) -> Part:
    """Problems with four distinct solutions of 32 draws, and scores of five kinds by two seeds.

    Args:
        prefix: Begins the problems' ids.
        count: How many problems.
        shift: Raises the scores of right solutions.
        text: What becomes of every text that a file may hold.
    """
    generator = np.random.default_rng(count)
    problems, solutions, scores = [], [], []
    for i in range(count):
        subject = ("algebra", "geometry", "counting")[i % 3]
        question = text(f"What is {i} + {i}? It is asked for the {i}th time.")
        problem = Problem(text(f"{prefix}{i}"), question, text("7"), i % 4 + 1, "made", text(subject))
        problems.append(problem)
        right = int(generator.integers(1, 30))
        for number, (answer, copies) in enumerate((("7", right), ("3", 31 - right), ("4", 16), (None, 17))):
            steps = tuple(text(f"Step {step} of way {number} adds {i}.") for step in range(2 + (i + number) % 3))
            told = None if answer is None else text(answer)
            solutions.append(
                Solution(
                    f"{problem.id}/{number}", problem.id, steps, told, answer == "7", copies, text("weak"), number < 3
                )
            )
    for kind in KINDS:
        for seed in (0, 1):
            for one in solutions:
                raised = generator.random(len(one.steps)) + (shift if one.correct else 0)
                numbers = tuple(np.clip(raised, 0, 1).tolist())
                scores.append(Scores(one.id, one.problem_id, f"{kind}/seed-{seed}", numbers))
    return problems, solutions, scores


def views(test: Part, evaluation: Evaluation, models: tuple[ModelView, ...], oracle: bool = True) -> list[ProblemView]:
    """The problems with their candidates as a run's page shows them; every third right one has a wrong step."""
    given: dict[str, dict[str, tuple[float, ...]]] = {model.method: {} for model in models}
    for score in test[2]:
        kind, _, seed = score.model.partition("/seed-")
        if kind in given and seed == "0":
            given[kind][score.solution_id] = score.scores
    found = []
    for number, problem in enumerate(test[0]):
        candidates = []
        for solution in sorted((one for one in test[1] if one.problem_id == problem.id), key=lambda one: one.id):
            scores = tuple(given[model.method][solution.id] for model in models)
            totals = tuple(aggregate(model.aggregation, one) for model, one in zip(models, scores, strict=True))
            wrong = oracle and (not solution.correct or number % 3 == 0)
            group = -1 if solution.answer is None else int(solution.id[-1])
            candidates.append(Candidate(solution, group, scores, totals, 1 if wrong else None))
        found.append(ProblemView(problem, candidates))
    return found


@pytest.fixture(scope="session")
def make_run() -> MakeRun:
    """Makes a run's contents, as `stepward.pipeline.report_data` gathers them."""

    def make(
        name: str = "tiny & co",
        shift: float = 0.2,
        recipe: Mapping[str, Any] | None = None,
        problems: int = 24,
        text: Callable[[str], str] = str,
        parameters: int | None = None,
    ) -> RunReport:
        test, held = part("t", problems, shift, text), part("v", 8, shift, text)
        evaluation = evaluate(*test, validation=held, ns=(1, 4, 16, 64), subsets=20, grader="string")
        kinds = sorted(evaluation.methods, key=lambda kind: kind != "er")
        models = tuple(ModelView(one, method_name(one), evaluation.choice(one, "best").aggregation) for one in kinds)
        generator = np.random.default_rng(0)
        scores = generator.random(200)
        curve = reliability(scores, (generator.random(200) < scores).astype(float))
        return RunReport(
            name=name,
            evaluation=evaluation,
            labels=LABELS,
            facts={"Problems": "24", text("Generator"): text("weak")},
            about=text("a small run"),
            recipe={"name": name, **(recipe or {})},
            parameters=parameters,
            calibration=dict.fromkeys(evaluation.methods, curve),
            costs=(StageCost("rollouts", 12.0, "100 completions"), StageCost("rewards", 0.0, text("5 models"))),
            models=models,
            views=lambda: views(test, evaluation, models),
            oracle=True,
        )

    return make


@pytest.fixture(scope="session")
def run(make_run: MakeRun) -> RunReport:
    return make_run()


@pytest.fixture(scope="session")
def make_folder() -> Callable[..., Path]:
    """Makes a run's folder with everything that a page is gathered from; its reward models are two tensors.

    `texts` are other texts of answers, for those as they are.
    """

    def make(
        folder: Path, shift: float = 0.2, prefix: str = "t", texts: Mapping[str, str] | None = None, **recipe: Any
    ) -> Path:
        plan = Recipe.model_validate({"name": folder.name, "problems": {"path": "made.jsonl"}, **recipe})
        manifest = Manifest.start(folder, plan.fingerprint_fields())
        parts = {"test": part(prefix, 24, shift), "validation": part("v", 8, shift)}
        for split, (problems, solutions, _) in parts.items():
            write_shard(folder / "problems" / f"{split}.parquet", problems, Problem)
            manifest.finish("problems", split, folder / "problems" / f"{split}.parquet", problems=len(problems))
            path = folder / "solutions" / f"{split}-0000.parquet"
            solutions = [replace(one, answer=(texts or {}).get(one.answer or "", one.answer)) for one in solutions]
            write_shard(path, solutions, Solution)
            manifest.finish("solutions", f"{split}-0000", path, draws=64, solutions=4, cut=1, seconds=2.5)
        scores = [one for _, _, given in parts.values() for one in given]
        for unit in sorted({one.model for one in scores}):
            path = folder / "scores" / f"{unit.replace('/', '-')}.parquet"
            write_shard(path, [one for one in scores if one.model == unit], Scores)
            manifest.finish("scores", unit, path, solutions=4, seconds=1.0)
            weights = folder / "rewards" / unit / "model.safetensors"
            weights.parent.mkdir(parents=True)
            heading = json.dumps({"__metadata__": {}, "a": {"shape": [3, 4]}, "b": {"shape": [5]}}).encode()
            weights.write_bytes(struct.pack("<Q", len(heading)) + heading)
            facts = {"tokens": 1000, "too_long": 2, "parameters": 17, "seconds": 3.0}
            manifest.finish("rewards", unit, weights.parent, **facts)
        found = evaluate(*parts["test"], validation=parts["validation"], ns=(1, 4, 16), subsets=20)
        evaluation_folder.write(found, None, folder / "evaluation")
        # As an older Stepward did, without a hash: tests write into these files.
        manifest.note("evaluation", "summary", {"path": "evaluation/summary.json"})
        manifest.save()
        return folder

    return make


@pytest.fixture(scope="session")
def write_scores() -> Callable[..., Path]:
    """Writes what another tool would: a row a draw with the scores of every model, of the problems that `part` makes.

    `whole` is a kind that scores whole solutions, and `without` are fields that the tool leaves out.
    """

    def write(
        path: Path, prefix: str, count: int, shift: float = 0.0, *, whole: str = "", without: tuple[str, ...] = ()
    ) -> Path:
        test = part(prefix, count, shift)
        problems, by_id = {one.id: one for one in test[0]}, {one.id: one for one in test[1]}
        rows = []
        for score in test[2]:
            solution = by_id[score.solution_id]
            problem = problems[solution.problem_id]
            given = score.scores[-1:] if score.model.startswith(f"{whole}/") else score.scores
            row = {
                "problem_id": problem.id, "question": problem.question, "reference": problem.reference,
                "level": problem.level, "subject": problem.subject, "model": score.model,
                "answer": solution.answer, "steps": solution.steps, "step_scores": given,
            }  # fmt: skip
            if len(given) < len(solution.steps):
                row["solution"] = "\n".join(row.pop("steps"))  # type: ignore[arg-type]
            kept = {name: value for name, value in row.items() if name not in without}
            rows += [{**kept, "solution_id": f"{solution.id}-{draw}"} for draw in range(solution.copies)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def without_png(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that are not of the plots, which take most of a page's time."""
    monkeypatch.setattr(page, "as_png", lambda chart: b"a picture")


@pytest.fixture(scope="session")
def evaluation(run: RunReport) -> Evaluation:
    return run.evaluation


# Not for the whole session: Playwright leaves an event loop running, in which tests of async code can't run theirs.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium: STEPWARD_CHROMIUM, one on the path, or playwright's own; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    named = os.environ.get("STEPWARD_CHROMIUM")
    path = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with playwright.sync_playwright() as started:
        if path is None and not Path(started.chromium.executable_path).exists():
            pytest.skip("no Chromium: install one, or set STEPWARD_CHROMIUM to its path")
        browser = started.chromium.launch(executable_path=path, args=list(_SWITCHES))
        yield browser
        browser.close()
