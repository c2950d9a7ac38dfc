"""What reading a file takes in memory, measured in a process of its own."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

MEGABYTE = 2**20
GOOD = b'{"a": 1}\n'
FLAT = 150
"""Megabytes that reading may take beyond what a small file takes."""

_MEASURE = """
import json, sys
from pathlib import Path
from stepward.rows import ErrorCollector, read_rows

def read(path):
    bad = ErrorCollector(path)
    rows = sum(1 for _ in read_rows(path, bad))
    return rows, [[fault.row, fault.code, fault.reason, len(fault.text)] for fault in bad.faults]

def peak():
    # Not getrusage: its figure is of the process that started this one, until this one is larger.
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1])

path = Path(sys.argv[1])
small = path.with_name("small" + "".join(path.suffixes))
small.write_bytes(Path(sys.argv[2]).read_bytes())
read(small)
before = peak()
rows, faults = read(path)
print(json.dumps([rows, faults, (peak() - before) / 1024]))
"""


def measured(path: Path, most: int = FLAT) -> tuple[int, list[tuple[int, str, str]]]:
    """A large file's rows and faults, read in a process of its own, whose memory may not grow with the file.

    A fault is its row, code and reason.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("the most memory that a process has taken is read from /proc")
    small = path.with_name("seed")
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"a": ["b"]}), small)
    else:
        packed = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}.get(path.suffix, bytes)
        small.write_bytes(packed(b"[" + GOOD + b"]" if path.name.startswith("array") else GOOD))
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(path), str(small)], capture_output=True, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    rows, faults, grown = json.loads(done.stdout)
    print(f"{path.name}: {grown:.0f} MB more")
    assert grown < most, f"{path.name}: memory grew by {grown:.0f} MB"
    assert all(length < 25_000 for *_, length in faults)
    return rows, [(row, code, reason) for row, code, reason, _ in faults]
