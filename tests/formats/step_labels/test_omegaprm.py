"""OmegaPRM flat and nested: one tree, told by its texts or by its nesting."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.formats import FORMATS, UnsupportedRecord, WriteOptions, read, write
from stepward.formats.step_labels import omegaprm, omegaprm_tree
from stepward.formats.step_labels.omegaprm_tree import DEEPEST
from stepward.records import LabelledSolution
from stepward.rows import InvalidRow, SourceRow

HARD = WriteOptions()
QUESTION = "What is 2 + 2?"


def flat(*prefixes: tuple[str, float], **more: Any) -> dict[str, Any]:
    steps = [{"solution_prefix": text, "mc_value": value} for text, value in prefixes]
    return {"question": QUESTION, "final_answer": "4", "reasoning_steps": steps, "question_id": 7, **more}


def node(text: str, value: float | None, *children: dict[str, Any]) -> dict[str, Any]:
    return {"text": text, "mc_value": value, "children": list(children)}


FLAT = flat(
    (QUESTION, 0.5),
    (f"{QUESTION}\n\nWe add.", 0.75),
    (f"{QUESTION}\n\nWe add.\n\n\n So 4.", 1.0),
    (f"{QUESTION}\n\nWe add. So 5.\n", 0.0),
    (f"{QUESTION}\n\nGuess: 3.", 0.0),
)
TREE = {
    "question": QUESTION,
    "final_answer": "4",
    "reasoning_steps": node(
        QUESTION, 0.5,
        node("We add.", 0.75, node("So 4.", 1.0), node("So 5.", 0.0)),
        node("Guess: 3.", 0.0),
    ),
    "question_id": 7,
}  # fmt: skip


def row(fields: dict[str, Any]) -> SourceRow:
    return SourceRow(Path("rows.jsonl"), 1, fields)


def names(fields: dict[str, Any]) -> list[str]:
    return [form.name for form in FORMATS.values() if form.matches(fields)]


def test_both_shapes_tell_the_same_tree() -> None:
    listed, nested = omegaprm.read(row(FLAT)), omegaprm_tree.read(row(TREE))
    assert listed.steps == nested.steps == ("We add.", "So 4.", "So 5.", "Guess: 3.")
    assert listed.parents == nested.parents == (-1, 0, 0, -1)
    assert listed.labels == nested.labels == (0.75, 1.0, 0.0, 0.0)
    assert (listed.id, listed.reference) == (nested.id, nested.reference) == (nested.id, "4")
    assert (names(FLAT), names(TREE)) == (["omegaprm"], ["omegaprm-tree"])


def test_rows_come_back_and_labels_can_be_changed() -> None:
    assert json.dumps(omegaprm.write(omegaprm.read(row(FLAT)), HARD)) == json.dumps([FLAT])
    assert json.dumps(omegaprm_tree.write(omegaprm_tree.read(row(TREE)), HARD)) == json.dumps([TREE])
    changed = replace(omegaprm.read(row(FLAT)), labels=(0.75, 1.0, 0.25, 0.0))
    values = [entry["mc_value"] for entry in omegaprm.write(changed, HARD)[0]["reasoning_steps"]]
    assert values == [0.5, 0.75, 1.0, 0.25, 0.0]


def test_one_shape_is_written_as_the_other() -> None:
    assert omegaprm_tree.write(omegaprm.read(row(FLAT)), HARD) == [TREE]
    (back,) = omegaprm.write(omegaprm_tree.read(row(TREE)), HARD)
    assert back["question_id"] == 7
    assert [entry["mc_value"] for entry in back["reasoning_steps"]] == [0.5, 0.75, 1.0, 0.0, 0.0]
    again = omegaprm.read(row(back))
    assert (again.steps, again.parents) == (("We add.", "So 4.", "So 5.", "Guess: 3."), (-1, 0, 0, -1))


def test_a_prefix_follows_the_longest_one_before_it() -> None:
    a, ab, abc = (f"{QUESTION}\n\n{text}" for text in ("a", "a b", "a b c"))
    record = omegaprm.read(
        row(flat((abc, 0.1), (a, 0.2), (ab, 0.3), (abc, 0.4), (f"{abc} d", 0.5), (a, 0.6), (f"{a}!", 0.7)))
    )
    assert record.steps == ("a b c", "a", "b", "a b c", "d", "a", "!")
    assert record.parents == (-1, -1, 1, -1, 3, -1, 5)


def test_rows_without_some_of_it() -> None:
    bare = {"question": QUESTION, "reasoning_steps": [{"solution_prefix": f"{QUESTION} a", "mc_value": 1}]}
    record = omegaprm.read(row(bare))
    assert (record.reference, record.parents, record.labels) == (None, (), (1.0,))
    assert omegaprm.write(record, HARD) == [bare]
    null = {**bare, "final_answer": None, "note": {"a": [1]}}
    assert omegaprm.write(omegaprm.read(row(null)), HARD) == [null]
    (changed,) = omegaprm.write(replace(omegaprm.read(row(null)), reference="9"), HARD)
    assert changed["final_answer"] == "9"
    only = flat((QUESTION, 0.5))
    assert omegaprm.write(omegaprm.read(row(only)), HARD) == [only]


def with_entry(entry: Any) -> dict[str, Any]:
    return {**FLAT, "reasoning_steps": [*FLAT["reasoning_steps"], entry]}


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        (
            with_entry({"solution_prefix": "a", "mc_value": 0}),
            "reasoning_steps[5].solution_prefix",
            "bad_value",
        ),
        (
            with_entry({"solution_prefix": QUESTION, "mc_value": 0}),
            "reasoning_steps[5].solution_prefix",
            "bad_value",
        ),
        (
            with_entry({"solution_prefix": f"{QUESTION} ", "mc_value": 0}),
            "reasoning_steps[5].solution_prefix",
            "bad_value",
        ),
        (with_entry({"solution_prefix": "", "mc_value": 0}), "reasoning_steps[5].solution_prefix", "empty"),
        (with_entry({"solution_prefix": "a"}), "reasoning_steps[5]", "mismatch"),
        (with_entry({"solution_prefix": "a", "mc_value": 2}), "reasoning_steps[5].mc_value", "bad_value"),
        (with_entry({"solution_prefix": "a", "mc_value": None}), "reasoning_steps[5].mc_value", "wrong_type"),
        (with_entry("a"), "reasoning_steps[5]", "wrong_type"),
        ({**FLAT, "reasoning_steps": "a"}, "reasoning_steps", "wrong_type"),
        ({**FLAT, "question": None}, "question", "wrong_type"),
        ({**FLAT, "final_answer": 4}, "final_answer", "wrong_type"),
    ],
)
def test_a_bad_flat_row_is_refused_with_its_reason(fields: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        omegaprm.read(row(fields))
    assert (raised.value.field, raised.value.code) == (field, code)


def with_root(root: Any) -> dict[str, Any]:
    return {**TREE, "reasoning_steps": root}


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        (with_root(node("another", 0.5)), "reasoning_steps.text", "mismatch"),
        (with_root(node(QUESTION, 7)), "reasoning_steps.mc_value", "bad_value"),
        (with_root([]), "reasoning_steps", "wrong_type"),
        (
            with_root(node(QUESTION, 0.5, node("a", 1, node("b", 2)))),
            "reasoning_steps(node 2).mc_value",
            "bad_value",
        ),
        (with_root(node(QUESTION, 0.5, node("", 1))), "reasoning_steps(node 1).text", "empty"),
        (with_root(node(QUESTION, 0.5, {"text": "a"})), "reasoning_steps(node 1)", "mismatch"),
        (
            with_root({**node(QUESTION, 0.5), "children": None}),
            "reasoning_steps.children",
            "wrong_type",
        ),
    ],
)
def test_a_bad_tree_is_refused_with_its_reason(fields: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRow) as raised:
        omegaprm_tree.read(row(fields))
    assert (raised.value.field, raised.value.code) == (field, code)


def chain(length: int) -> LabelledSolution:
    steps = tuple(f"step {index}" for index in range(length))
    return LabelledSolution("Q?", steps, (0.5,) * length)


def test_records_of_other_sources() -> None:
    record = replace(chain(3), reference="4", parents=(-1, 0, 0))
    (listed,), (nested,) = omegaprm.write(record, HARD), omegaprm_tree.write(record, HARD)
    assert [entry["solution_prefix"] for entry in listed["reasoning_steps"]] == [
        "Q?\n\nstep 0", "Q?\n\nstep 0\n\nstep 1", "Q?\n\nstep 0\n\nstep 2",
    ]  # fmt: skip
    assert listed["question_id"] == nested["question_id"] == record.problem_id
    assert nested["reasoning_steps"]["mc_value"] is None
    for again in (omegaprm.read(row(listed)), omegaprm_tree.read(row(nested))):
        assert (again.steps, again.parents, again.labels, again.reference) == (
            record.steps, record.parents, record.labels, "4",
        )  # fmt: skip
    with refused("missing", field="labels[0]", error=UnsupportedRecord):
        omegaprm.write(replace(chain(1), labels=(None,)), HARD)


def test_a_deep_tree_is_read_and_one_too_deep_to_write_is_refused(tmp_path: Path) -> None:
    (fields,) = omegaprm_tree.write(chain(DEEPEST), HARD)
    assert orjson.loads(orjson.dumps(fields)) == fields
    with refused("too_large", field="steps", error=UnsupportedRecord):
        omegaprm_tree.write(chain(DEEPEST + 1), HARD)
    root = node("end", 1.0)
    for _ in range(50_000):
        root = node("deep", 0.5, root)
    record = omegaprm_tree.read(row({"question": "Q?", "reasoning_steps": node("Q?", 0.5, root)}))
    assert (len(record.steps), record.steps[-1], record.parents) == (50_001, "end", ())
    path = tmp_path / "flat.jsonl"
    write([chain(300)], path, "omegaprm")
    (again,) = read(path)
    assert isinstance(again, LabelledSolution) and again.steps == chain(300).steps


def test_many_prefixes_take_no_time_that_grows_with_their_square() -> None:
    prefixes = [(f"{QUESTION} {index}.", 0.5) for index in range(60_000)]
    record = omegaprm.read(row(flat(*prefixes)))
    assert (len(record.steps), set(record.parents)) == (60_000, {-1})


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
STEP = TEXT.filter(lambda text: bool(text.strip()))
VALUE = st.floats(0, 1)


@st.composite
def flat_rows(draw: st.DrawFn) -> dict[str, Any]:
    # No text ends in white space, or another one might add nothing but that, which is a fault.
    texts = [draw(STEP).rstrip()]
    for _ in range(draw(st.integers(0, 6))):
        texts.append(draw(st.sampled_from(texts)) + draw(st.sampled_from(["\n\n", " ", ""])) + draw(STEP).rstrip())
    order = draw(st.permutations(texts[1:]))
    entries = [(text, draw(VALUE)) for text in order]
    if draw(st.booleans()):
        entries.insert(0, (texts[0], draw(VALUE)))
    return {**flat(*entries), "question": texts[0], "final_answer": draw(st.none() | TEXT)}


@given(flat_rows())
def test_any_flat_row_of_this_shape_comes_back(fields: dict[str, Any]) -> None:
    question = fields["question"]
    record = omegaprm.read(row(fields))
    assert omegaprm.write(record, HARD) == [fields]
    for index, parent in enumerate(record.parents):
        assert parent < index
    offset = len(fields["reasoning_steps"]) - len(record.steps)
    prefixes = [entry["solution_prefix"] for entry in fields["reasoning_steps"][offset:]]
    for index, up in enumerate(record.parents):
        assert prefixes[index].startswith(question if up < 0 else prefixes[up])


TREES = st.recursive(
    st.builds(node, STEP, VALUE),
    lambda inner: st.builds(
        lambda text, value, below: node(text, value, *below), STEP, VALUE, st.lists(inner, max_size=3)
    ),
    max_leaves=8,
)


@given(STEP, st.none() | VALUE, st.lists(TREES, max_size=3))
def test_any_tree_comes_back(question: str, value: float | None, below: list[dict[str, Any]]) -> None:
    fields = {**TREE, "question": question, "reasoning_steps": node(question, value, *below)}
    assert omegaprm_tree.write(omegaprm_tree.read(row(fields)), HARD) == [fields]


@pytest.mark.parametrize(("name", "form"), [("flat", omegaprm), ("tree", omegaprm_tree)])
def test_the_published_rows_come_back(shared_data: Path, name: str, form: Any) -> None:
    path = shared_data / "omegaprm" / f"samples_{name}.jsonl"
    reading = read(path)
    records = list(reading)
    assert (reading.format, len(records), reading.bad.count) == (form.FORMAT, 3, 0)
    assert [form.write(record, HARD) for record in records] == [[json.loads(line)] for line in path.open()]


def test_the_row_that_is_published_in_both_shapes_is_one_tree(shared_data: Path) -> None:
    folder = shared_data / "omegaprm"
    listed, nested = (solutions(folder / f"samples_{name}.jsonl") for name in ("flat", "tree"))
    (shared,) = listed.keys() & nested.keys()
    assert (listed[shared].parents, listed[shared].labels) == (nested[shared].parents, nested[shared].labels)
    assert len(listed[shared].steps) == 89


def solutions(path: Path) -> dict[str, LabelledSolution]:
    return {record.id: record for record in read(path) if isinstance(record, LabelledSolution)}
