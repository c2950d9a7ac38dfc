"""What to change where a training doesn't fit, each change upon the ones before it until it does.

In the order of what they cost: computing layers again takes a third more time and changes nothing; an 8-bit optimiser
changes the updates a little; a smaller batch with more accumulation takes time; an adapter trains another model; and
sharding needs more cards.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from stepward.planning.memory import Cost, Seen, Setup, estimate
from stepward.planning.optimizers import OPTIMISERS
from stepward.reward_models.heads import Head
from stepward.reward_models.packing.layout import Laid

_RANK = 16
_CARDS = 8


@dataclass(frozen=True, slots=True)
class Advice:
    """A change, and what training takes with it and those before it.

    Attributes:
        change: In the words of the recipe.
        cost: With it.
    """

    change: str
    cost: Cost


def advise(
    config: Any,
    head: Head,
    setup: Setup,
    batch: int,
    one_row: Laid,
    laid: Laid,
    limit: int,
    reserve: int,
) -> list[Advice]:
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
    found: list[Advice] = []
    seen: Seen = {}
    for change, changed, rows in _changes(setup, batch, one_row, laid):
        found.append(Advice(change, estimate(config, head, rows, changed, reserve, seen)))
        if found[-1].cost.total <= limit:
            break
    return found


def _changes(setup: Setup, batch: int, one_row: Laid, laid: Laid) -> Iterator[tuple[str, Setup, Laid]]:
    """Each change in words, and what training is with it and those before it."""
    if not setup.checkpointing:
        setup = replace(setup, checkpointing=True)
        yield "gradient_checkpointing=true", setup, laid
    if setup.adapter is None and OPTIMISERS[setup.optim].bits in ("own", 32) and OPTIMISERS[setup.optim].states:
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


def _sharded(setup: Setup, world: int) -> Setup:
    weights = "float32" if setup.weights in ("4bit", "8bit") else setup.weights
    return replace(setup, world=world, sharding="fsdp", adapter=None, weights=weights)


def _lora() -> Any:
    """An adapter for every linear layer; None where peft is not installed."""
    try:
        from peft import LoraConfig
    except ImportError:
        return None
    return LoraConfig(r=_RANK, target_modules="all-linear")
