"""The README's commands, taken out of the README, run on an installed wheel in a fresh environment.

What the README leaves open (PATH, my.yaml, a server's address) is filled in here, and what takes minutes is made small.
A command that is added to the README runs here too, and fails until its files are there.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_server import MODEL, FakeServer, serving
from tiny_hub import save_qwen

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
SMALL = (
    "problems.reward=6 problems.validation=4 problems.test=6 "
    "solutions.reward=4 solutions.validation=4 solutions.test=4 "
    "rollouts.completions=2 rewards.seeds=[0,1] rewards.epochs=1 evaluation.ns=[1,2,4] evaluation.subsets=5"
)
ADDED = {
    "stepward run tiny-cpu": SMALL,
    "stepward run my.yaml": SMALL + " name=mine",
    "stepward run my.yaml --ray": SMALL + " name=on-ray",
    "stepward run gsm8k-published": "problems.reward=20 problems.validation=6 problems.test=10 rewards.seeds=[0] "
    "rewards.epochs=1 rewards.base=PATH",
    "stepward study": f"{SMALL} problems.test=4 solutions.validation=64 solutions.test=64 evaluation.ns=[1,16,64]",
    "stepward train one-gpu-24gb-prm-cpu": "data.limit=16",
}
"""Options that make a command small; of several that fit, the longest."""


def commands() -> list[str]:
    """Every line of the README's shell blocks, without its comment."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [
        " ".join(shlex.split(line, comments=True)) for block in blocks for line in block.splitlines() if line.strip()
    ]


def test_the_readme_has_commands_of_both_kinds() -> None:
    assert {"make demo", "make test"} <= set(commands())
    assert sum(line.startswith("stepward ") for line in commands()) > 10


def test_make_has_the_targets_that_the_readme_names() -> None:
    for line in commands():
        if line.startswith("make "):
            subprocess.run([*line.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a fresh environment with the wheel and what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    wheels = ["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run([sys.executable, *wheels], check=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    wheel = next(folder.glob("*.whl"))
    # The versions that are tested; which extras are needed is the wheel's to say.
    asked = [f"{wheel}[all,ray,server]", "-c", str(ROOT / "requirements.lock")]
    subprocess.run([folder / "venv" / "bin" / "python", *pip, *asked], check=True)
    return folder / "venv" / "bin"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with serving() as fake:
        fake.misbehave = lambda number, fields: {"choices": [_verdict(number, n) for n in range(fields.get("n", 1))]}
        yield fake


@pytest.fixture(scope="module")
def place(installed: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the commands name."""
    folder = tmp_path_factory.mktemp("readme")
    where = "from stepward.storage.run_dir import embedded_generator; print(embedded_generator())"
    embedded = _printed(installed, where, folder).strip()
    for name in ("model", "runs/bases/careful", "runs/bases/0.6m"):
        shutil.copytree(embedded, folder / name)
    save_qwen(folder / "qwen")
    _write(folder / "prm800k.jsonl", _many_problems(shared_data / "prm800k" / "samples.jsonl", 10))
    _head(shared_data / "gsm8k" / "example_model_solutions.jsonl", folder / "example_model_solutions.jsonl", 60)
    gsm8k = _head(shared_data / "gsm8k" / "train.jsonl", folder / "gsm8k-test.jsonl", 40)
    (folder / "my.yaml").write_text("about: mine\nproblems: {path: problems.jsonl}\n")
    # Of the world whose problems the embedded generator can do.
    own = "import json; from stepward.problems.arithmetic.dataset import problems as made; "
    own += "[print(json.dumps({'question': one.question, 'answer': '#### ' + one.reference})) "
    own += "for one in made('reward', 40, levels=(1, 2), tricky=1)]"
    (folder / "problems.jsonl").write_text(_printed(installed, own, folder))
    _write(
        folder / "answers.jsonl",
        [{"reference": row["answer"].rpartition(" ")[2], "response": row["answer"]} for row in gsm8k],
    )
    steps = ["1 + 1 = 2", "The answer is 2."]
    _write(
        folder / "candidates.jsonl",
        [{"id": f"s{n}", "question": "What is 1 + 1?", "steps": steps} for n in range(3)],
    )
    _write(
        folder / "scores.jsonl",
        [
            {
                "problem_id": f"p{n // 4}",
                "solution_id": f"s{n}",
                "answer": str(n % 3),
                "reference": "1",
                "score": n % 5 / 5,
            }
            for n in range(80)
        ],
    )
    rows = [
        {"id": f"b-{n}", "generator": "g", "problem": "What is 1 + 1?", "steps": steps,
         "final_answer_correct": True, "label": n % 3 - 1}
        for n in range(12)
    ]  # fmt: skip
    _write(folder / "processbench.jsonl", rows)
    _write(folder / "mine.jsonl", [{"id": row["id"], "first_error": row["label"]} for row in rows])
    _write(
        folder / "pairs.jsonl",
        [{"prompt": f"What is {n} + 1?", "chosen": f"It is {n + 1}.", "rejected": f"It is {n}."} for n in range(24)],
    )
    return folder


def _printed(installed: Path, program: str, folder: Path) -> str:
    done = subprocess.run([installed / "python", "-c", program], check=True, capture_output=True, text=True, cwd=folder)
    return done.stdout


def _verdict(number: int, index: int) -> dict[str, object]:
    """Every third solution is wrong from its first step."""
    message = {"role": "assistant", "content": f"\\boxed{{{-1 if number % 3 else 0}}}"}
    return {"index": index, "finish_reason": "stop", "message": message}


def _many_problems(source: Path, times: int) -> list[dict[str, Any]]:
    """The file's rows, again and again as other problems."""
    rows = []
    for number in range(times):
        for line in source.read_text().splitlines():
            row = json.loads(line)
            row["question"]["problem"] += f" (number {number})"
            rows.append(row)
    return rows


def _head(source: Path, target: Path, count: int) -> list[dict[str, Any]]:
    lines = source.read_text().splitlines()[:count]
    target.write_text("\n".join(lines) + "\n")
    return [json.loads(line) for line in lines]


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _filled(line: str, server: FakeServer) -> str:
    """The command with what the README leaves open, and small."""
    fitting = max((start for start in ADDED if line.startswith(start)), key=len, default="")
    if fitting:
        verb, _, until = line.partition(" --until ")
        line = f"{verb} {ADDED[fitting]}" + (f" --until {until}" if until else "")
    line = (
        line.replace("http://localhost:8000/v1", server.url).replace("NAME", MODEL).replace("--ray auto", "--ray local")
    )
    line = line.replace("PATH", "qwen" if "--scorer" in line else "model").replace("FILE", "problems.jsonl")
    return line


@pytest.mark.data
@pytest.mark.ray
def test_every_command_runs_on_an_installed_wheel(installed: Path, place: Path, server: FakeServer) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
    environment |= {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    failed = []
    for line in commands():
        if line.startswith("make "):
            continue
        done = subprocess.run(
            ["bash", "-c", _filled(line, server)], cwd=place, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            failed.append(f"$ {_filled(line, server)}\n{done.stdout[-400:]}\n{done.stderr[-1200:]}")
    assert not failed, "\n\n".join(failed)


def test_the_python_blocks_run_on_an_installed_wheel(installed: Path, place: Path) -> None:
    """After the commands, whose models they load; a block that needs one is given this run's."""
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        done = subprocess.run([installed / "python", "-c", block], cwd=place, capture_output=True, text=True)
        assert done.returncode == 0, f"{block}\n{done.stderr[-1200:]}"
