"""Why: contributions that add up, importance, pictures; and one client's reasons with the figures that its scores show."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_business import Small, without_model

from features.errors import NotEnoughHistory, UserError
from pipeline import explain, judge, mlstore, reasons, register, score
from pipeline.explain import Explanation
from pipeline.settings import ScoreSettings
from pipeline.source import Source
from pipeline.tables import write_parquet

SIGNALS = ["contact_frequency", "criticism", "first_meeting", "off_hours"]  # by what the small business's records tell clients apart


def explained(source: Source) -> Explanation:
    return explain.explain(register.read_trained_model(source, "churn"), *explain.newest(source), source)


@pytest.fixture
def written(champion_there: Small) -> Path:
    folder = champion_there.source.output / "explain" / "churn"
    explain.write_explanation(folder, register.read_trained_model(champion_there.source, "churn"), explained(champion_there.source))
    return folder


def test_base_and_contributions_add_up_to_the_log_odds_of_the_probability(written: Path):
    table = pq.read_table(written / "contributions.parquet").to_pandas()
    assert len(table) > 20
    assert table["as_of"].astype(str).unique().tolist() == ["2024-06-01"]
    added = table["base"] + table[[f"contribution_{signal}" for signal in SIGNALS]].sum(axis=1)
    assert np.abs(added - table["log_odds"]).max() < 1e-9
    assert np.abs(1 / (1 + np.exp(-added)) - table["probability"]).max() < 1e-9
    assert table[[f"agreement_{signal}" for signal in SIGNALS]].stack().between(0, 1).all()


def test_importance_names_the_planted_causes_first(written: Path):
    table = pd.read_csv(written / "importance.csv")
    assert set(table["signal"][:2]) == {"contact_frequency", "criticism"}
    assert table["mean_contribution_size"].is_monotonic_decreasing
    assert table["share"].sum() == pytest.approx(1)
    assert table["title"][0] in {"Contact frequency", "Criticism"}


def test_reasons_are_ranked_per_client(written: Path):
    table = pq.read_table(written / "reasons.parquet").to_pandas()
    assert table["rank"].between(1, 3).all()
    sizes = table["contribution"].abs()
    for _, own in table.groupby("client_id"):
        assert own["rank"].tolist() == list(range(1, len(own) + 1))
        assert sizes[own.index].is_monotonic_decreasing
        assert own["contribution"].gt(0).nunique() == 1, "reasons push one way"
    assert table["sentence"].notna().any()


def test_the_pictures_are_pictures_and_the_same_every_time(written: Path, champion_there: Small):
    pictures = {path.name: path.read_bytes() for path in written.glob("*.png")}
    assert set(pictures) == {"beeswarm.png", "waterfall.png"}
    assert all(content.startswith(b"\x89PNG") and len(content) > 10_000 for content in pictures.values())
    model = register.read_trained_model(champion_there.source, "churn")
    explain.draw_beeswarm(Path("again.png"), model, explained(champion_there.source))
    assert Path("again.png").read_bytes() == pictures["beeswarm.png"]


def test_a_single_client_and_hebrew_titles_can_be_drawn(champion_there: Small, monkeypatch: pytest.MonkeyPatch):
    source = champion_there.source
    model = register.read_trained_model(source, "churn")
    asked, features = explain.newest(source)
    alone = explain.explain(model, asked.iloc[:1], features.iloc[:1], source)
    monkeypatch.setattr(reasons, "titles", lambda: dict.fromkeys(SIGNALS, "ירידה בתדירות הקשר"))
    explain.write_explanation(Path("alone"), model, alone)
    assert Path("alone/beeswarm.png").stat().st_size > 5_000
    assert Path("alone/waterfall.png").stat().st_size > 5_000


def test_no_eligible_client_is_told(small: Small):
    path = small.source.output / "snapshot" / "snapshots.parquet"
    table = pq.read_table(path)
    write_parquet(path, table.set_column(2, "status", [["gone"] * table.num_rows]))
    with pytest.raises(NotEnoughHistory, match="no eligible client on 2024-06-01"):
        explain.newest(small.source)


# ---- one client -------------------------------------------------------------------------------------------------------------------


def riskiest(source: Source) -> dict[str, object]:
    return score.score(source, None).table.to_pylist()[0]


def interval(row: dict[str, object], target: str) -> str:
    """As it is printed, with the word for a number that is not clear."""
    word = str(row[f"{target}_confidence"]).replace("_", " ")
    return f"(80 % interval: {row[f'{target}_low']:.2f}–{row[f'{target}_high']:.2f}{'' if word == 'clear' else f', {word}'})"


def test_a_client_is_explained_with_the_figures_of_its_scores(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    row = riskiest(champion_there.source)
    pictures = explain.explain_client(champion_there.source, str(row["client_id"]))
    told = capsys.readouterr().out
    assert f"{row['client_id']} on 2024-06-15: eligible" in told
    assert f"probability of leaving {row['churn_probability']:.2f} {interval(row, 'churn')}" in told
    assert f"↑ {row['churn_reason_1_sentence']}" in told
    assert [picture.parent for picture in pictures] == [champion_there.source.output / "clients"] * 2
    assert all(picture.read_bytes().startswith(b"\x89PNG") and str(picture) in told for picture in pictures)
    assert f"probability of being a misfit {row['misfit_probability']:.2f} {interval(row, 'misfit')}" in told
    assert "a client that nobody marked counts as none" in told


def test_a_number_that_is_not_clear_is_told_with_the_word_of_its_score(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    settings = champion_there.source.settings
    wary = replace(champion_there.source, settings=settings.model_copy(update={"score": ScoreSettings(little_data_contacts=10_000)}))
    explain.explain_client(wary, str(riskiest(champion_there.source)["client_id"]))
    assert capsys.readouterr().out.count(", too little data)") == 2


def test_the_step_that_was_advised_on_that_day_is_told_with_its_reason(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    source = champion_there.source
    found = score.score(source, None)
    row = found.decided.rows[-1]
    explain.explain_client(source, row["client_id"])
    line = f"advised on 2024-06-15 by `make score`: {row['action'].replace('_', ' ')}. {row['because']['sentence']}"
    assert line in capsys.readouterr().out.replace("\n", " ")
    (found.decisions / "decisions.jsonl").unlink()
    explain.explain_client(source, row["client_id"])
    assert "advised" not in capsys.readouterr().out


def test_the_printed_contributions_add_up(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    explain.explain_client(champion_there.source, str(riskiest(champion_there.source)["client_id"]))
    _, *tables = capsys.readouterr().out.split("log-odds  members agree  from\n")
    assert len(tables) == 2
    for table in tables:
        lines = table.splitlines()
        numbers = [float(line.split()[0]) for line in lines[: len(SIGNALS) + 2]]
        assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.003)
        assert lines[0].endswith("base: the average client in training")
        assert lines[len(SIGNALS) + 1].endswith("sum: calibrated log-odds of the probability above")


POLICY = """
rules:
  seldom:
    title: Seldom here
    statements: [D9]
    kind: deal_breaker
    where: [{column: contacts_365, at_least: 1}]
    grace_snapshots: 1
    evidence: "{contacts_365:.0f} contacts in the last 365 days."
  never:
    title: Never here
    statements: [D9]
    kind: warning
    where: [{column: contacts_365, above: 10000}]
    grace_snapshots: 0
    evidence: "{contacts_365:.0f} contacts in the last 365 days."
"""


def test_without_a_misfit_model_a_client_is_told_why_and_which_written_rules_it_meets(small: Small, capsys: pytest.CaptureFixture[str]):
    register.register(small.source, register.read_trained(small.source, "churn"), mlstore.open_store())
    without_model(small.source)
    (small.source.folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    assert len(explain.explain_client(small.source, "client-29")) == 1
    told = capsys.readouterr().out
    assert "probability of leaving 0." in told
    assert "no probability of being a misfit: no client is marked by people\n" in told
    assert "  of the 2 written rules that can be measured it meets 1 (" in told
    assert re.search(r"^  \d+ contacts in the last 365 days\.$", told, re.MULTILINE)


def run(source: Source, target: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(explain, "selected_source", lambda: source)
    monkeypatch.setattr(sys, "argv", ["explain", target])
    explain.main()
    return source.output / "explain" / target


def test_misfit_is_explained_in_its_own_words_beside_churn(small: Small, monkeypatch: pytest.MonkeyPatch, capsys):
    folder = run(small.source, "misfit", monkeypatch)
    assert "what moves their risk of being a misfit (mean size, in log-odds):" in capsys.readouterr().out
    written = pq.read_table(folder / "contributions.parquet").to_pandas()
    asked, features = explain.newest(small.source)
    ours = register.read_trained_model(small.source, "misfit").predict(features)
    assert written["client_id"].tolist() == asked["client_id"].tolist()
    assert written["probability"].tolist() == ours["probability"].tolist()
    assert not (small.source.output / "explain" / "churn").exists()


def test_reasons_are_worded_for_the_target_that_is_asked(champion_there: Small, monkeypatch: pytest.MonkeyPatch):
    source, asked, as_before = champion_there.source, [], reasons.top_reasons

    def noted(*parts: object, target: str, **others: object) -> object:
        asked.append(target)
        return as_before(*parts, target=target, **others)

    monkeypatch.setattr(reasons, "top_reasons", noted)
    for target in ("churn", "misfit"):
        explain.explain(register.read_trained_model(source, target), *explain.newest(source), source)
    judge.judge(source, judge.champions_of(source), judge.look(source, [source.exported_day]))
    assert asked == ["churn", "misfit"] * 2


def test_nothing_to_explain_is_written_down_with_the_reason(small: Small, monkeypatch: pytest.MonkeyPatch, capsys):
    without_model(small.source)
    folder = run(small.source, "misfit", monkeypatch)
    assert capsys.readouterr().out == "no misfit model to explain: no client is marked by people\n"
    assert [path.name for path in folder.iterdir()] == ["no_model.json"]


@pytest.mark.parametrize(("client", "status"), [("newcomer", "too_new"), ("client-12", "silent"), ("00123", "silent")])
def test_a_client_that_is_not_judged_is_told_why(champion_there: Small, client: str, status: str, capsys: pytest.CaptureFixture[str]):
    assert explain.explain_client(champion_there.source, client) == []
    told = capsys.readouterr().out
    assert f"{client} on 2024-06-15: {status}" in told
    assert "no probability: only eligible clients are judged" in told


def test_a_client_of_a_few_days_is_screened_by_its_first_contacts(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    explain.explain_client(champion_there.source, "newcomer")
    told = " ".join(capsys.readouterr().out.split())
    assert "first meeting: 0% of the client's 1 contacts in its first 60 days were about price, discounts or terms." in told
    assert "Intake score, smoothed: 1.0" in told


@pytest.mark.parametrize(("client", "near"), [("clent-12", "'client-12'"), ("123", "'00123'"), ("Newcomer", "'newcomer'")])
def test_an_unknown_client_is_refused_with_similar_ids(champion_there: Small, client: str, near: str):
    with pytest.raises(UserError) as fault:
        explain.explain_client(champion_there.source, client)
    assert f"{client!r}" in fault.value.found
    assert near in fault.value.wanted


@pytest.mark.parametrize("client", ["שלום בעם", "../../etc/passwd", "two\nlines", "a" * 500, ".", ""])
def test_any_id_makes_a_file_name_within_its_folder(client: str):
    name = explain.file_name(client)
    assert 8 <= len(name) <= 60
    assert not set(name) & set("/\\\n.")


def test_similar_ids_have_different_files():
    assert explain.file_name("a b") != explain.file_name("a_b")
