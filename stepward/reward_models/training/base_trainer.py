"""What the three reward trainers share: the transformers `Trainer`, with our batches and a loss that adds up.

A loss here is a sum over labels, divided by the labels of the whole optimiser batch: over all its forward passes and
all processes. So the loss and the gradient are the same however a batch is split (TRL's trainer gave 0.7, 2.8 and 5.7
for 8 x 1, 2 x 4 and 1 x 8).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler
from transformers import PreTrainedModel, Trainer, TrainerCallback, set_seed
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, PredictionOutput

from stepward.errors import StepwardError
from stepward.models import pinned
from stepward.reward_models.configs import BaseRewardConfig
from stepward.reward_models.data.collators import Batch
from stepward.reward_models.data.dataset import Counts, already_tokenized, is_streamed, materialize, tokenize_dataset
from stepward.reward_models.data.sampler import PromptGroupedSampler
from stepward.reward_models.data.tokenization import RowTokenizer
from stepward.reward_models.heads import Head, attach
from stepward.reward_models.model_dir import ModelMetadata, check_compatible, load_model, write_metadata
from stepward.reward_models.training.checkpoints import checkpoint_of, read_losses, write_losses
from stepward.reward_models.training.degenerate import WeightChangeCallback
from stepward.reward_models.training.layout_check import collator_settings
from stepward.reward_models.training.model_setup import disable_dropout, loaded_from, longest_of, tokenizer_of
from stepward.reward_models.training.peft import base_of, with_adapter

Rows = Any
"""A `datasets.Dataset` or `IterableDataset`, or a list of rows."""


@dataclass
class TokenCounts:
    """Tokens that were trained on.

    Attributes:
        computed: Those in rows, without padding.
        useful: What they would be with each sequence in a row of its own.
    """

    computed: int = 0
    useful: int = 0


class BaseRewardTrainer(Trainer):
    """The base of `PRMTrainer`, `ORMTrainer` and `RewardTrainer`: not to be used alone.

    Attributes:
        config: The class of its settings.
        counts: What became of the rows of each data set, by the set's name.
        losses: Mean loss of each optimiser step's labels, in nats; of a training that goes on from a checkpoint, of
            the steps before it too.
        tokens: Tokens trained on so far, by this process, and since it began.
    """

    args: BaseRewardConfig
    config: type[BaseRewardConfig]
    # Of many types to transformers, of one to us.
    processing_class: Any
    train_dataset: Any
    kind = ""
    _length_columns: tuple[str, ...] = ("input_ids",)

    def __init__(
        self,
        model: str | Path | PreTrainedModel | torch.nn.Module,
        args: BaseRewardConfig | None = None,
        data_collator: Callable[[Sequence[Mapping[str, Any]]], Batch] | None = None,
        train_dataset: Rows | None = None,
        eval_dataset: Rows | dict[str, Rows] | None = None,
        processing_class: Any = None,
        compute_metrics: Callable[[Any], dict[str, float]] | None = None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        preprocess_logits_for_metrics: Callable[..., Any] | None = None,
        peft_config: Any = None,
    ) -> None:
        """Prepares data and model.

        Args:
            model: A folder, a hub name, a transformers model of the head's class, or one with an adapter.
            args: The settings; the defaults, into `tmp_trainer`, if not given.
            data_collator: Instead of ours; gives what the trainer's own collator gives (`StepCollator`,
                `PairCollator`).
            train_dataset: Rows; the class says with which columns.
            eval_dataset: Rows, or several sets by name.
            processing_class: The tokenizer; the model's own if not given.
            compute_metrics: Adds to the metrics; the class says what it takes.
            callbacks: Beside the `Trainer`'s own.
            optimizers: An optimiser and its schedule, instead of those of `args`.
            preprocess_logits_for_metrics: As the `Trainer` has it.
            peft_config: Trains an adapter instead of the whole model.

        Raises:
            StepwardError: A row, setting, model or tokenizer that can't be used; says which and what was expected.
        """
        args = args or self.config("tmp_trainer")
        if args.n_gpu > 1:
            warnings.warn(
                f"this process sees {args.n_gpu} GPUs and trains on one: to train on all start it with torchrun or "
                "accelerate launch, a process each",
                stacklevel=2,
            )
            args._n_gpu = 1  # DataParallel would take our one row apart
        self.args = args
        name = model if isinstance(model, str | Path) else None
        self.processing_class = processing_class or tokenizer_of(model)
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
            disable_dropout(model)
        trained: Any = with_adapter(model, peft_config, head, args)
        collator = collator_settings(plain, args)
        called = pinned(str(name)) if name else loaded_from(plain)
        shown = next(iter(eval_dataset.values()), None) if isinstance(eval_dataset, dict) else eval_dataset
        self.description = self._describe(args, head, called, shown if train_dataset is None else train_dataset)
        self.counts: dict[str, Counts] = {}
        self.losses: list[float] = []
        self.tokens = TokenCounts()
        self._longest = longest_of(plain, args.max_length)
        self._known_tokens = int(plain.get_input_embeddings().weight.shape[0])  # type: ignore[index]
        train = None if train_dataset is None else self._features(train_dataset, "train", evaluating=False)
        evaluated = _each(eval_dataset, lambda rows, name: self._features(rows, name, evaluating=True))
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
        self._watch = WeightChangeCallback()
        self.add_callback(self._watch)

    # What each trainer says for itself.

    def _asked_head(self, args: Any, model: PreTrainedModel | None) -> Head:
        """The head: as asked for, or as a given model has it."""
        raise NotImplementedError

    def _prepare_tokenizer(self, args: Any, model: PreTrainedModel) -> None:
        """Adds what the tokenizer lacks."""

    def _describe(self, args: Any, head: Head, base: str, rows: Rows) -> ModelMetadata:
        """What is saved beside the weights; the rows tell how they are written."""
        raise NotImplementedError

    def _make(self, args: Any, longest: int, evaluating: bool) -> RowTokenizer:
        """What turns a batch of columns into features."""
        raise NotImplementedError

    def _collator(self, args: Any, settings: dict[str, Any], train: Rows | None) -> Callable[..., Batch]:
        """What turns rows into a batch."""
        raise NotImplementedError

    def _summed(self, logits: Tensor, batch: Batch) -> Tensor:
        """The batch's loss as a sum over its units."""
        raise NotImplementedError

    def _check_varied(self, rows: Rows) -> None:
        """Refuses rows to train on that say all the same."""
        raise NotImplementedError

    def _units(self, batches: Sequence[Batch]) -> Tensor:
        """By what the sum of some batches' losses is divided for their mean."""
        raise NotImplementedError

    def _metrics(self, prediction: Any) -> dict[str, float]:
        """Metrics of an evaluation's gathered scores."""
        raise NotImplementedError

    # Data.

    def _features(self, rows: Rows, name: str, evaluating: bool) -> Rows:
        """Rows as features, counted under the set's name."""
        if evaluating and name == "train":
            name = "eval_train"  # what is trained on has that name
        make = self._make(self.args, self._longest, evaluating)
        make.known_tokens = self._known_tokens
        with self.args.main_process_first(desc=f"tokenising the {name} data"):
            made, self.counts[name] = tokenize_dataset(rows, make, name, self.args.dataset_num_proc)
        if evaluating and is_streamed(made) and self.args.world_size > 1:
            # As a stream it would be filled up to whole batches, with rows that would count twice.
            made = materialize(made, self.counts[name])
        if not is_streamed(made) and not evaluating:
            self._check_varied(made)
        return made

    def _as_features(self, rows: Rows, name: str) -> Rows:
        """Rows to evaluate as features; what are features already, as they are."""
        found = already_tokenized(rows, self._make(self.args, self._longest, evaluating=True).names)
        return self._features(rows, name, evaluating=True) if found is None else found

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
        return PromptGroupedSampler(lengths, groups, batch, seed)

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
            if is_streamed(self.train_dataset):
                self._watch.see(batch.get("labels"))
        units = self._units(batches).to(device)
        if self.accelerator.num_processes > 1:
            units = self.accelerator.gather(units.reshape(1)).sum()
        if not float(units) > 0:
            raise StepwardError(
                "a batch without any label: nothing could be learnt from it, and its loss would be 0",
                code="empty",
                field="labels",
            )
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
                " or max_grad_norm, or train in another precision",
                code="not_finite",
                field="loss",
            )
        self.losses += [0.0] * (step + 1 - len(self.losses))
        self.losses[step] += value

    def train(self, resume_from_checkpoint: str | Path | bool | None = None, *arguments: Any, **named: Any) -> Any:
        """Trains, as transformers' `Trainer.train`; warns at the end of streamed rows that were left out or cut.

        Args:
            resume_from_checkpoint: A checkpoint's folder to go on from, or True for the last one in `output_dir`.
            arguments: As the `Trainer` has them.
            named: Likewise.

        Raises:
            StepwardError: No row has a label, all labels are equal, the loss or a weight is no number, no weight has
                moved, or the checkpoint is of another recipe.
        """
        checkpoint = checkpoint_of(resume_from_checkpoint, str(self.args.output_dir))
        if checkpoint is not None:
            check_compatible(checkpoint, self.description)
        self.losses = [] if checkpoint is None else read_losses(checkpoint)
        found = super().train(None if checkpoint is None else str(checkpoint), *arguments, **named)
        if self.state.global_step == 0:
            raise StepwardError(f"nothing to train on: {self.counts['train'].sentence()}", code="empty")
        self._watch.check(self.model, self.accelerator, self.state.global_step, from_start=checkpoint is None)
        for counts in self.counts.values():
            if counts.streamed and not counts.whole:
                warnings.warn(counts.sentence(), stacklevel=2)
        return found

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial=trial)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            write_losses(self.losses, folder)
        super()._save_checkpoint(model, trial)

    # Evaluation: scores come by the row, padded to the widest, which is what the `Trainer` gathers over processes.

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Metrics, as transformers' `Trainer.evaluate`; rows may be as they are given to the trainer, or features."""
        # Several sets, or one's name, come back here one by one.
        if eval_dataset is not None and not isinstance(eval_dataset, str | dict):
            eval_dataset = self._as_features(eval_dataset, metric_key_prefix.removeprefix("eval_"))
        found: dict[str, float] = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        return found

    def predict(
        self, test_dataset: Any, ignore_keys: list[str] | None = None, metric_key_prefix: str = "test"
    ) -> PredictionOutput:
        """Scores and metrics, as transformers' `Trainer.predict`; rows as `evaluate` takes them."""
        return super().predict(self._as_features(test_dataset, metric_key_prefix), ignore_keys, metric_key_prefix)

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
        write_metadata(self.description, folder)


def _each(rows: Any, make: Callable[[Rows, str], Rows]) -> Any:
    """One data set, or each of several, as features."""
    if rows is None:
        return None
    if isinstance(rows, dict):
        return {name: make(part, name) for name, part in rows.items()}
    return make(rows, "eval")
