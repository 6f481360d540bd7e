"""The four kinds of measure on drawn tables, with literal values; batches, threads and large sums."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contract_checks import AS_OFS, a_history, tables_of
from drawn import drawn
from histories import table_of
from oracle import expected

from features.engine import exact_sums, measure
from features.errors import UserError
from features.measures import Edge, Interval, Peer, Seen, every_row, first_day, last_day, median_per_client, rhythm, sequence, state, window
from features.measures import Latest as LatestMeasure
from features.time import AsOfs, in_window, to_date


def table(name: str, text: str) -> pa.Table:
    """A canonical table drawn with days as numbers."""
    days, texts = {"day", "known", "superseded"}, {"client": "client_id", "invoice": "invoice_id"}
    rows = []
    for number, cells in enumerate(drawn(text)):
        row = {texts.get(key, key): cell for key, cell in cells.items()}
        row |= {key: None if cell is None else int(cell) for key, cell in cells.items() if key in days | {"amount", "duration_minutes"}}
        row |= {key: None if cell is None else to_date(int(cell)) for key, cell in cells.items() if key.endswith("_on")}
        row.setdefault("known", row["day"])
        row.setdefault("client_id", "a")
        rows.append({"interaction_id": f"{number}", "payment_id": f"{number}"} | row)
    return table_of(name, rows)


def cells(found: pd.DataFrame, name: str, client: str = "a") -> list[float]:
    return found.loc[found["client_id"] == client, name].tolist()


def test_a_window_begins_the_day_after_and_ends_after_its_days():
    calls = table("interactions", "day\n 100")
    found = measure({"interactions": calls}, [100, 101, 130, 131], window("calls", "interactions", every_row, 30))
    assert cells(found, "calls_30") == [0, 1, 1, 0]


def test_a_late_row_counts_once_it_is_known_and_not_at_all_once_its_window_has_passed():
    calls = table("interactions", "client day known\n a 100 120\n b 100 140")
    found = measure({"interactions": calls}, [110, 121, 141], window("calls", "interactions", every_row, 30))
    assert cells(found, "calls_30", "a") == [0, 1, 0]
    assert cells(found, "calls_30", "b") == [0, 0, 0]


def test_an_amended_row_counts_as_it_was_known_then():
    calls = table(
        "interactions",
        """
        day  known  superseded  duration_minutes
        100  100    150         60
        100  150    -           15
        """,
    )
    minutes = [state("minutes", "interactions", lambda rows: rows.duration_minutes)]
    longest = [LatestMeasure("longest", "interactions", every_row, lambda rows: rows.duration_minutes)]
    found = measure({"interactions": calls}, [101, 150, 151], [*minutes, *longest])
    assert cells(found, "minutes") == [60, 60, 15]
    assert cells(found, "longest") == [60, 60, 15]  # a plain running maximum would still say 60


def test_two_versions_of_one_day_are_one():
    calls = table("interactions", "day known superseded duration_minutes\n 100 105 105 60\n 100 105 - 15")
    found = measure({"interactions": calls}, [104, 105, 106], [state("minutes", "interactions", lambda rows: rows.duration_minutes)])
    assert cells(found, "minutes") == [0, 0, 15]


def test_a_state_lasts_until_the_first_of_its_ends_that_has_come():
    promises = pa.Table.from_pylist(
        [
            {
                "client_id": "a",
                "day": 10,
                "known": 10,
                "superseded": None,
                "due_on": to_date(20),
                "done_on": to_date(30),
                "cancelled_on": None,
            },
            {
                "client_id": "a",
                "day": 10,
                "known": 10,
                "superseded": None,
                "due_on": to_date(20),
                "done_on": None,
                "cancelled_on": to_date(25),
            },
            {"client_id": "a", "day": 10, "known": 10, "superseded": None, "due_on": None, "done_on": None, "cancelled_on": None},
        ],
        schema=pa.schema(
            [
                ("client_id", pa.string()),
                *((name, pa.int32()) for name in ("day", "known", "superseded")),
                *((name, pa.date32()) for name in ("due_on", "done_on", "cancelled_on")),
            ]
        ),
    )
    overdue = state("overdue", "commitments", every_row, since="due_on", until=("done_on", "cancelled_on"))
    found = measure({"commitments": promises}, [20, 21, 25, 26, 30, 31], [overdue])
    assert cells(found, "overdue") == [0, 2, 2, 1, 1, 0]


def test_latest_gives_last_first_largest_and_smallest():
    calls = table("interactions", "day kind duration_minutes\n 100 order 5\n 120 order 50\n 140 message 500")
    found = measure(
        {"interactions": calls},
        [100, 130, 150],
        [
            last_day("last", "interactions"),
            first_day("first", "interactions"),
            last_day("last_order", "interactions", lambda rows: rows.kind == "order"),
            LatestMeasure("shortest", "interactions", every_row, lambda rows: rows.duration_minutes, is_largest=False),
        ],
    )
    assert found.drop(columns=["client_id", "as_of"]).iloc[1:].to_numpy().tolist() == [[120, 100, 120, 5], [140, 100, 120, 5]]
    assert found.iloc[0][["last", "first"]].isna().all()


def test_a_sequence_is_replayed_on_what_was_known_at_each_as_of():
    calls = table("interactions", "day known\n 100 100\n 100 100\n 110 140\n 130 130")
    found = measure({"interactions": calls}, [135, 150], [sequence(("n_days", "gap"), "interactions", rhythm)])
    assert cells(found, "n_days") == [2, 3]
    assert cells(found, "gap") == [30, 15]  # the call of day 110 was recorded on day 140


def test_peers_are_summed_over_the_group_a_client_was_known_to_be_in():
    calls = table("interactions", "client day\n a 100\n a 101\n b 102\n c 103")
    segments = pa.table(
        {
            "client_id": ["a", "b", "c", "c"],
            "segment": ["x", "y", "y", "x"],
            "day": [0, 0, 0, 0],
            "known": [0, 0, 0, 120],
            "superseded": pa.array([None, None, 120, None], pa.int32()),
        }
    )
    measures = [
        *window("calls", "interactions", every_row, 90),
        state("segment", "clients", lambda rows: rows.segment),
        Peer("theirs", of="calls_90", by="segment"),
        Peer("all", of="calls_90"),
    ]
    found = measure({"interactions": calls, "clients": segments}, [110, 121], measures, batch_clients=1)
    assert [cells(found, "theirs", client) for client in "abc"] == [[2, 3], [2, 1], [2, 3]]
    assert cells(found, "all") == [4, 4]
    alone = measure({"interactions": calls, "clients": segments}, [110, 121], measures, clients=pa.array(["c", "z"]))
    assert cells(alone, "theirs", "c") == [2, 3]
    assert cells(alone, "theirs", "z") == [0, 0]


def test_a_payment_belongs_to_the_client_and_due_date_its_invoice_had_then():
    invoices = table(
        "invoices",
        """
        invoice  client  day  known  superseded  amount  due_on
        1        a       100  100    150         900     130
        1        b       100  150    -           900     140
        """,
    )
    payments = table("payments", "invoice day known amount\n 1 135 135 500\n 1 90 90 100\n 7 90 90 1000")
    paid = state("paid", "settlements", lambda rows: rows.amount)
    late = state("late", "settlements", lambda rows: rows.day - rows.due_on)
    found = measure({"invoices": invoices, "payments": payments}, [95, 101, 136, 150, 151], [paid, late])
    assert cells(found, "paid", "a") == [0, 100, 600, 600, 0]  # a prepayment settles nothing before the invoice exists
    assert cells(found, "paid", "b") == [0, 0, 0, 0, 600]
    assert cells(found, "late", "b") == [0, 0, 0, 0, 135 - 140 + 90 - 140]


def test_every_kind_agrees_with_the_oracle_however_it_is_cut():
    tables = tables_of(a_history())
    measures = [
        *window("n", "interactions", every_row, 14, 90),
        Interval("amount", "invoices", lambda rows: rows.amount, Edge("due_on", -7), (Edge("disputed_on", 3), Edge("due_on", 60))),
        LatestMeasure("most", "invoices", lambda rows: rows.amount != 0, lambda rows: rows.amount - rows.list_amount, is_largest=False),
        sequence(("days", "gap"), "interactions", rhythm, where=lambda rows: rows.direction == "inbound"),
        state("segment", "clients", lambda rows: rows.segment),
        Peer("theirs", of="n_90", by="segment"),
    ]
    wanted = expected(tables, AS_OFS, measures)
    for options in ({}, {"batch_clients": 1, "threads": 1}, {"batch_clients": 2}):
        found = measure(tables, AS_OFS, measures, **options)
        for name, values in wanted.values.items():
            np.testing.assert_array_equal(found[name].to_numpy().reshape(values.shape), values, err_msg=name)


def test_a_file_and_a_table_in_memory_are_the_same(tmp_path):
    history = tables_of(a_history())["interactions"]
    pq.write_table(history, tmp_path / "o'clock.parquet")
    measures = window("n", "interactions", lambda rows: rows.local_us >= 12 * 3_600_000_000, 30)
    from_file = measure({"interactions": tmp_path / "o'clock.parquet"}, AS_OFS, measures)
    assert from_file.equals(measure({"interactions": history}, AS_OFS, measures))


def test_ids_are_text_and_quoted():
    calls = table("interactions", "client day\n 00123 100\n 1e5 100\n O'Neil 100\n חשמל 100\n NA 100")
    found = measure({"interactions": calls}, [110], window("n", "interactions", every_row, 30), batch_clients=1)
    assert dict(zip(found["client_id"], found["n_30"], strict=True)) == {"00123": 1, "1e5": 1, "NA": 1, "O'Neil": 1, "חשמל": 1}


def test_no_clients_give_no_rows():
    nothing = table("interactions", "day")
    found = measure({"interactions": nothing}, [110], window("n", "interactions", every_row, 30))
    assert found.columns.tolist() == ["client_id", "as_of", "n_30"]
    assert found.empty


def test_sums_beyond_the_exact_range_of_floats_are_exact():
    big = np.array([2**53, 1, 1, -5])
    assert exact_sums(np.array([0, 0, 0, 1]), big, 2).tolist() == [2**53 + 2, -5]
    assert exact_sums(np.array([0, 0, 0, 1]), np.array([3, 1, 1, -5]), 2).tolist() == [5, -5]


def test_a_measure_of_a_table_that_is_not_there_is_named():
    with pytest.raises(UserError, match="table invoices"):
        measure({"interactions": table("interactions", "day\n 1")}, [3], window("n", "invoices", every_row, 30))


@pytest.mark.parametrize("peer", [Peer("p", of="m_30"), Peer("p", of="n_30", by="last")])
def test_a_peer_of_something_that_is_not_summed_is_named(peer: Peer):
    measures = [*window("n", "interactions", every_row, 30), last_day("last", "interactions"), peer]
    with pytest.raises(UserError, match="peer measure p"):
        measure({"interactions": table("interactions", "day\n 1")}, [3], measures)


@pytest.mark.parametrize("days", [(), (5, 5), (7, 5)])
def test_as_ofs_ascend(days):
    with pytest.raises(ValueError, match="ascending"):
        AsOfs(days)


def test_more_than_126_as_ofs_are_no_trouble():
    daily = list(range(100, 400))
    found = measure({"interactions": table("interactions", "day\n 150")}, daily, window("n", "interactions", every_row, 30))
    assert found["n_30"].sum() == 30
    assert found.loc[found["n_30"] == 1, "as_of"].tolist() == list(range(151, 181))


def test_medians_and_windows_of_replays():
    client, value = np.array([0, 0, 0, 2, 2]), np.array([9, 1, 4, 10, 20])
    assert median_per_client(client, value, 3).tolist()[::2] == [4, 15]
    assert np.isnan(median_per_client(client, value, 3)[1])
    assert in_window(np.array([69, 70, 99, 100]), 100, 30).tolist() == [False, True, True, False]
    assert rhythm(Seen(100, 1, np.array([], np.int64), np.array([], np.int64), {}))[0].tolist() == [0]


def test_an_integer_that_comes_in_a_byte_is_no_flag():
    rows = pa.table({"client_id": ["a"], "day": [10], "known": [10], "superseded": pa.nulls(1, pa.int32()), "x": [True]})
    four = window("four", "interactions", lambda r: sum(r.x.cast("int8") for _ in range(4)), 30)  # Ibis: int64; DuckDB: a byte
    assert measure({"interactions": rows}, [20], four)["four_30"].tolist() == [4]
