"""How often comparisons and intervals are mistaken, by simulation: equal methods, and seeds that differ by so much.

    python benchmarks/comparisons.py [--samples 1000] [--problems 500] [--seeds 5,3] [--deviations 0,1,2,4]

In each sample two equally good methods are measured with so many seeds, every model off by a normal number of
percentage points of this deviation. `false`: the share of samples in which `paired` calls them different (its p is at
most .05); `over_problems`: the same by problems alone, as before seeds were counted. `covered`: the share in which the
interval of the difference holds the truth; `row_covered`: in which the interval of the first method's own accuracy
does. `baseline` is the same method against one without seeds.

Candidates are right or wrong, and three kinds of noise are tried, since nobody knows what a run's is: `smooth`,
accuracies that differ by problem, method and seed; `picks`, right or wrong by chance alone; and `tastes`, right or
wrong, with problems that suit one method. In `shared` half of a seed's variance is the same for both methods, as where
seed 0 means the same order of data to both. The last line is one JSON object. Run with OMP_NUM_THREADS=1.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.crossed import chance_of
from stepward.evaluation.paired import paired_many
from stepward.evaluation.statistics import accuracy_interval, resampled_means

Floats = NDArray[np.float64]

NOISES = ("smooth", "picks", "tastes")
_AT_ONCE = 250


@dataclass(frozen=True)
class Found:
    """Shares of samples."""

    false: float
    over_problems: float
    covered: float
    row_covered: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--seeds", default="5,3")
    parser.add_argument("--deviations", default="0,1,2,4", help="of seeds, in percentage points")
    asked = parser.parse_args()
    rows = []
    for seeds in map(int, asked.seeds.split(",")):
        for against, noise in cases():
            for deviation in map(float, asked.deviations.split(",")):
                found = simulate(noise, against, seeds, deviation / 100, asked.samples, asked.problems)
                row = {"seeds": seeds, "against": against, "noise": noise, "deviation": deviation}
                rows.append(row | {name: round(value, 4) for name, value in vars(found).items()})
                print(rows[-1], flush=True)
    print(json.dumps({"samples": asked.samples, "problems": asked.problems, "rows": rows}))


def cases() -> list[tuple[str, str]]:
    """What is simulated: against what, and with which noise."""
    return [(against, noise) for against in ("method", "baseline") for noise in NOISES] + [("shared", "tastes")]


def simulate(noise: str, against: str, seeds: int, deviation: float, samples: int, problems: int) -> Found:
    """Measures so many samples."""
    random = np.random.default_rng([seeds, round(1e4 * deviation), *map(ord, noise[:2] + against[:2])])
    hits = np.zeros(4)
    for start in range(0, samples, _AT_ONCE):
        drawn = list(_drawn(noise, against, seeds, deviation, min(_AT_ONCE, samples - start), problems, random))
        pairs = [(first, second) for first, second, _ in drawn]
        tested = paired_many(pairs, seed=start)
        alone = [chance_of([one.mean(axis=0)[None], other.mean(axis=0)[None]]) for one, other in pairs]
        own = np.stack([first.mean(axis=0) for first, _ in pairs], axis=1)
        widening = np.array([chance_of([first]).widening for first, _ in pairs])
        lows, highs = accuracy_interval(resampled_means(own, start), own, widening)
        truths = np.array([truth for *_, truth in drawn])
        hits += [
            sum(one.p <= 0.05 for one in tested),
            sum(chance.p(one.mean) <= 0.05 for chance, one in zip(alone, tested, strict=True)),
            sum(one.low <= 0 <= one.high for one in tested),
            np.count_nonzero((lows <= truths) & (truths <= highs)),
        ]
    return Found(*(hits / samples).tolist())


def _drawn(
    noise: str, against: str, seeds: int, deviation: float, samples: int, problems: int, random: np.random.Generator
) -> Iterator[tuple[Floats, Floats, float]]:
    """Both sides' accuracies [seed, problem], and the first one's expected accuracy."""
    for _ in range(samples):
        base = 0.2 + 0.6 * random.beta(0.4, 0.6, problems)
        off = random.normal(0, deviation, (3, seeds))
        if against == "shared":
            off[:2] = (off[:2] + off[2]) / np.sqrt(2)
        sides = [_side(base, off[side], noise, random) for side in (0, 1)]
        if against == "baseline":
            sides[1] = _side(base, np.zeros(1), noise, random)
        yield sides[0], sides[1], 0.2 + 0.6 * 0.4


def _side(base: Floats, off: Floats, noise: str, random: np.random.Generator) -> Floats:
    """One method's accuracies [seed, problem], at which its models are off by so much."""
    shape = (len(off), len(base))
    if noise == "smooth":
        return base + off[:, None] + random.normal(0, 0.15, len(base)) + random.normal(0, 0.1, shape)
    taste = random.uniform(-0.2, 0.2, len(base)) if noise == "tastes" else 0.0
    return np.asarray(random.random(shape) < base + taste + off[:, None], dtype=np.float64)


if __name__ == "__main__":
    main()
