"""Rows of other people's files, read strictly and as a stream: every bad row is named, none is skipped or mended."""

from stepward.rows.errors import ErrorCollector, InvalidRow, RowError, row_text
from stepward.rows.readers import SUFFIXES, ReadProgress, SourceRow, read_rows
from stepward.rows.sources import check_not_overwriting, expand_source, iter_rows, pinned_source
from stepward.rows.strict_json import json_line, json_type, value_faults

__all__ = [
    "SUFFIXES",
    "ErrorCollector",
    "InvalidRow",
    "ReadProgress",
    "RowError",
    "SourceRow",
    "check_not_overwriting",
    "expand_source",
    "iter_rows",
    "json_line",
    "json_type",
    "pinned_source",
    "read_rows",
    "row_text",
    "value_faults",
]
