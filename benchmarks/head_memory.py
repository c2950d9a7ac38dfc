"""Peak memory of one training step with a head of label tokens beside the same step through full logits.

    python benchmarks/head_memory.py [--tokens 2048] [--vocabulary 151936]

Both steps are a forward and a backward pass of the same random causal language model (hidden 1,024, 4 layers, float32,
CPU, no optimiser) on the same tokens, marks and targets, with the same loss: cross-entropy of the logits of two label
tokens at the marked ones. `label` is `stepward.reward_models.heads` as the trainers use it; `full` is the model as
transformers has it, which gives logits `[token, vocabulary]`, from which the same numbers are taken. Each step has a
process of its own; its peak is the kernel's (VmHWM), which counts every page the process ever held at once. The C
library is told to give freed memory back (MALLOC_MMAP_THRESHOLD_), or the peak would say what it hoards.

Two measures: `in_all` is the peak of the whole process, weights included; `of_step` the same less what the process held
once the model was loaded, gradients included. Weights and gradients are the same in both: `floor_in_all` is what the
ratio in all would be if the label-token step took nothing but weights, gradients and the interpreter. With tied
embeddings (as Qwen3 up to 4B, Llama 3.2) there is one matrix of the vocabulary, else two. Goal: at most 40%, with
losses that agree to 1e-5. The last line is one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

Found = dict[str, Any]

SIDES = ("label", "full")
LABELS = {"+": 5, "-": 6}
SEQUENCES = 8


class LabelTokens:
    """All that a head asks of a tokenizer: the label tokens' ids and names."""

    unk_token_id = None

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        """A label token's id."""
        return [LABELS[text]]

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        """Names, for the configuration."""
        return [str(id_) for id_ in ids]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--mark-every", type=int, default=32, help="tokens a step")
    parser.add_argument("--model", choices=("qwen3", "llama"), default="qwen3")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--tied", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing in both")
    asked = parser.parse_args()
    if asked.side is not None:
        print(json.dumps(step(asked)))
        return
    print(json.dumps({"tied": compare(["--tied"]), "untied": compare([])}))


def compare(options: list[str]) -> Found:
    """Both steps, each in a process of its own; prints them, and gives peaks in MiB and their ratios."""
    sides = {side: _in_its_own_process(["--side", side, *options]) for side in SIDES}
    label, full = (sides[side] for side in SIDES)
    found: Found = {
        "in_all": round(label["peak"] / full["peak"], 3),
        "of_step": round((label["peak"] - label["loaded"]) / (full["peak"] - full["loaded"]), 3),
        "floor_in_all": round((label["loaded"] + label["weights"]) / full["peak"], 3),
        "same_loss": abs(label["loss"] - full["loss"]) <= 1e-5 * abs(full["loss"]),
        "same_gradient": abs(label["gradient"] - full["gradient"]) <= 1e-5 * abs(full["gradient"]),
        **sides,
    }
    print(*options, found, flush=True)
    return found


def _in_its_own_process(options: list[str]) -> Found:
    told = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**17)}
    command = [sys.executable, __file__, *sys.argv[1:], *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=told)
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def step(asked: argparse.Namespace) -> Found:
    """One forward and backward pass in this process: its peak, in MiB, and the loss."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

    from stepward.reward_models.heads import Head, attach

    torch.set_num_threads(1)
    torch.manual_seed(0)
    kind = {"qwen3": Qwen3Config, "llama": LlamaConfig}[asked.model]
    config = kind(
        vocab_size=asked.vocabulary,
        hidden_size=asked.hidden,
        intermediate_size=3 * asked.hidden,
        num_hidden_layers=asked.layers,
        num_attention_heads=asked.hidden // 64,
        num_key_value_heads=asked.hidden // 128,
        head_dim=64,
        tie_word_embeddings=asked.tied,
        use_cache=False,
        attn_implementation="sdpa",
    )
    model = AutoModelForCausalLM.from_config(config).train()
    if asked.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    ids = torch.randint(asked.vocabulary, (SEQUENCES, asked.tokens // SEQUENCES))
    marks = torch.arange(asked.mark_every - 1, ids.numel(), asked.mark_every)
    right = torch.rand(len(marks))
    targets = torch.stack([1 - right, right], dim=-1)
    if asked.side == "label":
        attach(model, Head("label_tokens", 2, ("+", "-")), LabelTokens())
    loaded = _memory("VmRSS")
    if asked.side == "label":
        logits = model(input_ids=ids, marks=marks).logits
    else:
        both = torch.tensor([LABELS["-"], LABELS["+"]])
        logits = model(input_ids=ids).logits.flatten(0, 1)[marks[:, None], both]
    loss = torch.nn.functional.cross_entropy(logits, targets)
    loss.backward()
    gradient = sum(float(one.grad.norm() ** 2) for one in model.parameters() if one.grad is not None) ** 0.5
    return {
        "peak": _memory("VmHWM"),
        "loaded": loaded,
        "weights": sum(one.nbytes for one in model.parameters()) // 2**20,
        "loss": float(loss.detach()),
        "gradient": gradient,
    }


def _memory(name: str) -> int:
    """A figure of this process's memory, in MiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) // 1024


if __name__ == "__main__":
    main()
