"""Decodes many draws together, having each distinct path of tokens read once.

A draw stands at a node of the tree and chooses the next token by its own uniform number from the chances there. It
walks on through tokens that were read before, for whomever; where it comes to a token that nobody has read, it waits.
All those tokens are then read together. So draws share what they write alike, those of a longer prefix share with
those of a shorter one, and a later call shares with earlier ones. Nothing a draw gets depends on whom it shares with.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepward.generation.interface import Sampling, uniforms
from stepward.generation.local.forward import CachedForward
from stepward.generation.local.prefix_tree import Nodes

Stops = Callable[[NDArray[np.int64]], bool]
"""Says whether the tokens that a draw has written so far hold a stop text, from its last token on."""


@dataclass(frozen=True, slots=True)
class SequenceGroup:
    """Draws that go on from one prompt.

    Attributes:
        key: The prompt's id, for the draws' numbers.
        tokens: The prompt.
        draws: The draws' numbers.
        place: Where what they write belongs, such as the prompt's index.
    """

    key: str
    tokens: tuple[int, ...]
    draws: range
    place: int


class Scheduler:
    """Draws under way.

    Args:
        reader: Reads tokens.
        sampling: How tokens are chosen.
        seed: Where the draws' randomness comes from.
        ends: The tokens that end a draw.
        stops: Ends a draw at a stop text; only asked where `sampling` has stop texts.
    """

    def __init__(self, reader: CachedForward, sampling: Sampling, seed: int, ends: Nodes, stops: Stops) -> None:
        self.reader = reader
        self.sampling = sampling
        self.seed = seed
        self.ends = ends
        self.stops = stops
        self.prefilled = 0
        limit = sampling.max_new_tokens
        self._starts: list[SequenceGroup] = []
        self._from, self._number, self._node, self._length = (np.zeros(0, dtype=np.int64) for _ in range(4))
        self._noise = np.zeros((0, limit), dtype=np.float32)
        self._written = np.zeros((0, limit), dtype=np.int64)

    def __len__(self) -> int:
        """How many draws are under way."""
        return len(self._node)

    def admit(self, queue: "deque[SequenceGroup]", most: int) -> None:
        """Takes draws from a queue, and reads their prompts, until `most` are under way or memory for prompts is full.

        Args:
            queue: The draws; of each, its prompt and all that may follow must fit into the memory.
            most: How many are under way together.
        """
        admitted: list[SequenceGroup] = []
        ends: list[int] = []
        room, before = most - len(self), len(self.reader.tree)
        chains: list[list[list[int]]] = []
        level: dict[int, int] = {}
        while queue and room > 0:
            start = queue.popleft()
            used = np.r_[self._node, np.array(ends, dtype=np.int64)]
            # Half the memory is left to what is drawn.
            full = len(self.reader.tree) - before > self.reader.tree.most // 2
            if not self._make_room(len(start.tokens), used) or (full and len(used)):
                queue.appendleft(start)
                break
            if len(start.draws) > room:
                queue.appendleft(SequenceGroup(start.key, start.tokens, start.draws[room:], start.place))
                start = SequenceGroup(start.key, start.tokens, start.draws[:room], start.place)
            end, new = self.reader.tree.insert(start.tokens)
            if new:
                depth = level.get(int(self.reader.tree.parent[new[0]]), -1) + 1
                chains.extend([] for _ in range(depth + 1 - len(chains)))
                chains[depth].append(new)
                level.update(dict.fromkeys(new, depth))
            admitted.append(start)
            ends.append(end)
            room -= len(start.draws)
        for one in chains:
            self.reader.read(one, self.sampling, draws=False)
        self.prefilled += len(level)
        if admitted:
            self._append(admitted, ends)

    def step(self) -> list[tuple[int, int, NDArray[np.int64]]]:
        """Lets every draw walk as far as it can, and then reads tokens that draws wait for.

        Returns:
            The draws that ended: their start's place, their number, and their tokens with the end token if there is
            one.
        """
        ended = self._walk()
        found = [
            (self._starts[self._from[draw]].place, int(self._number[draw]), self._written[draw, : self._length[draw]])
            for draw in ended.tolist()
        ]
        if len(ended):
            self._keep(np.setdiff1d(np.arange(len(self)), ended, assume_unique=True))
        if len(self):
            waiting = self.reader.rows(np.unique(self._node))
            self.reader.read([[node] for node in waiting.tolist()], self.sampling, draws=True)
        return found

    def preempt(self) -> list[SequenceGroup]:
        """Puts the younger half of the draws back, from their beginning: they would write the same again."""
        kept = len(self) // 2
        parked = [
            SequenceGroup(start.key, start.tokens, range(number, number + 1), start.place)
            for start, number in (
                (self._starts[self._from[draw]], int(self._number[draw])) for draw in range(kept, len(self))
            )
        ]
        self._keep(np.arange(kept))
        return parked

    def has_capacity(self) -> bool:
        """Whether there is room for the next token of every draw, after what nobody needs is forgotten."""
        return self._make_room(len(self), self._node)

    def _make_room(self, nodes: int, used: Nodes) -> bool:
        tree = self.reader.tree
        while tree.free_slots() < nodes:
            dropped = tree.evict(used)
            if len(dropped) == 0:
                return False
            self.reader.chances.forget(dropped)
        return True

    def _walk(self) -> Nodes:
        """Draws tokens until every draw has ended or waits for its token to be read; gives those that ended."""
        ended = []
        ready = np.flatnonzero(self.reader.chances.known(self._node))
        while len(ready):
            at = self._length[ready]
            tokens = self.reader.chances.draw(self._node[ready], self._noise[ready, at])
            self._written[ready, at] = tokens
            self._length[ready] += 1
            over = np.isin(tokens, self.ends) | (at + 1 == self.sampling.max_new_tokens)
            if self.sampling.stop:
                over |= [self.stops(self._written[draw, : self._length[draw]]) for draw in ready.tolist()]
            ended.append(ready[over])
            ready, tokens = ready[~over], tokens[~over]
            self._node[ready] = self._children(self._node[ready], tokens)
            ready = ready[self.reader.chances.known(self._node[ready])]
        return np.concatenate(ended) if ended else np.zeros(0, dtype=np.int64)

    def _children(self, nodes: Nodes, tokens: NDArray[np.int64]) -> Nodes:
        """The nodes of tokens after nodes, [draw]; those not there are added."""
        tree = self.reader.tree
        keys = nodes * self.reader.vocabulary + tokens
        _, first, index = np.unique(keys, return_index=True, return_inverse=True)
        found = []
        for node, token in zip(nodes[first].tolist(), tokens[first].tolist(), strict=True):
            known = tree.child(node, token)
            found.append(tree.add(node, token) if known is None else known)
        return np.array(found, dtype=np.int64)[index]

    def _append(self, starts: list[SequenceGroup], ends: list[int]) -> None:
        counts = [len(start.draws) for start in starts]
        limit = self.sampling.max_new_tokens
        noise = [uniforms(self.seed, start.key, draw, limit) for start in starts for draw in start.draws]
        of = len(self._starts) + np.repeat(np.arange(len(starts)), counts)
        self._starts += starts
        self._from = np.r_[self._from, of]
        self._number = np.r_[self._number, [draw for start in starts for draw in start.draws]]
        self._node = np.r_[self._node, np.repeat(ends, counts)]
        self._length = np.r_[self._length, np.zeros(len(noise), dtype=np.int64)]
        self._noise = np.concatenate([self._noise, np.array(noise, dtype=np.float32).reshape(-1, limit)])
        self._written = np.concatenate([self._written, np.zeros((len(noise), limit), dtype=np.int64)])

    def _keep(self, draws: NDArray[np.int64]) -> None:
        self._from, self._number, self._node = self._from[draws], self._number[draws], self._node[draws]
        self._length, self._noise, self._written = self._length[draws], self._noise[draws], self._written[draws]
