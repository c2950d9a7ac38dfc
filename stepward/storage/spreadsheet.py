"""CSV for spreadsheets: the one place that writes it, since names in it come from other people's files."""

import csv
import io
from collections.abc import Iterable, Sequence

_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\n")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows under a heading; text that a spreadsheet would compute has an apostrophe before it.

    Args:
        columns: The heading.
        rows: Cells in the columns' order; None is an empty cell, and numbers stay as they are.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_cell(value) for value in row] for row in (columns, *rows)])
    return text.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    # Python's writer does not quote a lone carriage return, which others take for the end of a row.
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) else text
