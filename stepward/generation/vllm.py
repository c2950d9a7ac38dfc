"""vLLM on this machine: token ids in and out, and one read of a prefix for all that begins with it.

Every draw is a request of its own, with its own seed, and vLLM's prefix cache shares the reading. One request with n
choices gives the same draws (choice j has the request's seed plus j) in the same time; but then vLLM doesn't say how
many tokens each of them had to read.

What is promised: a draw's randomness is a function of (seed, prompt id, its number) alone, so no draw comes twice and
growing K never asks for an old one. What is not: vLLM's batches change the rounding of the logits, so a draw's text may
differ where two tokens are about equally likely. The same calls in the same order on the same machine give the same
text. Another version of vLLM, another card and the transformers engine give other draws from the same distribution.

vLLM 0.32 on a CPU fails where a long prompt is read in pieces and has a seed; so there prompts are read whole.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stepward.errors import StepwardError
from stepward.generation.interface import Completion, Prompt, Sampling, Usage, draw_seed, truncate_at_stop
from stepward.generation.openai.finish_reasons import ending_of
from stepward.generation.options import VLLMOptions, read_options
from stepward.generation.prompts import PromptBuilder, PromptTemplate
from stepward.generation.thoughts import without_thoughts
from stepward.models import load_tokenizer

_BLOCK_ON_CPU = 32
"""vLLM shares prefixes by whole blocks. Its default on a CPU is 128 tokens: most prefixes have not one."""


class VLLMGenerator:
    """Draws completions with vLLM.

    Args:
        folder: A transformers model folder with its tokenizer.
        prompting: How a problem is put to the model.
        name: The name that records carry; the folder's name by default.
        **options: Arguments of vLLM's engine, as `VLLMOptions` has them.

    Raises:
        StepwardError: An option is unknown or of the wrong kind, vLLM is not installed, or it can't load the folder.
    """

    def __init__(
        self, folder: str | Path, prompting: PromptTemplate | None = None, *, name: str | None = None, **options: Any
    ) -> None:
        given = read_options(VLLMOptions, options).model_dump(exclude_none=True)
        self.name = name or Path(folder).name
        self.meter = Usage()
        self.tokenizer = load_tokenizer(folder)
        self.prompter = PromptBuilder(self.tokenizer, prompting)
        self.engine = _engine(folder, given)
        self.context = int(self.engine.llm_engine.model_config.max_model_len)

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[Completion]]:
        """Draws `prompt.count` completions for each prompt, in the order of the prompts.

        A prefix that leaves no room for `max_new_tokens` in the context gets completions with the fault `context`.
        Greedy draws (temperature 0) of a prompt are all the same one, which is written once.
        """
        ids = [self.prompter.ids(prompt.question, prompt.steps) for prompt in prompts]
        fits = [len(tokens) + sampling.max_new_tokens <= self.context for tokens in ids]
        asked = [
            (index, prompt.first + draw)
            for index, prompt in enumerate(prompts)
            if fits[index]
            for draw in range(prompt.count if sampling.temperature else min(1, prompt.count))
        ]
        found: list[list[Completion]] = [[] for _ in prompts]
        answers = self.engine.generate(
            [{"prompt_token_ids": ids[index]} for index, _ in asked],
            [_sampling(sampling, draw_seed(seed, prompts[index].id, draw)) for index, draw in asked],
            use_tqdm=False,
        )
        for (index, _), answer in zip(asked, answers, strict=True):
            self._read(len(ids[index]), answer.num_cached_tokens or 0)
            found[index].append(self._completion(answer.outputs[0], sampling))
        for index, prompt in enumerate(prompts):
            if not fits[index]:
                found[index] = [Completion("", False, fault="context")] * prompt.count
            elif not sampling.temperature:
                found[index] *= prompt.count
            given = [one for one in found[index] if not one.fault]
            self.meter.completions += len(given)
            self.meter.generated += sum(one.tokens for one in given)
        return found

    def reset(self) -> None:
        """Forgets all prefixes that were read: to be called when the model's weights were changed in place."""
        self.engine.reset_prefix_cache()

    def _read(self, length: int, cached: int) -> None:
        self.meter.prefilled += length - cached
        self.meter.reused += cached

    def _completion(self, drawn: Any, sampling: Sampling) -> Completion:
        ids = list(drawn.token_ids)
        self.meter.computed += len(ids)
        ending = ending_of(str(drawn.finish_reason), {})
        if ending not in ("stop", "length"):
            return Completion("", False, fault=f"failed: vLLM ended it by {drawn.finish_reason}")
        text, stopped = truncate_at_stop(str(self.tokenizer.decode(ids, skip_special_tokens=True)), sampling.stop)
        return Completion(*without_thoughts(text, stopped or ending == "stop"), len(ids))


def _engine(folder: str | Path, options: dict[str, Any]) -> Any:
    # Read when vLLM is imported. Without a process of its own its schedule, and so its rounding, is the same each time.
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    if options.get("tensor_parallel_size", 1) == options.get("pipeline_parallel_size", 1) == 1:
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    try:
        from vllm import LLM  # type: ignore[import-not-found]
        from vllm.platforms import current_platform  # type: ignore[import-not-found]
    except ImportError as error:
        raise StepwardError(
            f"engine: vllm can't be imported ({error}): install stepward[vllm], or set engine: transformers",
            code="missing_dependency",
            field="engine",
        ) from error
    if current_platform.is_cpu():
        options = {"block_size": _BLOCK_ON_CPU, "enable_chunked_prefill": False} | options
    fixed = {"trust_remote_code": False, "load_format": "safetensors", "enable_prefix_caching": True, "seed": 0}
    try:
        return LLM(model=str(folder), **fixed, **options)
    except Exception as error:  # vLLM, its workers and pydantic each raise their own
        raise StepwardError(
            f"{folder}: vLLM can't load it: {' '.join(str(error).split())[:400]}", code="unsupported", file=folder
        ) from error


def _sampling(sampling: Sampling, seed: int) -> Any:
    from vllm import SamplingParams

    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_new_tokens,
        stop=list(sampling.stop) or None,
        seed=seed,
        # The ids are what is wanted; vLLM needs the text only to look for what stops it.
        detokenize=bool(sampling.stop),
    )
