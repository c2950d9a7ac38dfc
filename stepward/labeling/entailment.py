"""Labels by language inference, after DIVERSE: a step is right if a step of a right solution entails it.

The model is a local folder of a transformers classifier of sentence pairs, such as one trained on MNLI. Pairs that say
the same after normalising are not put to it: a step entails itself. No pair is truncated; one that is longer than the
model reads tells nothing.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.labeling.diverse import labels_by_support, normalize_step
from stepward.labeling.filters import Filtered
from stepward.model_config import load_config
from stepward.models import load_tokenizer
from stepward.records import Solution

KIND = "nli"

Pair = tuple[str, str]

_MOST_KEPT = 1_000_000
"""Pairs whose chances are kept: some 500 MB of texts. Pairs repeat within a problem, seldom across problems."""


class EntailmentModel:
    """How sure a classifier is that one text entails another. Keeps what it was asked.

    Args:
        folder: A folder of a sequence-classification model in safetensors, with its tokenizer.
        entailment: The name of its label for entailment; found in the config if not given.
        batch: The most pairs at once.
        max_length: The longest pair in tokens; what the model's config says if not given.
        device: Where it runs, such as `cpu` or `cuda`.

    Attributes:
        asked: Pairs that the model has read, each once.
        too_long: Pairs that it could not read.

    Raises:
        StepwardError: The folder holds no such model, or which label is entailment can't be told.
    """

    def __init__(
        self,
        folder: str | Path,
        entailment: str | None = None,
        *,
        batch: int = 32,
        max_length: int | None = None,
        device: str = "cpu",
    ) -> None:
        self._tokenizer = load_tokenizer(folder)
        self._model = _load(folder).to(device).eval()
        if self._model.config.pad_token_id is None:
            self._model.config.pad_token_id = self._tokenizer.pad_token_id
        self._label = _entailment(self._model.config.id2label, entailment, folder)
        self._batch, self._device = batch, device
        self._longest: int = max_length or _longest(self._model.config, self._tokenizer)
        self._known: dict[Pair, float | None] = {}
        self.asked = self.too_long = 0

    def probabilities(self, pairs: Sequence[Pair]) -> list[float | None]:
        """The chance in [0, 1] that the first text entails the second, for each pair; None where it is too long."""
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._known]
        if len(self._known) > _MOST_KEPT:
            self._known.clear()
            new = list(dict.fromkeys(pairs))
        lengths = self._lengths(new)
        fitting = sorted((pair for pair in new if lengths[pair] <= self._longest), key=lengths.__getitem__)
        self.too_long += len(new) - len(fitting)
        self._known.update(dict.fromkeys(new))
        for start in range(0, len(fitting), self._batch):
            together = fitting[start : start + self._batch]
            self._known.update(zip(together, self._read(together), strict=True))
            self.asked += len(together)
        return [self._known[pair] for pair in pairs]

    def _lengths(self, pairs: Sequence[Pair]) -> dict[Pair, int]:
        """Tokens of each pair."""
        if not pairs:
            return {}
        first, second = zip(*pairs, strict=True)
        # A pair that is too long is counted, not read, so transformers' warning would only frighten.
        ids = self._tokenizer(list(first), list(second), verbose=False)["input_ids"]
        return {pair: len(one) for pair, one in zip(pairs, ids, strict=True)}

    def _read(self, pairs: Sequence[Pair]) -> list[float]:
        import torch

        first, second = zip(*pairs, strict=True)
        inputs = self._tokenizer(list(first), list(second), padding=True, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            shares = self._model(**inputs).logits.float().softmax(dim=-1)[:, self._label]
        if not bool(shares.isfinite().all()):
            raise StepwardError(
                "the entailment model gives numbers that are not finite; its weights are broken", code="not_finite"
            )
        return [float(share) for share in shares.cpu()]


def nli_labels(solutions: Iterable[Solution], model: EntailmentModel, threshold: float = 0.5) -> Filtered:
    """Labels by entailment: a step that no step of a right solution entails is wrong.

    A step that nothing readable entails, while some pair with it was too long, has no label.

    Args:
        solutions: Graded solutions.
        model: Says how likely a text entails another.
        threshold: A step is entailed if its chance is above this.

    Raises:
        StepwardError: A threshold outside [0, 1).
    """
    if not 0 <= threshold < 1:
        raise StepwardError(
            f"threshold: {threshold:g}, expected a number in [0, 1)", code="bad_value", field="threshold"
        )

    def support(right: Sequence[str], steps: Sequence[str]) -> list[bool | None]:
        same = {normalize_step(step) for step in right}
        rest = [step for step in steps if normalize_step(step) not in same]
        chances = model.probabilities([(premise, step) for step in rest for premise in right])
        entailed = {
            step: _any_above(chances[at * len(right) : (at + 1) * len(right)], threshold)
            for at, step in enumerate(rest)
        }
        return [entailed.get(step, True) for step in steps]

    return labels_by_support(solutions, support, KIND)


def _any_above(chances: Sequence[float | None], threshold: float) -> bool | None:
    if any(chance is not None and chance > threshold for chance in chances):
        return True
    return None if None in chances else False


def _load(folder: str | Path) -> Any:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification

    if not (Path(folder) / "config.json").is_file():
        raise StepwardError(
            f"{folder}: no config.json in it; expected the folder of a sequence-classification model",
            code="file_not_found",
            file=folder,
        )
    try:
        model, found = AutoModelForSequenceClassification.from_pretrained(
            str(folder), config=load_config(folder), trust_remote_code=False, local_files_only=True,
            use_safetensors=True, dtype=torch.float32, output_loading_info=True,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise StepwardError(
            f"{folder}: no sequence-classification model in safetensors that transformers can load ({reason})",
            code="unreadable",
            file=folder,
        ) from error
    if found["missing_keys"]:
        missing = ", ".join(sorted(found["missing_keys"])[:3])
        raise StepwardError(
            f"{folder}: not a whole sequence-classification model: its weights lack {missing}",
            code="unreadable",
            file=folder,
        )
    return model


def _entailment(names: dict[int, str], wanted: str | None, folder: str | Path) -> int:
    """The index of the label that means entailment."""
    known = ", ".join(names.values())
    if wanted is not None:
        found = [index for index, name in names.items() if name == wanted]
        if len(found) != 1:
            raise StepwardError(
                f"{folder}: no label {wanted!r} in its config; expected one of {known}",
                code="unknown_name",
                file=folder,
                field="entailment",
            )
        return found[0]
    found = [index for index, name in names.items() if name.casefold() in ("entailment", "entail", "entails")]
    if len(found) != 1:
        raise StepwardError(
            f"{folder}: which of its labels means entailment can't be told ({known}); name it (--entailment LABEL), or "
            "write id2label into its config.json",
            code="ambiguous",
            file=folder,
            field="entailment",
        )
    return found[0]


def _longest(config: Any, tokenizer: Any) -> int:
    """The longest pair in tokens."""
    positions = getattr(config, "max_position_embeddings", None) or tokenizer.model_max_length
    if "roberta" in config.model_type:
        positions -= config.pad_token_id + 1  # its positions begin behind the pad token's id
    return int(min(positions, tokenizer.model_max_length))
