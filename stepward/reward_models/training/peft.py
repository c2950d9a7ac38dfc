"""Adapters (LoRA, QLoRA) by peft around reward models."""

from typing import Any, cast

from transformers import PreTrainedModel

from stepward.errors import StepwardError
from stepward.reward_models.configs import BaseRewardConfig
from stepward.reward_models.heads import Head, head_name


def base_of(model: Any) -> PreTrainedModel:
    """The transformers model inside an adapter, or the model itself."""
    return cast(PreTrainedModel, model.get_base_model() if hasattr(model, "get_base_model") else model)


def with_adapter(model: Any, peft_config: Any, head: Head, args: BaseRewardConfig) -> Any:
    """The model with a new adapter around it, or as it is where none is asked for.

    A new head is trained whole: an adapter around a head that was drawn at random would keep it random.

    Raises:
        StepwardError: peft is not installed, or an adapter is asked for around an adapter.
    """
    if peft_config is None:
        return model
    try:
        from peft import PeftModel, get_peft_model, prepare_model_for_kbit_training
    except ImportError as error:
        raise StepwardError(
            "peft_config is given: pip install peft", code="missing_dependency", field="peft_config"
        ) from error
    if isinstance(model, PeftModel):
        raise StepwardError(
            "the model has an adapter, and peft_config asks for another: give one of the two",
            code="conflict",
            field="peft_config",
        )
    if getattr(model, "is_loaded_in_4bit", False) or getattr(model, "is_loaded_in_8bit", False):
        checkpointing = args.gradient_checkpointing
        model = prepare_model_for_kbit_training(model, checkpointing)  # type: ignore[no-untyped-call]
    elif args.gradient_checkpointing:
        model.enable_input_require_grads()
    if head.kind != "label_tokens":
        whole = set(getattr(peft_config, "modules_to_save", None) or ())
        peft_config.modules_to_save = sorted(whole | {head_name(model, head)})
    return get_peft_model(model, peft_config)


def merged(model: Any) -> PreTrainedModel:
    """The model with its adapter's weights added to its own: a plain transformers model."""
    return cast(PreTrainedModel, model.merge_and_unload() if hasattr(model, "merge_and_unload") else model)
