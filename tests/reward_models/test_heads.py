"""Heads: the logits of marked tokens are those of plain transformers, and nothing more is computed or changed."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from tiny_world import make_tokenizer
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoModelForTokenClassification

from stepward.reward_models.heads import Head, attach, class_targets, margins, one_token_id, probabilities
from stepward.reward_models.model_dir import load_model

IDS = torch.tensor([[5, 9, 20, 40, 7], [8, 8, 3, 30, 11]])
MARKS = torch.tensor([2, 4, 5, 9, 9])
TOKENS = (" plus", " wrong", " gives")


@pytest.mark.parametrize("count", [2, 3])
def test_label_tokens_have_the_language_models_own_logits(base: Path, count: int) -> None:
    tokenizer = make_tokenizer()
    expected = AutoModelForCausalLM.from_pretrained(base)(IDS).logits.flatten(0, 1)[MARKS]
    head = Head("label_tokens", count, TOKENS[:count])
    model = load_model(base, head)
    attach(model, head, tokenizer)
    plus, wrong, gives = (one_token_id(tokenizer, token) for token in TOKENS)
    torch.testing.assert_close(model(IDS, marks=MARKS).logits, expected[:, [wrong, plus, gives][:count]])
    assert set(model.state_dict()) == set(AutoModelForCausalLM.from_pretrained(base).state_dict())
    assert model.lm_head.weight is model.model.embed_tokens.weight, "tied weights stay tied"


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_a_linear_head_is_the_token_classifiers(base: Path, classes: int) -> None:
    head = Head("linear", classes)
    model = load_model(base, head).train(False)
    expected = AutoModelForTokenClassification.from_pretrained(base, num_labels=classes)
    expected.load_state_dict(model.state_dict())
    attach(model, head)
    torch.testing.assert_close(model(IDS, marks=MARKS).logits, expected.eval()(IDS).logits.flatten(0, 1)[MARKS])


def test_a_scalar_head_is_the_sequence_classifiers(base: Path) -> None:
    head = Head("scalar", 1)
    model = load_model(base, head).train(False)
    expected = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    expected.load_state_dict(model.state_dict())
    attach(model, head)
    found = model(IDS, marks=torch.tensor([4, 9])).logits
    expected.config.pad_token_id = 0
    torch.testing.assert_close(found, expected.eval()(IDS).logits)


def test_no_tensor_of_tokens_by_vocabulary_is_ever_made(base: Path) -> None:
    head = Head("label_tokens", 2, TOKENS[:2])
    model = load_model(base, head)
    attach(model, head, make_tokenizer())
    sizes: list[int] = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, given=(), named=None):  # type: ignore[no-untyped-def]
            found = function(*given, **(named or {}))
            if isinstance(found, torch.Tensor) and found.dim() >= 2 and found.shape[-1] == model.config.vocab_size:
                sizes.append(found.numel())
            return found

    with Watch():
        margins(model(IDS, marks=MARKS).logits).sum().backward()
    assert sizes == []


def test_scores_of_one_two_and_three_classes() -> None:
    assert float(probabilities(torch.tensor([0.0]))) == 0.5
    assert float(probabilities(torch.tensor([1.0, 3.0]))) == pytest.approx(1 / (1 + 2.718281828**-2))
    three = torch.log(torch.tensor([0.2, 0.5, 0.3]))
    assert float(probabilities(three)) == pytest.approx(0.8)
    assert float(probabilities(three, neutral_is_right=False)) == pytest.approx(0.5)


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=3), st.booleans())
def test_a_score_is_a_probability(logits: list[float], neutral: bool) -> None:
    assert 0 <= float(probabilities(torch.tensor(logits), neutral)) <= 1


def test_targets_of_classes() -> None:
    assert class_targets(torch.tensor([0.25, 1.0]), 2).tolist() == [[0.75, 0.25], [0.0, 1.0]]
    assert class_targets(torch.tensor([0.25, -1.0]), 3).tolist() == [[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("kind", "classes", "tokens", "field"),
    [
        ("label_tokens", 2, ("+", "+"), "label_tokens"),
        ("label_tokens", 2, ("+",), "label_tokens"),
        ("label_tokens", 1, ("+",), "label_tokens"),
        ("linear", 4, (), "num_labels"),
        ("scalar", 2, (), "num_labels"),
    ],
)
def test_heads_that_make_no_sense_are_refused(kind: str, classes: int, tokens: tuple[str, ...], field: str) -> None:
    with refused("bad_value", field=field, names=(classes,)):
        Head(kind, classes, tokens)  # type: ignore[arg-type]


def test_a_label_token_of_several_tokens_is_refused(base: Path) -> None:
    head = Head("label_tokens", 2, ("surely right", " wrong"))
    with refused("unsupported", names=("surely right",)):
        attach(load_model(base, head), head, make_tokenizer())


def test_a_model_without_the_head_is_refused(base: Path) -> None:
    causal = load_model(base, Head("label_tokens", 2, TOKENS[:2]))
    with refused("unsupported", field="head", names=(type(causal).__name__,)):
        attach(causal, Head("linear", 2))
    classifier = load_model(base, Head("linear", 2))
    with refused("unsupported", field="head", names=(type(classifier).__name__,)):
        attach(classifier, Head("label_tokens", 2, TOKENS[:2]), make_tokenizer())
    with refused("mismatch", field="num_labels", names=(2, 3)):
        attach(classifier, Head("linear", 3))


@pytest.mark.parametrize("reentrant", [False, True])
def test_two_forward_passes_before_a_backward_one_have_their_own_gradients(base: Path, reentrant: bool) -> None:
    """As a contrastive loss has them; checkpointing runs each pass's layers again, on the way back."""
    head, passes = Head("linear", 1), [(IDS, MARKS), (IDS.flip(1), torch.tensor([0, 1, 3, 8]))]
    found = {}
    for checkpointed in (False, True):
        torch.manual_seed(0)
        model = load_model(base, head).train()
        attach(model, head)
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
            model.enable_input_require_grads()
        sum(model(ids, marks=marks).logits.square().sum() for ids, marks in passes).backward()
        found[checkpointed] = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    assert found[True].keys() == found[False].keys()
    for name, expected in found[False].items():
        torch.testing.assert_close(found[True][name], expected, msg=name)


def test_the_last_layers_block_computes_marked_tokens_only(base: Path) -> None:
    model = load_model(base, Head("linear", 1))
    attach(model, Head("linear", 1))
    seen: list[int] = []
    model.model.layers[-1].mlp.down_proj.register_forward_hook(
        lambda module, given, out: seen.append(out[..., 0].numel())
    )
    model(IDS, marks=MARKS)
    model(IDS)
    assert seen == [len(MARKS.unique()), IDS.numel()]
