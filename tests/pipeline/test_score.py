"""Scores: every client in the agreed columns, from the registered champion, whole or not at all, the same bytes again."""

import csv
import errno
import importlib.util
import io
import marshal
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from drawn import day
from small_business import STRANGE_IDS, Small, stored_files

from features.errors import NotEnoughHistory, UserError
from pipeline import mlstore, register, score
from pipeline.settings import load_settings
from pipeline.source import SELECTED
from pipeline.tables import data_version, read_json, sha256_of, write_json

EXPORTED = "2024-06-15"
CONTRACT = """\
client_id as_of status
churn_probability churn_low churn_high churn_confidence misfit_probability misfit_low misfit_high margin_at_risk quadrant action
churn_reason_1_signal churn_reason_1_contribution churn_reason_1_sentence
churn_reason_2_signal churn_reason_2_contribution churn_reason_2_sentence
churn_reason_3_signal churn_reason_3_contribution churn_reason_3_sentence
misfit_reason_1_signal misfit_reason_1_contribution misfit_reason_1_sentence
misfit_reason_2_signal misfit_reason_2_contribution misfit_reason_2_sentence
misfit_reason_3_signal misfit_reason_3_contribution misfit_reason_3_sentence
model_hash data_version
"""


@pytest.fixture
def scored(champion_there: Small) -> tuple[pa.Table, dict[str, object], Path]:
    return score.score(champion_there.source, None)


def test_every_client_is_in_the_agreed_columns(scored, champion_there: Small):
    table, manifest, folder = scored
    assert folder == Path("data/alpha/score/as_of=2024-06-15")
    assert table.column_names == CONTRACT.split()
    assert pq.read_table(folder / "scores.parquet").equals(table)
    everyone = pq.read_table(champion_there.source.output / "validate" / "interactions.parquet", columns=["client_id"])
    assert sorted(table["client_id"].to_pylist()) == sorted(set(everyone["client_id"].to_pylist()))
    assert set(table["as_of"].to_pylist()) == {date(2024, 6, 15)}
    assert manifest["statuses"] == {"eligible": 40, "gone": 2, "silent": 18, "too_new": 1}


def test_only_eligible_clients_have_a_probability_and_it_lies_in_its_range(scored):
    rows = scored[0].to_pylist()
    for row in rows:
        judged = [row["churn_probability"], row["churn_low"], row["churn_high"]]
        if row["status"] == "eligible":
            assert 0 < row["churn_low"] <= row["churn_probability"] <= row["churn_high"] < 1
        else:
            assert judged == [None, None, None]
            assert row["churn_reason_1_signal"] is None
    assert {row["status"] for row in rows} == {"eligible", "gone", "silent", "too_new"}


def test_every_horizon_is_scored_and_none_contradicts_the_main_one(scored):
    """Silence for the whole of a longer horizon is rarer; the main horizon, 60 days, carries the number shown everywhere."""
    table, _, folder = scored
    found = pq.read_table(folder / "horizons.parquet").to_pandas()
    wide = found.pivot_table(index="client_id", columns="horizon_days", values="churn_probability")
    assert list(wide.columns) == [30, 60, 90, 180]
    assert (np.diff(wide.to_numpy(), axis=1) <= 0).all()
    main = {row["client_id"]: row["churn_probability"] for row in table.to_pylist() if row["status"] == "eligible"}
    assert wide[60].to_dict() == main


def test_a_number_that_says_little_is_marked(champion_there: Small):
    source = champion_there.source
    champion = score.champion_of(source)
    judged = score.judge(source, champion, day(EXPORTED))
    least = int(judged.features["contacts_ever"].median())
    said = score.confidence(judged, champion, little_data_contacts=least)
    few = judged.features["contacts_ever"] < least
    assert 10 < few.sum() < 30
    assert set(said[few]) == {"too_little_data"}
    usual = champion.model.spec["training"]["prevalence"]
    straddles = (judged.answers["low"] <= usual) & (usual <= judged.answers["high"])
    assert set(said[~few & straddles]) <= {"unclear"}
    assert set(said[~few & ~straddles]) <= {"clear"}


def test_a_model_with_too_few_leavers_says_little_of_anybody(champion_there: Small):
    source = champion_there.source
    champion = score.champion_of(source)
    judged = score.judge(source, champion, day(EXPORTED))
    training = champion.model.spec["training"] | {"is_reliable": False}
    doubtful = replace(champion, model=SimpleNamespace(spec=champion.model.spec | {"training": training}))
    assert set(score.confidence(judged, doubtful, little_data_contacts=0)) == {"too_little_data"}


def test_a_champion_of_another_format_is_told(champion_there: Small, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(score.scorer, "FORMAT", 3)
    with pytest.raises(UserError, match="a champion of format 2, made by another version of this code"):
        score.champion_of(champion_there.source)


def test_a_horizon_that_the_champion_does_not_know_is_named(champion_there: Small):
    source = champion_there.source
    longer = replace(
        source, settings=load_settings(source.spec.params | {"time": {"horizon_days": 60, "horizons_days": [30, 90, 180, 540]}})
    )
    champion = score.champion_of(source)
    assert score.horizons_note(source, champion) is None
    assert "no probability at 540 days" in score.horizons_note(longer, champion)


def test_columns_of_parts_not_built_yet_are_null(scored):
    table = scored[0]
    absent = [name for name in table.column_names if name.startswith("misfit_")] + ["margin_at_risk", "quadrant", "action"]
    assert all(table[name].null_count == table.num_rows for name in absent)


def test_the_riskiest_come_first(scored):
    probabilities = scored[0]["churn_probability"].to_pylist()
    judged = [value for value in probabilities if value is not None]
    assert probabilities[: len(judged)] == sorted(judged, reverse=True)


def test_a_reason_has_its_signal_contribution_and_words(scored):
    first = scored[0].to_pylist()[0]
    assert first["churn_reason_1_signal"] in {"contact_frequency", "criticism", "off_hours", "reporting_demand"}
    assert first["churn_reason_1_contribution"] > 0
    assert first["churn_reason_1_sentence"].endswith(".")


def test_scores_are_what_a_consumer_of_the_registry_gets(scored, champion_there: Small):
    source = champion_there.source
    judged = score.judge(source, score.champion_of(source), day(EXPORTED))
    mlstore.open_store()
    consumer = mlflow.pyfunc.load_model("models:/clientfit-alpha@champion").predict(judged.features)
    ours = {row["client_id"]: row["churn_probability"] for row in scored[0].to_pylist()}
    assert [ours[client] for client in judged.eligible["client_id"]] == consumer["probability"].tolist()


@pytest.mark.parametrize("as_of", ["2023-12-01", "2024-04-01"])
def test_features_at_scoring_equal_those_at_training_bit_for_bit(champion_there: Small, as_of: str):
    source = champion_there.source
    judged = score.judge(source, score.champion_of(source), day(as_of))
    made = pq.read_table(source.output / "featurize" / "features.parquet").to_pandas()
    at_training = made[made["as_of"] == date.fromisoformat(as_of)].set_index("client_id").loc[judged.eligible["client_id"]]
    assert len(at_training) > 20
    for name in judged.features.columns:
        assert judged.features[name].to_numpy().tobytes() == at_training[name].to_numpy().tobytes(), name


def test_an_earlier_as_of_sees_only_what_was_known_then(champion_there: Small):
    table, manifest, folder = score.score(champion_there.source, "2023-08-01")
    assert folder.name == "as_of=2023-08-01"
    assert "newcomer" not in table["client_id"].to_pylist()
    assert manifest["as_of"] == "2023-08-01"


def test_scoring_again_changes_no_byte(scored, champion_there: Small):
    folder = scored[2]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(before) == {"scores.parquet", "horizons.parquet", "scores.csv", "manifest.json"}
    write_json(folder / "manifest.json", read_json(folder / "manifest.json") | {"scored_at": "2024-06-15T08:00:00+00:00"})
    score.score(champion_there.source, None)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert read_json(folder / "manifest.json")["scored_at"] == "2024-06-15T08:00:00+00:00", "the time of the first writing"
    del before["manifest.json"], after["manifest.json"]
    assert after == before


def test_scoring_again_writes_nothing_unless_a_file_is_damaged(scored, champion_there: Small):
    folder = scored[2]
    before = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}
    score.score(champion_there.source, None)
    assert {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    whole = (folder / "scores.csv").read_bytes()
    (folder / "scores.csv").write_bytes(whole[:-1])
    again = score.score(champion_there.source, None)[1]
    assert (folder / "scores.csv").read_bytes() == whole
    assert again == scored[1]


def test_a_past_as_of_is_told_to_be_hindsight(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    _, manifest, _ = score.score(champion_there.source, "2023-08-01")
    asked = {name: manifest[name] for name in ("gap_days", "horizon_days", "trained_until", "outcomes_until", "is_hindsight")}
    # trained to the first of March: its window ends 74 days later, and a week is allowed for late records; April's would end on 14 June
    assert asked == {
        "gap_days": 14,
        "horizon_days": 60,
        "trained_until": "2024-03-01",
        "outcomes_until": "2024-05-14",
        "is_hindsight": True,
    }
    told = capsys.readouterr().out
    assert "note: the champion learned from outcomes up to 2024-05-14; this is what it says of the clients as they stood on" in told
    assert "on 2023-08-01, not what would have been said then" in told


@pytest.mark.parametrize(("as_of", "is_hindsight"), [("2024-05-13", True), ("2024-05-14", False), ("2024-06-15", False)])
def test_hindsight_ends_with_the_last_outcome_window(champion_there: Small, as_of: str, is_hindsight: bool):
    champion = score.champion_of(champion_there.source)
    assert champion.is_hindsight(day(as_of)) == is_hindsight
    assert (score.hindsight_note(champion, day(as_of)) is not None) == is_hindsight


@pytest.mark.parametrize(
    ("changed", "found", "wanted"),
    [
        ({"horizon_days": 90}, "horizon_days 60", "horizon_days 90"),
        ({"gap_days": 0, "horizon_days": 61}, "gap_days 14, horizon_days 60", "gap_days 0, horizon_days 61"),
    ],
)
def test_a_champion_is_not_asked_another_question(champion_there: Small, changed: dict[str, int], found: str, wanted: str):
    params = champion_there.source.spec.params
    other = replace(champion_there.source, settings=load_settings(params | {"time": params["time"] | changed}))
    with pytest.raises(UserError) as fault:
        score.champion_of(other)
    assert fault.value.found == f"a champion trained on {found}"
    assert fault.value.wanted.startswith(f"{wanted}, as the settings of alpha")
    assert "make train" in fault.value.cure


def test_what_qualifies_and_the_relationship_are_part_of_the_question(champion_there: Small):
    spec = champion_there.source.spec.model_copy(update={"qualifying": {}, "relationship": "contractual"})
    with pytest.raises(UserError, match=r'relationship non_contractual, qualifying {"kind": \["order"\]}'):
        score.champion_of(replace(champion_there.source, spec=spec))


def test_the_manifest_holds_sums_versions_and_the_time(scored, champion_there: Small):
    table, manifest, folder = scored
    on_disk = read_json(folder / "manifest.json")
    assert on_disk == manifest
    for name, facts in manifest["files"].items():
        assert sha256_of(folder / name) == facts["sha256"]
    assert (manifest["model"], manifest["version"], manifest["n_rows"]) == ("clientfit-alpha", 1, 61)
    assert set(table["model_hash"].to_pylist()) == {manifest["model_hash"]}
    assert set(table["data_version"].to_pylist()) == {data_version(champion_there.source.output / "validate")}


def test_a_full_disk_leaves_the_earlier_scores_as_they_were(scored, monkeypatch: pytest.MonkeyPatch):
    table, _, folder = scored
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(score, "write_json", full)
    with pytest.raises(OSError, match="No space"):
        score.write_scores(folder, table.slice(0, 3), score.HORIZONS.empty_table(), {})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.glob(".as_of*")] == []


# ---- the spreadsheet --------------------------------------------------------------------------------------------------------------


def test_the_spreadsheet_holds_the_same_rows_and_opens_in_hebrew(scored):
    table, _, folder = scored
    raw = (folder / "scores.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    assert len(rows) == table.num_rows
    assert [row["client_id"].removeprefix("'") for row in rows] == table["client_id"].to_pylist()
    assert STRANGE_IDS[5] in {row["client_id"] for row in rows}
    numbers = [float(row["churn_probability"]) for row in rows if row["churn_probability"]]
    assert numbers == [value for value in table["churn_probability"].to_pylist() if value is not None]
    lowering = [row["churn_reason_1_contribution"] for row in rows if row["churn_reason_1_contribution"].startswith("-")]
    assert lowering, "a negative number stays a number"


def test_no_cell_of_the_spreadsheet_is_a_formula(scored):
    rows = list(csv.reader(io.StringIO((scored[2] / "scores.csv").read_text(encoding="utf-8-sig"), newline="")))
    ids = {row[0] for row in rows}
    assert {"'=2+3", "'-7"} <= ids
    assert {"=2+3", "-7"}.isdisjoint(ids)


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\x00=1", "＝1", "＋1", "－1", "＠1", "  =1", "\u00a0=1"]
)
def test_text_that_a_spreadsheet_would_run_is_made_inert(text: str):
    assert score.inert(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Cohen - Levi", "00123", "שלום", "a=1", "1e5"])
def test_other_text_stays_as_it_is(text: str):
    assert score.inert(text) == text


@pytest.mark.parametrize(
    ("text", "printed"), [("a\nb", r"a\u000ab"), ("\u202eevil", r"\u202eevil"), ("[bold]x", r"\[bold]x"), ("שלום", "שלום")]
)
def test_an_id_cannot_disturb_the_terminal(text: str, printed: str):
    assert score.shown(text) == printed


# ---- what is refused --------------------------------------------------------------------------------------------------------------


def test_without_a_champion_the_cure_is_to_train(small: Small):
    with pytest.raises(UserError, match="no champion") as fault:
        score.score(small.source, None)
    assert "make train SOURCE=" in fault.value.cure


@pytest.mark.parametrize("name", ["scorer.py", "MLmodel", "artifacts/spec.json", "artifacts/members/member_01.txt"])
def test_a_champion_that_was_tampered_with_is_not_loaded(champion_there: Small, name: str):
    store = mlstore.open_store()
    champion = store.with_alias("clientfit-alpha", mlstore.CHAMPION)
    path = stored_files(store, champion) / name
    whole = path.read_bytes()
    try:
        path.write_bytes(whole + b"\nopen('it-ran', 'w').close()\n")
        with pytest.raises(UserError, match="changed or damaged"):
            score.champion_of(champion_there.source)
    finally:
        path.write_bytes(whole)
    assert not Path("it-ran").exists()


def test_bytecode_beside_a_champion_is_neither_a_damage_nor_run(champion_there: Small, monkeypatch: pytest.MonkeyPatch):
    store = mlstore.open_store()
    folder = stored_files(store, store.with_alias("clientfit-alpha", mlstore.CHAMPION))
    planted = Path(importlib.util.cache_from_source(str(folder / "scorer.py")))
    source = (folder / "scorer.py").stat()
    code = compile("open('it-ran', 'w').close()", "scorer.py", "exec")
    header = importlib.util.MAGIC_NUMBER + struct.pack("<III", 0, int(source.st_mtime), source.st_size)
    planted.parent.mkdir(exist_ok=True)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    planted.write_bytes(header + marshal.dumps(code))
    try:
        assert score.champion_of(champion_there.source).model.columns
    finally:
        shutil.rmtree(planted.parent)
    assert not Path("it-ran").exists()


@pytest.mark.parametrize(
    ("as_of", "fault", "words"),
    [
        ("2024-06-16", UserError, "after the export of 2024-06-15"),
        ("2023-03-01", NotEnoughHistory, "a date from 2023-04-04 on"),
        ("15/06/2024", UserError, "a date such as 2024-01-31"),
        ("2024-02-30", UserError, "a date such as 2024-01-31"),
        ("", UserError, "a date such as 2024-01-31"),
    ],
)
def test_a_day_that_cannot_be_scored_is_told(champion_there: Small, as_of: str, fault: type[UserError], words: str):
    with pytest.raises(fault, match=words):
        score.score(champion_there.source, as_of)


def test_features_that_the_champion_needs_and_the_source_lacks_are_named(champion_there: Small):
    champion = score.champion_of(champion_there.source)
    other = replace(champion, model=SimpleNamespace(columns=("contacts_30", "overdue_share")))
    asked = pq.read_table(champion_there.source.output / "snapshot" / "snapshots.parquet").slice(0, 1).to_pandas()
    with pytest.raises(UserError, match="overdue_share") as fault:
        score.features_for(champion_there.source, other, asked)
    assert "billing_friction (needs invoices" in fault.value.found


def test_a_portfolio_without_eligible_clients_is_listed_without_probabilities(champion_there: Small):
    strict = load_settings(champion_there.source.spec.params | {"snapshot": {"too_new_days": 10_000}})
    table = score.scores(
        score.judge(replace(champion_there.source, settings=strict), score.champion_of(champion_there.source), day(EXPORTED)),
        score.champion_of(champion_there.source),
        "data",
        little_data_contacts=3,
    )
    assert table.num_rows == 61
    assert table["churn_confidence"].null_count == 61
    assert table["churn_probability"].null_count == 61
    assert "eligible" not in table["status"].to_pylist()


def test_the_command_tells_a_fault_without_a_traceback_and_writes_nothing(champion_there: Small):
    SELECTED.write_text(yaml.safe_dump({"name": "alpha", "folder": str(champion_there.source.folder), "fingerprint": "-"}))
    command = [sys.executable, "-m", "pipeline.score", "--as-of", "2030-01-01"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: AS_OF"
    assert "Traceback" not in done.stderr
    assert not (champion_there.source.output / "score" / "as_of=2030-01-01").exists()


def test_the_terminal_shows_the_riskiest_with_their_reasons(scored, capsys: pytest.CaptureFixture[str]):
    score.tell(*scored)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "the 10 riskiest of 61 clients on 2024-06-15 (probability, 80 % interval):"
    assert len([line for line in lines if line.startswith("  0.")]) == 10
    assert lines[11] == "40 eligible, 2 gone, 18 silent, 1 too_new"
    assert lines[12].startswith("risk of leaving in the 60 days that begin 14 days after that day, by clientfit-alpha version 1 (model ")
    assert "data/alpha/score/as_of=2024-06-15/scores.csv" in lines[13]


def test_probabilities_are_those_of_the_repositorys_own_code(champion_there: Small):
    source = champion_there.source
    judged = score.judge(source, score.champion_of(source), day(EXPORTED))
    ours = register.read_trained_model(source).predict(judged.features)
    assert np.array_equal(ours.to_numpy(), judged.answers.to_numpy())
