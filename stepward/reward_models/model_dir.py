"""A reward model's folder: a transformers token classifier with one logit, its tokenizer, and how it is meant.

Plain transformers loads the folder as it is. `stepward_reward_model.json` beside it says what transformers can't
know: the labels it was trained on and the rendering without which its scores mean nothing.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from stepward.errors import StepwardError
from stepward.model_config import load_config
from stepward.models import model_folder, quiet
from stepward.rendering import Rendering
from stepward.reward_models.data.answer_tokens import Form
from stepward.reward_models.heads import Head
from stepward.storage.files import write_error

DESCRIPTION = "stepward_reward_model.json"

# Its own, not the records': a new field of a record makes no trained model unreadable.
VERSION = 2

_LARGEST = 1 << 20
"""Bytes of a description, at most."""


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a reward model is.

    Attributes:
        kind: `prm`, `orm` or `bt`; or, for one that a run trained, its labels: `hard`, `soft`, `er`, `orm`, `oracle`.
        seed: What its head and its data's order were drawn from.
        base: The model it was started from.
        eta: The inverse temperature of `er` labels; None for the other kinds.
        rendering: The separators it was trained with.
        share_prefixes: Whether solutions with common first tokens may be read as one tree.
        head: What it ends in.
        form: How a question and its answer are one sequence, where that is not steps one by one.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    kind: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)]
    base: str
    eta: Annotated[float, Field(gt=0)] | None = None
    rendering: Rendering = field(default_factory=Rendering)
    share_prefixes: bool = True
    head: Head = field(default_factory=lambda: Head("linear", 1))
    form: Form | None = None

    @property
    def name(self) -> str:
        """The name its scores carry."""
        return f"{self.kind}/seed-{self.seed}"


def write_metadata(description: ModelMetadata, folder: Path) -> None:
    """Writes the description into a model's folder."""
    text = json.dumps({"schema_version": VERSION, **asdict(description)}, indent=2, allow_nan=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def read_metadata(folder: Path) -> ModelMetadata:
    """Reads the description of a reward model's folder.

    Raises:
        StepwardError: The folder is not a finished Stepward reward model, or one of another schema version.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise StepwardError(
            f"{folder} is not a reward model: there is no {DESCRIPTION} in it. "
            "Give the folder of one, for instance runs/tiny-cpu/rewards/er/seed-0.",
            code="file_not_found",
            file=path,
        )
    fields = _fields(path)
    version = fields.pop("schema_version", None)
    if version != VERSION:
        raise StepwardError(
            f"{path}: schema_version is {version!r}, expected {VERSION}: train it again, or update Stepward.",
            code="wrong_version",
            file=path,
            field="schema_version",
        )
    try:
        return TypeAdapter(ModelMetadata).validate_json(json.dumps(fields))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise StepwardError(
            f"{path}: {name}: {first['msg'][0].lower()}{first['msg'][1:]}; it is no reward model's description",
            code="bad_value",
            file=path,
            field=name,
        ) from None
    except StepwardError as error:  # kind, classes and label tokens that don't fit one another
        raise StepwardError(f"{path}: head: {error}", code=error.code, file=path, field="head") from None


def _fields(path: Path) -> dict[str, Any]:
    """What a description says, of whatever type."""
    try:
        if path.stat().st_size > _LARGEST:
            raise StepwardError(
                f"{path} has {path.stat().st_size:,} bytes, more than {_LARGEST:,}: it is no description of a model",
                code="too_large",
                file=path,
            )
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StepwardError(
            f"{path} can't be read as a reward model's description ({error}): train it again.",
            code="unreadable",
            file=path,
        ) from None
    if not isinstance(fields, dict):
        raise StepwardError(f"{path} holds no JSON object: train it again.", code="unreadable", file=path)
    return fields


def check_compatible(checkpoint: Path, description: ModelMetadata) -> None:
    """Makes sure that a checkpoint is of the same reward model.

    Raises:
        StepwardError: It is not; names what differs.
    """
    before = asdict(read_metadata(checkpoint))
    for name, now in asdict(description).items():
        if before[name] != now:
            raise StepwardError(
                f"{checkpoint} is a checkpoint of another recipe: its {name} is {before[name]}, now {now}. Train on "
                "with the settings it was made with, or start into another folder.",
                code="changed",
                file=checkpoint,
                field=name,
            )


_CLASSES = {1: {0: "right"}, 2: {0: "wrong", 1: "right"}, 3: {0: "wrong", 1: "right", 2: "neutral"}}


def load_model(name: str | Path, head: Head, **settings: Any) -> PreTrainedModel:
    """Loads a causal language model, or a reward model, as the class that a head needs, in float32.

    Only safetensors are read and no code of the folder is run. A head that the folder lacks is drawn from torch's
    global random state: seed it first.

    Args:
        name: A folder, or a model's name on the hub (`stepward.models.model_folder`).
        head: The head: `linear` needs a token classifier, `scalar` a sequence classifier, `label_tokens` the language
            model itself.
        settings: Passed to `from_pretrained`.

    Raises:
        StepwardError: The folder holds no weights in safetensors, or transformers has no such class for it.
    """
    if "revision" in settings:  # of a folder, as which all are loaded, it would be passed over
        raise StepwardError(
            f"the model {name}: write its revision behind its name, as hf://owner/name@{settings['revision']}",
            code="conflict",
            field="revision",
        )
    folder = model_folder(name)
    if not any(folder.glob("*.safetensors")):
        raise StepwardError(
            f"the model folder {name} has no weights: looked for *.safetensors.", code="file_not_found", file=name
        )
    kind = {"linear": AutoModelForTokenClassification, "scalar": AutoModelForSequenceClassification}
    settings = {"dtype": torch.float32, **settings}
    try:
        config = load_config(folder)
        if head.kind != "label_tokens":
            config.id2label = {0: "reward"} if head.kind == "scalar" else _CLASSES[head.classes]
            config.label2id = {label: index for index, label in config.id2label.items()}
        # Transformers drops a tenth of the last state where a configuration does not say otherwise, which would make
        # training noisier for nothing. Set here, not above: many configurations have no such field of their own.
        config.classifier_dropout = 0.0
        with quiet():
            loaded: Any = kind.get(head.kind, AutoModelForCausalLM).from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **settings,
            )
    except StepwardError:
        raise
    except Exception as error:  # a stranger's configuration may raise anything
        raise StepwardError(
            f"the model {name} can't be loaded as a reward model: {error}\n"
            "Expected a causal language model for which transformers has such a classifier, such as Llama or Qwen.",
            code="out_of_memory" if isinstance(error, MemoryError | torch.OutOfMemoryError) else "unsupported",
            file=name,
        ) from error
    model: PreTrainedModel = loaded[0]
    new = {f"{part}.{name}" for part in ("score", "classifier") for name in ("weight", "bias")}
    if missing := sorted(set(loaded[1]["missing_keys"]) - (new if head.kind != "label_tokens" else set())):
        # transformers draws what is missing at random: right for a new head, noise for anything else.
        raise StepwardError(
            f"the model {name} is not whole: its weights lack {', '.join(missing[:3])}",
            code="unreadable",
            file=name,
            field=missing[0],
        )
    return model


@contextmanager
def atomic_dir(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` only if nothing is raised, so a partial model never looks finished.

    An earlier reward model at `folder` is replaced.

    Raises:
        StepwardError: `folder` holds something that is not a reward model, the disc is full or can't be written.
    """
    if folder.exists() and not (folder / DESCRIPTION).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise StepwardError(
            f"{folder} exists and is not a reward model: it won't be overwritten. Name another folder.",
            code="file_exists",
            file=folder,
        )
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    except OSError as error:
        raise write_error(folder, error) from error
    except SafetensorError as error:
        raise write_error(folder, _system_error(error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _system_error(error: SafetensorError) -> OSError:
    """What the system said when weights could not be written; safetensors carries its number in words alone."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    number = int(found[1]) if found else errno.EIO
    return OSError(number, os.strerror(number) if found else str(error))
