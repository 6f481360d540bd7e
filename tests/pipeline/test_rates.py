"""A table of rates -> the rate beside each row of money: drawn files through ingest and validate, and what stops or sets aside."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn import day
from histories import OFFICE, table_of
from raw_sources import HEAD, as_they_are, raw_run
from small_firm import MONEY, PAPERS, by_client, decided, firm

from features.errors import UserError
from pipeline.rates import RATED, enter_rates
from pipeline.tables import TABLES, arrow_schema

INTERACTIONS = f"{HEAD}\ni1,c1,2024-01-01 10:00,order\n"
COLUMNS = {
    "invoices": "invoice_id,client_id,issued_on,amount,list_amount,currency,recorded_at",
    "payments": "payment_id,invoice_id,paid_on,amount",
    "work": "work_id,client_id,worked_on,duration_minutes,cost,currency",
    "agreements": "agreement_id,client_id,signed_on,monthly_value,currency",
    "rates": "rate_id,currency,quoted_on,rate,recorded_at",
}
ROWS = {
    "invoices": """\
v1,c1,2024-01-10,100,120,USD,
v2,c1,2024-01-12,100,,USD,
v3,c1,2024-01-12,100,,ILS,
v4,c1,2024-01-12,100,,,
v5,c1,2024-01-09,100,,USD,
v6,c1,2024-02-20,100,,USD,
v7,c1,2024-01-12,100,,JPY,
v8,c1,2024-01-10,90,,USD,2024-01-10 10:00
v8,c1,2024-01-10,95,,USD,2024-02-10 10:00
""",
    "payments": "p1,v1,2024-03-01,100\n",
    "work": "w1,c1,2024-01-11,60,10,USD\nw2,c1,2024-01-11,60,10,ILS\nw3,c1,2024-01-11,60,,\n",
    "agreements": "a1,c1,2024-01-15,10,USD\n",
    "rates": """\
r1,USD,2024-01-10,3.7,
r2,USD,2024-01-12,3.75,2024-01-14 10:00
r3,USD,2024-01-20,3.8,2024-01-20 10:00
r3,USD,2024-01-20,3.9,2024-01-25 10:00
r1,USD,2024-01-10,3.6,2024-02-01 10:00
""",
}


def run(tmp_path: Path, *without: str, **rows: str):
    given = {name: lines for name, lines in (ROWS | rows).items() if name not in without}
    raw = {"interactions.csv": INTERACTIONS} | {f"{name}.csv": f"{COLUMNS[name]}\n{lines}" for name, lines in given.items()}
    files = {"interactions": as_they_are()}
    files |= {name: as_they_are(*COLUMNS[name].split(","), path=f"{name}.csv") for name in given}
    return raw_run(tmp_path, raw, files=files, tables={"agreements": {"history": "full"}})


def test_each_row_of_money_is_entered_at_the_rate_of_its_day_as_it_was_known(tmp_path):
    found = run(tmp_path)
    assert found.code == 0, found.err
    assert found.rows("invoices", "invoice_id", "amount", "rate") == [
        ("v5", 10_000, None),  # before the first rate
        ("v1", 10_000, 3.7),
        ("v8", 9_000, 3.7),
        ("v8", 9_500, 3.6),  # amended after the rate had been corrected
        ("v2", 10_000, 3.7),  # that of its own day became known two days later
        ("v3", 10_000, 1.0),
        ("v4", 10_000, 1.0),
        ("v7", 10_000, None),
        ("v6", 10_000, 3.9),
    ]
    assert found.rows("work", "work_id", "rate") == [("w1", 3.7), ("w2", 1.0), ("w3", 1.0)]
    assert found.rows("agreements", "agreement_id", "rate") == [("a1", 3.75)]
    assert found.rows("rates", "rate_id", "rate", "superseded") == [
        ("r1", 3.7, day("2024-02-01")),
        ("r1", 3.6, None),
        ("r2", 3.75, None),
        ("r3", 3.8, day("2024-01-25")),
        ("r3", 3.9, None),
    ]
    assert found.account["notes"] == [
        "1 invoices in JPY count nothing: bring rates of JPY for 2024-01-12 to 2024-01-12 (table rates; one serves 31 days, and what was"
        " entered once it was known)",
        "1 invoices in USD count nothing: bring rates of USD for 2024-01-09 to 2024-01-09 (table rates; one serves 31 days, and what was"
        " entered once it was known)",
    ]


def test_rates_change_nothing_else_and_without_them_no_file_knows_of_them(tmp_path):
    rated, plain = run(tmp_path / "rated").folder / "validate", run(tmp_path / "plain", "rates").folder / "validate"
    names = {path.name for path in plain.glob("*.parquet")}
    assert {path.name for path in rated.glob("*.parquet")} == names | {"rates.parquet"}
    for name in names - {f"{table}.parquet" for table in RATED}:
        assert (rated / name).read_bytes() == (plain / name).read_bytes(), name
    for table in RATED:
        assert pq.read_schema(plain / f"{table}.parquet") == arrow_schema(TABLES[table])
        assert pq.read_table(rated / f"{table}.parquet").drop_columns("rate").equals(pq.read_table(plain / f"{table}.parquet"))


def test_the_same_rows_in_another_order_give_the_same_bytes(tmp_path):
    turned = {name: "\n".join([*rows.splitlines()[::-1], ""]) for name, rows in ROWS.items()}
    one, other = run(tmp_path / "one"), run(tmp_path / "other", **turned)
    for path in sorted((one.folder / "validate").glob("*.parquet")):
        assert path.read_bytes() == (other.folder / "validate" / path.name).read_bytes(), path.name


# ---- bad rates ----------------------------------------------------------------------------------------------------------------------


def test_a_bad_rate_is_quarantined(tmp_path):
    bad = """\
good,USD,2024-01-02,3.7,
zero,USD,2024-01-03,0,
minus,USD,2024-01-04,-3.7,
endless,USD,2024-01-05,inf,
none,USD,2024-01-06,,
words,USD,2024-01-07,about four,
huge,USD,2024-01-08,10000000000,
sign,$,2024-01-09,3.7,
small,usd,2024-01-10,3.7,
long,USDT,2024-01-11,3.7,
nameless,,2024-01-12,3.7,
ahead,USD,2024-07-01,3.7,
"""
    found = run(tmp_path, rates=bad)
    assert found.code == 0, found.err
    assert {row["rate_id"]: row["reason"] for row in found.quarantine("rates")} == {
        **dict.fromkeys(("zero", "minus", "huge"), "out_of_range_rate"),
        **dict.fromkeys(("endless", "words"), "bad_rate"),
        "none": "blank_rate",
        **dict.fromkeys(("sign", "small", "long"), "unknown_currency"),
        "nameless": "blank_currency",
        "ahead": "future_quoted_on",
    }
    assert [row[0] for row in found.rows("rates", "rate_id")] == ["good"]


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ("u,USD,2024-01-10,1,\ni,ILS,2024-01-10,3.7,\n", ["a rate of 3.7 for ILS, the business's own currency, on 2024-01-10", "divide"]),
        (
            "a,USD,2024-01-10,3.7,\nb,USD,2024-01-10,3.71,\na,USD,2024-01-11,3.7,2024-01-11\nb,USD,2024-01-11,3.71,2024-01-11\n",
            ["different rates of USD on 2024-01-11 (rate_id a and b)", "one rate per currency and day"],
        ),
    ],
)
def test_rates_of_another_base_and_two_of_one_day_stop_the_run(tmp_path, rates, words):
    found = run(tmp_path, rates=rates)
    assert found.code == 2
    assert all(word in found.err for word in words), found.err
    assert not (found.folder / "validate").exists()


@pytest.mark.parametrize(
    "rates",
    [
        "u,USD,2024-01-10,3.7,\ni,ILS,2024-01-10,1,\n",  # our own at 1, as central banks list it
        "a,USD,2024-01-10,3.7,\nb,USD,2024-01-10,3.7,\n",  # the same said twice
        "",
    ],
)
def test_what_is_harmless_stops_nothing(tmp_path, rates):
    found = run(tmp_path, rates=rates)
    assert found.code == 0, found.err
    assert dict(found.rows("invoices", "invoice_id", "rate"))["v1"] == (3.7 if rates else None)


# ---- later knowledge ------------------------------------------------------------------------------------------------------------------


def entered(folder: Path, rates: list[dict[str, object]], days: Sequence[int] = range(100, 140)) -> list[float | None]:
    """Rates of invoices of these days, in their order; of each third day they were recorded 20 days late."""
    folder.mkdir()
    schema = arrow_schema(TABLES["invoices"])
    known = [known_on(on) for on in days]
    given = {"day": days, "known": known, "currency": ["USD"] * len(days), "invoice_id": [f"{number}" for number in range(len(days))]}
    columns = [pa.array(given[field.name], field.type) if field.name in given else pa.nulls(len(days), field.type) for field in schema]
    pq.write_table(pa.table(columns, schema=schema), folder / "invoices.parquet", row_group_size=50_000)
    pq.write_table(table_of("rates", rates), folder / "rates.parquet")
    enter_rates(SimpleNamespace(folder=folder, sql={"rates": ""}, business=OFFICE), folder)  # type: ignore[arg-type]
    read = pq.read_table(folder / "invoices.parquet")
    assert read.schema == schema.append(pa.field("rate", pa.float64()))
    assert read["invoice_id"].to_pylist() == given["invoice_id"]
    return read["rate"].to_pylist()


def known_on(day: int) -> int:
    return day + 20 * (day % 3 == 0)


def quote(on: int, rate: float, known: int | None = None, superseded: int | None = None) -> dict[str, object]:
    return {"rate_id": f"{on}", "currency": "USD", "rate": rate, "day": on, "known": known or on, "superseded": superseded}


def test_a_rate_that_comes_late_or_is_corrected_changes_no_row_entered_before(tmp_path):
    before = entered(tmp_path / "before", [quote(90, 2.0), quote(110, 3.0)])
    assert before[:2] + before[10:12] + before[-1:] == [2.0, 2.0, 3.0, 3.0, 3.0]
    later = [
        quote(90, 2.0, superseded=125),
        quote(90, 2.5, 125),
        quote(110, 3.0, superseded=130),
        quote(110, 3.5, 130),
        quote(115, 4.0, 130),
    ]
    after = entered(tmp_path / "after", later)
    known = [known_on(on) for on in range(100, 140)]
    same = [old == new for old, new in zip(before, after, strict=True)]
    assert all(is_same for is_same, when in zip(same, known, strict=True) if when < 125)
    assert sum(same) < len(same)


def test_many_rows_keep_their_order_and_their_own_rates(tmp_path):
    days = [100 + number * 7 % 1_000 for number in range(300_000)]
    found = entered(tmp_path / "many", [quote(on, float(on)) for on in range(90, 1_200)], days)
    assert found == [float(on) for on in days]


def test_equal_days_of_a_currency_that_are_ambiguous_are_told_by_number(tmp_path):
    double = [quote(100, 2.0), quote(100, 2.5) | {"rate_id": "other"}, quote(101, 2.0), quote(101, 9.0) | {"rate_id": "third"}]
    with pytest.raises(UserError, match="of 2 currencies and days in all"):
        entered(tmp_path / "double", double)


# ---- the advice -----------------------------------------------------------------------------------------------------------------------


def test_a_client_billed_in_dollars_at_a_rate_gets_the_advice_of_one_billed_in_ours(tmp_path):
    """Half the amount at a rate of 2: the same decisions, but for the invoices' own amounts in the papers of the brief."""
    ours = by_client(decided(firm(tmp_path / "ours", MONEY | PAPERS)))
    invoices = MONEY["invoices"].replace("amount", "amount currency rate").replace(" 1000", " 500 USD 2")
    payments = MONEY["payments"].replace(" 1000", " 500")
    theirs = by_client(decided(firm(tmp_path / "theirs", MONEY | PAPERS | {"invoices": invoices, "payments": payments})))
    for client, decision in ours.items():
        assert without_brief(theirs[client]) == without_brief(decision), client
    assert ours["tough"]["action"] != ours["calm"]["action"]


def without_brief(decision: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in decision.items() if name != "brief"}
