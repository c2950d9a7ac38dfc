"""The model card of a trained reward model: what it is, what it was trained on, what it came to, how to load it."""

from pathlib import Path
from typing import Any

import yaml

from stepward import __version__
from stepward.hub import hub_name
from stepward.recipes.training import TrainingRecipe
from stepward.storage.run_dir import EMBEDDED

_KINDS = {"prm": "process reward model", "orm": "outcome reward model", "bt": "Bradley-Terry reward model"}
_CLASSES = {"linear": "TokenClassification", "label_tokens": "CausalLM"}


def write_card(recipe: TrainingRecipe, facts: dict[str, Any], folder: Path) -> None:
    """Writes `README.md` into a model's folder."""
    (folder / "README.md").write_text(card(recipe, facts), encoding="utf-8")


def card(recipe: TrainingRecipe, facts: dict[str, Any]) -> str:
    """The card's text: a head that the hub reads, then Markdown."""
    head: dict[str, Any] = {"library_name": "transformers", "tags": ["stepward", "reward-model", recipe.kind]}
    if recipe.model != EMBEDDED and (of_hub := hub_name(recipe.model)):
        head["base_model"] = of_hub.name
    auto = "SequenceClassification" if recipe.kind == "bt" else _CLASSES[recipe.config.get("head", "linear")]
    counts = [
        f"- {name}: {sum(fates.values()):,} rows ({', '.join(f'{fate} {count:,}' for fate, count in fates.items())})"
        if fates
        else f"- {name}: streamed"
        for name, fates in facts["rows"].items()
    ]
    figures = [f"| {name} | {value:.4f} |" for name, value in facts["metrics"].items()]
    content = recipe.model_dump(mode="json", exclude={"grid"})
    labels = [] if facts["eta"] is None else ["", f"ER labels of inverse temperature (eta) {facts['eta']:g}."]
    if recipe.data.labels == "er":
        content["data"]["eta"] = facts["eta"]
    said = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---",
        f"# {recipe.name}",
        f"A {_KINDS[recipe.kind]} started from `{recipe.model}`. {recipe.about}".rstrip(),
        f"Trained with Stepward {__version__}: {facts['steps']:,} steps, {facts['seconds']:.0f} s.",
        "## Data",
        "\n".join([f"From `{recipe.data.train or 'a run of its own'}`.", "", *counts, *labels]),
        *(["## Evaluation", "\n".join(["| figure | value |", "| --- | --- |", *figures])] if figures else []),
        "## Use",
        f"```python\nimport transformers\n\nmodel = transformers.AutoModelFor{auto}.from_pretrained(PATH)\n```",
        "`stepward_reward_model.json` says how a solution is rendered and which tokens are scored; "
        "`stepward.load_scorer(PATH)` does both."
        if recipe.kind != "bt"
        else "The reward of an answer is the one logit at its last token.",
        "## Recipe",
        f"```yaml\n{said}```",
    ]
    return "\n\n".join(parts) + "\n"
