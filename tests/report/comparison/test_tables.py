"""Runs side by side: what differs decides whether they are a grid, a curve or columns; the table and the answer."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stepward.evaluation.best_of_n.evaluate import Evaluation
from stepward.report.comparison import tables as beside
from stepward.report.comparison.plots import beside_charts
from stepward.report.comparison.tables import PARAMETERS, differences, is_grid, is_line, side_by_side
from stepward.report.data import RunReport
from stepward.report.plots.figure import as_svg


def _raised(evaluation: Evaluation, by: float) -> Evaluation:
    rows = tuple(dataclasses.replace(row, mean=row.mean + by) for row in evaluation.rows)
    return dataclasses.replace(evaluation, rows=rows)


def _run(
    run: RunReport, name: str, recipe: Mapping[str, Any], by: float = 0.0, parameters: int | None = None
) -> RunReport:
    content = {"name": name, "about": name, "solutions": {"unit": len(name)}, **recipe}
    return dataclasses.replace(
        run, name=name, recipe=content, evaluation=_raised(run.evaluation, by), parameters=parameters
    )


def _grid(run: RunReport) -> list[RunReport]:
    cells = [(eta, rate) for eta in (10.0, 1.0, 2.0) for rate in (1e-6, 5e-6)]
    return [
        _run(run, f"cell {eta} {rate}", {"labels": {"eta": eta}, "rewards": {"learning_rate": rate}}, -eta / 100 - rate)
        for eta, rate in cells
    ]


def test_two_fields_are_a_grid_drawn_as_heat_maps(run: RunReport) -> None:
    runs = _grid(run)
    found = differences(runs)
    assert [one.field for one in found] == ["labels.eta", "rewards.learning_rate"]
    assert found[0].distinct == [1.0, 2.0, 10.0] and is_grid(found) and not is_line(found)
    charts = beside_charts(runs)
    assert [chart.name for chart in charts] == ["grid-0", "grid-1", "grid-2", "grid-3", "runs-curves"]
    er = run.evaluation.methods.index("er")
    assert "which is at labels.eta 1, rewards.learning_rate 1e-06" in charts[er].description
    assert len(charts[er].rows) == 6 and {row[0] for row in charts[er].rows} == {"1", "2", "10"}
    best = run.evaluation.choice("er")
    mean = run.evaluation.row("er", 16, best.voting, best.aggregation).mean
    assert f">{100 * (mean - 0.01):.1f}</text>" in as_svg(charts[er])


def test_a_grid_with_a_hole_is_one_still_but_a_diagonal_is_not(run: RunReport) -> None:
    assert is_grid(differences(_grid(run)[:-1]))
    diagonal = [_run(run, str(i), {"a": i, "b": 2 * i}) for i in range(4)]
    assert not is_grid(differences(diagonal))
    assert beside_charts(diagonal)[0].title == "Every method in every run"


def test_one_number_is_a_curve_in_its_order(run: RunReport) -> None:
    runs = [_run(run, f"n{count}", {"problems": {"reward": count}}, count / 1e5) for count in (800, 50, 200)]
    assert is_line(differences(runs))
    chart = beside_charts(runs)[0]
    assert chart.title == "Accuracy over problems.reward"
    assert [row[0] for row in chart.rows if row[1] == "er"] == [50.0, 200.0, 800.0]
    means = [row[3] for row in chart.rows if row[1] == "majority"]
    assert means == sorted(means)
    svg = as_svg(chart)
    assert svg.count(">50</text>") == 1 and ">800</text>" in svg


def test_base_models_are_told_by_their_parameters_where_these_are_known(run: RunReport) -> None:
    runs = [
        _run(run, base, {"rewards": {"base": base}}, 0.0, size) for base, size in (("b", 4_000_000), ("a", 200_000))
    ]
    (found,) = differences(runs)
    assert (found.field, found.distinct) == (PARAMETERS, [200_000, 4_000_000])
    svg = as_svg(beside_charts(runs)[0])
    assert ">200k</text>" in svg and ">4M</text>" in svg
    unknown = [dataclasses.replace(one, parameters=None) for one in runs]
    assert [one.field for one in differences(unknown)] == ["rewards.base"]


def test_other_generators_are_columns(run: RunReport) -> None:
    runs = [_run(run, name, {"generator": {"model": name}}) for name in ("weak", "strong", "other")]
    chart = beside_charts(runs)[0]
    assert {row[0] for row in chart.rows} == {"weak", "strong", "other"}
    assert not is_line(differences(runs)) and not is_grid(differences(runs))
    assert all(f">{name}</text>" in as_svg(chart) for name in ("weak", "strong", "other"))


@pytest.mark.parametrize("count", [2, 7])
def test_the_table_has_every_figure(run: RunReport, count: int) -> None:
    runs = [_run(run, f"run{i}", {"i": i}, i / 100) for i in range(count)]
    table = side_by_side(runs)
    cells = {(name, column): cell for name, row in table.rows for column, cell in zip(table.columns, row, strict=True)}
    expected = f"{100 * (run.evaluation.row('majority', 16).mean + 0.01):.1f}"
    where = ("majority voting", "run1, N = 16") if count == 2 else ("run1", "majority voting")
    assert cells[where] == expected and table.corner == ("method" if count == 2 else "run")


def test_a_method_that_a_run_lacks_is_left_empty(run: RunReport) -> None:
    evaluation = run.evaluation
    lacking = dataclasses.replace(evaluation, chosen=tuple(one for one in evaluation.chosen if one.method != "er"))
    runs = [_run(run, "all", {"x": 1}), dataclasses.replace(_run(run, "some", {"x": 2}), evaluation=lacking)]
    row = next(cells for name, cells in side_by_side(runs).rows if name == "ER-PRM")
    assert row[0] != "" and row[1] == ""
    assert beside_charts(runs)[0].name == "runs"


def test_runs_of_one_name_keep_their_own_figures(run: RunReport) -> None:
    runs = [_run(run, "same", {"x": 1}), _run(run, "same", {"x": 2}, 0.05)]
    row = next(cells for name, cells in side_by_side(runs).rows if name == "majority voting")
    assert float(row[1]) - float(row[0]) == pytest.approx(5, abs=0.11)


def test_the_answer_names_the_highest_and_how_many_are_as_high(run: RunReport) -> None:
    runs = [_run(run, "low", {"x": 1}), _run(run, "high", {"x": 2}, 0.1)]
    best = max(run.evaluation.methods, key=lambda kind: beside.chosen_row(run.evaluation, kind).mean)  # type: ignore[union-attr]
    said = beside.headline_sentence(runs, same_problems=True)
    assert said.startswith(
        f"Of 2 runs, all on the same 24 test problems, {beside.phrases.method_label(best)} of high is highest: "
    )
    row = beside.chosen_row(runs[1].evaluation, best)
    figures = [beside.chosen_row(one.evaluation, kind) for one in runs for kind in one.evaluation.methods]
    assert row is not None
    near = sum(one is not row and row.low <= one.mean <= row.high for one in figures if one is not None)
    assert 0 < near < len(figures) - 1
    low, high = f"{100 * row.low:.1f}", f"{100 * row.high:.1f}"
    assert said.endswith(
        f". {near} of the 7 other figures of reward models lie within its 95% interval, {low} to {high}."
    )


def test_the_answer_does_not_say_that_problems_are_the_same_where_it_is_not_known(
    run: RunReport, make_run: Callable[..., RunReport]
) -> None:
    assert "Of 2 runs, each on 24 test problems, " in beside.headline_sentence([run, run], same_problems=False)
    fewer = make_run("fewer", problems=12)
    assert "Of 2 runs, each on its own test problems, " in beside.headline_sentence([run, fewer], same_problems=False)


def test_a_figure_that_stands_alone_is_said_to(run: RunReport) -> None:
    runs = [_run(run, "low", {"x": 1}), _run(run, "high", {"x": 2})]
    only = [
        dataclasses.replace(one, chosen=tuple(c for c in one.chosen if c.method == "er"))
        for one in (runs[0].evaluation, _raised(runs[1].evaluation, 0.5))
    ]
    runs = [dataclasses.replace(one, evaluation=found) for one, found in zip(runs, only, strict=True)]
    high = runs[1].evaluation
    rows = tuple(dataclasses.replace(row, low=row.mean - 0.01, high=row.mean + 0.01) for row in high.rows)
    runs[1] = dataclasses.replace(runs[1], evaluation=dataclasses.replace(high, rows=rows))
    assert "No other figure of a reward model lies within its 95% interval" in beside.headline_sentence(
        runs, same_problems=True
    )
