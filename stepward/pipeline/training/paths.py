"""Where a training's model and data lie; what is not there is said before anything that takes seconds is loaded."""

from stepward import hub, models
from stepward.formats.step_labels.stepward_run import is_run
from stepward.recipes.training import TrainingRecipe
from stepward.rows import expand_source
from stepward.storage.run_dir import ARITHMETIC, EMBEDDED, Layout


def model_folder(name: str) -> str:
    """The local folder of a model: the embedded generator's, a folder as it is, or a hub model's, fetched.

    Raises:
        StepwardError: There is no such folder, or it can't be had.
    """
    if name == EMBEDDED:
        return str(Layout.model(name))
    folder = models.model_folder(name)
    if not folder.is_dir():
        raise hub.not_found(name, "folder; expected one, a name on the hub (hf://owner/name), or embedded")
    return str(folder)


def check_places(recipe: TrainingRecipe) -> None:
    """Looks for the local model and data of a recipe, which needs no library that takes seconds to load.

    Raises:
        StepwardError: One is not there.
    """
    if "model" not in recipe.grid and hub.hub_name(recipe.model) is None:
        model_folder(recipe.model)
    held = recipe.data.eval
    for source in (recipe.data.train, *(held.values() if isinstance(held, dict) else (held,))):
        if source not in (None, ARITHMETIC) and not is_run(str(source)):
            expand_source(str(source))
