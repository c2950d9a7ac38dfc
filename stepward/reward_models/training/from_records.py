"""Trains a reward model on records, as a run's stage does: from problems, solutions and labels to a whole folder."""

import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback, TrainerControl, TrainerState

from stepward.models import load_tokenizer, quiet
from stepward.records import Problem, Solution, StepLabels
from stepward.reward_models.data.from_records import OUTCOME_KINDS, labelled_rows
from stepward.reward_models.data.tokenization import NO_LABEL, TOO_LONG
from stepward.reward_models.model_dir import atomic_dir
from stepward.reward_models.training.settings import TrainingReport, TrainingSettings
from stepward.reward_models.training.step_trainers import ORMTrainer, PRMTrainer, StepTrainer

Progress = Callable[[int, int], None]
"""Told after each optimiser step: steps done, steps in all."""

REPORT = "training.json"


def train_reward_model(
    base: str | Path,
    problems: Sequence[Problem],
    solutions: Sequence[Solution],
    labels: Sequence[StepLabels],
    folder: Path,
    settings: TrainingSettings,
    seed: int,
    progress: Progress | None = None,
) -> TrainingReport:
    """Trains a reward model and saves it as a folder that plain transformers, and `load_scorer`, can load.

    On one thread the same arguments give the same weights. The seed draws the head and the order of the solutions.

    Args:
        base: Local folder of a causal language model with its tokenizer, for instance the generator's.
        problems: The solutions' problems.
        solutions: Distinct solutions; each counts once.
        labels: One a solution, all of `settings.kind`.
        folder: Where the model goes; an earlier reward model there is replaced, and only when this one is whole.
        settings: How to train.
        seed: At least 0.
        progress: Told of each optimiser step.

    Raises:
        StepwardError: A folder, record or setting that can't be used, or a loss that is no longer finite.
    """
    rows = labelled_rows(problems, solutions, labels, settings.kind)
    tokenizer = load_tokenizer(base)
    with atomic_dir(folder) as partial_folder:
        kind = ORMTrainer if settings.kind in OUTCOME_KINDS else PRMTrainer
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the report says what was left out
            trainer = kind(
                str(base), settings.config(partial_folder, seed), train_dataset=rows, processing_class=tokenizer
            )
        eta = labels[0].eta
        trainer.description = replace(trainer.description, kind=settings.kind, seed=seed, base=str(base), eta=eta)
        report = _train(trainer, settings, seed, progress)
        with quiet():
            trainer.save_model(str(partial_folder))
        (partial_folder / "training_args.json").unlink()  # its report says so, without this folder's name
        text = json.dumps({**asdict(report), "settings": asdict(settings)}, indent=2, allow_nan=False)
        (partial_folder / REPORT).write_text(text + "\n", encoding="utf-8")
    return report


def _train(trainer: StepTrainer, settings: TrainingSettings, seed: int, progress: Progress | None) -> TrainingReport:
    # Its prints would break the caller's own progress bar.
    trainer.remove_callback(PrinterCallback)
    if progress is not None:
        trainer.add_callback(_Reporter(progress))
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    counts = trainer.counts["train"]
    return TrainingReport(
        kind=settings.kind,
        seed=seed,
        epochs=settings.epochs,
        losses=tuple(trainer.losses),
        solutions=counts.kept,
        too_long=counts.fates.get(TOO_LONG, 0),
        unlabelled=counts.fates.get(NO_LABEL, 0),
        labelled=sum(len(row) for row in trainer.train_dataset["labels"]),
        tokens=trainer.tokens.computed // settings.epochs,
        plain_tokens=trainer.tokens.useful // settings.epochs,
        seconds=seconds,
    )


class _Reporter(TrainerCallback):
    """Passes each optimiser step on to the caller."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Tells the caller how far it is."""
        self._progress(state.global_step, state.max_steps)
