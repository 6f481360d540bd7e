"""Snapshots + canonical tables -> what became of each eligible client: one row per client and as_of (and horizon), and the label's design.

    churn.parquet     client_id, as_of, label, outcome: at the main horizon (time.horizon_days); what is learnt from
    horizons.parquet  client_id, as_of, horizon_days, label, outcome: at every horizon of time.horizons_days, the main one included
    misfit*           who proved a misfit, at the main horizon (pipeline/misfit_label.py)
    design.json       what the chosen horizon and thresholds do to the label, and what the data would propose (models/label_design.py)
    *.csv, *.png      the same as tables and pictures

Outcomes are judged in hindsight: from the newest version of every row, whenever it was recorded. Which ending or silence counts as what is
declared in models/churn.py. A window that has not passed yet (with the days allowed for late records) is `immature`: unknown, not negative.

All horizons are read off the same running counts, at each window's beginning and end, so that they cannot contradict each other: who left
within 30 days has left within 90, and who was silent for 90 was silent for the first 30. Who lists as_ofs (cadence: listed) trusts the data
until the newest of them has been judged: what a longer horizon would need beyond that day is unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from features.engine import batches
from features.measures import Interval, Measure
from features.time import Calendar, days_to_next, to_date, to_day
from models import label_design as ld
from models.churn import BY_RELATIONSHIP, IMMATURE, LABELS, STAYED, Target
from pipeline import misfit_label
from pipeline.label_plots import digest, draw
from pipeline.snapshot import canonical_tables, read_snapshots
from pipeline.source import Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import data_version, folder_written_whole, read_parquet, write_json, write_parquet, write_text

SCHEMA = pa.schema([("client_id", pa.string()), ("as_of", pa.date32()), ("label", pa.int8()), ("outcome", pa.string())])
HORIZONS_SCHEMA = pa.schema(
    [("client_id", pa.string()), ("as_of", pa.date32()), ("horizon_days", pa.int32()), ("label", pa.int8()), ("outcome", pa.string())]
)

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]
IN_GAP = "_in_gap"  # ends the name of a fate that befell a client before its window


def in_hindsight(path: Path, columns: list[str]) -> pa.Table:
    """The newest versions, once per client, day and `columns`, known from their day on: what really happened."""
    rows = ds.dataset(path).to_table(["client_id", "day", *columns], filter=pc.field("superseded").is_null())
    distinct = rows.group_by(["client_id", "day", *columns], use_threads=False).aggregate([])
    distinct = distinct.append_column("known", distinct["day"])
    return distinct.append_column("superseded", pa.nulls(distinct.num_rows, pa.int32()))


def _as_known(happened: pa.Table, rows: pa.Table) -> pa.Table:
    """What really happened, each row known from the day on which any version of an ending of that client and day was."""
    first = rows.group_by(["client_id", "day"], use_threads=False).aggregate([("known", "min")])
    joined = happened.drop_columns(["known"]).join(first, ["client_id", "day"], use_threads=False)
    return joined.rename_columns(["known" if name == "known_min" else name for name in joined.column_names])


# ---- outcomes ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcomes:
    """What became of each snapshot within each horizon.

    rows: the snapshots. horizons: days, ascending. fates: (who ended it or how, outcome), the last being (immature, immature).
    codes: shape (rows, horizons), places in `fates`; −1 = immature.
    """

    rows: pa.Table
    horizons: list[int]
    fates: list[tuple[str, str]]
    codes: Codes

    @cached_property
    def label(self) -> Codes:
        """Shape (rows, horizons): 1 churned, 0 stayed, −1 unknown."""
        values = np.array([-1 if LABELS[outcome] is None else LABELS[outcome] for _, outcome in self.fates], np.int8)
        return values[self.codes]

    @property
    def is_immature(self) -> npt.NDArray[np.bool_]:
        """Shape (rows, horizons): whether the window has not passed yet."""
        return self.codes < 0

    @property
    def left_in_gap(self) -> npt.NDArray[np.bool_]:
        """Shape (rows, horizons): whether anybody had ended it by the window's beginning, so that nobody could act on a score."""
        return np.array([fate.endswith(IN_GAP) for fate, _ in self.fates])[self.codes]

    def of(self, wanted: npt.NDArray[np.bool_], horizons: Sequence[int]) -> "Outcomes":
        """Some rows and horizons of it."""
        at = [self.horizons.index(horizon) for horizon in horizons]
        return Outcomes(self.rows.filter(pa.array(wanted)), list(horizons), self.fates, self.codes[wanted][:, at])

    def table(self) -> pa.Table:
        """One row per snapshot and horizon, in their order: HORIZONS_SCHEMA."""
        row = pa.array(np.repeat(np.arange(self.rows.num_rows), len(self.horizons)))
        label = self.label.ravel()
        outcomes = np.array([outcome for _, outcome in self.fates], object)
        columns = [
            self.rows["client_id"].take(row),
            self.rows["as_of"].take(row),
            pa.array(np.tile(np.array(self.horizons, np.int32), self.rows.num_rows)),
            pa.array(label, mask=label < 0),
            pa.array(outcomes[self.codes.ravel()], pa.string()),
        ]
        return pa.table(columns, schema=HORIZONS_SCHEMA).combine_chunks()


def outcomes(rows: pa.Table, validated: Path, source: Source, horizons: Sequence[int]) -> Outcomes:
    """The fate of each of these snapshots within each horizon, whatever their status."""
    target, tables = BY_RELATIONSHIP[source.spec.relationship], canonical_tables(validated)
    has_endings = "endings" in tables
    fates = _fates(target, has_endings=has_endings)
    codes = np.full((rows.num_rows, len(horizons)), -1, np.int8)
    if rows.num_rows:
        given = {"interactions": in_hindsight(tables["interactions"], [*source.business.qualifying])}
        if has_endings:
            given["endings"] = in_hindsight(tables["endings"], ["ended_by"])
            given["known_endings"] = _as_known(given["endings"], read_parquet(tables["endings"]))
        _judge(codes, rows, given, source, horizons)
    return Outcomes(rows, list(horizons), [*fates, (IMMATURE, IMMATURE)], codes)


def _fates(target: Target, *, has_endings: bool) -> list[tuple[str, str]]:
    """The fates in their order of precedence: the gap before the window, and the client's own ending before those by others in either."""
    in_gap = [(f"{ended_by}{IN_GAP}", outcome) for ended_by, outcome in target.in_gap.items()] if has_endings else []
    in_window = [(ended_by, outcome) for ended_by, outcome in target.by_ending.items()] if has_endings else []
    silence = [("silent", target.silence)] if target.silence else []
    return [*in_gap, *in_window, *silence, (STAYED, STAYED)]


def _judge(codes: Codes, rows: pa.Table, given: Mapping[str, pa.Table], source: Source, horizons: Sequence[int]) -> None:
    """Fills in the codes of all windows that have passed, a batch of clients at a time."""
    target, calendars = BY_RELATIONSHIP[source.spec.relationship], [_calendar(source, horizon) for horizon in horizons]
    as_of = rows["as_of"].cast(pa.int32()).to_numpy().astype(np.int64)
    begins = np.array([calendars[0].outcome_begins(on) for on in as_of], np.int64)
    ends = np.array([[calendar.outcome_ends(on) for calendar in calendars] for on in np.unique(as_of)], np.int64)
    ends = ends[np.unique(as_of, return_inverse=True)[1]]
    looks = pd.Index(np.unique(np.concatenate([as_of, begins, ends.ravel()])))
    at_as_of, at_begin, at_end = looks.get_indexer(as_of), looks.get_indexer(begins), looks.get_indexer(ends.ravel()).reshape(ends.shape)
    clients = pc.unique(rows["client_id"]).sort()
    client = pc.index_in(rows["client_id"], clients).to_numpy()
    first = 0
    for part in batches(given, list(looks), _measures(target, source, has_endings="endings" in given), clients=clients):
        mine = np.flatnonzero((client >= first) & (client < first + len(part.clients)))
        at = client[mine] - first
        counts = {
            name: (values[at, at_as_of[mine]], values[at, at_begin[mine]], values[at[:, None], at_end[mine]])
            for name, values in part.values.items()
        }
        codes[mine] = _fate(counts, target, (len(mine), len(horizons)))
        first += len(part.clients)
    # unknown even for those that have left already: with the leavers alone known, young windows would look full of churn
    codes[~_is_mature(as_of, calendars, judged_until(source))] = -1


def _measures(target: Target, source: Source, *, has_endings: bool) -> list[Measure]:
    """Running counts of signs of life and of endings by each hand, in hindsight: their differences count any window. And of endings as they
    were known, since one decided before the as_of but entered after it is news, too: like one in the gap, it came before anyone could act.
    """
    hands = sorted(target.by_ending.keys() | target.in_gap.keys()) if has_endings else []
    by_hand = [measure for ended_by in hands for measure in (_by(ended_by, "endings"), _by(ended_by, "known_endings"))]
    return [Interval("alive", "interactions", source.business.qualifies), *by_hand]


def _by(ended_by: str, table: str) -> Interval:
    return Interval(_name(ended_by, table), table, lambda rows: rows["ended_by"] == ended_by)


def _name(ended_by: str, table: str) -> str:
    return ended_by if table == "endings" else f"{ended_by}, known"


def _fate(counts: Mapping[str, tuple[Ints, Ints, Ints]], target: Target, shape: tuple[int, int]) -> Codes:
    """Counts before the as_of, the window's beginning and each window's end -> the first fate in `_fates` that holds."""
    has_endings = len(counts) > 1
    in_gap = [counts[ended_by][1] > counts[_name(ended_by, "known_endings")][0] for ended_by in target.in_gap] if has_endings else []
    in_window = [counts[ended_by][2] > counts[ended_by][1][:, None] for ended_by in target.by_ending] if has_endings else []
    silence = [counts["alive"][2] == counts["alive"][1][:, None]] if target.silence else []
    conditions = [np.broadcast_to(flag[:, None], shape) for flag in in_gap] + in_window + silence
    if not conditions:
        return np.zeros(shape, np.int8)
    return np.select(conditions, [np.int8(place) for place in range(len(conditions))], np.int8(len(conditions)))


def _calendar(source: Source, horizon_days: int) -> Calendar:
    time = source.settings.time
    return Calendar(time.gap_days, horizon_days, time.lateness_days)


def _is_mature(as_of: Ints, calendars: Sequence[Calendar], until: int) -> npt.NDArray[np.bool_]:
    """Shape (as_ofs, horizons): whether the window has passed."""
    each, place = np.unique(as_of, return_inverse=True)
    flags = np.array([[calendar.is_mature(int(on), until) for calendar in calendars] for on in each], bool)
    return flags.reshape(len(each), len(calendars))[place]


def judged_until(source: Source) -> int:
    """The day from which on outcomes are not judged: the export's; with listed as_ofs that on which the newest has been judged."""
    time = source.settings.time
    if time.cadence != "listed" or not time.as_ofs:
        return source.exported_day
    return time.calendar.judged_until([to_day(on) for on in time.as_ofs], source.exported_day)


def labels(snapshots: pa.Table, validated: Path, source: Source) -> pa.Table:
    """The outcome and label of each eligible snapshot at the main horizon, in the order of the snapshots."""
    eligible = snapshots.filter(pc.equal(snapshots["status"], "eligible"))
    return at_horizon(outcomes(eligible, validated, source, [source.settings.time.horizon_days]).table())


def horizon_labels(snapshots: pa.Table, validated: Path, source: Source) -> pa.Table:
    """The outcome and label of each eligible snapshot at every horizon, in the order of the snapshots, shorter horizons first."""
    eligible = snapshots.filter(pc.equal(snapshots["status"], "eligible"))
    return outcomes(eligible, validated, source, source.settings.time.horizons).table()


def at_horizon(found: pa.Table, horizon_days: int | None = None) -> pa.Table:
    """The rows of one horizon (default: of the only one), without naming it."""
    of_it = found if horizon_days is None else found.filter(pc.equal(found["horizon_days"], horizon_days))
    return of_it.select(SCHEMA.names).combine_chunks()


def told(found: pa.Table) -> str:
    """The count of each outcome, in words."""
    counts: Mapping[str, int] = {row["values"]: row["counts"] for row in pc.value_counts(found["outcome"]).to_pylist()}
    parts = ", ".join(f"{counts[name]:,} {name}" for name in LABELS if name in counts)
    mature = found.filter(pc.is_valid(found["label"]))
    until = f"; known up to as_of {pc.max(mature['as_of']).as_py()}" if mature.num_rows else ""
    left = len(pc.unique(found.filter(pc.equal(found["label"], 1))["client_id"]))
    return f"{found.num_rows:,} eligible snapshots: {parts or 'none'}; {left:,} distinct clients left{until}"


# ---- design -----------------------------------------------------------------------------------------------------------------------


def design(snapshots: pa.Table, found: Outcomes, validated: Path, source: Source) -> dict[str, Any]:
    """What the chosen label does and what the data would propose, as design.json holds it. `found`: of `candidates(snapshots, source)`."""
    time, rules = source.settings.time, source.settings.snapshot
    parts = _contractual if source.spec.relationship == "contractual" else _non_contractual
    return {
        "data_version": data_version(validated),
        "relationship": source.spec.relationship,
        "judged_until": str(to_date(judged_until(source))),
        "chosen": {
            "gap_days": time.gap_days,
            "horizon_days": time.horizon_days,
            "horizons_days": time.horizons,
            "silent_gaps": rules.silent_gaps,
            "silent_floor_days": rules.silent_floor_days,
            "active_within_days": rules.active_within_days,
        },
        **parts(snapshots, found, validated, source),
    }


def candidates(snapshots: pa.Table, source: Source) -> tuple[pa.Table, list[int]]:
    """(the snapshots that some choice of thresholds would make eligible, the horizons to judge them at)."""
    is_wanted = pc.equal(snapshots["status"], "eligible")
    horizons = set(source.settings.time.horizons)
    if source.spec.relationship == "non_contractual":
        horizons |= set(source.settings.label.candidate_horizons_days)
        if not source.settings.snapshot.active_within_days:
            is_wanted = pc.is_in(snapshots["status"], value_set=pa.array(["eligible", "silent", "too_infrequent"]))
    return snapshots.filter(is_wanted), sorted(horizons)


def _non_contractual(snapshots: pa.Table, found: Outcomes, validated: Path, source: Source) -> dict[str, Any]:
    """How those who fall silent come back, and what horizons and thresholds make of it."""
    knobs, time, rules, train = source.settings.label, source.settings.time, source.settings.snapshot, source.settings.train
    until = judged_until(source)
    watched_until = until - time.lateness_days  # later records may still be coming in
    contacts = _contact_days(validated, source)
    endings = _ending_days(validated, contacts.clients)
    spells = ld.spells(contacts, endings, watched_until)
    drawn = ld.draws(len(contacts.clients), resamples=train.bootstrap_resamples, seed=source.settings.seed)
    as_ofs = np.unique(snapshots["as_of"].cast(pa.int32()).to_numpy()).tolist()
    room = {horizon: ld.room(as_ofs, _calendar(source, horizon), until, train.test_periods) for horizon in found.horizons}
    window_days = time.gap_days + time.horizon_days
    designed = ld.silence_design(
        spells,
        drawn,
        ld.Asked(
            knobs.follow_up_days,
            window_days,
            knobs.tolerated_returns,
            knobs.lost_returns,
            knobs.clients_at_least,
            horizons_days=sorted({*knobs.candidate_horizons_days, time.horizon_days}),
            silent_gaps=sorted({*knobs.candidate_silent_gaps, rules.silent_gaps}),
            silent_floors_days=sorted({*knobs.candidate_silent_floors_days, rules.silent_floor_days}),
            chosen=ld.Choice(time.horizon_days, rules.silent_gaps, rules.silent_floor_days),
        ),
        _might_be_eligible(found, contacts, endings, watched_until, source),
        room,
    )
    designed["silences"]["watched_until"] = str(to_date(watched_until))
    return designed


def _might_be_eligible(found: Outcomes, contacts: ld.Contacts, endings: ld.Contacts, until: int, source: Source) -> ld.Candidates:
    """The snapshots with what the thresholds read and how long each was, and could be, silent from its window's beginning on."""
    client = pd.Index(contacts.clients).get_indexer(found.rows["client_id"].to_pandas())
    begins = found.rows["as_of"].cast(pa.int32()).to_numpy().astype(np.int64) + source.settings.time.gap_days
    to_contact = days_to_next(contacts.client, contacts.day, client, begins)
    watched_days = np.minimum(until - begins, days_to_next(endings.client, endings.day, client, begins))
    return ld.Candidates(
        client=client,
        silence_days=found.rows["silence_days"].to_numpy(zero_copy_only=False).astype(np.float64),
        typical_gap_days=found.rows["typical_gap_days"].to_numpy(zero_copy_only=False).astype(np.float64),
        wait_days=to_contact,
        watched_days=watched_days,
        label=found.label,
        horizons=found.horizons,
        is_flat=source.settings.snapshot.active_within_days > 0,
    )


def _contact_days(validated: Path, source: Source) -> ld.Contacts:
    """Each client's distinct days with a qualifying contact, from the newest versions."""
    qualifying = source.business.qualifying
    rows = in_hindsight(validated / "interactions.parquet", [*qualifying])
    for column, values in qualifying.items():
        rows = rows.filter(pc.is_in(rows[column], value_set=pa.array(list(values), pa.string())))
    days = rows.group_by(["client_id", "day"], use_threads=False).aggregate([])
    clients = pc.unique(days["client_id"]).sort()
    return ld.Contacts(clients.to_pylist(), pc.index_in(days["client_id"], clients).to_numpy().astype(np.int64), _whole(days["day"]))


def _ending_days(validated: Path, clients: list[str]) -> ld.Contacts:
    """The days on which endings were decided, of these clients: who has ended is not waited for."""
    path = canonical_tables(validated).get("endings")
    if path is None:
        return ld.Contacts(clients, np.empty(0, np.int64), np.empty(0, np.int64))
    rows = in_hindsight(path, [])
    rows = rows.filter(pc.is_in(rows["client_id"], value_set=pa.array(clients, pa.string())))
    client = pc.index_in(rows["client_id"], pa.array(clients, pa.string())).to_numpy().astype(np.int64)
    return ld.Contacts(clients, client, _whole(rows["day"]))


def _whole(column: pa.ChunkedArray) -> Ints:
    whole: Ints = column.to_numpy().astype(np.int64)
    return whole


def _contractual(snapshots: pa.Table, found: Outcomes, validated: Path, source: Source) -> dict[str, Any]:
    """Who ends it and why, how often each ending happens within each horizon, how long notice runs, and whom the statuses never saw."""
    time, train = source.settings.time, source.settings.train
    clients = pc.unique(found.rows["client_id"]).sort()
    client = pc.index_in(found.rows["client_id"], clients).to_numpy().astype(np.int64)
    drawn = ld.draws(len(clients), resamples=train.bootstrap_resamples, seed=source.settings.seed)
    # an ending by others counts the same in gap and window; the client's own in the gap is apart, since nobody could have acted on it
    names = ["left_in_gap" if fate == "client_in_gap" else fate.removesuffix(IN_GAP) for fate, _ in found.fates[:-1]]
    became = np.array([*names, ""], object)[found.codes]
    seen = snapshots.select(["client_id", "status"]).to_pandas().assign(day=_whole(snapshots["as_of"].cast(pa.int32())))
    by_horizon = {horizon: became[:, at] for at, horizon in enumerate(found.horizons)}
    return ld.ending_design(_endings(validated), seen, by_horizon, client, drawn, (time.gap_days, time.horizon_days))


def _endings(validated: Path) -> pd.DataFrame:
    """client_id, day (decided), notice_days (NaN = no end date), ended_by, reason: the newest version of every ending."""
    columns = ["client_id", "day", "ended_on", "ended_by", "reason"]
    path = canonical_tables(validated).get("endings")
    if path is None:
        return pd.DataFrame({"client_id": [], "day": [], "notice_days": [], "ended_by": [], "reason": []})
    rows = ds.dataset(path).to_table(columns, filter=pc.field("superseded").is_null())
    ended = rows["ended_on"].cast(pa.int32()).to_numpy(zero_copy_only=False).astype(np.float64)
    found: pd.DataFrame = rows.drop_columns(["ended_on"]).to_pandas()
    found["notice_days"] = ended - found["day"]
    return found.sort_values(["client_id", "day", "ended_by"], ignore_index=True)


def main() -> None:
    """data/<source>/snapshot + validate -> data/<source>/label."""
    source = selected_source()
    validated, snapshots = source.output / "validate", read_snapshots(source.output / "snapshot")
    rows, horizons = candidates(snapshots, source)
    judged = outcomes(rows, validated, source, horizons)
    eligible = pc.equal(rows["status"], "eligible").to_numpy(zero_copy_only=False)
    by_horizon = judged.of(eligible, source.settings.time.horizons).table()
    churn = at_horizon(by_horizon, source.settings.time.horizon_days)
    misfit = misfit_label.labelled(judged.of(eligible, [source.settings.time.horizon_days]), canonical_tables(validated), source)
    designed = design(snapshots, judged, validated, source)
    with folder_written_whole(source.output / "label") as folder:
        write_parquet(folder / "churn.parquet", churn)
        write_parquet(folder / "horizons.parquet", by_horizon)
        write_parquet(folder / "misfit.parquet", misfit.label)
        write_parquet(folder / "misfit_rules.parquet", misfit.rules)
        write_json(folder / "misfit.json", misfit.facts_json())
        write_json(folder / "design.json", designed)
        for name in ld.TABLES:
            if name in designed:
                write_text(folder / f"{name}.csv", ld.as_frame(designed[name]).to_csv(index=False))
        draw(folder, designed)
    console.print(told(churn))
    for line in (*digest(designed), *misfit_label.told(misfit)):
        console.print(line)


if __name__ == "__main__":
    stage("label", main)
