"""How many tokens a training computes, and its largest forward pass: counted by the trainers' own code.

Rows become token ids as the trainers make them, come in the trainers' order, and are laid out by their collators; so
what is cut, left out, packed and shared is what will be. Of many rows the first are counted and the rest is taken to
be like them.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepward.errors import StepwardError
from stepward.rendering import Renderer
from stepward.reward_models.configs import BaseRewardConfig, RewardConfig, StepConfig
from stepward.reward_models.data.dataset import tokenize_dataset
from stepward.reward_models.data.sampler import PromptGroupedSampler
from stepward.reward_models.data.tokenization import PreferenceRowTokenizer, RowTokenizer, StepRowTokenizer
from stepward.reward_models.packing.layout import Layout, PackedBatch, pack_batch


@dataclass(frozen=True, slots=True)
class EpochTokens:
    """The tokens of an epoch.

    Attributes:
        rows: Rows of the data.
        counted: Rows that were tokenised; the rest is estimated from them.
        kept: Rows that are trained on.
        useful: Tokens of the rows, each in a row of its own.
        computed: Tokens that are computed: less what is shared, with what is padded.
        largest: The forward pass with the most.
    """

    rows: int
    counted: int
    kept: int
    useful: int
    computed: int
    largest: PackedBatch


def layout_of(args: BaseRewardConfig) -> tuple[Layout, bool]:
    """How a trainer lays out rows, and whether they share prefixes.

    Rows told apart by restarts are planned as branches that share nothing: the same tokens and the same attention, by
    a kernel that doesn't look at numbers.
    """
    if args.pack == "padded":
        return "padded", False
    return ("mask" if args.attention == "mask" else "branches"), args.pack == "tree"


def longest_of(config: Any, args: BaseRewardConfig) -> int:
    """Most tokens of a sequence, by the settings and the model.

    Raises:
        StepwardError: Neither bounds it.
    """
    bounds = [bound for bound in (args.max_length, getattr(config, "max_position_embeddings", None)) if bound]
    if not bounds:
        raise StepwardError(
            "max_length is null and the model has no longest position: set max_length",
            code="missing",
            field="max_length",
        )
    return min(bounds)


def largest_pass(args: BaseRewardConfig, longest: int) -> PackedBatch:
    """The largest forward pass that the settings allow: every sequence as long as can be, nothing shared."""
    layout, share = layout_of(args)
    sequences = args.per_device_train_batch_size * (2 if isinstance(args, RewardConfig) else 1)
    return pack_batch([[number] * longest for number in range(sequences)], layout, share, args.max_row_tokens)


def count_tokens(
    rows: Any, args: BaseRewardConfig, tokenizer: Any, longest: int, world: int, first: int
) -> EpochTokens:
    """Counts an epoch's tokens.

    Args:
        rows: A list of rows, or a `datasets.Dataset`, with the trainers' columns.
        args: The trainer's settings.
        tokenizer: The model's.
        longest: Most tokens of a sequence.
        world: Processes.
        first: How many rows are tokenised, at most.

    Raises:
        StepwardError: A row that can't be used, or rows that are streamed, which can't be counted.
    """
    if not hasattr(rows, "__len__"):
        raise StepwardError(
            "the rows are streamed and can't be counted: give --tokens, or set data.stream to false",
            code="conflict",
            field="data.stream",
        )
    counted = min(first, len(rows))
    part = rows[:counted] if isinstance(rows, list) else rows.select(range(counted))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is left out shows in `kept`
        made, counts = tokenize_dataset(part, _features(args, tokenizer, longest), "train", None)
    passes = [pack_batch(sequences, *layout_of(args), args.max_row_tokens) for sequences in _passes(made, args, world)]
    share = len(rows) / counted
    return EpochTokens(
        rows=len(rows),
        counted=counted,
        kept=round(counts.kept * share),
        useful=round(sum(sum(map(len, one.places)) for one in passes) * share),
        computed=round(sum(computed_tokens(one) for one in passes) * share),
        largest=max(passes, key=computed_tokens),
    )


def computed_tokens(laid: PackedBatch) -> int:
    """Tokens that a model computes for a forward pass, padding included."""
    return int(laid.inputs["input_ids"].numel())


def _features(args: BaseRewardConfig, tokenizer: Any, longest: int) -> RowTokenizer:
    """What turns columns into ids, as the trainers have it."""
    if isinstance(args, RewardConfig):
        return PreferenceRowTokenizer(tokenizer, args, longest)
    assert isinstance(args, StepConfig)
    if args.add_step_token and args.step_token is not None:
        tokenizer.add_special_tokens({"additional_special_tokens": [args.step_token]})
    return StepRowTokenizer(Renderer(tokenizer, args.rendering), args, longest, evaluating=False)


def _passes(made: Any, args: BaseRewardConfig, world: int) -> list[list[Sequence[int]]]:
    """The sequences of each forward pass of an epoch, in the trainers' order."""
    names = ("chosen_ids", "rejected_ids") if isinstance(args, RewardConfig) else ("input_ids",)
    columns = [list(made[name]) for name in names]
    lengths = [sum(map(len, ids)) for ids in zip(*columns, strict=True)]
    size = args.per_device_train_batch_size
    groups = list(made["group"]) if args.group_by_prompt else None
    seed = args.data_seed if args.data_seed is not None else args.seed
    order = list(PromptGroupedSampler(lengths, groups, size * args.gradient_accumulation_steps * world, seed))
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    return [[column[row] for column in columns for row in part] for part in parts]
