"""The page on formats says what is so: its table, its links, its limits and its example."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from formats.bad_fields import GOOD

from stepward.formats import FORMATS
from stepward.rows.errors import LONGEST_TEXT
from stepward.rows.strict_json import DEEPEST, MAX_ROW_BYTES, MAX_SCAN_BYTES

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "formats.md").read_text(encoding="utf-8")


def test_the_table_names_every_format_and_its_record() -> None:
    rows = dict(re.findall(r"^\| \[`([a-z0-9-]+)`\]\(\S+\) \| ([A-Za-z]+)", PAGE, re.MULTILINE))
    assert rows.keys() == FORMATS.keys()
    for name, record in rows.items():
        kinds = FORMATS[name].kinds
        assert record == ("any" if len(kinds) > 1 else kinds[0].__name__)


def test_formats_are_counted_as_the_registry_has_them() -> None:
    whole, others = map(int, re.findall(r"^(\d+) formats: (\d+) that others publish", PAGE, re.MULTILINE)[0])
    assert (whole, others) == (len(FORMATS), len(FORMATS.keys() - {"stepward", "stepward-run"}))
    assert [name for name, one in FORMATS.items() if one.write is None] == ["stepward-run"]  # "all but a run's folder"


def test_every_link_leads_somewhere() -> None:
    for page in ("formats.md", "formats-steps.md", "formats-more.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        for target, section in re.findall(r"\]\(([a-z-]+\.md)?#?([a-z0-9-]*)\)", text):
            headings = re.findall(r"^#+ (.+)$", (DOCS / (target or page)).read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert not section or section in anchors, f"{page}: {target}#{section}"


def test_the_limits_are_those_of_the_code() -> None:
    assert f"more than {MAX_ROW_BYTES // 2**20} MiB" in PAGE and f"after {MAX_SCAN_BYTES // 2**30} GiB" in PAGE
    assert f"more than {DEEPEST} lists" in PAGE and f"the first {LONGEST_TEXT:,} characters" in PAGE
    assert f"more than {sys.get_int_max_str_digits():,} digits" in PAGE


def test_the_example_runs(tmp_path: Path) -> None:
    (tmp_path / "scan.jsonl").write_text(json.dumps(GOOD["scan"]) + "\n")
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, cwd=tmp_path, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    first, second = done.stdout.splitlines()
    assert first == f"scan 1 {tuple(GOOD['scan']['steps'])} (1.0, 0.5, 0.0)"
    assert second == "1 (1.0, 0.0, 0.0)"
