"""Scores solutions with a trained reward model: `load_scorer(path).score(problem, steps)`."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import PreTrainedModel

from stepward.errors import StepwardError
from stepward.models import load_tokenizer
from stepward.records import Problem, Scores, Solution, join_steps, split_steps
from stepward.rendering import Rendered, Renderer
from stepward.reward_models.data.answer_tokens import answer_tokens, as_trained
from stepward.reward_models.heads import attach, margins, probabilities
from stepward.reward_models.model_dir import ModelMetadata, load_model, read_metadata
from stepward.reward_models.packing import attention
from stepward.reward_models.packing.layout import pack_batch

BATCH_TOKENS = 8192
"""Tokens of the solutions read at once, each counted alone; one solution may have more."""


Dtype = Literal["float32", "bfloat16", "float16"]
DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

Pairs = Sequence[tuple[str, Sequence[str | Sequence[str]]]]
"""Questions, each with its solutions: steps, or a text whose lines are its steps."""

_Placed = tuple[int, int, Rendered]
"""A solution's problem, its place among the problem's, and its tokens."""


@dataclass(frozen=True, slots=True)
class SolutionScore:
    """A solution's scores.

    Attributes:
        steps: A score in [0, 1] a step: at its last token, the probability that all is right so far. Of a
            Bradley-Terry model one score in all.
    """

    steps: tuple[float, ...]

    @property
    def min(self) -> float:
        """The lowest step's score (Math-Shepherd, ER-PRM)."""
        return min(self.steps)

    @property
    def prod(self) -> float:
        """The product of the steps' scores (Let's Verify Step by Step)."""
        return math.prod(self.steps)

    @property
    def last(self) -> float:
        """The last step's score: what an ORM is read by."""
        return self.steps[-1]

    @property
    def mean(self) -> float:
        """The mean of the steps' scores."""
        return math.fsum(self.steps) / len(self.steps)


class Scorer:
    """A reward model that is ready to score. Scores don't depend on what else is scored, to about 1e-6.

    Attributes:
        description: What the model is.
        batch_tokens: Tokens of the solutions read at once; may be changed.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: Any, description: ModelMetadata) -> None:
        """Takes a model with its head attached, in evaluation mode, on the device where it is to run."""
        self.description = description
        self.batch_tokens = BATCH_TOKENS
        self._model = model
        self._tokenizer = tokenizer
        self._renderer = Renderer(tokenizer, description.rendering)
        self._whole = description.head.kind == "scalar" or description.form == "solution"
        self._share = description.share_prefixes
        self._positions = getattr(model.config, "max_position_embeddings", None) or math.inf
        self._known_tokens = int(model.get_input_embeddings().weight.shape[0])  # type: ignore[index]

    def score(self, problem: str, steps: str | Sequence[str]) -> SolutionScore:
        """Scores one solution, or a prefix of one.

        A Bradley-Terry model gives one score, the logistic function of its reward for the problem's text and the steps
        as one answer, both written as its training rows were: as turns, where those were dialogues. So does an outcome
        model that was trained on solutions in one text.

        Args:
            problem: The question's text.
            steps: The steps' texts, at least one; or the solution's text, whose lines are its steps.

        Raises:
            StepwardError: No steps, a step without text, or more tokens than the model has positions.
        """
        return self.score_many([(problem, [steps])])[0][0]

    def reward(self, prompt: str | list[dict[str, str]] | None, answer: str | list[dict[str, str]]) -> float:
        """The reward of one answer by a Bradley-Terry model: any number; differences for one prompt mean something.

        Args:
            prompt: Text, or messages with `role` and `content`; None for none. It is written as the model's training
                rows were: text becomes turns where those were dialogues or chat.
            answer: Of the same kind.

        Raises:
            StepwardError: It is a model of steps, or the texts can't be written as its training rows were.
        """
        if self.description.head.kind != "scalar":
            raise StepwardError(f"{self.description.name} scores steps: call score", code="unsupported", field="model")
        return float(self._logits([self._answer(prompt, answer)])[0, 0])

    def score_many(
        self,
        pairs: Pairs,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[SolutionScore]]:
        """Scores many solutions of many problems; what a problem's solutions share is read once.

        Args:
            pairs: Each a question's text and its solutions, each as `score` takes one.
            progress: Told after each batch: solutions done, solutions in all.

        Returns:
            `[problem][solution]`, in the order given.

        Raises:
            StepwardError: As `score`.
        """
        found = self._read_many(pairs, self._probabilities, progress)
        return [[SolutionScore(steps) for steps in group] for group in found]

    def reward_many(
        self,
        pairs: Pairs,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[float]]:
        """The rewards of many solutions, as `score_many`: log-odds, any numbers, which unlike chances never tie at 1.

        Raises:
            StepwardError: It is a model of steps, or as `score`.
        """
        if not self._whole:
            raise StepwardError(
                f"{self.description.name} scores steps: call score_many", code="unsupported", field="model"
            )
        found = self._read_many(pairs, self._rewards, progress)
        return [[reward for (reward,) in group] for group in found]

    def _read_many(
        self,
        pairs: Pairs,
        read: Callable[[Sequence[Rendered]], list[tuple[float, ...]]],
        progress: Callable[[int, int], None] | None,
    ) -> list[list[tuple[float, ...]]]:
        """What a batch is read as, `[problem][solution]`, in the order given."""
        rendered = [
            (index, member, self._render(question, self._steps(steps)))
            for index, (question, solutions) in enumerate(pairs)
            for member, steps in enumerate(_several(solutions))
        ]
        placed: dict[tuple[int, int], tuple[float, ...]] = {}
        for batch in self._batches(rendered):
            found = read([one for _, _, one in batch])
            placed.update(((index, member), steps) for (index, member, _), steps in zip(batch, found, strict=True))
            if progress is not None:
                progress(len(placed), len(rendered))
        return [[placed[index, member] for member in range(len(group))] for index, (_, group) in enumerate(pairs)]

    def score_solutions(
        self,
        problems: Sequence[Problem],
        solutions: Sequence[Solution],
        model_name: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Scores]:
        """Scores solution records.

        Args:
            problems: The solutions' problems; others are not used.
            solutions: What to score, in any order.
            model_name: What the scores are filed under; `<kind>/seed-<seed>` where it is not given.
            progress: As in `score_many`.

        Returns:
            One `Scores` a solution, in the solutions' order.

        Raises:
            StepwardError: As `score`, or a solution without its problem; names the solution.
        """
        questions = {problem.id: problem.question for problem in problems}
        groups: dict[str, list[int]] = defaultdict(list)
        for index, solution in enumerate(solutions):
            if solution.problem_id not in questions:
                raise StepwardError(
                    f"solution {solution.id}: its problem {solution.problem_id!r} is not among the problems",
                    code="missing",
                    field="problem_id",
                )
            groups[solution.problem_id].append(index)
        pairs: Pairs = [(questions[id_], [solutions[index].steps for index in group]) for id_, group in groups.items()]
        found: dict[int, SolutionScore] = {}
        for group, scores in zip(groups.values(), self.score_many(pairs, progress), strict=True):
            found.update(zip(group, scores, strict=True))
        name = model_name or self.description.name
        return [
            Scores(solution.id, solution.problem_id, name, found[index].steps)
            for index, solution in enumerate(solutions)
        ]

    def tokens(self, problem: str, steps: str | Sequence[str]) -> int:
        """How many tokens a solution is read as; raises as `score`, and computes no score."""
        return len(self._render(problem, self._steps(steps)).ids)

    def _steps(self, solution: str | Sequence[str]) -> Sequence[str]:
        """A solution's steps; a text's are its lines, or all of it where it has one score."""
        if not isinstance(solution, str):
            return solution
        return (solution,) if self._whole else split_steps(solution)

    def _render(self, question: str, steps: Sequence[str]) -> Rendered:
        if self.description.head.kind == "scalar":
            return self._answer(question, join_steps([*steps]))
        if self._whole and steps:
            steps = [join_steps([*steps])]
        return self._fitting(self._renderer.solution(question, steps), question)

    def _answer(self, prompt: Any, answer: Any) -> Rendered:
        """A Bradley-Terry model's question and answer, written as its training rows were."""
        gap = self.description.rendering.question_separator
        ids = tuple(answer_tokens(self._tokenizer, *as_trained(prompt, answer, self.description.form, gap)))
        return self._fitting(Rendered(ids, (0,), (len(ids) - 1,)), str(prompt))

    def _fitting(self, rendered: Rendered, question: str) -> Rendered:
        if len(rendered.ids) > self._positions:
            raise StepwardError(
                f"a solution has {len(rendered.ids)} tokens, more than the model's {self._positions} positions: "
                f"it can't be scored whole. Its question begins {question[:80]!r}.",
                code="too_large",
                field="steps",
            )
        if (highest := max(rendered.ids)) >= self._known_tokens:
            raise StepwardError(
                f"the model knows {self._known_tokens} tokens but its tokenizer gives id {highest}: they don't belong "
                "together",
                code="mismatch",
                field="tokenizer",
            )
        return rendered

    def _batches(self, rendered: Sequence[_Placed]) -> Iterator[list[_Placed]]:
        """Solutions of a problem together where they may share, those of one length together where they may not."""
        if not self._share:
            rendered = sorted(rendered, key=lambda one: len(one[2].ids))
        batch: list[_Placed] = []
        tokens = 0
        for one in rendered:
            # With padding a batch takes what its longest, and so its last, would take in each row.
            size = len(one[2].ids) if self._share else len(one[2].ids) * (len(batch) + 1) - tokens
            if batch and tokens + size > self.batch_tokens:
                yield batch
                batch, tokens, size = [], 0, len(one[2].ids)
            batch.append(one)
            tokens += size
        if batch:
            yield batch

    @torch.inference_mode()
    def _logits(self, rendered: Sequence[Rendered]) -> torch.Tensor:
        """Logits `[step in all, class]`, one solution's after another's, on the CPU."""
        laid = pack_batch([one.ids for one in rendered], "branches" if self._share else "padded", self._share)
        marks = np.concatenate([places[list(one.ends)] for places, one in zip(laid.places, rendered, strict=True)])
        inputs = {name: value.to(self._model.device) for name, value in laid.inputs.items()}
        found: torch.Tensor = self._model(**inputs, marks=torch.from_numpy(marks).to(self._model.device)).logits
        return found.float().cpu()

    def _probabilities(self, rendered: Sequence[Rendered]) -> list[tuple[float, ...]]:
        """Each solution's scores, a step each."""
        return self._parted(rendered, probabilities(self._logits(rendered)))

    def _rewards(self, rendered: Sequence[Rendered]) -> list[tuple[float, ...]]:
        """Each solution's log-odds."""
        return self._parted(rendered, margins(self._logits(rendered)))

    def _parted(self, rendered: Sequence[Rendered], scores: torch.Tensor) -> list[tuple[float, ...]]:
        if not bool(torch.isfinite(scores).all()):
            raise StepwardError(
                f"the reward model {self.description.name} gives scores that are not numbers: train it again",
                code="not_finite",
                field="scores",
            )
        parts = torch.split(scores, [len(one.ends) for one in rendered])
        return [tuple(part.tolist()) for part in parts]


def _several(solutions: Sequence[str | Sequence[str]]) -> Sequence[str | Sequence[str]]:
    """Refuses one text in the place of several solutions: each of its characters would be one."""
    if isinstance(solutions, str):
        raise StepwardError(
            f"a question's solutions are one text ({solutions[:40]!r}): expected a list of solutions",
            code="wrong_type",
            field="pairs",
        )
    return solutions


def load_scorer(path: str | Path, device: str | None = None, dtype: Dtype = "float32") -> Scorer:
    """Loads a reward model that one of the trainers wrote.

    Args:
        path: The model's folder.
        device: Where to run it, as torch names devices; a GPU where there is one, if not given.
        dtype: Of the weights; bfloat16 halves the memory, and moves scores in their third digit.

    Raises:
        StepwardError: The path is not a finished reward model, or there is no such dtype.
    """
    if dtype not in DTYPES:
        raise StepwardError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}", code="bad_value", field="dtype")
    folder = Path(path)
    description = read_metadata(folder)
    tokenizer = load_tokenizer(folder)
    model = load_model(folder, description.head, dtype=DTYPES[dtype]).train(False)
    attach(model, description.head, tokenizer)
    model.set_attn_implementation(attention.NAME)
    model.to(torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")))
    return Scorer(model, tokenizer, description)
