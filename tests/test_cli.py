"""Bad input: one screen that names file, row, field and code, a non-zero exit code, and a traceback where asked for.

What is held of the words is which values they name; the code stands at their end, in brackets.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import run_stepward

from stepward.cli import program as cli
from stepward.errors import CODES, StepwardError

GOOD = '{"question": "One and one?", "reference": "2"}\n'

Refused = Callable[..., str]


def names(said: str, *values: object) -> bool:
    """Whether a message names them all."""
    return all(str(value) in said for value in values)


def code_of(said: str) -> str:
    """The code at a message's end."""
    code = said.rstrip().rpartition("[")[2].removesuffix("]")
    assert code in CODES, said
    return code


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Runs the command line in this process and gives its message, which is one screen and no traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object, code: int = 1) -> str:
        assert cli._run_command(lambda: cli.app(args=[str(word) for word in words])) == code
        said = capsys.readouterr().err
        assert said and len(said.splitlines()) <= 13, said
        assert "Traceback" not in said and "unforeseen" not in said
        return said

    return run


def test_an_unknown_key_is_named_with_the_nearest(refused: Refused) -> None:
    assert names(refused("run", "tiny-cpu", "labels.etta=5"), "labels.etta", " eta?")
    assert names(refused("run", "tiny-cpu", "lables.eta=5"), "lables", " labels?")


def test_an_unknown_key_in_a_file_is_named_with_the_file(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("rewards:\n  epoch: 3\n")
    assert names(refused("run", "my.yaml"), "my.yaml", "rewards.epoch", " epochs?")


def test_an_unknown_recipe_and_a_missing_one(refused: Refused) -> None:
    assert names(refused("run", "tiny-gpu"), "tiny-gpu", "tiny-cpu")
    said = refused("run", "none.yaml")
    assert names(said, "none.yaml") and code_of(said) == "file_not_found"


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("evaluation.ns=0", ("evaluation.ns",)),
        ("solutions.test=0", ("solutions.test:", "1", "found 0")),
        ("rollouts.completions=0", ("rollouts.completions:", "1", "found 0")),
        ("problems.test=0", ("problems.test:", "1", "found 0")),
        ("labels.eta=.nan", ("labels.eta:", "found nan")),
        ("labels.kinds=oracle,orm,best", ("labels.kinds",)),
        ("evaluation.ns=1,128", ("evaluation.ns", "128", "solutions.test", "64")),
        ("solutions.validation=4", ("evaluation.ns", "16", "validation", "4")),
        ("labels.eta", ("labels.eta", "field=value")),
    ],
)
def test_values_out_of_range_are_named(refused: Refused, override: str, values: tuple[str, ...]) -> None:
    assert names(refused("run", "tiny-cpu", override), *values)


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        (GOOD + '{"question": "Two?"}\n', ("row 2", "'reference'")),
        (GOOD + '{"question": "Two?", "reference": NaN}\n', ("row 2", "'reference'", "nan")),
        (GOOD + '{"question": "Two?", "reference": ""}\n', ("row 2", "'reference'")),
        (GOOD + '{"question": "Two?", "reference": null}\n', ("row 2", "'reference'")),
        (GOOD + '{"question": "Two", \n', ("row 2", "JSON")),
        (GOOD + GOOD, ("row 2", "'question'", "row 1")),
        (GOOD + '{"question": "Two\\u0000?", "reference": "2"}\n', ("row 2", "'question'", "NUL")),
        ("", ()),
        (GOOD, ("1 problems", "1120")),
        ('{"question": "Two?", "answer": "2"}\n', ("row 1", "'answer'")),
    ],
)
def test_a_bad_problems_file_is_named_by_row_and_field(
    refused: Refused, tmp_path: Path, rows: str, values: tuple[str, ...]
) -> None:
    (tmp_path / "bad.jsonl").write_text(rows)
    assert names(refused("run", "tiny-cpu", "problems.path=bad.jsonl"), "bad.jsonl", *values)


def test_broken_utf8_is_named_by_row_and_byte(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_bytes(GOOD.encode() + b'{"question": "caf\xe9", "reference": "2"}\n')
    said = refused("run", "tiny-cpu", "problems.path=bad.jsonl")
    assert names(said, "bad.jsonl", "row 2", "UTF-8", "0xe9")


def test_many_bad_rows_still_fit_one_screen(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text(GOOD + '{"question": "Two?"}\n' * 200)
    said = refused("run", "tiny-cpu", "problems.path=bad.jsonl")
    assert names(said, "row 2", "200") and "row 60" not in said


def test_a_missing_problems_file_is_named(refused: Refused) -> None:
    assert names(refused("run", "tiny-cpu", "problems.path=none.jsonl"), "none.jsonl")


def test_a_bad_file_of_published_solutions_is_named_by_row_and_field(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"question": "Two?", "ground_truth": "2"}\n')
    said = refused("run", "tiny-cpu", "solutions.path=bad.jsonl", "labels.kinds=orm")
    assert "bad.jsonl" in said and "row 1" in said


def test_the_oracle_can_t_label_what_it_did_not_make(refused: Refused) -> None:
    said = refused("run", "tiny-cpu", "solutions.path=some.jsonl", "labels.kinds=orm,oracle")
    assert "labels.kinds: oracle" in said


def test_model_folders_are_looked_into_before_any_work(refused: Refused, tmp_path: Path) -> None:
    said = refused("run", "tiny-cpu", "generator.model=none")
    assert names(said, "generator.model: none") and code_of(said) == "file_not_found"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    said = refused("run", "tiny-cpu", "rewards.base=model", "name=one")
    assert names(said, "rewards.base: model", "safetensors") and code_of(said) == "missing"
    (tmp_path / "model" / "model.safetensors").write_bytes(b"")
    said = refused("run", "tiny-cpu", "rollouts.completer=model", "name=two")
    assert names(said, "rollouts.completer: model", "tokenizer.json") and code_of(said) == "missing"


def test_a_mended_recipe_may_go_on_where_nothing_was_finished(refused: Refused) -> None:
    assert "generator.model: none" in refused("run", "tiny-cpu", "generator.model=none")
    assert "generator.model: nil" in refused("run", "tiny-cpu", "generator.model=nil")


def test_a_run_that_is_refused_at_its_start_leaves_nothing(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "rows.jsonl").write_text("{}")
    for words in (
        ("generator.model=none",), ("problems.path=none.jsonl",), ("problems.path=rows.jsonl",),
        ("evaluation.ns=1,9999",), ("rewards.of=none",), ("--grow",),
    ):  # fmt: skip
        refused("run", "tiny-cpu", *words)
        assert not list((tmp_path / "runs").iterdir()), words
    for words in (("--data", "none.jsonl"), ("--model", "none"), ("--eval", "none.jsonl", "data.held_out=0")):
        assert code_of(refused("train", "one-gpu-24gb-orm-cpu", *words)) == "file_not_found"
        assert not list((tmp_path / "runs").iterdir()), words


@pytest.mark.parametrize(
    "words",
    [
        ("train", "one-gpu-24gb-orm-cpu", "--data", "none.jsonl"),
        ("train", "--kind", "prm", "--data", "rows.jsonl", "--model", "no/such/model"),
        ("plan", "--kind", "prm", "--model", "./none"),
        ("plan", "one-gpu-24gb-orm-cpu", "--card", "h1000"),
        ("score", "./none", "--problem", "x", "--solution", "y"),
        ("score", ".", "--file", "none.jsonl", "--to", "out.jsonl"),
        ("score", ".", "--problem", "x", "--dtype", "float33"),
    ],
)
def test_a_slip_is_told_before_torch_is_loaded(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    program = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None; from stepward.cli.program import "
        "_run_command, app; import stepward.cli; sys.exit(_run_command(lambda: app(args=sys.argv[1:])))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 1 and "unforeseen" not in ended.stderr, ended.stderr
    slip = next(word for word in reversed(words) if any(one in word for one in ("no", "none", "h1000", "float33")))
    assert slip.removeprefix("./") in ended.stderr


def test_a_mistyped_run_is_no_run_and_its_neighbor_is_named(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "runs" / "first").mkdir(parents=True)
    for verb in ("report", "show", "compare", "match-steps", "trees"):
        words = ("--to", "o.jsonl") if verb == "trees" else ()
        said = refused(verb, "runs/frist", *words)
        assert code_of(said) == "file_not_found" and names(said, "runs/frist", "runs/first"), verb


def test_an_option_of_an_engine_is_yaml(refused: Refused) -> None:
    words = ("judge", ".", "--url", "http://127.0.0.1:9/v1", "--model", "m")
    assert code_of(refused(*words, "--option", "a={b: 1, b: 2}")) == "duplicate"
    assert code_of(refused(*words, "--option", "a=[")) == "unreadable"


def test_a_folder_that_is_no_run_is_named(refused: Refused, tmp_path: Path) -> None:
    for words in (("show", tmp_path), ("report", tmp_path), ("label", "--from-rollouts", tmp_path)):
        said = refused(*words)
        assert names(said, tmp_path, "manifest.json") and code_of(said) == "file_not_found"
    assert names(refused("score", tmp_path, "--problem", "x", "--solution", "y"), tmp_path)


def test_the_runs_folder_may_be_no_file(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    assert code_of(refused("run", "tiny-cpu")) == "unwritable"


def test_two_at_once_are_refused(refused: Refused, tmp_path: Path) -> None:
    from stepward.storage.files import lock_dir

    with lock_dir(tmp_path / "runs" / "tiny-cpu"):
        assert code_of(refused("run", "tiny-cpu")) == "locked"


@pytest.mark.parametrize("words", [("run",), ("trian",), ("label", "--eta", "two"), ("run", "x", "--workers", "0")])
def test_wrong_usage_ends_with_2_and_says_so(refused: Refused, words: tuple[str, ...]) -> None:
    assert "Usage: " in refused(*words, code=2)


@pytest.mark.parametrize("eta", ["0", "-1", "nan", "inf"])
def test_eta_is_a_number_above_0(refused: Refused, tmp_path: Path, eta: str) -> None:
    assert names(refused("label", "--from-rollouts", tmp_path, f"--eta={eta}"), "--eta", f"found {eta}")


def test_a_traceback_is_shown_with_debug_only(tmp_path: Path) -> None:
    words = ("run", "none", "--runs", tmp_path)
    plain, debug = run_stepward(*words), run_stepward("--debug", *words)
    assert plain.returncode == debug.returncode == 1
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr and debug.stderr.endswith(plain.stderr)


def test_the_unforeseen_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise RuntimeError("first line\n" + "more\n" * 100)

    assert cli._run_command(fail) == 1
    said = capsys.readouterr().err
    assert names(said, "RuntimeError", "first line", "--debug") and "more" not in said and said.count("\n") == 1


def test_ctrl_c_ends_with_130_and_a_word(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stepward.recipes.loading.named_recipes", stop)
    assert cli._run_command(lambda: cli.app(args=["list", "recipes"])) == 130
    assert capsys.readouterr().err.startswith("stepward: ")


def test_help_and_version_end_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli._run_command(lambda: cli.app(args=["--help"])) == 0
    assert "Usage: " in capsys.readouterr().out
    assert cli._run_command(lambda: cli.app(args=["list", "recipes"])) == 0
    assert "tiny-cpu" in capsys.readouterr().out


def test_error_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise StepwardError("file[bold].jsonl: row 3 [/]", code="bad_value")

    assert cli._run_command(fail) == 1
    assert "file[bold].jsonl: row 3 [/]" in capsys.readouterr().err
