"""Completers for tests: one that follows a script, and one whose chances are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stepward.generation.interface import Completion, Prompt, Sampling, Usage, uniforms
from stepward.records import Problem, Solution, solution_id

PROBLEM = Problem("p", "What is 1 + 2 + 3?", "6")
OTHER = Problem("q", "What is 1 + 1?", "2")
SAMPLING = Sampling(0.7, 0.9, 20)


def same(reference: str, answer: str | None) -> bool:
    """Grades by equality."""
    return reference == answer


def whole(text: str) -> Completion:
    """A completion that ended by itself, of a token a word."""
    return Completion(text, True, len(text.split()) + 1)


def attempt(
    *steps: str, answer: str | None, cut: bool = False, problem: Problem = PROBLEM, copies: int = 1
) -> Solution:
    """A graded solution, as `draw_solutions` writes it."""
    identity = solution_id(problem.id, steps) + ("+cut" if cut else "")
    return Solution(identity, problem.id, steps, answer, answer == problem.reference, copies, finished=not cut)


class ScriptedCompleter:
    """Answers every prefix with the completions listed for its last step, over and over; draw j is the j-th."""

    name = "script"

    def __init__(self, script: dict[str, list[Completion]]) -> None:
        self.script = script
        self.asked: list[Prompt] = []
        self.calls: list[tuple[Sampling, int]] = []
        self.meter = Usage()

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        """The script's completions."""
        self.asked += prompts
        self.calls.append((sampling, seed))
        return [
            [options[draw % len(options)] for draw in range(prompt.first, prompt.first + prompt.count)]
            for prompt in prompts
            for options in [self.script.get(prompt.steps[-1], [whole("The answer is 0.")])]
        ]


@dataclass
class ChanceCompleter:
    """Draw j of a prefix is right with the chance that `chance` gives its steps, by `uniforms` alone.

    Attributes:
        chance: The chance of a right completion, by the prefix's steps.
        empty: The share of draws with no text.
        failed: The share of draws that fail.
        answer: What a right completion states.
    """

    chance: Callable[[tuple[str, ...]], float]
    empty: float = 0.0
    failed: float = 0.0
    answer: str = "6"
    name: str = "chance"
    rounds: int = 0
    asked: list[Prompt] = field(default_factory=list)
    meter: Usage = field(default_factory=Usage)

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        """Right, wrong, empty or failed completions."""
        self.rounds += 1
        self.asked += prompts
        return [
            [self._one(prompt, seed, draw) for draw in range(prompt.first, prompt.first + prompt.count)]
            for prompt in prompts
        ]

    def draws(self) -> int:
        """How many completions were asked for."""
        return sum(prompt.count for prompt in self.asked)

    def _one(self, prompt: Prompt, seed: int, draw: int) -> Completion:
        void, hit, wrong = (float(number) for number in uniforms(seed, prompt.id, draw, 3))
        if void < self.empty:
            return Completion("", True, 1)
        if void < self.empty + self.failed:
            return Completion("", False, 0, "timeout")
        if hit < self.chance(prompt.steps):
            return whole(f"So.\nThe answer is {self.answer}.")
        return whole(f"Hm {int(wrong * 4)}.\nOr so.\nThe answer is -1.")
