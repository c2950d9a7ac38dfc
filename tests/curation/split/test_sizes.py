"""Part sizes: whole numbers that add up, by largest remainder, in all and in each stratum."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused

from stepward.curation.split.sizes import UNASSIGNED, Sizes, parse_parts, part_sizes, stratum_sizes


def test_sizes_as_they_are_written() -> None:
    assert parse_parts("train=0.9, validation=500,test=5%") == {"train": "0.9", "validation": "500", "test": "5%"}


@pytest.mark.parametrize("text", ["train", "train=", "", "a=1,a=2"])
def test_parts_written_otherwise_are_refused(text: str) -> None:
    with refused("duplicate" if text == "a=1,a=2" else "bad_value", field="--parts"):
        parse_parts(text)


@pytest.mark.parametrize(
    ("parts", "total", "expected"),
    [
        ({"train": 0.9, "validation": 0.05, "test": 0.05}, 100, [90, 5, 5, 0]),
        ({"train": "90%", "test": "0.1"}, 7, [6, 1, 0]),
        ({"a": 1 / 4, "b": 1 / 4}, 10, [3, 2, 5]),
        ({"a": "3", "b": 4}, 10, [3, 4, 3]),
        ({"a": "3", "b": 0.5}, 10, [3, 5, 2]),
        ({"a": "1.0"}, 3, [3, 0]),
        # 0.1 + 0.2 + 0.7 of floats is above 1; of what is written it is not.
        ({"a": 0.1, "b": 0.2, "c": 0.7}, 10, [1, 2, 7, 0]),
    ],
    ids=["shares", "percent", "equal remainders", "counts", "both", "all", "floats"],
)
def test_sizes_by_largest_remainder(parts: Sizes, total: int, expected: list[int]) -> None:
    assert list(part_sizes(parts, total, "file").values()) == expected


@pytest.mark.parametrize(
    ("parts", "code", "field", "value"),
    [
        ({"a": 0.9, "b": 0.2}, "bad_value", "--parts", 1.1),
        ({"a": "200%"}, "bad_value", "--parts", 2),
        ({"a": 101}, "too_few", "--parts", 101),
        ({"a": 0.9, "b": 20}, "too_few", "--parts", "110"),
        ({"a": 0.9, "b": 0.001}, "too_few", "--parts", "'b'"),
        ({"a": 0}, "bad_value", "--parts", "a=0"),
        ({"a": -5}, "bad_value", "--parts", "a=-5"),
        ({"a": "1.5"}, "bad_value", "--parts", "a=1.5"),
        ({"a": "many"}, "bad_value", "--parts", "a=many"),
        ({"a": "nan"}, "bad_value", "--parts", "a=nan"),
        ({"a": "inf"}, "bad_value", "--parts", "a=inf"),
        ({"../a": 1}, "bad_value", "--parts", "'../a'"),
        ({".a": 1}, "bad_value", "--parts", "'.a'"),
        ({"": 1}, "bad_value", "--parts", "''"),
        ({}, "empty", "--parts", "NAME=SIZE"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(parts: Sizes, code: str, field: str, value: str) -> None:
    with refused(code, field=field, names=(value,)):
        part_sizes(parts, 100, "file")


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 40), min_size=1, max_size=6),
    st.lists(st.integers(1, 20), min_size=1, max_size=3),
    st.integers(0, 5),
)
def test_strata_give_each_part_its_quota_and_parts_get_exactly_their_sizes(
    strata: dict[str, int], weights: list[int], seed: int
) -> None:
    total = sum(strata.values())
    sizes = {f"part{index}": weight * total // sum(weights) for index, weight in enumerate(weights)}
    sizes[UNASSIGNED] = total - sum(sizes.values())
    dealt = stratum_sizes(strata, sizes, seed)
    assert {stratum: sum(given.values()) for stratum, given in dealt.items()} == strata
    for part, size in sizes.items():
        assert sum(given[part] for given in dealt.values()) == size
        for stratum, count in strata.items():
            assert count * size // total <= dealt[stratum][part] <= count * size / total + 2


def test_one_stratum_is_plain_largest_remainder() -> None:
    sizes = part_sizes({"a": 0.5, "b": 0.3}, 9, "file")
    assert stratum_sizes({"all": 9}, sizes, 0) == {"all": sizes}


def test_many_strata_of_one_problem_still_fill_every_part() -> None:
    strata = {f"s{index}": 1 for index in range(100)}
    dealt = stratum_sizes(strata, {"train": 90, "test": 10}, 0)
    tested = [name for name, given in dealt.items() if given["test"]]
    assert len(tested) == 10
    assert tested != [
        name for name, given in stratum_sizes(strata, {"train": 90, "test": 10}, 1).items() if given["test"]
    ]
