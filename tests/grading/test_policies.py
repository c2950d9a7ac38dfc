r"""The written policies of docs/grading.md, a row each; and what holds for any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.grading import extract_answer, grade, grade_many, grade_without_sympy, reference_fault

EQUAL = [
    ("percent", "50", r"50\%"),
    ("unreduced", "1/2", r"\frac{2}{4}"),
    ("arithmetic", "10", "(9+1)"),
    ("arithmetic", "5", "10/2"),
    ("order", "1, 2", "2, 1"),
    ("order", r"1 \text{ and } -2", "-2, 1"),
    ("order", r"\{1, 2\}", r"\{2, 1\}"),
    ("order", "(2,1),(1,2)", "(1, 2), (2, 1)"),
    ("order", "x=2 or x=3", "3, 2"),
    ("brackets", "(1,9/2)", "(1,4.5)"),
    ("brackets", "-12;-11", r"\{-12, -11\}"),
    ("interval", r"(2,\infty)", r"(2,+\infty)"),
    ("interval", r"[0,1] \cup [2,3]", r"[2,3] \cup [0,1]"),
    ("interval", r"[0,2] \cap (1,3)", "(1,2]"),
    ("interval", "x > 3", r"(3,\infty)"),
    ("interval", r"x \in [-2,7]", r"-2 \le x \le 7"),
    ("interval", "x < 1", "-x > -1"),
    ("interval", r"x \ne 1", r"(-\infty,1) \cup (1,\infty)"),
    ("interval", r"\mathbb{R}", r"\text{all real numbers}"),
    ("unit", "10 cm", "10"),
    ("unit", r"15\mbox{ cm}^2", "15"),
    ("unit", r"5\sqrt{2} \text{ cm}", r"5\sqrt2"),
    ("unit", "3", "3s"),
    ("scale", "1000000", "1 million"),
    ("scale", "24", "2 dozen"),
    ("base", "101_2", "101_{2}"),
    ("name", "5", "x = 5"),
    ("name", "(3,2)", "(p,q)=(3,2)"),
    ("name", "7:32", "V_1:V_2=7:32"),
    ("name", "x = 5", "5 = x"),
    ("name", "(3, 4)", "x = 3, y = 4"),
    ("chain", "5", "a=b=5"),
    ("chain", "5", "2+3=5"),
    ("chain", r"\frac{\sqrt{3}}{3}", r"\frac{\sqrt{3}}{3} \approx 0.577"),
    ("equation", "2x+3y=6", "4x+6y=12"),
    ("equation", "2x+4y-3=0", "y = -1/2*x + 3/4"),
    ("boxes", "5", r"\boxed{3} so \boxed{5}"),
    ("plus-minus", r"\pm 3", r"\{-3, 3\}"),
    ("plus-minus", r"1 \pm \sqrt{2}", r"1+\sqrt{2}, 1-\sqrt{2}"),
    ("degrees", r"60^\circ", "60"),
    ("matrix", r"\begin{pmatrix}1\\2\end{pmatrix}", r"\left[\begin{array}{c}1\\2\end{array}\right]"),
    ("text", r"\text{odd}", "Odd"),
    ("choice", r"\text{(C)}", "C"),
    ("choice", "C", "C) Paris"),
    ("thousands", "1000", "1 000"),
    ("thousands", "30951", "x = 30,951"),
    ("thousands", "30951.5", "n = 30,951.50"),
    ("thousands", r"1234\pi", r"1,234\pi"),
    ("thousands", "1,2,345", "345, 1, 2"),
    ("thousands", "32349", r"32,\! 349"),
    ("mixed", r"7\frac{3}{4}", "7 3/4"),
    ("repeating", "1/6", r"0.1\overline{6}"),
    ("machine", r"\frac{1}{12}", "0.0833333333333333"),
    ("machine", r"\sqrt{17}", "4.123105625617661"),
    ("surd", r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
    ("surd", r"\sqrt{12}", r"2\sqrt{3}"),
    ("surd", r"2+\sqrt{3}", r"\frac{1}{2-\sqrt{3}}"),
    ("terms", "x+1", "1+x"),
    ("terms", "(x+1)^2", "x^2+2x+1"),
    ("terms", r"\frac{x^2-1}{x-1}", "x+1"),
    ("empty set", r"\emptyset", r"\{\}"),
]

UNEQUAL = [
    ("percent", "0.5", r"50\%"),
    ("order", "(1,2)", "(2,1)"),
    ("order", "3, 4", "y = 3 + 1, x = 3"),
    ("order", "x = 3, y = 4", "4, 3"),
    ("brackets", "(1,2)", "[1,2]"),
    ("brackets", "(1,2)", "1,2"),
    ("brackets", "(1,2)", r"\{1,2\}"),
    ("interval", "[0,1)", "(0,1)"),
    ("interval", "x > 3", r"x \ge 3"),
    ("interval", r"[0,1] \cup [2,3]", "[0,3]"),
    ("unit", "10 cm", "10 kg"),
    ("base", "101_2", "101"),
    ("base", "101_2", "5"),
    ("base", "101_2", "101_3"),
    ("name", "x = 5", "y = 5"),
    ("chain", "5", "x = 4 = 5"),
    ("false equation", "2", "1 = 2"),
    ("equation", "0", "a + 3z = 0"),
    ("equation", "2x+3y=6", "2x+3y=7"),
    ("plus-minus", r"\pm 3", "3"),
    ("ellipsis", r"1, 2, \ldots, n", r"1, 3, \ldots, n"),
    ("matrix", r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
    ("text", r"\text{odd}", r"\text{oddd}"),
    ("case", "x", "X"),
    ("choice", "C", "D) 5"),
    ("choice", "C", "C or D"),
    ("words", "5", "five"),
    ("decimal comma", "0.5", "0,5"),
    ("ratio", "7:3", "14:6"),
    ("thousands", "123", "12 3"),
    ("thousands", "1234", "(1,234)"),
    ("thousands", "1000000", "1,000,0001"),
    ("machine", "1/3", "0.33333333333333"),
    ("machine", "1/3", "0.33333333333333333333334"),
    ("machine", "(1/3, 2)", "(0.33333333333333333333334, 2)"),
    ("machine", r"\sqrt{2}", "1.41421356237309504880169"),
    ("machine", r"\sqrt{17}", "4.1231056256177"),
    ("machine", "3", "3.0000000000000001"),
    ("tolerance", r"\sqrt{2}", "1.414"),
    ("tolerance", r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}"),
    ("tolerance", r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
    ("factorial", "120", "5!!"),
    ("digits", "3", "\uff13"),
    ("digits", "3", "\u0663"),
    ("part", "1, 2", "1"),
    ("empty set", r"\emptyset", "0"),
]


@pytest.mark.parametrize(("policy", "reference", "answer"), EQUAL)
def test_equal(policy: str, reference: str, answer: str) -> None:
    verdict = grade(reference, answer)
    assert verdict.equal, (policy, verdict)


@pytest.mark.parametrize(("policy", "reference", "answer"), UNEQUAL)
def test_unequal(policy: str, reference: str, answer: str) -> None:
    verdict = grade(reference, answer)
    assert not verdict.equal, (policy, verdict)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [(r"\tan^2(y)+1", r"\sec^2(y)"), (r"\log_2 8", "3"), (r"1\leq|z|\leq 2", r"z \in [-2,-1] \cup [1,2]")],
)
def test_what_needs_algebra_gets_it(reference: str, answer: str) -> None:
    assert grade_without_sympy(reference, answer) is None
    verdict = grade(reference, answer)
    assert (verdict.equal, verdict.method) == (True, "algebra")


@pytest.mark.parametrize("reference", [r"\frac{1}{2", "(1,2", "}{", "$$", "...", "[0,1"])
def test_a_reference_that_cannot_be_read_gives_no_point(reference: str) -> None:
    assert reference_fault(reference)
    verdict = grade(reference, reference)
    assert (verdict.equal, verdict.method) == (False, "reference")


@pytest.mark.parametrize("reference", ["[0,1)", "x", "-", "1) first, then more", r"\{1\}", "5%"])
def test_a_usual_reference_has_no_fault(reference: str) -> None:
    assert reference_fault(reference) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"Answer \[ 9 \]", "9"),
        ("Therefore $x > 5$ is it.", "x > 5"),
        ("it costs $5 or $6", None),
        ("which is 1,000.99\u20ac", "1,000.99"),
        ("so it's -3 m2.", "-3"),
        ("3 + 3 = 6.", None),
        ("It takes 5 steps.", None),
    ],
)
def test_an_answer_that_is_not_marked(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


def test_many_are_graded_as_one_is() -> None:
    pairs = [(reference, answer) for _, reference, answer in (*EQUAL, *UNEQUAL)] * 2 + [("5", None)]
    assert grade_many(iter(pairs), workers=2) == [grade(*pair) for pair in pairs]
    assert grade_many([]) == []
    with pytest.raises(ValueError, match="workers"):
        grade_many([], workers=0)


PIECES = [
    "1", "2", "x", "y", "+", "-", "*", "/", "^", "(", ")", "[", "]", "{", "}", ",", "=", "<", ".", " ", "%",
    "!", ":", "\\frac", "\\sqrt", "\\pm", "\\pi", "\\le", "\\cup", "\\{", "\\}", "\\text{", "\\infty", "_",
    "|", "\\in", "e", "\\begin{pmatrix}", "\\end{pmatrix}", "&", "\\\\", "and", "cm", "\\circ", "\\sin", ";",
    "\\boxed{",
]  # fmt: skip
answers = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@given(answers, answers)
def test_the_fast_path_takes_any_text(left: str, right: str) -> None:
    one, other = grade_without_sympy(left, right), grade_without_sympy(right, left)
    if not reference_fault(left) and not reference_fault(right) and one and other:
        assert one.equal == other.equal
    itself = grade_without_sympy(left, left)
    assert itself is not None
    assert itself.equal == (reference_fault(left) is None)


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=4), st.randoms()
)
def test_terms_in_any_order_are_equal(terms: list[tuple[int, int, int]], chance: object) -> None:
    import random

    assert isinstance(chance, random.Random)
    written = [f"({c})*x^{a}*y^{b}" for c, a, b in terms]
    shuffled = list(written)
    chance.shuffle(shuffled)
    verdict = grade_without_sympy(" + ".join(written), " + ".join(shuffled))
    assert verdict is not None
    assert verdict.equal
    # One more than the whole is not the whole.
    more = grade_without_sympy(" + ".join(written), " + ".join([*shuffled, "1"]))
    assert more is not None
    assert not more.equal


@given(st.integers(-30, 30), st.integers(1, 12), st.integers(2, 60), st.integers(1, 9), st.integers(2, 60))
def test_surds_agree_with_sympy(a: int, b: int, n: int, c: int, m: int) -> None:
    import sympy

    left = rf"\frac{{{a}+{b}\sqrt{{{n}}}}}{{{c}}}"
    right = rf"\frac{{{a}}}{{{c}}}+\frac{{{b}\sqrt{{{m}}}}}{{{c}}}"
    verdict = grade_without_sympy(left, right)
    assert verdict is not None
    assert verdict.equal == (sympy.sqrt(n) == sympy.sqrt(m))
    turned = grade_without_sympy(left, rf"\frac{{{a * c}+{b * c}\sqrt{{{n}}}}}{{{c * c}}}")
    assert turned is not None
    assert turned.equal
