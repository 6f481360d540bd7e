"""Candidate rows -> what each as_of may see of them, the account of every raw row, and checks that tell bad data from a crash."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw_sources import HEAD, as_they_are, raw_run

from features.errors import UserError
from features.time import to_date
from pipeline import expectations
from pipeline.account import LINES_PER_FILE, Rank, RawRows
from pipeline.expectations import CheckCrashedError, Checks
from pipeline.quarantine import harmless
from pipeline.tables import TABLES, arrow_schema

RECORDED = f"{HEAD},recorded_at"
WITH_RECORDED = {"interactions": as_they_are(*RECORDED.split(","))}


def shown(found, table: str, *columns: str) -> list[tuple[object, ...]]:
    """A canonical table's rows, days as dates without the year."""
    rows = found.rows(table, *columns)
    return [
        tuple(str(to_date(cell))[5:] if name in DAYS and cell is not None else cell for name, cell in zip(columns, row, strict=True))
        for row in rows
    ]


DAYS = ("day", "known", "superseded")


# ---- versions -----------------------------------------------------------------------------------------------------------------------


def test_versions_follow_their_recording_and_equal_ones_are_dropped(tmp_path):
    raw = f"""{RECORDED}
i1,c1,2024-01-01 10:00,order,2024-01-05 10:00
i1,c1,2024-01-01 10:00,message,2024-01-03 10:00
i1,c1,2024-01-01 10:00,order,2024-01-09 10:00
i1,c2,2024-01-01 10:00,order,2024-01-07 10:00
i1,c2,2024-01-01 10:00,order,2024-01-08 10:00
i2,c1,2024-01-02 10:00,order,2024-01-02 10:00
i2,c1,2024-01-02 10:00,order,2024-01-02 10:00
i3,c1,2024-01-02 10:00,order,2024-01-04 09:00
i3,c1,2024-01-02 10:00,message,2024-01-04 09:00
i4,c1,2024-01-03 10:00,order,2024-01-01 10:00
i5,c1,2024-01-04 10:00,order,2024-01-05 10:00
i5,c1,2024-01-04 10:00,order,2024-01-07 10:00
i5,c1,2024-01-04 10:00,message,2024-01-06 10:00
"""
    found = raw_run(tmp_path, {"interactions.csv": raw}, files=WITH_RECORDED)
    assert found.code == 0, found.err
    assert shown(found, "interactions", "interaction_id", "client_id", "kind", "day", "known", "superseded") == [
        ("i1", "c1", "message", "01-01", "01-03", "01-05"),
        ("i1", "c1", "order", "01-01", "01-05", "01-07"),
        ("i1", "c1", "order", "01-01", "01-09", None),  # back to what it was is a new version
        ("i2", "c1", "order", "01-02", "01-02", None),
        ("i3", "c1", "order", "01-02", "01-04", "01-04"),  # recorded in the same instant: the later in the file stands
        ("i3", "c1", "message", "01-02", "01-04", None),
        ("i4", "c1", "order", "01-03", "01-01", None),  # a clock that runs ahead; it is seen once both days have passed
        ("i5", "c1", "order", "01-04", "01-05", "01-06"),  # neighbours in the file, not in time: no duplicate
        ("i5", "c1", "message", "01-04", "01-06", "01-07"),
        ("i5", "c1", "order", "01-04", "01-07", None),
        ("i1", "c2", "order", "01-01", "01-07", "01-09"),
    ]
    assert found.account["tables"]["interactions"] == {
        "rows": 13,
        "set_aside": {},
        "quarantined": {},
        "exact_duplicates": 2,
        "superseded_versions": 6,
        "of_these_in_the_same_instant": 1,
        "canonical_rows": 11,
    }
    assert found.account["raw"]["interactions"]["exact_duplicates"] == 2


AGREEMENTS = "agreement_id,client_id,signed_on,starts_on,ends_on,monthly_value,renews"
AGREEMENT_ROWS = (
    f"{AGREEMENTS}\na1,c1,2024-01-10,2024-02-01,2025-01-31,100,yes\na2,c1,2024-01-11,2024-02-01,,,\na3,c1,2024-06-01,2024-07-01,,5,\n"
)


def agreements(tmp_path, **tables):
    files = {"interactions": as_they_are(), "agreements": as_they_are(*AGREEMENTS.split(","), path="agreements.csv")}
    found = raw_run(tmp_path, {"interactions.csv": f"{HEAD}\n", "agreements.csv": AGREEMENT_ROWS}, files=files, tables=tables)
    assert found.code == 0, found.err
    columns = ("agreement_id", "starts_on", "ends_on", "monthly_value", "known", "superseded")
    return [tuple(str(cell) if hasattr(cell, "year") else cell for cell in row) for row in shown(found, "agreements", *columns)]


WITHOUT_HISTORY = [
    ("a1", "2024-02-01", None, None, "01-10", "06-01"),  # until the export: only what cannot change
    ("a1", "2024-02-01", "2025-01-31", 10_000, "06-01", None),
    ("a2", "2024-02-01", None, None, "01-11", None),  # nothing to hide
    ("a3", "2024-07-01", None, 500, "06-01", None),  # signed on the day of the export
]


def test_without_history_what_can_change_is_unknown_before_the_export(tmp_path):
    assert agreements(tmp_path, agreements={"history": "none"}) == WITHOUT_HISTORY


def test_no_history_is_the_default(tmp_path):
    assert agreements(tmp_path) == WITHOUT_HISTORY


def test_a_column_declared_immutable_is_known_from_the_start(tmp_path):
    found = agreements(tmp_path, agreements={"history": "none", "immutable": ["ends_on", "renews"]})
    assert found[:2] == [
        ("a1", "2024-02-01", "2025-01-31", None, "01-10", "06-01"),
        ("a1", "2024-02-01", "2025-01-31", 10_000, "06-01", None),
    ]


def test_with_full_history_a_row_is_what_its_versions_say(tmp_path):
    assert agreements(tmp_path, agreements={"history": "full"})[0] == ("a1", "2024-02-01", "2025-01-31", 10_000, "01-10", None)


# ---- clients ------------------------------------------------------------------------------------------------------------------------

MET = f"{HEAD}\ni1,c1,2024-01-05 10:00,order\ni2,c1,2024-01-03 10:00,order\ni3,c3,2024-02-01 10:00,order\ni4,c4,2024-03-01 10:00,order\n"


def test_clients_are_derived_from_the_interactions(tmp_path):
    found = raw_run(tmp_path, {"interactions.csv": MET})
    assert shown(found, "clients", "client_id", "name", "day", "known", "superseded") == [
        ("c1", None, "01-03", "01-03", None),
        ("c3", None, "02-01", "02-01", None),
        ("c4", None, "03-01", "03-01", None),
    ]


def test_what_a_client_is_today_is_never_dated_back(tmp_path):
    listed = "client_id,segment,country,started_on\nc1,gold,IL,2024-01-10\nc2,gold,IL,2024-01-20\nc3,,IL,\nc9,gold,IL,\n"
    files = {"interactions": as_they_are(), "clients": as_they_are("client_id", "segment", "country", "started_on", path="clients.csv")}
    facts = {"clients": {"history": "none", "immutable": ["country"]}}
    found = raw_run(tmp_path, {"interactions.csv": MET, "clients.csv": listed}, files=files, tables=facts)
    assert shown(found, "clients", "client_id", "segment", "country", "day", "known", "superseded") == [
        ("c1", None, "IL", "01-03", "01-03", "06-01"),  # met before its start
        ("c1", "gold", "IL", "06-01", "06-01", None),
        ("c2", None, "IL", "01-20", "01-20", "06-01"),  # known from its start
        ("c2", "gold", "IL", "06-01", "06-01", None),
        ("c3", None, "IL", "02-01", "02-01", None),  # known from its first interaction, and there is nothing to hide
        ("c4", None, None, "03-01", "03-01", None),  # only the interactions name it
        ("c9", "gold", "IL", "06-01", "06-01", None),  # nobody knows since when
    ]
    assert found.account["tables"]["clients"]["added_from_interactions"] == 1


# ---- the account --------------------------------------------------------------------------------------------------------------------

LINES = {"files": {"lines": {"path": "lines.csv", "columns": {name: name for name in ("no", "client", "happened", "kind")}}}}
ORDER_LINES = """no,client,happened,kind
A,c1,2024-01-01,order
A,c1,2024-01-01,order
B,,2024-01-02,order
C,c2,2024-01-03,wish
C,c2,2024-01-04,wish
D,c1,2024-01-05,note
D,c1
"""
GROUPED = """SELECT list(_row) AS _row, if(bool_and(kind = 'note'), 'internal note', NULL) AS _set_aside, no AS interaction_id,
  max(client) AS client_id, min(happened) AS occurred_at, min(kind) AS kind FROM lines GROUP BY no"""
NAMED = "SELECT _row, if(client = '', 'no client', NULL) AS _set_aside, client AS client_id FROM lines"


def test_every_raw_row_is_in_one_class_and_equal_lines_of_an_order_are_kept(tmp_path):
    found = raw_run(tmp_path, {"lines.csv": ORDER_LINES}, {"interactions": GROUPED}, **LINES)
    assert found.code == 0, found.err
    assert found.account["raw"]["lines"] == {
        "rows_in": 7,
        "used": 2,
        "set_aside": {"internal note": 1},
        "quarantined": {"blank_client_id": 1, "ragged_row": 1, "unknown_kind": 2},
        "exact_duplicates": 0,
    }
    assert [(row["reason"], row["line"], row["happened"]) for row in found.quarantine()] == [
        ("blank_client_id", "4", "2024-01-02"),
        ("unknown_kind", "5", "2024-01-03"),  # both lines of the bad order
        ("unknown_kind", "6", "2024-01-04"),
    ]
    assert [(row["reason"], row["found"], row["line"]) for row in found.quarantine("lines")] == [("ragged_row", "D,c1", "8")]


def test_a_row_used_by_one_table_and_bad_in_another_is_quarantined(tmp_path):
    found = raw_run(tmp_path, {"lines.csv": ORDER_LINES}, {"interactions": GROUPED, "clients": NAMED}, **LINES)
    assert found.account["raw"]["lines"] == {
        "rows_in": 7,
        "used": 3,  # the note names a client; saying a client again is no duplicate
        "set_aside": {},
        "quarantined": {"blank_client_id": 1, "ragged_row": 1, "unknown_kind": 2},
        "exact_duplicates": 0,
    }


def test_a_row_keeps_its_strongest_class():
    def batch(*rows: int | list[int]) -> pa.RecordBatch:
        several = [row if isinstance(row, list) else None for row in rows]
        first = [row[0] if isinstance(row, list) else row for row in rows]
        return pa.RecordBatch.from_arrays([pa.array(first), pa.array(several, pa.list_(pa.int64()))], ["_row", "_rows"])

    rows = RawRows(["a", "b"], {"a": np.array([12, 13, 15]), "b": np.array([22])}, {"a": np.zeros(3, np.int16), "b": np.zeros(1, np.int16)})
    assert rows.mark(batch(12, [13, 15, 22]), np.array([4, 2], np.int16)) is None
    assert rows.mark(batch([12, 13], 15), np.array([3, 1], np.int16)) is None
    assert (rows.codes["a"].tolist(), rows.codes["b"].tolist()) == ([4, 3, 2], [2])
    assert rows.mark(batch(12, 14), np.array([1, 1], np.int16)) == 14
    assert sorted(Rank) == [Rank.UNMENTIONED, Rank.SET_ASIDE, Rank.USED, Rank.DUPLICATE, Rank.QUARANTINED]
    assert LINES_PER_FILE == 10**10


def test_a_formula_is_made_harmless_and_a_number_is_left_alone():
    assert [harmless(text) for text in ("=1+1", "+49 30", "-x", "@a", "\tx", " =x", "＝x", "-5.20", "+7", "דנה", "")] == [
        *("'=1+1", "'+49 30", "'-x", "'@a", "'\tx", "' =x", "'＝x"),
        *("-5.20", "+7", "דנה", ""),
    ]


# ---- files --------------------------------------------------------------------------------------------------------------------------


def test_canonical_files_have_their_schema_are_clustered_by_client_and_do_not_depend_on_the_order_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(expectations, "CHUNK_ROWS", 3)  # several chunks
    rows = [f"i{n:02d},c{n % 3},2024-01-{28 - n:02d} 10:00,{'wish' if n == 7 else 'order'}" for n in range(20)]
    contents = []
    for name, lines in (("one", rows), ("two", rows[::-1])):
        found = raw_run(tmp_path / name, {"interactions.csv": "\n".join([HEAD, *lines, ""])})
        assert found.code == 0, found.err
        path = found.folder / "validate" / "interactions.parquet"
        contents.append(path.read_bytes())
        assert pq.read_schema(path) == arrow_schema(TABLES["interactions"])
        clustered = found.rows("interactions", "client_id", "day", "interaction_id")
        assert clustered == sorted(clustered)
        assert len(clustered) == 19
        assert [row["interaction_id"] for row in found.quarantine()] == ["i07"]
    assert contents[0] == contents[1]


# ---- the checks themselves ------------------------------------------------------------------------------------------------------------


def checked(chunk: pa.Table) -> list[tuple[str, str, list[int]]]:
    checks = Checks(TABLES["endings"], ["ending_id", "client_id", "decided_on", "ended_by"], exported_us=0, exported_day=19_875)
    return [(failure.reason, failure.column, failure.rows.tolist()) for failure in checks.failures(chunk, np.arange(100, 100 + len(chunk)))]


WHOLE = {
    "_problem": pa.array([None, "bad_date_decided_on", None], pa.string()),
    "ending_id": pa.array(["e1", "e2", None], pa.string()),
    "client_id": pa.array(["c1", "c2", "c3"], pa.string()),
    "decided_on": pa.array([19_876, None, 19_877], pa.int32()),
    "ended_by": pa.array(["client", "us", "them"], pa.string()),
}


def test_a_failing_row_is_told_by_its_number():
    assert checked(pa.table(WHOLE)) == [
        ("bad_date_decided_on", "", [101]),
        ("blank_ending_id", "ending_id", [102]),
        ("blank_decided_on", "decided_on", [101]),
        ("future_decided_on", "decided_on", [102]),
        ("unknown_ended_by", "ended_by", [102]),
    ]


def test_a_check_that_crashes_is_no_bad_data():
    with pytest.raises(
        CheckCrashedError, match="the check itself failed, the data may be good: endings: expect_column_values_to_be_between"
    ):
        checked(pa.table(WHOLE | {"decided_on": pa.array(["x", "y", "z"])}))


def test_a_table_of_another_shape_is_a_broken_contract():
    for other in (WHOLE | {"mood": pa.array(["x", "y", "z"])}, {name: values for name, values in WHOLE.items() if name != "client_id"}):
        with pytest.raises(UserError, match="the table fails as a whole"):
            checked(pa.table(other))


# ---- what the account tells ----------------------------------------------------------------------------------------------------------


def test_more_reasons_than_a_thousand_are_all_told(tmp_path):
    rows = "".join(f"i{number},c1,2024-01-01 10:00,order\n" for number in range(1_200))
    sql = "SELECT _row, 'reason ' || interaction_id AS _set_aside, * EXCLUDE (_row) FROM raw"
    sql += " UNION ALL SELECT NULL, NULL, 'i9999', 'c1', '2024-01-02 10:00', 'order' WHERE false"
    found = raw_run(tmp_path, {"interactions.csv": f"{HEAD}\n{rows}"}, {"interactions": sql}, files={"raw": as_they_are()})
    assert found.code == 0, found.err
    told = found.account["raw"]["raw"]["set_aside"]
    assert len(told) == 1_200
    assert set(told.values()) == {1}


def test_an_unknown_value_is_told_with_those_that_are_known_and_many_bad_rows_are_noticed(tmp_path):
    n_good = 17
    actions = [f"a{n},c1,2024-01-{n + 1:02d},refer_out" for n in range(n_good)]
    raw = {"interactions.csv": f"{HEAD}\ni1,c1,2024-01-01 10:00,order\n"}
    files = {"interactions": as_they_are(), "actions": as_they_are("action_id", "client_id", "done_on", "kind", path="actions.csv")}
    told = {}
    for name, bad in (("few", ["b1,c1,2024-02-01,price_talk"]), ("many", ["b1,c1,2024-02-01,price_talk", "b2,,2024-02-01,refer_out"])):
        text = "\n".join(["action_id,client_id,done_on,kind", *actions, *bad, ""])
        found = raw_run(tmp_path / name, raw | {"actions.csv": text}, files=files)
        assert found.code == 0, found.err
        told[name] = found.account["notes"]
        assert "note: 1 rows of actions have an unknown kind" in found.out
    known = (
        "1 rows of actions have an unknown kind: it is one of win_back, keep_and_grow, set_boundaries, reprice, refer_out, wait_and_watch,"
        " part_respectfully, hold_out"
    )
    assert told == {"few": [known], "many": [known, "2 of 19 rows of actions are quarantined: more than bad luck; see the reasons"]}


def test_money_that_nothing_will_count_is_said(tmp_path):
    raw = {
        "interactions.csv": f"{HEAD}\ni1,c1,2024-01-01 10:00,order\n",
        "invoices.csv": (
            "invoice_id,client_id,issued_on,amount,currency\nv1,c1,2024-01-01,10,USD\nv2,c1,2024-01-01,10,ILS\nv3,c1,2024-01-01,10,\n"
        ),
        "payments.csv": "payment_id,invoice_id,paid_on,amount\np1,v1,2024-02-01,10\np2,v9,2024-02-01,10\n",
    }
    files = {
        "interactions": as_they_are(),
        "invoices": as_they_are("invoice_id", "client_id", "issued_on", "amount", "currency", path="invoices.csv"),
        "payments": as_they_are("payment_id", "invoice_id", "paid_on", "amount", path="payments.csv"),
    }
    found = raw_run(tmp_path, raw, files=files)
    assert found.code == 0, found.err
    assert found.account["notes"] == [
        "1 invoices in USD count nothing: bring rates of USD for 2024-01-01 to 2024-01-01 (table rates; one serves 31 days, and what was"
        " entered once it was known)",
        "1 payments of invoices that are not there (or were quarantined) count nothing",
    ]
    assert "note: 1 invoices in USD" in found.out
