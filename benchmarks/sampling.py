"""Solutions a second of the embedded engine beside transformers' own `generate`, same model, same problems, one run.

    python benchmarks/sampling.py [--problems 40] [--draws 16] [--batch 16]

`generate` gets `num_return_sequences` and prompts padded on the left, `--batch` prompts a call. Both run on one thread.
The last line is one JSON object; `ratio` is ours over theirs, and the shares of right answers should agree.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch

from stepward.generation.interface import Prompt, Sampling
from stepward.generation.local.engine import LocalGenerator
from stepward.grading import extract_answer
from stepward.pipeline.stages.tasks import is_correct_fn
from stepward.problems.arithmetic.dataset import problems
from stepward.records import Problem, join_steps, split_steps
from stepward.storage.run_dir import embedded_generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--batch", type=int, default=16)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    generator = LocalGenerator(embedded_generator())
    test = problems("test", asked.problems, levels=(1, 2, 3), tricky=5)
    ours, seconds = timed(lambda: sample(generator, test, asked.draws))
    theirs, their_seconds = timed(lambda: generate(generator, test, asked.draws, asked.batch))
    total = len(test) * asked.draws
    found = {
        "ratio": round(their_seconds / seconds, 2),
        "solutions_per_second": round(total / seconds, 1),
        "generate_solutions_per_second": round(total / their_seconds, 1),
        "right": round(right_share(test, ours), 4),
        "generate_right": round(right_share(test, theirs), 4),
        "problems": len(test),
        "draws": asked.draws,
        "generate_batch": asked.batch,
    }
    print(json.dumps(found))


def timed(work: Callable[[], list[list[str]]]) -> tuple[list[list[str]], float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def sample(generator: LocalGenerator, test: list[Problem], draws: int) -> list[list[str]]:
    prompts = [Prompt(problem.id, problem.question, (), draws) for problem in test]
    return [[draw.text for draw in found] for found in generator.complete(prompts, Sampling(), 0)]


@torch.inference_mode()
def generate(generator: LocalGenerator, test: list[Problem], draws: int, batch: int) -> list[list[str]]:
    torch.manual_seed(0)
    pad = generator.tokenizer.pad_token_id
    ids = [generator.prompter.ids(problem.question, ()) for problem in test]
    texts: list[list[str]] = []
    for start in range(0, len(ids), batch):
        part = ids[start : start + batch]
        longest = max(map(len, part))
        tokens = torch.tensor([[pad] * (longest - len(one)) + one for one in part])
        written = generator.model.generate(
            input_ids=tokens,
            attention_mask=(tokens != pad).long(),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=Sampling().max_new_tokens,
            num_return_sequences=draws,
            pad_token_id=pad,
        )[:, longest:]
        decoded = generator.tokenizer.batch_decode(written, skip_special_tokens=True)
        texts += [decoded[row : row + draws] for row in range(0, len(decoded), draws)]
    return texts


def right_share(test: list[Problem], drawn: list[list[str]]) -> float:
    grades = [
        is_correct_fn("math")(problem.reference, extract_answer(join_steps(split_steps(text)), "marked"))
        for problem, texts in zip(test, drawn, strict=True)
        for text in texts
    ]
    return sum(grades) / len(grades)


if __name__ == "__main__":
    main()
