"""Featurize: features of each snapshot, described; what a source cannot give is said; scoring gets the same bits."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from contract_checks import AS_OFS, a_history, tables_of
from drawn import source_of

from features.time import to_date
from pipeline import featurize
from pipeline.tables import write_parquet

SNAPSHOTS = pa.table(
    {
        "client_id": [client for client in "bca" for _ in AS_OFS],
        "as_of": pa.array([to_date(day) for _ in "bca" for day in reversed(AS_OFS)], pa.date32()),
        "status": ["eligible", "gone", "silent", "too_new"] * 3,
    }
)


@pytest.fixture
def validated(tmp_path):
    for name, table in tables_of(a_history()).items():
        write_parquet(tmp_path / f"{name}.parquet", table)
    return tmp_path


@pytest.fixture
def source():
    return source_of("non_contractual", "2024-12-31")


def test_one_row_per_snapshot_sorted_with_dates_and_floats(validated, source):
    table = featurize.as_table(featurize.featurize(validated, SNAPSHOTS, source))
    assert table.num_rows == 12
    assert table["client_id"].to_pylist() == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    assert table["as_of"].to_pylist() == [to_date(day) for day in AS_OFS] * 3
    assert {str(kind) for kind in table.schema.types[2:]} == {"double"}
    assert table.schema.field("as_of").type == pa.date32()
    assert all(column.null_count == 0 for column in table.columns)  # unknown is NaN


def test_scoring_one_as_of_gives_the_bits_of_training(validated, source):
    trained = featurize.as_table(featurize.featurize(validated, SNAPSHOTS, source)).to_pandas()
    newest = SNAPSHOTS.filter(pa.compute.equal(SNAPSHOTS["as_of"], pa.scalar(to_date(AS_OFS[-1]))))
    scored = featurize.as_table(featurize.featurize(validated, newest, source)).to_pandas()
    same = trained[trained["as_of"] == to_date(AS_OFS[-1])].reset_index(drop=True)
    for name in scored.columns[2:]:
        assert scored[name].to_numpy().tobytes() == same[name].to_numpy().tobytes(), name


def test_two_runs_write_the_same_bytes(validated, source, tmp_path):
    for name in ("one.parquet", "two.parquet"):
        write_parquet(tmp_path / name, featurize.as_table(featurize.featurize(validated, SNAPSHOTS, source)))
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_columns_are_described_and_what_is_missing_is_said(validated, source):
    (validated / "payments.parquet").unlink()
    (validated / "invoices.parquet").unlink()
    found = featurize.featurize(validated, SNAPSHOTS, source)
    described = featurize.described(found)
    assert [column["name"] for column in described["columns"]] == found.frame.columns.tolist()[2:]
    recency = next(column for column in described["columns"] if column["name"] == "recency_days")
    assert recency == {
        "name": "recency_days",
        "signal": "contact_frequency",
        "unit": "days",
        "description": "days since the last qualifying contact",
        "empty": None,
        "churn": 1,
        "misfit": 0,
        "sentence": {
            "raises": "Days since the last qualifying contact: {recency_days:.0f}.",
            "lowers": "Days since the last qualifying contact: only {recency_days:.0f}.",
        },
    }
    assert {"signal": "billing_friction", "missing_tables": ["invoices"]} in described["unavailable"]
    assert {"column": "revenue_90", "signal": "contact_frequency", "missing_tables": ["invoices"]} in described["left_out"]
    told = featurize.told(found).splitlines()
    assert told[0] == f"12 rows × {len(found.columns)} columns of {len(found.signals)} signals"
    assert "unavailable: billing_friction (needs invoices)" in told
    assert told[-1].startswith(f"{len(found.left_out)} columns left out for want of ")
    assert "revenue_90" in told[-1]


def test_no_snapshots_give_an_empty_table_with_all_columns(validated, source):
    table = featurize.as_table(featurize.featurize(validated, SNAPSHOTS.slice(0, 0), source))
    assert (table.num_rows, table.num_columns > 60) == (0, True)


def test_unknown_clients_get_the_values_of_an_empty_history(validated, source):
    stranger = pa.table({"client_id": ["never seen"], "as_of": pa.array([to_date(AS_OFS[0])], pa.date32())})
    found = featurize.featurize(validated, stranger, source).frame
    assert found["contacts_90"].tolist() == [0]
    assert np.isnan(found["recency_days"]).all()
    assert isinstance(found, pd.DataFrame)
