"""Two reward models trained on real rows, from a model small enough for one core, with their learning curves.

    python benchmarks/real_data.py [--data ../shared/data] [--seeds 1 2 3] [--images docs/images]

A Bradley-Terry model on 300 published preferences (240 to train on, 60 held out) and an outcome reward model on four
models' published solutions of 554 GSM8K questions (454 and 100). A question is never on both sides. Each seed is
another split, tokenizer, base model and order of rows: the base is a Llama of two layers that is first trained as a
language model on the training side's texts alone, by plain transformers and torch. Figures are those after the last
optimiser step; nothing is chosen by the held-out side. The last line is one JSON object.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from stepward import ORMConfig, ORMTrainer, RewardConfig, RewardTrainer, formats
from stepward.metrics import auc, best_of_n, pair_accuracy
from stepward.records import LabelledSolution, Preference

Row = dict[str, Any]

BLOCK = 256
"""Tokens of a sequence that the language model is trained on."""

QUIET: dict[str, Any] = {
    "report_to": "none", "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True, "use_cpu": True,
    "dataloader_pin_memory": False, "eval_strategy": "steps", "eval_on_start": True, "lr_scheduler_type": "cosine",
    "warmup_steps": 5, "per_device_eval_batch_size": 16, "too_long": "refuse",
}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What is trained.

    Attributes:
        title: The figure's.
        image: The figure's file.
        questions: The rows of each question.
        held_out: Rows that are held out.
        vocabulary: Tokens of the tokenizer.
        passes: Times the language model sees the training side.
        make: A trainer of a base's folder, an output folder, the rows of both sides and a seed.
        measures: The metrics that are drawn and reported, by name.
        baselines: What needs no model, of the training and the held-out side, by name.
        drawn: The baselines that are drawn beside the measures.
    """

    title: str
    image: str
    questions: dict[str, list[Row]]
    held_out: int
    vocabulary: int
    passes: int
    make: Callable[[Path, Path, list[Row], list[Row], int], Any]
    measures: tuple[str, ...]
    baselines: Callable[[list[Row], list[Row]], dict[str, float]]
    drawn: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One seed's training: losses by optimiser step, evaluations by the step they stand before, and figures."""

    losses: list[float]
    steps: list[int]
    evaluations: dict[str, list[float]]
    baselines: dict[str, float]
    language_loss: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--images", type=Path, default=Path("docs/images"))
    parser.add_argument("--only", choices=("preference", "outcome"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for name, task in (("preference", preference_task(asked.data)), ("outcome", outcome_task(asked.data))):
        if asked.only in (None, name):
            runs = [train(task, seed) for seed in asked.seeds]
            draw(task, runs, asked.images)
            found[name] = summary(task, runs)
            print(json.dumps({name: found[name]}, indent=2), flush=True)
    print(json.dumps(found))


# The two tasks.


def preference_task(data: Path) -> Task:
    """Preferences between two answers; of a dialogue its last message is the prompt."""
    questions = defaultdict(list)
    for one in formats.read(data / "preferences/dpo_en_demo.json"):
        assert isinstance(one, Preference)
        prompt = one.prompt[-1].content + "\n\n"
        row = {"prompt": prompt, "chosen": one.chosen[0].content, "rejected": one.rejected[0].content}
        # Dialogues that open alike may be one dialogue cut at several places.
        questions[one.prompt[0].content].append(row)

    def make(base: Path, folder: Path, train: list[Row], held_out: list[Row], seed: int) -> RewardTrainer:
        settings = {"num_train_epochs": 3, "learning_rate": 1e-3, "per_device_train_batch_size": 8, "eval_steps": 15}
        args = RewardConfig(str(folder), seed=seed, max_length=4096, weight_decay=0.1, **{**QUIET, **settings})
        return RewardTrainer(base, args, train_dataset=train, eval_dataset=held_out)

    return Task(
        "Preferences (Bradley-Terry)", "preference-learning.svg", questions, held_out=60, vocabulary=4000, passes=1,
        make=make, measures=("pair_accuracy",), baselines=preference_baselines, drawn=("chance", "length alone"),
    )  # fmt: skip


def outcome_task(data: Path) -> Task:
    """Graded solutions: every generator's solution is a row."""
    questions = {}
    for record in formats.read(data / "gsm8k/example_model_solutions.jsonl"):
        assert isinstance(record, LabelledSolution)
        questions[record.question] = [
            {
                "prompt": record.question + "\n",
                "completions": list(path.steps),
                "label": path.labels[-1],
                "correct": path.labels[-1] == 1,
            }
            for path in formats.iter_branches(record)
        ]

    def make(base: Path, folder: Path, train: list[Row], held_out: list[Row], seed: int) -> ORMTrainer:
        settings = {"num_train_epochs": 2, "learning_rate": 1e-3, "per_device_train_batch_size": 16, "eval_steps": 38}
        settings |= {"num_labels": 1, "every_token": False}
        args = ORMConfig(str(folder), seed=seed, weight_decay=0.1, **{**QUIET, **settings})
        return ORMTrainer(base, args, train_dataset=train, eval_dataset=held_out)

    return Task(
        "GSM8K solutions (outcome reward model)", "outcome-learning.svg", questions, held_out=400, vocabulary=2000,
        passes=1, make=make, measures=("auc", "accuracy", "best_of_n_last"), baselines=outcome_baselines,
        drawn=("AUC by length alone", "majority accuracy", "best of 4 by chance"),
    )  # fmt: skip


def preference_baselines(train: list[Row], held_out: list[Row]) -> dict[str, float]:
    """Always the longer answer or always the shorter, whichever is right more often on the training side."""

    def longer(rows: list[Row]) -> float:
        lengths = [[len(row[side]) for row in rows] for side in ("chosen", "rejected")]
        return pair_accuracy(*lengths) or 0.0

    right = longer(held_out)
    return {"chance": 0.5, "length alone": right if longer(train) >= 0.5 else 1 - right}


def outcome_baselines(train: list[Row], held_out: list[Row]) -> dict[str, float]:
    """The more frequent grade for all; solutions ranked by their length, the way that is right on the training side."""

    def lengths(rows: list[Row]) -> Any:
        return np.array([float(len("".join(row["completions"]))) for row in rows])

    def grades(rows: list[Row]) -> Any:
        return np.array([row["label"] for row in rows])

    sign = 1 if (auc(_squashed(lengths(train)), grades(train)) or 0.5) >= 0.5 else -1
    values, right = sign * lengths(held_out), grades(held_out)
    problems = np.unique([row["prompt"] for row in held_out], return_inverse=True)[1]
    share = float(right.mean())
    return {
        "majority accuracy": share if grades(train).mean() >= 0.5 else 1 - share,
        "AUC by length alone": auc(_squashed(values), right) or 0.5,
        "best of 4 by chance": share,
        "best of 4 by length": best_of_n(values, problems, right == 1) or 0.0,
        "best of 4 at most": float(np.mean([right[problems == one].max() for one in set(problems)])),
    }


def _squashed(values: Any) -> Any:
    """In [0, 1], in the same order."""
    return (values - values.min()) / (values.max() - values.min())


# One training.


def train(task: Task, seed: int) -> Run:
    """A split, a base model and a reward model from it."""
    start = time.process_time()
    rows, held_out = split(task.questions, task.held_out, seed)
    texts = [text for row in rows for text in written(row)]
    with tempfile.TemporaryDirectory() as scratch:
        language_loss = save_base(Path(scratch) / "base", texts, task.vocabulary, task.passes, seed)
        trainer = task.make(Path(scratch) / "base", Path(scratch) / "model", rows, held_out, seed)
        trainer.train()
        trainer.evaluate()
    history = {line["step"]: line for line in trainer.state.log_history if "eval_loss" in line}
    return Run(
        trainer.losses,
        sorted(history),
        {name: [history[step][f"eval_{name}"] for step in sorted(history)] for name in ("loss", *task.measures)},
        task.baselines(rows, held_out),
        language_loss,
        time.process_time() - start,
    )


def split(questions: dict[str, list[Row]], held_out: int, seed: int) -> tuple[list[Row], list[Row]]:
    """The rows to train on, and exactly `held_out` rows of other questions."""
    names = sorted(questions)
    Random(seed).shuffle(names)
    parts: tuple[list[Row], list[Row]] = ([], [])
    for name in names:
        own = questions[name]
        parts[len(parts[1]) + len(own) <= held_out].extend(own)
    return parts


def written(row: Row) -> list[str]:
    """The texts of a row, as its trainer lays them out."""
    if "completions" in row:
        return [row["prompt"] + "\n".join(row["completions"]) + "\n"]
    return [row["prompt"] + row[side] for side in ("chosen", "rejected")]


def save_base(folder: Path, texts: Sequence[str], vocabulary: int, passes: int, seed: int) -> float:
    """Saves a tokenizer and a Llama of two layers trained on texts; gives its last loss, in nats a token."""
    tokenizer = make_tokenizer(texts, vocabulary)
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=128, intermediate_size=384, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=4096, tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )  # fmt: skip
    order = Random(seed)
    ids: list[int] = []
    for _ in range(passes):
        for text in order.sample(texts, len(texts)):
            ids += [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    batches = torch.tensor(ids[: len(ids) // (4 * BLOCK) * 4 * BLOCK]).view(-1, 4, BLOCK)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=len(batches), pct_start=0.05)
    losses = []
    for batch in batches:
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return fmean(losses[-10:])


def make_tokenizer(texts: Sequence[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of texts; a sequence opens with its own token, by which a model can tell how far it has come."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<pad>", "<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


# What is told.


def summary(task: Task, runs: list[Run]) -> dict[str, Any]:
    """Means over the seeds, with their deviations."""
    kept: dict[str, list[float]] = {
        "training loss, last tenth": [fmean(run.losses[-max(1, len(run.losses) // 10) :]) for run in runs],
        **{f"held-out {name}": [run.evaluations[name][-1] for run in runs] for name in ("loss", *task.measures)},
        "held-out loss before": [run.evaluations["loss"][0] for run in runs],
        **{name: [run.baselines[name] for run in runs] for name in runs[0].baselines},
        "language model's loss": [run.language_loss for run in runs],
        "seconds": [run.seconds for run in runs],
    }
    return {
        name: {"mean": round(fmean(each), 4), "deviation": round(stdev(each), 4) if len(each) > 1 else None}
        for name, each in kept.items()
    }


def draw(task: Task, runs: list[Run], images: Path) -> None:
    """The learning curves: each seed thin, their mean thick."""
    style: dict[Any, Any] = {"svg.hashsalt": task.image, "axes.spines.top": False, "axes.spines.right": False}
    with mpl.rc_context(style):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        losses, measures = figure.subplots(1, 2)
        steps, window = runs[0].steps, runs[0].steps[1]
        smooth = [[fmean(run.losses[at : at + window]) for at in steps[:-1]] for run in runs]
        _curves(losses, [at + window / 2 for at in steps[:-1]], smooth, "training", "C0")
        _curves(losses, steps, [run.evaluations["loss"] for run in runs], "held out", "C1")
        for place, name in enumerate(task.measures):
            label = name.replace("best_of_n_last", "best of 4").replace("_", " ")
            _curves(measures, steps, [run.evaluations[name] for run in runs], label, f"C{place + 1}")
        for dash, name in zip(("--", ":", "-."), task.drawn, strict=False):
            value = fmean(run.baselines[name] for run in runs)
            measures.axhline(value, color="0.4", linestyle=dash, linewidth=1.2, label=name)
        for axes, title in ((losses, "loss, nats"), (measures, "held-out rows")):
            axes.set(xlabel="optimiser steps", title=title)
            axes.legend(frameon=False, fontsize=8)
            axes.grid(alpha=0.2)
        figure.suptitle(f"{task.title}: {len(runs)} seeds and their mean")
        images.mkdir(parents=True, exist_ok=True)
        figure.savefig(images / task.image, metadata={"Date": None})


def _curves(axes: Axes, steps: Sequence[float], each: list[list[float]], label: str, colour: str) -> None:
    for values in each:
        axes.plot(steps, values, color=colour, linewidth=0.7, alpha=0.45)
    axes.plot(steps, [fmean(values) for values in zip(*each, strict=True)], color=colour, linewidth=2, label=label)


if __name__ == "__main__":
    main()
