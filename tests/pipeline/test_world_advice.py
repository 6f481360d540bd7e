"""The world under advice: what is expected is what is drawn, actions differ by what they do alone, a parting leaves nothing behind."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from benchmarks.worlds import source_of

from features.time import month_starts, to_day, zone
from pipeline.settings import checked
from pipeline.world import expected
from pipeline.world.advice import EFFECTS, NOTICE_LEFT, Act, Year, better_off_without, weakened
from pipeline.world.almanac import Almanac
from pipeline.world.events import Weeks, happened
from pipeline.world.lives import Lives, client_ids, lived
from pipeline.world.money import RATE_AGOROT, Money, money
from pipeline.world.papers import kept_at
from pipeline.world.people import people
from pipeline.world.settings import Simulate

AS_OF, AFTER = date(2024, 11, 1), date(2025, 11, 1)
REUSE = {"reuse_share": 0.5, "reuse_after_days": 60}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> tuple[Lives, Weeks, pd.DataFrame, Money]:
    """250 clients over three years: lives, weeks, contacts, money."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root := tmp_path_factory.mktemp("world"))
        source = source_of(root, 2, 250)
    settings = checked(Simulate, source.spec.simulate, "source.yaml")
    almanac = Almanac.of(source, zone(source.spec.time_zone), to_day(settings.starts_on), to_day(settings.ends_on))
    lives = lived(settings, 0, 250)
    weeks, who = Weeks.of(lives), people(lives)
    contacts = happened(weeks, almanac, who)
    return lives, weeks, contacts, money(weeks, contacts, almanac)


def small(n: int = 120, seed: int = 2) -> Simulate:
    return Simulate(seed=seed, clients=n, starts_on=date(2022, 11, 1), years=3)


@pytest.fixture(scope="module")
def year() -> Year:
    return Year.after(small(), AS_OF, **REUSE, n_paths=20)


# ---- what is expected is what is drawn --------------------------------------------------------------------------------------------


def whole_weeks(lives: Lives, weeks: Weeks) -> np.ndarray:
    """(clients, weeks): with us all week, notice not given."""
    found = np.zeros((lives.n, weeks.n_weeks), bool)
    for spell in lives.spells.itertuples():
        last = spell.decided_day if spell.decided_day >= 0 else lives.end_day
        first_week, last_week = -(-(spell.began_day - weeks.first_day) // 7), (min(last, lives.end_day) - weeks.first_day) // 7
        found[spell.client, max(first_week, 0) : max(last_week, 0)] = True
    return found


def test_contacts_minutes_and_fees_are_those_of_the_exports(drawn):
    lives, weeks, contacts, books = drawn
    here, rates, found = whole_weeks(lives, weeks), expected.contacts(weeks), expected.week(weeks)

    def in_them(client: pd.Series, day: np.ndarray) -> np.ndarray:
        week = np.clip((day - weeks.first_day) // 7, 0, weeks.n_weeks - 1)
        return here[client.to_numpy(), week]

    counted = contacts[in_them(contacts["client"], contacts["moment"].to_numpy() // 1_440)]["topic"].value_counts()
    assert set(rates) == set(counted.index)
    off = {name: counted[name] / (np.broadcast_to(rate, here.shape) * here).sum() for name, rate in rates.items()}
    assert {name: ratio for name, ratio in off.items() if abs(ratio - 1) > 0.03 + 4 / np.sqrt(counted[name])} == {}
    entries = books.entries[in_them(books.entries["client"], books.entries["day"].to_numpy())]
    assert entries["minutes"].sum() / (found.minutes * here).sum() == pytest.approx(1, abs=0.03)
    assert books.entries["cost_agorot"].sum() / books.entries["minutes"].sum() == pytest.approx(330, rel=0.01)
    billed = books.bills[books.bills["issued"] < lives.end_day]
    months_billed = (weeks.n_weeks - 4.35) / weeks.n_weeks  # the last month is billed after the export
    assert billed["agorot"].sum() / (found.revenue * here).sum() == pytest.approx(months_billed, abs=0.04)


def test_when_nothing_is_done_the_year_brings_what_it_brought(drawn):
    lives, _, _, books = drawn
    alone = Year.after(lives.settings, AS_OF, **REUSE, n_paths=30).under({})
    begins, ends = to_day(AS_OF), to_day(AFTER)
    months = np.array(month_starts(lives.start_day, lives.end_day + 31))
    first, last = np.searchsorted(months, [begins, ends - 1], side="right")
    bills = books.bills[books.bills["month"].between(first, last)]
    entries = books.entries[books.entries["day"].between(begins, ends - 1)]
    brought = np.bincount(bills["client"], bills["agorot"], minlength=lives.n) - np.bincount(
        entries["client"], entries["cost_agorot"], minlength=lives.n
    )
    here = np.flatnonzero(kept_at(lives, begins))
    assert alone["client_id"].tolist() == client_ids(here).tolist()
    off = brought[here] - alone["contribution"].to_numpy() * 365 / 364
    assert abs(off.sum()) < 3.5 * np.sqrt((off**2).sum())
    assert abs(off.sum()) < 0.15 * alone["contribution"].sum()
    assert np.corrcoef(brought[here], alone["contribution"])[0, 1] > 0.9
    gone = lives.spells[(lives.spells["decided_day"] >= begins) & (lives.spells["decided_day"] < ends)]
    assert abs((1 - alone["stays"]).sum() - np.isin(here, gone["client"]).sum()) < 4 * np.sqrt(len(gone))


# ---- actions ----------------------------------------------------------------------------------------------------------------------


def test_no_action_is_doing_nothing_bit_for_bit(year):
    alone = year.under({})
    for action in ("wait_and_watch", "hold_out"):
        named = year.under(dict.fromkeys(alone["client_id"], action))
        pd.testing.assert_frame_equal(named, alone, check_exact=True)
    pd.testing.assert_frame_equal(year.followed([]), alone, check_exact=True)
    pd.testing.assert_frame_equal(year.under({"no such client": "win_back"}), alone, check_exact=True)


def tied(year: Year, client: str) -> set[str]:
    ties, ids = year.blocks[0].lives.ties, client_ids(np.arange(year.settings.clients))
    both = pd.concat([ties[["client", "other"]], ties[["other", "client"]].set_axis(["client", "other"], axis=1)])
    return {ids[other] for one, other in both.itertuples(index=False) if ids[one] == client}


@pytest.mark.parametrize("action", ["win_back", "keep_and_grow", "set_boundaries", "reprice", "refer_out", "part_respectfully"])
def test_an_action_changes_its_client_and_those_that_hear_of_it_alone(year, action):
    alone = year.under({})
    chosen = next(client for client in alone["client_id"] if 0 < len(tied(year, client) & set(alone["client_id"])) < 5)
    done = year.under({chosen: action})
    changed = set(alone["client_id"][(alone["total"] != done["total"]).to_numpy()])
    hear = tied(year, chosen) & set(alone["client_id"]) if EFFECTS[action].goes else set()
    assert chosen in changed
    assert changed <= {chosen} | hear
    if hear:
        stays = {name: frame.set_index("client_id")["stays"] for name, frame in (("alone", alone), ("done", done))}
        assert all(stays["done"][client] <= stays["alone"][client] for client in hear)
        assert any(stays["done"][client] < stays["alone"][client] for client in hear)


def test_both_ends_of_a_tie_hear_of_a_parting_and_less_if_it_is_told_well(year):
    ties, ids = year.blocks[0].lives.ties, client_ids(np.arange(year.settings.clients))
    alone = year.under({}).set_index("client_id")["stays"]
    old = ties[ties["from_day"] <= year.as_of].sort_values("closeness", ascending=False)
    both_here = [pair for pair in zip(ids[old["client"]], ids[old["other"]], strict=True) if set(pair) <= set(alone.index)]
    for one, other in (both_here[0], both_here[0][::-1]):
        stays = [of(year, one, action, hears=other)["stays"] for action in ("refer_out", "part_respectfully")]
        assert stays[0] < stays[1] < alone[other]


def of(year: Year, client: str, action: str, effects=EFFECTS, hears: str = "") -> pd.Series:
    return year.under({client: action}, effects).set_index("client_id").loc[hears or client]


def test_a_client_that_is_parted_with_is_gone_after_its_notice(year):
    alone = year.under({}).sort_values("hours", ascending=False, ignore_index=True).loc[0]
    parted = of(year, alone["client_id"], "part_respectfully")
    assert parted["stays"] == 0
    assert 0.01 < parted["hours"] / alone["hours"] < 60 / 364  # of notice, thinner than usual
    expected_free = (364 - 60 - 60) / 364 * alone["hours"] / alone["stays"] ** 0.5  # from the 120th day on, roughly as if it had stayed
    assert parted["freed_value"] / (0.5 * year.mean_hour) == pytest.approx(expected_free, rel=0.25)
    assert parted["step_cost"] == pytest.approx(4 * 60 * 330)
    assert parted["total"] == pytest.approx(parted["contribution"] - parted["step_cost"] + parted["freed_value"])


def test_each_effect_goes_where_it_is_said_to(year):
    alone = year.under({})
    riskiest = alone.sort_values("stays")["client_id"].iloc[0]
    before = alone.set_index("client_id").loc[riskiest]
    assert of(year, riskiest, "win_back")["stays"] > before["stays"] > of(year, riskiest, "reprice")["stays"]
    assert before["stays"] > of(year, riskiest, "set_boundaries")["stays"]
    assert 1.01 < of(year, riskiest, "keep_and_grow")["hours"] / before["hours"] < 1.05  # what is not about a shipment grows less
    assert of(year, riskiest, "win_back")["step_cost"] == pytest.approx(6 * 60 * 330)
    everyone = {name: year.under(dict.fromkeys(alone["client_id"], name)) for name in ("set_boundaries", "reprice")}
    assert everyone["set_boundaries"]["hours"].sum() < 0.99 * alone["hours"].sum()
    gone = everyone["reprice"]["stays"].sum() / alone["stays"].sum()
    assert 0.75 < gone < 0.8  # a fifth at once, and some later


def test_a_price_is_paid_by_those_who_stay_and_the_higher_it_is_the_more_go(year):
    alone = year.under({}).set_index("client_id")
    client = alone.sort_values("contribution").index[-1]

    def at(rise: float) -> pd.Series:
        return year.followed([Act({client: "reprice"}, {client: rise})]).set_index("client_id").loc[client]

    pd.testing.assert_series_equal(at(0.2), of(year, client, "reprice"), check_exact=True)
    assert at(0.4)["stays"] / at(0.2)["stays"] == pytest.approx(0.8, rel=0.01)
    revenues = [at(rise)["contribution"] + 60 * RATE_AGOROT * at(rise)["hours"] for rise in (0.0001, 0.2, 1.0)]
    assert revenues[1] < revenues[0]  # no rise is worth it for what it brings: one in five goes for a fifth more
    assert revenues[2] < revenues[1]
    loss = alone.sort_values("contribution").index[0]
    assert alone.loc[loss, "contribution"] < 0
    dear = year.followed([Act({loss: "reprice"}, {loss: 4.0})]).set_index("client_id").loc[loss]
    assert dear["stays"] < 0.02
    parted = of(year, loss, "part_respectfully")
    assert dear["contribution"] == pytest.approx(parted["contribution"], rel=0.15)  # of its notice, at the old price


def test_who_is_parted_with_twice_is_mourned_once(year):
    alone = year.under({})
    many = dict.fromkeys(alone.sort_values("contribution")["client_id"].head(30), "part_respectfully")
    once, again = year.followed([Act(many)]), year.followed([Act(many), Act(many, on_day=91), Act(many, on_day=182)])
    pd.testing.assert_frame_equal(again, once, check_exact=True)


def test_a_new_price_is_paid_once_its_notice_has_run(year):
    alone = year.under({}).set_index("client_id")
    client = alone.sort_values("contribution").index[-1]
    paid = year.followed(
        [Act({client: "reprice"}, {client: 0.2})], {**EFFECTS, "reprice": replace(EFFECTS["reprice"], goes=0.0, leaving=1.0)}
    )
    more = paid.set_index("client_id").loc[client, "contribution"] - alone.loc[client, "contribution"]
    revenue = alone.loc[client, "contribution"] + 60 * RATE_AGOROT * alone.loc[client, "hours"]
    assert 0.75 < more / (0.2 * revenue) < 0.95  # of the year without its first 60 days, in which the season is low


def test_where_the_staff_is_kept_freed_hours_that_find_no_work_are_paid(year):
    client = year.under({}).sort_values("hours")["client_id"].iloc[-1]
    parted, kept = (of(one, client, "part_respectfully") for one in (year, replace(year, is_staff_kept=True)))
    hours = parted["freed_value"] / (0.5 * year.mean_hour)
    gone_hours = of(replace(year, reuse_after_days=0), client, "part_respectfully")["freed_value"] / (0.5 * year.mean_hour)
    assert gone_hours > 1.1 * hours  # those before they can be sold are paid, too
    assert parted["freed_value"] - kept["freed_value"] == pytest.approx((gone_hours - 0.5 * hours) * 60 * RATE_AGOROT)
    assert kept["total"] < parted["total"]


def test_what_is_done_later_has_its_effect_from_then_on(year):
    alone = year.under({}).set_index("client_id")
    client = alone.sort_values("hours").index[-1]

    def followed(*acts: Act) -> pd.Series:
        return year.followed(acts).set_index("client_id").loc[client]

    part = {client: "part_respectfully"}
    early, late = followed(Act(part)), followed(Act(part, on_day=182))
    assert early["hours"] < late["hours"] < alone.loc[client, "hours"]
    assert late["contribution"] - early["contribution"] == pytest.approx(alone.loc[client, "contribution"] / 2, rel=0.2)
    assert late["stays"] == 0
    pd.testing.assert_series_equal(followed(Act(part), Act(part, on_day=182)), early, check_exact=True)  # it is gone already
    pd.testing.assert_series_equal(followed(Act(part), Act({client: "wait_and_watch"}, on_day=91)), early, check_exact=True)
    grows = {client: "keep_and_grow"}
    once, twice = followed(Act(grows)), followed(Act(grows), Act({client: "wait_and_watch"}, on_day=91))
    pd.testing.assert_series_equal(once, twice, check_exact=True)  # what was begun goes on
    stopped = followed(Act(grows), Act({client: "set_boundaries"}, on_day=91))
    assert 3 * 60 * 330 < stopped["step_cost"] < 3 * 60 * 330 + once["step_cost"] / 3
    pd.testing.assert_series_equal(followed(Act(part, on_day=365)), alone.loc[client], check_exact=True)  # after the year


def test_half_the_effect_lies_half_way_and_costs_the_same(year):
    client = year.under({}).sort_values("stays")["client_id"].iloc[0]
    half = weakened(EFFECTS, 0.5)
    assert half["win_back"] == replace(EFFECTS["win_back"], leaving=0.875)
    assert (half["reprice"].fee, half["reprice"].leaving, half["reprice"].goes) == pytest.approx((1.1, 1.5, 0.2))  # the harm stays
    assert (half["set_boundaries"].conduct, half["set_boundaries"].leaving) == pytest.approx((0.8, 1.1))
    assert half["part_respectfully"] == EFFECTS["part_respectfully"]
    stays = [of(year, client, action, effects)["stays"] for action, effects in (("wait_and_watch", EFFECTS), ("win_back", half))]
    assert stays[0] < stays[1] < of(year, client, "win_back")["stays"]


def test_the_truth_of_a_parting_is_what_the_hours_would_bring_elsewhere(year):
    found, alone = better_off_without(small(), AS_OF, **REUSE, n_paths=20), year.under({})
    assert found["client_id"].tolist() == alone["client_id"].tolist()
    assert found["freed_value"].to_numpy() == pytest.approx(0.5 * year.mean_hour * alone["hours"].to_numpy())
    assert (found["is_better_off"] == (found["stays_contribution"] < found["freed_value"])).all()
    assert 0.02 < found["is_better_off"].mean() < 0.5
    assert found.loc[found["stays_contribution"] < 0, "is_better_off"].all()


def test_an_action_without_a_stated_effect_and_a_year_that_is_not_whole_are_refused(year):
    with pytest.raises(ValueError, match="fire: its effect is not stated"):
        year.under({year.under({})["client_id"].iloc[0]: "fire"})
    with pytest.raises(ValueError, match="do not hold the 52 weeks"):
        Year.after(small(), date(2025, 3, 1), **REUSE)


def test_of_those_that_gave_notice_as_many_are_still_there_as_the_notices_say():
    assert NOTICE_LEFT.sum() * 7 == pytest.approx(0.2 * 14 + 0.45 * 30 + 0.15 * 60)
    assert NOTICE_LEFT[0] == pytest.approx(0.8 * 28 / 49)  # of the pairs of days in a week, the second not before the first
