"""Scores solutions with a trained reward model: `load_scorer(path).score(problem, steps)`."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from stepward.errors import StepwardError
from stepward.models import load_tokenizer
from stepward.records import Problem, Scores, Solution
from stepward.rendering import Rendered, Renderer
from stepward.rewards.batching import tokens_tensor
from stepward.rewards.folder import Description, load_model, read_description
from stepward.rewards.packing import Tree, grow

_MAX_TOKENS = 512
_BATCH_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class SolutionScore:
    """A solution's scores.

    Attributes:
        steps: A score in [0, 1] a step: at its last token, the probability that all is right so far.
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
    """

    def __init__(self, model: PreTrainedModel, renderer: Renderer, description: Description) -> None:
        """Takes a model in evaluation mode, on the device where it is to run."""
        self.description = description
        self._model = model
        self._renderer = renderer
        self._positions = getattr(model.config, "max_position_embeddings", None) or math.inf

    def score(self, problem: str, steps: Sequence[str]) -> SolutionScore:
        """Scores one solution, or a prefix of one.

        Args:
            problem: The question's text.
            steps: The steps' texts, at least one.

        Raises:
            StepwardError: No steps, a step without text, or more tokens than the model has positions.
        """
        return self.score_many([(problem, [steps])])[0][0]

    def score_many(
        self,
        pairs: Sequence[tuple[str, Sequence[Sequence[str]]]],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[SolutionScore]]:
        """Scores many solutions of many problems; what a problem's solutions share is read once.

        Args:
            pairs: Each a question's text and its solutions' steps.
            progress: Told after each batch: trees done, trees in all.

        Returns:
            `[problem][solution]`, in the order given.

        Raises:
            StepwardError: As `score`.
        """
        rendered = [[self._render(question, steps) for steps in solutions] for question, solutions in pairs]
        share = self.description.share_prefixes
        trees = [(index, tree) for index, group in enumerate(rendered) for tree in grow(group, _MAX_TOKENS, share)]
        scores: list[dict[int, SolutionScore]] = [{} for _ in pairs]
        done = 0
        for batch in _batches(trees):
            for (index, tree), row in zip(batch, self._probabilities([tree for _, tree in batch]), strict=True):
                for member, path in zip(tree.members, tree.paths, strict=True):
                    ends = path[list(rendered[index][member].ends)]
                    scores[index][member] = SolutionScore(tuple(row[ends].tolist()))
            done += len(batch)
            if progress is not None:
                progress(done, len(trees))
        return [[group[member] for member in range(len(group))] for group in scores]

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
                    f"solution {solution.id}: its problem {solution.problem_id!r} is not among the problems"
                )
            groups[solution.problem_id].append(index)
        pairs = [(questions[id_], [solutions[index].steps for index in group]) for id_, group in groups.items()]
        found: dict[int, SolutionScore] = {}
        for group, scores in zip(groups.values(), self.score_many(pairs, progress), strict=True):
            found.update(zip(group, scores, strict=True))
        name = model_name or self.description.name
        return [
            Scores(solution.id, solution.problem_id, name, found[index].steps)
            for index, solution in enumerate(solutions)
        ]

    def _render(self, question: str, steps: Sequence[str]) -> Rendered:
        rendered = self._renderer.solution(question, steps)
        if len(rendered.ids) > self._positions:
            raise StepwardError(
                f"a solution has {len(rendered.ids)} tokens, more than the model's {self._positions} positions: "
                f"it can't be scored whole. Its question begins {question[:80]!r}."
            )
        return rendered

    @torch.inference_mode()
    def _probabilities(self, trees: Sequence[Tree]) -> torch.Tensor:
        """Scores `[tree, token]` on the CPU."""
        batch = tokens_tensor(trees, self.description.share_prefixes)
        logits = self._model(**{key: value.to(self._model.device) for key, value in batch.items()}).logits
        scores = torch.sigmoid(logits[..., 0].float()).cpu()
        if not bool(torch.isfinite(scores).all()):
            raise StepwardError(
                f"the reward model {self.description.name} gives scores that are not numbers: train it again"
            )
        return scores


def _batches(trees: Sequence[tuple[int, Tree]]) -> list[list[tuple[int, Tree]]]:
    """Trees of similar length together, within a bound on the padded tokens."""
    batches: list[list[tuple[int, Tree]]] = []
    for pair in sorted(trees, key=lambda pair: len(pair[1].ids)):
        if batches and (len(batches[-1]) + 1) * len(pair[1].ids) <= _BATCH_TOKENS:
            batches[-1].append(pair)
        else:
            batches.append([pair])
    return batches


def load_scorer(path: str | Path, device: str | None = None) -> Scorer:
    """Loads a reward model that `train_reward_model` wrote.

    Args:
        path: The model's folder.
        device: Where to run it, as torch names devices; a GPU where there is one, if not given.

    Raises:
        StepwardError: The path is not a finished reward model.
    """
    folder = Path(path)
    description = read_description(folder)
    renderer = Renderer(load_tokenizer(folder), description.rendering)
    model = load_model(folder).train(False)
    model.to(torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")))
    return Scorer(model, renderer, description)
