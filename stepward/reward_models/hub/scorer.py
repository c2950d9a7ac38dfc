"""Scores with reward models of others' conventions, with the face of `stepward.reward_models.scorer.Scorer`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stepward.errors import StepwardError
from stepward.hub import PREFIX
from stepward.model_config import config_fields
from stepward.models import load_tokenizer, model_folder, pinned
from stepward.rendering import Rendered
from stepward.reward_models.hub.loading import LogitModel, device_named
from stepward.reward_models.hub.prompts import PromptFormat
from stepward.reward_models.hub.registry import NATIVE, LoadContext, ScorerSpec, detect, scorer_spec
from stepward.reward_models.model_dir import ModelMetadata
from stepward.reward_models.score_files.rows import split_solution
from stepward.reward_models.scorer import BATCH_TOKENS, DTYPES, Dtype, Scorer
from stepward.reward_models.scorer import load_scorer as load_own_scorer


@dataclass(frozen=True, slots=True)
class HubMetadata(ModelMetadata):
    """What a reward model of others is: its convention as `kind`, its own name as `base`."""

    @property
    def name(self) -> str:
        """The name its scores carry."""
        return self.base


class HubScorer(Scorer):
    """A reward model of a known convention, ready to score.

    In float32 scores don't depend on what else is scored, to about 1e-6; in bfloat16 they move in the third digit.

    Attributes:
        convention: How it is asked.
    """

    def __init__(
        self,
        reader: LogitModel,
        asking: PromptFormat,
        convention: ScorerSpec,
        name: str,
        positions: int | None,
        pad: int,
    ) -> None:
        """Takes a model, how it is asked, its name, the most tokens it reads, and its tokenizer's padding."""
        self.description = HubMetadata(convention.name, 0, name)
        self.convention = convention
        self.batch_tokens = BATCH_TOKENS
        self._reader, self._asking = reader, asking
        self._positions = positions or float("inf")
        self._known_tokens = reader.known_tokens
        self._pad = pad
        self._share = False
        self._whole = convention.whole

    def reward(self, prompt: Any, answer: Any) -> float:
        """The reward of one answer, by a model that gives a solution one score: any number.

        Args:
            prompt: The question's text.
            answer: The answer's text.

        Raises:
            StepwardError: It is a model of steps, or the texts can't be used.
        """
        return self.reward_many([(prompt, [[answer]])])[0][0]

    def _steps(self, solution: str | Sequence[str]) -> Sequence[str]:
        """A text's steps are what the convention's own data have as steps: its lines, or its paragraphs."""
        if isinstance(solution, str) and self.convention.paragraphs and not self._whole:
            return split_solution(solution, "paragraphs")
        return super()._steps(solution)

    def _render(self, question: str, steps: Sequence[str]) -> Rendered:
        if not question.strip():
            raise StepwardError(
                f"the question {question!r} has no text to render: expected a question", code="empty", field="question"
            )
        if not steps:
            raise StepwardError(
                f"a solution of the question {question[:80]!r} has no steps: expected at least one",
                code="empty",
                field="steps",
            )
        for index, step in enumerate(steps):
            if not step.strip():
                raise StepwardError(
                    f"step {index + 1} of {len(steps)} is {step!r}, which has no text to score",
                    code="empty",
                    field="steps",
                )
        return self._fitting(self._asking(question, steps), question)

    @torch.inference_mode()
    def _logits(self, rendered: Sequence[Rendered]) -> torch.Tensor:
        """Logits `[step in all, class]`, one solution's after another's, on the CPU."""
        width = max(len(one.ids) for one in rendered)
        ids = torch.full((len(rendered), width), self._pad)
        mask = torch.zeros_like(ids)
        marks = []
        for row, one in enumerate(rendered):
            ids[row, : len(one.ids)] = torch.tensor(one.ids)
            mask[row, : len(one.ids)] = 1
            marks += [row * width + end for end in one.ends]
        device = self._reader.device
        try:
            return self._reader(ids.to(device), mask.to(device), torch.tensor(marks, device=device)).float().cpu()
        except torch.OutOfMemoryError as error:
            raise StepwardError(
                f"{ids.numel():,} tokens at once are too many for the memory of {device}: lower batch_tokens "
                "(--batch-tokens), or load the model in bfloat16 (--dtype)",
                code="out_of_memory",
                field="--batch-tokens",
            ) from error


def gives_one_score(scorer: Scorer) -> bool:
    """Whether a model scores a solution as a whole, and not step by step."""
    if isinstance(scorer, HubScorer):
        return scorer.convention.whole
    return scorer.description.head.kind == "scalar" or scorer.description.form == "solution"


def gives_reward(scorer: Scorer) -> bool:
    """Whether its one score is a reward, any number, and not a probability."""
    if isinstance(scorer, HubScorer):
        return scorer.convention.name == "bradley-terry"
    return scorer.description.head.kind == "scalar"


def load_hub_scorer(
    model: str | Path,
    convention: str | None = None,
    *,
    device: str | None = None,
    dtype: Dtype = "float32",
    separator: str | None = None,
) -> HubScorer:
    """Loads a reward model of a known convention. Only safetensors are read, and no code of the model's is run.

    Args:
        model: Its folder, or its name on the hub (`owner/name`), from which it is then fetched.
        convention: One of `stepward.reward_models.hub.registry.SCORERS`; told from the model where it can be, if
            not given.
        device: As torch names devices; a GPU where there is one, if not given.
        dtype: Of the weights; bfloat16 halves the memory.
        separator: Text after each step, for `trl`; a line end if not given.

    Raises:
        StepwardError: There is no such model, it is not of this convention, or its convention can't be told.
    """
    folder = model_folder(model)
    chosen = scorer_spec(convention or detect(model, folder))
    if separator is not None and (not chosen.separable or not separator):
        raise StepwardError(
            f"a separator of {separator!r} can't be had with {chosen.name}: leave it out",
            code="conflict",
            field="separator",
        )
    if dtype not in DTYPES:
        raise StepwardError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}", code="bad_value", field="dtype")
    fields = config_fields(folder)
    tokenizer = load_tokenizer(folder)
    where = device_named(device)
    try:
        reader, asking = chosen.load(LoadContext(folder, tokenizer, where, DTYPES[dtype], separator))
    except StepwardError as error:
        named = "" if str(folder) in str(error) else f"{model}: "
        raise StepwardError(
            f"as {chosen.name}: {named}{error}",
            code=error.code,
            file=error.file or folder,
            row=error.row,
            field=error.field,
        ) from error
    of_hub = isinstance(model, str) and folder != Path(model)
    name = pinned(str(model)).removeprefix(PREFIX) if of_hub else folder.resolve().name
    shape = fields.get("text_config") or fields
    return HubScorer(reader, asking, chosen, name, shape.get("max_position_embeddings"), tokenizer.pad_token_id)


def load_scorer(
    path: str | Path,
    scorer: str | None = None,
    *,
    device: str | None = None,
    dtype: Dtype = "float32",
    separator: str | None = None,
) -> Scorer:
    """Loads a reward model: one of Stepward's own, or of a known convention.

    Args:
        path: The model's folder, or a name on the hub.
        scorer: `stepward`, or a convention (docs/scorers.md); told from the model where it can be, if not given.
        device: As torch names devices; a GPU where there is one, if not given.
        dtype: Of the weights; bfloat16 halves the memory, and moves scores in their third digit.
        separator: As in `load_hub_scorer`.

    Raises:
        StepwardError: There is no such model, it is not of this convention, or its convention can't be told.
    """
    if (scorer or detect(path, model_folder(path))) != NATIVE:
        return load_hub_scorer(path, scorer, device=device, dtype=dtype, separator=separator)
    if separator is not None:
        raise StepwardError(
            f"{path}: a separator can't be chosen for one of Stepward's own models",
            code="conflict",
            field="separator",
        )
    return load_own_scorer(model_folder(path), device, dtype)
