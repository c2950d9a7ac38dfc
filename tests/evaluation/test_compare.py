"""Runs beside one another: what is paired, what is not, and why."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from raising import refused

from stepward.evaluation.best_of_n import io as evaluation_folder
from stepward.evaluation.best_of_n.evaluate import evaluate
from stepward.evaluation.best_of_n.records import MetricRow
from stepward.evaluation.compare import compare_runs
from stepward.evaluation.loaded_run import LoadedRun
from stepward.evaluation.score_files import io as external_folder
from stepward.evaluation.score_files.evaluate import evaluate_scores
from stepward.evaluation.score_files.io import read, read_all
from stepward.evaluation.stats.bootstrap import accuracy_interval, resampled_means
from stepward.evaluation.stats.paired_test import holm, paired
from stepward.records import Problem, Scores, Solution
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import write_shard

NS = (1, 2, 4)
Part = tuple[list[Problem], list[Solution], list[Scores]]


def _part(prefix: str, count: int, kinds: Sequence[str], seed: int) -> Part:
    """Problems of four candidates each, and scores that see some of what is right."""
    draws, noise = np.random.default_rng(1), np.random.default_rng(seed)
    problems = [Problem(f"{prefix}{i:03}", f"What is {i}?", "7") for i in range(count)]
    solutions, scores = [], []
    for problem in problems:
        for name in "abcd":
            right = bool(draws.random() < 0.4)
            solutions.append(Solution(f"{problem.id}/{name}", problem.id, (name, "so"), "7" if right else "3", right))
    for kind in kinds:
        for model_seed in (0, 1):
            for solution in solutions:
                steps = 1 / (1 + np.exp(-noise.normal(0.7 if solution.correct else -0.7, 1.0, size=2)))
                scores.append(
                    Scores(solution.id, solution.problem_id, f"{kind}/seed-{model_seed}", tuple(map(float, steps)))
                )
    return problems, solutions, scores


def make_run(
    folder: Path, kinds: Sequence[str] = ("hard", "er"), seed: int = 0, count: int = 30, ns: Sequence[int] = NS,
    **recipe: Any,
) -> Path:  # fmt: skip
    """A run as it is on disc when it is evaluated."""
    manifest = Manifest.start(folder, {"name": folder.name, "about": "", "labels": {"eta": 2.0}, **recipe})
    test = _part("t", count, kinds, seed)
    write_shard(folder / "problems" / "test.parquet", test[0], Problem)
    found = evaluate(*test, validation=_part("v", 10, kinds, seed + 100), ns=ns, subsets=50)
    evaluation_folder.write(found, None, folder / "evaluation")
    # As an older Stepward did, without a hash: tests write into these files.
    manifest.note("evaluation", "summary", {"path": "evaluation/summary.json"})
    manifest.save()
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs on the same problems, of which one has more of them."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "one")
    make_run(folder / "two", kinds=("er", "orm"), seed=1, labels={"eta": 10.0})
    make_run(folder / "more", kinds=("er",), count=40)
    return folder


def test_runs_on_the_same_problems_are_paired(runs: Path) -> None:
    one, two = read_all([runs / "one", runs / "two"])
    compared = compare_runs([one, two], seed=3)
    (pair,) = compared.pairs
    assert (compared.n, compared.methods) == (4, ("majority", "pass", "hard", "er", "orm"))
    assert [each.first.method for each in pair.differences] == ["majority", "pass", "er"]
    assert (pair.why_unpaired, pair.recipes) == ("", ("labels.eta: 2.0 -> 10.0",))
    er = pair.differences[2]
    (ids, own), (others, other) = (run.per_problem("er", 4) for run in (one, two))
    assert ids == others == sorted(ids) and own.shape == other.shape == (2, 30)
    expected = paired(own, other, seed=3)
    assert (er.p, er.needed) == (expected.p, expected.needed)
    assert (er.mean, er.low, er.high) == pytest.approx((expected.mean, expected.low, expected.high))
    assert er.paired and er.problems == 30
    assert er.mean == pytest.approx(one.row("er", 4).mean - two.row("er", 4).mean)
    assert (er.first.accuracy, er.second.accuracy) == (one.row("er", 4).mean, two.row("er", 4).mean)
    same = pair.differences[0]  # majority voting needs no model: nothing differs
    assert (same.mean, same.low, same.high, same.p, same.needed) == (0, 0, 0, 1, None)
    # Both runs choose among the same candidates, so that only one of the three comparisons can be mistaken.
    assert (compared.comparisons, er.p_holm, same.p_holm) == (1, er.p, 1)
    assert [(each.first.seeds, each.second.seeds) for each in pair.differences] == [(0, 0), (0, 0), (2, 2)]


def test_the_methods_of_one_run_are_paired(runs: Path) -> None:
    run = read(runs / "one", "one")
    (pair,) = compare_runs([run]).pairs
    assert [(each.first.method, each.second.method) for each in pair.differences] == [
        ("hard", "er"), ("hard", "majority"), ("er", "majority"),
    ]  # fmt: skip
    (asked,) = compare_runs([run], methods=["er", "hard"]).pairs
    assert [(each.first.method, each.second.method) for each in asked.differences] == [("er", "hard")]
    assert asked.differences[0].mean == pytest.approx(-pair.differences[0].mean)
    assert [each.p_holm for each in pair.differences] == pytest.approx(holm(pair.differences))
    assert min(each.p_holm for each in pair.differences) == pytest.approx(3 * min(each.p for each in pair.differences))


def test_each_method_is_used_as_its_run_chose(runs: Path) -> None:
    evaluation, _ = evaluation_folder.read(runs / "two" / "evaluation")
    run = read(runs / "two", "two")
    assert {method: run.way(method) for method in ("er", "orm")} == {
        one.method: (one.voting, one.aggregation) for one in evaluation.chosen if one.overall
    }
    for voting in ("best", "weighted"):
        asked = read(runs / "two", "two", (voting, None))
        for method in ("er", "orm"):
            assert asked.way(method) == (voting, evaluation.choice(method, voting).aggregation)
    given = read(runs / "two", "two", ("weighted", "min"))
    assert (given.way("er"), given.way("orm")) == (("weighted", "min"), ("weighted", "last"))
    with refused("unknown_name", names=("worst", "last", "weighted", "prod")):
        read(runs / "two", "two", ("worst", "min"))


def test_other_problems_are_not_paired_and_it_is_said(runs: Path) -> None:
    one, more = read_all([runs / "one", runs / "more"])
    (pair,) = compare_runs([one, more]).pairs
    assert pair.why_unpaired == "other problems: 30 and 40, 30 of them in both"
    er = pair.differences[-1]
    assert (er.paired, er.needed) == (False, None) and 0 < er.p <= er.p_holm <= 1
    first, second = one.row("er", 4), more.row("er", 4)
    assert er.mean == pytest.approx(first.mean - second.mean)
    below = ((first.mean - first.low) ** 2 + (second.high - second.mean) ** 2) ** 0.5
    above = ((first.high - first.mean) ** 2 + (second.mean - second.low) ** 2) ** 0.5
    assert (er.low, er.high) == (pytest.approx(er.mean - below), pytest.approx(er.mean + above))


def test_one_id_with_another_text_is_another_problem(runs: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other")
    problems = _part("t", 30, (), 0)[0]
    changed = [Problem(one.id, one.question + " Now?" if one.id < "t010" else one.question, "7") for one in problems]
    write_shard(other / "problems" / "test.parquet", changed, Problem)
    (pair,) = compare_runs(read_all([runs / "one", other])).pairs
    assert pair.why_unpaired == "other problems: 10 of 30 have one id but another text"
    (other / "problems" / "test.parquet").unlink()  # a run may not keep them; then ids must do
    assert compare_runs(read_all([runs / "one", other])).pairs[0].why_unpaired == ""


def _alone(name: str, mean: float, low: float, high: float, problems: int) -> LoadedRun:
    """A run of which only the rows are known."""
    rows = tuple(MetricRow(one, None, None, 1, mean, None, low, high, 0, problems) for one in ("majority", "pass"))
    return LoadedRun(name, rows, {}, 1, None, None, None)


def test_an_unpaired_interval_covers() -> None:
    """Of independent runs with a known difference, the interval holds it about 95 times in 100."""
    random = np.random.default_rng(0)
    times, sizes, chances = 600, (60, 90), (0.15, 0.35)
    ends = []
    for size, chance in zip(sizes, chances, strict=True):
        accuracy = (random.random((size, times)) < random.beta(8 * chance, 8 * (1 - chance), (size, times))) * 1.0
        low, high = accuracy_interval(resampled_means(accuracy, size), accuracy)
        ends.append((accuracy.mean(axis=0), low, high))
    covered = 0
    for index in range(times):
        both = [
            _alone(str(side), float(mean[index]), float(low[index]), float(high[index]), sizes[side])
            for side, (mean, low, high) in enumerate(ends)
        ]
        difference = compare_runs(both).pairs[0].differences[0]
        covered += difference.low <= chances[0] - chances[1] <= difference.high
    assert 0.93 <= covered / times <= 0.975


def test_the_n_is_one_that_all_were_measured_at(runs: Path, tmp_path: Path) -> None:
    few = make_run(tmp_path / "few", ns=(1, 2))
    one, other = read_all([runs / "one", few])
    assert compare_runs([one, other]).n == 2
    assert compare_runs([one, other], n=1).n == 1
    with refused("unknown_name", field="--n", names=(4, 1, 2)):
        compare_runs([one, other], n=4)
    lone = make_run(tmp_path / "lone", ns=(3,))
    with refused("mismatch", field="ns"):
        compare_runs(read_all([runs / "one", lone]))


def test_an_unknown_method_is_refused(runs: Path) -> None:
    with refused("unknown_name", field="--methods", names=("soft", "majority", "pass", "hard", "er")):
        compare_runs([read(runs / "one", "one")], methods=["er", "soft"])


def test_runs_of_one_name_are_told_apart_and_one_is_not_given_twice(runs: Path, tmp_path: Path) -> None:
    same = make_run(tmp_path / "one")
    assert [run.name for run in read_all([runs / "one", same])] == [str(runs / "one"), str(same)]
    with refused("duplicate"):
        read_all([runs / "one", runs / "two", runs / "two" / ".." / "one"])


def test_folders_that_are_no_evaluated_runs(runs: Path, tmp_path: Path) -> None:
    with refused("file_not_found", file=tmp_path):
        read(tmp_path, "x")
    with refused("file_not_found", file=tmp_path / "none"):
        read(tmp_path / "none", "x")
    Manifest.start(tmp_path / "begun", {"name": "begun"})
    with refused("unfinished", file=tmp_path / "begun"):
        read(tmp_path / "begun", "x")
    rows = tmp_path / "rows.json"
    for content, code, names in (
        ("[]", "wrong_type", ()), ('[{"method": "a"}]', "wrong_version", ("aggregation", "high")),
        ("{", "unreadable", ()),
    ):  # fmt: skip
        rows.write_text(content)
        with refused(code, names=(rows, *names)):
            read(rows, "x")


def test_a_run_whose_files_contradict_one_another_is_refused(runs: Path, tmp_path: Path) -> None:
    torn = make_run(tmp_path / "torn")
    path = torn / "evaluation" / "summary.json"
    rows = [row | {"problems": 31} for row in json.loads(path.read_text())]
    path.write_text(json.dumps(rows))
    with refused("mismatch", file="accuracies.parquet", names=("torn", "hard", "30", "31")):
        compare_runs([read(torn, "torn")])


def _scores_file(path: Path, problems: int, seed: int) -> Path:
    random = np.random.default_rng(seed)
    with path.open("w") as file:
        for problem in range(problems):
            for one in range(4):
                row = {"problem_id": f"t{problem:03}", "solution_id": one, "answer": "7" if one % 3 else "3"}
                row |= {"reference": "7", "step_scores": random.random(2).tolist()}
                file.write(json.dumps(row) + "\n")
    return path


def test_scores_from_elsewhere_stand_for_a_run(runs: Path, tmp_path: Path) -> None:
    found = evaluate_scores([_scores_file(tmp_path / "scores.jsonl", 30, 0)])
    external_folder.write(found, tmp_path / "mine")
    external_folder.write_rows(found, tmp_path / "rows.json")
    mine, rows, one = read_all([tmp_path / "mine", tmp_path / "rows.json", runs / "one"])
    assert mine.way("score") == ("best", "last")
    by_folder, by_rows, *_ = compare_runs([one, mine, rows]).pairs
    assert by_folder.why_unpaired == "" and [one.first.method for one in by_folder.differences] == ["majority", "pass"]
    assert by_rows.why_unpaired == "rows.json has no accuracies by problem"
    with refused("file_exists", names=(runs / "one",)):
        external_folder.write(found, runs / "one")
    with refused("unfinished", file="rows.json"):
        compare_runs([rows])


def test_nothing_is_chosen_for_scores_from_elsewhere_so_the_first_measured_is_used(tmp_path: Path) -> None:
    found = evaluate_scores([_scores_file(tmp_path / "scores.jsonl", 5, 0)], aggregations=["min", "mean"])
    external_folder.write(found, tmp_path / "mine")
    assert read(tmp_path / "mine", "mine").way("score") == ("best", "min")
    assert read(tmp_path / "mine", "mine", (None, "mean")).way("score") == ("best", "mean")


def test_two_uses_of_one_model_are_compared(tmp_path: Path) -> None:
    found = evaluate_scores([_scores_file(tmp_path / "scores.jsonl", 30, 0)])
    external_folder.write(found, tmp_path / "mine")
    (mine,) = read_all([tmp_path / "mine"])
    (pair,) = compare_runs([mine], methods=["score", "score:weighted:last", "score:best:min"]).pairs
    sides = {(one.first.method, one.second.method): one for one in pair.differences}
    assert len(sides) == 3
    voted = sides["score", "score:weighted:last"]
    assert (voted.second.voting, voted.second.aggregation) == ("weighted", "last") and voted.paired
    row = next(one for one in mine.rows if (one.voting, one.aggregation, one.n) == ("weighted", "last", mine.n))
    assert voted.second.accuracy == row.mean and voted.mean == pytest.approx(voted.first.accuracy - row.mean)
    for methods, code in ((["score"], "too_few"), (["score:most:last"], "unknown_name")):
        with refused(code, field="--methods", names=methods):
            compare_runs([mine], methods=methods)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"mean": "x"}, "bad_value", "mean"),
        ({"method": "a\x1b[2J"}, "bad_value", "method"),
        (None, "missing", "n"),
    ],
    ids=["text", "escape", "no-majority"],
)
def test_rows_that_cannot_be_are_named(tmp_path: Path, change: dict[str, Any] | None, code: str, field: str) -> None:
    found = evaluate_scores([_scores_file(tmp_path / "scores.jsonl", 5, 0)])
    external_folder.write_rows(found, tmp_path / "rows.json")
    rows = json.loads((tmp_path / "rows.json").read_text())
    rows = (
        [row for row in rows if row["method"] != "majority"] if change is None else [{**rows[0], **change}, *rows[1:]]
    )
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    external_folder.write(found, tmp_path / "mine")
    with refused(code, field=field, row=None if change is None else 1):
        compare_runs(read_all([tmp_path / "rows.json", tmp_path / "mine"])).content()


def test_a_comparison_is_json(runs: Path) -> None:
    content = compare_runs(read_all([runs / "one", runs / "two"])).content()
    told = json.loads(json.dumps(content, allow_nan=False))
    assert (told["n"], [run["name"] for run in told["runs"]]) == (4, ["one", "two"])
    assert told["pairs"][0]["differences"][0]["first"]["run"] == "one"
    assert [row["method"] for row in told["runs"][0]["rows"]] == ["majority", "pass", "hard", "er"]


def test_a_runs_scores_written_out_give_its_figures(runs: Path, tmp_path: Path) -> None:
    """What has a closed form, and votes of one and of all, are equal; votes between are of other random subsets."""
    _, solutions, scores = _part("t", 30, ("hard", "er"), 0)
    by_id = {solution.id: solution for solution in solutions}
    with (tmp_path / "scores.jsonl").open("w") as file:
        for one in reversed(scores):
            row = {"problem_id": one.problem_id, "solution_id": one.solution_id, "model": one.model, "reference": "7"}
            row |= {"answer": by_id[one.solution_id].answer, "step_scores": one.scores}
            file.write(json.dumps(row) + "\n")
    external_folder.write(evaluate_scores([tmp_path / "scores.jsonl"], ties="share"), tmp_path / "mine")
    mine, run = read_all([tmp_path / "mine", runs / "one"])
    told = {(row.method, row.voting, row.aggregation, row.n): row for row in mine.rows}
    assert len(told) == len(run.rows)
    for row in run.rows:
        other = told[row.method, row.voting, row.aggregation, row.n]
        exact = row.voting in ("best", "weighted_max") or row.method == "pass" or row.n != 2
        assert other.mean == pytest.approx(row.mean, abs=1e-12 if exact else 0.05)
        assert (other.seeds, other.problems) == (row.seeds, row.problems)
    (pair,) = compare_runs([mine, run], n=1).pairs
    assert pair.why_unpaired == "" and len(pair.differences) == 4
    assert all(one.mean == pytest.approx(0, abs=1e-12) for one in pair.differences)
