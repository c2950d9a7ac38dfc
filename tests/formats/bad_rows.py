"""For every format a file of at least 40 rows that are bad, or look bad, between three good ones, and what to expect.

Half of the bad rows are the same for all formats: JSON that is broken or that says too much (`_json_lines`). The others
are each format's own: every needed field missing and of another type, and the faults that only it can have.
"""

import copy
import json
import re
from dataclasses import dataclass
from typing import Any

from formats.bad_fields import GONE, GOOD, NEEDED, OWN

Fields = dict[str, Any]

NO_OTHER_FIELDS = {
    "stepward": "LabelledSolution has no such field",
    "gsm8k-solutions": "expected an object with is_correct and solution",
}
"""Formats whose rows may not have a field that the format doesn't know: in the second each field is a model's."""


MISSING = {
    ("prm800k", "question"): "found null",
    ("prm800k", "label"): "found null",
    ("omegaprm-tree", "reasoning_steps"): "found null",
    ("omegaprm-tree", "reasoning_steps.children"): "expected text, mc_value, children",
    ("llama-factory-preference", "conversations[0].value"): "expected a message with from and value",
}
"""What is said of a missing field where that is not "missing"."""


@dataclass(frozen=True)
class Line:
    """One line of a file.

    Attributes:
        raw: Its bytes, without the line break.
        field: The field that the reason must name, or None where any will do.
        reason: A part of the reason why it is set aside; None where it is accepted.
    """

    raw: bytes
    field: str | None = None
    reason: str | None = None


def lines_of(name: str) -> list[Line]:
    """The lines of a format's file: a good one at its start, in its middle and near its end."""
    good = Line(_dumped(GOOD[name]))
    bad = [*_json_lines(name), *_field_lines(name), *_own_lines(name)]
    assert len(bad) >= 40, f"{name}: {len(bad)} bad rows"
    half = len(bad) // 2
    # The last line is half written, as a copy that was broken off leaves it.
    return [good, *bad[:half], good, *bad[half:], good, Line(good.raw[: len(good.raw) // 2], "", "not JSON")]


def file_of(lines: list[Line]) -> bytes:
    """The file: a byte order mark, Windows' line ends on every third line, a blank line, no break after the last."""
    content = b"\xef\xbb\xbf"
    for index, line in enumerate(lines):
        content += line.raw + (b"\r\n" if index % 3 == 0 else b"\n")
    return content.removesuffix(b"\n").removesuffix(b"\r")


def _json_lines(name: str) -> list[Line]:
    whole = _dumped(GOOD[name])
    unknown = NO_OTHER_FIELDS.get(name)

    def more(value: bytes, key: bytes = b'"note"') -> bytes:
        return whole[:-1] + b", " + key + b": " + value + b"}"

    def set_aside(value: bytes, field: str, reason: str) -> Line:
        return Line(more(value), field, reason)

    accepted = [
        b'{"any": ["thing", 1, null, true]}', b"9007199254740993", b"18446744073709551616", b"9" * 4000,
        b"-0.5e-7", b'"NaN"', b'"\\ud83d\\ude00"', '"ки +\u2028"'.encode(), b"[" * 300 + b"]" * 300,
        b'{"a" : {"note":\t1}}',
    ]  # fmt: skip
    return [
        *[Line(more(value), "note" if unknown else None, unknown) for value in accepted],
        set_aside(b"NaN", "note", "holds nan; expected a finite number"),
        set_aside(b"[Infinity]", "note[0]", "holds inf"),
        set_aside(b'{"a": -Infinity}', "note.a", "holds -inf"),
        set_aside(b"1e999", "note", "holds inf"),
        set_aside(b'1, "note" : 2', "note", "the key stands twice"),
        set_aside(b'{"a":1,"a" :1}', "a", "the key stands twice"),
        set_aside(b'"\\ud800"', "note", "half a surrogate pair"),
        set_aside(b'{"\\udfff": 1}', "note", "half a surrogate pair"),
        set_aside(b'"a\\u0000b"', "note", "a NUL character"),
        set_aside(b'"a\0b"', "", "not JSON"),
        set_aside(b"9" * 5000, "", "not JSON"),
        set_aside(b"[" * 100_000 + b"]" * 100_000, "", "nested too deeply"),
        set_aside(b"[" * 800 + b"]" * 800, "note", "nested too deeply"),
        set_aside(b'"\xff"', "", "broken UTF-8: byte 0xff"),
        set_aside(b'"\xed\xa0\x80"', "", "broken UTF-8"),
        set_aside(b"'a'", "", "not JSON"),
        Line(whole + b" " + whole, "", "more text follows"),
        Line(b"[" + whole + b"]", "", "expected a JSON object, found a list"),
        Line(b"null", "", "expected a JSON object, found null"),
        Line(json.dumps(whole.decode()).encode(), "", "expected a JSON object, found text"),
        Line(b"oops", "", "not JSON"),
        Line(whole[:-1] + b",}", "", "not JSON"),
        Line(b"\xef\xbb\xbf" + whole, "", "not JSON"),
        Line(b"{}", None, ""),
    ]


def _field_lines(name: str) -> list[Line]:
    """Every needed field missing, and of another type."""
    lines = []
    for path, wanted in NEEDED[name].items():
        wrong = 7 if wanted in ("text", "a list", "an object", "true or false", "text or a list") else "seven"
        if not path.endswith("]"):
            lines.append(Line(_dumped(changed(GOOD[name], {path: GONE})), None, MISSING.get((name, path), "missing")))
        lines.append(Line(_dumped(changed(GOOD[name], {path: wrong})), path, f"expected {wanted}"))
    return lines


def _own_lines(name: str) -> list[Line]:
    return [Line(_dumped(changed(GOOD[name], change)), field, reason) for change, field, reason in OWN[name]]


def changed(fields: Fields, change: Fields) -> Fields:
    """A copy with other values at some paths, such as `label.steps[0].rating`; `GONE` takes a field away."""
    row = copy.deepcopy(fields)
    for path, value in change.items():
        *way, last = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)]
        holder: Any = row
        for key in way:
            holder = holder[key]
        if value is GONE:
            del holder[last]
        else:
            holder[last] = value
    return row


def _dumped(fields: Fields) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()
