"""How many problems each part gets, in all and from each stratum: whole numbers by largest remainder.

Remainders are compared as whole numbers, so that no rounding of floats decides.
"""

import hashlib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from stepward.errors import StepwardError

UNASSIGNED = ""
"""The name, among the parts, of the problems that go to none."""

Sizes = Mapping[str, int | float | str]
"""By part: a whole number counts problems; a float, or a text with a point or a % sign, is a share of them."""


def parse_parts(text: str) -> dict[str, str]:
    """The parts of `train=0.9,validation=500,test=5%`: sizes by name.

    Raises:
        StepwardError: It is written otherwise, or a name stands twice.
    """
    parts: dict[str, str] = {}
    for piece in text.split(","):
        name, equals, size = (word.strip() for word in piece.partition("="))
        if not equals or not size:
            raise StepwardError(
                f"--parts: expected NAME=SIZE,NAME=SIZE with shares or counts, found {piece.strip()!r}",
                code="bad_value",
                field="--parts",
            )
        if name in parts:
            raise StepwardError(
                f"--parts: {name!r} stands twice; name each part once", code="duplicate", field="--parts"
            )
        parts[name] = size
    return parts


def part_sizes(parts: Sizes, total: int, source: str) -> dict[str, int]:
    """How many of `total` problems each part gets.

    Counts are taken as they are. Shares are of all problems: each gets its whole quota, and what is left goes to the
    largest remainders, the earlier part first. What no part asks for is left out.

    Returns:
        The parts' sizes in their order, then `UNASSIGNED`'s; they add up to `total`.

    Raises:
        StepwardError: A name or size is unusable, the shares are above 1, there are too few problems, or a part would
            be empty.
    """
    asked = {name: _size(name, size) for name, size in parts.items()}
    if not asked:
        raise StepwardError(
            "--parts: no part named; expected NAME=SIZE,NAME=SIZE with shares or counts", code="empty", field="--parts"
        )
    shared = sum((size for size in asked.values() if isinstance(size, Fraction)), Fraction())
    if shared > 1:
        raise StepwardError(
            f"--parts: the shares add up to {float(shared):g}; expected at most 1", code="bad_value", field="--parts"
        )
    quotas = {name: size * total if isinstance(size, Fraction) else Fraction(size) for name, size in asked.items()}
    wanted = sum(quotas.values(), Fraction())
    if wanted > total:
        raise StepwardError(
            f"{source}: {total:,} problems, but the parts ask for {float(wanted):,.6g}; lower them",
            code="too_few",
            file=source,
            field="--parts",
        )
    sizes = _largest_remainder(quotas | {UNASSIGNED: total - wanted}, total)
    if empty := next((name for name in asked if sizes[name] == 0), None):
        raise StepwardError(
            f"{source}: part {empty!r} would get none of the {total:,} problems; make it larger",
            code="too_few",
            file=source,
            field="--parts",
        )
    return sizes


def stratum_sizes(strata: Mapping[str, int], sizes: Mapping[str, int], seed: int) -> dict[str, dict[str, int]]:
    """How many problems each part gets from each stratum.

    A part's quota of a stratum is its size times the stratum's share of all problems. It gets the quota's whole part;
    the problems left over go one by one to the largest remainders of all strata and parts, as long as the stratum has
    problems left and the part has room. So parts get exactly their sizes, and a stratum gives a part its quota rounded
    up or down, or, where rounding alone can't add up, one more. Among equal remainders a hash of the seed and the
    names decides.

    Args:
        strata: How many problems each stratum has.
        sizes: How many each part gets; they add up to as many.
        seed: Decides among equal remainders.
    """
    total = sum(strata.values())
    dealt = {
        stratum: {part: count * size // total for part, size in sizes.items()} for stratum, count in strata.items()
    }
    left = {stratum: count - sum(dealt[stratum].values()) for stratum, count in strata.items()}
    room = {part: size - sum(given[part] for given in dealt.values()) for part, size in sizes.items()}
    cells = [(stratum, part) for stratum in strata for part in sizes]
    cells.sort(key=lambda cell: (-(strata[cell[0]] * sizes[cell[1]] % total), _tie(seed, *cell)))
    while any(left.values()):
        for stratum, part in cells:
            if left[stratum] and room[part]:
                dealt[stratum][part] += 1
                left[stratum] -= 1
                room[part] -= 1
    return dealt


def names_part(name: str) -> bool:
    """Whether a part can have this name, which is its file's."""
    return bool(name) and all(letter.isalnum() or letter in "-_." for letter in name) and not name.startswith(".")


def _size(name: str, size: int | float | str) -> int | Fraction:
    if not names_part(name):
        raise StepwardError(
            f"--parts: {name!r} can't name a part; expected letters, digits, '-', '_' and '.'",
            code="bad_value",
            field="--parts",
        )
    text = str(size)
    try:
        number = Decimal(text.removesuffix("%"))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0:
        raise StepwardError(
            f"--parts: {name}={size}: expected a share such as 0.05 or 5%, or a count such as 500",
            code="bad_value",
            field="--parts",
        )
    if text.endswith("%"):
        return Fraction(number) / 100
    if isinstance(size, int) or text.isdecimal():
        return int(number)
    if number > 1:
        raise StepwardError(
            f"--parts: {name}={size}: expected a share of at most 1, or a whole number of problems",
            code="bad_value",
            field="--parts",
        )
    return Fraction(number)


def _largest_remainder(quotas: Mapping[str, Fraction], total: int) -> dict[str, int]:
    sizes = {name: int(quota) for name, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda name: sizes[name] - quotas[name])
    for name in by_remainder[: total - sum(sizes.values())]:
        sizes[name] += 1
    return sizes


def _tie(seed: int, stratum: str, part: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{stratum}\0{part}".encode("utf-8", "surrogatepass")).digest()
