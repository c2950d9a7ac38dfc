"""Training recipes: each named one is whole, its twin differs in sizes alone, and errors name the field."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from raising import refused

from stepward.recipes.training import (
    TrainingRecipe,
    launch_config,
    launch_configs,
    load_training,
    named_trainings,
    set_override,
    training_from,
)

NAMED = named_trainings()
FULL = [name for name in NAMED if not name.endswith("-cpu")]
SIZES = {
    "learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps", "optim", "bf16", "model_init_kwargs",
}  # fmt: skip
"""What a twin may have otherwise: a small model's batch and rate, its precision and its optimiser."""


def small(**changes: Any) -> dict[str, Any]:
    return {"name": "small", "kind": "prm", "model": "embedded", "data": {"train": "arithmetic"}} | changes


def test_what_the_issue_names_is_there() -> None:
    wanted = {"er-prm-mistral", "er-prm-deepseek", "er-prm-3b", "er-prm-1b", "er-prm-grid", "math-shepherd-mistral-7b"}
    wanted |= {"lets-verify-prm800k", "one-gpu-24gb-prm", "one-gpu-24gb-orm", "one-gpu-24gb-bt"}
    assert set(FULL) == wanted
    assert set(NAMED) == wanted | {f"{name}-cpu" for name in wanted}


@pytest.mark.parametrize("name", NAMED)
def test_each_named_recipe_loads(name: str) -> None:
    recipe = load_training(name)
    assert recipe.name == name and recipe.about


@pytest.mark.parametrize("name", FULL)
def test_a_twin_has_the_same_options_but_for_its_sizes(name: str) -> None:
    full, twin = load_training(name), load_training(f"{name}-cpu")
    options = {*full.config, *twin.config}
    assert {option for option in options if full.config.get(option) != twin.config.get(option)} <= SIZES
    assert (full.kind, full.data.labels, full.data.eta) == (twin.kind, twin.data.labels, twin.data.eta)
    assert set(full.grid) == set(twin.grid)
    assert twin.model == "embedded"
    assert (full.data.run is None) == (twin.data.run is None)


def test_published_settings_are_those_of_the_papers() -> None:
    er, grid = load_training("er-prm-mistral"), load_training("er-prm-grid")
    assert er.data.run is not None
    assert (er.data.run.solutions.reward, er.data.run.rollouts.completions, er.data.eta) == (15, 16, 2)
    config = er.config
    assert 4 * config["per_device_train_batch_size"] * config["gradient_accumulation_steps"] == 64
    assert (config["learning_rate"], config["max_length"], config["lr_scheduler_type"]) == (1e-6, 512, "cosine")
    assert [len(values) for values in grid.grid.values()] == [5, 7, 4]
    assert load_training("er-prm-deepseek").data.eta == 10
    for name in ("prm", "orm", "bt"):
        one = load_training(f"one-gpu-24gb-{name}").config
        assert (one["per_device_train_batch_size"], one["gradient_accumulation_steps"]) == (1, 32)
        assert one["optim"] == "adamw_bnb_8bit"


def test_a_recipe_is_like_another_but_for_what_it_says(tmp_path: Path) -> None:
    below, above = tmp_path / "below.yaml", tmp_path / "above.yaml"
    below.write_text("kind: prm\nmodel: a/b\ndata: {train: x.jsonl, limit: 5}\nconfig: {seed: 1, zeta: 2}\n")
    above.write_text(f"like: {below}\ndata: {{limit: 7}}\nconfig: {{seed: 3}}\n")
    recipe = load_training(str(above))
    assert (recipe.name, recipe.data.train, recipe.data.limit) == ("above", "x.jsonl", 7)
    assert recipe.config == {"seed": 3, "zeta": 2}
    below.write_text(f"like: {above}\n")
    with refused("conflict", field="like"):
        load_training(str(above))


def test_overrides_reach_the_recipe_the_data_and_the_config() -> None:
    overrides = ["data.limit=7", "learning_rate=1e-5", "config.seed=3", "model_init_kwargs.dtype=bfloat16"]
    recipe = training_from(small(), "here", [*overrides, "grid.seed=0,1", "name=other"])
    assert (recipe.name, recipe.data.limit, recipe.grid) == ("other", 7, {"seed": [0, 1]})
    assert recipe.config["seed"] == 3 and recipe.config["model_init_kwargs"] == {"dtype": "bfloat16"}
    assert "learning_rate" in recipe.config


def test_several_values_of_an_override_need_no_brackets() -> None:
    grid = training_from(small(), "here", ["grid.seed=0,1", 'grid.optim="a","b"', "grid.zeta=[2]"]).grid
    assert grid == {"seed": [0, 1], "optim": ["a", "b"], "zeta": [2]}


def test_eta_is_the_datas_and_a_cell_has_its_values() -> None:
    recipe = training_from(small(data={"train": "runs/a", "labels": "er"}, grid={"eta": [1, 5]}), "here")
    cell = recipe.with_values({"eta": 5, "seed": 3, "model": "other"})
    assert (cell.data.eta, cell.config, cell.model, cell.grid) == (5, {"seed": 3}, "other", {})
    assert recipe.data.eta is None, "the recipe itself is as it was"


def test_what_is_only_kept_on_the_way_decides_nothing() -> None:
    first = training_from(small(), "here", ["seed=1", "save_steps=5"])
    second = training_from(small(), "here", ["seed=1", "save_steps=9", "report_to=wandb", "about=words"])
    assert first.fingerprint_fields() == second.fingerprint_fields()
    assert first.fingerprint_fields() != training_from(small(), "here", ["seed=2"]).fingerprint_fields()


@pytest.mark.parametrize(
    ("changes", "code", "field", "names"),
    [
        ({"modle": "x"}, "unknown_name", "modle", ("model?",)),
        ({"data": {"train": "x", "limt": 3}}, "unknown_name", "data.limt", ("limit?",)),
        ({"data": {"train": "x", "limit": 0}}, "bad_value", "data.limit", (1, "found 0")),
        ({"data": {}}, "bad_value", "data", ("train", "run")),
        ({"data": {"train": "x", "eval": "y", "held_out": 0.1}}, "bad_value", "data", ("held_out", "eval")),
        ({"data": {"train": "x", "stream": True, "held_out": 0.1}}, "bad_value", "data", ("held_out", "stream")),
        ({"data": {"train": "x", "eta": 2}}, "bad_value", "data", ("eta", "labels: er")),
        ({"data": {"train": "x", "eval_labels": "hard"}}, "bad_value", "data", ("eval_labels", "labels, held_out")),
        ({"kind": "rm"}, "unknown_name", "kind", ("'prm', 'orm' or 'bt'", "'rm'")),
        ({"kind": "bt", "data": {"train": "x", "labels": "er"}}, "bad_value", None, ("kind bt", "data.train")),
        ({"grid": {"eta": [1]}}, "bad_value", None, ("grid.eta", "data.labels: er")),
        ({"grid": {"seed": []}}, "empty", "grid.seed", ()),
        ({"data": {"run": {"rolouts": {}}}}, "unknown_name", "data.run.rolouts", ("rollouts?",)),
        ({"data": {"run": {"labels": {"etta": 2}}}}, "unknown_name", "data.run.labels.etta", ("eta?",)),
    ],
)
def test_a_bad_recipe_is_refused_by_the_field(
    changes: dict[str, Any], code: str, field: str | None, names: tuple[object, ...]
) -> None:
    with refused(code, field=field, names=names):
        training_from(small(**changes), "here")


def test_what_is_no_recipe_is_refused(tmp_path: Path) -> None:
    with refused("unknown_name", field="one-gpu-24gb-pmr", names=("one-gpu-24gb-prm",)):
        load_training("one-gpu-24gb-pmr")
    with refused("file_not_found", file=tmp_path / "none.yaml"):
        load_training(str(tmp_path / "none.yaml"))
    (tmp_path / "list.yaml").write_text("- 1\n")
    with refused("wrong_type", file=tmp_path / "list.yaml"):
        load_training(str(tmp_path / "list.yaml"))
    (tmp_path / "twice.yaml").write_text("kind: prm\nconfig: {seed: 1}\nconfig: {seed: 2}\n")
    with refused("duplicate", file=tmp_path / "twice.yaml", row=3, field="config"):
        load_training(str(tmp_path / "twice.yaml"))
    with refused("bad_value", names=("'seed'", "learning_rate=1e-5")):
        training_from(small(), "here", ["seed"])
    with refused("wrong_type", field="kind.x"):
        set_override(small(), "kind.x", 1)


def test_what_may_fail_of_a_trainings_run_decides_nothing() -> None:
    data = {"run": {"problems": {"set_aside": 0.3}}}
    assert (
        training_from(small(data=data), "here").fingerprint_fields()
        == training_from(small(data={"run": {"problems": {}}}), "here").fingerprint_fields()
    )


@pytest.mark.parametrize("name", launch_configs())
def test_accelerate_reads_each_launch_configuration(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    content = yaml.safe_load(launch_config(name).read_text())
    assert str(load_config_from_file(str(launch_config(name))).distributed_type.value) == content["distributed_type"]


def test_an_unknown_launch_configuration_names_the_nearest() -> None:
    assert launch_configs() == ["ddp", "fsdp2", "zero2", "zero3"]
    with refused("unknown_name", field="--launch", names=("fsdp2",)):
        launch_config("fsdp")


def test_reading_recipes_needs_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, stepward.recipes.training as t; t.load_training('er-prm-grid'); print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_a_recipe_is_json_and_back() -> None:
    recipe = load_training("er-prm-grid-cpu")
    assert TrainingRecipe.model_validate(recipe.model_dump(mode="json")) == recipe
