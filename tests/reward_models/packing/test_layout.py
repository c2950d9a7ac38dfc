"""Layouts: whichever way sequences lie in rows, a model's states at their tokens are those of each alone."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from transformers import LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen3Config, Qwen3ForCausalLM

from stepward.reward_models.packing import attention
from stepward.reward_models.packing.layout import Layout, pack_batch

SEQUENCES = [(1, 2, 3, 4, 5), (1, 2, 3, 9), (1, 2), (7, 8, 9, 1, 2, 3), (1, 2, 3, 4, 5), (1, 2, 6)]
LAYOUTS: list[tuple[Layout, bool]] = [
    ("branches", True), ("branches", False), ("mask", True), ("mask", False), ("restarts", False), ("padded", False),
]  # fmt: skip
SHAPE = {
    "vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "initializer_range": 0.3,
}  # fmt: skip


def states(model: torch.nn.Module, layout: Layout, share: bool, sequences: list[tuple[int, ...]]) -> list[torch.Tensor]:
    model.set_attn_implementation(attention.NAME if layout == "branches" else "sdpa")  # type: ignore[operator]
    laid = pack_batch(sequences, layout, share, max_tokens=8)
    found = model(**laid.inputs, use_cache=False).logits.flatten(0, 1)
    return [found[places] for places in laid.places]


def alone(model: torch.nn.Module, sequences: list[tuple[int, ...]]) -> list[torch.Tensor]:
    model.set_attn_implementation("eager")  # type: ignore[operator]
    return [model(torch.tensor([ids])).logits[0] for ids in sequences]


@pytest.fixture(scope="module", params=["llama", "qwen3", "mistral with a window of 3"])
def model(request: pytest.FixtureRequest, base: Path) -> torch.nn.Module:
    torch.manual_seed(0)
    if request.param == "llama":
        return LlamaForCausalLM.from_pretrained(base).eval()
    if request.param == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(**SHAPE)).eval()
    return MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=3)).eval()


@pytest.mark.parametrize(("layout", "share"), LAYOUTS)
@torch.no_grad()
def test_states_are_those_of_each_sequence_alone(model: torch.nn.Module, layout: Layout, share: bool) -> None:
    if getattr(model.config, "sliding_window", None) and layout == "mask":
        pytest.skip("a ready mask replaces the model's own, with its window")
    for found, expected in zip(states(model, layout, share, SEQUENCES), alone(model, SEQUENCES), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@given(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=9).map(tuple), min_size=1, max_size=7))
def test_gradients_are_those_of_each_sequence_alone(sequences: list[tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(Qwen3Config(**SHAPE))
    found = {}
    for name, given_states in (
        ("tree", states(model, "branches", True, sequences)),
        ("alone", alone(model, sequences)),
    ):
        model.zero_grad()
        sum(part.square().mean() for part in given_states).backward()
        found[name] = {key: value.grad.clone() for key, value in model.named_parameters()}
    largest = max(float(value.abs().max()) for value in found["alone"].values())
    for key, expected in found["alone"].items():
        torch.testing.assert_close(found["tree"][key], expected, rtol=1e-3, atol=1e-5 * largest)


def test_shared_tokens_are_computed_once() -> None:
    assert pack_batch(SEQUENCES, "branches").tokens == 5 + 1 + 0 + 6 + 0 + 1
    assert pack_batch(SEQUENCES, "branches", share=False).tokens == sum(map(len, SEQUENCES))
    assert pack_batch(SEQUENCES, "branches").inputs["input_ids"].shape == (1, 13)
    assert pack_batch(SEQUENCES, "padded").inputs["input_ids"].shape == (6, 6)


def test_an_attention_that_asks_for_more_is_refused() -> None:
    query = torch.zeros(1, 1, 2, 4)
    with refused("unsupported", field="pack", names=("softcap",)):
        attention.attend(torch.nn.Module(), query, query, query, None, softcap=30.0)


@torch.no_grad()
def test_without_branches_a_mask_is_honoured(model: torch.nn.Module) -> None:
    """Rows padded at their start, as a user may give them to a model that Stepward trained."""
    short, long = (5, 6, 7), (1, 2, 3, 4, 5)
    ids = torch.tensor([[0, 0, *short], long])
    mask, places = (ids > 0).long(), torch.tensor([[0, 0, 0, 1, 2], [0, 1, 2, 3, 4]])
    expected = alone(model, [short, long])
    model.set_attn_implementation(attention.NAME)  # type: ignore[operator]
    found = model(ids, attention_mask=mask, position_ids=places, use_cache=False).logits
    torch.testing.assert_close(found[0, 2:], expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_without_branches_a_window_is_honoured(model: torch.nn.Module) -> None:
    """Such as a padded row of a model with a sliding window; the rows are longer than that of the Mistral here."""
    expected = alone(model, [tuple(range(1, 20))])[0]
    model.set_attn_implementation(attention.NAME)  # type: ignore[operator]
    found = model(torch.arange(1, 20)[None], use_cache=False).logits[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_mask_beside_branches_and_a_cache_are_refused() -> None:
    laid = pack_batch(SEQUENCES, "branches")
    query = torch.zeros(1, 1, 13, 4)
    with refused("conflict", field="attention_mask"):
        attention.attend(
            torch.nn.Module(), query, query, query, torch.ones(1, 1, 13, 13), branches=laid.inputs["branches"]
        )
    with refused("unsupported", field="use_cache"):
        attention.attend(torch.nn.Module(), query[:, :, -1:], query, query, None)
