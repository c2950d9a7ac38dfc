"""What each optimiser of transformers keeps for a weight, in bytes.

Sources: torch's optimisers keep states in the weights' own type; bitsandbytes keeps float32, or 8 bits with one
float32 for every 256 (Dettmers et al., "8-bit Optimizers via Block-wise Quantization"), and leaves tensors below 4,096
numbers in float32, as transformers' `Trainer` makes it leave embeddings; torchao does the same without the embeddings;
Adafactor keeps a row and a column of each matrix (Shazeer and Stern).
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stepward.errors import StepwardError

_SMALL = 4096
"""Tensors with fewer numbers are never kept in 8 bits."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that is trained.

    Attributes:
        shape: Its shape.
        bytes: A number's.
        embedding: Whether it is an embedding's matrix (an output matrix that is tied to one, too).
    """

    shape: tuple[int, ...]
    bytes: int
    embedding: bool = False

    @property
    def numel(self) -> int:
        """Numbers in it."""
        product = 1
        for size in self.shape:
            product *= size
        return product


@dataclass(frozen=True, slots=True)
class OptimizerSpec:
    """What an optimiser keeps.

    Attributes:
        states: Numbers for each weight.
        bits: Of each; `own` is the weight's type; `factored` a row and a column of float32.
        block: Numbers that share a float32, where bits are few.
        embeddings_whole: Whether embeddings' states stay in float32.
        keeps_gradients: Whether all gradients are there at once; LOMO uses each up as it comes.
        copies: Copies of all weights that a step needs for a moment.
    """

    states: int
    bits: int | Literal["own", "factored"] = "own"
    block: int = 256
    embeddings_whole: bool = False
    keeps_gradients: bool = True
    copies: int = 0

    def of(self, weight: Weight) -> int:
        """Bytes kept for a weight."""
        size = weight.numel
        if self.bits == "own":
            return self.states * size * weight.bytes
        if self.bits == "factored":
            rows_and_columns = len(weight.shape) > 1
            kept = size // weight.shape[-1] + size // weight.shape[-2] if rows_and_columns else size
            return 4 * kept
        if self.bits == 32 or size < _SMALL or (weight.embedding and self.embeddings_whole):
            return self.states * size * 4
        return self.states * (size * self.bits // 8 + 4 * -(-size // self.block))


def _bnb(states: int) -> OptimizerSpec:
    return OptimizerSpec(states, 8, embeddings_whole=True)


OPTIMIZERS = {
    "adamw_torch": OptimizerSpec(2, copies=1),  # torch's loop over lists of tensors, its default on GPUs
    "adamw_torch_fused": OptimizerSpec(2),
    "adamw_torch_8bit": OptimizerSpec(2, 8),
    "adamw_torch_4bit": OptimizerSpec(2, 4, block=128),
    "adamw_8bit": _bnb(2),
    "adamw_bnb_8bit": _bnb(2),
    # Paged states can move to the host's memory when the GPU's is short; here they are counted whole.
    "paged_adamw_8bit": _bnb(2),
    "paged_adamw_32bit": OptimizerSpec(2, 32),
    "ademamix": OptimizerSpec(3, 32),
    "ademamix_8bit": _bnb(3),
    "lion_32bit": OptimizerSpec(1, 32),
    "lion_8bit": _bnb(1),
    "paged_lion_32bit": OptimizerSpec(1, 32),
    "paged_lion_8bit": _bnb(1),
    "rmsprop": OptimizerSpec(1),
    "rmsprop_bnb_32bit": OptimizerSpec(1, 32),
    "rmsprop_bnb_8bit": _bnb(1),
    "adagrad": OptimizerSpec(1),
    "sgd": OptimizerSpec(0),  # transformers sets no momentum
    "adafactor": OptimizerSpec(1, "factored"),
    "lomo": OptimizerSpec(0, keeps_gradients=False),
    "adalomo": OptimizerSpec(1, "factored", keeps_gradients=False),
}


def get_optimizer_spec(name: str) -> OptimizerSpec:
    """What an optimiser of a name keeps.

    Raises:
        StepwardError: It is not known here; names those that are.
    """
    if name not in OPTIMIZERS:
        near = difflib.get_close_matches(name, OPTIMIZERS, n=1)
        raise StepwardError(
            f"optim {name}: what it keeps is not known here{f'; did you mean {near[0]}?' if near else ''}; "
            f"known: {', '.join(OPTIMIZERS)}",
            code="unknown_name",
            field="optim",
        )
    return OPTIMIZERS[name]


def kept_bytes(optimiser: OptimizerSpec, weights: Sequence[Weight]) -> int:
    """Bytes that an optimiser keeps for all weights."""
    return sum(map(optimiser.of, weights))
