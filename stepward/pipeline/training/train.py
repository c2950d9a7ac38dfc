"""Trains one reward model by a recipe, in a folder of its own.

    FOLDER/
      manifest.json    the recipe, versions, and, once all is done, what it came to
      model/           the reward model: plain transformers, and `stepward.load_scorer`, load it
      adapter/         where an adapter was trained: the adapter alone
      checkpoints/     what a training that was stopped goes on from
      run/             where the recipe makes its data: a Stepward run

The manifest names the model only when it is whole, so a folder is finished or it is not.
"""

import hashlib
import os
import shutil
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from stepward import models
from stepward.errors import StepwardError
from stepward.pipeline.training.data_run import make_run
from stepward.pipeline.training.dataset import Loaded, load_rows
from stepward.pipeline.training.model_card import write_card
from stepward.pipeline.training.options import make_config, trainer_class
from stepward.pipeline.training.paths import model_folder
from stepward.recipes.training import TrainingRecipe
from stepward.rows import pinned_source
from stepward.storage.files import lock_dir
from stepward.storage.manifest import Manifest
from stepward.storage.run_dir import EMBEDDED

STAGE, UNIT = "training", "model"
Facts = dict[str, Any]

PATIENCE = 90.0
"""Seconds until a folder that another machine made is given up; NFS hides new files for up to a minute."""

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
        raise StepwardError(
            f"{folder}: a run of stepward run, not a training; give --out another folder", code="mismatch", file=folder
        )
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
        What it came to: `rows`, `steps`, `loss`, `metrics`, `tokens`, `seconds`, and the `eta` of its labels.

    Raises:
        StepwardError: A source, option, model or folder that can't be used, or a loss that is no number.
    """
    recipe = _pinned(recipe)
    data = recipe.data
    evaluates = data.eval is not None or data.held_out > 0
    config = make_config(recipe, folder / "checkpoints", evaluates)
    if data.stream and config.max_steps < 1:
        raise StepwardError(
            "data.stream: rows that are streamed have no end: set max_steps", code="missing", field="max_steps"
        )
    # Where machines share their storage, one process makes what all read; else one on each machine (save_on_each_node).
    main = config.should_save
    console = console if config.process_index == 0 else Console(quiet=True)
    console.print(f"{recipe.name}: {recipe.kind} from {recipe.model}", highlight=False, soft_wrap=True)
    with ExitStack() as held:
        with config.main_process_first(local=config.save_on_each_node, desc="reading the data"):
            if not main:
                _need_seen(folder)
            if main:
                held.enter_context(lock_dir(folder))
                manifest = _opened(folder, recipe, resume, overwrite)
                if data.run is not None and run is None:
                    make_run(data.run, folder / "run", console)
            with console.status("reading the data"):
                loaded = load_rows(recipe, run or folder / "run")
        _need_same(config, loaded.train, data.train or str(run or folder / "run"))
        for line in loaded.sentences:
            console.print(f"[yellow]left out[/]     {line}", highlight=False, soft_wrap=True)
        with _named(data.train or str(run or folder / "run")):
            with console.status("loading the model, tokenising the data"):
                trainer = _trainer(recipe, config, loaded)
            facts = {**_trained(trainer, recipe, folder, console), "eta": loaded.eta}
        _save(trainer, recipe, folder, main)
        if main:
            write_card(recipe, facts, folder / "model")
            manifest.finish(STAGE, UNIT, folder / "model", **facts)
    return facts


def _pinned(recipe: TrainingRecipe) -> TrainingRecipe:
    """The recipe with the commits of what it takes from the hub, which manifest, card and model then name."""
    train, held = recipe.data.train, recipe.data.eval
    if isinstance(held, dict):
        held = {name: pinned_source(one) for name, one in held.items()}
    elif held is not None:
        held = pinned_source(held)
    data = recipe.data.model_copy(update={"train": train and pinned_source(train), "eval": held})
    model = recipe.model if recipe.model == EMBEDDED else models.pinned(recipe.model)
    return recipe.model_copy(update={"model": model, "data": data})


def _opened(folder: Path, recipe: TrainingRecipe, resume: bool, overwrite: bool) -> Manifest:
    """The folder's manifest, when this training may go on in it."""
    done = finished(folder)
    if not (folder / "manifest.json").exists():
        _refuse_others(folder)
    if overwrite:
        _clear(folder)
    elif done is not None:
        raise StepwardError(
            f"{folder}: finished; --overwrite trains it again, --out names another folder",
            code="file_exists",
            file=folder,
        )
    elif list((folder / "checkpoints").glob("checkpoint-*")) and not resume:
        raise StepwardError(
            f"{folder}: a training that was stopped; --resume goes on with it, --overwrite starts over",
            code="unfinished",
            file=folder,
        )
    elif not resume:
        _clear(folder)  # stopped before its first checkpoint: nothing is lost
    return Manifest.start(folder, recipe.fingerprint_fields())


def _need_seen(folder: Path) -> None:
    """Raises StepwardError where the first process's folder can't be seen from this one's machine."""
    end = time.monotonic() + PATIENCE
    while not (folder / "manifest.json").exists():
        if time.monotonic() > end:
            raise StepwardError(
                f"{folder}: the first process opened it, and {socket.gethostname()} does not see it; name a folder on "
                "storage that all machines share (--out), or set save_on_each_node=true, by which each machine makes "
                "and keeps its own",
                code="file_not_found", file=folder,
            )  # fmt: skip
        time.sleep(min(0.5, PATIENCE))


def _need_same(config: Any, rows: Any, source: str) -> None:
    """Raises StepwardError where processes read other rows, each being given its share by the rows' numbers."""
    if config.world_size < 2 or not hasattr(rows, "__len__"):
        return
    import torch

    mine = hashlib.sha256()
    for row in rows:
        mine.update(orjson.dumps(row))
    found: list[str] = [""] * config.world_size
    torch.distributed.all_gather_object(found, mine.hexdigest())
    if len(set(found)) > 1:
        other = next(rank for rank, one in enumerate(found) if one != found[0])
        raise StepwardError(
            f"{source}: process {other} read other rows than process 0: copy the data to each machine as they are, or "
            "name a source that all machines share",
            code="mismatch", file=source,
        )  # fmt: skip


def _refuse_others(folder: Path) -> None:
    """Raises StepwardError where a folder that holds no training has what a training would remove."""
    if found := next((folder / name for name in _MADE if os.path.lexists(folder / name)), None):
        raise StepwardError(
            f"{found}: there already, and not by a training; give --out another folder", code="file_exists", file=found
        )


def _clear(folder: Path) -> None:
    for name in _MADE:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Says of which data labels are that nothing can be learnt from: the trainers don't know where rows come from."""
    try:
        yield
    except StepwardError as error:
        if error.code != "degenerate" or error.file is not None:
            raise
        raise StepwardError(f"{source}: {error}", code=error.code, file=source, field=error.field) from error


def _trainer(recipe: TrainingRecipe, config: Any, loaded: Loaded) -> Any:
    from stepward.models import load_tokenizer, quiet

    name = model_folder(recipe.model)
    tokenizer = load_tokenizer(name)
    with _undisturbed(), quiet():
        trainer = trainer_class(recipe.kind)(
            name,
            config,
            train_dataset=loaded.train,
            eval_dataset=loaded.evaluation,
            processing_class=tokenizer,
            peft_config=adapter_of(recipe),
        )
    trainer.description = replace(trainer.description, base=recipe.model, eta=loaded.eta)
    return trainer


def adapter_of(recipe: TrainingRecipe) -> Any:
    """The adapter that a recipe asks for, as peft's `LoraConfig`; None for none."""
    if recipe.adapter is None:
        return None
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise StepwardError(
            "adapter: pip install 'stepward[adapters]'", code="missing_dependency", field="adapter"
        ) from error
    try:
        return LoraConfig(**recipe.adapter)
    except (TypeError, ValueError) as error:
        raise StepwardError(
            f"adapter: {error}; expected options of peft's LoraConfig", code="bad_value", field="adapter"
        ) from error


def _trained(trainer: Any, recipe: TrainingRecipe, folder: Path, console: Console) -> Facts:
    from transformers.trainer_callback import PrinterCallback, ProgressCallback

    from stepward.models import quiet
    from stepward.pipeline.training.progress import TrainingProgress

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
    from stepward.reward_models.model_dir import write_metadata
    from stepward.reward_models.training.peft import merged

    target = folder / "model"
    with quiet():
        trainer.save_model(str(target if recipe.adapter is None else folder / "adapter"))
        if recipe.adapter is not None and main:
            merged(trainer.accelerator.unwrap_model(trainer.model)).save_pretrained(target)
            trainer.processing_class.save_pretrained(target)
            write_metadata(trainer.description, target)
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
