"""A key that is pasted where its variable's name belongs is refused, and stands in no message and no file."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from raising import refused

from stepward.cli import program
from stepward.credentials import holds_secret, is_variable, redacted
from stepward.generation.openai.client import checked_url, key_of
from stepward.recipes.loading import load_recipe

# Made up, in the shapes that providers give theirs.
SECRETS = [
    "sk-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7",
    "sk-proj-" + "aB3dE5fG7hJ9-kL1mN3pQ5rS7tU9vW1xY3_z5",
    "sk-ant-api03-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7",
    "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ12345678",
    "gsk_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7",
    "AIza" + "SyA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
]
# No prefix tells that these are keys; they are no name of a variable either.
BARE = ["a3f5c7e9b1d2f4a6c8e0b2d4f6a8c0e2", "correct horse battery", "aB3-dE5/fG7+hJ9=="]
ORDINARY = [
    "OPENAI_API_KEY", "my_key", "runs/sk-experiment-2024-11-25", "task-1234567890abcdefgh", "hf_model_of_mine",
    "0123456789abcdef0123456789abcdef01234567", "sk-learn", "Qwen/Qwen2.5-Math-PRM-7B",
    "hf_mathinstructdataset_v2.jsonl", "runs/llama_hf_checkpoint000012000", "hf_TheBloke_Mistral7BInstructv02GPTQ",
    "sk-SK-wikipedia2024corpussk", "r8_reasoningbenchmark2024", "codellama/CodeLlama-7b-hf_quantizedwith4bits",
]  # fmt: skip

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    # What --debug sets in this process goes with the test.
    monkeypatch.setenv("STEPWARD_DEBUG", "")

    def stepward(*words: str) -> tuple[int, str]:
        code = program._run_command(lambda: program.app(args=list(words)))
        said = capsys.readouterr()
        return code, said.out + said.err

    return stepward


@pytest.mark.parametrize("secret", SECRETS)
def test_keys_are_told_by_their_shape_and_taken_out(secret: str) -> None:
    assert holds_secret(secret) and holds_secret(f"generator.key={secret}") and not is_variable(secret)
    assert redacted(f"no {secret!r}, but a") == "no '***', but a"


def test_what_is_no_key_is_left_as_it_is() -> None:
    for text in ORDINARY:
        assert not holds_secret(text) and redacted(text) == text
    assert all(map(is_variable, ORDINARY[:2])) and not any(map(is_variable, [*BARE, "", "9A", "A-B", "A" * 65]))


@pytest.mark.parametrize("secret", [*SECRETS, *BARE])
def test_a_key_in_its_variables_place_is_not_said(secret: str) -> None:
    with refused("bad_value", field="key") as raised:
        key_of(secret)
    assert secret not in str(raised.value) and secret not in repr(raised.value.__dict__)


@pytest.mark.parametrize("url", ["ftp://u:{}@a/v1", "http://u:{}@a:b/v1", "http://a/v1?key={}", "a.b?{}", "{}"])
def test_an_address_that_holds_a_key_is_not_said(url: str) -> None:
    with refused("bad_value", field="url") as raised:
        checked_url(url.format(BARE[0]))
    assert BARE[0] not in str(raised.value)


def test_a_variable_that_is_not_set_is_named_where_it_can_be_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with refused("missing", field="key", names=("MY_KEY",)):
        key_of("MY_KEY")
    with refused("missing", field="key") as raised:
        key_of("correcthorse")
    assert "correcthorse" not in str(raised.value)
    monkeypatch.setenv("MY_KEY", SECRETS[0])
    assert key_of("MY_KEY") == SECRETS[0]


@pytest.mark.parametrize("words", [
    ("judge", "run", "--url", "http://localhost:1/v1", "--model", "m", "--key", SECRETS[0]),
    ("judge", "run", "--url", "http://localhost:1/v1", "--model", "m", "--key", "KEY", SECRETS[0]),
    ("judge", "run", "--url", SECRETS[0], "--model", "m"),
    ("judge", "run", "--url", f"http://localhost:1/v1?key={SECRETS[0]}", "--model", "m"),
    ("judge", "run", "--url", "http://localhost:1/v1", "--model", "m", "--option", f"extra={{k: {SECRETS[0]}}}"),
    ("run", "tiny-cpu", f"generator.key={SECRETS[0]}"),
    ("evaluate", "scores", "--seed", SECRETS[0]),
    (SECRETS[0],),
    ("--debug", "judge", "run", "--url", "http://localhost:1/v1", "--model", "m", "--key", SECRETS[0]),
])  # fmt: skip
def test_a_key_on_the_command_line_is_refused_unsaid(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    code, said = run(*words)
    assert code == 1 and SECRETS[0][3:] not in said and "[bad_value]" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("fields", "secret", "code"), [
    ("key: {}", SECRETS[0], "bad_value"),
    ("key: {}", BARE[0], "bad_value"),
    ("key: [{}]", BARE[0], "wrong_type"),
    ("key: {}\n  temperature: -1", BARE[0], "bad_value"),
    ("key: KEY\n  options: {{extra: {{headers: [{}]}}}}", SECRETS[0], "bad_value"),
    ("top_p: {}", SECRETS[0], "wrong_type"),
])  # fmt: skip
def test_a_recipe_that_holds_a_key_is_refused_unsaid(tmp_path: Path, fields: str, secret: str, code: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"generator:\n  engine: server\n  url: http://localhost:1/v1\n  {fields.format(secret)}\n")
    with refused(code) as raised:
        load_recipe(str(path))
    assert secret not in str(raised.value)


def test_what_a_command_says_of_a_failure_holds_no_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError(f"401 for {SECRETS[0]}")

    monkeypatch.setattr("stepward.recipes.loading.load_recipe", fails)
    for debug in ("", "1"):
        os.environ["STEPWARD_DEBUG"] = debug
        code, said = run("run", "tiny-cpu")
        assert code == 1 and "401 for ***" in said and SECRETS[0] not in said
