"""Whether what a stage drew can mean anything: it is refused where it can't, and doubted where much of it is void.

Everything is told from the facts of finished units, so a run that goes on, or that was merged, is judged like one that
was done at once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stepward.errors import StepwardError
from stepward.pipeline.engines import completers
from stepward.pipeline.stages.set_aside import units_of
from stepward.recipes.run import Recipe
from stepward.storage.manifest import Manifest
from stepward.storage.run_dir import BY, SPLITS

DOUBTED = {"cut": 0.2, "empty": 0.2, "failed": 0.05, "alike": 0.5, "untold": 0.0}
"""The share of each from which it is said."""
FEWEST, FEWEST_COLD = 10, 200
"""So many draws can't be alike by chance; at a temperature below `WARM`, an able model's few draws on easy problems
can."""
WARM = 0.5
SURE = 0.02
"""Labels of which less than this share is right, or wrong, are doubted."""

_WORDS = {
    "cut": "were cut at max_new_tokens",
    "empty": "are empty",
    "failed": "failed",
    "alike": "have draws that are all alike, though the temperature is above 0",
    "untold": "are by a server of which it can't be told whether it goes on from the steps of a prefix",
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that a run's reader has to know.

    Attributes:
        stage: The stage that made it.
        of: Which split, completer or kind of labels.
        what: `cut`, `empty`, `failed`, `alike`, `untold` (by a server that may not see the prefix), `right` (none or
            nearly none is right) or `wrong`.
        count: How many.
        total: Of how many.
    """

    stage: str
    of: str
    what: str
    count: int
    total: int

    def __str__(self) -> str:
        """In words, with its share."""
        said = _WORDS.get(self.what, f"are {self.what}")
        unit = {"alike": "prefixes" if self.stage == "rollouts" else "problems"}.get(self.what, "")
        share = f"{self.count / self.total:.1%} ({self.count:,} of {self.total:,}{' ' + unit if unit else ''})"
        return f"{self.stage}, {self.of}: {share} {said}"


@dataclass(slots=True)
class Drawn:
    """What was drawn for one split, or by one completer.

    Attributes:
        stage: `solutions` or `rollouts`.
        of: The split, or the completer.
        temperature: How it was drawn; None where others drew it.
        draws: How many were tried.
        cut: Those that the token limit cut.
        empty: Those without text.
        failed: Those that the engine could not give.
        right: Those that are right.
        repeated: Problems or prefixes that were drawn from more than once.
        alike: Those of them whose draws are all the same.
        untold: Draws by a server of which it can't be told whether it goes on from prefixes.
    """

    stage: str
    of: str
    temperature: float | None
    draws: int = 0
    cut: int = 0
    empty: int = 0
    failed: int = 0
    right: int = 0
    repeated: int = 0
    alike: int = 0
    untold: int = 0

    def add(self, facts: Mapping[str, Any]) -> None:
        """Takes in one more unit."""
        names = ("cut", "empty", "failed", "right", "repeated", "alike", "untold")
        if self.stage == "rollouts":
            self.draws += facts["completions"] + facts["empty"] + facts["failed"]
            work = facts.get("work", {})
            facts = {**facts, **work.get("seen", {}), "untold": work.get("untold", 0)}
        else:
            self.draws += facts["draws"]
        for name in names:
            setattr(self, name, getattr(self, name) + facts.get(name, 0))

    @property
    def all_alike(self) -> bool:
        """Whether drawing again gave the same every time, which a temperature above 0 should not."""
        fewest = FEWEST if (self.temperature or 0) >= WARM else FEWEST_COLD
        return bool(self.temperature) and self.draws >= fewest and 0 < self.repeated == self.alike

    def fault(self) -> str:
        """Why nothing can be learned from it; empty where something can."""
        if self.draws and self.cut + self.empty + self.failed >= self.draws:
            found = {"cut at max_new_tokens": self.cut, "empty": self.empty, "failed": self.failed}
            return f"none of {self.draws:,} draws is whole: " + ", ".join(f"{n:,} {how}" for how, n in found.items())
        if self.all_alike:
            return (
                f"the draws of each of {self.repeated:,} prompts are all alike at temperature {self.temperature:g}: "
                "the engine does not sample, or ignores its seeds"
            )
        return ""

    def doubts(self) -> Iterator[Doubt]:
        """What is above its share."""
        for what, share in DOUBTED.items():
            total = self.repeated if what == "alike" else self.draws
            if total and getattr(self, what) > share * total and (what != "alike" or self.temperature):
                yield Doubt(self.stage, self.of, what, getattr(self, what), total)
        if self.draws and self.right in (0, self.draws):
            yield Doubt(self.stage, self.of, "right", self.right, self.draws)


def drawn(manifest: Manifest, recipe: Recipe, stage: str) -> list[Drawn]:
    """What was drawn in a stage, by split or completer."""
    found: dict[str, Drawn] = {}
    for unit, facts in sorted(units_of(manifest, stage).items()):
        if stage == "solutions":
            if "draws" not in facts:
                raise StepwardError(
                    f"{manifest.folder}: stages.solutions.units.{unit}.draws: missing; the manifest is damaged",
                    code="unreadable", file=manifest.folder, field=f"stages.solutions.units.{unit}.draws",
                )  # fmt: skip
            of = unit.partition("-")[0]
            temperature = None if recipe.solutions.path is not None else recipe.generator.temperature
        else:
            name = unit.partition(BY)[2]
            section = completers(recipe)[name]
            of, temperature = name or section.model, section.temperature
        found.setdefault(of, Drawn(stage, of, temperature)).add(facts)
    return list(found.values())


def check_drawn(manifest: Manifest, recipe: Recipe, stage: str, training: bool, whole: bool = True) -> None:
    """Refuses a stage from whose draws nothing can be learned or measured, before anything is trained.

    Args:
        manifest: The run's; the stage is done.
        recipe: The run's.
        stage: `solutions` or `rollouts`.
        training: Whether reward models will be trained and measured.
        whole: Whether all that is drawn is there; one part's draws may be of one class where all parts' are not.

    Raises:
        StepwardError: With the code `degenerate`: all draws were cut, empty or failed; all are alike; or all are wrong,
            or right, where that leaves one class to learn from, or nothing to choose from.
    """
    for one in drawn(manifest, recipe, stage):
        if fault := one.fault() or (_one_class(one, recipe, training) if whole else ""):
            raise StepwardError(
                f"{stage}, {one.of}: {fault}; mend the recipe or the engine and run under another name",
                code="degenerate", file=manifest.folder, field=f"{stage}.{one.of}",
            )  # fmt: skip


def _one_class(one: Drawn, recipe: Recipe, training: bool) -> str:
    """Why solutions that are all right, or all wrong, are of no use; empty where they are, or are not so."""
    if one.stage != "solutions" or not one.draws or one.right not in (0, one.draws):
        return ""
    found = f"{one.right:,} of {one.draws:,} draws are right"
    if one.of == "reward" and "orm" in recipe.labels.kinds and recipe.rewards.of is None:
        return f"{found}: orm labels are of one class"
    return f"{found}: there is nothing to choose between" if one.of == "test" and training else ""


def doubts(
    manifest: Manifest, recipe: Recipe, stages: Iterable[str] = ("solutions", "rollouts", "labels")
) -> list[Doubt]:
    """What has to be said of a run's records, in the order of its stages."""
    found: list[Doubt] = []
    for stage in stages:
        if stage == "labels":
            found += _label_doubts(manifest)
            continue
        parts = drawn(manifest, recipe, stage)
        order = {split: place for place, split in enumerate(SPLITS)}
        for one in sorted(parts, key=lambda part: order.get(part.of, 0)):
            found += one.doubts()
    return found


def _label_doubts(manifest: Manifest) -> Iterator[Doubt]:
    for kind, facts in sorted(units_of(manifest, "labels").items()):
        mean = facts.get("mean")
        if mean is not None and not SURE <= mean <= 1 - SURE:
            yield Doubt("labels", kind, "right", round(mean * facts["steps"]), facts["steps"])
