"""Tables drawn in text -> canonical tables with their clocks, and a source to go with them."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq

from features.contract import Business
from features.time import to_day
from pipeline.settings import Settings, load_settings
from pipeline.tables import TABLES, arrow_schema


def day(text: str) -> int:
    return to_day(date.fromisoformat(text))


def drawn(text: str) -> list[dict[str, str | None]]:
    """Rows of a table drawn with a header and blanks between cells; `-` is an empty cell.

    >>> drawn("client  on\\n a  2024-01-31")
    [{'client': 'a', 'on': '2024-01-31'}]
    """
    lines = [line.split() for line in text.strip().splitlines() if line.strip()]
    return [{name: None if cell == "-" else cell for name, cell in zip(lines[0], cells, strict=True)} for cells in lines[1:]]


def canonical(table: str, text: str, folder: Path) -> Path:
    """Writes a canonical table from a drawing with the table's columns; `on` = the event's date, `recorded`, `superseded` = dates."""
    declared = TABLES[table]
    rows = []
    for number, cells in enumerate(drawn(text)):
        row: dict[str, object] = dict.fromkeys(arrow_schema(declared).names)
        row[declared.key] = f"{table}-{number}"
        on = cells.pop("on", None)
        recorded = cells.pop("recorded", None) or on
        superseded = cells.pop("superseded", None)
        row |= {"day": day(on) if on else None, "known": day(recorded), "superseded": day(superseded) if superseded else None}
        for name, cell in cells.items():
            is_date = pa.types.is_date(arrow_schema(declared).field(name).type)
            row[name] = date.fromisoformat(cell) if is_date and cell else cell
        if row["day"] is None:
            row["day"] = row["known"]
        rows.append(row)
    path = folder / f"{table}.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(declared)), path)
    return path


def source_of(relationship: str, exported: str, **overrides: dict[str, object]) -> SimpleNamespace:
    """What the stages read of a source: relationship, qualifying kinds, export day and settings."""
    settings: Settings = load_settings(overrides, "drawn source")
    business = Business((0, 1, 2, 3, 4), 9 * 60, 17 * 60, holidays=(), currency="EUR", qualifying={"kind": ["order"]})
    return SimpleNamespace(
        spec=SimpleNamespace(relationship=relationship), business=business, settings=settings, exported_day=day(exported)
    )
