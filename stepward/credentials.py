"""What looks like a key or token: it is never said and never written, wherever it was given by mistake.

A key is read from an environment variable, whose name is what commands and recipes take.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_SHAPED = re.compile(
    r"(?<![\w-])(?:(?P<prefixed>(?:sk|rk|gsk|csk|xai|pplx|nvapi|github_pat|glpat|xox[abprs])[-_][\w-]+)"
    r"|(?:hf|r8|gh[oprsu])_[A-Za-z0-9]{30,}(?![\w-])"
    r"|AIza[\w-]{30,}|AKIA[A-Z0-9]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)
_RUN = re.compile(r"[A-Za-z0-9]{16,}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_RANDOM = re.compile(r"(?=[A-Za-z]*[0-9])[A-Za-z0-9]{16,}")


def holds_secret(value: Any) -> bool:
    """Whether a text looks as if it held a key, or any text within a list or mapping does."""
    if isinstance(value, str):
        return any(map(_is_key, _SHAPED.finditer(value)))
    if isinstance(value, Mapping):
        return any(map(holds_secret, value.keys())) or any(map(holds_secret, value.values()))
    return isinstance(value, Sequence) and any(map(holds_secret, value))


def is_variable(name: str) -> bool:
    """Whether a text can be the name of an environment variable, and is not more like a key itself."""
    if _VARIABLE.fullmatch(name) is None or holds_secret(name):
        return False
    return name.isupper() or _RANDOM.search(name) is None


def redacted(text: str) -> str:
    """A text with `***` for all that looks like a key."""
    return _SHAPED.sub(lambda match: "***" if _is_key(match) else match[0], text)


def _is_key(match: re.Match[str]) -> bool:
    """Whether it is one: behind a provider's prefix, small and large letters and digits in a row."""
    runs = _RUN.findall(match["prefixed"]) if match["prefixed"] else None
    return runs is None or any(_is_mixed(run) for run in runs)


def _is_mixed(run: str) -> bool:
    return any(map(str.islower, run)) and any(map(str.isupper, run)) and any(map(str.isdigit, run))
