"""The train stage: only eligible snapshots with known outcomes, whole outputs or none, equal bytes, and a clear word for too little."""

import json
from dataclasses import replace

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
    assert sorted(path.name for path in folder.parent.iterdir()) == ["churn", "misfit"]


# ---- too little, or of different runs ---------------------------------------------------------------------------------------------


def test_no_known_outcome_is_told(small):
    n_rows = pq.read_table(small.source.output / "label" / "churn.parquet").num_rows
    relabelled(small, "label", [None] * n_rows)
    with pytest.raises(NotEnoughHistory, match=f"{n_rows} eligible snapshots, none with a known outcome"):
        train.training_rows(small.source.output, "churn")


def test_nobody_leaving_is_told(small):
    labels = pq.read_table(small.source.output / "label" / "churn.parquet")["label"].to_pylist()
    relabelled(small, "label", [None if label is None else 0 for label in labels])
    with pytest.raises(NotEnoughHistory, match="none of them positive"):
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


# ---- misfit -----------------------------------------------------------------------------------------------------------------------


def misfit_stage(small, monkeypatch, stage=train) -> dict:
    """The stage run for misfit; training.json."""
    monkeypatch.setattr("sys.argv", ["stage", "misfit"])
    monkeypatch.setattr(stage, "selected_source", lambda: small.source)
    stage.main()
    return read_json(small.source.output / "train" / "misfit" / "training.json")


def test_misfit_learns_from_its_own_label_and_carries_its_rules_and_basis(small):
    rows, columns = train.training_rows(small.source.output, "misfit")
    labels = pq.read_table(small.source.output / "label" / "misfit.parquet").to_pandas()
    assert len(rows) == labels["label"].notna().sum()
    assert rows.label.sum() == labels["label"].sum() > 0
    assert rows.horizon_labels == {}
    assert set(rows.rules) == {"same_rule"}  # this business has no invoices: the other two are known of nobody
    declared = {column["name"]: column for column in read_json(small.source.output / "featurize" / "columns.json")["columns"]}
    assert (
        columns.signs
        == {name: declared[name]["misfit"] for name in columns.names}
        != {name: declared[name]["churn"] for name in columns.names}
    )
    facts = read_json(small.source.output / "train" / "misfit" / "training.json")
    assert (facts["basis"], facts["question"]["basis"]) == ("marked", "marked")
    assert "basis" not in read_json(small.source.output / "train" / "churn" / "training.json")


def test_rules_stand_beside_their_own_snapshot(small):
    rows, _ = train.training_rows(small.source.output, "misfit")
    met = pq.read_table(small.source.output / "label" / "misfit_rules.parquet").to_pandas().set_index(["client_id", "as_of"])["same_rule"]
    assert 0 < rows.rules["same_rule"].sum() < len(rows)
    for place in range(0, len(rows), 7):
        assert rows.rules["same_rule"][place] == met.loc[rows.client[place], train.to_date(rows.as_of[place])]


@pytest.mark.parametrize(
    ("values", "why"),
    [(1, "all of them positive"), (0, "none of them positive"), (None, "none with a known outcome")],
    ids=["everyone", "nobody", "unknown"],
)
def test_misfit_without_two_kinds_of_clients_has_no_model_and_says_why(small, monkeypatch, capsys, values, why):
    path = small.source.output / "label" / "misfit.parquet"
    table = pq.read_table(path)
    write_parquet(path, table.set_column(2, table.schema.field(2), pa.array([values] * table.num_rows, pa.int8())))
    facts = misfit_stage(small, monkeypatch)
    assert set(facts) == {"target", "basis", "no_model"}
    assert why in facts["no_model"]
    assert why in capsys.readouterr().out
    assert [path.name for path in (small.source.output / "train" / "misfit").iterdir()] == ["training.json"]  # the old model is gone


def test_misfit_on_the_policy_alone_has_no_model(small, monkeypatch):
    basis = read_json(small.source.output / "label" / "misfit.json") | {"basis": "policy", "why": "nobody is marked"}
    write_json(small.source.output / "label" / "misfit.json", basis)
    assert misfit_stage(small, monkeypatch) == {"target": "misfit", "basis": "policy", "no_model": "nobody is marked"}


def test_a_source_that_does_not_ask_for_misfit_has_no_model_of_it(small, monkeypatch):
    asked = small.source.settings.model_copy(update={"targets": ["churn"]})
    asking = replace(small, source=replace(small.source, settings=asked))
    assert misfit_stage(asking, monkeypatch)["no_model"] == "the settings' targets leave it out"


def test_a_column_too_good_to_be_true_leaves_misfit_without_a_model_and_stops_churn(small, monkeypatch, capsys):
    path, features = small.source.output / "label" / "misfit.parquet", small.source.output / "featurize" / "features.parquet"
    labels = pq.read_table(path).to_pandas()
    known = labels.merge(pq.read_table(features).to_pandas(), on=["client_id", "as_of"], how="left")["tenure_days"]
    planted = (known > known.quantile(0.7)).astype(int).where(labels["label"].notna())
    write_parquet(path, pq.read_table(path).set_column(2, pa.field("label", pa.int8()), pa.array(planted, pa.int8(), from_pandas=True)))
    facts = misfit_stage(small, monkeypatch)
    for part in ("tenure_days alone ranks", "wanted: columns that know only", "cure: see whether", "train.trusted_columns"):
        assert part in facts["no_model"]
    assert " ".join(facts["no_model"].split()) in " ".join(capsys.readouterr().out.split())
    for name in ("churn", "horizons"):
        path = small.source.output / "label" / f"{name}.parquet"
        rows = pq.read_table(path)
        told = rows.to_pandas().merge(labels.assign(planted=planted), on=["client_id", "as_of"], how="left", suffixes=("", "_"))
        at, label = rows.schema.get_field_index("label"), told["planted"].where(told["label"].notna())
        write_parquet(path, rows.set_column(at, rows.schema.field("label"), pa.array(label, pa.int8(), from_pandas=True)))
    monkeypatch.setattr("sys.argv", ["stage", "churn"])
    with pytest.raises(UserError, match="tenure_days alone ranks"):
        train.main()


def test_a_fault_other_than_too_little_stops_misfit_too(small, monkeypatch):
    (small.source.output / "featurize" / "features.parquet").unlink()
    with pytest.raises(UserError, match="no such file"):
        misfit_stage(small, monkeypatch)


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
    assert "positive clients in training" in told
    assert "calibrated on" in told
    assert json.loads((small.source.output / "train" / "churn" / "training.json").read_text())["target"] == "churn"
