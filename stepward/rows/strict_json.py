"""One row of JSON, read strictly: NaN, repeated keys, NUL and half surrogates are faults, and numbers stay exact.

Python's own reader takes NaN, lets the last of two equal keys win and passes NUL and half surrogates on, which break
far away in a table or a tokenizer. orjson is three times as fast, but lets the last of two equal keys win as well and
rounds integers above 64 bits. So each row is read by orjson, checked by a few searches that cost next to nothing, and
read again in the slow, exact way wherever they can't rule such a fault out.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

from stepward.errors import Code

MAX_ROW_BYTES = 16 * 2**20
"""Bytes of the longest row that is read; a longer one is set aside."""

MAX_SCAN_BYTES = 2**30
"""Bytes after which a row without an end is taken for no row at all, and the rest of the file with it."""

DEEPEST = 500
"""Lists and objects that may lie in one another; Python's own JSON, and the text of an error, fail at 1,000."""

_SPACE = re.compile(r"[ \t\r\n]*")

Named = tuple[str, str, Code]
"""The field (empty for the whole row), what is wrong with it, and what kind of thing that is."""


def parse_line(raw: bytes, start: int) -> tuple[dict[str, Any] | None, list[Named]]:
    """The object that one line holds, and what is wrong with it.

    Args:
        raw: The line.
        start: The offset of its first byte in the unpacked file, for messages.

    Returns:
        The object, or None where the line holds none; and the faults, empty where the object can be used.
    """
    quick = _quick(raw)
    if quick is not None:
        return quick, []
    try:
        text = raw.decode("utf-8")
        value, end, faults = parse_value(text, skip_space(text, 0))
        if skip_space(text, end) != len(text):
            raise ValueError(f"more text follows the object at character {end + 1}")
    except UnicodeDecodeError as error:
        return None, [("", broken_byte(raw[error.start], start + error.start), "unreadable")]
    except ValueError as error:
        return None, [("", f"not JSON ({error}); expected one object a line", "unreadable")]
    return as_row(value, faults)


def as_row(value: Any, faults: list[Named]) -> tuple[dict[str, Any] | None, list[Named]]:
    """The value as a row, with a fault of its own where it is no object."""
    if isinstance(value, dict):
        return value, faults
    return None, [("", f"expected a JSON object, found {json_type(value)}", "wrong_type"), *faults]


def parse_value(text: str, at: int) -> tuple[Any, int, list[Named]]:
    """The JSON value that starts at a character, where it ends, and its faults.

    Raises:
        ValueError: It is not JSON.
    """
    faults: list[Named] = []
    try:
        value, end = json.JSONDecoder(object_pairs_hook=lambda pairs: _object(pairs, faults)).raw_decode(text, at)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value, end, faults + value_faults(value)


def value_faults(value: Any) -> list[Named]:
    """What no field may hold, and where: NaN, infinities, NUL, half surrogates, what JSON can't say."""
    if not isinstance(value, dict | list):
        return [("", *wrong)] if (wrong := _wrong(value)) else []
    faults: list[Named] = []
    pending: list[tuple[str, Any, int]] = [
        ("", value, 1)
    ]  # lists and objects alone: a list may have millions of values
    while pending:
        where, part, level = pending.pop()
        if level > DEEPEST:
            top = where.partition("[")[0].partition(".")[0]  # the whole way to it would fill a page
            faults.append((top, f"nested too deeply; expected at most {DEEPEST} levels", "too_large"))
            continue
        if isinstance(part, dict):
            faults.extend((where, f"the key {key!r} holds {_broken(key)}", "bad_value") for key in part if _broken(key))
        for key, inner in part.items() if isinstance(part, dict) else enumerate(part):
            if isinstance(inner, dict | list):
                pending.append((_place(where, key), inner, level + 1))
            elif wrong := _wrong(inner):
                faults.append((_place(where, key), *wrong))
    return faults


def _place(where: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{where}[{key}]"
    return f"{where}.{key}" if where else str(key)


def _wrong(value: Any) -> tuple[str, Code] | None:
    """What is wrong with a value that is no list or object; None where nothing is."""
    if isinstance(value, float):
        return None if math.isfinite(value) else (f"holds {value}; expected a finite number", "not_finite")
    if isinstance(value, str):
        return (f"holds {wrong}; expected plain text", "bad_value") if (wrong := _broken(value)) else None
    if value is None or isinstance(value, int):
        return None
    # A table may hold bytes, dates, decimals.
    return f"holds {json_type(value)}; expected text, a number, true or false, a list or an object", "wrong_type"


def json_type(value: Any) -> str:
    """The JSON name of a value's type, for messages."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def broken_byte(byte: int, offset: int) -> str:
    """What to say of a byte that is not UTF-8."""
    return f"broken UTF-8: byte 0x{byte:02x} at offset {offset} of the file; save the file as UTF-8"


def skip_space(text: str, at: int) -> int:
    """Where the JSON white space that starts at a character ends."""
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _quick(raw: bytes) -> dict[str, Any] | None:
    """The row where it surely has no fault, or None where the slow way must tell.

    Searches for one character are many times faster than for two, so it is quotation marks that are counted: each key
    and each text has two, and one for each mark inside it. A key that stood twice would have left more of them.
    """
    try:
        row = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if type(row) is not dict:
        return None
    texts = list(row)
    values = list(row.values())
    flat = len(values)
    for value in values:  # which grows on the way
        if type(value) is str:
            texts.append(value)
        elif type(value) is list:
            values += value
        elif type(value) is dict:
            texts += value
            values += value.values()
        elif type(value) is float and abs(value) >= 2.0**63:  # an integer that was rounded, perhaps
            return None
    if b"\\u0000" in raw:  # the only way to write NUL; or a text that shows it
        return None
    marks = raw.count(b'"') - 2 * len(texts)
    # Marks inside texts; one that is written as \u0022 could make up for a key.
    if marks and (marks != "".join(texts).count('"') or b"\\u0022" in raw):
        return None
    if len(values) > flat and raw.count(b"[") + raw.count(b"{") > DEEPEST and _levels(row) > DEEPEST:
        return None
    return row


def _levels(row: dict[str, Any]) -> int:
    """How many lists and objects lie in one another, the row itself counted."""
    levels = 0
    inside: list[Any] = [row]
    while inside:
        levels += 1
        inner = [value for part in inside for value in (part.values() if type(part) is dict else part)]
        inside = [value for value in inner if type(value) in (dict, list)]
    return levels


def _object(pairs: list[tuple[str, Any]], faults: list[Named]) -> dict[str, Any]:
    """The object of the pairs; repeated keys are noted."""
    row: dict[str, Any] = {}
    for key, value in pairs:
        if key in row:
            faults.append((key, "the key stands twice; keep one", "duplicate"))
        row[key] = value
    return row


def _broken(text: str) -> str:
    """What a table or a tokenizer can't take of the text; empty where nothing is wrong."""
    if "\0" in text:
        return "a NUL character"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"half a surrogate pair ({text[error.start]!r}), or a byte that is not UTF-8"
    return ""


def json_line(fields: Mapping[str, Any]) -> bytes:
    """The row as one line that ends in a newline.

    Args:
        fields: A row that was read, or one of plain values: text, numbers, true, false, null, lists, objects.
    """
    try:
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a whole number above 64 bits, or more than 254 levels: orjson writes neither
        return json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
