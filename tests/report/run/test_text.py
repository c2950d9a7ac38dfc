"""The sentences follow from the numbers, also when they are not flattering."""

from dataclasses import replace

from stepward.evaluation.best_of_n.evaluate import Evaluation, MetricRow, PairedDifference, SelectedConfig
from stepward.evaluation.best_of_n.slices import BY, QuintileRow
from stepward.report.run.text import (
    MINUS,
    comparing,
    comparisons,
    format_points,
    headline,
    method_label,
    percent,
    verdict,
)

QUINTILES = (QuintileRow(1, BY, 0.0, 1.0, 10, "majority", None, None, 16, 0.58, None, 0.3, 0.8),)


def _row(method: str, voting: str | None, aggregation: str | None, n: int, mean: float) -> MetricRow:
    return MetricRow(method, voting, aggregation, n, mean, 0.008 if voting else None, mean - 0.02, mean + 0.02, 5, 300)


def _evaluation(*margins: tuple[str, str, int, float, float, float]) -> Evaluation:
    rows = [_row("majority", None, None, 16, 0.58), _row("pass", None, None, 16, 0.901)]
    chosen = []
    for kind in ("hard", "er"):
        rows += [_row(kind, "best", "min", 16, 0.712), _row(kind, "weighted", "prod", 16, 0.7)]
        for voting, aggregation in (("best", "min"), ("weighted", "prod")):
            chosen.append(SelectedConfig(kind, voting, aggregation, 16, 0.7, voting == "best", (0, 1, 2, 3, 42), 100))
    made = [
        PairedDifference(
            method,
            against,
            "best",
            "min",
            n,
            16,
            mean,
            low,
            high,
            low > 0,
            high < 0,
            0.01,
            0.04,
            99,
            5,
            0 if against == "majority" else 5,
        )
        for method, against, n, mean, low, high in margins
    ]
    return Evaluation(tuple(rows), tuple(chosen), tuple(made), QUINTILES)


def test_opens_with_the_answer() -> None:
    assert headline(_evaluation())[:2] == [
        "ER-PRM best-of-16: 71.2 ± 0.8, weighted voting 70.0 ± 0.8, majority voting 58.0, pass@16 90.1.",
        "Hard-PRM best-of-16: 71.2 ± 0.8, weighted voting 70.0 ± 0.8.",
    ]


def test_winning_losing_and_neither_are_said_plainly() -> None:
    evaluation = _evaluation(
        ("hard", "majority", 16, -0.1, -0.12, -0.08),
        ("er", "majority", 16, 0.132, 0.101, 0.162),
        ("er", "hard", 16, -0.003, -0.015, 0.009),
    )
    assert headline(evaluation)[2:] == [
        "ER-PRM (best-of-16, minimum) beats majority voting by 13.2 points (95% interval 10.1 to 16.2).",
        f"ER-PRM (best-of-16, minimum) does not differ from Hard-PRM beyond chance: {MINUS}0.3 points "
        f"(95% interval {MINUS}1.5 to +0.9, which includes 0).",
        "Hard-PRM (best-of-16, minimum) loses to majority voting by 10.0 points (95% interval 8.0 to 12.0).",
    ]


def test_what_does_not_outlive_the_correction_does_not_beat() -> None:
    evaluation = _evaluation(
        ("er", "majority", 16, 0.02, 0.001, 0.039), ("hard", "majority", 16, -0.02, -0.039, -0.001)
    )
    lost = replace(
        evaluation, margins=tuple(replace(one, wins=False, loses=False, p_holm=0.08) for one in evaluation.margins)
    )
    assert [verdict(one) for one in evaluation.margins] == ["wins", "loses"]
    assert [verdict(one) for one in lost.margins] == ["can't tell"] * 2
    said = comparisons(lost)
    assert not any("beats" in one or "loses" in one for one in said) and all("0.080" in one for one in said)


def test_the_page_says_how_many_comparisons_there_are_and_which_kinds_are_single_models() -> None:
    evaluation = _evaluation(("er", "majority", 16, 0.02, 0.001, 0.039), ("hard", "majority", 16, 0, 0, 0))
    assert "one comparison" in comparing(evaluation)  # the other has the same figures on both sides
    several = _evaluation(*[("er", "majority", 16, 0.02, 0.001, 0.039)] * 3)
    assert (
        "3" in comparing(several) and "problems and seeds" in comparing(several) and "model" not in comparing(several)
    )
    chosen = tuple(replace(one, seeds=(0,)) if one.method == "hard" else one for one in several.chosen)
    single = comparing(replace(several, chosen=chosen))
    assert "Hard-PRM" in single and "ER-PRM" not in single and "this model" in single
    assert "one model" in comparisons(replace(several, margins=(replace(several.margins[0], seeds=1),)))[0]


def test_over_optimisation_is_computed() -> None:
    falls = headline(_evaluation(("hard", "hard", 64, -0.16, -0.2, -0.1), ("er", "er", 64, -0.01, -0.03, 0.01)))
    assert falls[-1] == (
        f"Over-optimisation: best-of-N falls from 16 to 64 candidates for Hard-PRM {MINUS}16.0 points; "
        "every 95% interval lies below 0. It does not, beyond chance, for ER-PRM."
    )
    steady = headline(_evaluation(("er", "er", 64, 0.02, 0.01, 0.03)))
    assert steady[-1] == "Best-of-N does not fall from 16 to 64 candidates for any kind, beyond chance."
    assert not any("64" in sentence for sentence in headline(_evaluation()))


def test_without_reward_models_only_the_baselines_are_told() -> None:
    rows = (_row("majority", None, None, 16, 0.58), _row("pass", None, None, 16, 0.901))
    assert headline(Evaluation(rows, (), (), QUINTILES)) == ["Majority voting 58.0, pass@16 90.1."]


def test_numbers_and_names() -> None:
    assert (percent(0.7125), percent(1.0)) == ("71.2", "100.0")
    assert (percent(-1e-17), percent(-0.0)) == ("0.0", "0.0")
    assert [format_points(x) for x in (0.013, -0.004, 0.0004, -0.0004)] == ["+1.3", f"{MINUS}0.4", "0.0", "0.0"]
    assert [method_label(x) for x in ("er", "orm/seed-42", "mine", "mine/seed-1")] == [
        "ER-PRM",
        "ORM, seed 42",
        "mine",
        "mine, seed 1",
    ]
