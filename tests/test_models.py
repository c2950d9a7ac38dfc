"""Model folders load, or say in one line what is wrong with them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from raising import holds, refused
from tiny_hub import change_config
from tiny_llama import save_llama
from transformers import LlamaConfig, LlamaForTokenClassification

from stepward.errors import StepwardError
from stepward.model_config import load_config
from stepward.models import load_causal_lm, load_tokenizer


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is as it should be."""
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def copy(llama: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(llama, tmp_path / "model"))


def tear(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def pickle_instead(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def make_classifier(folder: Path) -> None:
    config = LlamaConfig.from_pretrained(folder, num_labels=1)
    LlamaForTokenClassification(config).save_pretrained(folder)


def edit(name: str, **changes: object) -> Callable[[Path], None]:
    """Sets fields of one of a folder's JSON files."""

    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def write(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def unlink(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


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
    ("breaking", "code", "file", "names"),
    [
        (tear, "unsupported", "", ()),
        (unlink("model.safetensors"), "unsupported", "", ("model.safetensors",)),
        (pickle_instead, "unsupported", "", ("model.safetensors",)),
        (write("config.json", '{"x"'), "unreadable", "config.json", ()),
        (write("config.json", "[1]"), "wrong_type", "config.json", ()),
        (write("config.json", "[" * 100_000), "unreadable", "config.json", ()),
        (edit("config.json", model_type="nonesuch"), "unsupported", "", ("nonesuch",)),
        (edit("config.json", hidden_size=64), "unsupported", "", ()),
        (make_classifier, "unreadable", "", ("lm_head.weight",)),
        (unlink("config.json"), "file_not_found", "config.json", ()),
        (shutil.rmtree, "file_not_found", "", ()),
    ],
)
def test_a_folder_without_a_whole_model_is_refused(
    copy: Path, breaking: Callable[[Path], object], code: str, file: str, names: tuple[str, ...]
) -> None:
    breaking(copy)
    with refused(code, file=copy / file, names=(copy, *names)) as error:
        load_causal_lm(copy)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("breaking", "code", "file"),
    [
        (unlink("tokenizer.json"), "unreadable", ""),
        (write("tokenizer.json", '{"a"'), "unreadable", "tokenizer.json"),
        (write("tokenizer.json", "{}"), "unreadable", ""),
        (write("tokenizer_config.json", "7"), "unreadable", "tokenizer_config.json"),
        (unlink("config.json"), "file_not_found", "config.json"),
        (shutil.rmtree, "file_not_found", ""),
        (lambda folder: [path.unlink() for path in folder.glob("tokenizer*")], "unreadable", ""),
    ],
)
def test_a_folder_without_a_tokenizer_is_refused(
    copy: Path, breaking: Callable[[Path], object], code: str, file: str
) -> None:
    breaking(copy)
    with refused(code, file=copy / file, names=(copy,)) as error:
        load_tokenizer(copy)
    assert "\n" not in str(error.value)


def test_a_tokenizer_without_a_pad_token_gets_one(copy: Path) -> None:
    path = copy / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in config.items() if key != "pad_token"}))
    assert load_tokenizer(copy).pad_token == "</s>"


@pytest.mark.parametrize("name", ["eos_token", "bos_token"])
def test_special_tokens_that_the_model_does_not_have_are_refused(copy: Path, name: str) -> None:
    """Tokens that a tokenizer learnt later, in a folder whose embedding was not made larger."""
    edit("tokenizer_config.json", **{name: "<new>"})(copy)
    known = json.loads((copy / "config.json").read_text())["vocab_size"]
    with refused("mismatch", file=copy / "tokenizer_config.json", field=name, names=("<new>", known)):
        load_tokenizer(copy)


def test_a_pad_token_that_the_model_does_not_have_is_as_none(copy: Path) -> None:
    edit("tokenizer_config.json", pad_token="<new>")(copy)
    assert load_tokenizer(copy).pad_token == "</s>"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("vocab_size", "32", "wrong_type"), ("vocab_size", -1, "bad_value"), ("hidden_size", 0, "bad_value"),
        ("hidden_size", True, "wrong_type"), ("hidden_size", 1e3, "wrong_type"), ("hidden_size", 10**30, "bad_value"),
        ("num_hidden_layers", 10**9, "bad_value"), ("num_hidden_layers", None, "wrong_type"),
        ("num_attention_heads", {}, "wrong_type"), ("max_position_embeddings", "x" * 10_000, "wrong_type"),
        ("eos_token_id", -5, "bad_value"), ("eos_token_id", [2, "3"], "wrong_type"),
        ("bos_token_id", 10**6, "bad_value"), ("vocab_size", [9], "wrong_type"),
        ("pad_token_id", 1.5, "wrong_type"), ("text_config", [], "wrong_type"), ("text_config", [1], "wrong_type"),
    ],
    ids=str,
)  # fmt: skip
def test_a_field_that_no_model_has_is_named(copy: Path, field: str, value: Any, code: str) -> None:
    change_config(copy, **{field: value})
    for load in (load_causal_lm, load_tokenizer):
        with refused(code, file=copy / "config.json", field=field) as error:
            load(copy)
        assert len(str(error.value)) < 1_000


FOREIGN = [
    {"_attn_implementation": "strangers/kernel"}, {"attn_implementation": "strangers/kernel"},
    {"_attn_implementation_internal": "strangers/kernel"}, {"attn_implementation": {"": "strangers/kernel"}},
    {"_experts_implementation": "strangers/kernel"}, {"experts_implementation": "strangers/kernel"},
    {"auto_map": {"AutoModelForCausalLM": "modeling.Model", "AutoConfig": "modeling.Config"}},
]  # fmt: skip


@pytest.mark.parametrize("fields", FOREIGN, ids=str)
def test_code_that_a_configuration_names_is_neither_fetched_nor_run(
    copy: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    for name in ("transformers.integrations.hub_kernels.get_kernel", "huggingface_hub.snapshot_download"):
        monkeypatch.setattr(name, lambda *args, **kwargs: pytest.fail(f"asked for {args}"))
    (copy / "modeling.py").write_text("raise SystemExit")
    change_config(copy, **fields)
    model = load_causal_lm(copy)
    assert type(model).__module__.startswith("transformers.models.llama")
    assert model.config._attn_implementation in ("sdpa", "eager")
    assert model(torch.tensor([[4, 5]])).logits.isfinite().all()


@pytest.mark.parametrize("method", ["bitsandbytes", "mxfp4", "fp8", "nonesuch"])
def test_a_quantization_is_refused(copy: Path, method: str) -> None:
    change_config(copy, quantization_config={"quant_method": method, "load_in_4bit": True})
    with refused("unsupported", field="quantization_config", names=(copy,)):
        load_config(copy)
    with refused("unsupported", field="quantization_config"):
        load_causal_lm(copy)


WRONG: tuple[Any, ...] = (None, True, -1, 0, 1.5, 10**30, "", "x", [], [[]], {}, {"a": None}, [-1])


def mutations() -> list[tuple[str, str, Any]]:
    """Every field of a folder's JSON files, at the top and one below, with each wrong value in turn."""
    found = []
    tops = {
        "config.json": ["model_type", "architectures", "hidden_act", "rope_parameters", "rms_norm_eps", "vocab_size",
                        "num_key_value_heads", "head_dim", "dtype", "eos_token_id", "use_cache", "id2label"],
        "tokenizer.json": ["version", "model", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                           "decoder", "truncation", "padding", "model.vocab", "model.merges", "model.type",
                           "model.unk_token"],
        "tokenizer_config.json": ["tokenizer_class", "eos_token", "pad_token", "bos_token", "model_max_length",
                                  "chat_template", "extra_special_tokens", "added_tokens_decoder", "auto_map"],
    }  # fmt: skip
    for file, fields in tops.items():
        found += [(file, field, value) for field in fields for value in WRONG]
    return found


def mutate(path: Path, field: str, value: Any) -> None:
    content = json.loads(path.read_text())
    top, _, inner = field.partition(".")
    if inner:
        content[top][inner] = value
    else:
        content[top] = value
    path.write_text(json.dumps(content))


def held(folder: Path, changed: tuple[str, str, Any]) -> bool:
    """Whether a folder with one wrong value loads; nothing but StepwardError may come of it."""
    try:
        tokenizer = load_tokenizer(folder)
        ids = tokenizer("ab 1", add_special_tokens=False)["input_ids"]
        model = load_causal_lm(folder)
    except StepwardError as error:
        assert str(folder) in str(error), changed
        holds(error, error.code)
        return False
    assert all(isinstance(one, int) for one in ids), changed
    assert model.get_input_embeddings() is not None
    return True


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 12))])
def test_a_folder_with_one_wrong_value_loads_or_is_refused(llama: Path, tmp_path: Path, part: int) -> None:
    """Each twelfth of all mutations; the first in every run of the tests."""
    loaded = []
    for number, (file, field, value) in enumerate(mutations()[part::12]):
        folder = Path(shutil.copytree(llama, tmp_path / str(number)))
        mutate(folder / file, field, value)
        loaded.append(held(folder, (file, field, value)))
        shutil.rmtree(folder)
    assert any(loaded) and not all(loaded)
