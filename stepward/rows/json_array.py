"""The part of a JSON array's text that is looked at: it grows while a value is not whole, and lets go of it after.

So an array of any length is read in little memory, whose rows may stand on one line or over many.
"""

import codecs
from typing import IO, Any

from stepward.rows.strict_json import MAX_ROW_BYTES, MAX_SCAN_BYTES, Named, parse_value, skip_space

CHUNK = 2**18
"""Bytes that are read at once."""


class JsonArrayStream:
    """A window on a file's text, at its start.

    Args:
        file: The file, unpacked.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._shown = ""
        self._at = 0
        self._file = file
        # A byte that is not UTF-8 becomes half a surrogate pair, a fault of the one row that holds it.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
        self._grow()
        self._shown = self._shown.removeprefix("\ufeff")

    @property
    def next(self) -> str:
        """The next character; empty at the file's end."""
        return self._shown[self._at : self._at + 1]

    @property
    def start(self) -> str:
        """The start of what comes next."""
        return self._shown[self._at : self._at + 1000]

    def advance(self, count: int) -> None:
        """Go on by so many characters."""
        self._at += count

    def skip_space(self) -> None:
        """Go on to what is no white space; ValueError where there is too much of it."""
        passed = 0
        while True:
            before, self._at = self._at, skip_space(self._shown, self._at)
            passed += self._at - before
            if passed > MAX_SCAN_BYTES:
                raise ValueError(f"more than {MAX_SCAN_BYTES:,} characters of white space")
            if self._at < len(self._shown) or not self._grow():
                return

    def value(self) -> tuple[Any, list[Named]]:
        """The value that starts here, and its faults; ValueError where it is not JSON."""
        while True:
            try:
                value, self._at, faults = parse_value(self._shown, self._at)
            except ValueError as error:
                seen = len(self._shown) - self._at
                if seen > MAX_ROW_BYTES:
                    raise ValueError(f"{error}, or more than {MAX_ROW_BYTES:,} characters") from None
                # Twice as much each time, so that a long value is not parsed again for every few bytes of it.
                if not self._grow(max(CHUNK, min(seen, MAX_ROW_BYTES + 1 - seen))):
                    raise
                continue
            return value, faults

    def end(self) -> None:
        """ValueError where the array's closing bracket is not the last thing in the file."""
        closed = self.next == "]"
        self.advance(1)
        self.skip_space()
        if not closed or self.next:
            raise ValueError("expected a comma, or the one bracket that ends the array, after this row")

    def _grow(self, size: int = CHUNK) -> bool:
        raw = self._file.read(size)
        self._shown = self._shown[self._at :] + self._decoder.decode(raw, final=not raw)
        self._at = 0
        return bool(raw)
