"""The random numbers of a draw are its own: a function of the seed, the prompt and the draw's number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from stepward.generation.interface import Completion, FailedPrompt, Prompt, failed_prompt, uniforms


@given(st.integers(0, 2**40), st.text(), st.integers(0, 1000), st.integers(0, 60), st.integers(0, 60))
def test_a_longer_stream_begins_with_the_shorter(seed: int, prompt: str, draw: int, one: int, other: int) -> None:
    short, long = sorted((one, other))
    stream = uniforms(seed, prompt, draw, long)
    assert stream.dtype == np.float32 and stream.shape == (long,)
    assert ((stream >= 0) & (stream < 1)).all()
    np.testing.assert_array_equal(stream[:short], uniforms(seed, prompt, draw, short))


def test_streams_of_other_seeds_prompts_and_draws_differ() -> None:
    # The last two would be one stream if the parts were only glued together.
    keys = [(0, "p", 0), (1, "p", 0), (0, "q", 0), (0, "p", 1), (0, "1p", 1), (0, "p", 11), (1, "1\0p", 1)]
    streams = {uniforms(seed, prompt, draw, 8).tobytes() for seed, prompt, draw in keys}
    assert len(streams) == len(keys)


def test_the_numbers_are_uniform_and_draws_are_independent() -> None:
    drawn = np.stack([uniforms(0, "p", draw, 40) for draw in range(400)])
    assert kstest(drawn.ravel(), "uniform").pvalue > 0.001
    assert abs(np.corrcoef(drawn[:-1, 0], drawn[1:, 0])[0, 1]) < 0.2


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("context", "too_large"), ("memory", "out_of_memory"),
        ("filtered", "server_refused"), ("refused: bad words", "server_refused"),
        ("failed: timeout", "unreachable"), ("something new", "server_incompatible"),
    ],
)  # fmt: skip
def test_what_an_engine_could_not_give_is_one_record_whatever_the_engine(fault: str, code: str) -> None:
    whole = Completion("a", True)
    drawn = [whole, Completion("", False, fault="failed: earlier"), Completion("", False, fault=fault)]
    found = failed_prompt(Prompt("p", "Q", (), 3), drawn)
    assert isinstance(found, FailedPrompt) and found.reason
    assert (found.id, found.code, found.draws, found.failed) == ("p", code, 3, 2)
    assert failed_prompt(Prompt("p", "Q", (), 2), [whole, Completion("", False)]) is None
