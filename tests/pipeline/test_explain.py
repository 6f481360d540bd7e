"""Why: contributions that add up, importance, pictures; and one client's reasons with the figures that its scores show."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_business import Small

from features.errors import NotEnoughHistory, UserError
from pipeline import explain, reasons, register, score
from pipeline.explain import Explanation
from pipeline.source import Source
from pipeline.tables import write_parquet

SIGNALS = ["contact_frequency", "criticism", "first_meeting", "off_hours"]  # by what the small business's records tell clients apart


def explained(source: Source) -> Explanation:
    return explain.explain(register.read_trained_model(source), *explain.newest(source), source)


@pytest.fixture
def written(champion_there: Small) -> Path:
    folder = champion_there.source.output / "explain" / "churn"
    explain.write_explanation(folder, register.read_trained_model(champion_there.source), explained(champion_there.source))
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
    model = register.read_trained_model(champion_there.source)
    explain.draw_beeswarm(Path("again.png"), model, explained(champion_there.source))
    assert Path("again.png").read_bytes() == pictures["beeswarm.png"]


def test_a_single_client_and_hebrew_titles_can_be_drawn(champion_there: Small, monkeypatch: pytest.MonkeyPatch):
    source = champion_there.source
    model = register.read_trained_model(source)
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
    return score.score(source, None)[0].to_pylist()[0]


def test_a_client_is_explained_with_the_figures_of_its_scores(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    row = riskiest(champion_there.source)
    picture = explain.explain_client(champion_there.source, str(row["client_id"]))
    told = capsys.readouterr().out
    assert f"{row['client_id']} on 2024-06-15: eligible" in told
    range_ = f"{row['churn_low']:.2f}–{row['churn_high']:.2f}"
    assert f"probability of leaving {row['churn_probability']:.2f} (80 % interval: {range_})" in told
    assert f"↑ {row['churn_reason_1_sentence']}" in told
    assert picture is not None
    assert picture.parent == champion_there.source.output / "clients"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in told


def test_the_printed_contributions_add_up(champion_there: Small, capsys: pytest.CaptureFixture[str]):
    explain.explain_client(champion_there.source, str(riskiest(champion_there.source)["client_id"]))
    lines = capsys.readouterr().out.split("log-odds  members agree  from\n")[1].splitlines()
    numbers = [float(line.split()[0]) for line in lines[: len(SIGNALS) + 2]]
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.003)
    assert lines[0].endswith("base: the average client in training")
    assert lines[len(SIGNALS) + 1].endswith("sum: calibrated log-odds of the probability above")


@pytest.mark.parametrize(("client", "status"), [("newcomer", "too_new"), ("client-12", "silent"), ("00123", "silent")])
def test_a_client_that_is_not_judged_is_told_why(champion_there: Small, client: str, status: str, capsys: pytest.CaptureFixture[str]):
    assert explain.explain_client(champion_there.source, client) is None
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
