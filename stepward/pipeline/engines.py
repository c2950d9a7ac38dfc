"""The engine that a recipe's section names, made once a process: loading a model takes longer than a small unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from stepward.errors import StepwardError
from stepward.generation.interface import Completion, Prompt, Sampling, Usage
from stepward.generation.interface import Generator as Engine
from stepward.generation.prompts import PromptTemplate
from stepward.recipes.run import GeneratorConfig, Recipe
from stepward.storage.parquet import json_hash
from stepward.storage.run_dir import Layout

GENERATOR = "generator"
"""What `rollouts.completer` says where the solutions' generator completes them."""


def completers(recipe: Recipe) -> dict[str, GeneratorConfig]:
    """The sections of all that complete prefixes, by name; the first is `rollouts.completer`, whose name is empty."""
    rollouts = recipe.rollouts
    drawn = {"temperature": rollouts.temperature, "top_p": rollouts.top_p}
    other = {} if rollouts.completer == GENERATOR else {"model": rollouts.completer}
    return {"": recipe.generator.model_copy(update=drawn | other), **rollouts.also}


def build_sampling(section: GeneratorConfig) -> Sampling:
    """How a section draws."""
    return Sampling(section.temperature, section.top_p, section.max_new_tokens, section.stop)


def derive_seed(seed: int, name: str) -> int:
    """The seed of a completer's draws: each its own, or two that are alike would draw the same and be counted twice."""
    return int(json_hash([seed, name]), 16) if name else seed


def make_engine(section: GeneratorConfig, field: str) -> Engine:
    """The engine of a section.

    Args:
        section: Which model, and by what it is run.
        field: The section's name in the recipe, for errors.

    Raises:
        StepwardError: The model can't be loaded, or the server can't be reached; names the field.
    """
    settings = section.model_dump(include={"model", "engine", "url", "key", "options", "prompt"}, mode="json")
    try:
        return _made(GeneratorConfig.model_validate(settings).model_dump_json())
    except StepwardError as error:
        where = f"{field}.{error.field}" if error.field else field
        raise StepwardError(f"{field}: {error}", code=error.code, file=error.file, field=where) from error


def try_prefixes(recipe: Recipe, questions: Sequence[str]) -> None:
    """Finds out before any solution is paid for whether the servers that are to complete prefixes go on from them.

    Raises:
        StepwardError: One does not; names the field.
    """
    for name, section in completers(recipe).items():
        if section.engine == "server":
            engine: Any = make_engine(section, completer_field(recipe, name))
            engine.try_prefixes(questions, build_sampling(section))


def completer_field(recipe: Recipe, name: str) -> str:
    """The section of a completer by its name in `completers`."""
    if name:
        return f"rollouts.also.{name}"
    return "generator" if recipe.rollouts.completer == GENERATOR else "rollouts.completer"


@dataclass(frozen=True, slots=True)
class NamedEngine:
    """An engine under the name that a recipe gives it, so that two completers' counts can be told apart."""

    engine: Engine
    name: str

    @property
    def meter(self) -> Usage:
        """The engine's."""
        return self.engine.meter

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        """As the engine does."""
        return self.engine.complete(prompts, sampling, seed)


@lru_cache(maxsize=2)
def _made(settings: str) -> Engine:
    section = GeneratorConfig.model_validate_json(settings)
    examples = tuple((one.question, one.solution) for one in section.prompt.examples)
    prompting = PromptTemplate(section.prompt.chat, section.prompt.system, examples, section.prompt.question)
    if section.engine == "server":
        from stepward.generation.openai.engine import ServerGenerator

        assert section.url is not None, "the schema asks for it"
        return ServerGenerator(section.url, section.model, section.key, prompting, **section.options)
    folder = Layout.model(section.model)
    if section.engine == "vllm":
        from stepward.generation.vllm import VLLMGenerator

        return VLLMGenerator(folder, prompting, **section.options)
    from stepward.generation.local.engine import LocalGenerator

    return LocalGenerator(folder, prompting, **section.options)
