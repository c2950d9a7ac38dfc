"""The one typed schema of a recipe. Every field has a default but the name; an unknown key is refused."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise ValueError("a value stands twice")
    return values


Value = TypeVar("Value")
Positive = Annotated[int, Field(ge=1)]
Several = Annotated[tuple[Value, ...], Field(min_length=1), AfterValidator(_distinct)]
Kind = Literal["orm", "hard", "soft", "er", "oracle"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Problems(_Section):
    """Where problems come from, and how many of each split.

    Attributes:
        path: A problems file (JSONL, JSON or Parquet), or `arithmetic` for the arithmetic world.
        question: The file's field with the question, where it can't be told.
        reference: The file's field with the reference answer, likewise.
        levels: Levels of the arithmetic world; a file's levels are all taken.
        tricky: How many of the arithmetic world's eleven tricky wordings of one person are used.
        reward: Problems whose solutions train the reward models.
        validation: Problems on which aggregations are chosen.
        test: Problems on which everything is measured.
    """

    path: str = "arithmetic"
    question: str | None = None
    reference: str | None = None
    levels: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1)] = (1, 2, 3, 4, 5)
    tricky: Annotated[int, Field(ge=1, le=11)] = 11
    reward: Positive = 300
    validation: Positive = 60
    test: Positive = 240


class Generator(_Section):
    """Who writes the solutions, and how they are drawn.

    Attributes:
        model: A local model folder, or `embedded`.
        temperature: Divides the logits.
        top_p: Keeps the most likely tokens of this total probability.
        max_new_tokens: The longest solution, in tokens.
    """

    model: str = "embedded"
    temperature: Annotated[float, Field(ge=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_new_tokens: Positive = 128


class Solutions(_Section):
    """How many solutions a problem gets, by split; or where published ones are.

    Attributes:
        path: A file of published solutions with its problems; nothing is sampled then, and `problems.path` is not read.
        reward: Draws a problem that trains the reward models.
        validation: Draws a validation problem.
        test: Draws a test problem.
        unit: Problems whose solutions are one unit of work, and one shard.
    """

    path: str | None = None
    reward: Positive = 15
    validation: Positive = 16
    test: Positive = 64
    unit: Positive = 40


class Rollouts(_Section):
    """How prefixes are completed.

    Attributes:
        completer: A local model folder, or `generator` for the one that wrote the solutions.
        completions: K, the completions of each distinct prefix.
        temperature: Divides the logits.
        top_p: Keeps the most likely tokens of this total probability.
        unit: Problems whose rollouts are one unit of work, and one shard.
    """

    completer: str = "generator"
    completions: Positive = 16
    temperature: Annotated[float, Field(ge=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    unit: Positive = 20


class Labels(_Section):
    """Which labels are made from the rollouts, and so which reward models are trained.

    Attributes:
        kinds: `orm` (the solution's grade), `hard`, `soft`, `er`, `oracle` (arithmetic world only).
        eta: The entropy-regularised label's inverse temperature.
    """

    kinds: Several[Kind] = ("orm", "hard", "soft", "er")
    eta: Annotated[float, Field(gt=0)] = 2.0


class Rewards(_Section):
    """How reward models are trained.

    Attributes:
        base: A causal language model's folder to start from, or `generator`.
        seeds: One model a kind and seed; a seed decides the head's start and the order of the data.
        epochs: Passes over the training problems.
        learning_rate: Peak, with a cosine schedule.
        batch: Solutions a step; those of one problem come together.
        max_length: Longest solution with its problem, in tokens; a longer one is dropped and counted.
    """

    base: str = "generator"
    seeds: Several[Annotated[int, Field(ge=0)]] = (0, 1, 2, 3, 42)
    epochs: Positive = 2
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    batch: Positive = 32
    max_length: Positive = 1024


class Evaluation(_Section):
    """What is measured.

    Attributes:
        ns: The N of best-of-N; none above `solutions.test`.
        subsets: Random subsets a problem and N, for voting.
    """

    ns: Several[Positive] = (1, 2, 4, 8, 16, 32, 64)
    subsets: Positive = 200


class Recipe(_Section):
    """A complete, named run.

    Attributes:
        name: Names the run's folder.
        about: What it is, in a line.
        seed: Decides everything random before training.
        grader: Says whether an answer equals the reference: math, exact, string, multiple_choice or module:function.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    about: str = ""
    seed: int = 0
    grader: str = "math"
    problems: Problems = Problems()
    generator: Generator = Generator()
    solutions: Solutions = Solutions()
    rollouts: Rollouts = Rollouts()
    labels: Labels = Labels()
    rewards: Rewards = Rewards()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if self.solutions.path is None and max(self.evaluation.ns) > self.solutions.test:
            raise ValueError(
                f"evaluation.ns goes to {max(self.evaluation.ns)}, but solutions.test draws {self.solutions.test}"
            )
        if "oracle" in self.labels.kinds and self.problems.path != "arithmetic":
            raise ValueError("labels.kinds: oracle needs problems.path: arithmetic, the only world with a checker")
        return self

    def decisive(self) -> dict[str, Any]:
        """The recipe as JSON: what decides the run's records."""
        return self.model_dump(mode="json")
