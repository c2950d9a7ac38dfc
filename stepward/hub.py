"""Names on the hub, told from paths and held to one commit.

`hf://owner/name[@revision]` asks for the hub. A bare `owner/name` is taken for a name there only where nothing local
looks like it: a mistyped path must neither wait for the network nor load what a stranger put under that name.
"""

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from stepward.errors import StepwardError

PREFIX = "hf://"
"""What asks for the hub, whatever lies here."""

_NAME = re.compile(r"([\w-][\w.-]*)/([\w.-]+)(?:@([\w./-]+))?", re.ASCII)
_SUFFIXES = (
    ".jsonl", ".json", ".ndjson", ".parquet", ".csv", ".tsv", ".txt", ".md", ".gz", ".zst", ".yaml", ".yml", ".toml",
    ".safetensors", ".bin", ".pt", ".pth", ".gguf", ".ckpt", ".arrow", ".html", ".py", ".zip", ".tar",
)  # fmt: skip
_NEAR = 0.75  # how alike two names are, of 1, when one may be a slip of the other
_SHOWN = 5
_LONGEST_PATH, _LONGEST_PART = 4_095, 255


@dataclass(frozen=True, slots=True)
class HubName:
    """A model or data set on the hub.

    Attributes:
        name: `owner/name`.
        revision: A branch, tag or commit; None for the main branch.
    """

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{PREFIX}{self.name}{'' if self.revision is None else f'@{self.revision}'}"


def hub_name(text: str | Path) -> HubName | None:
    """The name on the hub that a text is, or None for a path.

    Raises:
        StepwardError: It asks for the hub, and is no name there.
    """
    refuse_long(text)
    if not isinstance(text, str):
        return None
    found = _NAME.fullmatch(text.removeprefix(PREFIX))
    if text.startswith(PREFIX):
        if found is None:
            message = f"{text}: no name on the hub; expected {PREFIX}owner/name or {PREFIX}owner/name@revision"
            raise StepwardError(message, code="bad_value")
    elif found is None or _looks_local(text, found[1]):
        return None
    return HubName(f"{found[1]}/{found[2]}", found[3])


def refuse_long(path: str | Path) -> None:
    """Refuses what no file system takes as a path, nor the hub as a name; looking for it would be the system's error.

    Raises:
        StepwardError: It, or a part of it, is too long.
    """
    whole = os.fsencode(path)
    if len(whole) > _LONGEST_PATH or any(len(part) > _LONGEST_PART for part in whole.split(b"/")):
        shown = os.fsdecode(whole[:80])
        raise StepwardError(
            f"{shown}...: a path or name of {len(whole):,} bytes; a path has at most {_LONGEST_PATH:,}, and each part "
            f"of it {_LONGEST_PART}",
            code="too_large",
            file=shown,
        )


def _looks_local(text: str, owner: str) -> bool:
    if Path(text).exists() or Path(owner).exists() or text.lower().endswith(_SUFFIXES):
        return True
    return bool(_near(owner, _siblings(Path.cwd())))


def not_found(path: str | Path, expected: str) -> StepwardError:
    """The error of a path where nothing is: says what is there, and how the hub would be asked."""
    here = Path(path)
    first = next((one for one in reversed([here, *here.parents]) if not one.exists()), here)
    there = _siblings(first.parent)
    if near := _near(first.name, there):
        hint = f"did you mean {' or '.join(str(first.parent / name) for name in near)}?"
    elif there:
        more = f" and {len(there) - _SHOWN:,} more" if len(there) > _SHOWN else ""
        hint = f"{first.parent.resolve()} has {', '.join(there[:_SHOWN])}{more}"
    else:
        hint = f"{first.parent.resolve()} has nothing in it"
    if _NAME.fullmatch(str(path)):
        hint += (
            f" For the hub's write {PREFIX}{path}" if hint.endswith("?") else f"; for the hub's write {PREFIX}{path}"
        )
    return StepwardError(f"{path}: no such {expected}; {hint}", code="file_not_found", file=path)


def _siblings(folder: Path) -> list[str]:
    try:
        return sorted(one.name for one in folder.iterdir() if not one.name.startswith("."))
    except OSError:
        return []


def _near(name: str, others: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(name, others, n=3, cutoff=_NEAR)


def model_folder(name: HubName, patterns: Sequence[str]) -> Path:
    """Where the hub's library keeps a model, fetched if need be.

    Args:
        name: The model.
        patterns: The files that are wanted.

    Raises:
        StepwardError: There is no such model, or the hub can't be asked.
    """
    return _snapshot(name, tuple(patterns))


@lru_cache(maxsize=64)  # so that a process reads one commit, also where the branch moves meanwhile
def _snapshot(name: HubName, patterns: tuple[str, ...]) -> Path:
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(name.name, revision=name.revision, allow_patterns=list(patterns)))
    except Exception as error:  # its errors are of a dozen libraries' types
        raise _unreachable(name, "model", error) from error


def pinned_model(name: HubName, patterns: Sequence[str]) -> HubName:
    """The name with the commit that it stands for now.

    Raises:
        StepwardError: As `model_folder`.
    """
    commit = model_folder(name, patterns).name  # of the library's cache: models--owner--name/snapshots/<commit>
    return replace(name, revision=commit) if re.fullmatch("[0-9a-f]{40}", commit) else name


@lru_cache(maxsize=64)
def pinned_data(name: HubName) -> HubName:
    """A data set's name with the commit that it stands for now.

    Raises:
        StepwardError: There is no such data set, or the hub can't be asked.
    """
    try:
        from huggingface_hub import HfApi

        return replace(name, revision=HfApi().dataset_info(name.name, revision=name.revision, timeout=30).sha)
    except Exception as error:
        raise _unreachable(name, "data set", error) from error


def _unreachable(name: HubName, what: str, error: Exception) -> StepwardError:
    if isinstance(error, ImportError):
        return StepwardError(
            f"{name}: the hub needs a library more: pip install 'stepward[data]'", code="missing_dependency"
        )
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return StepwardError(
        f"{name}: the hub's {what} can't be had ({reason}); check the name, the revision, the network and whether it "
        "asks for a token, or give a local path",
        code="unreachable",
    )
