"""The conventions of reward models on the hub, by name: how each is asked and read, and where that was published.

To know one more, write how it is asked (`prompts`), what reads it (`loading`, which most share), and an entry
in `SCORERS`; docs/scorers.md goes through it.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stepward.errors import StepwardError
from stepward.hub import hub_name
from stepward.model_config import config_fields
from stepward.reward_models.hub.loading import (
    LogitModel,
    classifier_model,
    label_token_model,
    qwen_model,
    scalar_model,
    skywork_model,
    weight_names,
)
from stepward.reward_models.hub.prompts import (
    ChatFormat,
    MathShepherdFormat,
    PromptFormat,
    QwenPRMFormat,
    RLHFlowFormat,
    SkyworkFormat,
    TRLFormat,
    plus_minus_ids,
)
from stepward.reward_models.model_dir import DESCRIPTION, read_metadata

NATIVE = "stepward"
"""The name under which Stepward's own models go, beside the conventions of others."""


@dataclass(frozen=True, slots=True)
class LoadContext:
    """Where and how a model is loaded.

    Attributes:
        folder: The model's.
        tokenizer: Its tokenizer.
        device: Where it is to run.
        dtype: Of its weights.
        separator: Text after each step, where the convention leaves it open; None for its usual one.
    """

    folder: Path
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    separator: str | None = None


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """A way of asking reward models.

    Attributes:
        name: What `--scorer` takes.
        about: It in a line.
        source: Where it was published.
        load: Loads a model and says how it is asked.
        models: Models on the hub that are known to keep to it.
        whole: Whether a whole solution has one score, and not a score a step.
        paragraphs: Whether its steps are parted by empty lines in its own data, and not by line ends.
        separable: Whether the text after a step may be chosen.
    """

    name: str
    about: str
    source: str
    load: Callable[[LoadContext], tuple[LogitModel, PromptFormat]]
    models: tuple[str, ...] = ()
    whole: bool = False
    paragraphs: bool = False
    separable: bool = False


def _math_shepherd(place: LoadContext) -> tuple[LogitModel, PromptFormat]:
    wrong, right = plus_minus_ids(place.tokenizer)
    return label_token_model(place.folder, wrong, right, place.device, place.dtype), MathShepherdFormat(place.tokenizer)


def _er_prm(place: LoadContext) -> tuple[LogitModel, PromptFormat]:
    wrong, right = plus_minus_ids(place.tokenizer)
    return label_token_model(place.folder, wrong, right, place.device, place.dtype), MathShepherdFormat(
        place.tokenizer, between=""
    )


def _rlhflow(place: LoadContext, whole: bool = False) -> tuple[LogitModel, PromptFormat]:
    asking = RLHFlowFormat(place.tokenizer, whole)
    return label_token_model(place.folder, *asking.signs, place.device, place.dtype), asking


def _qwen(place: LoadContext) -> tuple[LogitModel, PromptFormat]:
    return qwen_model(place.folder, place.device, place.dtype), QwenPRMFormat(place.tokenizer)


def _skywork(place: LoadContext) -> tuple[LogitModel, PromptFormat]:
    return skywork_model(place.folder, place.device, place.dtype), SkyworkFormat(place.tokenizer)


def _trl(place: LoadContext) -> tuple[LogitModel, PromptFormat]:
    separator = "\n" if place.separator is None else place.separator
    return classifier_model(place.folder, place.device, place.dtype), TRLFormat(place.tokenizer, separator)


def _bradley_terry(place: LoadContext) -> tuple[LogitModel, PromptFormat]:
    pad = config_fields(place.folder).get("pad_token_id")
    return scalar_model(place.folder, place.device, place.dtype), ChatFormat(place.tokenizer, pad)


_RLHFLOW = "https://github.com/RLHFlow/RLHF-Reward-Modeling"

SCORERS: dict[str, ScorerSpec] = {
    one.name: one
    for one in (
        ScorerSpec(
            "math-shepherd", "ки after each step; softmax of the logits of + and - there",
            "https://huggingface.co/peiyi9979/math-shepherd-mistral-7b-prm", _math_shepherd,
            ("peiyi9979/math-shepherd-mistral-7b-prm",),
        ),
        ScorerSpec(
            "er-prm", "as math-shepherd, with nothing between ки and the next step",
            "https://github.com/hanningzhang/ER-PRM", _er_prm,
        ),
        ScorerSpec(
            "rlhflow", "a user's turn a step, each answered by +; softmax of + and - before it",
            f"{_RLHFLOW}/blob/main/math-rm/prm_evaluate.py", _rlhflow,
            ("RLHFlow/Llama3.1-8B-PRM-Mistral-Data", "RLHFlow/Llama3.1-8B-PRM-Deepseek-Data"),
        ),
        ScorerSpec(
            "rlhflow-orm", "question and solution in one turn, answered by +; one score",
            f"{_RLHFLOW}/blob/main/math/orm_evaluate.py", lambda place: _rlhflow(place, whole=True),
            ("RLHFlow/Llama3.1-8B-ORM-Mistral-Data", "RLHFlow/Llama3.1-8B-ORM-Deepseek-Data"), whole=True,
        ),
        ScorerSpec(
            "qwen-prm", "<extra_0> after each step of a chat's answer; softmax of two classes there",
            "https://huggingface.co/Qwen/Qwen2.5-Math-PRM-7B", _qwen,
            ("Qwen/Qwen2.5-Math-PRM-7B", "Qwen/Qwen2.5-Math-PRM-72B", "Qwen/Qwen2.5-Math-7B-PRM800K"),
            paragraphs=True,
        ),
        ScorerSpec(
            "skywork", "a line end after each step; logistic function of a value head there",
            "https://huggingface.co/Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B", _skywork,
            ("Skywork/Skywork-o1-Open-PRM-Qwen-2.5-1.5B", "Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B"),
        ),
        ScorerSpec(
            "trl", "a token classifier of TRL's PRMTrainer; softmax at the separator after each step",
            "https://huggingface.co/docs/trl/prm_trainer", _trl, separable=True,
        ),
        ScorerSpec(
            "bradley-terry", "a sequence classifier of one number for question and answer as a chat",
            "https://huggingface.co/docs/trl/reward_trainer", _bradley_terry, whole=True,
        ),
    )
}  # fmt: skip
"""Every convention by its name."""

_CLASSES = {"Qwen2ForProcessRewardModel": "qwen-prm", "Qwen2ForPrmModel": "skywork"}
_KINDS = {"ForTokenClassification": "trl", "ForSequenceClassification": "bradley-terry"}


def scorer_spec(name: str) -> ScorerSpec:
    """The convention of a name.

    Raises:
        StepwardError: There is none.
    """
    if name not in SCORERS:
        near = difflib.get_close_matches(name, [*SCORERS, NATIVE], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise StepwardError(
            f"unknown scorer {name!r}; expected one of {', '.join([*SCORERS, NATIVE])}{hint}",
            code="unknown_name",
            field="--scorer",
        )
    return SCORERS[name]


def detect(name: str | Path, folder: Path | None = None) -> str:
    """The convention of a model: a name of `SCORERS`, or `stepward`.

    It is told by Stepward's own description; by the model's name, where that is one of those that are known; by the
    class that config.json names; or by a value head among the weights. Models whose sign is a word of a plain language
    model (Math-Shepherd, ER-PRM, RLHFlow) look alike otherwise.

    Args:
        name: The model's folder, or its name on the hub.
        folder: Where it lies, if `name` is of the hub.

    Raises:
        StepwardError: It can't be told, or there is no model.
    """
    folder = folder or Path(name)
    if (folder / DESCRIPTION).is_file():
        return NATIVE
    if known := _known(of_hub.name if (of_hub := hub_name(name)) else "", folder):
        return known
    if not (folder / "config.json").is_file():
        read_metadata(folder)  # says that it is no reward model
    fields = config_fields(folder)
    architectures = [str(one) for one in fields.get("architectures") or ()]
    for one in architectures:
        if one in _CLASSES:
            return _CLASSES[one]
        for end, convention in _KINDS.items():
            if one.endswith(end):
                return convention
    if "v_head.summary.weight" in weight_names(folder):
        return "skywork"
    raise StepwardError(
        f"{name}: its config.json ({', '.join(architectures) or 'no architectures'}) doesn't tell how this reward "
        f"model is asked; say it with --scorer (scorer= in Python), one of {', '.join(SCORERS)}",
        code="ambiguous",
        file=folder,
        field="--scorer",
    )


def _known(named: str, folder: Path) -> str | None:
    """The convention of a model that is known by name: its own, its folder's, or its folder's in the hub's cache."""
    for convention in SCORERS.values():
        for model in convention.models:
            cached = f"models--{model.replace('/', '--')}"
            if named == model or folder.name == model.partition("/")[2] or cached in folder.parts:
                return convention.name
    return None
