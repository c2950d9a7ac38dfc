"""One optimiser step of each trainer, and its gradient: of one process or of two."""

import os
import socket
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import IterableDataset
from tiny_world import make_world
from torch import multiprocessing

from stepward.reward_models.configs import ORMConfig, PRMConfig, RewardConfig
from stepward.reward_models.training.reward_trainer import RewardTrainer
from stepward.reward_models.training.step_trainers import ORMTrainer, PRMTrainer

Kind = Literal["prm", "orm", "bt", "label tokens", "ranking"]
KINDS: tuple[Kind, ...] = ("prm", "orm", "bt", "label tokens", "ranking")

EVALUATED: list[tuple[Kind, bool]] = [*((kind, False) for kind in KINDS), ("prm", True), ("orm", True)]
"""What two processes evaluate: each kind, and whether its rows are streamed."""

QUIET: dict[str, Any] = {
    "report_to": "none", "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True, "use_cpu": True,
    "dataloader_pin_memory": False,
}  # fmt: skip

TRAINERS: dict[Kind, tuple[Any, Any, dict[str, Any]]] = {
    "prm": (PRMTrainer, PRMConfig, {}),
    "orm": (ORMTrainer, ORMConfig, {"num_labels": 1}),
    "bt": (RewardTrainer, RewardConfig, {"center_rewards_coefficient": 0.01, "pair_weight": "prompt"}),
    "label tokens": (PRMTrainer, PRMConfig, {"head": "label_tokens", "label_tokens": (" plus", " wrong")}),
    "ranking": (PRMTrainer, PRMConfig, {"loss": "q_ranking", "num_labels": 1}),
}


def rows_of(kind: Kind, count: int = 8) -> list[dict[str, Any]]:
    """Rows of a small world, several of a prompt; of very different lengths and numbers of labels."""
    problems, solutions, labels = make_world(count)
    questions = {problem.id: problem.question + "\n" for problem in problems}
    if kind == "orm":
        return [
            {"prompt": questions[one.problem_id], "completions": list(one.steps), "label": one.correct}
            for one in solutions
        ]
    if kind == "bt":
        text = lambda one: "\n".join(one.steps)  # noqa: E731
        pairs = [(a, b) for a in solutions for b in solutions if a.problem_id == b.problem_id and a.id < b.id]
        return [
            {"prompt": questions[a.problem_id], "chosen": text(a), "rejected": text(b), "margin": 0.5} for a, b in pairs
        ]
    return [
        {"prompt": questions[one.problem_id], "completions": list(one.steps), "labels": list(steps.labels)}
        for one, steps in zip(solutions, labels, strict=True)
    ]


def trainer_of(base: Path, folder: Path, kind: Kind, count: int = 8, eval_dataset: Any = None, **changes: Any) -> Any:
    """A trainer of some kind on the small world's first rows."""
    trainer, config, settings = TRAINERS[kind]
    changes = {"learning_rate": 1e-3, "lr_scheduler_type": "constant", **QUIET, **settings, **changes}
    args = config(str(folder), **changes)
    return trainer(str(base), args, train_dataset=rows_of(kind)[:count], eval_dataset=eval_dataset)


def gradients(base: Path, folder: Path, kind: Kind, rows: int, passes: int, tell: bool = False, **changes: Any) -> Any:
    """The loss and the gradient of the first optimiser step, on eight rows in all."""
    changes = {"num_train_epochs": 1, "max_grad_norm": 0.0, "optim": "sgd", "learning_rate": 1.0, **changes}
    trainer = trainer_of(
        base, folder, kind, per_device_train_batch_size=rows, gradient_accumulation_steps=passes, **changes
    )
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    if tell:
        return trainer.tokens.computed
    # One step of plain SGD at rate 1 moves each weight by its gradient.
    moved = {name: before[name] - value.detach() for name, value in trainer.model.named_parameters()}
    assert trainer.state.global_step == 1
    return trainer.losses[0], moved


def metrics(base: Path, folder: Path, kind: Kind, streamed: bool = False, **changes: Any) -> dict[str, float]:
    """What an evaluation says of eleven rows, which neither batches nor processes divide evenly; all but its times."""
    rows = rows_of(kind, 12)[:11]
    if kind != "bt":
        rows = [{**row, "correct": place % 2 == 0} for place, row in enumerate(rows)]
    trainer = trainer_of(base, folder, kind, per_device_eval_batch_size=2, **changes)
    found: dict[str, float] = trainer.evaluate(IterableDataset.from_generator(lambda: iter(rows)) if streamed else rows)
    return {name: value for name, value in found.items() if not name.endswith(("runtime", "per_second", "time"))}


def two_processes(base: str, folder: str, kinds: tuple[Kind, ...]) -> None:
    """The same of some kinds by two processes over gloo, with eight rows in all; process 0 writes what it found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_process, (base, folder, port, kinds), nprocs=2)


def _process(rank: int, base: str, folder: str, port: int, kinds: tuple[Kind, ...]) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true",
    }  # fmt: skip
    found = {
        (kind, passes): gradients(Path(base), Path(folder), kind, 4 // passes, passes, ddp_backend="gloo")
        for kind in kinds
        for passes in (1, 2)
    }
    evaluated = {
        (kind, streamed): metrics(Path(base), Path(folder), kind, streamed, ddp_backend="gloo")
        for kind, streamed in EVALUATED
        if kind in kinds
    }
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
        torch.save(evaluated, Path(folder) / "metrics.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
