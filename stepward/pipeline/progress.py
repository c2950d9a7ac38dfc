"""One line a stage: how far it is, how fast, what it saves, and how long it will still take."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class StageProgress:
    """A progress bar on a terminal; a line at the end where there is none, such as in a log.

    Args:
        console: Where to show it.
        stage: The stage's name.
        total: Its units.
        done: Those that were done before.
        what: What its units are called.
        more: What else there is to say by now.
    """

    def __init__(
        self,
        console: Console,
        stage: str,
        total: int,
        done: int = 0,
        what: str = "units",
        more: Callable[[], str] = lambda: "",
    ) -> None:
        self.console = console
        self.stage = stage
        self.total = total
        self.what = what
        self.more = more
        self.before = self.done = done
        self.start = time.monotonic()
        self.bar = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[more]}"),
            console=console,
            transient=True,
        )
        self.task = self.bar.add_task(stage, total=total, completed=done, rate="", more="")

    def __enter__(self) -> Self:
        """Shows the bar where there is something to do and a terminal to see it."""
        if self.done < self.total and self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leaves one line behind, unless all was done before."""
        if self.bar.live.is_started:
            self.bar.stop()
        if kind is None and self.done > self.before:
            seconds = time.monotonic() - self.start
            line = f"{self.stage:<12} {self.done} of {self.total} {self.what}, {seconds:.1f} s"
            self.console.print("; ".join(part for part in (line, self.more()) if part), highlight=False, soft_wrap=True)

    def advance(self) -> None:
        """One more unit is done."""
        self.done += 1
        rate = (self.done - self.before) / max(time.monotonic() - self.start, 1e-9)
        self.bar.update(self.task, advance=1, rate=f"{rate:.2f} {self.what}/s", more=self.more())
