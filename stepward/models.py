"""Loads model folders the one safe way: local, safetensors only, no remote code; errors say what is missing."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError


def load_tokenizer(folder: str | Path) -> Any:
    """The tokenizer of a model folder, or of a model on the hub (`owner/name`), with a pad token.

    Raises:
        StepwardError: The folder is missing or holds no tokenizer, or the hub can't be asked.
    """
    from transformers import AutoTokenizer

    local = not is_hub_name(folder)
    if local:
        _require(folder, "config.json", "a transformers model")
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=local)
    except (OSError, ValueError, ImportError, KeyError, AttributeError) as error:
        raise StepwardError(
            f"{folder}: no tokenizer that transformers can load ({_in_one_line(error)}); expected tokenizer.json, "
            "tokenizer.model or the like beside config.json: save it there with tokenizer.save_pretrained(folder)"
        ) from error
    if len(tokenizer) == 0:
        raise StepwardError(f"{folder}: its tokenizer has no tokens; expected tokenizer.json beside config.json")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def is_hub_name(name: str | Path) -> bool:
    """Whether it names a model on the hub and not a folder: text of the form `owner/name` where no such path is."""
    return isinstance(name, str) and not Path(name).exists() and bool(re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name))


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers' bars and its table of newly drawn weights, here always the head's, off the screen."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_causal_lm(folder: str | Path) -> Any:
    """The causal language model of a folder, in float32.

    Raises:
        StepwardError: The folder is missing, or holds no whole causal language model in safetensors.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    _require(folder, "config.json", "a transformers model")
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(folder),
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise StepwardError(
            f"{folder}: not a causal language model in safetensors that transformers can load ({_in_one_line(error)})"
        ) from error
    model, found = loaded
    if found["missing_keys"]:
        # transformers draws missing weights at random, so a classifier's folder would write noise without a word.
        missing = ", ".join(sorted(found["missing_keys"])[:3])
        raise StepwardError(f"{folder}: not a whole causal language model: its weights lack {missing}")
    return model


def _require(folder: str | Path, name: str, what: str) -> None:
    if not Path(folder).is_dir():
        raise StepwardError(f"{folder}: no such folder; expected {what} there")
    if not (Path(folder) / name).is_file():
        raise StepwardError(f"{folder}: no {name} in it; expected the folder of {what}")


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
