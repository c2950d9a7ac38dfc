"""The page in a browser: quiet, closed, accessible in light and dark; its filters, search and keys do what they say."""

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from stepward.evaluation.score_files import io as external_folder
from stepward.evaluation.score_files.evaluate import evaluate_scores
from stepward.pipeline.score_report import scores_report
from stepward.report.data import ProblemView, Report, RunReport
from stepward.report.run import browser as browser_module
from stepward.report.run import page as page_module
from stepward.report.run.examples import ProblemExample, judge
from stepward.report.run.page import write_report

pytestmark = pytest.mark.browser

Open = Callable[..., Any]
Judged = list[tuple[ProblemView, ProblemExample]]


class Watched:
    """A page with what it complained of and what it asked for."""

    def __init__(self, context: Any, path: Path) -> None:
        self.complaints: list[str] = []
        self.outside: list[str] = []
        self.page = context.new_page()
        self.page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        own = path.parent.as_uri()
        self.page.on("request", lambda one: None if one.url.startswith(own) else self.outside.append(one.url))
        # Nothing would come of a request to the network, but it is counted.
        context.route(lambda url: not url.startswith("file:"), lambda route: route.abort())
        self.page.goto(path.as_uri())
        if context_scripts(context):
            self.page.wait_for_selector("#app:not([hidden])")

    def faults(self) -> list[str]:
        """What axe finds that is serious or critical."""
        axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed")
        self.page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
        found = self.page.evaluate("() => axe.run({ resultTypes: ['violations'] })")["violations"]
        bad = [one for one in found if one["impact"] in ("serious", "critical")]
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in bad]

    def ids(self) -> list[str]:
        """The problems that are listed."""
        return list(self.page.locator("#list .id").all_text_contents())

    def chosen(self) -> str:
        """The problem that is shown."""
        return str(self.page.locator("#problem h3").text_content())


def context_scripts(context: Any) -> bool:
    return not getattr(context, "without_scripts", False)


class Pages(dict[str, Path]):
    """Pages by name, each drawn when it is first asked for."""

    def __init__(self, folder: Path, draw: dict[str, Callable[[Path], object]]) -> None:
        super().__init__()
        self.folder, self.draw = folder, draw

    def __missing__(self, name: str) -> Path:
        page = self.folder / name / "report.html"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(page_module, "as_png", lambda chart: b"a picture")
            if name == "little":
                patch.setattr(browser_module, "BUDGET", 3_000)
                patch.setattr(browser_module, "CHUNK", 10)
            self.draw[name](page)
        self[name] = page
        return page


@pytest.fixture(scope="module")
def pages(
    run: RunReport,
    make_run: Callable[..., RunReport],
    write_scores: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Pages:
    folder = tmp_path_factory.mktemp("pages")
    first = dataclasses.replace(run, recipe={"labels": {"eta": 2.0}})

    def alone(page: Path) -> None:
        write_report(Report((run,)), page)

    def several(page: Path) -> None:
        write_report(Report((first, make_run("other", 0.5, {"labels": {"eta": 5.0}}))), page)

    def scores(page: Path) -> None:
        found = evaluate_scores([write_scores(folder / "scores.jsonl", "t", 6, whole="orm")], in_full=True)
        external_folder.write(found, page.parent)
        write_report(Report((scores_report(page.parent, "scores"),)), page)

    return Pages(folder, {"one": alone, "little": alone, "several": several, "scores": scores})


@pytest.fixture
def opened(chromium: Any) -> Iterator[Open]:
    contexts: list[Any] = []

    def open_page(path: Path, **options: Any) -> Watched:
        context = chromium.new_context(**options)
        context.without_scripts = options.get("java_script_enabled") is False
        contexts.append(context)
        return Watched(context, path)

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def judged(run: RunReport) -> Judged:
    return [(view, judge(view, len(run.models))) for view in run.views()]


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("one", "light"),
        *(
            pytest.param(name, scheme, marks=pytest.mark.slow)
            for name, scheme in [("one", "dark"), *product(["several", "scores"], ["light", "dark"])]
        ),
    ],
)
def test_quiet_closed_and_accessible(pages: dict[str, Path], opened: Open, name: str, scheme: str) -> None:
    watched = opened(pages[name], color_scheme=scheme)
    page = watched.page
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.keyboard.press("e")
    assert watched.faults() == []
    background = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(245, 246, 244)") is (scheme == "light")
    assert watched.complaints == [] and watched.outside == []


@pytest.mark.slow
def test_the_other_theme_is_a_press_away(pages: dict[str, Path], opened: Open) -> None:
    watched = opened(pages["one"], color_scheme="light")
    watched.page.click("#theme")
    assert watched.page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(18, 21, 24)"
    assert watched.page.text_content("#theme") == "Light"
    chosen = _colours(watched)
    watched.page.reload()
    watched.page.wait_for_selector("#app:not([hidden])")
    assert watched.page.get_attribute("html", "data-theme") == "dark"
    # Dark by choice has the colours of dark by the reader's system, which axe has looked at.
    assert chosen == _colours(watched) == _colours(opened(pages["one"], color_scheme="dark"))
    assert watched.complaints == []


def _colours(watched: Watched) -> list[str]:
    names = ["page", "panel", "text", "soft", "line", "accent", "right", "wrong", "chip", "focus"]
    script = "(names) => names.map((one) => getComputedStyle(document.documentElement).getPropertyValue(`--${one}`))"
    return list(watched.page.evaluate(script, names))


def _expected(verdict: str, view: ProblemView, found: ProblemExample, model: int) -> bool:
    """What each filter promises, told from the candidates themselves."""
    favourites = [view.candidates[number] for number in found.favourites]
    right, usual = favourites[model].solution.correct, view.candidates[found.usual].solution.correct
    return {
        "all": True,
        "wrong": not right,
        "missed": not right and any(one.solution.correct for one in view.candidates),
        "right": right,
        "hollow": right and favourites[model].first_error is not None,
        "beats": right and not usual,
        "loses": not right and usual,
        "disagree": len({*(one.solution.correct for one in favourites), usual}) == 2,
    }[verdict]


def test_filters_list_what_they_say(pages: dict[str, Path], opened: Open, judged: Judged, run: RunReport) -> None:
    watched = opened(pages["one"])
    options = watched.page.locator("#verdict option").evaluate_all("(all) => all.map((one) => one.value)")
    sizes = set()
    for model in range(len(run.models)):
        watched.page.select_option("#model", str(model))
        for verdict in options:
            watched.page.select_option("#verdict", verdict)
            expected = sorted(view.problem.id for view, found in judged if _expected(verdict, view, found, model))
            assert sorted(watched.ids()) == expected, (model, verdict)
            assert watched.page.text_content("#count") == f"{len(expected)} of {len(judged)} problems"
            sizes.add(len(expected))
    assert len(sizes) > 4  # the filters did differ
    assert watched.complaints == []


def test_level_subject_and_search_narrow_together(pages: dict[str, Path], opened: Open, judged: Judged) -> None:
    watched = opened(pages["one"])
    watched.page.select_option("#subject", "geometry")
    watched.page.select_option("#level", "2")
    problems = [view.problem for view, _ in judged]
    expected = sorted(one.id for one in problems if one.subject == "geometry" and one.level == 2)
    assert sorted(watched.ids()) == expected and expected
    watched.page.select_option("#subject", "")
    watched.page.select_option("#level", "")
    watched.page.fill("#search", "way 3   ADDS 11.")
    assert watched.ids() == ["t11"]
    watched.page.fill("#search", "in no problem")
    assert watched.ids() == [] and watched.page.text_content("#problem") == "No problem is chosen."
    assert watched.complaints == []


@pytest.mark.slow
def test_orders_by_the_pass_rate(pages: dict[str, Path], opened: Open, judged: Judged) -> None:
    watched = opened(pages["one"])
    rates = {
        view.problem.id: sum(one.solution.copies for one in view.candidates if one.solution.correct)
        for view, _ in judged
    }
    for order, sign in (("hard", 1), ("easy", -1)):
        watched.page.select_option("#order", order)
        shown = [sign * rates[one] for one in watched.ids()]
        assert shown == sorted(shown) and len(shown) == len(rates)


def test_candidates_are_sorted_and_coloured_by_the_chosen_model(
    pages: dict[str, Path], opened: Open, judged: Judged, run: RunReport
) -> None:
    watched = opened(pages["one"])
    view, found = next(one for one in judged if one[0].problem.id == watched.chosen())
    for model in (0, 3):
        watched.page.select_option("#model", str(model))
        order = sorted(range(4), key=lambda number: found.ranks[number][model])
        texts = watched.page.locator("#problem .candidate .step").all_text_contents()
        expected = [step for number in order for step in view.candidates[number].solution.steps]
        assert [text.replace(" ✗ first error", "") for text in texts] == expected
        best = view.candidates[order[0]]
        cell = watched.page.locator("#problem .candidate td.chosen").first
        assert cell.text_content() == f"{round(100 * best.scores[model][0]) / 100:.2f}"
        headings = watched.page.locator("#problem .candidate").first.locator("th.chosen").all_text_contents()
        assert headings == [run.models[model].name]
    wrong = sum(one.first_error is not None for one in view.candidates)
    assert watched.page.locator("#problem tr.first-error").count() == wrong


def test_keys_move_search_and_switch(pages: dict[str, Path], opened: Open, judged: Judged) -> None:
    watched = opened(pages["one"])
    page, ids = watched.page, watched.ids()
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert watched.chosen() == ids[2]
    page.keyboard.press("k")
    assert watched.chosen() == ids[1]
    page.keyboard.press("m")
    assert page.input_value("#model") == "1"
    page.keyboard.press("/")
    page.keyboard.type("jkme/ 17")
    assert page.input_value("#search") == "jkme/ 17" and watched.ids() == []
    page.keyboard.press("Escape")
    assert page.input_value("#search") == "" and len(watched.ids()) == len(judged)
    page.locator("#list button").first.focus()
    page.keyboard.press("ArrowDown")
    assert watched.chosen() == watched.ids()[1]
    assert page.evaluate("() => document.activeElement.querySelector('.id').textContent") == watched.ids()[1]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert watched.chosen() == watched.ids()[0]
    assert watched.complaints == []


@pytest.mark.slow
def test_another_run_loads_when_it_is_chosen(pages: dict[str, Path], opened: Open) -> None:
    watched = opened(pages["several"])
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url))
    watched.page.select_option("#verdict", "wrong")
    first = watched.page.text_content("#count")
    watched.page.select_option("#run", "2")
    watched.page.wait_for_function("() => document.getElementById('verdict').value === 'all'")
    watched.page.select_option("#verdict", "wrong")
    assert watched.page.text_content("#count") != first
    assert [url.rpartition("report-data/")[2] for url in asked] == ["run-2/index.js"]
    watched.page.select_option("#run", "1")
    watched.page.wait_for_function("() => document.getElementById('verdict').value === 'all'")
    watched.page.select_option("#verdict", "wrong")
    assert watched.page.text_content("#count") == first
    assert watched.complaints == [] and watched.outside == []


@pytest.mark.slow
def test_a_run_that_comes_late_does_not_take_the_place_of_the_chosen_one(pages: dict[str, Path], opened: Open) -> None:
    watched = opened(pages["several"])
    watched.page.evaluate(
        """() => {
          const select = document.getElementById("run"), changed = () => select.dispatchEvent(new Event("change"));
          const add = document.head.append.bind(document.head);
          document.head.append = (script) => { window.late = () => add(script); };
          select.value = "2"; changed();
          select.value = "1"; changed();
        }"""
    )
    shown = watched.page.text_content("#list")
    watched.page.evaluate(
        """() => {
          const index = window.stepwardIndex;
          window.stepwardIndex = (run, text) => { index(run, text); setTimeout(() => { window.came = true; }, 300); };
          window.late();
        }"""
    )
    watched.page.wait_for_function("() => window.came")
    assert watched.page.input_value("#run") == "1" and watched.page.text_content("#list") == shown
    assert watched.complaints == []


@pytest.mark.slow
def test_a_browser_that_can_not_unpack_says_so(pages: dict[str, Path], chromium: Any) -> None:
    page = chromium.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script("delete window.DecompressionStream")
    page.goto(pages["one"].as_uri())
    page.wait_for_selector("#browser .note")
    assert "this browser is too old to unpack them" in page.text_content("#browser .note")
    assert page.locator("#examples").is_visible() and errors == []
    page.close()


@pytest.mark.slow
def test_candidates_that_are_not_in_the_page_load_when_asked_for(
    pages: dict[str, Path], opened: Open, judged: Judged
) -> None:
    watched = opened(pages["little"])
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url))
    for _ in range(12):
        watched.page.keyboard.press("j")
    cards = watched.page.locator("#problem .candidate")
    assert cards.count() < 4
    watched.page.click("button.more")
    watched.page.wait_for_function("() => document.querySelectorAll('#problem .candidate').length === 4")
    view = next(one for one, _ in judged if one.problem.id == watched.chosen())
    steps = {step for one in view.candidates for step in one.solution.steps}
    shown = watched.page.locator("#problem td.step").all_text_contents()
    assert {text.replace(" ✗ first error", "") for text in shown} == steps
    assert [url.rpartition("report-data/")[2] for url in asked] == ["run-1/0001.js"]
    assert watched.complaints == [] and watched.outside == []


@pytest.mark.slow
def test_alone_without_its_folder_the_page_still_works(pages: dict[str, Path], opened: Open, tmp_path: Path) -> None:
    shutil.copy(pages["several"], tmp_path / "alone.html")
    watched = opened(tmp_path / "alone.html")
    assert len(watched.ids()) == 24
    watched.page.select_option("#run", "2")
    watched.page.wait_for_selector("#problem .note")
    assert "run-2/index.js is not there" in str(watched.page.text_content("#problem .note"))


def test_without_scripts_the_main_content_is_there(pages: dict[str, Path], opened: Open) -> None:
    watched = opened(pages["one"], java_script_enabled=False)
    text = watched.page.inner_text("main")
    assert "ER-PRM best-of-16:" in text and "Step 0 of way" in text and "What it cost" in text
    assert not watched.page.locator("#app").is_visible() and not watched.page.locator("#theme").is_visible()


@pytest.mark.slow
def test_on_paper_it_is_light_and_without_controls(pages: dict[str, Path], opened: Open) -> None:
    watched = opened(pages["one"], color_scheme="dark")
    watched.page.emulate_media(media="print")
    assert watched.page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for part in (".bar", ".controls", "#list", "figure .files"):
        assert not watched.page.locator(part).first.is_visible()
    assert watched.page.locator("#problem .candidate").first.is_visible()


@pytest.mark.parametrize("name", ["one", pytest.param("several", marks=pytest.mark.slow)])
def test_a_telephone_shows_it_without_scrolling_sideways(pages: dict[str, Path], opened: Open, name: str) -> None:
    watched = opened(pages[name], viewport={"width": 400, "height": 800})
    watched.page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert watched.page.evaluate("() => document.documentElement.scrollWidth") == 400
