r"""Graders by name: mathematics, the same text, words, multiple choice, or a function of the user's.

A grader takes a reference and an answer (None where none was found) and gives a `Verdict`. None of those here runs,
parses or evaluates the text as code, and each takes time in proportion to its length.
"""

import difflib
import importlib
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from stepward.errors import StepwardError
from stepward.grading.grade import Verdict, grade
from stepward.grading.multiple_choice import read_choice

Grader = Callable[[str, str | None], Verdict]
"""Compares a reference with an answer, None where none was found."""

LONGEST_NORMALISED = 10_000
"""Most characters of a text whose accents are composed: composing takes quadratic time on a run of accents."""

_ARTICLES = frozenset({"a", "an", "the"})
_ENDS = ".,;:!?\u3002"
_QUOTES = "\"'`*\u201c\u201d\u2018\u2019"

_SHOWN = 200


def grade_exact(reference: str, answer: str | None) -> Verdict:
    """The same text, but for white space around it: method `exact`."""
    reference, answer = reference.strip(), (answer or "").strip()
    if (empty := _empty(reference, answer)) is not None:
        return empty
    same = reference == answer
    return Verdict(same, "exact", "the same text" if same else "not the same text")


def grade_string(reference: str, answer: str | None) -> Verdict:
    """The same words: method `string`.

    Case, white space, quotation marks around the text, punctuation at its end, and the articles a, an and the before
    a word of two letters or more don't count; anything else does. Numbers are words: 5 and 5.0 differ.
    """
    if (empty := _empty(reference.strip(), (answer or "").strip())) is not None:
        return empty
    left, right = _words(reference), _words(answer or "")
    if (empty := _empty(" ".join(left), " ".join(right))) is not None:
        return empty
    return Verdict(left == right, "string", "the same words" if left == right else "not the same words")


def grade_multiple_choice(reference: str, answer: str | None) -> Verdict:
    r"""The same letter from A to J: method `choice`.

    "(B)", "b.", "B) Paris", "\text{B}", "option B" and "**B**" are B. An answer that names no letter so, or two
    different ones, is no answer: method `empty`. A reference that does so can't be graded against: `reference`.
    """
    if (empty := _empty(reference.strip(), (answer or "").strip())) is not None:
        return empty
    wanted = read_choice(reference)
    if wanted is None:
        return Verdict(False, "reference", "the reference names no one letter from A to J")
    chosen = read_choice(answer or "")
    if chosen is None:
        return Verdict(False, "empty", "no answer: the text names no one letter from A to J")
    return Verdict(chosen == wanted, "choice", f"chose {chosen}" + ("" if chosen == wanted else f", not {wanted}"))


@dataclass(frozen=True, slots=True)
class UserGrader:
    """A user's function as a grader.

    Attributes:
        name: `module:function`, which is also the verdicts' method where the function gives True or False.
        function: Takes a reference and an answer, both text; it is not called where either is empty.
    """

    name: str
    function: Callable[[str, str], Any]

    def __call__(self, reference: str, answer: str | None) -> Verdict:
        """The function's verdict.

        Raises:
            StepwardError: The function raised, or gave neither True, False nor a Verdict.
        """
        if (empty := _empty(reference.strip(), (answer or "").strip())) is not None:
            return empty
        text = answer or ""
        try:
            given = self.function(reference, text)
        except Exception as error:  # it is the user's code: anything may come
            self._refuse(f"raised {type(error).__name__} ({error})", reference, text, error)
        if isinstance(given, bool):
            return Verdict(given, self.name, "said by the user's grader")
        if isinstance(given, Verdict) and isinstance(given.equal, bool):
            return given
        self._refuse(f"gave {given!r:.{_SHOWN}}; expected True, False or a Verdict", reference, text, None)

    def _refuse(self, what: str, reference: str, answer: str, cause: Exception | None) -> NoReturn:
        raise StepwardError(
            f"grader {self.name}: {what}, on reference {_shown(reference)} and answer {_shown(answer)}; "
            "mend the function",
            code="bad_value",
            field="grader",
        ) from cause


GRADERS: dict[str, Grader] = {
    "math": grade,
    "exact": grade_exact,
    "string": grade_string,
    "multiple_choice": grade_multiple_choice,
}
"""The named graders."""


def load_grader(name: str) -> Grader:
    """The grader of a name.

    Args:
        name: One of `GRADERS`, or `module:function`. The module is imported, so its code runs; it may lie in the
            working folder. The function takes (reference, answer) and gives True, False or a `Verdict`.

    Raises:
        StepwardError: No such name, module or function; the module can't be imported; or it is no function.
    """
    if name in GRADERS:
        return GRADERS[name]
    module_name, colon, path = name.partition(":")
    if not colon or not module_name or not path:
        near = difflib.get_close_matches(name, GRADERS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise StepwardError(
            f"grader {name!r}: expected one of {', '.join(GRADERS)}, or module:function{hint}",
            code="unknown_name",
            field="grader",
        )
    found: Any = _imported(name, module_name)
    for part in path.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, [one for one in dir(found) if not one.startswith("_")], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise StepwardError(
                f"grader {name!r}: {module_name} has no {path!r}{hint}", code="unknown_name", field="grader"
            )
        found = getattr(found, part)
    if not callable(found):
        raise StepwardError(
            f"grader {name!r}: {path} is no function but {type(found).__name__}; expected one of (reference, answer)",
            code="wrong_type",
            field="grader",
        )
    return UserGrader(name, found)


def _imported(name: str, module_name: str) -> Any:
    # A console script doesn't look for modules in the working folder. At the path's end it can hide no other module.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise StepwardError(
                f"grader {name!r}: no module {error.name!r}; expected one that is installed or lies in {here}",
                code="missing_dependency",
                field="grader",
            ) from error
        raise StepwardError(
            f"grader {name!r}: {module_name} needs the module {error.name!r}; install it",
            code="missing_dependency",
            field="grader",
        ) from error
    except Exception as error:  # importing runs the user's code: anything may come
        raise StepwardError(
            f"grader {name!r}: {module_name} can't be imported: {type(error).__name__} ({error}); mend the module",
            code="bad_value",
            field="grader",
        ) from error


def _empty(reference: str, answer: str) -> Verdict | None:
    """The verdict where one of the two is empty, which equals nothing."""
    if reference and answer:
        return None
    return Verdict(False, "empty", "no answer" if reference else "no reference")


def _words(text: str) -> list[str]:
    if len(text) <= LONGEST_NORMALISED:
        text = unicodedata.normalize("NFC", text)
    text = text.casefold().strip().strip(_QUOTES).rstrip(_ENDS).strip(_QUOTES)
    words = text.split()
    followed = zip(words, [*words[1:], ""], strict=False)
    return [word for word, after in followed if word not in _ARTICLES or len(after) < 2]


def _shown(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r} ... ({len(text):,} characters)"
