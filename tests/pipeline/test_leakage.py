"""Leakage through the real stages: what is scored is what was learnt from, what a label rule may see a feature may not, and a column too
good to be true stops training. That no single signal looks ahead is proved in tests/features (contract_checks.py); here the stages are
run together. Features at scoring against those at training: also tests/pipeline/test_score.py and test_featurize.py.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from drawn import day, source_of
from histories import DEFAULTS, table_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_business import Small

from features.contact_frequency import RECENCY_COLUMN
from features.contract import features
from features.errors import UserError
from features.time import month_starts, to_day
from models import leakage
from models.fitting import Columns, Snapshots
from models.leakage import screen
from pipeline import register, score, train
from pipeline.featurize import featurize
from pipeline.ingest import ingest
from pipeline.label import labels
from pipeline.settings import load_settings
from pipeline.snapshot import canonical_tables, make_snapshots, snapshots
from pipeline.source import load_source
from pipeline.tables import read_json, write_json, write_parquet
from pipeline.validate import validate

# ---- what is scored is what was learnt from ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_of", ["2023-12-01", "2024-01-01", "2024-03-01"])
def test_a_batch_score_is_the_shipped_model_on_the_training_rows_bit_for_bit(champion_there: Small, as_of: str):
    source = champion_there.source
    rows, _ = train.training_rows(source.output, "churn")
    learnt = rows.at([day(as_of)])
    expected = register.read_trained_model(source, "churn").predict(learnt.features)
    scored = score.score(source, as_of).table.to_pandas().set_index("client_id").loc[learnt.client]
    assert len(learnt) > 20
    for name in ("probability", "low", "high"):
        assert scored[f"churn_{name}"].to_numpy().tobytes() == expected[name].to_numpy().tobytes(), name


@pytest.mark.parametrize("as_of", ["2023-12-01", "2024-03-01"])
def test_serving_on_that_day_with_nothing_but_the_past_gives_the_training_rows(champion_there: Small, tmp_path: Path, as_of: str):
    """The table as it stood on the day itself: later rows do not exist yet, and neither do later versions."""
    source = champion_there.source
    on = day(as_of)
    table = pq.read_table(source.output / "validate" / "interactions.parquet")
    past = table.filter(pc.and_(pc.less(table["day"], on), pc.less(table["known"], on)))
    assert 0 < past.num_rows < table.num_rows
    write_parquet(tmp_path / "interactions.parquet", past)
    seen = snapshots(canonical_tables(tmp_path), [on], source)
    eligible = seen.filter(pc.equal(seen["status"], "eligible"))
    served = featurize(tmp_path, eligible, source).frame.set_index("client_id")
    rows, columns = train.training_rows(source.output, "churn")
    learnt = rows.at([on])
    assert sorted(served.index) == sorted(learnt.client)
    for name in columns.names:
        assert served.loc[learnt.client, name].to_numpy().tobytes() == learnt.features[name].to_numpy().tobytes(), name


# ---- recency and the label of silence ---------------------------------------------------------------------------------------------

ON = day("2024-03-01")
GAP, HORIZON = 14, 60
SHOP = source_of("non_contractual", "2024-12-31", time={"gap_days": GAP, "horizon_days": HORIZON, "horizons_days": [HORIZON]})
REGIONS = {
    "past": (ON - 400, ON),
    "gap": (ON, ON + GAP),
    "window": (ON + GAP, ON + GAP + HORIZON),
    "beyond": (ON + GAP + HORIZON, ON + 250),
}


def contacts(random: np.random.Generator, since: int, until: int, n_clients: int) -> list[dict[str, object]]:
    """Orders, complaints and messages in [since, until), each client at its own pace."""
    rows: list[dict[str, object]] = []
    for client in range(n_clients):
        pace_days = 4 + 40 * client / n_clients
        on = since + random.exponential(pace_days)
        while on < until:
            kind = str(random.choice(["order", "order", "message", "complaint"]))
            rows.append(DEFAULTS["interactions"] | {"client_id": f"client {client:03d}", "day": int(on), "known": int(on), "kind": kind})
            on += random.exponential(pace_days)
    return rows


def write(folder: Path, rows: list[dict[str, object]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    numbered = [row | {"interaction_id": f"{number}"} for number, row in enumerate(rows)]
    write_parquet(folder / "interactions.parquet", table_of("interactions", numbered))
    return folder


def through_the_stages(folder: Path, rows: list[dict[str, object]]) -> tuple[pd.DataFrame, "pd.Series[float]"]:
    """Features and labels of the clients eligible at ON, by client."""
    write(folder, rows)
    seen = snapshots(canonical_tables(folder), [ON], SHOP)
    eligible = seen.filter(pc.equal(seen["status"], "eligible"))
    judged = labels(seen, folder, SHOP).to_pandas().set_index("client_id")["label"]
    return featurize(folder, eligible, SHOP).frame.set_index("client_id").drop(columns="as_of"), judged


@settings(max_examples=8, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_features_see_the_past_alone_and_the_label_of_silence_the_window_alone(tmp_path_factory: pytest.TempPathFactory, seed: int):
    """Every contact of one stretch of time replaced by others: past, gap, window, beyond. Thirty random histories each."""
    random = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("worlds")
    base = {name: contacts(random, *span, 30) for name, span in REGIONS.items()}

    def world(changed: str = "") -> tuple[pd.DataFrame, "pd.Series[float]"]:
        parts = [contacts(random, *REGIONS[name], 30) if name == changed else rows for name, rows in base.items()]
        return through_the_stages(folder / (changed or "base"), [row for part in parts for row in part])

    before, judged = world()
    assert len(before) > 10
    for changed in ("gap", "window", "beyond"):
        after, label = world(changed)
        pd.testing.assert_frame_equal(after, before, check_exact=True)
        assert (label.equals(judged)) == (changed != "window"), changed
    after, label = world("past")
    both = before.index.intersection(after.index)
    assert len(both) > 5
    assert label[both].equals(judged[both])
    assert not after.loc[both].equals(before.loc[both])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Snapshots, Columns]:
    """150 clients over two years, a third of which stop one day without a sign; labelled monthly."""
    random = np.random.default_rng(3)
    stops = {f"client {client:03d}": ON - int(random.integers(0, 500)) if client % 3 == 0 else ON + 999 for client in range(150)}
    rows = [row for row in contacts(random, ON - 600, ON + 250, 150) if row["day"] < stops[str(row["client_id"])]]
    folder = write(tmp_path_factory.mktemp("shop"), rows)
    seen = snapshots(canonical_tables(folder), month_starts(ON - 450, ON), SHOP)
    known = labels(seen, folder, SHOP).to_pandas().dropna(subset="label")
    known["as_of"] = [to_day(on) for on in known["as_of"]]
    made = featurize(folder, seen, SHOP)
    found = known.merge(made.frame, on=["client_id", "as_of"], validate="1:1").sort_values(["as_of", "client_id"], ignore_index=True)
    columns = Columns({column.name: signal for signal, column in made.columns}, {})
    label = found["label"].to_numpy(np.float64)
    return folder, Snapshots(found[columns.names], label, found["client_id"].to_numpy(object), found["as_of"].to_numpy(np.int64)), columns


def recency_seen_late(folder: Path, rows: Snapshots, days_late: int) -> Snapshots:
    """The rows with a recency that looks so many days past as_of."""
    asked = pd.DataFrame({"client_id": rows.client, "as_of": rows.as_of + days_late})
    late = features(canonical_tables(folder), asked, SHOP.business).frame
    late["as_of"] -= days_late
    placed = asked.assign(as_of=rows.as_of).merge(late, on=["client_id", "as_of"], validate="1:1")
    planted = rows.features.assign(**{RECENCY_COLUMN: placed[RECENCY_COLUMN].to_numpy()})
    return Snapshots(planted, rows.label, rows.client, rows.as_of)


def test_the_stages_own_columns_raise_no_suspicion(shop):
    _, rows, columns = shop
    found = screen(rows, columns, SHOP.settings.time.calendar)
    assert (found.is_judged, found.is_lag_judged) == (True, True)
    assert found.suspects() == {}


def test_a_recency_that_looks_through_the_gap_to_the_windows_end_is_caught(shop):
    """It is the label itself: silent for the whole window."""
    folder, rows, columns = shop
    found = screen(recency_seen_late(folder, rows, GAP + HORIZON), columns, SHOP.settings.time.calendar)
    assert set(found.suspects()) == {RECENCY_COLUMN}
    assert found.of(RECENCY_COLUMN, "auc") == 1.0


def test_a_recency_that_looks_half_way_into_the_window_is_caught(shop):
    folder, rows, columns = shop
    found = screen(recency_seen_late(folder, rows, GAP + HORIZON // 2), columns, SHOP.settings.time.calendar)
    assert set(found.suspects()) == {RECENCY_COLUMN}


def test_a_recency_that_looks_through_the_gap_alone_is_left_to_the_property_above(shop):
    """Stated, so that nobody relies on the detector for it: two weeks fresher is better by too little to tell. The property tells: the
    column changes with contacts in the gap."""
    folder, rows, columns = shop
    peeking = recency_seen_late(folder, rows, GAP)
    assert screen(peeking, columns, SHOP.settings.time.calendar).suspects() == {}
    table = pq.read_table(folder / "interactions.parquet")
    without = folder.parent / f"{folder.name}-without-gap"
    in_gap = pc.and_(pc.greater_equal(table["day"], ON), pc.less(table["day"], ON + GAP))
    write_parquet(without / "interactions.parquet", table.filter(pc.invert(in_gap)))
    newest = rows.at([ON])
    seen, unseen = (recency_seen_late(place, newest, GAP).features[RECENCY_COLUMN] for place in (folder, without))
    assert not seen.equals(unseen)


# ---- the stage stops --------------------------------------------------------------------------------------------------------------


def plant(small: Small, target: str = "churn") -> None:
    """Adds a column `answer` to features.parquet and columns.json: the target's label, plainly."""
    folder = small.source.output / "featurize"
    label = pq.read_table(small.source.output / "label" / f"{target}.parquet").to_pandas().set_index(["client_id", "as_of"])["label"]
    table = pq.read_table(folder / "features.parquet")
    keys = pd.MultiIndex.from_arrays([table["client_id"].to_pylist(), table["as_of"].to_pylist()])
    write_parquet(folder / "features.parquet", table.append_column("answer", pa.array(label.reindex(keys).to_numpy(np.float64))))
    declared = read_json(folder / "columns.json")
    declared["columns"].append(declared["columns"][0] | {"name": "answer", "signal": "planted", "churn": 0})
    write_json(folder / "columns.json", declared)


def trusting(small: Small, *names: str) -> Small:
    """The business with these names trusted beside those of its own."""
    params = small.source.spec.params
    own = params["train"]
    more = params | {"train": own | {"trusted_columns": [*own["trusted_columns"], *names]}}
    return Small(small.root, replace(small.source, settings=load_settings(more)))


def run(small: Small) -> train.Trained:
    rows, columns = train.training_rows(small.source.output, "churn")
    return train.train(rows, columns, target="churn", source=small.source, tell=print)


def test_a_column_that_knows_the_answer_stops_training_unless_it_is_trusted(small: Small, capsys: pytest.CaptureFixture[str]):
    plant(small)
    with pytest.raises(UserError, match=r"found:  answer alone ranks with AUC 1\.000") as told:
        run(small)
    assert told.value.found.count(" alone ranks with AUC ") == 1, "the columns this business trusts are not named"
    assert capsys.readouterr().out == "", "it stops before the first fold is made"
    found = run(trusting(small, "answer")).leakage
    assert found["suspicious_but_trusted"]["answer"].startswith("alone ranks with AUC 1.000")
    assert found["highest_auc"] == {"column": "answer", "auc": 1.0}


def test_of_misfit_it_leaves_no_model_and_the_reason_is_written_down(small: Small, monkeypatch: pytest.MonkeyPatch):
    plant(small, "misfit")
    monkeypatch.setattr("sys.argv", ["train", "misfit"])
    monkeypatch.setattr(train, "selected_source", lambda: small.source)
    train.main()
    folder = small.source.output / "train" / "misfit"
    assert "answer alone ranks with AUC 1.000" in read_json(folder / "training.json")["no_model"]
    assert [path.name for path in folder.iterdir()] == ["training.json"]


def test_a_snapshot_that_stands_twice_stops_training(small: Small):
    rows, columns = train.training_rows(small.source.output, "churn")
    twice = rows.where(np.ones(len(rows), bool))
    twice.client[twice.client == "client-31"] = "client-32"
    with pytest.raises(UserError, match="snapshots that stand twice"):
        train.train(twice, columns, target="churn", source=small.source, tell=print)


def test_the_weight_in_the_trees_is_judged_after_training(small: Small, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leakage, "gain_shares", lambda _, names: {name: float(name == "typical_gap_days") for name in names})
    monkeypatch.setattr(leakage, "GAIN_AUC_FROM", 0.5)
    with pytest.raises(UserError, match="typical_gap_days carries 100% of the trees' gain"):
        run(small)


def test_a_trusted_name_that_is_no_column_is_told(small: Small):
    with pytest.raises(UserError, match="criticsm_90, of which this source's features know nothing"):
        run(trusting(small, "criticsm_90"))


def test_training_tells_what_it_looked_for_and_found(small: Small, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["train", "churn"])
    monkeypatch.setattr(train, "selected_source", lambda: small.source)
    train.main()
    found = json.loads((small.source.output / "train" / "churn" / "training.json").read_text(encoding="utf-8"))["leakage"]
    assert list(found) == [
        *("judged", "highest_auc", "largest_fall", "largest_gain_share", "suspicious_but_trusted"),
        *("ids_with_one_history", "knowing_clients_again", "population"),
    ]
    n_columns = len(train.training_rows(small.source.output, "churn")[1].names)
    assert found["judged"] == {"columns_alone": True, "columns_one_step_older": True, "n_columns": n_columns}
    assert found["highest_auc"]["auc"] > 0.95
    assert found["ids_with_one_history"] == 0
    assert set(found["population"]) == {"n_judged", "n_newest", "told_apart_auc", "most_shifted"}
    snapshots_there = pq.read_table(small.source.output / "snapshot" / "snapshots.parquet").to_pandas()
    newest = snapshots_there[(snapshots_there["as_of"] == snapshots_there["as_of"].max()) & (snapshots_there["status"] == "eligible")]
    assert found["population"]["n_newest"] == len(newest) > 20


def test_a_client_under_two_ids_is_told_and_no_id_is_written(small: Small, capsys: pytest.CaptureFixture[str]):
    output = small.source.output
    for path in ("snapshot/snapshots.parquet", "label/churn.parquet", "featurize/features.parquet"):
        table = pq.read_table(output / path)
        twin = table.filter(pc.equal(table["client_id"], "client-31"))
        place = twin.schema.get_field_index("client_id")
        renamed = twin.set_column(place, "client_id", pa.array(["[bold]twin"] * twin.num_rows, pa.string()))
        write_parquet(output / path, pa.concat_tables([table, renamed]))
    found = run(small)
    assert found.leakage["ids_with_one_history"] == 1
    assert r"is '\[bold]twin' and 'client-31' one client?" in capsys.readouterr().out
    assert "twin" not in json.dumps(found.leakage)


# ---- real sources -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "n_columns"), [("wholesaler", 65), ("helpdesk", 54)])
def test_real_sources_raise_no_false_alarm(tmp_path: Path, name: str, n_columns: int):
    """The simulated portfolio is trained whole in tests/test_flow.py, which an alarm would stop."""
    source = load_source(str(Path(__file__).parents[2] / "data" / "sources" / name))
    if not all((source.folder / raw.path).exists() for raw in source.spec.files.values()):
        pytest.skip(f"the raw data of {name} are not on this machine")
    ingest(source, tmp_path / "ingest")
    validate(source, tmp_path / "ingest", tmp_path / "validate")
    seen = make_snapshots(source, tmp_path / "validate")
    known = labels(seen, tmp_path / "validate", source).to_pandas().dropna(subset="label")
    made = featurize(tmp_path / "validate", seen, source)
    known["as_of"] = [to_day(on) for on in known["as_of"]]
    found = known.merge(made.frame, on=["client_id", "as_of"], validate="1:1")
    columns = Columns({column.name: signal for signal, column in made.columns}, {})
    rows = Snapshots(
        found[columns.names], found["label"].to_numpy(np.float64), found["client_id"].to_numpy(object), found["as_of"].to_numpy(np.int64)
    )
    screened = screen(rows, columns, source.settings.time.calendar)
    assert (len(columns.names) >= n_columns, screened.is_judged, screened.is_lag_judged) == (True, True, True)
    assert screened.suspects() == {}
    assert screened.table["auc"].max() < 0.8
    assert screened.table["fall"].max() < 0.1
