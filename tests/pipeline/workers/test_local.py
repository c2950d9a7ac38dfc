"""Workers hand back facts and errors, and never outlive the run that started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from killing import all_gone, wait_until
from raising import refused

from stepward.errors import StepwardError
from stepward.pipeline.workers.local import Workers

PATIENCE = 120
"""Seconds to wait for what must happen; a busy machine takes a while to load torch in each process."""


def measure(unit: str, factor: int) -> dict[str, Any]:
    """A task that works."""
    import torch

    return {"length": len(unit) * factor, "threads": torch.get_num_threads(), "process": os.getpid()}


def refuse(unit: str) -> dict[str, Any]:
    """A task that meets a user's mistake."""
    raise StepwardError(f"{unit}: row 3: mend it", code="bad_value", row=3, field=unit)


def die(unit: str) -> dict[str, Any]:
    """A task whose process is killed, as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def interrupt(unit: str) -> dict[str, Any]:
    """A task that Ctrl-C reaches, as a terminal sends it to every process."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
    return {}


def linger(unit: str, folder: Path) -> dict[str, Any]:
    """A task that says who runs it, and takes long, but for the unit `quick`."""
    (folder / unit).write_text(str(os.getpid()))
    if unit != "quick":
        time.sleep(PATIENCE)
    return {}


def test_facts_errors_and_a_killed_worker_reach_the_caller() -> None:
    with Workers(1) as workers:
        assert list(workers.run(measure, [])) == [] and workers._pool is None, "nothing to do starts nothing"
        facts = dict(workers.run(measure, ["a", "bb", "ccc"], 10))
        assert {unit: fact["length"] for unit, fact in facts.items()} == {"a": 10, "bb": 20, "ccc": 30}
        assert {fact["threads"] for fact in facts.values()} == {1}
        (process,) = {fact["process"] for fact in facts.values()}
        assert process != os.getpid()
        with refused("bad_value", row=3, field="unit"):
            list(workers.run(refuse, ["unit"]))
        # The same processes serve one stage after the other.
        assert dict(workers.run(measure, ["a"], 1))["a"]["process"] == process
        # Only the run itself answers to Ctrl-C, and says so once.
        assert dict(workers.run(interrupt, ["a"])) == {"a": {}}
        with refused("worker_died"):
            list(workers.run(die, ["unit"]))
    wait_until(lambda: all_gone({process}))


def test_an_error_in_the_run_ends_the_workers_at_once(tmp_path: Path) -> None:
    noted = tmp_path / "slow"
    with pytest.raises(KeyboardInterrupt), Workers(1) as workers:
        assert next(workers.run(linger, ["quick", "slow"], tmp_path)) == ("quick", {})
        wait_until(lambda: noted.exists() and noted.read_text())
        started = time.monotonic()
        raise KeyboardInterrupt
    wait_until(lambda: all_gone({int(noted.read_text())}))
    assert time.monotonic() - started < PATIENCE / 2, "the slow task was not waited for"


RUN = """
import sys
from pathlib import Path
sys.path[:0] = {tests!r}
from test_local import linger
from stepward.pipeline.workers.local import Workers
if __name__ == "__main__":
    with Workers(1) as workers:
        list(workers.run(linger, ["one"], Path(sys.argv[1])))
"""


def test_workers_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    script, noted = tmp_path / "run.py", tmp_path / "one"
    script.write_text(RUN.format(tests=[str(folder) for folder in Path(__file__).parents[:3]]))
    run = subprocess.Popen([sys.executable, str(script), str(tmp_path)])
    wait_until(lambda: (noted.exists() and noted.read_text()) or run.poll() is not None)
    worker = int(noted.read_text())
    assert not all_gone({worker})
    run.kill()
    run.wait()
    wait_until(lambda: all_gone({worker}))
