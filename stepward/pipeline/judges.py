"""Another run's reward model that labels this run's solutions (`labels.by`)."""

from pathlib import Path

from stepward.errors import StepwardError
from stepward.manifest import Manifest
from stepward.pipeline import units
from stepward.pipeline.layout import Layout, parted_model
from stepward.recipes.schema import Recipe
from stepward.store import read_json


def check_judge(folder: Path, recipe: Recipe) -> None:
    """Makes sure that the reward model that is to label is there, before solutions are drawn for it.

    Raises:
        StepwardError: It is not; names the field.
    """
    if units.asks_model(recipe):
        run, model = parted_model(str(recipe.labels.by))
        judge = Manifest.read(Layout(folder).other(run))
        if not judge.finished("rewards", model):
            known = ", ".join(sorted(judge.units("rewards"))) or "none"
            raise StepwardError(
                f"labels.by: {judge.folder} has no reward model {model}; it has {known}",
                code="unknown_name",
                file=judge.folder,
                field="labels.by",
            )
        right_from(Layout(folder), recipe)


def right_from(layout: Layout, recipe: Recipe) -> float:
    """The score from which a step is right for the reward model that labels.

    Raises:
        StepwardError: It is to be the one that the model's own run chose, which chose none.
    """
    asked = recipe.labels.right_from
    if asked != "chosen":
        return asked
    run, model = parted_model(str(recipe.labels.by))
    path = layout.other(run) / "evaluation" / "first-errors.json"
    if path.is_file():
        Manifest.view(layout.other(run)).where("evaluation", "summary")
    rows = read_json(path) if path.is_file() else []
    for row in rows:
        if f"{row['method']}/seed-{row['seed']}" == model and row["threshold"]:
            return float(row["threshold"])
    raise StepwardError(
        f"labels.right_from: chosen, but {path} has no threshold of {model}: that run has no checker, is not evaluated "
        "yet, or has right or wrong validation solutions alone; give a number",
        code="missing",
        file=path,
        field="labels.right_from",
    )
