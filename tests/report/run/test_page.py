"""The page is whole, closed to the outside, escaped, and the same every time; it says the answer first."""

import base64
import dataclasses
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stepward.evaluation.best_of_n.evaluate import Evaluation
from stepward.evaluation.stats.paired_test import is_counted
from stepward.report.data import Candidate, Report, RunReport
from stepward.report.run import browser
from stepward.report.run.page import score_color, write_report
from stepward.report.run.text import headline, needed, p_value

VOID = {"meta", "br", "link", "img", "input", "hr"}


class _Tree(HTMLParser):
    """Collects tags, ids, links and visible text, and refuses what is not nested."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.tags: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.ids += [value or "" for key, value in attrs if key == "id"]
        self.links += [value or "" for key, value in attrs if key in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for key, value in attrs if key == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


def _parse(text: str) -> _Tree:
    tree = _Tree()
    tree.feed(text)
    tree.close()
    return tree


def _words(tree: _Tree) -> str:
    return re.sub(r"\s+", " ", "".join(tree.text))


@pytest.fixture(scope="module")
def folder(run: RunReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page")
    write_report(Report((run,)), made / "report.html")
    return made


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_tags_nest_and_ids_are_unique(page: str) -> None:
    tree = _parse(page)
    assert tree.open == []
    assert [name for name, count in Counter(tree.ids).items() if count > 1] == []
    # curves of four votings, fifths, level, subject, steps, length, reliability, two of labels, cost
    assert tree.tags["h1"] == 1 and tree.tags["svg"] == tree.tags["figure"] == 13


def test_nothing_is_asked_of_the_outside(page: str) -> None:
    tree = _parse(page)
    assert not {"link", "img", "iframe", "object"} & set(tree.tags)
    for link in tree.links:
        assert link.startswith(("#", "data:text/csv", "report-data/plots/")), link
    assert re.findall(r"url\((?!#)|@import", page) == []
    for reference in re.findall(r"""(?:href="#|url\(#)([^")]+)""", page):
        assert reference in tree.ids
    assert "default-src &#39;none&#39;" in page and "unsafe-eval" not in page


def test_opens_with_the_answer_and_says_all_findings(page: str, evaluation: Evaluation) -> None:
    text = _words(_parse(page))
    for sentence in headline(evaluation):
        assert sentence in text
    assert text.index("ER-PRM best-of-16:") < text.index("Accuracy over the number of candidates")
    assert "93.0% of 1,234 distinct prefixes" in text and "0.951" in text
    assert "3.0% reach the right answer by wrong steps" in text
    silent = evaluation.facts["without_answer"]
    assert f"{silent:,} of them have no answer" in text


def test_every_margin_is_in_the_table_with_its_p(page: str, evaluation: Evaluation) -> None:
    table = page[page.index('aria-label="Paired comparisons"') :]
    table = table[: table.index("</table>")]
    assert table.count("<tr>") == 1 + len(evaluation.margins)
    for margin in evaluation.margins:
        for cell in (needed(margin.mean, margin.needed), p_value(margin.p), p_value(margin.p_holm)):
            assert f'<td class="number">{cell.replace("<", "&lt;")}</td>' in table
    told = re.search(r'id="tested">([^<]*)<', page)
    assert told is not None and str(sum(is_counted(one) for one in evaluation.margins)) in told[1]


def test_examples_stand_in_the_page_for_readers_without_scripts(page: str) -> None:
    text = _words(_parse(page))
    assert "Step 0 of way" in text and "first error" in text and "answers 7; drawn" in text


def test_every_plot_lies_beside_the_page_as_png_and_csv(folder: Path, page: str) -> None:
    plots = folder / "report-data" / "plots"
    pictures = sorted(path.stem for path in plots.glob("*.png"))
    assert pictures == sorted(path.stem for path in plots.glob("*.csv")) and len(pictures) == 13
    for name in pictures:
        assert (plots / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        csv = (plots / f"{name}.csv").read_bytes()
        assert f'href="data:text/csv;charset=utf-8;base64,{base64.b64encode(csv).decode()}"' in page
        assert f'href="report-data/plots/{name}.png"' in page


@pytest.mark.slow
@pytest.mark.usefixtures("without_png")
def test_the_same_input_gives_the_same_bytes(run: RunReport, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        write_report(Report((run,)), folder / "report.html")
    names = [sorted(path.relative_to(folder) for path in folder.rglob("*.*")) for folder in folders]
    assert names[0] == names[1] and len(names[0]) == 28
    for name in names[0]:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.usefixtures("without_png")
def test_what_an_earlier_page_of_more_runs_left_goes_and_others_files_stay(run: RunReport, tmp_path: Path) -> None:
    write_report(Report((run, run, run)), tmp_path / "report.html")
    folder = tmp_path / "report-data"
    for name in ("plots/mine.png", "plots/curves-mine.csv", "run-3/mine.js", "run-x/0000.js"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    write_report(Report((run,)), tmp_path / "report.html")
    alone = tmp_path / "alone" / "report.html"
    write_report(Report((run,)), alone)
    left = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    fresh = {str(path.relative_to(alone.parent / "report-data")) for path in alone.parent.rglob("plots/*.*")}
    left.discard(".stepward-report")  # what marks the folder as a page's own
    assert left - fresh == {"plots/mine.png", "plots/curves-mine.csv", "run-3/mine.js", "run-x/0000.js"}
    assert fresh <= left and not (folder / "run-2").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("without_png")
def test_problems_of_any_run_that_are_left_out_are_said(
    run: RunReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "BUDGET", 300)
    write_report(Report((dataclasses.replace(run, views=tuple), run)), tmp_path / "report.html")
    text = _words(_parse((tmp_path / "report.html").read_text(encoding="utf-8")))
    (count,) = re.findall(r"([\d]+) more problems of tiny & co did not fit", text)
    assert 0 < int(count) < 24


@pytest.mark.usefixtures("without_png")
def test_its_folder_may_lie_elsewhere(run: RunReport, tmp_path: Path) -> None:
    write_report(Report((run,)), tmp_path / "pages" / "one.html", tmp_path / "more of it")
    text = (tmp_path / "pages" / "one.html").read_text(encoding="utf-8")
    assert 'href="../more%20of%20it/plots/curves-best.png"' in text
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["one.html"]


@pytest.mark.usefixtures("without_png")
def test_a_name_in_a_file_names_no_path(run: RunReport, tmp_path: Path) -> None:
    rows = tuple(dataclasses.replace(row, slicing="../../gone<b>") for row in run.evaluation.slices)
    evil = dataclasses.replace(run, evaluation=dataclasses.replace(run.evaluation, slices=rows))
    write_report(Report((evil,)), tmp_path / "deep" / "er" / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["er"]
    names = [path.name for path in (tmp_path / "deep" / "er" / "report-data" / "plots").iterdir()]
    assert "slices-------gone-b-.png" in names


@pytest.mark.usefixtures("without_png")
def test_without_oracle_models_costs_or_slices(run: RunReport, tmp_path: Path) -> None:
    plain = dataclasses.replace(
        run.evaluation,
        rows=tuple(row for row in run.evaluation.rows if row.voting is None),
        chosen=(), margins=(), slices=(), facts={},
        quintiles=tuple(row for row in run.evaluation.quintiles if row.voting is None),
    )  # fmt: skip
    bare = [dataclasses.replace(view, candidates=[_bare(one) for one in view.candidates]) for view in run.views()]
    report = RunReport("gsm8k", plain, views=lambda: bare)
    write_report(Report((report,)), tmp_path / "report.html")
    text = _words(_parse((tmp_path / "report.html").read_text(encoding="utf-8")))
    assert "Majority voting" in text and "oracle finds" not in text and "What it cost" not in text


def _bare(candidate: Candidate) -> Candidate:
    return dataclasses.replace(candidate, scores=(), totals=(), first_error=None)


def test_score_colours_part_at_a_half() -> None:
    assert score_color(0.0).startswith("rgba(213, 94, 0, 0.55")
    assert score_color(1.0).startswith("rgba(0, 114, 178, 0.55")
    assert score_color(0.5).endswith("0.000)")


def _with_one_seed(run: RunReport) -> RunReport:
    """The same of a single model a kind, of whose seeds nothing is known."""
    found = run.evaluation
    alone = dataclasses.replace(
        found,
        rows=tuple(dataclasses.replace(row, std=None, seeds=min(row.seeds, 1)) for row in found.rows),
        chosen=tuple(dataclasses.replace(choice, seeds=(0,)) for choice in found.chosen),
        margins=tuple(dataclasses.replace(one, seeds=1, against_seeds=0) for one in found.margins),
    )
    return dataclasses.replace(run, evaluation=alone)


def test_a_run_of_one_seed_says_nothing_of_seeds(run: RunReport, tmp_path: Path, without_png: None) -> None:
    alone = _with_one_seed(run)
    said = ["deviation over seeds", "problems and seeds", "as many seeds", "the seeds' models"]
    for name, runs in (("one", (run,)), ("several", (run, dataclasses.replace(alone, name="alone")))):
        write_report(Report(runs), tmp_path / f"{name}.html")
        text = " ".join((tmp_path / f"{name}.html").read_text(encoding="utf-8").split())
        assert all(words in text for words in (said if name == "one" else said[:1]))
    for name, runs in (("alone", (alone,)), ("both", (alone, dataclasses.replace(alone, name="other")))):
        write_report(Report(runs), tmp_path / f"{name}.html")
        text = " ".join((tmp_path / f"{name}.html").read_text(encoding="utf-8").split())
        assert not [words for words in said if words in text]
