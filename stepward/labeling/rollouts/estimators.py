"""What counts say of a prefix's chance p, when the counts themselves decided how many were drawn.

Stopping at a right completion makes right / drawn too large in the mean. The first completion alone is unbiased, but
wastes the others. So the estimate is the chance that the first one was right, given all that the counts tell:

    (orders of draws that lead to these counts and begin with a right one) / (all orders that lead to them).

By Rao and Blackwell it is unbiased and never worse than the first alone. It is the estimate of Girshick, Mosteller and
Savage (1946), "Unbiased estimates for certain binomial sampling problems with applications", Ann. Math. Stat. 17. For a
fixed number of draws it is right / drawn. For `first_right` it is the share in the first wave, which is one draw: a
rule that looks for a yes tells little of how often.

Void draws (see `stepward.labeling.rollouts.stopping`) are a third outcome, and "the first" is the first that counts:
whether a draw is void doesn't tell whether the next that counts is right, so the estimate stays unbiased for the share
of right ones among those that count. What it can't mend is a fault that befalls right completions more than wrong ones,
such as a time limit.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import comb

from stepward.errors import StepwardError
from stepward.labeling.rollouts.stopping import All, Stopping, parse
from stepward.records import StepRollouts

POOL = "pool"
"""How the rule of a pooled record begins (stepward.labeling.rollouts.pooling)."""

Counts = tuple[int, int, int]
"""Of one prefix: drawn, right and void."""


def estimate(counts: StepRollouts) -> float | None:
    """The share of right completions from a prefix, without bias; None where no draw counts.

    A record without a rule, such as a whole solution's or one from elsewhere, was drawn from a fixed number of times.
    For a pooled record it is the mean of the completers' own estimates: the chance of one of them, picked at random.

    Raises:
        StepwardError: The counts can't come from the rule that the record names.
    """
    if counts.drawn == 0:
        return None
    if counts.rule.startswith(POOL):
        return _pooled(counts)
    if not counts.rule:
        return counts.right / counts.drawn
    return _named(counts, counts.rule, counts.drawn, counts.right, counts.draws - counts.drawn)


def unbiased(rule: Stopping, drawn: int, right: int, void: int = 0) -> float:
    """The unbiased estimate of p from the counts of one prefix.

    Args:
        rule: When drawing stopped.
        drawn: Completions that count, at least 1.
        right: The right ones among them.
        void: Draws that gave none.

    Raises:
        ValueError: The rule never comes to these counts.
    """
    if not 0 <= right <= drawn or drawn < 1:
        raise ValueError(f"expected drawn >= 1 and right in 0..drawn, not {right} of {drawn}")
    if isinstance(rule, All):
        return right / drawn
    orders, begin_right = _orders(rule, void).get((drawn, right, void), (0, 0))
    if not orders:
        raise ValueError(f"{rule} never comes to {right} right of {drawn} with {void} void")
    return begin_right / orders


def stopping_distribution(rule: Stopping, p: float) -> Iterator[tuple[int, int, float]]:
    """Every pair of drawn and right at which the rule ends, with its probability where each draw is right with `p`."""
    for (drawn, right, _), (orders, _) in _orders(rule, 0).items():
        if rule.more(drawn, right) == 0:
            yield drawn, right, orders * p**right * (1 - p) ** (drawn - right)


def mixed_stopping_distribution(rule: Stopping) -> Iterator[tuple[int, int, float]]:
    """As `endings`, where all p are equally likely."""
    for (drawn, right, _), (orders, _) in _orders(rule, 0).items():
        if rule.more(drawn, right) == 0:
            yield drawn, right, orders / ((drawn + 1) * comb(drawn, right))


def expected_draws(rule: Stopping, p: float) -> float:
    """The mean number of completions that the rule draws at a prefix whose completions are right with probability p."""
    return sum(drawn * chance for drawn, _, chance in stopping_distribution(rule, p))


def _named(counts: StepRollouts, rule: str, drawn: int, right: int, void: int) -> float:
    try:
        return unbiased(parse(rule), drawn, right, void)
    except (StepwardError, ValueError) as error:
        raise StepwardError(
            f"rollouts {counts.id} of completer {counts.completer!r}: {error}",
            code=error.code if isinstance(error, StepwardError) else "mismatch",
            field=counts.id,
        ) from error


def _pooled(counts: StepRollouts) -> float:
    """The mean of the estimates of the parts that a pooled record's rule lists."""
    found = []
    for part in counts.rule.removeprefix(POOL).strip("[]").split("; "):
        share, _, rule = part.partition(" ")
        numbers = share.replace("+", "/").split("/")
        if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
            raise StepwardError(
                f"rollouts {counts.id}: the pooled rule {counts.rule!r} can't be read",
                code="unreadable",
                field=counts.id,
            )
        right, drawn, void = (int(number) for number in numbers)
        found.append(_named(counts, rule or str(All(drawn + void)), drawn, right, void))
    return sum(found) / len(found)


@lru_cache(maxsize=256)
def _orders(rule: Stopping, most_void: int) -> dict[Counts, tuple[int, int]]:
    """For all counts that a rule comes to: in how many orders, and in how many of them the first one counted is right.

    Wave by wave: a wave of w draws, x of them right and y void, has w! / (x! y! (w - x - y)!) orders. If nothing
    counted before it, x in (w - y) of these begin with a right one.
    """
    found: dict[Counts, tuple[int, int]] = {(0, 0, 0): (1, 0)}
    by_draws: list[list[Counts]] = [[(0, 0, 0)]] + [[] for _ in range(rule.most)]
    for states in by_draws:
        for drawn, right, void in states:
            orders, begin_right = found[drawn, right, void]
            wave = rule.more(drawn, right, void)
            for lost in range(min(wave, most_void - void) + 1) if wave else ():
                kept = wave - lost
                for hits in range(kept + 1):
                    ways = comb(wave, lost) * comb(kept, hits)
                    first = ways * hits // kept if kept and not drawn else 0
                    after = (drawn + kept, right + hits, void + lost)
                    if after not in found:
                        by_draws[sum(after) - after[1]].append(after)
                    before = found.get(after, (0, 0))
                    found[after] = (before[0] + orders * ways, before[1] + begin_right * ways + orders * first)
    return found
