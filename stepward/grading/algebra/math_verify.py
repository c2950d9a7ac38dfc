r"""Comparing two answers by symbolic algebra: math-verify, on one answer each. Runs in a worker process only.

What this rests on, from the sources of math-verify 0.9 and latex2sympy2_extended 1.11:

- The text is read by latex2sympy's ANTLR grammar, which builds sympy objects and evaluates nothing as Python. The
  other reader of math-verify, `ExprExtractionConfig`, hands text to sympy's `parse_expr`, which runs it as code;
  it is not used. `math_verify.parse` is not used either, since it searches a text for answers and joins what it finds:
  the two calls that it makes on each piece of LaTeX are made here on the one answer.
- sympy turns strings into expressions by `eval`, in `sympify`, and latex2sympy hands it each number that the grammar
  has read. `prepare` puts a reader of plain ASCII numbers in that place and takes the evaluator out of sympy, so
  that any other string ends in an error. The reader also makes decimals exact rationals.
- `verify` is told no time limit: its own is `signal.alarm`, which a big-integer operation outlasts. The parent kills.
- `verify` takes a decimal for any number that it rounds to, and two expressions for equal whose difference is small.
  Here decimals are exact rationals, and a difference has to vanish at 50 digits.
"""

from typing import Any

ROUNDING = 15
"""Decimal places at which `verify` compares decimals, where any are left."""
DIGITS = 50
"""Digits to which a difference of two expressions is evaluated."""

_FIRST_QUESTIONS = (
    ("x^{2}+2x+1", "(x+1)^{2}"),
    ("\\frac{1}{2}", "\\sin(\\frac{\\pi}{6})+0.5"),
    ("-2 \\le x \\le 7", "x \\in [-2, 7]"),
    ("x^{2}-4=0", "2x^{2}=8"),
    ("(0,1) \\cup (1,2)", "(0,2)"),
    ("\\begin{pmatrix}1&2\\end{pmatrix}", "\\begin{pmatrix}1&3\\end{pmatrix}"),
    ("\\sum_{k=1}^{n} k", "\\frac{n(n+1)}{2}"),
    ("\\log_{2} x + e^{x}", "\\ln x"),
)


def prepare() -> None:
    """Import the algebra, and take from it what runs text as code.

    Raises:
        ImportError: math-verify is not installed.
    """
    import logging

    import math_verify  # type: ignore[import-untyped]
    from sympy.parsing import sympy_parser  # type: ignore[import-untyped]

    assert math_verify
    logging.disable(logging.CRITICAL)
    # sympy imports much of itself when it is first used, and reads names by `eval` as it does so. Each question
    # brings in one part; every worker then shares what is imported, and the tables of the grammar.
    for reference, answer in _FIRST_QUESTIONS:
        compare(reference, answer)
    # sympify looks parse_expr up here when it is called; every other copy of it looks up eval_expr.
    sympy_parser.parse_expr = _number
    sympy_parser.eval_expr = _refuse


def _number(text: str, *_arguments: Any, **_settings: Any) -> Any:
    """The exact number that ASCII digits with at most one point state.

    Raises:
        ValueError: The text is anything else.
    """
    from sympy import Rational  # type: ignore[import-untyped]

    whole, _, decimals = text.partition(".")
    if not (whole + decimals).isdigit() or not text.isascii():
        raise ValueError("not a number")
    return Rational(int(whole + decimals), 10 ** len(decimals))


def _refuse(*_arguments: Any, **_settings: Any) -> Any:
    raise ValueError("text is never evaluated")


def compare(reference: str, answer: str) -> tuple[bool, str, str]:
    """Whether math-verify takes the answer for the reference: equal, method and reason of a verdict.

    Raises:
        MemoryError: The process may map no more memory.
    """
    from math_verify import verify

    sides = []
    for name, text in (("reference", reference), ("answer", answer)):
        try:
            sides.append(_read(text))
        except MemoryError:
            raise
        except Exception as error:
            return False, "algebra", f"the {name} is not mathematics that can be read ({type(error).__name__})"
    try:
        equal = verify(
            sides[0],
            sides[1],
            float_rounding=ROUNDING,
            numeric_precision=DIGITS,
            timeout_seconds=None,
            raise_on_error=True,
        )
    except MemoryError:
        raise
    except Exception as error:
        return False, "algebra", f"the algebra found no answer ({type(error).__name__})"
    return bool(equal), "algebra", "equal by algebra" if equal else "not equal by algebra"


def _read(latex: str) -> Any:
    """The sympy object that a piece of LaTeX stands for, with its decimals exact."""
    from latex2sympy2_extended import NormalizationConfig, latex2sympy, normalize_latex  # type: ignore[import-untyped]
    from math_verify.grader import should_treat_as_complex  # type: ignore[import-untyped]

    settings = NormalizationConfig(basic_latex=True, units=True, malformed_operators=True, nits=True, boxed="none")
    latex = normalize_latex(latex, config=settings)
    return latex2sympy(
        latex, is_real=not should_treat_as_complex(latex), convert_degrees=False, normalization_config=None
    )
