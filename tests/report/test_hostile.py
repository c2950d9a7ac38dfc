"""A hundred hostile strings in every text of a page: nothing runs, nothing is asked for, and all show as text."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from stepward.records import Problem, Solution
from stepward.report.data import Candidate, ProblemView, Report, RunReport
from stepward.report.run import page as page_module
from stepward.report.run.page import write_report

pytestmark = pytest.mark.browser

_ATTACKS = (
    "<script>window.hacked=1</script>",
    "</script><script>window.hacked=1</script>",
    "</style><script>window.hacked=1</script>",
    "</textarea></title><svg onload=window.hacked=1>",
    '"><img src=x onerror="window.hacked=1">',
    "'><img src=x onerror='window.hacked=1'>",
    "<img src=https://example.com/pixel.png>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
    "<a href='javascript:window.hacked=1'>press</a>",
    "javascript:window.hacked=1",
    "`${window.hacked=1}`",
    "{{ 7 * 7 }}{% raw %}",
    "<!-- <script>window.hacked=1</script> -->",
    "]]><script>window.hacked=1</script>",
    "&lt;script&gt;window.hacked=1&lt;/script&gt;",
    "\\u003cscript\\u003ewindow.hacked=1\\u003c/script\\u003e",
    "$\\frac{1}{0}$ \\def\\x{<b>}",
    "\N{RIGHT-TO-LEFT OVERRIDE}<script>window.hacked=1</script>",
    "x\u2028window.hacked=1//",
    "_ __proto__ constructor",
    "=cmd|' /C calc'!A0",
    "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content='0;url=https://example.com'>",
    "<base href=https://example.com/>",
    "\x07\x1b[31m<b onmouseover=window.hacked=1>",
)
HOSTILE = tuple(
    f"{before}{attack}{number}" for number, before in enumerate(("", "a ", "' ", '" ')) for attack in _ATTACKS
)


def _texts(number: int, count: int) -> list[str]:
    return [HOSTILE[(number + one) % len(HOSTILE)] for one in range(count)]


def _hostile_views(run: RunReport) -> list[ProblemView]:
    """A hundred problems, every text of which is hostile, and every hostile string in every field."""
    views = []
    for number in range(len(HOSTILE)):
        key, question, reference, subject, answer, generator, *steps = _texts(number, 9)
        problem = Problem(key, question, reference, None, subject, subject)
        solution = Solution(f"{key}/{number}", key, tuple(steps), answer, number % 2 == 0, 3, generator)
        other = Solution(f"{key}/other", key, (answer,), subject, False, 5)
        scores = tuple((0.25, 0.5, 0.75) for _ in run.models)
        first = Candidate(solution, 0, scores, tuple(0.9 for _ in run.models), number % 3)
        second = Candidate(other, 1, tuple((0.5,) for _ in run.models), tuple(0.1 for _ in run.models))
        views.append(ProblemView(problem, [first, second]))
    return views


@pytest.fixture(scope="module")
def hostile_page(run: RunReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs whose names, recipes, facts, models, slices and problems are hostile."""
    names = {one: HOSTILE[number] for number, one in enumerate({row.slice: None for row in run.evaluation.slices})}
    slices = tuple(dataclasses.replace(row, slice=names[row.slice]) for row in run.evaluation.slices)
    first = dataclasses.replace(
        run,
        name=HOSTILE[4],
        about=" ".join(HOSTILE),
        facts=dict(zip(HOSTILE, reversed(HOSTILE), strict=True)),
        recipe={"x": {one: one for one in HOSTILE}},
        models=tuple(dataclasses.replace(model, name=HOSTILE[i]) for i, model in enumerate(run.models)),
        evaluation=dataclasses.replace(run.evaluation, slices=slices),
        costs=tuple(dataclasses.replace(cost, stage=HOSTILE[i], facts=HOSTILE[i]) for i, cost in enumerate(run.costs)),
        views=lambda: _hostile_views(run),
    )
    second = dataclasses.replace(first, name=HOSTILE[0], recipe={"x": {one: f"{one}!" for one in HOSTILE}})
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "as_png", lambda chart: b"a picture")
        write_report(Report((first, second)), path)
    return path


# Once as it is, and once without the policy that would stop what escaping let through.
@pytest.mark.parametrize("without_policy", [False, True])
def test_nothing_runs_and_everything_shows_as_text(hostile_page: Path, chromium: Any, without_policy: bool) -> None:
    context = chromium.new_context(bypass_csp=without_policy)
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(hostile_page.as_uri())
    page.wait_for_selector("#app:not([hidden])")
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    shown = page.evaluate(
        """() => [...document.querySelectorAll("#list button")].map((button) => {
          button.click();
          const text = (where) => [...document.querySelectorAll(`#problem ${where}`)].map((one) => one.textContent);
          return [text("h3"), text(".question"), text(".small"), text("td.step"), text(".badges"), text("thead")];
        })"""
    )
    assert len(shown) == 100
    for heading, question, about, steps, badges, head in shown:
        number = HOSTILE.index(heading[0])
        key, asked_for, reference, subject, answer, generator, *own = _texts(number, 9)
        assert [heading[0], question[0]] == [key, asked_for]
        assert about[0].startswith(f"Reference answer: {reference} · {subject} · ")
        assert [text.replace(" ✗ first error", "") for text in steps] == [*own, answer]
        assert f"answers {answer}; drawn 3 times by {generator}" in badges[0]
        assert all(name in head[0] for name in HOSTILE[:4])
    names = page.locator("#run option").all_text_contents()
    assert names == [HOSTILE[4], HOSTILE[0]]
    page.fill("#search", HOSTILE[30])
    assert page.locator("#list .id").count() >= 1
    text = page.evaluate("() => document.body.textContent")
    assert all(one in text for one in HOSTILE if "\x07" not in one)
    page.wait_for_timeout(200)
    assert page.evaluate("() => window.hacked") is None
    assert asked == [hostile_page.as_uri()] and complaints == []
    context.close()


def test_without_scripts_it_shows_as_text_too(hostile_page: Path, chromium: Any) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(hostile_page.as_uri())
    assert page.locator("#examples article").count() == 5
    first = page.locator("#examples h3").first.text_content()
    assert first in HOSTILE
    assert asked == [hostile_page.as_uri()]
    context.close()
