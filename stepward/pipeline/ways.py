"""How a recipe is run this time: by whom, and how far."""

from dataclasses import dataclass
from pathlib import Path

from stepward.errors import StepwardError
from stepward.pipeline.ray_crew import Team
from stepward.pipeline.ray_workers import RayWorkers
from stepward.pipeline.workers import Workers

NAMES = ("problems", "solutions", "rollouts", "labels", "rewards", "scores", "evaluation", "report")
"""A run's stages, in their order."""


@dataclass(frozen=True)
class Ways:
    """How a recipe is run this time: nothing here changes a record.

    Attributes:
        workers: Worker processes; one a GPU, or a core where there is none, at most 8, if not given.
        threads: torch threads a worker; more than one may change the last digit of a score.
        until: The last stage to do.
        part: Of how many machines this is which, from 1: it does that share of the solutions and rollouts, and stops
            before what needs all of them; `merge` joins the parts.
        grow: Whether a finished run may be gone on from with more completions, or one completer more.
        ray: The address of a Ray cluster whose machines do the work, `auto` or `local` (docs/clusters.md); None: this
            machine's own processes do.
        gpus: GPUs of each worker; a part of one lets workers share it, 0 keeps them on the CPU. If not given, 1 where
            this machine has any, and 0 of Ray's.
    """

    workers: int | None = None
    threads: int = 1
    until: str | None = None
    part: tuple[int, int] | None = None
    grow: bool = False
    ray: str | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        """Raises StepwardError for a stage or part that there isn't."""
        if self.until is not None and self.until not in NAMES:
            raise StepwardError(
                f"--until {self.until}: expected one of {', '.join(NAMES)}", code="unknown_name", field="--until"
            )
        if self.part is not None and not 1 <= self.part[0] <= self.part[1]:
            raise StepwardError(
                f"--part {self.part[0]}/{self.part[1]}: expected I/N with I from 1 to N, such as 2/4",
                code="bad_value",
                field="--part",
            )
        if self.part is not None and self.until not in ("problems", "solutions", "rollouts", None):
            raise StepwardError(
                f"--until {self.until}: a part ends with the rollouts; merge the parts, then go on",
                code="conflict",
                field="--until",
            )

    def pool(self, folder: Path) -> Workers | RayWorkers:
        """Who works on a run in that folder."""
        if self.ray is None:
            return Workers(self.workers, self.threads, self.gpus)
        return RayWorkers(Team(folder, self.ray, self.workers, self.threads, self.gpus or 0.0))

    def stages(self) -> list[str]:
        """The stages to do, in order."""
        last = self.until or ("rollouts" if self.part else "report")
        return list(NAMES)[: list(NAMES).index(last) + 1]
