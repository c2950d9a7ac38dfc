"""Cuts one set of problems into splits: by problem, seeded, and the same whatever order the file has."""

import hashlib
from collections.abc import Mapping, Sequence

from stepward.errors import StepwardError
from stepward.records import Problem


def assign_splits(
    problems: Sequence[Problem], sizes: Mapping[str, int], seed: int, path: str
) -> dict[str, list[Problem]]:
    """Deals problems out to splits.

    Args:
        problems: Problems with distinct ids.
        sizes: How many each split gets, by its name.
        seed: Another seed deals another way.
        path: Where the problems are from, for the error.

    Returns:
        The splits by name; what is left over is in none.

    Raises:
        StepwardError: There are fewer problems than the sizes add up to.
    """
    wanted = sum(sizes.values())
    if len(problems) < wanted:
        split = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise StepwardError(
            f"{path}: {len(problems)} problems, but the recipe's problems ask for {wanted} ({split}): lower them",
            code="too_few",
            file=path,
            field="problems",
        )
    dealt = sorted(problems, key=lambda problem: sort_key(seed, problem.id))
    found, start = {}, 0
    for name, size in sizes.items():
        found[name] = dealt[start : start + size]
        start += size
    return found


def sort_key(seed: int, problem_id: str) -> bytes:
    """Where a problem stands in the order in which a seed deals: a hash, so other problems don't move it."""
    return hashlib.sha256(f"{seed}\0{problem_id}".encode("utf-8", "surrogatepass")).digest()
