"""Draws with vLLM, for `test_vllm_engine.py`: `python vllm_draws.py CALLS.json DRAWS.json`.

It runs in the environment that has vLLM, with Stepward's source on PYTHONPATH. One engine answers every call, in order.
"""

import json
import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

# Read when vLLM is imported: no network, a small cache, and no claim on particular cores.
os.environ.update(HF_HUB_OFFLINE="1", VLLM_CPU_KVCACHE_SPACE="1", VLLM_CPU_OMP_THREADS_BIND="nobind")

from stepward.generation.interface import Prompt, Sampling
from stepward.generation.prompts import PromptTemplate
from stepward.generation.vllm import VLLMGenerator


def scale_norms(model: Any, scale: float) -> None:
    """Changes weights in place: those that vLLM keeps as they are loaded, whatever it packs others into."""
    for name, weight in model.named_parameters():
        if name.endswith("input_layernorm.weight"):
            weight.data.mul_(scale)


def main() -> None:
    """Answers every call of the first file and writes the draws to the second; standard output is vLLM's."""
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    engine = VLLMGenerator(asked["folder"], PromptTemplate(**asked["prompting"]), **asked["options"])
    found = []
    for call in asked["calls"]:
        if scale := call.get("scale"):
            engine.engine.apply_model(partial(scale_norms, scale=scale))
        if call.get("reset"):
            engine.reset()
        before = engine.meter.copy()
        prompts = [Prompt(**prompt) for prompt in call["prompts"]]
        draws = engine.complete(prompts, Sampling(**call["sampling"]), call["seed"])
        meter = asdict(engine.meter.since(before))
        found.append({"draws": [[asdict(one) for one in row] for row in draws], "meter": meter})
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
