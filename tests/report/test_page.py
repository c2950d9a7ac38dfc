"""The page is whole, closed to the outside, escaped, and the same every time; its plots and the terminal table."""

import io
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from stepward.evaluation.label_quality import Agreement, LabelQuality
from stepward.evaluation.summary import Evaluation, evaluate
from stepward.records import Problem, Scores, Solution
from stepward.report import plots
from stepward.report.page import Example, ExampleSolution, ReportInput, render, score_colour, write_report
from stepward.report.terminal import summary_table
from stepward.report.wording import headline

KINDS = ("orm", "hard", "soft", "er", "mine")
NASTY = "<script>alert('1 < 2 & 3')</script>"
LABELS = LabelQuality(
    (Agreement(1, 1234, 0.8, 0.05, 0.15), Agreement(16, 1234, 0.93, 0.04, 0.03)),
    Agreement(None, 200, 0.97, 0.03, 0.0),
    0.951,
    0.6,
)
VOID = {"meta", "br", "link", "img", "input", "hr"}

Part = tuple[list[Problem], list[Solution], list[Scores]]


def _part(prefix: str, count: int) -> Part:
    generator = np.random.default_rng(count)
    problems = [Problem(f"{prefix}{i}", "?", "7") for i in range(count)]
    solutions = []
    for problem in problems:
        right = int(generator.integers(1, 60))
        solutions.append(Solution(f"{problem.id}/r", problem.id, ("a", "b"), "7", True, right))
        solutions.append(Solution(f"{problem.id}/w", problem.id, ("a", "c"), "3", False, 64 - right))
    scores = [
        Scores(s.id, s.problem_id, f"{kind}/seed-{seed}", tuple(generator.random(2).tolist()))
        for kind in KINDS
        for seed in (0, 1)
        for s in solutions
    ]
    return problems, solutions, scores


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(*_part("t", 25), validation=_part("v", 10), subsets=20)


def _example(number: int, first_error: int | None = None) -> Example:
    solution = Solution("s", "p", (NASTY, "The answer is 7."), "7", True, 2)
    shown = ExampleSolution(solution, {"er": (0.9, 0.125), "orm/seed-0": (0.5, 0.5)}, first_error)
    return Example(Problem(f"example-{number}.", NASTY, "7", level=2), [shown])


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    facts = {"Problems": "25", "Recipe <b>": NASTY}
    examples = [_example(number, first_error=1 if number == 0 else None) for number in range(12)]
    return render(ReportInput("tiny & co", evaluation, LABELS, facts, examples))


class _Tree(HTMLParser):
    """Collects tags, ids and visible text, and refuses what is not nested."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []
        self.tags: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.ids += [value or "" for key, value in attrs if key == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for key, value in attrs if key == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def _parse(page: str) -> _Tree:
    tree = _Tree()
    tree.feed(page)
    tree.close()
    return tree


def test_tags_nest_and_ids_are_unique(page: str) -> None:
    tree = _parse(page)
    assert tree.open == []
    assert [name for name, count in Counter(tree.ids).items() if count > 1] == []
    assert tree.tags["h1"] == 1 and tree.tags["svg"] == 5
    assert page.count('role="img"') == page.count("aria-label=") == 6


def test_nothing_is_asked_of_the_outside(page: str) -> None:
    tree = _parse(page)
    assert not {"script", "link", "img", "iframe", "object"} & set(tree.tags)
    assert re.findall(r"""(?:src|href)=["'](?!#)""", page) == []
    assert re.findall(r"url\((?!#)|@import", page) == []
    for reference in re.findall(r"""(?:href="#|url\(#)([^")]+)""", page):
        assert reference in tree.ids


def test_opens_with_the_answer_and_says_all_findings(page: str, evaluation: Evaluation) -> None:
    text = re.sub(r"\s+", " ", "".join(_parse(page).text))
    for sentence in headline(evaluation):
        assert sentence in text
    assert text.index("ER-PRM best-of-16:") < text.index("Accuracy over the number of candidates")
    assert "93.0% of 1,234 distinct prefixes" in text and "0.951" in text
    assert "3.0% reach the right answer by wrong steps" in text


def test_examples_show_scores_marks_and_at_most_ten_problems(page: str) -> None:
    tree = _parse(page)
    text = re.sub(r"\s+", " ", "".join(tree.text))
    assert text.count(NASTY) == 2 * 10 + 1  # question and step of ten problems, and one fact
    assert "example-9." in text and "example-10." not in text
    assert text.count("✗ first error") == text.count("by wrong steps ") == 1
    assert "0.90" in text and "0.12" in text and "ORM, seed 0" in text
    assert score_colour(0.125) in page


def test_the_same_input_gives_the_same_page(evaluation: Evaluation, tmp_path: Path) -> None:
    report = ReportInput("tiny", evaluation, LABELS, {}, [_example(0)])
    write_report(report, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text == render(report)
    assert len(text) < 3_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_without_oracle_models_or_examples(evaluation: Evaluation) -> None:
    test, held = _part("t", 6), _part("v", 6)
    plain = evaluate(test[0], test[1], [], validation=(held[0], held[1], []), ns=(1, 4), subsets=20)
    text = "".join(_parse(render(ReportInput("gsm8k", plain))).text)
    assert "Majority voting" in text and "oracle finds" not in text and "Solutions, step by step" not in text


def test_score_colours_part_at_a_half() -> None:
    assert score_colour(0.0).startswith("rgba(213, 94, 0, 0.55")
    assert score_colour(1.0).startswith("rgba(0, 114, 178, 0.55")
    assert score_colour(0.5).endswith("0.000)")


def test_plots_are_clean_repeatable_svg(evaluation: Evaluation) -> None:
    drawings: tuple[Callable[[], str], ...] = (
        lambda: plots.best_of_n_curves(evaluation, "best"),
        lambda: plots.quintile_plot(evaluation.quintiles, 16),
        lambda: plots.agreement_plot(LABELS.by_k),
        lambda: plots.label_error_plot(LABELS.by_k),
    )
    for draw in drawings:
        svg = draw()
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg") and root.get("viewBox") and root.get("width") is None
        assert plots.INK not in svg and "currentColor" in svg and "metadata" not in svg
        assert svg == draw()


def test_bands_and_lines_are_drawn_for_every_method(evaluation: Evaluation) -> None:
    svg = plots.best_of_n_curves(evaluation, "weighted")
    for kind in ("orm", "hard", "soft", "er"):
        assert f"stroke: {plots.COLOURS[kind]}" in svg
        assert f"fill: {plots.COLOURS[kind]}; fill-opacity: 0.2" in svg
    assert svg.count("fill-opacity: 0.2") == len(KINDS)
    assert svg.count("<!-- pass@N -->") == svg.count("<!-- majority voting -->") == 1


def test_terminal_table_fits_eighty_columns(evaluation: Evaluation) -> None:
    buffer = io.StringIO()
    Console(file=buffer, width=80).print(summary_table(evaluation))
    text = buffer.getvalue()
    assert "…" not in text and text.count("*") == len(KINDS) + 1
    row = evaluation.row("majority", 16)
    assert f"{100 * row.mean:.1f}" in next(line for line in text.splitlines() if "majority" in line)
