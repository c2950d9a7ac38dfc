"""Chat templates' single operations that would take gigabytes at once, before anything that watches could stop them.

transformers runs templates in Jinja's sandbox, which lets `'a' * 10**10` and `9**9**9` pass, and works out constants
already where it compiles them. Operators that are intercepted it leaves for when the template runs, and asks first.
What a method, filter or function would make is reckoned from what it is given, for each that can make much of little.
"""

import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache, wraps
from string import Formatter
from typing import Any

LARGEST = 1 << 25
"""Characters or items that one operation may make, bits of a number, and the widest a text may be asked to be."""

_WHY = f"one operation that makes more than {LARGEST:,} characters, items or bits"
_TOO_MANY = LARGEST + 1
_PERCENT = re.compile(r"%%|%(?:\([^()]*\))?([-#0 +.*\d]*)")
"""A field of `%`; its group has the flags, width and precision."""

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

        def from_string(self, *given: Any, **options: Any) -> Any:
            # Not earlier: transformers adds filters and functions of its own to a sandbox that is made.
            tables: list[tuple[Any, dict[str, Callable[..., int]]]]
            tables = [(self.filters, _FILTERS), (self.globals, _FUNCTIONS)]
            for table, sizes in tables:
                table.update({name: _asking(table[name], size) for name, size in sizes.items() if name in table})
            return super().from_string(*given, **options)

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            _check(_size_of_operation(operator, left, right))
            return super().call_binop(context, operator, left, right)

        def call(__self, __context: Any, __obj: Any, *given: Any, **named: Any) -> Any:
            # Of a method `format`, the sandbox gives a function that wraps it.
            method: Any = __obj if hasattr(__obj, "__self__") else getattr(__obj, "__wrapped__", None)
            owner = getattr(method, "__self__", None)
            size = _METHODS.get(method.__name__) if isinstance(owner, (str, bytes, int)) else None
            if size is not None:
                given = _written_out(given)
                _check(size(owner, *given, **named))
            return super().call(__context, __obj, *given, **named)

    return Guarded


def _asking(function: Callable[..., Any], size: Callable[..., int]) -> Callable[..., Any]:
    @wraps(function)  # with Jinja's marks of what the function is given first
    def asking(*given: Any, **named: Any) -> Any:
        given = _written_out(given)
        _check(size(*given, **named))
        return function(*given, **named)

    return asking


def _check(size: int) -> None:
    if size > LARGEST:
        raise TooMuch(_WHY)


def _written_out(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments that can be read twice."""
    return tuple(list(one) if isinstance(one, Iterator) else one for one in given)


def _size_of_operation(operator: str, left: Any, right: Any) -> int:
    """About how many characters, items or bits the result has, where that may be many."""
    if operator == "%":
        text = left.decode("latin-1") if isinstance(left, bytes) else left
        return _size_of_percent(text, right) if isinstance(text, str) else 0
    if isinstance(left, int) and isinstance(right, int):
        return left.bit_length() * max(right, 0) if operator == "**" else left.bit_length() + right.bit_length()
    if operator == "**":
        return 0
    one, times = (right, left) if isinstance(left, int) else (left, right)
    return _size(one) * times if isinstance(times, int) else 0


def _size(value: Any) -> int:
    """Characters, items and bits of a value with all that it holds; of more than `LARGEST` no more is counted."""
    size, waiting = 0, [value]
    while waiting and size <= LARGEST:
        one = waiting.pop()
        if isinstance(one, int):
            size += one.bit_length()
        elif isinstance(one, Collection):
            size += len(one)
            if not isinstance(one, (str, bytes, range)) and size <= LARGEST:
                waiting += [*one, *one.values()] if isinstance(one, Mapping) else one
    return size


def _size_of_percent(text: str, values: Any) -> int:
    """Of `text % values`: as many fields as it has, each as wide as the widest, and with all values."""
    if re.search(r"%\([^()]*\(", text):
        return _TOO_MANY  # a name with brackets in it: what follows would be looked for in the wrong place
    fields = _PERCENT.findall(text)
    given = values if isinstance(values, tuple) else (values,)
    widest = _largest(None, *given) if any("*" in field for field in fields) else 0
    return len(fields) * (max(widest, _widest(fields)) + _size(values))


def _size_of_braces(text: str, /, *given: Any, **named: Any) -> int:
    """Of `text.format(...)`, as of `%`."""
    fields = [field or "" for _, name, field, _ in Formatter().parse(text) if name is not None]
    if any("{" in field for field in fields):
        return _TOO_MANY  # a width that comes from elsewhere
    return len(fields) * (_widest(fields) + _size((given, named)))


def _widest(fields: list[str]) -> int:
    """The largest number that a field has, width or precision."""
    return max((int(number) for field in fields for number in re.findall(r"\d+", field)), default=0)


def _largest(_: Any, /, *given: Any, **named: Any) -> int:
    """The largest number that is given, a width or a precision, besides what it is for."""
    return max((abs(one) for one in (*given, *named.values()) if isinstance(one, int)), default=0)


def _size_of_join(between: str, items: Any) -> int:
    return (len(between) + 1) * len(items) + _size(items)


def _size_of_indent(text: Any, width: int | str = 4, *_: Any, **__: Any) -> int:
    return (len(str(text).splitlines()) + 1) * (len(width) if isinstance(width, str) else width)


def _size_of_sum(_: Any, items: Any, attribute: Any = None, start: Any = 0) -> int:
    """Lists are added one by one, each time all over."""
    return 0 if isinstance(start, (int, float)) else len(items) * _size(items)


def _size_of_wordwrap(_: Any, text: str, *given: Any, **named: Any) -> int:
    return (len(text) + 1) * max((len(one) for one in (*given, *named.values()) if isinstance(one, str)), default=0)


# Each is given what the method, filter or function is.
_METHODS: dict[str, Callable[..., int]] = {
    **dict.fromkeys(("ljust", "rjust", "center", "zfill", "to_bytes"), _largest),
    **dict.fromkeys(("format", "format_map"), _size_of_braces),
    "expandtabs": lambda text, tabsize=8: len(text) * tabsize,
    "replace": lambda text, old, new, count=-1: text.count(old) * len(new),
    "translate": lambda text, table: len(text) * _size(table),
    "join": _size_of_join,
}
_FILTERS: dict[str, Callable[..., int]] = {
    **dict.fromkeys(("center", "batch", "round", "tojson"), _largest),
    "format": lambda text, /, *given, **named: _size_of_percent(str(text), named or given),
    "indent": _size_of_indent,
    "replace": lambda _, text, old, new, count=None: str(text).count(str(old)) * len(str(new)),
    "join": lambda _, items, d="", attribute=None: _size_of_join(str(d), items),
    "sum": _size_of_sum,
    "wordwrap": _size_of_wordwrap,
}
_FUNCTIONS: dict[str, Callable[..., int]] = {"strftime_now": lambda text: _size_of_percent(text, ())}
