"""The true probability of being marked a misfit: against what partners and endings of the same world really said, and in small parts."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from features.time import to_day
from pipeline.world import papers
from pipeline.world.ceiling import Window
from pipeline.world.events import Weeks
from pipeline.world.lives import GRIEVANCES, chance_of_fit, client_ids, grievances, lived
from pipeline.world.marking import Verdicts, marked_probability, pieces
from pipeline.world.settings import Simulate, WorldName

GAP, HORIZON, OBSERVED = 14, 90, 2 / 3
AS_OFS = [date(year, month, 1) for year in (2023, 2024, 2025) for month in (2, 5, 8, 11)]


def settings(n: int, world: WorldName = "ordinary", seed: int = 1) -> Simulate:
    return Simulate(seed=seed, clients=n, starts_on=date(2022, 11, 1), years=4, world=world)


def marked(found: pd.DataFrame, chosen: Simulate) -> pd.DataFrame:
    """found with `label`, as models/misfit.py words it, from the spells and verdicts of the world itself; rows without one left out."""
    lives = lived(chosen, 0, chosen.clients)
    verdicts, spells = papers.reviews(Weeks.of(lives)), lives.spells
    number = {client: place for place, client in enumerate(client_ids(np.arange(chosen.clients)))}
    kept = []
    for as_of, rows in found.groupby("as_of"):
        day = to_day(as_of)
        begins, ends = day + GAP, day + GAP + HORIZON
        spell = spells[(spells["began_day"] <= day) & ((spells["decided_day"] < 0) | (spells["decided_day"] > day))].set_index("client")
        said = verdicts[(verdicts["day"] >= begins) & (verdicts["day"] < ends)]
        against, for_it = (said[said["verdict"] == word].groupby("client").size() for word in ("Let go", "Keep"))
        for client, chance in zip(rows["client_id"].map(number), rows["probability"], strict=True):
            own, lead = spell.loc[client], against.get(client, 0) - for_it.get(client, 0)
            gone, ended = (own["decided_day"], own["ended_day"]) if own["decided_day"] >= 0 else (10**9, 10**9)
            label = lead > 0 or (gone < ends and own["ended_by"] == "Us" and own["reason"] == "Fit")
            is_disputed = lead == 0 and against.get(client, 0) > 0
            if gone >= begins and (label or not (is_disputed or ended < begins + OBSERVED * HORIZON)):
                kept.append((chance, label))
    return pd.DataFrame(kept, columns=["probability", "label"])


def z_of(rows: pd.DataFrame) -> float:
    p = rows["probability"]
    return float((rows["label"].sum() - p.sum()) / np.sqrt((p * (1 - p)).sum()))


@pytest.mark.parametrize("world", ["ordinary", "chance"])
def test_as_many_are_marked_as_it_says_at_every_level(world):
    chosen = settings(900, world)
    found = marked_probability(chosen, AS_OFS, gap_days=GAP, horizon_days=HORIZON, observed_share=OBSERVED, n_paths=25)
    rows = marked(found, chosen)
    assert len(rows) > 6_000
    assert abs(z_of(rows)) < 3.5
    levels = pd.cut(rows["probability"], [0, 0.01, 0.05, 0.15, 1])
    told = {str(level): z_of(own) for level, own in rows.groupby(levels, observed=True)}
    assert {level: z for level, z in told.items() if abs(z) > 3.5} == {}
    assert (roc_auc_score(rows["label"], rows["probability"]) > 0.88) == (world == "ordinary")


def test_it_is_the_same_every_time_and_of_the_clients_asked_for():
    asked = {"gap_days": GAP, "horizon_days": HORIZON, "observed_share": OBSERVED, "n_paths": 10}
    everyone = marked_probability(settings(60), AS_OFS[:2], **asked)
    pd.testing.assert_frame_equal(everyone, marked_probability(settings(60), AS_OFS[:2], **asked))
    named = everyone["client_id"].iloc[:3].tolist()
    assert set(marked_probability(settings(60), AS_OFS[:2], **asked, clients=named)["client_id"]) == set(named)
    with pytest.raises(ValueError, match="2031-01-01"):
        marked_probability(settings(60), [date(2031, 1, 1)], **asked)


def test_the_pieces_are_the_days_to_the_windows_end_with_each_months_looks():
    as_of = to_day(date(2024, 3, 1))
    found = pieces(Window(as_of, as_of + GAP, as_of + GAP + HORIZON, as_of - 4), OBSERVED)
    assert sum(piece.days for piece in found) == GAP + HORIZON
    assert sum(piece.days for piece in found if piece.counts) == HORIZON
    # who goes in the last 30 days has been with us for two thirds; the 60 days before count as far as notice runs: 30, 14 or 60 days
    assert sum(piece.days * piece.suffices for piece in found if piece.counts) == pytest.approx(30 + 0.45 * 30 + 0.2 * 14 + 0.15 * 60)
    assert max(piece.week for piece in found) == (4 + GAP + HORIZON - 1) // 7
    # March's looks are put down until the 28th, of which 14 days lie in the window; those of June (from day 92 on) in part after it
    assert [piece.looks for piece in found if piece.looks] == pytest.approx([14 / 28, 1, 1, 12 / 28])


def test_looks_of_a_month_that_runs_are_taken_anew():
    as_of = to_day(date(2024, 3, 15))
    looks = [piece.looks for piece in pieces(Window(as_of, as_of, as_of + 30, as_of), OBSERVED) if piece.looks]
    assert looks == pytest.approx([14 / 28, 13 / 28])  # of March's 28 days from the 1st, 14 remain; of April's, 13 lie before the 14th


def test_verdicts_count_by_their_lead_and_a_tie_is_neither():
    said = Verdicts.yet(2, 1).heard(np.array([0.5]), np.array([0.3])).heard(np.array([0.5]), np.array([0.3]))
    # against twice 0.25, once with silence 2 × 0.5 × 0.2; for it likewise; a tie 2 × 0.5 × 0.3
    assert said.marked == pytest.approx([0.25 + 0.2])
    assert said.unmarked == pytest.approx([0.04 + 0.09 + 0.12])
    assert 1 - said.marked - said.unmarked == pytest.approx([0.3])


def test_the_reason_for_parting_is_the_worst_grievance_or_fit_for_politeness():
    lives = lived(settings(50), 0, 50, keep={100})
    state, _ = lives.kept[100]
    worst = grievances(state, lives.traits)
    assert worst.shape == (4, 50)
    chance = chance_of_fit(state, lives.traits)
    is_fit = worst.argmax(0) == GRIEVANCES.index("Fit")
    assert 0 < is_fit.sum() < 50
    assert chance[is_fit] == pytest.approx(1)
    assert chance[~is_fit] == pytest.approx(0.15)
