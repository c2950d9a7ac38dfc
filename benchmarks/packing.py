"""Training a PRM on trees beside training every solution in a row of its own, same solutions, same run.

    python benchmarks/packing.py [--problems 100] [--solutions 15]

The last line is one JSON object; `ratio` is the time of one epoch apart over one epoch as trees, on one thread.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from stepward.generation.interface import Sampling
from stepward.generation.local.engine import LocalGenerator
from stepward.labeling.labels import oracle_labels
from stepward.pipeline.stages.evaluate import oracle_of
from stepward.pipeline.stages.tasks import is_correct_fn
from stepward.problems.arithmetic.dataset import problems
from stepward.reward_models.training.from_records import train_reward_model
from stepward.reward_models.training.settings import TrainingReport, TrainingSettings
from stepward.solutions import draw_solutions
from stepward.storage.run_dir import embedded_generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--solutions", type=int, default=15)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    folder = embedded_generator()
    train = problems("reward", asked.problems, levels=(1, 2, 3), tricky=5)
    drawn = draw_solutions(
        train,
        LocalGenerator(folder),
        is_correct_fn("math"),
        count=asked.solutions,
        sampling=Sampling(),
        seed=0,
    ).solutions
    labels = oracle_labels(drawn, oracle_of(train))
    tree = TrainingSettings("oracle", epochs=1, batch=32)
    apart = replace(tree, share_prefixes=False)

    def once(settings: TrainingSettings) -> TrainingReport:
        with tempfile.TemporaryDirectory() as scratch:
            return train_reward_model(folder, train, drawn, labels, Path(scratch) / "model", settings, 0)

    shared, plain = once(tree), once(apart)
    found = {
        "ratio": round(plain.seconds / shared.seconds, 2),
        "tokens_ratio": round(plain.tokens / shared.tokens, 2),
        "tree_seconds": round(shared.seconds, 2),
        "apart_seconds": round(plain.seconds, 2),
        "distinct_solutions": shared.solutions,
        "problems": len(train),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
