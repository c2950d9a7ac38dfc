"""Figures on disk: strict JSON, whole files, and errors that name file and field."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raising import refused

from stepward.evaluation.best_of_n.accuracy import Accuracies
from stepward.evaluation.best_of_n.evaluate import Evaluation, MetricRow, PairedDifference, SelectedConfig
from stepward.evaluation.best_of_n.io import ACCURACIES, accuracies_of, read, read_accuracies, write, write_accuracies
from stepward.evaluation.best_of_n.slices import BY, QuintileRow, SliceRow
from stepward.evaluation.labels.agreement import Agreement, LabelQuality

EVALUATION = Evaluation(
    rows=(
        MetricRow("majority", None, None, 16, 0.5, None, 0.4, 0.6, 0, 10),
        MetricRow("er", "best", "min", 16, 0.7, 0.01, 0.6, 0.8, 2, 10),
    ),
    chosen=(SelectedConfig("er", "best", "min", 16, 0.71, True, (0, 42), 8),),
    margins=(
        PairedDifference("er", "majority", "best", "min", 16, 16, 0.2, 0.1, 0.3, True, False, 0.001, 0.002, 7, 2, 0),
    ),
    quintiles=(QuintileRow(1, BY, 0.0, 0.1, 2, "er", "best", "min", 16, 0.3, 0.02, 0.1, 0.6),),
    slices=(SliceRow("level", "3", "the source's level", 2, "er", "best", "min", 16, 0.3, None, 0.1, 0.6),),
    facts={"problems": 10, "without_answer": 3},
)
MEASURED = Accuracies(
    (1, 16),
    np.array([[0.1, 0.2], [0.3, 0.4]]),
    np.array([[0.5, 0.6], [0.7, 1.0]]),
    {"er": (0, 42)},
    {("er", "best", "min"): np.array([[[0.0, 0.2], [0.4, 0.6]], [[1.0, 0.4], [0.6, 0.8]]])},
    ("p1", "p\u00e9 2"),
)
LABELS = LabelQuality((Agreement(1, 9, 0.8, 0.1, 0.1),), Agreement(None, 3, 0.9, 0.1, 0.0), 0.9, 0.5)


@pytest.mark.parametrize("labels", [LABELS, replace(LABELS, whole=None), None])
def test_reads_back_what_was_written(tmp_path: Path, labels: LabelQuality | None) -> None:
    write(EVALUATION, labels, tmp_path / "evaluation")
    assert read(tmp_path / "evaluation") == (EVALUATION, labels)
    names = sorted(path.name for path in (tmp_path / "evaluation").iterdir())
    assert names == [
        "chosen.json", "facts.json", "labels.json", "margins.json", "quintiles.json", "slices.json", "summary.json"
    ]  # fmt: skip


def test_accuracies_of_every_method_n_and_seed_are_kept(tmp_path: Path) -> None:
    write(replace(EVALUATION, accuracies=MEASURED), LABELS, tmp_path)
    assert read(tmp_path) == (EVALUATION, LABELS)
    table = read_accuracies(tmp_path)
    assert table.schema.equals(ACCURACIES) and len(table) == 4 * 2 * 2
    rows = {
        (r["problem_id"], r["method"], r["voting"], r["aggregation"], r["n"], r["seed"]): r["accuracy"]
        for r in table.to_pylist()
    }
    assert len(rows) == 16
    assert rows["p\u00e9 2", "majority", None, None, 16, None] == 0.4
    assert rows["p1", "pass", None, None, 1, None] == 0.5
    assert (rows["p1", "er", "best", "min", 1, 0], rows["p1", "er", "best", "min", 1, 42]) == (0.0, 1.0)
    for method in ("majority", "pass"):
        ids, found = accuracies_of(table, (method, None, None), 16)
        assert ids == ["p1", "p\u00e9 2"]
        assert found.tolist() == [getattr(MEASURED, method if method == "majority" else "passed")[:, 1].tolist()]
    assert accuracies_of(table, ("er", "best", "min"), 16)[1].tolist() == [[0.2, 0.6], [0.4, 0.8]]
    assert accuracies_of(table, ("er", "best", "min"), 3) == ([], pytest.approx(np.empty((1, 0))))


def test_broken_accuracies_are_named(tmp_path: Path) -> None:
    with refused("unfinished", file=tmp_path / "accuracies.parquet"):
        read_accuracies(tmp_path)
    write_accuracies(MEASURED, tmp_path)
    path = tmp_path / "accuracies.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with refused("unreadable", file=path):
        read_accuracies(tmp_path)
    pq.write_table(pa.table({"problem_id": ["p1"]}), path)
    with refused("wrong_version", file=path, names=ACCURACIES.names):
        read_accuracies(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1])
def test_an_accuracy_that_is_none_is_refused_by_its_row(tmp_path: Path, value: float) -> None:
    write_accuracies(MEASURED, tmp_path)
    path = tmp_path / "accuracies.parquet"
    table = pq.read_table(path)
    values = table["accuracy"].to_numpy().copy()
    values[4] = value
    pq.write_table(table.set_column(6, ACCURACIES.field("accuracy"), pa.array(values)), path)
    with refused("bad_value" if np.isfinite(value) else "not_finite", file=path, row=5, field="accuracy"):
        read_accuracies(tmp_path)


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
    ("name", "text", "code", "row", "field"),
    [
        ("summary.json", None, "unfinished", None, None),
        ("summary.json", "[", "unreadable", None, None),
        ("summary.json", "{}", "wrong_type", None, None),
        ("margins.json", '[{"method": "er"}]', "wrong_version", 1, "against"),
        ("slices.json", None, "unfinished", None, None),
        ("facts.json", '{"problems": "ten"}', "wrong_type", None, None),
        ("chosen.json", "[3]", "wrong_version", 1, "aggregation"),
        ("labels.json", '{"by_k": []}', "wrong_version", None, "oracle_right"),
        ("labels.json", '{"oracle_right": NaN}', "not_finite", None, "oracle_right"),
        ("summary.json", '[{"mean": NaN}]', "not_finite", 1, "mean"),
        ("margins.json", '[{"low": -1e999}]', "not_finite", 1, "low"),
    ],
)
def test_broken_files_are_named(
    tmp_path: Path, name: str, text: str | None, code: str, row: int | None, field: str | None
) -> None:
    write(EVALUATION, LABELS, tmp_path)
    path = tmp_path / name
    path.unlink() if text is None else path.write_text(text)
    with refused(code, file=path, row=row, field=field):
        read(tmp_path)
