"""The verbs of labels on a small run written by hand: a judge, matching steps, consensus, and the comparison."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest
from raising import refused

from stepward.cli import labels as verbs  # noqa: F401  (adds its verbs)
from stepward.cli import program as cli
from stepward.errors import StepwardError
from stepward.formats.step_labels.stepward_run import joined
from stepward.generation.interface import Completion, Prompt, Sampling, Usage
from stepward.generation.prompts import PromptTemplate
from stepward.labeling.judge import Judgement
from stepward.labeling.labels import compute_labels, oracle_labels
from stepward.labeling.rollouts.prefixes import prefixes_of
from stepward.pipeline.stages.evaluate import oracle_of
from stepward.pipeline.stages.extra_labels import compare_labels, judge_run
from stepward.problems.arithmetic.dataset import problems, stories
from stepward.problems.arithmetic.story import answer_line, careless_solution, right_answer, right_lines
from stepward.recipes.run import Recipe
from stepward.records import Problem, Solution, StepLabels, StepRollouts, solution_id
from stepward.storage.manifest import Manifest
from stepward.storage.parquet import read_shard, write_shard
from stepward.storage.run_dir import Layout

SAMPLING = Sampling(temperature=0.0)


def make_run(folder: Path, completers: Sequence[str] = ("",), recipe: Recipe | None = None) -> Path:
    """A run in the arithmetic world, a right solution and two careless ones a problem, with counts by chance."""
    random = Random(4)
    recipe = recipe or Recipe(name="small")
    manifest = Manifest.start(folder, recipe.fingerprint_fields())
    layout = Layout(folder)
    given = problems("reward", 12)
    solutions = []
    for problem, story in zip(given, stories("reward"), strict=False):
        right = [*(line.text for line in right_lines(story)), answer_line(right_answer(story))]
        texts = [right, careless_solution(story, random, 0.3), careless_solution(story, random, 0.3)]
        for steps in dict.fromkeys(tuple(text) for text in texts):
            correct = steps[-1] == right[-1]
            answer = problem.reference if correct else "0"
            solutions.append(Solution(solution_id(problem.id, steps), problem.id, steps, answer, correct))
    for stage, unit, records, kind in (
        ("problems", "reward", given, Problem),
        ("solutions", "reward-0000", solutions, Solution),
    ):
        write_shard(layout.shard(stage, unit), records, kind)
        manifest.finish(stage, unit, layout.shard(stage, unit), problems=len(given))
    for name in completers:
        unit = f"reward-0000+{name}" if name else "reward-0000"
        counts = _counts(given, solutions, name or "first", random)
        write_shard(layout.shard("rollouts", unit), counts, StepRollouts)
        manifest.finish("rollouts", unit, layout.shard("rollouts", unit), work={"prefilled": 77})
    hard = compute_labels(solutions, {one.id: one for one in counts}, "hard")
    write_shard(layout.shard("labels", "hard"), hard, StepLabels)
    manifest.finish("labels", "hard", layout.shard("labels", "hard"))
    return folder


def _counts(given: list[Problem], solutions: list[Solution], completer: str, random: Random) -> list[StepRollouts]:
    """Right prefixes succeed often, wrong ones seldom."""
    oracle = oracle_of(given)
    prefixes = prefixes_of(solutions)
    found = []
    for prefix in prefixes.of.values():
        graded = prefixes.graded.get(prefix.id)
        chance = 0.5 if oracle(prefix.problem_id, prefix.steps) is None else 0.05
        right = sum(random.random() < chance for _ in range(4)) if graded is None else int(graded)
        one = StepRollouts(
            prefix.id, prefix.problem_id, prefix.steps, 4, right, False, completer, tokens=40, rule="all(4)"
        )
        found.append(one if graded is None else replace(one, drawn=1, complete=True, tokens=0, rule=""))
    return found


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "small")


Said = Callable[..., str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """Runs the command line in this process and gives what it says."""
    monkeypatch.setenv("COLUMNS", "120")

    def do(*words: object, code: int = 0) -> str:
        assert cli._run_command(lambda: cli.app(args=[str(word) for word in words])) == code
        out, err = capsys.readouterr()
        return err if code else out

    return do


class OracleJudge:
    """Knows the truth, and says it; of every fourth solution it says nothing readable."""

    def __init__(self, run: Path) -> None:
        self.name, self.meter, self.asked = "oracle", Usage(), 0
        layout = Layout(run)
        solutions = layout.solutions("reward")
        truth = oracle_labels(solutions, oracle_of(layout.problems("reward")))
        self.verdicts = {one.solution_id: (*one.labels, 0.0).index(0.0) for one in truth}
        self.steps = {one.id: len(one.steps) for one in solutions}
        self.dumb = {one.id for one in solutions[::4]}

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        self.asked += len(prompts)
        return [[Completion(self._reply(prompt.id), True, tokens=7)] for prompt in prompts]

    def _reply(self, name: str) -> str:
        verdict = self.verdicts[name]
        return "no idea" if name in self.dumb else f"\\boxed{{{-1 if verdict == self.steps[name] else verdict}}}"


def test_a_judge_goes_on_where_it_stopped_and_its_labels_are_the_runs(run: Path) -> None:
    judge = OracleJudge(run)
    solutions = Layout(run).solutions("reward")

    class Stops(OracleJudge):
        def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
            if self.asked == 10:
                raise StepwardError("no server", code="unreachable")
            return super().complete(prompts, sampling, seed)

    with refused("unreachable"):
        judge_run(run, Stops(run), sampling=SAMPLING, unit=5)
    told: list[tuple[int, int]] = []
    judgements, labels = judge_run(
        run, judge, sampling=SAMPLING, unit=5, progress=lambda done, total: told.append((done, total))
    )
    assert judge.asked == len(solutions) - 10 and told[-1] == (len(solutions), len(solutions))
    assert [one.solution_id for one in judgements] == [one.id for one in solutions]
    assert labels.dropped == {"no reply could be read": len(judge.dumb)}
    assert judge_run(run, judge, sampling=SAMPLING, unit=5)[0] == judgements and judge.asked == len(solutions) - 10
    _, rows = joined(f"{run}#judge")
    assert len(list(rows)) == len(solutions) - len(judge.dumb)
    units = Manifest.read(run).units("judgements")
    stored = [one for name in sorted(units) for one in read_shard(run / units[name]["path"], Judgement)]
    assert stored == judgements
    # Asked otherwise it is asked anew, and what it said before stays.
    judge_run(run, judge, sampling=SAMPLING, unit=5, seed=1)
    assert judge.asked == 2 * len(solutions) - 10 and len(Manifest.read(run).units("judgements")) == 2 * len(units)


def test_the_judge_is_asked_by_its_chat_template_with_what_the_command_says(
    run: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def server(url: str, model: str, key: str | None, prompting: PromptTemplate, **options: object) -> OracleJudge:
        made.extend([url, model, key, prompting.chat, options])
        return OracleJudge(run)

    monkeypatch.setattr("stepward.generation.openai.engine.ServerGenerator", server)
    asked = ("judge", run, "--url", "http://localhost:1/v1", "--model", "big", "--key", "MY_KEY")
    text = said(*asked, "--option", "concurrency=4", "--option", "timeout=2.5")
    assert made == ["http://localhost:1/v1", "big", "MY_KEY", True, {"concurrency": 4, "timeout": 2.5}]
    count = len(Layout(run).solutions("reward"))
    unread = -(-count // 4)
    for part in (f"{count - unread} votes", f"{unread} unreadable", "0 failed", f"{count - unread} solutions"):
        assert part in text
    assert f"without: {unread} " in text
    wrong = said(*asked, "--option", "concurrency", code=1)
    assert "--option concurrency" in wrong and "[bad_value]" in wrong


def test_what_a_judge_knows_is_never_wrong_and_consensus_keeps_what_both_say(run: Path, said: Said) -> None:
    judge_run(run, OracleJudge(run), sampling=SAMPLING)
    text = said("consensus", run)
    assert "steps labelled consensus" in text and "without: " in text and "in one alone" in text
    _, noise = compare_labels(run)
    of = {one.kind: one for one in noise}
    assert set(of) == {"hard", "judge", "consensus"}
    for kind in ("judge", "consensus"):
        assert of[kind].noise.f1 in (1.0, None) and of[kind].noise.share("early").count == 0
    assert of["judge"].tokens == 7 * len(Layout(run).solutions("reward")) and of["hard"].tokens is None
    assert 0 < of["consensus"].noise.solutions < of["judge"].noise.solutions
    assert said("consensus", run, "--one", "soft", code=1).startswith("stepward:")


def test_matching_steps_labels_a_run(run: Path, said: Said) -> None:
    text = said("match-steps", run)
    solutions = Layout(run).solutions("reward")
    assert f"{len(solutions)} solutions" in text and f"{run}#rules" in text
    labels = read_shard(run / "labels" / "rules.parquet", StepLabels)
    assert [one.labels[-1] for one in labels] == [float(one.correct) for one in solutions]


def test_labels_are_compared_in_a_table_in_json_and_in_a_plot(run: Path, said: Said, tmp_path: Path) -> None:
    both = make_run(tmp_path / "both", ("", "second"))
    to_json, plot = tmp_path / "labels.json", tmp_path / "labels.svg"
    text = said("evaluate", "labels", run, both, "--json", to_json, "--plot", plot)
    assert "~ every first_right(4)" in text and "second" in text and "invented" in text
    told = json.loads(to_json.read_text())
    named = {(one["run"], one["completer"]) for one in told["strategies"]}
    assert named == {("small", "first"), ("both", "first"), ("both", "second"), ("both", "pooled")}
    costs, _ = compare_labels(run)
    assert [one.strategy for one in costs] == ["every all(4)", "every all(1)", "every all(2)", "every first_right(4)"]
    assert costs[0].prefilled == 77 and costs[0].tokens == 10 * costs[0].completions
    assert costs[1].false_negatives > costs[0].false_negatives
    assert costs[3].completions < costs[0].completions
    pooled = [one for one in told["strategies"] if one["completer"] == "pooled"]
    assert len(pooled) == 1 and pooled[0]["completions"] == 2 * costs[0].completions
    assert pooled[0]["strategy"] == "every pool"
    drawn = plot.read_text()
    ElementTree.fromstring(drawn)
    assert drawn.startswith("<svg") and "#123456" not in drawn


def test_a_plot_may_be_a_picture_and_is_the_same_every_time(run: Path, said: Said, tmp_path: Path) -> None:
    for name in ("one", "two"):
        said("evaluate", "labels", run, "--plot", tmp_path / f"{name}.png")
        said("evaluate", "labels", run, "--plot", tmp_path / f"{name}.svg")
    assert (tmp_path / "one.png").read_bytes()[:4] == b"\x89PNG"
    for suffix in ("png", "svg"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


def test_what_cannot_be_compared_is_refused(run: Path, said: Said, tmp_path: Path) -> None:
    wrong = said("evaluate", "labels", run, "--plot", "x.pdf", code=1)
    assert "x.pdf" in wrong and ".svg" in wrong and "[bad_value]" in wrong
    assert str(tmp_path) in said("evaluate", "labels", tmp_path, code=1)
    other = Recipe.model_validate({"name": "other", "problems": {"path": "mine.jsonl"}})
    elsewhere = make_run(tmp_path / "other", recipe=other)
    assert str(elsewhere) in said("evaluate", "labels", elsewhere, code=1)
    empty = tmp_path / "empty"
    Manifest.start(empty, Recipe(name="empty").fingerprint_fields())
    assert str(empty) in said("match-steps", empty, code=1)
