"""The problems are packed whole where they fit; what does not fit is in files; 500 x 64 stay under 5 MB."""

import base64
import dataclasses
import json
import random
import zlib
from pathlib import Path
from typing import Any

import pytest

from stepward.records import Problem, Solution
from stepward.report.data import Candidate, ModelView, ProblemView, Report, RunReport
from stepward.report.run import browser
from stepward.report.run.browser import CHUNK, pack
from stepward.report.run.page import write_report


def _unpacked(text: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(text)))


def _file(path: Path) -> Any:
    text = path.read_text()
    assert text.startswith(("stepwardChunk(", "stepwardIndex("))
    return _unpacked(text.split('"')[1])


def test_a_small_run_is_packed_whole(run: RunReport, tmp_path: Path) -> None:
    views = run.views()
    packed = pack(run, views, tmp_path / "run-1", inside=True)
    found = _unpacked(packed.embedded)
    assert (packed.problems, packed.left_out, packed.files) == (24, 0, 0) and not (tmp_path / "run-1").exists()
    assert [one["name"] for one in found["models"]] == [model.name for model in run.models] and found["chunk"] == 0
    by_id = {view.problem.id: view for view in views}
    for problem in found["problems"]:
        view = by_id[problem["i"]]
        assert (problem["q"], problem["r"], problem["l"]) == (view.problem.question, "7", view.problem.level)
        assert problem["d"] == 64 and problem["n"] == len(problem["c"]) == 4
        for row, one in zip(problem["c"], view.candidates, strict=True):
            solution = one.solution
            assert row[1:5] == [list(solution.steps), solution.answer, solution.correct, solution.copies]
            assert row[10] == [[round(100 * score) for score in scores] for scores in one.scores]
            assert row[11] == solution.id


def test_what_does_not_fit_is_in_files(run: RunReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _unpacked(pack(run, run.views(), tmp_path / "run-1", inside=True).embedded)
    monkeypatch.setattr(browser, "BUDGET", 3_000)
    monkeypatch.setattr(browser, "CHUNK", 10)
    packed = pack(run, run.views(), tmp_path / "run-1", inside=True)
    assert len(base64.b64decode(packed.embedded)) <= 3_000
    assert (packed.problems, packed.candidates, packed.files) == (24, 1, 3)
    rows = [row for number in range(packed.files) for row in _file(tmp_path / "run-1" / f"{number:04d}.js")]
    assert rows == [problem["c"] for problem in whole["problems"]][: packed.problems]
    for problem in _unpacked(packed.embedded)["problems"]:
        # The favourite of every model would be too many; the best of some model and the usual one are there.
        assert min(min(row[0]) for row in problem["c"]) == 0 and sum(row[8] for row in problem["c"]) == 1


def test_where_not_even_questions_fit_it_is_said_how_many(
    run: RunReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "BUDGET", 300)
    packed = pack(run, run.views(), tmp_path / "run-1", inside=True)
    assert 0 < packed.problems < 24 and packed.left_out == 24 - packed.problems
    assert len(_unpacked(packed.embedded)["problems"]) == packed.problems


def test_an_earlier_pages_files_go_and_others_stay(run: RunReport, tmp_path: Path) -> None:
    folder = tmp_path / "run-2"
    folder.mkdir()
    for name in ("0007.js", "index.js", "mine.js", "12345.js"):
        (folder / name).write_text("old")
    pack(run, run.views(), folder, inside=False)
    assert sorted(path.name for path in folder.iterdir()) == ["12345.js", "index.js", "mine.js"]
    assert len(_file(folder / "index.js")["problems"]) == 24


def test_a_lone_surrogate_is_shown_as_a_question_mark(run: RunReport, tmp_path: Path) -> None:
    problem = Problem("p", "a\ud800b", "7")
    views = [dataclasses.replace(view, problem=problem) for view in run.views()[:2]]
    found = _unpacked(pack(run, views, tmp_path / "run-1", inside=True).embedded)
    assert {problem["q"] for problem in found["problems"]} == {"a?b"}


def _large(problems: int, candidates: int, models: int) -> list[ProblemView]:
    """Problems with as many distinct candidates, of about 550 letters each, as a run on GSM8K or MATH has."""
    chance = random.Random(0)
    words = [f"{chance.choice('bcdfgkmp')}{chance.choice('aeiou')}{chance.choice('lmnrst')}{i}" for i in range(400)]
    views = []
    for number in range(problems):
        problem = Problem(f"problem-{number:04d}", " ".join(chance.choices(words, k=40)), str(number), number % 5)
        phrases = [" ".join(chance.choices(words, k=9)) for _ in range(12)]
        own = []
        for one in range(candidates):
            steps = tuple(
                f"{chance.choice(phrases)} = {chance.randrange(1000)} {' '.join(chance.choices(words, k=5))}"
                for _ in range(6)
            )
            answer = str(chance.randrange(9))
            solution = Solution(f"{problem.id}/{one:016x}", problem.id, steps, answer, answer == "7", 1, "generator")
            scores = tuple(tuple(chance.random() for _ in steps) for _ in range(models))
            own.append(Candidate(solution, int(answer), scores, tuple(min(one) for one in scores), None))
        views.append(ProblemView(problem, own))
    return views


@pytest.mark.slow
@pytest.mark.usefixtures("without_png")
def test_500_problems_with_64_candidates_stay_under_five_megabytes(run: RunReport, tmp_path: Path) -> None:
    models = tuple(ModelView(kind, kind, "min") for kind in ("er", "hard", "soft", "orm"))
    views = _large(500, 64, len(models))
    write_report(Report((dataclasses.replace(run, models=models, views=lambda: views),)), tmp_path / "report.html")
    size = (tmp_path / "report.html").stat().st_size
    files = sorted((tmp_path / "report-data" / "run-1").iterdir())
    assert size < 5_000_000 and len(files) == 500 / CHUNK
    rows = _file(files[-1])
    assert len(rows) == CHUNK and all(len(row) == 64 for row in rows)
    assert rows[-1][0][1] == list(views[-1].candidates[0].solution.steps)
