"""A canonical table's declaration -> a Great Expectations suite; a chunk of candidate rows -> which rows fail what, and why.

The one module that knows Great Expectations. Suites are built in code in an ephemeral context, chunks are pandas frames. A row that fails
an expectation is bad data; an expectation that could not be evaluated raises CheckCrashedError and counts no row; a table that has not the
columns it should have is a broken contract and stops the run.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before the import below, whoever calls

import great_expectations as gx
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from great_expectations.data_context.types.base import ProgressBarsConfig

from features.errors import UserError
from features.time import DAY_US, FIRST_DAY, LAST_DAY
from pipeline.readsql import wanted_columns
from pipeline.tables import Column, Kind, Role, Table

gxe: Any = gx.expectations  # which does not declare what it exports
logging.getLogger("great_expectations").setLevel(logging.WARNING)

CHUNK_ROWS = 250_000
TIMES = (Kind.INSTANT, Kind.DATE)


class CheckCrashedError(RuntimeError):
    """A check itself failed: nothing is known of the data. Ours to mend, hence no UserError."""


@dataclass(frozen=True)
class Failure:
    """The rows (by the frame's index) that fail one expectation, the reason code and the column at fault."""

    reason: str
    column: str
    rows: npt.NDArray[np.int64]


class Checks:
    """The checks of one table. `given`: the columns that the mapping gives; `exported_us`, `exported_day`: when the files were made."""

    def __init__(self, table: Table, given: list[str], exported_us: int, exported_day: int) -> None:
        self.table = table
        latest = {Kind.INSTANT: exported_us + DAY_US, Kind.DATE: exported_day + 1}
        judged = [column for column in wanted_columns(table) if column.name in given]
        expectations = [self._no_problem(), *(item for column in judged for item in _of_column(column, latest))]
        for order, expectation in enumerate(expectations):
            expectation.meta = {**(expectation.meta or {}), "order": order}
        self.columns = list(dict.fromkeys(["_problem", *(item.column for item in expectations)]))
        shape = gxe.ExpectTableColumnsToMatchSet(column_set=self.columns, exact_match=True)
        self._definition = _definition(table.name, [shape, *expectations])

    @staticmethod
    def _no_problem() -> Any:
        return gxe.ExpectColumnValuesToBeNull(column="_problem", meta={"reason": ""})  # the problem itself is the reason

    def failures(self, chunk: pa.Table, rows: npt.NDArray[np.int64]) -> Iterator[Failure]:
        """What fails in a chunk with `columns`, in the order of the checks; `rows` are the numbers of its rows."""
        frame = chunk.to_pandas(types_mapper={pa.string(): pd.StringDtype(na_value=np.nan)}.get)
        frame.index = pd.Index(rows)
        result = self._definition.run(batch_parameters={"dataframe": frame}, result_format={"result_format": "COMPLETE"})
        for outcome in sorted(result.results, key=lambda item: (item.expectation_config.meta or {}).get("order", -1)):
            failure = self._failure(outcome)
            if failure is None:
                continue
            if failure.reason:
                yield failure
            else:
                problems = frame["_problem"].loc[failure.rows]
                for reason in problems.unique():
                    yield Failure(str(reason), "", np.asarray(problems.index[problems == reason], np.int64))

    def _failure(self, outcome: Any) -> Failure | None:
        config = outcome.expectation_config
        what = f"{self.table.name}: {config.type} {config.kwargs.get('column', '')}".rstrip()
        crash = _crash(outcome.exception_info)
        if crash:
            raise CheckCrashedError(f"the check itself failed, the data may be good: {what}: {crash}")
        if outcome.success:
            return None
        rows = outcome.result.get("unexpected_index_list")
        if rows is None:
            raise UserError(
                what,
                found=f"the table fails as a whole ({outcome.result.get('observed_value', outcome.result)})",
                wanted=f"columns {', '.join(self.columns)}",
                cure="run `make clean train`; if it stays, the candidate file was not made by this version",
            )
        return Failure(config.meta["reason"], config.kwargs["column"], np.asarray(rows, np.int64))


def _of_column(column: Column, latest: dict[Kind, int]) -> Iterator[Any]:
    name = column.name
    if column.is_required:
        yield gxe.ExpectColumnValuesToNotBeNull(column=name, meta={"reason": f"blank_{name}"})
    if column.allowed:
        yield gxe.ExpectColumnValuesToBeInSet(column=name, value_set=list(column.allowed), meta={"reason": f"unknown_{name}"})
    if column.pattern:
        yield gxe.ExpectColumnValuesToMatchRegex(column=name, regex=f"^{column.pattern}$", meta={"reason": f"unknown_{name}"})
    if column.at_least is not None or column.at_most is not None:
        yield _between(name, column.at_least, column.at_most, f"out_of_range_{name}")
    if column.kind in TIMES:
        unit = DAY_US if column.kind is Kind.INSTANT else 1
        yield _between(name, FIRST_DAY * unit, LAST_DAY * unit, f"out_of_range_{name}")
        if column.role is not Role.PLAN and not column.is_announced:
            yield _between(name, None, latest[column.kind], f"future_{name}")


def _between(name: str, low: float | None, high: float | None, reason: str) -> Any:
    return gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high, meta={"reason": reason})


def _definition(name: str, expectations: list[Any]) -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
    asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
    whole = asset.add_batch_definition_whole_dataframe(name)
    return context.validation_definitions.add(gx.ValidationDefinition(name=name, data=whole, suite=suite))


def _crash(info: Any) -> str:
    """What was raised while an expectation was evaluated; `info` is one record, or records by metric."""
    records = [info] if "raised_exception" in (info or {}) else list((info or {}).values())
    return "; ".join(
        str(record.get("exception_message")) for record in records if isinstance(record, dict) and record.get("raised_exception")
    )
