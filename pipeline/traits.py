"""Out-of-time snapshots + snapshots, features, clients -> which slice each belongs to, by what was known of the client at as_of.

size      thirds of the as_of's portfolio by revenue of the last year; where the source has no invoices, by contacts of the last year
tenure    days since the client began (first contact, start or listing)
segment   as the clients table had it at as_of
language  the script of the client's name. No table records a language, so this is a stand-in. The name is taken from its newest version: a
          table without history knows no name before the export, and a script does not depend on what became of the client
history   qualifying contacts known: what there was to learn a rhythm from

A trait that is not known of any client is left out, with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from features.time import NEVER, AsOfs, to_day
from models.slices import SCRIPTS, THIRDS, UNKNOWN, band_names, bands, script_of, thirds
from pipeline.settings import EvaluateSettings
from pipeline.tables import read_parquet

KEYS = ["client_id", "as_of"]
MOST_SEGMENTS, OTHERS = 12, "all others"  # the largest segments are slices of their own, the rest is one
CONTACTS_YEAR, CONTACTS_EVER = "contacts_365", "contacts_ever"


@dataclass(frozen=True)
class Traits:
    """of_row: trait -> the slice of each row. order: trait -> slices in the order to show. left_out: trait -> why. about: trait -> what."""

    of_row: dict[str, list[str]]
    order: dict[str, Sequence[str]]
    about: dict[str, str]
    left_out: dict[str, str] = field(default_factory=dict)


def traits_of(rows: pd.DataFrame, output: Path, settings: EvaluateSettings) -> Traits:
    """The traits of each row of `rows` (client_id, as_of, value), in its order."""
    tenure = _looked_up(rows, output / "snapshot" / "snapshots.parquet", ["tenure_days"])["tenure_days"]
    counts = _looked_up(rows, output / "featurize" / "features.parquet", [CONTACTS_YEAR, CONTACTS_EVER])
    has_value = "value" in rows and rows["value"].notna().any()
    clients = output / "validate" / "clients.parquet"
    of_row = {
        "size": thirds(rows["value"] if has_value else counts[CONTACTS_YEAR], rows["as_of"].astype(str)),
        "tenure": bands(tenure, settings.tenure_bands_days, "days"),
        "segment": segments_then(rows, clients),
        "language": scripts(rows, clients),
        "history": bands(counts[CONTACTS_EVER], settings.contact_bands, "contacts"),
    }
    about = {
        "size": "thirds by revenue of the last year" if has_value else "thirds by contacts in the last year",
        "tenure": "days since the client began",
        "segment": "as recorded at as_of",
        "language": "script of the name, a stand-in",
        "history": "contacts known",
    }
    order = {
        "size": THIRDS,
        "tenure": band_names(settings.tenure_bands_days, "days"),
        "language": SCRIPTS,
        "history": band_names(settings.contact_bands, "contacts"),
    }
    left_out = {name: _why_unknown(clients) for name, own in of_row.items() if set(own) <= {UNKNOWN}}
    return Traits({name: own for name, own in of_row.items() if name not in left_out}, order, about, left_out)


def _why_unknown(clients: Path) -> str:
    return (
        "the clients table knew it of nobody at these as_ofs"
        if clients.exists()
        else "the source has no clients table, which would record it"
    )


def _looked_up(rows: pd.DataFrame, path: Path, columns: list[str]) -> pd.DataFrame:
    made = read_parquet(path, [*KEYS, *columns]).to_pandas()
    return rows[KEYS].merge(made, on=KEYS, how="left", validate="m:1")[columns]


def segments_then(rows: pd.DataFrame, clients: Path) -> list[str]:
    """The segment of each row's client in the version that was the newest at its as_of; `unknown` where none was known."""
    if not clients.exists():
        return [UNKNOWN] * len(rows)
    versions = read_parquet(clients, ["client_id", "segment", "known", "superseded"]).to_pandas()
    dates = sorted(rows["as_of"].unique())
    looks = AsOfs(tuple(to_day(on) for on in dates))
    seen_from = looks.after(versions["known"].to_numpy(np.int64))
    seen_until = looks.after(versions["superseded"].fillna(NEVER).to_numpy(np.int64))
    n_seen = (seen_until - seen_from).clip(min=0)
    spread = versions.loc[np.repeat(versions.index, n_seen), ["client_id", "segment"]].reset_index(
        drop=True
    )  # -> a row per client and look
    place = np.repeat(seen_from, n_seen) + np.arange(n_seen.sum()) - np.repeat(np.cumsum(n_seen) - n_seen, n_seen)
    spread["as_of"] = [dates[at] for at in place]
    found = rows[KEYS].merge(spread.drop_duplicates(KEYS, keep="last"), on=KEYS, how="left", validate="m:1")["segment"]
    shown = set(found.value_counts().sort_index().sort_values(ascending=False, kind="stable").index[:MOST_SEGMENTS])
    return [UNKNOWN if pd.isna(segment) else str(segment) if segment in shown else OTHERS for segment in found]


def scripts(rows: pd.DataFrame, clients: Path) -> list[str]:
    """The script of each row's client's name, by its newest version that has one."""
    if not clients.exists():
        return [UNKNOWN] * len(rows)
    named = read_parquet(clients, ["client_id", "name", "known"]).to_pandas().dropna(subset=["name"])
    newest = named.sort_values("known", kind="stable").drop_duplicates("client_id", keep="last").set_index("client_id")["name"]
    of_client = {client: script_of(str(name)) for client, name in newest.items()}
    return [of_client.get(client, UNKNOWN) for client in rows["client_id"]]
