"""The true probability of leaving: the closed form where there is one, the observed share where there is none."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from features.contract import discovered
from features.time import to_day
from pipeline.world import ceiling
from pipeline.world.ceiling import CAUSE_SIGNALS, Window, leaving_probability
from pipeline.world.lives import client_ids, lived
from pipeline.world.settings import CAUSES, WORLDS, Simulate, WorldName

GAP, HORIZON = 14, 90
PLANNED = {  # signals, those being written included
    *("contact_frequency", "reporting_demand", "criticism", "off_hours", "billing_friction", "client_responsiveness", "tone"),
    *("scope_creep", "changing_mind", "client_agreements", "our_promises", "our_avoidance", "written_expectations"),
    *("management_change", "industry_crisis", "problem_solved", "effort_value", "focus_fit", "ideal_client", "first_meeting"),
    *("reputation", "referral_ties"),
}


def settings(n: int, world: WorldName = "ordinary") -> Simulate:
    return Simulate(seed=18, clients=n, starts_on=date(2022, 11, 1), years=4, world=world)


def observed(found: pd.DataFrame, chosen: Simulate) -> pd.DataFrame:
    """found with `label` as pipeline/label.py has it; rows without one left out."""
    lives = lived(chosen, 0, chosen.clients)
    spells = lives.spells.assign(client_id=client_ids(lives.spells["client"].to_numpy()))
    parts = []
    for as_of, rows in found.groupby("as_of"):
        day = to_day(as_of)
        present = spells[(spells["began_day"] <= day) & ((spells["decided_day"] < 0) | (spells["decided_day"] > day))]
        both = rows.merge(present, on="client_id", validate="1:1")
        after = both["decided_day"].where(both["decided_day"] >= 0, 10**9) - day
        label = (after >= GAP) & (after < GAP + HORIZON) & (both["ended_by"] == "Client")
        parts.append(both.assign(label=label)[label | (after >= GAP + HORIZON)])
    return pd.concat(parts, ignore_index=True)


AS_OFS = [date(2023, 6, 1), date(2023, 12, 1), date(2024, 6, 1), date(2024, 12, 1), date(2025, 6, 1), date(2025, 12, 1)]


def test_in_the_null_world_every_probability_is_the_closed_form():
    found = leaving_probability(settings(200, "chance"), AS_OFS[:3], gap_days=GAP, horizon_days=HORIZON)
    laws = WORLDS["chance"]
    total = laws.base_hazard + laws.let_go_base + laws.mutual + laws.closed_down + laws.paused  # a year of 52 weeks
    goes = -np.expm1(-total * HORIZON / 364)
    leaves = laws.base_hazard / total * goes
    in_notice = found["probability"] == 0
    assert in_notice.mean() < 0.05
    assert found["probability"][~in_notice].to_numpy() == pytest.approx(leaves / (leaves + 1 - goes), rel=1e-5)


def test_the_mean_is_the_observed_share_and_it_ranks_well():
    chosen = settings(1_500)
    found = leaving_probability(chosen, AS_OFS, gap_days=GAP, horizon_days=HORIZON, n_paths=60)
    rows = observed(found, chosen)
    noise = np.sqrt((rows["probability"] * (1 - rows["probability"])).sum()) / len(rows)
    assert abs(rows["label"].mean() - rows["probability"].mean()) < 4 * noise
    assert 0.78 < roc_auc_score(rows["label"], rows["probability"]) < 0.93
    high = rows[rows["probability"] > 0.1]
    assert abs(high["label"].mean() - high["probability"].mean()) < 0.06


def test_a_longer_gap_or_horizon_asks_another_question_and_more_paths_the_same():
    chosen, as_ofs = settings(120), [date(2024, 3, 1)]
    one = leaving_probability(chosen, as_ofs, gap_days=GAP, horizon_days=90, n_paths=400)["probability"]
    other = leaving_probability(chosen, as_ofs, gap_days=GAP, horizon_days=90, n_paths=800)["probability"]
    longer = leaving_probability(chosen, as_ofs, gap_days=GAP, horizon_days=180, n_paths=400)["probability"]
    assert np.abs(one - other).max() < 0.04
    assert (longer > one).mean() > 0.97


def test_it_is_the_same_every_time_and_of_the_clients_asked_for():
    chosen = settings(80)
    everyone = leaving_probability(chosen, AS_OFS[:2], gap_days=GAP, horizon_days=HORIZON, n_paths=20)
    again = leaving_probability(chosen, AS_OFS[:2], gap_days=GAP, horizon_days=HORIZON, n_paths=20)
    pd.testing.assert_frame_equal(everyone, again)
    named = everyone["client_id"].iloc[:3].tolist()
    some = leaving_probability(chosen, AS_OFS[:2], gap_days=GAP, horizon_days=HORIZON, n_paths=20, clients=named)
    assert set(some["client_id"]) == set(named)


def test_a_date_outside_the_world_is_refused():
    with pytest.raises(ValueError, match="2031-01-01"):
        leaving_probability(settings(50), [date(2031, 1, 1)], gap_days=GAP, horizon_days=HORIZON)


def test_the_shares_of_the_weeks_add_up_to_gap_and_window():
    for as_of in range(100, 107):
        shares = Window(as_of, as_of + GAP, as_of + GAP + HORIZON, 100).shares()
        assert 7 * sum(gap for gap, _ in shares) == pytest.approx(GAP)
        assert 7 * sum(window for _, window in shares) == pytest.approx(HORIZON)


def test_every_cause_has_a_signal_that_shows_it():
    assert set(CAUSE_SIGNALS) == set(CAUSES)
    named = {name for names in CAUSE_SIGNALS.values() for name in names}
    assert named <= PLANNED | {signal.name for signal in discovered()}
    assert ceiling.PARTICLES > 0
