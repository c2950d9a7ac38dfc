"""A story of the arithmetic world: its text in both directions, and how it is solved, rightly or carelessly.

The text is all a solver or a checker needs: `read_story(story.text)` gives the story back, so no hidden column
travels beside a problem.
"""

import re
from dataclasses import dataclass
from random import Random

from stepward.problems.arithmetic.templates import DAYS, WORDINGS, Update, Wording

CAP = 99
"""Largest number in the world: the embedded tokenizer has one token a number up to here."""

LATE_QUESTION_MISREAD = 0.5
"""Share of the generator's training solutions that answer "before <day>" with the final count."""

_OPENING = re.compile(
    r"On Monday (?P<a>[A-Z][a-z]+) has (?P<x>[0-9]+) (?P<t>[a-z]+)(?: and (?P<b>[A-Z][a-z]+) has (?P<y>[0-9]+))?\."
)
_SENTENCE = re.compile(r"On (?P<day>[A-Z][a-z]+) (?P<rest>[^.]*\.) ?")
_QUESTION = re.compile(
    r"How many (?P<t>[a-z]+) (?:does (?P<now>[A-Z][a-z]+) have now|"
    r"did (?P<past>[A-Z][a-z]+) have before (?P<day>[A-Z][a-z]+)|"
    r"do (?P<c>[A-Z][a-z]+) and (?P<d>[A-Z][a-z]+) have together)\?"
)


@dataclass(frozen=True)
class Event:
    """What one day's sentence says: its wording, its people and its numbers."""

    day: str
    wording: Wording
    a: str
    b: str | None
    n: int
    m: int | None = None

    def text(self, thing: str) -> str:
        """The sentence as it stands in the problem."""
        return f"On {self.day} " + self.wording.template.format(a=self.a, b=self.b, n=self.n, m=self.m, t=thing)

    def person(self, update: Update) -> str:
        """Whose count the update changes."""
        name = self.a if update.who == "a" else self.b
        assert name is not None, "a wording that changes a second person names one"
        return name

    def operand(self, update: Update) -> int:
        """The number the update applies."""
        value = self.n if update.slot == "n" else self.m
        assert value is not None, "a wording that uses a second number has one"
        return value


@dataclass(frozen=True)
class Story:
    """A problem of the world, before it is text.

    Attributes:
        thing: What is counted.
        starts: Monday's count of each person, in order of appearance.
        events: The later days' sentences, one a day.
        asked: The person asked about, or None for the sum of both.
        before: The day before which is asked, or None for the end.
    """

    thing: str
    starts: tuple[tuple[str, int], ...]
    events: tuple[Event, ...]
    asked: str | None
    before: str | None = None

    @property
    def text(self) -> str:
        """The problem in plain English."""
        (first, count), *others = self.starts
        opening = f"On Monday {first} has {count} {self.thing}"
        opening += "".join(f" and {name} has {start}" for name, start in others) + "."
        return " ".join([opening, *(event.text(self.thing) for event in self.events), self._question()])

    def _question(self) -> str:
        if self.asked is None:
            first, second = (name for name, _ in self.starts)
            return f"How many {self.thing} do {first} and {second} have together?"
        if self.before is None:
            return f"How many {self.thing} does {self.asked} have now?"
        return f"How many {self.thing} did {self.asked} have before {self.before}?"

    @property
    def signature(self) -> str:
        """What the story computes, whoever and whatever it is about: splits are disjoint in this."""
        roles = {name: str(index) for index, (name, _) in enumerate(self.starts)}
        parts = [",".join(str(start) for _, start in self.starts)]
        for event in self.events:
            parts.append(f"{WORDINGS.index(event.wording)}:{roles.get(event.a)}:{event.n}:{event.m}")
        days = [event.day for event in self.events]
        asked = "sum" if self.asked is None else roles[self.asked]
        parts.append(f"{asked}@{days.index(self.before) if self.before else 'end'}")
        return "|".join(parts)


@dataclass(frozen=True)
class Line:
    """One computed line of a solution; the day and person are empty in the sum of both people."""

    day: str
    person: str
    left: int
    operation: str
    right: int
    value: int

    @property
    def text(self) -> str:
        """The line as it stands in a solution; the sum of both people has no day."""
        if not self.day:
            return f"Together they have {self.left} {self.operation} {self.right} = {self.value}."
        return f"{self.day}: {self.person} has {self.left} {self.operation} {self.right} = {self.value}."


def apply(left: int, operation: str, right: int) -> int:
    """The value of one operation of the world."""
    return {"+": left + right, "-": left - right, "*": left * right}[operation]


def read_story(text: str) -> Story:
    """Reads a problem's text back into its story.

    Raises:
        ValueError: The text is not of this world; says where it stops being one.
    """
    opening = _OPENING.match(text)
    if opening is None:
        raise ValueError(
            f"not a problem of the arithmetic world: expected 'On Monday <name> has ...', found {text[:60]!r}"
        )
    starts = [(opening["a"], int(opening["x"]))]
    if opening["b"]:
        starts.append((opening["b"], int(opening["y"])))
    position, events = opening.end() + 1, []
    while sentence := _SENTENCE.match(text, position):
        events.append(_read_event(sentence["day"], sentence["rest"]))
        position = sentence.end()
    question = _QUESTION.fullmatch(text, position)
    if question is None:
        raise ValueError(f"not a problem of the arithmetic world: no known question in {text[position:][:80]!r}")
    return Story(opening["t"], tuple(starts), tuple(events), question["now"] or question["past"], question["day"])


def _read_event(day: str, sentence: str) -> Event:
    if day not in DAYS:
        raise ValueError(f"not a problem of the arithmetic world: no day {day!r}")
    for wording in WORDINGS:
        if match := wording.pattern.fullmatch(sentence):
            found = match.groupdict()
            second = int(found["m"]) if found.get("m") else None
            return Event(day, wording, found.get("a", ""), found.get("b"), int(found["n"]), second)
    raise ValueError(f"not a problem of the arithmetic world: unknown sentence {sentence!r}")


def right_lines(story: Story) -> list[Line]:
    """The lines of the one right solution, without the answer line."""
    return _lines(story, [event.wording.meaning for event in story.events])[0]


def right_answer(story: Story) -> int:
    """The reference answer."""
    lines, counts = _lines(story, [event.wording.meaning for event in story.events])
    return _answer(story, lines, counts, careless=False)


def _lines(story: Story, readings: list[tuple[Update, ...]]) -> tuple[list[Line], list[dict[str, int]]]:
    """The lines under the given readings, and every person's count before each event and at the end."""
    now = dict(story.starts)
    history, lines = [], []
    for event, reading in zip(story.events, readings, strict=True):
        history.append(dict(now))
        for update in reading:
            person, right = event.person(update), event.operand(update)
            value = apply(now[person], update.operation, right)
            lines.append(Line(event.day, person, now[person], update.operation, right, value))
            now[person] = value
    history.append(dict(now))
    if story.asked is None:
        (first, _), (second, _) = story.starts
        lines.append(Line("", "", now[first], "+", now[second], now[first] + now[second]))
    return lines, history


def _answer(story: Story, lines: list[Line], history: list[dict[str, int]], careless: bool) -> int:
    if story.asked is None:
        return lines[-1].value
    if story.before is None or careless:
        return history[-1][story.asked]
    return history[[event.day for event in story.events].index(story.before)][story.asked]


def readings(story: Story) -> list[list[tuple[Update, ...]]]:
    """Both readings of each event, the right one first; one where nobody misreads it."""
    return [
        [event.wording.meaning] + ([] if event.wording.misreading is None else [event.wording.misreading])
        for event in story.events
    ]


def in_range(story: Story) -> bool:
    """Whether every count stays within 1..CAP whatever is misread."""
    states = {tuple(dict(story.starts).items())}
    for event, options in zip(story.events, readings(story), strict=True):
        following = set()
        for state in states:
            for reading in options:
                now = dict(state)
                for update in reading:
                    now[event.person(update)] = apply(
                        now[event.person(update)], update.operation, event.operand(update)
                    )
                if not all(1 <= value <= CAP for value in now.values()):
                    return False
                following.add(tuple(now.items()))
        states = following
    return story.asked is not None or all(sum(value for _, value in state) <= CAP for state in states)


def careless_solution(story: Story, random: Random, slip: float = 0.0, care: float = 0.0) -> list[str]:
    """A solution as the generator's training data have it: misread as each wording says, with rare slips.

    Args:
        story: What to solve.
        random: Source of the choices.
        slip: Chance that a line's arithmetic is off by one or ten, in [0, 1].
        care: How much rarer every misreading is than its wording says, in [0, 1]; at 1 nothing is misread.
    """
    chosen = []
    for event in story.events:
        wording = event.wording
        misread = wording.misreading is not None and random.random() < wording.share * (1 - care)
        chosen.append(wording.misreading if misread and wording.misreading is not None else wording.meaning)
    lines, history = _lines(story, chosen)
    if slip and random.random() < slip * len(lines):
        return _slipped(story, chosen, random)
    careless = random.random() < LATE_QUESTION_MISREAD * (1 - care)
    return [line.text for line in lines] + [answer_line(_answer(story, lines, history, careless))]


def _slipped(story: Story, chosen: list[tuple[Update, ...]], random: Random) -> list[str]:
    """The solution with one line's value off by one or ten, and all that follows from it."""
    lines, _ = _lines(story, chosen)
    at = random.randrange(len(lines)) if lines else 0
    shift = random.choice((-10, -1, 1, 10))
    now, texts = dict(story.starts), []
    for index, line in enumerate(lines):
        if line.day:
            value = apply(now[line.person], line.operation, line.right) + (shift if index == at else 0)
            value = min(max(value, 0), CAP)
            texts.append(Line(line.day, line.person, now[line.person], line.operation, line.right, value).text)
            now[line.person] = value
        else:
            left, right = now.values()
            value = min(left + right + (shift if index == at else 0), CAP)
            texts.append(Line("", "", left, "+", right, value).text)
    total = value if lines and story.asked is None else now[story.asked or story.starts[0][0]]
    return [*texts, answer_line(total)]


def answer_line(value: int) -> str:
    """The last line of every solution."""
    return f"The answer is {value}."
