"""`stepward plan` as a user calls it: by a recipe, by options alone, and where it does not fit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from raising import refused
from tiny_world import save_base
from transformers import LlamaConfig

from stepward.cli import program as cli

GIB = 2**30
Planned = Callable[..., tuple[int, str]]


@pytest.fixture
def planned(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """Runs the verb in this process: its exit code, and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> tuple[int, str]:
        code = cli._run_command(lambda: cli.app(args=["plan", *map(str, words)]))
        said = capsys.readouterr()
        assert "Traceback" not in said.err and "unforeseen" not in said.err, said.err
        return code, said.err + said.out

    return run


@pytest.fixture
def shape(tmp_path: Path) -> Path:
    """A configuration of a model of which nothing else is there."""
    config = LlamaConfig(
        vocab_size=2000,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
    )
    config.save_pretrained(tmp_path / "shape")
    return tmp_path / "shape" / "config.json"


def facts(found: tuple[int, str], code: int = 0) -> dict[str, Any]:
    assert found[0] == code, found[1]
    read: dict[str, Any] = json.loads(found[1].splitlines()[-1])
    return read


def line_of(said: str, label: str) -> str:
    """The plan's line of this label."""
    (line,) = [line for line in said.splitlines() if line.startswith(label + " ")]
    return line


def test_a_plan_by_options_alone_needs_no_weights(planned: Planned, shape: Path) -> None:
    found = facts(planned("--kind", "prm", "--model", shape, "--card", "a10", "--tokens", "2e9", "--json"))
    size = found["parameters"]
    assert found["trained"] == size
    assert found["bytes"]["weights"] == found["bytes"]["gradients"] == 4 * size
    assert found["bytes"]["optimiser"] == 8 * size
    assert found["bytes"]["total"] == sum(part for name, part in found["bytes"].items() if name != "total")
    assert found["memory"] == 22.5 * GIB
    assert found["fits"] and found["advice"] == []
    assert found["tokens"] == 3 * 2e9  # three epochs are transformers' default
    assert found["hours"] == pytest.approx(found["flops"] / (125e12 * 0.4) / 3600)


def test_options_count(planned: Planned, shape: Path) -> None:
    options = ("--kind", "prm", "--model", shape, "--json")
    plain = facts(planned(*options))["bytes"]
    smaller = facts(planned(*options, "gradient_checkpointing=true", "optim=sgd", "per_device_train_batch_size=1"))
    assert smaller["bytes"]["optimiser"] == 0
    assert smaller["bytes"]["activations"] < plain["activations"] / 4
    shared = facts(planned(*options, "--gpus", 2, "--sharding", "fsdp"))["bytes"]
    assert shared["weights"] == plain["weights"] // 2


def test_what_does_not_fit_ends_with_1_and_says_what_to_change(planned: Planned, shape: Path) -> None:
    options = ("--kind", "prm", "--model", shape, "--memory", "0.15", "--reserve", "0", "max_length=512")
    code, said = planned(*options, "per_device_train_batch_size=8")
    assert code == 1
    assert "gradient_checkpointing=true" in said
    found = facts(planned(*options, "per_device_train_batch_size=8", "--json"), code=1)
    assert not found["fits"]
    totals = [one["total"] for one in found["advice"]]
    assert totals[-1] <= found["memory"] < min([*totals[:-1], found["bytes"]["total"]])


def test_a_recipe_is_planned_with_its_data(planned: Planned) -> None:
    code, said = planned("one-gpu-24gb-prm-cpu", "data.limit=40")
    assert code == 0, said
    assert "(counted)" in line_of(said, "tokens")
    assert "40%" in line_of(said, "operations")


def test_rows_beyond_those_counted_are_estimated(planned: Planned, tmp_path: Path) -> None:
    base = save_base(tmp_path / "base")
    rows = [
        {"prompt": f"{n} is where to start", "completions": ["plus 3", f"gives {n + 3}"], "labels": [True, True]}
        for n in range(100, 900, 20)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("--kind", "prm", "--model", base, "--data", data, "num_train_epochs=2", "--json")
    whole, part = facts(planned(*options)), facts(planned(*options, "--count", 20))
    assert whole["rows"]["counted"] == whole["rows"]["rows"] == 40
    assert whole["tokens"] == 2 * whole["rows"]["computed"]
    assert part["rows"]["counted"] == 20 and part["rows"]["kept"] == 40
    assert part["tokens_from"] == "estimated from the first 20 of 40 rows"
    assert part["tokens"] == pytest.approx(whole["tokens"], rel=0.2)


def test_data_that_are_not_there_leave_the_memory_planned(planned: Planned, shape: Path) -> None:
    code, said = planned("--kind", "prm", "--model", shape, "--data", "none.jsonl")
    assert code == 0
    assert "--tokens" in line_of(said, "tokens") and "hours" not in said


@pytest.mark.parametrize(
    ("words", "code", "field", "names"),
    [
        (("--card", "rtx-490"), "unknown_name", "--card", ("rtx-4090", "--memory", "--tflops")),
        (("--mfu", "1.5"), "bad_value", "--mfu", (1.5,)),
        (("optim=adamw_torch_xla",), "unknown_name", "optim", ("adamw_torch_xla",)),
        (("learning_rat=1",), "unknown_name", "learning_rat", ("learning_rate",)),
        (("--sharding", "fsdp"), "conflict", "--sharding", ("fsdp", "--gpus")),
        (("--sharding", "zero4", "--gpus", "2"), "unknown_name", "--sharding", ("'zero4'", "zero1")),
        (("model_init_kwargs={dtype: int8}",), "unknown_name", "model_init_kwargs.dtype", ("'int8'", "bfloat16")),
    ],
    ids=["card", "mfu", "optim", "option", "one card", "sharding", "dtype"],
)
def test_what_makes_no_sense_is_named(
    shape: Path, words: tuple[str, ...], code: str, field: str, names: tuple[object, ...]
) -> None:
    with refused(code, field=field, names=names):
        cli.app(args=["plan", "--kind", "prm", "--model", str(shape), *words])


def test_a_known_model_is_planned_without_its_files(planned: Planned) -> None:
    code, said = planned("one-gpu-24gb-prm")
    assert code == 0, said
    assert "1,720,574,976 of them trained" in said
    assert all(name in line_of(said, "tokens") for name in ("Qwen/Qwen3-1.7B-Base", "--tokens"))


def test_a_model_that_is_nowhere(planned: Planned) -> None:
    with refused("file_not_found", file="nobody/none", field="--model", names=("Qwen/Qwen3-1.7B-Base",)):
        cli.app(args=["plan", "--kind", "bt", "--model", "nobody/none"])
    code, said = planned("--kind", "bt", "--model", "nobody/none")
    assert code == 1 and "[file_not_found]" in said
