"""Rows to ids, marks and labels: TRL's layout to the token, and every row that can't be used named or counted."""

import math
import re
from typing import Any

import pytest
from datasets import Dataset, IterableDataset
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from tiny_world import make_tokenizer

from stepward.rendering import Renderer
from stepward.reward_models.configs import ORMConfig, PRMConfig, RewardConfig, StepConfig
from stepward.reward_models.data.dataset import tokenize_dataset
from stepward.reward_models.data.tokenization import NEUTRAL_LABEL, PreferenceRowTokenizer, StepRowTokenizer

Made = list[dict[str, Any]]

TOKENIZER = make_tokenizer()
ROW = {"prompt": "Start at 1", "completions": ["plus 2", "gives 3"], "labels": [True, 0.25]}


def made(
    rows: list[dict[str, Any]], evaluating: bool = False, longest: int = 100, **settings: Any
) -> list[dict[str, Any]]:
    kind = ORMConfig if settings.pop("orm", False) else PRMConfig
    return features(rows, kind("x", use_cpu=True, **settings), evaluating, longest)


def features(rows: list[dict[str, Any]], config: StepConfig, evaluating: bool, longest: int) -> Made:
    make = StepRowTokenizer(Renderer(TOKENIZER, config.rendering), config, longest, evaluating)
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    found = make(columns, range(len(rows)))
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


def ids(text: str) -> list[int]:
    return list(TOKENIZER.encode(text, add_special_tokens=False))


def test_the_layout_is_trls() -> None:
    (row,) = made([ROW])
    first, second = ids("plus 2") + ids("\n"), ids("gives 3") + ids("\n")
    prompt = [TOKENIZER.bos_token_id, *ids("Start at 1")]
    assert row["input_ids"] == prompt + first + second
    assert row["marks"] == [len(prompt + first) - 1, len(prompt + first + second) - 1]
    assert row["labels"] == [1.0, 0.25] and row["fate"] == "kept"


@given(st.lists(st.one_of(st.booleans(), st.integers(0, 1), st.floats(0, 1), st.none()), min_size=1, max_size=5))
def test_labels_are_kept_exactly(labels: list[Any]) -> None:
    (row,) = made([{"prompt": "Start", "completions": ["plus"] * len(labels), "labels": labels}])
    assert row["labels"] == [float(label) for label in labels if label is not None]
    assert row["fate"] == ("kept" if row["labels"] else "without a label")


def test_a_step_token_of_its_own() -> None:
    (row,) = made([ROW], step_token=" answer", prompt_separator="\n")
    marked = [row["input_ids"][mark] for mark in row["marks"]]
    assert marked == ids(" answer") * 2
    assert row["input_ids"].count(ids("\n")[0]) == 2, "after the prompt, and between the steps"
    (plain,) = made([ROW], step_token="")
    assert [plain["input_ids"][mark] for mark in plain["marks"]] == [ids("plus 2")[-1], ids("gives 3")[-1]]


def test_what_is_trained_on_is_a_choice_and_evaluation_keeps_all() -> None:
    rows = [{"prompt": "Start", "completions": ["plus"] * 4, "labels": [1, 0, 1, None]}]
    assert made(rows, to_first_error=True)[0]["labels"] == [1.0, 0.0]
    assert made(rows, to_first_error=True, evaluating=True)[0]["labels"] == [1.0, 0.0, 1.0]
    assert made(rows, train_on_last_step_only=True)[0]["fate"] == "without a label"
    assert made([ROW], train_on_last_step_only=True)[0]["labels"] == [0.25]


@pytest.mark.parametrize(
    ("neutral", "labels"),
    [("positive", [1.0, 1.0]), ("negative", [1.0, 0.0]), ("drop", [1.0]), ("class", [1.0, NEUTRAL_LABEL])],
)
def test_neutral_is_decided_at_training(neutral: str, labels: list[float]) -> None:
    rows = [{**ROW, "labels": [1, None], "neutral": [1]}]
    assert made(rows, neutral=neutral, num_labels=3)[0]["labels"] == labels


def test_an_outcome_labels_every_token_or_the_last() -> None:
    rows = [{"prompt": "Start at 1", "completion": "plus 2 gives 3", "label": True}]
    (every,), (last,) = made(rows, orm=True), made(rows, orm=True, every_token=False)
    tokens = len(ids("plus 2 gives 3")) + 1
    assert every["labels"] == [1.0] * tokens and every["marks"][-1] == len(every["input_ids"]) - 1
    assert last["marks"] == every["marks"][-1:] and last["labels"] == [1.0]


def test_too_long_is_cut_at_a_step_or_dropped_or_refused() -> None:
    length = len(made([ROW])[0]["input_ids"])
    (cut,) = made([ROW], longest=length - 1)
    assert cut["fate"] == "cut" and cut["labels"] == [1.0] and cut["marks"] == [len(cut["input_ids"]) - 1]
    assert made([ROW], longest=3)[0]["fate"] == "too long", "the prompt alone does not fit"
    assert made([ROW], longest=length - 1, too_long="drop")[0]["fate"] == "too long"
    with refused("too_large", row=1, field="max_length", names=(length, length - 1)):
        made([ROW], longest=length - 1, too_long="refuse")
    late = {**ROW, "labels": [None, 1]}
    assert made([late], longest=length - 1)[0]["fate"] == "too long", "every label would be cut away"


@pytest.mark.parametrize("longest", [100, 13])
def test_steps_beyond_their_own_bound_are_cut_or_dropped_or_refused_likewise(longest: int) -> None:
    """Whichever bound is the smaller counts: the row's, or that of the steps after their prompt."""
    length, prompt = len(made([ROW])[0]["input_ids"]), 1 + len(ids("Start at 1"))
    most = len(ids("plus 2")) + 2
    assert prompt + most < min(length, longest)
    settings = {"max_completion_length": most, "longest": longest}
    (cut,) = made([ROW], **settings)
    assert cut["fate"] == "cut" and cut["labels"] == [1.0] and cut["marks"] == [len(cut["input_ids"]) - 1]
    assert made([ROW], **settings, too_long="drop")[0]["fate"] == "too long"
    with refused("too_large", row=1, field="max_completion_length", names=(length - prompt, most)):
        made([ROW], **settings, too_long="refuse")
    late = {**ROW, "labels": [None, 1]}
    assert made([late], **settings)[0]["fate"] == "too long", "every label would be cut away"
    whole = made([ROW], max_completion_length=length - prompt)[0]
    assert (whole["fate"], whole["labels"]) == ("kept", [1.0, 0.25])


def test_the_rows_bound_is_named_where_it_is_the_smaller() -> None:
    length = len(made([ROW])[0]["input_ids"])
    with refused("too_large", row=1, field="max_length", names=(8,)):
        made([ROW], max_completion_length=length, longest=8, too_long="refuse")


def test_an_outcome_is_never_cut_to_its_first_steps() -> None:
    rows = [{"prompt": "Start at 1", "completions": ["plus 2", "gives 3"], "label": True}]
    most = len(ids("plus 2")) + 2
    (dropped,) = made(rows, orm=True, max_completion_length=most)
    assert (dropped["fate"], dropped["labels"]) == ("too long", [])
    with refused("too_large", row=1, field="max_completion_length", names=(most,)):
        made(rows, orm=True, max_completion_length=most, too_long="refuse")


def test_tokenised_rows_are_trls() -> None:
    (row,) = made([{"input_ids": [1, 5, 6, 7], "labels": [-100, -100, 1, 0]}])
    assert (row["marks"], row["labels"]) == ([2, 3], [1.0, 0.0])
    assert made([{"input_ids": [1, 5], "labels": [-100, -100]}])[0]["fate"] == "without a label"


def test_rows_of_one_prompt_have_one_group_and_tokenised_rows_may_name_theirs() -> None:
    one, other, third = made([ROW, {**ROW, "completions": ["wrong", "plus"]}, {**ROW, "prompt": "Start at 2"}])
    assert one["group"] == other["group"] != third["group"]
    rows = [
        {"input_ids": [1, 5, id_], "labels": [-100, 1, 0], "group": group} for id_, group in ((6, 1), (7, 1), (6, 2))
    ]
    one, other, third = made(rows)
    assert one["group"] == other["group"] != third["group"]


BAD_STEPS: dict[str, tuple[str, str, tuple[object, ...], dict[str, Any]]] = {
    "count": ("mismatch", "labels", (2, 1), {**ROW, "labels": [1]}),
    "no steps": ("empty", "completions", (), {**ROW, "completions": [], "labels": []}),
    "above one": ("bad_value", "labels[1]", (1.5,), {**ROW, "labels": [1, 1.5]}),
    "below zero": ("bad_value", "labels[0]", (-1,), {**ROW, "labels": [-1, 1]}),
    "nan": ("bad_value", "labels[0]", ("nan",), {**ROW, "labels": [math.nan, 1]}),
    "text label": ("bad_value", "labels[0]", ("+",), {**ROW, "labels": ["+", "-"]}),
    "empty step": ("empty", "steps", ("step 2",), {**ROW, "completions": ["plus", ""]}),
    "empty prompt": ("empty", "question", (), {**ROW, "prompt": " "}),
    "no prompt": ("wrong_type", "prompt", (None,), {**ROW, "prompt": None}),
    "neutral": ("bad_value", "neutral", (5, 2), {**ROW, "neutral": [5]}),
    "ids and labels": ("mismatch", "labels", (3, 2), {"input_ids": [1, 2, 3], "labels": [1, 0]}),
    "no ids": ("bad_value", "input_ids", (), {"input_ids": [], "labels": []}),
}


@pytest.mark.parametrize("case", BAD_STEPS)
def test_bad_rows_are_named(case: str) -> None:
    code, field, names, row = BAD_STEPS[case]
    good = {**ROW, **dict.fromkeys(row)} | ROW if "input_ids" not in row else {"input_ids": [1, 2], "labels": [-100, 1]}
    with refused(code, row=2, field=field, names=("r7", *names)):
        made([{**good, "id": "r1"}, {**row, "id": "r7"}])


def preferences(rows: list[dict[str, Any]], tokenizer: Any = TOKENIZER, longest: int = 100, **settings: Any) -> Any:
    make = PreferenceRowTokenizer(tokenizer, RewardConfig("x", use_cpu=True, **settings), longest)
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    found = make(columns, range(len(rows)))
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


def test_a_preference_of_text_ends_with_the_tokenizers_end() -> None:
    (row,) = preferences([{"prompt": "Start", "chosen": " plus", "rejected": " wrong</s>", "margin": 2}])
    assert row["chosen_ids"] == ids("Start plus</s>") and row["rejected_ids"] == ids("Start wrong</s>")
    assert row["margin"] == 2.0


def test_a_preference_of_chat_is_what_the_template_makes_of_it() -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    asked, good = {"role": "user", "content": "Start"}, {"role": "assistant", "content": "plus"}
    rows = [{"prompt": [asked], "chosen": [good], "rejected": [{**good, "content": "wrong"}]}]
    (row,) = preferences(rows, tokenizer)
    assert row["chosen_ids"] == ids("user: Start\nassistant: plus\n")
    with refused("missing", row=1, field="chat_template"):
        preferences(rows)


@pytest.mark.parametrize(
    ("code", "field", "row"),
    [
        ("empty", "chosen", {"chosen": " ", "rejected": "b"}),
        ("wrong_type", "rejected", {"chosen": "a", "rejected": None}),
        ("wrong_type", "chosen", {"prompt": "q", "chosen": [], "rejected": []}),
        ("empty", "chosen", {"chosen": [], "rejected": []}),
        ("wrong_type", "chosen", {"chosen": [{"role": "user"}], "rejected": []}),
        ("not_finite", "margin", {"chosen": "a", "rejected": "b", "margin": math.inf}),
        ("too_large", "max_length", {"chosen": "plus gives wrong plus", "rejected": "b"}),
    ],
)
def test_bad_preferences_are_named(code: str, field: str, row: dict[str, Any]) -> None:
    with refused(code, row=1, field=field, names=("r7",)):
        preferences([{"id": "r7", **row}], longest=3 if code == "too_large" else 100, too_long="refuse")


MIXED = [
    {"prompt": "Start", "completions": ["plus"], "labels": [True]},
    {"prompt": "Start", "completions": ["plus " * 300], "labels": [0.5]},
    {"prompt": "Start", "completions": ["plus"], "labels": [None]},
]


@pytest.mark.parametrize("shape", ["list", "dataset", "streamed"])
def test_rows_that_are_left_out_are_counted_and_named(shape: str) -> None:
    config = PRMConfig("x", use_cpu=True)
    make = StepRowTokenizer(Renderer(TOKENIZER, config.rendering), config, 100, False)
    floats = [{**row, "labels": [None if label is None else float(label) for label in row["labels"]]} for row in MIXED]
    if shape == "streamed":
        rows, counts = tokenize_dataset(IterableDataset.from_generator(lambda: iter(floats * 2)), make, "train", None)
        assert counts.kept == 0 and not counts.fates, "nothing is read yet"
        with pytest.warns(UserWarning) as said:
            assert [row["labels"] for row in rows] == [[1.0]] * 2
        first, second = (str(one.message) for one in said)
        assert "row 2 " in first and "too long" in first and "row 3 " in second and "without a label" in second
        assert counts.fates == {"kept": 2, "too long": 2, "without a label": 2}
        assert counts.first == {"too long": [2, 5], "without a label": [3, 6]}
        assert re.findall(r"[0-9]+", counts.sentence()) == list("26225236")
        return
    with pytest.warns(UserWarning) as said:
        rows, counts = tokenize_dataset(MIXED if shape == "list" else Dataset.from_list(floats), make, "train", None)
    assert len(rows) == counts.kept == 1 and rows[0]["labels"] == [1.0]
    assert counts.first == {"too long": [2], "without a label": [3]}
    assert str(said[0].message) == counts.sentence() and re.findall(r"[0-9]+", counts.sentence()) == list("131213")


def test_streamed_rows_that_are_cut_are_said_too() -> None:
    config = PRMConfig("x", use_cpu=True)
    make = StepRowTokenizer(Renderer(TOKENIZER, config.rendering), config, 12, False)
    rows, counts = tokenize_dataset(IterableDataset.from_generator(lambda: iter([ROW])), make, "train", None)
    with pytest.warns(UserWarning, match=r"row 1\b"):
        assert len(list(rows)) == counts.kept == 1
    assert counts.fates == {"cut": 1} and not counts.whole


def test_nothing_to_use_is_an_error() -> None:
    config = PRMConfig("x", use_cpu=True)
    make = StepRowTokenizer(Renderer(TOKENIZER, config.rendering), config, 100, False)
    with refused("empty", field="train_dataset", names=(1,)):
        tokenize_dataset(MIXED[2:], make, "train", None)
    for empty in ([], Dataset.from_list([])):
        with refused("empty", field="train_dataset", names=(0,)):
            tokenize_dataset(empty, make, "train", None)
    with refused("wrong_type", field="train_dataset", names=("int",)):
        tokenize_dataset(7, make, "train", None)
