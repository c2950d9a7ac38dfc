"""Figures on disk: strict JSON, whole files, and errors that name file and field."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stepward.errors import StepwardError
from stepward.evaluation.folder import read, write
from stepward.evaluation.label_quality import Agreement, LabelQuality
from stepward.evaluation.slices import BY, QuintileRow
from stepward.evaluation.summary import Choice, Evaluation, Margin, Row

EVALUATION = Evaluation(
    rows=(
        Row("majority", None, None, 16, 0.5, None, 0.4, 0.6, 0, 10),
        Row("er", "best", "min", 16, 0.7, 0.01, 0.6, 0.8, 2, 10),
    ),
    chosen=(Choice("er", "best", "min", 16, 0.71, True, (0, 42), 8),),
    margins=(Margin("er", "majority", "best", "min", 16, 16, 0.2, 0.1, 0.3, True),),
    quintiles=(QuintileRow(1, BY, 0.0, 0.1, 2, "er", "best", "min", 16, 0.3),),
)
LABELS = LabelQuality((Agreement(1, 9, 0.8, 0.1, 0.1),), Agreement(None, 3, 0.9, 0.1, 0.0), 0.9, 0.5)


@pytest.mark.parametrize("labels", [LABELS, replace(LABELS, whole=None), None])
def test_reads_back_what_was_written(tmp_path: Path, labels: LabelQuality | None) -> None:
    write(EVALUATION, labels, tmp_path / "evaluation")
    assert read(tmp_path / "evaluation") == (EVALUATION, labels)
    names = sorted(path.name for path in (tmp_path / "evaluation").iterdir())
    assert names == ["chosen.json", "labels.json", "margins.json", "quintiles.json", "summary.json"]


def test_summary_is_the_list_that_others_are_promised(tmp_path: Path) -> None:
    write(EVALUATION, LABELS, tmp_path)
    first, second = json.loads((tmp_path / "summary.json").read_text())
    fields = ["method", "voting", "aggregation", "n", "mean", "std", "low", "high", "seeds", "problems"]
    assert list(first) == list(second) == fields
    assert (first["method"], first["voting"], first["std"]) == ("majority", None, None)


def test_nan_is_refused_and_leaves_the_old_file(tmp_path: Path) -> None:
    write(EVALUATION, LABELS, tmp_path)
    broken = replace(EVALUATION, rows=(replace(EVALUATION.rows[0], mean=float("nan")),))
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(broken, LABELS, tmp_path)
    assert read(tmp_path) == (EVALUATION, LABELS)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("summary.json", None, "no such file"),
        ("summary.json", "[", "not JSON"),
        ("summary.json", "{}", "expected a list"),
        ("margins.json", '[{"method": "er"}]', "row 1: missing or unknown fields against"),
        ("chosen.json", "[3]", "row 1: missing or unknown fields"),
        ("labels.json", '{"by_k": []}', "missing or unknown fields oracle_right"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    write(EVALUATION, LABELS, tmp_path)
    path = tmp_path / name
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(StepwardError, match=f"{name}.*{message}"):
        read(tmp_path)
