"""`stepward score` and `stepward list scorers`: one solution, or a file, with a reward model of a known kind."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from raising import holds
from tiny_hub import SAVERS
from typer.testing import CliRunner

import stepward
from stepward.cli import program as cli
from stepward.reward_models.hub.registry import SCORERS

QUESTION = "She has 16 eggs and eats 3. How many are left?"

Said = Callable[..., str]


def numbers(text: str, without: Path) -> list[int]:
    """The whole numbers that a text says, but for those of a path."""
    return [int(one) for one in re.findall(r"[0-9]+", text.replace(str(without), ""))]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    return {name: save(tmp_path_factory.mktemp(name)) for name, save in SAVERS.items()}


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """Runs the command line in this process; what it says."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> str:
        assert cli._run_command(lambda: cli.app(args=[str(word) for word in words])) == 0
        out, err = capsys.readouterr()
        assert "Traceback" not in err and "unforeseen" not in err
        return out

    return run


def refusal(*words: object) -> BaseException | None:
    """What a command is refused with."""
    return CliRunner().invoke(cli.app, [str(word) for word in words]).exception


@pytest.mark.parametrize("name", sorted(SCORERS))
def test_one_solution(folders: dict[str, Path], said: Said, name: str) -> None:
    steps = ["16 - 3 = 13", "The answer is: 13"]
    text = said(
        "score", folders[name], "--scorer", name, "--problem", QUESTION, "--split", "lines", "--solution",
        "\n".join(steps),
    )  # fmt: skip
    scored = stepward.load_scorer(folders[name], name).score(QUESTION, steps)
    if SCORERS[name].whole:
        figures = re.findall(r"-?[0-9]+\.[0-9]{3}", text)
        assert figures[0] == f"{scored.last:.3f}" and len(figures) == (2 if name == "bradley-terry" else 1)
        return
    lines = [f"{score:.3f}  {step}" for score, step in zip(scored.steps, steps, strict=True)]
    assert text.splitlines()[:2] == lines
    assert text.splitlines()[2].startswith(f"min {scored.min:.3f}, prod ")


def test_a_solution_from_standard_input_and_its_usual_split(
    folders: dict[str, Path], said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qwen's own data part steps by empty lines, TRL's by line ends."""
    for name, count in (("qwen-prm", 2), ("trl", 3)):
        monkeypatch.setattr("sys.stdin", io.StringIO("16 - 3\n= 13\n\nThe answer is: 13\n"))
        text = said("score", folders[name], "--problem", QUESTION)
        assert sum(line[:2] in ("0.", "1.") for line in text.splitlines()) == count


def test_a_text_is_split_from_python_as_from_the_shell(folders: dict[str, Path]) -> None:
    text = "16 - 3\n= 13\n\nThe answer is: 13\n"
    for name, steps in (
        ("qwen-prm", ["16 - 3\n= 13", "The answer is: 13"]),
        ("trl", ["16 - 3", "= 13", "The answer is: 13"]),
        ("bradley-terry", [text]),
    ):
        scorer = stepward.load_scorer(folders[name], name)
        expected = pytest.approx(scorer.score(QUESTION, steps).steps, abs=1e-6)
        assert scorer.score(QUESTION, text).steps == expected
        assert scorer.score_many([(QUESTION, [text])])[0][0].steps == expected


def test_a_file_of_candidates_can_be_evaluated(folders: dict[str, Path], said: Said, tmp_path: Path) -> None:
    rows = [
        {
            "problem_id": f"p{index // 4}", "solution_id": index, "problem": QUESTION,
            "solution": f"16 - 3 = {index}\nso {index}", "answer": str(index), "correct": index % 4 == 1,
        }
        for index in range(8)
    ]  # fmt: skip
    source, to = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["score", folders["skywork"], "--file", source, "--to", to, "--name", "skywork", "--batch-tokens", 200]
    assert numbers(said(*words), to) == [8, 16]
    assert numbers(said(*words), to) == [8, 8, 16], "the second is those that were scored before"
    scored = [json.loads(line) for line in to.read_text().splitlines()]
    assert [{**row, "model": "skywork"} for row in rows] == [
        {name: value for name, value in row.items() if name != "step_scores"} for row in scored
    ]
    for other in (["--dtype", "bfloat16"], ["--batch-tokens", "300"], ["--device", "cpu:0"]):
        holds(refusal(*words, *other), "file_exists", file=to)
    if not torch.cuda.is_available():
        assert numbers(said(*words, "--device", "cpu"), to) == [8, 8, 16]


def test_bad_rows_are_refused_or_set_aside(folders: dict[str, Path], said: Said, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    good = {"id": "a", "problem": QUESTION, "steps": ["13"]}
    source.write_text(json.dumps(good) + "\n" + json.dumps({**good, "steps": []}) + "\n")
    words = ["score", folders["trl"], "--file", source, "--to", tmp_path / "out.jsonl"]
    holds(refusal(*words), "bad_rows", row=2, field="steps")
    scored, aside = said(*words, "--set-aside").splitlines()
    assert numbers(scored, tmp_path) == numbers(aside, tmp_path)[:1] * 2 == [1, 1]
    assert str(tmp_path / "out.jsonl.rejected.jsonl") in aside


def test_words_that_do_not_fit_are_refused(folders: dict[str, Path], said: Said, tmp_path: Path) -> None:
    model = folders["math-shepherd"]
    for words in (
        [model], [model, "--problem", "x", "--file", "in.jsonl", "--to", "out"], [model, "--file", "in.jsonl"],
        [model, "--problem", "x", "--to", "out"],
    ):  # fmt: skip
        holds(refusal("score", *words), "conflict", field="--problem")
    words = [model, "--problem", "x", "--solution", "y"]
    holds(refusal("score", *words), "ambiguous")
    holds(refusal("score", *words, "--scorer", "math-shephard"), "unknown_name", names=("math-shepherd",))
    holds(refusal("score", *words, "--split", "words"), "bad_value", field="--split", names=("words",))
    separated = refusal("score", *words, "--scorer", "math-shepherd", "--separator", "\\n\\n")
    holds(separated, "conflict", field="separator", names=(repr("\n\n"), "math-shepherd"))
    holds(
        refusal("score", model, "--scorer", "er-prm", "--problem", "ки", "--solution", "y"), "conflict", names=("ки",)
    )
    none = refusal("score", tmp_path / "none", "--problem", "x", "--solution", "y")
    holds(none, "file_not_found", names=(tmp_path / "none",))


def test_the_conventions_are_listed(said: Said) -> None:
    text = said("list", "scorers")
    assert [line.split()[0] for line in text.splitlines()] == ["stepward", *SCORERS]
    assert max(map(len, text.splitlines())) <= 100
