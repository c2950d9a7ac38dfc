"""Trains a reward model of any kind on the transformers `Trainer`: our rows, our loss, their loop."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback, TrainerControl, TrainerState

from stepward.errors import StepwardError
from stepward.models import load_tokenizer
from stepward.records import Problem, Solution, StepLabels
from stepward.rendering import Renderer
from stepward.rewards.batching import LengthBatches, rows_tensor
from stepward.rewards.folder import Description, load_model, quiet, write_description, written_whole
from stepward.rewards.losses import binary_cross_entropy
from stepward.rewards.packing import Row
from stepward.rewards.preparation import Prepared, prepare
from stepward.rewards.settings import TrainingReport, TrainingSettings
from stepward.rewards.sharing import check_sharing

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

    On one thread the same arguments give the same weights. The seed draws the head and the order of the rows.

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
    started_from = Path(base)
    renderer = Renderer(load_tokenizer(started_from), settings.rendering)
    set_seed(seed)
    model = load_model(started_from)
    positions = getattr(model.config, "max_position_embeddings", None) or settings.max_length
    settings = replace(settings, max_length=min(settings.max_length, positions))
    prepared = prepare(problems, solutions, labels, renderer, settings)
    _check_ids(model, prepared)
    if settings.share_prefixes:
        check_sharing(model, longest=max(int(row.tree.depths.max()) + 1 for row in prepared.rows))
    with written_whole(folder) as partial_folder:
        report = _train(model, prepared, partial_folder, settings, seed, progress)
        with quiet():
            model.save_pretrained(partial_folder)
        load_tokenizer(started_from).save_pretrained(partial_folder)
        text = json.dumps({**asdict(report), "settings": asdict(settings)}, indent=2, allow_nan=False)
        (partial_folder / REPORT).write_text(text + "\n", encoding="utf-8")
        eta = labels[0].eta
        write_description(
            Description(settings.kind, seed, str(base), eta, settings.rendering, settings.share_prefixes),
            partial_folder,
        )
    return report


def _check_ids(model: PreTrainedModel, prepared: Prepared) -> None:
    """Raises StepwardError if the tokenizer gives ids that the model has no embedding for."""
    highest = max(int(row.tree.ids.max()) for row in prepared.rows)
    known = cast(torch.nn.Embedding, model.get_input_embeddings()).weight.shape[0]
    if highest >= known:
        raise StepwardError(
            f"the base model knows {known} tokens but its tokenizer gives id {highest}: they don't belong together"
        )


def _train(
    model: PreTrainedModel,
    prepared: Prepared,
    folder: Path,
    settings: TrainingSettings,
    seed: int,
    progress: Progress | None,
) -> TrainingReport:
    trainer = _RewardTrainer(model, prepared.rows, _arguments(folder, settings, seed), settings)
    # Its prints would break the caller's own progress bar.
    trainer.remove_callback(PrinterCallback)
    if progress is not None:
        trainer.add_callback(_Reporter(progress))
    start = time.perf_counter()
    trainer.train()
    return TrainingReport(
        kind=settings.kind,
        seed=seed,
        epochs=settings.epochs,
        losses=tuple(trainer.losses),
        solutions=prepared.solutions,
        too_long=prepared.too_long,
        labelled=prepared.labelled,
        rows=len(prepared.rows),
        tokens=prepared.tokens,
        plain_tokens=prepared.plain_tokens,
        seconds=time.perf_counter() - start,
    )


def _arguments(folder: Path, settings: TrainingSettings, seed: int) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_rows,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_gradient,
        seed=seed,
        data_seed=seed,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )


class _Rows(Dataset[Row]):
    """The rows as torch wants them."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]


class _RewardTrainer(Trainer):
    """The `Trainer` with our batches, and a loss divided by the labels of the whole optimiser batch."""

    # Says that `compute_loss` has already taken gradient accumulation into account.
    loss_is_scaled_for_ga = True

    def __init__(
        self, model: PreTrainedModel, rows: list[Row], arguments: TrainingArguments, settings: TrainingSettings
    ) -> None:
        super().__init__(model=model, args=arguments, train_dataset=_Rows(rows))
        if self.accelerator.num_processes > 1:
            raise StepwardError("reward models are trained by one process: start it without torchrun or accelerate")
        # transformers before 5.19 asks this instead of `loss_is_scaled_for_ga`.
        self.model_accepts_loss_kwargs = True
        self.losses: list[float] = []
        self._settings = settings
        self._rows = rows

    def get_train_dataloader(self) -> DataLoader[Row]:
        """Batches of rows of similar length."""
        lengths = [len(row.tree.ids) for row in self._rows]
        batches = LengthBatches(lengths, self._settings.batch_rows, self.args.seed)
        collate = partial(rows_tensor, share=self._settings.share_prefixes)
        loader = DataLoader(_Rows(self._rows), batch_sampler=batches, collate_fn=collate)
        prepared: DataLoader[Row] = self.accelerator.prepare(loader)
        return prepared

    def get_batch_samples(
        self, epoch_iterator: Iterator[dict[str, Tensor]], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Tensor]], Tensor | None]:
        """The forward passes of one optimiser step, and how many labels they hold together."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        labelled = sum(float(batch["weights"].sum()) for batch in batches)
        # A batch whose every label is null has loss 0, not 0 / 0.
        return batches, torch.tensor(max(labelled, 1.0), device=device)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The batch's share of the optimiser step's mean loss."""
        targets, weights = inputs.pop("targets"), inputs.pop("weights")
        outputs = model(**inputs)
        labelled = weights.sum() if num_items_in_batch is None else num_items_in_batch
        loss = binary_cross_entropy(outputs.logits[..., 0], targets, weights) / labelled
        self._note(float(loss.detach()))
        return (loss, outputs) if return_outputs else loss

    def _note(self, loss: float) -> None:
        """Adds a forward pass's loss to its optimiser step's."""
        step = self.state.global_step
        if loss != loss or loss in (float("inf"), float("-inf")):
            raise StepwardError(
                f"the loss is {loss} at optimiser step {step + 1}: lower learning_rate (now {self.args.learning_rate})"
            )
        self.losses += [0.0] * (step + 1 - len(self.losses))
        self.losses[step] += loss


class _Reporter(TrainerCallback):
    """Passes each optimiser step on to the caller."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Tells the caller how far it is."""
        self._progress(state.global_step, state.max_steps)
