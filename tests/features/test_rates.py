"""Rates of exchange: rounding, at which quote a row is entered, payments that settle in full, and the contract of signals of money."""

from random import Random
from typing import Any

import contract_checks
import duckdb
import ibis
import pandas as pd
import pyarrow as pa
import pytest
from contract_checks import AS_OFS, CHECKS, EDGES, Histories, a_history, assert_equal, random_histories, tables_of
from histories import OFFICE, columns_of, table_of

from features.contract import Column, Signal, discovered, features
from features.engine import _ibis_type, measure
from features.measures import state, window
from features.rates import exchanged
from features.time import newest_quote
from pipeline.rates import RATED

SIGNALS = {signal.name: signal for signal in discovered()}
PROBE = Signal(
    "probe",
    "Probe",
    ("D10",),
    ("payments", "invoices"),
    lambda business: [
        *window("settled_in", "settlements", business.money, 90),
        state("settled", "settlements", business.money),
        state("settled_due", "settlements", business.money, since="due_on"),
    ],
    tuple(Column(name, name, "sum", "settled", 0) for name in ("settled_in_90", "settled", "settled_due")),
    also=("settlements",),
)
BY_MONEY = ("billing_friction", "contact_frequency", "effort_value", "focus_fit", "ideal_client")


def run(expression: Any, **tables: pa.Table) -> list[dict[str, Any]]:
    with duckdb.connect() as con:
        for name, table in tables.items():
            con.register(name, table)
        return con.sql(ibis.to_sql(expression, dialect="duckdb")).to_arrow_table().to_pylist()


def relation(table: pa.Table, name: str) -> Any:
    return ibis.table({field.name: _ibis_type(field.type) for field in table.schema}, name=name)


# ---- an amount and a rate -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "rate", "value"),
    [
        (1, 0.5, 0),  # halves to the even neighbour
        (3, 0.5, 2),
        (5, 0.5, 2),
        (-5, 0.5, -2),
        (100, 3.61, 361),
        (1_500_000, 0.025, 37_500),  # 15,000 yen, kept in hundredths, are 375.00
        (123, 12.05, 1_482),  # 1.23 dinars; 1482.15
        (12_345_678_901, 1.0, 12_345_678_901),
        (None, 2.0, None),
        (7, None, None),
    ],
)
def test_an_amount_is_rounded_once_halves_to_even(amount, rate, value):
    table = pa.table({"amount": pa.array([amount], pa.int64()), "rate": pa.array([rate], pa.float64())})
    rows = relation(table, "rows")
    assert run(rows.select(value=exchanged(rows.amount, rows.rate)), rows=table) == [{"value": value}]


# ---- which quote ----------------------------------------------------------------------------------------------------------------------

QUOTES = [  # rate_id, currency, rate, day, known, superseded
    ("u100", "USD", 3.0, 100, 100, None),
    ("u110", "USD", 3.1, 110, 110, 120),
    ("u110", "USD", 3.5, 110, 120, None),  # corrected on day 120
    ("u112", "USD", 3.2, 112, 140, None),  # became known late
    ("c110", "CHF", 4.0, 110, 110, None),
]


@pytest.mark.parametrize(
    ("currency", "day", "known", "rate"),
    [
        ("USD", 100, 100, 3.0),
        ("USD", 99, 99, None),
        ("USD", 109, 109, 3.0),
        ("USD", 110, 110, 3.1),
        ("USD", 110, 119, 3.1),
        ("USD", 110, 120, 3.5),  # entered on the day of the correction: the first as_of that sees the one sees the other
        ("USD", 112, 139, 3.5),
        ("USD", 112, 140, 3.2),
        ("USD", 109, 150, 3.0),  # never a quote of a later day
        ("USD", 131, 100, 3.5),  # dated ahead: entered when its day comes
        ("USD", 143, 143, 3.2),
        ("USD", 144, 144, None),  # the newest is 32 days old
        ("CHF", 141, 141, 4.0),
        ("CHF", 142, 142, None),
        ("GBP", 110, 110, None),
    ],
)
def test_a_row_is_entered_at_the_newest_rate_of_its_day_that_was_known(currency, day, known, rate):
    names = ("rate_id", "currency", "rate", "day", "known", "superseded")
    quotes = pa.table({name: [quote[place] for quote in QUOTES] for place, name in enumerate(names)})
    rows = pa.table({"currency": [currency] * 2, "day": [day] * 2, "known": [known] * 2})
    wanted = newest_quote(relation(rows, "rows"), relation(quotes, "quotes"), by="currency", value="rate", within_days=31)
    answer = [] if rate is None else [{"currency": currency, "day": day, "known": known, "rate": rate}]
    assert run(wanted, rows=rows, quotes=quotes) == answer


# ---- payments settle at the rate of their invoice -----------------------------------------------------------------------------------

RATE = 0.37  # 50 + 50 of the other currency are 18 + 18 by themselves, and 37 together


def money_at(rate: float, amount: int) -> int:
    return round(amount * rate)  # Python, too, rounds halves to even


def settled(payments: list[dict[str, Any]], as_ofs: list[int], rates: dict[str, float | None]) -> dict[tuple[str, int], int]:
    """(invoice, as_of) -> what is settled of it; each invoice is of a client of its name, of 1.00 issued on day 0."""
    invoices = [
        {"invoice_id": name, "client_id": name, "day": 0, "known": 0, "amount": 100, "currency": "USD", "rate": rate}
        for name, rate in rates.items()
    ]
    tables = {"invoices": table_of("invoices", invoices), "payments": table_of("payments", payments)}
    found = measure(tables, as_ofs, [state("settled", "settlements", OFFICE.money)])
    return {(row.client_id, row.as_of): row.settled for row in found.itertuples()}


def payment(name: str, invoice: str, amount: int, day: int, known: int | None = None, superseded: int | None = None) -> dict[str, Any]:
    known = day if known is None else known
    return {"payment_id": name, "invoice_id": invoice, "amount": amount, "day": day, "known": known, "superseded": superseded}


def test_what_is_paid_in_parts_nets_to_exactly_nothing():
    parts = [payment("p1", "i", 50, 10), payment("p2", "i", 50, 20)]
    assert settled(parts, [10, 11, 20, 21], {"i": RATE}) == {("i", 10): 0, ("i", 11): 18, ("i", 20): 18, ("i", 21): 37}
    thirds = [payment(f"p{n}", "i", 33 + (n == 2), 10 + n) for n in range(3)]
    assert settled(thirds, [50], {"i": 3.605}) == {("i", 50): money_at(3.605, 100)}


def test_late_amended_and_moved_payments_net_to_nothing_too():
    late = [payment("p1", "i", 50, 10, known=40), payment("p2", "i", 50, 20)]
    assert settled(late, [21, 40, 41], {"i": RATE}) == {("i", 21): 18, ("i", 40): 18, ("i", 41): 37}
    amended = [payment("p1", "i", 40, 10, superseded=30), payment("p2", "i", 50, 20), payment("p1", "i", 50, 10, known=30)]
    assert settled(amended, [21, 30, 31], {"i": RATE}) == {("i", 21): 33, ("i", 30): 33, ("i", 31): 37}
    moved = [payment("p1", "i", 50, 10, superseded=30), payment("p1", "j", 50, 10, known=30), payment("p2", "i", 50, 20)]
    found = settled([*moved, payment("p3", "i", 50, 40)], [21, 31, 41], {"i": RATE, "j": RATE})
    assert [found["i", day] for day in (21, 31, 41)] == [37, 18, 37]
    assert [found["j", day] for day in (21, 31, 41)] == [0, 18, 18]


def test_an_amended_invoice_takes_its_payments_along_to_its_new_rate():
    amended = {"invoice_id": "i", "client_id": "i", "day": 0, "currency": "USD", "amount": 100}
    versions = [amended | {"known": 0, "superseded": 30, "rate": RATE}, amended | {"known": 30, "rate": 3.605}]
    parts = [payment("p1", "i", 50, 10), payment("p2", "i", 50, 20), payment("p3", "i", 7, 25, superseded=28)]
    tables = {"invoices": table_of("invoices", versions), "payments": table_of("payments", parts)}
    found = measure(tables, [21, 26, 30, 31], [state("settled", "settlements", OFFICE.money), state("due", "invoices", OFFICE.money)])
    assert found[["settled", "due"]].to_numpy().tolist() == [[37, 37], [40, 37], [37, 37], [360, 360]]


def test_a_prepayment_settles_from_the_issue_on_at_the_invoices_rate():
    drawn = {
        "invoices": "id ago amount currency rate due_ago\n i 10 1.00 USD 0.37 5",
        "payments": "invoice_id ago amount\n i 40 0.50\n i 30 0.50",
    }
    values = columns_of(SIGNALS["billing_friction"], **drawn)
    assert (values["open_balance"], values["overdue_balance"], values["overdue_age_days"]) == (0, 0, 0)


def test_a_payment_of_an_invoice_without_a_rate_counts_nothing():
    assert settled([payment("p", "i", 100, 10)], [11], {"i": None, "j": RATE}) == {("i", 11): 0, ("j", 11): 0}


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_seen_of_an_invoices_payments_settles_what_their_sum_comes_to(seed):
    """Random payments in parts, late, amended and moved, against their sum in plain Python."""
    choose = Random(seed)  # noqa: S311  # no secret
    rates: dict[str, float | None] = {"i": RATE, "j": 3.605, "k": 1.0, "l": None}
    rows = []
    for number in range(40):
        known = day = choose.randint(1, 60)
        for version in range(n_versions := choose.choice([1, 1, 2, 3])):
            known += choose.choice([0, 0, 5, 20])
            until = known + choose.choice([0, 3, 15])
            superseded = until if version + 1 < n_versions else None
            rows.append(payment(f"p{number}", choose.choice("ijkl"), choose.randint(-20, 99), day, known, superseded))
            known = until
    days = list(range(1, 120, 7))
    found = settled(rows, days, rates)
    for name, rate in rates.items():
        for as_of in days:
            seen = [
                row["amount"]
                for row in rows
                if row["invoice_id"] == name
                and row["day"] < as_of
                and row["known"] < as_of
                and (row["superseded"] is None or as_of <= row["superseded"])
            ]
            assert found[name, as_of] == (0 if rate is None else money_at(rate, sum(seen))), (name, as_of)


# ---- the contract, with rates -------------------------------------------------------------------------------------------------------


def with_rates(histories: Histories) -> Histories:
    """Rows in dollars at a rate that hangs on their weekday, one in seven without one."""

    def rate(row: dict[str, Any]) -> float | None:
        return 1.0 if row.get("currency") in (None, "EUR") else [0.9, 0.913, 1.0, 0.877, None, 1.1, 0.37][row["day"] % 7]

    return {name: [row | {"rate": rate(row)} for row in rows] if name in RATED else rows for name, rows in histories.items()}


@pytest.mark.parametrize("check_name", [name for name in CHECKS if name != "the_oracle"])  # which sums payments one by one
@pytest.mark.parametrize("name", [*BY_MONEY, PROBE.name])
def test_money_signals_keep_the_contract_with_rates(name: str, check_name: str, monkeypatch: pytest.MonkeyPatch):
    plain = contract_checks.tables_of
    monkeypatch.setattr(contract_checks, "tables_of", lambda histories: plain(with_rates(histories)))
    CHECKS[check_name](SIGNALS.get(name, PROBE))


def asked() -> pd.DataFrame:
    return pd.DataFrame([(client, as_of) for client in "abc" for as_of in AS_OFS], columns=["client_id", "as_of"])


def test_where_all_money_is_ours_rates_change_no_bit():
    histories = {name: [row | ({"currency": "EUR"} if "currency" in row else {}) for row in rows] for name, rows in a_history().items()}
    plain, rated = (features(tables_of(chosen), asked(), OFFICE).frame for chosen in (histories, with_rates(histories)))
    assert_equal(rated, plain)


def test_money_at_a_rate_of_two_is_twice_the_money():
    """Every amount in dollars at 2, against the same amounts doubled in our currency: bit for bit."""
    histories = random_histories(Random(3).randint, 60)  # noqa: S311  # no secret
    money = {"amount", "list_amount", "cost", "monthly_value"}

    def dollars(row: dict[str, Any]) -> dict[str, Any]:
        return row | {"currency": "USD", "rate": 2.0} if "currency" in row else row

    def doubled(row: dict[str, Any]) -> dict[str, Any]:
        row = row | {"currency": "EUR"} if "currency" in row else row
        return {name: 2 * value if name in money and value is not None else value for name, value in row.items()}

    one, other = (
        features(tables_of({name: [change(row) for row in rows] for name, rows in histories.items()}), asked(), OFFICE).frame
        for change in (dollars, doubled)
    )
    assert_equal(one, other)


def test_the_random_histories_hold_dollars_before_and_on_the_edges():
    days = {row["day"] for row in with_rates(a_history())["invoices"] if row["currency"] == "USD" and row["rate"] not in (None, 1.0)}
    assert days & set(EDGES)
