"""Registration: found again by content, promoted never, whole or not at all; what the registry holds, and what it must not."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import yaml
from small_business import STRANGE_IDS, Small, retrain, stored_files, trained, without_model

from models import scorer
from pipeline import judge, mlstore, register
from pipeline.mlstore import CHALLENGER, CHAMPION, Store
from pipeline.register import Registration, Trained
from pipeline.tables import data_version, read_json, write_json

NAME = "clientfit-alpha"


def registered(small: Small) -> tuple[Registration, bool]:
    return register.register(small.source, register.read_trained(small.source, "churn"), mlstore.open_store())


def another(small: Small, steeper: float) -> Trained:
    """The trained model with another calibration, hence other content; by powers of two, so that the way back is exact."""
    first = register.read_trained(small.source, "churn")
    spec = read_json(first.training / "spec.json")
    spec["calibration"]["slope"] *= steeper
    write_json(first.training / "spec.json", spec)
    return register.read_trained(small.source, "churn")


def aliases(store: Store, name: str = NAME) -> dict[str, int | None]:
    found = {alias: store.with_alias(name, alias) for alias in (CHAMPION, CHALLENGER)}
    return {alias: version and version.number for alias, version in found.items()}


def test_the_first_version_becomes_champion_and_the_same_content_is_not_registered_twice(small: Small):
    first, is_new = registered(small)
    assert (first.version, first.role, is_new) == (1, "champion", True)
    retrain(small.source, "churn")
    again, is_new = registered(small)
    assert not is_new
    assert again == first
    assert [version.number for version in mlstore.open_store().versions(NAME)] == [1]


def test_a_later_version_becomes_challenger_and_the_champion_stays(small: Small):
    registered(small)
    store = mlstore.open_store()
    second, _ = register.register(small.source, another(small, 2), store)
    assert (second.version, second.role) == (2, "challenger")
    third, _ = register.register(small.source, another(small, 2), store)
    assert (third.version, third.role) == (3, "challenger")
    assert aliases(store) == {CHAMPION: 1, CHALLENGER: 3}


def test_two_sources_keep_their_own_champions_when_trained_in_turn(small: Small):
    first, _ = registered(small)
    other = trained(small.root, "beta", seed=2)
    beta, _ = register.register(other.source, register.read_trained(other.source, "churn"), mlstore.open_store())
    again, is_new = registered(small)
    assert (beta.model, beta.version, beta.role) == ("clientfit-beta", 1, "champion")
    assert (again, is_new) == (first, False)
    assert first.model_hash != beta.model_hash


def test_the_targets_of_a_source_have_names_and_champions_of_their_own(champion_there: Small):
    store = mlstore.open_store()
    churn, misfit = (store.with_alias(champion_there.source.registered(target), CHAMPION) for target in ("churn", "misfit"))
    assert [(version.name, version.number) for version in (churn, misfit)] == [("clientfit-alpha", 1), ("clientfit-alpha.misfit", 1)]
    assert (churn.tags["target"], misfit.tags["target"]) == ("churn", "misfit")
    assert churn.model_hash != misfit.model_hash


@pytest.mark.usefixtures("champion_there")
def test_a_misfit_model_says_what_its_label_rests_on_and_takes_for_granted():
    store = mlstore.open_store()
    misfit = store.with_alias("clientfit-alpha.misfit", CHAMPION)
    assert (misfit.tags["basis"], store.spec_of(misfit)["question"]["basis"]) == ("marked", "marked")
    described = store.client.get_model_version(misfit.name, "1").description
    card = Path(store.client.download_artifacts(misfit.run_id, "model_card.md")).read_text(encoding="utf-8")
    for text in (described, card):
        assert text.startswith("# clientfit-alpha.misfit: misfit\n")
        assert (
            "Basis of the label: **marked**. Only some misfits are ever marked by people; a client that nobody marked counts as none."
            in text
        )
    assert "basis" not in store.with_alias(NAME, CHAMPION).tags


def test_a_target_without_a_model_registers_nothing_and_says_why(small: Small, monkeypatch: pytest.MonkeyPatch, capsys):
    without_model(small.source)
    told = run(small, "misfit", monkeypatch, capsys)
    assert told == "no misfit model is registered: no client is marked by people\n"
    written = read_json(small.source.output / "register" / "misfit" / "registration.json")
    assert (written["target"], written["basis"]) == ("misfit", "policy")
    assert written["no_model"].startswith("no client is marked")
    assert mlstore.open_store().versions("clientfit-alpha.misfit") == []


def test_an_earlier_misfit_model_is_not_asked_where_the_last_training_made_none(small: Small):
    register.register(small.source, register.read_trained(small.source, "misfit"), mlstore.open_store())
    assert judge.champion_of(small.source, "misfit").version.number == 1
    without_model(small.source)
    assert judge.champion_of(small.source, "misfit") is None
    assert aliases(mlstore.open_store(), "clientfit-alpha.misfit")[CHAMPION] == 1, "it is left as it is"


def test_going_back_to_an_earlier_model_finds_its_version(small: Small):
    first, _ = registered(small)
    register.register(small.source, another(small, 2), mlstore.open_store())
    another(small, 1 / 2)
    back, is_new = registered(small)
    assert (back, is_new) == (first, False)
    assert aliases(mlstore.open_store()) == {CHAMPION: 1, CHALLENGER: 2}


def test_a_registration_that_dies_leaves_no_half_version_and_the_next_makes_it_good(small: Small, monkeypatch: pytest.MonkeyPatch):
    store = mlstore.open_store()
    for step in ("_log_scorer", "_ensure_model", "_checked_sum"):
        with monkeypatch.context() as patch:
            patch.setattr(register, step, _dies)
            with pytest.raises(KeyboardInterrupt):
                registered(small)
        assert store.versions(NAME) == []
        assert aliases(store) == {CHAMPION: None, CHALLENGER: None}
    with monkeypatch.context() as patch:
        patch.setattr(register, "_give_alias", _dies)
        with pytest.raises(KeyboardInterrupt):
            registered(small)
    assert [version.number for version in store.versions(NAME)] == [1]
    assert aliases(store)[CHAMPION] is None
    found, is_new = registered(small)
    assert (found.version, found.role, is_new) == (1, "champion", False)


def _dies(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_version_whose_files_were_damaged_is_registered_anew_and_stays_champion(small: Small):
    registered(small)
    store = mlstore.open_store()
    champion = store.with_alias(NAME, CHAMPION)
    member = next((stored_files(store, champion) / "artifacts" / "members").iterdir())
    member.write_bytes(member.read_bytes()[:-1])
    found, is_new = registered(small)
    assert (found.version, found.role, is_new) == (2, "champion", True)


def damage_champion() -> None:
    store = mlstore.open_store()
    member = stored_files(store, store.with_alias(NAME, CHAMPION)) / "artifacts" / "members" / "member_00.txt"
    member.write_bytes(member.read_bytes()[:-1])


def asking(small: Small, **changed: object) -> Trained:
    """The trained model as if it had been trained on another question."""
    first = register.read_trained(small.source, "churn")
    spec = read_json(first.training / "spec.json")
    write_json(first.training / "spec.json", spec | {"question": spec["question"] | changed})
    return register.read_trained(small.source, "churn")


def test_another_model_takes_the_place_of_a_damaged_champion_and_scores(small: Small):
    registered(small)
    damage_champion()
    with pytest.raises(register.UserError, match="takes the place of a damaged champion"):
        judge.champion_of(small.source, "churn")
    store = mlstore.open_store()
    found, is_new = register.register(small.source, another(small, 2), store)
    assert (found.version, found.role, is_new) == (2, "champion", True)
    assert found.champion_because == "the former champion, version 1, is damaged"
    assert store.versions(NAME)[1].tags["champion_because"] == found.champion_because
    assert aliases(store) == {CHAMPION: 2, CHALLENGER: None}
    assert judge.champion_of(small.source, "churn").version.number == 2
    again, _ = register.register(small.source, register.read_trained(small.source, "churn"), store)
    assert again == found


def test_a_challenger_takes_the_place_of_a_champion_damaged_since(small: Small):
    registered(small)
    store = mlstore.open_store()
    trained_later = another(small, 2)
    first, _ = register.register(small.source, trained_later, store)
    assert (first.role, first.champion_because) == ("challenger", "")
    damage_champion()
    found, is_new = register.register(small.source, trained_later, store)
    assert (found.version, found.role, is_new) == (2, "champion", False)
    assert aliases(store) == {CHAMPION: 2, CHALLENGER: None}


def test_a_model_of_another_question_becomes_champion_and_says_why(small: Small):
    registered(small)
    found, _ = register.register(small.source, asking(small, horizon_days=180), mlstore.open_store())
    assert (found.version, found.role) == (2, "champion")
    assert found.champion_because == "the question changed: horizon_days 60 -> 180"
    back, is_new = register.register(small.source, asking(small, horizon_days=60), mlstore.open_store())
    assert (back.version, back.role, is_new) == (1, "champion", False)
    assert back.champion_because == "the question changed: horizon_days 180 -> 60"


def test_a_champion_that_does_not_say_its_question_is_replaced(small: Small):
    spec = small.source.output / "train" / "churn" / "spec.json"
    whole = read_json(spec)
    write_json(spec, {key: value for key, value in whole.items() if key != "question"})
    registered(small)
    with pytest.raises(register.UserError, match="horizon_days not stated"):
        judge.champion_of(small.source, "churn")
    write_json(spec, whole)
    found, _ = registered(small)
    assert (found.version, found.role) == (2, "champion")
    assert "gap_days not stated -> 14, horizon_days not stated -> 60" in found.champion_because


def test_later_outcomes_are_no_other_question(small: Small):
    registered(small)
    later = asking(small, trained_until="2024-05-01", outcomes_until="2024-07-14")
    found, _ = register.register(small.source, later, mlstore.open_store())
    assert (found.version, found.role) == (2, "challenger")


def run(small: Small, target: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the stage prints."""
    monkeypatch.setattr(register, "selected_source", lambda: small.source)
    monkeypatch.setattr(sys, "argv", ["register", target])
    register.main()
    return capsys.readouterr().out


def test_the_stage_prints_why_a_version_became_champion(small: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    registered(small)
    asking(small, qualifying={"kind": ["order", "visit"]})
    told = run(small, "churn", monkeypatch, capsys)
    assert 'champion because the question changed: qualifying {"kind": ["order"]} -> {"kind": ["order", "visit"]}' in told
    assert read_json(small.source.output / "register" / "churn" / "registration.json")["role"] == "champion"


def test_a_model_that_would_score_otherwise_once_shipped_is_not_registered(small: Small):
    ours = register.read_trained(small.source, "churn")
    spec = dict(ours.model.spec) | {"tree_weight": ours.model.tree_weight / 2}
    texts = [(ours.training / "members" / member["file"]).read_text() for member in spec["members"]]
    other = replace(ours, model=scorer.Model(spec, texts))
    with pytest.raises(register.UserError, match="scores differently"):
        register.register(small.source, other, mlstore.open_store())
    assert mlstore.open_store().versions(NAME) == []


def registration_of(small: Small) -> Registration:
    found, is_new = registered(small)
    assert not is_new
    return found


def test_the_run_tells_parameters_figures_with_intervals_plots_data_and_code(champion_there: Small):
    found = registration_of(champion_there)
    run = mlstore.open_store().client.get_run(found.run_id)
    assert run.data.params["time.horizon_days"] == "60"
    assert run.data.params["train.members"] == "3"
    assert run.data.params["model.n_churned_clients"] == "20"
    metrics = read_json(champion_there.source.output / "evaluate" / "churn" / "metrics.json")
    brier = metrics["test"]["model"]["brier"]
    assert [run.data.metrics[f"test.model.brier{end}"] for end in ("", "_low", "_high")] == [brier["value"], brier["low"], brier["high"]]
    assert run.data.tags["data_version"] == data_version(champion_there.source.output / "validate")
    assert re.fullmatch(r"[0-9a-f]{40}(\+[0-9a-f]{12})?|sha256:[0-9a-f]{64}", run.data.tags["code_version"])
    artifacts = {item.path for item in mlstore.open_store().client.list_artifacts(found.run_id)}
    assert artifacts == {"plots", "metrics.json", "model_card.md"}
    drawn = {item.path for item in mlstore.open_store().client.list_artifacts(found.run_id, "plots")}
    names = ("gain", "lift", "reliability", "backtest", "slices", "decay", "importance")
    assert drawn == {f"plots/{name}.{end}" for name in names for end in ("csv", "png")}


def test_a_version_tells_its_grade_its_tier_with_the_reason_and_how_often_the_final_period_was_read(champion_there: Small):
    registration_of(champion_there)
    store = mlstore.open_store()
    champion = store.with_alias(NAME, CHAMPION)
    assert champion is not None
    metrics, spec = read_json(champion_there.source.output / "evaluate" / "churn" / "metrics.json"), store.spec_of(champion)
    assert spec is not None
    tags = champion.tags
    assert (tags["grade"], tags["grade_text"]) == (metrics["grade"]["level"], metrics["grade"]["text"])
    assert (tags["tier"], tags["tier_reason"]) == (spec["training"]["tier"], spec["training"]["size_reason"])
    assert tags["is_reliable"] == str(spec["training"]["is_reliable"])
    assert tags["final_period_reads"] == "1"
    described = store.client.get_model_version(NAME, "1").description
    assert described.startswith(f"# clientfit-alpha: churn\n\n{metrics['grade']['text']}")
    card = store.client.download_artifacts(champion.run_id, "model_card.md")
    written = (champion_there.source.output / "evaluate" / "churn" / "model_card.md").read_text(encoding="utf-8")
    kept = Path(card).read_text(encoding="utf-8")
    assert kept.startswith(written.rstrip())
    assert "this final period has been read by this model alone" in kept


def test_a_further_model_read_on_the_same_period_is_counted_and_told(small: Small):
    registered(small)
    facts = small.source.output / "train" / "churn" / "training.json"
    write_json(facts, read_json(facts) | {"model_hash": "another", "evaluated_hash": "another"})
    second, _ = register.register(small.source, another(small, 2), mlstore.open_store())
    store = mlstore.open_store()
    assert [version.tags["final_period_reads"] for version in store.versions(NAME)] == ["1", "2"]
    described = store.client.get_model_version(NAME, str(second.version)).description
    assert "this final period has now been read by 2 models; each further look makes its figures less honest" in described


def test_a_version_ships_one_file_of_code_texts_and_numbers_and_exact_requirements(champion_there: Small):
    store = mlstore.open_store()
    champion = store.with_alias(NAME, CHAMPION)
    folder = stored_files(store, champion)
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds == {".py", ".json", ".txt", ".yaml", ""}
    assert [path.name for path in folder.rglob("*.py")] == ["scorer.py"]
    lock = Path(register.__file__).parents[1].joinpath("requirements.lock").read_text(encoding="utf-8")
    required = (folder / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in required] == ["lightgbm", "numpy", "pandas", "mlflow"]
    assert all(f"{line} " in lock for line in required)
    described = yaml.safe_load((folder / "MLmodel").read_text())
    assert described["metadata"]["model_hash"] == champion.model_hash
    inputs = json.loads(described["signature"]["inputs"])
    assert {column["type"] for column in inputs} == {"double"}
    assert [column["name"] for column in inputs] == list(register.read_trained_model(champion_there.source, "churn").columns)


def test_no_client_is_named_in_the_registry(champion_there: Small):
    snapshots = pq.read_table(champion_there.source.output / "snapshot" / "snapshots.parquet")
    assert "client-29" in snapshots["client_id"].to_pylist()
    searched = [path for path in (champion_there.root / ".mlflow").rglob("*") if path.is_file()]
    assert {path.name for path in searched} >= {"mlflow.db", "metrics.json", "MLmodel", "input_example.json"}
    for path in searched:
        content = path.read_bytes()
        assert b"client-29" not in content
        assert STRANGE_IDS[5].encode() not in content


@pytest.mark.parametrize(
    ("low", "flag"), [(0.001, "yes"), (0.0, "no"), (-0.02, "no"), (None, "unknown")], ids=["above", "at zero", "below", "undefined"]
)
def test_beating_recency_takes_the_whole_interval(low: float | None, flag: str):
    assert register.beats_recency({"test": {"model_minus_recency": {"auc": {"value": 0.02, "low": low, "high": 0.05}}}}) == flag


def test_a_champion_that_does_not_beat_recency_is_flagged(small: Small):
    path = small.source.output / "evaluate" / "churn" / "metrics.json"
    metrics = read_json(path)
    metrics["test"]["model_minus_recency"]["auc"] = {"value": 0.0, "low": -0.01, "high": 0.01}
    write_json(path, metrics)
    found, _ = registered(small)
    assert (found.role, found.beats_recency) == ("champion", "no")
    store = mlstore.open_store()
    champion = store.with_alias(NAME, CHAMPION)
    assert champion is not None
    assert champion.tags["beats_recency"] == "no"
    assert "does not beat the recency rule" in store.client.get_model_version(NAME, "1").description


def test_equal_data_have_an_equal_version_and_other_data_another(small: Small):
    table = small.source.output / "validate" / "interactions.parquet"
    before = data_version(small.source.output / "validate")
    table.touch()
    assert data_version(small.source.output / "validate") == before
    (table.parent / "clients.parquet").write_bytes(table.read_bytes())
    assert data_version(small.source.output / "validate") != before


def test_the_code_has_a_version_without_git_too(tmp_path: Path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "scorer.py").write_text("one = 1\n")
    first = register.code_version(tmp_path)
    (tmp_path / "models" / "scorer.py").write_text("one = 2\n")
    assert first.startswith("sha256:")
    assert register.code_version(tmp_path) != first


@pytest.mark.parametrize(
    ("made", "because"),
    [(["recency_days", "contacts_90"], ""), (["recency_days"], "columns that it needs are no longer made: contacts_90")],
)
def test_a_champion_whose_columns_are_no_longer_made_is_replaced(made, because):
    former = {"format": 2, "columns": [{"name": "recency_days"}, {"name": "contacts_90"}]}
    store = SimpleNamespace(spec_of=lambda _: former)
    now = {"format": 2, "columns": [{"name": name} for name in made]}
    assert register._why_replaced(SimpleNamespace(number=1), now, store) == because


def test_a_champion_of_an_older_format_is_replaced():
    store = SimpleNamespace(spec_of=lambda _: {"format": 1, "columns": []})
    because = register._why_replaced(SimpleNamespace(number=1), {"format": 2, "columns": []}, store)
    assert because == "the former champion's format 1 is not 2, which this version of the code reads"
