"""The settings of the three trainers: every `TrainingArguments` field, TRL's names where TRL has them, and ours."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import TrainingArguments

from stepward.errors import StepwardError
from stepward.rendering import Rendering
from stepward.reward_models.heads import Head

Pack = Literal["tree", "flat", "padded"]


@dataclass
class BaseRewardConfig(TrainingArguments):
    """What the trainers share.

    Attributes:
        learning_rate: The highest; TRL's default for process reward models.
        logging_steps: Optimiser steps between two lines of the log.
        bf16: Whether to compute in bfloat16; None: where a GPU can.
        max_length: Longest sequence, in tokens; also bounded by the model's positions. None: those alone.
        too_long: `cut` keeps the steps that fit, `drop` leaves the row out, `refuse` stops; either is counted.
        pack: `tree` computes what sequences share once, `flat` packs them without padding, `padded` gives each a row.
        attention: How packed rows are attended to: `branches` (own kernels calls, any device), `mask` (a 4-D mask, by
            whatever attention the model has), `restarts` (flash attention, not for `tree`), or `auto`.
        max_row_tokens: The longest row under a mask, whose cost is the row's square.
        group_by_prompt: Whether rows of one prompt come in one batch, where they can share it.
        disable_dropout: Whether all dropout is set to 0.
        dataset_num_proc: Processes that tokenise.
        model_init_kwargs: Passed to `from_pretrained` where the model is given by its name.
    """

    learning_rate: float = 1e-5
    logging_steps: float = 10
    bf16: bool | None = None  # type: ignore[assignment]
    remove_unused_columns: bool = False
    max_length: int | None = 1024
    too_long: Literal["cut", "drop", "refuse"] = "drop"
    pack: Pack = "tree"
    attention: Literal["auto", "branches", "mask", "restarts"] = "auto"
    max_row_tokens: int = 512
    group_by_prompt: bool = True
    disable_dropout: bool = True
    dataset_num_proc: int | None = None
    model_init_kwargs: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Raises StepwardError naming the first setting that makes no sense."""
        if self.bf16 is None:
            self.bf16 = not self.fp16 and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        super().__post_init__()  # type: ignore[no-untyped-call]
        if self.remove_unused_columns:
            raise StepwardError(
                "remove_unused_columns is True: the columns made here would be removed; leave it False",
                code="conflict",
                field="remove_unused_columns",
            )
        # An iterable's batch would be taken apart by its rows, which ours don't have.
        self.accelerator_config.dispatch_batches = False  # type: ignore[union-attr]
        for name, good, expected in self._checks():
            if not good:
                raise StepwardError(
                    f"training setting {name} is {getattr(self, name)!r}: expected {expected}",
                    code="bad_value",
                    field=name,
                )

    def get_warmup_steps(self, num_training_steps: int) -> int:
        """Steps of the warm-up: fewer than there are, since the learning rate of its first one is 0."""
        asked: int = super().get_warmup_steps(num_training_steps)
        return max(min(asked, num_training_steps - 1), 0)

    def _checks(self) -> list[tuple[str, bool, str]]:
        """Each setting's name, whether its value makes sense, and what would."""
        return [
            ("max_length", self.max_length is None or self.max_length >= 1, "at least 1, or null"),
            ("too_long", self.too_long in ("cut", "drop", "refuse"), "cut, drop or refuse"),
            ("pack", self.pack in ("tree", "flat", "padded"), "tree, flat or padded"),
            ("attention", self.attention in ("auto", "branches", "mask", "restarts"), "auto, branches, mask, restarts"),
            (
                "attention",
                not (self.attention == "restarts" and self.pack == "tree"),
                "branches or mask with pack: tree; flash attention can't read a tree",
            ),
            ("max_row_tokens", self.max_row_tokens >= 1, "at least 1"),
        ]


@dataclass
class StepConfig(BaseRewardConfig):
    """What `PRMConfig` and `ORMConfig` share.

    Attributes:
        head: `linear` trains a token classifier; `label_tokens` the logits of tokens of a causal language model.
        num_labels: Classes of a linear head: 1 (a logistic score), 2 (wrong, right), 3 (and neutral). None: 2, or as
            many as a given model or `label_tokens` has.
        label_tokens: The tokens of right and wrong, and of neutral where there are three.
        loss: `cross_entropy` (of one logit or two: binary cross-entropy on soft targets), `mse`, or `q_ranking` (PQM).
        zeta: The ranking loss's margin.
        class_weight: `balanced` makes right and wrong labels weigh the same in all; a number is the weight of wrong
            ones against right ones.
        neutral: What a neutral label is: `positive`, `negative`, dropped (`drop`), or a class of its own (`class`).
        prompt_separator: Text between prompt and first step.
        step_separator: Text after each step; its last token is scored (as TRL has it) where `step_token` is None.
        step_token: Text after each step whose last token is scored; empty: a step's own last token is. With it,
            `step_separator` stands between steps alone.
        add_step_token: Whether the step token is added to the tokenizer as a special token.
        max_completion_length: Most tokens of the steps together.
    """

    head: Literal["linear", "label_tokens"] = "linear"
    num_labels: int | None = None
    label_tokens: tuple[str, ...] = ("+", "-")
    loss: Literal["cross_entropy", "mse", "q_ranking"] = "cross_entropy"
    zeta: float = 4.0
    class_weight: Literal["balanced"] | float | None = None
    neutral: Literal["positive", "negative", "drop", "class"] = "positive"
    prompt_separator: str = ""
    step_separator: str = "\n"
    step_token: str | None = None
    add_step_token: bool = False
    max_completion_length: int | None = None

    def _checks(self) -> list[tuple[str, bool, str]]:
        wanted = {"linear": (None, 1, 2, 3), "label_tokens": (None, len(self.label_tokens))}
        return [
            *super()._checks(),
            ("head", self.head in wanted, "linear or label_tokens"),
            ("num_labels", self.num_labels in wanted.get(self.head, ()), "1, 2 or 3; as many as label_tokens"),
            ("loss", self.loss in ("cross_entropy", "mse", "q_ranking"), "cross_entropy, mse or q_ranking"),
            ("loss", self.loss == "cross_entropy" or self.classes < 3, "cross_entropy for three classes"),
            ("neutral", self.neutral in ("positive", "negative", "drop", "class"), "positive, negative, drop or class"),
            ("neutral", self.neutral != "class" or self.classes == 3, "another, or three classes"),
            (
                "class_weight",
                self.class_weight in (None, "balanced")
                or (isinstance(self.class_weight, int | float) and self.class_weight > 0),
                "balanced, or a number above 0",
            ),
            ("max_completion_length", (self.max_completion_length or 1) >= 1, "at least 1, or null"),
            ("step_token", not self.add_step_token or bool(self.step_token), "the token that add_step_token adds"),
        ]

    @property
    def classes(self) -> int:
        """Logits a marked token."""
        if self.head == "label_tokens":
            return len(self.label_tokens)
        return self.num_labels or 2

    @property
    def asked_head(self) -> Head:
        """The head that is asked for."""
        tokens = tuple(self.label_tokens) if self.head == "label_tokens" else ()
        return Head(self.head, self.classes, tokens)

    @property
    def rendering(self) -> Rendering:
        """How prompt and steps are laid out."""
        if self.step_token is None:
            return Rendering(self.prompt_separator, "", self.step_separator)
        return Rendering(self.prompt_separator, self.step_separator, self.step_token)


@dataclass
class PRMConfig(StepConfig):
    """Settings of `PRMTrainer`.

    Attributes:
        too_long: A prefix of steps is as good as a whole solution, so what fits is kept.
        train_on_last_step_only: Whether only the last step's label is trained on; evaluation keeps all.
        to_first_error: Whether labels after the first wrong step are left out (Let's Verify Step by Step).
    """

    too_long: Literal["cut", "drop", "refuse"] = "cut"
    train_on_last_step_only: bool = False
    to_first_error: bool = False


@dataclass
class ORMConfig(StepConfig):
    """Settings of `ORMTrainer`.

    Attributes:
        every_token: Whether each token of the completion carries the label (Let's Verify Step by Step), or the last
            one alone. The last token is what is scored, either way.
    """

    every_token: bool = True

    def _checks(self) -> list[tuple[str, bool, str]]:
        return [
            *super()._checks(),
            ("too_long", self.too_long != "cut", "drop or refuse; the answer stands at the end"),
            ("loss", self.loss != "q_ranking", "cross_entropy or mse; an outcome has no steps to rank"),
        ]


@dataclass
class RewardConfig(BaseRewardConfig):
    """Settings of `RewardTrainer`.

    Attributes:
        learning_rate: TRL's default for Bradley-Terry models.
        center_rewards_coefficient: c of the centring term c * (r_chosen + r_rejected)^2; .01 is usual.
        pair_weight: `pair` counts each pair once; `prompt` makes the pairs of one prompt weigh one together
            (InstructGPT).
        eos_token: The token that ends a text; the tokenizer's own if not given. Chat is ended by its template.
    """

    learning_rate: float = 1e-4
    center_rewards_coefficient: float | None = None
    pair_weight: Literal["pair", "prompt"] = "pair"
    eos_token: str | None = None

    def _checks(self) -> list[tuple[str, bool, str]]:
        return [
            *super()._checks(),
            ("too_long", self.too_long != "cut", "drop or refuse; what is preferred may stand in what is cut"),
            ("pair_weight", self.pair_weight in ("pair", "prompt"), "pair or prompt"),
            ("center_rewards_coefficient", (self.center_rewards_coefficient or 0.0) >= 0, "at least 0, or null"),
        ]

    @property
    def asked_head(self) -> Head:
        """One number, without a bias."""
        return Head("scalar", 1)
