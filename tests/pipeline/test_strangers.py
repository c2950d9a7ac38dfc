"""A folder that somebody sends is read, and no code that it names is run; what writes into a run holds its lock."""

import copy
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from raising import holds, refused
from typer.testing import CliRunner

from stepward import cli, formats
from stepward.errors import StepwardError
from stepward.evaluation.score_files.io import read_all
from stepward.generation.interface import Generator, Sampling
from stepward.pipeline import report_data as page
from stepward.pipeline.reuse.fingerprints import Fingerprints
from stepward.pipeline.reuse.merge import merge_runs
from stepward.pipeline.reuse.other_run import source_run
from stepward.pipeline.show import show_problem
from stepward.pipeline.stages.extra_labels import compare_labels, judge_run, run_trees
from stepward.pipeline.training import train as training
from stepward.recipes.loading import load_run_recipe
from stepward.recipes.training import TrainingRecipe
from stepward.storage.files import lock_dir
from stepward.storage.manifest import Manifest
from stepward.storage.run_dir import Layout

pytestmark = pytest.mark.slow

CANARY = "from pathlib import Path\nPath({path!r}).write_text('ran')\ndef grade(reference, answer):\n    return True\n"


@pytest.fixture
def sent(whole: tuple[Path, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose manifest names a function of a module in the working folder, which leaves a file when imported."""
    folder = tmp_path / "sent"
    shutil.copytree(whole[0], folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["recipe"]["grader"] = "canary_grader:grade"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "canary_grader.py").write_text(CANARY.format(path=str(tmp_path / "canary")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def ended(*words: object) -> BaseException | None:
    """How a command ended: None where it went well."""
    done = CliRunner().invoke(cli.app, [str(word) for word in words])
    assert done.exit_code != 2, done.output
    return None if done.exit_code == 0 else done.exception


READING = (
    ("show", "RUN"),
    ("show", "RUN", "--split", "reward"),
    ("merge", "RUN", "--to", "merged"),
    ("label", "--from-rollouts", "RUN", "--kind", "soft"),
    ("match-steps", "RUN"),
    ("evaluate", "label-noise", "RUN#soft", "RUN#orm"),
    ("compare", "RUN", "RUN2"),
    ("convert", "RUN#soft", "rows.jsonl"),
    ("stats", "RUN#soft"),
    ("split", "RUN#soft", "parts", "--parts", "a=0.5,b=0.5"),
)


@pytest.mark.parametrize("words", READING, ids=lambda words: "-".join(words[:2]))
def test_reading_runs_no_code_that_the_folder_names(sent: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    if "RUN2" in words:
        shutil.copytree(sent, tmp_path / "other")
    ended(*(word.replace("RUN2", str(tmp_path / "other")).replace("RUN", str(sent)) for word in words))
    assert not (tmp_path / "canary").exists()


def test_a_page_asks_for_the_grader_and_takes_it_from_the_command_line_alone(sent: Path, tmp_path: Path) -> None:
    (sent / "report.html").unlink()
    holds(
        ended("report", sent), "untrusted_code", file=sent / "manifest.json", field="--grader",
        names=("canary_grader:grade", "math"),
    )  # fmt: skip
    assert not (tmp_path / "canary").exists() and not (sent / "report.html").exists()
    assert ended("report", sent, "--grader", "exact") is None
    assert not (tmp_path / "canary").exists() and (sent / "report.html").exists()
    assert ended("report", sent, "--grader", "canary_grader:grade") is None
    assert (tmp_path / "canary").exists()


def damaged(value: Any, random: Random) -> Any:
    """JSON with one thing in it gone, or another in its place."""
    others = (None, True, -1, 2**70, 1e300, "", "../x", [], {}, ["a"], {"a": 1}, "x" * 3_000)
    if not isinstance(value, dict | list) or not value or random.random() < 0.1:
        return random.choice(others)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    changed, key = copy.copy(value), random.choice(keys)
    if random.random() < 0.2:
        del changed[key]
    else:
        changed[key] = damaged(value[key], random)
    return changed


def read_in_every_way(folder: Path) -> Iterator[Callable[[], object]]:
    """What the verbs that read a run do, but for drawing the page."""
    yield lambda: show_problem(folder, "test", None, 2)
    yield lambda: show_problem(folder, "reward", None, 2)
    yield lambda: page._run(page._graded(load_run_recipe(folder), folder, None), Layout(folder)).views()
    yield lambda: read_all([folder])
    yield lambda: list(formats.read(f"{folder}#soft", on_fault=lambda fault: None))
    yield lambda: compare_labels(folder)
    yield lambda: list(run_trees(folder))
    yield lambda: source_run(folder, load_run_recipe(folder))
    yield lambda: Fingerprints(folder).fingerprint("scores", "orm/seed-0")
    yield lambda: merge_runs([folder], folder.with_name("merged"))


def test_a_damaged_manifest_is_read_or_refused_in_words(sent: Path) -> None:
    path = sent / "manifest.json"
    whole = json.loads(path.read_text())
    whole["recipe"]["grader"] = "math"
    random, read, refusals = Random(0), 0, 0
    for number in range(150):
        path.write_text(json.dumps(damaged(whole, random) if number else whole))
        for reading in read_in_every_way(sent):
            try:
                reading()
                read += 1
            except StepwardError:
                refusals += 1
        shutil.rmtree(sent.with_name("merged"), ignore_errors=True)
    assert read > 100 and refusals > 100


WRITING = (
    ("label", "--from-rollouts", "RUN", "--kind", "soft"),
    ("match-steps", "RUN"),
    ("consensus", "RUN", "--one", "soft", "--other", "orm"),
    ("report", "RUN", "--grader", "math"),
    ("report", "RUN", "--grader", "math", "--to", "RUN/other.html", "--data", "data"),
    ("merge", "RUN", "--to", "RUN"),
)


@pytest.mark.parametrize("words", WRITING, ids=lambda words: "-".join(words[:1]))
def test_who_writes_into_a_run_holds_its_lock(sent: Path, words: tuple[str, ...]) -> None:
    before = {path: path.stat().st_mtime_ns for path in sent.rglob("*") if path.is_file()}
    with lock_dir(sent):
        error = ended(*(word.replace("RUN", str(sent)) for word in words))
    holds(error, "locked", file=sent.resolve() if "report" in words else sent)
    assert {path: path.stat().st_mtime_ns for path in sent.rglob("*") if path.is_file()} == before


def test_a_judge_writes_into_no_run_that_is_held(sent: Path) -> None:
    with lock_dir(sent), refused("locked", file=sent):
        judge_run(sent, cast(Generator, None), sampling=Sampling())


def test_labels_that_are_made_again_are_still_the_runs(sent: Path) -> None:
    assert ended("label", "--from-rollouts", sent, "--kind", "soft") is None
    assert Manifest.read(sent).where("labels", "soft") == sent / "labels" / "soft.parquet"


def test_a_page_s_folder_is_its_own_or_new(sent: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "plots").mkdir(parents=True)
    kept = {mine / "plots" / "cost.png": "picture", mine / "plots" / "old.csv": "1", mine / "index.js": "code"}
    for path, text in kept.items():
        path.write_text(text)
    words = ("report", sent, "--grader", "math", "--to", tmp_path / "page.html", "--data")
    holds(ended(*words, mine), "file_exists", file=mine)
    holds(ended(*words, sent), "file_exists", file=sent)
    assert {path: path.read_text() for path in kept} == kept and not (tmp_path / "page.html").exists()
    for _ in range(2):
        assert ended(*words, tmp_path / "new") is None
    assert (tmp_path / "new" / "plots").is_dir()
    shutil.rmtree(tmp_path / "new" / "plots")
    (tmp_path / "new" / "plots").symlink_to(mine / "plots")
    holds(ended(*words, tmp_path / "new"), "unsafe_path", file=tmp_path / "new" / "plots")
    assert {path: path.read_text() for path in kept} == kept


def test_a_run_goes_through_no_link_and_begins_in_no_filled_folder(
    whole: tuple[Path, float], small: tuple[str, ...], tmp_path: Path
) -> None:
    precious = tmp_path / "precious" / "orm" / "seed-0"
    precious.mkdir(parents=True)
    (precious / "model.safetensors").write_text("kept")
    folder = tmp_path / "runs" / "linked"
    shutil.copytree(whole[0], folder)
    shutil.rmtree(folder / "rewards")
    (folder / "rewards").symlink_to(tmp_path / "precious")
    again = ("name=whole", "--runs", tmp_path / "runs", "--workers", 1)
    os.rename(folder, folder.with_name("whole"))
    holds(ended(*small, *again), "unsafe_path", file=folder.with_name("whole") / "rewards")
    filled = tmp_path / "runs" / "filled"
    shutil.copytree(tmp_path / "precious", filled / "rewards")
    holds(ended(*small, "name=filled", "--runs", tmp_path / "runs"), "file_exists", file=filled)
    for path in (precious, filled / "rewards" / "orm" / "seed-0"):
        assert (path / "model.safetensors").read_text() == "kept"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_training_removes_no_model_that_it_did_not_make(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_text("kept")
    recipe = cast(TrainingRecipe, None)
    with refused("file_exists", file=tmp_path / "model"):
        training._opened(tmp_path, recipe, resume=False, overwrite=overwrite)
    assert (tmp_path / "model" / "model.safetensors").read_text() == "kept"


def test_a_model_that_a_killed_run_left_goes_and_a_users_file_beside_it_stays(
    whole: tuple[Path, float], small: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "whole"
    shutil.copytree(whole[0], folder)
    manifest = Manifest.read(folder)
    del manifest.units("rewards")["orm/seed-0"]
    manifest.save()
    notes = folder / "rewards" / "orm" / "seed-0" / "thesis.odt"
    notes.write_text("kept")
    again = (*small, "name=whole", "--runs", tmp_path, "--workers", 1)
    holds(ended(*again), "file_exists", file=notes)
    assert notes.read_text() == "kept"
