"""Grading millions of pairs: what the exact path decides is decided here, and the rest goes to several workers."""

import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from stepward.grading.comparison import DEADLINE, Verdict, algebra_verdict, fast_verdict


def grade_many(
    pairs: Iterable[tuple[str, str | None]], *, workers: int | None = None, deadline: float = DEADLINE
) -> list[Verdict]:
    """Grade many pairs; each verdict is what `grade` gives.

    Args:
        pairs: References and answers.
        workers: Processes for algebra at once; the number of processors when left out.
        deadline: Seconds that algebra may take for one pair.

    Returns:
        A verdict a pair, in the pairs' order.

    Raises:
        ValueError: `workers` is below 1.
        StepwardError: The process for algebra cannot be started.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}: expected at least 1, or None for the number of processors")
    workers = workers or os.cpu_count() or 1
    verdicts: list[Verdict | Future[Verdict]] = []
    asked: dict[tuple[str, str | None], Future[Verdict]] = {}
    # The threads only wait for processes; one that is not needed is not started.
    executor = ThreadPoolExecutor(workers, thread_name_prefix="grading")
    try:
        for reference, answer in pairs:
            verdict = fast_verdict(reference, answer)
            if verdict is None and (reference, answer) not in asked:
                asked[reference, answer] = executor.submit(
                    algebra_verdict, reference, answer or "", deadline=deadline, workers=workers
                )
            verdicts.append(verdict or asked[reference, answer])
        return [verdict.result() if isinstance(verdict, Future) else verdict for verdict in verdicts]
    finally:
        executor.shutdown(cancel_futures=True)
