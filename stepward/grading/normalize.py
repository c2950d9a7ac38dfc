r"""Plain notation: what two writings of one answer share, once LaTeX's layout and its spaces are gone.

Only marks that never change a value are touched: delimiters, spacing, `\text{...}`, the size of a fraction. Each
replacement is one linear pass; nothing is parsed as mathematics here.
"""

_SAME = (
    ("\\left", ""),
    ("\\right", ""),
    ("\\displaystyle", ""),
    ("\\textstyle", ""),
    ("\\dfrac", "\\frac"),
    ("\\tfrac", "\\frac"),
    ("\\cfrac", "\\frac"),
    ("{,}", ","),
    ("\\!", ""),
    ("\\,", " "),
    ("\\;", " "),
    ("\\:", " "),
    ("\\ ", " "),
    ("~", " "),
    ("\\(", ""),
    ("\\)", ""),
    ("\\[", ""),
    ("\\]", ""),
    ("\\%", "%"),
    ("^{\\circ}", " degrees"),
    ("^\\circ", " degrees"),
    ("\u00b0", " degrees"),
    ("\u2212", "-"),
    ("\u00a0", " "),
)
_TEXT_COMMANDS = (
    "\\text{",
    "\\textbf{",
    "\\textit{",
    "\\textnormal{",
    "\\textrm{",
    "\\mathrm{",
    "\\mathbf{",
    "\\mbox{",
)


def normalize_latex(text: str) -> str:
    r"""The text in plain notation.

    Delimiters (`$...$`, `\(...\)`), a closing full stop, bold stars and spacing commands go; `\text{cm}` becomes
    ` cm`, `\dfrac` `\frac`, `\$` `$`; white space stays, as one space, only where it parts two letters or digits,
    or follows a comma. A text that is all letters and spaces, and is longer than one letter, loses its case.
    """
    text = text.strip().strip("*")
    # "\$" is a dollar, and "$...$" are delimiters: the first is put aside while the second goes.
    text = text.replace("\\$", "\0")
    if len(text) > 1 and text.startswith("$") and text.endswith("$"):
        text = text.strip("$")
    text = text.replace("\0", "$")
    # \leftarrow and \rightarrow are no delimiters, and \left is followed by one.
    text = text.replace("\\leftarrow", "\u2190").replace("\\rightarrow", "\u2192")
    for written, same in _SAME:
        text = text.replace(written, same)
    text = _spaced(_unwrapped(text)).removesuffix(".").strip()
    letters = text.replace(" ", "")
    return text.casefold() if len(letters) > 1 and letters.isalpha() else text


def _unwrapped(text: str) -> str:
    r"""The text without `\text{` and its like and the braces that close them: one pass, with a stack."""
    if "\\text" not in text and "\\m" not in text:
        return text
    parts: list[str] = []
    wrapped: list[bool] = []
    index = 0
    while index < len(text):
        command = next((name for name in _TEXT_COMMANDS if text.startswith(name, index)), None)
        if command is not None:
            wrapped.append(True)
            parts.append(" ")
            index += len(command)
            continue
        character = text[index]
        if character == "{":
            wrapped.append(False)
        if character != "}" or not wrapped or not wrapped.pop():
            parts.append(character)
        index += 1
    return "".join(parts)


def _spaced(text: str) -> str:
    """The text with a space only between two letters or digits, or after a comma that stood before one."""
    words = text.split()
    parts: list[str] = []
    for word in words:
        previous = parts[-1][-1] if parts else ""
        if previous and (previous.isalnum() or previous == ",") and word[0].isalnum():
            parts.append(" ")
        parts.append(word)
    return "".join(parts)
