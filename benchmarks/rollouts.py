"""Labels a second by rollouts: transformers' `generate` on every prefix beside Stepward's ways, same model, one run.

    python benchmarks/rollouts.py [--problems 40] [--seeds 3] [--repeats 1] [--vllm-python PATH]

The arithmetic world (levels 1 to 3, 5 tricky wordings), the embedded generator, 8 solutions a problem, K = 16. A label
is a distinct prefix that had to be drawn from; whole solutions are labelled by their grade and count nowhere. Seconds
are this process's CPU time on one thread, grading included. `generate` gets `num_return_sequences=16`, prompts padded
on the left and sorted by length, and the batch size that was fastest on a part of them. The last line is one JSON
object. `--vllm-python` adds vLLM's own figures, run by that interpreter (benchmarks/rollouts_vllm.py).
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import chi2

from stepward.generation.interface import Prompt, Sampling
from stepward.generation.local.engine import LocalGenerator
from stepward.grading import extract_answer
from stepward.grading.graders import load_grader
from stepward.labeling.rollouts.binary_search import AllPrefixes, BinarySearch, Search
from stepward.labeling.rollouts.prefixes import Prefix, Prefixes, prefixes_of
from stepward.labeling.rollouts.sampling import completion_answer, draw_rollouts
from stepward.labeling.rollouts.stopping import All, FirstCorrect, Stopping
from stepward.pipeline.stages.evaluate import oracle_of
from stepward.problems.arithmetic.dataset import problems as made_problems
from stepward.records import Problem, Solution, StepRollouts, join_steps, split_steps
from stepward.solutions import draw_solutions
from stepward.storage.run_dir import embedded_generator

K = 16
BATCHES = (1, 2, 4, 8)
Counts = dict[str, int]
"""Right completions of K, by the prefix's id."""


class World:
    """Problems with their solutions, and what is asked of them."""

    def __init__(self, count: int, seed: int) -> None:
        grade = load_grader("math")
        self.grader: Callable[[str, str | None], bool] = lambda reference, answer: grade(reference, answer).equal
        self.engine = LocalGenerator(embedded_generator())
        self.seed = seed
        self.problems: list[Problem] = made_problems("reward", count, levels=(1, 2, 3), tricky=5)
        self.of = {problem.id: problem for problem in self.problems}
        self.solutions: list[Solution] = draw_solutions(
            self.problems, self.engine, self.grader, count=8, sampling=Sampling(), seed=seed
        ).solutions
        self.prefixes: Prefixes = prefixes_of(self.solutions)
        self.open: list[Prefix] = self.prefixes.unresolved()

    def ids(self, prefix: Prefix) -> list[int]:
        """What a prefix is to the model."""
        return self.engine.prompter.ids(self.of[prefix.problem_id].question, prefix.steps)

    def right(self, prefix: Prefix, text: str) -> bool:
        """Whether a prefix and its completion reach the reference answer."""
        added = split_steps(text)
        answer = extract_answer(join_steps((*prefix.steps, *added)), "marked") if added else None
        return self.grader(self.of[prefix.problem_id].reference, answer)

    def roll_out(self, stopping: Stopping, search: Search) -> dict[str, StepRollouts]:
        """Our counts, from an empty memory."""
        self.engine.reader.clear()
        drawn = draw_rollouts(
            self.problems, self.solutions, self.engine, self.grader,
            stopping=stopping, search=search, sampling=Sampling(), seed=self.seed,
        )  # fmt: skip
        return {one.id: one for one in drawn if not one.complete}


@torch.inference_mode()
def plain(world: World, prefixes: Sequence[Prefix], batch: int) -> Counts:
    """What transformers' `generate` gives, graded as ours is."""
    torch.manual_seed(world.seed)
    engine, pad = world.engine, world.engine.tokenizer.pad_token_id
    ends = set(engine.ends.tolist())
    ordered = sorted(prefixes, key=lambda prefix: len(world.ids(prefix)))
    found: Counts = {}
    for start in range(0, len(ordered), batch):
        part = ordered[start : start + batch]
        ids = [world.ids(prefix) for prefix in part]
        longest = max(map(len, ids))
        tokens = torch.tensor([[pad] * (longest - len(one)) + one for one in ids])
        written = engine.model.generate(
            input_ids=tokens, attention_mask=(tokens != pad).long(), do_sample=True, temperature=1.0, top_k=0,
            top_p=1.0, max_new_tokens=Sampling().max_new_tokens, num_return_sequences=K, pad_token_id=pad,
        )[:, longest:]  # fmt: skip
        texts = engine.tokenizer.batch_decode(written, skip_special_tokens=True)
        ended = [not ends.isdisjoint(row) for row in written.tolist()]
        for row, prefix in enumerate(part):
            own = range(row * K, row * K + K)
            found[prefix.id] = sum(ended[place] and world.right(prefix, texts[place]) for place in own)
    return found


def without_sharing(world: World) -> None:
    """K completions at every prefix of every solution, whoever shares it."""
    world.engine.reader.clear()
    asked = [
        (prefix, f"{solution.id}#{end}")
        for solution in world.solutions
        for end, prefix in enumerate(path_of(world, solution))
        if prefix.id not in world.prefixes.graded
    ]
    prompts = [Prompt(key, world.of[prefix.problem_id].question, prefix.steps, K) for prefix, key in asked]
    for (prefix, _), drawn in zip(asked, world.engine.complete(prompts, Sampling(), world.seed), strict=True):
        for one in drawn:
            world.grader(world.of[prefix.problem_id].reference, completion_answer(prefix.steps, one))


def path_of(world: World, solution: Solution) -> list[Prefix]:
    index = next(place for place, one in enumerate(world.solutions) if one is solution)
    return [world.prefixes.of[key] for key in world.prefixes.paths[index].prefixes]


def first_error_labels(world: World, counts: dict[str, StepRollouts]) -> dict[str, bool]:
    """Right up to the last prefix that is known to succeed; of a right solution, all."""
    found = dict.fromkeys((prefix.id for prefix in world.open), False)
    for path in world.prefixes.paths:
        known = [path.correct or (key in counts and counts[key].right > 0) for key in path.prefixes]
        last = max((place for place, value in enumerate(known) if value), default=-1)
        for key in path.prefixes[: last + 1]:
            if key in found:
                found[key] = True
    return found


def timed(work: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """What it gives, and the fewest CPU seconds it took."""
    best, found = float("inf"), None
    for _ in range(repeats):
        start = time.process_time()
        found = work()
        best = min(best, time.process_time() - start)
    return found, best


def best_batch(world: World) -> int:
    """The fastest batch of `generate`, in prompts, on a part of the prefixes of every length."""
    part = sorted(world.open, key=lambda prefix: len(world.ids(prefix)))[:: max(1, len(world.open) // 16)][:16]
    return min(BATCHES, key=lambda batch: timed(lambda: plain(world, part, batch), 1)[1])


def heterogeneity(one: Counts, other: Counts) -> tuple[float, int]:
    """The sum over prefixes of the 2x2 chi-square of two counts of K, and how many prefixes could tell anything."""
    total, informative = 0.0, 0
    for key, first in one.items():
        pooled = (first + other[key]) / (2 * K)
        if 0 < pooled < 1:
            total += (first - other[key]) ** 2 / (2 * K * pooled * (1 - pooled))
            informative += 1
    return total, informative


def measure(world: World, batch: int, repeats: int) -> dict[str, Any]:
    """Every way on one world: seconds, and what its labels agree with."""
    duplicated = [prefix for one in world.solutions for prefix in path_of(world, one)]
    duplicated = [prefix for prefix in duplicated if prefix.id not in world.prefixes.graded]
    plainly, seconds = timed(lambda: plain(world, world.open, batch), 1)
    _, unshared = timed(lambda: plain(world, duplicated, batch), 1)
    every, all_seconds = timed(lambda: world.roll_out(All(K), AllPrefixes()), repeats)
    _, apart_seconds = timed(lambda: without_sharing(world), repeats)
    early, early_seconds = timed(lambda: world.roll_out(FirstCorrect(K), AllPrefixes()), repeats)
    searched, search_seconds = timed(lambda: world.roll_out(FirstCorrect(K), BinarySearch()), repeats)
    counts = {key: one.right for key, one in every.items()}
    oracle = oracle_of(world.problems)
    truth = {prefix.id: oracle(prefix.problem_id, prefix.steps) is None for prefix in world.open}
    labels = {
        "plain": {key: right > 0 for key, right in plainly.items()},
        "all": {key: right > 0 for key, right in counts.items()},
        "first_right": {key: one.right > 0 for key, one in early.items()},
        "first_error": first_error_labels(world, searched),
    }
    seconds_of = {
        "plain": seconds, "plain, every solution's prefixes": unshared, "all": all_seconds,
        "all, every solution's prefixes": apart_seconds, "first_right": early_seconds, "first_error": search_seconds,
    }  # fmt: skip
    statistic, freedom = heterogeneity(plainly, counts)
    return {
        "labels": len(world.open),
        "prefixes_of_solutions": len(duplicated),
        "seconds": seconds_of,
        "drawn": {name: sum(one.draws for one in found.values())
                  for name, found in (("all", every), ("first_right", early), ("first_error", searched))},
        "agrees_with_all": {name: shared(found, labels["all"]) for name, found in labels.items()},
        "agrees_with_plain": {name: shared(found, labels["plain"]) for name, found in labels.items()},
        "agrees_with_oracle": {name: shared(found, truth) for name, found in labels.items()},
        "chi2": round(statistic, 2), "chi2_freedom": freedom, "chi2_p": round(float(chi2.sf(statistic, freedom)), 4),
    }  # fmt: skip


def shared(one: dict[str, bool], other: dict[str, bool]) -> float:
    return float(np.mean([one[key] == other[key] for key in other]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--vllm-python", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found, batch = [], 0
    for seed in range(asked.seeds):
        world = World(asked.problems, seed)
        batch = batch or best_batch(world)
        found.append(measure(world, batch, asked.repeats))
    summary = summed(found) | {"problems": asked.problems, "seeds": asked.seeds, "generate_batch": batch}
    show(summary)
    if asked.vllm_python:
        summary["vllm"] = by_vllm(asked.vllm_python, world)
    print(json.dumps(summary))


def by_vllm(interpreter: Path, world: World) -> dict[str, Any]:
    """Labels a second of each way of benchmarks/rollouts_vllm.py for the world's prefixes, grading included."""
    hook = Path(__file__).with_name("rollouts_vllm.py")
    asked = {
        "folder": str(embedded_generator()), "draws": K, "seed": world.seed,
        "prefixes": [[one.id, world.of[one.problem_id].question, list(one.steps)] for one in world.open],
    }  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(hook.parent.parent), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [interpreter, hook], input=json.dumps(asked), check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    ways: dict[str, Any] = {}
    counts: dict[str, Counts] = {}
    for way, given in json.loads(ran.stdout.strip().splitlines()[-1]).items():
        start = time.process_time()
        counts[way] = {
            prefix.id: sum(text is not None and world.right(prefix, text) for text in texts)
            for prefix, texts in zip(world.open, given.pop("texts"), strict=True)
        }
        seconds = given.pop("seconds") + time.process_time() - start
        ways[way] = {"seconds": round(seconds, 2), "labels_per_second": round(len(world.open) / seconds, 2)} | given
    for way, one in ways.items():
        one["times_duplicated"] = round(ways["duplicated"]["seconds"] / one["seconds"], 2)
        statistic, freedom = heterogeneity(counts["duplicated"], counts[way])
        one["chi2_p"] = round(float(chi2.sf(statistic, freedom)), 4) if freedom else None
    return {"labels": len(world.open)} | ways


def summed(found: list[dict[str, Any]]) -> dict[str, Any]:
    labels = sum(one["labels"] for one in found)
    seconds = {way: sum(one["seconds"][way] for one in found) for way in found[0]["seconds"]}
    agreed = {
        kind: {way: round(sum(one[kind][way] * one["labels"] for one in found) / labels, 4) for way in found[0][kind]}
        for kind in ("agrees_with_all", "agrees_with_plain", "agrees_with_oracle")
    }
    return {
        "labels": labels,
        "seconds": {way: round(value, 2) for way, value in seconds.items()},
        "labels_per_second": {way: round(labels / value, 2) for way, value in seconds.items()},
        "times_plain": {way: round(seconds["plain"] / value, 2) for way, value in seconds.items()},
        "drawn": {way: sum(one["drawn"][way] for one in found) for way in found[0]["drawn"]},
        "chi2_p": [one["chi2_p"] for one in found],
        "chi2_freedom": [one["chi2_freedom"] for one in found],
    } | agreed


def show(summary: dict[str, Any]) -> None:
    table = Table("way", "labels/s", "times plain", "as all", "as plain", "as the oracle")
    for way, rate in summary["labels_per_second"].items():
        agreed = [summary[f"agrees_with_{other}"].get(way, "") for other in ("all", "plain", "oracle")]
        table.add_row(way, str(rate), str(summary["times_plain"][way]), *map(str, agreed))
    Console().print(table)


if __name__ == "__main__":
    main()
