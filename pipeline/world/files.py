"""Blemished exports -> the firm's files, block after block: CRM and time sheets by year, the accounts from an old Windows program."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from pipeline.world.almanac import years_of


@dataclass(frozen=True)
class Manner:
    """How a system writes its export."""

    encoding: str = "utf-8"
    delimiter: str = ","
    newline: str = "\n"
    by_year: bool = False
    is_quoted: bool = False  # where values hold commas or quotes: slower


MANNERS = {
    "crm": Manner(by_year=True),
    "timesheet": Manner(by_year=True),
    "accounts": Manner(encoding="windows-1255", newline="\r\n", is_quoted=True),
    "invoices": Manner(encoding="utf-8-sig", is_quoted=True),
    "receipts": Manner(delimiter=";"),
    "contracts": Manner(encoding="utf-8-sig"),
}


@dataclass
class Files:
    """The files of one folder. A file's heading is written with its first lines."""

    folder: Path
    begun: set[str] = field(default_factory=set)

    def add(self, exports: Mapping[str, pa.Table]) -> None:
        for name, lines in exports.items():
            manner = MANNERS.get(name, Manner())
            if not manner.by_year:
                self._write(f"{name}.csv", lines, manner)
                continue
            year = years_of(lines["_known"].to_numpy())
            for one in np.unique(year):
                self._write(f"{name}_{one}.csv", lines.filter(pa.array(year == one)), manner)

    def _write(self, file: str, lines: pa.Table, manner: Manner) -> None:
        shown = lines.drop_columns(["_known"])
        is_new = file not in self.begun
        self.begun.add(file)
        text = (_quoted if manner.is_quoted else _plain)(shown, manner)
        heading = manner.delimiter.join(shown.column_names) + manner.newline if is_new else ""
        encoding = manner.encoding if is_new else manner.encoding.removesuffix("-sig")
        with (self.folder / file).open("ab") as out:
            out.write(heading.encode(encoding))
            out.write(text if encoding == "utf-8" else text.decode("utf-8").encode(encoding))


def _plain(lines: pa.Table, manner: Manner) -> bytes:
    """Lines in which nothing needs quotes."""
    sink = pa.BufferOutputStream()
    texts = pa.table({name: pc.fill_null(lines[name].cast(pa.string()), "") for name in lines.column_names})
    options = arrow_csv.WriteOptions(include_header=False, delimiter=manner.delimiter, quoting_style="none")
    arrow_csv.write_csv(texts, sink, options)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _quoted(lines: pa.Table, manner: Manner) -> bytes:
    out = io.StringIO(newline="")
    columns = [lines[name].to_pylist() for name in lines.column_names]
    csv.writer(out, delimiter=manner.delimiter, lineterminator=manner.newline).writerows(zip(*columns, strict=True))
    return out.getvalue().encode("utf-8")
