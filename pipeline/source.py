"""A source folder (source.yaml, one <table>.sql per canonical table) -> Source; and the choice of one, handed to DVC in .source.yaml.

`python -m pipeline.source NAME_OR_FOLDER` checks the folder, writes its raw files if it is a simulated portfolio, and notes name, folder
and content hash in `.source.yaml`, which dvc.yaml reads as `vars`: what changes in the raw data changes the hash, hence the stages run.
"""

import hashlib
import re
import shlex
import sys
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from features.contract import Business
from features.errors import UserError
from features.time import split_local, to_date, zone
from pipeline.settings import Settings, checked, load_settings, read_yaml
from pipeline.stage import command
from pipeline.tables import TABLES, sha256_of, write_text

SELECTED = Path(".source.yaml")
SOURCES = Path("data/sources")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NumberFormat(_Strict):
    """How numbers are written. Without a thousands separator, `1,234` is a fault, not a number."""

    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""


class RawFile(_Strict):
    """One raw table: files by path or glob relative to the folder; `columns` maps the file's headers to the names SQL sees."""

    path: str
    format: Literal["csv", "parquet"] = "csv"
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    columns: dict[str, str]

    @field_validator("columns")
    @classmethod
    def _names(cls, columns: dict[str, str]) -> dict[str, str]:
        for name in columns.values():
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"column name {name!r} must be lower-case letters, digits and _")
        if len(set(columns.values())) < len(columns):
            raise ValueError("two columns have the same name")
        return columns


class TableFacts(_Strict):
    """What the source says of one canonical table: whether old versions of its rows are in the files."""

    history: Literal["full", "none"]
    immutable: list[str] = []


class ServiceHours(_Strict):
    """Text, since YAML reads a bare 18:00 as the number 1080."""

    opens: str
    closes: str

    @field_validator("opens", "closes", mode="before")
    @classmethod
    def _clock(cls, given: object) -> object:
        if not isinstance(given, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", given):
            raise ValueError('a time of day in quotes, such as "08:30"')
        return given

    @model_validator(mode="after")
    def _order(self) -> "ServiceHours":
        if self.opens >= self.closes:
            raise ValueError("opens must lie before closes")
        return self

    def minute(self, text: str) -> int:
        """Minutes from midnight."""
        hours, minutes = text.split(":")
        return int(hours) * 60 + int(minutes)


class SourceSpec(_Strict):
    """source.yaml."""

    name: str = Field(default="", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$|^$")  # of the registered model and of data/<name>
    description: str
    time_zone: str
    working_week: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]
    service_hours: ServiceHours
    holidays: str  # country code of the `holidays` package, with "/subdivision" if need be; "" for none
    currency: str = Field(pattern="^[A-Z]{3}$")
    exported_at: datetime  # wall clock of the business: nothing later can be in the files
    relationship: Literal["contractual", "non_contractual"]
    qualifying: dict[Literal["kind", "channel", "direction"], list[str]]  # none = every interaction
    date_formats: list[str] = []  # besides ISO 8601, as strptime has them
    numbers: NumberFormat = NumberFormat()
    files: dict[str, RawFile]
    tables: dict[str, TableFacts] = {}
    simulate: dict[str, Any] = {}
    params: dict[str, Any] = {}

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as problem:
            raise ValueError("an IANA time zone, such as Asia/Jerusalem") from problem
        return name

    @field_validator("exported_at", mode="before")
    @classmethod
    def _moment(cls, given: object) -> object:
        if not isinstance(given, date | str):
            raise ValueError("a date and time, such as 2026-06-01T06:00:00")
        return given

    @field_validator("qualifying")
    @classmethod
    def _qualifying(cls, qualifying: dict[str, list[str]]) -> dict[str, list[str]]:
        for column, values in qualifying.items():
            known = TABLES["interactions"][column].allowed
            strange = [value for value in values if value not in known]
            if strange or not values:
                raise ValueError(f"{column}: {strange[0] if strange else 'nothing'}; wanted some of {', '.join(known)}")
        return qualifying

    @field_validator("tables")
    @classmethod
    def _tables(cls, tables: dict[str, TableFacts]) -> dict[str, TableFacts]:
        for name, facts in tables.items():
            if name not in TABLES:
                raise ValueError(f"{name!r} is no table; tables are {', '.join(TABLES)}")
            unknown = set(facts.immutable) - set(TABLES[name].names)
            if unknown:
                raise ValueError(f"{name} has no column {', '.join(sorted(unknown))}")
        return tables


@dataclass(frozen=True)
class Source:
    """A source, read and checked. `sql`: canonical table -> its SELECT; a table without SQL is a raw file already in canonical form."""

    name: str
    folder: Path
    spec: SourceSpec
    sql: dict[str, str]
    settings: Settings

    @property
    def asked_as(self) -> str:
        """What to give make as SOURCE, ready for a shell."""
        return shlex.quote(self.folder.name if self.folder.parent == SOURCES else str(self.folder))

    def registered(self, target: str) -> str:
        """The registered model of a target: neither businesses nor targets compete; a source's name has no dot, so none is another's."""
        return f"clientfit-{self.name}" if target == "churn" else f"clientfit-{self.name}.{target}"

    @property
    def output(self) -> Path:
        """Where this source's stages write."""
        return Path("data") / self.name

    @cached_property
    def exported_us(self) -> int:
        """The export as an instant."""
        given = self.spec.exported_at
        if given.tzinfo is not None:
            return round(given.timestamp() * 1_000_000)
        wall = round((given - datetime(1970, 1, 1)).total_seconds() * 1_000_000)  # noqa: DTZ001  # wall clock, converted on the next line
        return int(zone(self.spec.time_zone).to_instants(_array(wall))[0][0])

    @property
    def exported_day(self) -> int:
        """Local day of the export: the last of which the files may know something, and the latest possible as_of."""
        return int(split_local(zone(self.spec.time_zone).to_local(_array(self.exported_us)))[0][0])

    @cached_property
    def business(self) -> Business:
        """Working week, service hours and holidays."""
        hours = self.spec.service_hours
        return Business(
            working_days=tuple(DAYS.index(day) for day in self.spec.working_week),
            opens_minute=hours.minute(hours.opens),
            closes_minute=hours.minute(hours.closes),
            holidays=self._holidays(),
            currency=self.spec.currency,
            qualifying=dict(self.spec.qualifying.items()),
        )

    def _holidays(self) -> tuple[int, ...]:
        if not self.spec.holidays:
            return ()
        import holidays  # here: 0.3 s, needed by few stages

        country, _, subdivision = self.spec.holidays.partition("/")
        years = range(1990, to_date(self.exported_day).year + 2)
        try:
            found = holidays.country_holidays(country, subdiv=subdivision or None, years=years)
        except NotImplementedError as problem:
            raise UserError(
                str(self.folder / "source.yaml"),
                found=f"holidays: {self.spec.holidays}",
                wanted="a country code of the holidays package (IL, GB, IT, US/CA …) or an empty text",
                cure="correct the code",
            ) from problem
        return tuple(sorted((day - to_date(0)).days for day in found))

    def raw_paths(self, name: str) -> list[Path]:
        """The files of one raw table, in the order of their names. Raises UserError if there is none."""
        raw = self.spec.files[name]
        paths = sorted(self.folder.glob(raw.path)) if not Path(raw.path).is_absolute() else [Path(raw.path)]
        files = [path for path in paths if path.is_file()]
        if not files:
            raise UserError(
                str(self.folder / "source.yaml"),
                found=f"files.{name}.path = {raw.path}: no such file",
                wanted="at least one file",
                cure=f"put the file there, or correct the path (relative to {self.folder})",
            )
        return files

    def fingerprint(self) -> str:
        """Content hash of everything the stages read of this source. Not its policy.yaml: none of them reads it, only what is no stage, and
        so reads it anew each time (score, review_list, one client's explanation)."""
        digest = hashlib.sha256()
        files = [self.folder / "source.yaml", *sorted(self.folder.glob("*.sql"))]
        for raw in self.spec.files:
            files += self.raw_paths(raw)
        for path in files:
            digest.update(f"{path.name} {sha256_of(path)}\n".encode())
        return digest.hexdigest()


def _array(value: int):  # type: ignore[no-untyped-def]
    import numpy as np

    return np.array([value], np.int64)


def load_source(name_or_folder: str) -> Source:
    """Reads and checks a source by its name under data/sources or by its folder."""
    by_name = SOURCES / name_or_folder
    folder = by_name if by_name.is_dir() else Path(name_or_folder)
    if not (folder / "source.yaml").is_file():
        known = ", ".join(sorted(path.parent.name for path in SOURCES.glob("*/source.yaml")))
        raise UserError(
            name_or_folder,
            found=f"no source.yaml in {by_name} or {folder}",
            wanted=f"a source's name ({known}) or the folder of your own",
            cure="make SOURCE=<name or folder>; README shows how to write a source.yaml",
        )
    where = str(folder / "source.yaml")
    content = read_yaml(folder / "source.yaml")
    spec: SourceSpec = checked(SourceSpec, content, where)
    sql = {path.stem: _text(path) for path in sorted(folder.glob("*.sql"))}
    for table in sql:
        if table not in TABLES:
            raise UserError(
                str(folder / f"{table}.sql"), found=f"a table named {table}", wanted=f"one of {', '.join(TABLES)}", cure="rename the file"
            )
    offered = set(sql) | set(spec.files)
    if "interactions" not in offered:
        raise UserError(
            where, found="no interactions", wanted="interactions.sql, or a raw file of that name", cure="map your contact history"
        )
    return Source(_name(folder, spec), folder, spec, sql, load_settings(spec.params, where))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise UserError(
            str(path), found=f"a byte that is not UTF-8 at offset {problem.start}", wanted="UTF-8 text", cure="save it as UTF-8"
        ) from problem


def _name(folder: Path, spec: SourceSpec) -> str:
    """Under which the source's outputs and model stand: no two businesses may share one.

    A folder under data/sources has its own name. Another has the `name:` of its source.yaml, or else its folder's name with a hash of
    its place: names of two folders may be equal, or equal once letters that are no file names everywhere (Hebrew, blanks) are left out.
    """
    place = folder.resolve()
    if place.parent == SOURCES.resolve():
        return spec.name or place.name
    if spec.name == SOURCES.name or ((SOURCES / spec.name / "source.yaml").is_file() and spec.name):
        raise UserError(
            str(folder / "source.yaml"),
            found=f"name: {spec.name}, the name of another source",
            wanted="a name of its own",
            cure="rename it",
        )
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", place.name).strip("-") or "source"
    return spec.name or f"{plain}-{hashlib.sha256(str(place).encode()).hexdigest()[:6]}"


def selected_source() -> Source:
    """The source that make chose for this run."""
    if not SELECTED.exists():
        raise UserError(str(SELECTED), found="no source chosen", wanted="a chosen source", cure="run `make train SOURCE=<name or folder>`")
    return load_source(read_yaml(SELECTED)["folder"])


def select(name_or_folder: str) -> Source:
    """Checks the source, makes its raw files if it is simulated, and writes `.source.yaml`."""
    source = load_source(name_or_folder)
    if source.spec.simulate:
        from pipeline.simulate import ensure_exports

        ensure_exports(source)
    from pipeline.policy import NAME, read_policy  # no stage reads it; a mistake in it is told before anything is trained

    if (source.folder / NAME).is_file():
        read_policy(source)
    choice = {"name": source.name, "folder": str(source.folder), "fingerprint": source.fingerprint()}
    write_text(SELECTED, "# written by make: the source of this run\n" + yaml.safe_dump(choice, sort_keys=False))
    return source


if __name__ == "__main__":
    command(lambda: print(f"source {select(sys.argv[1] if len(sys.argv) > 1 else 'simulated').name}"))
