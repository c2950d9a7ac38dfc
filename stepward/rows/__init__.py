"""Rows of other people's files, read strictly and as a stream: every bad row is named, none is skipped or mended."""

from stepward.rows.errors import BadRows, Fault, RowFault, row_text
from stepward.rows.readers import SUFFIXES, Meter, Row, read_rows
from stepward.rows.sources import files_of, find_rows, pinned_source, refuse_over
from stepward.rows.strict_json import json_line, kind, value_faults

__all__ = [
    "SUFFIXES",
    "BadRows",
    "Fault",
    "Meter",
    "Row",
    "RowFault",
    "files_of",
    "find_rows",
    "json_line",
    "kind",
    "pinned_source",
    "read_rows",
    "refuse_over",
    "row_text",
    "value_faults",
]
