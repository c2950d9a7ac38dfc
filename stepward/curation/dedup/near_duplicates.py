"""An index of questions that finds, for another question, the closest one by each kind of likeness.

Three kinds: `exact` (equal normal forms), `ngram` (a shared run of 13 words, as GPT-3 and its successors clean their
training sets) and `minhash` (the Jaccard index of 5-character runs at a threshold; datasketch's LSH proposes, the
exact index decides). An exact match is not also looked for as a near one.
"""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from stepward.curation.dedup.normalize import jaccard, normalize_question, shingles, word_grams
from stepward.errors import StepwardError

Kind = Literal["exact", "ngram", "minhash"]

KINDS: tuple[Kind, ...] = get_args(Kind)

_PERMUTATIONS = 128
_SEED = 1
_MISSED = 0.01
"""The most pairs exactly at the threshold that LSH may miss: of more alike pairs it misses far fewer."""


@dataclass(frozen=True, slots=True)
class QueryQuestion:
    """One question, and the first row that asks it.

    Attributes:
        id: Its problem's id.
        file: The row's file.
        row: The row's number, from 1.
        text: The question.
    """

    id: str
    file: str
    row: int
    text: str


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """The closest question of one kind.

    Attributes:
        kind: `exact`, `ngram` or `minhash`.
        other: The indexed question.
        similarity: The Jaccard index of the two normal forms' runs of 5 characters; 1 for exact.
        shared: For `ngram` the share of the question's own n-grams that stand anywhere in the index; else 1.
    """

    kind: Kind
    other: QueryQuestion
    similarity: float
    shared: float


class QuestionIndex:
    """Questions, by the three kinds.

    Args:
        kinds: Which kinds to look for.
        ngram: Words of an n-gram.
        threshold: The least Jaccard index of a `minhash` match, above 0 and at most 1.

    Raises:
        StepwardError: A kind is unknown, a setting is out of range, or datasketch is missing.
    """

    def __init__(self, kinds: Sequence[Kind] = KINDS, ngram: int = 13, threshold: float = 0.8) -> None:
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise StepwardError(
                f"unknown kind of overlap {unknown[0]!r}; expected some of {', '.join(KINDS)}",
                code="unknown_name",
                field="kinds",
            )
        if not kinds:
            raise StepwardError(
                f"no kind of overlap to look for; expected some of {', '.join(KINDS)}", code="empty", field="kinds"
            )
        if ngram < 1:
            raise StepwardError(f"--ngram: expected at least 1 word, found {ngram}", code="bad_value", field="--ngram")
        if not 0 < threshold <= 1:
            raise StepwardError(
                f"--threshold: expected a share above 0 and at most 1, found {threshold:g}",
                code="bad_value",
                field="--threshold",
            )
        self._kinds = frozenset(kinds)
        self._ngram = ngram
        self._threshold = threshold
        self._asked: list[QueryQuestion] = []
        self._forms: list[str] = []
        self._exact: dict[str, int] = {}
        self._grams: dict[int, int] = {}
        self._signer: Any = None
        self._buckets: Any = None
        if "minhash" in kinds:
            self._signer, self._buckets = _minhash(threshold)

    def __len__(self) -> int:
        return len(self._asked)

    def add(self, asked: QueryQuestion, form: str | None = None) -> None:
        """Take a question in; one whose normal form is in already adds nothing."""
        form = normalize_question(asked.text) if form is None else form
        if form in self._exact:
            return
        place = len(self._asked)
        self._asked.append(asked)
        self._forms.append(form)
        self._exact[form] = place
        if "ngram" in self._kinds:
            for gram in word_grams(form, self._ngram):
                self._grams.setdefault(hash(gram), place)
        if self._buckets is not None:
            self._buckets.insert(place, self._signature(shingles(form)))

    def find(self, text: str, form: str | None = None) -> list[NearDuplicate]:
        """The closest indexed question of each kind: one exact match, or up to one of each near kind.

        Of the questions that share an n-gram, those are compared that were the first with one of the shared n-grams.
        So a run of words that thousands of questions share costs one comparison, not thousands.
        """
        form = normalize_question(text) if form is None else form
        place = self._exact.get(form)
        if place is not None:
            return [NearDuplicate("exact", self._asked[place], 1.0, 1.0)] if "exact" in self._kinds else []
        pieces = shingles(form)
        found = [self._by_ngram(form, pieces), self._by_minhash(pieces)]
        return [near for near in found if near is not None]

    def _by_ngram(self, form: str, pieces: set[str]) -> NearDuplicate | None:
        if "ngram" not in self._kinds:
            return None
        grams = {hash(gram) for gram in word_grams(form, self._ngram)}
        firsts = Counter(self._grams[gram] for gram in grams if gram in self._grams)
        if not firsts:
            return None
        place, similarity = self._closest(list(firsts), pieces)
        return NearDuplicate("ngram", self._asked[place], similarity, firsts.total() / len(grams))

    def _by_minhash(self, pieces: set[str]) -> NearDuplicate | None:
        if self._buckets is None:
            return None
        places: list[int] = self._buckets.query(self._signature(pieces))
        if not places:
            return None
        place, similarity = self._closest(places, pieces)
        return NearDuplicate("minhash", self._asked[place], similarity, 1.0) if similarity >= self._threshold else None

    def _closest(self, places: list[int], pieces: set[str]) -> tuple[int, float]:
        """The most similar of some questions, the first of equally similar ones."""
        similarities = {place: jaccard(pieces, shingles(self._forms[place])) for place in places}
        best = min(places, key=lambda place: (-similarities[place], place))
        return best, similarities[best]

    def _signature(self, pieces: set[str]) -> Any:
        signature = self._signer.copy()
        signature.update_batch([piece.encode("utf-8", "surrogatepass") for piece in pieces])
        return signature


def _minhash(threshold: float) -> tuple[Any, Any]:
    """An empty signature to copy, whose permutations are then made once, and empty LSH buckets."""
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError as error:
        raise StepwardError(
            "near-duplicate questions need a library more: pip install 'stepward[data]', or leave minhash out of the "
            "kinds",
            code="missing_dependency",
            field="kinds",
        ) from error
    signer = MinHash(num_perm=_PERMUTATIONS, seed=_SEED, hashfunc=zlib.crc32)
    return signer, MinHashLSH(num_perm=_PERMUTATIONS, params=bands(threshold))


def bands(threshold: float) -> tuple[int, int]:
    """How many bands LSH has, and how many of the 128 hashes each: the longest bands that miss few pairs.

    A pair of Jaccard index s is proposed with probability 1 - (1 - s^rows)^bands (Leskovec, Rajaraman, Ullman: Mining
    of Massive Datasets, section 3.4). datasketch's own choice weighs misses against false proposals, which cost no
    more than a comparison here; at 0.8 it would miss 13 pairs of 100.
    """
    for rows in range(_PERMUTATIONS // 2, 1, -1):
        count = _PERMUTATIONS // rows
        if (1 - threshold**rows) ** count <= _MISSED:
            return count, rows
    return _PERMUTATIONS, 1
