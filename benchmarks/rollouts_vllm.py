"""Seconds and texts of vLLM: our requests beside duplicated prompts, one process, one thread.

benchmarks/rollouts.py runs it with the interpreter of an environment that has vLLM, and writes to its standard input a
JSON object: the model's folder, K, the seed, and the prefixes as (id, question, steps). The last line is one JSON
object: for each way its CPU seconds, tokens, and texts, of which None is one that the limit cut. It is graded by who
asked, since the graders' packages need not be here.

Three ways: ours; every completion as a request of its own with no prefix kept; and the same as vLLM sets it by itself,
with a prefix cache of blocks of 128 tokens.
"""

import json
import os
import sys
import time
from typing import Any

# Read when vLLM is imported: the model in this process, so that its CPU time counts, and no claim on particular cores.
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

from vllm import LLM, SamplingParams

from stepward.generation.interface import Prompt, Sampling
from stepward.generation.vllm import VLLMGenerator

LIKE: dict[str, Any] = {"dtype": "float32", "max_model_len": 512, "max_num_seqs": 128, "enforce_eager": True}
"""What all ways have in common."""
WARM = 4


def ours(asked: dict[str, Any]) -> tuple[dict[str, Any], list[list[int]]]:
    """What our requests give, and the prompts' ids."""
    engine = VLLMGenerator(asked["folder"], **LIKE)
    prompts = [Prompt(key, question, tuple(steps), asked["draws"]) for key, question, steps in asked["prefixes"]]
    engine.complete([Prompt("warm", "Ann has 1 apple.", (), 2)], Sampling(max_new_tokens=WARM), asked["seed"])
    before, start = engine.meter.copy(), time.process_time()
    drawn = engine.complete(prompts, Sampling(), asked["seed"])
    seconds = time.process_time() - start
    used = engine.meter.since(before)
    found = {
        "seconds": seconds, "tokens": used.generated, "prefilled": used.prefilled,
        "texts": [[one.text if one.finished else None for one in completions] for completions in drawn],
    }  # fmt: skip
    return found, [engine.prompter.ids(prompt.question, prompt.steps) for prompt in prompts]


def duplicated(asked: dict[str, Any], ids: list[list[int]], caching: bool) -> dict[str, Any]:
    """What a request for each completion gives, without seeds."""
    # Prompts are read whole here as in ours, for a fair ratio.
    engine = LLM(asked["folder"], enable_prefix_caching=caching, enable_chunked_prefill=False, **LIKE)
    settings = SamplingParams(temperature=1.0, max_tokens=Sampling().max_new_tokens)
    prompts: list[Any] = [{"prompt_token_ids": one} for one in ids for _ in range(asked["draws"])]
    engine.generate([{"prompt_token_ids": ids[0][:5]}], SamplingParams(max_tokens=WARM), use_tqdm=False)
    start = time.process_time()
    answers = engine.generate(prompts, settings, use_tqdm=False)
    seconds = time.process_time() - start
    texts = [one.outputs[0].text if one.outputs[0].finish_reason == "stop" else None for one in answers]
    return {
        "seconds": seconds,
        "tokens": sum(len(one.outputs[0].token_ids) for one in answers),
        "prefilled": sum(len(one.prompt_token_ids) - (one.num_cached_tokens or 0) for one in answers),
        "texts": [texts[start : start + asked["draws"]] for start in range(0, len(texts), asked["draws"])],
    }


def main() -> None:
    asked = json.load(sys.stdin)
    found, ids = ours(asked)
    ways = {"ours": found}
    ways["duplicated"] = duplicated(asked, ids, caching=False)
    ways["duplicated, vLLM's own cache"] = duplicated(asked, ids, caching=True)
    print(json.dumps(ways))


if __name__ == "__main__":
    main()
