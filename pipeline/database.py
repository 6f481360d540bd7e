"""A DuckDB for one piece of work: a bounded memory, spilling beside the output, no extension fetched, one time zone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

MEMORY = "1500MB"  # of DuckDB; with Python's own it keeps ten million rows well under 4 GiB
SPILL = ".spill"


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def database(folder: Path, threads: int = 2) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that spills into `folder` and leaves nothing there."""
    settings: dict[str, Any] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": MEMORY,
        "threads": threads,
        "temp_directory": str(folder / SPILL),
    }
    connection = duckdb.connect(config=settings)
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set enable_progress_bar = false")
        yield connection
    finally:
        connection.close()
        if (folder / SPILL).is_dir():
            (folder / SPILL).rmdir()


def offer(connection: duckdb.DuckDBPyConnection, name: str, path: Path, is_numbered: bool = False) -> None:
    """Makes a Parquet file visible as `name`; numbered, each row has its place in the file as `file_row_number`."""
    connection.from_parquet(str(path), file_row_number=is_numbered).create_view(name)


def rows_of(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    """All rows of a small result."""
    return connection.sql(query).fetchall()
