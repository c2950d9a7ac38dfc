"""The studies that come with Stepward: seeds, bases and pages, and the published figures against those noted here."""

import re
import shlex
from pathlib import Path

import pytest

from stepward.recipes.study.plan import Plan, load_study
from stepward.recipes.study.schema import named_studies

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "studies"
NAMED = (
    "er-prm-grid",
    "er-prm-main",
    "er-prm-ood",
    "er-prm-scale",
    "lets-verify",
    "math-shepherd-verification",
)

# Best-of-64, Mistral-MetaMath-7B; best-of-256, Mistral-7B; best-of-1860: by table, row and the paper's column.
PUBLISHED = {
    "er-prm-main/best": {
        "ORM": {"Mistral GSM8K": 85.9, "Mistral MATH500": 39.2},
        "hard": {"Mistral GSM8K": 89.2, "Mistral MATH500": 39.8},
        "soft": {"Mistral GSM8K": 88.1, "Mistral MATH500": 38.4},
        "ER": {"Mistral GSM8K": 89.5, "Mistral MATH500": 41.8},
    },
    "math-shepherd-verification/verification": {
        "SC": {"GSM8K": 83.9, "MATH500": 35.1},
        "ORM": {"GSM8K": 86.2, "MATH500": 36.4},
        "PRM": {"GSM8K": 87.1, "MATH500": 37.3},
    },
    "lets-verify/best": {
        "process supervision": {"best-of-1860": 78.2},
        "outcome supervision": {"best-of-1860": 72.4},
        "majority": {"best-of-1860": 69.6},
    },
}


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    """All of them, by name."""
    return {name: load_study(name) for name in named_studies()}


def test_there_are_six_each_with_a_page(plans: dict[str, Plan]) -> None:
    assert tuple(plans) == NAMED
    for name, plan in plans.items():
        page = (PAGES / f"{name}.md").read_text("utf-8")
        assert f"stepward study {name}" in page and plan.study.source
        assert plan.claims and plan.frames


def test_published_figures_stand_where_they_belong(plans: dict[str, Plan]) -> None:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, plan in plans.items():
        for frame in plan.frames:
            for row, values in zip(frame.rows, frame.published, strict=False):
                columns = zip(frame.table.published_columns, values, strict=True)
                shown = {column: value for column, value in columns if value is not None}
                if shown:
                    found.setdefault(f"{name}/{frame.name}", {})[row] = shown
    assert found == PUBLISHED


def test_every_reward_model_has_five_seeds_and_every_model_a_command(plans: dict[str, Plan]) -> None:
    from train_demo_generator import BASES

    made = {f"runs/bases/{name}" for name in BASES}
    for plan in plans.values():
        for cell in plan.cells:
            assert cell.recipe.rewards.seeds == (0, 1, 2, 3, 42), cell.name
            assert {cell.recipe.generator.model, cell.recipe.rewards.base} <= made | {"embedded", "generator"}


def test_the_grid_is_the_papers_eta_by_four_learning_rates(plans: dict[str, Plan]) -> None:
    cells = plans["er-prm-grid"].cells
    assert {cell.recipe.labels.eta for cell in cells} == {0.1, 1, 2, 5, 8, 10, 15}
    assert len({cell.recipe.rewards.learning_rate for cell in cells}) == 4 and len(cells) == 28


def test_the_sizes_differ_in_the_base_alone(plans: dict[str, Plan]) -> None:
    recipes = [cell.recipe.model_dump() for cell in plans["er-prm-scale"].cells]
    bases = [recipe["rewards"].pop("base") for recipe in recipes]
    assert bases == [f"runs/bases/{size}" for size in ("0.2m", "0.6m", "1.6m", "4m")]
    assert all(recipe | {"name": "", "about": ""} == recipes[0] | {"name": "", "about": ""} for recipe in recipes)


def test_away_from_home_nothing_is_trained(plans: dict[str, Plan]) -> None:
    home, *away = plans["er-prm-ood"].cells
    assert home.recipe.rewards.of is None and {cell.recipe.rewards.of for cell in away} == {"home"}
    for cell in away:
        assert (cell.recipe.problems.reward, cell.recipe.problems.validation) == (0, 0)
        assert cell.recipe.generator != home.recipe.generator or cell.recipe.problems.levels != (
            home.recipe.problems.levels
        ) or cell.recipe.problems.tricky != home.recipe.problems.tricky  # fmt: skip


def test_the_supervision_comparison_has_the_same_solutions(plans: dict[str, Plan]) -> None:
    large, *small = plans["lets-verify"].cells
    assert {cell.recipe.labels.by for cell in small} == {f"{large.name}/oracle/seed-0"}
    assert [cell.recipe.problems.reward for cell in small] == [80, 240, 480]
    assert len({cell.recipe.solutions.model_dump_json() for cell in (large, *small)}) == 1
    assert len({cell.recipe.generator.model_dump_json() for cell in (large, *small)}) == 1


def commands() -> list[str]:
    """Every `stepward study ...` that the documents print, each with the lines it goes on in."""
    texts = [path.read_text("utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))]
    found = [one for text in texts for one in re.findall(r"^ *stepward study ((?:[^\n]*\\\n)*[^\n]*)", text, re.M)]
    return sorted({one.replace("\\\n", " ") for one in found if not one.startswith("NAME")})


def test_the_documents_commands_are_looked_at() -> None:
    assert len(commands()) >= 12
    assert any("grid.labels.eta" in one for one in commands()) and any("5.0e-7" in one for one in commands())


@pytest.mark.parametrize("command", commands())
def test_a_command_in_the_documents_can_be_given(command: str) -> None:
    name, *overrides = shlex.split(command, comments=True)
    assert load_study(name, overrides).cells
