r"""What never reaches symbolic algebra, because it would only hang, fill the memory, or be believed wrongly.

The worker's deadline would end such an answer too, but at five seconds of a processor each. The guard is linear in
the text and errs on the side of refusing: what it refuses is unequal, unless the fast path has said otherwise.
"""

from itertools import pairwise

LONGEST = 2_000
"""Longest reference or answer, in characters, that algebra looks at."""
DEEPEST = 25
"""Deepest nesting of brackets."""
MOST_OPERATORS = 200
LONGEST_NUMBER = 60
"""Most digits in a row."""
LARGEST_EXPONENT = 300
"""Largest plain exponent, factorial or binomial argument."""

_HEAVY = ("\\sum", "\\prod", "\\int", "\\iint", "\\oint", "\\lim", "\\frac{d", "\\partial", "\\nabla", "\\det")
_ELLIPSES = ("\\ldots", "\\cdots", "\\dots", "\\vdots", "\\ddots", "...", "\u2026")
_OPEN, _CLOSE = "([{", ")]}"
_DIGITS = frozenset("0123456789")


def unsafe_reason(reference: str, answer: str) -> str | None:
    """Why algebra is not asked about these two, in words; None where it is.

    Args:
        reference: The reference answer. A sum or an integral that it has is allowed in the answer.
        answer: The extracted answer.
    """
    for name, text in (("reference", reference), ("answer", answer)):
        fault = _blow_up(text)
        if fault is not None:
            return f"the {name} has {fault}"
    heavy = next((command for command in _HEAVY if command in answer and command not in reference), None)
    if heavy:
        return f"the answer has {heavy}, which the reference has not"
    return _dropped(reference, answer)


def _dropped(reference: str, answer: str) -> str | None:
    """What algebra would drop without a word although the two differ in it: a number's base, the words of a unit."""
    if _has_base(reference) != _has_base(answer):
        return "one of the two is a number in another base"
    left, right = _words(reference), _words(answer)
    # Where one says more than the other ("cm" and "cm of rope"), or nothing, the numbers decide.
    if left <= right or right <= left:
        return None
    return f"the reference is of {' '.join(sorted(left))}, the answer of {' '.join(sorted(right))}"


def _has_base(text: str) -> bool:
    return any(before in _DIGITS and sign == "_" for before, sign in pairwise(text))


def _words(text: str) -> frozenset[str]:
    r"""The words in `\text{...}` and its like, in small letters."""
    found: list[str] = []
    for part in text.split("\\text")[1:]:
        inner = part.partition("{")[2].partition("}")[0]
        found += "".join(character if character.isalpha() else " " for character in inner).lower().split()
    return frozenset(found)


def _blow_up(text: str) -> str | None:
    if len(text) > LONGEST:
        return f"more than {LONGEST} characters"
    if not text.isprintable() and any(not character.isprintable() and not character.isspace() for character in text):
        return "control characters"
    if any(character.isdigit() and character not in _DIGITS for character in text):
        return "digits that are not 0 to 9"
    if any(mark in text for mark in _ELLIPSES):
        return "an ellipsis"
    if "__" in text or (";" in text and "import" in text):
        return "text that is no mathematics"
    if _depth(text) > DEEPEST:
        return f"brackets nested deeper than {DEEPEST}"
    if sum(map(text.count, "+-*/^=\\")) > MOST_OPERATORS:
        return f"more than {MOST_OPERATORS} operations"
    return _large_powers(text)


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character in _OPEN) - (character in _CLOSE)
        deepest = max(deepest, depth)
    return deepest


def _large_powers(text: str) -> str | None:
    """A long number, a tower, a large exponent, a factorial or a binomial that is more than a small number's."""
    text = text.replace("**", "^").replace("\\uparrow", "^^").replace("\u2191", "^^")
    if "^^" in text:
        return "a tower of powers"
    index = powers = 0
    while index < len(text):
        character = text[index]
        if character in _DIGITS:
            end = index
            while end < len(text) and text[end] in _DIGITS:
                end += 1
            number = text[index:end]
            if end - index > LONGEST_NUMBER:
                return f"a number of more than {LONGEST_NUMBER} digits"
            large = len(number.lstrip("0")) > 3 or int(number) > LARGEST_EXPONENT
            before, behind = text[:index].rstrip(" {(-+"), text[end : end + 4].strip(" )}")
            if large and (before.endswith("^") or behind.startswith("!") or behind.startswith("^{\\under")):
                return "a large exponent or factorial"
            index = end
            continue
        if character == "^":
            powers += 1
            if _is_tower(text, index):
                return "a tower of powers"
        elif character == "!" and text[index + 1 : index + 2] == "!":
            return "a repeated factorial"
        elif character == "!" and text[index - 1 : index] in (")", "}", "]"):
            return "a factorial of an expression"
        index += 1
    if powers > 40:
        return "too many powers"
    return "a binomial" if ("binom" in text or "\\choose" in text) and _has_long_number(text) else None


def _has_long_number(text: str) -> bool:
    run = 0
    for character in text:
        run = run + 1 if character in _DIGITS else 0
        if run > 2:
            return True
    return False


def _is_tower(text: str, caret: int) -> bool:
    """Whether the exponent behind a caret holds a power of anything but a letter."""
    start = caret + 1
    while text[start : start + 1] in (" ", "-", "+") and start < len(text):
        start += 1
    if text[start : start + 1] not in ("{", "("):
        # 2^3^4: a bare exponent that has one itself.
        end = start
        while end < len(text) and text[end].isalnum():
            end += 1
        return text[end : end + 1] == "^" and text[end - 1] in _DIGITS
    depth, index = 0, start
    while index < len(text):
        depth += (text[index] in _OPEN) - (text[index] in _CLOSE)
        if depth == 0:
            return text[index + 1 : index + 2] == "^"
        if text[index] == "^" and not text[index - 1].isalpha():
            return True
        index += 1
    return False
