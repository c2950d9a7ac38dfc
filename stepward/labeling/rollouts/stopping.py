"""When enough completions of a prefix are drawn.

A rule says from a prefix's counts how many more to draw, and nothing else decides it: so a run that was stopped, or
that shall draw more than it did, goes on from the counts alone. Every rule draws in waves, since an engine completes
many at once for little more than one. What a label may conclude from counts that a rule ended is in
`stepward.labeling.rollouts.estimators`.

Draws that gave nothing, because the completer wrote nothing or the engine failed, are void: no rule concludes anything
from them, but they count towards `most`, or a completer that never writes would be asked for ever.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from stepward.errors import StepwardError
from stepward.labeling.rollouts.confidence import confidence_sequence
from stepward.records import StepRollouts

RULES = ("all", "first_right", "interval")


class Stopping(Protocol):
    """A rule, frozen and hashable. `str` of it is what records carry, and `parse` reads."""

    @property
    def most(self) -> int:
        """The most draws that a prefix gets."""
        ...

    def __hash__(self) -> int:
        """Equal rules have equal hashes."""
        ...

    def more(self, drawn: int, right: int, void: int = 0) -> int:
        """How many more completions a prefix with these counts gets now; 0 where it has enough.

        Args:
            drawn: Completions that count.
            right: The right ones among them.
            void: Draws that gave none.
        """
        ...


@dataclass(frozen=True, slots=True)
class All:
    """Draws `most` completions of every prefix, at once."""

    most: int

    def more(self, drawn: int, right: int, void: int = 0) -> int:
        """What is lacking."""
        return max(0, self.most - drawn - void)

    def __str__(self) -> str:
        """Such as `all(16)`."""
        return f"all({self.most})"


@dataclass(frozen=True, slots=True)
class FirstCorrect:
    """Stops after the wave with the first right completion: all that a hard label asks.

    A wave draws up to the next power of two: 1, 1, 2, 4, 8, so that a prefix from which most completions are right
    costs one, and no prefix more than twice what it needs. The ends of the waves don't depend on `most`.
    """

    most: int

    def more(self, drawn: int, right: int, void: int = 0) -> int:
        """Up to the next power of two, until one is right."""
        draws = drawn + void
        return 0 if right else max(0, min(1 << draws.bit_length(), self.most) - draws)

    def __str__(self) -> str:
        """Such as `first_right(16)`."""
        return f"first_right({self.most})"


@dataclass(frozen=True, slots=True)
class Interval:
    """Stops when the share of right completions is known to within `error`, with probability `level`.

    That is when the interval of `stepward.labeling.rollouts.confidence` is no wider than twice `error`. It holds at
    every look at once, so that stopping at a good one does no harm. A wave is as long as it can be without running past
    a place to stop: nothing more is drawn than by looking after every completion.

    A prefix that reaches `most` first has a wider interval; the counts say how wide.

    Attributes:
        most: The most draws.
        error: Half the width of the interval, in (0, 1).
        level: The probability that the interval holds the share, in (0, 1).
    """

    most: int
    error: float
    level: float

    def more(self, drawn: int, right: int, void: int = 0) -> int:
        """Up to where drawing could stop next."""
        return _until_narrow(self, drawn, right, self.most - drawn - void)

    def narrow(self, drawn: int, right: int) -> bool:
        """Whether these counts tell the share to within `error`."""
        low, high = confidence_sequence(drawn, right, self.level)
        return high - low <= 2 * self.error

    def __str__(self) -> str:
        """Such as `interval(16, error=0.2, level=0.9)`."""
        return f"interval({self.most}, error={self.error!r}, level={self.level!r})"


@lru_cache(maxsize=65536)
def _until_narrow(rule: Interval, drawn: int, right: int, left: int) -> int:
    if left <= 0 or rule.narrow(drawn, right):
        return 0
    for wave in range(1, left):
        if any(rule.narrow(drawn + wave, right + new) for new in range(wave + 1)):
            return wave
    return left


def num_remaining(rule: Stopping, count: StepRollouts | None) -> int:
    """How many more completions a prefix gets now, from its record; None for one that was never drawn from."""
    if count is None:
        return rule.more(0, 0)
    return rule.more(count.drawn, count.right, count.draws - count.drawn)


def make_stopping(name: str, completions: int, error: float, level: float) -> Stopping:
    """The rule of a recipe.

    Args:
        name: `all`, `first_right` or `interval`.
        completions: The most draws a prefix.
        error: For `interval`: half its width.
        level: For `interval`: the probability that it holds the share.

    Raises:
        StepwardError: An unknown name.
    """
    if name == "all":
        return All(completions)
    if name == "first_right":
        return FirstCorrect(completions)
    if name == "interval":
        return Interval(completions, error, level)
    raise StepwardError(
        f"unknown stopping rule {name!r}: expected {', '.join(RULES)}", code="unknown_name", field="stop"
    )


_NUMBER = r"[0-9.e+-]+"
_WRITTEN = re.compile(rf"(all|first_right|interval)\(([0-9]+)(?:, error=({_NUMBER}), level=({_NUMBER}))?\)")


def parse(rule: str) -> Stopping:
    """The rule that a record carries; `parse(str(rule)) == rule`.

    Raises:
        StepwardError: It is none that this Stepward writes.
    """
    written = _WRITTEN.fullmatch(rule)
    if written is None or (written[1] == "interval") != (written[3] is not None):
        raise StepwardError(
            f"unknown stopping rule {rule!r}: expected such as all(16), as this Stepward writes it",
            code="unreadable",
            field="rule",
        )
    try:
        return make_stopping(written[1], int(written[2]), float(written[3] or 0.5), float(written[4] or 0.5))
    except ValueError as error:
        raise StepwardError(
            f"unknown stopping rule {rule!r}: its numbers can't be read", code="unreadable", field="rule"
        ) from error
