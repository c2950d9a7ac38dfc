"""The codes of errors: published, and whole across processes."""

import pickle
import re
from pathlib import Path

import pytest

from stepward.errors import CODES, StepwardError
from stepward.generation.openai.client import FatalServerError
from stepward.rows import ErrorCollector

DOCS = Path(__file__).resolve().parents[1] / "docs" / "errors.md"


def test_every_code_is_documented_once() -> None:
    assert re.findall(r"^\| `(\w+)` \|", DOCS.read_text(), re.MULTILINE) == list(CODES)


@pytest.mark.parametrize(
    "error",
    [
        StepwardError("no", code="missing", file="a.jsonl", row=3, field="id"),
        FatalServerError("status 401", 401, "no"),
    ],
)
def test_an_error_of_a_worker_arrives_whole(error: StepwardError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)


def test_bad_rows_carry_their_faults(tmp_path: Path) -> None:
    bad = ErrorCollector(tmp_path / "a.jsonl")
    bad.record(7, "answer", "missing", "missing")
    with pytest.raises(StepwardError) as raised:
        bad.raise_if_any()
    assert raised.value.code == "bad_rows" and raised.value.file == str(tmp_path / "a.jsonl")
    (fault,) = raised.value.faults
    assert (fault.row, fault.field, fault.code) == (7, "answer", "missing")
