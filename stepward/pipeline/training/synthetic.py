"""The arithmetic world as training data: careless solutions with their checker's labels, and preferences.

It is what the small twins of the training recipes learn from, so that they need no other file.
"""

from collections.abc import Iterator
from random import Random

from stepward.problems.arithmetic.checker import first_error
from stepward.problems.arithmetic.dataset import stories
from stepward.problems.arithmetic.story import Story, careless_solution
from stepward.records import LabelledSolution, Message, Preference, join_steps, preference_id

SOLUTIONS = 4
"""Solutions of one problem."""

_LEVELS = (1, 2, 3)
_SLIP = 0.1
_REPEATED = 0.2
"""Share of the solutions in which a right step is said twice: neither an error nor a step ahead, so neutral."""

_TRIES = 24


def world_solutions() -> Iterator[LabelledSolution]:
    """Endless solutions, those of one problem together; wrong from the first error on."""
    for number, story in enumerate(stories("reward", levels=_LEVELS)):
        for draw in range(SOLUTIONS):
            yield _solution(story, Random(f"{number}/{draw}"))


def world_preferences() -> Iterator[Preference]:
    """Endless preferences as plain text: a right solution is preferred to a wrong one of the same problem."""
    for number, story in enumerate(stories("reward", levels=_LEVELS)):
        right, wrong = None, None
        for draw in range(_TRIES):
            written = careless_solution(story, Random(f"{number}/{draw}"), _SLIP)
            if first_error(story.text, written) is None:
                right = right or written
            else:
                wrong = wrong or written
        if right and wrong:
            prompt, chosen, rejected = (
                (Message("", text),) for text in (story.text + "\n", join_steps(right), join_steps(wrong))
            )
            yield Preference(preference_id(prompt, chosen, rejected), prompt, chosen, rejected)


def _solution(story: Story, random: Random) -> LabelledSolution:
    written = careless_solution(story, random, _SLIP)
    error = first_error(story.text, written)
    wrong = len(written) if error is None else min(error.step, len(written) - 1)
    labels: list[float | None] = [float(index < wrong) for index in range(len(written))]
    neutral: tuple[int, ...] = ()
    if wrong and random.random() < _REPEATED:
        written.insert(wrong, written[wrong - 1])
        labels.insert(wrong, None)
        neutral = (wrong,)
    return LabelledSolution(story.text, tuple(written), tuple(labels), neutral, correct=error is None)
