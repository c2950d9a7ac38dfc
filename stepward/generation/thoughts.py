"""Thoughts that a model writes before its solution: they are no steps, and a thought that is cut is no solution.

Known are tags such as `<think>`, `[THINK]` and `\u25c1think\u25b7`, and gpt-oss's channels, of which the final one is
the solution. A draw of thoughts alone states no answer, however it ended: it is a cut one, so that it counts as wrong
and is not left out as an empty one is.

One form is another matter: where nothing but an `<answer>` block follows `<reasoning>`, as small models are often
taught to write, the reasoning is all the solution there is. It is kept as steps, and the answer as a line.
"""

import re
from itertools import pairwise

from stepward.answer_extraction import extract_answer

_NAMES = "think|thinking|thought|reasoning|seed:think"
_TAG = re.compile(rf"(?i:<(/?)({_NAMES})>)|\[(/?)(THINK)\]|\u25c1(/?)(think)\u25b7")
"""Square brackets stand in solutions too ("We [think] that"): only those in capitals are tags."""

_CHANNEL = re.compile(r"<\|channel\|>|\A\s*analysis(?=[A-Z])")
"""What a text with channels holds; where special tokens are left out, their names stay."""
_FINAL = re.compile(r"<\|channel\|>\s*final[^<]*<\|message\|>|(?<=assistant)final")
_MESSAGE_END = re.compile(r"<\|(?:end|return|start|channel|message|call)\|>")

_BLOCK = rf"<answer>((?:(?!</?(?:answer|{_NAMES})>).)*)(?:</answer>\s*)?\Z"
_ONLY_ANSWERED = re.compile(r"\s*" + _BLOCK, re.IGNORECASE | re.DOTALL)
_REASONED = re.compile(r"</reasoning>\s*(?=<answer>)", re.IGNORECASE)

_UNSEEN = "\ufeff\u200b"
_SENTENCE_ENDS = (".", "!", "?", "\u2026")


def without_thoughts(text: str, finished: bool, begun: bool = False) -> tuple[str, bool]:
    """A text without its thoughts, and whether that is whole: a thought without end, or with nothing else, is not.

    A text without any mark of a thought is given as it is.

    Args:
        text: What a model wrote.
        finished: Whether it ended by itself.
        begun: Whether the prompt opened a thought, as templates of thinking models do, so that none is opened here.
    """
    if _CHANNEL.search(text) is None and _TAG.search(text) is None:
        # What ended by itself without any mark was no thought.
        return ("", False) if begun and not finished else (text, finished)
    solution, whole = _solution(text, begun)
    return solution, finished and whole and bool(solution.strip())


def _solution(text: str, begun: bool) -> tuple[str, bool]:
    """What a text with marks has beside its thoughts, and whether each of these ends."""
    if _CHANNEL.search(text):
        messages = list(_FINAL.finditer(text))
        if not messages:
            return "", False
        text, begun = _MESSAGE_END.split(text[messages[-1].end() :])[0].lstrip(), False
    reasoned = _with_reasoning(text)
    if reasoned is not None:
        text, begun = reasoned, False
    if _TAG.search(text) is None:
        return text, True
    pieces, open_ = _outside(text, begun)
    solution = _joined([piece for piece in pieces if piece.strip().strip(_UNSEEN)])
    block = _ONLY_ANSWERED.match(solution)
    return (_as_line(block[1]) if block else solution), not open_


def begun_before(text: str, finished: bool) -> bool | None:
    """Whether a text begins within a thought that its prompt opened; None where a cut text doesn't say it."""
    if _CHANNEL.search(text):
        return False
    first = _TAG.search(text)
    if first is None:
        return False if finished else None
    return _closes(first)


def opened_thought(prompt: str) -> str:
    """What closes the thought that a prompt leaves open at its end; empty where it leaves none."""
    tags = list(_TAG.finditer(prompt))
    if not tags or _closes(tags[-1]) or prompt[tags[-1].end() :].strip():
        return ""
    return f"{tags[-1][0][0]}/{tags[-1][0][1:]}"


def _outside(text: str, begun: bool) -> tuple[list[str], bool]:
    """The pieces of a text outside thoughts, and whether it ends within one.

    A thought may name tags: it ends by its own kind of tag. Where a second one ends that was not opened, all before it
    was still thought: thoughts may be nested, and prompts may open them.
    """
    pieces: list[str] = []
    kind = "any" if begun else ""
    start = 0
    for tag in _TAG.finditer(text):
        if not _closes(tag):
            if not kind:
                pieces.append(text[start : tag.start()])
                kind = _kind(tag)
        elif kind in ("", "any", _kind(tag)):
            if kind != _kind(tag):
                pieces.clear()
            kind, start = "", tag.end()
    return (pieces, True) if kind else ([*pieces, text[start:]], False)


def _joined(pieces: list[str]) -> str:
    """Pieces between which thoughts stood: a new line after a sentence, and the same line within one."""
    parts = pieces[:1]
    for before, piece in pairwise(pieces):
        if before.rstrip().endswith(_SENTENCE_ENDS):
            parts.append("\n")
        elif not before[-1].isspace() and not piece[0].isspace():
            parts.append(" ")
        parts.append(piece)
    return "".join(parts).lstrip()


def _with_reasoning(text: str) -> str | None:
    """The steps of a reasoning that only an answer follows, and that answer as a line; None for another text."""
    end = _REASONED.search(text)
    block = _ONLY_ANSWERED.match(text, end.end()) if end else None
    if end is None or block is None:
        return None
    parts = re.split("<reasoning>", text[: end.start()], flags=re.IGNORECASE)
    return "\n".join(part for part in (*(part.strip("\n") for part in parts), _as_line(block[1])) if part.strip())


def _as_line(answer: str) -> str:
    """What an answer block says, as a text that states its answer."""
    said = answer.strip()
    return said if "\n" in said or not said or extract_answer(said, "marked") else f"The answer is: {said}"


def _closes(tag: re.Match[str]) -> bool:
    return any((tag[1], tag[3], tag[5]))


def _kind(tag: re.Match[str]) -> str:
    return tag[0].replace("/", "").casefold()
