"""The canonical tables (one Parquet file each) as declarations, and the only functions that read and write data files.

Every table has a key (its first column), the client it belongs to, and two clocks (features/time.py). Beside its own columns a canonical
file carries `recorded_at`, `day` (local day of the event), `known` (local day of recording) and `superseded` (local day on which the
row's next version was recorded; null = never), written once by validate and clustered by client, so that no signal converts time.
Where the source has `rates`, tables with a currency carry `rate` too (pipeline/rates.py).
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import UserError


class Kind(StrEnum):
    """What a column holds, hence how its text is read and how it is stored."""

    TEXT = "text"  # ids are text too: 00123 is not 123
    INSTANT = "instant"  # UTC instant in microseconds
    DATE = "date"  # local date of the business
    MONEY = "money"  # integer minor units of `currency`: hundredths (cents, agorot), of yen and dinars too
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"


ARROW = {
    Kind.TEXT: pa.string(),
    Kind.INSTANT: pa.timestamp("us", tz="UTC"),
    Kind.DATE: pa.date32(),
    Kind.MONEY: pa.int64(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.FLAG: pa.bool_(),
}


class Role(StrEnum):
    """How a column stands in time (DESIGN: columns look ahead)."""

    KEY = "key"
    EVENT = "event"  # when the row happened: not seen before
    FACT = "fact"  # a date that comes true later: reads as null until it has passed
    PLAN = "plan"  # a date agreed in advance: may lie ahead of as_of
    VALUE = "value"


@dataclass(frozen=True)
class Column:
    """One column. `is_mutable` values of a table without history are unknown before the export (fact dates carry their own time).

    `is_announced`: a fact that may be dated after the export, since an end is often known before it comes.
    """

    name: str
    kind: Kind = Kind.TEXT
    role: Role = Role.VALUE
    is_required: bool = False
    is_mutable: bool = False
    is_announced: bool = False
    allowed: tuple[str, ...] = ()
    pattern: str = ""  # what the whole text must look like
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True)
class Table:
    """A canonical table: name, grain, columns in order. The first column is the key."""

    name: str
    grain: str
    columns: tuple[Column, ...] = field(repr=False)

    @property
    def key(self) -> str:
        return self.columns[0].name

    @property
    def event(self) -> Column | None:
        """The column that says when the row happened; none for clients, whose rows begin when recorded."""
        return next((column for column in self.columns if column.role is Role.EVENT), None)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def _key(name: str) -> Column:
    return Column(name, role=Role.KEY, is_required=True)


def _id(name: str, is_required: bool = False, is_mutable: bool = False) -> Column:
    return Column(name, is_required=is_required, is_mutable=is_mutable)


def _event(name: str, kind: Kind = Kind.DATE) -> Column:
    return Column(name, kind, Role.EVENT, is_required=True)


def _fact(name: str, is_announced: bool = False) -> Column:
    return Column(name, Kind.DATE, Role.FACT, is_announced=is_announced)


def _plan(name: str, is_mutable: bool = False) -> Column:
    return Column(name, Kind.DATE, Role.PLAN, is_mutable=is_mutable)


def _money(name: str, is_required: bool = False, is_mutable: bool = False) -> Column:
    return Column(name, Kind.MONEY, is_required=is_required, is_mutable=is_mutable)


def _one_of(name: str, *allowed: str, is_required: bool = False) -> Column:
    return Column(name, is_required=is_required, allowed=allowed)


def _flag(name: str, is_mutable: bool = True) -> Column:
    return Column(name, Kind.FLAG, is_mutable=is_mutable)


CHANNELS = ("email", "call", "meeting", "chat", "ticket", "portal", "order", "visit")
INTERACTION_KINDS = (
    *("message", "order", "report_request", "instruction", "complaint", "availability_complaint", "escalation", "price_question"),
    *("discount_request", "terms_refused", "scope_request", "change_request", "reversal", "praise", "meeting_declined", "no_show"),
    *("return", "cancellation", "other"),
)

_TABLES = (
    Table(
        "clients",
        "version of a client",
        (
            _key("client_id"),
            Column("name", is_mutable=True),
            Column("segment", is_mutable=True),
            Column("industry", is_mutable=True),
            Column("country", is_mutable=True),
            Column("started_on", Kind.DATE, Role.FACT),
            _id("referred_by"),
            _id("account_owner", is_mutable=True),
        ),
    ),
    Table(
        "contacts",
        "person at a client",
        (
            _key("contact_id"),
            _id("client_id", is_required=True),
            Column("role", is_mutable=True),
            _flag("is_decision_maker"),
            _event("from_on"),
            _fact("until_on", is_announced=True),
        ),
    ),
    Table(
        "interactions",
        "contact that happened",
        (
            _key("interaction_id"),
            _id("client_id", is_required=True),
            _id("contact_id"),
            _event("occurred_at", Kind.INSTANT),
            _one_of("channel", *CHANNELS),
            _one_of("direction", "inbound", "outbound"),
            _one_of("kind", *INTERACTION_KINDS, is_required=True),
            Column("duration_minutes", Kind.INTEGER, at_least=0, at_most=100_000),
            _id("reply_to"),
            _id("staff_id"),
            _id("deliverable_id"),
            Column("tone", Kind.NUMBER, at_least=-1, at_most=1),
            Column("text"),
        ),
    ),
    Table(
        "agreements",
        "contract or order",
        (
            _key("agreement_id"),
            _id("client_id", is_required=True),
            Column("service"),
            _event("signed_on"),
            _fact("terms_sent_on"),
            _plan("starts_on"),
            _plan("ends_on", is_mutable=True),
            _flag("renews"),
            Column("notice_days", Kind.INTEGER, is_mutable=True, at_least=0, at_most=3_660),
            _money("monthly_value", is_mutable=True),
            Column("currency"),
            *(_flag(name) for name in ("has_scope", "has_service_hours", "has_delivery_time", "has_payment_terms")),
        ),
    ),
    Table(
        "commitments",
        "promise, ours or theirs",
        (
            _key("commitment_id"),
            _id("client_id", is_required=True),
            _id("deliverable_id"),
            _one_of("owed_by", "us", "client", is_required=True),
            _one_of("kind", "deliverable", "quote", "material", "task", "primary_goal", "appointment"),
            _event("promised_on"),
            _plan("due_on", is_mutable=True),
            _fact("done_on"),
            _fact("cancelled_on"),
        ),
    ),
    Table(
        "invoices",
        "invoice",
        (
            _key("invoice_id"),
            _id("client_id", is_required=True),
            _event("issued_on"),
            _plan("due_on"),
            _money("amount", is_required=True),
            _money("list_amount"),
            Column("currency"),
            _fact("disputed_on"),
        ),
    ),
    Table(
        "payments",
        "payment of an invoice",
        (_key("payment_id"), _id("invoice_id", is_required=True), _event("paid_on"), _money("amount", is_required=True)),
    ),
    Table(
        "work",
        "time entry",
        (
            _key("work_id"),
            _id("client_id", is_required=True),
            _id("staff_id"),
            _event("worked_on"),
            Column("duration_minutes", Kind.INTEGER, at_least=0, at_most=100_000),
            _flag("is_billable"),
            _flag("is_in_scope"),
            _money("cost"),
            Column("currency"),
            _id("invoice_id", is_mutable=True),
        ),
    ),
    Table(
        "surveys",
        "answer",
        (
            _key("survey_id"),
            _id("client_id", is_required=True),
            _event("answered_on"),
            _one_of("kind", "nps", "csat", "staff_morale", "reputation", is_required=True),
            Column("score", Kind.NUMBER, is_required=True),
        ),
    ),
    Table(
        "reviews",
        "fit verdict by a person",
        (
            _key("review_id"),
            _id("client_id", is_required=True),
            _event("reviewed_on"),
            Column("reviewer"),
            _one_of("verdict", "keep", "misfit", "unsure", is_required=True),
            Column("reason"),
            _one_of("sampled", "uncertain", "random"),  # why it was asked for (pipeline/review_list.py); none = nobody drew it
        ),
    ),
    Table(
        "actions",
        "step taken on advice",
        (
            _key("action_id"),
            _id("client_id", is_required=True),
            _one_of(
                "kind",
                *("win_back", "keep_and_grow", "set_boundaries", "reprice", "refer_out", "wait_and_watch", "part_respectfully", "hold_out"),
                is_required=True,
            ),
            _event("done_on"),
            Column("outcome", is_mutable=True),  # read as agreed, refused, no change, ruled out; what else it says is never repeated
        ),
    ),
    Table(
        "endings",
        "spell that ended",
        (
            _key("ending_id"),
            _id("client_id", is_required=True),
            _event("decided_on"),
            _fact("ended_on", is_announced=True),
            _one_of("ended_by", "client", "us", "mutual", "closed_down", "paused", is_required=True),
            _one_of("reason", "fit", "price", "service", "non_payment", "capacity", "solved", "other"),
        ),
    ),
    Table(
        "ties",
        "link between clients",
        (
            _key("tie_id"),
            _id("client_id", is_required=True),
            _id("other_client_id", is_required=True),
            _one_of("kind", "referral", "ownership", "partner"),
            _event("from_on"),
            _fact("until_on", is_announced=True),
        ),
    ),
    Table(
        "services",
        "service and how much it belongs to where the business is going; a new version when that changes",
        (
            _key("service_id"),
            Column("name", is_mutable=True),
            Column("strategic_weight", Kind.NUMBER, is_required=True, is_mutable=True, at_least=0, at_most=1),
            _event("from_on"),
        ),
    ),
    Table(
        "industry_index",
        "industry and month",
        (
            _key("index_id"),
            Column("industry", is_required=True),
            _event("month_on"),
            Column("value", Kind.NUMBER, is_required=True, at_least=0),
        ),
    ),
    Table(
        "rates",
        "currency and day; a public rate is known from its day, so without recorded_at it is; the same rate_id again corrects it",
        (
            _key("rate_id"),
            Column("currency", is_required=True, pattern="[A-Z]{3}"),
            _event("quoted_on"),
            # units of the business's currency for one of `currency`; the ends are a thousand times beyond any that there has been of late
            Column("rate", Kind.NUMBER, is_required=True, at_least=1e-9, at_most=1e9),
        ),
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _TABLES}


def clock_fields(table: Table) -> list[pa.Field]:
    """The columns validate adds to every canonical table."""
    clocks = [
        pa.field("recorded_at", ARROW[Kind.INSTANT]),
        pa.field("day", pa.int32()),
        pa.field("known", pa.int32()),
        pa.field("superseded", pa.int32()),
    ]
    return [*clocks, pa.field("local_us", pa.int64())] if table.event and table.event.kind is Kind.INSTANT else clocks


def arrow_schema(table: Table) -> pa.Schema:
    """A canonical file's schema."""
    return pa.schema([*(pa.field(column.name, ARROW[column.kind]) for column in table.columns), *clock_fields(table)])


# ---- files ------------------------------------------------------------------------------------------------------------------------


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the place of `path` only when the block ends well, else nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644 & ~_umask())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `folder` only when the block ends well.

    Two renames, since a folder cannot be replaced in one: a reader in between finds no folder, never a half-written one.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    retired = temporary.with_name(f"{temporary.name}.old")
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        temporary.chmod(0o755 & ~_umask())
        if folder.exists():
            folder.rename(retired)
        try:
            temporary.rename(folder)
        except OSError:
            if retired.exists():
                retired.rename(folder)  # the old output is better than none
            raise
        shutil.rmtree(retired, ignore_errors=True)
        _sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_parquet(path: Path, table: pa.Table) -> None:
    """Writes one Parquet file, whole or not at all; equal tables give equal bytes."""
    with written_whole(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=131_072)


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Reads one Parquet file of an earlier stage. Raises UserError if it is missing or not readable as Parquet."""
    if not path.exists():
        raise UserError(str(path), found="no such file", wanted="the output of an earlier stage", cure="run `make train` first")
    try:
        return pq.read_table(path, columns=columns)
    except (pa.ArrowInvalid, OSError) as problem:
        raise UserError(
            str(path), found=f"not readable as Parquet ({problem})", wanted="a whole Parquet file", cure="run `make clean train`"
        ) from problem


def write_json(path: Path, content: Any) -> None:
    """Writes JSON, whole or not at all; keys keep their order, numbers their shortest exact form."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Reads JSON of an earlier stage."""
    if not path.exists():
        raise UserError(str(path), found="no such file", wanted="the output of an earlier stage", cure="run `make train` first")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise UserError(
            str(path), found=f"not readable as JSON ({problem})", wanted="a whole file", cure="run `make clean train`"
        ) from problem


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """The content hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_version(validated: Path) -> str:
    """sha256 over the canonical tables: equal data, however it came in, has an equal version."""
    tables = sorted(validated.glob("*.parquet"))
    if not tables:
        raise UserError(str(validated), found="no canonical tables", wanted="the output of validate", cure="run `make train` first")
    return hashlib.sha256("".join(f"{path.name} {sha256_of(path)}\n" for path in tables).encode()).hexdigest()
