"""What `stepward plan` says of a run's recipe: completions, tokens, hours, bytes and money, scaled from a sample."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from stepward.cli.program import echo

if TYPE_CHECKING:
    from stepward.pipeline.plan_rollouts import RolloutPlan
    from stepward.planning.gpus import GPUSpec
    from stepward.recipes.run import Recipe

UTILISATION = 0.1
"""Share of a card's matrix rate that decoding large batches is assumed to reach; memory's bandwidth bounds it."""


def is_run(words: list[str]) -> bool:
    """Whether what is to be planned is a run's recipe, and not a training's."""
    from stepward.recipes.loading import named_recipes
    from stepward.recipes.yaml_files import read_yaml

    first = words[0] if words else ""
    if first in named_recipes():
        return True
    if Path(first).suffix not in (".yaml", ".yml"):
        return False
    content = read_yaml(Path(first), f"recipe {first}")
    return not {"kind", "like", "model", "data"} & content.keys()


def plan_run(
    words: list[str], sample: int, card: "GPUSpec", gpus: int, mfu: float, price: float | None, as_json: bool
) -> None:
    """Measures a sample of the recipe's rollouts and says what all of it takes."""
    from stepward.models import quiet
    from stepward.pipeline.plan_rollouts import plan_rollouts
    from stepward.recipes.loading import load_recipe

    recipe = load_recipe(words[0], words[1:])
    console = Console(stderr=as_json)
    with console.status(f"drawing the rollouts of {sample} problems"), quiet():
        plan = plan_rollouts(recipe, sample)
    found = _facts(recipe, plan, card, gpus, mfu, price)
    if as_json:
        echo(json.dumps(found))
    else:
        _show(console, found)


def _facts(
    recipe: "Recipe", plan: "RolloutPlan", card: "GPUSpec", gpus: int, mfu: float, price: float | None
) -> dict[str, Any]:
    flops = sum(
        2 * _parameters(model) * (plan.computed[model] + plan.prefilled[model])
        for model in plan.computed
        if _parameters(model)
    )
    hours = flops / (card.tflops * 1e12 * mfu * gpus) / 3600
    return {
        "recipe": recipe.name,
        "sampled": plan.sampled,
        "problems": plan.problems,
        "amounts": {name: {"total": one.total, "low": one.low, "high": one.high} for name, one in plan.amounts.items()},
        "computed": sum(plan.computed.values()),
        "prefilled": sum(plan.prefilled.values()),
        "bytes": plan.bytes,
        "worker_hours_here": plan.seconds / 3600,
        "card": card.name,
        "gpus": gpus,
        "utilisation": mfu,
        "flops": flops,
        "hours": hours if flops else None,
        "cost": plan.cost + (price or 0.0) * hours * gpus,
    }


def _parameters(model: str) -> int:
    """A local model's weights; 0 where they can't be counted, as on a server."""
    from safetensors import safe_open

    from stepward.storage.run_dir import Layout

    count = 0
    for path in sorted(Layout.model(model).glob("*.safetensors")):
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 - it is no dictionary
                size = 1
                for length in file.get_slice(name).get_shape():
                    size *= length
                count += size
    return count


def _show(console: Console, found: dict[str, Any]) -> None:
    echo(f"{found['recipe']}: {found['problems']:,} problems, from {found['sampled']} of them that were drawn now")
    table = Table()
    for title in ("", "in all", "95% interval"):
        table.add_column(title, justify="left" if not title else "right")
    names = {"solutions": "distinct solutions", "prefixes": "prefixes", "generated": "tokens of completions"}
    for name, one in found["amounts"].items():
        table.add_row(names.get(name, name), f"{one['total']:,.0f}", f"{one['low']:,.0f} to {one['high']:,.0f}")
    table.add_row("positions decoded", f"{found['computed']:,.0f}", "")
    table.add_row("tokens of prefixes read", f"{found['prefilled']:,.0f}", "")
    console.print(table)
    echo(f"on this machine  {found['worker_hours_here']:.2f} hours of one worker (measured and scaled)")
    if found["hours"] is not None:
        echo(
            f"on {found['gpus']} x {found['card']}  {found['hours']:.3g} hours at {found['utilisation']:.0%} of the "
            f"rate (assumed), {found['flops']:.3g} operations"
        )
    echo(f"on the disc      {found['bytes'] / 1e6:,.1f} MB of shards")
    if found["cost"]:
        echo(f"cost             {found['cost']:,.2f}")
