"""The gate: can a reward model of this size learn to see the generator's errors at all?

    python benchmarks/gate.py [FOLDER] [--solutions 4000] [--levels 1 2 3] [--tricky 5]

Draws solutions with the generator, labels them by the oracle, trains one PRM from the generator's weights, and measures
the AUC of its step scores on other problems. Goal: 0.90, in under two minutes of training. One JSON object, last line.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from sklearn.metrics import roc_auc_score

from stepward.generation.interface import Sampling
from stepward.generation.local.engine import LocalGenerator
from stepward.labeling.labels import oracle_labels
from stepward.pipeline.stages.evaluate import oracle_of
from stepward.pipeline.stages.tasks import is_correct_fn
from stepward.problems.arithmetic.dataset import problems
from stepward.records import Problem, Solution
from stepward.reward_models.scorer import load_scorer
from stepward.reward_models.training.from_records import train_reward_model
from stepward.reward_models.training.settings import TrainingSettings
from stepward.solutions import draw_solutions
from stepward.storage.run_dir import embedded_generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--solutions", type=int, default=4_000)
    parser.add_argument("--per-problem", type=int, default=4)
    parser.add_argument("--held-out", type=int, default=150)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--tricky", type=int, default=5)
    asked = parser.parse_args()
    levels = tuple(asked.levels)
    torch.set_num_threads(asked.threads)
    folder = asked.folder or embedded_generator()
    generator = LocalGenerator(folder)
    train = problems("reward", asked.solutions // asked.per_problem, levels=levels, tricky=asked.tricky)
    other = problems("validation", asked.held_out, levels=levels, tricky=asked.tricky)
    drawn = draw(generator, train, asked.per_problem)
    held = draw(generator, other, 16)
    settings = TrainingSettings("oracle", epochs=asked.epochs, learning_rate=asked.learning_rate, batch=asked.batch)
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        report = train_reward_model(folder, train, drawn, oracle_labels(drawn, oracle_of(train)), model, settings, 0)
        scores = load_scorer(model).score_solutions(other, held)
    labels = oracle_labels(held, oracle_of(other))
    truth = [value for one in labels for value in one.labels]
    found = {
        "step_auc": round(float(roc_auc_score(truth, [value for one in scores for value in one.scores])), 4),
        "training_seconds": round(report.seconds, 1),
        "levels": levels,
        "tricky": asked.tricky,
        "threads": asked.threads,
        "solutions": asked.solutions,
        "distinct_solutions": report.solutions,
        "problems": len(train),
        "epochs": asked.epochs,
        "tokens": report.tokens * asked.epochs,
        "held_out_steps": len(truth),
        "right_steps": round(sum(truth) / len(truth), 4),
    }
    print(json.dumps(found))


def draw(generator: LocalGenerator, of: list[Problem], count: int) -> list[Solution]:
    return draw_solutions(of, generator, is_correct_fn("math"), count=count, sampling=Sampling(), seed=1).solutions


if __name__ == "__main__":
    main()
