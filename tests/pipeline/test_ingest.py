"""Raw files and mappings -> candidate rows: which raw rows each is made of, and which instant, day and amount each text means."""

import pyarrow.parquet as pq
import pytest
from raw_sources import HEAD, as_they_are, raw_run, write_source

from features.errors import UserError
from features.time import to_date
from pipeline.ingest import ingest
from pipeline.source import load_source

LINES = {"files": {"lines": {"path": "lines*.csv", "columns": {"No": "no", "Client": "client", "At": "happened", "Price": "price"}}}}
FIRST = "No,Client,At,Price\nA,c1,2024-01-01 10:00,1.10\nA,c1,2024-01-01 10:00,1.10\nB,,2024-01-02 10:00,2\n"
SECOND = "No,Client,At,Price\nA,c1,2024-01-01 10:05,3\n"
ORDERS = """
SELECT list(_row) AS _row, if(client = '', 'no client', NULL) AS _set_aside, no AS interaction_id, client AS client_id,
  min(happened) AS occurred_at, 'order' AS kind
FROM lines GROUP BY no, client;  -- a closing semicolon does no harm
"""


def candidates(tmp_path, raw, sql=None, table="interactions", **changes):
    """A table's candidate rows as dictionaries."""
    source = load_source(str(write_source(tmp_path, raw, sql, **changes)))
    ingest(source, tmp_path / "ingest")
    return pq.read_table(tmp_path / "ingest" / f"{table}.parquet").to_pylist()


def one(tmp_path, occurred_at: str, **changes):
    """The candidate made of one time as text."""
    raw = {"interactions.csv": f'{HEAD}\ni1,c1,"{occurred_at}",order\n'}
    return candidates(tmp_path, raw, **changes)[0]


def test_a_row_made_of_several_names_them_all_by_file_and_line(tmp_path):
    rows = {
        row["interaction_id"]: row
        for row in candidates(tmp_path, {"lines1.csv": FIRST, "lines2.csv": SECOND}, {"interactions": ORDERS}, **LINES)
    }
    assert rows["A"]["_rows"] == [10_000_000_002, 10_000_000_003, 20_000_000_002]
    assert rows["A"]["_row"] == 10_000_000_002
    assert (rows["B"]["_row"], rows["B"]["_rows"], rows["B"]["_set_aside"]) == (10_000_000_004, None, "no client")


def test_a_raw_row_named_twice_or_out_of_order_is_the_same_set_of_rows(tmp_path):
    twice = ORDERS.replace("list(_row)", "list(_row ORDER BY _row DESC) || list(_row)")
    rows = {row["interaction_id"]: row for row in candidates(tmp_path, {"lines1.csv": FIRST}, {"interactions": twice}, **LINES)}
    assert rows["A"]["_rows"] == [10_000_000_002, 10_000_000_003]
    assert (rows["B"]["_row"], rows["B"]["_rows"]) == (10_000_000_004, None)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-01 10:00", "2024-01-01T08:00:00"),  # Jerusalem winter time
        ("2024-01-01T10:00:00", "2024-01-01T08:00:00"),
        ("2024-07-01 10:00:00.5", "2024-07-01T07:00:00.500000"),  # and summer time
        ("2024-07-01 10:00:00,123456789", "2024-07-01T07:00:00.123456"),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00"),
        ("2024-01-01T10:00:00+05:30", "2024-01-01T04:30:00"),
        ("2024-01-01 10:00-0330", "2024-01-01T13:30:00"),
        ("2024-01-01 10:00 +01", "2024-01-01T09:00:00"),
        ("2024-01-01", "2023-12-31T22:00:00"),
        ("2024-10-27 01:30", "2024-10-26T22:30:00"),  # occurs twice: the first
        ("2024-10-27T01:30+02:00", "2024-10-26T23:30:00"),  # an offset says which
        ("  2024-01-01 10:00 ", "2024-01-01T08:00:00"),
    ],
)
def test_what_instant_a_text_means(tmp_path, text, instant):
    found = one(tmp_path, text, exported_at="2025-01-01T00:00:00")
    assert found["_problem"] is None
    assert str(to_date(found["occurred_at"] // 86_400_000_000)) == instant[:10]
    hours, minutes, seconds = (float(part) for part in instant[11:].split(":"))
    assert found["occurred_at"] % 86_400_000_000 == round((hours * 3_600 + minutes * 60 + seconds) * 1e6)


@pytest.mark.parametrize(
    "text",
    [
        "2024-1-1",
        "20240101",
        "2024-02-30",
        "2024-01-01 10",
        "2024-01-01 25:00",
        "2024-01-01 10:00:61",
        "2024-01-01T10:00+15:00",
        "1704103200",
        "now",
    ],
)
def test_what_is_no_instant(tmp_path, text):
    found = one(tmp_path, text)
    assert (found["_problem"], found["_column"], found["_found"]) == ("bad_date_occurred_at", "occurred_at", text)


def test_the_clocks_are_local_days(tmp_path):
    rows = "i1,c1,2024-01-01T22:30:00Z,order,2024-01-03T21:59:59Z\ni2,c1,2024-01-01T21:30:00Z,order,\n"
    raw = {"interactions.csv": f"{HEAD},recorded_at\n{rows}"}
    late, punctual = candidates(tmp_path, raw, files={"interactions": as_they_are(*HEAD.split(","), "recorded_at")})
    assert (str(to_date(late["day"])), str(to_date(late["known"])), late["local_us"]) == ("2024-01-02", "2024-01-03", 1_800_000_000)
    assert (str(to_date(punctual["day"])), punctual["known"], punctual["recorded_at"]) == (
        "2024-01-01",
        punctual["day"],
        punctual["occurred_at"],
    )


def test_a_day_that_begins_in_a_gap_begins_when_the_gap_ends(tmp_path):
    raw = {"interactions.csv": f"{HEAD}\n", "endings.csv": "ending_id,client_id,decided_on,ended_by\ne1,c1,2023-04-28,client\n"}
    files = {"interactions": as_they_are(), "endings": as_they_are("ending_id", "client_id", "decided_on", "ended_by", path="endings.csv")}
    row = candidates(tmp_path, raw, table="endings", files=files, time_zone="Africa/Cairo")[0]  # clocks went from 00:00 to 01:00
    assert row["recorded_at"] == 1_682_632_800_000_000  # 2023-04-27 22:00 UTC
    assert row["known"] == row["day"] == row["decided_on"] == 19_475


def test_declared_formats_are_read_beside_iso(tmp_path):
    raw = {"interactions.csv": f"{HEAD}\ni1,c1,03/04/2024 10:00,order\ni2,c1,2024-04-03 10:00,order\ni3,c1,31/02/2024 10:00,order\n"}
    first, second, third = candidates(tmp_path, raw, date_formats=["%d/%m/%Y %H:%M", "%d/%m/%Y"])
    assert first["occurred_at"] == second["occurred_at"]
    assert (third["_problem"], third["_found"]) == ("bad_date_occurred_at", "31/02/2024 10:00")


TYPED = """
SELECT _row, no AS invoice_id, client AS client_id, timestamptz '2024-01-01 23:30:00+00' AS issued_on, date '2024-02-01' AS due_on,
  sum(price::decimal(18, 4)) OVER () AS amount, price::double AS list_amount, timestamp '2024-01-01 10:00' AS recorded_at, NULL AS currency
FROM lines
"""


def test_a_mapping_may_give_typed_columns(tmp_path):
    sql = {"interactions": ORDERS, "invoices": TYPED}
    row = candidates(tmp_path, {"lines1.csv": FIRST.replace("1.10", "1.005")}, sql, "invoices", **LINES)[0]
    assert (str(to_date(row["issued_on"])), str(to_date(row["due_on"]))) == ("2024-01-02", "2024-02-01")  # the local day of the instant
    assert (row["amount"], row["list_amount"]) == (401, 101)  # 4.0100, and 1.005 away from zero
    assert row["recorded_at"] == 1_704_096_000_000_000
    assert row["currency"] is None
    assert row["_problem"] is None


@pytest.mark.parametrize(("text", "flag"), [("yes", True), ("TRUE", True), ("1", True), ("No", False), ("f", False), ("", None)])
def test_flags(tmp_path, text, flag):
    columns = ["contact_id", "client_id", "from_on", "is_decision_maker"]
    raw = {"interactions.csv": f"{HEAD}\n", "contacts.csv": f"{','.join(columns)}\np1,c1,2024-01-01,{text}\n"}
    files = {"interactions": as_they_are(), "contacts": as_they_are(*columns, path="contacts.csv")}
    assert candidates(tmp_path, raw, table="contacts", files=files)[0]["is_decision_maker"] is flag


def test_the_same_files_give_the_same_bytes(tmp_path):
    source = load_source(str(write_source(tmp_path, {"lines1.csv": FIRST, "lines2.csv": SECOND}, {"interactions": ORDERS}, **LINES)))
    for name in ("one", "two"):
        ingest(source, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert [str(path) for path in files] == ["files.json", "interactions.parquet", "ragged.parquet", "raw/lines.parquet"]
    assert all((tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes() for path in files)


def test_clients_with_full_history_must_say_when_each_version_was_recorded(tmp_path):
    raw = {"interactions.csv": f"{HEAD}\n", "clients.csv": "client_id,segment\nc1,gold\n"}
    files = {"interactions": as_they_are(), "clients": as_they_are("client_id", "segment", path="clients.csv")}
    with pytest.raises(UserError, match="clients with full history but without recorded_at"):
        candidates(tmp_path, raw, table="clients", files=files, tables={"clients": {"history": "full"}})


def test_rows_set_aside_are_not_judged(tmp_path):
    unsure = "if(client = '', '03/04/2024', min(happened)) AS occurred_at"
    sql = {"interactions": ORDERS.replace("min(happened) AS occurred_at", unsure)}
    found = raw_run(tmp_path, {"lines1.csv": FIRST}, sql, **LINES)
    assert found.code == 0, found.err
    assert found.account["raw"]["lines"] == {
        "rows_in": 3,
        "used": 2,
        "set_aside": {"no client": 1},
        "quarantined": {},
        "exact_duplicates": 0,
    }
