"""Models that can't read packed rows are told apart from those that can."""

from pathlib import Path

import pytest
import torch
from raising import refused
from transformers import MistralConfig, MistralForTokenClassification

from stepward.reward_models.configs import PRMConfig
from stepward.reward_models.heads import Head, attach
from stepward.reward_models.model_dir import load_model
from stepward.reward_models.packing import attention
from stepward.reward_models.packing.layout import Layout
from stepward.reward_models.training.layout_check import check_layout, collator_settings

HEAD = Head("linear", 1)


@pytest.mark.parametrize("layout", ["branches", "mask", "restarts"])
def test_attention_that_is_told_passes(base: Path, layout: Layout) -> None:
    model = load_model(base, HEAD).train()
    attach(model, HEAD)
    model.set_attn_implementation(attention.NAME if layout == "branches" else "sdpa")
    check_layout(model, layout, share=layout != "restarts")
    assert model.training, "the check leaves the model as it was"


def test_a_model_that_reads_its_neighbours_is_refused_and_padded_it_may_be_trained(base: Path, tmp_path: Path) -> None:
    model = load_model(base, HEAD)
    attach(model, HEAD)
    # What a recurrent layer does: each state carries something of the token before it in the row.
    model.model.layers[0].register_forward_hook(lambda layer, given, state: state + torch.roll(state, 1, dims=1))
    with refused("unsupported", field="pack"):
        collator_settings(model, PRMConfig(str(tmp_path)))
    assert collator_settings(model, PRMConfig(str(tmp_path), pack="padded"))["layout"] == "padded"


def test_a_mask_that_would_replace_a_window_is_refused(tmp_path: Path) -> None:
    shape = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 1, "num_key_value_heads": 1, "sliding_window": 8, "num_labels": 1}
    model = MistralForTokenClassification(MistralConfig(**shape, **heads))
    attach(model, HEAD)
    with refused("unsupported", field="attention", names=(8,)):
        collator_settings(model, PRMConfig(str(tmp_path), attention="mask"))
    assert collator_settings(model, PRMConfig(str(tmp_path), attention="mask", max_length=8))["layout"] == "mask"
    assert collator_settings(model, PRMConfig(str(tmp_path)))["layout"] == "branches"
