"""Silences, proposals and endings: drawn histories, literal figures."""

import numpy as np
import pandas as pd
import pytest
from drawn import drawn
from scipy import stats

from features.time import Calendar
from models import label_design as ld

NOBODY = np.empty(0, np.int64)


def contacts(text: str) -> ld.Contacts:
    rows = drawn(text)
    clients = sorted({str(row["client"]) for row in rows})
    client = np.array([clients.index(str(row["client"])) for row in rows], np.int64)
    return ld.Contacts(clients, client, np.array([int(str(row["day"])) for row in rows], np.int64))


def without_endings(found: ld.Contacts) -> ld.Contacts:
    return ld.Contacts(found.clients, NOBODY, NOBODY)


def silences(text: str) -> ld.Spells:
    """One spell per line: client, its length, whether it ended (yes) or is open (no); watched for 1,000 days if it ended."""
    rows = drawn(text)
    clients = sorted({str(row["client"]) for row in rows})
    length = np.array([int(str(row["days"])) for row in rows])
    returned = np.array([row["back"] == "yes" for row in rows])
    own = np.array([float(str(row.get("own_gap", "nan"))) for row in rows])
    client = np.array([clients.index(str(row["client"])) for row in rows])
    return ld.Spells(len(clients), client, length, returned, np.where(returned, 1_000, length), own)


def once(found: ld.Spells) -> ld.Draws:
    return ld.draws(found.n_clients, resamples=50, seed=1)


def test_a_silence_lasts_to_the_next_contact_and_the_last_is_open():
    days = contacts("client day\n a 40\n a 10\n a 13\n b 49\n c 50")  # nobody watched from day 50 on
    found = ld.spells(days, without_endings(days), until=50)
    assert found.client.tolist() == [0, 0, 0, 1]
    assert found.length_days.tolist() == [3, 27, 9, 0]  # days 41 … 49 were watched
    assert found.has_returned.tolist() == [True, True, False, False]
    assert found.watched_days.tolist() == [39, 36, 9, 0]
    assert np.nan_to_num(found.own_gap_days, nan=-1).tolist() == [-1, 3, 15, -1]  # the median of the gaps before


def test_an_ending_ends_the_watch():
    days = contacts("client day\n a 10\n a 30")
    found = ld.spells(days, ld.Contacts(days.clients, np.array([0]), np.array([20])), until=50)
    assert (found.length_days.tolist(), found.has_returned.tolist()) == ([9, 19], [False, False])


def test_an_open_silence_counts_for_as_long_as_it_was_watched():
    found = silences("""
        client  days  back
        a       15    yes
        b       15    yes
        c       12    no
        d       40    no
    """)
    curve = ld.return_curve(found, [10], 10, once(found)).iloc[0]
    assert curve["returned"] == pytest.approx(2 / 3)  # of the three still watched on day 15; counting c as lost would give a half
    assert (curve["n_silences"], curve["n_clients"], curve["n_followed"]) == (4, 4, 3)


@pytest.mark.parametrize(("silent", "within", "returned"), [(9, 1, 1.0), (9, 5, 1.0), (8, 1, 0.0), (8, 2, 1.0), (10, 1, None)])
def test_a_contact_on_the_tenth_day_comes_after_nine_silent_ones(silent, within, returned):
    found = silences("client days back\n a 10 yes")
    assert ld.records(ld.return_curve(found, [silent], within, once(found)))[0]["returned"] == returned


def test_beyond_what_was_watched_nothing_is_claimed():
    found = silences("client days back\n a 30 yes\n b 50 no")
    curve = ld.records(ld.return_curve(found, [20, 45, 60], 30, once(found)))
    assert [(row["silent_days"], row["returned"], row["n_followed"]) for row in curve] == [(20, 0.5, 2), (45, None, 0), (60, None, 0)]


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_is_scipys(seed):
    random = np.random.default_rng(seed)
    length, returned = random.integers(1, 60, 300), random.random(300) < 0.6
    sf = stats.ecdf(stats.CensoredData(uncensored=length[returned], right=length[~returned])).sf
    mine = ld.still_silent(np.arange(300), length, returned, np.ones((1, 300), np.uint8), 59)[0]
    theirs = sf.evaluate(np.arange(60) - 1)  # at least x days = longer than x − 1
    assert mine == pytest.approx(theirs, abs=1e-12)


def test_the_band_is_over_clients_not_silences():
    busy = "\n".join("a 15 yes" for _ in range(500))
    found = silences(f"client days back\n{busy}\n b 40 no")
    curve = ld.return_curve(found, [10], 10, ld.draws(2, resamples=400, seed=1)).iloc[0]
    assert (curve["low"], curve["high"]) == (0, 1)  # either client may not be drawn at all


def test_a_resample_counts_a_client_as_often_as_it_is_drawn():
    found = silences("client days back\n a 5 yes\n b 9 no")
    drawn_clients = np.array([[1, 1], [3, 1], [0, 2]], np.uint8)
    back = 1 - ld.still_silent(found.client, found.length_days, found.has_returned, drawn_clients, 8)[:, 8]
    assert back.tolist() == [0.5, 0.75, 0]


def test_draws_are_the_data_first_and_as_many_clients_each_time():
    drawn_clients = ld.draws(7, resamples=3, seed=5)
    assert drawn_clients[0].tolist() == [1] * 7
    assert drawn_clients.sum(axis=1).tolist() == [7] * 4
    assert (drawn_clients == ld.draws(7, resamples=3, seed=5)).all()


def test_silence_in_own_gaps_is_past_the_floor_too():
    found = silences("""
        client  own_gap  days  back
        a       10       45    yes
        b       10       60    no
        c       20       85    yes
        d       2        32    yes
        e       nan      99    yes
    """)
    curve = ld.records(ld.eligibility_curve(found, [2, 4], 30, 20, once(found)))
    # 2 gaps: a, b and d past 30 days, c past 40; back within 20 days of that: a (45), d (32), not c (85)
    # 4 gaps: a past 40 and back (45), b past 40 and not, c past 80 and back (85), d past 30 and back; e has no gap of its own
    assert [(row["silent_gaps"], row["n_clients"], row["returned"]) for row in curve] == [(2, 4, 0.5), (4, 4, 0.75)]


def curve_of(text: str) -> pd.DataFrame:
    rows = [{name: float(cell) if cell else np.nan for name, cell in row.items()} for row in drawn(text)]
    return pd.DataFrame(rows).assign(low=0.0, high=1.0, n_clients=99)


CURVE = curve_of("""
    silent_days  returned  n_followed
    30           0.40      90
    90           0.10      60
    180          0.04      40
    360          0.01      9
    720          -         0
""")


@pytest.mark.parametrize(
    ("at_most", "room", "proposed", "compromise", "because"),
    [
        (0.10, {30, 90, 180, 360}, 90, None, ld.REACHED),  # the shortest
        (0.05, {30, 90, 180, 360}, 180, None, ld.REACHED),
        (0.02, {30, 90, 180, 360}, None, 180, ld.NONE_REACHES),  # 360 rests on nine clients
        (0.05, {30, 90}, None, 90, ld.NO_ROOM),
        (0.05, {360}, None, None, ld.TOO_LITTLE),
    ],
)
def test_a_horizon_is_proposed_only_where_the_data_carry_it(at_most, room, proposed, compromise, because):
    has_room = {days: days in room for days in (30.0, 90.0, 180.0, 360.0, 720.0)}
    found = ld.proposed(CURVE, "silent_days", at_most=at_most, at_least=30, has_room=has_room)
    assert (found["proposed"], found["compromise"], found["because"]) == (proposed, compromise, because)
    assert found.get("would_reach") == (180 if because == ld.NO_ROOM else None)


def test_a_horizon_longer_than_the_history_leaves_no_room():
    as_ofs = [0, 30, 60]
    assert ld.room(as_ofs, Calendar(0, 400, 0), until=365, test_periods=1) == (0, 0)
    assert ld.room(as_ofs, Calendar(0, 300, 0), until=365, test_periods=1) == (3, 0)
    assert ld.room(as_ofs, Calendar(0, 30, 0), until=365, test_periods=1) == (3, 2)
    assert ld.room([], Calendar(0, 30, 0), until=365, test_periods=1) == (0, 0)


ROWS = ld.Candidates(
    client=np.array([0, 0, 1, 2, 3]),
    silence_days=np.array([10.0, 70, 50, 20, 5]),
    typical_gap_days=np.array([10.0, 10, np.nan, 40, 100]),
    wait_days=np.array([95, 20, 400, 200_000, 10]),
    watched_days=np.array([400, 370, 400, 150, 300]),
    label=np.array([[1], [0], [1], [1], [0]], np.int8),
    horizons=[90],
)


@pytest.mark.parametrize(
    ("gaps", "floor", "n_labelled", "base_rate", "n_churned", "n_followed", "came_back"),
    [
        (4, 60, 3, 1.0, 3, 2, 0.5),  # the second is 70 days silent, past 4 · 10 and 60; the last comes every 100 days, past the horizon
        (8, 60, 4, 0.75, 3, 2, 0.5),
        (4, 45, 2, 1.0, 2, 1, 1.0),  # … and client 1, without a gap of its own, is past the floor
    ],
)
def test_sensitivity_to_the_thresholds(gaps, floor, n_labelled, base_rate, n_churned, n_followed, came_back):
    row = ld.sensitivity(ROWS, [ld.Choice(90, gaps, floor)], 180, {90: (6, 2)}).iloc[0]
    names = ["n_as_ofs", "n_learnable", "n_labelled", "base_rate", "n_churned_clients", "n_followed", "came_back"]
    assert row[names].tolist() == [6, 2, n_labelled, base_rate, n_churned, n_followed, came_back]


def asked(**changes: object) -> ld.Asked:
    values: dict[str, object] = {
        "follow_up_days": 30,
        "window_days": 20,
        "tolerated_returns": 0.05,
        "lost_returns": 0.2,
        "clients_at_least": 1,
        "horizons_days": [10, 20],
        "silent_gaps": [2.0, 4.0],
        "silent_floors_days": [10],
        "chosen": ld.Choice(20, 4.0, 10),
    }
    return ld.Asked(**(values | changes))  # type: ignore[arg-type]


EMPTY = ld.Candidates(NOBODY, np.empty(0), np.empty(0), NOBODY, NOBODY, np.empty((0, 2), np.int8), [10, 20])


@pytest.mark.parametrize(
    ("days", "proposed", "because"),
    [
        (contacts("client day"), None, ld.TOO_LITTLE),  # no client
        (contacts("client day\n a 0"), 10, ld.REACHED),  # one client, who never came back
        (contacts("client day\n a 0\n b 0\n c 0"), 10, ld.REACHED),  # nobody ever returning
        (contacts("client day\n" + "\n".join(f"a {day}" for day in range(100))), None, ld.TOO_LITTLE),  # nobody ever silent
    ],
)
def test_small_and_one_sided_portfolios_have_an_answer(days, proposed, because):
    found = ld.spells(days, without_endings(days), until=100)
    rooms = {10: (5, 3), 20: (5, 3)}
    designed = ld.silence_design(found, ld.draws(len(days.clients), resamples=50, seed=1), asked(), EMPTY, rooms)
    assert (designed["horizon"]["proposed"], designed["horizon"]["because"]) == (proposed, because)
    assert {row["n_labelled"] for row in designed["sensitivity"]} == {0}
    assert {row["base_rate"] for row in designed["sensitivity"]} == {None}


ENDINGS = pd.DataFrame(
    drawn("""
        client_id  day  notice_days  ended_by  reason
        a          100  30           client    price
        b          205  -            client    price
        c          30   60           client    -
        d          110  0            client    fit
        e          103  -5           us        fit
    """)
).astype({"day": int, "notice_days": float})


def test_leavers_are_counted_by_hand_and_reason():
    assert ld.leavers(ENDINGS).to_numpy().tolist() == [
        ["client", "price", 2, 2],
        ["client", "fit", 1, 1],
        ["client", "not stated", 1, 1],
        ["us", "fit", 1, 1],
    ]


def test_notice_is_told_without_what_cannot_be():
    found = {row["ended_by"]: row for row in ld.records(ld.notice(ENDINGS))}
    assert [found["client"][name] for name in ("n", "n_without_end", "n_ended_before_decision", "p50_days")] == [4, 1, 0, 30]
    assert [found["us"][name] for name in ("n", "n_ended_before_decision", "p50_days")] == [1, 1, None]


def test_endings_that_no_label_shows_say_why():
    seen = pd.DataFrame(
        drawn("""
            client_id  day  status
            a          80   eligible
            b          80   eligible
            b          200  too_new
            d          100  eligible
            e          100  gone
        """)
    ).astype({"day": int})
    found = ld.unseen_endings(ENDINGS, seen, gap_days=14, horizon_days=90)
    assert found.to_numpy().tolist() == [
        ["client", "in_gap", 1],  # d, ten days after its only look
        ["client", "labelled", 1],  # a
        ["client", "never_looked_at", 1],  # c, before the first as_of
        ["client", "too_new", 1],  # b: eligible once, but 125 days before
        ["us", "gone", 1],
    ]


def test_competing_outcomes_add_up_and_leave_out_what_is_unknown():
    became = {30: np.array(["client", "stayed", "stayed", "us"], object), 90: np.array(["client", "client", "stayed", ""], object)}
    found = ld.outcome_shares(became, np.array([0, 0, 1, 2]), ld.draws(3, resamples=50, seed=1))
    assert found[["horizon_days", "outcome", "n_snapshots", "n", "share"]].round(3).to_numpy().tolist() == [
        [30, "client", 4, 1, 0.25],
        [30, "stayed", 4, 2, 0.5],
        [30, "us", 4, 1, 0.25],
        [90, "client", 3, 2, 0.667],
        [90, "stayed", 3, 1, 0.333],
        [90, "us", 3, 0, 0.0],
    ]


def test_without_any_ending_the_design_is_empty_not_wrong():
    none = ENDINGS.iloc[:0]
    seen = pd.DataFrame({"client_id": ["a"], "day": [80], "status": ["eligible"]})
    found = ld.ending_design(none, seen, {90: np.array(["stayed"], object)}, np.array([0]), ld.draws(1, resamples=50, seed=1), (14, 90))
    assert (found["leavers"], found["notice"], found["unseen_endings"]) == ([], [], [])
    assert [(row["outcome"], row["share"]) for row in found["outcomes"]] == [("stayed", 1)]
