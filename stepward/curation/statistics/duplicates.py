"""What stands twice among millions of rows, by 8 bytes each: a hash apiece, sorted at the end.

A hash of 64 bits takes two different texts for one with probability below 3 in 100 million among a million.
"""

from array import array
from collections import Counter
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray


class DuplicateCounter:
    """Counts what is told apart by its hash, in the order of no row."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def add(self, value: Hashable) -> None:
        """Take one more in."""
        self._hashes.append(hash(value))

    def distinct(self) -> int:
        """How many different ones there are."""
        return int(np.unique(_numbers(self._hashes)).size)

    def repeated(self) -> int:
        """How many there are beyond the first of each."""
        return len(self._hashes) - self.distinct()

    def times(self) -> Counter[int]:
        """How many different ones stand once, twice, and so on: a count by the number of times."""
        _, times = np.unique(_numbers(self._hashes), return_counts=True)
        return Counter(dict(zip(*(found.tolist() for found in np.unique(times, return_counts=True)), strict=True)))


class ConflictCounter:
    """Counts what stands more than once and is told different things of."""

    def __init__(self) -> None:
        self._about = array("q")
        self._said = array("q")

    def add(self, about: Hashable, said: Hashable) -> None:
        """Take in what is said of one thing."""
        self._about.append(hash(about))
        self._said.append(hash(said))

    def count(self) -> int:
        """Of how many things different things are said."""
        about, said = _numbers(self._about), _numbers(self._said)
        order = np.lexsort((said, about))
        about, said = about[order], said[order]
        differ = (about[1:] == about[:-1]) & (said[1:] != said[:-1])
        return int(np.unique(about[1:][differ]).size)


def _numbers(hashes: "array[int]") -> NDArray[np.int64]:
    return np.frombuffer(hashes, dtype=np.int64) if hashes else np.empty(0, dtype=np.int64)
