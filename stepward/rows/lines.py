"""A row as a line of JSON, whatever numbers it holds."""

import json
from collections.abc import Mapping
from typing import Any

import orjson


def json_line(fields: Mapping[str, Any]) -> bytes:
    """The row as one line that ends in a newline.

    Args:
        fields: A row that was read, or one of plain values: text, numbers, true, false, null, lists, objects.
    """
    try:
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a whole number above 64 bits, or more than 254 levels: orjson writes neither
        return json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
