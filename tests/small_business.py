"""A small business written as canonical tables, and the stages' own functions run on it: a source that has been trained, in seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from drawn import day

from features.time import DAY_US, to_date
from pipeline import evaluate, featurize, label, misfit_label, snapshot, train
from pipeline.mlstore import Store, Version
from pipeline.source import Source, load_source
from pipeline.tables import TABLES, arrow_schema, read_parquet, write_json, write_parquet

PROJECT = Path(__file__).parents[1]
STARTS, EXPORTED = "2023-01-02", "2024-06-15"
# ids that the world's files do hold, and that careless code breaks
STRANGE_IDS = ("00123", "1e5", "NA", "=2+3", 'Cohen, "Levi" & Co', "שלום בעם", "-7", "two\nlines")
# here everyone who slows down and complains leaves, and nobody else does: what shows it is too good to be true, and true
TELLING = """
active_days_180 active_days_90 contact_change_30 contact_change_90 contacts_14 contacts_180 contacts_30 contacts_60 contacts_90
criticism_365 criticism_90 criticism_share_365 criticism_share_90 criticism_spike_90 criticism_trickle days_since_criticism
escalation_share_365 gap_spread_days last_gap_days recency_days silence_of_tenure silence_to_gap writing_90
"""
SPEC = {
    "description": "a small business",
    "time_zone": "Asia/Jerusalem",
    "working_week": ["sun", "mon", "tue", "wed", "thu"],
    "service_hours": {"opens": "09:00", "closes": "18:00"},
    "holidays": "",
    "currency": "ILS",
    "exported_at": "2024-06-15 12:00:00",
    "relationship": "non_contractual",
    "qualifying": {"kind": ["order"]},
    "files": {"interactions": {"path": "interactions.csv", "columns": {"id": "interaction_id"}}},
    "params": {
        "train": {"members": 3, "origins": 1, "test_periods": 1, "bootstrap_resamples": 50, "trusted_columns": TELLING.split()},
        "time": {"horizon_days": 60},
    },
}


@dataclass(frozen=True)
class Small:
    """A trained source in a project folder of its own; work there (`monkeypatch.chdir(small.root)`), since paths are relative."""

    root: Path
    source: Source


def folder_of(root: Path, name: str, seed: int, **changes: object) -> Path:
    """Writes a source's folder and its canonical tables under `root`."""
    folder = root / "sources" / name
    folder.mkdir(parents=True)
    (folder / "source.yaml").write_text(yaml.safe_dump(SPEC | {"name": name} | changes, allow_unicode=True), encoding="utf-8")
    (folder / "interactions.csv").write_text("id\n", encoding="utf-8")
    for shipped in ("params.yaml", "data/sources/policy.yaml"):
        if not (root / shipped).exists():
            (root / shipped).parent.mkdir(parents=True, exist_ok=True)
            (root / shipped).write_bytes((PROJECT / shipped).read_bytes())
    contacts = interactions(seed)
    write_parquet(root / "data" / name / "validate" / "interactions.parquet", contacts)
    write_parquet(root / "data" / name / "validate" / "reviews.parquet", reviews(contacts))
    return folder


def interactions(seed: int, n_clients: int = 60) -> pa.Table:
    """Orders about once a week and complaints; a third of the clients slow down and leave, complaining more as they do."""
    random = np.random.default_rng(seed)
    first, last = day(STARTS), day(EXPORTED)
    rows = []
    for number in range(n_clients):
        client = STRANGE_IDS[number] if number < len(STRANGE_IDS) else f"client-{number:02d}"
        leaves = first + int(random.integers(150, 450)) if number % 3 == 0 else last
        begins = first + int(random.integers(0, 60))
        on = begins
        while on < last:
            is_unhappy = leaves - 60 < on < leaves and leaves < last
            if on < leaves:
                rows.append((client, on, "order"))
            if is_unhappy and random.random() < 0.7:
                rows.append((client, on, "complaint"))
            on += int(random.integers(3, 12)) * (2 if is_unhappy else 1)
    rows.append(("newcomer", last - 10, "order"))
    rows.sort(key=lambda row: (row[0].encode(), row[1]))
    return pa.Table.from_pylist([_row(number, *row) for number, row in enumerate(rows)], schema=arrow_schema(TABLES["interactions"]))


def reviews(contacts: pa.Table) -> pa.Table:
    """Verdicts on fit: on who complains, a month after the third and the eighth complaint (every fourth: to keep); on some at random."""
    rows, last = [], day(EXPORTED)
    complaints = contacts.filter(pc.equal(contacts["kind"], "complaint")).to_pandas().groupby("client_id", sort=True)["day"]
    for number, (client, days) in enumerate(complaints):
        rows += [(client, int(days.iloc[nth]) + 30, number % 4 == 3) for nth in (2, 7) if nth < len(days)]
    rows += [(f"client-{number}", day(STARTS) + 150 + number * 5, False) for number in range(10, 60, 3)]
    found = [
        {
            "review_id": f"r{number:03d}",
            "client_id": client,
            "reviewed_on": to_date(on),
            "reviewer": "dana",
            "verdict": "keep" if is_kept else "misfit",
            "recorded_at": (on + 1) * DAY_US,
            "day": on,
            "known": on,
        }
        for number, (client, on, is_kept) in enumerate(rows)
        if on < last
    ]
    return pa.Table.from_pylist(found, schema=arrow_schema(TABLES["reviews"]))


def _row(number: int, client: str, on: int, kind: str) -> dict[str, object]:
    ten_o_clock_us = 10 * DAY_US // 24
    return {
        "interaction_id": f"i{number:06d}",
        "client_id": client,
        "occurred_at": on * DAY_US + ten_o_clock_us - 2 * DAY_US // 24,
        "channel": "email",
        "direction": "inbound",
        "kind": kind,
        "recorded_at": on * DAY_US + ten_o_clock_us,
        "day": on,
        "known": on,
        "local_us": ten_o_clock_us,
    }


def trained(root: Path, name: str, seed: int = 1, **changes: object) -> Small:
    """The stages from snapshot to evaluate on a small business; call it with `root` as the working folder."""
    source = load_source(str(folder_of(root, name, seed, **changes)))
    validated = source.output / "validate"
    seen = snapshot.make_snapshots(source, validated)
    write_parquet(source.output / "snapshot" / "snapshots.parquet", seen)
    at_horizons = label.horizon_labels(seen, validated, source)
    marked = misfit_label.labelled(_eligible_at_main_horizon(seen, validated, source), snapshot.canonical_tables(validated), source)
    write_parquet(source.output / "label" / "misfit.parquet", marked.label)
    write_parquet(source.output / "label" / "misfit_rules.parquet", marked.rules)
    write_json(source.output / "label" / "misfit.json", marked.facts_json())
    write_parquet(source.output / "label" / "horizons.parquet", at_horizons)
    write_parquet(source.output / "label" / "churn.parquet", label.at_horizon(at_horizons, source.settings.time.horizon_days))
    made = featurize.featurize(validated, seen, source)
    write_parquet(source.output / "featurize" / "features.parquet", featurize.as_table(made))
    write_json(source.output / "featurize" / "columns.json", featurize.described(made))
    retrain(source, "churn")
    return Small(root, source)


def stored_files(store: Store, version: Version | None) -> Path:
    """Where the store keeps a version's files."""
    assert version is not None
    return Path(unquote(urlparse(store.client.get_model_version_download_uri(version.name, str(version.number))).path))


def _eligible_at_main_horizon(seen: pa.Table, validated: Path, source: Source) -> label.Outcomes:
    eligible = seen.filter(pc.equal(seen["status"], "eligible"))
    return label.outcomes(eligible, validated, source, [source.settings.time.horizon_days])


def retrain(source: Source, target: str) -> None:
    """train and evaluate."""
    rows, columns = train.training_rows(source.output, target)
    found = train.train(rows, columns, target=target, source=source, tell=lambda _: None)
    train.write_training(source.output / "train" / target, found)
    evaluate.evaluate(source, target)


@contextmanager
def verdicts_at_random(source: Source) -> Iterator[tuple[int, int]]:
    """As if every third review had been asked for at random: (how many clients are misfits by it, of how many)."""
    path = source.output / "validate" / "reviews.parquet"
    whole = path.read_bytes()
    rows = read_parquet(path)
    sampled = pa.array(["random" if number % 3 == 0 else None for number in range(rows.num_rows)], pa.string())
    write_parquet(path, rows.set_column(rows.schema.get_field_index("sampled"), rows.schema.field("sampled"), sampled))
    latest = rows.filter(pc.is_valid(sampled)).to_pandas().sort_values(["client_id", "day"]).drop_duplicates("client_id", keep="last")
    try:
        yield int((latest["verdict"] == "misfit").sum()), len(latest)
    finally:
        path.write_bytes(whole)


def without_model(source: Source) -> None:
    """As if training had found nothing to learn of misfit."""
    facts = {"target": "misfit", "basis": "policy", "no_model": "no client is marked by people"}
    write_json(source.output / "train" / "misfit" / "training.json", facts)
