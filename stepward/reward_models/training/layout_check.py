"""How a model's rows are laid out, and whether it may read them so.

A packed row is only right if a token's state depends on nothing but its ancestors. Attention that is told so does. A
recurrent layer reads the row from left to right whatever it is told, and would silently train on other solutions'
tokens: so each model is asked before it is trained.
"""

from typing import Any

import torch
from transformers import PreTrainedModel

from stepward.errors import StepwardError
from stepward.reward_models.configs import BaseRewardConfig
from stepward.reward_models.packing import attention
from stepward.reward_models.packing.layout import Layout, pack_batch
from stepward.reward_models.training.model_setup import longest_of

_PROBE = ((1, 2, 3, 4, 5, 6), (1, 2, 3, 7, 8, 9), (2, 3, 1))
_TOLERANCES = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 6e-2}


def collator_settings(model: PreTrainedModel, args: BaseRewardConfig) -> dict[str, Any]:
    """The layout of a model's rows, as a `Collator` takes it; the model's attention is set to read it.

    Raises:
        StepwardError: The model can't read rows so; says what to set.
    """
    layout: Layout
    if args.pack == "padded":
        layout = "padded"
    elif args.attention == "restarts":
        layout = "restarts"
    else:
        layout = "mask" if args.attention == "mask" else "branches"
        window = getattr(model.config, "sliding_window", None)
        if layout == "mask" and window is not None and window < longest_of(model, args.max_length):
            raise StepwardError(
                f"{type(model).__name__} sees {window} tokens back, and a mask of packed rows replaces its own: set "
                f"attention to branches, or max_length to at most {window}",
                code="unsupported",
                field="attention",
            )
        model.set_attn_implementation(attention.NAME if layout == "branches" else "sdpa")
    share = args.pack == "tree"
    if layout != "padded":
        check_layout(model, layout, share)
    return {"layout": layout, "share": share, "max_tokens": args.max_row_tokens}


@torch.inference_mode()
def check_layout(model: PreTrainedModel, layout: Layout, share: bool) -> None:
    """Makes sure that a model with an attached head scores packed sequences as it scores them alone.

    Raises:
        StepwardError: It would not; says what to set.
    """
    if any(parameter.is_meta or not parameter.numel() for parameter in model.parameters()):
        return  # its weights lie on other processes (ZeRO-3, FSDP): nothing can be asked yet
    was_training = model.training
    model.train(False)
    laid = pack_batch(_PROBE, layout, share)
    inputs = {name: value.to(model.device) for name, value in laid.inputs.items()}
    together = model(**inputs).logits.float().cpu()
    alone = [model(input_ids=torch.tensor([ids], device=model.device)).logits.float().cpu() for ids in _PROBE]
    model.train(was_training)
    scale = max(float(logits.abs().max()) for logits in alone)
    tolerance = _TOLERANCES.get(model.dtype, 6e-2) * max(scale, 1e-6)
    for places, logits in zip(laid.places, alone, strict=True):
        if not float((together[places] - logits).abs().max()) <= tolerance:
            raise StepwardError(
                f"{type(model).__name__} mixes sequences that are packed in one row (it is not attention that can be "
                "told where each begins). Set pack to padded.",
                code="unsupported",
                field="pack",
            )
