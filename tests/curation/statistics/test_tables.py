"""The tables say the figures, in 80 columns; and the whole room loads light."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from stepward.curation.dedup.overlap import overlap
from stepward.curation.split.split import split
from stepward.curation.statistics.summary import describe
from stepward.curation.statistics.tables import overlap_table, split_table, statistics_tables


def _shown(*parts: RenderableType) -> str:
    console = Console(width=80, file=io.StringIO(), record=True)
    for part in parts:
        console.print(part)
    return console.export_text()


def _row(text: str, start: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.strip().startswith(start))
    return line.strip().removeprefix(start).split()


def test_solutions(write: Any) -> None:
    rows = [{"prompt": f"[red]{n}?", "completions": ["a"] * 22, "labels": [1.0] * 20 + [0.2, 0.0]} for n in range(3)]
    text = _shown(*statistics_tables(describe(write(rows), max_lengths=[60])))
    assert _row(text, "incorrect") == ["3", "(100.0%)"]
    assert _row(text, "longer than 60 characters") == ["0", "(0.00%)"]
    assert _row(text, "steps a solution") == ["22", "22.0", "22", "22", "22", "66"]
    assert _row(text, "21+") == ["6", "0", "6", "0", "0", "0.100", "3"]
    assert _row(text, "all") == ["66", "60", "6", "0", "0", "0.918", "3"]
    assert "3 labels lie between 0 and 1" in text
    assert "trl-stepwise (guessed)" in text


def test_preferences_and_problems(write: Any) -> None:
    pairs = [{"prompt": "p", "chosen": "long", "rejected": "x"}] * 2
    text = _shown(*statistics_tables(describe(write(pairs))))
    assert _row(text, "chosen is longer") == ["2", "(100.0%)"]
    assert _row(text, "repeated pairs") == ["1", "(50.0%)"]
    problems = [{"problem": f"{n}?", "final_answer": "1", "subject": f"S{n:02}"} for n in range(14)]
    text = _shown(*statistics_tables(describe(write(problems))))
    assert "and 2 more" in text
    assert _row(text, "levels") == ["none:", "14"]


def test_overlaps_and_parts(write: Any, tmp_path: Path) -> None:
    rows = [{"problem": f"What is {n} plus {n}?", "final_answer": "1", "level": n % 2} for n in range(10)]
    source, other = write(rows), write(rows[:2], "other.jsonl")
    text = _shown(overlap_table(overlap(source, [other], kinds=["exact"])))
    assert "exact" in text and " 2 " in text
    assert "itself (an earlier problem)" in _shown(overlap_table(overlap(source, kinds=["exact"])))
    made = split(source, tmp_path / "parts", {"train": 4, "test": 2}, stratify="level", clean_of=[other])
    text = _shown(split_table(made))
    assert _row(text, "train") == ["4", "4", "2", "2"]
    assert _row(text, "(in no part)") == ["2", "2", "1", "1"]
    assert _row(text, "(removed)") == ["2", "2", "1", "1"]


def test_the_room_loads_no_model_library_and_datasketch_only_when_it_is_needed() -> None:
    heavy = ("torch", "transformers", "datasketch", "datasets", "sympy", "math_verify")
    code = (
        f"import sys, stepward.curation.statistics.tables; print([name for name in {heavy!r} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
