"""From a training recipe's sources to the trainers' rows; what can't be trained on is counted with its reason.

A source is read in any format that Stepward knows. One of a run's folders may be labelled again from the rollouts that
are stored there, so that the cells of a grid over eta share what was sampled.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from stepward.errors import StepwardError
from stepward.formats import FORMATS, UnsupportedRecord, WriteOptions, iter_branches, read
from stepward.formats.chat import is_plain, split_system
from stepward.formats.step_labels.stepward_run import is_run
from stepward.pipeline.stages.labels import labels_by_batch
from stepward.pipeline.training.synthetic import world_preferences, world_solutions
from stepward.recipes.loading import load_run_recipe
from stepward.recipes.training import Data, TrainingRecipe
from stepward.records import LabelledSolution, Message, Preference, question_id
from stepward.rows import ErrorCollector, RowError, iter_rows
from stepward.storage.manifest import Manifest
from stepward.storage.run_dir import ARITHMETIC, Layout

COLUMNS = "columns"
"""The format of rows that have the trainers' own columns."""

WORLD_ROWS = 400
"""Rows of the arithmetic world where no limit is given."""

_SHUFFLED = 10_000
"""Streamed rows among which the next one is drawn."""

Row = dict[str, Any]


class _Unusable(Exception):
    """A record that can't be trained on; the text says why."""


@dataclass
class Source:
    """One source's rows, and what was left out of them so far.

    Attributes:
        name: The source, for messages.
        data: How it is read.
        kind: What is trained on it.
        read: Records read so far.
        left_out: Records that were left out, by reason.
        first: The first record left out for each reason.
    """

    name: str
    data: Data
    kind: str
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """Its rows, at most `data.limit` records.

        Raises:
            StepwardError: It can't be read, or its records are of another kind than what is trained.
        """
        for where, record in islice(self._records(), self.data.limit):
            self.read += 1
            try:
                yield from self._made(where, record)
            except (_Unusable, UnsupportedRecord) as reason:
                self._leave_out(str(reason), where)

    def sentences(self) -> list[str]:
        """What was left out, a line a reason."""
        return [
            f"{self.name}: {count:,} left out: {reason} (first: {self.first[reason]})"
            for reason, count in self.left_out.items()
        ]

    def _records(self) -> Iterator[tuple[str, Any]]:
        """Each record, or row of columns, and where it stands."""
        name, data = self.name, self.data
        if name == ARITHMETIC:
            made: Iterable[Any] = world_preferences() if self.kind == "bt" else world_solutions()
            size = data.limit or WORLD_ROWS
            yield from ((f"arithmetic {number}", one) for number, one in enumerate(islice(made, size), start=1))
        elif data.labels is not None and is_run(name):
            yield from relabelled(Path(name.partition("#")[0]), data.labels, data.eta)
        elif data.format == COLUMNS or (data.format is None and self._has_columns()):
            for row in iter_rows(name, ErrorCollector(name, self._fault)):
                yield f"{row.file.name} row {row.number}", row.fields
        else:
            reading = read(name, data.format, on_fault=self._fault)
            for record in reading:
                assert reading.row is not None
                yield f"{reading.row.file.name} row {reading.row.number}", record

    def _has_columns(self) -> bool:
        """Whether the first row has columns that only the trainers know."""
        if is_run(self.name):
            return False
        row = next(iter_rows(self.name, ErrorCollector(self.name)), None)
        names = set() if row is None else set(row.fields)
        if self.kind == "bt":
            return {"chosen_ids", "rejected_ids"} <= names
        outcome = "prompt" in names and names & {"completion", "completions"} and names & {"label", "correct"}
        return "input_ids" in names or bool(self.kind == "orm" and outcome)

    def _made(self, where: str, record: Any) -> list[Row]:
        if isinstance(record, dict):
            return [{"id": where, **record}]
        wanted = Preference if self.kind == "bt" else LabelledSolution
        if not isinstance(record, wanted):
            raise StepwardError(
                f"{self.name}: {where} is a {type(record).__name__}, and kind {self.kind} is trained on "
                f"{wanted.__name__}s; give other data, another --kind or the --format",
                code="mismatch",
                file=self.name,
            )
        if isinstance(record, Preference):
            return [preference_row(where, record, self.data.chat)]
        return step_rows(where, record) if self.kind == "prm" else [outcome_row(where, record)]

    def _leave_out(self, reason: str, where: str) -> None:
        self.left_out[reason] += 1
        self.first.setdefault(reason, where)

    def _fault(self, fault: RowError) -> None:
        self.read += 1
        reason = f"can't be read ({f'field {fault.field!r}: ' if fault.field else ''}{fault.reason})"
        self._leave_out(reason, f"{Path(fault.file).name} row {fault.row}")


@dataclass
class Loaded:
    """A training's data.

    Attributes:
        train: Rows to train on.
        evaluation: Rows to evaluate on, some sets of them by name, or None.
        sentences: What was read and left out.
        eta: The inverse temperature of the labels to train on; None of others than `er`.
    """

    train: Any
    evaluation: Any
    sentences: list[str]
    eta: float | None


def load_rows(recipe: TrainingRecipe, run: Path) -> Loaded:
    """Reads a recipe's data.

    Args:
        recipe: The recipe.
        run: Where the run of `data.run` lies.

    Raises:
        StepwardError: A source can't be read, or nothing in it can be trained on.
    """
    name = recipe.data.train or str(run)
    if recipe.data.labels is not None and not is_run(name):
        raise StepwardError(
            f"{name}: data.labels: {recipe.data.labels} are computed from a run's rollouts, and this is no run's "
            "folder; give one, or leave data.labels out to train on the labels that are there",
            code="conflict", file=name, field="data.labels",
        )  # fmt: skip
    eta = _eta(name, recipe.data)
    # Evaluated by the same, also where that is on another run.
    data = recipe.data.model_copy(update={"eta": eta if recipe.data.labels == "er" else None})
    train = Source(name, data, recipe.kind)
    sources = [train]
    if data.stream:
        rows: Any = _streamed(train.name, data, recipe.kind)
    else:
        rows = _filled(train)
    evaluation: Any = None
    if isinstance(data.eval, dict):
        named = {name: Source(source, data, recipe.kind) for name, source in data.eval.items()}
        evaluation = {name: _filled(source) for name, source in named.items()}
        sources += named.values()
    elif data.eval is not None:
        sources.append(Source(data.eval, data, recipe.kind))
        evaluation = _filled(sources[-1])
    elif data.held_out:
        rows, evaluation = _held_out(rows, data.held_out, train.name)
        if data.eval_labels is not None:
            measured = Source(train.name, data.model_copy(update={"labels": data.eval_labels}), recipe.kind)
            evaluation = _held_out(_filled(measured), data.held_out, train.name)[1]
    return Loaded(_prepared(rows, recipe), evaluation, [line for one in sources for line in one.sentences()], eta)


def _eta(name: str, data: Data) -> float | None:
    """The inverse temperature of the labels that are trained on: the one asked for, or a run's own."""
    if data.labels == "er":
        return load_run_recipe(Path(name.partition("#")[0])).labels.eta if data.eta is None else data.eta
    if data.labels is not None or not is_run(name):
        return None
    first = next(iter(read(name)), None)
    eta: float | None = orjson.loads(first.extra).get("eta") if isinstance(first, LabelledSolution) else None
    return eta


def relabelled(folder: Path, labels: str, eta: float | None) -> Iterator[tuple[str, LabelledSolution]]:
    """A run's solutions, labelled from its rollouts' counts, each with its id.

    Args:
        folder: The run's.
        labels: Which labels.
        eta: The inverse temperature of `er` labels; the run's own if not given.

    Raises:
        StepwardError: The run has no rollouts.
    """
    manifest, layout = Manifest.read(folder), Layout(folder)
    if not manifest.units("rollouts"):
        raise StepwardError(
            f"{folder}: no rollouts in it to compute {labels} labels from",
            code="unfinished",
            file=folder,
            field="data.labels",
        )
    recipe = load_run_recipe(folder)
    eta = recipe.labels.eta if eta is None else eta
    questions = {problem.id: problem.question for problem in layout.problems("reward")}
    for solutions, batch in labels_by_batch(recipe, layout, labels, eta):
        for solution, steps in zip(solutions, batch, strict=True):
            question = questions[solution.problem_id]
            yield solution.id, LabelledSolution(question, solution.steps, steps.labels, correct=solution.correct)


def step_rows(where: str, record: LabelledSolution) -> list[Row]:
    """A row a path of the record's steps; a label that paths share stands in the first of them alone."""
    _need_texts(record)
    return [
        {
            "id": where,
            "prompt": path.question,
            "completions": list(path.steps),
            "labels": list(path.labels),
            "neutral": list(path.neutral),
            "correct": path.correct,
        }
        for path in iter_branches(record, once=True)
    ]


def outcome_row(where: str, record: LabelledSolution) -> Row:
    """The record's whole solution with its grade: whether it is correct, or its last step's label."""
    _need_texts(record)
    if record.parents:
        raise _Unusable("it branches, so its grade is of no one solution")
    label = record.labels[-1] if record.correct is None else float(record.correct)
    if label is None:
        raise _Unusable("neither its grade nor its last step's label is given")
    return {
        "id": where,
        "prompt": record.question,
        "completions": list(record.steps),
        "label": label,
        "correct": record.correct,
    }


def preference_row(where: str, record: Preference, chat: bool | None) -> Row:
    """The record's answers as chat messages, or as texts."""
    margin = {} if record.margin is None else {"margin": record.margin}
    plain = is_plain(record.chosen)
    if plain and chat:
        raise _Unusable("it is plain text, and data.chat asks for chat")
    if not plain and chat is False:
        # A dialogue is one text in the way of hh-rlhf: a mark before each turn.
        write = FORMATS["hh-rlhf"].write
        assert write is not None
        return {**write(record, WriteOptions())[0], "id": where, **margin}
    said = {"prompt": record.prompt, "chosen": record.chosen, "rejected": record.rejected}
    return {"id": where, **{name: _said(turns, plain) for name, turns in said.items() if turns}, **margin}


def _said(turns: tuple[Message, ...], plain: bool) -> str | list[dict[str, str]]:
    if plain:
        return "".join(turn.content for turn in turns)
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _need_texts(record: LabelledSolution) -> None:
    if not record.steps:
        raise _Unusable("it has no steps")
    if not record.question.strip():
        raise _Unusable("its question is not parted from its first step")
    if any(not step.strip() for step in record.steps):
        raise _Unusable("it has an empty step")


def _filled(source: Source) -> list[Row]:
    rows = list(source.rows())
    if not rows:
        left = "".join(f"\n  {line}" for line in source.sentences())
        raise StepwardError(
            f"{source.name}: no rows to train kind {source.kind} on{left}", code="empty", file=source.name
        )
    return rows


def _held_out(rows: list[Row], share: float, name: str) -> tuple[list[Row], list[Row]]:
    """The rows whose problem stays, and those whose problem is kept for evaluation; a problem is never in both."""
    parts: tuple[list[Row], list[Row]] = ([], [])
    for row in rows:
        parts[int(question_id(_problem(row, name))[:8], 16) < share * 2**32].append(row)
    if not all(parts):
        raise StepwardError(
            f"{name}: held_out {share:g} leaves {'nothing to train' if parts[1] else 'no problem'} on",
            code="too_few",
            file=name,
            field="data.held_out",
        )
    return parts


def _problem(row: Row, name: str) -> str:
    """What tells the row's problem from others."""
    if row.get("prompt") is not None:
        return str(row["prompt"])
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if isinstance(chosen, list) and isinstance(rejected, list):
        turns = [tuple(Message(turn["role"], turn["content"]) for turn in said) for said in (chosen, rejected)]
        return str(split_system(Preference("", (), turns[0], turns[1])).prompt)
    if isinstance(chosen, str) and isinstance(rejected, str):
        return chosen[: next((at for at, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), None)]
    raise StepwardError(
        f"{name}: {row.get('id')} has no prompt to tell problems apart by; give eval, not held_out",
        code="missing",
        file=name,
        field="prompt",
    )


def _prepared(rows: Any, recipe: TrainingRecipe) -> Any:
    """The rows as a data set where several processes shall tokenise them."""
    if recipe.data.stream or (recipe.config.get("dataset_num_proc") or 1) < 2:
        return rows
    from datasets import Dataset

    return Dataset.from_list(rows)


def _streamed(name: str, data: Data, kind: str) -> Any:
    """Rows that are read as they are needed, shuffled among the next ones."""
    from datasets import IterableDataset

    return IterableDataset.from_generator(partial(_stream, name, data, kind)).shuffle(0, buffer_size=_SHUFFLED)


def _stream(name: str, data: Data, kind: str) -> Iterator[Row]:
    source = Source(name, data, kind)
    yield from source.rows()
    if not source.read or source.read == source.left_out.total():
        raise StepwardError(
            "\n  ".join([f"{name}: no rows to train kind {kind} on", *source.sentences()]), code="empty", file=name
        )
