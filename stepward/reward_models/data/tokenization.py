"""Columns of people's data sets to token ids and labels; whatever can't be used is counted with its reason.

Three shapes come in: TRL's stepwise rows (`prompt, completions, labels`), outcome rows (`prompt, completion, label`)
and preferences (`chosen, rejected`, with or without `prompt`); and each of them tokenised already. Each becomes
`input_ids`, the `marks` that are scored and their `labels`, or two sequences of ids for a preference. Rows of one
prompt are known by it; a column `group`, of any values, says which tokenised rows belong together.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from stepward.errors import StepwardError
from stepward.rendering import Renderer
from stepward.reward_models.configs import ORMConfig, PRMConfig, RewardConfig, StepConfig
from stepward.reward_models.data.answer_tokens import Form, answer_tokens, form_of
from stepward.reward_models.data.row_fields import group_of, is_tokenized, label_of, listed, outcome, text, token_ids
from stepward.reward_models.losses import up_to_first_error

NEUTRAL_LABEL = -1.0
"""A neutral step's label where neutral is a class of its own."""

KEPT, CUT, TOO_LONG, NO_LABEL = "kept", "cut", "too long", "without a label"
"""What became of a row, in the column `fate`."""

Columns = Mapping[str, Sequence[Any]]
Made = dict[str, list[Any]]


class RowTokenizer:
    """What turns a batch of columns into columns of features; each kind of row says how one of it is made.

    Attributes:
        names: The columns that are made. The last is the row's `fate`, which the trainers never see.
        known_tokens: Ids that the model has an embedding for; not looked at where None.
    """

    names: tuple[str, ...]
    known_tokens: int | None = None

    def __call__(self, columns: Columns, indices: Sequence[int]) -> Made:
        """The features of a batch of rows.

        Args:
            columns: The rows' columns, by name.
            indices: The rows' places in the data, from 0.

        Raises:
            StepwardError: A row that can't be used; names it.
        """
        made: Made = {name: [] for name in self.names}
        self._remember(columns)
        for place, index in enumerate(indices):
            row = {name: values[place] for name, values in columns.items()}
            try:
                self._add(made, row)
                self._check_ids(made)
            except StepwardError as error:
                name = f" ({row['id']})" if row.get("id") is not None else ""
                raise StepwardError(
                    f"row {index + 1}{name} of the data: {error}", code=error.code, row=index + 1, field=error.field
                ) from None
        return made

    def _check_ids(self, made: Made) -> None:
        """Refuses a row just made whose ids the model has no embedding for: a tokenizer of another model's."""
        rows = [made[name][-1] for name in self.names if name.endswith("_ids")]
        highest = max((max(ids, default=0) for ids in rows), default=0)
        if self.known_tokens is not None and highest >= self.known_tokens:
            raise StepwardError(
                f"the model knows {self.known_tokens} tokens but its tokenizer gives id {highest}: they don't belong "
                "together",
                code="mismatch",
                field="processing_class",
            )

    def _remember(self, columns: Columns) -> None:
        """Does at once, before the rows are made, what is faster for all of them together."""

    def _add(self, made: Made, row: Mapping[str, Any]) -> None:
        """Adds one row's features to the columns."""
        raise NotImplementedError


class StepRowTokenizer(RowTokenizer):
    """Rows with labelled steps to ids, marks and labels.

    Args:
        renderer: Of the settings' rendering.
        config: The settings.
        longest: Most tokens of a sequence.
        evaluating: Whether the rows are for evaluation, where every label is kept.
        whole: Of outcomes: whether a solution is one text or steps, whichever way a row gives it; None: as it does.
    """

    names = ("input_ids", "marks", "labels", "correct", "group", "fate")

    def __init__(
        self, renderer: Renderer, config: StepConfig, longest: int, evaluating: bool, whole: bool | None = None
    ) -> None:
        self.whole = whole
        self.renderer = renderer
        self.config = config
        self.longest = longest
        self.evaluating = evaluating

    def _remember(self, columns: Columns) -> None:
        self.renderer.remember(_texts(columns))

    def _add(self, made: Made, row: Mapping[str, Any]) -> None:
        if "input_ids" in row:
            ids, marks, labels, prompt = is_tokenized(row)
            bound = self.longest
        else:
            ids, marks, labels, prompt = self._rendered(row)
            bound = min(self.longest, len(prompt) + (self.config.max_completion_length or self.longest))
        fate = KEPT
        if len(ids) > bound:
            if self.config.too_long == "refuse":
                raise StepwardError(
                    self._refusal(len(ids), bound, len(prompt)),
                    code="too_large",
                    field="max_length" if bound == self.longest else "max_completion_length",
                )
            fits = sum(mark < bound for mark in marks) if self.config.too_long == "cut" else 0
            fate = CUT if any(label is not None for label in labels[:fits]) else TOO_LONG
            marks, labels = marks[:fits], labels[:fits]
            ids = ids[: marks[-1] + 1] if marks else []
        pairs = [(mark, float(label)) for mark, label in zip(marks, labels, strict=True) if label is not None]
        if not pairs and fate == KEPT:
            fate = NO_LABEL
        made["input_ids"].append(list(ids))
        made["marks"].append([mark for mark, _ in pairs])
        made["labels"].append([label for _, label in pairs])
        made["correct"].append(label_of(row.get("correct"), "correct"))
        made["group"].append(group_of(row, prompt))
        made["fate"].append(fate)

    def _refusal(self, tokens: int, bound: int, prompt: int) -> str:
        """What to say of a row with more tokens than a bound, which is that of its steps if it is not the longest."""
        otherwise = "set too_long to drop" if isinstance(self.config, ORMConfig) else "set too_long to cut or drop"
        if bound < self.longest:
            return (
                f"its steps have {tokens - prompt} tokens, more than {bound - prompt}: raise max_completion_length, or "
                f"{otherwise}"
            )
        return (
            f"it has {tokens} tokens, more than {bound}: raise max_length (the model's positions bound it too), or "
            f"{otherwise}"
        )

    def _rendered(self, row: Mapping[str, Any]) -> tuple[list[int], list[int], list[float | None], list[int]]:
        question, steps, labels = self._labelled(row)
        prompt = self.renderer.prompt(question)
        rendered = self.renderer.solution(question, steps)
        ids, starts, ends = list(rendered.ids), rendered.starts, rendered.ends
        if isinstance(self.config, ORMConfig):
            label = labels[-1] if labels else None
            spans = [range(start, end + 1) for start, end in zip(starts, ends, strict=True)]
            marks = [mark for span in spans for mark in span] if self.config.every_token else list(ends[-1:])
            return ids, marks, [label] * len(marks), prompt
        return ids, list(ends), labels, prompt

    def _labelled(self, row: Mapping[str, Any]) -> tuple[str, list[str], list[float | None]]:
        """The question, the steps, and a label a step as they are trained on."""
        if isinstance(self.config, ORMConfig):
            return outcome(row, self.whole)
        question, steps = text(row, "prompt"), list(listed(row, "completions"))
        labels = [label_of(value, f"labels[{place}]") for place, value in enumerate(listed(row, "labels"))]
        if len(steps) != len(labels):
            raise StepwardError(
                f"{len(steps)} completions and {len(labels)} labels: expected one label a completion",
                code="mismatch",
                field="labels",
            )
        if not steps:
            raise StepwardError("no completions: expected at least one step", code="empty", field="completions")
        for place in row.get("neutral") or ():
            if not 0 <= place < len(labels):
                raise StepwardError(
                    f"neutral names step index {place}, but there are {len(labels)} steps",
                    code="bad_value",
                    field="neutral",
                )
            labels[place] = {"positive": 1.0, "negative": 0.0, "drop": None, "class": NEUTRAL_LABEL}[
                self.config.neutral
            ]
        return question, steps, self._wanted(labels)

    def _wanted(self, labels: list[float | None]) -> list[float | None]:
        """The labels that are trained on."""
        config = self.config
        if self.evaluating or not isinstance(config, PRMConfig):
            return labels
        if config.to_first_error:
            labels = list(up_to_first_error(labels))
        if config.train_on_last_step_only:
            labels = [*([None] * (len(labels) - 1)), labels[-1]]
        return labels


class PreferenceRowTokenizer(RowTokenizer):
    """Preferences to the ids of what was chosen and what was rejected.

    Args:
        tokenizer: With a chat template, where rows are chat.
        config: The settings.
        longest: Most tokens of a sequence.
        form: How the model's rows are written; None where they are tokenised already.
    """

    names = ("chosen_ids", "rejected_ids", "margin", "weight", "group", "fate")

    def __init__(self, tokenizer: Any, config: RewardConfig, longest: int, form: Form | None = None) -> None:
        self.form = form
        self.tokenizer = tokenizer
        self.config = config
        self.longest = longest

    def _add(self, made: Made, row: Mapping[str, Any]) -> None:
        chosen, rejected = (self._ids(row, side) for side in ("chosen", "rejected"))
        margin = row.get("margin")
        if margin is not None and (not isinstance(margin, int | float) or not math.isfinite(margin)):
            raise StepwardError(
                f"margin is {margin!r}: expected a finite number, or null",
                code="not_finite" if isinstance(margin, float) else "wrong_type",
                field="margin",
            )
        fate = KEPT
        if (longest := max(len(chosen), len(rejected))) > self.longest:
            if self.config.too_long == "refuse":
                raise StepwardError(
                    f"an answer has {longest} tokens with its prompt, more than {self.longest}: raise max_length, or "
                    "set too_long to drop",
                    code="too_large",
                    field="max_length",
                )
            fate = TOO_LONG
        shared = next((at for at, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), 0)
        made["chosen_ids"].append(chosen)
        made["rejected_ids"].append(rejected)
        made["margin"].append(float(margin or 0.0))
        made["weight"].append(1.0)
        prompt = row.get("prompt")
        made["group"].append(group_of(row, prompt if prompt is not None else chosen[:shared]))
        made["fate"].append(fate)

    def _ids(self, row: Mapping[str, Any], side: str) -> list[int]:
        if f"{side}_ids" in row:
            return token_ids(row, f"{side}_ids")
        found = form_of(row.get("prompt"), row.get(side))
        if self.form is not None and found != self.form and not {found, self.form} <= {"text", "answer"}:
            raise StepwardError(
                f"{side} is of the form {found}, and the first rows of the training data of the form {self.form}: a "
                "model is read back in one; give all rows alike (data.chat of a recipe makes them so)",
                code="mismatch",
                field=side,
            )
        return answer_tokens(self.tokenizer, row.get("prompt"), row.get(side), side)


def _texts(columns: Columns) -> list[str]:
    """Every text of a batch that is tokenised by itself."""
    texts: set[str] = set()
    for name in ("prompt", "completion", "completions"):
        for value in columns.get(name, ()):
            texts.update(part for part in (value if isinstance(value, list) else [value]) if isinstance(part, str))
    return sorted(texts)
