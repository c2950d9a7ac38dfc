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
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from stepward.errors import StepwardError
from stepward.models import is_hub_name, quiet
from stepward.rendering import Rendering
from stepward.rewards.heads import Head
from stepward.store import unwritable

DESCRIPTION = "stepward_reward_model.json"

# Its own, not the records': a new field of a record makes no trained model unreadable.
VERSION = 2


@dataclass(frozen=True, slots=True)
class Description:
    """What a reward model is.

    Attributes:
        kind: `prm`, `orm` or `bt`; or, for one that a run trained, its labels: `hard`, `soft`, `er`, `orm`, `oracle`.
        seed: What its head and its data's order were drawn from.
        base: The model it was started from.
        eta: The inverse temperature of `er` labels; None for the other kinds.
        rendering: The separators it was trained with.
        share_prefixes: Whether solutions with common first tokens may be read as one tree.
        head: What it ends in.
    """

    kind: str
    seed: int
    base: str
    eta: float | None = None
    rendering: Rendering = field(default_factory=Rendering)
    share_prefixes: bool = True
    head: Head = field(default_factory=lambda: Head("linear", 1))

    @property
    def name(self) -> str:
        """The name its scores carry."""
        return f"{self.kind}/seed-{self.seed}"


def write_description(description: Description, folder: Path) -> None:
    """Writes the description into a model's folder."""
    text = json.dumps({"schema_version": VERSION, **asdict(description)}, indent=2, allow_nan=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def read_description(folder: Path) -> Description:
    """Reads the description of a reward model's folder.

    Raises:
        StepwardError: The folder is not a finished Stepward reward model, or one of another schema version.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise StepwardError(
            f"{folder} is not a reward model: there is no {DESCRIPTION} in it. "
            "Give the folder of one, for instance runs/tiny-cpu/rewards/er/seed-0."
        )
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        version = fields.pop("schema_version")
        head = Head(**{**fields["head"], "label_tokens": tuple(fields["head"]["label_tokens"])})
        description = Description(**{**fields, "rendering": Rendering(**fields["rendering"]), "head": head})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StepwardError(
            f"{path} can't be read as a reward model's description ({error}): train it again."
        ) from None
    if version != VERSION:
        raise StepwardError(f"{path}: schema_version is {version}, expected {VERSION}: train it again.")
    return description


def check_same(checkpoint: Path, description: Description) -> None:
    """Makes sure that a checkpoint is of the same reward model.

    Raises:
        StepwardError: It is not; names what differs.
    """
    before = asdict(read_description(checkpoint))
    for name, now in asdict(description).items():
        if before[name] != now:
            raise StepwardError(
                f"{checkpoint} is a checkpoint of another recipe: its {name} is {before[name]}, now {now}. Train on "
                "with the settings it was made with, or start into another folder."
            )


_CLASSES = {1: {0: "right"}, 2: {0: "wrong", 1: "right"}, 3: {0: "wrong", 1: "right", 2: "neutral"}}


def load_model(name: str | Path, head: Head, **settings: Any) -> PreTrainedModel:
    """Loads a causal language model, or a reward model, as the class that a head needs, in float32.

    Only safetensors are read and no code of the folder is run. A head that the folder lacks is drawn from torch's
    global random state: seed it first.

    Args:
        name: A folder, or a model's name on the hub.
        head: The head: `linear` needs a token classifier, `scalar` a sequence classifier, `label_tokens` the language
            model itself.
        settings: Passed to `from_pretrained`.

    Raises:
        StepwardError: The folder holds no weights in safetensors, or transformers has no such class for it.
    """
    local = not is_hub_name(name)
    if local and not any(Path(name).glob("*.safetensors")):
        raise StepwardError(f"the model folder {name} has no weights: looked for *.safetensors.")
    kind = {"linear": AutoModelForTokenClassification, "scalar": AutoModelForSequenceClassification}
    settings = {"dtype": torch.float32, **settings}
    try:
        config = AutoConfig.from_pretrained(name, local_files_only=local, trust_remote_code=False)
        if head.kind != "label_tokens":
            config.id2label = {0: "reward"} if head.kind == "scalar" else _CLASSES[head.classes]
            config.label2id = {label: index for index, label in config.id2label.items()}
        # Transformers drops a tenth of the last state where a configuration does not say otherwise, which would make
        # training noisier for nothing. Set here, not above: many configurations have no such field of their own.
        config.classifier_dropout = 0.0
        with quiet():
            loaded: Any = kind.get(head.kind, AutoModelForCausalLM).from_pretrained(
                name,
                config=config,
                use_safetensors=True,
                local_files_only=local,
                trust_remote_code=False,
                output_loading_info=True,
                **settings,
            )
    except (ValueError, OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise StepwardError(
            f"the model {name} can't be loaded as a reward model: {error}\n"
            "Expected a causal language model for which transformers has such a classifier, such as Llama or Qwen."
        ) from error
    model: PreTrainedModel = loaded[0]
    new = {f"{part}.{name}" for part in ("score", "classifier") for name in ("weight", "bias")}
    if missing := sorted(set(loaded[1]["missing_keys"]) - (new if head.kind != "label_tokens" else set())):
        # transformers draws what is missing at random: right for a new head, noise for anything else.
        raise StepwardError(f"the model {name} is not whole: its weights lack {', '.join(missing[:3])}")
    return model


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` only if nothing is raised, so a partial model never looks finished.

    An earlier reward model at `folder` is replaced.

    Raises:
        StepwardError: `folder` holds something that is not a reward model, the disc is full or can't be written.
    """
    if folder.exists() and not (folder / DESCRIPTION).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise StepwardError(f"{folder} exists and is not a reward model: it won't be overwritten. Name another folder.")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    except SafetensorError as error:
        raise unwritable(folder, _system_error(error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _system_error(error: SafetensorError) -> OSError:
    """What the system said when weights could not be written; safetensors carries its number in words alone."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    number = int(found[1]) if found else errno.EIO
    return OSError(number, os.strerror(number) if found else str(error))
