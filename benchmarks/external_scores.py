"""Reading and measuring scores from elsewhere: seconds and memory of `stepward evaluate scores`, by size.

    python benchmarks/external_scores.py [--problems 10000] [--candidates 256] [--steps 6] [--correct] [--seed 0]

Writes a JSONL file as another tool would (a row a candidate, `--problems` times `--candidates` of them) and runs the
command on it in a process of its own. Answers are numbers, fractions and words, of which a few are common in each
problem, with references to grade by; `--correct` writes grades instead. Goal: 10,000 x 256 in under 3 GB and a few
minutes. The last line is one JSON object.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=10_000)
    parser.add_argument("--candidates", type=int, default=256)
    parser.add_argument("--steps", type=int, default=6, help="mean steps of a solution")
    parser.add_argument("--correct", action="store_true", help="write `correct` instead of `reference`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="write the file here and measure nothing")
    asked = parser.parse_args()
    if asked.keep:
        write(asked.keep, rows(asked.problems, asked.candidates, asked.steps, asked.seed, asked.correct))
        return
    with tempfile.TemporaryDirectory() as folder:
        path, to = Path(folder) / "scores.jsonl", Path(folder) / "summary.json"
        write(path, rows(asked.problems, asked.candidates, asked.steps, asked.seed, asked.correct))
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "stepward", "evaluate", "scores", str(path), "--json", str(to)], check=True
        )
        seconds = time.perf_counter() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = {
            "rows": asked.problems * asked.candidates,
            "megabytes": path.stat().st_size // 2**20,
            "seconds": round(seconds, 1),
            "core_seconds": round(used.ru_utime + used.ru_stime, 1),
            "peak_megabytes": used.ru_maxrss // 1024,
            "measured": len(json.loads(to.read_text())),
        }
    print(json.dumps(found))


def write(path: Path, made: Iterator[dict[str, object]]) -> None:
    with path.open("wb") as file:
        for row in made:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def rows(problems: int, candidates: int, steps: int, seed: int, by_correct: bool) -> Iterator[dict[str, object]]:
    """Candidates whose answer is right by a chance of the problem's own, and whose scores see some of it."""
    random = np.random.default_rng(seed)
    for problem in range(problems):
        reference = int(random.integers(-50, 500))
        chance = random.beta(1, 1)
        right = random.random(candidates) < chance
        wrongs = [_wrong(reference, place) for place in range(60)]
        place = np.minimum(random.geometric(0.15, candidates) - 1, len(wrongs) - 1)
        counts = random.poisson(steps - 1, candidates) + 1
        shift = np.where(right, 0.8, -0.8)
        scores = 1 / (1 + np.exp(-random.normal(np.repeat(shift, counts), 1.5)))
        ends = np.cumsum(counts)
        for one in range(candidates):
            answer = _right(reference, one) if right[one] else wrongs[place[one]]
            grade = {"correct": bool(right[one])} if by_correct else {"reference": str(reference)}
            yield {
                "problem_id": f"problem-{problem:06}",
                "solution_id": f"problem-{problem:06}/{one}",
                "answer": answer,
                **grade,
                "step_scores": np.round(scores[ends[one] - counts[one] : ends[one]], 6).tolist(),
            }


def _right(reference: int, one: int) -> str:
    """The reference as solutions write it."""
    return (str(reference), f"{reference}.0", f"x = {reference}")[(one % 10 == 1) + 2 * (one % 25 == 2)]


def _wrong(reference: int, place: int) -> str | None:
    """Other answers: numbers, fractions, formulas, words, none."""
    other = reference + place + 1
    forms = (str(other), f"\\frac{{{other}}}{{7}}", f"{other}.5", f"{other}\\sqrt{{2}}", "no solution", None)
    return forms[(0, 0, 0, 2, 1, 0, 0, 2, 3, 0, 4, 5)[place % 12]]


if __name__ == "__main__":
    main()
