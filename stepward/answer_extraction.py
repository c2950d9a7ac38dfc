"""The one definition of where the final answer stands in a text, beside the one definition of a step.

It lies below the rooms because problems need it for references and grading for answers, and neither room imports
the other. The scanning is by hand and takes time in proportion to the text: the text is a model's, so it may be
long, unbalanced or hostile, and a backtracking regular expression would be a way to hang a run.
"""

import re
import string

MARKED = ("boxed", "gsm8k", "answer_line", "a_line")
"""The styles that mark an answer, in the order in which `marked` tries them: the most explicit mark first."""

STYLES = (*MARKED, "formula", "number")
"""The styles in the order in which `auto` tries them."""

_TO_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_ANSWER_MARKS = ("answer is ", "answer is:", "answer:")
_BOXES = ("\\boxed", "\\fbox")


def extract_answer(text: str, style: str = "auto") -> str | None:
    r"""The final answer that a text states, as it is written there.

    Args:
        text: A solution.
        style: How the answer is marked:
            `boxed`: the last balanced `\boxed{...}`, the inner one of nested boxes;
            `gsm8k`: what follows the last `####` on its line;
            `answer_line`: what follows the last "answer is" or "answer:" on its line, up to the sentence's end,
            without the full stop ("The answer is 39.", "the answer is: 39");
            `a_line`: what follows "A:" on the last line that starts so ("A: 26"), as the published GSM8K model
            solutions end;
            `formula`: the last `$...$`, `$$...$$`, `\(...\)` or `\[...\]`;
            `number`: the last number, where the text says that something is it ("so it is $1,000.99.");
            `marked`: the first of `MARKED` that finds one: what solutions and completions are graded by, since a
            text that was cut off before its answer must not earn a label by the last number in it;
            `auto`: the first of `STYLES` that finds one. The last two are for texts that mark no answer.

    Returns:
        The answer without surrounding white space, or None where the text states none or an empty one.

    Raises:
        ValueError: Unknown style.
    """
    if style in ("auto", "marked"):
        tried = STYLES if style == "auto" else MARKED
        return next((answer for name in tried if (answer := _FINDERS[name](text))), None)
    if style not in _FINDERS:
        raise ValueError(f"unknown answer style {style!r}: expected auto, marked or one of {', '.join(STYLES)}")
    return _FINDERS[style](text) or None


def reference_fault(reference: str) -> str | None:
    r"""Why a reference cannot be graded against; None where it can.

    It cannot where it says nothing (white space, LaTeX delimiters, punctuation), or where braces or, in an answer
    without words, brackets do not close: it was cut off, and comparing with the rest would give points by chance.

    Args:
        reference: A reference answer. The time taken is linear in its length.
    """
    reference = reference.strip()
    if not reference:
        return "the reference is empty"
    if not any(character.isalnum() or character > "\x7f" or character in _SPEAKING for character in reference):
        return "the reference says nothing"
    braces = brackets = run = longest_word = 0
    escaped = command = False
    for character in reference:
        run = run + 1 if character.isalpha() and not command else 0
        longest_word = max(longest_word, run)
        command = character == "\\" or (command and character.isalpha())
        if escaped:
            escaped = False
            continue
        escaped = character == "\\"
        braces += (character == "{") - (character == "}")
        brackets += (character in "([") - (character in ")]")
        if braces < 0:
            return "the reference closes a brace that it has not opened"
    if braces:
        return "the reference opens a brace that it does not close"
    if brackets and longest_word < 3:
        return "the reference has brackets that do not match"
    return None


_SPEAKING = frozenset("+-<>=%")


def _boxed(text: str) -> str:
    """The content of the last balanced box: one pass, with a stack of open braces."""
    open_braces: list[tuple[int, bool]] = []
    last = (-1, -1)
    index = 0
    while found := _BRACES.search(text, index):
        index, character = found.start(), found[0]
        if character == "\\":
            command = next((name for name in _BOXES if text.startswith(name, index)), None)
            # A backslash takes the next character with it, so that \{ and \} are no braces.
            index += len(command) if command else 2
            if command is None:
                continue
            brace = index + _leading_spaces(text, index)
            if text.startswith("{", brace):
                open_braces.append((brace + 1, True))
                index = brace + 1
            continue
        if character == "{":
            open_braces.append((index + 1, False))
        elif character == "}" and open_braces:
            start, is_box = open_braces.pop()
            if is_box:
                last = max(last, (start, index))
        index += 1
    start, end = last
    return text[start:end].strip() if start >= 0 else ""


def _leading_spaces(text: str, index: int) -> int:
    """How many of the next few characters are spaces; bounded, so that the scan stays linear."""
    return next((count for count in range(3) if not text.startswith(" ", index + count)), 3)


def _gsm8k(text: str) -> str:
    _, mark, rest = text.rpartition("####")
    return _line(rest) if mark else ""


def _a_line(text: str) -> str:
    # An "A:" that starts the text counts as one that starts a line.
    _, mark, rest = f"\n{text}".rpartition("\nA:")
    return _line(rest) if mark else ""


def _answer_line(text: str) -> str:
    lowered = text.translate(_TO_LOWER)
    ends = [at + len(mark) for mark in _ANSWER_MARKS if (at := lowered.rfind(mark)) >= 0]
    if not ends:
        return ""
    line = _line(text[max(ends) :]).strip("*: \t")
    sentence, _, _ = line.partition(". ")
    return sentence.removesuffix(".").strip("* \t")


def _formula(text: str) -> str:
    """The last formula between delimiters: one pass over the places where one opens or closes."""
    last, opened, closing = "", -1, ""
    index = 0
    while found := _MARKS.search(text, index):
        index = found.start()
        mark = text[index : index + 2]
        width = 2 if mark == "$$" or text[index] == "\\" else 1
        if closing and mark.startswith(closing):
            inner = text[opened:index].strip()
            # "$5 or $6" opens no formula: the second dollar may.
            if inner and (closing[0] == "\\" or not _is_prose(inner)):
                last, closing = inner, ""
            elif closing == "$":
                opened = index + 1
            else:
                closing = ""
            width = max(len(closing), width)
        elif not closing and (mark in _DELIMITERS or mark[0] == "$"):
            closing = _DELIMITERS.get(mark, "$")
            opened = index + width
        index += width
    return last


_BRACES, _MARKS = re.compile(r"[\\{}]"), re.compile(r"[\\$]")
"""What a scan stops at; all between is skipped."""

_DELIMITERS = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}


def _is_prose(text: str) -> bool:
    """Whether a text between two dollars is a sentence's, not a formula's: it has bare words."""
    return any(word.isalpha() and len(word) > 1 for word in text.split())


def _number(text: str) -> str:
    """The last number that stands alone (not in a name, an exponent or an index), where a verb leads to it."""
    end = len(text)
    while end:
        if text[end - 1] not in _DIGITS:
            end -= 1
            continue
        start = end
        while start and text[start - 1] in _NUMBER:
            start -= 1
        while text[start] not in "0123456789.":
            start += 1
        if not start or text[start - 1] not in _JOINED:
            if start and text[start - 1] == "-" and (start == 1 or not text[start - 2].isalnum()):
                start -= 1
            # A few characters suffice for the word before, and keep the scan linear.
            before = text[max(start - 12, 0) : start].rstrip(" $*:").lower()
            return text[start:end].rstrip(".,/") if before.endswith(_VERBS) else ""
        end = start
    return ""


_VERBS = (" is", "it's", " are", " be", " equals", " was")
_DIGITS = frozenset(string.digits)
_NUMBER = _DIGITS | frozenset(".,/")
_JOINED = frozenset(string.ascii_letters + "_^{\\")


def _line(text: str) -> str:
    """The first line of the text, without surrounding white space."""
    return text.partition("\n")[0].strip()


_FINDERS = {
    "boxed": _boxed,
    "gsm8k": _gsm8k,
    "answer_line": _answer_line,
    "a_line": _a_line,
    "formula": _formula,
    "number": _number,
}
