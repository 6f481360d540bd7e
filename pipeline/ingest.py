"""A source's raw files -> raw tables as text, and per canonical table its candidate rows, parsed, each with the raw rows it is made of.

data/<source>/ingest/
  raw/<raw table>.parquet  `_row` and the columns as the files have them
  ragged.parquet           rows of the wrong width: _row, raw table, the record
  <table>.parquet          candidate rows (pipeline/parse.py)
  files.json               the files in the order of their numbers, and what was noticed while reading

`_row` is the file's number times 10^10 plus the line: unique over all raw tables, and file and line follow from it.
Bad values are only noted here, and judged by validate. What stops the run: a file that cannot be read exactly, and a broken contract.
"""

import re
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import UserError
from pipeline.account import lines_of_file, place
from pipeline.mapping import check_mentions, map_table
from pipeline.parse import BATCH_ROWS
from pipeline.rawtext import RawText, open_raw
from pipeline.readsql import is_date_format
from pipeline.source import Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import TABLES, folder_written_whole, write_json

RAGGED = pa.schema([("_row", pa.int64()), ("raw", pa.string()), ("record", pa.string())])


@dataclass
class RawFileFacts:
    """What is known of one raw file after reading it."""

    number: int
    raw: str
    path: str
    n_rows: int = 0
    n_ragged: int = 0
    n_blank_lines: int = 0
    ignored_columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def ingest(source: Source, out: Path) -> None:
    """Reads all raw files and mappings of `source` into the folder `out`, whole or not at all."""
    _check_spec(source)
    with folder_written_whole(out) as folder:
        files, ragged = _read_raw(source, folder / "raw")
        pq.write_table(ragged, folder / "ragged.parquet", compression="zstd")
        names = [name for name in TABLES if name in source.sql or name in source.spec.files]
        place_of = partial(place, {file.number: file.path for file in files})
        notes = {name: map_table(source, TABLES[name], folder, place_of) for name in names}
        check_mentions(source, folder, names, place_of)
        write_json(folder / "files.json", {"files": [asdict(file) for file in files], "notes": notes})
    _print(files, notes)


def _check_spec(source: Source) -> None:
    where = str(source.folder / "source.yaml")
    for text in source.spec.date_formats:
        if not is_date_format(text):
            raise UserError(
                where,
                found=f"date_formats: {text}",
                wanted="formats such as %d/%m/%Y or %d.%m.%Y %H:%M, without an offset (%z)",
                cure="correct it; ISO 8601 needs no declaration, and times with an offset of another shape are converted in the .sql",
            )
    for name, raw in source.spec.files.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise UserError(where, found=f"files.{name}", wanted="names of lower-case letters, digits and _", cure="rename the raw table")
        if raw.delimiter in '"\r\n':
            raise UserError(
                where, found=f"files.{name}.delimiter: {raw.delimiter!r}", wanted='a sign such as ";" or "\\t"', cure="correct it"
            )
    numbers = source.spec.numbers
    if numbers.decimal == numbers.thousands:
        raise UserError(
            where, found=f"numbers: {numbers.decimal!r} for both decimals and thousands", wanted="two different signs", cure="correct it"
        )


# ---- raw files ------------------------------------------------------------------------------------------------------------------------


def _read_raw(source: Source, folder: Path) -> tuple[list[RawFileFacts], pa.Table]:
    folder.mkdir()
    files: list[RawFileFacts] = []
    ragged: list[tuple[int, str, str]] = []
    for name in sorted(source.spec.files):
        facts = [RawFileFacts(len(files) + i, name, _shown(source, path)) for i, path in enumerate(source.raw_paths(name), 1)]
        ragged += _write_raw(source, name, facts, folder / f"{name}.parquet")
        files += facts
    columns: list[Any] = list(zip(*ragged, strict=True)) if ragged else [[], [], []]
    return files, pa.table([pa.array(column, kind.type) for column, kind in zip(columns, RAGGED, strict=True)], schema=RAGGED)


def _shown(source: Source, path: Path) -> str:
    return str(path.relative_to(source.folder)) if path.is_relative_to(source.folder) else str(path)


def _write_raw(source: Source, name: str, files: list[RawFileFacts], path: Path) -> list[tuple[int, str, str]]:
    """All files of one raw table into one Parquet file; returns the ragged rows."""
    ragged: list[tuple[int, str, str]] = []
    writer: pq.ParquetWriter | None = None
    try:
        for file, raw_path in zip(files, source.raw_paths(name), strict=True):
            text = open_raw(raw_path, source.spec.files[name])
            for batch in text.batches:
                rows = pa.array(lines_of_file(file.number) + batch.lines, pa.int64())
                values = pa.RecordBatch.from_arrays([rows, *batch.values.columns], ["_row", *batch.values.schema.names])
                if writer is None:
                    writer = pq.ParquetWriter(
                        path, values.schema, compression="lz4", column_encoding={"_row": "DELTA_BINARY_PACKED"}, use_dictionary=False
                    )
                writer.write_batch(_like(values, writer.schema, raw_path), row_group_size=BATCH_ROWS)
                ragged += [(lines_of_file(file.number) + line, name, record) for line, record in batch.ragged]
                file.n_rows, file.n_ragged = file.n_rows + len(batch.lines), file.n_ragged + len(batch.ragged)
            _finish(file, text)
            if file.n_ragged and not file.n_rows:
                raise UserError(
                    str(raw_path), found="not one row as wide as the header", wanted="rows as wide as the header", cure="check `delimiter:`"
                )
        if writer is None:
            names = ["_row", *source.spec.files[name].columns.values()]
            kinds = [pa.int64(), *[pa.string()] * len(source.spec.files[name].columns)]
            writer = pq.ParquetWriter(path, pa.schema(list(zip(names, kinds, strict=True))))
    finally:
        if writer is not None:
            writer.close()
    return ragged


def _like(values: pa.RecordBatch, schema: pa.Schema, path: Path) -> pa.RecordBatch:
    try:
        return values.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
        raise UserError(
            str(path),
            found=f"other column types than in the file before ({problem})",
            wanted="the same types in all files",
            cure="export them alike",
        ) from problem


def _finish(file: RawFileFacts, text: RawText) -> None:
    file.n_blank_lines, file.ignored_columns, file.notes = text.n_blank_lines, list(text.ignored), text.notes


def _print(files: list[RawFileFacts], notes: dict[str, Any]) -> None:
    for file in files:
        console.print(f"{file.path}: {file.n_rows + file.n_ragged:,} rows of {file.raw}", markup=False)
        said = [f"{file.n_ragged:,} not as wide as the header"] if file.n_ragged else []
        said += [f"{file.n_blank_lines:,} blank lines"] if file.n_blank_lines else []
        said += [f"columns not read: {', '.join(file.ignored_columns)}"] if file.ignored_columns else []
        for note in [*said, *file.notes]:
            console.print(f"  {note}", markup=False)
    for name, facts in notes.items():
        for note in facts["notes"]:
            console.print(f"{name}: {note}", markup=False)


def main() -> None:
    """The selected source."""
    source = selected_source()
    ingest(source, source.output / "ingest")


if __name__ == "__main__":
    stage("ingest", main)
