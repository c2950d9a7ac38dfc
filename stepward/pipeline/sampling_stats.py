"""What drawing has come to so far: rates, and how much work was saved and by what, from the facts of finished units."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from stepward.generation.interface import Completion, Generator, Prompt, Sampling, Usage
from stepward.records import split_steps


class SamplingStats:
    """Adds up the facts of units of solutions or rollouts.

    Args:
        most: Completions that a prefix gets at most; None where solutions are drawn.
    """

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self.start = time.monotonic()
        self.sums: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def add(self, facts: Mapping[str, Any]) -> None:
        """Takes in one more unit."""
        work = facts.get("work", {})
        self.errors.update(work.get("errors", {}))
        for part in (facts, work):
            self.sums.update({name: value for name, value in part.items() if isinstance(value, int | float)})
        self.sums["set aside"] += len(facts.get("set_aside", ()))

    def saved(self) -> dict[str, float]:
        """The shares of the work that were not done, by why, each of what was left by those before it.

        `shared`: prefixes that several solutions have, drawn from once. `stopped`: completions not drawn since enough
        was known. `forked`: tokens not decoded since another draw had written the same. `kept`: tokens of prefixes not
        read again.
        """
        sums = self.sums
        draws = sums["completions"] + sums["empty"] + sums["failed"]
        pairs = {
            "shared": (sums["asked"], sums["passed"]) if self.most else (0, 0),
            "stopped": (draws, sums["asked"] * self.most) if self.most else (0, 0),
            "forked": (sums["computed"], sums["generated"]) if sums["computed"] else (0, 0),
            "kept": (sums["prefilled"], sums["prefilled"] + sums["reused"]) if sums["reused"] else (0, 0),
        }
        found = {name: 1 - done / whole for name, (done, whole) in pairs.items() if whole}
        return {name: share for name, share in found.items() if share > 0.005}

    def sentence(self) -> str:
        """Rates, savings, cost and errors in one line."""
        seconds = max(time.monotonic() - self.start, 1e-9)
        parts = [f"{self.sums['generated'] / seconds:,.0f} tokens/s"] if self.sums["generated"] else []
        if saved := self.saved():
            parts.append("saved " + ", ".join(f"{share:.0%} {name}" for name, share in saved.items()))
        if self.sums["cost"]:
            parts.append(f"cost {self.sums['cost']:.2f}")
        faults = {name: self.sums[name] for name in ("empty", "failed", "set aside") if self.sums[name]}
        parts += [f"{count:,} {name}" for name, count in {**faults, **self.errors}.items()]
        return "; ".join(parts)


class ObservedGenerator:
    """An engine whose draws are looked at on their way: how many are cut, and whether drawing again gives the same.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Generator) -> None:
        self.engine = engine
        self._cut = self._empty = 0
        self._first: dict[str, str] = {}
        self._repeated: set[str] = set()
        self._differ: set[str] = set()

    @property
    def name(self) -> str:
        """The engine's."""
        return self.engine.name

    @property
    def meter(self) -> Usage:
        """The engine's."""
        return self.engine.meter

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        """As the engine does."""
        given = self.engine.complete(prompts, sampling, seed)
        for prompt, drawn in zip(prompts, given, strict=False):
            for one in drawn:
                if not one.fault:
                    self._look(prompt.id, one)
        return given

    def _look(self, prompt: str, one: Completion) -> None:
        self._cut += not one.finished
        self._empty += one.finished and not split_steps(one.text)
        if prompt in self._first:
            self._repeated.add(prompt)
        if self._first.setdefault(prompt, one.text) != one.text:
            self._differ.add(prompt)

    def seen(self) -> dict[str, int]:
        """Draws that the limit cut, those that are empty, prompts drawn from more than once, and those all alike."""
        alike = len(self._repeated - self._differ)
        return {"cut": self._cut, "empty": self._empty, "repeated": len(self._repeated), "alike": alike}
