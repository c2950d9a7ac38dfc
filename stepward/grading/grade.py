"""Does this answer equal the reference? The exact, fast path first; algebra in a killable process where it can't tell.

The layers, in order: what is empty, or no reference; the same text; exact numbers; the same text in plain notation;
shapes (points, intervals, sets, lists, matrices, equations) of exact values; a guard; algebra. Nothing before algebra
evaluates text or tolerates a difference, and each step's work is bounded, so that it is safe in the caller's process.
`docs/grading.md` states the policies.
"""

import os
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from stepward.answer_extraction import extract_answer, reference_fault
from stepward.grading.algebra.guard import unsafe_reason
from stepward.grading.algebra.pool import POOL
from stepward.grading.exact.compare import MACHINE_DIGITS, is_equivalent
from stepward.grading.exact.parser import Scalar
from stepward.grading.exact.structure import (
    Bracketed,
    FiniteSet,
    Matrix,
    Relation,
    SetExpression,
    Shape,
    SingleValue,
    Words,
    read_shape,
)
from stepward.grading.exact.values import ParseError, number
from stepward.grading.multiple_choice import read_choice
from stepward.grading.normalize import normalize_latex
from stepward.grading.units import MAX_DIGITS, Quantity, is_rounded, read_quantity

LONGEST = 10_000
"""Longest answer, in characters, that is looked at; a longer one equals only the very same text."""
LONGEST_SHAPE = 1_500
"""Longest answer, in characters, that is read as an exact shape."""
DEADLINE = 5.0
"""Seconds that algebra has for one pair."""
_LONGEST_KEPT = 500  # longer texts are graded anew, so that the memo's size in memory is bounded
_MOST_KEPT = 50_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer equals the reference.

    Attributes:
        equal: The grade.
        method: What decided: `empty`, `reference` (it cannot be graded against), `exact` (the same text), `number`,
            `text`, `choice`, `expression`, `set`, `interval`, `list`, `matrix`, `relation`, `guard`, `algebra`; or
            `timeout`, `memory`, `crash`, where algebra was ended: these are not equal, and not known to be wrong.
        reason: Why, in words.
    """

    equal: bool
    method: str
    reason: str


def grade(reference: str, answer: str | None, *, deadline: float = DEADLINE) -> Verdict:
    """Compare an answer with the reference.

    Safe to call from any thread, from async code (it blocks: hand it to a thread where that matters), and in a
    daemonic process. Pairs that were graded before are remembered, timeouts too: a run gives one pair one verdict.

    Args:
        reference: The reference answer.
        answer: The extracted answer; None where none was found.
        deadline: Seconds that algebra may take before its process is killed.

    Returns:
        The verdict. An empty answer or reference equals nothing.

    Raises:
        StepwardError: The process for algebra cannot be started.
    """
    verdict = grade_without_sympy(reference, answer)
    return algebra_verdict(reference, answer or "", deadline=deadline) if verdict is None else verdict


def grade_without_sympy(reference: str, answer: str | None) -> Verdict | None:
    """The verdict of the exact path alone; None where only algebra could tell.

    Args:
        reference: The reference answer.
        answer: The extracted answer; None where none was found.
    """
    if answer and (verdict := _compare_digits(reference, answer)) is not None:
        return verdict
    reference, answer = reference.strip(), (answer or "").strip()
    if not reference or not answer:
        return Verdict(False, "empty", "no reference" if not reference else "no answer")
    if max(len(reference), len(answer)) > _LONGEST_KEPT:
        return _decide(reference, answer)
    return _remembered(reference, answer)


def algebra_verdict(reference: str, answer: str, *, deadline: float = DEADLINE, workers: int | None = None) -> Verdict:
    """The verdict of the guard and of algebra, for a pair that the fast path leaves open.

    Args:
        reference: The reference answer.
        answer: The extracted answer.
        deadline: Seconds that algebra may take.
        workers: Most processes at once; the number of processors when left out.

    Raises:
        StepwardError: The process for algebra cannot be started.
    """
    reference, answer = _unboxed(reference.strip()), _unboxed(answer.strip())
    refused = unsafe_reason(reference, answer)
    if refused is not None:
        return Verdict(False, "guard", refused)
    pair = (reference, answer, deadline)
    with _lock:
        known = _settled.get(pair)
    if known is not None:
        return known
    verdict = Verdict(*POOL.compare(reference, answer, deadline=deadline, workers=workers))
    # A crash may have been the machine's doing, so it is tried again. A timeout is kept: to find the same hostile
    # answer slow again would cost the whole deadline each time it is sampled.
    if verdict.method != "crash" and len(reference) + len(answer) <= 2 * _LONGEST_KEPT:
        with _lock:
            if len(_settled) >= _MOST_KEPT:
                del _settled[next(iter(_settled))]
            _settled[pair] = verdict
    return verdict


def _compare_digits(reference: str, answer: str) -> Verdict | None:
    """The verdict on two plain whole numbers, as most pairs are: what the long way would say, thirty times sooner."""
    if not (reference.isdigit() and answer.isdigit() and reference.isascii() and answer.isascii()):
        return None
    if reference == answer:
        return _SAME_TEXT
    if max(len(reference), len(answer)) > MAX_DIGITS:
        return None
    return _SAME_NUMBER if reference.lstrip("0") == answer.lstrip("0") else _OTHER_NUMBER


_SAME_TEXT = Verdict(True, "exact", "the same text")
_SAME_NUMBER = Verdict(True, "number", "the same number")
_OTHER_NUMBER = Verdict(False, "number", "different numbers")

_settled: dict[tuple[str, str, float], Verdict] = {}
_lock = threading.Lock()


def _decide(reference: str, answer: str) -> Verdict | None:
    fault = reference_fault(reference)
    if fault is not None:
        return Verdict(False, "reference", fault)
    if reference == answer:
        return Verdict(True, "exact", "the same text")
    if max(len(reference), len(answer)) > LONGEST:
        return Verdict(False, "exact", f"not the same text, and longer than {LONGEST} characters")
    reference, answer = _unboxed(reference), _unboxed(answer)
    plain_reference, plain_answer = normalize_latex(reference), normalize_latex(answer)
    left, right = read_quantity(plain_reference), read_quantity(plain_answer)
    if left is not None and right is not None:
        return _compare_quantities(left, right)
    # "(1, 2)" is "(1,2)"; before this line "32, 349" had to be told from 32,349.
    if plain_reference and plain_reference.replace(", ", ",") == plain_answer.replace(", ", ","):
        return Verdict(True, "text", "the same text in plain notation")
    verdict = _compare_shapes(left or reference, right or answer)
    if verdict is None or not verdict.equal:
        verdict = _compare_choices(plain_reference, answer) or verdict
    return verdict or _compare_words(plain_reference, plain_answer)


_remembered = lru_cache(maxsize=_MOST_KEPT)(_decide)


def _unboxed(text: str) -> str:
    r"""What the last box of a text holds; the text where it has none."""
    if "\\boxed" not in text and "\\fbox" not in text:
        return text
    return extract_answer(text, "boxed") or text


def _compare_quantities(reference: Quantity, answer: Quantity) -> Verdict:
    if reference.value != answer.value:
        if not _is_machines(reference, answer):
            return Verdict(False, "number", "different numbers")
        return Verdict(True, "number", f"the same number, rounded to {MACHINE_DIGITS} digits or more")
    shared = min(len(reference.unit), len(answer.unit))
    # One unit may say more than the other: "$" and "$ per hour", "apples" and "apples in total".
    if reference.unit[:shared] != answer.unit[:shared]:
        return Verdict(False, "number", f"the same number of {' '.join(reference.unit)} and {' '.join(answer.unit)}")
    return Verdict(True, "number", "the same number")


def _is_machines(reference: Quantity, answer: Quantity) -> bool:
    """Whether one is a machine's decimal of the other, which is written as a fraction."""
    if (reference.places is None) == (answer.places is None):
        return False
    written, exact = (answer, reference) if reference.places is None else (reference, answer)
    if written.places is None or exact.is_integer:
        return False
    digits = len(str(abs(int(written.value * 10**written.places))))
    return digits >= MACHINE_DIGITS and is_rounded(written.value, exact.value, written.places)


@lru_cache(maxsize=20_000)
def _short_shape(text: str) -> Shape | None:
    try:
        return read_shape(text)
    except ParseError:
        return None


def _read(text: str) -> Shape | None:
    """The shape of a text; None where it has none that is read."""
    text = text.strip().strip("*").rstrip("\\").strip()
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1]
    if len(text) > LONGEST_SHAPE:
        return None
    # Layout in front of a bracket is dropped by the tokens; delimiters around the whole are not mathematics.
    return _short_shape(text)


def _compare_shapes(reference: Quantity | str, answer: Quantity | str) -> Verdict | None:
    """The verdict on two shapes; what is a number already is not read again, as the list 1, 000 of 1,000."""
    left, right = _shape(reference), _shape(answer)
    if left is None or right is None:
        return None
    try:
        equal = is_equivalent(left, right)
    except (ParseError, ArithmeticError, RecursionError):  # too large to compare here
        return None
    if equal is None:
        return None
    single = "number" if isinstance(reference, Quantity) or isinstance(answer, Quantity) else "expression"
    return Verdict(equal, _method(left, right, single), "the same, exactly" if equal else "not the same")


def _shape(side: Quantity | str) -> Shape | None:
    if isinstance(side, str):
        return _read(side)
    digits = len(str(abs(int(side.value * 10**side.places)))) if side.places else 0
    return SingleValue(Scalar(number(side.value), side.places, digits), side.unit)


def _method(left: Shape, right: Shape, single: str) -> str:
    """The name of what was compared."""
    kinds = {type(left), type(right)}
    for kind, name in (
        (Relation, "relation"),
        (Matrix, "matrix"),
        (SetExpression, "set"),
        (Bracketed, "interval" if any(_is_interval(shape) for shape in (left, right)) else "list"),
        (FiniteSet, "set"),
        (Words, "text"),
        (SingleValue, single),
    ):
        if kind in kinds:
            return name
    return "list"


def _is_interval(shape: Shape) -> bool:
    return isinstance(shape, Bracketed) and len(shape.parts) == 2 and (shape.opening, shape.closing) != ("(", ")")


def _compare_choices(reference: str, answer: str) -> Verdict | None:
    """Where the reference is a letter from A to J, the letter that the answer chooses."""
    letter = reference.strip("() ")
    if len(letter) != 1 or letter not in "ABCDEFGHIJ":
        return None
    chosen = read_choice(answer)
    if chosen is None or chosen not in answer:  # "a" may be an article, or a variable
        return None
    return Verdict(chosen == letter, "choice", f"chose {chosen}" + ("" if chosen == letter else f", not {letter}"))


def _compare_words(reference: str, answer: str) -> Verdict | None:
    """The verdict on two texts of which one is words alone: they are not the same words, as was seen before."""
    if _is_words(reference) or _is_words(answer):
        return Verdict(False, "text", "not the same text")
    return None


def _is_words(text: str) -> bool:
    """Whether a text is words and nothing else: letters, spaces, and the punctuation of a sentence."""
    letters = "".join(character for character in text if character not in " ,.'-!?:\"")
    return (
        letters.isalpha()
        and letters.isascii()
        and max(map(len, text.split())) > 3
        and not _MATHEMATICS & {*text.split()}
    )


_MATHEMATICS = frozenset(["infinity", "empty", "real", "reals", "sqrt", "null"])


def grade_many(
    pairs: Iterable[tuple[str, str | None]], *, workers: int | None = None, deadline: float = DEADLINE
) -> list[Verdict]:
    """Grade many pairs; each verdict is what `grade` gives.

    Args:
        pairs: References and answers.
        workers: Processes for algebra at once; the number of processors when left out.
        deadline: Seconds that algebra may take for one pair.

    Returns:
        A verdict a pair, in the pairs' order.

    Raises:
        ValueError: `workers` is below 1.
        StepwardError: The process for algebra cannot be started.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}: expected at least 1, or None for the number of processors")
    workers = workers or os.cpu_count() or 1
    verdicts: list[Verdict | Future[Verdict]] = []
    asked: dict[tuple[str, str | None], Future[Verdict]] = {}
    # The threads only wait for processes; one that is not needed is not started.
    executor = ThreadPoolExecutor(workers, thread_name_prefix="grading")
    try:
        for reference, answer in pairs:
            verdict = grade_without_sympy(reference, answer)
            if verdict is None and (reference, answer) not in asked:
                asked[reference, answer] = executor.submit(
                    algebra_verdict, reference, answer or "", deadline=deadline, workers=workers
                )
            verdicts.append(verdict or asked[reference, answer])
        return [verdict.result() if isinstance(verdict, Future) else verdict for verdict in verdicts]
    finally:
        executor.shutdown(cancel_futures=True)
