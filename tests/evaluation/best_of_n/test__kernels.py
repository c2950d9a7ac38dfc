"""The compiled loops' random numbers: the published generator, without bias, and shuffles that are all as likely."""

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from stepward.evaluation.best_of_n import _kernels as kernels


def test_random_bits_are_splitmix64s() -> None:
    state = np.array([1234567], dtype=np.uint64)
    # The first numbers of Vigna's splitmix64.c from this seed.
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [int(kernels._next(state)) for _ in range(5)] == expected


def test_numbers_below_a_bound_are_as_likely() -> None:
    state = np.array([7], dtype=np.uint64)
    for bound in (1, 3, 10):
        seen = np.bincount([kernels._below(state, bound) for _ in range(30_000)], minlength=bound)
        assert len(seen) == bound
        assert bound == 1 or stats.chisquare(seen).pvalue > 1e-3


def test_every_order_is_as_likely() -> None:
    orders = np.empty((24_000, 4), dtype=np.int32)
    kernels.shuffle(11, np.arange(4, dtype=np.int32), orders)
    seen = Counter(map(tuple, orders.tolist()))
    assert set(seen) == set(permutations(range(4)))
    assert stats.chisquare(list(seen.values())).pvalue > 1e-3


PROGRAM = """
import json, warnings
import numpy as np
from stepward.evaluation.best_of_n.accuracy import measure_table
from stepward.evaluation.best_of_n.table import CandidateTable, ModelScores

warnings.simplefilter("ignore")  # the generator's products are meant to overflow
generator = np.random.default_rng(0)
answers = generator.integers(-1, 3, 24).astype(np.int32)
table = CandidateTable(
    ["p", "q", "r"], np.array([0, 8, 16, 24]), answers, answers == 0, generator.integers(1, 3, 24)
)
model = ModelScores("score", 0, np.round(generator.random(48), 1), np.arange(0, 49, 2))
figures = {}
ns = (1, 2, 5, int(np.add.reduceat(table.copies, [0, 8, 16]).min()))
for ties in ("share", "first"):
    found = measure_table(table, [model], ns, seed=3, subsets=9, ties=ties)
    figures[ties] = {"/".join(key): value.tolist() for key, value in found.scored.items()}
    figures[ties]["majority"] = found.majority.tolist()
print(json.dumps(figures))
"""


def test_compiled_loops_give_what_plain_python_gives() -> None:
    found = []
    for setting in ({}, {"NUMBA_DISABLE_JIT": "1"}):
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | setting,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        found.append(json.loads(ended.stdout))
    for ties, figures in found[0].items():
        assert len(figures) == 4 * 5 + 1
        for key, value in figures.items():
            assert np.array(value) == pytest.approx(np.array(found[1][ties][key]), abs=1e-12)
