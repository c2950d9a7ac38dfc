"""The verb `plan`: what a training needs on a card, said before it is started, and refused where it can't fit."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stepward.cli.planning_rollouts import UTILISATION, is_run, plan_run
from stepward.cli.program import app, echo
from stepward.errors import StepwardError

if TYPE_CHECKING:
    from stepward.planning.gpus import GPUSpec
    from stepward.planning.memory import MemoryEstimate, TrainingSetup
    from stepward.recipes.training import TrainingRecipe
    from stepward.reward_models.configs import BaseRewardConfig

GIB = 2**30

_PARTS = ("weights", "gradients", "optimiser", "activations", "reserve", "total")
_ROWS = ("rows", "counted", "kept", "useful", "computed")

_UTILISATION = 0.4
"""Share of a card's matrix rate that training is assumed to reach."""

_NO_DATA = "-"
"""Stands for the data in a plan without any."""


@app.command()
def plan(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RECIPE] [KEY=VALUE]...", help="As `stepward train` takes them."),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="prm, orm or bt.")] = None,
    model: Annotated[
        str | None, typer.Option(help="A folder, a config.json, a known model's name, or embedded.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="What would be trained on.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="The rows' format; guessed if not given.")] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file of options.")] = None,
    card: Annotated[str, typer.Option(help="The GPU, such as rtx-4090, a100-80gb, h100.")] = "rtx-4090",
    memory: Annotated[float | None, typer.Option(help="GiB of a GPU that is not known, or is shared.")] = None,
    tflops: Annotated[float | None, typer.Option(help="Its dense bf16 rate, in 10^12 operations a second.")] = None,
    gpus: Annotated[int, typer.Option(min=1, help="How many of them.")] = 1,
    sharding: Annotated[str, typer.Option(help="none, zero1, zero2, zero3 or fsdp.")] = "none",
    tokens: Annotated[float | None, typer.Option(help="Computed tokens of an epoch, instead of counting them.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Rows that are tokenised to count tokens.")] = 1000,
    mfu: Annotated[
        float | None, typer.Option(help="Share of the card's rate that is assumed; .4 in training, .1 in decoding.")
    ] = None,
    reserve: Annotated[float, typer.Option(help="GiB for the CUDA context and what can't be used.")] = 1.0,
    sample: Annotated[int, typer.Option(min=2, help="For a run's recipe: problems that are drawn to measure.")] = 20,
    price: Annotated[float | None, typer.Option(help="For a run's recipe: an hour of one card, in money.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what a training, or a run's rollouts, need on a card; exit code 1 where a training doesn't fit."""
    if mfu is not None and not 0 < mfu <= 1:
        raise StepwardError(
            f"--mfu: expected a share above 0 and at most 1, found {mfu:g}", code="bad_value", field="--mfu"
        )
    if is_run(words or []):
        plan_run(words or [], sample, _card(card, memory, tflops), gpus, mfu or UTILISATION, price, as_json)
        return
    from stepward.cli.training import recipe_of
    from stepward.pipeline.training.options import checked
    from stepward.planning.model_shapes import check_model

    options = [word for word in words or [] if "=" in word]
    if len(options) == len(words or []) and not any(word.startswith("data.") for word in options):
        data = data or _NO_DATA
    given = {"kind": kind, "model": model, "data.train": data, "data.format": form}
    recipe = recipe_of(words or [], {name: value for name, value in given.items() if value}, config)
    known, share = _card(card, memory, tflops), mfu or _UTILISATION
    check_model(_place(recipe.model))
    found = planned(checked(recipe), known, gpus, sharding, tokens, count, share, int(reserve * GIB))
    if as_json:
        echo(json.dumps(found))
    else:
        _show(found)
    if not found["fits"]:
        raise typer.Exit(1)


def planned(
    recipe: "TrainingRecipe",
    card: "GPUSpec",
    gpus: int,
    sharding: str,
    tokens: float | None,
    count: int,
    mfu: float,
    reserve: int,
) -> dict[str, Any]:
    """A training's plan, as JSON has it: bytes, tokens, operations, hours.

    Raises:
        StepwardError: A model, option or row that can't be planned with.
    """
    from stepward.planning.memory import estimate
    from stepward.planning.model_shapes import model_config
    from stepward.planning.suggestions import suggest_changes
    from stepward.planning.token_counts import largest_pass, longest_of

    args = config_for_card(recipe)
    shape, head = model_config(_place(recipe.model)), args.asked_head  # type: ignore[attr-defined]
    longest = longest_of(shape, args)
    counted, why = (None, "given") if tokens is not None else _counted(recipe, args, longest, gpus, count)
    laid = largest_pass(args, longest) if counted is None else counted.largest
    setup = setup_of(recipe, args, gpus, sharding)
    cost = estimate(shape, head, laid, setup, reserve)
    advice = []
    if cost.total > card.bytes:
        small = largest_pass(_with_batch_of_one(args), longest)
        batch = args.per_device_train_batch_size
        advice = suggest_changes(shape, head, setup, batch, small, laid, card.bytes, reserve)
    epoch = tokens if counted is None else counted.computed
    whole = None if epoch is None else epoch * _epochs(args, counted, gpus)
    return {
        "recipe": recipe.name,
        "model": recipe.model,
        "gpus": gpus,
        "sharding": sharding,
        **_memory_facts(cost, card, laid),
        "advice": [{"change": one.change, "total": one.cost.total} for one in advice],
        "rows": None if counted is None else {name: getattr(counted, name) for name in _ROWS},
        "tokens_from": why,
        "tokens": whole,
        "flops_per_token": cost.flops,
        "flops": None if whole is None else whole * cost.flops,
        "mfu": mfu,
        "hours": None if whole is None else cost.hours(whole, card.tflops, mfu, gpus),
    }


def _memory_facts(cost: "MemoryEstimate", card: "GPUSpec", laid: Any) -> dict[str, Any]:
    """What a plan says of memory."""
    from stepward.planning.token_counts import computed_tokens

    return {
        "card": card.name,
        "memory": card.bytes,
        "bytes": {name: getattr(cost, name) for name in _PARTS},
        "fits": cost.total <= card.bytes,
        "parameters": cost.parameters,
        "trained": cost.trained,
        "tokens_a_forward": computed_tokens(laid),
    }


def config_for_card(recipe: "TrainingRecipe") -> "BaseRewardConfig":
    """The trainer's settings as they would be on a GPU, made where there may be none.

    Raises:
        StepwardError: An option that makes no sense.
    """
    from stepward.pipeline.training.options import make_config

    # These look for libraries and devices of the machine that trains; the plan is told of sharding by --sharding.
    elsewhere = ("deepspeed", "fsdp", "fsdp_config", "use_cpu", "bf16", "fp16", "torch_compile", "tf32")
    options = {name: value for name, value in recipe.config.items() if name not in elsewhere}
    return make_config(recipe.model_copy(update={"config": options}), Path("plan"), False, use_cpu=True, bf16=False)


def setup_of(recipe: "TrainingRecipe", args: "BaseRewardConfig", gpus: int, sharding: str) -> "TrainingSetup":
    """How a recipe trains, as far as it costs memory; GPUs compute in bfloat16 where it doesn't say otherwise."""
    from stepward.pipeline.training.train import adapter_of
    from stepward.planning.memory import TrainingSetup

    options = recipe.config
    loading = dict(options.get("model_init_kwargs") or {})
    quantised = dict(loading.get("quantization_config") or {})
    weights = str(loading.get("dtype", "float32")).removeprefix("torch.")
    weights = "4bit" if quantised.get("load_in_4bit") else "8bit" if quantised.get("load_in_8bit") else weights
    if weights not in ("float32", "bfloat16", "float16", "4bit", "8bit"):
        raise StepwardError(
            f"model_init_kwargs.dtype is {weights!r}: expected float32, bfloat16 or float16",
            code="unknown_name",
            field="model_init_kwargs.dtype",
        )
    compute = "float16" if options.get("fp16") else "float32" if options.get("bf16") is False else "bfloat16"
    if compute == "float32" and weights in ("bfloat16", "float16"):
        compute = weights
    return TrainingSetup(
        optim=str(getattr(args.optim, "value", args.optim)),
        weights=weights,  # type: ignore[arg-type]
        compute=compute,  # type: ignore[arg-type]
        checkpointing=args.gradient_checkpointing,
        accumulation=args.gradient_accumulation_steps,
        world=gpus,
        sharding=sharding,  # type: ignore[arg-type]
        adapter=adapter_of(recipe),
    )


def _place(model: str) -> str:
    """Where a model's configuration is: the embedded generator's folder, or as it is named."""
    from stepward.storage.run_dir import EMBEDDED, Layout

    return str(Layout.model(model)) if model == EMBEDDED else model


def _with_batch_of_one(args: "BaseRewardConfig") -> "BaseRewardConfig":
    from copy import copy

    changed = copy(args)
    changed.per_device_train_batch_size = 1
    return changed


def _counted(
    recipe: "TrainingRecipe", args: "BaseRewardConfig", longest: int, gpus: int, count: int
) -> tuple[Any, str]:
    """The tokens of the recipe's data, or None and why they are not known."""
    from stepward.models import load_tokenizer
    from stepward.pipeline.training.dataset import load_rows
    from stepward.planning.token_counts import count_tokens

    if recipe.data.train == _NO_DATA:
        return None, "not known: give --data or --tokens"
    place = _place(recipe.model)
    if not Path(place).is_dir():
        return None, f"not known (their tokenizer is not here: {place} is no folder); give --tokens"
    try:
        tokenizer = load_tokenizer(place)
        rows = load_rows(recipe, Path("run")).train
    except StepwardError as error:
        # A plan of the memory needs neither, and is most wanted before they are fetched.
        return None, f"not known ({' '.join(str(error).split())[:200]}); give --tokens"
    found = count_tokens(rows, args, tokenizer, longest, gpus, count)
    whole = found.counted == found.rows
    return found, "counted" if whole else f"estimated from the first {found.counted:,} of {found.rows:,} rows"


def _epochs(args: "BaseRewardConfig", counted: Any, gpus: int) -> float:
    """How often the data are gone through."""
    if args.max_steps > 0 and counted is not None:
        batch = args.per_device_train_batch_size * args.gradient_accumulation_steps * gpus
        return float(args.max_steps * batch / max(counted.kept, 1))
    return float(args.num_train_epochs)


def _card(name: str, memory: float | None, tflops: float | None) -> "GPUSpec":
    from dataclasses import replace

    from stepward.planning.gpus import GPUSpec, get_gpu

    if memory is not None and tflops is not None:
        return GPUSpec("given", memory, tflops, 0)
    known = get_gpu(name)
    if memory is not None:
        known = replace(known, memory=memory, ecc=False)
    return known if tflops is None else replace(known, tflops=tflops)


def _show(found: dict[str, Any]) -> None:
    console = Console()
    echo(f"{found['recipe']}: {found['model']} on {found['gpus']} x {found['card']}")
    table = Table()
    table.add_column("memory of each card")
    table.add_column("GiB", justify="right")
    for name, size in found["bytes"].items():
        if name == "total":
            table.add_section()
        table.add_row(name, f"{size / GIB:.2f}")
    table.add_row("the card has", f"{found['memory'] / GIB:.2f}")
    console.print(table)
    echo(f"weights      {found['parameters']:,}, {found['trained']:,} of them trained")
    echo(f"forward pass {found['tokens_a_forward']:,} tokens at most")
    if found["tokens"] is None:
        echo(f"tokens       {found['tokens_from']}")
    else:
        echo(f"tokens       {found['tokens']:,.0f} computed in all epochs ({found['tokens_from']})")
        hours = f"{found['hours']:.1f} hours at {found['mfu']:.0%} of the card's rate (assumed)"
        echo(f"operations   {found['flops']:.3g} ({found['flops_per_token']:.3g} a token): {hours}")
    if found["fits"]:
        echo("It fits.")
        return
    echo("It does not fit. What to change, each upon those before it:")
    for one in found["advice"]:
        fits = "fits" if one["total"] <= found["memory"] else "does not fit yet"
        echo(f"  {one['change']}: {one['total'] / GIB:.2f} GiB, {fits}")
