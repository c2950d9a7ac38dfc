"""Graders by name: the same text, words, multiple choice, and the user's own."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.grading import Verdict, grade
from stepward.grading.graders import (
    GRADERS,
    UserGrader,
    grade_exact,
    grade_multiple_choice,
    grade_string,
    load_grader,
)
from stepward.grading.multiple_choice import read_choice

# fmt: off
CHOOSE_B = [
    "B", "b", "B.", "B)", "B:", "(B)", "(b)", "[B]", " B \n", "B) Paris", "B. Paris", "B: Paris", "B, Paris",
    "B - Paris", "(B) Paris", "(B) Vitamin C", "B) A dog", "B. Vitamin C", "B\nbecause of A", "**B**", "**B)** Paris",
    "`B`", "__B__", "$B$", r"\(B\)", r"\text{B}", r"\text{(B)}", r"\textbf{(B)}\ 12", r"\mathrm{B}", r"\boxed{B}",
    r"\boxed{\text{B}}", "option B", "Option (B)", "Choice: B", "Answer: B", "answer = B", "The answer is B",
    "The answer is B.", "The correct answer is: (B) Paris", "So the final answer is **B**", "it's B",
    "B, B", "(B) and (B)",
]
CHOOSE_NOTHING = [
    "", " ", "K", "x", "5", "AB", "ABC", "Bananas", "B-cells", "A dog", "a dog", "B Paris", "I think so", "not B",
    "A or B", "A and B", "A, C", "A,C", "A/C", "A & C", "A+C", "A C", "(A)(C)", "(A)(B)(C)", "(A), (C)", "(A) and (C)",
    "(A) or C", "A or (C)", "A and not C", "B, not C", "neither A nor B", "A) Rome B) Paris", "A. Rome\nB. Paris", "(A",
    "either B", "\uff22", "\u0412", "(\u24b7)", "the", "the answer is", "The answer is the one of Paris",
]
# fmt: on


@pytest.mark.parametrize("text", CHOOSE_B)
def test_a_letter_is_read_in_any_dress(text: str) -> None:
    assert read_choice(text) == "B"
    assert grade_multiple_choice("B", text) == Verdict(True, "choice", "chose B")
    assert grade_multiple_choice("(C)", text) == Verdict(False, "choice", "chose B, not C")


@pytest.mark.parametrize("text", CHOOSE_NOTHING)
def test_no_letter_or_several_are_no_answer(text: str) -> None:
    assert read_choice(text) is None
    for letter in "ABCI":
        verdict = grade_multiple_choice(letter, text)
        assert (verdict.equal, verdict.method) == (False, "empty")


@pytest.mark.parametrize("letter", "ABCDEFGHIJ")
def test_the_letters_are_a_to_j(letter: str) -> None:
    assert grade_multiple_choice(letter, f"({letter.lower()})").equal
    assert read_choice(letter) == letter


def test_a_reference_without_a_letter_gives_no_free_point() -> None:
    assert grade_multiple_choice("Paris", "Paris").method == "reference"
    assert grade_multiple_choice("A or B", "A").method == "reference"


@given(st.text(alphabet="ABab (),.[]*$\\{}:;/&\nanswer isort"))
def test_a_choice_is_a_letter_of_the_text(text: str) -> None:
    chosen = read_choice(text)
    assert chosen is None or chosen in text.upper()


@pytest.mark.parametrize("grader", list(GRADERS.values()), ids=list(GRADERS))
@pytest.mark.parametrize(("reference", "answer"), [("", ""), ("", None), ("B", None), ("B", " \n"), (" ", "B")])
def test_what_is_empty_equals_nothing(grader: object, reference: str, answer: str | None) -> None:
    verdict = grader(reference, answer)  # type: ignore[operator]
    assert (verdict.equal, verdict.method) == (False, "empty")


@pytest.mark.parametrize(
    ("reference", "answer", "equal"),
    [("5", "5", True), ("5", " 5\n", True), ("5", "5.0", False), ("Yes", "yes", False), ("a b", "a  b", False)],
)
def test_exact_is_the_same_text(reference: str, answer: str, equal: bool) -> None:
    verdict = grade_exact(reference, answer)
    assert (verdict.equal, verdict.method) == (equal, "exact")


@pytest.mark.parametrize(
    ("reference", "answer", "equal"),
    [
        ("Paris", "paris.", True),
        ("the Eiffel Tower", "Eiffel  tower!", True),
        ("an apple and a pear", "apple and pear", True),
        ("Paris", '"Paris".', True),
        ("Paris", "**Paris**", True),
        ("Stra\u00dfe", "STRASSE", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("Vitamin A", "vitamin", False),
        ("a b", "b", False),
        ("The", "a", False),
        ("C++", "C", False),
        ("5", "5.0", False),
        ("Paris", "Paris, France", False),
        ("now here", "nowhere", False),
        ("caf\u00e9", "cafe", False),
    ],
)
def test_string_compares_words(reference: str, answer: str, equal: bool) -> None:
    verdict = grade_string(reference, answer)
    assert (verdict.equal, verdict.method) == (equal, "string")
    assert grade_string(answer, reference).equal is equal


def test_words_of_punctuation_alone_are_no_answer() -> None:
    assert grade_string("?", "!").method == "empty"
    assert grade_string("Paris", "...") == Verdict(False, "empty", "no answer")


@given(st.text(max_size=40))
def test_string_grading_is_reflexive(text: str) -> None:
    verdict = grade_string(text, text)
    assert verdict.equal or verdict.method == "empty"


def test_the_named_graders() -> None:
    assert load_grader("math") is grade
    assert {name: load_grader(name) for name in GRADERS} == GRADERS


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of the user's, in the working folder; it is found anew by each test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"])
    monkeypatch.delitem(__import__("sys").modules, "users_grader", raising=False)
    return tmp_path / "users_grader.py"


def test_a_users_function_gives_true_false_or_a_verdict(module: Path) -> None:
    module.write_text(
        "from stepward.grading import Verdict\n"
        "def same(reference, answer):\n    return reference == answer\n"
        "def close(reference, answer):\n    return Verdict(True, 'close', 'near')\n"
        "class Room:\n    @staticmethod\n    def same(reference, answer):\n        return False\n"
    )
    grader = load_grader("users_grader:same")
    assert isinstance(grader, UserGrader)
    assert grader("5", "5") == Verdict(True, "users_grader:same", "said by the user's grader")
    assert not grader("5", "6").equal
    assert load_grader("users_grader:close")("5", "7") == Verdict(True, "close", "near")
    assert not load_grader("users_grader:Room.same")("5", "5").equal


def test_a_users_function_is_not_asked_about_nothing(module: Path) -> None:
    module.write_text("def grade(reference, answer):\n    raise ValueError\n")
    grader = load_grader("users_grader:grade")
    assert grader("5", None) == Verdict(False, "empty", "no answer")
    assert grader("5", "  ").method == grader("", "5").method == "empty"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("raise KeyError('z')", "KeyError ('z')"),
        ("return 1", "gave 1;"),
        ("return None", "gave None;"),
        ("return 'x' * 1000", "gave 'xxx"),
    ],
)
def test_a_users_function_that_fails_is_named_with_its_pair(module: Path, body: str, shown: str) -> None:
    module.write_text(f"def grade(reference, answer):\n    {body}\n")
    names = ("users_grader:grade", "'12'", "'13'", shown)
    with refused("bad_value", field="grader", names=names) as error:
        load_grader("users_grader:grade")("12", "13")
    assert len(str(error.value)) < 500


def test_a_long_pair_is_shown_in_part(module: Path) -> None:
    module.write_text("def grade(reference, answer):\n    return None\n")
    with refused("bad_value", field="grader", names=("100,000",)) as error:
        load_grader("users_grader:grade")("12", "7" * 100_000)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    ("name", "code", "shown"),
    [
        ("maths", "unknown_name", "math?"),
        ("", "unknown_name", "multiple_choice"),
        (":grade", "unknown_name", "multiple_choice"),
        ("users_grader:", "unknown_name", "multiple_choice"),
        ("no_such_module:grade", "missing_dependency", "'no_such_module'"),
        ("users_grader.inner:grade", "missing_dependency", "'users_grader.inner'"),
        ("users_grader:graed", "unknown_name", "grade?"),
        ("users_grader:grade.inner", "unknown_name", "'grade.inner'"),
        ("users_grader:ANSWER", "wrong_type", "int"),
        ("broken_grader:grade", "bad_value", "ZeroDivisionError (division by zero)"),
        ("needy_grader:grade", "missing_dependency", "'no_such_library'"),
    ],
)
def test_a_grader_that_cannot_be_loaded_is_named(module: Path, name: str, code: str, shown: str) -> None:
    module.write_text("ANSWER = 5\ndef grade(reference, answer):\n    return True\n")
    module.with_name("broken_grader.py").write_text("1 / 0\n")
    module.with_name("needy_grader.py").write_text("import no_such_library\n")
    with refused(code, field="grader", names=(repr(name), shown)):
        load_grader(name)
