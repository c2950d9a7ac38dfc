"""A row of a step-labelled format with any one value replaced: it comes back as it is, or is refused with a reason."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.formats import FORMATS, WriteOptions
from stepward.rows import InvalidRow, SourceRow

ROWS: dict[str, dict[str, Any]] = {
    "prm800k": {
        "labeler": "a", "is_quality_control_question": False,
        "question": {
            "problem": "Q?", "ground_truth_answer": "4", "pre_generated_steps": ["a"], "pre_generated_answer": "4",
        },
        "label": {
            "steps": [
                {
                    "completions": [
                        {"text": "a", "rating": 1, "flagged": None}, {"text": "b", "rating": 0, "flagged": None},
                    ],
                    "human_completion": {"text": "h", "rating": None, "source": "human", "flagged": False},
                    "chosen_completion": 0,
                },
                {
                    "completions": [{"text": "c", "rating": -1, "flagged": None}],
                    "human_completion": None, "chosen_completion": None,
                },
            ],
            "total_time": 5, "finish_reason": "solution",
        },
    },
    "math-shepherd": {"input": "Q? Step 1: a ки\nb ки", "label": "Q? Step 1: a +\nb -", "task": "MATH"},
    "er-prm": {"text": "Q? Step 1: a ки\nb ки", "value": [0.5, 1.0], "id": {"a": [1]}},
    "rlhflow-prm": {
        "conversations": [
            {"role": "user", "content": "Q? Step 1: a"}, {"role": "assistant", "content": "+"},
            {"role": "user", "content": "b"}, {"role": "assistant", "content": "-"},
        ],
    },
    "rlhflow-orm": {
        "conversations": [{"role": "user", "content": "Q? Step 1: a"}, {"role": "assistant", "content": "+"}], "id": 1,
    },
    "omegaprm": {
        "question": "Q?", "final_answer": "4", "question_id": 1,
        "reasoning_steps": [
            {"solution_prefix": "Q?", "mc_value": 0.5}, {"solution_prefix": "Q?\n\na", "mc_value": 0.5},
            {"solution_prefix": "Q?\n\na b", "mc_value": 1.0}, {"solution_prefix": "Q? c", "mc_value": 0.0},
        ],
    },
    "omegaprm-tree": {
        "question": "Q?", "final_answer": "4", "question_id": 1,
        "reasoning_steps": {
            "text": "Q?", "mc_value": 0.5,
            "children": [{"text": "a", "mc_value": 0.5, "children": [{"text": "b", "mc_value": 1.0, "children": []}]}],
        },
    },
    "trl-stepwise": {"prompt": "Q?", "completions": ["a", "b"], "labels": [True, False], "id": 1},
}  # fmt: skip

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
WORTH_TRYING: st.SearchStrategy[Any] = st.sampled_from([
    "", " ", "+", "-", "ки", "Q?", "Q?\n\na", "Step 1:", "Step 2:", "user", "assistant", "solution",
    0, 1, -1, 2, 0.5, -0.0, True, None, [], {}, [[]], [None], [1, 2], 10**400, 1e308,
])  # fmt: skip
ANY = WORTH_TRYING | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a row, itself left out."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [place for key, part in inner for place in places(part, (*where, key))]
    return [where, *found] if where else found


@pytest.mark.parametrize("name", sorted(ROWS))
@given(data=st.data())
def test_any_value_in_any_place(name: str, data: st.DataObject) -> None:
    fields = copy.deepcopy(ROWS[name])
    *way, last = data.draw(st.sampled_from(places(fields)))
    holder: Any = fields
    for key in way:
        holder = holder[key]
    if isinstance(holder, dict) and data.draw(st.booleans()):
        del holder[last]
    else:
        holder[last] = data.draw(ANY)
    before = copy.deepcopy(fields)
    form = FORMATS[name]
    assert form.write is not None
    try:
        record = form.read(SourceRow(Path("rows.jsonl"), 1, fields))
    except InvalidRow as fault:
        assert fault.reason and len(fault.reason) < 600
        return
    assert form.write(record, WriteOptions()) == [before]
    form.matches(before)
