"""What a training takes: against autograd's own books, torch's profiler, real optimisers and real trainers."""

import gc
from collections.abc import Callable
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from raising import refused
from tiny_world import make_world, save_base
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from transformers import Adafactor, AutoModelForCausalLM, LlamaConfig, Qwen3Config

from stepward.planning import memory_trace as cost_trace
from stepward.planning.gpus import GIB, GPUS, get_gpu
from stepward.planning.memory import MemoryEstimate, TrainingSetup, estimate, flops_per_token
from stepward.planning.memory_trace import Traced, build, trace
from stepward.planning.model_shapes import check_model, known_models, model_config
from stepward.planning.optimizers import OPTIMIZERS, Weight, get_optimizer_spec, kept_bytes
from stepward.planning.suggestions import suggest_changes
from stepward.planning.token_counts import count_tokens, largest_pass
from stepward.reward_models.configs import PRMConfig
from stepward.reward_models.data.from_records import labelled_rows
from stepward.reward_models.heads import Head, attach
from stepward.reward_models.packing import attention
from stepward.reward_models.packing.layout import Layout, PackedBatch, pack_batch
from stepward.reward_models.training.peft import with_adapter
from stepward.reward_models.training.step_trainers import PRMTrainer

LABELS = Head("label_tokens", 2, ("+", "-"))
SHAPE: dict[str, Any] = {
    "vocab_size": 600,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "tie_word_embeddings": True,
    "use_cache": False,
}
SHAPES = {"llama": LlamaConfig(**SHAPE), "qwen3": Qwen3Config(**SHAPE)}
TREE = [[1, 2, 3, *range(10, 80)], [1, 2, 3, *range(100, 190)], [5, *range(200, 260)]]


class LabelTokens:
    """A tokenizer of two tokens."""

    unk_token_id = None

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [{"+": 5, "-": 6}[text]]

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [str(id_) for id_ in ids]


def real(config: Any, layout: Layout, checkpointing: bool) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).train()
    attach(model, LABELS, LabelTokens())
    model.set_attn_implementation(attention.NAME if layout == "branches" else "sdpa")
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def forward(model: Any, laid: PackedBatch) -> Tensor:
    logits: Tensor = model(**laid.inputs, marks=torch.arange(laid.inputs["input_ids"].numel())).logits
    return logits.float().sum()


def saved_bytes(model: Any, laid: PackedBatch, autocast: Any) -> int:
    """Bytes of all storages that autograd keeps after a forward pass, weights aside."""
    ours = {one.untyped_storage().data_ptr() for one in [*model.parameters(), *model.buffers()]}
    ours |= {value.untyped_storage().data_ptr() for value in laid.inputs.values() if isinstance(value, Tensor)}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in ours:
            kept[place] = tensor  # held, so that no other storage comes to stand there
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), autocast:
        forward(model, laid)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize(
    "name, layout, checkpointing",
    [  # every two values together; the other combinations are slow
        ("llama", "branches", True), ("llama", "padded", False), ("qwen3", "branches", False),
        ("qwen3", "padded", True),
        pytest.param("llama", "branches", False, marks=pytest.mark.slow),
        pytest.param("llama", "padded", True, marks=pytest.mark.slow),
        pytest.param("qwen3", "branches", True, marks=pytest.mark.slow),
        pytest.param("qwen3", "padded", False, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_what_is_kept_is_what_autograd_keeps(name: str, layout: Layout, checkpointing: bool) -> None:
    laid = pack_batch(TREE, layout, layout == "branches")
    kept = saved_bytes(real(SHAPES[name], layout, checkpointing), laid, nullcontext())
    planned = estimate(SHAPES[name], LABELS, laid, TrainingSetup(checkpointing=checkpointing))
    assert planned.kept == pytest.approx(kept, rel=0.15)


def test_what_is_kept_in_mixed_precision_counts_the_cast_weights() -> None:
    laid = pack_batch(TREE, "branches")
    kept = saved_bytes(real(SHAPES["qwen3"], "branches", False), laid, torch.autocast("cpu", torch.bfloat16))
    planned = estimate(SHAPES["qwen3"], LABELS, laid, TrainingSetup(compute="bfloat16"))
    assert planned.kept == pytest.approx(kept, rel=0.15)


def allocated_peak(run: Callable[[], None]) -> int:
    """The most bytes that torch's allocator had given out at once while something ran, by its profiler."""
    gc.collect()  # what an earlier test left would be freed in the middle, and counted against this one's
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]  # type: ignore[union-attr]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


@pytest.mark.parametrize(
    "accumulation, checkpointing",
    [
        (1, True), (4, False),
        pytest.param(1, False, marks=pytest.mark.slow), pytest.param(4, True, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_the_peak_is_what_the_allocator_sees(accumulation: int, checkpointing: bool) -> None:
    laid = pack_batch(TREE, "branches")
    model = real(SHAPES["qwen3"], "branches", checkpointing)
    forward(model, laid).backward()  # kernels set up what they need once
    gradients = sum(one.nbytes for one in model.parameters())
    if accumulation == 1:
        model.zero_grad(set_to_none=True)
    found = allocated_peak(lambda: forward(model, laid).backward()) - (gradients if accumulation == 1 else 0)
    planned = estimate(
        SHAPES["qwen3"], LABELS, laid, TrainingSetup(accumulation=accumulation, checkpointing=checkpointing)
    )
    assert planned.activations == pytest.approx(found, rel=0.15)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("meta-llama/Llama-3.1-8B", 8.03),
        ("meta-llama/Llama-3.2-1B", 1.24),
        ("meta-llama/Llama-3.2-3B", 3.21),
        ("mistralai/Mistral-7B-v0.1", 7.24),
        ("Qwen/Qwen3-1.7B-Base", 1.72),
    ],
)
def test_known_shapes_have_the_published_number_of_weights(name: str, billions: float) -> None:
    assert name in known_models()
    model = build(model_config(name), LABELS, torch.bfloat16, branches=True)
    assert round(sum(one.numel() for one in model.parameters()) / 1e9, 2) == billions


def test_a_model_that_is_nowhere_is_named_with_those_that_are_known() -> None:
    with refused("file_not_found", file="nobody/none-7b", field="--model", names=("config.json", *known_models())):
        model_config("nobody/none-7b")
    for name in ("none-7b", "./none-7b"):
        with refused("file_not_found", file=name, field="--model", names=("config.json", *known_models())):
            check_model(name)


def test_a_model_without_an_owner_is_found_in_the_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    kept = tmp_path / "models--gpt2"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("a" * 40)
    (kept / "snapshots" / ("a" * 40)).mkdir(parents=True)
    (kept / "snapshots" / ("a" * 40) / "config.json").write_text('{"model_type": "gpt2"}')
    check_model("gpt2")


@pytest.mark.parametrize(
    ("name", "tokens", "checkpointing", "gradients", "adapted"),
    [
        ("qwen3", 1, False, True, False),
        ("llama", 3, True, False, True),
        *(
            pytest.param(name, tokens, *rest, marks=pytest.mark.slow)
            for name in sorted(SHAPES)
            for tokens in (1, 3)
            for rest in product((False, True), repeat=3)
        ),
    ],
)
def test_a_deep_stack_takes_what_all_its_layers_do(
    monkeypatch: pytest.MonkeyPatch, name: str, tokens: int, checkpointing: bool, gradients: bool, adapted: bool
) -> None:
    """To the byte, whether the peak is where the backward pass begins (many tokens) or ends (few)."""
    config = copy(SHAPES[name])
    config.num_hidden_layers = 7
    if name == "qwen3":
        config.layer_types = ["full_attention"] * 7
    laid = pack_batch([ids[: 20 * tokens] for ids in TREE], "branches")

    def traced() -> Traced:
        model: Any = build(copy(config), LABELS, torch.float32, branches=True)
        if adapted:
            adapter = pytest.importorskip("peft").LoraConfig(r=4, target_modules="all-linear")
            model = with_adapter(model, adapter, LABELS, PRMConfig("out", use_cpu=True, bf16=False))
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        return trace(model, laid, torch.bfloat16, gradients)

    passes: list[int] = []
    real = cost_trace._passes
    monkeypatch.setattr(cost_trace, "_passes", lambda *given: passes.append(len(given[-1])) or real(*given))
    found = traced()
    assert passes == [2, 3], "the whole stack is not run"
    monkeypatch.setattr(cost_trace, "_DEEP", 7)
    assert traced() == found


def test_layers_that_differ_are_all_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as those of which every other sees a window."""
    config = Qwen3Config(**{**SHAPE, "num_hidden_layers": 7}, sliding_window=8, use_sliding_window=True)
    config.layer_types = ["full_attention", "sliding_attention"] * 3 + ["full_attention"]
    model = build(config, LABELS, torch.float32, branches=False)
    assert cost_trace._stack(model) is None
    config.layer_types = ["full_attention"] * 7
    assert cost_trace._stack(build(config, LABELS, torch.float32, branches=False)) is not None


def states(optimiser: torch.optim.Optimizer, model: nn.Module) -> int:
    """Bytes that an optimiser keeps after a step; a count of steps aside."""
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    kept = [value for state in optimiser.state.values() for value in state.values() if isinstance(value, Tensor)]
    return sum(value.nbytes for value in kept if value.numel() > 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("adamw_torch", torch.optim.AdamW),
        ("adamw_torch_fused", lambda weights: torch.optim.AdamW(weights, fused=True)),
        ("rmsprop", torch.optim.RMSprop),
        ("adagrad", torch.optim.Adagrad),
        ("sgd", torch.optim.SGD),
        ("adafactor", Adafactor),
    ],
)
def test_optimisers_keep_what_is_planned(name: str, make: Any, dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Embedding(50, 20), nn.Linear(20, 30), nn.LayerNorm(30)).to(dtype)
    weights = [Weight(tuple(one.shape), one.element_size()) for one in model.parameters()]
    assert kept_bytes(get_optimizer_spec(name), weights) == states(make(model.parameters()), model)


def test_eight_bits_are_two_bytes_a_weight_but_for_embeddings_and_small_tensors() -> None:
    matrix, words, norm = Weight((1024, 1024), 4), Weight((1024, 1024), 4, embedding=True), Weight((1024,), 4)
    bitsandbytes, torchao = get_optimizer_spec("adamw_bnb_8bit"), get_optimizer_spec("adamw_torch_8bit")
    assert bitsandbytes.of(matrix) == 2 * (2**20 + 4 * 2**12)
    assert bitsandbytes.of(words) == 8 * 2**20
    assert torchao.of(words) == torchao.of(matrix) == bitsandbytes.of(matrix)
    assert bitsandbytes.of(norm) == torchao.of(norm) == 8 * 1024


def test_an_unknown_optimiser_is_refused_with_the_nearest() -> None:
    with refused("unknown_name", field="optim", names=("adamw_bnb", *OPTIMIZERS)) as error:
        get_optimizer_spec("adamw_bnb")
    assert str(error.value).count("adamw_bnb_8bit") == 2, "among those that are known, and as the nearest"


def plan(**changes: Any) -> MemoryEstimate:
    return estimate(SHAPES["llama"], LABELS, pack_batch(TREE, "branches"), TrainingSetup(**changes))


def test_sharding_shares_out_one_part_after_another() -> None:
    alone, several = plan(), plan(world=4)
    zero = {name: plan(world=4, sharding=name) for name in ("zero1", "zero2", "zero3", "fsdp")}
    assert several.gradients == 2 * alone.gradients  # DDP's buckets
    assert zero["zero1"].optimiser == alone.optimiser // 4
    assert zero["zero1"].gradients == alone.gradients
    assert zero["zero2"].gradients == alone.gradients // 4
    assert zero["zero2"].weights == alone.weights
    assert zero["zero3"].weights == zero["fsdp"].weights == alone.weights // 4
    assert zero["fsdp"].activations > alone.activations  # two layers are gathered


def test_deepspeed_holds_two_two_and_twelve_bytes_a_weight() -> None:
    found = plan(world=2, sharding="zero1", compute="bfloat16", optim="adamw_torch_fused")
    size = found.parameters
    # ZeRO's paper: 2 + 2 + 12; Adam's states are kept in float32 beside the float32 copy.
    assert (found.weights, found.gradients, found.optimiser) == (2 * size, 2 * size, 12 * size // 2)


def test_adapters_train_a_little_and_keep_less() -> None:
    peft = pytest.importorskip("peft")
    adapter = peft.LoraConfig(r=4, target_modules="all-linear")
    config, laid = SHAPES["llama"], pack_batch(TREE, "branches")
    whole = estimate(config, LABELS, laid, TrainingSetup(compute="bfloat16", weights="bfloat16"))
    lora = estimate(config, LABELS, laid, TrainingSetup(compute="bfloat16", weights="bfloat16", adapter=adapter))
    four_bits = estimate(config, LABELS, laid, TrainingSetup(compute="bfloat16", weights="4bit", adapter=adapter))
    layer = 2 * (64 + 64) * 4 + 2 * (64 + 32) * 4 + 3 * (64 + 160) * 4  # q and o, k and v, the three of the MLP
    assert lora.trained == four_bits.trained == 3 * layer
    assert lora.optimiser == 8 * lora.trained  # peft's own weights are float32
    assert lora.total < whole.total
    linear = 3 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 160)
    others = four_bits.parameters - linear
    assert four_bits.weights == pytest.approx(linear * (0.5 + 4 / 64) + others * 4)
    assert lora.flops < whole.flops
    with refused("missing", field="adapter", names=("4bit",)):
        TrainingSetup(weights="4bit")


@pytest.mark.parametrize("checkpointing", [False, True])
def test_operations_are_those_that_torch_counts(checkpointing: bool) -> None:
    laid = pack_batch(TREE, "padded", share=False)
    model = real(SHAPES["llama"], "padded", checkpointing)
    with FlopCounterMode(display=False) as counter:
        forward(model, laid).backward()
    counted = counter.get_flop_counts()["Global"]
    linear = sum(count for op, count in counted.items() if "attention" not in str(op))
    computed = sum(one.numel() for name, one in model.named_parameters() if "embed" not in name)
    planned = flops_per_token(computed, computed, 0.0, TrainingSetup(checkpointing=checkpointing))
    # torch stops computing a layer again when it has what the backward pass needs: before the layer's last product.
    tolerance = 0.05 if checkpointing else 0.01
    assert planned * laid.inputs["input_ids"].numel() == pytest.approx(linear, rel=tolerance)


def test_attention_counts_the_keys_that_each_token_sees() -> None:
    laid = pack_batch(TREE, "branches")
    found = estimate(SHAPES["llama"], LABELS, laid, TrainingSetup())
    linear = flops_per_token(
        *[sum(3 * [2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 160 + 128]) + 64] * 2, 0.0, TrainingSetup()
    )
    tokens = {tuple(ids[: place + 1]) for ids in TREE for place in range(len(ids))}
    keys = sum(map(len, tokens)) / len(tokens)
    assert found.flops - linear == pytest.approx(12 * 3 * 64 * keys)


def test_a_pass_over_the_real_rows_is_what_the_trainer_computes(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base")
    rows = labelled_rows(*make_world(6), "soft")
    args = PRMConfig(
        str(tmp_path / "out"), per_device_train_batch_size=4, gradient_accumulation_steps=2, num_train_epochs=1,
        report_to="none", use_cpu=True, disable_tqdm=True, save_strategy="no", max_length=64,
    )  # fmt: skip
    trainer = PRMTrainer(str(base), args, train_dataset=rows)
    trainer.train()
    found = count_tokens(rows, args, trainer.processing_class, 64, world=1, first=1000)
    assert (found.useful, found.computed) == (trainer.tokens.useful, trainer.tokens.computed)
    assert found.kept == trainer.counts["train"].kept
    assert found.largest.tokens <= largest_pass(args, 64).tokens == 4 * 64
    part = count_tokens(rows, args, trainer.processing_class, 64, world=1, first=len(rows) // 2)
    assert part.rows == len(rows) and part.counted == len(rows) // 2
    assert part.useful == pytest.approx(found.useful, rel=0.3)


def test_advice_goes_on_until_it_fits_and_no_further() -> None:
    config, laid = SHAPES["llama"], pack_batch([list(range(10, 300))] * 4, "padded", share=False)
    setup = TrainingSetup(optim="adamw_torch_fused")
    one_row = pack_batch([list(range(10, 300))], "padded")
    cost = estimate(config, LABELS, laid, setup, reserve=0)

    def changes(limit: int) -> list[str]:
        return [one.change for one in suggest_changes(config, LABELS, setup, 4, one_row, laid, limit, 0)]

    assert changes(cost.total - 1) == ["gradient_checkpointing=true"]
    checkpointed = estimate(config, LABELS, laid, replace(setup, checkpointing=True), reserve=0)
    assert changes(checkpointed.total - 1) == ["gradient_checkpointing=true", "optim=adamw_bnb_8bit"]
    every = changes(0)
    assert every[2] == "per_device_train_batch_size=1 gradient_accumulation_steps=4"
    assert every[-1] == "--gpus 8 --sharding fsdp, without an adapter"


def test_cards() -> None:
    assert get_gpu("RTX 4090").bytes == 24 * GIB
    assert get_gpu("l4").bytes == 22.5 * GIB  # what its driver reports, with error correction
    with refused("unknown_name", field="--card", names=("rtx-4091", "--memory", "--tflops")) as error:
        get_gpu("rtx-4091")
    assert str(error.value).count("rtx-4090") == 2, "among those that are known, and as the nearest"
    assert all(card.memory > 0 and card.tflops > 0 and card.bandwidth > 0 for card in GPUS.values())


def test_the_peak_of_a_frozen_model_has_no_gradients_in_it() -> None:
    config = SHAPES["llama"]
    model = build(LlamaConfig(**SHAPE), LABELS, torch.float32, branches=False)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("norm" in name)
    found = trace(model, pack_batch(TREE, "padded", share=False), None, gradients_there=True)
    whole = estimate(config, LABELS, pack_batch(TREE, "padded", share=False), TrainingSetup(accumulation=2))
    assert found.peak < whole.activations
