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
from transformers import AutoConfig, AutoModelForTokenClassification, PreTrainedModel
from transformers.utils import logging

from stepward.errors import StepwardError
from stepward.rendering import Rendering
from stepward.store import unwritable

DESCRIPTION = "stepward_reward_model.json"

# Its own, not the records': a new field of a record makes no trained model unreadable.
VERSION = 1


@dataclass(frozen=True, slots=True)
class Description:
    """What a reward model is.

    Attributes:
        kind: The labels it was trained on: `hard`, `soft`, `er`, `orm` or `oracle`.
        seed: What its head and its data's order were drawn from.
        base: The model it was started from.
        eta: The inverse temperature of `er` labels; None for the other kinds.
        rendering: The separators it was trained with.
        share_prefixes: Whether solutions with common first tokens may be read as one tree.
    """

    kind: str
    seed: int
    base: str
    eta: float | None = None
    rendering: Rendering = field(default_factory=Rendering)
    share_prefixes: bool = True

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
        description = Description(**{**fields, "rendering": Rendering(**fields["rendering"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StepwardError(
            f"{path} can't be read as a reward model's description ({error}): train it again."
        ) from None
    if version != VERSION:
        raise StepwardError(f"{path}: schema_version is {version}, expected {VERSION}: train it again.")
    return description


def load_model(folder: Path) -> PreTrainedModel:
    """Loads a causal language model, or a reward model, as a token classifier with one logit, in float32.

    Only safetensors are read and no code of the folder is run. A head that the folder lacks is drawn from torch's
    global random state: seed it first.

    Raises:
        StepwardError: The folder holds no weights in safetensors, or transformers has no token classifier for it.
    """
    if not any(folder.glob("*.safetensors")):
        raise StepwardError(f"the model folder {folder} has no weights: looked for *.safetensors.")
    try:
        config = AutoConfig.from_pretrained(
            folder, num_labels=1, id2label={0: "right"}, label2id={"right": 0}, local_files_only=True
        )
        # Transformers drops a tenth of the last state where a configuration does not say otherwise, which would make
        # training noisier for nothing. Set here, not above: many configurations have no such field of their own.
        config.classifier_dropout = 0.0
        # A cache of keys and values would only cost memory: every tree is read in one pass.
        config.use_cache = False
        with quiet():
            loaded: Any = AutoModelForTokenClassification.from_pretrained(
                folder,
                config=config,
                # Gives exact sums over a tree's boolean mask; flash attention takes no mask.
                attn_implementation="sdpa",
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except (ValueError, OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise StepwardError(
            f"the model folder {folder} can't be loaded as a reward model: {error}\n"
            "Expected a causal language model for which transformers has a token classifier, such as Llama or Qwen."
        ) from error
    model: PreTrainedModel = loaded[0]
    head = {f"score.{name}" for name in ("weight", "bias")} | {f"classifier.{name}" for name in ("weight", "bias")}
    if missing := sorted(set(loaded[1]["missing_keys"]) - head):
        # transformers draws what is missing at random: right for a new head, noise for anything else.
        raise StepwardError(f"the model folder {folder} is not whole: its weights lack {', '.join(missing[:3])}")
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers' bars and its table of newly drawn weights, here always the head's, off the screen."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


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
