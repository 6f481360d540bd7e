"""The hidden world: plausible in the large, its causes planted and shown only with noise, nothing but states behind what happens."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from exports_read import Exports, days, exports_of, moments

from pipeline.world import states
from pipeline.world.lives import CLOSENESS, CLOSEST, lived
from pipeline.world.settings import CAUSES, WORLDS, Simulate, WorldName
from pipeline.world.states import CAUSE_NAMES, LEAST_PULL, Episodes, stream


def settings(n: int, world: WorldName = "ordinary", seed: int = 18) -> Simulate:
    return Simulate(seed=seed, clients=n, starts_on=date(2022, 11, 1), years=4, world=world)


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> Exports:
    """The default portfolio in full."""
    return exports_of(tmp_path_factory.mktemp("portfolio"), 18, 600)


def client_years(lives) -> float:
    spells = lives.spells
    last = np.where(spells["decided_day"] < 0, lives.end_day, spells["decided_day"])
    return float((last - np.maximum(spells["began_day"], lives.start_day)).clip(lower=0).sum() / 365)


# ---- in the large ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "low", "high"),
    [("ordinary", 0.07, 0.12), ("stable", 0.02, 0.055), ("crisis", 0.07, 0.15), ("own_lateness", 0.07, 0.13), ("faint", 0.07, 0.12)],
)
def test_about_as_many_leave_a_year_as_the_world_says(world, low, high):
    lives = lived(settings(2_000, world), 0, 2_000)
    by = lives.spells["ended_by"].value_counts() / client_years(lives)
    assert low < by["Client"] < high
    assert 0.008 < by["Us"] < 0.03
    assert 0.01 < by[["Agreed", "Ceased trading", "Suspended"]].sum() < 0.03


def test_most_leavers_had_a_cause_and_every_cause_moves_some():
    lives = lived(settings(2_000), 0, 2_000)
    left = lives.spells[lives.spells["ended_by"] == "Client"]
    pull = lives.pulls[(left["decided_day"] - lives.first_day) // 7, :, left["client"]]
    leading = pd.Series(np.where(pull.max(1) > LEAST_PULL, np.array(CAUSE_NAMES)[pull.argmax(1)], "none"))
    share = leading.value_counts(normalize=True)
    assert 0.03 < share["none"] < 0.25
    assert set(share.index) == {*CAUSE_NAMES, "none"}
    assert share.drop("none").min() > 0.01
    assert share.drop("none").max() < 0.25


def test_signs_come_before_the_wish_to_leave():
    lives = lived(settings(1_000), 0, 1_000)
    for name in ("withdrawal", "criticism", "hostility"):
        place = states.PLACE[name]
        strength, felt = lives.strength[:, place], lives.pulls[:, place]
        ahead = [np.corrcoef(strength[: len(strength) - lag].ravel(), felt[lag:].ravel())[0, 1] for lag in range(0, 24, 4)]
        assert 4 <= 4 * int(np.argmax(ahead)) <= 16, name  # weeks


def test_in_a_crisis_of_the_third_year_the_industrys_clients_leave():
    lives = lived(settings(2_000, "crisis"), 0, 2_000)
    struck = WORLDS["crisis"].scheduled_crisis
    left = lives.spells[lives.spells["ended_by"] == "Client"]
    third = (left["decided_day"] - lives.start_day) // 365 >= 2
    hit = lives.industry[left["client"]] == struck
    assert (hit & third).sum() / max(hit.sum(), 1) > 0.5
    assert hit[third].mean() > 1.8 * (lives.industry == struck).mean()


def test_in_the_null_world_leaving_and_letting_go_hang_on_nothing():
    lives = lived(settings(500, "chance"), 0, 500)
    for hand in range(5):
        assert np.ptp(lives.rates[:, hand]) < 1e-9
    assert lives.rates[0, 0, 0] == pytest.approx(0.1 / 52, rel=1e-5)
    assert not lives.pulls.any()
    assert lives.strength.any()


def test_a_common_tie_raises_the_hazard_by_about_four_fifths_at_first():
    drawn = CLOSEST["Referral"] * np.random.default_rng(1).beta(*CLOSENESS, 200_000)
    assert 1.6 < np.exp(CAUSES["neighbour"].weight * drawn).mean() < 2.0


def test_the_step_is_markov_and_leaves_its_argument_alone():
    laws = WORLDS["ordinary"]
    lives = lived(settings(60), 0, 60, keep=[100])
    state, common = lives.kept[100]
    before = {name: np.array(getattr(state, name)) for name in ("strength", "halfway", "felt", "mood", "drift")}
    stress, strain = common.stress.strength[0, lives.industry], common.strain.strength[0]
    after = [states.advanced(state, stream(1, "x"), laws, lives.traits, stress, strain) for _ in range(2)]
    assert np.array_equal(after[0].strength, after[1].strength)
    assert all(np.array_equal(getattr(state, name), values) for name, values in before.items())


def test_episodes_keep_their_bounds_and_begin_as_often_as_said():
    n, pace = 4_000, states._pace(WORLDS["ordinary"])
    episodes, random, begun = Episodes.none(len(states.PLACE), n), stream(3, "episodes"), np.zeros(len(states.PLACE))
    for _ in range(104):
        later = episodes.advanced(random, pace)
        begun += (later.on & ~episodes.on).sum(1)
        episodes = later
        assert 0 <= episodes.strength.min() <= episodes.strength.max() <= 1
    a_year = begun / n / 2
    expected = CAUSES["criticism"].starts_a_year * WORLDS["ordinary"].starts_scale
    assert a_year[states.PLACE["criticism"]] == pytest.approx(expected, rel=0.25)
    assert not a_year[[states.PLACE[name] for name in states.NEVER_FROM_ITSELF]].any()


def test_the_truth_tells_every_client_of_a_month_and_nobody_else(exports):
    truth = exports.truth()
    assert not truth.duplicated(["client_id", "month_on"]).any()
    assert (truth["month_on"].dt.day == 1).all()
    assert truth["hazard"].between(0, 1).all()
    left = exports.lines("endings")
    noticed = days(left["Notice given"])
    asked = exports.with_truth(left["Account"], noticed + pd.offsets.MonthBegin(1))
    assert asked["hazard"].notna().mean() < 0.02  # the month after notice: only who came back at once


def test_who_leaves_had_the_higher_hazard(exports):
    left = exports.lines("endings")
    left = left[left["Given by"] == "Client"]
    at_leaving = exports.with_truth(left["Account"], days(left["Notice given"]))
    assert at_leaving["hazard"].median() > 8 * exports.truth()["hazard"].median()
    assert (at_leaving["leading_cause"] != "none").mean() > 0.7


# ---- the firm -------------------------------------------------------------------------------------------------------------------


def test_contact_rates_are_lognormal_and_in_volume_as_in_life(exports):
    crm = exports.newest("crm")
    counts = crm.groupby("Account").size()
    months = exports.truth().groupby("client_id").size()
    rate = np.log((counts / (months * 52 / 12)).dropna().loc[lambda found: found > 0])
    assert 1.5 < counts.sum() / (months.sum() * 52 / 12) < 3.5
    assert 0.3 < rate.std() < 1.0
    assert abs(rate.skew()) < 1.2


def test_payment_delays_have_a_heavy_tail(exports):
    both = exports.newest("receipts").merge(exports.newest("invoices"), on="Invoice")
    late = (days(both["Paid"]) - days(both["Due"])).dt.days.dropna()
    assert 3 < late.median() < 15
    assert late.quantile(0.99) > 3 * late.quantile(0.75)


def test_about_a_tenth_of_the_clients_cost_more_than_they_bring(exports):
    invoices, work = exports.newest("invoices"), exports.newest("timesheet")
    since = pd.Timestamp("2025-11-01")
    income = pd.to_numeric(invoices["Amount"], errors="coerce")[days(invoices["Issued"]) >= since].groupby(invoices["Account"]).sum()
    cost = pd.to_numeric(work["Cost"])[days(work["Date"]) >= since].groupby(work["Account"]).sum()
    profit = income.sub(cost, fill_value=0).sort_values(ascending=False)
    whale = profit.cumsum() / profit.sum()
    assert 0.05 < (profit < 0).mean() < 0.18
    assert whale.iloc[len(profit) // 5] > 0.55
    assert 1.03 < whale.max() < 1.3


# ---- signs ----------------------------------------------------------------------------------------------------------------------


def monthly(account: pd.Series, when: pd.Series) -> pd.Series:
    """Number per (client_id, month_on)."""
    count = pd.Series(1.0, account.index)
    month = when.dt.to_period("M").dt.to_timestamp()
    found = count.groupby([account, month]).sum()
    found.index.names = ["client_id", "month_on"]
    return found


def compared(exports: Exports, cause: str, values: pd.Series, *, strong: float = 0.45, weak: float = 0.05) -> tuple[float, float]:
    """Mean of a monthly count where a state is strong and where it is weak, among the same clients."""
    truth = exports.truth().set_index(["client_id", "month_on"])
    truth = truth.assign(value=values.reindex(truth.index).fillna(0).to_numpy()).reset_index()
    is_strong, is_weak = truth[cause] > strong, truth[cause] <= weak
    both = set(truth["client_id"][is_strong]) & set(truth["client_id"][is_weak])
    mine = truth[truth["client_id"].isin(both)]
    by_client = [part.groupby("client_id")["value"].mean() for part in (mine[is_strong.loc[mine.index]], mine[is_weak.loc[mine.index]])]
    assert len(both) >= 8, f"only {len(both)} clients with {cause}"
    return float(by_client[0].mean()), float(by_client[1].mean())


COUNTED = {
    "control": ("Report request", "Instruction"),
    "criticism": ("Complaint", "Escalation", "Could not reach you"),
    "trickle": ("Complaint", "Escalation", "Could not reach you"),
    "friction": ("Price question", "Discount request"),
    "scope_creep": ("Extra request",),
    "fickle": ("Change request", "Reversal"),
    "haggles": ("Price question", "Discount request"),
}


@pytest.mark.parametrize("cause", COUNTED)
def test_a_cause_shows_in_what_is_asked(exports, cause):
    crm = exports.newest("crm")
    crm = crm[crm["Topic"].isin(COUNTED[cause])]
    weak = 0.25 if cause in ("scope_creep", "fickle", "haggles") else 0.05
    strong, calm = compared(exports, cause, monthly(crm["Account"], moments(crm["When"])), weak=weak)
    assert strong > 1.5 * calm


def test_in_withdrawal_the_client_is_heard_less(exports):
    crm = exports.newest("crm")
    crm = crm[crm["Topic"].isin(["General", "Shipment order"]) & (crm["Direction"] == "In")]
    strong, calm = compared(exports, "withdrawal", monthly(crm["Account"], moments(crm["When"])))
    assert strong < 0.75 * calm


@pytest.fixture(scope="module")
def replies(exports) -> pd.DataFrame:
    """Answers in the CRM with their latency in hours and the truth of the month in which they were asked for."""
    crm = exports.newest("crm")
    both = crm.merge(crm, left_on="In reply to", right_on="Activity ID", suffixes=("", " asked"))
    both["hours"] = (moments(both["When"]) - moments(both["When asked"])).dt.total_seconds() / 3600
    return pd.concat([both, exports.with_truth(both["Account"], moments(both["When asked"]))], axis=1)


def test_the_firms_answers_are_slow_when_it_lapses_and_the_clients_when_it_withdraws(replies):
    for direction, cause in (("Out", "our_lapse"), ("In", "withdrawal"), ("In", "breaks_agreements")):
        mine = replies[replies["Direction"] == direction]
        slow, calm = mine["hours"][mine[cause] > 0.5].median(), mine["hours"][mine[cause] < 0.15].median()
        assert slow > 1.25 * calm, cause


def test_under_pressure_more_contact_comes_off_hours(exports):
    crm = exports.newest("crm")
    crm = crm[(crm["Direction"] == "In") & (crm["Type"] != "Portal") & (crm["Topic"] != "Reply")]
    when = moments(crm["When"])
    off = (when.dt.hour < 8) | (when.dt.hour >= 18) | when.dt.day_of_week.isin([4, 5])
    truth = exports.with_truth(crm["Account"], when)
    calm = off[(truth["pressure"] < 0.05) & (truth["overtime"] < 0.2)].mean()
    assert off[truth["pressure"] > 0.45].mean() > 1.6 * calm
    assert off[truth["overtime"] > 0.5].mean() > 1.6 * calm


def test_hostile_and_rude_clients_are_marked_so(exports):
    crm = exports.newest("crm")
    crm = crm[crm["Mood"] != ""]
    tone = crm["Mood"].map({"Hostile": -1, "Curt": -0.5, "Neutral": 0, "Friendly": 0.5, "Delighted": 1}).astype(float)
    truth = exports.with_truth(crm["Account"], moments(crm["When"]))
    calm = (truth["hostility"] < 0.05) & (truth["rude"] < 0.15)
    assert tone[truth["hostility"] > 0.45].mean() < tone[calm].mean() - 0.3
    assert tone[truth["rude"] > 0.5].mean() < tone[calm].mean() - 0.3


def test_promises_are_late_when_we_lapse_and_papers_when_the_client_keeps_no_agreements(exports):
    tasks = exports.newest("tasks")
    is_late = (days(tasks["Done"]) > days(tasks["Due"])) | (tasks["Done"] == "") & (tasks["Cancelled"] == "")
    truth = exports.with_truth(tasks["Account"], days(tasks["Due"]))
    ours, theirs = tasks["Kind"].isin(["Deliver shipment", "Send quote"]), tasks["Kind"] == "Send documents"
    assert is_late[ours & (truth["our_lapse"] > 0.5)].mean() > 2 * is_late[ours & (truth["our_lapse"] < 0.05)].mean()
    assert is_late[theirs & (truth["breaks_agreements"] > 0.5)].mean() > 1.6 * is_late[theirs & (truth["breaks_agreements"] < 0.15)].mean()


def test_in_friction_invoices_are_paid_later_and_disputed_more(exports):
    both = exports.newest("invoices").merge(exports.newest("receipts"), on="Invoice", how="left", suffixes=("", " paid"))
    late, is_disputed = (days(both["Paid"]) - days(both["Due"])).dt.days, both["Disputed"] != ""
    truth = exports.with_truth(both["Account"], days(both["Issued"]))
    in_friction, calm = truth["friction"] > 0.4, truth["friction"] == 0
    assert in_friction.sum() > 100
    assert late[in_friction].median() > late[calm].median() + 10
    assert is_disputed[in_friction].mean() > 4 * is_disputed[calm].mean()


def test_a_change_of_management_shows_in_the_address_book(exports):
    people = exports.newest("people")
    gone = people[(people["Left"] != "") & (people["Decision maker"] == "Y")]
    truth = exports.truth()
    last = gone.assign(left=days(gone["Left"])).groupby("Account")["left"].agg(list)
    moved = truth[truth["management"] > 0.7]
    recent = [
        any(pd.Timedelta(0) <= month - left < pd.Timedelta(days=120) for left in last.get(client, []))
        for client, month in zip(moved["client_id"], moved["month_on"], strict=True)
    ]
    assert len(moved) > 30
    assert np.mean(recent) > 0.8
    entered = moments(gone["Updated"]) - days(gone["Left"])
    assert entered.dt.days.median() > 7


def test_a_main_goal_reached_shows_in_the_tasks(exports):
    tasks = exports.newest("tasks")
    goals = tasks[(tasks["Kind"] == "Main goal") & (tasks["Done"] != "")]
    reached = goals.assign(done=days(goals["Done"])).groupby("Account")["done"].agg(list)
    solved = exports.truth().query("solved > 0.4")
    before = [
        any(done <= month for done in reached.get(client, []))
        for client, month in zip(solved["client_id"], solved["month_on"], strict=True)
    ]
    assert np.mean(before) > 0.8


def test_a_crisis_shows_in_the_index_of_the_industry(exports):
    index, accounts = exports.lines("industry_index"), exports.lines("accounts").set_index("Account")
    value = pd.Series(pd.to_numeric(index["Index"]).to_numpy(), [index["Industry"], days(index["Month"])])
    stress = exports.truth().assign(industry=lambda found: found["client_id"].map(accounts["Industry"]))
    mean = stress.groupby(["industry", "month_on"])["crisis"].mean()
    mean.index = mean.index.set_levels(mean.index.levels[1].astype("datetime64[ns]"), level=1)
    value.index = value.index.set_levels(value.index.levels[1].astype("datetime64[ns]"), level=1)
    both = pd.DataFrame({"stress": mean, "value": np.log(value)}).dropna()
    centred = both - both.groupby(level=0).transform("mean")
    assert centred.corr().loc["stress", "value"] < -0.5
    assert ((moments(index["Published"]) - days(index["Month"])).dt.days == 45).all()


def test_a_neighbour_who_left_is_in_the_books(exports):
    ties, endings = exports.lines("referrals"), exports.lines("endings")
    left = endings[endings["Given by"] == "Client"].assign(on=lambda found: days(found["Notice given"])).groupby("Account")["on"].agg(list)
    neighbours = (
        pd.concat([ties[["Account", "Other account"]], ties[["Other account", "Account"]].set_axis(["Account", "Other account"], axis=1)])
        .groupby("Account")["Other account"]
        .agg(list)
    )
    shaken = exports.truth().query("neighbour > 0.2")
    seen = [
        any(pd.Timedelta(0) <= month - on < pd.Timedelta(days=200) for other in neighbours.get(client, []) for on in left.get(other, []))
        for client, month in zip(shaken["client_id"], shaken["month_on"], strict=True)
    ]
    assert len(shaken) > 5
    assert np.mean(seen) > 0.95


def test_the_dissatisfied_say_so_when_asked_and_the_team_dreads_the_rude(exports):
    surveys = exports.newest("surveys")
    score, truth = pd.to_numeric(surveys["Score"], errors="coerce"), exports.with_truth(surveys["Account"], days(surveys["Date"]))
    nps, morale = surveys["Asked"] == "NPS", surveys["Asked"] == "Team morale"
    assert score[nps & (truth["dissatisfaction"] > 0.4)].mean() < score[nps & (truth["dissatisfaction"] == 0)].mean() - 1
    assert score[morale & (truth["rude"] > 0.5)].mean() < score[morale & (truth["rude"] < 0.1)].mean() - 0.4


def test_partners_mark_the_burdensome_and_not_all_of_them(exports):
    reviews = exports.lines("reviews")
    truth = exports.with_truth(reviews["Account"], days(reviews["Date"]))
    burden = truth["burden"].groupby(reviews["Verdict"]).mean()
    assert burden["Let go"] > burden["Not sure"] > burden["Keep"]
    heavy = exports.truth().query("burden > 2.5")["client_id"].unique()
    assert 0.05 < np.mean([client not in set(reviews["Account"][reviews["Verdict"] == "Let go"]) for client in heavy]) < 0.95


def test_what_looks_alarming_need_not_be(exports):
    """New clients ask for reports, the difficult complain for years: such months are many, and few of them end in leaving."""
    crm = exports.newest("crm")
    complaints = crm[crm["Topic"].isin(["Complaint", "Escalation", "Could not reach you", "Report request"])]
    truth = exports.truth().set_index(["client_id", "month_on"])
    count = monthly(complaints["Account"], moments(complaints["When"])).reindex(truth.index).fillna(0)
    loud = truth[count.to_numpy() >= 4]
    assert (loud["leading_cause"] == "none").mean() > 0.1


# ---- before leaving -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def before_leaving(exports) -> dict[str, pd.DataFrame]:
    """Contacts of clients that left of their own accord: in the 90 days before notice, and in all the time before half a year."""
    crm = exports.newest("crm")
    crm = crm.assign(when=moments(crm["When"]))
    left = exports.lines("endings")
    left = left[left["Given by"] == "Client"].drop_duplicates("Account").set_index("Account")
    days_before = (crm["Account"].map(days(left["Notice given"])) - crm["when"]).dt.days
    return {"last": crm[(days_before >= 0) & (days_before < 90)], "earlier": crm[days_before >= 180]}


def share(contacts: pd.DataFrame, *topics: str) -> float:
    return float(contacts["Topic"].isin(topics).mean())


@pytest.mark.parametrize(
    ("topics", "factor"),
    [
        (("Complaint", "Escalation", "Could not reach you"), 1.4),
        (("Report request", "Instruction"), 1.3),
        (("Price question", "Discount request"), 1.1),
        (("Meeting declined", "No show"), 1.1),
    ],
)
def test_before_leaving_there_is_more_trouble_in_what_is_said(before_leaving, topics, factor):
    assert share(before_leaving["last"], *topics) > factor * share(before_leaving["earlier"], *topics)


def test_before_leaving_ordinary_contact_declines(before_leaving):
    ordinary = ("General", "Shipment order")
    assert share(before_leaving["last"], *ordinary) < 0.97 * share(before_leaving["earlier"], *ordinary)


def test_after_notice_contact_thins_out(exports):
    crm = exports.newest("crm")
    left = exports.lines("endings")
    left = left[(days(left["Ends"]) - days(left["Notice given"])).dt.days >= 30].drop_duplicates("Account").set_index("Account")
    after = (moments(crm["When"]) - crm["Account"].map(days(left["Notice given"]))).dt.days
    assert 0.2 < ((after >= 0) & (after < 30)).sum() / ((after < 0) & (after >= -30)).sum() < 0.75
