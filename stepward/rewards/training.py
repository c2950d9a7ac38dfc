"""What the three reward trainers share: the transformers `Trainer`, with our batches and a loss that adds up.

A loss here is a sum over labels, divided by the labels of the whole optimiser batch: over all its forward passes and
all processes. So the loss and the gradient are the same however a batch is split (TRL's trainer gave 0.7, 2.8 and 5.7
for 8 x 1, 2 x 4 and 1 x 8).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler
from transformers import PreTrainedModel, Trainer, TrainerCallback, set_seed

from stepward.errors import StepwardError
from stepward.models import load_tokenizer
from stepward.rewards.adapters import base_of, with_adapter
from stepward.rewards.collation import Batch
from stepward.rewards.columns import Features
from stepward.rewards.configs import RewardConfig
from stepward.rewards.folder import Description, check_same, load_model, write_description
from stepward.rewards.heads import Head, attach
from stepward.rewards.order import BatchOrder
from stepward.rewards.packs import collator_settings
from stepward.rewards.tables import Counts, is_streamed, make_features

Rows = Any
"""A `datasets.Dataset` or `IterableDataset`, or a list of rows."""


@dataclass
class Tokens:
    """Tokens that were trained on.

    Attributes:
        computed: Those in rows, without padding.
        useful: What they would be with each sequence in a row of its own.
    """

    computed: int = 0
    useful: int = 0


class RewardTrainer(Trainer):
    """The base of `PRMTrainer`, `ORMTrainer` and `PreferenceTrainer`: not to be used alone.

    Attributes:
        counts: What became of the rows of each data set, by the set's name.
        losses: Mean loss of each optimiser step's labels, in nats.
        tokens: Tokens trained on so far, by this process.
    """

    args: RewardConfig
    # Of many types to transformers, of one to us.
    processing_class: Any
    train_dataset: Any
    kind = ""
    _length_columns: tuple[str, ...] = ("input_ids",)

    def __init__(
        self,
        model: str | Path | PreTrainedModel | torch.nn.Module,
        args: RewardConfig,
        data_collator: Callable[[Sequence[Mapping[str, Any]]], Batch] | None,
        train_dataset: Rows | None,
        eval_dataset: Rows | dict[str, Rows] | None,
        processing_class: Any,
        compute_metrics: Callable[[Any], dict[str, float]] | None,
        callbacks: list[TrainerCallback] | None,
        optimizers: tuple[Any, Any],
        preprocess_logits_for_metrics: Callable[..., Any] | None,
        peft_config: Any,
    ) -> None:
        if args.n_gpu > 1:
            args._n_gpu = 1  # DataParallel would take our one row apart
        name = model if isinstance(model, str | Path) else None
        self.processing_class = processing_class or _tokenizer_of(model)
        if isinstance(model, str | Path):
            set_seed(args.seed)
            model = load_model(model, self._asked_head(args, None), **(args.model_init_kwargs or {}))
        plain = base_of(model)
        head = self._asked_head(args, plain)
        self._prepare_tokenizer(args, plain)
        # Plain transformers finds a sequence's last token by the padding behind it.
        plain.config.pad_token_id = self.processing_class.pad_token_id
        if getattr(plain, "generation_config", None) is not None:
            plain.generation_config.pad_token_id = self.processing_class.pad_token_id
        attach(plain, head, self.processing_class)
        if args.disable_dropout:
            _disable_dropout(model)
        trained: Any = with_adapter(model, peft_config, head, args)
        collator = collator_settings(plain, args)
        self.description = self._describe(args, head, str(name or plain.config._name_or_path or type(plain).__name__))
        self.counts: dict[str, Counts] = {}
        self.losses: list[float] = []
        self.tokens = Tokens()
        longest = _longest(plain, args)
        self._known_tokens = int(plain.get_input_embeddings().weight.shape[0])  # type: ignore[index]
        train = None if train_dataset is None else self._features(train_dataset, "train", args, longest)
        evaluated = _each(eval_dataset, lambda rows, name: self._features(rows, name, args, longest))
        self._user_metrics = compute_metrics
        super().__init__(
            model=trained,
            args=args,
            data_collator=data_collator or self._collator(args, collator, train),
            train_dataset=train,
            eval_dataset=evaluated,
            processing_class=self.processing_class,
            compute_metrics=self._metrics,
            callbacks=callbacks,
            optimizers=optimizers,
            preprocess_logits_for_metrics=preprocess_logits_for_metrics,
        )
        # Says that `compute_loss` has already taken gradient accumulation into account; transformers before 5.19 asks
        # the second.
        self.loss_is_scaled_for_ga = True
        self.model_accepts_loss_kwargs = True
        self.label_names = []

    # What each trainer says for itself.

    def _asked_head(self, args: Any, model: PreTrainedModel | None) -> Head:
        """The head: as asked for, or as a given model has it."""
        raise NotImplementedError

    def _prepare_tokenizer(self, args: Any, model: PreTrainedModel) -> None:
        """Adds what the tokenizer lacks."""

    def _describe(self, args: Any, head: Head, base: str) -> Description:
        """What is saved beside the weights."""
        raise NotImplementedError

    def _make(self, args: Any, longest: int, evaluating: bool) -> Features:
        """What turns a batch of columns into features."""
        raise NotImplementedError

    def _collator(self, args: Any, settings: dict[str, Any], train: Rows | None) -> Callable[..., Batch]:
        """What turns rows into a batch."""
        raise NotImplementedError

    def _summed(self, logits: Tensor, batch: Batch) -> Tensor:
        """The batch's loss as a sum over its units."""
        raise NotImplementedError

    def _units(self, batches: Sequence[Batch]) -> Tensor:
        """By what the sum of some batches' losses is divided for their mean."""
        raise NotImplementedError

    def _metrics(self, prediction: Any) -> dict[str, float]:
        """Metrics of an evaluation's gathered scores."""
        raise NotImplementedError

    # Data.

    def _features(self, rows: Rows, name: str, args: RewardConfig, longest: int) -> Rows:
        make = self._make(args, longest, evaluating=name != "train")
        with args.main_process_first(desc=f"tokenising the {name} data"):
            made, self.counts[name] = make_features(rows, make, name, args.dataset_num_proc)
        if not is_streamed(made):
            _check_ids(made, self._length_columns, self._known_tokens)
        return made

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        rows = self.train_dataset if train_dataset is None else train_dataset
        if rows is None or is_streamed(rows) or self.args.train_sampling_strategy != "random":
            found: Sampler[int] | None = super()._get_train_sampler(train_dataset)
            return found
        columns = [rows[name] for name in self._length_columns]
        lengths = [sum(map(len, ids)) for ids in zip(*columns, strict=True)]
        groups = rows["group"] if self.args.group_by_prompt and "group" in rows.column_names else None
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        seed = self.args.data_seed if self.args.data_seed is not None else self.args.seed
        return BatchOrder(lengths, groups, batch, seed)

    # The loss.

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], Tensor | None]:
        """The forward passes of one optimiser step, and the units of their loss on all processes."""
        batches: list[Batch] = []
        for batch in epoch_iterator:
            batches.append(batch)
            if len(batches) == num_batches:
                break
        if not batches:
            return batches, None
        for batch in batches:
            self.tokens.computed += batch["tokens"]
            self.tokens.useful += batch["useful"]
        units = self._units(batches).to(device)
        if self.accelerator.num_processes > 1:
            units = self.accelerator.gather(units.reshape(1)).sum()
        if not float(units) > 0:
            raise StepwardError("a batch without any label: nothing could be learnt from it, and its loss would be 0")
        return batches, units

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The batch's share of the optimiser step's mean loss."""
        logits = self._logits(model, inputs)
        units = self._units([inputs]).to(logits.device) if num_items_in_batch is None else num_items_in_batch
        loss = self._summed(logits, inputs) / units
        if model.training:
            self._note(loss.detach())
            # Gradients are averaged over processes, each of which holds its share of the sum alone.
            loss = loss * self.accelerator.num_processes
        return (loss, {"logits": logits}) if return_outputs else loss

    def _logits(self, model: torch.nn.Module, batch: Batch) -> Tensor:
        """Logits `[mark, class]` of a batch."""
        names = ("input_ids", "position_ids", "attention_mask", "branches", "marks")
        found: Tensor = model(**{name: batch[name] for name in names if name in batch}).logits
        return found

    def _note(self, loss: Tensor) -> None:
        """Adds a forward pass's loss to its optimiser step's; refuses one that is no number."""
        if self.accelerator.num_processes > 1:
            loss = self.accelerator.gather(loss.reshape(1)).sum()
        step, value = self.state.global_step, float(loss)
        if value != value or value in (float("inf"), float("-inf")):
            raise StepwardError(
                f"the loss is {value} at optimiser step {step + 1}: lower learning_rate (now {self.args.learning_rate})"
                " or max_grad_norm, or train in another precision"
            )
        self.losses += [0.0] * (step + 1 - len(self.losses))
        self.losses[step] += value

    def train(self, *arguments: Any, **named: Any) -> Any:
        """Trains, as transformers' `Trainer.train`.

        Raises:
            StepwardError: No row has a label, the loss is no number, or the checkpoint is of another recipe.
        """
        resumed = named.get("resume_from_checkpoint", arguments[0] if arguments else None)
        if isinstance(resumed, str | Path):
            check_same(Path(resumed), self.description)
        found = super().train(*arguments, **named)
        if self.state.global_step == 0:
            raise StepwardError(f"nothing to train on: {self.counts['train'].sentence()}")
        return found

    # Evaluation: scores come by the row, padded to the widest, which is what the `Trainer` gathers over processes.

    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: Batch,
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[Tensor | None, Any, Any]:
        """Scores of one batch: its mean loss, and logits and labels by the row."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, found = self.compute_loss(model, inputs, return_outputs=True)
        if prediction_loss_only:
            return loss, None, None
        return loss, *self._by_row(found["logits"].detach().float(), inputs)

    def evaluation_loop(self, dataloader: Any, *arguments: Any, **named: Any) -> Any:
        """As transformers has it; metrics may ask which rows these are."""
        self._evaluated = dataloader.dataset
        return super().evaluation_loop(dataloader, *arguments, **named)

    def _by_row(self, logits: Tensor, batch: Batch) -> tuple[Any, Any]:
        """Logits and labels with one entry a row of the data."""
        raise NotImplementedError

    # What is saved.

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        folder = Path(output_dir or str(self.args.output_dir))
        (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle, which says no more than this:
        said = self.args.to_json_string()  # type: ignore[no-untyped-call]
        (folder / "training_args.json").write_text(said + "\n", encoding="utf-8")
        write_description(self.description, folder)


def _each(rows: Any, make: Callable[[Rows, str], Rows]) -> Any:
    """One data set, or each of several, as features."""
    if rows is None:
        return None
    if isinstance(rows, dict):
        return {name: make(part, name) for name, part in rows.items()}
    return make(rows, "eval")


def _check_ids(rows: Any, columns: Sequence[str], known: int) -> None:
    """Raises StepwardError if the tokenizer gives ids that the model has no embedding for."""
    highest = max(max(ids) for column in columns for ids in rows[column])
    if highest >= known:
        raise StepwardError(
            f"the model knows {known} tokens but its tokenizer gives id {highest}: they don't belong together"
        )


def _longest(model: PreTrainedModel, args: RewardConfig) -> int:
    positions = getattr(model.config, "max_position_embeddings", None)
    return min(bound for bound in (args.max_length, positions, 2**31) if bound is not None)


def _tokenizer_of(model: Any) -> Any:
    name = model if isinstance(model, str | Path) else base_of(model).config._name_or_path
    if not name:
        raise StepwardError("the model doesn't say where its tokenizer is: give processing_class")
    return load_tokenizer(name)


def _disable_dropout(model: torch.nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0  # type: ignore[assignment]
