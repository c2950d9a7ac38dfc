r"""Answers that a model might give to a problem whose reference is known: made by rule, for `benchmarks/grading.py`.

A quarter repeats the reference; another two fifths write it in another notation, where one of the rules below fits; the
rest are wrong, most of them nearly right.
"""

import random
import re
from collections.abc import Callable
from fractions import Fraction

Rule = Callable[[str, random.Random], str | None]

_FRACTION = re.compile(r"(-?)\\frac\{(\d+)\}\{(\d+)\}")
_INTEGER = re.compile(r"-?\d+")


def answer_for(reference: str, others: list[str], generator: random.Random) -> str:
    """An answer to the problem of this reference; it depends on the arguments alone."""
    kind = generator.random()
    if kind < 0.25:
        return reference
    if kind < 0.65:
        return _first(RENAMED, reference, generator) or reference
    if kind < 0.95 and (wrong := _first(WRONG, reference, generator)):
        return wrong
    return generator.choice([other for other in generator.choices(others, k=20) if other != reference])


def _first(rules: list[Rule], reference: str, generator: random.Random) -> str | None:
    """What the first of the rules, shuffled, that fits makes of the reference."""
    for rule in generator.sample(rules, len(rules)):
        if (made := rule(reference, generator)) and made != reference:
            return made
    return None


def larger_fraction(text: str, _: random.Random) -> str | None:
    return text.replace("\\frac", "\\dfrac")


def smaller_fraction(text: str, _: random.Random) -> str | None:
    return text.replace("\\frac", "\\tfrac")


def slashed(text: str, _: random.Random) -> str | None:
    found = _FRACTION.fullmatch(text)
    return f"{found[1]}{found[2]}/{found[3]}" if found else None


def decimal(text: str, _: random.Random) -> str | None:
    found = _FRACTION.fullmatch(text)
    if not found or int(found[3]) == 0:
        return f"{text}.0" if _INTEGER.fullmatch(text) else None
    value = Fraction(int(found[2]), int(found[3]))
    # Only where the decimal is exact.
    return f"{found[1]}{float(value)}" if (value * 10**6).denominator == 1 else None


def unreduced(text: str, generator: random.Random) -> str | None:
    found = _FRACTION.fullmatch(text)
    times = generator.randint(2, 6)
    return rf"{found[1]}\frac{{{times * int(found[2])}}}{{{times * int(found[3])}}}" if found else None


def spaced(text: str, _: random.Random) -> str | None:
    if "\\text" in text or "\\begin" in text or re.search(r"\d,(\\!)?\d{3}", text):
        return None
    return re.sub(r"(?<=[\w})])([+\-=])(?=[\w\\({])", r" \1 ", text.replace(", ", ",").replace(",", ", "))


def grown(text: str, _: random.Random) -> str | None:
    if "\\left" in text or text.count("(") != text.count(")"):
        return None
    return text.replace("(", "\\left(").replace(")", "\\right)")


def in_dollars(text: str, _: random.Random) -> str | None:
    return None if "$" in text or text.endswith(".") else f"${text}$"


def of_x(text: str, _: random.Random) -> str | None:
    return f"x = {text}" if _INTEGER.fullmatch(text) or _FRACTION.fullmatch(text) else None


def in_units(text: str, generator: random.Random) -> str | None:
    unit = generator.choice(["cm", "units", "inches", "degrees", "square units"])
    return rf"{text}\text{{ {unit}}}" if _INTEGER.fullmatch(text) else None


def in_degrees(text: str, _: random.Random) -> str | None:
    return rf"{text}^\circ" if _INTEGER.fullmatch(text) else None


def with_thousands(text: str, _: random.Random) -> str | None:
    return f"{int(text):,}" if _INTEGER.fullmatch(text) and len(text) > 4 else None


def with_full_stop(text: str, _: random.Random) -> str | None:
    return None if text.endswith((".", ".}")) else f"{text}."


def out_of_text(text: str, _: random.Random) -> str | None:
    found = re.fullmatch(r"\\text\{([^{}]*)\}", text)
    return found[1] if found else None


def into_text(text: str, _: random.Random) -> str | None:
    return rf"\text{{{text}}}" if text.isalpha() else None


def reordered(text: str, _: random.Random) -> str | None:
    """The sum of two terms, the other way round."""
    found = re.fullmatch(r"([\w^{}\\]+)([+-])([\w^{}\\]+)", text)
    if not found or "\\text" in text or not found[1][0].isalnum():
        return None
    return f"{found[3]}+{found[1]}" if found[2] == "+" else f"-{found[3]}+{found[1]}"


def with_dot(text: str, _: random.Random) -> str | None:
    return re.sub(r"(?<=\d) ?(\\sqrt|\\pi)", r" \\cdot \1", text)


def with_braces(text: str, _: random.Random) -> str | None:
    return re.sub(r"\^(\d)(?!\d)", r"^{\1}", text)


def as_power(text: str, _: random.Random) -> str | None:
    return re.sub(r"(?<!\d)(?<!\d )\\sqrt\{(\d+)\}", r"\1^{1/2}", text)


def unsimplified_root(text: str, _: random.Random) -> str | None:
    return re.sub(
        r"(?<!\d)(\d+) ?\\sqrt\{(\d+)\}", lambda found: rf"\sqrt{{{int(found[1]) ** 2 * int(found[2])}}}", text
    )


def split_fraction(text: str, _: random.Random) -> str | None:
    found = re.fullmatch(r"(-?)\\frac\{(\d*)(\\sqrt\{\d+\}|\\pi)\}\{(\d+)\}", text)
    return rf"{found[1]}\frac{{{found[2] or 1}}}{{{found[4]}}}{found[3]}" if found else None


def factored(text: str, _: random.Random) -> str | None:
    """2x + 6 as 2(x + 3)."""
    found = re.fullmatch(r"(\d+)([a-z]) ?([+-]) ?(\d+)", text)
    if not found or int(found[4]) % int(found[1]):
        return None
    return f"{found[1]}({found[2]}{found[3]}{int(found[4]) // int(found[1])})"


def changed_digit(text: str, generator: random.Random) -> str | None:
    places = [at for at, character in enumerate(text) if character in "0123456789"]
    if not places:
        return None
    at = generator.choice(places)
    return text[:at] + generator.choice("123456789".replace(text[at], "")) + text[at + 1 :]


def flipped_sign(text: str, generator: random.Random) -> str | None:
    """One number of the answer, not in an exponent or a word, with the other sign."""
    if "\\text" in text:
        return None
    places = [found.start(1) for found in re.finditer(r"(?:^|[(\[,&=] ?)(-?(?:[1-9]|\\frac|\\sqrt|\\pi))", text)]
    if not places:
        return None
    at = generator.choice(places)
    return text[:at] + (text[at + 1 :] if text[at] == "-" else f"-{text[at:]}")


def swapped_fraction(text: str, _: random.Random) -> str | None:
    return _FRACTION.sub(r"\1\\frac{\3}{\2}", text)


def off_by_one(text: str, generator: random.Random) -> str | None:
    return str(int(text) + generator.choice([-1, 1])) if _INTEGER.fullmatch(text) else None


def other_operator(text: str, _: random.Random) -> str | None:
    return text.replace("+", "-", 1)


def other_root(text: str, generator: random.Random) -> str | None:
    return re.sub(r"\\sqrt\{(\d+)\}", lambda found: rf"\sqrt{{{int(found[1]) + generator.randint(1, 3)}}}", text)


def rounded(text: str, _: random.Random) -> str | None:
    found = _FRACTION.fullmatch(text)
    return f"{found[1]}{int(found[2]) / int(found[3]):.2f}" if found and int(found[3]) % 3 == 0 else None


RENAMED: list[Rule] = [
    larger_fraction,
    smaller_fraction,
    slashed,
    decimal,
    unreduced,
    spaced,
    grown,
    in_dollars,
    of_x,
    in_units,
    in_degrees,
    with_thousands,
    with_full_stop,
    out_of_text,
    into_text,
    reordered,
    with_dot,
    with_braces,
    as_power,
    unsimplified_root,
    split_fraction,
    factored,
]
WRONG: list[Rule] = [
    changed_digit,
    flipped_sign,
    swapped_fraction,
    off_by_one,
    other_operator,
    other_root,
    rounded,
]
