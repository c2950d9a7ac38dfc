"""The fast path of grading: exact text and exact rationals."""

import json
import random
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.grading import extract_answer, grade, grade_many, grade_without_sympy, reference_fault

EQUAL = [
    ("5600", "5,600"),
    ("5600", "$5,600.00"),
    ("5600", "5600 dollars"),
    ("70000", "$70,000."),
    ("-5", "-5.0"),
    ("-5", "-$5"),
    ("-5", "$-5"),
    ("-5", "\u22125"),
    ("0", "-0"),
    ("0.4", ".4"),
    ("16", "016"),
    ("5", "+5"),
    ("1/2", "0.5"),
    ("2/4", "1/2"),
    ("1000", "2,000/2"),
    (r"\frac{1}{2}", "1/2"),
    (r"-\dfrac{3}{4}", "-.75"),
    (r"\frac12", "0.5"),
    ("7 3/4", "31/4"),
    (r"7\frac{3}{4}", "7.75"),
    ("-3.5", "-3 1/2"),
    ("1500", "1.5e3"),
    ("0.015", "1.5E-2"),
    ("50", "50%"),
    (r"28\%", "28 percent"),
    (r"14{,}916", "14916"),
    (r"11,\!111", "11111"),
    ("72", "72 degrees"),
    ("30", r"30^\circ"),
    ("10\\text{ units}", "10"),
    (r"\frac{1}{3} \text{meters}", "1/3"),
    ("1", "1cm"),
    ("64", "64 square feet"),
    ("5 apples", "5 apple"),
    ("$5", "$5 per hour"),
    ("42", "$42$"),
    ("42", r"\(42\)"),
    ("42", "**42**"),
    ("yes", "Yes."),
    (r"\text{odd}", "Odd"),
    ("(1,2)", "( 1, 2 )"),
    (r"\left(1, 2\right)", "(1,2)"),
    ("x+1", "x + 1"),
    (r"\tfrac{x}{2}", r"\frac{x}{2}"),
]

UNEQUAL = [
    ("2", "12"),
    ("12", "2"),
    ("5", "5.0001"),
    ("1/3", "0.33"),
    ("0.33333333333333", "1/3"),  # 14 digits; from 15 on it is a machine's writing of 1/3
    ("50%", "0.5"),
    ("5 kg", "5 cm"),
    ("$50", "50 cents"),
    ("7 3/4", "73/4"),
    ("32349", "32, 349"),
    ("32349", "3,2349"),
    ("1234567", "1,234567"),
    ("1", "1 million"),
    ("2", "2 dozen"),
    ("2", "2x"),
    ("2", r"2\pi"),
    ("2", "2 pi"),
    ("5", "5 or 6"),
    ("12:00", "1:00"),
    ("1.2.3", "1.23"),
    ("52", "52_8"),
    ("1", "1/0"),
    ("0", "0/0"),
    ("5", "--6"),
    ("5", "5!"),
    ("10", "1_0"),
    ("3", "\u0663"),
    ("3", "\uff13"),
    ("2", "\u00b2"),
    ("nan", "0"),
    ("A", "a"),
    ("(0,9)", "[0,9)"),
    (r"\leftarrow", "arrow"),
    ("9", "1e999999"),
    ("1", "__import__('os')._exit(1)"),
]


@pytest.mark.parametrize(("reference", "answer"), EQUAL)
def test_equal(reference: str, answer: str) -> None:
    assert grade(reference, answer).equal
    assert grade(answer, reference).equal


@pytest.mark.parametrize(("reference", "answer"), UNEQUAL)
def test_unequal(reference: str, answer: str) -> None:
    assert not grade(reference, answer).equal
    assert not grade(answer, reference).equal


@pytest.mark.parametrize(
    ("reference", "answer"), [("", ""), ("", None), ("5", None), ("5", " "), ("", "5"), (" ", " ")]
)
def test_what_is_empty_equals_nothing(reference: str, answer: str | None) -> None:
    verdict = grade(reference, answer)
    assert (verdict.equal, verdict.method) == (False, "empty")
    assert verdict.reason == ("no answer" if reference.strip() else "no reference")


@pytest.mark.parametrize(
    ("reference", "answer", "method"),
    [
        ("5", "5", "exact"),
        ("5", "5.0", "number"),
        ("5", "x", "number"),
        ("x+1", "x + 1", "text"),
        ("x", "y", "expression"),
        ("odd", "even", "text"),
    ],
)
def test_the_verdict_says_how(reference: str, answer: str, method: str) -> None:
    assert grade(reference, answer).method == method


@pytest.mark.parametrize(
    ("reference", "answer", "equal"),
    [
        ("9" * 5_000, "9" * 5_000, True),
        ("9" * 5_000, "9" * 4_999 + "8", False),
        ("9" * 100_000, "9" * 99_999 + "8", False),
        ("5", "9" * 5_000, False),
        ("5", "5." + "0" * 9_000 + "1", False),
        ("5", "1/" + "9" * 9_000, False),
        ("1", "1 " + "9" * 5_000 + "/" + "9" * 5_000, False),
        ("5", r"\frac{" + "9" * 5_000 + "}{1}", False),
        ("5", "1e" + "9" * 5_000, False),
        ("5", "5e" + "0" * 5_000, True),
        ("1e999999", "1e999998", False),
        ("5", "," * 9_999, False),
        ("5", "5" + " apples" * 1_400, True),
        ("5", r"\text{" * 1_600, False),
        ("5", "{" * 100_000, False),
        ("5", "\\" * 9_999, False),
        ("\ud800", "\ud800", True),
        ("5", "\ud800\0", False),
    ],
)
def test_hostile_text_gets_a_verdict(reference: str, answer: str, equal: bool) -> None:
    assert grade(reference, answer).equal is equal


@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_decimals_agree_with_decimal(digits: int, places: int) -> None:
    number = Decimal(digits).scaleb(-places)
    exact = Fraction(number)
    assert grade(f"{number:f}", f"{number:,f}").equal
    assert grade(f"{number:f}", f"{exact.numerator}/{exact.denominator}").equal
    assert grade(f"{number:f}", f"{number:f}000" if places else f"{number:f}.000").equal
    assert not grade(f"{number:f}", f"{number + Decimal('1e-7'):f}").equal


@given(st.fractions(max_denominator=50), st.fractions(max_denominator=50))
def test_fractions_are_equal_only_if_they_are(left: Fraction, right: Fraction) -> None:
    assert grade(f"{left.numerator}/{left.denominator}", f"{right.numerator}/{right.denominator}").equal == (
        left == right
    )


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_compared_both_ways_alike(left: str, right: str) -> None:
    assert grade(left, right).equal == grade(right, left).equal
    assert grade(left, left).equal == (reference_fault(left) is None)


@given(st.text(alphabet="0123456789.,/$% -\\frac{}e", max_size=12), st.text(alphabet="0123456789.,/$% -", max_size=12))
def test_number_like_text_is_compared_both_ways_alike(left: str, right: str) -> None:
    assert grade(left, right).equal == grade(right, left).equal


def public_pairs(shared_data: Path, kind: str) -> list[dict[str, Any]]:
    lines = (shared_data / "grading" / "answer_pairs.jsonl").read_text().splitlines()
    return [row for line in lines if (row := json.loads(line))["kind"] == kind and not row.get("disputed")]


def test_public_answers(shared_data: Path) -> None:
    rows = public_pairs(shared_data, "answer")
    assert len(rows) == 373
    verdicts = grade_many([(row["gold"], row["pred"]) for row in rows])
    right = [verdict.equal == row["equal"] for row, verdict in zip(rows, verdicts, strict=True)]
    false_accepts = [row for row, verdict in zip(rows, verdicts, strict=True) if verdict.equal > row["equal"]]
    assert sum(right) / len(right) >= 0.97
    assert len(false_accepts) <= 3


def test_the_fast_path_is_never_wrong_on_public_answers(shared_data: Path) -> None:
    rows = public_pairs(shared_data, "answer")
    verdicts = [grade_without_sympy(row["gold"], row["pred"]) for row in rows]
    decided = [(row, verdict) for row, verdict in zip(rows, verdicts, strict=True) if verdict is not None]
    assert [row for row, verdict in decided if verdict.equal != row["equal"]] == []
    assert len(decided) / len(rows) > 0.9


def test_public_responses(shared_data: Path) -> None:
    rows = public_pairs(shared_data, "response")
    wrong = [row for row in rows if grade(row["gold"], extract_answer(row["pred"])).equal != row["equal"]]
    assert len(rows) == 15
    assert len(wrong) <= 2


def test_every_gsm8k_reference_equals_itself(shared_data: Path) -> None:
    lines = (shared_data / "gsm8k" / "train.jsonl").read_text().splitlines()
    references = [extract_answer(json.loads(line)["answer"], "gsm8k") for line in lines]
    assert len(references) == 7473
    for reference in references:
        assert reference is not None
        assert reference_fault(reference) is None
        # The same text is no test of reading: so are other writings of the number.
        assert grade_without_sympy(reference, f"${reference}.00$").equal  # type: ignore[union-attr]
        assert not grade_without_sympy(reference, f"{reference}1").equal  # type: ignore[union-attr]


def math_references(shared_data: Path) -> list[str]:
    rows = json.loads((shared_data / "math" / "train_problems_and_answers.json").read_text())
    return [row["final_answer"] for row in rows if row["final_answer"].strip()]


def test_every_math_reference_equals_itself(shared_data: Path) -> None:
    references = math_references(shared_data)
    assert len(references) == 7498
    assert [text for text in references if reference_fault(text) is not None or not grade(text, text).equal] == []
    # In another dress as well, which is not the very same text.
    dressed = [grade_without_sympy(text, rf"\boxed{{ \displaystyle {text} }}.") for text in references]
    assert [text for text, verdict in zip(references, dressed, strict=True) if verdict and not verdict.equal] == []
    assert sum(verdict is not None for verdict in dressed) / len(dressed) > 0.98


def test_different_math_references_are_not_equal(shared_data: Path) -> None:
    references = math_references(shared_data)
    chance = random.Random(0)
    pairs = [(chance.choice(references), chance.choice(references)) for _ in range(5_000)]
    verdicts = [(pair, grade_without_sympy(*pair)) for pair in pairs if pair[0] != pair[1]]
    equal = [pair for pair, verdict in verdicts if verdict is not None and verdict.equal]
    # Only other writings of one number.
    assert [
        pair for pair in equal if "".join(pair[0].split()) != "".join(pair[1].split()) and not same_number(*pair)
    ] == []
    assert sum(verdict is None for _, verdict in verdicts) / len(verdicts) < 0.02


def same_writing(left: str, right: str) -> bool:
    return "".join(left.split()) == "".join(right.split())


def same_number(left: str, right: str) -> bool:
    """Two LaTeX numbers, with a name or a unit perhaps, read by nothing of the package's."""
    sides = []
    for text in (left, right):
        text = re.sub(r"\\[dt]?frac\{?(\d+?)\}?\{?(\d+)\}?", r"\1/\2", text.rpartition("=")[2])
        text = re.sub(r"\\text\{.*?\}|\^\\circ|\\!|[,{}$% \\]", "", text)
        try:
            sides.append(Fraction(text))
        except ValueError:
            return False
    return sides[0] == sides[1]


@given(st.integers(0, 10**30), st.integers(0, 10**30), st.integers(0, 3))
def test_the_short_way_for_whole_numbers_says_what_the_long_way_says(one: int, other: int, zeros: int) -> None:
    for reference, answer in ((str(one), str(other)), (str(one), "0" * zeros + str(one))):
        # A space in front is what keeps a pair out of the short way.
        assert grade_without_sympy(reference, answer) == grade_without_sympy(f" {reference}", answer)
