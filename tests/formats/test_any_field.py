"""Whatever stands in a field, a row becomes a record that can be written, or is set aside with a field and a reason."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward import formats
from stepward.errors import StepwardError
from stepward.formats import UnsupportedRecord, WriteOptions
from stepward.records import SCHEMA_VERSION
from stepward.rows import InvalidRow, SourceRow

STEPS = ["2 + 3 = 5", "It is 5"]
MESSAGES = [{"role": "user", "content": "Sky?"}]
DIALOGUE = "\n\nHuman: Sky?\n\nAssistant:"
ROWS: dict[str, dict[str, Any]] = {
    "processbench": {
        "id": "a", "generator": "g", "problem": "2 + 3?", "steps": STEPS, "final_answer_correct": True, "label": -1
    },
    "big-bench-mistake": {"input": "2 + 3", "steps": STEPS, "target": "5", "answer": "5", "mistake_index": 1},
    "prmbench": {"modified_question": "q?", "modified_process": STEPS, "error_steps": [1], "original_process": STEPS},
    "scan": {"question": "2 + 3?", "steps": STEPS, "scores": [1, 0.5]},
    "gsm8k": {"question": "2 + 3?", "answer": "#### 5"},
    "gsm8k-solutions": {
        "question": "q?", "ground_truth": "A: 5", "a": {"is_correct": True, "solution": "A: 5"}
    },
    "math": {"problem": "2 + 3?", "solution": "\\boxed{5}", "level": 3, "type": "a", "answer": "5", "unique_id": "a"},
    "llama-factory-preference": {
        "conversations": [{"from": "human", "value": "Sky?"}],
        "chosen": {"from": "gpt", "value": "Blue."},
        "rejected": {"from": "gpt", "value": "Green."},
    },
    "hh-rlhf": {"chosen": f"{DIALOGUE} Blue.", "rejected": f"{DIALOGUE} Green."},
    "trl-preference": {"prompt": MESSAGES, "chosen": MESSAGES * 2, "rejected": MESSAGES * 3, "margin": 1},
    "stepward": {
        "record": "LabelledSolution", "schema": SCHEMA_VERSION, "id": "s", "problem_id": "p", "question": "q?",
        "steps": STEPS, "labels": [1, None], "neutral": [1], "parents": [-1, 0], "extra": "",
    },
}  # fmt: skip

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, -(2**63), 1.5, -0.5, 1e308, "", " ", "####", "\\boxed{}", DIALOGUE, "Level 9", "5"])
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "is_correct", "solution"]), inner, max_size=2
        )
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("name", ROWS)
@given(data=st.data())
def test_a_row_is_read_or_set_aside(name: str, data: st.DataObject) -> None:
    form = formats.FORMATS[name]
    row = dict(ROWS[name])
    for field in data.draw(st.lists(st.sampled_from([*row, "new"]), min_size=1, max_size=3)):
        row[field] = data.draw(values)
    form.matches(row)
    try:
        record = form.read(SourceRow(Path("rows.jsonl"), 1, row))
    except InvalidRow as fault:
        assert fault.reason
        return
    assert form.write is not None
    if name not in ("gsm8k", "math", "stepward"):
        assert form.write(record, WriteOptions()) == [row]
        return
    try:
        (again,) = form.write(record, WriteOptions())
    except UnsupportedRecord:
        return
    except StepwardError as error:
        pytest.fail(str(error))
    assert form.read(SourceRow(Path("rows.jsonl"), 1, again)) == record
