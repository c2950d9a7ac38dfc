"""Trainers of models that score steps: process reward models, and outcome reward models, whose one step is all."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from stepward.errors import StepwardError
from stepward.metrics import best_of_n, step_metrics
from stepward.rendering import Renderer
from stepward.reward_models.configs import ORMConfig, PRMConfig, StepConfig
from stepward.reward_models.data.answer_tokens import Form
from stepward.reward_models.data.collators import Batch, StepCollator
from stepward.reward_models.data.dataset import columns_of, is_streamed
from stepward.reward_models.data.row_fields import IGNORED
from stepward.reward_models.data.tokenization import RowTokenizer, StepRowTokenizer
from stepward.reward_models.heads import Head, head_of, probabilities
from stepward.reward_models.model_dir import ModelMetadata
from stepward.reward_models.training.base_trainer import BaseRewardTrainer, Rows
from stepward.reward_models.training.degenerate import check_labels
from stepward.reward_models.training.objective import step_loss, step_units, weights_of_classes


class StepTrainer(BaseRewardTrainer):
    """What `PRMTrainer` and `ORMTrainer` share.

    `compute_metrics` takes `predictions` `[row, mark, class]` and `label_ids` `[row, mark]`, padded with -100.
    """

    args: StepConfig
    config: type[StepConfig]

    def _asked_head(self, args: StepConfig, model: PreTrainedModel | None) -> Head:
        asked = args.asked_head
        return asked if model is None else head_of(model, asked, args.num_labels)

    def _prepare_tokenizer(self, args: StepConfig, model: PreTrainedModel) -> None:
        if not args.add_step_token:
            return
        assert args.step_token is not None
        if self.processing_class.add_special_tokens({"additional_special_tokens": [args.step_token]}):
            known = int(model.get_input_embeddings().weight.shape[0])  # type: ignore[index]
            model.resize_token_embeddings(max(len(self.processing_class), known))

    def _describe(self, args: StepConfig, head: Head, base: str, rows: Rows) -> ModelMetadata:
        form: Form | None = "solution" if self.kind == "orm" and "completion" in columns_of(rows) else None
        return ModelMetadata(self.kind, args.seed, base, None, args.rendering, args.pack == "tree", head, form)

    def _make(self, args: StepConfig, longest: int, evaluating: bool) -> RowTokenizer:
        if args.rendering.step_token and args.step_token is not None and not args.add_step_token:
            _check_step_token(self.processing_class, args.step_token)
        whole = self.description.form == "solution"
        return StepRowTokenizer(Renderer(self.processing_class, args.rendering), args, longest, evaluating, whole)

    def _collator(self, args: StepConfig, settings: dict[str, Any], train: Rows | None) -> Callable[..., Batch]:
        return StepCollator(**settings, of_class=weights_of_classes(args.class_weight, args.classes, train))

    def _summed(self, logits: Tensor, batch: Batch) -> Tensor:
        return step_loss(logits, batch["labels"], batch["weights"], batch["owners"], self.args.loss, self.args.zeta)

    def _check_varied(self, rows: Rows) -> None:
        check_labels(rows["labels"])

    def _units(self, batches: Sequence[Batch]) -> Tensor:
        return step_units(batches, self.args.loss)

    def _by_row(self, logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        owners, rows = batch["owners"], int(batch["rows"])
        counts = torch.bincount(owners, minlength=rows)
        starts = torch.cumsum(counts, 0) - counts
        steps = torch.arange(len(owners), device=owners.device) - starts[owners]
        widest = int(counts.max())
        scores = logits.new_full((rows, widest, logits.shape[-1]), IGNORED)
        labels = logits.new_full((rows, widest), IGNORED)
        scores[owners, steps] = logits
        labels[owners, steps] = batch["labels"]
        return scores, labels

    def _metrics(self, prediction: Any) -> dict[str, float]:
        logits, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
        there = labels != IGNORED
        owners = np.nonzero(there)[0]
        flat = torch.from_numpy(logits[there])
        targets = torch.from_numpy(labels[there])
        weights = torch.ones_like(targets)
        batch = {"weights": weights, "owners": torch.from_numpy(owners)}
        loss = step_loss(flat, targets, weights, batch["owners"], self.args.loss, self.args.zeta)
        loss = loss / step_units([batch], self.args.loss)
        scores = probabilities(flat).numpy()
        found = self._scored(scores, np.where(labels[there] < 0, 1.0, labels[there]), owners)
        found |= self._best_of_n(scores, owners)
        if self._user_metrics is not None:
            found |= self._user_metrics(prediction)
        return {"loss": float(loss), **found}

    def _best_of_n(self, scores: Any, owners: Any) -> dict[str, float]:
        """Share of prompts whose best-scored row is correct, where the rows evaluated say which are (`correct`)."""
        rows = self._evaluated
        columns = getattr(rows, "column_names", None) or ()  # what accelerate makes of a stream has none
        if is_streamed(rows) or "correct" not in columns or None in rows["correct"]:
            return {}
        parts = np.split(scores, np.nonzero(np.diff(owners))[0] + 1)
        ways = {"last": [part[-1] for part in parts]}
        if self.kind == "prm":
            ways |= {"min": [part.min() for part in parts], "product": [part.prod() for part in parts]}
        problems = np.unique(rows["group"], return_inverse=True)[1]
        correct = np.asarray(rows["correct"]) > 0.5
        found = {way: best_of_n(np.asarray(one), problems, correct) for way, one in ways.items()}
        return {f"best_of_n_{way}": value for way, value in found.items() if value is not None}

    def _scored(self, scores: Any, targets: Any, owners: Any) -> dict[str, float]:
        """Metrics of scores and targets, each `[mark]`."""
        return {name: value for name, value in step_metrics(scores, targets, owners).items() if value is not None}


class PRMTrainer(StepTrainer):
    """Trains a process reward model: a score for each step.

    Rows have `prompt` (text), `completions` (a list of steps) and `labels` (one a step: true or false, or a number
    from 0 to 1, or null for none), and may have `neutral` (indices of neutral steps), `id`, and `correct` (whether the
    answer is right), by which evaluation gives best-of-N. Rows that are tokenised already have `input_ids` and
    `labels`, one a token, -100 for none. It is called as TRL's `PRMTrainer` was. `compute_metrics` takes `predictions`
    `[row, step, class]`, which are logits, and `label_ids` `[row, step]`, both padded with -100.
    """

    config = PRMConfig
    kind = "prm"


class ORMTrainer(StepTrainer):
    """Trains an outcome reward model: one score for a whole solution.

    Rows have `prompt`, `completion` (text) or `completions` (steps), and `label` or `correct`: true or false, or a
    number from 0 to 1. `compute_metrics` takes `predictions` `[row, mark, class]`, which are logits, and `label_ids`
    `[row, mark]`, both padded with -100; marks are the completion's tokens, or with `every_token=False` its last.
    """

    config = ORMConfig
    kind = "orm"

    def _scored(self, scores: Any, targets: Any, owners: Any) -> dict[str, float]:
        # A solution is judged by its last token, whichever tokens it was trained on.
        last = np.append(np.nonzero(np.diff(owners))[0], len(owners) - 1)
        found = super()._scored(scores[last], targets[last], owners[last])
        return {name: value for name, value in found.items() if "first_error" not in name}


def _check_step_token(tokenizer: Any, token: str) -> None:
    """Raises StepwardError if a step token that looks special is none of the tokenizer's."""
    ids = tokenizer.encode(token, add_special_tokens=False)
    if not ids or tokenizer.unk_token_id in ids:
        raise StepwardError(
            f"the tokenizer has no token for step_token {token!r}: set add_step_token, or choose text that it has",
            code="unsupported",
            field="step_token",
        )
