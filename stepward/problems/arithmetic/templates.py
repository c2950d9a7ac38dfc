"""The sentences of the arithmetic world: what each means, and how a careless reader takes it.

A random slip of arithmetic can't be seen by a reward model of a laptop's size (docs/log.md), but a misreading
can: it is a wording on one side and an operation on the other. So the world's solvers go wrong mostly by
misreading, and each wording says how often. A majority of solutions may share a misreading, which is what
leaves room for a reward model.
"""

import re
from dataclasses import dataclass
from functools import cached_property

NAMES = ("Tom", "Mia", "Ben", "Ann", "Sam", "Eva", "Leo", "Zoe")
THINGS = ("apples", "books", "coins", "shells", "cards", "pens")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MULTIPLIERS = (2, 3)
SMALL = tuple(range(2, 10))


@dataclass(frozen=True)
class Update:
    """One change to one person's count: `who` is the sentence's first or second person, `slot` its number."""

    who: str
    operation: str
    slot: str = "n"


@dataclass(frozen=True)
class Wording:
    """A sentence with what it does to the counts.

    Attributes:
        template: Text after "On <day> ", with `{a}` and `{b}` for people, `{n}` and `{m}` for numbers and `{t}` for
            the thing.
        meaning: The updates the sentence really says, in order; empty for a distractor.
        misreading: The updates a careless reader takes from it, or None where nobody misreads it.
        share: How often the generator's training data take the misreading, in [0, 1].
    """

    template: str
    meaning: tuple[Update, ...]
    misreading: tuple[Update, ...] | None = None
    share: float = 0.0

    @property
    def people(self) -> int:
        """How many people the sentence names."""
        return 2 if "{b}" in self.template else 1

    @property
    def numbers(self) -> tuple[int, ...]:
        """The values that the sentence's first number may take."""
        multiplies = any(update.operation == "*" for update in self.meaning)
        return MULTIPLIERS if multiplies else SMALL

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the sentence and captures its people, numbers and thing."""
        text = re.escape(self.template).replace(r"\{", "{").replace(r"\}", "}")
        groups = {slot: rf"(?P<{slot}>[A-Z][a-z]+)" for slot in "ab"} | {slot: rf"(?P<{slot}>[0-9]+)" for slot in "nm"}
        return re.compile(text.format(t="(?P<t>[a-z]+)", **groups))


def _self(operation: str, slot: str = "n") -> tuple[Update, ...]:
    return (Update("a", operation, slot),)


_GIVES = (Update("a", "-"), Update("b", "+"))
_TAKES = (Update("a", "+"), Update("b", "-"))

PLAIN = (
    Wording("{a} finds {n} {t}.", _self("+")),
    Wording("{a} buys {n} {t}.", _self("+")),
    Wording("{a} gets {n} {t}.", _self("+")),
    Wording("{a} wins {n} {t}.", _self("+")),
    Wording("{a} loses {n} {t}.", _self("-")),
    Wording("{a} sells {n} {t}.", _self("-")),
    Wording("{a} gives away {n} {t}.", _self("-")),
    Wording("{a} drops {n} {t}.", _self("-")),
    Wording("the number of {t} of {a} becomes {n} times as big.", _self("*")),
)

TRICKY = (
    Wording("{a} lends out {n} {t}.", _self("-"), _self("+"), 0.60),
    Wording("{a} is repaid {n} {t}.", _self("+"), _self("-"), 0.55),
    Wording("{a} borrows {n} {t}.", _self("+"), _self("-"), 0.60),
    Wording("{a} pays back {n} {t}.", _self("-"), _self("+"), 0.50),
    Wording("the {t} of {a} grow {n} fold.", _self("*"), _self("+"), 0.60),
    Wording("{a} is relieved of {n} {t}.", _self("-"), _self("+"), 0.55),
    Wording("{a} is spared {n} {t} by a friend.", _self("+"), _self("-"), 0.55),
    Wording("{a} sells {n} {t} for {m} dollars each.", _self("-"), _self("-", "m"), 0.55),
    Wording("{a} pays {m} dollars for {n} {t}.", _self("+"), _self("+", "m"), 0.60),
    Wording("a thief takes {n} {t} of {a}.", _self("-"), (), 0.55),
    Wording("the aunt of {a} sends {n} {t}.", _self("+"), (), 0.50),
)

DISTRACTORS = (
    Wording("{a} reads {n} pages.", ()),
    Wording("it rains for {n} hours.", ()),
    Wording("{a} walks {n} miles.", ()),
    Wording("{a} admires {n} {t} in a shop.", (), _self("+"), 0.55),
    Wording("{a} nearly loses {n} {t}.", (), _self("-"), 0.60),
)

TRANSFERS = (
    Wording("{a} gives {b} {n} {t}.", _GIVES),
    Wording("{a} takes {n} {t} from {b}.", _TAKES),
)

TRICKY_TRANSFERS = (
    Wording("{a} lends {b} {n} {t}.", _GIVES, _TAKES, 0.55),
    Wording("{a} is lent {n} {t} by {b}.", _TAKES, _GIVES, 0.60),
    Wording("{a} trades {n} {t} with {b} for nothing.", _GIVES, _self("-"), 0.50),
)

WORDINGS = PLAIN + TRICKY + DISTRACTORS + TRANSFERS + TRICKY_TRANSFERS
