"""YAML as recipes hold it: small, every key once, and no more than it seems; what is wrong is named with its line."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from stepward.errors import StepwardError

LARGEST = 1_000_000
"""Bytes of a file; the longest recipe that comes with Stepward has 5,000."""
MOST_NODES = 100_000
"""Keys, values and collections when every alias is written out."""


class _Loader(yaml.SafeLoader):
    """With the line of a value that isn't what its tag says, where PyYAML stumbles over it."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (AttributeError, IndexError, KeyError) as error:
            raise yaml.constructor.ConstructorError(
                None, None, f"{str(node.value)[:80]!r} is no {node.tag.rpartition(':')[2]}", node.start_mark
            ) from error


def read_yaml(path: Path, where: str) -> dict[str, Any]:
    """The fields of a YAML file with their values.

    Args:
        path: The file.
        where: What to call it in errors.

    Raises:
        StepwardError: It is missing, can't be read, is too large, is not YAML, has a key twice, or holds something else
            than fields with values.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise StepwardError(f"{where}: more than {LARGEST:,} bytes", code="too_large", file=path)
        text = content.decode("utf-8")
    except FileNotFoundError as error:
        raise StepwardError(f"{where}: no such file", code="file_not_found", file=path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise StepwardError(f"{where}: can't be read ({error})", code="unreadable", file=path) from error
    found = parse_yaml(text, where, path)
    if not isinstance(found, dict):
        raise StepwardError(
            f"{where}: expected fields with values, found {type(found).__name__}", code="wrong_type", file=path
        )
    return found


def parse_yaml(text: str, where: str, file: Path | None = None) -> Any:
    """The value of a YAML text.

    Args:
        text: The text.
        where: What to call it in errors.
        file: The file that it is from, if it is.

    Raises:
        StepwardError: It is not YAML, has a key twice, or more values than `MOST_NODES` when its aliases are written
            out; `row` is the line.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node, where, file)
        _check_keys(loader, node, where, file)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise StepwardError(
            f"{where}: not YAML ({' '.join(str(error).split())})",
            code="unreadable", file=file, row=None if mark is None else mark.line + 1,
        ) from error  # fmt: skip
    except (ValueError, OverflowError) as error:
        raise StepwardError(f"{where}: a value that YAML can't make ({error})", code="bad_value", file=file) from error
    except RecursionError:
        raise StepwardError(f"{where}: too many levels", code="too_large", file=file) from None


def _inner(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _check_size(root: yaml.Node, where: str, file: Path | None) -> None:
    """Counts what the text comes to without making it: of some hundred bytes, aliases make billions of values."""
    sizes: dict[int, int] = {}
    open_: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_:
            raise _too_large(node, where, file, "an alias that contains itself")
        if id(node) not in sizes:
            open_.add(id(node))
            sizes[id(node)] = 1 + sum(size(one) for one in _inner(node))
            open_.remove(id(node))
        if sizes[id(node)] > MOST_NODES:
            raise _too_large(node, where, file, f"more than {MOST_NODES:,} values, its aliases written out")
        return sizes[id(node)]

    size(root)


def _too_large(node: yaml.Node, where: str, file: Path | None, what: str) -> StepwardError:
    line = node.start_mark.line + 1
    return StepwardError(f"{where}: line {line}: {what}", code="too_large", file=file, row=line)


def _check_keys(loader: yaml.SafeLoader, root: yaml.Node, where: str, file: Path | None) -> None:
    """Refuses a key that stands twice in one section: YAML would take the last one without a word."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        waiting += _inner(node)
        lines: dict[Any, int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                continue  # no key of a section: making it is refused
            line = key.start_mark.line + 1
            # As it will be: 1, 0x1 and 1.0 are one key. Of the sign of a merge nothing is made.
            made = loader.construct_object(key) if key.tag in loader.yaml_constructors else key.value
            if not isinstance(made, Hashable):
                continue  # it is tagged as a collection, which is no key either
            if made in lines:
                raise StepwardError(
                    f"{where}: line {line}: {key.value} stands twice, first in line {lines[made]}; keep one",
                    code="duplicate", file=file, row=line, field=str(key.value),
                )  # fmt: skip
            lines[made] = line
