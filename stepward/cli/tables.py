"""How the terminal's tables of figures look: plain, and whole on 80 columns."""

from rich import box
from rich.table import Table

_WIDTH = 80


def figures_table(title: str, caption: str | None = None) -> Table:
    """A table without columns yet, wide enough that its title stands on one line where there is room.

    Args:
        title: Stands above it; rich markup.
        caption: Stands below it, likewise.
    """
    return Table(
        title=title, caption=caption, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0),
        min_width=min(max(len(title), len(caption or "")) + 1, _WIDTH),
    )  # fmt: skip


def add_numbers(table: Table, *titles: str) -> None:
    """Adds columns of numbers."""
    for title in titles:
        # A word a line, or there is no room for the last one on a terminal of 80 columns.
        table.add_column(title.replace(" ", "\n"), justify="right", no_wrap=True)
