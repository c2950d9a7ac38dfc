r"""Which letter an answer to a multiple-choice question chooses, in any usual dress: "(B)", "B) Paris", "\text{B}".

Strict on purpose: a letter is a choice where it stands as one, and a text that names two is no answer. Reading an
article ("A dog") or a hedge ("A or B") as a choice would call a wrong answer right; missing one only loses an answer.
"""

_LETTERS = frozenset("ABCDEFGHIJ")
# fmt: off
_LEAD_INS = frozenset(
    {"the", "my", "so", "thus", "hence", "therefore", "correct", "right", "best", "final", "answer", "choice",
     "option", "letter", "is", "would", "be", "it", "it's"}
)
# fmt: on
_MOST_LEAD_INS = 12
"""More words before the letter are no lead-in; and each is cut off the text, so that this bounds the copying."""

_JOINS = frozenset({"and", "or", "nor", ",", ";", "/", "&", "+"})
# LaTeX and Markdown around a letter; the braces that belong to them go as well.
_DRESS = ("\\boxed", "\\fbox", "\\textbf", "\\textrm", "\\textit", "\\text", "\\mathrm", "\\mathbf", "\\mbox")
_MARKS = ("\\(", "\\)", "\\[", "\\]", "$", "{", "}", "**", "__", "`", "\\")


def read_choice(text: str) -> str | None:
    """The letter from A to J, in capitals, that a text chooses; None where it chooses none, or two different ones.

    The letter stands first, or after words such as "the answer is". What follows it is parted from it by a bracket,
    punctuation or a new line ("B) Paris"), and names no other letter as a choice. ASCII letters alone are choices.

    Args:
        text: An answer. The time taken is linear in its length.
    """
    found = _first_letter(_undressed(text))
    if found is None:
        return None
    letter, rest = found
    return letter if _letters_named(rest) <= {letter} else None


def _undressed(text: str) -> str:
    for dress in (*_DRESS, *_MARKS):
        text = text.replace(dress, "")
    return text.strip()


def _first_letter(text: str) -> tuple[str, str] | None:
    """The letter that stands first, or after words that lead in to it, and the text that follows."""
    for _ in range(_MOST_LEAD_INS):
        opened = text[:1] in ("(", "[")
        letter, after = text[opened : opened + 1].upper(), text[opened + 1 :]
        if letter in _LETTERS and _is_parted(opened, after):
            return letter, after
        word, text = _split_word(text)
        if word not in _LEAD_INS:
            return None
    return None


def _is_parted(opened: bool, after: str) -> bool:
    """Whether what follows a letter leaves it standing alone."""
    if opened:
        return after[:1] in (")", "]")
    if not after or after[0] in ").:,;/&+\n":
        return True
    # A dash, or a word that joins it to another letter, is parted by a space. Nothing long is split for it.
    first = after[:20].split(maxsplit=1)[:1]
    return after[0].isspace() and (not first or first[0] in _JOINS or first[0] in ("-", "\u2013", "\u2014"))


def _split_word(text: str) -> tuple[str, str]:
    """The first word in small letters, and what follows it and its colon, equals sign or comma."""
    for index, character in enumerate(text):
        if character.isspace() or character in ":=,":
            return text[:index].lower(), text[index:].lstrip(" \t\n:=,")
    return text.lower(), ""


def _letters_named(rest: str) -> set[str]:
    """The letters that a text after the choice names as choices.

    They stand in brackets or before a closing one, or they are joined to the choice, or start a line, with no word
    after them: "and C", ", C", "/ C", "C. Rome". A letter within words ("vitamin C", "a dog") is no choice.
    """
    found: set[str] = set()
    for mark in ",;/&+":
        rest = rest.replace(mark, f" {mark} ")
    for opening, closing in ("()", "[]"):
        rest = rest.replace(opening, f" {opening}").replace(closing, f"{closing} ")
    for line in rest.split("\n"):
        words = line.strip(").]: ").split()
        joined = True
        for index, word in enumerate(words):
            bare = word.strip("()[].:")
            ends = index + 1 == len(words) or words[index + 1] in _JOINS or word[-1] in ".:"
            bracketed = word[0] in "([" or word[-1] in ")]"
            if bare in _LETTERS and (bracketed or (joined and ends)):
                found.add(bare)
            joined = word in _JOINS or word in ("-", "option", "choice", "not")
    return found
