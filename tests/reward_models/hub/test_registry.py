"""Which convention a model is of, and models that are refused."""

import ast
import io
import json
import shutil
from pathlib import Path

import pytest
import torch
from raising import refused
from safetensors.torch import load_file, save_file
from tiny_hub import SAVERS, change_config

import stepward
from stepward.models import model_folder
from stepward.reward_models.hub import loading
from stepward.reward_models.hub.loading import weight_names, weights_hash
from stepward.reward_models.hub.registry import SCORERS, detect, scorer_spec
from stepward.reward_models.hub.scorer import load_hub_scorer


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    names = ("qwen-prm", "skywork", "trl", "bradley-terry", "rlhflow")
    return {name: SAVERS[name](tmp_path_factory.mktemp(name)) for name in names}


@pytest.fixture
def copied(folders: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    return {name: shutil.copytree(folder, tmp_path / name) for name, folder in folders.items()}


@pytest.mark.parametrize("name", ["qwen-prm", "skywork", "trl", "bradley-terry"])
def test_a_convention_is_told_by_the_class(folders: dict[str, Path], name: str) -> None:
    assert detect(folders[name]) == name


def test_a_value_head_tells_too(copied: dict[str, Path]) -> None:
    change_config(copied["skywork"], architectures=["Qwen2ForCausalLM"])
    assert detect(copied["skywork"]) == "skywork"


@pytest.mark.parametrize("name", sorted(SCORERS))
def test_published_models_are_known_by_name(copied: dict[str, Path], tmp_path: Path, name: str) -> None:
    for model in SCORERS[name].models:
        owner, _, short = model.partition("/")
        for place in (short, f"models--{owner}--{short}/snapshots/0123abcd"):
            folder = tmp_path / "models" / place
            folder.mkdir(parents=True, exist_ok=True)
            assert detect(folder) == name
        assert detect(model, tmp_path) == name


def test_a_language_model_does_not_say_how_it_is_asked(copied: dict[str, Path]) -> None:
    with refused("ambiguous", file=copied["rlhflow"], field="--scorer", names=tuple(SCORERS)):
        detect(copied["rlhflow"])
    config = copied["rlhflow"] / "config.json"
    config.write_text("[]")
    with refused("wrong_type", file=config):
        detect(copied["rlhflow"])
    config.write_text("{")
    with refused("unreadable", file=config):
        detect(copied["rlhflow"])


def test_an_unknown_name_is_said_with_the_nearest() -> None:
    with refused("unknown_name", field="--scorer", names=("qwen_prm", *SCORERS)) as error:
        scorer_spec("qwen_prm")
    assert str(error.value).count("qwen-prm") == 2, "among those that are known, and as the nearest"


def test_a_head_that_is_not_there_is_never_drawn(copied: dict[str, Path]) -> None:
    """transformers would draw it at random, and score by noise."""
    for asked, code, field, name in (
        ("trl", "mismatch", "architectures", "ForTokenClassification"),
        ("bradley-terry", "mismatch", "architectures", "ForSequenceClassification"),
        ("qwen-prm", "unreadable", "score.0.weight", "score.2.bias"),
        ("skywork", "unreadable", "v_head.summary.weight", "v_head.summary.bias"),
    ):
        with refused(code, file=copied["rlhflow"], field=field, names=(name,)):
            load_hub_scorer(copied["rlhflow"], asked)
    for name, lost in (("trl", "score.weight"), ("qwen-prm", "score.2.bias"), ("skywork", "v_head.summary.weight")):
        path = copied[name] / "model.safetensors"
        weights = {key: value for key, value in load_file(path).items() if key != lost}
        save_file(weights, path, metadata={"format": "pt"})
        code, field = ("mismatch", "architectures") if name == "trl" else ("unreadable", lost)
        with refused(code, file=copied[name], field=field):
            load_hub_scorer(copied[name], name)


def test_a_body_that_is_not_whole_is_refused(copied: dict[str, Path]) -> None:
    for name in ("qwen-prm", "skywork", "rlhflow"):
        path = copied[name] / "model.safetensors"
        weights = {key: value for key, value in load_file(path).items() if "layers.1.mlp" not in key}
        save_file(weights, path, metadata={"format": "pt"})
        with refused("unreadable", file=copied[name]) as error:
            load_hub_scorer(copied[name], name)
        assert "layers.1.mlp" in error.value.field


def test_other_counts_of_classes_are_refused(copied: dict[str, Path]) -> None:
    change_config(copied["trl"], id2label={"0": "a", "1": "b", "2": "c"})
    with refused("mismatch", file=copied["trl"], field="id2label"):
        load_hub_scorer(copied["trl"])
    change_config(copied["bradley-terry"], id2label={"0": "a", "1": "b"})
    with refused("mismatch", file=copied["bradley-terry"], field="id2label"):
        load_hub_scorer(copied["bradley-terry"])
    path = copied["skywork"] / "model.safetensors"
    save_file({**load_file(path), "v_head.summary.weight": torch.zeros(2, 32)}, path)
    with refused("mismatch", file=copied["skywork"], field="v_head.summary.weight"):
        load_hub_scorer(copied["skywork"])


def test_pickles_are_not_read(copied: dict[str, Path]) -> None:
    for name, folder in copied.items():
        weights = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
        with refused("untrusted_code", file=folder):
            load_hub_scorer(folder, name)
    (folder / "model.safetensors").write_bytes(b"torn")
    with refused("unreadable", file=folder / "model.safetensors"):
        weight_names(folder)


def test_code_beside_a_model_is_not_run(copied: dict[str, Path], tmp_path: Path) -> None:
    folder, ran = copied["qwen-prm"], tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w')\nclass Qwen2RMConfig: pass\nclass Qwen2ForProcessRewardModel: pass\n"
    for name in ("configuration_qwen2_rm", "modeling_qwen2_rm"):
        (folder / f"{name}.py").write_text(code)
    before = load_hub_scorer(folder).score("3 + 4?", ["7"]).steps
    kinds = {"AutoConfig": "configuration_qwen2_rm.Qwen2RMConfig"}
    kinds |= dict.fromkeys(("AutoModel", "AutoModelForCausalLM"), "modeling_qwen2_rm.Qwen2ForProcessRewardModel")
    change_config(folder, auto_map=kinds)
    assert load_hub_scorer(folder).score("3 + 4?", ["7"]).steps == before
    assert not ran.exists()


@pytest.mark.parametrize("name", ["math-shepherd", "trl", "bradley-terry"])
def test_code_of_an_unknown_architecture_is_not_run_though_input_says_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Where nothing forbids it, transformers asks on the standard input, from which solutions are read."""
    folder, ran = SAVERS[name](tmp_path / name), tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass EvilConfig: pass\nclass EvilModel: pass\n")
    kinds = ("AutoModelForCausalLM", "AutoModelForTokenClassification", "AutoModelForSequenceClassification")
    map_ = {"AutoConfig": "evil.EvilConfig"} | dict.fromkeys(kinds, "evil.EvilModel")
    change_config(folder, model_type="evil", auto_map=map_)
    monkeypatch.setattr("sys.stdin", io.StringIO("1\n" * 9))
    with refused("untrusted_code", file=folder, field="auto_map"):
        load_hub_scorer(folder, name)
    assert not ran.exists()


def test_every_model_that_is_loaded_forbids_its_code() -> None:
    """By the source: a class that is told from the folder (`Auto...`) may be one of the folder's own."""
    package = Path(stepward.__file__).parent
    calls = [
        (path.name, call)
        for path in package.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "from_pretrained"
    ]
    loose = [
        (name, call.lineno)
        for name, call in calls
        if not any(one.arg == "trust_remote_code" and ast.unparse(one.value) == "False" for one in call.keywords)
    ]
    # A configuration that a model reads for itself may name kernels of the hub, which `without_code` takes out.
    unchecked = [
        (name, call.lineno)
        for name, call in calls
        if isinstance(call.func, ast.Attribute)
        and not ast.unparse(call.func.value).endswith(("Config", "Tokenizer"))
        and not any(one.arg == "config" for one in call.keywords)
    ]
    assert len(calls) >= 7 and loose == [] and unchecked == []


def test_a_hub_name_is_fetched_without_pickles_and_code(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[str, list[str]]] = []

    def snapshot(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(folders["trl"])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    scorer = load_hub_scorer("hf://owner/tiny")
    assert scorer.description.name == "owner/tiny"  # and @commit, where the library keeps it under one
    ((name, patterns),) = {(one, tuple(kinds)) for one, kinds in asked}
    assert name == "owner/tiny" and "*.safetensors" in patterns
    assert not any(end in pattern for pattern in patterns for end in (".py", ".bin", ".pt", ".pkl"))

    def fail(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        raise OSError("offline\nand more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with refused("unreachable", names=("owner/absent", "offline")) as error:
        model_folder("owner/absent")
    assert "and more" not in str(error.value)


def test_a_model_that_changed_has_another_mark(copied: dict[str, Path]) -> None:
    folder = copied["trl"]
    before = weights_hash(folder)
    assert weights_hash(folder) == before
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hidden_act": "gelu"}))
    assert weights_hash(folder) != before


def test_the_head_that_is_no_linear_layer_is_refused(copied: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(torch.nn.Module):
        base_model_prefix = "model"
        score = torch.nn.ReLU()

    monkeypatch.setattr(loading, "load_model", lambda *_, **__: Odd())
    with refused("unsupported", file=copied["bradley-terry"], field="score", names=("Odd",)):
        load_hub_scorer(copied["bradley-terry"])
