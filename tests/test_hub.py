"""Names on the hub: told from paths, held to a commit, and asked of a hub on this machine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from raising import holds, refused
from tiny_hub import COMMITS, FakeHub, save_trl

from stepward.hub import HubName, hub_name, not_found
from stepward.models import load_tokenizer, model_folder, pinned
from stepward.rows import ErrorCollector, iter_rows, pinned_source
from stepward.storage.manifest import Manifest


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a run and data in it, without a network."""
    (tmp_path / "runs" / "tiny-cpu").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pairs.jsonl").write_text('{"a": 1}\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any question to the hub fails the test."""

    def asked(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"the hub was asked: {args} {kwargs}")

    monkeypatch.setattr("huggingface_hub.snapshot_download", asked)
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", asked)


PATHS = [
    "runs/tiny-cpu", "runs/tiny-gpu", "runz/tiny-cpu", "run/er", "data/pairs.jsonl", "other/pairs.jsonl", "a/b.parquet",
    "a/model.safetensors", "Owner/Rows.JSON", "a", "a/b/c", "./a", "/a/b", "~/a", "a b/c", "ä/b", "a/b@", "../b",
]  # fmt: skip
NAMES = {
    "Qwen/Qwen2.5-Math-7B": HubName("Qwen/Qwen2.5-Math-7B"),
    "meta-llama/Llama-3.1-8B": HubName("meta-llama/Llama-3.1-8B"),
    "owner/name@v1.0": HubName("owner/name", "v1.0"),
    "hf://owner/name": HubName("owner/name"),
    "hf://runs/tiny-cpu": HubName("runs/tiny-cpu"),
    "hf://owner/name@refs/pr/3": HubName("owner/name", "refs/pr/3"),
    "hf://owner/rows.json@0f": HubName("owner/rows.json", "0f"),
}


@pytest.mark.parametrize("text", PATHS)
def test_what_looks_like_a_path_is_one(here: Path, no_network: None, text: str) -> None:
    assert hub_name(text) is None
    assert hub_name(here / text) is None
    assert model_folder(text) == Path(text) and pinned(text) == text and pinned_source(text) == text


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_one_where_nothing_local_looks_like_it(here: Path, text: str) -> None:
    assert hub_name(text) == NAMES[text]
    assert hub_name(Path(text)) is None
    assert text in (str(NAMES[text]), str(NAMES[text]).removeprefix("hf://"))


@pytest.mark.parametrize("text", ["owner/" + "x" * 300, "hf://" + "y" * 300 + "/name", "a/" * 3000 + "b", "é" * 200])
def test_a_name_that_no_system_takes_is_refused_in_words(here: Path, no_network: None, text: str) -> None:
    for look in (hub_name, pinned_source, model_folder, Manifest.read):
        with refused("too_large", names=(text.removeprefix("hf://")[:20],)):
            look(Path(text) if look == Manifest.read else text)  # type: ignore[operator]


def test_a_folder_of_the_owners_name_makes_it_a_path(here: Path) -> None:
    assert hub_name("Qwen/Qwen3-4B") == HubName("Qwen/Qwen3-4B")
    (here / "Qwen").mkdir()
    assert hub_name("Qwen/Qwen3-4B") is None and hub_name("hf://Qwen/Qwen3-4B") is not None


@pytest.mark.parametrize("text", ["hf://", "hf://name", "hf://a/b/c", "hf:///tmp/a", "hf://a/b@", "hf://a b/c"])
def test_a_name_that_is_none_is_refused(text: str) -> None:
    with refused("bad_value", names=(text,)):
        hub_name(text)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("runz/tiny-cpu", ("runs", "hf://runz/tiny-cpu")), ("runs/tiny-cpuu", ("runs/tiny-cpu",)),
        ("data/pair.jsonl", ("data/pairs.jsonl",)), ("data/x/y/z", ("pairs.jsonl",)), ("zzz", ("data, runs",)),
        ("runs/tiny-cpu/deep", ("runs/tiny-cpu",)), ("/no/such/place", ("/no",)),
    ],
)  # fmt: skip
def test_a_mistyped_path_is_told_what_is_there(here: Path, no_network: None, path: str, named: tuple[str, ...]) -> None:
    holds(not_found(path, "folder"), "file_not_found", file=path, names=named)
    with refused("file_not_found", file=path, names=named):
        load_tokenizer(path)
    with refused("file_not_found", file=path, names=named):
        list(iter_rows(path, ErrorCollector(path)))


_ASK = """
import json, sys
from stepward.errors import StepwardError
from stepward.models import model_folder, pinned
from stepward.rows import ErrorCollector, iter_rows, pinned_source

def said(ask, name):
    try:
        return ask(name)
    except StepwardError as error:
        return [error.code, str(error)]

def files(name):
    return sorted(path.name for path in model_folder(name).iterdir())

def rows(name):
    return [[str(row.file), row.fields] for row in iter_rows(name, ErrorCollector(name))]

asks = {"pinned": pinned, "files": files, "source": pinned_source, "rows": rows}
print(json.dumps([said(asks[ask], name) for ask, name in json.loads(sys.argv[1])]))
"""


def ask(hub: FakeHub, home: Path, *asked: tuple[str, str]) -> list[Any]:
    """What a process gives that has only this hub."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK, json.dumps(asked)], env=hub.environment(home), cwd=home, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return list(json.loads(done.stdout))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder, with files that no one wants."""
    folder = save_trl(tmp_path_factory.mktemp("model"))
    for name in ("modeling.py", "pytorch_model.bin", "weights.pkl"):
        (folder / name).write_text("raise SystemExit")
    return folder


def test_a_hub_model_is_fetched_without_code_and_held_to_its_commit(model: Path, tmp_path: Path) -> None:
    with FakeHub({"models/owner/name": model}) as hub:
        name, pin, branch, files, absent, mistyped = ask(
            hub, tmp_path, ("pinned", "owner/name"), ("pinned", f"hf://owner/name@{COMMITS['main']}"),
            ("pinned", "hf://owner/name@old"), ("files", "owner/name"),
            ("pinned", "owner/absent"), ("pinned", "cach/name"),
        )  # fmt: skip
        asked = list(hub.asked)
    assert name == pin == f"hf://owner/name@{COMMITS['main']}"
    assert branch == f"hf://owner/name@{COMMITS['old']}"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(files)
    assert not {"modeling.py", "pytorch_model.bin", "weights.pkl"} & set(files)
    assert absent[0] == "unreachable" and "owner/absent" in absent[1]
    assert mistyped == "cach/name"  # the hub's cache is there: cache
    assert not any(end in path for path in asked for end in (".py", ".bin", ".pkl", "cach/name"))


def test_a_commit_that_is_here_needs_no_hub(model: Path, tmp_path: Path) -> None:
    with FakeHub({"models/owner/name": model}) as hub:
        (first,) = ask(hub, tmp_path, ("pinned", "owner/name"))
    (again,) = ask(hub, tmp_path, ("pinned", first))
    assert again == first


def test_a_data_set_is_held_to_its_commit(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    (folder / "test.jsonl").write_text('{"a": 3}\n')
    with FakeHub({"datasets/owner/sums": folder}) as hub:
        source, test, rows, none = ask(
            hub, tmp_path, ("source", "owner/sums"), ("source", "hf://owner/sums@old:test"),
            ("rows", "owner/sums:test"), ("rows", "hf://owner/none"),
        )  # fmt: skip
    assert source == f"hf://owner/sums@{COMMITS['main']}:train"
    assert test == f"hf://owner/sums@{COMMITS['old']}:test"
    assert rows == [[f"owner/sums@{COMMITS['main']}", {"a": 3}]]
    assert none[0] == "unreachable" and "owner/none" in none[1]


def test_one_commit_is_read_in_a_process(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def snapshot(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        return str(model)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert model_folder("someone/once") == model_folder("hf://someone/once") == model
    assert asked == [("someone/once", None)]
    assert len(load_tokenizer("someone/once")) == len(load_tokenizer(model))
    assert len(asked) == 1
