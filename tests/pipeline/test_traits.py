"""Traits of out-of-time snapshots, by what was known at as_of; one that nobody knows is left out and says why."""

from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from drawn import day

from pipeline.settings import EvaluateSettings
from pipeline.tables import write_parquet
from pipeline.traits import OTHERS, scripts, segments_then, traits_of

SETTINGS = EvaluateSettings(capacity=20, slice_least_churned=10, tenure_bands_days=[180, 365], contact_bands=[10])
JANUARY, MARCH = date(2024, 1, 1), date(2024, 3, 1)
ROWS = pd.DataFrame(
    {"client_id": ["a", "b", "c", "a", "b", "c"], "as_of": [JANUARY] * 3 + [MARCH] * 3, "value": [100.0, 200.0, 300.0, 9.0, 8.0, 7.0]}
)


def clients(path: Path, *versions: tuple[str, str | None, str | None, str, str | None]) -> Path:
    """(client_id, name, segment, known, superseded) as clients.parquet."""
    columns = dict(zip(("client_id", "name", "segment", "known", "superseded"), zip(*versions, strict=True), strict=True))
    table = pa.table(
        {
            "client_id": pa.array(columns["client_id"], pa.string()),
            "name": pa.array(columns["name"], pa.string()),
            "segment": pa.array(columns["segment"], pa.string()),
            "known": pa.array([day(on) for on in columns["known"]], pa.int32()),
            "superseded": pa.array([None if on is None else day(on) for on in columns["superseded"]], pa.int32()),
        }
    )
    write_parquet(path, table)
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A source's outputs: a's tenure grows from 170 to 230 days; b has few contacts."""
    keys = ROWS[["client_id", "as_of"]]
    snapshots = keys.assign(tenure_days=[170, 400, 400, 230, 460, 460])
    features = keys.assign(contacts_365=[5.0, 1.0, 3.0, 5.0, 1.0, 3.0], contacts_ever=[50.0, 9.0, 10.0, 52.0, 9.0, 11.0])
    write_parquet(tmp_path / "snapshot" / "snapshots.parquet", pa.Table.from_pandas(snapshots, preserve_index=False))
    write_parquet(tmp_path / "featurize" / "features.parquet", pa.Table.from_pandas(features, preserve_index=False))
    return tmp_path


def test_size_tenure_and_history_are_those_of_the_as_of(output: Path):
    found = traits_of(ROWS, output, SETTINGS)
    assert found.of_row["size"] == ["smallest third", "middle third", "largest third", "largest third", "middle third", "smallest third"]
    assert found.of_row["tenure"][::3] == ["under 180 days", "180 to 364 days"]
    assert found.of_row["history"][:3] == ["10 contacts or more", "under 10 contacts", "10 contacts or more"]
    assert found.about["size"] == "thirds by revenue of the last year"


@pytest.mark.parametrize("rows", [ROWS.drop(columns="value"), ROWS.assign(value=float("nan"))])
def test_without_values_size_is_contacts(output: Path, rows: pd.DataFrame):
    found = traits_of(rows, output, SETTINGS)
    assert found.of_row["size"][:3] == ["largest third", "smallest third", "middle third"]
    assert found.about["size"] == "thirds by contacts in the last year"


def test_without_a_clients_table_segment_and_language_are_left_out(output: Path):
    found = traits_of(ROWS, output, SETTINGS)
    assert list(found.of_row) == ["size", "tenure", "history"]
    assert found.left_out == dict.fromkeys(("segment", "language"), "the source has no clients table, which would record it")


def test_a_segment_is_the_one_recorded_by_then(tmp_path: Path):
    table = clients(
        tmp_path / "clients.parquet",
        ("a", "A", "small", "2023-05-01", "2024-02-10"),
        ("a", "A", "large", "2024-02-10", None),
        ("b", "B", "small", "2024-01-01", None),  # known on the day itself: not before it
        ("c", "C", None, "2023-05-01", None),
    )
    assert segments_then(ROWS, table) == ["small", "unknown", "unknown", "large", "small", "unknown"]


def test_a_version_recorded_on_the_as_of_does_not_supersede_before_it(tmp_path: Path):
    table = clients(tmp_path / "clients.parquet", ("a", None, "old", "2023-05-01", "2024-01-01"), ("a", None, "new", "2024-01-01", None))
    assert segments_then(ROWS[ROWS["client_id"] == "a"], table) == ["old", "new"]


def test_a_table_without_history_knows_no_segment_and_says_so_but_names_have_a_script(output: Path):
    clients(
        output / "validate" / "clients.parquet", ("a", "אלון מתכת", "small", "2026-01-01", None), ("b", "Gal", "small", "2026-01-01", None)
    )
    found = traits_of(ROWS, output, SETTINGS)
    assert found.left_out == {"segment": "the clients table knew it of nobody at these as_ofs"}
    assert found.of_row["language"] == ["Hebrew", "Latin", "unknown"] * 2


def test_the_newest_name_that_there_is_counts(tmp_path: Path):
    table = clients(
        tmp_path / "clients.parquet",
        ("a", "Gal", None, "2023-01-01", "2024-01-01"),
        ("a", "גל", None, "2024-01-01", "2025-01-01"),
        ("a", None, None, "2025-01-01", None),
    )
    assert scripts(ROWS[:1], table) == ["Hebrew"]


def test_many_segments_leave_the_smallest_together(tmp_path: Path):
    rows = pd.DataFrame({"client_id": [f"c{n:02d}" for n in range(20)], "as_of": JANUARY})
    table = clients(tmp_path / "clients.parquet", *((f"c{n:02d}", None, f"segment {n:02d}", "2023-01-01", None) for n in range(20)))
    found = segments_then(rows, table)
    assert found[:12] == [f"segment {n:02d}" for n in range(12)]
    assert found[12:] == [OTHERS] * 8
