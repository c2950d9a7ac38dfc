"""Chat templates' single operations that would take all memory at once, before anything that watches could stop them.

transformers runs templates in Jinja's sandbox, which lets `'a' * 10**10` and `9**9**9` pass, and works out constants
already where it compiles them. Operators that are intercepted it leaves for when the template runs, and asks first.
"""

import re
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

LARGEST = 1 << 25
"""Characters or items that one operation may make, bits of a number, and the widest a text may be asked to be."""

_WHY = f"one operation that makes more than {LARGEST:,} characters, items or bits"
_WIDE = re.compile(r"[%:][^%{}a-zA-Z]*[0-9]{8}")
"""A field of a format that is too wide."""

_MODULE = "transformers.utils.chat_template_utils"
_NAME = "ImmutableSandboxedEnvironment"


class TooMuch(BaseException):
    """Of a template that takes too much; Jinja hands on what is no Exception."""


def guard_templates() -> None:
    """Lets transformers make its sandboxes from one that asks first; for the whole process, once."""
    module = sys.modules.get(_MODULE)  # not there where the tokenizer is another library's
    if module is not None and getattr(module, _NAME) is not _guarded():
        setattr(module, _NAME, _guarded())
        module._compile_jinja_template.cache_clear()


@lru_cache(maxsize=1)
def _guarded() -> type:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Guarded(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(("*", "**", "%"))

        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            for name in ("center", "indent", "format"):  # what makes text as wide as it is told
                self.filters[name] = _asking(self.filters[name])

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            _check_operation(operator, left, right)
            return super().call_binop(context, operator, left, right)

        def call(__self, __context: Any, __obj: Any, *given: Any, **named: Any) -> Any:
            _check_widths(*given, *named.values())
            return super().call(__context, __obj, *given, **named)

        def wrap_str_format(self, value: Any) -> Any:
            if isinstance(getattr(value, "__self__", None), str):
                _check_format(value.__self__)
            return super().wrap_str_format(value)

    return Guarded


def _asking(filter: Callable[..., Any]) -> Callable[..., Any]:
    def asking(*given: Any, **named: Any) -> Any:
        _check_widths(*given, *named.values())
        if isinstance(given[0], str):
            _check_format(given[0])
        return filter(*given, **named)

    return asking


def _check_operation(operator: str, left: Any, right: Any) -> None:
    """Raises TooMuch where the result would be too large."""
    whole = isinstance(left, int) and isinstance(right, int)
    if operator == "%":
        if isinstance(left, str):
            _check_format(left)
            _check_widths(*(right if isinstance(right, tuple) else (right,)))
        size = 0
    elif operator == "**":
        size = left.bit_length() * max(right, 0) if whole else 0
    elif whole:
        size = left.bit_length() + right.bit_length()
    else:
        one, times = (right, left) if isinstance(left, int) else (left, right)
        size = len(one) * times if hasattr(one, "__len__") and isinstance(times, int) else 0
    if size > LARGEST:
        raise TooMuch(_WHY)


def _check_format(text: str) -> None:
    if _WIDE.search(text):
        raise TooMuch(_WHY)


def _check_widths(*given: Any) -> None:
    if any(isinstance(one, int) and abs(one) > LARGEST for one in given):
        raise TooMuch(_WHY)
