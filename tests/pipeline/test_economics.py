"""Accounts of clients and of the portfolio: drawn tables by hand, degenerate portfolios, and a random one against plain pandas."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn import source_of
from histories import AS_OF, history, table_of

from features.errors import UserError
from features.time import to_date
from pipeline.economics import SCHEMA, Economics, economics, without

KNOBS = {"hourly_cost": None, "financing_rate_a_year": 0.073, "dispute_hours": 2.0, "reuse_share": 0.5, "reuse_after_days": 60}
INVOICES = """
    id  client  ago  amount  list_amount  due_ago  disputed_ago
    1   a       300  1000    1200         270      -
    2   a       50   2000    2000         20       10
    3   a       400  700     700          370      -
    4   b       100  500     500          70       -
"""
PAYMENTS = """
    invoice_id  ago  amount
    1           260  1000
    3           365  700
    4           80   500
"""
WORK = """
    client  ago  duration_minutes  cost  is_billable  invoice_id
    a       290  600               200   yes          1
    a       40   300               -     yes          -
    a       500  60                50    no           -
    b       90   1200              700   yes          4
    c       20   100               50    yes          -
"""
A_MINUTE = (20_000 + 70_000 + 5_000) / 1_900  # what those entries of the last 365 days cost that have a cost


def made(
    folder: Path, mine: str | list[str] = "abc", as_of: int = AS_OF, knobs: dict[str, Any] | None = None, **drawings: str | pa.Table
) -> Economics:
    for name, drawing in drawings.items():
        pq.write_table(history(name, drawing) if isinstance(drawing, str) else drawing, folder / f"{name}.parquet")
    source = source_of("contractual", str(to_date(AS_OF)), economics=KNOBS | (knobs or {}))
    return economics(folder, source, list(mine), as_of)


def of(found: Economics, client: str, window: str = "365") -> dict[str, Any]:
    return found.clients.set_index(["client_id", "window"]).loc[(client, window)].to_dict()


def standing(found: Economics, client: str) -> dict[str, Any]:
    return found.standing.set_index("client_id").loc[client].to_dict()


@pytest.fixture
def drawn(tmp_path: Path) -> Economics:
    return made(tmp_path, invoices=INVOICES, payments=PAYMENTS, work=WORK)


# ---- accounts ---------------------------------------------------------------------------------------------------------------------


def test_an_account_by_hand(drawn: Economics):
    account = of(drawn, "a")
    assert account["revenue"] == 300_000
    assert account["hours"] == 15
    assert account["work_cost"] == 20_000 + round(300 * A_MINUTE)
    assert account["dispute_cost"] == round(120 * A_MINUTE)
    # invoice 1 was 10 days late, 2 is since 20, and 3 was paid on the window's first day, hence still owed at no end of a day in it
    assert account["financing_cost"] == (100_000 * 10 + 200_000 * 20) * 0.0002
    assert account["discount"] == 20_000
    assert account["cost_to_serve"] == account["work_cost"] + account["dispute_cost"] + account["financing_cost"]
    assert account["contribution"] == 300_000 - account["cost_to_serve"]
    assert account["margin"] == pytest.approx(account["contribution"] / 300_000)
    assert account["revenue_share"] == pytest.approx(3_000 / 3_500)
    assert account["hours_share"] == pytest.approx(900 / 2_200)
    assert account["contribution_share"] == pytest.approx(account["contribution"] / drawn.portfolio["totals"]["365"]["contribution"])


def test_windows_are_the_quarter_the_year_and_the_year_before(drawn: Economics):
    assert [of(drawn, "a", window)["revenue"] for window in ("90", "365", "365_before")] == [200_000, 300_000, 70_000]
    assert [of(drawn, "a", window)["hours"] for window in ("90", "365", "365_before")] == [5, 15, 1]
    assert of(drawn, "a", "365_before")["financing_cost"] == 70_000 * 5 * 0.0002


def test_what_a_client_without_any_invoice_brings_is_unknown_and_told(drawn: Economics):
    account = of(drawn, "c")
    assert np.isnan([account["revenue"], account["contribution"], account["margin"]]).all()
    assert account["work_cost"] == 5_000
    told = next(why for what, why in drawn.missing.items() if "no invoice is on record" in what)
    assert "1 in the window 365" in told


def test_a_client_that_occurs_nowhere_has_an_account_of_zeros(tmp_path: Path):
    found = made(tmp_path, "abcz", invoices=INVOICES, payments=PAYMENTS, work=WORK)
    assert (of(found, "z")["contribution"], standing(found, "z")["open_balance"]) == (0, 0)
    assert np.isnan(of(found, "z")["margin"])


def test_what_stands_open_at_the_day(drawn: Economics):
    stands = standing(drawn, "a")
    assert (stands["open_balance"], stands["overdue_balance"]) == (200_000, 200_000)
    assert (stands["unbilled_minutes"], stands["unbilled_cost"]) == (300, round(300 * A_MINUTE))
    assert standing(drawn, "b")["unbilled_minutes"] == 0
    assert (standing(drawn, "c")["unbilled_minutes"], standing(drawn, "c")["unbilled_cost"]) == (100, 5_000)


def test_who_has_paid_too_much_is_in_credit_and_not_overdue(tmp_path: Path):
    found = made(tmp_path, "a", invoices="id client ago amount due_ago\n 1 a 50 100 20", payments="invoice_id ago amount\n 1 30 130")
    assert (standing(found, "a")["open_balance"], standing(found, "a")["overdue_balance"]) == (-3_000, 0)


def test_only_what_was_known_by_the_day_counts(tmp_path: Path):
    invoices = """
        id  client  ago  known  superseded  amount  due_ago
        1   a       60   60     30          100     40
        1   a       60   30     -           150     40
        2   a       60   0      -           9000    40
        3   a       0    0      -           9000    -30
        4   a       400  3      -           10      370
    """
    payments = "invoice_id ago known amount\n 1 20 0 150"
    found = made(
        tmp_path, "a", invoices=invoices, payments=payments, work="client ago known duration_minutes cost\n a 9 0 60 5\n a 9 9 6 1"
    )
    assert (of(found, "a")["revenue"], of(found, "a", "365_before")["revenue"]) == (15_000, 1_000)
    assert of(found, "a")["work_cost"] == 100
    assert standing(found, "a")["open_balance"] == 16_000
    assert made(tmp_path, "a", as_of=AS_OF - 30).clients.set_index(["client_id", "window"]).loc[("a", "365"), "revenue"] == 10_000


def test_the_day_s_cost_of_a_minute_is_everyone_s_but_the_portfolio_is_that_of_the_clients_asked_for(tmp_path: Path):
    found = made(tmp_path, "ab", invoices=INVOICES, payments=PAYMENTS, work=WORK)
    assert found.portfolio["hour"]["cost"] == pytest.approx(60 * A_MINUTE)
    assert found.portfolio["totals"]["365"]["hours"] == (900 + 1_200) / 60
    assert list(found.whale["client_id"]) == ["a", "b"]


# ---- ties -------------------------------------------------------------------------------------------------------------------------

TIES = """
    client  other_client_id  kind       ago  until_ago
    b       a                referral   500  -
    c       a                ownership  500  -
    d       a                referral   500  100
    e       a                referral   500  -5
    z       a                referral   500  -
    a       a                referral   500  -
"""


def test_referrals_bring_what_those_with_us_bring_that_came_through_it(tmp_path: Path):
    found = made(tmp_path, "abcdef", invoices=INVOICES, payments=PAYMENTS, work=WORK, ties=TIES, clients="client referred_by\n f b\n b a")
    stands = standing(found, "a")
    assert stands["referred"] == ["b", "e"]  # d's tie has ended, z is not with us, and nobody comes through itself
    assert stands["referral_contribution"] == of(found, "b")["contribution"]
    assert stands["neighbours"] == ["b", "c", "e"]
    assert standing(found, "b")["referred"] == ["f"]
    assert standing(found, "c")["referred"] == []
    assert without(found, "a")["referred"] == [
        {"client_id": "b", "contribution": of(found, "b")["contribution"]},
        {"client_id": "e", "contribution": 0},
    ]


# ---- the portfolio ----------------------------------------------------------------------------------------------------------------


def portfolio_of(folder: Path, contributions: dict[str, int], **more: str) -> Economics:
    """Clients whose contribution of the year is as given, in whole units, at 100 of revenue or cost beside it."""
    invoices = "client ago amount\n" + "\n".join(f"{client} 5 {max(value, 0) + 100}" for client, value in contributions.items())
    work = "client ago duration_minutes cost\n" + "\n".join(
        f"{client} 5 60 {100 + max(-value, 0)}" for client, value in contributions.items()
    )
    return made(folder, "".join(contributions), invoices=invoices, work=work, **more)


def test_the_whale_curve_rises_to_what_the_profitable_bring_and_falls_by_what_the_others_cost(tmp_path: Path):
    found = portfolio_of(tmp_path, {"a": 100, "b": -50, "c": 300, "d": 100, "e": 0})
    assert found.whale.to_dict("list") == {
        "rank": [1, 2, 3, 4, 5],
        "client_id": ["c", "a", "d", "e", "b"],
        "contribution": [30_000, 10_000, 10_000, 0, -5_000],
        "cumulative": [30_000, 40_000, 50_000, 50_000, 45_000],
    }
    whale = found.portfolio["whale"]
    assert (whale["peak"], whale["peak_clients"], whale["peak_of_total"]) == (50_000, 3, pytest.approx(50 / 45))
    assert (whale["unprofitable_clients"], whale["unprofitable_share"], whale["losses"]) == (1, 0.2, -5_000)
    assert whale["curve"] == [
        {"clients": place, "cumulative": brought} for place, brought in enumerate([0, 30_000, 40_000, 50_000, 50_000, 45_000])
    ]


def test_concentration_is_the_weight_of_the_largest(tmp_path: Path):
    names = "abcdefghijklmnopqrstuvwxyzABCD"  # 30
    found = portfolio_of(tmp_path, {name: 500 if name == "k" else 300 if name == "b" else 0 for name in names})
    total = 600 + 400 + 28 * 100
    revenue = found.portfolio["concentration"]["revenue"]
    assert revenue["largest"] == {"client_id": "k", "share": pytest.approx(600 / total)}
    assert [(top["percent"], top["n_clients"]) for top in revenue["top"]] == [(1, 1), (5, 2), (10, 3), (20, 6)]
    assert [top["share"] for top in revenue["top"]] == pytest.approx([brought / total for brought in (600, 1_000, 1_100, 1_400)])
    assert revenue["herfindahl"] == pytest.approx((600**2 + 400**2 + 28 * 100**2) / total**2)
    contribution = found.portfolio["concentration"]["contribution"]
    assert contribution["largest"]["share"] == 500 / 800
    assert contribution["herfindahl"] == pytest.approx((500**2 + 300**2) / 800**2)


def test_where_all_lose_money_the_curve_only_falls_and_shares_mean_nothing(tmp_path: Path):
    found = portfolio_of(tmp_path, {"a": -100, "b": -50})
    whale, concentration = found.portfolio["whale"], found.portfolio["concentration"]["contribution"]
    assert (whale["peak"], whale["peak_clients"], whale["peak_of_total"], whale["unprofitable_share"]) == (0, 0, None, 1)
    assert [top["share"] for top in concentration["top"]] == [None] * 4
    assert (concentration["largest"], concentration["herfindahl"]) == ({"client_id": "b", "share": None}, None)
    assert found.clients["contribution_share"].isna().all()
    assert found.portfolio["hour"]["reuse_value"] == 0  # an hour sold at a loss is not sold
    assert "-150.00" in found.missing["contribution_share"]
    assert found.missing["hour.reuse_value"] == "an average hour of the last 365 days brings -75.00: elsewhere it is taken to earn nothing"
    assert "hour.reuse_value" not in portfolio_of(tmp_path, {"a": 100, "b": 50}).missing
    assert without(found, "a")["pays_back"] == "at once"


def test_nobody_is_a_portfolio_too(tmp_path: Path):
    found = made(tmp_path, "", invoices=INVOICES, payments=PAYMENTS, work=WORK)
    assert (found.portfolio["n_clients"], len(found.clients), len(found.standing), len(found.whale)) == (0, 0, 0, 0)
    assert found.portfolio["concentration"] == {"revenue": None, "contribution": None}
    assert found.as_table().schema == SCHEMA
    json.dumps(found.portfolio_json(), allow_nan=False)


def test_one_client_is_all_of_it(tmp_path: Path):
    found = portfolio_of(tmp_path, {"a": 100})
    assert found.portfolio["concentration"]["revenue"]["largest"]["share"] == 1
    assert found.portfolio["concentration"]["revenue"]["herfindahl"] == 1
    assert (found.portfolio["whale"]["peak_of_total"], without(found, "a")["contribution_share"]) == (1, 1)


@pytest.mark.parametrize("brings", [100, -100])
def test_the_hours_of_an_only_client_have_no_elsewhere(tmp_path: Path, brings: int):
    found = portfolio_of(tmp_path, {"a": brings})
    assert (found.portfolio["hour"]["contribution"], found.portfolio["hour"]["reuse_value"]) == (brings * 100, None)
    assert "one client alone has hours" in found.missing["hour.reuse_value"]
    lost = without(found, "a")
    assert (lost["contribution"], lost["reuse"]) == (brings * 100, None)
    assert (lost["pays_back"], lost["pays_back_days"]) == (("unknown", None) if brings > 0 else ("at once", 0))
    json.dumps(lost, allow_nan=False)


# ---- without ----------------------------------------------------------------------------------------------------------------------


def test_what_if_without_a_client(tmp_path: Path):
    # a's hour brings 10, b's 290; the average hour 200 over 3 hours: 50 an hour elsewhere at half of 100
    invoices = "client ago amount\n a 5 220\n b 5 300\n c 5 80"
    work = "client ago duration_minutes cost\n a 5 120 200\n b 5 30 50\n c 5 30 50"
    found = made(tmp_path, invoices=invoices, work=work)
    assert found.portfolio["hour"]["contribution"] == pytest.approx(10_000)
    assert without(found, "a") == {
        "revenue": 22_000,
        "contribution": 2_000,
        "revenue_share": pytest.approx(220 / 600),
        "contribution_share": pytest.approx(20 / 300),
        "hours": 2,
        "reuse": 10_000,
        "idle_cost": 10_000,
        "pays_back": "later",
        "pays_back_days": 75,  # 2000 × t = 10000 × (t − 60)
        "referred": None,
    }
    assert [without(found, "b")[name] for name in ("contribution", "reuse", "pays_back", "pays_back_days")] == [
        25_000,
        2_500,
        "never",
        None,
    ]


def test_what_if_of_a_stranger_is_an_error(drawn: Economics):
    with pytest.raises(UserError, match="no such client in the portfolio"):
        without(drawn, "stranger")


# ---- what cannot be said ------------------------------------------------------------------------------------------------------------


def test_without_time_entries_there_is_revenue_and_no_contribution(tmp_path: Path):
    found = made(tmp_path, invoices=INVOICES, payments=PAYMENTS)
    assert of(found, "a")["revenue"] == 300_000
    assert found.clients[["work_cost", "cost_to_serve", "contribution", "margin", "hours"]].isna().all(axis=None)
    assert found.missing["contribution"] == "needs the table work"
    assert (found.portfolio["whale"], found.portfolio["concentration"]["contribution"], len(found.whale)) == (None, None, 0)
    assert found.portfolio["concentration"]["revenue"]["largest"]["client_id"] == "a"
    assert without(found, "a")["pays_back"] == "unknown"


def test_an_unknown_rate_is_said_and_cured_by_the_knob(tmp_path: Path):
    work = "client ago duration_minutes\n a 5 60\n b 5 120"
    found = made(tmp_path, "ab", invoices=INVOICES, payments=PAYMENTS, work=work)
    assert found.clients.loc[found.clients["window"] == "365", "contribution"].isna().all()
    assert "economics.hourly_cost" in found.missing["contribution"]
    cured = made(tmp_path, "ab", knobs={"hourly_cost": 70.0})
    assert of(cured, "b")["work_cost"] == 14_000
    assert (cured.portfolio["hour"]["cost"], cured.portfolio["hour"]["cost_from"]) == (pytest.approx(7_000), "economics.hourly_cost")
    assert (cured.portfolio["hour"]["uncosted_share"], "contribution" in cured.missing) == (1, False)


def test_without_payments_nothing_is_called_open(tmp_path: Path):
    found = made(tmp_path, invoices=INVOICES, work=WORK)
    assert found.standing[["open_balance", "overdue_balance"]].isna().all(axis=None)
    assert found.clients["financing_cost"].isna().all()
    assert of(found, "b")["contribution"] == 50_000 - 70_000
    assert "payments" in found.missing["financing_cost"]


def test_without_invoices_there_are_hours_and_costs(tmp_path: Path):
    found = made(tmp_path, work=WORK)
    assert (of(found, "b")["hours"], of(found, "b")["cost_to_serve"]) == (20, 70_000)
    assert found.clients[["revenue", "contribution"]].isna().all(axis=None)
    assert found.missing["revenue"] == "needs the table invoices"


def test_an_empty_table_of_invoices_is_no_revenue_of_nought(tmp_path: Path):
    early = history("invoices", "client ago amount\n a 0 100")  # nothing before the day
    for invoices in (table_of("invoices", []), early):
        found = made(tmp_path, "ab", invoices=invoices, payments=PAYMENTS, work=WORK)
        unknown = ["revenue", "discount", "contribution", "margin", "revenue_share"]
        assert found.clients[unknown].isna().all(axis=None)
        assert found.missing["revenue"] == "needs the table invoices (no row of invoices is known by the day)"
        assert np.isnan(standing(found, "a")["open_balance"])
        assert (found.portfolio["totals"]["365"]["revenue"], found.portfolio["whale"]) == (None, None)
        assert of(found, "b")["work_cost"] == 70_000
        assert without(found, "b")["pays_back"] == "unknown"


def test_with_contacts_alone_all_is_unknown(tmp_path: Path):
    found = made(tmp_path, "ab", interactions="client ago\n a 5")
    assert found.clients.drop(columns=["client_id", "window"]).isna().all(axis=None)
    assert found.as_table().num_rows == 6
    json.dumps(found.portfolio_json(), allow_nan=False)
    json.dumps(without(found, "a"), allow_nan=False)


def test_columns_that_nobody_fills_in_are_unknown_not_nought(tmp_path: Path):
    found = made(
        tmp_path, "a", invoices="client ago amount\n a 5 100", payments="ago\n 1", work="client ago duration_minutes cost\n a 5 60 50"
    )
    assert {"financing_cost", "dispute_cost", "discount", "overdue_balance", "unbilled_minutes", "unbilled_cost"} <= set(found.missing)
    assert found.clients[["financing_cost", "dispute_cost", "discount"]].isna().all(axis=None)
    assert np.isnan(standing(found, "a")["unbilled_cost"])
    assert of(found, "a")["contribution"] == 5_000
    assert "due_on" in found.missing["financing_cost"]
    assert standing(found, "a")["referred"] is None
    assert "ties" in found.missing["referred"]


def test_amounts_in_other_currencies_count_nothing_and_are_told(tmp_path: Path):
    invoices = "client ago amount currency\n a 5 100 EUR\n a 6 1500.5 USD\n b 7 20 USD\n b 8 7 CHF\n b 900 99 USD\n c 3 10 -"
    work = "client ago duration_minutes cost currency\n a 5 60 40 EUR\n b 5 30 99 USD\n b 6 - - EUR"
    found = made(tmp_path, invoices=invoices, work=work)
    assert found.portfolio["totals"]["365"]["revenue"] == 1_000  # c's alone
    assert of(found, "b")["work_cost"] == 2_000  # by its minutes
    told = found.missing["invoices.amount in other currencies"]
    assert "1 rows of 7.00 CHF, 2 rows of 1,520.50 USD in the last 365 days count nothing" in told
    assert f"bring rates of USD for {to_date(AS_OF - 7)} to {to_date(AS_OF - 6)} (table rates" in told
    assert "1 rows of 99.00 USD" in found.missing["work.cost in other currencies"]
    assert found.missing["work.cost in other currencies"].endswith("until then their minutes are valued")
    assert found.missing["work.duration_minutes"].startswith("1 time entries")


def test_who_is_billed_in_another_currency_is_unknown_and_the_portfolio_is_that_of_the_others(tmp_path: Path):
    """a pays in dollars since this quarter, b in ours, c did so long ago and has paid."""
    invoices = """
        id  client  ago  amount  list_amount  due_ago  currency
        1   a       20   9000    9000         -10      USD
        2   a       200  500     600          170      EUR
        3   b       30   400     400          0        EUR
        4   c       500  70      70           470      USD
        5   c       40   100     100          10       EUR
    """
    payments = "invoice_id ago amount\n 2 150 500\n 4 450 70"
    work = "client ago duration_minutes cost\n a 10 600 200\n b 10 60 100\n c 10 60 20\n b 600 60 9"
    found = made(tmp_path, invoices=invoices, payments=payments, work=work)
    account = of(found, "a")
    assert all(
        np.isnan(account[name]) for name in ("revenue", "discount", "financing_cost", "contribution", "margin", "contribution_share")
    )
    assert (account["work_cost"], account["cost_to_serve"], account["hours"]) == (20_000, 20_000, 10)
    assert np.isnan(of(found, "c", "365_before")["revenue"])
    assert (of(found, "c")["revenue"], of(found, "c")["revenue_share"]) == (10_000, 0.2)
    assert standing(found, "c")["open_balance"] == 10_000  # what it was billed in dollars is settled
    assert np.isnan([standing(found, "a")[name] for name in ("open_balance", "overdue_balance")]).all()
    assert list(found.whale["client_id"]) == ["b", "c"]
    portfolio = found.portfolio
    assert [portfolio["totals"]["365"][name] for name in ("revenue", "work_cost", "hours")] == [50_000, 12_000, 2]
    assert portfolio["hour"]["contribution"] == pytest.approx(portfolio["totals"]["365"]["contribution"] / 2)
    assert portfolio["concentration"]["revenue"]["largest"] == {"client_id": "b", "share": 0.8}
    told = found.missing["clients invoiced in other currencies"]
    assert told.startswith("1 in the window 90, 1 in the window 365, 1 in the window 365_before, of 3")
    assert [without(found, "a")[name] for name in ("revenue", "contribution", "pays_back")] == [None, None, "unknown"]
    assert found.as_table().num_rows == 9
    json.dumps(found.portfolio_json(), allow_nan=False)


def test_where_all_are_billed_in_another_currency_nothing_is_ranked(tmp_path: Path):
    work = "client ago duration_minutes cost\n a 10 60 20"
    found = made(tmp_path, "a", invoices="client ago amount currency\n a 20 90 USD", work=work)
    assert (found.portfolio["whale"], found.portfolio["concentration"]["revenue"], len(found.whale)) == (None, None, 0)
    assert (found.portfolio["totals"]["365"]["revenue"], found.portfolio["hour"]["reuse_value"]) == (None, None)


MIXED = """
    id  client  ago  amount  list_amount  due_ago  currency  rate
    1   a       300  100     125          270      USD       3.7
    2   a       50   333.33  400          20       USD       3.605
    3   a       40   1000    1000         10       EUR       1
    4   b       30   15000   15000        0        JPY       0.025
    5   b       20   100     -            -10      -         1
    6   c       20   90      90           -10      CHF       -
"""
MIXED_PAYMENTS = """
    invoice_id  ago  amount
    1           250  33.33
    1           240  66.67
    2           10   111.11
    2           9    111.11
    4           25   15000
"""
MIXED_WORK = """
    client  ago  duration_minutes  cost  currency  rate
    a       40   60                50    USD       3.7
    a       39   60                100   EUR       1
    b       40   60                10    GBP       -
    c       40   60                100   EUR       1
"""


def test_amounts_at_a_rate_are_told_in_our_currency(tmp_path: Path):
    found = made(tmp_path, invoices=MIXED, payments=MIXED_PAYMENTS, work=MIXED_WORK)
    a_minute = (5_000 * 3.7 + 10_000 + 10_000) / 180  # the pounds have no rate, their minutes do
    account = of(found, "a")
    assert account["revenue"] == 37_000 + 120_165 + 100_000  # 333.33 at 3.605 is 1201.65465
    assert account["discount"] == (46_250 - 37_000) + (144_200 - 120_165)
    assert (account["work_cost"], of(found, "b")["work_cost"]) == (28_500, round(60 * a_minute))
    # invoice 1 was paid in part 20 days late, 12,332 of 37,000, and the rest 10 days later; of 2 a third was paid yesterday week each
    overdue = 37_000 * 20 + (37_000 - 12_332) * 10 + 120_165 * 10 + (120_165 - 40_055) * 1 + (120_165 - 80_110) * 9 + 100_000 * 10
    assert account["financing_cost"] == round(overdue * 0.0002)
    assert of(found, "b")["revenue"] == 37_500 + 10_000
    assert np.isnan(of(found, "c")["revenue"])
    assert (standing(found, "a")["open_balance"], standing(found, "b")["open_balance"]) == (120_165 - 80_110 + 100_000, 10_000)
    assert standing(found, "b")["overdue_balance"] == 0
    assert np.isnan(standing(found, "c")["open_balance"])
    assert found.portfolio["totals"]["365"]["revenue"] == account["revenue"] + 47_500
    told = found.missing["invoices.amount in other currencies"]
    assert told.startswith("1 rows of 90.00 CHF in the last 365 days count nothing: bring rates of CHF")
    assert "1 rows of 10.00 GBP" in found.missing["work.cost in other currencies"]
    assert found.missing["clients invoiced in other currencies"].startswith("1 in the window 90, 1 in the window 365, of 3")


def test_with_rates_for_all_nothing_is_missing_for_want_of_them(tmp_path: Path):
    invoices, work = MIXED.replace("CHF       -", "CHF       4"), MIXED_WORK.replace("GBP       -", "GBP       5")
    found = made(tmp_path, invoices=invoices, payments=MIXED_PAYMENTS, work=work)
    assert [name for name in found.missing if "currenc" in name] == []
    assert (of(found, "c")["revenue"], of(found, "b")["work_cost"]) == (36_000, 5_000)


@pytest.mark.parametrize(("work", "hourly_cost"), [("", None), ("", 70.0), ("\n a 500 60 50", None), ("\n a 500 60 50", 70.0)])
def test_time_sheets_that_are_empty_or_abandoned_tell_no_cost(tmp_path: Path, work: str, hourly_cost: float | None):
    drawing = history("work", f"client ago duration_minutes cost{work}") if work else table_of("work", [])
    found = made(tmp_path, "ab", knobs={"hourly_cost": hourly_cost}, invoices=INVOICES, payments=PAYMENTS, work=drawing)
    unknown = ["work_cost", "cost_to_serve", "contribution", "margin"]
    assert set(unknown) < set(found.missing)
    assert found.clients.loc[found.clients["window"] != "365_before", unknown].isna().all(axis=None)
    assert of(found, "a")["revenue"] == 300_000
    assert (found.portfolio["whale"], without(found, "a")["pays_back"]) == (None, "unknown")
    assert np.isnan(of(found, "a", "365_before")["contribution"]) == (not work or hourly_cost is None)


def test_a_table_that_begins_late_is_told(drawn: Economics):
    assert f"invoices before {to_date(AS_OF - 400)}" in drawn.missing
    assert f"work before {to_date(AS_OF - 500)}" in drawn.missing


# ---- as data ------------------------------------------------------------------------------------------------------------------------


def test_the_table_holds_whole_minor_units_and_nulls(tmp_path: Path):
    found = made(tmp_path, invoices=INVOICES, payments=PAYMENTS, work="client ago duration_minutes\n a 5 60", ties=TIES)
    rows = found.as_table()
    assert rows.schema == SCHEMA
    first = rows.to_pylist()[0]
    assert (first["client_id"], first["window"], str(first["since"]), str(first["until"])) == ("a", "365", "2023-07-02", "2024-07-01")
    assert (first["revenue"], first["contribution"], first["open_balance"], first["neighbours"]) == (300_000, None, 200_000, ["b", "c"])


def test_the_same_data_give_the_same_bytes_whatever_order_the_clients_are_asked_for_in(tmp_path: Path):
    tables = {"invoices": INVOICES, "payments": PAYMENTS, "work": WORK, "ties": TIES}
    one, other = (made(tmp_path, clients, **tables) for clients in ("abc", "cabb"))
    assert one.as_table().equals(other.as_table())
    assert json.dumps(one.portfolio_json()) == json.dumps(other.portfolio_json())


def test_a_random_portfolio_is_that_of_plain_pandas(tmp_path: Path):
    chance = Random(3)  # noqa: S311  # no secret
    clients = [f"c{number:02d}" for number in range(12)]

    def rows(key: str, values: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
        """150 rows of the last 800 days and a few still ahead; every fourth is known 30 days late."""
        days = [AS_OF - chance.randint(-20, 800) for _ in range(150)]
        clocks = [{"day": day, "known": day + chance.choice([0, 0, 0, 30]), "client_id": chance.choice(clients)} for day in days]
        return [{key: f"{number}", **clock, **values(clock["day"])} for number, clock in enumerate(clocks)]

    tables = {
        "invoices": rows("invoice_id", lambda day: {"amount": chance.randint(1, 900), "due_on": to_date(day + 30), "due": day + 30}),
        "payments": rows("payment_id", lambda _: {"amount": chance.randint(1, 900), "invoice_id": f"{chance.randint(0, 149)}"}),
        "work": rows(
            "work_id",
            lambda _: {"duration_minutes": chance.randint(1, 300), "cost": chance.choice([None, 90, 200, 450]), "currency": "EUR"},
        ),
    }
    found = made(tmp_path, clients, **{name: table_of(name, rows) for name, rows in tables.items()})

    seen = {name: pd.DataFrame(rows).query(f"day < {AS_OF} and known < {AS_OF}") for name, rows in tables.items()}
    invoices, work = (seen[name].query(f"day >= {AS_OF - 365}") for name in ("invoices", "work"))
    settled = seen["payments"].drop(columns="client_id").merge(seen["invoices"], on="invoice_id", suffixes=("", "_of"))
    costed = work.dropna(subset="cost")
    a_minute = costed["cost"].sum() / costed["duration_minutes"].sum()
    owed = pd.Series(0, index=clients)
    for midnight in range(AS_OF - 364, AS_OF + 1):
        for sign, rows_then in ((1, seen["invoices"]), (-1, settled.query(f"day < {midnight}"))):
            owed = owed.add(sign * rows_then.query(f"due < {midnight}").groupby("client_id")["amount"].sum(), fill_value=0)
    expected = pd.DataFrame(
        {
            "revenue": invoices.groupby("client_id")["amount"].sum(),
            "hours": work.groupby("client_id")["duration_minutes"].sum() / 60,
            "work_cost": work["cost"].fillna(work["duration_minutes"] * a_minute).groupby(work["client_id"]).sum().round(),
            "financing_cost": (owed.clip(lower=0) * 0.0002).round(),
            "open_balance": seen["invoices"]
            .groupby("client_id")["amount"]
            .sum()
            .sub(settled.groupby("client_id")["amount"].sum(), fill_value=0),
        },
        index=clients,
    ).fillna(0)
    got = found.clients.query("window == '365'").merge(found.standing, on="client_id").set_index("client_id")
    assert len(costed) < len(work)
    for name, wanted in expected.items():
        assert got[name].to_dict() == pytest.approx(wanted.to_dict()), name
