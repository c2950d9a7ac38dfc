"""What preferences are like: how long, which answer is longer, and what stands twice."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stepward.curation.statistics.duplicates import DuplicateCounter
from stepward.curation.statistics.lengths import CountTokens, Cut, LengthCounter, Lengths, cuts, summarise, unit
from stepward.records import Message, Preference


@dataclass(frozen=True, slots=True)
class PreferenceStatistics:
    """What a source's preferences are like.

    Attributes:
        preferences: How many.
        unit: What lengths count: `tokens` or `characters`.
        prompt: Of the prompts, their turns a line each, without roles.
        chosen: Of the preferred answers, likewise.
        rejected: Of the others, likewise.
        whole: Of the prompt and the longer of the two answers, a newline between.
        cuts: What limits on the latter would cut.
        chosen_longer: Pairs whose preferred answer is the longer one.
        same_length: Pairs whose answers are equally long.
        equal_pairs: Pairs whose answers are the same.
        prompt_turns: Turns a prompt.
        prompts: Distinct prompts.
        empty_prompts: Pairs without a prompt.
        repeated: Pairs beyond the first with the same prompt and answers.
    """

    preferences: int
    unit: str
    prompt: Lengths
    chosen: Lengths
    rejected: Lengths
    whole: Lengths
    cuts: tuple[Cut, ...]
    chosen_longer: int
    same_length: int
    equal_pairs: int
    prompt_turns: Lengths
    prompts: int
    empty_prompts: int
    repeated: int


class PreferenceCounts:
    """Counts preferences as they come, in memory that does not grow by more than some hashes each.

    Args:
        count_tokens: How tokens are counted; None counts characters.
    """

    def __init__(self, count_tokens: CountTokens | None) -> None:
        self._unit = unit(count_tokens)
        self._measure = LengthCounter(count_tokens, self._take_lengths)
        self._prompt: Counter[int] = Counter()
        self._chosen: Counter[int] = Counter()
        self._rejected: Counter[int] = Counter()
        self._whole: Counter[int] = Counter()
        self._turns: Counter[int] = Counter()
        self._prompts, self._pairs = DuplicateCounter(), DuplicateCounter()
        self._longer = self._same_length = self._equal = self._empty = 0

    def add(self, record: Preference) -> None:
        """Take one in."""
        prompt, chosen, rejected = (_said(turns) for turns in (record.prompt, record.chosen, record.rejected))
        start = f"{prompt}\n" if prompt else ""
        self._measure.add(prompt, chosen, rejected, start + chosen, start + rejected)
        self._turns[len(record.prompt)] += 1
        self._prompts.add(record.prompt)
        self._pairs.add(record.id)
        self._equal += record.chosen == record.rejected
        self._empty += not prompt.strip()

    def finish(self, max_lengths: Sequence[int]) -> PreferenceStatistics:
        """The summary."""
        self._measure.flush()
        return PreferenceStatistics(
            self._turns.total(), self._unit, summarise(self._prompt), summarise(self._chosen),
            summarise(self._rejected), summarise(self._whole), cuts(self._whole, max_lengths), self._longer,
            self._same_length, self._equal, summarise(self._turns), self._prompts.distinct(),
            self._empty, self._pairs.repeated(),
        )  # fmt: skip

    def _take_lengths(self, prompt: int, chosen: int, rejected: int, with_chosen: int, with_rejected: int) -> None:
        self._prompt[prompt] += 1
        self._chosen[chosen] += 1
        self._rejected[rejected] += 1
        self._whole[max(with_chosen, with_rejected)] += 1
        self._longer += chosen > rejected
        self._same_length += chosen == rejected


def _said(turns: tuple[Message, ...]) -> str:
    return "\n".join(turn.content for turn in turns)
