"""Trains one reward model by a recipe, in a folder of its own.

    FOLDER/
      manifest.json    the recipe, versions, and, once all is done, what it came to
      model/           the reward model: plain transformers, and `stepward.load_scorer`, load it
      adapter/         where an adapter was trained: the adapter alone
      checkpoints/     what a training that was stopped goes on from
      run/             where the recipe makes its data: a Stepward run

The manifest names the model only when it is whole, so a folder is finished or it is not.
"""

import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from stepward.errors import StepwardError
from stepward.manifest import Manifest
from stepward.pipeline.layout import EMBEDDED, Layout
from stepward.pipeline.training_card import write_card
from stepward.pipeline.training_options import make_config, trainer_class
from stepward.pipeline.training_rows import load_rows
from stepward.pipeline.training_run import make_run
from stepward.recipes.training import TrainingRecipe
from stepward.store import locked

STAGE, UNIT = "training", "model"
Facts = dict[str, Any]

_MADE = ("model", "adapter", "checkpoints", "manifest.json")


def finished(folder: Path) -> Facts | None:
    """What a finished training came to; None where the folder holds none.

    Raises:
        StepwardError: The folder is something else's.
    """
    if not (folder / "manifest.json").exists():
        return None
    manifest = Manifest.read(folder)
    if "kind" not in manifest.content["recipe"]:
        raise StepwardError(f"{folder}: a run of stepward run, not a training; give --out another folder")
    return manifest.units(STAGE)[UNIT] if manifest.finished(STAGE, UNIT) else None


def train(
    recipe: TrainingRecipe,
    folder: Path,
    console: Console,
    *,
    run: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Facts:
    """Trains a reward model.

    Args:
        recipe: What to train; a grid in it is not looked at.
        folder: Where everything goes.
        console: Where progress is shown.
        run: Where the run of `data.run` lies; if not given it is made, in the folder.
        resume: Go on from the last checkpoint, if there is one.
        overwrite: Train again what is finished, or was stopped.

    Returns:
        What it came to: `rows`, `steps`, `loss`, `metrics`, `tokens`, `seconds`.

    Raises:
        StepwardError: A source, option, model or folder that can't be used, or a loss that is no number.
    """
    data = recipe.data
    evaluates = data.eval is not None or data.held_out > 0
    config = make_config(recipe, folder / "checkpoints", evaluates)
    if data.stream and config.max_steps < 1:
        raise StepwardError("data.stream: rows that are streamed have no end: set max_steps")
    main = config.process_index == 0
    console = console if main else Console(quiet=True)
    console.print(f"{recipe.name}: {recipe.kind} from {recipe.model}", highlight=False, soft_wrap=True)
    with ExitStack() as held:
        with config.main_process_first(desc="reading the data"):
            if main:
                held.enter_context(locked(folder))
                manifest = _opened(folder, recipe, resume, overwrite)
                if data.run is not None and run is None:
                    make_run(data.run, folder / "run", console)
            with console.status("reading the data"):
                loaded = load_rows(recipe, run or folder / "run")
        for line in loaded.sentences:
            console.print(f"[yellow]left out[/]     {line}", highlight=False, soft_wrap=True)
        with console.status("loading the model, tokenising the data"):
            trainer = _trainer(recipe, config, loaded.train, loaded.evaluation)
        facts = _trained(trainer, recipe, folder, console)
        _save(trainer, recipe, folder, main)
        if main:
            write_card(recipe, facts, folder / "model")
            manifest.finish(STAGE, UNIT, folder / "model", **facts)
    return facts


def model_folder(name: str) -> str:
    """The local folder of a model: the embedded generator's, a folder as it is, or a hub model's, downloaded.

    Of a hub's model only safetensors, configuration and tokenizer are taken, no code.

    Raises:
        StepwardError: There is no such folder, or it can't be had.
    """
    if name == EMBEDDED or Path(name).is_dir():
        return str(Layout.model(name))
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise StepwardError(f"model {name}: no such folder; expected one, a hub name (owner/name), or embedded")
    from huggingface_hub import snapshot_download

    wanted = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
    try:
        return str(snapshot_download(name, allow_patterns=wanted))
    except Exception as error:  # its errors are of a dozen libraries' types
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StepwardError(
            f"model {name}: no such folder, and the hub's model can't be had ({reason}); check the name, the network "
            "and whether it asks for a token, or give a local folder with model=PATH"
        ) from error


def _opened(folder: Path, recipe: TrainingRecipe, resume: bool, overwrite: bool) -> Manifest:
    """The folder's manifest, when this training may go on in it."""
    done = finished(folder)
    if overwrite:
        _clear(folder)
    elif done is not None:
        raise StepwardError(f"{folder}: finished; --overwrite trains it again, --out names another folder")
    elif list((folder / "checkpoints").glob("checkpoint-*")) and not resume:
        raise StepwardError(f"{folder}: a training that was stopped; --resume goes on with it, --overwrite starts over")
    elif not resume:
        _clear(folder)  # stopped before its first checkpoint: nothing is lost
    return Manifest.start(folder, recipe.decisive())


def _clear(folder: Path) -> None:
    for name in _MADE:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _trainer(recipe: TrainingRecipe, config: Any, rows: Any, evaluation: Any) -> Any:
    from stepward.models import load_tokenizer, quiet

    name = model_folder(recipe.model)
    tokenizer = load_tokenizer(name)
    with _undisturbed(), quiet():
        trainer = trainer_class(recipe.kind)(
            name,
            config,
            train_dataset=rows,
            eval_dataset=evaluation,
            processing_class=tokenizer,
            peft_config=adapter_of(recipe),
        )
    trainer.description = replace(trainer.description, base=recipe.model, eta=recipe.data.eta)
    return trainer


def adapter_of(recipe: TrainingRecipe) -> Any:
    """The adapter that a recipe asks for, as peft's `LoraConfig`; None for none."""
    if recipe.adapter is None:
        return None
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise StepwardError("adapter: pip install 'stepward[adapters]'") from error
    try:
        return LoraConfig(**recipe.adapter)
    except (TypeError, ValueError) as error:
        raise StepwardError(f"adapter: {error}; expected options of peft's LoraConfig") from error


def _trained(trainer: Any, recipe: TrainingRecipe, folder: Path, console: Console) -> Facts:
    from transformers.trainer_callback import PrinterCallback, ProgressCallback

    from stepward.models import quiet
    from stepward.pipeline.training_progress import TrainingProgress

    for counts in trainer.counts.values():
        console.print(
            f"data         {counts.sentence() if counts.fates else f'{counts.name}: streamed'}",
            highlight=False,
            soft_wrap=True,
        )
    weights = [(parameter.numel(), parameter.requires_grad) for parameter in trainer.model.parameters()]
    console.print(
        f"model        {sum(size for size, _ in weights):,} parameters, "
        f"{sum(size for size, learns in weights if learns):,} of them trained",
        highlight=False,
        soft_wrap=True,
    )
    for other in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(other)
    progress = TrainingProgress(console)
    trainer.add_callback(progress)
    before, checkpoint = _last_checkpoint(folder)
    start = time.perf_counter()
    try:
        with quiet():
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        seconds = time.perf_counter() - start
        step = trainer.state.global_step
        if trainer.eval_dataset is not None and (step not in progress.metrics or trainer.args.load_best_model_at_end):
            trainer.evaluate()
    finally:
        progress.stop()
    return {
        "rows": {name: counts.fates for name, counts in trainer.counts.items()},
        "steps": step,
        "loss": _mean_of_last_tenth(trainer.losses[before:]),
        "metrics": progress.metrics.get(step, {}),
        "tokens": trainer.tokens.computed,
        "tokens_without_sharing": trainer.tokens.useful,
        "seconds": round(seconds, 3),
    }


def _last_checkpoint(folder: Path) -> tuple[int, Path | None]:
    """The last whole checkpoint and its step; the Trainer writes `trainer_state.json` after everything else."""
    states = (folder / "checkpoints").glob("checkpoint-*/trainer_state.json")
    found = [(int(path.parent.name.rpartition("-")[2]), path.parent) for path in states]
    return max(found, default=(0, None))


def _mean_of_last_tenth(losses: list[float]) -> float | None:
    last = losses[-max(len(losses) // 10, 1) :]
    return sum(last) / len(last) if last else None


def _save(trainer: Any, recipe: TrainingRecipe, folder: Path, main: bool) -> None:
    """Saves the reward model whole; of an adapter both it and the model that it makes."""
    from stepward.models import quiet
    from stepward.rewards.adapters import merged
    from stepward.rewards.folder import write_description

    target = folder / "model"
    with quiet():
        trainer.save_model(str(target if recipe.adapter is None else folder / "adapter"))
        if recipe.adapter is not None and main:
            merged(trainer.accelerator.unwrap_model(trainer.model)).save_pretrained(target)
            trainer.processing_class.save_pretrained(target)
            write_description(trainer.description, target)
    if main:
        (target / "training_args.bin").unlink(missing_ok=True)  # a pickle; the manifest says what is in it


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keeps back the trainers' warnings of rows left out, which are printed in one place here, and datasets' bars."""
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    bars = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".* rows of the .* data are used")
            yield
    finally:
        if bars:
            enable_progress_bars()
