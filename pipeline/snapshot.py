"""Canonical tables -> snapshots: one row per client and as_of at which the client was known, with its status.

Statuses, the first that holds:
gone            an ending took effect or notice was given, and no qualifying contact since; or (non-contractual) `gone_days` of silence
too_new         tenure below `too_new_days`
silent          (non-contractual) silent for longer than `silent_floor_days` and than `silent_gaps` of its own typical gaps
too_infrequent  (non-contractual) its own typical gap is longer than the horizon: a whole silent window would say nothing
eligible        everyone else; only these are labelled, learned from and scored

A client-relative threshold decides eligibility only, never the label. `active_within_days` replaces all of it by one flat rule.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.engine import measure
from features.errors import NotEnoughHistory, UserError
from features.measures import Measure, every_row, first_day, last_day, rhythm, sequence, state, window
from features.time import age_days, month_starts, to_date, to_day, week_starts
from pipeline.settings import Settings, TimeSettings
from pipeline.source import Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import TABLES, folder_written_whole, read_parquet, write_parquet

FAR_DAYS = 730  # a first interaction so long before nearly all others is worth a word
STATUSES = ("eligible", "gone", "silent", "too_new", "too_infrequent")
SCHEMA = pa.schema(
    [
        ("client_id", pa.string()),
        ("as_of", pa.date32()),
        ("status", pa.string()),
        ("tenure_days", pa.int64()),
        ("silence_days", pa.int64()),  # since the last qualifying contact; null = never one
        ("typical_gap_days", pa.float64()),  # median between days with qualifying contacts; null = fewer than two such days
    ]
)


def canonical_tables(validated: Path) -> dict[str, Path]:
    """The canonical tables that a source has."""
    return {name: path for name in TABLES if (path := validated / f"{name}.parquet").exists()}


def as_ofs(time: TimeSettings, first_day: int, exported_day: int) -> list[int]:
    """The as_ofs between the first event plus warm-up and the export. Raises NotEnoughHistory if there is none."""
    earliest = first_day + time.warm_up_days
    if time.cadence == "listed":
        listed = sorted({to_day(on) for on in time.as_ofs})
        beyond = [day for day in listed if day > exported_day]
        if beyond or not listed:
            raise UserError(
                "time.as_ofs",
                found=f"{to_date(beyond[0])}, after the export" if beyond else "no date",
                wanted=f"dates up to the export on {to_date(exported_day)}",
                cure="correct the list, or choose cadence: monthly",
            )
        return listed
    found = (month_starts if time.cadence == "monthly" else week_starts)(earliest, exported_day)
    if not found:
        raise NotEnoughHistory(
            "interactions",
            found=f"events from {to_date(first_day)} to an export on {to_date(exported_day)}",
            wanted=f"more than time.warm_up_days = {time.warm_up_days} days of history before a first as_of",
            cure="bring a longer history, or lower time.warm_up_days in the source's params",
        )
    return found


def first_event_day(validated: Path) -> int:
    """The local day of the first interaction. Raises NotEnoughHistory if there is none."""
    first = pc.min(read_parquet(validated / "interactions.parquet", ["day"])["day"]).as_py()
    if first is None:
        raise NotEnoughHistory(
            "interactions",
            found="no row left after validation",
            wanted="at least one interaction",
            cure=f"see {validated / 'quarantine'} for the rows set aside and why",
        )
    return int(first)


def snapshots(tables: Mapping[str, Path], looks: list[int], source: Source) -> pa.Table:
    """One row per client known at each as_of: client_id, as_of, status, tenure_days, silence_days, typical_gap_days; sorted."""
    alive = source.business.qualifies
    flat_days = source.settings.snapshot.active_within_days
    measures: list[Measure] = [
        first_day("first_contact", "interactions"),
        last_day("last_alive", "interactions", alive),
        sequence(("alive_days", "typical_gap"), "interactions", rhythm, where=alive),
        *window("active", "interactions", alive, max(flat_days, 1)),
    ]
    if "clients" in tables:
        measures += [first_day("started", "clients", since="started_on"), first_day("listed", "clients")]
    given: dict[str, Path | pa.Table] = dict(tables)
    if "endings" in tables:
        given["endings"] = _with_end(read_parquet(tables["endings"]))
        measures += [
            last_day("decided", "endings"),
            last_day("ended", "endings", since="ended_on"),
            state("in_notice", "endings", every_row, until=("ended_on",)),
        ]
    seen = measure(given, looks, measures)
    if len(seen) and seen.loc[seen["as_of"] == looks[-1], "last_alive"].isna().all():
        raise UserError(
            "source.yaml",
            found=f"no interaction that qualifies as a sign of life: qualifying = {dict(source.business.qualifying)}",
            wanted="kinds, channels or directions that occur in the data",
            cure="correct `qualifying`, or the mapping of interactions",
        )
    return pa.Table.from_pandas(_judged(seen, source.settings, source.spec.relationship), schema=SCHEMA, preserve_index=False)


def _with_end(endings: pa.Table) -> pa.Table:
    """An ending without an end date took effect when it was decided, so that a client who returns is not in notice for ever."""
    at = endings.column_names.index("ended_on")
    return endings.set_column(at, "ended_on", pc.coalesce(endings["ended_on"], endings["decided_on"]))


def _judged(seen: pd.DataFrame, settings: Settings, relationship: str) -> pd.DataFrame:
    """Measures -> statuses, for the clients known at each as_of."""
    rules, rows = settings.snapshot, len(seen)
    unknown = pd.Series(np.nan, index=seen.index)
    began = pd.Series(np.fmin(seen["first_contact"], np.fmin(seen.get("started", unknown), seen.get("listed", unknown))), index=seen.index)
    as_of = seen["as_of"].to_numpy()
    tenure_days, silence_days = age_days(began, as_of), age_days(seen["last_alive"], as_of)
    # notice was given or the end has come, and no sign of life after it: a client that returns lives again
    over = pd.Series(np.fmax(seen.get("decided", unknown), seen.get("ended", unknown)), index=seen.index)
    in_notice = seen.get("in_notice", pd.Series(0, index=seen.index)) > 0
    is_gone = over.notna() & (in_notice | ~(age_days(over, as_of) > silence_days))
    is_silent = is_infrequent = pd.Series(False, index=seen.index)
    if relationship == "non_contractual":
        is_gone |= silence_days.isna() | (silence_days > rules.gone_days)
        is_silent = silence_days > np.fmax(rules.silent_floor_days, rules.silent_gaps * seen["typical_gap"].fillna(0))
        is_infrequent = seen["typical_gap"] > settings.time.horizon_days
    is_new = tenure_days < rules.too_new_days
    status = np.select([is_gone, is_new, is_silent, is_infrequent], ["gone", "too_new", "silent", "too_infrequent"], "eligible")
    if rules.active_within_days:
        status = np.where(seen[f"active_{rules.active_within_days}"] > 0, "eligible", "silent")
    found = pd.DataFrame(
        {
            "client_id": seen["client_id"],
            "as_of": [to_date(day) for day in as_of] if rows else [],
            "status": status,
            "tenure_days": tenure_days.astype("Int64"),
            "silence_days": silence_days.astype("Int64"),
            "typical_gap_days": seen["typical_gap"],
        }
    )
    return found[began.notna()].reset_index(drop=True)


def make_snapshots(source: Source, validated: Path) -> pa.Table:
    """The snapshots of every as_of of the source's calendar."""
    looks = as_ofs(source.settings.time, first_event_day(validated), source.exported_day)
    return snapshots(canonical_tables(validated), looks, source)


def notes(found: pa.Table, validated: Path) -> Iterator[str]:
    """What a reader may not expect: clients that are in no snapshot, and a first day far before the others."""
    tables = canonical_tables(validated)
    if "clients" in tables:
        listed = pc.unique(read_parquet(tables["clients"], ["client_id"])["client_id"])
        n_unseen = len(listed) - pc.sum(pc.is_in(listed, value_set=pc.unique(found["client_id"]))).as_py()
        if n_unseen:
            yield f"{n_unseen:,} listed clients are in no snapshot: no contact, start or listing of theirs was known before the last as_of"
    days = read_parquet(tables["interactions"], ["day"])["day"].to_numpy()
    first, usual = int(days.min()), int(np.quantile(days, 0.01))
    if usual - first > FAR_DAYS:
        yield f"the first interaction is of {to_date(first)}, 99 % lie after {to_date(usual)}: is that date right? It begins the as_ofs"


def main() -> None:
    """data/<source>/validate -> data/<source>/snapshot/snapshots.parquet."""
    source = selected_source()
    found = make_snapshots(source, source.output / "validate")
    with folder_written_whole(source.output / "snapshot") as folder:
        write_parquet(folder / "snapshots.parquet", found)
    counts = {row["values"]: row["counts"] for row in pc.value_counts(found["status"]).to_pylist()}
    told = ", ".join(f"{counts.get(status, 0):,} {status}" for status in STATUSES)
    n_as_ofs = len(pc.unique(found["as_of"]))
    n_clients = len(pc.unique(found["client_id"]))
    console.print(f"{found.num_rows:,} snapshots of {n_clients:,} clients at {n_as_ofs} as_ofs: {told}")
    for note in notes(found, source.output / "validate"):
        console.print(f"note: {note}")


def read_snapshots(folder: Path) -> pa.Table:
    """The snapshots that an earlier stage wrote."""
    return read_parquet(folder / "snapshots.parquet")


if __name__ == "__main__":
    stage("snapshot", main)
