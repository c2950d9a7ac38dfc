"""What training a reward model takes on a GPU, before anything is loaded: memory by its parts, and operations a token.

Weights are counted in the model's own shapes; gradients and the optimiser's states follow from them; activations are
traced with the batch that is planned (`stepward.planning.memory_trace`). What no plan can know, a CUDA context and what
the allocator can't use, is a reserve that is named as such.
"""

from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from stepward.errors import StepwardError
from stepward.planning.memory_trace import Traced, build, trace
from stepward.planning.optimizers import Weight, get_optimizer_spec, kept_bytes
from stepward.reward_models.configs import BaseRewardConfig
from stepward.reward_models.heads import Head
from stepward.reward_models.packing.layout import PackedBatch
from stepward.reward_models.training.peft import with_adapter

Precision = Literal["float32", "bfloat16", "float16", "8bit", "4bit"]
Sharding = Literal["none", "zero1", "zero2", "zero3", "fsdp"]

RESERVE = 2**30
"""Bytes set aside for the CUDA context, libraries' workspaces and what the allocator can't use: an assumption."""

UTILIZATION = 0.4
"""The share of a card's published rate that training is assumed to reach."""

_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "8bit": 1.0, "4bit": 0.5 + 4 / 64}
"""Of a weight; 4-bit blocks of 64 share a float32 (QLoRA, before its constants are quantised too)."""

_QUANTISED = ("8bit", "4bit")
_MASTER = 4


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """How a model is trained, as far as it costs memory.

    Attributes:
        optim: The optimiser's name, as `TrainingArguments` has it.
        weights: The type of the weights; `8bit` and `4bit` need an adapter.
        compute: The type that is computed in (`bf16=True` is bfloat16).
        checkpointing: Whether layers are computed again in the backward pass instead of kept.
        accumulation: Forward passes of an optimiser step.
        world: Processes, a card each.
        sharding: What each card holds only a share of: `zero1` the optimiser, `zero2` the gradients too, `zero3` and
            `fsdp` the weights too.
        adapter: peft's configuration; None trains all weights.
    """

    optim: str = "adamw_torch_fused"
    weights: Precision = "float32"
    compute: Literal["float32", "bfloat16", "float16"] = "float32"
    checkpointing: bool = False
    accumulation: int = 1
    world: int = 1
    sharding: Sharding = "none"
    adapter: Any = None

    def __post_init__(self) -> None:
        """Raises StepwardError naming what makes no sense."""
        if self.weights in _QUANTISED and self.adapter is None:
            raise StepwardError(
                f"weights in {self.weights} can't be trained themselves: give an adapter (LoRA)",
                code="missing",
                field="adapter",
            )
        if self.sharding not in ("none", "zero1", "zero2", "zero3", "fsdp"):
            raise StepwardError(
                f"sharding is {self.sharding!r}: expected none, zero1, zero2, zero3 or fsdp",
                code="unknown_name",
                field="--sharding",
            )
        if self.sharding != "none" and self.world < 2:
            raise StepwardError(
                f"sharding {self.sharding} over one card saves nothing: give --gpus, at least 2",
                code="conflict",
                field="--sharding",
            )


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """What training takes on each card.

    Attributes:
        parameters: Weights in all.
        trained: Weights that are trained.
        weights: Bytes.
        gradients: Bytes.
        optimiser: Bytes.
        activations: Bytes that forward and backward pass, or the optimiser's step, hold at most beside all of these.
        kept: Bytes of these that the forward pass leaves for the backward pass.
        reserve: Bytes set aside.
        flops: Floating-point operations for each computed token.
    """

    parameters: int
    trained: int
    weights: int
    gradients: int
    optimiser: int
    activations: int
    kept: int
    reserve: int
    flops: float

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.weights + self.gradients + self.optimiser + self.activations + self.reserve

    def hours(self, tokens: float, tflops: float, utilisation: float = UTILIZATION, world: int = 1) -> float:
        """Hours for some computed tokens.

        Args:
            tokens: Over all epochs and cards.
            tflops: A card's rate.
            utilisation: The share of it that is reached.
            world: Cards.
        """
        return tokens * self.flops / (tflops * 1e12 * utilisation * world) / 3600


def estimate(
    config: Any,
    head: Head,
    laid: PackedBatch,
    setup: TrainingSetup,
    reserve: int = RESERVE,
    seen: "TraceCache | None" = None,
) -> MemoryEstimate:
    """The memory and the operations of training.

    Args:
        config: The model's transformers configuration; it is not changed.
        head: What the model ends in.
        laid: The rows of the largest forward pass (`stepward.reward_models.packing.layout.pack_batch`).
        setup: How it is trained.
        reserve: Bytes to set aside.
        seen: What was traced before with the same configuration and head; added to.

    Raises:
        StepwardError: An optimiser or a model that can't be planned.
    """
    optimiser = get_optimizer_spec(setup.optim)
    traces = {} if seen is None else seen
    key = _trace_key(setup, laid)
    if key not in traces:
        traces[key] = _traced(config, head, laid, setup)
    counts, traced, attended = traces[key]
    learnt = counts.learnt
    gradients = sum(weight.numel * weight.bytes for weight in learnt)
    if not optimiser.keeps_gradients:
        gradients = max(weight.numel * weight.bytes for weight in learnt)
    masters = setup.sharding.startswith("zero") and setup.compute != "float32"
    states = kept_bytes(optimiser, [replace(weight, bytes=_MASTER) for weight in learnt] if masters else learnt)
    if masters:
        states += _MASTER * counts.trained  # DeepSpeed updates a copy in float32 (ZeRO, section 3.1)
    weights, gradients, states = _shared_out(counts.bytes, gradients, states, setup)
    moment = optimiser.copies * sum(weight.numel * weight.bytes for weight in learnt)
    gathered = 2 * counts.layer if setup.sharding in ("zero3", "fsdp") else 0
    return MemoryEstimate(
        parameters=counts.all,
        trained=counts.trained,
        weights=weights,
        gradients=gradients,
        optimiser=states,
        activations=max(traced.peak + gathered + counts.unpacked, moment // _share(setup, "zero1")),
        kept=traced.kept,
        reserve=reserve,
        flops=flops_per_token(counts.computed, counts.computed_trained, attended, setup),
    )


def _trace_key(setup: TrainingSetup, laid: PackedBatch) -> str:
    """All of a setup that a trace depends on: neither the optimiser nor how many cards there are."""
    several = min(setup.accumulation, 2)
    return f"{id(laid)} {replace(setup, optim='', accumulation=several, world=0 if setup.sharding == 'none' else 2)!r}"


def _traced(config: Any, head: Head, laid: PackedBatch, setup: TrainingSetup) -> tuple["_Counts", Traced, float]:
    """What a model is made of, the memory of a pass, and what its tokens attend to."""
    # FSDP and DeepSpeed hold what is computed with in the type of the computation; others cast as they go.
    held = setup.compute if setup.sharding != "none" or setup.weights in _QUANTISED else setup.weights
    model: Any = build(copy(config), head, getattr(torch, held), "branches" in laid.inputs)
    attended = _attended(model.config, laid)
    if setup.adapter is not None:
        arguments = BaseRewardConfig("plan", use_cpu=True, bf16=False, gradient_checkpointing=setup.checkpointing)
        model = with_adapter(model, copy(setup.adapter), head, arguments)
    if setup.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    counts = _counts(model, setup)
    casts = setup.compute != "float32" and (setup.compute != held or setup.adapter is not None)
    return (
        counts,
        trace(model, laid, getattr(torch, setup.compute) if casts else None, setup.accumulation > 1),
        attended,
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    """What a model is made of: numbers, and bytes where it says so."""

    all: int
    trained: int
    computed: int
    computed_trained: int
    bytes: int
    layer: int
    unpacked: int
    learnt: list[Weight]


def _counts(model: nn.Module, setup: TrainingSetup) -> _Counts:
    """Counts of a model's weights; a matrix that is tied to another counts once."""
    embeddings = {id(one.weight) for one in model.modules() if isinstance(one, nn.Embedding)}
    outputs = {id(one.weight) for name, one in model.named_modules() if name.endswith("lm_head")}
    parameters = list(model.parameters())
    computed = [one for one in parameters if id(one) not in embeddings | outputs]
    learnt = [one for one in parameters if one.requires_grad]
    trained_bytes = 4 if setup.sharding == "fsdp" and setup.weights == "float32" else None
    linear = {
        id(one.weight)
        for name, one in model.named_modules()
        if isinstance(one, nn.Linear) and not name.endswith(("lm_head", "score", "classifier"))
    }
    packed = {id(one) for one in parameters if id(one) in linear and not one.requires_grad}

    def stored(one: nn.Parameter) -> float:
        if setup.weights in _QUANTISED:
            return _BYTES[setup.weights] if id(one) in packed else 4.0  # peft brings all others to float32
        return trained_bytes or one.element_size()

    layers = [one for one in model.modules() if isinstance(one, nn.ModuleList) and len(one) > 1]
    layer = max((sum(p.numel() for p in part.parameters()) for group in layers for part in group), default=0)
    largest = max((one.numel() for one in parameters if id(one) in packed), default=0)
    return _Counts(
        all=sum(one.numel() for one in parameters),
        trained=sum(one.numel() for one in learnt),
        computed=sum(one.numel() for one in computed),
        computed_trained=sum(one.numel() for one in computed if one.requires_grad),
        bytes=int(sum(one.numel() * stored(one) for one in parameters)),
        layer=int(layer * _BYTES[setup.compute]),
        unpacked=int(largest * _BYTES[setup.compute]) if setup.weights in _QUANTISED else 0,
        learnt=[Weight(tuple(one.shape), int(stored(one)), id(one) in embeddings) for one in learnt],
    )


def _share(setup: TrainingSetup, least: Sharding) -> int:
    """Over how many cards something is shared out that is from some sharding on."""
    order = ("none", "zero1", "zero2", "zero3", "fsdp")
    return setup.world if order.index(setup.sharding) >= order.index(least) else 1


def _shared_out(weights: int, gradients: int, states: int, setup: TrainingSetup) -> tuple[int, int, int]:
    """Bytes on each card. Without sharding DDP's buckets hold the gradients a second time (torch's documentation)."""
    if setup.world > 1 and setup.sharding == "none":
        gradients *= 2
    return weights // _share(setup, "zero3"), gradients // _share(setup, "zero2"), states // _share(setup, "zero1")


def flops_per_token(weights: int, trained: int, attended: float, setup: TrainingSetup) -> float:
    """Floating-point operations for each computed token.

    Two for each weight forward, two for the gradient of its input, two for its own if it is trained (Kaplan et al.,
    section 2.1: 6 N), and for attention two products of queries and keys, forward and twice backward (PaLM, appendix
    B, but for the keys that a token does see instead of the whole row). Checkpointing computes the forward pass again.

    Args:
        weights: Weights that each token is multiplied with: no embeddings.
        trained: Of them.
        attended: Over all layers: keys that a token sees, times the width of a layer's queries.
        setup: How it is trained.
    """
    again = 1 if setup.checkpointing else 0
    return (4 + 2 * again) * weights + 2 * trained + (12 + 4 * again) * attended


def _attended(config: Any, laid: PackedBatch) -> float:
    """Over all layers: the keys that a token sees on average, times the width of a layer's queries."""
    heads = config.num_attention_heads
    width = heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
    # A token's depth in its tree is the number of tokens before it that it sees.
    positions = laid.inputs.get("position_ids")
    if positions is None:
        positions = torch.cat([torch.arange(len(path)) for path in laid.places])
    mean = float(positions.double().mean()) + 1
    return float(config.num_hidden_layers * width * mean)


TraceCache = dict[str, tuple[_Counts, Traced, float]]
"""Traces by what they depend on."""
