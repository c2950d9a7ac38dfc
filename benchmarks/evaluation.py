"""Seconds and memory of measuring everything, on one core, beside a plain Python loop over the same subsets.

    python benchmarks/evaluation.py [--problems 10000] [--candidates 256] [--seeds 5] [--loop 3] [--only whole]

`whole`: 10,000 problems of 256 candidates, 5 seeds, every aggregation and voting, N of powers of two up to 256, 400
subsets: goals are 60 s and 2 GB, with the rows of `summary.json` and their intervals. `loop`: the same figures of a few
of these problems by plain Python, a dictionary a subset; the figures have to be equal to 1e-9, and seconds are compared
by problem, so that those of all problems are extrapolated. `large`: problems of 1,860 candidates with one seed and one
aggregation, of which a part is measured and the rest extrapolated; of each part the time is proportional to the
problems. The made-up candidates have 2 to 8 steps, half an answer's votes wrong ones of 30, and 2% no answer.

Compiling, of which numba keeps the outcome on disc, is done before the clock starts, and told apart. The last line is
one JSON object. Run with OMP_NUM_THREADS=1.
"""

import argparse
import json
import math
import resource
import time
from collections import defaultdict
from typing import Any

import numpy as np

from stepward.evaluation.best_of_n.accuracy import VOTINGS, Accuracies, measure_table
from stepward.evaluation.best_of_n.aggregation import AGGREGATIONS, CLIP
from stepward.evaluation.best_of_n.evaluate import rows_of
from stepward.evaluation.best_of_n.table import CandidateTable, ModelScores
from stepward.evaluation.best_of_n.voting import ProblemAnswers, draw_orders

SUBSETS = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=10_000)
    parser.add_argument("--candidates", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--loop", type=int, default=3, help="problems that the plain loop measures")
    parser.add_argument("--large", type=int, default=500, help="problems of 1,860 candidates that are measured")
    parser.add_argument("--only", choices=("whole", "loop", "large"), action="append")
    asked = parser.parse_args()
    wanted = asked.only or ["whole", "loop", "large"]
    start = time.perf_counter()
    measure_table(*made_up(2, 8, 2), (1, 4, 8), seed=0, subsets=4)
    found: dict[str, Any] = {"compile_seconds": round(time.perf_counter() - start, 1)}
    if "whole" in wanted:
        found["whole"] = whole(asked.problems, asked.candidates, asked.seeds)
        print(found["whole"], flush=True)
    if "loop" in wanted:
        found["loop"] = loop(asked.loop, asked.candidates, asked.seeds)
        print(found["loop"], flush=True)
        if "whole" in wanted:
            each = found["whole"]["measure_cpu_seconds"] / asked.problems
            found["times_as_fast"] = round(found["loop"]["seconds_a_problem"] / each, 1)
    if "large" in wanted:
        found["large"] = large(asked.large)
    print(json.dumps(found))


def made_up(
    problems: int, candidates: int, seeds: int, most_steps: int = 8
) -> tuple[CandidateTable, list[ModelScores]]:
    """Candidates and scores that are a little higher where the answer is right."""
    generator = np.random.default_rng(0)
    count = problems * candidates
    chance = np.repeat(generator.beta(0.6, 0.8, problems), candidates)
    wrong = 1 + (30 * generator.random(count) ** 2).astype(np.int32)
    answers = np.where(generator.random(count) < chance, 0, wrong).astype(np.int32)
    answers[generator.random(count) < 0.02] = -1
    lengths = generator.integers(min(2, most_steps), most_steps + 1, count)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    table = CandidateTable(
        problems=[f"problem-{number}" for number in range(problems)],
        starts=np.arange(0, count + 1, candidates),
        answers=answers,
        correct=answers == 0,
        copies=np.ones(count, dtype=np.int64),
    )
    better = np.repeat(answers == 0, lengths)
    models = []
    for seed in range(seeds):
        steps = generator.random(len(better))
        steps[better] **= 0.5
        models.append(ModelScores("er", seed, steps, starts))
    return table, models


def powers(candidates: int) -> tuple[int, ...]:
    return tuple(2**power for power in range(int(math.log2(candidates)) + 1))


def peak() -> float:
    """The most memory this process has had, in GB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def whole(problems: int, candidates: int, seeds: int) -> dict[str, Any]:
    table, models = made_up(problems, candidates, seeds)
    wall, cpu = time.perf_counter(), time.process_time()
    measured = measure_table(table, models, powers(candidates), seed=0, subsets=SUBSETS)
    measure_wall, measure_cpu = time.perf_counter() - wall, time.process_time() - cpu
    rows = rows_of(measured, seed=0)
    return {
        "problems": problems, "candidates": candidates, "seeds": seeds, "rows": len(rows),
        "measure_seconds": round(measure_wall, 1), "measure_cpu_seconds": round(measure_cpu, 1),
        "with_rows_seconds": round(time.perf_counter() - wall, 1),
        "with_rows_cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_gb": peak(),
    }  # fmt: skip


def large(problems: int) -> dict[str, Any]:
    ns = (*powers(1860), 1860)
    table, models = made_up(problems, 1860, 1, most_steps=1)
    wall, cpu = time.perf_counter(), time.process_time()
    measured = measure_table(table, models, ns, seed=0, subsets=SUBSETS, aggregations=("last",))
    seconds = time.process_time() - cpu
    rows_of(measured, seed=0)
    bytes_each = sum(one.nbytes for one in (table.answers, table.correct, table.copies, models[0].steps)) + 8 * len(
        models[0].starts
    )
    return {
        "problems": problems, "candidates": 1860, "cpu_seconds": round(seconds, 1),
        "seconds": round(time.perf_counter() - wall, 1),
        "cpu_minutes_of_100000": round(seconds / problems * 100_000 / 60, 1),
        "table_gb_of_100000": round(bytes_each / problems * 100_000 / 2**30, 1),
        "accuracies_gb_of_100000": round(6 * len(ns) * 8 * 100_000 / 2**30, 2),
        "peak_gb": peak(),
    }  # fmt: skip


def loop(problems: int, candidates: int, seeds: int) -> dict[str, Any]:
    """The plain loop's seconds a problem, and how far its figures are from ours on the same subsets."""
    table, models = made_up(problems, candidates, seeds)
    ns, off, compared = powers(candidates), 0.0, 0
    ours = measure_table(table, models, ns, seed=0, subsets=SUBSETS)
    seconds = 0.0
    for row in range(problems):
        own = slice(table.starts[row], table.starts[row + 1])
        answers = table.answers[own].tolist()
        ballot = ProblemAnswers(table.problems[row], table.answers[own], np.empty(0, bool), table.copies[own])
        orders = draw_orders(ballot, candidates // 2, seed=0, subsets=SUBSETS).tolist()
        steps = [
            [model.steps[a:b].tolist() for a, b in zip(model.starts[own], model.starts[own.start + 1 :], strict=False)]
            for model in models
        ]
        start = time.process_time()
        figures = plain(answers, steps, orders, ns)
        seconds += time.process_time() - start
        for (voting, name, seed, n), value in figures.items():
            if voting in ("best", "weighted_max"):  # ours is the mean over all subsets, and has no loop
                continue
            off = max(off, abs(value - _ours(ours, voting, name, seed, row, ns.index(n))))
            compared += 1
    return {
        "problems": problems, "figures": compared, "largest_difference": off,
        "seconds_a_problem": round(seconds / problems, 2),
    }  # fmt: skip


def _ours(ours: Accuracies, voting: str, name: str, seed: int, row: int, column: int) -> float:
    table = ours.majority if voting == "majority" else ours.scored["er", voting, name][seed]
    return float(table[row, column])


def plain(
    answers: list[int], steps: list[list[list[float]]], orders: list[list[int]], ns: tuple[int, ...]
) -> dict[tuple[str, str, int, int], float]:
    """Every figure of one problem, as a script would have it: each subset's candidates, one after the other."""
    found: dict[tuple[str, str, int, int], float] = {}
    for n in ns:
        subsets = [order[:n] for order in orders]
        if n == 1:
            subsets = [[index] for index in range(len(answers))]
        if n == len(answers):
            subsets = [list(range(len(answers)))]
        found["majority", "", 0, n] = sum(_vote(answers, one, None, len) for one in subsets) / len(subsets)
        for seed, of in enumerate(steps):
            for name in AGGREGATIONS:
                scores = [_score(name, own) for own in of]
                shares = dict.fromkeys(VOTINGS, 0.0)
                for subset in subsets:
                    shares["best"] += _best(answers, subset, scores)
                    shares["weighted"] += _vote(answers, subset, scores, sum)
                    shares["weighted_mean"] += _vote(answers, subset, scores, lambda own: sum(own) / len(own))
                    shares["weighted_max"] += _vote(answers, subset, scores, max)
                for voting, share in shares.items():
                    found[voting, name, seed, n] = share / len(subsets)
    return found


def _score(name: str, steps: list[float]) -> float:
    if name == "logodds":
        odds = sum(math.log(s) - math.log1p(-s) for s in (min(max(one, CLIP), 1 - CLIP) for one in steps))
        return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0
    plain_ways = {"min": min, "prod": math.prod, "last": lambda own: own[-1], "mean": lambda own: sum(own) / len(own)}
    return float(plain_ways[name](steps))  # type: ignore[operator]


def _best(answers: list[int], subset: list[int], scores: list[float]) -> float:
    top = max(scores[index] for index in subset)
    tied = [index for index in subset if scores[index] == top]
    return sum(answers[index] == 0 for index in tied) / len(tied)


def _vote(answers: list[int], subset: list[int], scores: list[float] | None, worth: Any) -> float:
    given: dict[int, list[float]] = defaultdict(list)
    for index in subset:
        if answers[index] >= 0:
            given[answers[index]].append(scores[index] if scores else 1.0)
    if not given:
        return 0.0
    votes = {answer: worth(own) for answer, own in given.items()}
    top = max(votes.values())
    tied = [answer for answer, own in votes.items() if own >= top - 1e-12 * abs(top)]
    return (0 in tied) / len(tied)


if __name__ == "__main__":
    main()
