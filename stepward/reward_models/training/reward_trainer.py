"""The trainer of Bradley-Terry reward models: of two answers the preferred one shall have the higher reward."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from stepward.errors import StepwardError
from stepward.metrics import pair_metrics
from stepward.rendering import Rendering
from stepward.reward_models.configs import RewardConfig
from stepward.reward_models.data.answer_tokens import form_of_rows
from stepward.reward_models.data.collators import Batch, PairCollator
from stepward.reward_models.data.dataset import is_streamed
from stepward.reward_models.data.tokenization import PreferenceRowTokenizer, RowTokenizer
from stepward.reward_models.heads import Head, head_of, one_token_id
from stepward.reward_models.losses import bradley_terry
from stepward.reward_models.model_dir import ModelMetadata
from stepward.reward_models.training.base_trainer import BaseRewardTrainer, Rows
from stepward.reward_models.training.degenerate import check_pairs


class RewardTrainer(BaseRewardTrainer):
    """Trains a Bradley-Terry reward model: one number for an answer.

    Rows have `chosen` and `rejected`, text or chat messages, and may have `prompt`, of the same kind, which both
    continue, and `margin`. Rows that are tokenised already have `chosen_ids` and `rejected_ids`. It is called as TRL's
    `RewardTrainer` is. All pairs of one prompt come in one batch, where each answer is computed once however many
    pairs it is in (InstructGPT). `compute_metrics` takes `predictions` `[pair, 2]`, chosen first, and `label_ids`
    `[pair, 2]`: margin and weight.
    """

    args: RewardConfig
    config = RewardConfig
    kind = "bt"
    _length_columns = ("chosen_ids", "rejected_ids")

    def _asked_head(self, args: RewardConfig, model: PreTrainedModel | None) -> Head:
        return args.asked_head if model is None else head_of(model, args.asked_head, 1)

    def _prepare_tokenizer(self, args: RewardConfig, model: PreTrainedModel) -> None:
        if args.eos_token is not None:
            one_token_id(self.processing_class, args.eos_token)
            self.processing_class.eos_token = args.eos_token
        model.config.problem_type = "regression"  # tells vLLM to give the reward itself, not its logistic function

    def _describe(self, args: RewardConfig, head: Head, base: str, rows: Rows) -> ModelMetadata:
        form, gap = form_of_rows(rows)
        return ModelMetadata(self.kind, args.seed, base, None, Rendering(gap, "\n"), args.pack == "tree", head, form)

    def _make(self, args: RewardConfig, longest: int, evaluating: bool) -> RowTokenizer:
        return PreferenceRowTokenizer(self.processing_class, args, longest, self.description.form)

    def _features(self, rows: Rows, name: str, evaluating: bool) -> Rows:
        made = super()._features(rows, name, evaluating)
        if self.args.pair_weight == "pair":
            return made
        if is_streamed(made):
            raise StepwardError(
                "pair_weight prompt counts each prompt's pairs: rows can't be streamed",
                code="conflict",
                field="pair_weight",
            )
        pairs = Counter(made["group"])
        return made.remove_columns("weight").add_column("weight", [1 / pairs[group] for group in made["group"]])

    def _collator(self, args: RewardConfig, settings: dict[str, Any], train: Rows | None) -> Callable[..., Batch]:
        return PairCollator(**settings)

    def _check_varied(self, rows: Rows) -> None:
        check_pairs(rows["chosen_ids"], rows["rejected_ids"])

    def _units(self, batches: Sequence[Batch]) -> Tensor:
        return torch.stack([batch["weights"].sum() for batch in batches]).sum()

    def _summed(self, logits: Tensor, batch: Batch) -> Tensor:
        chosen, rejected = logits[:, 0].chunk(2)
        centring = self.args.center_rewards_coefficient or 0.0
        return bradley_terry(chosen, rejected, batch["margins"], centring=centring, weights=batch["weights"])

    def _by_row(self, logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return torch.stack(logits[:, 0].chunk(2), dim=-1), torch.stack([batch["margins"], batch["weights"]], dim=-1)

    def _metrics(self, prediction: Any) -> dict[str, float]:
        rewards, given = torch.as_tensor(prediction.predictions), torch.as_tensor(prediction.label_ids)
        centring = self.args.center_rewards_coefficient or 0.0
        loss = bradley_terry(rewards[:, 0], rewards[:, 1], given[:, 0], centring=centring, weights=given[:, 1])
        found = pair_metrics(np.asarray(rewards[:, 0]), np.asarray(rewards[:, 1]))
        if self._user_metrics is not None:
            found |= self._user_metrics(prediction)
        return {
            "loss": float(loss / given[:, 1].sum()),
            **{name: value for name, value in found.items() if value is not None},
        }
