"""`stepward train` as a user calls it: recipes and options, what it says, and how it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from raising import refused
from tiny_world import save_base

from stepward.cli import program as cli
from stepward.reward_models.scorer import load_scorer

torch.set_num_threads(1)

Ran = Callable[..., str]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Runs the command line in this process, and gives what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: object, code: int = 0) -> str:
        found = cli._run_command(lambda: cli.app(args=[str(word) for word in words]))
        said = capsys.readouterr()
        assert found == code, said.err
        assert "Traceback" not in said.err and "unforeseen" not in said.err
        return said.out + said.err

    return run


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    rows = [
        {
            "prompt": f"Start at {number}",
            "completions": ["plus 1 gives 2", f"so {number}"],
            "labels": [1.0, number / 20],
        }
        for number in range(20)
    ]
    rows.append({"prompt": "", "completions": ["a"], "labels": [1.0]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_options_alone_train_a_model(ran: Ran, base: Path, sums: Path, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("per_device_train_batch_size: 4\nlearning_rate: 1e-3\nnum_train_epochs: 2\n")
    words = ("train", "--kind", "prm", "--model", base, "--data", sums, "--eval", sums, "--config", "my.yaml")
    said = ran(*words, "--out", "out", "num_train_epochs=1", "data.limit=21")
    for part in (
        f"left out     {sums}: 1 ",
        "sums.jsonl row 21",
        "20 of 20 rows",
        "training     5 steps of 4 rows",
        "evaluation at step 5",
        "accuracy",
        "Reward model: out/model",
    ):
        assert part in said
    assert len(load_scorer(tmp_path / "out" / "model").score("Start at 3", ["plus 1 gives 2", "so 3"]).steps) == 2
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["recipe"]["config"]["learning_rate"] == 1e-3
    again = ran(*words, "--out", "out", code=1)
    assert "out: " in again and "--overwrite" in again and "[file_exists]" in again


TWIN = ("train", "one-gpu-24gb-orm-cpu")


@pytest.mark.parametrize(
    ("words", "code", "field", "names"),
    [
        (("train",), "missing", "--kind", ("--model", "--data")),
        (("train", "--kind", "prm", "--model", "m"), "missing", "--data", ()),
        (("train", "one-gpu-24gb"), "unknown_name", "one-gpu-24gb", ("one-gpu-24gb-orm-cpu",)),
        ((*TWIN, "learning_rat=1"), "unknown_name", "learning_rat", ("learning_rate",)),
        ((*TWIN, "dat.limit=1"), "unknown_name", "dat", ("data",)),
        ((*TWIN, "data.limt=1"), "unknown_name", "data.limt", ("limit",)),
        ((*TWIN, "loss=q_ranking", "--out", "o"), "bad_value", "loss", ("'q_ranking'", "cross_entropy", "mse")),
        ((*TWIN, "--data", "none.jsonl", "--out", "o"), "file_not_found", None, ("none.jsonl",)),
        ((*TWIN, "--config", "none.yaml"), "file_not_found", None, ("--config", "none.yaml")),
        ((*TWIN, "--workers", "2"), "conflict", "--workers", ("grid.FIELD=A,B",)),
        (("train", "er-prm-grid-cpu", "--ray", "grid.eta=x"), "wrong_type", "data.eta", ("'x'",)),
        (("list", "trainings", "--launch", "fsdp3"), "unknown_name", "--launch", ("fsdp3", "fsdp2")),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: str,
    field: str | None,
    names: tuple[object, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    with refused(code, field=field, names=names):
        cli.app(args=list(words))


def test_the_recipes_are_listed(ran: Ran) -> None:
    said = ran("list", "trainings")
    assert "one-gpu-24gb-bt-cpu" in said and "er-prm-grid" in said
    assert Path(ran("list", "trainings", "--launch", "fsdp2").strip()).is_file()


def test_er_prms_twin_makes_its_rollouts_once_for_every_eta(ran: Ran, tmp_path: Path) -> None:
    words = ("train", "er-prm-grid-cpu", "data.run.problems.reward=8", "data.held_out=0.3", "grid.learning_rate=1e-3")
    said = ran(*words, "grid.seed=0", "--out", "grid")
    assert said.count("rollouts     1 of 1 units") == 1
    assert "er-prm-grid-cpu: 2 cells, 0 of them finished before" in said and "eta=0.1" in said and "Figures: " in said
    cells = json.loads((tmp_path / "grid" / "grid.json").read_text())["cells"]
    assert [cell["values"]["eta"] for cell in cells] == [0.1, 10.0]
    head = load_scorer(tmp_path / "grid" / cells[0]["folder"] / "model").description.head
    assert (head.kind, head.label_tokens) == ("label_tokens", ("+", "-"))
    assert "2 cells, 2 of them finished before" in ran(*words, "grid.seed=0", "--out", "grid")


@pytest.mark.parametrize(
    ("name", "kind", "figure"),
    [
        ("lets-verify-prm800k-cpu", "linear", "first_error_f1"),
        ("one-gpu-24gb-prm-cpu", "label_tokens", "auc"),
        ("one-gpu-24gb-orm-cpu", "linear", "auc"),
        ("one-gpu-24gb-bt-cpu", "scalar", "pair_accuracy"),
    ],
)
def test_the_twins_run(ran: Ran, tmp_path: Path, name: str, kind: str, figure: str) -> None:
    said = ran("train", name, "data.limit=48", "--out", "out", "max_steps=2")
    assert "training     2 steps of" in said
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert figure in manifest["stages"]["training"]["units"]["model"]["metrics"]
    described = json.loads((tmp_path / "out" / "model" / "stepward_reward_model.json").read_text())
    assert described["head"]["kind"] == kind and described["base"] == "embedded"
