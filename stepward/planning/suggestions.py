"""What to change where a training doesn't fit, each change upon the ones before it until it does.

In the order of what they cost: computing layers again takes a third more time and changes nothing; an 8-bit optimiser
changes the updates a little; a smaller batch with more accumulation takes time; an adapter trains another model; and
sharding needs more cards.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from stepward.planning.memory import MemoryEstimate, TraceCache, TrainingSetup, estimate
from stepward.planning.optimizers import OPTIMIZERS
from stepward.reward_models.heads import Head
from stepward.reward_models.packing.layout import PackedBatch

_RANK = 16
_CARDS = 8


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A change, and what training takes with it and those before it.

    Attributes:
        change: In the words of the recipe.
        cost: With it.
    """

    change: str
    cost: MemoryEstimate


def suggest_changes(
    config: Any,
    head: Head,
    setup: TrainingSetup,
    batch: int,
    one_row: PackedBatch,
    laid: PackedBatch,
    limit: int,
    reserve: int,
) -> list[Suggestion]:
    """The changes, up to the first with which training fits.

    Args:
        config: The model's configuration.
        head: What the model ends in.
        setup: How it would be trained.
        batch: Rows of a forward pass.
        one_row: The longest row in a forward pass of its own.
        laid: The rows of the largest forward pass.
        limit: Bytes that the card has.
        reserve: Bytes to set aside.
    """
    found: list[Suggestion] = []
    seen: TraceCache = {}
    for change, changed, rows in _changes(setup, batch, one_row, laid):
        found.append(Suggestion(change, estimate(config, head, rows, changed, reserve, seen)))
        if found[-1].cost.total <= limit:
            break
    return found


def _changes(
    setup: TrainingSetup, batch: int, one_row: PackedBatch, laid: PackedBatch
) -> Iterator[tuple[str, TrainingSetup, PackedBatch]]:
    """Each change in words, and what training is with it and those before it."""
    if not setup.checkpointing:
        setup = replace(setup, checkpointing=True)
        yield "gradient_checkpointing=true", setup, laid
    if setup.adapter is None and OPTIMIZERS[setup.optim].bits in ("own", 32) and OPTIMIZERS[setup.optim].states:
        setup = replace(setup, optim="adamw_bnb_8bit")
        yield "optim=adamw_bnb_8bit", setup, laid
    if batch > 1:
        setup, laid = replace(setup, accumulation=setup.accumulation * batch), one_row
        yield f"per_device_train_batch_size=1 gradient_accumulation_steps={setup.accumulation}", setup, laid
    if setup.adapter is None and (lora := _lora()) is not None:
        adapted = replace(setup, adapter=lora, optim="adamw_torch_fused")
        yield f"adapter.r={_RANK} adapter.target_modules=all-linear", adapted, laid
    if setup.sharding in ("none", "zero1", "zero2"):
        # Instead of the adapter, not upon it: an adapter's weights are whole on each card.
        world = max(setup.world, 2)
        while world <= max(_CARDS, setup.world):
            yield f"--gpus {world} --sharding fsdp, without an adapter", _sharded(setup, world), laid
            world *= 2


def _sharded(setup: TrainingSetup, world: int) -> TrainingSetup:
    weights = "float32" if setup.weights in ("4bit", "8bit") else setup.weights
    return replace(setup, world=world, sharding="fsdp", adapter=None, weights=weights)


def _lora() -> Any:
    """An adapter for every linear layer; None where peft is not installed."""
    try:
        from peft import LoraConfig
    except ImportError:
        return None
    return LoraConfig(r=_RANK, target_modules="all-linear")
