"""The figures of a study's finished run, by what a table or check selects."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stepward.evaluation.best_of_n import io as evaluation_folder
from stepward.evaluation.best_of_n.evaluate import Evaluation, MetricRow
from stepward.pipeline.reuse.other_run import source_run
from stepward.recipes.study.cells import Cell
from stepward.recipes.study.plan import Selection
from stepward.recipes.study.schema import OVERALL, WITHOUT_MODEL
from stepward.storage.manifest import Manifest


def is_finished(folder: Path) -> bool:
    """Whether a run has its figures."""
    return (folder / "manifest.json").is_file() and Manifest.read(folder).finished("evaluation", "summary")


class Finished:
    """A finished run's figures.

    Args:
        cell: Which one.
        folder: Where it lies.
    """

    def __init__(self, cell: Cell, folder: Path) -> None:
        self.cell, self.folder = cell, folder
        Manifest.read(folder).where("evaluation", "summary")
        self.evaluation: Evaluation = evaluation_folder.read(folder / "evaluation")[0]

    @cached_property
    def _table(self) -> pa.Table:
        return evaluation_folder.read_accuracies(self.folder / "evaluation")

    @cached_property
    def trained_in(self) -> Path:
        """The folder of the run that trained its reward models."""
        return source_run(self.folder, self.cell.recipe).resolve()

    def accuracies(self, selection: Selection) -> tuple[list[str], NDArray[np.float64]]:
        """The problems' ids, in their order, and the accuracies on them [seed, problem] of what is selected."""
        method, voting, aggregation, n = self.key(selection)
        return evaluation_folder.accuracies_of(self._table, (method, voting, aggregation), n)

    def key(self, selection: Selection) -> tuple[str, str | None, str | None, int]:
        """Method, voting, aggregation and n of a selection, with what validation chose."""
        if selection.method in WITHOUT_MODEL:
            return selection.method, None, None, selection.n
        if selection.aggregation is not None:  # then the voting is said too, and may be one that is never chosen
            return selection.method, selection.voting, selection.aggregation, selection.n
        choice = self.evaluation.choice(selection.method, None if selection.voting == OVERALL else selection.voting)
        return selection.method, choice.voting, choice.aggregation, selection.n

    def figure(self, selection: Selection) -> MetricRow:
        """The accuracy that is selected."""
        method, voting, aggregation, n = self.key(selection)
        return self.evaluation.row(method, n, voting, aggregation)
