"""Models that can't read solutions as a tree are told apart from those that can."""

from pathlib import Path

import pytest
import torch

from stepward.errors import StepwardError
from stepward.rewards.folder import load_model
from stepward.rewards.sharing import check_sharing


def test_attention_under_a_mask_passes(base: Path) -> None:
    model = load_model(base).train()
    check_sharing(model, longest=100)
    assert model.training, "the check leaves the model as it was"


def test_a_model_that_reads_its_neighbours_is_refused(base: Path) -> None:
    model = load_model(base)
    # What a recurrent layer does: each state carries something of the token before it in the row.
    model.model.layers[0].register_forward_hook(lambda layer, given, state: state + torch.roll(state, 1, dims=1))
    with pytest.raises(StepwardError, match="Set share_prefixes to false"):
        check_sharing(model, longest=100)


def test_a_window_shorter_than_a_solution_is_refused(base: Path) -> None:
    model = load_model(base)
    model.config.sliding_window = 64
    check_sharing(model, longest=64)
    with pytest.raises(StepwardError, match="sees only the last 64 tokens"):
        check_sharing(model, longest=65)
