"""Studies load with their cells, grids, tables and checks worked out; what is wrong with one is said by its place."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from raising import refused

from stepward.recipes.study.plan import load_study
from stepward.recipes.study.schema import named_studies, read_study

STUDY: dict[str, Any] = {
    "about": "a test",
    "base": {"recipe": "tiny-cpu", "problems": {"reward": 8}, "rewards.epochs": 1},
    "cells": {"weak": {"title": "weak one", "generator.temperature": 0.5}, "strong": None},
    "tables": {"main": {"title": "Best", "n": 16, "rows": ["orm", "er"], "columns": {"w": "weak", "s": "strong"}}},
}
GRID: dict[str, Any] = {
    "base": {"labels": {"kinds": ["er"]}},
    "grid": {"labels.eta": [0.1, 2], "rewards.learning_rate": [0.001, 0.01]},
    "tables": {"grid": {"title": "Grid", "n": 16, "method": "er", "rows": "labels.eta",
                        "columns": "rewards.learning_rate"}},
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a study is written."""
    return tmp_path / "mine.yaml"


def changed(study: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A study with some fields, by their dotted names, changed."""
    content = copy.deepcopy(study)
    for path, value in changes.items():
        *sections, name = path.split("/")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return dict(content)


def load(file: Path, content: dict[str, Any], *overrides: str) -> Any:
    """The study's plan."""
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_study(str(file), overrides)


def test_a_study_has_its_cells_recipes(file: Path) -> None:
    plan = load(file, STUDY)
    assert plan.study.name == "mine"
    weak, strong = plan.cells
    assert (weak.name, weak.title, weak.recipe.name, weak.recipe.about) == ("weak", "weak one", "weak", "weak one")
    assert (strong.name, strong.title, strong.recipe.about) == ("strong", "strong", "a test")
    assert (weak.recipe.generator.temperature, strong.recipe.generator.temperature) == (0.5, 1.0)
    for cell in plan.cells:
        # tiny-cpu's own levels stay where the base says nothing of them.
        assert (cell.recipe.problems.reward, cell.recipe.rewards.epochs) == (8, 1)
        assert cell.recipe.problems.levels == (1, 2, 3)


def test_a_grid_runs_every_combination_of_every_cell(file: Path) -> None:
    plan = load(file, GRID)
    names = ["eta-0.1_learning_rate-0.001", "eta-0.1_learning_rate-0.01", "eta-2_learning_rate-0.001",
             "eta-2_learning_rate-0.01"]  # fmt: skip
    assert [cell.name for cell in plan.cells] == names
    assert [(cell.recipe.labels.eta, cell.recipe.rewards.learning_rate) for cell in plan.cells] == [
        (0.1, 0.001), (0.1, 0.01), (2, 0.001), (2, 0.01)
    ]  # fmt: skip
    (frame,) = plan.frames
    assert (frame.rows, frame.columns) == (["0.1", "2"], ["0.001", "0.01"])
    assert [[one.cell.name for one in row] for row in frame.figures] == [names[:2], names[2:]]
    both = load(file, changed(GRID, {"cells": {"a": {}, "b": {"seed": 1}}, "tables/grid/cell": "b"}))
    assert [cell.name for cell in both.cells] == [f"{of}_{name}" for of in "ab" for name in names]
    assert both.frames[0].figures[1][0].cell.recipe.seed == 1


def test_what_stands_where_is_put_together(file: Path) -> None:
    rows = {"SC": "majority", "SC+ER": {"method": "er", "voting": "weighted"}, "ER min": {"method": "er",
            "voting": "best", "aggregation": "min"}, "64": 64}  # fmt: skip
    table = {"title": "t", "n": 4, "method": "orm", "rows": rows, "columns": ["strong", "weak"]}
    (frame,) = load(file, changed(STUDY, {"tables": {"t": table}})).frames
    assert (frame.rows, frame.columns) == (["SC", "SC+ER", "ER min", "64"], ["strong", "weak"])
    found = [(one.method, one.n, one.voting, one.aggregation) for one in (row[0] for row in frame.figures)]
    assert found == [("majority", 4, "overall", None), ("er", 4, "weighted", None), ("er", 4, "best", "min"),
                     ("orm", 64, "overall", None)]  # fmt: skip
    assert [one.cell.name for one in frame.figures[0]] == ["strong", "weak"]


def test_checks_compare_two_selections(file: Path) -> None:
    checks = [
        {"says": "er wins", "better": "er", "than": "hard", "cell": "weak", "n": 16, "voting": "best"},
        {"says": "strong wins", "better": "strong", "than": {"cell": "weak", "n": 4}, "method": "er", "n": 16},
    ]
    first, second = load(file, changed(STUDY, {"checks": checks})).claims
    assert (first.says, first.better.method, first.than.method, first.than.cell.name) == (
        "er wins",
        "er",
        "hard",
        "weak",
    )
    assert (second.better.cell.name, second.better.n, second.than.cell.name, second.than.n) == ("strong", 16, "weak", 4)


def test_published_figures_stand_beside_ours(file: Path) -> None:
    changes = {"tables/main/published": {"er": [89.5, None]}, "tables/main/published_columns": ["GSM8K", "MATH"]}
    (frame,) = load(file, changed(STUDY, changes)).frames
    assert frame.published == [[None, None], [89.5, None]]
    one = changed(STUDY, {"tables/main/columns": ["weak"], "tables/main/published": {"orm": 85.9}})
    assert load(file, one).frames[0].published == [[85.9], [None]]


def test_overrides_go_for_the_study_or_for_all_cells(file: Path) -> None:
    plan = load(file, STUDY, "name=other", "problems.reward=9", "generator.temperature=0.7", "rewards.seeds=5")
    weak, strong = plan.cells
    assert plan.study.name == "other"
    assert (weak.recipe.problems.reward, strong.recipe.rewards.seeds) == (9, (5,))
    # What a cell sets itself stays.
    assert (weak.recipe.generator.temperature, strong.recipe.generator.temperature) == (0.5, 0.7)
    assert [cell.name for cell in load(file, GRID, "grid.labels.eta=5", "grid.rewards.learning_rate=[0.1]").cells] == [
        "eta-5_learning_rate-0.1"
    ]
    assert len(load(file, STUDY, "recipe=gsm8k-published", "evaluation.ns=16", "labels.kinds=orm,er").cells) == 2


def test_overrides_reach_a_cell_whose_name_has_dots(file: Path) -> None:
    study = changed(STUDY, {"cells/base-0.2m": {}, "cells/base-0.2m.b": {"title": "b"}})
    plan = load(
        file, study, "cells.base-0.2m.from=../other", "cells.base-0.2m.b.rewards.epochs=9", "cells.weak.title=x"
    )
    found = {cell.name: cell for cell in plan.cells}
    assert (found["base-0.2m"].source, found["base-0.2m.b"].source) == ("../other", None)
    assert (found["base-0.2m.b"].recipe.rewards.epochs, found["base-0.2m"].recipe.rewards.epochs) == (9, 1)
    assert found["weak"].title == "x"


def test_sections_and_dotted_names_are_the_same(file: Path) -> None:
    one = load(file, changed(STUDY, {"base/rewards.epochs": 3, "cells/strong": {"rewards": {"epochs": 7, "batch": 4}}}))
    assert [cell.recipe.rewards.epochs for cell in one.cells] == [3, 7]
    assert [cell.recipe.rewards.batch for cell in one.cells] == [24, 4]


def test_cells_may_name_those_above_them(file: Path) -> None:
    cells = {"large": {}, "ood": {"rewards.of": "large", "problems": {"reward": 0, "validation": 0}},
             "small": {"labels": {"kinds": ["prm_process"], "by": "large/er/seed-0"}, "from": "large"}}  # fmt: skip
    study = changed(STUDY, {"cells": cells, "tables/main/columns": ["large"]})
    plan = load(file, study)
    assert [cell.source for cell in plan.cells] == [None, None, "large"]
    assert plan.cells[2].recipe.labels.by == "large/er/seed-0"
    for name in ("ood", "small"):
        order = {name: cells[name], "large": {}}
        with refused("unfinished", field=f"cells.{name}", names=("large",)):
            load(file, changed(STUDY, {"tables/main/columns": ["large"]}) | {"cells": order})


MAIN = "tables.main"


@pytest.mark.parametrize(
    ("changes", "code", "field", "names"),
    [
        ({"tabels": {}}, "unknown_name", "tabels", ("tables?",)),
        ({"tables": {}}, "empty", "tables", ()),
        ({"cells": {}}, "bad_value", None, ("cells", "grid")),
        ({"cells/a b": {}}, "bad_value", "cells.a b.[key]", ()),
        ({"cells/weak/labels": {"etta": 1}}, "unknown_name", "labels.etta", ("cells.weak", "eta?")),
        ({"base/labels.eta": 0}, "bad_value", "labels.eta", ("cells.weak", "found 0")),
        ({"base/recipe": "tiny"}, "unknown_name", "tiny", ("tiny-cpu?",)),
        ({"cells/weak/rewards.seeds.x": 0}, "wrong_type", "rewards.seeds", ("cells.weak",)),
        ({"tables/main/rows": ["medium"]}, "unknown_name", f"{MAIN}.rows.medium", ("'medium'",)),
        ({"tables/main/rows": "labels.eta"}, "unknown_name", f"{MAIN}.rows", ("labels.eta",)),
        ({"tables/main/rows": 5}, "wrong_type", f"{MAIN}.rows", ()),
        ({"tables/main/columns": {"w": "waek"}}, "unknown_name", f"{MAIN}.columns.w", ("'waek'", "weak?")),
        ({"tables/main/columns": {"w": {"cell": "waek"}}}, "unknown_name", f"{MAIN} at orm, w", ("waek", "weak?")),
        ({"tables/main/columns": {"w": {"sell": "weak"}}}, "unknown_name", f"{MAIN} at orm, w", ("sell", "cell?")),
        ({"tables/main/n": 3}, "mismatch", f"{MAIN} at orm, w", ("n 3", "cell weak", "1, 2")),
        ({"tables/main/n": None}, "mismatch", f"{MAIN} at orm, w", ("n None",)),
        (
            {"tables/main/rows": ["weak"], "tables/main/columns": ["weak"]},
            "unknown_name", f"{MAIN} at weak, weak", ("method None", "weak"),
        ),
        ({"tables/main/rows": {"er": ["er"]}}, "unknown_name", f"{MAIN}.rows.er", ("['er']",)),
        ({"tables/main/columns": {"w": {"cell": ["weak"]}}}, "wrong_type", f"{MAIN} at orm, w", ("cell", "['weak']")),
        ({"tables/main/rows": {"er": {"method": ["er"]}}}, "wrong_type", f"{MAIN} at er, w", ("method", "['er']")),
        (
            {"tables/main/rows": {"er": {"method": "er", "voting": "best", "aggregation": ["min"]}}},
            "wrong_type", f"{MAIN} at er, w", ("aggregation", "['min']"),
        ),
        ({"tables/main/rows": {"er": {"method": "er", "n": True}}}, "mismatch", f"{MAIN} at er, w", ("n True",)),
        ({"tables/main/rows": {"er": {5: "er"}}}, "unknown_name", f"{MAIN} at er, w", (5,)),
        ({"tables/main/rows": ["oracle"]}, "unknown_name", f"{MAIN}.rows.oracle", ("'oracle'",)),
        ({"tables/main/columns": [16]}, "ambiguous", f"{MAIN} at orm, 16", ("weak, strong",)),
        ({"tables/main/voting": "worst"}, "unknown_name", f"{MAIN} at orm, w", ("worst", "overall, best, weighted")),
        (
            {"tables/main/voting": "best", "tables/main/aggregation": "maxx"},
            "unknown_name", f"{MAIN} at orm, w", ("maxx",),
        ),
        ({"tables/main/aggregation": "min"}, "missing", f"{MAIN} at orm, w", ("aggregation min",)),
        ({"tables/main/voting": "weighted_mean"}, "missing", f"{MAIN} at orm, w", ("voting weighted_mean",)),
        ({"tables/main/x": "size"}, "unknown_name", f"{MAIN}.x", ("size",)),
        ({"tables/main/plot": "pie"}, "unknown_name", f"{MAIN}.plot", ("'pie'",)),
        ({"tables/main/published": {"err": [1, 2]}}, "unknown_name", f"{MAIN}.published", ("err", "er?")),
        ({"tables/main/published": {"er": [1]}}, "mismatch", f"{MAIN}.published.er", (1, 2)),
        ({"tables/main/published": {"er": [101, 0]}}, "bad_value", f"{MAIN}.published.er", ()),
        (
            {"tables/main/published": {"er": [1, 2]}, "tables/main/published_columns": ["a"]},
            "mismatch", f"{MAIN}.published_columns", (1, 2),
        ),
        (
            {"checks": [{"says": "x", "better": "er", "than": "er", "cell": "weak", "n": 16}]},
            "conflict", "checks.1", (),
        ),
        (
            {"checks": [{"says": "x", "better": "er", "than": "err", "cell": "weak", "n": 16}]},
            "unknown_name", "checks.1.than", ("'err'",),
        ),
        ({"checks": [{"better": "er"}]}, "missing", "checks.0.says", ()),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_by_its_place(
    changes: dict[str, Any], code: str, field: str | None, names: tuple[object, ...], file: Path
) -> None:
    with refused(code, field=field, names=names):
        load(file, changed(STUDY, changes))


def test_two_cells_of_one_name_are_refused(file: Path) -> None:
    grid = changed(GRID, {"grid": {"rewards.base": ["a/m", "b/m"]}, "tables/grid/rows": "rewards.base",
                          "tables/grid/columns": [16]})  # fmt: skip
    with refused("duplicate", field="grid", names=("base-m",)):
        load(file, grid)


def test_every_named_study_is_valid() -> None:
    for name in named_studies():
        plan = load_study(name)
        assert (plan.study.name, bool(plan.study.about), bool(plan.study.source)) == (name, True, True)
        assert read_study(name) == plan.study


def test_an_unknown_study_is_refused() -> None:
    with refused("unknown_name", field="nothing"):
        load_study("nothing")


def test_an_overrides_value_is_read_as_in_a_recipe(file: Path) -> None:
    file.write_text(yaml.safe_dump(STUDY))
    fields = ("generator.stop=A,B", "rewards.seeds=3", "evaluation.ns=1,2", "labels.eta=5")
    base = read_study(str(file), fields).base
    assert [base[one.split("=")[0]] for one in fields] == [["A", "B"], [3], [1, 2], 5]
