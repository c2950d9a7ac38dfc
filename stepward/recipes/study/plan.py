"""What a study shows and tests, worked out before anything is run: which figure of which run stands where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepward.errors import StepwardError
from stepward.evaluation.best_of_n.accuracy import VOTINGS
from stepward.evaluation.best_of_n.aggregation import AGGREGATIONS
from stepward.evaluation.best_of_n.evaluate import CHOSEN_VOTINGS
from stepward.recipes.loading import did_you_mean
from stepward.recipes.study.cells import Cell, cells_of, check_order, value_text
from stepward.recipes.study.schema import FIGURES, OVERALL, WITHOUT_MODEL, HypothesisSpec, Study, Table, read_study


@dataclass(frozen=True)
class Selection:
    """One figure of one run.

    Attributes:
        cell: The run.
        method: `majority`, `pass`, or a kind of reward model.
        n: How many candidates are chosen from.
        voting: One of them, or `overall` for what validation chose; of no account without a reward model.
        aggregation: One of them, or None for what validation chose.
    """

    cell: Cell
    method: str
    n: int
    voting: str = OVERALL
    aggregation: str | None = None


@dataclass(frozen=True)
class TablePlan:
    """A table before it is filled.

    Attributes:
        name: Its name.
        table: What the file says of it.
        rows: The rows' labels.
        columns: The columns' labels.
        figures: What stands where [row][column].
        published: The paper's accuracies in percent, likewise; empty where the file has none.
    """

    name: str
    table: Table
    rows: list[str]
    columns: list[str]
    figures: list[list[Selection]]
    published: list[list[float | None]]


@dataclass(frozen=True)
class Hypothesis:
    """A check before it is made."""

    says: str
    better: Selection
    than: Selection


@dataclass(frozen=True)
class Plan:
    """A study with all its parts worked out.

    Attributes:
        study: What the file says.
        cells: Its runs, in their order.
        frames: Its tables.
        claims: Its checks.
    """

    study: Study
    cells: list[Cell]
    frames: list[TablePlan]
    claims: list[Hypothesis]


def load_study(source: str, overrides: Sequence[str] = ()) -> Plan:
    """Reads a study, and works out its runs, tables and checks.

    Args:
        source: As `read_study` takes it.
        overrides: Likewise.

    Raises:
        StepwardError: No such study, not YAML, an unknown field, cell or method, or a value out of range.
    """
    study = read_study(source, overrides)
    try:
        return plan_of(study)
    except StepwardError as error:
        raise StepwardError(f"study {source}: {error}", code=error.code, field=error.field) from error


def plan_of(study: Study) -> Plan:
    """A study's runs, tables and checks, worked out.

    Raises:
        StepwardError: An unknown field, cell or method, or a value out of range; says where.
    """
    cells = cells_of(study)
    check_order(study, cells)
    chooser = _Chooser(study, cells)
    frames = [chooser.frame(name, table) for name, table in study.tables.items()]
    claims = [chooser.claim(f"checks.{number}", check) for number, check in enumerate(study.checks, 1)]
    return Plan(study, cells, frames, claims)


class _Chooser:
    """Works out what rows, columns and checks select."""

    def __init__(self, study: Study, cells: Sequence[Cell]) -> None:
        self.study, self.cells = study, cells
        self.by_name = {cell.name: cell for cell in cells}
        kinds = [kind for cell in cells for kind in cell.recipe.labels.kinds]
        self.methods = list(dict.fromkeys([*WITHOUT_MODEL, *kinds]))

    def frame(self, name: str, table: Table) -> TablePlan:
        """A table's rows and columns, and what stands where they meet."""
        where = f"tables.{name}"
        rows, columns = (self._axis(f"{where}.{side}", getattr(table, side)) for side in ("rows", "columns"))
        common = _stated(table)
        figures = [
            [self._selection(f"{where} at {row}, {column}", common | one | other) for column, other in columns.items()]
            for row, one in rows.items()
        ]
        if table.x is not None and table.x not in ("n", *FIGURES, *self.study.grid):
            raise StepwardError(
                f"{where}.x: {table.x}{did_you_mean(table.x, ['n', *FIGURES, *self.study.grid])}",
                code="unknown_name",
                field=f"{where}.x",
            )
        published = _published(where, table, list(rows), list(columns))
        return TablePlan(name, table, list(rows), list(columns), figures, published)

    def claim(self, where: str, check: HypothesisSpec) -> Hypothesis:
        """The two selections of a check."""
        better, than = (
            self._selection(f"{where}.{side}", _stated(check) | self._short(f"{where}.{side}", getattr(check, side)))
            for side in ("better", "than")
        )
        if better == than:
            raise StepwardError(f"{where}: better and than are the same", code="conflict", field=where)
        return Hypothesis(check.says, better, than)

    def _axis(self, where: str, said: Any) -> dict[str, dict[str, Any]]:
        """By label what a table's rows or columns select."""
        if isinstance(said, str):
            if said not in self.study.grid:
                raise StepwardError(
                    f"{where}: {said} is no field of the grid{did_you_mean(said, list(self.study.grid))}",
                    code="unknown_name",
                    field=where,
                )
            return {value_text(value): {said: value} for value in self.study.grid[said]}
        if isinstance(said, list):
            said = {str(one): one for one in said}
        if not isinstance(said, dict) or not said:
            raise StepwardError(
                f"{where}: expected a list, labels with selections, or a field of the grid",
                code="wrong_type",
                field=where,
            )
        return {str(label): self._short(f"{where}.{label}", one) for label, one in said.items()}

    def _short(self, where: str, said: Any) -> dict[str, Any]:
        """A selection, which may be written as a cell's name, a method or an N."""
        if isinstance(said, dict):
            return said
        if isinstance(said, int) and not isinstance(said, bool):
            return {"n": said}
        if isinstance(said, str) and (said in self.by_name or said in self.study.cells):
            return {"cell": said}
        if isinstance(said, str) and said in self.methods:
            return {"method": said}
        names = [*self.by_name, *self.methods]
        raise StepwardError(
            f"{where}: {said!r} is no cell, method or N{did_you_mean(str(said), names)}",
            code="unknown_name",
            field=where,
        )

    def _selection(self, where: str, said: Mapping[str, Any]) -> Selection:
        known = ["cell", "method", "n", "voting", "aggregation", *self.study.grid]
        for key in said:
            if key not in known:
                raise StepwardError(
                    f"{where}: unknown field {key}{did_you_mean(str(key), known)}", code="unknown_name", field=where
                )
        for key in ("cell", "method", "voting", "aggregation"):
            if not isinstance(said.get(key), str | None):
                raise StepwardError(
                    f"{where}: {key}: expected one name, found {said[key]!r}", code="wrong_type", field=where
                )
        cell = self._cell(where, said)
        method, n = said.get("method"), said.get("n")
        methods = [*WITHOUT_MODEL, *cell.recipe.labels.kinds]
        voting, aggregation = said.get("voting", OVERALL), said.get("aggregation")
        if method not in methods:
            raise StepwardError(
                f"{where}: method {method} is none of cell {cell.name}{did_you_mean(str(method), methods)}",
                code="unknown_name",
                field=where,
            )
        if not isinstance(n, int) or isinstance(n, bool) or n not in cell.recipe.evaluation.ns:
            ns = ", ".join(map(str, cell.recipe.evaluation.ns))
            raise StepwardError(
                f"{where}: n {n} is not among evaluation.ns of cell {cell.name}, which are {ns}",
                code="mismatch",
                field=where,
            )
        if voting not in (OVERALL, *VOTINGS):
            raise StepwardError(
                f"{where}: voting {voting}{did_you_mean(str(voting), [OVERALL, *VOTINGS])}",
                code="unknown_name",
                field=where,
            )
        if aggregation is not None and aggregation not in AGGREGATIONS:
            raise StepwardError(
                f"{where}: aggregation {aggregation}{did_you_mean(str(aggregation), list(AGGREGATIONS))}",
                code="unknown_name",
                field=where,
            )
        if method in WITHOUT_MODEL:
            voting, aggregation = OVERALL, None
        elif aggregation is not None and voting == OVERALL:
            raise StepwardError(
                f"{where}: aggregation {aggregation} needs a voting: {' or '.join(VOTINGS)}",
                code="missing",
                field=where,
            )
        elif aggregation is None and voting not in (OVERALL, *CHOSEN_VOTINGS):
            raise StepwardError(
                f"{where}: voting {voting} needs an aggregation: validation chooses none for it",
                code="missing",
                field=where,
            )
        return Selection(cell, str(method), n, voting, aggregation)

    def _cell(self, where: str, said: Mapping[str, Any]) -> Cell:
        """The one run that a selection means."""
        name, values = said.get("cell"), {key: value for key, value in said.items() if key in self.study.grid}
        if name is not None and name not in self.by_name and name not in self.study.cells:
            raise StepwardError(
                f"{where}: no cell {name}{did_you_mean(str(name), list(self.by_name))}",
                code="unknown_name",
                field=where,
            )
        found = [
            cell
            for cell in self.cells
            if name in (None, cell.name, cell.of) and all(cell.values[key] == value for key, value in values.items())
        ]
        if len(found) != 1:
            names = ", ".join(cell.name for cell in found) or "none"
            raise StepwardError(
                f"{where}: expected one cell, and what it says fits {names}; name the cell",
                code="ambiguous",
                field=where,
            )
        return found[0]


def _stated(said: Table | HypothesisSpec) -> dict[str, Any]:
    """What a table or check selects for all its parts."""
    stated = said.model_dump(include={"cell", "method", "n", "voting", "aggregation"}, exclude_none=True)
    return dict(stated)


def _published(where: str, table: Table, rows: Sequence[str], columns: Sequence[str]) -> list[list[float | None]]:
    """The paper's figures [row][column]; empty where there are none."""
    if not table.published:
        return []
    for label in table.published:
        if label not in rows:
            raise StepwardError(
                f"{where}.published: no row {label}{did_you_mean(label, rows)}",
                code="unknown_name",
                field=f"{where}.published",
            )
    found: list[list[float | None]] = []
    for label in rows:
        said = table.published.get(label, [None] * len(columns))
        values = said if isinstance(said, list) else [said]
        if len(values) != len(columns):
            raise StepwardError(
                f"{where}.published.{label}: {len(values)} figures, but there are {len(columns)} columns",
                code="mismatch",
                field=f"{where}.published.{label}",
            )
        if any(value is not None and not 0 <= value <= 100 for value in values):
            raise StepwardError(
                f"{where}.published.{label}: expected accuracies in percent",
                code="bad_value",
                field=f"{where}.published.{label}",
            )
        found.append(list(values))
    if table.published_columns and len(table.published_columns) != len(columns):
        raise StepwardError(
            f"{where}.published_columns: {len(table.published_columns)} names for {len(columns)} columns",
            code="mismatch",
            field=f"{where}.published_columns",
        )
    return found
