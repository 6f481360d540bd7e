"""What every signal is born into, as functions that raise AssertionError: run over all signals by tests/features/test_contract.py, and over
code broken on purpose by tests/features/test_mutations.py.

All start from one random history (late and amended rows, payments, disputes), and look at it from four as_ofs.
"""

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from histories import OFFICE, table_of
from oracle import expected_columns

from features.contract import Signal, features
from features.time import to_date, to_day
from pipeline.tables import CHANNELS, INTERACTION_KINDS, TABLES, Kind, Role

Pick = Callable[[int, int], int]  # (low, high) -> an integer between, both included
Histories = dict[str, list[dict[str, Any]]]

COMMITMENT_KINDS = ("deliverable", "quote", "material", "task", "primary_goal", "appointment")
AS_OFS = [1_500, 1_530, 1_531, 1_590]
D = AS_OFS[2]
CLIENTS = ("a", "b", "c")
EDGES = sorted({as_of - w + shift for as_of in AS_OFS for w in (0, 14, 30, 60, 90, 180, 275, 365) for shift in (-1, 0, 1)})


def random_histories(pick: Pick, n: int) -> Histories:
    """n versioned rows per table; days, and days of recording, lie on the edges of windows as often as not."""

    def day() -> int:
        return EDGES[pick(0, len(EDGES) - 1)] if pick(0, 1) else pick(900, 1_650)

    def one_of(values: Any) -> Any:
        return values[pick(0, len(values) - 1)]

    def versions(key: str, content: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
        rows = [content() | key_of for key_of in [{"key": key}] * one_of((1, 1, 2, 3))]
        known = rows[0]["day"] + one_of((0, 0, 0, 1, 5, 40))
        for number, row in enumerate(rows):
            row["known"] = known
            later = [edge for edge in EDGES if edge > known] or [known + 1]
            known = later[min(pick(0, 20), len(later) - 1)] if pick(0, 1) else known + one_of((0, 1, 7, 30, 60))
            row["superseded"] = known if number + 1 < len(rows) else None
        return rows

    def of_client(**columns: Any) -> dict[str, Any]:
        return {"client_id": one_of(CLIENTS), "day": day(), **columns}

    def a_date() -> date | None:
        return one_of((None, to_date(day()), to_date(day())))

    def a_flag() -> bool | None:
        return one_of((True, False, False, None))

    def interaction() -> dict[str, Any]:
        return of_client(
            kind=one_of(INTERACTION_KINDS),
            channel=one_of(CHANNELS),
            direction=one_of(("inbound", "inbound", "outbound", None)),
            local_us=one_of((0, 3, 9, 12, 17, 23)) * 3_600_000_000,
            duration_minutes=one_of((None, 5, 40)),
            reply_to=one_of((None, f"{pick(0, n - 1)}", f"{pick(0, n - 1)}")),
            staff_id=one_of(("s", "t", None)),
            deliverable_id=one_of((None, "p", "q")),
            tone=one_of((None, None, -1.0, -0.5, 0.0, 0.333, 1.0)),
        )

    def invoice() -> dict[str, Any]:
        issued = day()
        return of_client(
            day=issued,
            amount=pick(-2, 9) * 1_000,
            list_amount=one_of((None, 5_000, 9_000)),
            currency=one_of(("EUR", "EUR", None, "USD")),
            due_on=one_of((None, to_date(issued + 30), to_date(day()))),
            disputed_on=one_of((None, None, to_date(day()))),
        )

    def payment() -> dict[str, Any]:
        return {"invoice_id": f"{pick(0, n - 1)}", "day": day(), "amount": pick(0, 5) * 1_000}

    def commitment() -> dict[str, Any]:
        promised = day()
        return of_client(
            day=promised,
            owed_by=one_of(("us", "client")),
            kind=one_of((None, *COMMITMENT_KINDS)),
            deliverable_id=one_of((None, "p", "q")),
            due_on=one_of((None, to_date(promised + 14), to_date(day()))),
            done_on=a_date(),
            cancelled_on=one_of((None, None, None, to_date(day()))),
        )

    def agreement() -> dict[str, Any]:
        signed = day()
        return of_client(
            day=signed,
            service=one_of(("air", "sea", None)),
            terms_sent_on=a_date(),
            starts_on=one_of((None, to_date(signed + 7), to_date(day()))),
            ends_on=one_of((None, to_date(signed + 365), to_date(day()))),
            renews=a_flag(),
            notice_days=one_of((None, 30)),
            monthly_value=one_of((None, pick(0, 9) * 1_000)),
            currency=one_of(("EUR", "EUR", None, "USD")),
            **{name: a_flag() for name in ("has_scope", "has_service_hours", "has_delivery_time", "has_payment_terms")},
        )

    def contact() -> dict[str, Any]:
        return of_client(role=one_of(("buyer", None)), is_decision_maker=a_flag(), until_on=a_date())

    def work() -> dict[str, Any]:
        return of_client(
            staff_id=one_of(("s", "t")),
            duration_minutes=one_of((None, 0, 30, 90)),
            is_billable=a_flag(),
            is_in_scope=a_flag(),
            cost=one_of((None, 500, 2_000)),
            currency=one_of(("EUR", "EUR", None, "USD")),
            invoice_id=one_of((None, "1")),
        )

    def survey() -> dict[str, Any]:
        kind = one_of(("nps", "csat", "staff_morale", "reputation"))
        return of_client(kind=kind, score=float(pick(0, 10) if kind == "nps" else pick(1, 5)))

    def ending() -> dict[str, Any]:
        ended_by = one_of(("client", "client", "us", "mutual", "closed_down", "paused"))
        return of_client(ended_on=a_date(), ended_by=ended_by, reason=one_of(("fit", "price", None)))

    def tie() -> dict[str, Any]:
        return of_client(other_client_id=one_of(CLIENTS), kind=one_of(("referral", "ownership", "partner")), until_on=a_date())

    def client(name: str) -> dict[str, Any]:
        return {"client_id": name, "day": 0} | {
            "segment": one_of(("x", "x", "y", None)),
            "industry": one_of(("metal", "metal", "food", None)),
            "country": one_of(("IL", "DE", None)),
            "account_owner": one_of(("s", "t", None)),
        }

    def service(name: str) -> dict[str, Any]:
        return {"service_id": name, "name": name, "strategic_weight": one_of((0.0, 0.25, 0.4, 1.0)), "day": 0}

    def month(industry: str, first: int) -> dict[str, Any]:
        return {"index_id": f"{industry} {first}", "industry": industry, "day": first, "value": pick(70, 130) + 0.125}

    contents: dict[str, Callable[[], dict[str, Any]]] = {
        "interactions": interaction,
        "invoices": invoice,
        "payments": payment,
        "commitments": commitment,
        "agreements": agreement,
        "contacts": contact,
        "work": work,
        "surveys": survey,
        "endings": ending,
        "ties": tie,
    }
    found = {table: [row for number in range(n) for row in versions(f"{number}", content)] for table, content in contents.items()}
    found["clients"] = [row for name in CLIENTS for row in versions(name, lambda name=name: client(name))]  # type: ignore[misc]
    found["services"] = [row for name in ("air", "sea") for row in versions(name, lambda name=name: service(name))]  # type: ignore[misc]
    found["industry_index"] = [
        row
        for industry in ("metal", "food")
        for first in range(900, 1_600, 31)
        for row in versions(f"{industry} {first}", lambda industry=industry, first=first: month(industry, first))  # type: ignore[misc]
    ]
    return found


def tables_of(histories: Histories) -> dict[str, pa.Table]:
    """Histories -> canonical tables."""
    return {
        name: table_of(name, [row | {TABLES[name].key: row.get(TABLES[name].key, row.get("key"))} for row in rows])
        for name, rows in histories.items()
    }


def a_history() -> Histories:
    """The checks' own: rich enough that every column of every signal moves."""
    chance = Random(11)  # noqa: S311  # no secret
    return random_histories(chance.randint, 90)


def values_at(signal: Signal, histories: Histories, as_ofs: list[int] | None = None, **options: Any) -> pd.DataFrame:
    """The signal's features of all clients at the as_ofs."""
    looks = AS_OFS if as_ofs is None else as_ofs
    snapshots = pd.DataFrame([(client, as_of) for client in (*CLIENTS, "nobody") for as_of in looks], columns=["client_id", "as_of"])
    return features(tables_of(histories), snapshots, OFFICE, [signal], **options).frame


def assert_equal(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Bit for bit, NaN = NaN."""
    for name in wanted.columns:
        if not (found[name].to_numpy() == wanted[name].to_numpy()).all():
            both = pd.DataFrame({"found": found[name], "wanted": wanted[name]})
            differ = both[~((both["found"] == both["wanted"]) | (both["found"].isna() & both["wanted"].isna()))]
            assert differ.empty, f"{name}\n{differ}"


# ---- rows that must not be seen -------------------------------------------------------------------------------------------------


def _intruders(*clocks: dict[str, int]) -> Histories:
    """Rows of every kind with these clocks, for a client of each table."""
    kinds = [
        {"client_id": "a", "kind": kind, "channel": channel, "direction": direction, "local_us": 23 * 3_600_000_000}
        for kind in INTERACTION_KINDS
        for channel, direction in (("meeting", "inbound"), ("email", "outbound"))
    ]
    bills = [
        {
            "client_id": "a",
            "amount": 7_000,
            "list_amount": 9_000,
            "currency": "EUR",
            "due_on": to_date(D - due),
            "disputed_on": to_date(D - 5),
        }
        for due in (-20, 3, 40)
    ]
    paid = [{"invoice_id": f"{number}", "amount": 3_000} for number in range(60)]
    answers = [
        kinds[0] | {"direction": direction, "reply_to": f"{number}"} for number in range(60) for direction in ("inbound", "outbound")
    ]
    promises = [
        {"client_id": "a", "owed_by": owed_by, "kind": kind, "due_on": to_date(D - due), "done_on": done and to_date(D - done)}
        for owed_by in ("us", "client")
        for kind in COMMITMENT_KINDS
        for due in (-20, 3, 40)
        for done in (None, 2, 5)
    ]
    contracts = [
        {
            "client_id": "a",
            "service": service,
            "terms_sent_on": sent and to_date(D - sent),
            "starts_on": to_date(D - 200),
            "ends_on": to_date(D + 100),
            "monthly_value": 7_000,
            "currency": "EUR",
            **dict.fromkeys(("has_scope", "has_service_hours", "has_delivery_time", "has_payment_terms"), sent is None),
        }
        for service in ("air", "sea")
        for sent in (None, 3)
    ]
    people = [
        {"client_id": "a", "is_decision_maker": senior, "until_on": left and to_date(D - left)}
        for senior in (True, False)
        for left in (None, 3)
    ]
    entries = [
        {"client_id": "a", "duration_minutes": 600, "cost": 9_000, "currency": "EUR", "is_billable": paid_for, "is_in_scope": paid_for}
        for paid_for in (True, False)
    ]
    scores = [{"client_id": "a", "kind": kind, "score": 1.0} for kind in ("nps", "csat", "staff_morale", "reputation") for _ in range(5)]
    ends = [{"client_id": "b", "ended_by": "client", "ended_on": to_date(D - 3)} for _ in range(2)]
    links = [{"client_id": "a", "other_client_id": other, "kind": "referral"} for other in ("b", "c")]
    index = [{"industry": industry, "value": 50.0} for industry in ("metal", "food")]
    contents = {
        "interactions": [*kinds, *answers],
        "invoices": bills,
        "payments": paid,
        "commitments": promises,
        "agreements": contracts,
        "contacts": people,
        "work": entries,
        "surveys": scores,
        "endings": ends,
        "ties": links,
        "industry_index": index,
    }
    return {
        table: [row | clock | {"key": f"intruder-{at}-{number}"} for at, clock in enumerate(clocks) for number, row in enumerate(rows)]
        for table, rows in contents.items()
    }


def _with(histories: Histories, more: Histories) -> Histories:
    return {name: [*rows, *more.get(name, [])] for name, rows in histories.items()}


def _changes_nothing(signal: Signal, *clocks: dict[str, int]) -> None:
    base = a_history()
    assert_equal(values_at(signal, _with(base, _intruders(*clocks)), [D]), values_at(signal, base, [D]))


def rows_not_yet_happened(signal: Signal) -> None:
    """An event on as_of's own day, or later, however early it was recorded."""
    _changes_nothing(signal, {"day": D, "known": D - 10}, {"day": D + 1, "known": D - 400}, {"day": D + 200, "known": D + 200})


def rows_not_yet_known(signal: Signal) -> None:
    """A record made on as_of's own day, or later, however old its event."""
    _changes_nothing(signal, {"day": D - 1, "known": D}, {"day": D - 20, "known": D + 1}, {"day": D - 200, "known": D + 30})


def rows_already_superseded(signal: Signal) -> None:
    """A version whose successor was recorded before as_of."""
    clocks = [{"day": D - 20, "known": D - 15, "superseded": D - ago} for ago in (1, 10, 15)]
    _changes_nothing(signal, *clocks, {"day": D - 20, "known": D - 15, "superseded": D - 400})


def rows_seen_count(signal: Signal) -> None:
    """The other side of each edge: yesterday's event, yesterday's record, a version superseded only on as_of's day. Without this the
    checks above would pass for a signal that sees nothing."""
    base = a_history()
    before = values_at(signal, base, [D])
    for clock in ({"day": D - 1, "known": D - 20}, {"day": D - 20, "known": D - 1}, {"day": D - 20, "known": D - 15, "superseded": D}):
        after = values_at(signal, _with(base, _intruders(clock)), [D])
        assert not after.equals(before), f"{signal.name} does not see {clock}"


def facts_after_as_of(signal: Signal) -> None:
    """A fact date on as_of's day or later is as good as none."""
    base, hidden, moved = a_history(), a_history(), a_history()
    for table, rows in base.items():
        facts = [column.name for column in TABLES[table].columns if column.role is Role.FACT]
        for number, row in enumerate(rows):
            for name in facts:
                if number % 3 == 0:
                    row[name] = to_date(D + number % 2)  # on the very day, and the day after
                later = row.get(name) is not None and to_day(row[name]) >= D
                hidden[table][number][name] = None if later else row.get(name)
                moved[table][number][name] = to_date(D + 77) if later else row.get(name)
    wanted = values_at(signal, base, [D])
    assert_equal(values_at(signal, hidden, [D]), wanted)
    assert_equal(values_at(signal, moved, [D]), wanted)


# ---- what must not matter -------------------------------------------------------------------------------------------------------


def row_order(signal: Signal) -> None:
    """Rows in another order, and batches of one client on one thread, give the same bits."""
    base, shuffled = a_history(), a_history()
    for rows in shuffled.values():
        Random(5).shuffle(rows)  # noqa: S311
    wanted = values_at(signal, base)
    assert_equal(values_at(signal, shuffled), wanted)
    assert_equal(values_at(signal, shuffled, batch_clients=1, threads=1), wanted)


def other_snapshots(signal: Signal) -> None:
    """A snapshot's row is the same whichever others are asked for: features at scoring equal those at training."""
    base = a_history()
    wanted = values_at(signal, base)
    alone = features(tables_of(base), pd.DataFrame({"client_id": ["b"], "as_of": [AS_OFS[3]]}), OFFICE, [signal]).frame
    same = (wanted["client_id"] == "b") & (wanted["as_of"] == AS_OFS[3])
    assert_equal(alone, wanted[same].reset_index(drop=True))


def empty_history(signal: Signal) -> None:
    """No rows of one's own, with others about or without, give the declared values."""
    declared = {column.name: np.nan if column.empty is None else column.empty for column in signal.columns}
    nothing: Histories = {name: [] for name in a_history()}
    for histories in (a_history(), nothing):
        frame = values_at(signal, histories, [D]).set_index("client_id")
        found = frame.loc["nobody"].drop("as_of").to_dict()
        assert {name: round(value, 12) for name, value in found.items() if value == value} == {
            name: value for name, value in declared.items() if value == value
        }
        assert set(found) == set(declared)


def whole_weeks(signal: Signal) -> None:
    """Moving all days and as_ofs by whole weeks changes nothing (no holidays; local time is not converted here)."""
    by = 7 * 23

    def moved(value: Any, name: str) -> Any:
        if value is None or (name == "day" and value == 0):
            return value
        return value + timedelta(by) if isinstance(value, date) else value + by

    clocks = {
        "day",
        "known",
        "superseded",
        *(column.name for table in TABLES.values() for column in table.columns if column.kind is Kind.DATE),
    }
    later = {
        table: [{name: moved(value, name) if name in clocks else value for name, value in row.items()} for row in rows]
        for table, rows in a_history().items()
    }
    found = values_at(signal, later, [as_of + by for as_of in AS_OFS]).drop(columns="as_of")
    assert_equal(found, values_at(signal, a_history()).drop(columns="as_of"))


def the_oracle(signal: Signal, histories: Histories | None = None) -> None:
    """Every column at every as_of, against the plain-Python meaning of its measures."""
    chosen = a_history() if histories is None else histories
    tables = tables_of(chosen)
    wanted = expected_columns(signal, tables, AS_OFS, OFFICE)
    frame = values_at(signal, chosen)
    clients = sorted({row["client_id"] for rows in chosen.values() for row in rows if "client_id" in row})
    frame = frame[frame["client_id"].isin(clients)]
    for name, values in wanted.items():
        found = frame[name].to_numpy().reshape(values.shape)
        np.testing.assert_array_equal(found, values, err_msg=name)


CHECKS: dict[str, Callable[[Signal], None]] = {
    check.__name__: check
    for check in (
        rows_not_yet_happened,
        rows_not_yet_known,
        rows_already_superseded,
        rows_seen_count,
        facts_after_as_of,
        row_order,
        other_snapshots,
        empty_history,
        whole_weeks,
        the_oracle,
    )
}
