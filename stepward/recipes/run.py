"""The one typed schema of a recipe. Every field has a default but the name; an unknown key is refused."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from stepward.credentials import holds_secret, is_variable
from stepward.generation.openai.client import checked_url


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise ValueError("a value stands twice")
    return values


Value = TypeVar("Value")
Positive = Annotated[int, Field(ge=1)]
Several = Annotated[tuple[Value, ...], Field(min_length=1), AfterValidator(_distinct)]
Kind = Literal["orm", "hard", "soft", "er", "oracle", "prm_process", "prm_outcome"]
BY_MODEL = ("prm_process", "prm_outcome")
"""Kinds of labels that another run's reward model gives."""


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
        reward: Problems whose solutions train the reward models; 0 only with `rewards.of`.
        validation: Problems on which aggregations are chosen; likewise.
        test: Problems on which everything is measured.
        set_aside: The largest share of a split's problems that may be set aside because the engine can't do them; of
            more, the run stops. It decides no record, so it may be raised for a run that stopped.
    """

    path: str = "arithmetic"
    question: str | None = None
    reference: str | None = None
    levels: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1)] = (1, 2, 3, 4, 5)
    tricky: Annotated[int, Field(ge=1, le=11)] = 11
    reward: Annotated[int, Field(ge=0)] = 300
    validation: Annotated[int, Field(ge=0)] = 60
    test: Positive = 240
    set_aside: Annotated[float, Field(ge=0, lt=1)] = 0.05


class Example(_Section):
    """A worked problem that is shown before the one to be solved.

    Attributes:
        question: The problem's text.
        solution: Its solution, a step a line.
    """

    question: str
    solution: str


class PromptConfig(_Section):
    """How a problem is put to a model.

    Attributes:
        chat: Whether the tokenizer's or server's chat template is used: for instruct models; base models go without.
        system: What the system turn says, or, without chat, what stands before everything.
        examples: Worked problems shown first (few-shot).
        question: The text that a question stands in, at `{question}`.
    """

    chat: bool = False
    system: str = ""
    examples: tuple[Example, ...] = ()
    question: str = "{question}"


class GeneratorConfig(_Section):
    """Who writes solutions or completions, and how they are drawn.

    Attributes:
        model: A local model folder, or `embedded`; for a server the model's name there.
        engine: `transformers`, `vllm` (on this machine), or `server` (any OpenAI-compatible one).
        url: The server's address up to `/v1`.
        key: The name of the environment variable that holds the server's key; the key itself never stands here.
        options: More of the engine's own settings (docs/engines.md names them).
        prompt: How a problem is put to it.
        temperature: Divides the logits.
        top_p: Keeps the most likely tokens of this total probability.
        max_new_tokens: The longest solution, in tokens.
        stop: Texts that end a solution.
    """

    model: str = "embedded"
    engine: Literal["transformers", "vllm", "server"] = "transformers"
    url: str | None = None
    key: str | None = None
    options: dict[str, Any] = {}
    prompt: PromptConfig = PromptConfig()
    temperature: Annotated[float, Field(ge=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_new_tokens: Positive = 128
    stop: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "GeneratorConfig":
        if (self.engine == "server") != (self.url is not None):
            raise ValueError("engine: server and url belong together; expected both or neither")
        if self.key is not None and self.engine != "server":
            raise ValueError("key is for engine: server")
        # Recipes are kept in manifests, and runs are shared.
        if self.key is not None and not is_variable(self.key):
            raise ValueError("key is the name of the environment variable that holds the server's key, never the key")
        if self.url is not None:
            checked_url(self.url)
        if holds_secret([self.model, self.url or "", self.options]):
            raise ValueError("a key stands in model, url or options; put it in an environment variable, named by key")
        if "{question}" not in self.prompt.question:
            raise ValueError("prompt.question has no {question} in it, where the problem's text goes")
        return self


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
        completer: `generator` for the one that wrote the solutions, or another model for the same engine.
        also: More completers by name, whose counts are kept apart and pooled when labels are made.
        completions: K, the most completions of each distinct prefix.
        stop: When a prefix has enough: `all` draws K; `first_right` stops at the first right one, which decides a hard
            label; `interval` stops where the share of right ones is known to within `error`.
        error: For `interval`: half the width of the interval.
        level: For `interval`: the chance that the share lies in it.
        search: Which prefixes: `every`; `first_error` looks for the first one from which no completion is right, by
            halves (OmegaPRM); `tree` is OmegaPRM's tree search.
        budget: For `tree`: how many completions a problem gets, `completions` at each state of its tree.
        temperature: Divides the logits.
        top_p: Keeps the most likely tokens of this total probability.
        unit: Problems whose rollouts are one unit of work, and one shard.
    """

    completer: str = "generator"
    also: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._]*$")], GeneratorConfig] = {}
    completions: Positive = 16
    stop: Literal["all", "first_right", "interval"] = "all"
    error: Annotated[float, Field(gt=0, lt=1)] = 0.2
    level: Annotated[float, Field(gt=0, lt=1)] = 0.9
    search: Literal["every", "first_error", "tree"] = "every"
    budget: Positive = 800
    temperature: Annotated[float, Field(ge=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    unit: Positive = 20


class Labels(_Section):
    """Which labels are made from the rollouts, and so which reward models are trained.

    Attributes:
        kinds: `orm` (the solution's grade), `hard`, `soft`, `er`, `oracle` (arithmetic world only), `prm_process` and
            `prm_outcome` (steps, or whole solutions, as another run's reward model judges them).
        eta: The entropy-regularised label's inverse temperature.
        by: For `prm_process` and `prm_outcome`: the reward model that judges, `RUN/KIND/seed-N`, where RUN is a run's
            folder, or the name of one beside this run's.
        right_from: For them: a step is right if its score is at least this, and a solution if all its steps are.
            `chosen` is the threshold by which that model finds most first errors on its own run's validation problems.
        after_first_error: What becomes of a wrong solution's steps after the first from which no completion was right:
            `keep` the labels they have, `drop` them, or `zero` them.
    """

    kinds: Several[Kind] = ("orm", "hard", "soft", "er")
    eta: Annotated[float, Field(gt=0)] = 2.0
    by: Annotated[str, Field(pattern=r"^.+/[a-z_]+/seed-[0-9]+$")] | None = None
    right_from: Annotated[float, Field(gt=0, le=1)] | Literal["chosen"] = 0.8
    after_first_error: Literal["keep", "drop", "zero"] = "keep"


class RewardTraining(_Section):
    """How reward models are trained.

    Attributes:
        base: A causal language model's folder to start from, or `generator`.
        seeds: One model a kind and seed; a seed decides the head's start and the order of the data.
        epochs: Passes over the training problems.
        learning_rate: Peak, with a cosine schedule.
        batch: Solutions a step; those of one problem come together.
        max_length: Longest solution with its problem, in tokens; a longer one is dropped and counted.
        of: Another run, whose reward models are used and none trained: its folder, or the name of one beside this
            run's. What that run chose on its validation problems is used as it is, so neither reward nor validation
            problems are needed here.
    """

    base: str = "generator"
    seeds: Several[Annotated[int, Field(ge=0)]] = (0, 1, 2, 3, 42)
    epochs: Positive = 2
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    batch: Positive = 32
    max_length: Positive = 1024
    of: str | None = None


class Evaluation(_Section):
    """What is measured.

    Attributes:
        ns: The N of best-of-N; none above `solutions.test`.
        subsets: Random subsets a problem and N, for voting.
    """

    ns: Several[Positive] = (1, 2, 4, 8, 16, 32, 64)
    subsets: Positive = 400


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
    generator: GeneratorConfig = GeneratorConfig()
    solutions: Solutions = Solutions()
    rollouts: Rollouts = Rollouts()
    labels: Labels = Labels()
    rewards: RewardTraining = RewardTraining()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if self.solutions.path is None and max(self.evaluation.ns) > self.solutions.test:
            raise ValueError(
                f"evaluation.ns goes to {max(self.evaluation.ns)}, but solutions.test draws {self.solutions.test}"
            )
        if self.rewards.of is None and not (self.problems.reward and self.problems.validation):
            raise ValueError(
                "problems.reward and problems.validation: expected at least 1 of each, found "
                f"{self.problems.reward} and {self.problems.validation}; only rewards.of needs none"
            )
        if self.rewards.of is None and bool(set(BY_MODEL) & set(self.labels.kinds)) != (self.labels.by is not None):
            raise ValueError(f"labels.by and labels.kinds {' or '.join(BY_MODEL)} belong together; expected both")
        shares = sorted({"soft", "er"} & set(self.labels.kinds))
        if self.rollouts.stop == "first_right" and shares:
            raise ValueError(
                f"rollouts.stop: first_right decides hard labels, and leaves {' and '.join(shares)} ones the first "
                "draw alone; take them out of labels.kinds, or use all or interval"
            )
        if "oracle" in self.labels.kinds and self.problems.path != "arithmetic":
            raise ValueError("labels.kinds: oracle needs problems.path: arithmetic, the only world with a checker")
        return self

    def fingerprint_fields(self) -> dict[str, Any]:
        """The recipe as JSON: what decides the run's records."""
        content = self.model_dump(mode="json", exclude={"problems": {"set_aside"}})
        # Fields that came later are left out where they are not used: a run from before them can be gone on with.
        if self.labels.by is None:
            del content["labels"]["by"], content["labels"]["right_from"]
        if self.rewards.of is None:
            del content["rewards"]["of"]
        return content
