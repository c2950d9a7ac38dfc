"""What a training shows while it goes on: how far it is, its loss, and a small table at each evaluation."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState

_UNMEASURED = ("_runtime", "_per_second", "_model_preparation_time")


class TrainingProgress(TrainerCallback):
    """A bar on a terminal, a line a log where there is none, such as in a file.

    Attributes:
        metrics: Figures of each evaluation, by the optimiser step at which it was.
    """

    def __init__(self, console: Console) -> None:
        self.metrics: dict[int, dict[str, float]] = {}
        self._console = console
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("training", total=None, loss="")

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Says how much there is to do."""
        rows = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        before = f", {state.global_step:,} of them done before" if state.global_step else ""
        self._console.print(
            f"training     {state.max_steps:,} steps of {rows:,} rows{before}", highlight=False, soft_wrap=True
        )
        self._bar.update(self._task, total=state.max_steps, completed=state.global_step)
        if self._console.is_terminal and not self._console.quiet:
            self._bar.start()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Moves the bar."""
        self._bar.update(self._task, completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Shows the loss."""
        if not logs or "loss" not in logs:
            return
        loss, rate = float(logs["loss"]), float(logs.get("learning_rate", 0.0))
        if self._bar.live.is_started:
            self._bar.update(self._task, loss=f"loss {loss:.4f}")
        else:
            self._console.print(
                f"  step {state.global_step:,} of {state.max_steps:,}: loss {loss:.4f}, learning rate {rate:.2g}",
                highlight=False,
            )

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Shows the figures of an evaluation, and keeps them."""
        found = figures(metrics or {})
        self.metrics.setdefault(state.global_step, {}).update(found)
        self._console.print(figures_table(found, f"evaluation at step {state.global_step:,}"))

    def stop(self) -> None:
        """Takes the bar away, however the training ended."""
        if self._bar.live.is_started:
            self._bar.stop()


def figures(metrics: Mapping[str, float]) -> dict[str, float]:
    """What an evaluation measured, without the Trainer's prefix and its timings."""
    return {
        name.removeprefix("eval_"): float(value)
        for name, value in metrics.items()
        if name.startswith("eval_") and not name.endswith(_UNMEASURED)
    }


def figures_table(figures: Mapping[str, float], title: str) -> Table:
    """Figures, three to a line."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    cells = [f"{name} {value:.4g}" for name, value in figures.items()]
    for start in range(0, len(cells), 3):
        table.add_row(*cells[start : start + 3])
    return table
