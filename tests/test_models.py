"""Model folders load, or say in one line what is wrong with them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_llama import save_llama
from transformers import LlamaConfig, LlamaForTokenClassification

from stepward.errors import StepwardError
from stepward.models import load_causal_lm, load_tokenizer


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is as it should be."""
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def copy(llama: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(llama, tmp_path / "model"))


def edit_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def tear(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def pickle_instead(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def make_classifier(folder: Path) -> None:
    config = LlamaConfig.from_pretrained(folder, num_labels=1)
    LlamaForTokenClassification(config).save_pretrained(folder)


def test_a_whole_folder_loads_in_float32(llama: Path) -> None:
    model, tokenizer = load_causal_lm(llama), load_tokenizer(str(llama))
    assert model.dtype == torch.float32 and type(model).__name__ == "LlamaForCausalLM"
    assert tokenizer.encode("ab 1", add_special_tokens=False) == [16, 17, 4, 7]
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<pad>", "</s>")


def test_tied_weights_are_not_missing(tmp_path: Path) -> None:
    model = load_causal_lm(save_llama(tmp_path, tie_word_embeddings=True))
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_half_precision_weights_load_in_float32(llama: Path, tmp_path: Path) -> None:
    load_causal_lm(llama).half().save_pretrained(tmp_path)
    assert load_causal_lm(tmp_path).dtype == torch.float32


@pytest.mark.parametrize(
    ("breaking", "message"),
    [
        (tear, "not a causal language model in safetensors"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"no file named model\.safetensors"),
        (pickle_instead, r"no file named model\.safetensors"),
        (lambda folder: (folder / "config.json").write_text('{"x"'), "not a valid JSON file"),
        (lambda folder: edit_config(folder, model_type="nonesuch"), "model type `nonesuch`"),
        (lambda folder: edit_config(folder, hidden_size=64), "not a causal language model"),
        (make_classifier, r"its weights lack lm_head\.weight"),
        (lambda folder: (folder / "config.json").unlink(), r"no config\.json in it"),
        (shutil.rmtree, "no such folder"),
    ],
)
def test_a_folder_without_a_whole_model_is_refused(
    copy: Path, breaking: Callable[[Path], object], message: str
) -> None:
    breaking(copy)
    with pytest.raises(StepwardError, match=message) as error:
        load_causal_lm(copy)
    assert str(copy) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("breaking", "message"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer that transformers can load"),
        (lambda folder: (folder / "tokenizer.json").write_text('{"a"'), "no tokenizer that transformers can load"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "no tokenizer that transformers can load"),
        (lambda folder: (folder / "config.json").unlink(), r"no config\.json in it"),
        (shutil.rmtree, "no such folder"),
    ],
)
def test_a_folder_without_a_tokenizer_is_refused(copy: Path, breaking: Callable[[Path], object], message: str) -> None:
    breaking(copy)
    with pytest.raises(StepwardError, match=message) as error:
        load_tokenizer(copy)
    assert str(copy) in str(error.value) and "\n" not in str(error.value)


def test_a_tokenizer_without_files_at_all_is_refused(copy: Path) -> None:
    for path in copy.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(StepwardError, match=r"save it there with tokenizer\.save_pretrained"):
        load_tokenizer(copy)


def test_a_tokenizer_without_a_pad_token_gets_one(copy: Path) -> None:
    path = copy / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in config.items() if key != "pad_token"}))
    assert load_tokenizer(copy).pad_token == "</s>"
