r"""Verdicts a second of grading beside math-verify alone, on the same pairs in the same run.

    python benchmarks/grading.py [--pairs 2500] [--shared-data ../shared/data] [--seed 0] [--show 12]

Two sets of distinct pairs, so that the memo, cold at the start, never helps: the answers of the published GSM8K
solutions with their references, and MATH train references with answers that a model might give (the same text, the same
answer in another notation, a wrong one; `benchmarks/math_answers.py`). math-verify is called as its README says,
`verify(parse(reference), parse(answer))`, LaTeX between dollars, in one process; ours by `grade_many` with a worker a
core, and by `grade` in a loop. Each runs in a process of its own, and starts its clock after a first pair that needs
algebra.

Goals: 100 times as many on GSM8K, 20 times on MATH, and no verdict that differs without a policy that says why. The
last line is one JSON object.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grading_policies import Difference, policy_of
from math_answers import answer_for

Pair = tuple[str, str]
Said = dict[str, Any]

WARM = (r"\sin(2x)", r"2\sin(x)\cos(x)")
ALGEBRA = ("algebra", "timeout", "memory", "crash")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2_500, help="at most so many of each set")
    parser.add_argument("--shared-data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=12, help="how many differences of each reason to print")
    parser.add_argument("--repeats", type=int, default=3, help="runs of ours, of which the median counts")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        print(json.dumps(SIDES[asked.side](json.load(sys.stdin))))
        return
    found = {}
    for name, pairs in (("gsm8k", gsm8k_pairs(asked.shared_data)), ("math", math_pairs(asked.shared_data, asked.seed))):
        chosen = random.Random(asked.seed).sample(pairs, min(asked.pairs, len(pairs)))
        found[name] = compare(name, chosen, asked.repeats, asked.show)
    print(json.dumps(found))


def gsm8k_pairs(shared_data: Path) -> list[Pair]:
    from stepward.grading import extract_answer

    pairs: dict[Pair, None] = {}
    for line in (shared_data / "gsm8k" / "example_model_solutions.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        reference = extract_answer(row["ground_truth"], "a_line")
        for written in row.values():
            if isinstance(written, dict) and (answer := extract_answer(written["solution"], "a_line")) and reference:
                pairs[reference, answer] = None
    return list(pairs)


def math_pairs(shared_data: Path, seed: int) -> list[Pair]:
    rows = json.loads((shared_data / "math" / "train_problems_and_answers.json").read_text("utf-8"))
    references = [row["final_answer"] for row in rows if row["final_answer"].strip()]
    generator = random.Random(seed)
    return list(dict.fromkeys((one, answer_for(one, references, generator)) for one in references))


def compare(name: str, pairs: list[Pair], repeats: int, show: int) -> dict[str, Any]:
    """Both sides on the same pairs: prints how they differ, and gives the figures."""
    theirs = run_side("peer-latex" if name == "math" else "peer-plain", pairs)
    many = [run_side("many", pairs) for _ in range(repeats)]
    loops = [run_side("loop", pairs) for _ in range(repeats)]
    verdicts = many[0]["verdicts"]
    assert all(one["verdicts"] == verdicts for one in (*many, *loops)), "the verdicts depend on how they are asked for"
    methods = Counter(verdict["method"] for verdict in verdicts)
    seconds = statistics.median(one["seconds"] for one in many)
    loop_seconds = statistics.median(one["seconds"] for one in loops)
    explained, unexplained = print_differences(name, pairs, verdicts, theirs["verdicts"], show)
    return {
        "ratio": round(theirs["seconds"] / seconds, 1),
        "loop_ratio": round(theirs["seconds"] / loop_seconds, 1),
        "pairs_per_second": round(len(pairs) / seconds),
        "loop_pairs_per_second": round(len(pairs) / loop_seconds),
        "math_verify_pairs_per_second": round(len(pairs) / theirs["seconds"], 1),
        "distinct_pairs": len(pairs),
        "equal": sum(verdict["equal"] for verdict in verdicts),
        "math_verify_equal": sum(verdict["equal"] for verdict in theirs["verdicts"]),
        "algebra_share": round(sum(methods[method] for method in ALGEBRA) / len(pairs), 4),
        "methods": dict(methods.most_common()),
        "undecided": sum(methods[method] for method in ("timeout", "memory", "crash")),
        "differences_explained": explained,
        "differences_unexplained": unexplained,
        "cores": os.cpu_count(),
    }


def run_side(side: str, pairs: list[Pair]) -> dict[str, Any]:
    """One side in a fresh process, on one thread of numeric libraries."""
    command = [sys.executable, __file__, "--side", side]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, input=json.dumps(pairs), text=True, stdout=subprocess.PIPE, env=environment, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def by_grade_many(pairs: list[Pair]) -> dict[str, Any]:
    from stepward.grading import grade, grade_many

    grade(*WARM)
    start = time.perf_counter()
    verdicts = grade_many(pairs)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "verdicts": [said(verdict) for verdict in verdicts]}


def by_grade(pairs: list[Pair]) -> dict[str, Any]:
    from stepward.grading import grade

    grade(*WARM)
    start = time.perf_counter()
    verdicts = [grade(reference, answer) for reference, answer in pairs]
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "verdicts": [said(verdict) for verdict in verdicts]}


def in_dollars(text: str) -> str:
    """LaTeX between dollars; a sentence's full stop stands behind them."""
    if text.startswith("$"):
        return text
    return f"${text[:-1]}$." if text.endswith(".") else f"${text}$"


def said(verdict: Any) -> Said:
    return {"equal": verdict.equal, "method": verdict.method, "reason": verdict.reason}


def by_math_verify(pairs: list[Pair], dress: Callable[[str], str]) -> dict[str, Any]:
    import logging

    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    verify(parse(dress(WARM[0])), parse(dress(WARM[1])))
    start = time.perf_counter()
    found = []
    for reference, answer in pairs:
        gold, target = parse(dress(reference)), parse(dress(answer))
        found.append((bool(verify(gold, target)), gold, target))
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "verdicts": [
            {
                "equal": equal,
                "gold": str_or_none(gold),
                "target": str_or_none(target),
                "apart": bool(equal and apart(gold, target)),
            }
            for equal, gold, target in found
        ],
    }


def mathematics(parsed: list[Any]) -> Any:
    """What math-verify read a text as; None where it found nothing but the text itself, which it always adds."""
    return next((part for part in parsed if not isinstance(part, str)), None)


def str_or_none(parsed: list[Any]) -> str | None:
    found = mathematics(parsed)
    return None if found is None else str(found)


def apart(gold: list[Any], target: list[Any]) -> bool:
    """Whether both are numbers, and differ in their first 50 digits."""
    pair = mathematics(gold), mathematics(target)
    if not all(getattr(one, "is_number", False) for one in pair):
        return False
    values = [one.evalf(50) for one in pair]
    # Infinities and what sympy can't evaluate have no distance.
    return all(one.is_finite for one in values) and bool(abs(values[0] - values[1]) > abs(values[0]) * 1e-45)


SIDES: dict[str, Callable[[list[Pair]], dict[str, Any]]] = {
    "many": by_grade_many,
    "loop": by_grade,
    "peer-plain": lambda pairs: by_math_verify(pairs, str),
    "peer-latex": lambda pairs: by_math_verify(pairs, in_dollars),
}


def print_differences(name: str, pairs: list[Pair], ours: list[Said], theirs: list[Said], show: int) -> tuple[int, int]:
    """Prints every reason for a difference with some of its pairs, and all without one; how many of each."""
    by_policy: dict[str, list[str]] = defaultdict(list)
    for (reference, answer), own, their in zip(pairs, ours, theirs, strict=True):
        if own["equal"] != their["equal"]:
            policy = policy_of(Difference(reference, answer, own, their))
            by_policy[policy].append(
                f"    {reference!r} and {answer!r}: ours {own['equal']} ({own['method']}: {own['reason']}), "
                f"math-verify {their['equal']} ({their['gold']} and {their['target']})"
            )
    print(f"{name}: {len(pairs)} pairs, {sum(map(len, by_policy.values()))} verdicts differ")
    for policy, lines in sorted(by_policy.items()):
        print(f"  {policy or 'UNEXPLAINED'}: {len(lines)}")
        print("\n".join(lines[: show if policy else None]))
    unexplained = len(by_policy.pop("", []))
    return sum(map(len, by_policy.values())), unexplained


if __name__ == "__main__":
    main()
