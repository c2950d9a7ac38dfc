"""How a reward model is trained, and what its training reports."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stepward.errors import StepwardError
from stepward.rendering import Rendering
from stepward.reward_models.configs import ORMConfig, PRMConfig
from stepward.reward_models.data.from_records import OUTCOME_KINDS

KINDS = (*OUTCOME_KINDS, "hard", "soft", "er", "oracle", "prm_process")


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a reward model is trained. The defaults suit the embedded generator, of a million parameters.

    Attributes:
        kind: One of `KINDS`; `OUTCOME_KINDS` put the solution's label on each token of its steps, others on step ends.
        epochs: Times each solution is seen.
        learning_rate: At its highest, after the warm-up; it falls to 0 along a cosine.
        batch: Solutions in one forward pass; those of one problem come together.
        accumulation: Forward passes in one optimiser step; it changes memory, not the loss.
        warmup: Share of the steps over which the learning rate rises, in [0, 1).
        weight_decay: AdamW's.
        max_gradient: The gradient's norm is clipped to this.
        max_length: Longest solution, in tokens; also bounded by the model's positions.
        too_long: `drop` leaves longer solutions out and counts them, `refuse` stops.
        share_prefixes: Whether a problem's solutions are read as one tree; False for models that are not plain
            attention.
        rendering: The separators.
    """

    kind: str
    epochs: int = 4
    learning_rate: float = 1e-3
    batch: int = 32
    accumulation: int = 1
    warmup: float = 0.05
    weight_decay: float = 0.01
    max_gradient: float = 1.0
    max_length: int = 1024
    too_long: Literal["drop", "refuse"] = "drop"
    share_prefixes: bool = True
    rendering: Rendering = field(default_factory=Rendering)

    def __post_init__(self) -> None:
        """Raises StepwardError naming the first setting that makes no sense."""
        whole = ("epochs", "batch", "accumulation", "max_length")
        checks = [(name, getattr(self, name) >= 1, "at least 1") for name in whole]
        checks += [
            ("kind", self.kind in KINDS, f"one of {', '.join(KINDS)}"),
            ("too_long", self.too_long in ("drop", "refuse"), "drop or refuse"),
            ("warmup", 0 <= self.warmup < 1, "in [0, 1)"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "at least 0"),
            ("learning_rate", 0 < self.learning_rate < math.inf, "above 0"),
            ("max_gradient", 0 < self.max_gradient < math.inf, "above 0"),
        ]
        for name, good, expected in checks:
            if not good:
                raise StepwardError(
                    f"training setting {name} is {getattr(self, name)!r}: expected {expected}",
                    code="bad_value",
                    field=name,
                )

    def config(self, folder: Path, seed: int) -> PRMConfig | ORMConfig:
        """The trainer's settings that say the same; nothing is logged or saved on the way."""
        kind = ORMConfig if self.kind in OUTCOME_KINDS else PRMConfig
        return kind(
            str(folder),
            num_labels=1,
            num_train_epochs=self.epochs,
            per_device_train_batch_size=self.batch,
            gradient_accumulation_steps=self.accumulation,
            learning_rate=self.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=self.warmup,
            weight_decay=self.weight_decay,
            max_grad_norm=self.max_gradient,
            max_length=self.max_length,
            too_long=self.too_long,
            pack="tree" if self.share_prefixes else "padded",
            prompt_separator=self.rendering.question_separator,
            step_separator=self.rendering.step_separator,
            step_token=self.rendering.step_token,
            seed=seed,
            data_seed=seed,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training did; saved as `training.json` in the model's folder.

    Attributes:
        kind: The labels' kind.
        seed: Its seed.
        epochs: Times each solution was seen.
        losses: Mean loss of each optimiser step's labelled positions, in nats; all steps, from the first.
        solutions: Distinct solutions trained on.
        too_long: Solutions left out because they exceed the longest length.
        unlabelled: Solutions left out because none of their steps has a label.
        labelled: Labelled positions in one epoch, counted once a solution.
        tokens: Tokens computed in one epoch, without padding.
        plain_tokens: Tokens of the solutions, each counted alone.
        seconds: Wall-clock time of the optimisation.
    """

    kind: str
    seed: int
    epochs: int
    losses: tuple[float, ...]
    solutions: int
    too_long: int
    unlabelled: int
    labelled: int
    tokens: int
    plain_tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Tokens computed in a second."""
        return self.tokens * self.epochs / self.seconds
