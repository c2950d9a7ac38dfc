"""The heads of reward models: what turns a token's last state into scores, and a forward that does only that.

A causal language model's own head gives a logit for each token and word: at 152,000 words that is most of the memory
of training. Here a model's `forward` is replaced by one that runs its decoder once, takes the states of the marked
tokens, and multiplies only those. A head of label tokens (`+` and `-`, as Let's Verify Step by Step and ER-PRM read
them) uses those tokens' rows of the model's own output matrix and nothing else of it. The weights, their names and
what is saved are the model's own: plain transformers, and vLLM, load it as they load any.
"""

from dataclasses import dataclass
from inspect import signature
from types import MethodType
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from stepward.errors import StepwardError

HeadKind = Literal["linear", "label_tokens", "scalar"]

WRONG, RIGHT, NEUTRAL = 0, 1, 2
"""The classes' order in the logits of two and three classes."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a reward model ends in.

    Attributes:
        kind: `linear` (a token classifier), `label_tokens` (the logits of some tokens of a language model), or
            `scalar` (one number with no bias, for Bradley-Terry).
        classes: Logits a marked token: 1 (its logistic function is the score), 2 (wrong, right), or 3 (and neutral).
        label_tokens: For `label_tokens` the tokens' texts, right first: `("+", "-")` or `("+", "-", "0")`.
    """

    kind: HeadKind = "linear"
    classes: int = 2
    label_tokens: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises StepwardError if kind, classes and tokens don't fit one another."""
        if self.kind == "label_tokens" and (
            self.classes not in (2, 3) or len(set(self.label_tokens)) != self.classes or "" in self.label_tokens
        ):
            raise StepwardError(
                f"label_tokens {self.label_tokens} with {self.classes} classes: expected two different tokens, "
                "right and wrong, or three, with neutral last",
                code="bad_value",
                field="label_tokens",
            )
        if self.kind == "linear" and self.classes not in (1, 2, 3):
            raise StepwardError(
                f"a linear head of {self.classes} classes: expected 1, 2 or 3", code="bad_value", field="num_labels"
            )
        if self.kind == "scalar" and self.classes != 1:
            raise StepwardError(
                f"a scalar head of {self.classes} classes: expected 1", code="bad_value", field="num_labels"
            )


def margins(logits: Tensor) -> Tensor:
    """The log-odds of right against wrong, `[...]`, of logits `[..., class]` of one or two classes."""
    return logits[..., 0] if logits.shape[-1] == 1 else logits[..., RIGHT] - logits[..., WRONG]


def probabilities(logits: Tensor, neutral_is_right: bool = True) -> Tensor:
    """The score in [0, 1], `[...]` in float32, of logits `[..., class]`.

    Of three classes the probability of neutral is counted as right or as wrong: Let's Verify Step by Step reports
    both, and the first as the better.
    """
    if logits.shape[-1] < 3:
        return torch.sigmoid(margins(logits.float()))
    shares = torch.softmax(logits.float(), dim=-1)
    return 1 - shares[..., WRONG] if neutral_is_right else shares[..., RIGHT]


def class_targets(labels: Tensor, classes: int) -> Tensor:
    """The target `[mark, class]` of labels `[mark]` in [0, 1], or below 0 for neutral as a class of its own."""
    right = labels.clamp(min=0.0)
    targets = torch.zeros(len(labels), max(classes, 2), device=labels.device)
    targets[:, WRONG], targets[:, RIGHT] = 1 - right, right
    if classes > NEUTRAL:
        targets[labels < 0] = torch.tensor([0.0, 0.0, 1.0], device=labels.device)
    return targets


def attach(model: PreTrainedModel, head: Head, tokenizer: Any = None) -> None:
    """Replaces a model's forward by one that gives the logits of marked tokens alone.

    It takes `marks` `[mark]`, indices into the flattened `input_ids`, beside whatever the decoder takes, and gives
    `logits` `[mark, class]`, classes in the order of `WRONG, RIGHT, NEUTRAL`.

    Args:
        model: Of the class that the head's kind needs (`stepward.reward_models.model_dir.load_model`). Its
            configuration is told what vLLM must know of label tokens.
        head: The head.
        tokenizer: The model's, for the ids of label tokens.

    Raises:
        StepwardError: The model has no such head, or a label token is not one token.
    """
    name = head_name(model, head)
    if head.kind == "label_tokens":
        right, wrong, *neutral = [one_token_id(tokenizer, text) for text in head.label_tokens]
        module = getattr(model, name)
        # The class, not the module, is changed: its weight keeps its name, and stays tied where it is tied.
        module.__class__ = _LabelRows
        module.tied = module.weight is model.get_input_embeddings().weight
        module.register_buffer("label_ids", torch.tensor([wrong, right, *neutral]), persistent=False)
        module.label_ids = module.label_ids.to(module.weight.device)
        model.config.classifier_from_token = tokenizer.convert_ids_to_tokens([wrong, right, *neutral])
        model.config.method = "no_post_processing"
    model._stepward_head = name  # type: ignore[assignment]
    model._stepward_last = _told_places(model)  # type: ignore[assignment]
    model.forward = MethodType(_forward, model)


def one_token_id(tokenizer: Any, text: str) -> int:
    """The id of a text that must be one token.

    Raises:
        StepwardError: It is not one token of the tokenizer's.
    """
    ids = tokenizer.encode(text, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        unknown = " (unknown)" if len(ids) == 1 else ""
        raise StepwardError(
            f"{text!r} is {len(ids)} tokens to this tokenizer{unknown}: expected one; choose another",
            code="unsupported",
        )
    return int(ids[0])


class _LabelRows(torch.nn.Linear):
    """An output matrix of which only the label tokens' rows are multiplied."""

    label_ids: Tensor
    tied: bool

    def forward(self, input: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias[self.label_ids]
        if self.tied and type(self.weight) is torch.nn.Parameter:
            # The rows' gradient as a table of two rows; a dense one would be as large as the matrix. Autograd adds it
            # to the embedding's own, which is dense, so that an optimiser never sees it. Not for sharded weights.
            return functional.linear(input, functional.embedding(self.label_ids, self.weight, sparse=True), bias)
        return functional.linear(input, self.weight[self.label_ids], bias)


def head_name(model: PreTrainedModel, head: Head) -> str:
    """The name of the module that is the model's head."""
    if head.kind == "label_tokens":
        module = model.get_output_embeddings()
        names = [name for name, child in model.named_children() if child is module]
        if not names or not isinstance(module, torch.nn.Linear):
            raise StepwardError(
                f"{type(model).__name__} has no output matrix to read label tokens with: expected a causal language "
                "model, or set head to linear",
                code="unsupported",
                field="head",
            )
        return names[0]
    for name in ("score", "classifier"):
        module = getattr(model, name, None)
        if isinstance(module, torch.nn.Module):
            found = getattr(module, "out_features", head.classes)
            if found != head.classes:
                raise StepwardError(
                    f"{type(model).__name__} has {found} classes, but {head.classes} are asked for",
                    code="mismatch",
                    field="num_labels",
                )
            return name
    raise StepwardError(
        f"{type(model).__name__} has no classification head: expected a token or sequence classifier, or set head to "
        "label_tokens for a causal language model",
        code="unsupported",
        field="head",
    )


def _forward(
    self: Any, input_ids: Tensor | None = None, marks: Tensor | None = None, **inputs: Any
) -> TokenClassifierOutput:
    """The decoder once, then the head on the marked tokens; every token is marked where no marks are given."""
    asked = {name: value for name, value in inputs.items() if value is not None}
    asked["use_cache"] = False
    if marks is not None and self._stepward_last:
        asked[_PLACES] = torch.unique(marks)
    states = getattr(self, self.base_model_prefix)(input_ids=input_ids, **asked).last_hidden_state.flatten(0, 1)
    if marks is not None:
        states = states.index_select(0, marks)
    if isinstance(dropout := getattr(self, "dropout", None), torch.nn.Module):
        states = dropout(states)
    return TokenClassifierOutput(logits=getattr(self, self._stepward_head)(states))


_PLACES = "stepward_places"
"""The argument by which a decoder passes the marked places on to its layers."""


class _AtPlaces:
    """The last layer, of which the feed-forward block, which reads each token alone, computes marked tokens only.

    No other token's last state is asked for. The places come with each call and belong to it: gradient checkpointing
    calls the layer again on the way back, with the arguments of the forward pass that it repeats.
    """

    def __init__(self, layer: torch.nn.Module, block: torch.nn.Module) -> None:
        self._places: Tensor | None = None
        self._layer, self._block = layer.forward, block.forward
        layer.forward, block.forward = self, self._of_block

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """As the layer's own forward."""
        self._places = named.pop(_PLACES, None)
        try:
            return self._layer(*arguments, **named)
        finally:
            self._places = None

    def _of_block(self, states: Tensor) -> Tensor:
        """As the block's own forward; 0 where nothing is marked."""
        if self._places is None:
            whole: Tensor = self._block(states)
            return whole
        flat = states.flatten(0, 1)
        found = self._block(flat.index_select(0, self._places)[None])[0]
        return torch.zeros_like(flat).index_copy(0, self._places, found.to(flat.dtype)).view_as(states)


def _told_places(model: PreTrainedModel) -> bool:
    """Whether the last layer computes what is marked, made so here; not where layers are built in another way."""
    decoder = getattr(model, model.base_model_prefix, None)
    layers = getattr(decoder, "layers", None)
    layer = layers[-1] if isinstance(layers, torch.nn.ModuleList) and len(layers) else None
    if layer is not None and isinstance(layer.forward, _AtPlaces):
        return True
    block = getattr(layer, "mlp", None)
    if not isinstance(block, torch.nn.Module) or {"gate_proj", "up_proj", "down_proj"} != {
        name for name, child in block.named_children() if isinstance(child, torch.nn.Linear)
    }:
        return False  # a mixture of experts, say, whose experts are dealt by all tokens
    if not all(map(_takes_more, (decoder, *layers))):  # type: ignore[misc]
        return False
    _AtPlaces(layer, block)  # type: ignore[arg-type]
    return True


def _takes_more(module: Any) -> bool:
    """Whether a module's forward takes arguments that it doesn't name, to pass them on."""
    return any(one.kind is one.VAR_KEYWORD for one in signature(module.forward).parameters.values())


def head_of(model: PreTrainedModel, asked: Head, classes: int | None) -> Head:
    """The head of a given model: as asked for, with the classes that the model has where none were named.

    Raises:
        StepwardError: The model has no such head.
    """
    if asked.kind == "label_tokens" or classes is not None:
        head_name(model, asked)
        return asked
    return Head(asked.kind, int(getattr(model.config, "num_labels", asked.classes)))
