"""Hard, soft and entropy-regularised rewards against the published table, the limits and exact arithmetic."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepward.labeling.labels import entropy_regularized, hard, soft

shares = st.floats(0, 1)
# e^710 is the first power that a float can not hold.
etas = st.floats(-8, 6).map(lambda power: 10.0**power) | st.sampled_from([1.0, 2.0, 709.0, 710.0, 1e4])
counts = st.integers(1, 64).flatmap(lambda drawn: st.tuples(st.integers(0, drawn), st.just(drawn)))

TABLE = {
    0.1: (0.0655, 0.2595, 0.5125, 0.9403),
    1: (0.1020, 0.3574, 0.6201, 0.9597),
    2: (0.1680, 0.4772, 0.7169, 0.9722),
    10: (0.7228, 0.8614, 0.9307, 0.9935),
}


@pytest.mark.parametrize("eta", TABLE)
def test_the_published_table(eta: float) -> None:
    shares = soft(np.array([1, 4, 8, 15]), np.full(4, 16))
    np.testing.assert_allclose(entropy_regularized(shares, eta), TABLE[eta], atol=5e-5, rtol=0)
    assert [round(entropy_regularized(right / 16, eta), 4) for right in (1, 4, 8, 15)] == list(TABLE[eta])


@given(shares, etas)
def test_it_equals_the_formula_in_exact_arithmetic(p: float, eta: float) -> None:
    with localcontext(prec=60):
        exact = (1 - Decimal(p) + Decimal(p) * Decimal(eta).exp()).ln() / Decimal(eta)
    assert entropy_regularized(p, eta) == pytest.approx(float(exact), rel=1e-12, abs=1e-15)


@given(counts)
def test_its_limits_are_soft_and_hard(count: tuple[int, int]) -> None:
    p = soft(*count)
    assert entropy_regularized(p, 1e-6) == pytest.approx(p, abs=1e-3)
    assert entropy_regularized(p, 1e4) == pytest.approx(hard(*count), abs=1e-3)


@given(counts, etas)
def test_it_lies_between_soft_and_hard_and_grows_with_eta_and_p(count: tuple[int, int], eta: float) -> None:
    right, drawn = count
    value = entropy_regularized(soft(right, drawn), eta)
    # Rounding of the last digit apart.
    assert soft(right, drawn) - 1e-12 <= value <= hard(right, drawn)
    assert value <= entropy_regularized(soft(right, drawn), eta * 2) + 1e-12
    if right < drawn:
        assert value < entropy_regularized(soft(right + 1, drawn), eta)


@given(st.lists(shares, min_size=1, max_size=8), etas)
def test_arrays_give_what_their_numbers_give_without_overflow(values: list[float], eta: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        array = entropy_regularized(np.array(values), eta)
    assert isinstance(array, np.ndarray) and np.isfinite(array).all()
    np.testing.assert_allclose(array, [entropy_regularized(value, eta) for value in values], rtol=1e-15)
    assert np.asarray(entropy_regularized(np.array([values, values]), eta)).shape == (2, len(values))


def test_hard_and_soft_on_numbers_and_arrays() -> None:
    assert (hard(0, 8), hard(1, 8), hard(8, 8)) == (0.0, 1.0, 1.0)
    assert (soft(0, 8), soft(2, 8), soft(8, 8)) == (0.0, 0.25, 1.0)
    assert type(hard(1, 8)) is float and type(soft(1, 8)) is float and type(entropy_regularized(0.5, 2)) is float
    np.testing.assert_array_equal(hard(np.array([[0, 1]]), np.array([[4, 4]])), [[0.0, 1.0]])
    np.testing.assert_array_equal(soft([0, 1, 3], [4, 4, 4]), [0.0, 0.25, 0.75])


@pytest.mark.parametrize(("right", "drawn"), [(0, 0), (1, 0), (-1, 4), (5, 4), (float("nan"), 4), ([1, 5], [4, 4])])
@pytest.mark.parametrize("kind", [hard, soft])
def test_counts_that_cannot_be_are_refused(kind: object, right: object, drawn: object) -> None:
    with pytest.raises(ValueError, match="must"):
        kind(right, drawn)  # type: ignore[operator]


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), [0.5, float("nan")]])
def test_shares_that_cannot_be_are_refused(p: object) -> None:
    with pytest.raises(ValueError, match="p must lie"):
        entropy_regularized(p, 2.0)  # type: ignore[call-overload]


@pytest.mark.parametrize("eta", [0.0, -1.0, float("nan"), float("inf")])
def test_etas_that_cannot_be_are_refused(eta: float) -> None:
    with pytest.raises(ValueError, match="eta must"):
        entropy_regularized(0.5, eta)
