"""Scores: every client in the agreed columns, from the registered champion, whole or not at all, the same bytes again."""

import csv
import errno
import importlib.util
import io
import json
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
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from drawn import day
from small_business import STRANGE_IDS, Small, stored_files, verdicts_at_random

from features.contract import Features
from features.errors import NotEnoughHistory, UserError
from pipeline import delivery, judge, mlstore, register, score
from pipeline.settings import load_settings
from pipeline.source import SELECTED, Source
from pipeline.tables import data_version, read_json, sha256_of, write_json

EXPORTED = "2024-06-15"
CONTRACT = """\
client_id as_of status
churn_probability churn_low churn_high churn_confidence
misfit_probability misfit_low misfit_high misfit_confidence misfit_basis policy_score
margin_at_risk quadrant action
churn_reason_1_signal churn_reason_1_contribution churn_reason_1_sentence
churn_reason_2_signal churn_reason_2_contribution churn_reason_2_sentence
churn_reason_3_signal churn_reason_3_contribution churn_reason_3_sentence
misfit_reason_1_signal misfit_reason_1_contribution misfit_reason_1_sentence
misfit_reason_2_signal misfit_reason_2_contribution misfit_reason_2_sentence
misfit_reason_3_signal misfit_reason_3_contribution misfit_reason_3_sentence
model_hash misfit_model_hash data_version
"""


def judged_of(source: Source, as_of: str = EXPORTED) -> judge.Judged:
    return judge.judge(source, judge.champions_of(source), judge.look(source, [day(as_of)]))


def written(source: Source, as_of: str | None) -> tuple[pa.Table, dict[str, object], Path]:
    found = score.score(source, as_of)
    return found.table, found.manifest, found.folder


@pytest.fixture
def scored(champion_there: Small) -> tuple[pa.Table, dict[str, object], Path]:
    return written(champion_there.source, None)


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
    judged = judged_of(source)
    verdict = judged.verdicts["churn"]
    least = int(judged.features["contacts_ever"].median())
    said = judge.confidence(verdict, judged.features, little_data_contacts=least)
    few = judged.features["contacts_ever"] < least
    assert 10 < few.sum() < 30
    assert set(said[few]) == {"too_little_data"}
    usual = verdict.champion.model.spec["training"]["prevalence"]
    straddles = (verdict.answers["low"] <= usual) & (usual <= verdict.answers["high"])
    assert set(said[~few & straddles]) <= {"unclear"}
    assert set(said[~few & ~straddles]) <= {"clear"}


def test_a_model_with_too_few_leavers_says_little_of_anybody(champion_there: Small):
    source = champion_there.source
    judged = judged_of(source)
    verdict = judged.verdicts["churn"]
    spec = verdict.champion.model.spec
    doubtful = SimpleNamespace(spec=spec | {"training": spec["training"] | {"is_reliable": False}})
    unsure = replace(verdict, champion=replace(verdict.champion, model=doubtful))
    assert set(judge.confidence(unsure, judged.features, little_data_contacts=0)) == {"too_little_data"}


def test_a_champion_of_another_format_is_told(champion_there: Small, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(judge.scorer, "FORMAT", 3)
    with pytest.raises(UserError, match="a champion of format 2, made by another version of this code"):
        judge.champion_of(champion_there.source, "churn")


def test_a_horizon_that_the_champion_does_not_know_is_named(champion_there: Small):
    source = champion_there.source
    longer = replace(
        source, settings=load_settings(source.spec.params | {"time": {"horizon_days": 60, "horizons_days": [30, 90, 180, 540]}})
    )
    champion = judge.champion_of(source, "churn")
    assert judge.horizons_note(source, champion) is None
    assert "no probability at 540 days" in judge.horizons_note(longer, champion)


def test_eligible_clients_and_no_others_have_an_action_and_the_decision_says_the_same(champion_there: Small):
    found = score.score(champion_there.source, None)
    actions = {row["client_id"]: (row["action"], row["quadrant"]) for row in found.table.to_pylist() if row["status"] == "eligible"}
    told = [json.loads(line) for line in (found.decisions / "decisions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["client_id"]: (row["action"], row["quadrant"]) for row in told} == actions
    assert all(action and quadrant for action, quadrant in actions.values())
    others = [row for row in found.table.to_pylist() if row["status"] != "eligible"]
    assert others
    assert {row[name] for row in others for name in ("action", "quadrant", "policy_score", "margin_at_risk")} == {None}


def test_misfit_stands_beside_churn_with_its_own_model_basis_and_confidence(scored):
    table, manifest, _ = scored
    for row in table.to_pylist():
        if row["status"] == "eligible":
            assert 0 < row["misfit_low"] <= row["misfit_probability"] <= row["misfit_high"] < 1
            assert row["misfit_basis"] == "marked"
            assert row["misfit_confidence"] in {"clear", "unclear", "too_little_data"}
        else:
            assert {row[name] for name in row if name.startswith("misfit_") and name != "misfit_model_hash"} == {None}
    own = manifest["misfit"]
    assert (own["model"], own["version"], own["basis"]) == ("clientfit-alpha.misfit", 1, "marked")
    assert "a client that nobody marked counts as none" in own["assumption"]
    assert set(table["misfit_model_hash"].to_pylist()) == {own["model_hash"]}
    assert own["model_hash"] != manifest["model_hash"] == table["model_hash"][0].as_py()
    assert table["misfit_reason_1_signal"].null_count < table.num_rows


def test_what_verdicts_at_random_say_of_the_unmarked_stands_beside_the_assumption(
    champion_there: Small, capsys: pytest.CaptureFixture[str]
):
    source = champion_there.source
    assert score.score(source, "2024-06-12").manifest["misfit"]["review_estimate"] is None
    with verdicts_at_random(source) as (n_misfits, n):
        found = score.score(source, "2024-06-12")
    own = found.manifest["misfit"]["review_estimate"]
    assert (own["misfits"]["n_positive"], own["misfits"]["n"]) == (n_misfits, n)
    score.tell(found.table, found.manifest, found.folder)
    told = " ".join(capsys.readouterr().out.split())
    assert f"{found.manifest['misfit']['assumption']} {own['words'][0]}" in told


def test_misfit_is_scored_by_its_own_model_on_the_same_features(scored, champion_there: Small):
    judged = judged_of(champion_there.source)
    ours = register.read_trained_model(champion_there.source, "misfit").predict(judged.features)
    told = {row["client_id"]: row["misfit_probability"] for row in scored[0].to_pylist()}
    assert [told[client] for client in judged.eligible["client_id"]] == ours["probability"].tolist()


def test_where_misfit_has_no_model_its_columns_are_null_the_reason_is_told_and_churn_does_not_suffer(
    scored, champion_there: Small, capsys: pytest.CaptureFixture[str]
):
    facts = champion_there.source.output / "train" / "misfit" / "training.json"
    whole = facts.read_bytes()
    try:
        write_json(facts, {"target": "misfit", "basis": "policy", "no_model": "no client is marked by people"})
        table, manifest, folder = written(champion_there.source, "2024-06-14")
    finally:
        facts.write_bytes(whole)
    absent = [name for name in table.column_names if name.startswith("misfit_") and name != "misfit_basis"]
    assert all(table[name].null_count == table.num_rows for name in absent)
    assert {(row["misfit_basis"], row["policy_score"] is None) for row in table.to_pylist()} == {("policy", False), (None, True)}
    assert table["churn_probability"].null_count < table.num_rows
    assert manifest["misfit"] == {"no_model": "no client is marked by people"}
    score.tell(table, manifest, folder)
    assert "no probability of misfit: no client is marked by people\n" in capsys.readouterr().out
    assert scored[0]["misfit_probability"].null_count < scored[0].num_rows


def test_what_was_decided_stands_in_its_client_s_row(champion_there: Small):
    judged = judged_of(champion_there.source)
    first = judged.eligible["client_id"][0]
    decided = pd.DataFrame(
        {"client_id": [first], "quadrant": "misfit", "action": "reprice", "margin_at_risk": [123_456_789], "policy_score": [0.25]}
    )
    rows = {row["client_id"]: row for row in score.scores(judged, "data", 3, decided).to_pylist()}
    own, other = rows[first], rows[judged.eligible["client_id"][1]]
    assert [own[name] for name in score.DECIDED] == [0.25, 123_456_789, "misfit", "reprice"]
    assert [other[name] for name in score.DECIDED] == [None, None, None, None]
    assert (own["misfit_basis"], other["misfit_basis"]) == ("marked", "marked")
    of_churn = replace(judged, verdicts={"churn": judged.verdicts["churn"]})
    alone = {row["client_id"]: row["misfit_basis"] for row in score.scores(of_churn, "data", 3, decided).to_pylist()}
    assert alone[first] == "policy"
    assert set(alone.values()) == {"policy", None}


def test_what_is_seen_on_several_days_is_what_is_judged_on_each_bit_for_bit(champion_there: Small):
    source = champion_there.source
    champions, days = judge.champions_of(source), [day("2024-04-15"), day("2024-05-15"), day(EXPORTED)]
    looked = judge.look(source, days)
    seen = judge.seen(champions, looked)
    assert list(seen.columns[:4]) == ["client_id", "as_of", "churn_probability", "misfit_probability"]
    assert not seen.duplicated(["client_id", "as_of"]).any()
    for on in days:
        judged, of_day = judge.judge(source, champions, judge.look(source, [on])), seen[seen["as_of"] == on]
        assert of_day["client_id"].tolist() == judged.eligible["client_id"].tolist()
        assert list(of_day.columns[4:]) == list(judged.features.columns)
        assert of_day.iloc[:, 4:].to_numpy().tobytes() == judged.features.to_numpy().tobytes()
        for target, verdict in judged.verdicts.items():
            assert of_day[f"{target}_probability"].tolist() == verdict.answers["probability"].tolist()
    assert_same(judge.judge(source, champions, looked), judged)
    alone = judge.seen({}, judge.look(source, days, only=seen["client_id"][0]))
    assert set(alone["client_id"]) == {seen["client_id"][0]}
    assert alone[["churn_probability", "misfit_probability"]].isna().all().all()


def assert_same(one: judge.Judged, other: judge.Judged) -> None:
    """To the last bit, with everyone known that day and nobody else."""
    assert one.day == other.day
    for part in ("everyone", "eligible", "features"):
        pd.testing.assert_frame_equal(getattr(one, part), getattr(other, part), check_exact=True)
    assert list(one.verdicts) == list(other.verdicts) == ["churn", "misfit"]
    for target, verdict in one.verdicts.items():
        pd.testing.assert_frame_equal(verdict.answers, other.verdicts[target].answers, check_exact=True)
        assert verdict.reasons == other.verdicts[target].reasons


def test_scoring_looks_at_the_clients_once(champion_there: Small, monkeypatch: pytest.MonkeyPatch):
    """Features cost most of a run: those of the newest day serve the scores and the decision."""
    asked, as_before = [], judge.featurize

    def counted(validated: Path, snapshots: pa.Table, source: Source) -> Features:
        asked.append(len(snapshots.group_by("as_of").aggregate([])))
        return as_before(validated, snapshots, source)

    monkeypatch.setattr(judge, "featurize", counted)
    score.score(champion_there.source, "2024-06-11")
    assert asked == [0, 0, 3], "which columns there are, for each champion; then three snapshots at once"


def test_a_misfit_model_of_another_basis_is_not_asked(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    source = champion_there.source
    other = replace(source, settings=load_settings(source.spec.params | {"misfit": {"basis": "economics"}}))
    with pytest.raises(UserError, match="trained on basis marked") as fault:
        judge.champion_of(other, "misfit")
    assert "make train" in fault.value.cure
    assert list(judge.champions_of(other)) == ["churn"]
    found = score.score(other, "2024-06-13")
    lack = found.manifest["misfit"]["no_model"]
    for part in ("found a champion trained on basis marked", "wanted: basis economics", "cure: run `make train"):
        assert part in lack
    assert "\n" not in lack
    score.tell(found.table, found.manifest, found.folder)
    assert f"no probability of misfit: {lack}" in " ".join(capsys.readouterr().out.split())
    assert found.table["churn_probability"].null_count < found.table.num_rows


@pytest.mark.parametrize("is_damaged", [True, False], ids=["damaged", "another format"])
def test_a_misfit_champion_that_cannot_be_used_is_told_and_churn_is_scored(
    champion_there: Small, monkeypatch: pytest.MonkeyPatch, is_damaged: bool
):
    store, source = mlstore.open_store(), champion_there.source
    path = stored_files(store, store.with_alias("clientfit-alpha.misfit", mlstore.CHAMPION)) / "artifacts" / "spec.json"
    whole = path.read_bytes()
    try:
        if is_damaged:
            path.write_bytes(whole + b" ")
        else:  # for misfit only: churn's format is the code's
            monkeypatch.setattr(judge, "_check_question", _refuses_misfit)
        champions = judge.champions_of(source)
        lack = judge.lack_of(source, "misfit")
    finally:
        path.write_bytes(whole)
    assert list(champions) == ["churn"]
    assert ("changed or damaged" if is_damaged else "of format 1") in lack


def _refuses_misfit(_source: Source, champion: judge.Champion, target: str) -> None:
    if target == "misfit":
        raise UserError(str(champion.version), found="a champion of format 1", wanted="format 2", cure="train")


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
    judged = judged_of(source)
    mlstore.open_store()
    consumer = mlflow.pyfunc.load_model("models:/clientfit-alpha@champion").predict(judged.features)
    ours = {row["client_id"]: row["churn_probability"] for row in scored[0].to_pylist()}
    assert [ours[client] for client in judged.eligible["client_id"]] == consumer["probability"].tolist()


@pytest.mark.parametrize("as_of", ["2023-12-01", "2024-04-01"])
def test_features_at_scoring_equal_those_at_training_bit_for_bit(champion_there: Small, as_of: str):
    source = champion_there.source
    judged = judged_of(source, as_of)
    made = pq.read_table(source.output / "featurize" / "features.parquet").to_pandas()
    at_training = made[made["as_of"] == date.fromisoformat(as_of)].set_index("client_id").loc[judged.eligible["client_id"]]
    assert len(at_training) > 20
    for name in judged.features.columns:
        assert judged.features[name].to_numpy().tobytes() == at_training[name].to_numpy().tobytes(), name


def test_an_earlier_as_of_sees_only_what_was_known_then(champion_there: Small):
    table, manifest, folder = written(champion_there.source, "2023-08-01")
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
    again = score.score(champion_there.source, None).manifest
    assert (folder / "scores.csv").read_bytes() == whole
    assert again == scored[1]


def test_a_past_as_of_is_told_to_be_hindsight(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    _, manifest, _ = written(champion_there.source, "2023-08-01")
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
    champion = judge.champion_of(champion_there.source, "churn")
    assert champion.is_hindsight(day(as_of)) == is_hindsight
    assert (judge.hindsight_note(champion, day(as_of)) is not None) == is_hindsight


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
        judge.champion_of(other, "churn")
    assert fault.value.found == f"a champion trained on {found}"
    assert fault.value.wanted.startswith(f"{wanted}, as the settings of alpha")
    assert "make train" in fault.value.cure


def test_what_qualifies_and_the_relationship_are_part_of_the_question(champion_there: Small):
    spec = champion_there.source.spec.model_copy(update={"qualifying": {}, "relationship": "contractual"})
    with pytest.raises(UserError, match=r'relationship non_contractual, qualifying {"kind": \["order"\]}'):
        judge.champion_of(replace(champion_there.source, spec=spec), "churn")


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

    monkeypatch.setattr(delivery, "write_json", full)
    with pytest.raises(OSError, match="No space"):
        delivery.deliver(score.to_deliver(folder, table.slice(0, 3), score.HORIZONS.empty_table(), {}))
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
    assert delivery.inert(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Cohen - Levi", "00123", "שלום", "a=1", "1e5"])
def test_other_text_stays_as_it_is(text: str):
    assert delivery.inert(text) == text


@pytest.mark.parametrize(
    ("text", "printed"), [("a\nb", r"a\u000ab"), ("\u202eevil", r"\u202eevil"), ("[bold]x", r"\[bold]x"), ("שלום", "שלום")]
)
def test_an_id_cannot_disturb_the_terminal(text: str, printed: str):
    assert delivery.shown(text) == printed


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
            judge.champion_of(champion_there.source, "churn")
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
        assert judge.champion_of(champion_there.source, "churn").model.columns
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


def needing(monkeypatch: pytest.MonkeyPatch, target: str, *more: str) -> None:
    """As if the target's champion had learned from these columns too."""
    as_before = judge._check_columns

    def check(source: Source, champion: judge.Champion) -> None:
        is_asked = champion.version.name == source.registered(target)
        columns = (*champion.model.columns, *(more if is_asked else ()))
        as_before(source, replace(champion, model=SimpleNamespace(columns=columns)))

    monkeypatch.setattr(judge, "_check_columns", check)


def test_columns_that_the_champion_of_churn_needs_and_the_source_lacks_are_named(champion_there: Small, monkeypatch: pytest.MonkeyPatch):
    needing(monkeypatch, "churn", "overdue_share")
    with pytest.raises(UserError, match="no overdue_share") as fault:
        score.score(champion_there.source, "2024-06-10")
    assert "billing_friction (needs invoices" in fault.value.found
    assert not (champion_there.source.output / "score" / "as_of=2024-06-10").exists()


def test_a_misfit_champion_whose_columns_are_gone_is_told_and_churn_is_scored(
    champion_there: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    needing(monkeypatch, "misfit", "overdue_share")
    found = score.score(champion_there.source, "2024-06-10")
    lack = found.manifest["misfit"]["no_model"]
    for part in ("no overdue_share (1 in all) in the features", "billing_friction (needs invoices", "cure: bring the missing tables"):
        assert part in lack
    assert "\n" not in lack
    assert found.table["churn_probability"].null_count < found.table.num_rows
    assert found.table["misfit_probability"].null_count == found.table.num_rows
    score.tell(found.table, found.manifest, found.folder)
    assert f"no probability of misfit: {lack}" in " ".join(capsys.readouterr().out.split())


def test_a_portfolio_without_eligible_clients_is_listed_without_probabilities(champion_there: Small):
    strict = load_settings(champion_there.source.spec.params | {"snapshot": {"too_new_days": 10_000}})
    table = score.scores(judged_of(replace(champion_there.source, settings=strict)), "data", little_data_contacts=3)
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
    assert lines[11] == "the 5 likeliest misfits (basis: marked):"
    assert [place for place, line in enumerate(lines) if line.startswith("  0.")] == [*range(1, 11), *range(12, 17)]
    assert lines[17].startswith("Only some misfits are ever marked by people; a client that nobody marked counts as none.")
    assert lines[18] == "40 eligible, 2 gone, 18 silent, 1 too_new"
    assert lines[19].startswith("risk in the 60 days that begin 14 days after that day, by clientfit-alpha version 1 (model ")
    assert "and clientfit-alpha.misfit version 1 (model " in lines[19]
    assert "data/alpha/score/as_of=2024-06-15/scores.csv" in lines[20]


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ([("first_meeting", None), ("criticism", "3 complaints."), ("tone", "Tense.")], "3 complaints. · Tense."),
        ([("first_meeting", None), ("criticism", None)], "no reason that can be put in words"),
        ([], "no reason that the members agree on"),
    ],
)
def test_the_terminal_leaves_out_reasons_without_words(scored, given, printed: str, capsys: pytest.CaptureFixture[str]):
    table, manifest, folder = scored
    rows = table.to_pylist()
    for place, (signal, sentence) in enumerate([*given, (None, None), (None, None), (None, None)][:3], start=1):
        rows[0] |= {f"churn_reason_{place}_signal": signal, f"churn_reason_{place}_sentence": sentence}
    score.tell(pa.Table.from_pylist(rows, schema=table.schema), manifest, folder)
    assert capsys.readouterr().out.splitlines()[1].endswith(f"  {rows[0]['client_id']}  {printed}")


def test_probabilities_are_those_of_the_repositorys_own_code(champion_there: Small):
    source = champion_there.source
    judged = judged_of(source)
    ours = register.read_trained_model(source, "churn").predict(judged.features)
    assert np.array_equal(ours.to_numpy(), judged.verdicts["churn"].answers.to_numpy())
