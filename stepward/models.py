"""Loads models the one safe way: safetensors only, no code of theirs, of the hub only what is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepward import hub
from stepward.errors import Code, StepwardError
from stepward.hub import hub_name
from stepward.model_config import config_fields, load_config, read_fields

_TOKENIZER = ("*.json", "*.jinja", "*.txt", "*.model")
_WANTED = ("*.safetensors", *_TOKENIZER)
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


def model_folder(name: str | Path) -> Path:
    """The folder of a model: itself, or where the hub's library keeps a model of the hub's, fetched if need be.

    Of a hub's model only safetensors, configuration and tokenizer are taken, no code.

    Args:
        name: A folder, `hf://owner/name[@revision]`, or `owner/name` where nothing local looks like it.

    Raises:
        StepwardError: The hub can't be asked, or has no such model.
    """
    found = hub_name(name)
    return Path(name) if found is None else hub.model_folder(found, _WANTED)


def pinned(name: str) -> str:
    """A model's name with the commit that it stands for now, as `hf://owner/name@commit`; of a folder the name itself.

    Raises:
        StepwardError: As `model_folder`.
    """
    found = hub_name(name)
    return name if found is None else str(hub.pinned_model(found, _WANTED))


def load_tokenizer(name: str | Path) -> Any:
    """The tokenizer of a model's folder, or of a model on the hub, with a pad token.

    Raises:
        StepwardError: The folder is missing or holds no tokenizer, or the hub can't be asked.
    """
    from transformers import AutoTokenizer

    folder = model_folder(name)
    _require(folder, "config.json", "a transformers model")
    config_fields(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
        tokenizer("a", add_special_tokens=False)
    except BaseException as error:  # of many types; the library in Rust panics by one that is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
            raise
        raise StepwardError(
            f"{folder}: no tokenizer that transformers can load ({_in_one_line(error)}); expected tokenizer.json, "
            "tokenizer.model or the like beside config.json: save it there with tokenizer.save_pretrained(folder)",
            code="unreadable",
            file=_damaged(folder),
        ) from error
    if len(tokenizer) == 0:
        raise StepwardError(
            f"{folder}: its tokenizer has no tokens; expected tokenizer.json beside config.json",
            code="empty",
            file=folder / "tokenizer.json",
        )
    _fit(tokenizer, folder)
    return tokenizer


def _damaged(folder: Path) -> Path:
    """The first of a tokenizer's files that is no JSON object, or the folder."""
    for path in (folder / name for name in _TOKENIZER_FILES):
        try:
            if path.exists():
                read_fields(path)
        except StepwardError as error:
            if error.code != "too_large":
                return path
    return folder


def _fit(tokenizer: Any, folder: Path) -> None:
    """Gives the tokenizer a pad token that the model knows; refuses one whose other special tokens it doesn't."""
    fields = config_fields(folder)
    known = (fields.get("text_config") or fields).get("vocab_size", 2**31)
    for name in ("bos_token", "eos_token"):
        number = getattr(tokenizer, f"{name}_id")
        if number is not None and not 0 <= number < known:
            raise StepwardError(
                f"{folder}: {name} of its tokenizer is {getattr(tokenizer, name)!r} of id {number}, and config.json "
                f"has a vocab_size of {known}; expected the tokenizer that the model was trained with",
                code="mismatch",
                file=folder / "tokenizer_config.json",
                field=name,
            )
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= known:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)


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
    from transformers import AutoModelForCausalLM

    _require(folder, "config.json", "a transformers model")
    config = load_config(folder)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(folder),
            config=config,
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # a wrong field or a torn file may lead to any
        memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
        code: Code = "out_of_memory" if memory else "unsupported"
        raise StepwardError(
            f"{folder}: not a causal language model in safetensors that transformers can load ({_in_one_line(error)})",
            code=code,
            file=folder,
        ) from error
    model, found = loaded
    if found["missing_keys"]:
        # transformers draws missing weights at random, so a classifier's folder would write noise without a word.
        missing = ", ".join(sorted(found["missing_keys"])[:3])
        raise StepwardError(
            f"{folder}: not a whole causal language model: its weights lack {missing}", code="unreadable", file=folder
        )
    return model


def _require(folder: str | Path, name: str, what: str) -> None:
    if not Path(folder).is_dir():
        raise hub.not_found(folder, f"folder; expected {what} there")
    if not (Path(folder) / name).is_file():
        raise StepwardError(
            f"{folder}: no {name} in it; expected the folder of {what}",
            code="file_not_found",
            file=Path(folder) / name,
        )


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
