"""How the figures of scores from elsewhere came about: what was read, who graded, and by which rules."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from stepward.evaluation.best_of_n.voting import Ties

TIED = {"first": "the first in the file wins a vote of all candidates, else shared", "share": "shared"}
"""What becomes of answers that tie, in words."""


@dataclass(frozen=True, slots=True)
class SplitProvenance:
    """The test problems, or the validation problems.

    Attributes:
        files: What was read.
        problems: How many problems.
        candidates: How many solutions of all problems.
        fewest: The fewest of a problem.
        most: The most of a problem.
        without_answer: How many solutions have no answer; they count as wrong and vote for none.
        undecided: How many distinct answers grading did not end for; they count as wrong.
        alone: How many distinct wrong answers were not compared with all others of their problem, since that took too
            long; each votes alone.
    """

    files: tuple[str, ...]
    problems: int
    candidates: int
    fewest: int
    most: int
    without_answer: int
    undecided: int
    alone: int = 0

    def line(self) -> str:
        """It in words."""
        each = f"{self.most:,} each" if self.fewest == self.most else f"{self.fewest:,} to {self.most:,} each"
        undecided = f", {self.undecided:,} answers undecided (counted as wrong)" if self.undecided else ""
        alone = f", {self.alone:,} wrong answers that vote alone (comparing took too long)" if self.alone else ""
        return (
            f"{self.problems:,} problem{'s' * (self.problems > 1)}, {self.candidates:,} "
            f"candidate{'s' * (self.candidates > 1)} ({each}), {self.without_answer:,} without an answer (wrong, no "
            f"vote){undecided}{alone}"
        )


@dataclass(frozen=True, slots=True)
class Provenance:
    """What was measured, and by which rules.

    Attributes:
        test: What was measured on.
        validation: What voting and aggregation were chosen by; None where nothing was chosen.
        grader: Who graded: a grader's name, or None where the rows say `correct`.
        ties: What becomes of answers that tie in a vote of all candidates.
        rewards: Whether scores are one number of any size a solution.
        in_unit: Whether all of them lie in [0, 1] even so, as probabilities do.
        models: `<method>/seed-<seed>` of every model.
    """

    test: SplitProvenance
    validation: SplitProvenance | None
    grader: str | None
    ties: Ties
    rewards: bool
    in_unit: bool
    models: tuple[str, ...]

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> "Provenance":
        """What `dataclasses.asdict` made of one.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is of another type.
        """
        given = {field.name: content[field.name] for field in fields(cls)}
        for name in ("test", "validation"):
            if given[name] is not None:
                given[name] = SplitProvenance(**{**given[name], "files": tuple(given[name]["files"])})
        return cls(**{**given, "models": tuple(given["models"])})

    @property
    def graded_by(self) -> str:
        """Who graded, in words."""
        return "the rows' own `correct`" if self.grader is None else self.grader

    def lines(self) -> list[str]:
        """What a reader of the figures must know, a sentence or two a line."""
        lines = [f"{self.test.line()}; graded by {self.graded_by}; ties: {TIED[self.ties]}."]
        if self.validation is not None:
            lines.append(f"Validation: {self.validation.line()}.")
        if self.rewards:
            lines.append("Scores are rewards: best-of-N by their order, weighted votes by their logistic.")
        if self.rewards and self.in_unit:
            lines.append("All lie in [0, 1]: if they are probabilities, write them as step_scores: [p].")
        return lines
