"""What a client brings and costs, from drawn histories; what is overdue against a plain loop over days."""

from datetime import date
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from histories import AS_OF, OFFICE, history, table_of

from features.derived import DERIVED
from features.economics import Rates, account, between, totals
from features.engine import measure
from features.measures import Floats
from features.time import in_retrospect, steps_back, to_date, to_day
from pipeline.settings import load_settings

RATES = Rates(minute_cost=500.0, financing_a_day=0.0001, dispute_minutes=60.0)
NONE = {"revenue": 0, "discount": 0, "disputes": 0, "overdue_days": 0, "minutes": 0, "cost": 0, "uncosted": 0}


def windows(tables: dict[str, pa.Table], since: int, until: int, clients: list[str], as_of: int = AS_OF) -> dict[str, Floats]:
    """What happened to each client in [since, until), as known at as_of."""
    given = {name: in_retrospect(table, as_of) for name, table in tables.items()}
    measures = [m for m in totals(OFFICE) if set(DERIVED.get(m.table, (m.table,))) <= set(given)]
    looks = measure(given, [since, until], measures, clients=pa.array(clients)).drop(columns="client_id")
    before, after = ({str(name): of[name].to_numpy() for name in of if name != "as_of"} for _, of in looks.groupby("as_of"))
    return between(before, after, since, until)


def window(tables: dict[str, pa.Table], since: int, until: int, as_of: int = AS_OF) -> dict[str, float]:
    """The same of client a."""
    return {name: value.item() for name, value in windows(tables, since, until, ["a"], as_of).items()}


def of_last_year(**drawings: str) -> dict[str, float]:
    return window({name: history(name, drawing) for name, drawing in drawings.items()}, AS_OF - 365, AS_OF)


def priced(rates: Rates = RATES, **added: float) -> dict[str, float]:
    return {name: value.item() for name, value in account({name: np.array([float(value)]) for name, value in added.items()}, rates).items()}


# ---- totals -----------------------------------------------------------------------------------------------------------------------


def test_a_window_counts_what_happened_in_it():
    added = of_last_year(
        invoices="""
            ago  amount  list_amount  disputed_ago
            365  100     120          300
            1    50      -            -
            366  900     990          200
            10   30      25           -
        """,
        payments="ago\n 5",
        work="""
            ago  duration_minutes  cost
            365  60                30
            1    90                -
            366  600               999
        """,
    )
    assert {name: added[name] for name in ("revenue", "discount", "disputes")} == {"revenue": 18_000, "discount": 1_500, "disputes": 2}
    assert {name: added[name] for name in ("minutes", "cost", "uncosted")} == {"minutes": 150, "cost": 3_000, "uncosted": 90}


def test_other_currencies_count_no_money_but_their_minutes_and_disputes():
    added = of_last_year(
        invoices="ago amount list_amount currency disputed_ago due_ago\n 9 100 200 USD 5 8\n 9 10 11 - - -",
        work="ago duration_minutes cost currency\n 5 60 30 USD",
        payments="ago\n 5",
    )
    assert added == NONE | {"revenue": 1_000, "discount": 100, "disputes": 1, "minutes": 60, "uncosted": 60}


def test_what_came_to_be_known_late_counts_when_it_happened():
    invoices = history(
        "invoices",
        """
        id  ago  known  superseded  amount
        1   400  20     -           100
        2   30   30     10          40
        2   30   10     -           70
        3   30   0      -           999
        """,
    )
    assert window({"invoices": invoices}, AS_OF - 365, AS_OF)["revenue"] == 7_000
    assert window({"invoices": invoices}, AS_OF - 730, AS_OF - 365)["revenue"] == 10_000
    earlier = AS_OF - 15  # before the amendment
    assert window({"invoices": invoices}, earlier - 365, earlier, as_of=earlier)["revenue"] == 4_000


def test_tables_that_are_not_there_leave_their_names_out():
    assert sorted(of_last_year(work="ago\n 5")) == ["cost", "minutes", "uncosted"]
    assert sorted(of_last_year(invoices="ago amount\n 5 1")) == ["discount", "disputes", "revenue"]  # without payments all would seem owed


# ---- overdue ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("invoice", "payments", "overdue"),
    [
        ("40 100 10", "5", 5 * 100),  # due 10 days ago, paid 5 late
        ("40 100 10", None, 10 * 100),  # never paid: overdue at the end of 10 days
        ("40 100 10", "12", 0),
        ("40 100 10", "10", 0),
        ("40 100 -3", None, 0),  # not due yet
        ("40 100 -", None, 0),  # nothing due
        ("900 100 800", None, 365 * 100),  # only the days of the window
        ("900 100 800", "300", 65 * 100),
        ("900 100 800", "500", 0),
        ("3 100 20", None, 3 * 100),  # due before it was issued: owed from the issue
    ],
)
def test_what_is_owed_costs_for_the_days_it_was_overdue(invoice: str, payments: str | None, overdue: int):
    paid = f"ago invoice_id amount\n {payments} i 100" if payments else "ago invoice_id\n 1 elsewhere"
    added = of_last_year(invoices=f"id ago amount due_ago\n i {invoice}", payments=paid)
    assert added["overdue_days"] == overdue * 100


def test_a_part_paid_late_costs_its_part():
    invoices = "id ago amount due_ago\n i 40 100 10"
    payments = "ago invoice_id amount\n 20 i 30\n 6 i 50"
    assert of_last_year(invoices=invoices, payments=payments)["overdue_days"] == (70 * 4 + 20 * 6) * 100


def test_overdue_amounts_and_days_are_those_of_a_plain_loop():
    """Late, early, partial and excess payments, credits, dues before the issue, invoices without a due date; each client another draw."""
    chance = Random(5)  # noqa: S311  # no secret
    clients = [f"{number:02d}" for number in range(60)]
    invoices, payments = [], []
    for client in clients:
        for number in range(8):
            issued = AS_OF - chance.randint(-5, 60)
            due = chance.choice([None, to_date(issued + chance.randint(-6, 30))])
            of_invoice = {"invoice_id": f"{client} {number}", "client_id": client, "amount": chance.randint(-2, 9) * 1_000, "due_on": due}
            invoices.append(of_invoice | {"day": issued, "known": issued})
        for number in range(10):
            paid = AS_OF - chance.randint(-5, 60)
            of_payment = {"payment_id": f"{client} {number}", "invoice_id": f"{client} {chance.randint(0, 7)}", "day": paid, "known": paid}
            payments.append(of_payment | {"amount": chance.randint(1, 6) * 1_000})
    since, until = AS_OF - 33, AS_OF
    overdue = dict.fromkeys(clients, 0)
    for midnight in range(since + 1, until + 1):  # the end of each day: due before it, less what is settled before it
        for invoice in invoices:
            if invoice["due_on"] is not None and max(to_day(invoice["due_on"]), invoice["day"]) < midnight:
                settled = [row["amount"] for row in payments if row["invoice_id"] == invoice["invoice_id"] and row["day"] < midnight]
                overdue[invoice["client_id"]] += invoice["amount"] - sum(settled)
    tables = {"invoices": table_of("invoices", invoices), "payments": table_of("payments", payments)}
    assert dict(zip(clients, windows(tables, since, until, clients)["overdue_days"].tolist(), strict=True)) == overdue


# ---- accounts ---------------------------------------------------------------------------------------------------------------------


def test_each_part_of_the_cost_by_hand():
    found = priced(**NONE | {"revenue": 90_000, "minutes": 90, "cost": 20_000, "uncosted": 30, "disputes": 2, "overdue_days": 4_000_000})
    assert found["hours"] == 1.5
    assert found["work_cost"] == 20_000 + 30 * 500
    assert found["dispute_cost"] == 2 * 60 * 500
    assert found["financing_cost"] == 400
    assert found["cost_to_serve"] == 95_400
    assert found["contribution"] == -5_400
    assert found["margin"] == pytest.approx(-5_400 / 95_400)


def test_discounts_are_shown_and_not_subtracted_again():
    found = priced(**NONE | {"revenue": 800, "discount": 200})
    assert (found["discount"], found["contribution"], found["margin"]) == (200, 800, 1)


def test_a_client_without_invoices_costs_its_work():
    found = priced(**NONE | {"minutes": 10, "uncosted": 10})
    assert (found["revenue"], found["contribution"], found["margin"]) == (0, -5_000, -1)


def test_who_pays_ahead_earns_no_interest():
    assert priced(**NONE | {"overdue_days": -4_000_000})["financing_cost"] == 0


def test_parts_are_whole_so_that_they_add_up():
    found = priced(Rates(1 / 3, 1 / 7, 60.0), **NONE | {"minutes": 10, "uncosted": 10, "overdue_days": 10, "disputes": 1})
    assert (found["work_cost"], found["dispute_cost"], found["financing_cost"], found["cost_to_serve"]) == (3, 20, 1, 24)


def test_where_a_minute_s_cost_is_unknown_so_is_what_needs_it():
    unknown = Rates(np.nan, 0.0001, 60.0)
    found = priced(unknown, **NONE | {"revenue": 100, "minutes": 10, "uncosted": 10})
    assert found["hours"] == pytest.approx(1 / 6)
    assert np.isnan([found[name] for name in ("work_cost", "cost_to_serve", "contribution", "margin")]).all()
    assert np.isnan(priced(unknown, **NONE | {"disputes": 1})["contribution"])
    assert priced(unknown, **NONE | {"revenue": 100, "minutes": 10, "cost": 70})["contribution"] == 30


def test_what_was_not_measured_is_unknown():
    without_work = priced(revenue=100, discount=0, disputes=0)
    assert without_work["revenue"] == 100
    assert np.isnan([without_work[name] for name in ("hours", "work_cost", "cost_to_serve", "contribution", "margin")]).all()
    without_invoices = priced(minutes=10, cost=0, uncosted=10)
    assert (without_invoices["cost_to_serve"], without_invoices["hours"]) == (5_000, 10 / 60)
    assert np.isnan([without_invoices[name] for name in ("revenue", "contribution", "margin", "financing_cost", "discount")]).all()
    assert all(np.isnan(value) for value in account({}, RATES).values())


@pytest.mark.parametrize(
    ("hourly_cost", "recorded", "minute_cost"), [(None, 500.0, 500.0), (60.0, 500.0, 500.0), (60.0, np.nan, 100.0), (None, np.nan, np.nan)]
)
def test_a_minute_costs_what_is_recorded_else_what_is_stated(hourly_cost: float | None, recorded: float, minute_cost: float):
    settings = load_settings({"economics": {"hourly_cost": hourly_cost, "financing_rate_a_year": 0.073, "dispute_hours": 1.5}}, "drawn")
    rates = Rates.of(settings.economics, recorded)
    assert rates.minute_cost == pytest.approx(minute_cost, nan_ok=True)
    assert (rates.financing_a_day, rates.dispute_minutes) == (pytest.approx(0.0002), 90)


# ---- steps back -------------------------------------------------------------------------------------------------------------------


def test_steps_back_are_months_weeks_or_thirty_days():
    def back(cadence: str, n: int) -> list[str]:
        return [str(to_date(day)) for day in steps_back(to_day(date(2024, 5, 31)), cadence, n)]

    assert back("monthly", 3) == ["2024-02-29", "2024-03-31", "2024-04-30"]  # clipped from the day itself, not from one month to the next
    assert back("weekly", 2) == ["2024-05-17", "2024-05-24"]
    assert back("listed", 1) == ["2024-05-01"]
    assert back("monthly", 0) == []
    assert [str(to_date(day)) for day in steps_back(to_day(date(2024, 1, 1)), "monthly", 1)] == ["2023-12-01"]
