"""Converting between all pairs of formats: what is written can be read again, and nothing is lost unsaid."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from formats.bad_fields import GOOD
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward import formats
from stepward.errors import StepwardError
from stepward.formats import WriteOptions
from stepward.formats.convert import convert
from stepward.records import LabelledSolution, Preference
from stepward.rows import ErrorCollector, read_rows

WRITABLE = [name for name, form in formats.FORMATS.items() if form.write is not None]
STEPS = [name for name in WRITABLE if LabelledSolution in formats.FORMATS[name].kinds]
PREFERENCES = [name for name in WRITABLE if Preference in formats.FORMATS[name].kinds]
PROBLEMS = ["stepward", "gsm8k", "math"]
PAIRS = [
    (source, to)
    for names in (STEPS, PREFERENCES, PROBLEMS)
    for source in names
    for to in names
    if source != "stepward" and to != source
]


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def solution(labels: tuple[float | None, ...], **more: Any) -> LabelledSolution:
    steps = tuple(f"Step {number}: add {number}" for number in range(1, len(labels) + 1))
    return LabelledSolution("What is it?", steps, labels, **more)


@pytest.mark.parametrize(("source", "to"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_what_is_written_is_read_again_or_refused_with_a_reason(source: str, to: str, tmp_path: Path) -> None:
    path, out = written(tmp_path / "in.jsonl", GOOD[source], GOOD[source]), tmp_path / "out.jsonl"
    (record, _) = formats.read(path, source)
    done = convert(path, out, to_format=to, choices=WriteOptions(threshold=0.5))
    assert done.reading.format.name == source and done.reading.guessed
    assert done.written.records + done.written.refused == done.reading.rows == 2
    if done.written.refused:
        assert done.written.refused == 2 and done.rejected is not None and out.read_bytes() == b""
        first, second = json_lines(done.rejected)
        assert (first["row"], second["row"], first["file"]) == (1, 2, str(path))
        assert first["reason"].startswith(f"{to} can't hold it: ")
        assert json.loads(first["text"]) == GOOD[source]
        return
    assert done.rejected is None
    again = list(formats.read(out, to, strict=True))
    assert len(again) == done.written.rows >= 2
    check_kept(record, again, to)


def check_kept(record: Any, again: list[Any], to: str) -> None:
    """Each format keeps what was asked and what was said, whatever else it loses."""
    if isinstance(record, LabelledSolution):
        said = [" ".join((one.question, *one.steps)) for one in again]
        if to in ("stepward", "prm800k", "omegaprm", "omegaprm-tree"):
            said = [" ".join((path.question, *path.steps)) for one in again for path in formats.iter_branches(one)]
        whole = sorted(" ".join((path.question, *path.steps)) for path in formats.iter_branches(record)) * 2
        for text, one in zip(sorted(said), sorted(whole), strict=True):
            # After the first wrong step prm800k has no labels, and no steps of the record's: they are in `extra`.
            shown = text.split() + (one.split()[len(text.split()) :] if to == "prm800k" else [])
            assert shown == one.split()
    elif isinstance(record, Preference):
        texts = {turn.content for part in (record.prompt, record.chosen, record.rejected) for turn in part}
        for one in again:
            assert {turn.content for part in (one.prompt, one.chosen, one.rejected) for turn in part} == texts
    else:
        assert [(one.question, one.reference) for one in again] == [(record.question, record.reference)] * 2


def test_records_of_another_kind_are_refused_as_a_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "in.jsonl", GOOD["scan"])
    with refused("mismatch", names=("hh-rlhf", "Preference", "LabelledSolution")):
        convert(path, tmp_path / "out.jsonl", to_format="hh-rlhf")
    with refused("unsupported", names=("stepward-run",)):
        convert(path, tmp_path / "out.jsonl", to_format="stepward-run")
    with refused("unknown_name", field="format", names=("other",)):
        convert(path, tmp_path / "out.jsonl", to_format="other")
    assert [one.name for one in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize(("neutral", "labels"), [("positive", [1.0, 1.0]), ("negative", [1.0, 0.0])])
def test_neutral_is_kept_and_decided_where_a_format_has_none(neutral: Any, labels: list[float], tmp_path: Path) -> None:
    record = solution((1.0, None), neutral=(1,))
    own = tmp_path / "own.jsonl"
    formats.write([record], own, "stepward")
    convert(own, tmp_path / "out.jsonl", to_format="scan", choices=WriteOptions(neutral=neutral))
    assert json_lines(tmp_path / "out.jsonl")[0]["scores"] == labels
    convert(own, tmp_path / "people.jsonl", to_format="prm800k", choices=WriteOptions(neutral=neutral))
    (kept,) = formats.read(tmp_path / "people.jsonl")
    assert isinstance(kept, LabelledSolution) and (kept.labels, kept.neutral) == ((1.0, None), (1,))


def test_dropped_neutral_steps_have_no_label(tmp_path: Path) -> None:
    own = tmp_path / "own.jsonl"
    formats.write([solution((1.0, None), neutral=(1,))], own, "stepward")
    done = convert(own, tmp_path / "out.jsonl", to_format="scan", choices=WriteOptions(neutral="drop"))
    assert done.rejected is not None
    assert "step 2 has no label, and scan needs one at every step" in json_lines(done.rejected)[0]["reason"]


def test_cut_leaves_out_the_steps_after_the_first_error(tmp_path: Path) -> None:
    path, out = written(tmp_path / "in.jsonl", GOOD["processbench"]), tmp_path / "out.jsonl"
    done = convert(path, out, to_format="trl-stepwise")
    assert (done.written.records, done.written.refused) == (0, 1)
    convert(path, out, to_format="trl-stepwise", choices=WriteOptions(cut=True))
    (row,) = json_lines(out)
    assert (row["completions"], row["labels"]) == (GOOD["processbench"]["steps"][:2], [True, False])
    # What an earlier conversion had set aside is gone with it.
    assert not (tmp_path / "out.jsonl.rejected.jsonl").exists()


@pytest.mark.parametrize(("threshold", "signs"), [(0, "++-"), (0.5, "+--"), (1, "---")])
def test_a_threshold_makes_labels_hard(threshold: float, signs: str, tmp_path: Path) -> None:
    path, out = written(tmp_path / "in.jsonl", GOOD["scan"]), tmp_path / "out.jsonl"
    with refused("missing", field="--threshold"):
        convert(path, out, to_format="rlhflow-prm")
    assert not out.exists()
    convert(path, out, to_format="rlhflow-prm", choices=WriteOptions(threshold=threshold))
    assert "".join(turn["content"] for turn in json_lines(out)[0]["conversations"][1::2]) == signs


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"])
@pytest.mark.parametrize("name", STEPS)
def test_every_kind_of_file_holds_the_same_records(name: str, suffix: str, tmp_path: Path) -> None:
    path, out = written(tmp_path / "in.jsonl", *[GOOD[name]] * 3), tmp_path / f"out{suffix}"
    convert(path, out, to_format=name)
    assert list(formats.read(out, name, strict=True)) == list(formats.read(path, name))
    assert formats.read(out).format.name == name
    if suffix != ".parquet":  # a table gives each row every column
        assert [row.fields for row in read_rows(out, ErrorCollector(out))] == [GOOD[name]] * 3


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    path = written(tmp_path / "in.jsonl", GOOD["scan"])
    for suffix in (".jsonl.gz", ".jsonl.zst", ".parquet"):
        convert(path, tmp_path / f"a{suffix}")
        convert(path, tmp_path / f"b{suffix}")
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_bad_rows_and_unwritable_ones_stand_in_one_file_in_order(tmp_path: Path) -> None:
    good, bad = GOOD["processbench"], {**GOOD["processbench"], "label": 7}
    path = written(tmp_path / "in.jsonl", {**good, "label": -1}, bad, good, bad, {**good, "label": -1})
    done = convert(path, tmp_path / "out.jsonl.gz", to_format="scan")
    assert (done.reading.rows, done.reading.bad.rows) == (3, 2)
    assert (done.written.records, done.written.refused) == (2, 1)
    assert done.rejected == tmp_path / "out.jsonl.gz.rejected.jsonl"
    said = [(one["row"], one["field"], one["reason"][:20]) for one in json_lines(done.rejected)]
    outside = ("label", "step 7 of 3 steps, c")
    assert said == [(2, *outside), (3, "", "scan can't hold it: "), (4, *outside)]
    assert len(gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()).splitlines()) == 2


@pytest.mark.parametrize("row", [{**GOOD["processbench"], "label": 7}, GOOD["processbench"]], ids=["bad", "unwritable"])
def test_strict_refuses_either_and_leaves_no_file(row: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path / "in.jsonl", {**row, "label": -1}, row)
    with pytest.raises(StepwardError):
        convert(path, tmp_path / "out.jsonl", to_format="scan", strict=True)
    assert not (tmp_path / "out.jsonl").exists()
    (tmp_path / "out.jsonl").write_text("older")
    with pytest.raises(StepwardError):
        convert(path, tmp_path / "out.jsonl", to_format="scan", strict=True)
    assert (tmp_path / "out.jsonl").read_text() == "older"


word = st.text("abc ки+-\n\\{}$Ω", min_size=1, max_size=8).filter(lambda one: one.strip() == one and "ки" not in one)
soft = st.floats(0, 1)
hard = st.sampled_from([0.0, 1.0])


@st.composite
def solutions(draw: st.DrawFn, label: st.SearchStrategy[float]) -> LabelledSolution:
    said = draw(st.lists(word, min_size=1, max_size=4))
    steps = tuple(f"Step {number}: {one}" for number, one in enumerate(said, start=1))
    question = draw(word)
    labels = tuple(draw(label) for _ in steps)
    return LabelledSolution(question, steps, labels)


@pytest.mark.parametrize("name", ["scan", "er-prm", "omegaprm", "omegaprm-tree", "trl-stepwise"])
@given(record=solutions(soft))
def test_soft_labels_go_there_and_back(tmp_path_factory: pytest.TempPathFactory, name: str, record: Any) -> None:
    assert there_and_back(tmp_path_factory.mktemp("there"), name, record) == record


@pytest.mark.parametrize("name", ["math-shepherd", "rlhflow-prm", "trl-stepwise", "scan"])
@given(record=solutions(hard))
def test_hard_labels_go_there_and_back(tmp_path_factory: pytest.TempPathFactory, name: str, record: Any) -> None:
    assert there_and_back(tmp_path_factory.mktemp("there"), name, record) == record


@pytest.mark.parametrize("name", ["processbench", "prm800k"])
@given(record=solutions(hard), right=st.booleans())
def test_labels_up_to_the_first_error_go_there_and_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, record: LabelledSolution, right: bool
) -> None:
    wrong = record.labels.index(0.0) + 1 if 0.0 in record.labels else len(record.labels)
    labels = (*record.labels[:wrong], *[None] * (len(record.labels) - wrong))
    record = replace(record, labels=labels, correct=right)
    again = there_and_back(tmp_path_factory.mktemp("there"), name, record)
    if name == "prm800k":  # the steps after the first wrong one are in `extra`
        kept = wrong if 0.0 in labels else len(labels)
        assert (again.question, again.steps, again.labels) == (record.question, record.steps[:kept], labels[:kept])
    else:
        assert again == record


def there_and_back(folder: Path, name: str, record: LabelledSolution) -> LabelledSolution:
    """Stepward's own row to a format and back, without what says where it came from."""
    own, there, back = (folder / one for one in ("own.jsonl", "there.jsonl", "back.parquet"))
    formats.write([record], own, "stepward")
    convert(own, there, to_format=name, strict=True)
    convert(there, back, source_format=name, strict=True)
    (again,) = formats.read(back)
    assert isinstance(again, LabelledSolution) and again.source == name
    return replace(again, source="", extra="")
