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
from stepward.errors import StepwardError
from stepward.models import model_folder
from stepward.rewards import hub_models
from stepward.rewards.hub_conventions import CONVENTIONS, convention_named, detect
from stepward.rewards.hub_models import weight_names, weights_mark
from stepward.rewards.hub_scorer import load_hub_scorer


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


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_published_models_are_known_by_name(copied: dict[str, Path], tmp_path: Path, name: str) -> None:
    for model in CONVENTIONS[name].models:
        owner, _, short = model.partition("/")
        for place in (short, f"models--{owner}--{short}/snapshots/0123abcd"):
            folder = tmp_path / "models" / place
            folder.mkdir(parents=True, exist_ok=True)
            assert detect(folder) == name
        assert detect(model, tmp_path) == name


def test_a_language_model_does_not_say_how_it_is_asked(copied: dict[str, Path]) -> None:
    with pytest.raises(StepwardError, match=r"doesn't tell how this reward model is asked; say it with --scorer"):
        detect(copied["rlhflow"])
    (copied["rlhflow"] / "config.json").write_text("[]")
    with pytest.raises(StepwardError, match="expected an object"):
        detect(copied["rlhflow"])
    (copied["rlhflow"] / "config.json").write_text("{")
    with pytest.raises(StepwardError, match="not JSON"):
        detect(copied["rlhflow"])


def test_an_unknown_name_is_said_with_the_nearest() -> None:
    with pytest.raises(StepwardError, match=r"unknown scorer 'qwen_prm'; expected one of .*; did you mean qwen-prm\?"):
        convention_named("qwen_prm")


def test_a_head_that_is_not_there_is_never_drawn(copied: dict[str, Path]) -> None:
    """transformers would draw it at random, and score by noise."""
    for asked in ("trl", "bradley-terry", "qwen-prm", "skywork"):
        with pytest.raises(StepwardError, match=r"ForTokenClassification|ForSequenceClassification|its weights lack"):
            load_hub_scorer(copied["rlhflow"], asked)
    for name, lost in (("trl", "score.weight"), ("qwen-prm", "score.2.bias"), ("skywork", "v_head.summary.weight")):
        path = copied[name] / "model.safetensors"
        weights = {key: value for key, value in load_file(path).items() if key != lost}
        save_file(weights, path, metadata={"format": "pt"})
        with pytest.raises(StepwardError, match=r"lack|no classification head"):
            load_hub_scorer(copied[name], name)


def test_a_body_that_is_not_whole_is_refused(copied: dict[str, Path]) -> None:
    for name in ("qwen-prm", "skywork", "rlhflow"):
        path = copied[name] / "model.safetensors"
        weights = {key: value for key, value in load_file(path).items() if "layers.1.mlp" not in key}
        save_file(weights, path, metadata={"format": "pt"})
        with pytest.raises(StepwardError, match="not whole"):
            load_hub_scorer(copied[name], name)


def test_other_counts_of_classes_are_refused(copied: dict[str, Path]) -> None:
    change_config(copied["trl"], id2label={"0": "a", "1": "b", "2": "c"})
    with pytest.raises(StepwardError, match="names 3 classes, expected 2"):
        load_hub_scorer(copied["trl"])
    change_config(copied["bradley-terry"], id2label={"0": "a", "1": "b"})
    with pytest.raises(StepwardError, match="names 2 classes, expected 1"):
        load_hub_scorer(copied["bradley-terry"])
    path = copied["skywork"] / "model.safetensors"
    save_file({**load_file(path), "v_head.summary.weight": torch.zeros(2, 32)}, path)
    with pytest.raises(StepwardError, match="has 2 rows, expected 1"):
        load_hub_scorer(copied["skywork"])


def test_pickles_are_not_read(copied: dict[str, Path]) -> None:
    for name, folder in copied.items():
        weights = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
        with pytest.raises(StepwardError, match="no weights in safetensors"):
            load_hub_scorer(folder, name)
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(StepwardError, match="not a whole file of weights"):
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
    with pytest.raises(StepwardError, match="custom code"):
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
    before = weights_mark(folder)
    assert weights_mark(folder) == before
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hidden_act": "gelu"}))
    assert weights_mark(folder) != before


def test_the_head_that_is_no_linear_layer_is_refused(copied: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(torch.nn.Module):
        base_model_prefix = "model"
        score = torch.nn.ReLU()

    monkeypatch.setattr(hub_models, "load_model", lambda *_, **__: Odd())
    with pytest.raises(StepwardError, match="no linear head named score"):
        load_hub_scorer(copied["bradley-terry"])
