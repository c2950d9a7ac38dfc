"""Sources written for the tests: rows of a known format in a file."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes rows to a file of the test's own folder, and gives its path."""

    def written(rows: Iterable[dict[str, Any]], name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))
        return path

    return written
