"""Whether a model may read solutions as a tree: only if a token's state depends on nothing but its ancestors.

Attention that takes a mask does. A recurrent layer reads the row from left to right whatever the mask says, and would
silently train on other solutions' tokens.
"""

import numpy as np
import torch
from transformers import PreTrainedModel

from stepward.errors import StepwardError
from stepward.rendering import Rendered
from stepward.rewards.batching import tokens_tensor
from stepward.rewards.packing import grow

_TOLERANCE = 1e-3
_PROBE = ((1, 2, 3, 4, 5, 6), (1, 2, 3, 7, 8, 9))


@torch.inference_mode()
def check_sharing(model: PreTrainedModel, longest: int) -> None:
    """Makes sure that a model scores a tree's solutions as it scores them alone.

    Args:
        model: The token classifier.
        longest: Tokens of the longest solution it will read.

    Raises:
        StepwardError: It would not; says what to set.
    """
    window = getattr(model.config, "sliding_window", None)
    if window is not None and longest > window:
        raise StepwardError(
            f"this model sees only the last {window} tokens and a solution has {longest}: a shared prefix can't be "
            "masked that way. Set share_prefixes to false."
        )
    was_training = model.training
    model.train(False)
    solutions = [Rendered(ids, (), ()) for ids in _PROBE]
    (tree,) = grow(solutions, max_tokens=len(_PROBE[0]) * 2)
    together = _logits(model, {key: value.to(model.device) for key, value in tokens_tensor([tree]).items()})[0]
    alone = _logits(model, {"input_ids": torch.tensor(_PROBE, device=model.device)})
    model.train(was_training)
    for member, path in zip(tree.members, tree.paths, strict=True):
        if not np.allclose(together[path], alone[member], rtol=_TOLERANCE, atol=_TOLERANCE):
            raise StepwardError(
                f"{type(model).__name__} mixes solutions that share a prefix (it is not attention under a mask). "
                "Set share_prefixes to false."
            )


def _logits(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> np.ndarray:
    logits: np.ndarray = model(**batch).logits[..., 0].float().cpu().numpy()
    return logits
