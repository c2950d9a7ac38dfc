"""Files of solutions are scored row by row: nothing is lost, doubled or passed over, whenever it is stopped."""

import gzip
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from raising import refused
from tiny_hub import SAVERS

from stepward.models import load_tokenizer
from stepward.reward_models.heads import Head
from stepward.reward_models.hub.scorer import HubScorer, load_hub_scorer, load_scorer
from stepward.reward_models.model_dir import ModelMetadata, load_model, write_metadata
from stepward.reward_models.score_files import journal as hub_journal
from stepward.reward_models.score_files import score_file as hub_files
from stepward.reward_models.score_files.rows import split_solution
from stepward.reward_models.score_files.score_file import ScoredFile, score_file
from stepward.reward_models.scorer import Scorer

QUESTION = "She has 16 eggs and eats 3. How many are left?"


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> HubScorer:
    torch.manual_seed(0)
    return load_hub_scorer(SAVERS["trl"](tmp_path_factory.mktemp("trl")))


@pytest.fixture
def chunks_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_files, "CHUNK", 2)


def candidates(count: int = 7) -> list[dict[str, Any]]:
    return [
        {
            "problem_id": f"p{index // 3}",
            "solution_id": index,
            "problem": f"{QUESTION} {index // 3}",
            "steps": [f"16 - 3 = {index}", *["so"] * (index % 3)],
            "answer": str(index),
            "reference": "13",
            "extra": {"kept": [1, None]},
        }
        for index in range(count)
    ]


def write(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def own_scorer(base: Path, folder: Path) -> Scorer:
    """One of Stepward's own models, of random weights."""
    torch.manual_seed(0)
    load_model(base, Head("linear", 1)).save_pretrained(folder)
    load_tokenizer(base).save_pretrained(folder)
    write_metadata(ModelMetadata("er", 0, "base", 2.0), folder)
    return load_scorer(folder)


def run(scorer: Scorer, source: Path, to: Path, **changes: Any) -> ScoredFile:
    return score_file(scorer, source, to, **{"name": "tiny", "weights": "w", **changes})


def test_rows_come_back_with_their_scores(scorer: HubScorer, tmp_path: Path, chunks_of_two: None) -> None:
    rows, told = candidates(), []
    found = run(
        scorer, write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl", progress=lambda *one: told.append(one)
    )
    assert found == ScoredFile(7, 0, sum(len(row["steps"]) for row in rows), 0)
    for row, scored in zip(rows, read(tmp_path / "out.jsonl"), strict=True):
        alone = scorer.score(row["problem"], row["steps"]).steps
        assert scored.pop("step_scores") == pytest.approx(alone, abs=1e-5)
        assert scored.pop("model") == "tiny"
        assert scored == row
    assert told[-1] == ("scoring", 7, 7)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.jsonl.journal", "in.jsonl", "out.jsonl"]


def test_benchmark_rows_become_predictions(scorer: HubScorer, tmp_path: Path) -> None:
    rows = [
        {"id": "gsm8k-0", "generator": "g", "problem": QUESTION, "steps": ["16\n- 3", "13"], "label": -1},
        {"id": 7, "question": QUESTION, "steps": ["12"], "label": 0},
    ]
    run(scorer, write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl")
    predicted = read(tmp_path / "out.jsonl")
    assert [row.keys() for row in predicted] == [{"id", "step_scores"}] * 2
    assert [(row["id"], len(row["step_scores"])) for row in predicted] == [("gsm8k-0", 2), (7, 1)]


def test_solutions_are_split_as_asked(scorer: HubScorer, tmp_path: Path) -> None:
    text = "a\n b\n\nc\n"
    assert split_solution(text, "lines") == ("a", " b", "c")
    assert split_solution(f"\n{text}\n \n\nd", "paragraphs") == ("a\n b", "c", "d")
    row = {"problem_id": "p", "solution_id": "s", "question": QUESTION, "solution": text}
    source = write(tmp_path / "in.jsonl", [row])
    for by, count in (("lines", 3), ("paragraphs", 2)):
        run(scorer, source, to := tmp_path / f"{by}.jsonl", split=by)
        assert len(read(to)[0]["step_scores"]) == count


@pytest.mark.parametrize("name", ["rlhflow-orm", "bradley-terry"])
def test_one_score_a_solution_is_a_field_of_its_own(tmp_path: Path, name: str) -> None:
    """A reward is written as it is: its logistic function would be 1 for all good solutions."""
    whole = load_hub_scorer(SAVERS[name](tmp_path / "model"), name)
    rows = [{**candidates(1)[0], "steps": ["a", "b"]}, {**without("steps"), "solution": "a\n\nb "}]
    run(whole, write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl")
    found = read(tmp_path / "out.jsonl")
    assert all("step_scores" not in row for row in found)
    for row, text in zip(found, ("a\nb", "a\n\nb "), strict=True):
        probability = whole.score(row["problem"], [text]).last
        given = row["score"] if name == "rlhflow-orm" else 1 / (1 + math.exp(-row["score"]))
        assert given == pytest.approx(probability, abs=1e-6)
    assert found[0]["score"] != found[1]["score"]
    benchmark = write(tmp_path / "benchmark.jsonl", [{"id": "a", "problem": QUESTION, "steps": ["1"]}])
    with refused("unsupported", file=benchmark, row=1, field=""):
        run(whole, benchmark, tmp_path / "none.jsonl")


def test_prmbench_and_big_bench_rows(scorer: HubScorer, tmp_path: Path, shared_data: Path) -> None:
    (prmbench,) = [path for path in (shared_data / "prmbench").iterdir() if "circular" in path.name]
    rows = [json.loads(line) for line in prmbench.read_text().splitlines()[:3]]
    found = run(scorer, write(tmp_path / "prm.jsonl", rows), tmp_path / "out.jsonl", set_aside=True)
    assert found.rows + found.set_aside == 3
    for row, predicted in zip(rows, read(tmp_path / "out.jsonl"), strict=False):
        assert predicted["id"] == f"{row['classification']}_{row['idx']}"
        assert len(predicted["step_scores"]) == len(row["modified_process"])
        assert len(predicted["original_step_scores"]) == len(row["original_process"])
        alone = scorer.score(row["original_question"], row["original_process"]).steps
        assert predicted["original_step_scores"] == pytest.approx(alone, abs=1e-5)
    mistakes = shared_data / "big_bench_mistake" / "multistep_arithmetic.jsonl"
    rows = [json.loads(line) for line in mistakes.read_text().splitlines()[:3]]
    run(scorer, write(tmp_path / "bbm.jsonl", rows), tmp_path / "mistakes.jsonl")
    predicted = read(tmp_path / "mistakes.jsonl")
    assert [(one["id"], len(one["step_scores"])) for one in predicted] == [
        (number, len(row["steps"])) for number, row in enumerate(rows, start=1)
    ]


def test_a_packed_file_and_our_own_models(tmp_path: Path, base: Path) -> None:
    own = own_scorer(base, tmp_path / "model")
    rows = candidates(4)
    source = tmp_path / "in.jsonl.gz"
    source.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    run(own, source, tmp_path / "deep" / "out.jsonl")
    for row, scored in zip(rows, read(tmp_path / "deep" / "out.jsonl"), strict=True):
        assert scored["step_scores"] == pytest.approx(own.score(row["problem"], row["steps"]).steps, abs=1e-5)


class Killed(BaseException):
    """As a kill would, it passes every handler of errors."""


def _stop_at(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int) -> None:
    """The named function stops the program at its n-th call."""
    real, calls = getattr(module, name), []

    def stopping(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return real(*given, **named)

    monkeypatch.setattr(module, name, stopping)


@pytest.mark.parametrize(
    "where, call",
    [
        (("files", "_scores"), 1), (("files", "_scores"), 3), (("journal", "write_json"), 2),
        (("journal", "write_json"), 4), (("journal", "write_json"), 6), (("os", "fsync"), 1), (("os", "fsync"), 7),
    ],
)  # fmt: skip
def test_a_stopped_scoring_goes_on(
    scorer: HubScorer, tmp_path: Path, chunks_of_two: None, where: tuple[str, str], call: int
) -> None:
    source = write(tmp_path / "in.jsonl", candidates())
    run(scorer, source, tmp_path / "whole.jsonl")
    to = tmp_path / "out.jsonl"
    with pytest.MonkeyPatch.context() as patched:
        module = {"files": hub_files, "journal": hub_journal, "os": hub_journal.os}[where[0]]
        _stop_at(patched, module, where[1], call)
        with pytest.raises(Killed):
            run(scorer, source, to)
    assert not to.exists()
    if (part := tmp_path / "out.jsonl.part").exists():
        with part.open("ab") as file:
            file.write(b'{"torn')
    found = run(scorer, source, to)
    assert (found.rows == 7 and found.before % 2 == 0) or found.before == 7
    assert to.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert not part.exists()


def test_a_finished_scoring_is_not_done_again(
    scorer: HubScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, to = write(tmp_path / "in.jsonl", candidates()), tmp_path / "out.jsonl"
    run(scorer, source, to)
    before = to.read_bytes()
    with monkeypatch.context() as patched:
        _stop_at(patched, hub_files, "_scores", 1)
        assert run(scorer, source, to).before == 7
    assert to.read_bytes() == before
    to.rename(tmp_path / "out.jsonl.part")  # stopped after the last row, before the file had its name
    assert run(scorer, source, to).before == 7 and to.read_bytes() == before
    to.unlink()
    assert run(scorer, source, to).before == 0 and to.read_bytes() == before


@pytest.mark.parametrize("change", ["file", "weights", "name", "split", "edited", "foreign"])
def test_what_another_scoring_wrote_is_not_written_over(scorer: HubScorer, tmp_path: Path, change: str) -> None:
    source, to = write(tmp_path / "in.jsonl", candidates()), tmp_path / "out.jsonl"
    changes: dict[str, Any] = {"weights": {"weights": "v"}, "name": {"name": "m"}, "split": {"split": "paragraphs"}}
    if change == "foreign":
        to.write_text("mine\n")
    else:
        run(scorer, source, to)
    if change == "edited":
        to.write_text("mine\n")
    if change == "file":
        write(source, candidates(3))
    before = to.read_bytes()
    with refused("file_exists", file=to):
        run(scorer, source, to, **changes.get(change, {}))
    assert to.read_bytes() == before and not (tmp_path / "out.jsonl.part").exists()


def test_two_at_once_are_refused(scorer: HubScorer, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", candidates())

    def again(*told: Any) -> None:
        with refused("locked", file=tmp_path / "out.jsonl.part"):
            run(scorer, source, tmp_path / "out.jsonl")

    assert run(scorer, source, tmp_path / "out.jsonl", progress=again).rows == 7


GOOD = candidates(1)[0]


def without(*names: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**GOOD, **changes}.items() if name not in names}


BAD: list[tuple[Any, str, str]] = [
    (without("problem_id"), "missing", "problem_id"),
    (without("solution_id"), "missing", "solution_id"),
    (without(solution_id=None), "wrong_type", "solution_id"),
    (without(solution_id=True), "wrong_type", "solution_id"),
    (without("problem"), "missing", "problem"),
    (without(problem=" "), "empty", "problem"),
    (without(question="Another?"), "conflict", "question"),
    (without("steps"), "missing", "steps"),
    (without(solution="16"), "conflict", "solution"),
    (without(steps=[]), "empty", "steps"),
    (without(steps="16"), "wrong_type", "steps"),
    (without(steps=["16", " "]), "empty", "steps[1]"),
    (without(steps=["16", 3]), "wrong_type", "steps[1]"),
    (without("steps", solution="\n"), "empty", "solution"),
    (without(steps=["16 - 3 " * 500]), "too_large", ""),
    (without(step_scores=[0.5]), "conflict", "step_scores"),
    (without(score=0.5), "conflict", "score"),
    ({"modified_process": ["a"], "modified_question": " "}, "empty", "modified_question"),
    ({"modified_process": ["a"], "modified_question": "b", "idx": 1.5}, "wrong_type", "idx"),
    ({"input": "a", "mistake_index": None, "steps": []}, "empty", "steps"),
    (without(model="er"), "conflict", "model"),
    ({"id": None, "problem": QUESTION, "steps": ["1"]}, "wrong_type", "id"),
    ("[1, 2]", "wrong_type", ""),
    ('{"problem_id": NaN}', "not_finite", "problem_id"),
]


@pytest.mark.parametrize("row, code, field", BAD)
def test_bad_rows_are_named_before_any_is_scored(
    scorer: HubScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: Any, code: str, field: str
) -> None:
    monkeypatch.setattr(hub_files, "_scores", _never)
    source, to = write(tmp_path / "in.jsonl", [GOOD, row, GOOD]), tmp_path / "out.jsonl"
    with refused("bad_rows", file=source, names=(field,)) as error:
        run(scorer, source, to)
    assert [(fault.row, fault.code, fault.field) for fault in error.value.faults] == [(2, code, field)]
    assert list(tmp_path.iterdir()) == [source]


def _never(*given: Any) -> Any:
    raise AssertionError("nothing is to be scored")


def test_bad_rows_can_be_set_aside(scorer: HubScorer, tmp_path: Path, chunks_of_two: None) -> None:
    rows = [row for bad, *_ in BAD for row in (bad, GOOD)]
    source, to = write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    found = run(scorer, source, to, set_aside=True)
    assert (found.rows, found.set_aside) == (len(BAD), len(BAD))
    assert [row["solution_id"] for row in read(to)] == [0] * len(BAD)
    assert found.rejected == tmp_path / "out.jsonl.rejected.jsonl"
    assert [row["row"] for row in read(found.rejected)] == list(range(1, 2 * len(BAD), 2))


def test_a_file_without_rows_to_score_is_refused(scorer: HubScorer, tmp_path: Path) -> None:
    source, to = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    with refused("empty", file=source):
        run(scorer, write(source, []), to, set_aside=True)
    with refused("bad_rows", file=source, row=1, field="steps"):
        run(scorer, write(source, [without("steps")]), to, set_aside=True)
    with refused("file_not_found", file=tmp_path / "none.jsonl"):
        run(scorer, tmp_path / "none.jsonl", to)


def test_scores_that_are_no_numbers_are_refused(
    scorer: HubScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing: Callable[..., torch.Tensor] = lambda *_: torch.full((9, 2), float("nan"))  # noqa: E731
    monkeypatch.setattr(scorer, "_logits", nothing)
    with refused("not_finite", field="scores", names=(scorer.description.name,)):
        run(scorer, write(tmp_path / "in.jsonl", candidates(1)), tmp_path / "out.jsonl")
