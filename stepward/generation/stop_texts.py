"""Where a completion ends by what it says, for engines that may write on for a token or two."""

from collections.abc import Sequence


def before_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """What stands before the first of the texts in `stop`, and whether one was found."""
    ends = [place for place in (text.find(one) for one in stop if one) if place >= 0]
    return (text[: min(ends)], True) if ends else (text, False)
