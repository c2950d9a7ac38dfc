"""Other people's formats, in and out: read any of them, write any that can hold the record."""

from stepward.formats.base import Format, Record, UnsupportedRecord, WriteOptions
from stepward.formats.branches import iter_branches
from stepward.formats.reader import RecordReader, read
from stepward.formats.registry import FORMATS
from stepward.formats.writer import WriteReport, write

__all__ = [
    "FORMATS",
    "Format",
    "Record",
    "RecordReader",
    "UnsupportedRecord",
    "WriteOptions",
    "WriteReport",
    "iter_branches",
    "read",
    "write",
]
