"""Raw files (CSV, gzip or not; Parquet) -> batches of rows, every value as the file has it, every row with its line.

A file is decoded strictly, then split by Python's csv module in strict mode. We chose it over pyarrow.csv and DuckDB because it misreads
nothing in silence: given an unclosed quote pyarrow hands back the rest of the file as one value; it drops quote characters and accepts
an open last value; DuckDB reads "" as null; neither tells the line of a row. A block in which every quote is well placed and every line is
one record of the right width leaves nothing to misread: it goes through pyarrow, many times as fast, with equal results (tested).
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from features.errors import UserError
from pipeline.source import RawFile

CHUNK_BYTES = 1 << 22
BATCH_ROWS = 1 << 16
LONGEST_LINE = 1 << 24  # characters: a file without line ends is no CSV, and must not fill the memory
LONGEST_VALUE = 1_000_000  # characters of one value
MOST_COLUMNS = 2_000

csv.field_size_limit(LONGEST_VALUE)

Lines = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Rows of one file: their text columns under the names SQL sees, the line each begins on, and the rows of the wrong width."""

    values: pa.RecordBatch
    lines: Lines
    ragged: tuple[tuple[int, str], ...] = ()  # line, the record as it stands


@dataclass
class RawText:
    """One open file: `batches` yields its rows once; the rest is complete when they are exhausted."""

    path: Path
    ignored: tuple[str, ...]  # headers that `columns` does not name
    batches: Iterator[Batch]
    notes: list[str] = field(default_factory=list)
    n_blank_lines: int = 0


def open_raw(path: Path, raw: RawFile) -> RawText:
    """Opens a raw file by its declared format. Raises UserError, here or while the batches are read, where it cannot be read exactly."""
    return _open_parquet(path, raw) if raw.format == "parquet" else _open_csv(path, raw)


# ---- bytes -> text --------------------------------------------------------------------------------------------------------------------


def _codec(raw: RawFile, first_bytes: bytes) -> str:
    try:
        name = codecs.lookup(raw.encoding).name
    except LookupError as problem:
        raise UserError(
            "source.yaml", found=f"encoding: {raw.encoding}", wanted="a known encoding (utf-8, windows-1255, latin-1 …)", cure="correct it"
        ) from problem
    if name == "utf-8":  # the marks say it, and cannot stand in a UTF-8 text
        return "utf-16" if first_bytes[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    return name


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b" or path.suffix == ".gz"
    return cast(IO[bytes], gzip.open(path, "rb")) if is_gzip else path.open("rb")


def _chunks(path: Path) -> Iterator[bytes]:
    """The file's bytes, unpacked; ends with one empty chunk."""
    try:
        with _opened(path) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise UserError(
            str(path),
            found=f"gzip data that is cut short or damaged ({problem})",
            wanted="a whole gzip file",
            cure="export or copy it again",
        ) from problem
    except OSError as problem:
        raise UserError(
            str(path), found=problem.strerror or str(problem), wanted="a readable file", cure="check its permissions"
        ) from problem
    yield b""


def _n_line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _texts(path: Path, raw: RawFile) -> Iterator[str]:
    """The file's text in pieces. Raises UserError with the byte offset and line of what is not text."""
    decoder, n_bytes, line = None, 0, 1
    for chunk in _chunks(path):
        if decoder is None:
            decoder = codecs.getincrementaldecoder(_codec(raw, chunk))("strict")
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as problem:
            read = len(chunk) - len(problem.object)  # what the decoder had kept back (less than 0), or a mark it took off (more)
            line += _n_line_ends(problem.object[: problem.start].decode("latin-1"))
            raise _not_text(f"{path}, line {line}", raw, problem.object, problem.start, n_bytes + read + problem.start) from problem
        if "\0" in text:
            line += _n_line_ends(text[: text.index("\0")])
            raise UserError(
                f"{path}, line {line}",
                found="a NUL character",
                wanted="text",
                cure="export the file again; it is damaged or not a text file",
            )
        n_bytes, line = n_bytes + len(chunk), line + _n_line_ends(text)
        yield text


def _not_text(where: str, raw: RawFile, content: bytes, start: int, offset: int) -> UserError:
    """What to say of a byte that does not fit the encoding: Hebrew in windows-1255 is known by its letters, 0xE0 to 0xFA."""
    around = [byte for byte in content[max(0, start - 500) : start + 500] if byte >= 0x80]
    is_hebrew = sum(0xE0 <= byte <= 0xFA for byte in around) >= 0.8 * len(around)
    guess = "the bytes look like Hebrew: declare `encoding: windows-1255`" if is_hebrew else "declare `encoding:` (windows-1252, latin-1 …)"
    is_default = codecs.lookup(raw.encoding).name == "utf-8"
    return UserError(
        where,
        found=f"byte 0x{content[start]:02X} at offset {offset}, which is not {'UTF-8' if is_default else raw.encoding}",
        wanted=f"text in {'UTF-8' if is_default else raw.encoding}",
        cure=f"{guess if is_default else 'correct `encoding:`'} for this file in source.yaml, or save the file as UTF-8",
    )


# ---- text -> records ------------------------------------------------------------------------------------------------------------------


@dataclass
class _Blocks:
    """Text pieces -> blocks of whole lines, and whether the last line had an end."""

    path: Path
    texts: Iterator[str]
    has_last_end: bool = True

    def __iter__(self) -> Iterator[str]:
        rest = ""
        for text in self.texts:
            rest += text
            cut = rest.rfind("\n") + 1 or rest.rfind("\r", 0, -1) + 1  # a final \r may be half of \r\n
            if cut:
                yield rest[:cut]
                rest = rest[cut:]
            if len(rest) > LONGEST_LINE:
                raise UserError(
                    str(self.path),
                    found=f"a line of more than {LONGEST_LINE:,} characters",
                    wanted="a CSV file",
                    cure="check that this is the right file",
                )
        if rest:
            self.has_last_end = rest.endswith("\r")
            yield rest


def _open_csv(path: Path, raw: RawFile) -> RawText:
    blocks = _Blocks(path, _texts(path, raw))
    pieces = iter(blocks)
    first = io.StringIO(next(pieces, ""), newline="")
    reader = csv.reader(first, delimiter=raw.delimiter, strict=True)
    try:
        header = next(reader, None)
    except csv.Error as problem:
        raise _broken(path, 1, reader.line_num, problem) from problem
    if not header:
        raise UserError(
            str(path), found="an empty file", wanted=f"a header line with {', '.join(raw.columns)}", cure="export it again, or remove it"
        )
    _check_header(path, raw, header)
    text = RawText(path, tuple(name for name in header if name not in raw.columns), iter(()))
    shape = _Shape(path, raw.delimiter, len(header), [header.index(name) for name in raw.columns], list(raw.columns.values()))
    text.batches = _batches(text, shape, chain([first.read()], pieces), blocks, reader.line_num)
    return text


def _check_header(path: Path, raw: RawFile, header: list[str]) -> None:
    where = f"{path}, line 1"
    if len(header) > MOST_COLUMNS:
        raise UserError(
            where, found=f"{len(header):,} columns", wanted=f"at most {MOST_COLUMNS:,}", cure="check that this is the right file"
        )
    missing = [name for name in raw.columns if name not in header]
    if missing:
        found, cure = f"columns {', '.join(header)}", "correct `columns:` in source.yaml, or export the file with them"
        for other in {",", ";", "\t", "|"} - {raw.delimiter}:
            if set(raw.columns) <= set(raw.delimiter.join(header).split(other)):
                shown = "\\t" if other == "\t" else other
                found, cure = (
                    f"columns separated by {shown!r}".replace("\\\\", "\\"),
                    f'declare `delimiter: "{shown}"` for this file in source.yaml',
                )
        raise UserError(where, found=f"{found}; missing: {', '.join(missing)}", wanted=f"columns {', '.join(raw.columns)}", cure=cure)
    repeated = [name for name in raw.columns if header.count(name) > 1]
    if repeated:
        raise UserError(
            where,
            found=f"column {', '.join(repeated)} more than once",
            wanted="each needed column once",
            cure="rename the others in the export, or leave the column out of `columns:`",
        )


def _broken(path: Path, begins: int, line: int, problem: csv.Error) -> UserError:
    if "end of data" in str(problem):
        found = "a quote that is never closed: the last value is cut short, or a quote character stands where none should"
    elif "field larger" in str(problem):
        found = f"a value of more than {LONGEST_VALUE:,} characters, or a quote that is never closed"
    else:
        found = (
            f"text after a closing quote, at line {line}: a quote inside a quoted value must be doubled, or an earlier one was never closed"
        )
    return UserError(
        f"{path}, line {begins}", found=found, wanted='values such as "a ""quoted"" word"', cure="correct that line, or export it again"
    )


@dataclass(frozen=True)
class _Shape:
    """What every record of a file has in common."""

    path: Path
    delimiter: str
    n_columns: int
    positions: list[int]  # of the needed columns
    names: list[str]

    def plain(self) -> re.Pattern[str]:
        """A quoted value on one line, between delimiters: what every reader reads alike."""
        edge = rf"[{re.escape(self.delimiter)}\r\n]"
        return re.compile(rf'"(?<={edge}")[^"\r\n]*(?:""[^"\r\n]*)*"(?={edge}|\Z)')  # a literal first: searched for fast


def _batches(text: RawText, shape: _Shape, pieces: Iterator[str], blocks: _Blocks, last_line: int) -> Iterator[Batch]:
    """The rows after the header, block by block. A record that a block leaves open is carried over into the next."""
    plain, carried, last_width, begins = shape.plain(), "", 0, 0
    for piece in pieces:
        block = carried + piece
        if not block:
            continue
        batch = _read_fast(block, shape, plain, last_line)
        if batch is not None:
            carried, last_width, begins = "", shape.n_columns, last_line + len(batch.lines)
            last_line = begins
        else:
            rows, lines, carried = _read_slowly(block, shape, last_line)
            last_line = last_line + _n_line_ends(block) - _n_line_ends(carried)
            batch = _batch(text, rows, lines, shape)
            if rows:
                last_width, begins = len(rows[-1]), int(lines[-1])
        yield batch
    if carried:
        raise _broken(shape.path, last_line + 1, 0, csv.Error("end of data"))
    if blocks.has_last_end or not last_width:
        return
    if last_width < shape.n_columns:
        raise UserError(
            f"{shape.path}, line {begins}",
            found=f"{last_width} of {shape.n_columns} values and no line end: the file is cut short",
            wanted="a whole last line",
            cure="export or copy the file again",
        )
    text.notes.append(f"line {begins}, the last, has no line end; it has all its values and was read")


def _read_fast(block: str, shape: _Shape, plain: re.Pattern[str], last_line: int) -> Batch | None:
    """A block in which every line is one record of the right width and every quote is well placed; None if it is not such a block."""
    if '"' in block and '"' in plain.sub("", f"\n{block}"):
        return None
    n_lines = _n_line_ends(block) + (not block.endswith(("\r", "\n")))
    content = block.encode()
    names = [str(i) for i in range(shape.n_columns)]
    needed = [names[i] for i in shape.positions]
    try:
        read = arrow_csv.read_csv(
            pa.BufferReader(content),
            arrow_csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=names),
            arrow_csv.ParseOptions(delimiter=shape.delimiter, newlines_in_values=False),
            arrow_csv.ConvertOptions(
                check_utf8=False, column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, include_columns=needed
            ),
        )
    except pa.ArrowInvalid:  # a row of another width: its line is the other reader's to tell
        return None
    if len(read) != n_lines:
        return None
    values = read.combine_chunks().to_batches()[0].rename_columns(shape.names)
    return Batch(values, np.arange(last_line + 1, last_line + 1 + n_lines, dtype=np.int64))


def _read_slowly(block: str, shape: _Shape, last_line: int) -> tuple[list[list[str]], Lines, str]:
    """A block's records, the line on which each begins, and the text of the last record if the block leaves it open."""
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(block, newline=""), delimiter=shape.delimiter, strict=True)
    fault: csv.Error | None = None
    try:
        rows.extend(reader)  # keeps what came before a fault
    except csv.Error as problem:
        fault = problem
    heights = np.array([1 + sum(map(_n_line_ends, row)) for row in rows], np.int64)
    n_read = int(heights.sum())
    lines = last_line + 1 + np.cumsum(heights) - heights
    if fault is None:
        return rows, lines, ""
    if "end of data" not in str(fault):
        raise _broken(shape.path, last_line + n_read + 1, last_line + reader.line_num, fault) from fault
    remaining = io.StringIO(block, newline="")
    for _ in range(n_read):
        next(remaining)
    return rows, lines, remaining.read()


def _batch(text: RawText, rows: list[list[str]], lines: Lines, shape: _Shape) -> Batch:
    ragged: tuple[tuple[int, str], ...] = ()
    if set(map(len, rows)) != {shape.n_columns}:
        widths = np.array([len(row) for row in rows], np.int64)
        text.n_blank_lines += int((widths == 0).sum())
        odd = np.flatnonzero((widths != shape.n_columns) & (widths != 0))
        ragged = tuple((int(lines[i]), _record(rows[i], shape.delimiter)) for i in odd)
        fit = np.flatnonzero(widths == shape.n_columns)
        rows, lines = [rows[i] for i in fit], lines[fit]
    columns = list(zip(*rows, strict=True)) if rows else [()] * shape.n_columns
    return Batch(pa.RecordBatch.from_arrays([pa.array(columns[i], pa.string()) for i in shape.positions], shape.names), lines, ragged)


def _record(values: list[str], delimiter: str) -> str:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="").writerow(values)
    return written.getvalue()


# ---- Parquet --------------------------------------------------------------------------------------------------------------------------


def _open_parquet(path: Path, raw: RawFile) -> RawText:
    """A Parquet file: text stays text, typed columns stay typed; a row's line is its number, from 1."""
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)  # where the writer left checksums
    except (pa.ArrowException, OSError) as problem:
        raise _damaged(path, problem) from problem
    header = file.schema_arrow.names
    _check_header(path, raw, header)
    text = RawText(path, tuple(name for name in header if name not in raw.columns), iter(()))
    text.batches = _parquet_batches(path, raw, file)
    return text


def _parquet_batches(path: Path, raw: RawFile, file: pq.ParquetFile) -> Iterator[Batch]:
    n_read = 0
    try:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(raw.columns)):
            columns = [_plain(path, name, batch.column(batch.schema.get_field_index(name))) for name in raw.columns]
            lines = np.arange(n_read + 1, n_read + 1 + batch.num_rows, dtype=np.int64)
            yield Batch(pa.RecordBatch.from_arrays(columns, list(raw.columns.values())), lines)
            n_read += batch.num_rows
    except (pa.ArrowException, OSError) as problem:
        raise _damaged(path, problem) from problem


def _plain(path: Path, name: str, values: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        return values.cast(pa.string())
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        raise UserError(
            str(path), found=f"column {name} of type {values.type}", wanted="text, numbers, dates or flags", cure="export it as text"
        )
    return values


def _damaged(path: Path, problem: Exception) -> UserError:
    return UserError(
        str(path),
        found=f"not readable as Parquet ({' '.join(str(problem).split())})",
        wanted="a whole Parquet file",
        cure="export or copy it again",
    )
