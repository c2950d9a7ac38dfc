"""One GPU: memory, speed and utilisation of training Qwen3-1.7B's shape as PRM, ORM and Bradley-Terry model.

    python benchmarks/gpu.py [--kinds prm orm bt] [--steps 4] [--optim adamw_bnb_8bit] [--tiny]

Random weights in bfloat16, rows of random tokens with the lengths of the one-GPU setting's data (median 217, mean 259,
36 to 2,007) and four solutions a problem that share a prompt of 80 tokens; an optimiser step takes 32 rows, split as
asked. `padded 1 x 32` is the way that others train; `tree 1 x 32` is ours at the same split, and `tree 8 x 4` ours as
one would use it. Utilisation is the model's operations on useful tokens, each counted for every row it is in, against
the card's measured bfloat16 matrix rate; `peak_gb` is what torch's allocator held at the most. The last line is one
JSON object. `--tiny` runs the same path on a CPU with a toy's shape: its figures mean nothing.
"""

import argparse
import json
import math
import tempfile
import time
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast, Qwen3Config, TrainerCallback

from stepward import ORMConfig, ORMTrainer, PRMConfig, PRMTrainer, RewardConfig, RewardTrainer
from stepward.planning.model_shapes import model_config
from stepward.reward_models.heads import Head

TRAINERS: dict[str, tuple[Any, Any]] = {
    "prm": (PRMTrainer, PRMConfig),
    "orm": (ORMTrainer, ORMConfig),
    "bt": (RewardTrainer, RewardConfig),
}
WAYS: dict[str, dict[str, Any]] = {
    "padded 1 x 32": {"pack": "padded", "group_by_prompt": False, "rows": 1},
    "tree 1 x 32": {"pack": "tree", "rows": 1},
    "tree 8 x 4": {"pack": "tree", "rows": 8},
}
BATCH = 32
PROMPT = 80
STEP = 35


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=list(TRAINERS), choices=list(TRAINERS))
    parser.add_argument("--steps", type=int, default=4, help="Optimiser steps that are timed, after one that is not.")
    parser.add_argument("--optim", default="adamw_bnb_8bit")
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    found: dict[str, Any] = {"card": "cpu", "torch": torch.__version__, "matrix_tflops": matrix_rate(asked.tiny)}
    if torch.cuda.is_available():
        found["card"] = torch.cuda.get_device_name()
    for kind in asked.kinds:
        for way, settings in WAYS.items():
            one = measure(kind, dict(settings), asked, found["matrix_tflops"])
            found[f"{kind}, {way}"] = one
            print(f"{kind}, {way}: {one}", flush=True)
    print(json.dumps(found))


def matrix_rate(tiny: bool) -> float:
    """Measured bfloat16 matrix products, in 10^12 operations a second."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 512 if tiny else 8192
    left = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    for count in (2, 20):  # the first warms up
        synchronise()
        start = time.perf_counter()
        for _ in range(count):
            left @ left
        synchronise()
    return round(2 * size**3 * 20 / (time.perf_counter() - start) / 1e12, 2)


def measure(kind: str, way: dict[str, Any], asked: argparse.Namespace, rate: float) -> dict[str, Any]:
    """One training: what it took."""
    trainer_class, config_class = TRAINERS[kind]
    rows = way.pop("rows")
    with tempfile.TemporaryDirectory() as scratch:
        args = config_class(
            scratch, per_device_train_batch_size=rows, gradient_accumulation_steps=BATCH // rows,
            max_steps=asked.steps + 1, max_length=2048, gradient_checkpointing=True, bf16=not asked.tiny,
            gradient_checkpointing_kwargs={"use_reentrant": False}, report_to="none", save_strategy="no",
            logging_strategy="no", disable_tqdm=True, optim="adamw_torch" if asked.tiny else asked.optim,
            use_cpu=not torch.cuda.is_available(), **way,
        )  # fmt: skip
        model = make_model(kind, asked.tiny)
        clock = Clock()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        trainer = trainer_class(
            model, args, train_dataset=make_rows(kind, BATCH * (asked.steps + 1), asked.tiny),
            processing_class=make_tokenizer(), callbacks=[clock],
        )  # fmt: skip
        clock.tokens = trainer.tokens
        trainer.train()
    parameters = sum(one.numel() for name, one in model.named_parameters() if "embed_tokens" not in name)
    useful = clock.useful / clock.seconds
    peak = torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else math.nan
    return {
        "useful_tokens_a_second": round(useful),
        "computed_share": round(clock.computed / clock.useful, 3),
        "peak_gb": None if math.isnan(peak) else round(peak, 2),
        "utilisation": round(6 * parameters * useful / (rate * 1e12), 4),
        "loss": round(trainer.losses[-1], 4),
    }


class Clock(TrainerCallback):
    """Times every optimiser step but the first."""

    def __init__(self) -> None:
        self.tokens: Any = None
        self.seconds = 0.0
        self.useful = self.computed = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Starts after the first step, and adds up from there."""
        synchronise()
        now = time.perf_counter()
        if state.global_step == 1:
            self._start, self._before = now, (self.tokens.useful, self.tokens.computed)
            return
        self.seconds = now - self._start
        self.useful = self.tokens.useful - self._before[0]
        self.computed = self.tokens.computed - self._before[1]


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def make_model(kind: str, tiny: bool) -> Any:
    """Qwen3-1.7B's shape with random weights, on the GPU where there is one."""
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

    config = model_config("Qwen/Qwen3-1.7B-Base")
    if tiny:
        config = Qwen3Config(
            vocab_size=1000, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=32, max_position_embeddings=4096, tie_word_embeddings=True,
        )  # fmt: skip
    classes = Head("scalar", 1) if kind == "bt" else Head("linear", 2)
    config.num_labels = classes.classes
    config.classifier_dropout = 0.0
    auto = AutoModelForSequenceClassification if kind == "bt" else AutoModelForTokenClassification
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        return auto.from_config(config, dtype=torch.float32 if tiny else torch.bfloat16)


def make_rows(kind: str, count: int, tiny: bool) -> list[dict[str, Any]]:
    """Tokenised rows; four of a prompt stand together."""
    random = np.random.default_rng(0)
    # A lognormal of the table's median and mean: exp(mu) and exp(mu + sigma^2 / 2).
    sigma = math.sqrt(2 * math.log(258.64 / 217))
    highest = 1000 if tiny else 150_000

    def answer(prompt: list[int]) -> list[int]:
        length = int(np.clip(random.lognormal(math.log(217), sigma), len(prompt) + 5, 2007))
        return prompt + random.integers(3, highest, length - len(prompt)).tolist()

    rows: list[dict[str, Any]] = []
    for number in range(count):
        if number % 4 == 0:
            prompt = random.integers(3, highest, PROMPT).tolist()
        if kind == "bt":
            rows.append({"chosen_ids": answer(prompt), "rejected_ids": answer(prompt)})
            continue
        ids = answer(prompt)
        marks = range(PROMPT, len(ids)) if kind == "orm" else [*range(PROMPT + STEP, len(ids) - 1, STEP), len(ids) - 1]
        labels = [-100.0] * len(ids)
        for mark in marks:
            labels[mark] = float(number % 2)
        rows.append({"input_ids": ids, "labels": labels, "group": number // 4})
    return rows


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Rows are tokenised already; a trainer wants one all the same."""
    tokenizer = Tokenizer(models.WordLevel({"<pad>": 0, "<s>": 1, "</s>": 2}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<pad>")


if __name__ == "__main__":
    main()
