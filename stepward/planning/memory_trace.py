"""A forward and a backward pass of a model of which nothing exists but the shapes, and the memory it would take.

A formula for activations has to be written for every architecture, and says nothing about what a backward pass holds
for a moment: the gradient of a matrix of 152,000 words, say. So the model's own code is run on torch's fake tensors,
with the head, the attention, the adapter and the checkpointing that training has, and every tensor is counted from
when it is made until it is gone (as torch's own memory tracker does). No weight is read and no number computed.

Layers that are alike take alike memory. Of a deep stack of them two and three are run, and what a layer more adds to
each part of the passes is added for all others: the same bytes to the last one, in the time of five layers.
"""

import weakref
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from stepward.errors import StepwardError
from stepward.reward_models.heads import Head, attach
from stepward.reward_models.packing.attention import NAME, BranchLayout
from stepward.reward_models.packing.layout import PackedBatch

_DEEP = 5
"""Layers up to which all are run."""


@dataclass(frozen=True, slots=True)
class Traced:
    """The memory of a forward and a backward pass, in bytes, beside weights and gradients.

    Attributes:
        kept: What the forward pass leaves for the backward pass.
        peak: The most at once.
    """

    kept: int
    peak: int


class _Meter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are made under it, while they are alive."""

    def __init__(self, before: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # Held, so that no new storage can stand where one of these stood.
        self._before = [tensor.untyped_storage() for tensor in before]
        self._alive = {storage._cdata: 0 for storage in self._before}
        self.now = 0
        self.peaks: list[int] = []
        self._peak = 0

    def mark(self) -> None:
        """Ends a part of the passes, and notes its peak."""
        self.peaks.append(self._peak)
        self._peak = self.now

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Which tokens are marked are numbers; that they are different ones is not.
        distinct = func is torch.ops.aten._unique2.default
        made = (args[0].clone(), args[0], args[0]) if distinct else func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        place = storage._cdata
        if place in self._alive:
            return
        self._alive[place] = storage.nbytes()
        self.now += storage.nbytes()
        self._peak = max(self._peak, self.now)
        weakref.finalize(storage, self._gone, place)

    def _gone(self, place: int) -> None:
        self.now -= self._alive.pop(place)


def build(config: Any, head: Head, dtype: torch.dtype, branches: bool) -> PreTrainedModel:
    """A model with a head as training has it, on torch's meta device, where it takes no memory.

    Args:
        config: The model's configuration; changed as training changes it.
        head: The head.
        dtype: Of the weights.
        branches: Whether rows are laid out as branches, and read by `stepward.reward_models.packing.attention`.

    Raises:
        StepwardError: transformers has no such model for this configuration.
    """
    kind = {"linear": AutoModelForTokenClassification, "scalar": AutoModelForSequenceClassification}
    if head.kind != "label_tokens":
        config.num_labels = head.classes
    config.classifier_dropout = 0.0
    config.use_cache = False
    try:
        with torch.device("meta"):
            model: PreTrainedModel = kind.get(head.kind, AutoModelForCausalLM).from_config(config, dtype=dtype)
            attach(model, head, _Numbered(head.label_tokens))
        model.set_attn_implementation(NAME if branches else "sdpa")
    except (ValueError, KeyError, AttributeError) as error:
        raise StepwardError(
            f"{type(config).__name__} can't be made into a reward model: {error}", code="unsupported"
        ) from error
    model.train()
    return model


class _Numbered:
    """All that a head asks of a tokenizer: label tokens' ids and names; which they are doesn't matter here."""

    unk_token_id = None

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._texts = texts

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        """The text's place."""
        return [self._texts.index(text)]

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        """The texts of places."""
        return [self._texts[place] for place in ids]


def trace(model: Any, laid: PackedBatch, autocast: torch.dtype | None, gradients_there: bool) -> Traced:
    """Runs a model forward and backward on tensors that have a shape and a type, and nothing in them.

    Args:
        model: From `build`, with whatever is put around it.
        laid: The rows of one forward pass; every token is taken to be marked, which is the most that can be.
        autocast: The type to compute in, if not the weights' own.
        gradients_there: Whether gradients are there already, as they are from the second pass of an optimiser step on.

    Returns:
        Memory beside the weights and all their gradients.

    Raises:
        StepwardError: What the model does depends on numbers, which there are none of.
    """
    stack = _stack(model)
    if stack is not None:
        holder, name, layers = stack
        passes = []
        for count in (2, 3):
            few = nn.ModuleList([*layers[: count - 1], layers[-1]])  # the head takes marked states off the last
            setattr(holder, name, few)
            passes.append(_passes(model, laid, autocast, gradients_there, few))
        setattr(holder, name, layers)
        if all(len(one.peaks) == 2 * count + 2 for count, one in zip((2, 3), passes, strict=True)):
            return _extended(passes[0], passes[1], len(layers))
    return _passes(model, laid, autocast, gradients_there, ()).traced()


@dataclass(frozen=True, slots=True)
class _Passes:
    """What the meter saw, in bytes.

    Attributes:
        kept: Memory after the forward pass.
        gradients: Of these there were none before, and they are no part of what is asked.
        peaks: Of each part: each layer's forward pass, the head's, its backward pass, each layer's from the last on.
    """

    kept: int
    gradients: int
    peaks: list[int]

    def traced(self) -> Traced:
        return Traced(self.kept, max(self.peaks) - self.gradients)


def _passes(
    model: Any, laid: PackedBatch, autocast: torch.dtype | None, gradients_there: bool, layers: Iterable[nn.Module]
) -> _Passes:
    """Runs both passes; their parts are told by the ends of layers."""
    with FakeTensorMode() as mode:
        _off_meta(model)
        inputs = {name: _faked(value, mode) for name, value in laid.inputs.items()}
        marks = torch.empty(laid.inputs["input_ids"].numel(), dtype=torch.int64)
        learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
        gradients = sum(parameter.nbytes for parameter in learnt)
        for parameter in learnt:
            parameter.grad = torch.zeros_like(parameter) if gradients_there else None
        there = [one.grad for one in learnt if one.grad is not None]
        meter = _Meter([*model.parameters(), *model.buffers(), *there])
        hooks = [layer.register_forward_hook(_end_of_layer(meter)) for layer in layers]
        try:
            with meter:
                with torch.autocast("cpu", autocast) if autocast is not None else nullcontext():
                    logits = model(**inputs, marks=marks).logits
                kept = meter.now  # without the copies of weights that autocast kept for other layers until here
                meter.mark()
                logits.float().sum().backward()
                meter.mark()
        except DataDependentOutputException as error:
            raise StepwardError(
                f"{type(model).__name__} can't be planned: what it computes depends on its numbers ({error}), as where "
                "tokens are sent to experts",
                code="unsupported",
            ) from error
        finally:
            for hook in hooks:
                hook.remove()
        return _Passes(kept, 0 if gradients_there else gradients, meter.peaks)


def _end_of_layer(meter: _Meter) -> Callable[[nn.Module, Any, Any], None]:
    """Marks the end of a layer's forward pass and, where its output's gradient is there, of the backward pass above."""
    seen: list[bool] = []

    def end(layer: nn.Module, given: Any, made: Any) -> None:
        output = made if isinstance(made, Tensor) else made[0]
        if not seen and output.requires_grad:  # checkpointing computes it again in the backward pass
            meter.mark()
            output.register_hook(lambda gradient: meter.mark())
        seen.append(True)

    return end


def _extended(two: _Passes, three: _Passes, count: int) -> Traced:
    """What as many layers take: each part of the passes grows by the same bytes with each layer.

    Of the layers' own parts the first and the last are the largest, since from one to the next they grow or shrink by
    the same bytes too.
    """

    def at(few: int, more: int) -> int:
        return few + (more - few) * (count - 2)

    # Forward the first and the last layer and the head, backward the head, the last and the first layer.
    parts = zip(
        [two.peaks[place] for place in range(6)], [three.peaks[place] for place in (0, 2, 3, 4, 5, 7)], strict=True
    )
    peak = max(at(few, more) for few, more in parts)
    return Traced(at(two.kept, three.kept), peak - at(two.gradients, three.gradients))


def _stack(model: nn.Module) -> tuple[nn.Module, str, nn.ModuleList] | None:
    """The module that holds a deep stack of layers that are alike, its name there, and the layers; None for none."""
    stacks = [
        (holder, name, child)
        for holder in model.modules()
        for name, child in holder.named_children()
        if isinstance(child, nn.ModuleList) and len(child) > _DEEP
    ]
    if len(stacks) != 1 or len({_likeness(layer) for layer in stacks[0][2]}) != 1:
        return None
    return stacks[0]


def _likeness(layer: nn.Module) -> str:
    """What two layers have in common that take the same memory: weights' shapes, and settings but for their number."""
    weights = [(name, one.shape, one.dtype, one.requires_grad) for name, one in layer.named_parameters()]
    settings = [
        (name, type(module).__name__, field, value)
        for name, module in layer.named_modules()
        for field, value in sorted(vars(module).items())
        if isinstance(value, int | float | str | None) and not field.endswith("_idx")
    ]
    return repr((weights, settings))


def _off_meta(model: nn.Module) -> None:
    """Moves weights from the meta device to a fake CPU's, whose attention is one kernel, as a GPU's is."""
    # The first of each pair is held so that its id stays its own.
    moved: dict[int, tuple[nn.Parameter, nn.Parameter]] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            if id(parameter) not in moved:
                fake = nn.Parameter(torch.empty(parameter.shape, dtype=parameter.dtype), parameter.requires_grad)
                moved[id(parameter)] = (parameter, fake)
            module._parameters[name] = moved[id(parameter)][1]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


def _faked(value: Any, mode: FakeTensorMode) -> Any:
    """An input without its numbers."""
    fake: Callable[[Tensor], Tensor] = mode.from_tensor
    if isinstance(value, BranchLayout):
        masks = [None if mask is None else fake(mask) for mask in value.masks]
        return BranchLayout(value.queries, value.keys, fake(value.gather), masks)
    return fake(value)
