"""What the embedded generator reaches on test problems: pass@1, pass@16, majority at 16, and how it goes wrong.

    python benchmarks/generator.py [FOLDER] [--problems 240] [--draws 64] [--levels 1 2 3] [--tricky 5]

The last line is one JSON object. The goals are those that leave a reward model room: pass@1 in [.25, .60], pass@16
above .85, majority voting at 16 below .60.
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stepward.evaluation.best_of_n.answer_groups import equivalence_fn, group_answers
from stepward.evaluation.best_of_n.closed_form import pass_at_n
from stepward.evaluation.best_of_n.voting import ProblemAnswers, vote
from stepward.generation.interface import Sampling
from stepward.generation.local.engine import LocalGenerator
from stepward.pipeline.stages.tasks import is_correct_fn
from stepward.problems.arithmetic.checker import first_error
from stepward.problems.arithmetic.dataset import problems
from stepward.records import Solution
from stepward.solutions import draw_solutions
from stepward.storage.run_dir import embedded_generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--problems", type=int, default=240)
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--tricky", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    generator = LocalGenerator(asked.folder or embedded_generator())
    test = problems("test", asked.problems, levels=tuple(asked.levels), tricky=asked.tricky)
    start = time.process_time()
    solutions = draw_solutions(
        test,
        generator,
        is_correct_fn("math"),
        count=asked.draws,
        sampling=Sampling(),
        seed=0,
    ).solutions
    seconds = time.process_time() - start
    passed, majority = [], []
    kinds: Counter[str] = Counter()
    for problem in test:
        own = [solution for solution in solutions if solution.problem_id == problem.id]
        copies = np.array([solution.copies for solution in own])
        correct = np.array([solution.correct for solution in own])
        passed.append(pass_at_n(correct, copies, (1, 16)))
        majority.append(majority_at_16(problem.id, own, copies))
        for solution in own:
            error = first_error(problem.question, solution.steps)
            kinds[error.kind if error else "none"] += solution.copies
    total = sum(kinds.values())
    one, sixteen = np.mean(passed, axis=0)
    found = {
        "problems": len(test),
        "draws": asked.draws,
        "levels": asked.levels,
        "tricky": asked.tricky,
        "pass@1": round(float(one), 4),
        "pass@16": round(float(sixteen), 4),
        "majority@16": round(float(np.mean(majority)), 4),
        "distinct_per_problem": round(len(solutions) / len(test), 2),
        "cut": sum(solution.copies for solution in solutions if not solution.finished),
        "first_errors": {kind: round(count / total, 4) for kind, count in kinds.most_common()},
        "cpu_seconds": round(seconds, 1),
        "solutions_per_cpu_second": round(total / seconds, 1),
    }
    print(json.dumps(found))


def majority_at_16(problem_id: str, own: list[Solution], copies: NDArray[np.int64]) -> float:
    correct = np.array([solution.correct for solution in own])
    answers = group_answers([solution.answer for solution in own], correct, copies, equivalence_fn("math"))
    right = np.zeros(answers.max() + 1, dtype=bool)
    right[answers[correct]] = True
    ballot = ProblemAnswers(problem_id, answers, right, copies)
    return float(vote(ballot, (16,), np.empty((len(own), 0)), seed=0).majority[0])


if __name__ == "__main__":
    main()
