"""A model folder's config.json, read as a stranger's: checked field by field, and never followed to anybody's code.

transformers takes an attention by the name of a repository of the hub, whose kernel it would fetch and run, and imports
what a quantization asks for, whatever `trust_remote_code` says.
"""

import json
from pathlib import Path
from typing import Any

from stepward.errors import Code, StepwardError

_LARGEST = 2**24  # bytes
_MOST = {
    "vocab_size": 2**31,
    "hidden_size": 2**24,
    "num_hidden_layers": 10_000,
    "num_attention_heads": 2**20,
    "num_key_value_heads": 2**20,
    "max_position_embeddings": 2**40,
}
_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def load_config(place: str | Path) -> Any:
    """The transformers configuration of a model's folder, or of its config.json; nothing of it is fetched or run.

    Raises:
        StepwardError: A field can't be meant so, or transformers has no such model.
    """
    from transformers import CONFIG_MAPPING, AutoConfig

    fields = config_fields(place)
    try:
        config = AutoConfig.from_pretrained(str(place), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # what a wrong field leads to may be any error
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        own = "auto_map" in fields and str(fields.get("model_type")) not in CONFIG_MAPPING
        raise StepwardError(
            f"{place}: no model that transformers knows ({reason})",
            code="untrusted_code" if own else "unsupported",
            file=place,
            field="auto_map" if own else None,
        ) from None
    return without_code(config, place)


def without_code(config: Any, place: str | Path) -> Any:
    """The configuration with transformers' own choice of kernels.

    Raises:
        StepwardError: It is of a quantized model.
    """
    if getattr(config, "quantization_config", None) is not None:
        raise StepwardError(
            f"{place}: config.json: quantization_config: quantized weights are not read; expected plain ones in "
            "safetensors: save the model without quantization",
            code="unsupported",
            file=place,
            field="quantization_config",
        )
    # Each is set for the parts of the model too. None: as the model's class and the machine have it.
    config._attn_implementation = None
    config._experts_implementation = None
    return config


def read_fields(path: Path) -> dict[str, Any]:
    """The object that a JSON file of a model's folder holds.

    Raises:
        StepwardError: It holds none, or is too large for one.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise _wrong(path, "", f"has {path.stat().st_size:,} bytes, expected at most {_LARGEST:,}", "too_large")
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        code: Code = "file_not_found" if isinstance(error, FileNotFoundError) else "unreadable"
        raise _wrong(path, "", f"can't be read ({error.strerror}); expected a transformers model there", code) from None
    except (ValueError, RecursionError) as error:
        raise _wrong(path, "", f"not JSON ({error})", "unreadable") from None
    if not isinstance(fields, dict):
        raise _wrong(path, "", "expected an object of settings", "wrong_type")
    return fields


def config_fields(place: str | Path) -> dict[str, Any]:
    """The fields of a model folder's config.json, or of the file itself, as transformers can take them.

    Raises:
        StepwardError: It can't be read, or a field has a type or size that no model's has.
    """
    path = Path(place) / "config.json" if Path(place).is_dir() else Path(place)
    fields = read_fields(path)
    _check(path, fields)
    return fields


def _check(path: Path, fields: dict[str, Any]) -> None:
    inner = {} if fields.get("text_config") is None else fields["text_config"]
    if not isinstance(inner, dict):
        raise _wrong(path, "text_config", "expected an object of settings", "wrong_type")
    for part in (fields, inner):
        for name, most in _MOST.items():
            # Some models have a size a layer.
            if name == "vocab_size" or not isinstance(part.get(name, 1), list):
                _need_whole(path, name, part.get(name, 1), 1, most)
        for name in _IDS:
            ids = part.get(name)
            for one in ids if isinstance(ids, list) else [] if ids is None else [ids]:
                # -1 is what models of old wrote for no padding.
                _need_whole(path, name, one, -1 if name == "pad_token_id" else 0, part.get("vocab_size", 2**31) - 1)


def _need_whole(path: Path, name: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        shown = json.dumps(value)[:100]
        raise _wrong(path, name, f"is {shown}, expected a whole number", "wrong_type")
    if not least <= value <= most:
        raise _wrong(path, name, f"is {value}, expected {least} to {most}", "bad_value")


def _wrong(path: Path, field: str, reason: str, code: Code) -> StepwardError:
    named = f"{field} " if field else ""
    return StepwardError(f"{path}: {named}{reason}", code=code, file=path, field=field or None)
