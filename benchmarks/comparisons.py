"""How often comparisons and intervals are mistaken, by simulation: equal methods, and seeds that differ by so much.

    python benchmarks/comparisons.py [--samples 600] [--problems 500] [--deviations 0,1,2,4]

In each sample two equally good methods are measured with so many seeds, every model off by a normal number of
percentage points of this deviation. `false`: the share of samples in which `paired` calls them different (its p is at
most .05); `over_problems`: the same by problems alone, as before seeds were counted. `covered`: the share in which the
interval of the difference holds the truth; `row_covered`: in which the interval of the first method's own accuracy
does. `against` 0 is a method without seeds; in `unequal` rows one method's seeds deviate by 1 point and the other's by
4.

Candidates are right or wrong, and three kinds of noise are tried, since nobody knows what a run's is: `smooth`,
accuracies that differ by problem, method and seed; `picks`, right or wrong by chance alone; and `tastes`, right or
wrong, with problems that suit one method. Where seeds are `shared`, half of a seed's variance is the same for both
methods, as where seed 0 means the same order of data to both. The last line is one JSON object. Run with
OMP_NUM_THREADS=1.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.evaluation.stats.bootstrap import accuracy_interval, resampled_means
from stepward.evaluation.stats.crossed import mean_variance
from stepward.evaluation.stats.paired_test import paired_many

Floats = NDArray[np.float64]

NOISES = ("smooth", "picks", "tastes")
DESIGNS = ((5, 5), (3, 3), (10, 2), (5, 0), (3, 0))
UNEQUAL = ((10, 2), (5, 3), (5, 5))
TRUTH = 0.2 + 0.6 * 0.4
"""Every method's expected accuracy."""

_AT_ONCE = 250


@dataclass(frozen=True)
class Case:
    """What is simulated: so many seeds of both methods, 0 without seeds, and by how many points they deviate."""

    seeds: int
    against: int
    noise: str
    deviation: float
    against_deviation: float
    shared: bool = False


@dataclass(frozen=True)
class Found:
    """Shares of samples."""

    false: float
    over_problems: float
    covered: float
    row_covered: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=600)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--deviations", default="0,1,2,4", help="of seeds, in percentage points")
    asked = parser.parse_args()
    rows = []
    for case in [*cases([float(one) for one in asked.deviations.split(",")]), *unequal()]:
        found = simulate(case, asked.samples, asked.problems)
        rows.append(asdict(case) | {name: round(value, 4) for name, value in asdict(found).items()})
        print(rows[-1], flush=True)
    print(json.dumps({"samples": asked.samples, "problems": asked.problems, "rows": rows}))


def cases(deviations: Sequence[float]) -> list[Case]:
    """Methods whose seeds deviate alike."""
    designs = [(seeds, against, noise, False) for seeds, against in DESIGNS for noise in NOISES]
    designs += [(5, 5, "tastes", True), (3, 3, "tastes", True)]
    return [Case(*design[:3], one, one, design[3]) for design in designs for one in deviations]


def unequal() -> list[Case]:
    """Methods of which the seeds of one deviate four times as much as those of the other."""
    return [Case(seeds, against, "tastes", *apart) for seeds, against in UNEQUAL for apart in ((1, 4), (4, 1))]


def simulate(case: Case, samples: int, problems: int) -> Found:
    """Measures so many samples."""
    random = np.random.default_rng([case.seeds, case.against, round(100 * case.deviation), *map(ord, case.noise[:2])])
    hits = np.zeros(4)
    for start in range(0, samples, _AT_ONCE):
        pairs = [_drawn(case, problems, random) for _ in range(min(_AT_ONCE, samples - start))]
        tested = paired_many(pairs, seed=start)
        alone = [mean_variance([one.mean(axis=0)[None], other.mean(axis=0)[None]]) for one, other in pairs]
        own = np.stack([first.mean(axis=0) for first, _ in pairs], axis=1)
        widening = np.array([mean_variance([first]).widening for first, _ in pairs])
        lows, highs = accuracy_interval(resampled_means(own, start), own, widening)
        hits += [
            sum(one.p <= 0.05 for one in tested),
            sum(chance.p(one.mean) <= 0.05 for chance, one in zip(alone, tested, strict=True)),
            sum(one.low <= 0 <= one.high for one in tested),
            np.count_nonzero((lows <= TRUTH) & (highs >= TRUTH)),
        ]
    return Found(*(hits / samples).tolist())


def _drawn(case: Case, problems: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Both sides' accuracies [seed, problem]."""
    base = 0.2 + 0.6 * random.beta(0.4, 0.6, problems)
    off = [random.normal(0, case.deviation / 100, case.seeds)]
    # A method without seeds is one model, of which nothing is told but what it is.
    off.append(random.normal(0, case.against_deviation / 100, case.against) if case.against else np.zeros(1))
    if case.shared:
        both = random.normal(0, case.deviation / 100, case.seeds)
        off = [(one + both) / np.sqrt(2) for one in off]
    return _side(base, off[0], case.noise, random), _side(base, off[1], case.noise, random)


def _side(base: Floats, off: Floats, noise: str, random: np.random.Generator) -> Floats:
    """One method's accuracies [seed, problem], at which its models are off by so much."""
    shape = (len(off), len(base))
    if noise == "smooth":
        return base + off[:, None] + random.normal(0, 0.15, len(base)) + random.normal(0, 0.1, shape)
    taste = random.uniform(-0.2, 0.2, len(base)) if noise == "tastes" else 0.0
    return np.asarray(random.random(shape) < base + taste + off[:, None], dtype=np.float64)


if __name__ == "__main__":
    main()
