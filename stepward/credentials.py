"""What looks like a key or token: it is never said and never written, wherever it was given by mistake.

A key is read from an environment variable, whose name is what commands and recipes take.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_SECRET = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    # A provider's prefix; then, somewhere, a digit, and sixteen letters and digits in a row, unlike ordinary names.
    r"(?:sk|rk|hf|gsk|csk|xai|pplx|nvapi|r8|gh[oprsu]|github_pat|glpat|xox[abprs])[-_]"
    r"(?=[\w-]*[0-9])(?=[\w-]*[A-Za-z0-9]{16})[\w-]+"
    r"|AIza[\w-]{30,}|AKIA[A-Z0-9]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_RANDOM = re.compile(r"(?=[A-Za-z]*[0-9])[A-Za-z0-9]{16,}")


def holds_secret(value: Any) -> bool:
    """Whether a text looks as if it held a key, or any text within a list or mapping does."""
    if isinstance(value, str):
        return _SECRET.search(value) is not None
    if isinstance(value, Mapping):
        return any(map(holds_secret, value.keys())) or any(map(holds_secret, value.values()))
    return isinstance(value, Sequence) and any(map(holds_secret, value))


def is_variable(name: str) -> bool:
    """Whether a text can be the name of an environment variable, and is not more like a key itself."""
    return _VARIABLE.fullmatch(name) is not None and not holds_secret(name) and _RANDOM.search(name) is None


def redacted(text: str) -> str:
    """A text with `***` for all that looks like a key."""
    return _SECRET.sub("***", text)
