"""Reading a million Math-Shepherd-like rows: rows a second and memory, beside Python's own JSON reader.

    python benchmarks/reading.py [--rows 1000000] [--peer-rows 100000] [--keep FOLDER]

The rows are made here, from the arithmetic world: a question, five to nine steps, a tag behind each, about as many
bytes as the published rows have. Reading checks each row, parts it into question, steps and labels, and gives it
its ids. The peers do less: `json` only parses, `datasets` only parses and gives dicts back. The last line is one
JSON object; `memory_mb` is the most memory the reading process had, all its libraries counted.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

from stepward.formats import read
from stepward.problems.arithmetic.dataset import problems

TAG = "ки"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peer-rows", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="Leave the rows here, and use them if they are there.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.keep or Path(scratch)
        path = folder / f"rows-{asked.rows}.jsonl"
        if not path.exists():
            make_rows(path, asked.rows)
        ours = seconds(lambda: read(path), asked.rows)
        memory = peak_mb()
        plain = seconds(lambda: map(json.loads, path.open("rb")), asked.peer_rows)
        arrow = seconds(lambda: from_datasets(path), asked.peer_rows)
        found = {
            "rows": asked.rows,
            "bytes_a_row": path.stat().st_size // asked.rows,
            "rows_a_second": round(asked.rows / ours),
            "memory_mb": round(memory),
            "json_rows_a_second": round(asked.peer_rows / plain),
            "datasets_rows_a_second": round(asked.peer_rows / arrow),
        }
    print(f"{asked.rows:,} rows of {found['bytes_a_row']:,} bytes in {ours:.1f} s, {memory:.0f} MB at the peak")
    print(json.dumps(found))


def make_rows(path: Path, count: int) -> None:
    """Rows of 500 problems with steps dealt at random, every one different from the others."""
    asked = problems("reward", 500)
    dealt = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            problem = asked[number % len(asked)]
            steps = [_step(index + 1, dealt) for index in range(dealt.randint(5, 9))]
            signs = ["+" if index < dealt.randint(1, 12) else "-" for index in range(len(steps))]
            tagged = "\n".join(f"{step} {TAG}" for step in steps)
            signed = "\n".join(f"{step} {sign}" for step, sign in zip(steps, signs, strict=True))
            row = {"input": f"{problem.question} {tagged}", "label": f"{problem.question} {signed}", "task": "GSM8K"}
            file.write(json.dumps(row) + "\n")


def _step(number: int, dealt: random.Random) -> str:
    left, right = dealt.randint(2, 999), dealt.randint(2, 999)
    return f"Step {number}: Then they have {left} + {right} = <<{left}+{right}={left + right}>>{left + right} of them."


def from_datasets(path: Path) -> Iterable[object]:
    import datasets

    return datasets.load_dataset("json", data_files=str(path), split="train", streaming=True)


def seconds(rows: Callable[[], Iterable[object]], count: int) -> float:
    start = time.perf_counter()
    taken = sum(1 for _ in islice(rows(), count))
    assert taken == count, f"{taken} rows came of {count}"
    return time.perf_counter() - start


def peak_mb() -> float:
    """The most memory that this process has had, in MB; Linux alone tells."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status names no VmHWM")


if __name__ == "__main__":
    main()
