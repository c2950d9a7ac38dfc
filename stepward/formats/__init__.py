"""Other people's formats, in and out: read any of them, write any that can hold the record."""

from stepward.formats.base import Choices, Format, NotWritable, Record
from stepward.formats.branches import paths
from stepward.formats.reader import Reading, read
from stepward.formats.registry import FORMATS
from stepward.formats.writer import Written, write

__all__ = ["FORMATS", "Choices", "Format", "NotWritable", "Reading", "Record", "Written", "paths", "read", "write"]
