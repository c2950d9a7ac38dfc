"""How long texts are: in tokens, counted a batch at a time by whom the caller names, or in characters."""

from collections.abc import Callable, Sequence

CountTokens = Callable[[Sequence[str]], list[int]]
"""How many tokens each of some texts has."""

_BATCH = 512


class Measure:
    """Measures groups of texts and hands each group's lengths on.

    Args:
        count_tokens: How tokens are counted; None counts characters.
        take: Is given the lengths of each group, in the order in which the groups came, in the end by `flush`.
    """

    def __init__(self, count_tokens: CountTokens | None, take: Callable[..., None]) -> None:
        self._count_tokens = count_tokens
        self._take = take
        self._texts: list[str] = []
        self._groups: list[int] = []

    def add(self, *texts: str) -> None:
        """Measure one group."""
        if self._count_tokens is None:
            self._take(*map(len, texts))
            return
        self._texts.extend(texts)
        self._groups.append(len(texts))
        if len(self._texts) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Measure what waits for its batch to fill.

        Raises:
            ValueError: `count_tokens` gave another number of lengths than it was given texts.
        """
        if self._count_tokens is None or not self._texts:
            return
        found = iter(self._count_tokens(self._texts))
        lengths = [length for length, _ in zip(found, self._texts, strict=True)]
        at = 0
        for size in self._groups:
            self._take(*lengths[at : at + size])
            at += size
        self._texts, self._groups = [], []


def unit(count_tokens: CountTokens | None) -> str:
    """What lengths are counted in."""
    return "characters" if count_tokens is None else "tokens"
