"""The problems with their candidates, packed for the page: what fits in it, the rest in files that it loads on demand.

A page may load scripts, but no other file, from its folder when it is opened from the disc; so what is on demand are
scripts, each a call with packed text. Packed is JSON, deflated, in base64: a browser unpacks it by itself.
"""

import base64
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stepward.report.data import Candidate, ProblemView, RunReport
from stepward.report.run.examples import ProblemExample, judge
from stepward.storage.files import atomic_write

BUDGET = 2_200_000
"""Most bytes of packed problems in a page, before base64 makes four of three; a page is to stay below 5 MB."""
CHUNK = 25
"""Problems a file."""
MOST_PROBLEMS = 20_000
_EMBEDDED = (64, 32, 16, 8, 4, 2, 1, 0)
_OURS = re.compile(r"(?:index|\d{4})\.js")
_RUN = re.compile(r"run-([1-9]\d*)")


@dataclass(frozen=True, slots=True)
class EmbeddedProblems:
    """A run's problems for the browser.

    Attributes:
        embedded: What stands in the page, or in `index.js` of the run's folder; packed.
        problems: How many problems are in it.
        left_out: How many are not, because even their questions would not fit, or nothing is kept of them.
        candidates: The most candidates a problem that are in it; the rest are on demand.
        files: How many files hold all candidates; 0 where all are in the page.
    """

    embedded: str
    problems: int
    left_out: int
    candidates: int
    files: int


def pack(run: RunReport, views: Sequence[ProblemView], folder: Path, *, inside: bool) -> EmbeddedProblems:
    """Packs a run's problems, and writes what the page loads on demand.

    Args:
        run: The run, whose models are ranked by.
        views: Its problems.
        folder: Where its files go; made only if one is needed.
        inside: Whether the page holds `embedded`; else it is written to `index.js`.

    Raises:
        StepwardError: The folder can't be written.
    """
    kept = sorted(views, key=lambda view: view.problem.id)[:MOST_PROBLEMS]
    verdicts = [judge(view, len(run.models)) for view in kept]
    full = [_candidates(view, verdict) for view, verdict in zip(kept, verdicts, strict=True)]
    largest = max((len(rows) for rows in full), default=0)
    heads = [_problem(view, verdict) for view, verdict in zip(kept, verdicts, strict=True)]
    fitting = [largest, *(count for count in _EMBEDDED if count < largest)]
    most, embedded = 0, b""
    for most in fitting:
        embedded = _deflated(_page(run, heads, [_top(rows, most) for rows in full], most < largest))
        if len(embedded) <= BUDGET:
            break
    while len(embedded) > BUDGET and heads:
        # Questions alone don't fit: as many problems as do, by their ids.
        heads = heads[: len(heads) * BUDGET // (len(embedded) + BUDGET // 10)]
        embedded = _deflated(_page(run, heads, [[] for _ in heads], True))
    files = _write_files(folder, full[: len(heads)]) if most < largest else 0
    text = base64.b64encode(embedded).decode()
    if not inside:
        _write(folder / "index.js", f'stepwardIndex({int(folder.name.rpartition("-")[2])}, "{text}");\n')
    _remove_others(folder, files, index=not inside)
    return EmbeddedProblems(text, len(heads), len(views) - len(heads) + run.unshown, most, files)


def _page(run: RunReport, heads: Sequence[dict[str, Any]], rows: Iterable[Sequence[Any]], more: bool) -> dict[str, Any]:
    return {
        "models": [{"name": model.name, "how": model.aggregation} for model in run.models],
        "oracle": run.oracle,
        "chunk": CHUNK if more else 0,
        "problems": [{**head, "c": shown} for head, shown in zip(heads, rows, strict=True)],
    }


def _problem(view: ProblemView, verdict: ProblemExample) -> dict[str, Any]:
    """A problem without its candidates.

    Its short keys: `i` id, `q` question, `r` reference, `l` level, `s` subject, `n` distinct candidates, `d` draws, `k`
    right draws, `f` whether each model's favourite is right, `w` whether it is so by wrong steps, `m` whether the
    majority is right.
    """
    problem, solutions = view.problem, [one.solution for one in view.candidates]
    favourites = [view.candidates[number] for number in verdict.favourites]
    return {
        "i": problem.id, "q": problem.question, "r": problem.reference, "l": problem.level, "s": problem.subject,
        "n": len(solutions),
        "d": sum(one.copies for one in solutions),
        "k": sum(one.copies for one in solutions if one.correct),
        "f": [int(one.solution.correct) for one in favourites],
        "w": [int(one.solution.correct and one.first_error is not None) for one in favourites],
        "m": int(solutions[verdict.usual].correct),
    }  # fmt: skip


def _candidates(view: ProblemView, verdict: ProblemExample) -> list[list[Any]]:
    """Each candidate as a list; candidates.js names what stands where, and the id is last."""
    return [
        _candidate(one, ranks, number == verdict.usual)
        for number, (one, ranks) in enumerate(zip(view.candidates, verdict.ranks, strict=True))
    ]


def _candidate(one: Candidate, ranks: Sequence[int], usual: bool) -> list[Any]:
    solution = one.solution
    return [
        list(ranks), list(solution.steps), solution.answer, int(solution.correct), solution.copies,
        -1 if one.first_error is None else one.first_error, solution.generator, int(solution.finished), int(usual),
        [float(f"{total:.3g}") for total in one.totals],
        [[None if score is None else round(100 * score) for score in scores] for scores in one.scores],
        solution.id,
    ]  # fmt: skip


def _top(rows: Sequence[list[Any]], most: int) -> list[list[Any]]:
    """The candidates that some model ranks highest, and the usual one; without ids, which are noise to a packer."""
    if most >= len(rows):
        return list(rows)
    order = sorted(range(len(rows)), key=lambda number: (min(rows[number][0], default=number), number))
    usual = [number for number, row in enumerate(rows) if row[8]]
    kept = sorted({*order[:most], *(usual if most else [])})
    return [rows[number][:-1] for number in kept]


def _deflated(content: Any) -> bytes:
    # A lone surrogate is no text that a page can show.
    try:
        raw = orjson.dumps(content)
    except orjson.JSONEncodeError:
        raw = orjson.dumps(_shown(content))
    return zlib.compress(raw, 9)


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _shown(one) for key, one in value.items()}
    return [_shown(one) for one in value] if isinstance(value, list) else value


def _write_files(folder: Path, rows: Sequence[list[list[Any]]]) -> int:
    starts = range(0, len(rows), CHUNK)
    for number, start in enumerate(starts):
        text = base64.b64encode(_deflated(rows[start : start + CHUNK])).decode()
        run = int(folder.name.rpartition("-")[2])
        _write(folder / f"{number:04d}.js", f'stepwardChunk({run}, {number}, "{text}");\n')
    return len(starts)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode())


def remove_runs(folder: Path, runs: int) -> None:
    """Removes the problems of an earlier page's runs after the last one of this page; others' files stay."""
    for path in sorted(folder.glob("run-*")):
        if (found := _RUN.fullmatch(path.name)) and int(found[1]) > runs and path.is_dir():
            _remove_others(path, 0, index=False)
            if not any(path.iterdir()):
                path.rmdir()


def _remove_others(folder: Path, files: int, index: bool) -> None:
    """Removes what an earlier page left here: its problems are no longer this run's."""
    kept = {f"{number:04d}.js" for number in range(files)} | ({"index.js"} if index else set())
    for path in sorted(folder.glob("*.js")):
        if _OURS.fullmatch(path.name) and path.name not in kept:
            path.unlink()
