"""The train stage: only eligible snapshots with known outcomes, whole outputs or none, equal bytes, and a clear word for too little."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import NotEnoughHistory, UserError
from models import scorer
from pipeline import train
from pipeline.tables import read_json, write_json, write_parquet


def relabelled(small, column: str, values) -> None:
    """Rewrites a column of the label file."""
    path = small.source.output / "label" / "churn.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index(column)
    write_parquet(path, table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type)))


def run(small):
    rows, columns = train.training_rows(small.source.output, "churn")
    return train.train(rows, columns, target="churn", source=small.source, tell=print)


def test_it_learns_from_the_eligible_with_known_outcomes_and_no_others(small):
    output = small.source.output
    rows, columns = train.training_rows(output, "churn")
    labels = pq.read_table(output / "label" / "churn.parquet").to_pandas()
    snapshots = pq.read_table(output / "snapshot" / "snapshots.parquet").to_pandas()
    assert len(rows) == labels["label"].notna().sum() < len(labels)
    assert len(labels) == (snapshots["status"] == "eligible").sum()
    assert "newcomer" not in set(rows.client)
    assert list(rows.features.columns) == columns.names
    assert rows.as_of.tolist() == sorted(rows.as_of)


def test_a_column_that_tells_nobody_apart_is_left_out_and_one_read_by_name_is_not(small):
    path = small.source.output / "featurize" / "features.parquet"
    table = pq.read_table(path)
    alike = {"criticism_90": [3.0, None], "criticism_365": [3.0, 4.0], "tenure_days": [3.0, 3.0]}
    for name, values in alike.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(
            place, table.schema.field(place), pa.array([values[row % 2] for row in range(table.num_rows)], pa.float64())
        )
    write_parquet(path, table)
    rows, columns = train.training_rows(small.source.output, "churn")
    assert {name for name in alike if name in columns.names} == {"criticism_365", "tenure_days"}
    assert list(rows.features.columns) == columns.names


def test_ids_come_through_exactly(small):
    rows, _ = train.training_rows(small.source.output, "churn")
    assert {"00123", "1e5", "NA", "-7", "two\nlines", "שלום בעם"} <= set(rows.client)


def test_features_stand_beside_their_own_label(small):
    """Each row is the row of its client and as_of in features.parquet."""
    rows, columns = train.training_rows(small.source.output, "churn")
    features = pq.read_table(small.source.output / "featurize" / "features.parquet").to_pandas()
    labels = pq.read_table(small.source.output / "label" / "churn.parquet").to_pandas()
    one = labels[labels["label"] == 1].iloc[0]
    place = next(
        place for place in range(len(rows)) if rows.client[place] == one["client_id"] and train.to_date(rows.as_of[place]) == one["as_of"]
    )
    truth = features[(features["client_id"] == one["client_id"]) & (features["as_of"] == one["as_of"])].iloc[0]
    assert rows.label[place] == 1
    pd.testing.assert_series_equal(
        rows.features.iloc[place], truth[columns.names].astype("float64"), check_names=False, check_index_type=False
    )


def test_what_is_written_is_what_the_scorer_reads(small):
    folder = small.source.output / "train" / "churn"
    model = scorer.load(folder / "spec.json", folder / "members")
    facts = read_json(folder / "training.json")
    assert facts["model_hash"] == scorer.content_hash(model.spec)
    assert facts["shipped"]["n_rows"] > facts["evaluated"]["n_rows"]
    assert [fold["fold"] for fold in facts["folds"]][-1] == "test"
    assert sorted(path.name for path in (folder / "members").iterdir()) == [member["file"] for member in model.spec["members"]]


def test_no_clients_id_is_in_the_model(small):
    folder = small.source.output / "train" / "churn"
    stored = (folder / "spec.json").read_text() + (folder / "training.json").read_text()
    stored += "".join(path.read_text() for path in (folder / "members").iterdir())
    assert "client-1" not in stored


def test_a_second_run_gives_equal_bytes(small):
    folder = small.source.output / "train" / "churn"
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    train.write_training(folder, run(small))
    after = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before
    assert len(after) == 5 + small.source.settings.train.members


def test_the_order_of_the_files_rows_changes_nothing(small):
    path = small.source.output / "featurize" / "features.parquet"
    before = run(small).backtest.shipped.content_hash
    table = pq.read_table(path)
    write_parquet(path, table.take(list(range(table.num_rows))[::-1]))
    assert run(small).backtest.shipped.content_hash == before


def test_a_run_that_fails_leaves_what_was_there(small, monkeypatch):
    folder = small.source.output / "train" / "churn"
    before = (folder / "spec.json").read_bytes()
    monkeypatch.setattr(train, "training_facts", float)  # fails after spec and texts have been written
    found = run(small)
    with pytest.raises(TypeError):
        train.write_training(folder, found)
    assert (folder / "spec.json").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["churn"]


# ---- too little, or of different runs ---------------------------------------------------------------------------------------------


def test_no_known_outcome_is_told(small):
    n_rows = pq.read_table(small.source.output / "label" / "churn.parquet").num_rows
    relabelled(small, "label", [None] * n_rows)
    with pytest.raises(NotEnoughHistory, match=f"{n_rows} eligible snapshots, none with a known outcome"):
        train.training_rows(small.source.output, "churn")


def test_nobody_leaving_is_told(small):
    labels = pq.read_table(small.source.output / "label" / "churn.parquet")["label"].to_pylist()
    relabelled(small, "label", [None if label is None else 0 for label in labels])
    with pytest.raises(NotEnoughHistory, match="none of whom left"):
        run(small)


def test_a_single_client_is_told(small):
    output = small.source.output
    for path in ("label/churn.parquet", "snapshot/snapshots.parquet", "featurize/features.parquet"):
        table = pq.read_table(output / path)
        write_parquet(output / path, table.filter(pa.compute.equal(table["client_id"], "client-30")))
    with pytest.raises(NotEnoughHistory, match="one single client"):
        run(small)


def test_features_of_another_run_are_refused(small):
    path = small.source.output / "featurize" / "features.parquet"
    write_parquet(path, pq.read_table(path).slice(100))
    with pytest.raises(UserError, match="features of every eligible snapshot"):
        train.training_rows(small.source.output, "churn")


def test_a_missing_stage_is_told(small):
    (small.source.output / "label" / "churn.parquet").unlink()
    with pytest.raises(UserError, match="no such file"):
        train.training_rows(small.source.output, "churn")


def test_an_unknown_target_is_told(small, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train", "chrun"])
    with pytest.raises(UserError, match=r"found:  chrun\n  wanted: one of churn"):
        train.chosen_target(small.source)


def test_baselines_take_the_columns_that_are_there(small):
    found = train.yardsticks(train.declared_columns(small.source.output, "churn"))
    assert found.recency == "recency_days"
    assert "contacts_90" in found.rfm
    assert not any(name.startswith("revenue") for name in found.rfm)  # this business has no invoices


def test_directions_of_risk_come_from_the_signals(small):
    path = small.source.output / "featurize" / "columns.json"
    declared = read_json(path)
    columns = train.declared_columns(small.source.output, "churn")
    assert columns.signs["recency_days"] == 1
    assert columns.signals["recency_days"] == "contact_frequency"
    for column in declared["columns"]:
        column["churn"] = 0
    write_json(path, declared)
    assert set(train.declared_columns(small.source.output, "churn").signs.values()) == {0}


def test_the_stage_prints_what_it_did(small, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train", "churn"])
    monkeypatch.setattr(train, "selected_source", lambda: small.source)
    train.main()
    told = capsys.readouterr().out
    assert "churned clients in training" in told
    assert "calibrated on" in told
    assert json.loads((small.source.output / "train" / "churn" / "training.json").read_text())["target"] == "churn"
