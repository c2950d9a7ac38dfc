"""Training recipes: which reward model, from what data, with which options, and a grid of them; by name or from YAML.

A recipe may be `like` another and say only what differs, so that a recipe's small twin for the CPU can't drift away
from it. Options of the trainers are not checked here, where torch must not be imported, but before anything is read
(stepward.pipeline.training.options).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stepward.errors import StepwardError
from stepward.recipes.loading import did_you_mean, misfit, parse_value, read_fields, set_field, shipped, split_overrides
from stepward.recipes.run import Recipe

STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
ETA = "eta"
"""The grid's name for `data.eta`."""

INDIFFERENT = {
    "output_dir", "report_to", "run_name", "logging_steps", "logging_first_step", "save_steps", "save_strategy",
    "save_total_limit", "dataset_num_proc", "dataloader_num_workers", "dataloader_pin_memory", "disable_tqdm",
}  # fmt: skip
"""Options that a training which goes on may have otherwise than before."""
_INDECISIVE: Any = {"about": True, "grid": True, "data": {"run": {"problems": {"set_aside": True}}}}

Positive = Annotated[int, Field(ge=1)]
Kind = Literal["prm", "orm", "bt"]


class Data(BaseModel):
    """What a reward model is trained and evaluated on.

    Attributes:
        train: A file, folder, pattern, run's folder or hub data set; or `arithmetic`, made by the arithmetic world.
        run: Instead of `train`: a run's recipe, of which problems, solutions, rollouts and labels are made first.
        eval: A source likewise, or several by name.
        held_out: Where there is no `eval`: the share of the problems that is kept for evaluation.
        format: The sources' format, guessed if not given; `columns` takes rows as the trainers do.
        limit: Most rows of each source.
        labels: Labels computed again from the rollouts of the run that `train` or `run` names; None takes the
            source's own.
        eta: For `er` labels: their inverse temperature.
        eval_labels: Likewise for what is held out, so that trainings on different labels are measured by the same.
        chat: Whether dialogues are trained on as chat, by the tokenizer's template, or as one text; None: as they are.
        stream: Whether training rows are read as they are needed, over and over; needs `max_steps`.
    """

    model_config = STRICT

    train: str | None = None
    run: Recipe | None = None
    eval: str | dict[str, str] | None = None
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.0
    format: str | None = None
    limit: Positive | None = None
    labels: Literal["hard", "soft", "er"] | None = None
    eta: Annotated[float, Field(gt=0)] | None = None
    eval_labels: Literal["hard", "soft"] | None = None
    chat: bool | None = None
    stream: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> "Data":
        if (self.train is None) == (self.run is None):
            raise ValueError("expected one of train (a source) and run (a recipe whose labels are made first)")
        if self.held_out and self.eval is not None:
            raise ValueError("held_out is for data without an eval of their own; give one of the two")
        if self.held_out and self.stream:
            raise ValueError("held_out looks at all rows, and streamed rows come one by one; give eval")
        if self.eval_labels is not None and not (self.labels and self.held_out):
            raise ValueError("eval_labels are for what is held out of a run labelled again: give labels, held_out")
        if self.eta is not None and self.labels != "er":
            raise ValueError("eta belongs to labels: er, which are computed from a run's rollouts")
        return self


class TrainingRecipe(BaseModel):
    """A complete, named training.

    Attributes:
        name: Names its folder.
        about: What it is, in a line.
        kind: A process (`prm`), outcome (`orm`) or Bradley-Terry (`bt`) reward model.
        model: The model it starts from: a local folder, a hub name, or `embedded`.
        adapter: Options of peft's `LoraConfig`; None trains all weights.
        data: What it is trained on.
        config: Any field of the trainer's config, which are `TrainingArguments` and ours.
        grid: For each of some fields several values: every combination is trained. `eta` is `data.eta`.
    """

    model_config = STRICT

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    about: str = ""
    kind: Kind
    model: str
    adapter: dict[str, Any] | None = None
    data: Data
    config: dict[str, Any] = {}
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}

    @model_validator(mode="after")
    def _consistent(self) -> "TrainingRecipe":
        if ETA in self.grid and self.data.labels != "er":
            raise ValueError("grid.eta needs data.labels: er, which are computed from a run's rollouts")
        if self.kind == "bt" and (self.data.labels is not None or self.data.run is not None):
            raise ValueError("kind bt learns from preferences, and a run has none; give data.train")
        return self

    def fingerprint_fields(self) -> dict[str, Any]:
        """The recipe as JSON: what decides the reward model, and not what is only said or kept on the way."""
        content = self.model_dump(mode="json", exclude=_INDECISIVE)
        content["config"] = {name: value for name, value in content["config"].items() if name not in INDIFFERENT}
        return content

    def with_values(self, values: Mapping[str, Any]) -> "TrainingRecipe":
        """One cell of a grid: the recipe with these values and no grid."""
        content = self.model_dump(mode="json", exclude={"grid"})
        for name, value in values.items():
            set_override(content, name, value)
        return validate(content, f"cell {', '.join(f'{name}={value}' for name, value in values.items())}")


def named_trainings() -> list[str]:
    """The training recipes that come with Stepward."""
    return list(shipped("trainings"))


def launch_config(name: str) -> Path:
    """The file of a launch configuration for `accelerate launch --config_file`.

    Raises:
        StepwardError: There is none of that name.
    """
    known = shipped("launch")
    if name not in known:
        raise StepwardError(
            f"launch configuration {name}: there is none{did_you_mean(name, list(known))}",
            code="unknown_name",
            field="--launch",
        )
    return known[name]


def launch_configs() -> list[str]:
    """The launch configurations that come with Stepward."""
    return list(shipped("launch"))


def load_training(source: str, overrides: Sequence[str] = ()) -> TrainingRecipe:
    """Reads a training recipe and applies overrides to it.

    Args:
        source: A named recipe, or the path of a YAML file.
        overrides: As `training_from` takes them.

    Raises:
        StepwardError: No such recipe, not YAML, an unknown field, or a value out of range; names the field.
    """
    return training_from(load_content(source), f"recipe {source}", overrides)


def load_content(source: str) -> dict[str, Any]:
    """A training recipe's fields, with those of the one that it is like.

    Raises:
        StepwardError: No such recipe, or not YAML.
    """
    content = _content(source, ())
    return {**content, "name": content.get("name", Path(source).stem)}


def training_from(content: dict[str, Any], where: str, overrides: Sequence[str] = ()) -> TrainingRecipe:
    """A recipe from its fields.

    Args:
        content: The fields.
        where: What to call it in errors.
        overrides: `field=value`, where a field is one of the recipe's (`data.limit`) or of the trainer's config
            (`learning_rate`); the value is YAML.

    Raises:
        StepwardError: An unknown field, or a value out of range; names the field.
    """
    for name, text in split_overrides(overrides, "learning_rate=1e-5"):
        set_override(content, name, parse_value(name, text, several=name.startswith("grid.")))
    return validate(content, where)


def set_override(content: dict[str, Any], name: str, value: Any) -> None:
    """Sets a field by its dotted name; a name that is none of the recipe's is one of the trainer's config.

    Raises:
        StepwardError: A part of the name is no section.
    """
    path = f"data.{name}" if name == ETA else name
    if path.split(".")[0] not in TrainingRecipe.model_fields:
        path = f"config.{path}"
    set_field(content, path, value)


def validate(content: dict[str, Any], where: str) -> TrainingRecipe:
    """A recipe from its fields, checked against the schema.

    Raises:
        StepwardError: An unknown field, or a value out of range; names the field.
    """
    run = (content.get("data") or {}).get("run") if isinstance(content.get("data"), dict) else None
    if isinstance(run, dict):
        run.setdefault("name", "run")
    try:
        return TrainingRecipe.model_validate(content)
    except ValidationError as error:
        raise misfit(where, error, TrainingRecipe) from error


def _content(source: str, before: tuple[str, ...]) -> dict[str, Any]:
    """A recipe's fields, with those of the one that it is like."""
    if source in before:
        raise StepwardError(
            f"recipe {source}: it is like itself ({' -> '.join([*before, source])})", code="conflict", field="like"
        )
    content = read_fields(source, shipped("trainings"), "training recipe")
    like = content.pop("like", None)
    if like is None:
        return content
    merged = _merged(_content(str(like), (*before, source)), content)
    return {**merged, "name": content.get("name", Path(source).stem)}


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Fields of both, section by section; what is above counts."""
    merged = dict(below)
    for name, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged
