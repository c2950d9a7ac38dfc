"""The shapes of models by their names, so that a training can be planned where the model is not.

Only what decides memory and operations stands here, for the base models that the recipes name. Those of Llama were
compared with copies of their published config.json; those of Mistral and Qwen3 are from memory. All are checked against
the parameter counts that their makers publish (a test does it). Any other model is planned from its own config.json.
"""

from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.hub import hub_name
from stepward.model_config import load_config, without_code

_SHAPES: dict[str, dict[str, Any]] = {
    "meta-llama/Llama-3.1-8B": {
        "model_type": "llama", "vocab_size": 128_256, "hidden_size": 4096, "intermediate_size": 14_336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
        "max_position_embeddings": 131_072, "tie_word_embeddings": False,
    },
    "meta-llama/Llama-3.2-1B": {
        "model_type": "llama", "vocab_size": 128_256, "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
        "max_position_embeddings": 131_072, "tie_word_embeddings": True,
    },
    "meta-llama/Llama-3.2-3B": {
        "model_type": "llama", "vocab_size": 128_256, "hidden_size": 3072, "intermediate_size": 8192,
        "num_hidden_layers": 28, "num_attention_heads": 24, "num_key_value_heads": 8, "head_dim": 128,
        "max_position_embeddings": 131_072, "tie_word_embeddings": True,
    },
    "mistralai/Mistral-7B-v0.1": {
        "model_type": "mistral", "vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 14_336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
        "max_position_embeddings": 32_768, "sliding_window": 4096, "tie_word_embeddings": False,
    },
    "Qwen/Qwen3-1.7B-Base": {
        "model_type": "qwen3", "vocab_size": 151_936, "hidden_size": 2048, "intermediate_size": 6144,
        "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
        "max_position_embeddings": 32_768, "tie_word_embeddings": True,
    },
}  # fmt: skip


def known_models() -> list[str]:
    """Models whose shapes are known without a file."""
    return list(_SHAPES)


def check_model(name: str) -> None:
    """Refuses a model that is none of those of `model_config`, before what takes seconds to load is loaded.

    Raises:
        StepwardError: There is none of these.
    """
    if hub_name(name) is None and name not in _SHAPES and not Path(name).exists() and not _in_cache(name):
        raise StepwardError(
            f"model {name}: no such folder, and its shape is not known here; expected a folder with config.json, a "
            f"config.json, or one of {', '.join(_SHAPES)}",
            code="file_not_found",
            file=name,
            field="--model",
        )


def _in_cache(name: str) -> bool:
    """Whether the hub's cache has the model, also one whose name has no owner, as `gpt2`."""
    try:
        from huggingface_hub import try_to_load_from_cache

        return isinstance(try_to_load_from_cache(name, "config.json"), str)
    except (ImportError, ValueError):  # without its library, or no name that the hub has
        return False


def model_config(name: str | Path) -> Any:
    """The transformers configuration of a model; nothing is downloaded.

    Args:
        name: A folder, a config.json, a name that is known here, or one that lies in the hub's cache.

    Raises:
        StepwardError: There is none of these.
    """
    from transformers import AutoConfig

    path = Path(name)
    of_hub = hub_name(name)
    name, revision = (str(name), None) if of_hub is None else (of_hub.name, of_hub.revision)
    shape = dict(_SHAPES.get(name, {}))
    try:
        if path.is_dir() or path.is_file():
            return load_config(path)
        if shape:
            return AutoConfig.for_model(shape.pop("model_type"), **shape)
        config = AutoConfig.from_pretrained(name, revision=revision, local_files_only=True, trust_remote_code=False)
        return without_code(config, name)
    except (OSError, ValueError, KeyError) as error:
        found = "its config.json can't be read" if path.exists() else "no such folder, and its shape is not known here"
        raise StepwardError(
            f"model {name}: {found} ({' '.join(str(error).split())[:160]}); expected a folder with config.json, a "
            f"config.json, or one of {', '.join(_SHAPES)}",
            code="unreadable" if path.exists() else "file_not_found",
            file=name,
            field="--model",
        ) from error
