"""The index finds planted questions by the right kind, misses few near ones, and leaves others alone."""

import builtins
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.curation.dedup.near_duplicates import KINDS, QueryQuestion, QuestionIndex, bands
from stepward.curation.dedup.normalize import jaccard, normalize_question, shingles, word_grams

WORDS = [f"{start}{end}" for start in "bcdfghklmnprst" for end in ("ano", "elu", "ire", "oma", "uks", "yte")]


def _question(seed: int, words: int = 40) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words)) + "?"


def _index(*texts: str, **settings: Any) -> QuestionIndex:
    index = QuestionIndex(**settings)
    for number, text in enumerate(texts):
        index.add(QueryQuestion(f"p{number}", "file", number + 1, text))
    return index


MANY = _index(*(_question(seed) for seed in range(60)))


def test_an_exact_match_is_found_as_that_alone() -> None:
    (near,) = MANY.find(_question(7).upper().replace(" ", "\n "))
    assert (near.kind, near.other.id, near.similarity, near.shared) == ("exact", "p7", 1.0, 1.0)


@given(st.integers(0, 59), st.integers(0, 27), st.integers(100, 10_000))
def test_thirteen_planted_words_are_found(source: int, at: int, seed: int) -> None:
    planted = " ".join(_question(source).split()[at : at + 13])
    (near,) = MANY.find(f"{_question(seed, 30)} {planted} {_question(seed + 1, 30)}")
    assert (near.kind, near.other.id) == ("ngram", f"p{source}")
    assert 0 < near.shared < 0.1


@given(st.integers(0, 59), st.integers(0, 28), st.integers(100, 10_000))
def test_twelve_are_not(source: int, at: int, seed: int) -> None:
    planted = " ".join(_question(source).rstrip("?").split()[at : at + 12])
    # "zz" is no word of theirs: the words beside the planted ones can't be the right ones by chance.
    assert MANY.find(f"{_question(seed, 30)} zz {planted} zz {_question(seed + 1, 30)}") == []


@given(st.integers(0, 59), st.integers(100, 10_000))
def test_changes_at_every_twelfth_word_share_no_gram_and_are_near(source: int, seed: int) -> None:
    words = _question(source).rstrip("?").split()
    for at in range(3, 40, 12):
        words[at] = "oo"
    text = " ".join(words)
    similarity = jaccard(shingles(normalize_question(text)), shingles(normalize_question(_question(source))))
    found = MANY.find(text)
    assert [near.kind for near in found] == (["minhash"] if similarity >= 0.8 else [])
    assert all(near.other.id == f"p{source}" and near.similarity == similarity for near in found)


@given(st.integers(100, 100_000))
def test_other_questions_match_nothing(seed: int) -> None:
    assert MANY.find(_question(seed)) == []


def test_every_kind_against_comparing_all_with_all() -> None:
    chance = random.Random(3)
    texts = []
    for seed in range(25):
        words = _question(seed, 30).split()
        for _ in range(8):
            for _ in range(chance.randrange(3)):
                words[chance.randrange(30)] = chance.choice(WORDS)
            texts.append(" ".join(words))
    kept, asked = texts[::2], texts[1::2]
    index = _index(*kept)
    missed = 0
    for text in asked:
        form, pieces = normalize_question(text), shingles(normalize_question(text))
        found = {near.kind: near for near in index.find(text)}
        if any(normalize_question(other) == form for other in kept):
            assert list(found) == ["exact"]
            continue
        grams = set(word_grams(form, 13))
        assert ("ngram" in found) == any(grams & set(word_grams(normalize_question(other), 13)) for other in kept)
        best = max(jaccard(pieces, shingles(normalize_question(other))) for other in kept)
        assert "minhash" not in found or found["minhash"].similarity >= 0.8
        missed += best >= 0.8 and ("minhash" not in found or found["minhash"].similarity < best)
    # LSH is allowed to miss; seeds are fixed, so this does not change from run to run.
    assert missed == 0


def test_short_questions_match_as_a_whole_and_by_their_operators() -> None:
    index = _index("Compute $x^{2}+1$.", kinds=["ngram"])
    assert [near.kind for near in index.find("compute x^2 + 1")] == ["ngram"]
    assert index.find("compute x^2 - 1") == []
    assert index.find("Please compute x^2 + 1") == []


def test_a_run_that_all_share_finds_the_closest_of_the_first() -> None:
    shared = _question(0, 13).rstrip("?")
    index = _index(*(f"{shared} {seed} {_question(seed, 20)}" for seed in range(1, 200)))
    (near,) = index.find(f"{shared} 500 {_question(500, 20)}")
    assert (near.kind, near.other.id) == ("ngram", "p0")


def test_only_the_asked_kinds_are_looked_for() -> None:
    text = _question(1)
    for kind in KINDS:
        found = _index(text, kinds=[kind]).find(text.replace("?", " now?"))
        assert [near.kind for near in found] == ([] if kind == "exact" else [kind])
        assert len(_index(text, kinds=[kind]).find(text)) == (kind == "exact")


def test_the_first_of_equal_questions_stays() -> None:
    index = _index("One two", "one  TWO", "three")
    assert len(index) == 2
    assert index.find("ONE TWO")[0].other.id == "p0"


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0])
def test_bands_miss_at_most_one_pair_in_a_hundred(threshold: float) -> None:
    count, rows = bands(threshold)
    assert count * rows <= 128
    assert (1 - threshold**rows) ** count <= 0.01


@pytest.mark.parametrize(
    ("settings", "code", "field", "value"),
    [
        ({"kinds": ["near"]}, "unknown_name", "kinds", "near"),
        ({"kinds": []}, "empty", "kinds", "minhash"),
        ({"ngram": 0}, "bad_value", "--ngram", 0),
        ({"threshold": 0.0}, "bad_value", "--threshold", 0),
        ({"threshold": 1.1}, "bad_value", "--threshold", 1.1),
        ({"threshold": float("nan")}, "bad_value", "--threshold", "nan"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], code: str, field: str, value: object) -> None:
    with refused(code, field=field, names=(value,)):
        QuestionIndex(**settings)


def test_without_datasketch_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **named: Any) -> Any:
        if name == "datasketch":
            raise ImportError(name)
        return real(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    with refused("missing_dependency", names=("stepward[data]",)):
        QuestionIndex()
    assert len(QuestionIndex(kinds=["exact", "ngram"])) == 0
