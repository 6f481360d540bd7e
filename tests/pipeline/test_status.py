"""Status: what a newcomer sees of a project before, between and after the runs."""

import re
from dataclasses import replace

import pytest
from small_business import Small, stored_files, without_model

from pipeline import mlstore, score, status
from pipeline.settings import load_settings
from pipeline.tables import read_json, write_json


def told(small: Small, capsys: pytest.CaptureFixture[str]) -> str:
    status.status(small.source)
    return capsys.readouterr().out


def test_it_tells_data_last_run_champion_and_scores(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    score.score(champion_there.source, None)
    lines = told(champion_there, capsys)
    assert "exported 2024-06-15 12:00 Asia/Jerusalem" in lines
    assert "interactions        3,578 rows, newest 2024-06-14" in lines
    assert "  ingest        not run yet" in lines
    assert "champion clientfit-alpha version 1, registered 20" in lines
    assert "  auc                 1.000 [1.000, 1.000]" in lines
    assert "champion clientfit-alpha.misfit version 1, registered 20" in lines
    assert "  basis of its label: marked" in lines
    assert "scores for 2024-06-15: 61 clients (40 eligible, 2 gone, 18 silent, 1 too_new), written 20" in lines


def test_it_tells_when_decisions_were_made_and_how_many_steps_are_advised(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    found = score.score(champion_there.source, None)
    lines = told(champion_there, capsys)
    actions = [row["action"] for row in found.decided.rows if row["action"] != "wait_and_watch"]
    assert 0 < len(actions) <= 40
    assert f"decisions for 2024-06-15: {len(actions)} steps advised for 40 eligible clients, " in lines
    for action in set(actions):
        assert f", {actions.count(action)} {action.replace('_', ' ')}" in lines
    made = read_json(found.decisions / "manifest.json")["decided_at"]
    assert f"  made {made[:10]} {made[11:16]} UTC: data/alpha/decide/as_of=2024-06-15" in lines
    moments = re.findall(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d\S* \S+", lines)
    assert len(moments) >= 4
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d (UTC|Asia/Jerusalem)[,:]?", moment) for moment in moments), moments


def test_scores_beside_decisions_of_another_run_are_noticed(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    words = "the decisions beside them are missing or of another run: `make score AS_OF=2024-06-15` mends that"
    found = score.score(champion_there.source, None)
    assert words not in told(champion_there, capsys)
    manifest = found.folder / "manifest.json"
    write_json(manifest, read_json(manifest) | {"data_version": "other"})  # as if killed before the decisions were put in their place
    assert words in told(champion_there, capsys)
    score.score(champion_there.source, None)
    assert words not in told(champion_there, capsys)


def test_before_any_run_it_tells_what_to_do(small: Small, capsys: pytest.CaptureFixture[str]):
    for table in (small.source.output / "validate").glob("*.parquet"):
        table.unlink()
    (small.root / ".mlflow" / "mlflow.db").unlink()
    lines = told(small, capsys)
    assert "no canonical tables yet: run `make train`" in lines
    assert "no registry yet: run `make train`" in lines
    assert "no scores yet: run `make score`" in lines
    assert not (small.root / ".mlflow" / "mlflow.db").exists(), "looking makes nothing"


def test_without_a_champion_it_says_so(small: Small, capsys: pytest.CaptureFixture[str]):
    lines = told(small, capsys)
    assert "no champion named clientfit-alpha yet: run `make train`" in lines
    assert "no champion named clientfit-alpha.misfit yet: run `make train`" in lines


def test_a_target_without_a_model_says_why(small: Small, capsys: pytest.CaptureFixture[str]):
    without_model(small.source)
    lines = told(small, capsys)
    assert "no model of misfit: no client is marked by people" in lines
    assert "clientfit-alpha.misfit" not in lines


def test_other_data_than_the_champions_and_lost_files_are_noticed(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    added = champion_there.source.output / "validate" / "payments.parquet"
    added.write_bytes((champion_there.source.output / "validate" / "interactions.parquet").read_bytes())
    try:
        assert "trained on other data than stand here now" in told(champion_there, capsys)
    finally:
        added.unlink()
    champion = mlstore.open_store().with_alias("clientfit-alpha", mlstore.CHAMPION)
    folder = stored_files(mlstore.open_store(), champion)
    moved = folder.rename(folder.with_name("moved"))
    try:
        assert "its files are gone or differ from the registry" in told(champion_there, capsys)
    finally:
        moved.rename(folder)


def test_another_question_than_the_champions_is_noticed(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    params = champion_there.source.spec.params
    other = replace(champion_there.source, settings=load_settings(params | {"time": {"horizon_days": 90}}))
    assert "trained on horizon_days 60; the settings ask horizon_days 90: run `make train`" in told(
        replace(champion_there, source=other), capsys
    )
