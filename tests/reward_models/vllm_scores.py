"""Scores token ids with vLLM, for `test_vllm.py`: `python vllm_scores.py JOBS.json SCORES.json`.

vLLM pins its own torch and transformers, so it lives in an environment of its own and this file runs there: it imports
nothing but vLLM. All jobs run in one process, one engine after another, since importing vLLM takes most of the time.
"""

import gc
import json
import os
import sys
from typing import Any

# Read when vLLM is imported: one process, no network, a small cache, and no claim on particular cores.
os.environ.update(
    VLLM_ENABLE_V1_MULTIPROCESSING="0",
    HF_HUB_OFFLINE="1",
    VLLM_NO_USAGE_STATS="1",
    VLLM_CPU_KVCACHE_SPACE="1",
    VLLM_CPU_OMP_THREADS_BIND="nobind",
)

from vllm import LLM  # type: ignore[import-not-found]
from vllm.config import PoolerConfig  # type: ignore[import-not-found]
from vllm.distributed import cleanup_dist_env_and_memory  # type: ignore[import-not-found]

# A batch is as short as the longest sequence, so that the test's prompts need several, and some are read in pieces.
_POSITIONS = 128


def score(job: dict[str, Any]) -> list[Any]:
    """What vLLM's pooling gives for each prompt: `[row, class]`, or `[class]` for the task `classify`.

    Args:
        job: `folder`, `engine` (arguments of `LLM`), `pooler` (of `PoolerConfig`; has the task), `prompts` (token ids).
    """
    engine = LLM(
        model=job["folder"],
        runner="pooling",
        pooler_config=PoolerConfig(**job["pooler"]),
        dtype="float32",
        max_model_len=_POSITIONS,
        max_num_batched_tokens=_POSITIONS,
        max_num_seqs=4,
        enforce_eager=True,  # compiling takes longer than the whole test
        **job["engine"],
    )
    prompts = [{"prompt_token_ids": ids} for ids in job["prompts"]]
    pooled = engine.encode(prompts, pooling_task=job["pooler"]["task"], use_tqdm=False)
    return [prompt.outputs.data.tolist() for prompt in pooled]


def main() -> None:
    """Runs every job of the first file and writes the scores to the second; standard output is vLLM's."""
    jobs, scores = sys.argv[1:]
    with open(jobs, encoding="utf-8") as file:
        read = json.load(file)
    found = {}
    for name, job in read.items():
        found[name] = score(job)
        # The next engine starts its own group of processes and its own cache.
        gc.collect()
        cleanup_dist_env_and_memory()
    with open(scores, "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main()
