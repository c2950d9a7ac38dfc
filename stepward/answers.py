"""The one definition of where the final answer stands in a text, beside the one definition of a step.

It lies below the rooms because problems need it for references and grading for answers, and neither room imports
the other. The scanning is by hand and takes time in proportion to the text: the text is a model's, so it may be
long, unbalanced or hostile, and a backtracking regular expression would be a way to hang a run.
"""

import string

STYLES = ("boxed", "gsm8k", "answer_line", "a_line")
"""The styles, in the order in which `auto` tries them: the most explicit mark first."""

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
            `auto`: the first of `STYLES` that finds one.

    Returns:
        The answer without surrounding white space, or None where the text states none or an empty one.

    Raises:
        ValueError: Unknown style.
    """
    if style == "auto":
        return next((answer for name in STYLES if (answer := _FINDERS[name](text))), None)
    if style not in _FINDERS:
        raise ValueError(f"unknown answer style {style!r}: expected auto or one of {', '.join(STYLES)}")
    return _FINDERS[style](text) or None


def _boxed(text: str) -> str:
    """The content of the last balanced box: one pass, with a stack of open braces."""
    open_braces: list[tuple[int, bool]] = []
    last = (-1, -1)
    index = 0
    while index < len(text):
        character = text[index]
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


def _line(text: str) -> str:
    """The first line of the text, without surrounding white space."""
    return text.partition("\n")[0].strip()


_FINDERS = {"boxed": _boxed, "gsm8k": _gsm8k, "answer_line": _answer_line, "a_line": _a_line}
