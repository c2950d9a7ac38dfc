"""Training a PRM beside TRL 1.13's PRMTrainer, and on preference pairs beside TRL 1.16's RewardTrainer, in one run.

    for version in 1.13.0 1.16.0; do
        python -m venv trl-$version && trl-$version/bin/pip install torch==2.13.0 transformers==5.19.0 trl==$version
    done
    python benchmarks/training.py --trl-python trl-1.13.0/bin/python --trl16-python trl-1.16.0/bin/python

Every side trains the same model (a random Llama, hidden 256, 4 layers, vocabulary 32k) on the same rows
(`benchmarks/training_data.py`) in float32, 8 rows a batch, no accumulation (TRL's is wrong), at the same learning rate,
threads and seed, with each trainer's own order of rows (ours brings a problem's together); `max_length` 2048 cuts
nothing. Gradient checkpointing, which TRL has on by default and which would slow it down, is off. Each training has a
process of its own (`benchmarks/training_peers.py`), ours and theirs by turns.

Useful tokens are the tokens of the rows without padding, each counted for every solution it is in, whether or not it
was computed once for several. Their number a second is over the training loop alone. The share of packing is `flat`
over `padded`, that of prefix sharing `tree` over `flat`. Shared first steps are a guess (`--shared-steps`), so ours is
measured with none as well. For `agree`, ours and theirs train on one batch only, so that the order of rows doesn't
matter, and every step's loss must be the same.

Goals: 3 times the useful tokens a second of the PRMTrainer, 2 times those of the RewardTrainer. The last line is one
JSON object; `ratio` is by the wall clock, `ratio_processor` by processor seconds, which a busy machine disturbs less.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from training_data import (
    Attempt,
    Row,
    Shape,
    distinct_tokens,
    pair_rows,
    problems,
    stepwise_row,
    write_models,
    write_rows,
)

Found = dict[str, Any]

BATCH = 8
HELD_OUT_PROBLEMS = 3
HELD_OUT_FROM = 1_000_000
AGREE_STEPS = 10
PACKS = ("tree", "flat", "padded")
ALONE = "tree, no shared steps"
THEIRS = "trl"
# The orders of rows that its users can choose; the first is the default.
THEIR_ORDERS = {THEIRS: "random", "trl, by length": "group_by_length", "trl, by problem": "sequential"}


@dataclass(frozen=True)
class Rows:
    """Rows of one kind of model in files, and what is in them."""

    train: Path
    first_batch: Path
    held_out: Path
    tokens: int


def main() -> None:
    asked = _asked()
    found: Found = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_models(folder, asked.seed)
        for kind, python in (("prm", asked.trl_python), ("preference", asked.trl16_python)):
            if python is not None:
                found[kind] = compare(kind, python, folder, asked)
    print(json.dumps(found))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", type=Path, help="python of an environment with trl 1.13.0")
    parser.add_argument("--trl16-python", type=Path, help="python of an environment with trl 1.16.0")
    parser.add_argument(
        "--steps", type=int, default=20, help="optimiser steps of theirs: an epoch of 8 times as many rows"
    )
    parser.add_argument("--repeats", type=int, default=3, help="trainings of each, of which the median counts")
    parser.add_argument(
        "--shared-steps", type=float, default=0.3, help="chance that a solution's first step is the usual"
    )
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shares", action=argparse.BooleanOptionalAction, default=True, help="packing, sharing apart")
    parser.add_argument("--orders", action="store_true", help="theirs by length and problem by problem as well")
    parser.add_argument("--peers-only", action="store_true", help="theirs alone")
    asked = parser.parse_args()
    if asked.trl_python is None and asked.trl16_python is None:
        parser.error("name a peer's environment: --trl-python, --trl16-python or both (see --help)")
    return asked


def compare(kind: str, python: Path, folder: Path, asked: argparse.Namespace) -> Found:
    """All sides of one kind by turns: prints each training, and gives the medians and the ratios."""
    rows = write_kind(kind, asked.steps * BATCH, Shape(asked.seed, asked.shared_steps), folder / f"{kind}-shared")
    alone = write_kind(kind, asked.steps * BATCH, Shape(asked.seed, 0.0), folder / f"{kind}-alone")
    runs: dict[str, list[Found]] = {side: [] for side in _sides(kind, asked)}
    for _ in range(asked.repeats):
        for side in runs:
            of = alone if side == ALONE else rows
            runs[side].append(train(kind, side, python, folder, of, asked))
            show(kind, side, runs[side][-1])
    medians = {side: _median(own) for side, own in runs.items()}
    found: Found = {"rows": asked.steps * BATCH, "tokens": rows.tokens, "sides": medians}
    if not asked.peers_only:
        found |= _ratios(medians)
        found["agree"] = _agree(kind, python, folder, rows, asked)
    return found


def _sides(kind: str, asked: argparse.Namespace) -> list[str]:
    theirs = list(THEIR_ORDERS) if asked.orders else [THEIRS]
    if kind == "preference":
        # The RewardTrainer refuses it: its rows have no single length.
        theirs = [side for side in theirs if THEIR_ORDERS[side] != "group_by_length"]
    if asked.peers_only:
        return theirs
    return ["tree", *theirs, "flat", "padded", ALONE] if asked.shares else ["tree", *theirs]


def write_kind(kind: str, wanted: int, shape: Shape, folder: Path) -> Rows:
    """Writes `wanted` rows of a kind of model, the first batch of them, and rows of other problems."""
    made: list[tuple[Row, int]] = []
    plain = shared = 0
    for number in count():
        (attempts,) = problems(1, shape, number)
        made += _rows_of(kind, attempts)
        plain, shared = plain + sum(one.tokens for one in attempts), shared + distinct_tokens(attempts)
        if len(made) >= wanted:
            break
    made = made[:wanted]
    held = [row for own in problems(HELD_OUT_PROBLEMS, shape, HELD_OUT_FROM) for row, _ in _rows_of(kind, own)]
    folder.mkdir()
    files = {"train": [row for row, _ in made], "first_batch": [row for row, _ in made[:BATCH]], "held_out": held}
    for name, own in files.items():
        write_rows(own, folder / name)
    tokens = [size for _, size in made]
    print(
        f"{kind}, shared steps {shape.shared_steps}: {number + 1} problems, {wanted} rows of {min(tokens)} to "
        f"{max(tokens)} tokens (median {np.median(tokens):.0f}, mean {np.mean(tokens):.0f}); all of a problem's "
        f"solutions as one tree have {shared / plain:.1%} of their tokens",
        flush=True,
    )
    return Rows(**{name: folder / name for name in files}, tokens=sum(tokens))


def _rows_of(kind: str, attempts: list[Attempt]) -> list[tuple[Row, int]]:
    if kind == "prm":
        return [(stepwise_row(attempt), attempt.tokens) for attempt in attempts]
    return pair_rows(attempts)


def train(
    kind: str, side: str, python: Path, folder: Path, rows: Rows, asked: argparse.Namespace, only_batch: bool = False
) -> Found:
    """One training in a process of its own, with its useful tokens a second; `only_batch` repeats the first batch."""
    theirs = side in THEIR_ORDERS
    options: Found = {"per_device_train_batch_size": BATCH, "learning_rate": asked.learning_rate}
    if theirs:
        options["train_sampling_strategy"] = THEIR_ORDERS[side]
    else:
        options["pack"] = side if side in PACKS else "tree"
    job = {
        "side": f"{THEIRS if theirs else 'stepward'}-{kind}",
        "model": str(folder / kind),
        "rows": str(rows.first_batch if only_batch else rows.train),
        "warm_rows": str(rows.first_batch),
        "held_out": "" if only_batch else str(rows.held_out),
        "epochs": AGREE_STEPS if only_batch else 1,
        "options": options,
        "threads": asked.threads,
    }
    done = subprocess.run(
        [str(python) if theirs else sys.executable, str(Path(__file__).with_name("training_peers.py"))],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        # Offline, a trainer can't wait for a server that is told about each training.
        env={
            **os.environ,
            "OMP_NUM_THREADS": str(asked.threads),
            "HF_HUB_OFFLINE": "1",
            "TRL_EXPERIMENTAL_SILENCE": "1",
        },
    )
    if done.returncode:
        raise SystemExit(f"{side} failed on {kind}:\n{done.stderr[-3000:]}")
    found: Found = json.loads(done.stdout.splitlines()[-1])
    if not only_batch:
        found["tokens_a_second"] = rows.tokens / found["seconds"]
        found["tokens_a_processor_second"] = rows.tokens / found["processor_seconds"]
        found["positions_a_token"] = found["positions"] / rows.tokens
    return found


def show(kind: str, side: str, one: Found) -> None:
    print(
        f"{kind:10s} {side:21s} {one['tokens_a_second']:6.0f} useful tokens/s "
        f"({one['tokens_a_processor_second']:.0f} a processor second), {one['seconds'] / one['optimiser_steps']:.2f} s "
        f"a step, {one['positions_a_token']:.2f} positions a token, last loss {one['losses'][-1]:.4f}, "
        f"held-out {one['held_out_loss']:.4f}, peak {one['peak_bytes'] / 2**20:.0f} MiB",
        flush=True,
    )


def _median(runs: list[Found]) -> Found:
    names = ("tokens_a_second", "tokens_a_processor_second", "positions_a_token", "held_out_loss", "peak_bytes")
    found = {name: round(statistics.median(run[name] for run in runs), 4) for name in names}
    found["seconds_a_step"] = round(statistics.median(run["seconds"] / run["optimiser_steps"] for run in runs), 3)
    found["versions"] = runs[0]["versions"]
    return found


def _ratios(medians: dict[str, Found]) -> Found:
    found = {}
    pairs = [("ratio", "tree", THEIRS), ("ratio_no_shared_steps", ALONE, THEIRS)]
    pairs += [(f"ratio_{order}", "tree", theirs) for theirs, order in THEIR_ORDERS.items() if theirs != THEIRS]
    pairs += [("packing", "flat", "padded"), ("sharing", "tree", "flat")]
    for name, ours, other in pairs:
        if ours in medians and other in medians:
            for suffix, unit in (("", "tokens_a_second"), ("_processor", "tokens_a_processor_second")):
                found[name + suffix] = round(medians[ours][unit] / medians[other][unit], 2)
    return found


def _agree(kind: str, python: Path, folder: Path, rows: Rows, asked: argparse.Namespace) -> Found:
    """Ours and theirs for some steps on one batch: the last losses, and the largest relative difference of any."""
    ours, theirs = (
        train(kind, side, python, folder, rows, asked, only_batch=True)["losses"] for side in ("tree", THEIRS)
    )
    apart = [abs(one - other) / other for one, other in zip(ours, theirs, strict=True)]
    return {"steps": len(ours), "ours": ours[-1], "theirs": theirs[-1], "largest_relative_difference": max(apart)}


if __name__ == "__main__":
    main()
