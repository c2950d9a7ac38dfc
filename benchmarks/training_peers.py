"""One training of one side, for `benchmarks/training.py`: run by that side's own python, a job on standard input.

Every side is run by this same file, in a process of its own, so that the clock, the counting and the settings can't
differ. It imports nothing of the benchmark but itself. The clock starts when the transformers `Trainer` begins its loop
and stops when the loop ends: tokenising, loading and saving are outside. A short training of a throw-away copy comes
first, so that imports, threads and memory are warm and every timed step counts.
"""

import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

Row = dict[str, Any]

SIDES = {
    "stepward-prm": ("stepward", "PRMTrainer", "PRMConfig"),
    "trl-prm": ("trl.experimental.prm", "PRMTrainer", "PRMConfig"),
    "stepward-preference": ("stepward", "RewardTrainer", "RewardConfig"),
    "trl-preference": ("trl", "RewardTrainer", "RewardConfig"),
}
IGNORED = -100
SEPARATOR = "\n"


@dataclass(frozen=True)
class Job:
    """What to train.

    Attributes:
        side: One of `SIDES`.
        model: Folder of the model and its tokenizer.
        rows: JSON lines to train on.
        warm_rows: JSON lines to warm up on.
        held_out: JSON lines for the loss at the end; empty for none.
        epochs: Times each row is seen.
        options: Further options of the side's configuration.
        threads: Of torch.
    """

    side: str
    model: str
    rows: str
    warm_rows: str
    held_out: str
    epochs: int
    options: Row
    threads: int


class Clock(TrainerCallback):
    """Wall-clock and processor seconds of the training loop."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Starts."""
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Stops."""
        self.wall, self.processor = time.perf_counter() - self.wall, time.process_time() - self.processor


class CountingCollator:
    """A trainer's collator that also counts the positions, padding with them, that the model will read."""

    def __init__(self, collate: Any) -> None:
        self.positions = 0
        self._collate = collate

    def __call__(self, rows: list[Row]) -> Any:
        """The batch, as it was."""
        batch = self._collate(rows)
        self.positions += batch["input_ids"].numel()
        return batch


def main() -> None:
    job = Job(**json.load(sys.stdin))
    torch.set_num_threads(job.threads)
    with tempfile.TemporaryDirectory() as scratch:
        _trainer(job, Path(job.warm_rows), Path(scratch)).train()
        print(json.dumps(_measured(job, Path(scratch))))


def _measured(job: Job, scratch: Path) -> dict[str, Any]:
    trainer = _trainer(job, Path(job.rows), scratch)
    clock, collator = Clock(), CountingCollator(trainer.data_collator)
    trainer.add_callback(clock)
    trainer.data_collator = collator
    trainer.train()
    found = {
        "seconds": clock.wall,
        "processor_seconds": clock.processor,
        "optimiser_steps": trainer.state.global_step,
        "positions": collator.positions,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "versions": {name: version(name) for name in ("torch", "transformers", SIDES[job.side][0].partition(".")[0])},
    }
    if job.held_out:
        trainer.save_model(str(scratch / "model"))
        found["held_out_loss"] = _held_out_loss(job, scratch / "model")
    return found


def _trainer(job: Job, rows: Path, scratch: Path) -> Trainer:
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    room, trainer, config = SIDES[job.side]
    module = import_module(room)
    # Both libraries' defaults differ here and there: what is not the same by design is set.
    same: dict[str, Any] = {
        "output_dir": str(scratch / "run"),
        "num_train_epochs": job.epochs,
        "max_length": 2048,
        "bf16": False,
        "gradient_checkpointing": False,
        "use_cpu": True,
        "seed": 0,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    built: Trainer = getattr(module, trainer)(
        model=_model_class(job.side).from_pretrained(job.model),
        args=getattr(module, config)(**{**same, **job.options}),
        train_dataset=Dataset.from_list(_read(rows)),
        processing_class=AutoTokenizer.from_pretrained(job.model),
    )
    return built


def _model_class(side: str) -> Any:
    return AutoModelForTokenClassification if side.endswith("-prm") else AutoModelForSequenceClassification


def _read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@torch.inference_mode()
def _held_out_loss(job: Job, folder: Path) -> float:
    """The saved model's mean loss, read back by plain transformers, one text at a time: no trainer's own arithmetic."""
    model = _model_class(job.side).from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(job.model)
    losses = _step_losses if job.side.endswith("-prm") else _pair_losses
    found = torch.cat([losses(model, tokenizer, row) for row in _read(Path(job.held_out))])
    return float(found.mean())


def _step_losses(model: Any, tokenizer: Any, row: Row) -> Tensor:
    ids, labels = stepwise_ids(tokenizer, row)
    logits = model(input_ids=torch.tensor([ids])).logits[0]
    targets = torch.tensor(labels)
    return cross_entropy(logits[targets != IGNORED], targets[targets != IGNORED], reduction="none")


def stepwise_ids(tokenizer: Any, row: Row) -> tuple[list[int], list[int]]:
    """Tokens and labels `[token]`: each step ends in a separator, and there its label is."""
    ids = [tokenizer.bos_token_id, *tokenizer.encode(row["prompt"], add_special_tokens=False)]
    labels = [IGNORED] * len(ids)
    for step, label in zip(row["completions"], row["labels"], strict=True):
        own = tokenizer.encode(step + SEPARATOR, add_special_tokens=False)
        ids += own
        labels += [IGNORED] * (len(own) - 1) + [label]
    return ids, labels


def _pair_losses(model: Any, tokenizer: Any, row: Row) -> Tensor:
    chosen, rejected = (
        model(**tokenizer(row["prompt"] + row[name] + tokenizer.eos_token, return_tensors="pt")).logits[0]
        for name in ("chosen", "rejected")
    )
    return -logsigmoid(chosen - rejected)


if __name__ == "__main__":
    main()
