"""From a recipe to a trained model: options, rows of every source, stopping and going on, grids."""

import json
import re
import shutil
import sys
from dataclasses import fields
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from raising import refused
from rich.console import Console
from safetensors.torch import load_file
from tiny_world import save_base

from stepward.labeling.labels import entropy_regularized
from stepward.pipeline.training import sweep as training_grid
from stepward.pipeline.training.dataset import Source, load_rows
from stepward.pipeline.training.options import checked, make_config
from stepward.pipeline.training.paths import model_folder
from stepward.pipeline.training.progress import TrainingProgress, figures
from stepward.pipeline.training.sweep import grid_table, runs, tabulate, train_grid
from stepward.pipeline.training.synthetic import world_preferences, world_solutions
from stepward.pipeline.training.train import finished, train
from stepward.problems.arithmetic.checker import first_error
from stepward.recipes.training import Data, TrainingRecipe, training_from
from stepward.records import Problem, Solution, StepLabels, StepRollouts, prefix_id, solution_id
from stepward.reward_models.configs import ORMConfig, PRMConfig, RewardConfig
from stepward.reward_models.model_dir import read_metadata
from stepward.reward_models.scorer import load_scorer
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import write_shard
from stepward.storage.run_dir import Layout

torch.set_num_threads(1)
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    """Rows in TRL's columns: 12 problems with two solutions each."""
    path = tmp_path / "sums.jsonl"
    rows = [
        {
            "prompt": f"Start at {number} plus 3",
            "completions": [f"{number} plus 1 {word} {number + 1}", f"the answer is {number}"],
            "labels": [word == "gives", word == "gives"],
        }
        for number in range(12)
        for word in ("gives", "wrong")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with rollouts: five problems, a solution of three steps each, whose first step leads on 2, its second 1
    time of 4."""
    folder = tmp_path_factory.mktemp("run")
    problems = [Problem(f"p{number}", f"Start at {number}", str(number)) for number in range(5)]
    solutions, counts = [], []
    for problem in problems:
        steps = (f"{problem.id} gives 1", "plus 2", f"the answer is {problem.reference}")
        solutions.append(Solution(solution_id(problem.id, steps), problem.id, steps, problem.reference, True))
        for end, right in ((1, 2), (2, 1)):
            id_ = prefix_id(problem.id, steps[:end])
            counts.append(StepRollouts(id_, problem.id, steps[:end], 4, right))
    manifest, layout = Manifest.start(folder, {"name": "run"}), Layout(folder)
    shards: dict[tuple[str, str], tuple[list[Any], type]] = {
        ("problems", "reward"): (problems, Problem),
        ("solutions", "reward-0000"): (solutions, Solution),
        ("rollouts", "reward-0000"): (counts, StepRollouts),
    }
    for (stage, unit), (records, kind) in shards.items():
        write_shard(layout.shard(stage, unit), records, kind)
        manifest.finish(stage, unit, layout.shard(stage, unit), **({"problems": 5} if stage == "problems" else {}))
    return folder


def recipe_of(model: Path | str, data: dict[str, Any], kind: str = "prm", **changes: Any) -> TrainingRecipe:
    content = {"name": "small", "kind": kind, "model": str(model), "data": data, **changes}
    return checked(training_from(content, "here"))


def read(source: Path | str, kind: str = "prm", **data: Any) -> tuple[list[dict[str, Any]], list[str]]:
    one = Source(str(source), Data(train="x", **data), kind)
    return list(one.rows()), one.sentences()


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


# Options.


def test_options_are_taken_as_their_types_say() -> None:
    options = {"learning_rate": "1e-6", "label_tokens": "+,-", "eval_steps": 5, "lr_scheduler_type": "cosine"}
    config = make_config(recipe_of("m", {"train": "x"}, config=options), Path("out"), evaluates=False)
    assert isinstance(config, PRMConfig)
    assert (config.learning_rate, config.label_tokens, config.output_dir) == (1e-6, ("+", "-"), "out")
    assert config.eval_strategy == "no" and config.report_to == [] and config.disable_tqdm
    assert isinstance(make_config(recipe_of("m", {"train": "x"}, "orm"), Path("out"), False), ORMConfig)


@pytest.mark.parametrize(
    ("options", "code", "names"),
    [
        ({"learning_rat": 1}, "unknown_name", ("learning_rate",)),
        ({"evaluation_strategy": "epoch"}, "unknown_name", ("eval_strategy",)),
        ({"center_rewards_coefficient": 0.1}, "unknown_name", ()),
        ({"qqqqq": 1}, "unknown_name", ("docs/training.md",)),
        ({"learning_rate": "fast"}, "wrong_type", ("'fast'",)),
        ({"num_train_epochs": None}, "wrong_type", (None,)),
        ({"gradient_checkpointing": "sometimes"}, "wrong_type", ("'sometimes'",)),
        ({"head": "heavy"}, "wrong_type", ("'heavy'",)),
    ],
)
def test_an_option_that_is_none_or_of_another_type_is_named(
    options: dict[str, Any], code: str, names: tuple[object, ...]
) -> None:
    with refused(code, field=next(iter(options)), names=(*options, *names)):
        recipe_of("m", {"train": "x"}, config=options)


def test_options_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    recipe = recipe_of("m", {"train": "x"}, config={"loss": "q_ranking", "num_labels": 3})
    with refused("bad_value", field="loss", names=("'q_ranking'", "cross_entropy")):
        make_config(recipe, tmp_path, evaluates=False)
    recipe = recipe_of("m", {"train": "x"}, config={"lr_scheduler_type": "wavy"})
    with refused("bad_value", field="config", names=("wavy",)):
        make_config(recipe, tmp_path, evaluates=False)


def test_a_grids_values_are_checked_before_anything_is_trained() -> None:
    assert recipe_of("m", {"train": "x"}, grid={"learning_rate": ["1e-6", 2]}).grid == {"learning_rate": [1e-6, 2.0]}
    for grid, code, field, names in (
        ({"sed": [1]}, "unknown_name", "sed", ("seed",)),
        ({"learning_rate": ["x"]}, "wrong_type", "learning_rate", ("'x'",)),
        ({"data.limit": [0]}, "bad_value", "data.limit", (0,)),
        ({"seed": [1, 1]}, "duplicate", "grid.seed", ([1, 1],)),
    ):
        with refused(code, field=field, names=names):
            recipe_of("m", {"train": "x"}, grid=grid)


def test_the_options_that_the_page_for_trls_users_names_are_there() -> None:
    page = (Path(__file__).parents[2] / "docs" / "from-trl.md").read_text()
    same = next(line for line in page.splitlines() if line.endswith("| the same names |"))
    new = page[page.index("New here:") : page.index("Each is\ndescribed")]
    known = {field.name for config in (PRMConfig, ORMConfig, RewardConfig) for field in fields(config)}
    named = set(re.findall(r"`(\w+)`", same)) | set(re.findall(r"[ ,\n]`(\w+)`", re.sub(r"\(.*?\)", "", new)))
    assert len(named) > 15 and named <= known


# Rows.


def test_steps_come_with_labels_and_neutral_ones(tmp_path: Path) -> None:
    rated = [{"text": "a", "rating": 1}, {"text": "b", "rating": 0}]
    step = {"completions": [{**one, "flagged": False} for one in rated], "human_completion": None}
    row = {
        "question": {"problem": "Q?", "ground_truth_answer": "1"},
        "label": {"steps": [{**step, "chosen_completion": 0}], "finish_reason": "solution", "total_time": 1},
    }
    rows, said = read(write(tmp_path / "x.jsonl", row), format="prm800k")
    assert [(one["completions"], one["labels"], one["neutral"]) for one in rows] == [
        (["a"], [1.0], []),
        (["b"], [None], [0]),
    ]
    assert not said and rows[0]["prompt"] == "Q?" and "row 1" in rows[0]["id"]


def test_a_grade_is_the_records_own_or_its_last_steps(tmp_path: Path) -> None:
    graded = {"question": "Q?", "steps": ["a", "b"], "labels": [1.0, 0.25], "correct": True}
    shepherd = {"input": "Q? Step 1: a ки\nStep 2: b ки", "label": "Q? Step 1: a +\nStep 2: b -", "task": "T"}
    rows, _ = read(write(tmp_path / "s.jsonl", shepherd), "orm")
    assert (rows[0]["label"], rows[0]["completions"], rows[0]["prompt"]) == (0.0, ["Step 1: a", "Step 2: b"], "Q?")
    bench = {**graded, "id": "1", "generator": "g", "problem": "Q?", "final_answer_correct": True, "label": 1}
    del bench["question"], bench["labels"], bench["correct"]
    rows, _ = read(write(tmp_path / "b.jsonl", bench), "orm", format="processbench")
    assert rows[0]["label"] == 1.0, "its answer is right, though its second step is not"


def test_what_cannot_be_trained_on_is_counted_with_its_reason(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.jsonl",
        {"prompt": "Q?", "completions": ["a"], "labels": [True]},
        {"prompt": "Q?", "completions": ["a"], "labels": [True, False]},
        {"prompt": "", "completions": ["a"], "labels": [True]},
        {"prompt": " ", "completions": ["a"], "labels": [True]},
    )
    rows, said = read(path)
    assert len(rows) == 1 and len(said) == 2
    assert any(": 1 " in line and "'labels'" in line and "x.jsonl row 2" in line for line in said)
    assert any(": 2 " in line and "x.jsonl row 3" in line for line in said)
    unasked = write(tmp_path / "y.jsonl", {"text": "a ки", "value": [0.5]})
    with refused("empty", file=unasked, names=("prm", "y.jsonl row 1")):
        load_rows(recipe_of("m", {"train": str(unasked)}), tmp_path)


def test_records_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", {"prompt": "Q?", "chosen": "a", "rejected": "b"})
    with refused("mismatch", file=path, names=("Preference", "prm", "LabelledSolution")):
        read(path)


def test_preferences_are_text_or_chat_or_one_text(tmp_path: Path) -> None:
    plain = write(tmp_path / "p.jsonl", {"prompt": "Q?", "chosen": "a", "rejected": "b", "margin": 2})
    assert read(plain, "bt")[0] == [
        {"id": "p.jsonl row 1", "prompt": "Q?", "chosen": "a", "rejected": "b", "margin": 2}
    ]
    assert "data.chat asks for chat" in read(plain, "bt", chat=True)[1][0]
    dialogue = {"chosen": "\n\nHuman: Q?\n\nAssistant: a", "rejected": "\n\nHuman: Q?\n\nAssistant: b"}
    spoken = write(tmp_path / "c.jsonl", dialogue)
    assert read(spoken, "bt", chat=False)[0] == [{**dialogue, "id": "c.jsonl row 1"}]
    (row,) = read(spoken, "bt")[0]
    assert row["prompt"] == [{"role": "user", "content": "Q?"}]
    assert row["chosen"] == [{"role": "assistant", "content": "a"}]


def test_the_trainers_own_columns_pass_as_they_are(tmp_path: Path) -> None:
    for kind, row in (
        ("prm", {"input_ids": [1, 2], "labels": [-100, 1]}),
        ("orm", {"prompt": "Q?", "completion": "a", "label": True}),
        ("bt", {"chosen_ids": [1], "rejected_ids": [2]}),
    ):
        assert read(write(tmp_path / "x.jsonl", row), kind)[0] == [{"id": "x.jsonl row 1", **row}]


def test_a_runs_rollouts_are_labelled_for_each_eta(run: Path, tmp_path: Path) -> None:
    for eta in (0.1, 10.0):
        rows, _ = read(run, labels="er", eta=eta)
        expected = [entropy_regularized(0.5, eta), entropy_regularized(0.25, eta), 1.0]
        assert [row["labels"] for row in rows] == [pytest.approx(expected)] * 5
    assert read(run, labels="hard")[0][0]["labels"] == [1.0, 1.0, 1.0]
    data = {"train": str(run), "labels": "soft", "held_out": 0.5, "eval_labels": "hard"}
    loaded = load_rows(recipe_of("m", data), tmp_path)
    assert {row["prompt"] for row in loaded.train}.isdisjoint(row["prompt"] for row in loaded.evaluation)
    assert len(loaded.train) + len(loaded.evaluation) == 5
    assert loaded.train[0]["labels"] == [0.5, 0.25, 1.0] and loaded.evaluation[0]["labels"] == [1.0, 1.0, 1.0]


def test_er_labels_take_the_runs_eta_where_none_is_given(base: Path, run: Path, tmp_path: Path) -> None:
    """And what was taken is said: in the manifest, the model's description and its card."""
    mine = shutil.copytree(run, tmp_path / "mine")
    content = json.loads((mine / "manifest.json").read_text())
    content["recipe"] = {"name": "run", "labels": {"eta": 7.0}}
    (mine / "manifest.json").write_text(json.dumps(content))
    expected = [entropy_regularized(0.5, 7.0), entropy_regularized(0.25, 7.0), 1.0]
    assert read(mine, labels="er")[0][0]["labels"] == pytest.approx(expected)
    config = {"max_steps": 1, "per_device_train_batch_size": 2}
    facts = train(recipe_of(base, {"train": str(mine), "labels": "er"}, config=config), tmp_path / "a", QUIET)
    assert facts["eta"] == read_metadata(tmp_path / "a" / "model").eta == 7.0
    card = (tmp_path / "a" / "model" / "README.md").read_text()
    assert yaml.safe_load(card.split("```yaml")[1].split("```")[0])["data"]["eta"] == 7.0
    given = {"train": str(mine), "labels": "er", "eta": 0.5, "eval": str(run)}
    loaded = load_rows(recipe_of("m", given), tmp_path)
    assert loaded.eta == 0.5
    assert loaded.evaluation[0]["labels"][0] == pytest.approx(entropy_regularized(0.5, 0.5)), "as it was trained on"


def test_the_eta_of_a_runs_own_labels_is_said_too(run: Path, tmp_path: Path) -> None:
    mine, layout = shutil.copytree(run, tmp_path / "mine"), Layout(tmp_path / "mine")
    manifest = Manifest.read(mine)
    for kind, eta in (("er", 3.0), ("hard", None)):
        labels = [
            StepLabels(one.id, one.problem_id, kind, (1.0, float(number > 2), 0.0), eta)
            for number, one in enumerate(layout.solutions("reward"))
        ]
        write_shard(layout.shard("labels", kind), labels, StepLabels)
        manifest.finish("labels", kind, layout.shard("labels", kind))
    assert load_rows(recipe_of("m", {"train": f"{mine}#er"}), tmp_path).eta == 3.0
    assert load_rows(recipe_of("m", {"train": f"{mine}#hard"}), tmp_path).eta is None


def test_labels_computed_again_are_of_a_run(sums: Path, tmp_path: Path) -> None:
    with refused("conflict", file=sums, field="data.labels"):
        load_rows(recipe_of("m", {"train": str(sums), "labels": "soft"}), tmp_path)


def test_labels_that_are_all_equal_are_refused_with_their_file(base: Path, tmp_path: Path) -> None:
    rows = [{"prompt": f"Start at {n}", "completions": ["a", "b"], "labels": [True, True]} for n in range(4)]
    path = write(tmp_path / "same.jsonl", *rows)
    with refused("degenerate", file=path, field="labels", names=(path,)):
        train(recipe_of(base, {"train": str(path)}, config={"max_steps": 2}), tmp_path / "a", QUIET)
    assert finished(tmp_path / "a") is None
    data = {"train": str(path), "stream": True}
    with refused("degenerate", file=path, field="labels", names=(path,)):
        train(recipe_of(base, data, config={"max_steps": 2}), tmp_path / "b", QUIET)
    assert finished(tmp_path / "b") is None


def test_a_problem_is_held_out_with_all_its_rows(sums: Path, tmp_path: Path) -> None:
    loaded = load_rows(recipe_of("m", {"train": str(sums), "held_out": 0.3}), tmp_path)
    assert {row["prompt"] for row in loaded.train}.isdisjoint(row["prompt"] for row in loaded.evaluation)
    assert len(loaded.train) + len(loaded.evaluation) == 24
    with refused("too_few", file=sums, field="data.held_out", names=(0.001,)):
        load_rows(recipe_of("m", {"train": str(sums), "held_out": 0.001}), tmp_path)


def test_the_arithmetic_worlds_labels_are_its_checkers() -> None:
    some = [one for _, one in zip(range(200), world_solutions(), strict=False)]
    assert {one.correct for one in some} == {True, False} and any(one.neutral for one in some)
    for one in some:
        steps = [step for place, step in enumerate(one.steps) if place not in one.neutral]
        labels = [label for place, label in enumerate(one.labels) if place not in one.neutral]
        error = first_error(one.question, steps)
        first = len(steps) if error is None else min(error.step, len(steps) - 1)
        assert labels == [float(place < first) for place in range(len(steps))]
        assert one.correct == (error is None)
    for _, pair in zip(range(20), world_preferences(), strict=False):
        question = pair.prompt[0].content.strip()
        assert first_error(question, pair.chosen[0].content.split("\n")) is None
        assert first_error(question, pair.rejected[0].content.split("\n")) is not None


# Training.


def quick(base: Path, sums: Path, **config: Any) -> TrainingRecipe:
    options = {"per_device_train_batch_size": 4, "num_train_epochs": 1, "learning_rate": 1e-3, **config}
    return recipe_of(base, {"train": str(sums), "held_out": 0.3}, config=options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def test_a_training_leaves_a_model_a_card_and_its_figures(base: Path, sums: Path, tmp_path: Path) -> None:
    recipe = quick(base, sums)
    assert finished(tmp_path / "a") is None
    facts = train(recipe, tmp_path / "a", QUIET)
    assert finished(tmp_path / "a") == {"path": "model", **facts}
    assert facts["rows"]["train"]["kept"] + facts["rows"]["eval"]["kept"] == 24
    assert facts["metrics"]["loss"] > 0 and 0 <= facts["metrics"]["accuracy"] <= 1
    assert read_metadata(tmp_path / "a" / "model").base == str(base)
    assert len(load_scorer(tmp_path / "a" / "model").score("Start at 1 plus 3", ["1 plus 1 gives 2"]).steps) == 1
    card = (tmp_path / "a" / "model" / "README.md").read_text()
    assert "AutoModelForTokenClassification" in card and f"| loss | {facts['metrics']['loss']:.4f} |" in card
    assert not list((tmp_path / "a").rglob("model/*.bin"))
    with refused("file_exists", file=tmp_path / "a", names=("--overwrite", "--out")):
        train(recipe, tmp_path / "a", QUIET)
    with refused("file_exists", file=tmp_path / "a"):
        train(recipe, tmp_path / "a", QUIET, resume=True)
    before = weights(tmp_path / "a")
    screen = Console(file=StringIO(), force_terminal=True, width=80)
    train(quick(base, sums, seed=7), tmp_path / "a", screen, overwrite=True)
    assert isinstance(screen.file, StringIO) and "evaluation at step" in screen.file.getvalue()
    assert any(not torch.equal(value, before[name]) for name, value in weights(tmp_path / "a").items())


def test_a_stopped_training_goes_on_to_the_same_model(
    base: Path, sums: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = quick(base, sums, save_steps=1)
    whole = train(recipe, tmp_path / "whole", QUIET)

    def stop(self: TrainingProgress, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingProgress, "on_step_end", stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "cut", QUIET)
    assert finished(tmp_path / "cut") is None
    with refused("unfinished", file=tmp_path / "cut", names=("--resume", "--overwrite")):
        train(recipe, tmp_path / "cut", QUIET)
    with refused("changed", file=tmp_path / "cut", field="config.learning_rate", names=("0.001 -> 0.1",)):
        train(quick(base, sums, save_steps=1, learning_rate=0.1), tmp_path / "cut", QUIET, resume=True)
    (tmp_path / "cut" / "checkpoints" / "checkpoint-4").mkdir()  # one that was under way when it was stopped
    resumed = train(quick(base, sums, save_steps=2), tmp_path / "cut", QUIET, resume=True)
    assert resumed["metrics"] == pytest.approx(whole["metrics"], rel=1e-5)
    expected = weights(tmp_path / "whole")
    for name, value in weights(tmp_path / "cut").items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6)


def test_a_training_that_stopped_before_its_first_checkpoint_starts_again(
    base: Path, sums: Path, tmp_path: Path
) -> None:
    with refused("file_not_found", file=base / "no-such"):
        train(recipe_of(base / "no-such", {"train": str(sums)}), tmp_path / "a", QUIET)
    train(quick(base, sums, max_steps=1), tmp_path / "a", QUIET)


def test_another_programs_folder_is_left_alone(base: Path, sums: Path, run: Path) -> None:
    with refused("mismatch", file=run, names=("--out",)):
        train(quick(base, sums), run, QUIET, overwrite=True)
    assert (run / "manifest.json").exists()


def test_streamed_rows_need_an_end(base: Path, sums: Path, tmp_path: Path) -> None:
    data = {"train": str(sums), "stream": True, "eval": {"some": str(sums), "again": str(sums)}}
    options = {"per_device_train_batch_size": 4, "max_steps": 8}
    with refused("missing", field="max_steps", names=("data.stream",)):
        train(recipe_of(base, data), tmp_path / "a", QUIET)
    facts = train(recipe_of(base, data, config=options), tmp_path / "a", QUIET)
    assert facts["steps"] == 8, "24 rows are read more than once"
    assert facts["metrics"]["some_loss"] == facts["metrics"]["again_loss"]


def test_several_processes_may_tokenise(base: Path, sums: Path, tmp_path: Path) -> None:
    recipe = quick(base, sums, dataset_num_proc=2)
    loaded = load_rows(recipe, tmp_path)
    assert type(loaded.train).__name__ == "Dataset" and len(loaded.train) < 24


def test_an_adapter_is_saved_alone_and_merged(base: Path, sums: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    adapter = {"r": 2, "target_modules": "all-linear"}
    recipe = quick(base, sums, max_steps=2).model_copy(update={"adapter": adapter})
    train(recipe, tmp_path / "a", QUIET)
    assert (tmp_path / "a" / "adapter" / "adapter_model.safetensors").exists()
    assert set(weights(tmp_path / "a")) > {"score.weight"}
    assert load_scorer(tmp_path / "a" / "model").score("Start at 1 plus 3", ["1 plus 1 gives 2"]).steps
    with refused("bad_value", field="adapter", names=("rank", "LoraConfig")):
        train(recipe.model_copy(update={"adapter": {"rank": 2}}), tmp_path / "b", QUIET)


def test_a_model_is_a_folder_a_hub_name_or_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert model_folder(str(tmp_path)) == str(tmp_path)
    assert (Path(model_folder("embedded")) / "model.safetensors").exists()
    with refused("file_not_found", file="nowhere", names=("nowhere", "hf://owner/name", "embedded")):
        model_folder("nowhere")

    def missing(name: str, **kwargs: Any) -> str:
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", missing)
    with refused("unreachable", names=("hf://owner/name", "no network")):
        model_folder("owner/name")


def test_figures_leave_timings_out() -> None:
    found = figures({"eval_loss": 0.5, "eval_runtime": 3.0, "eval_steps_per_second": 1.0, "epoch": 1.0})
    assert found == {"loss": 0.5}


# Grids.


def test_cells_are_every_combination() -> None:
    recipe = recipe_of("m", {"train": "x"}, grid={"learning_rate": ["1e-6", 0.5], "seed": [0, 1], "model": ["a/b"]})
    names = list(runs(recipe))
    assert names[0] == "learning_rate=1e-06,seed=0,model=a_b" and len(names) == 4
    clash = recipe_of("m", {"train": "x"}, grid={"model": ["a/b", "a_b"]})
    with refused("duplicate", field="grid", names=("model=a_b",)):
        runs(clash)


def test_the_table_has_mean_and_deviation_over_seeds() -> None:
    losses = {(1.0, 0): 0.5, (1.0, 1): 0.7, (2.0, 0): 0.3, (2.0, 1): 0.3}
    done = {
        f"{eta}-{seed}": ({"eta": eta, "seed": seed}, {"metrics": {"loss": loss}, "loss": 9.0})
        for (eta, seed), loss in losses.items()
    }
    first, second = tabulate(done)
    assert first.values == {"eta": 1.0} and first.seeds == 2
    assert first.metrics["loss"] == pytest.approx((0.6, 0.02**0.5))
    assert second.metrics["loss"] == pytest.approx((0.3, 0.0))
    console = Console(record=True, width=80)
    console.print(grid_table([first, second], "grid"))
    assert "0.600 ± 0.141" in console.export_text()
    (alone,) = tabulate({"a": ({"seed": 0}, {"metrics": {}, "loss": 0.25})})
    assert alone.metrics == {"training_loss": (0.25, None)}


@pytest.fixture
def grid(base: Path, run: Path) -> TrainingRecipe:
    data = {"train": str(run), "labels": "er", "held_out": 0.5, "eval_labels": "hard"}
    config = {"max_steps": 1, "per_device_train_batch_size": 2, "learning_rate": 1e-3, "save_strategy": "no"}
    return recipe_of(base, data, config=config, grid={"eta": [0.1, 10], "seed": [0, 1]})


def test_a_grid_trains_each_cell_once(grid: TrainingRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = train_grid(grid, tmp_path, QUIET, overwrite=False)
    assert [line.values for line in lines] == [{"eta": 0.1}, {"eta": 10.0}] and {line.seeds for line in lines} == {2}
    written = json.loads((tmp_path / "grid.json").read_text())
    assert [one["folder"] for one in written["cells"]] == list(runs(grid))
    mean, deviation = lines[0].metrics["loss"]
    assert written["table"][0]["metrics"]["loss"] == {"mean": mean, "deviation": deviation}
    assert read_metadata(tmp_path / "eta=10,seed=0" / "model").eta == 10
    trained: list[str] = []
    real = training_grid.train_cell
    monkeypatch.setattr(training_grid, "train_cell", lambda name, *rest: trained.append(name) or real(name, *rest))
    shutil.rmtree(tmp_path / "eta=10,seed=1")
    again = train_grid(grid, tmp_path, QUIET, overwrite=False)
    assert trained == ["eta=10,seed=1"]
    for line, before in zip(again, lines, strict=True):
        assert line.metrics.keys() == before.metrics.keys()
        assert all(figures == pytest.approx(before.metrics[name]) for name, figures in line.metrics.items())
    changed = grid.model_copy(update={"config": {**grid.config, "weight_decay": 0.5}})
    with refused("changed", field="config.weight_decay", names=("None -> 0.5",)):
        train_grid(changed, tmp_path, QUIET, overwrite=False)


def test_ray_is_used_when_asked_for(grid: TrainingRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with refused("missing_dependency", field="--ray", names=("stepward[ray]",)):
        train_grid(grid, tmp_path, QUIET, ray=True, overwrite=False)
    called: list[tuple[Any, ...]] = []

    class Remote:
        def __init__(self, task: Any) -> None:
            self.task = task

        def remote(self, *arguments: Any) -> int:
            called.append(arguments)
            return len(called) - 1

    fake = ModuleType("ray")
    fake.init = lambda **options: None  # type: ignore[attr-defined]
    fake.remote = lambda **options: Remote  # type: ignore[attr-defined]
    fake.wait = lambda pending, num_returns: (pending[-1:], pending[:-1])  # type: ignore[attr-defined]
    facts = {"metrics": {"loss": 0.5}, "loss": 1.0}
    fake.get = lambda reference: {**facts, "steps": reference}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", fake)
    lines = train_grid(grid, tmp_path, QUIET, ray=True, overwrite=False)
    assert [arguments[0] for arguments in called] == list(runs(grid))
    assert [line.metrics["loss"][0] for line in lines] == [0.5, 0.5]
    steps = [one["steps"] for one in json.loads((tmp_path / "grid.json").read_text())["cells"]]
    assert steps == [0, 1, 2, 3], "each cell's own, though the last was done first"
