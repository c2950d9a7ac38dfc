"""Prefixes a second of vLLM: our requests (n=K, prefix caching) beside duplicated prompts without it, one run.

benchmarks/rollouts.py runs it with the interpreter of an environment that has vLLM, and writes to its standard input a
JSON object: the model's folder, K, the seed, and the prefixes as (id, question, steps). The last line is one JSON
object. Nothing is graded here: both ways are given the same prompts and draw as many completions.
"""

import json
import sys
import time
from typing import Any

from vllm import LLM, SamplingParams

from stepward.generation.protocol import Prompt, Sampling
from stepward.generation.vllm import VLLMGenerator


def ours(asked: dict[str, Any]) -> tuple[float, int, list[list[int]]]:
    """Seconds, tokens written, and the prompts' ids."""
    engine = VLLMGenerator(asked["folder"])
    prompts = [Prompt(key, question, tuple(steps), asked["draws"]) for key, question, steps in asked["prefixes"]]
    engine.complete(prompts[:1], Sampling(max_new_tokens=4), asked["seed"])
    start = time.perf_counter()
    drawn = engine.complete(prompts, Sampling(), asked["seed"])
    seconds = time.perf_counter() - start
    ids = [engine.prompter.ids(prompt.question, prompt.steps) for prompt in prompts]
    return seconds, sum(one.tokens for completions in drawn for one in completions), ids


def duplicated(asked: dict[str, Any], ids: list[list[int]]) -> tuple[float, int]:
    """Seconds and tokens written where every completion is a request of its own and no prefix is kept."""
    engine = LLM(asked["folder"], enable_prefix_caching=False, seed=asked["seed"])
    settings = SamplingParams(temperature=1.0, max_tokens=Sampling().max_new_tokens)
    prompts: list[Any] = [{"prompt_token_ids": one} for one in ids for _ in range(asked["draws"])]
    engine.generate(prompts[:1], SamplingParams(max_tokens=4), use_tqdm=False)
    start = time.perf_counter()
    found = engine.generate(prompts, settings, use_tqdm=False)
    return time.perf_counter() - start, sum(len(one.outputs[0].token_ids) for one in found)


def main() -> None:
    asked = json.load(sys.stdin)
    seconds, tokens, ids = ours(asked)
    plain_seconds, plain_tokens = duplicated(asked, ids)
    found = {
        "prefixes": len(ids),
        "ours_per_second": round(len(ids) / seconds, 2),
        "duplicated_per_second": round(len(ids) / plain_seconds, 2),
        "ratio": round(plain_seconds / seconds, 2),
        "ours_tokens": tokens,
        "duplicated_tokens": plain_tokens,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
