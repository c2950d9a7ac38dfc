"""Loads reward models from the hub as what gives logits at marked positions; no code of theirs is run.

Some come with a class of their own, as Python files beside their weights. Their heads are a few lines each: they are
written here and filled from the safetensors, and the rest of such a model is one that transformers has.
"""

from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen2Config, Qwen2Model

from stepward.errors import StepwardError
from stepward.model_config import config_fields, without_code
from stepward.models import quiet
from stepward.reward_models.heads import Head
from stepward.reward_models.model_dir import load_model
from stepward.storage.parquet import json_hash

_HEADS = ("score.weight", "classifier.weight")


class LogitModel(Protocol):
    """A model ready to be read."""

    device: torch.device
    known_tokens: int
    """Ids that its embedding has."""

    def __call__(self, input_ids: Tensor, attention_mask: Tensor, marks: Tensor) -> Tensor:
        """Logits `[mark, class]`, wrong before right, at indices into the flattened `input_ids` `[row, token]`."""


def _known_tokens(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[0])


class HiddenStateModel:
    """Reads marked states: a decoder, and a head that takes its last states `[mark, hidden]`."""

    def __init__(self, decoder: nn.Module, head: nn.Module, device: torch.device) -> None:
        self.device = device
        self.known_tokens = _known_tokens(decoder)
        self._decoder, self._head = decoder.to(device).eval(), head.to(device).eval()

    def __call__(self, input_ids: Tensor, attention_mask: Tensor, marks: Tensor) -> Tensor:
        """As `CachedForward`."""
        states = self._decoder(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).last_hidden_state
        logits: Tensor = self._head(states.flatten(0, 1).index_select(0, marks))
        return logits


class ClassifierModel:
    """Reads marked tokens' classes off a token classifier of any architecture."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.device = device
        self.known_tokens = _known_tokens(model)
        self._model = model.to(device).eval()

    def __call__(self, input_ids: Tensor, attention_mask: Tensor, marks: Tensor) -> Tensor:
        """As `CachedForward`."""
        logits: Tensor = self._model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits.flatten(0, 1).index_select(0, marks)


class _Signs(nn.Module):
    """Two rows of a language model's output matrix: the logits of `-` and `+`, and of nothing else."""

    def __init__(self, model: Any, wrong: int, right: int) -> None:
        super().__init__()
        whole = model.get_output_embeddings()
        self.weight = nn.Parameter(whole.weight[[wrong, right]].detach().clone(), requires_grad=False)
        bias = getattr(whole, "bias", None)
        self.bias = None if bias is None else nn.Parameter(bias[[wrong, right]].detach().clone(), requires_grad=False)
        self.cap: float | None = getattr(model.config, "final_logit_softcapping", None)

    def forward(self, states: Tensor) -> Tensor:
        logits = functional.linear(states, self.weight, self.bias)
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)


def device_named(name: str | None) -> torch.device:
    """Where a model runs: as torch names devices; a GPU where there is one, if no name is given."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def weight_names(folder: Path) -> dict[str, Path]:
    """The names of all weights in a folder's safetensors, each with its file.

    Raises:
        StepwardError: There are none, or a file is torn.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(str(path), framework="pt") as file:
                found.update(dict.fromkeys(file.keys(), path))
        except (SafetensorError, OSError) as error:
            raise StepwardError(
                f"{path}: not a whole file of weights ({error})", code="unreadable", file=path
            ) from None
    if not found:
        raise StepwardError(
            f"{folder}: no weights in safetensors there. Pickled weights (pytorch_model.bin) can run code and are not "
            "read: convert them once, where you trust them (docs/scorers.md)",
            code="untrusted_code" if any(folder.glob("*.bin")) else "file_not_found",
            file=folder,
        )
    return found


def weights_hash(folder: Path) -> str:
    """A hash that is another once a model's files are: of their names, sizes and times."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors", ".jinja", ".model"))
    return json_hash([[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files])


def label_token_model(
    folder: Path, wrong: int, right: int, device: torch.device, dtype: torch.dtype
) -> HiddenStateModel:
    """A language model that is read by the logits of two tokens.

    Args:
        folder: The model's.
        wrong: The id of `-`.
        right: The id of `+`.
        device: Where it runs.
        dtype: Of its weights.

    Raises:
        StepwardError: As `stepward.reward_models.model_dir.load_model`, or the model's logits are made in another way.
    """
    weight_names(folder)
    model = load_model(folder, Head("label_tokens", 2, ("+", "-")), dtype=dtype)
    decoder, head = getattr(model, model.base_model_prefix), _Signs(model, wrong, right)
    _check_signs(model.eval(), HiddenStateModel(decoder, head, model.device), (wrong, right), folder)
    return HiddenStateModel(decoder, head, device)


@torch.inference_mode()
def _check_signs(model: Any, reader: LogitModel, signs: tuple[int, int], folder: Path) -> None:
    """Refuses an architecture that does more to its states than multiply them, such as to scale its logits."""
    ids = torch.tensor([[signs[1], signs[0], signs[1]]])
    whole = model(input_ids=ids, use_cache=False).logits[0, -1, list(signs)].float()
    found = reader(ids, torch.ones_like(ids), torch.tensor([2]))[0].float()
    room = 1e-3 if model.dtype == torch.float32 else 0.1
    if not torch.allclose(found, whole, rtol=room, atol=room):
        raise StepwardError(
            f"{folder}: {type(model).__name__} changes its logits in a way that is not known here: the logits of - and "
            f"+ are {found.tolist()} by its output matrix, and {whole.tolist()} by itself",
            code="unsupported",
            file=folder,
        )


def classifier_model(folder: Path, device: torch.device, dtype: torch.dtype) -> ClassifierModel:
    """A token classifier of two classes, wrong before right.

    Raises:
        StepwardError: The folder holds none.
    """
    _need_classes(folder, 2, "ForTokenClassification")
    return ClassifierModel(load_model(folder, Head("linear", 2), dtype=dtype), device)


def scalar_model(folder: Path, device: torch.device, dtype: torch.dtype) -> HiddenStateModel:
    """A sequence classifier of one class, read where its caller marks.

    Raises:
        StepwardError: The folder holds none, or one that is not a decoder with a linear head.
    """
    _need_classes(folder, 1, "ForSequenceClassification")
    model = load_model(folder, Head("scalar", 1), dtype=dtype)
    head = getattr(model, "score", None)
    if not isinstance(head, nn.Linear):
        raise StepwardError(
            f"{folder}: {type(model).__name__} has no linear head named score on its last state",
            code="unsupported",
            file=folder,
            field="score",
        )
    return HiddenStateModel(getattr(model, model.base_model_prefix), head, device)


def qwen_model(folder: Path, device: torch.device, dtype: torch.dtype) -> HiddenStateModel:
    """Qwen2.5-Math-PRM: Qwen2, and linear, relu, linear on its last states.

    Raises:
        StepwardError: The folder holds no such model.
    """
    parts = _head_weights(folder, ("score.0.weight", "score.0.bias", "score.2.weight", "score.2.bias"))
    if parts[2].shape[0] != 2:
        raise StepwardError(
            f"{folder}: score.2.weight has {parts[2].shape[0]} rows, expected 2: wrong and right",
            code="mismatch",
            file=folder,
            field="score.2.weight",
        )
    head = nn.Sequential(_linear(parts[0], parts[1]), nn.ReLU(), _linear(parts[2], parts[3]))
    return HiddenStateModel(_qwen(folder, dtype), head.to(dtype), device)


def skywork_model(folder: Path, device: torch.device, dtype: torch.dtype) -> HiddenStateModel:
    """Skywork-o1-Open-PRM: Qwen2, and one number a token, whose logistic function is the score.

    Raises:
        StepwardError: The folder holds no such model.
    """
    weight, bias = _head_weights(folder, ("v_head.summary.weight", "v_head.summary.bias"))
    if weight.shape[0] != 1:
        raise StepwardError(
            f"{folder}: v_head.summary.weight has {weight.shape[0]} rows, expected 1",
            code="mismatch",
            file=folder,
            field="v_head.summary.weight",
        )
    return HiddenStateModel(_qwen(folder, dtype), _linear(weight, bias).to(dtype), device)


def _qwen(folder: Path, dtype: torch.dtype) -> nn.Module:
    try:
        with quiet():
            config = without_code(
                Qwen2Config.from_pretrained(folder, local_files_only=True, trust_remote_code=False), folder
            )
            loaded: Any = Qwen2Model.from_pretrained(
                folder, config=config, use_safetensors=True, local_files_only=True, trust_remote_code=False,
                dtype=dtype, output_loading_info=True,
            )  # fmt: skip
    except (ValueError, OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise StepwardError(
            f"{folder}: not a Qwen2 model that transformers can load ({error})", code="unsupported", file=folder
        ) from error
    model: nn.Module = loaded[0]
    if missing := sorted(loaded[1]["missing_keys"]):
        raise StepwardError(
            f"{folder}: the model is not whole: its weights lack {', '.join(missing[:3])}",
            code="unreadable",
            file=folder,
            field=missing[0],
        )
    return model


def _head_weights(folder: Path, names: tuple[str, ...]) -> list[Tensor]:
    there = weight_names(folder)
    if missing := [name for name in names if name not in there]:
        raise StepwardError(
            f"{folder}: its weights lack {', '.join(missing)}: it is no such model, or not whole",
            code="unreadable",
            file=folder,
            field=missing[0],
        )
    found = []
    for name in names:
        with safe_open(str(there[name]), framework="pt") as file:
            found.append(file.get_tensor(name))
    return found


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer.requires_grad_(False)


def _need_classes(folder: Path, classes: int, kind: str) -> None:
    """Refuses a folder whose head would be drawn at random, or has other classes."""
    fields = config_fields(folder)
    found = next((name for name in weight_names(folder) if name in _HEADS or name.endswith(".classifier.weight")), None)
    if found is None or not any(str(name).endswith(kind) for name in fields.get("architectures") or ()):
        raise StepwardError(
            f"{folder}: architectures is {fields.get('architectures')}, with "
            f"{'no classification head' if found is None else found} among its weights; expected a ...{kind}",
            code="mismatch",
            file=folder,
            field="architectures",
        )
    labels = len(fields["id2label"]) if isinstance(fields.get("id2label"), dict) else int(fields.get("num_labels", 2))
    if labels != classes:
        raise StepwardError(
            f"{folder}: config.json names {labels} classes, expected {classes}",
            code="mismatch",
            file=folder,
            field="id2label",
        )
