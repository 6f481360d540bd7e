"""Faults as real files have them: each stops the run with its cure, is quarantined with its reason, or is read exactly."""

import gzip
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw_sources import HEAD, as_they_are, raw_run, run_in_processes, write_source

GOOD = "i1,c1,2024-01-01 10:00,order\ni2,c2,2024-01-02 11:00,message\n"
WHOLE = f"{HEAD}\n{GOOD}"
HEBREW = f"{HEAD}\ni1,דנה כהן,2024-01-01 10:00,order\ni2,c2,2024-01-02 11:00,message\n"


def mapped(select: str) -> dict[str, str]:
    return {"interactions": select}


LINES = {"files": {"lines": as_they_are(path="lines.csv")}}
TAKEN = "SELECT _row, interaction_id, client_id, occurred_at, kind FROM lines"


# ---- what stops the run ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        pytest.param("", ["an empty file", "header line", "export it again"], id="empty file"),
        pytest.param(
            WHOLE.replace("kind", "sort"),
            ["interactions.csv, line 1", "missing: kind", "interaction_id, client_id, occurred_at, sort"],
            id="missing column",
        ),
        pytest.param(WHOLE.replace("occurred_at", "client_id"), ["line 1", "missing: occurred_at"], id="renamed into a repeated column"),
        pytest.param(
            f"{HEAD},client_id\ni1,c1,2024-01-01,order,c1\n",
            ["column client_id more than once", "leave the column out"],
            id="repeated column",
        ),
        pytest.param(WHOLE.replace(",", ";"), ["columns separated by ';'", 'declare `delimiter: ";"`'], id="semicolon undeclared"),
        pytest.param(WHOLE.replace(",", "\t"), ["columns separated by '\\t'", 'declare `delimiter: "\\t"`'], id="tab undeclared"),
        pytest.param(
            HEBREW.encode("windows-1255"),
            ["interactions.csv, line 2", "byte 0xE3 at offset 45", "look like Hebrew: declare `encoding: windows-1255`"],
            id="windows-1255 undeclared",
        ),
        pytest.param(
            WHOLE.encode().replace(b"c2", b"c\xff"),
            ["interactions.csv, line 3", "byte 0xFF at offset 75, which is not UTF-8", "declare `encoding:`"],
            id="invalid byte",
        ),
        pytest.param(
            f"{HEAD}\n{GOOD}i3,c1,2024-01-0",
            ["interactions.csv, line 4", "3 of 4 values", "the file is cut short"],
            id="truncated last line",
        ),
        pytest.param(
            f'{HEAD}\ni1,"c1,2024-01-01,order\n{GOOD}', ["interactions.csv, line 2", "a quote that is never closed"], id="unclosed quote"
        ),
        pytest.param(
            f'{HEAD}\n{GOOD}i3,c1,2024-01-03,"ord', ["interactions.csv, line 4", "a quote that is never closed"], id="unclosed last quote"
        ),
        pytest.param(f'{HEAD}\ni1,"c"1,2024-01-01,order\n', ["interactions.csv, line 2", "text after a closing quote"], id="quote inside"),
        pytest.param(WHOLE.replace("c2", "c\0"), ["interactions.csv, line 3", "a NUL character"], id="NUL"),
        pytest.param(
            WHOLE.replace("2024-01-02 11:00", "03/04/2024"),
            ["interactions.csv, line 3", "a date such as 03/04/2024", "which of day and month", 'declare `date_formats: ["%d/%m/%Y"]`'],
            id="ambiguous date",
        ),
        pytest.param(
            WHOLE.replace("order", "purchase").replace("message", "mail"),
            ["all 2 rows of interactions are bad: unknown_kind 2", "line 2"],
            id="all bad",
        ),
        pytest.param(f"{HEAD}\ni1;c1;2024;order\ni2;c2;2024;order\n", ["not one row as wide as the header", "delimiter"], id="all ragged"),
    ],
)
def test_a_file_that_cannot_be_read_exactly_stops_the_run_with_its_cure(tmp_path, raw, words):
    found = raw_run(tmp_path, {"interactions.csv": raw})
    assert found.code == 2
    assert found.err.startswith("error: ")
    for word in [*words, "found:", "wanted:", "cure:"]:
        assert word in found.err
    assert "Traceback" not in found.err
    left = {path.name for path in found.folder.rglob("*")} if found.folder.exists() else set()
    assert "account.json" not in left
    assert not any(name.startswith(".") for name in left)  # nothing half-written


def test_the_command_ends_with_exit_code_2_and_three_lines_on_stderr(tmp_path):
    found = run_in_processes(tmp_path, write_source(tmp_path, {"interactions.csv": HEBREW.encode("windows-1255")}))
    assert found.code == 2
    assert found.out == "source shop\n"
    first, *lines = found.err.splitlines()
    assert first.startswith("error: ")
    assert first.endswith("interactions.csv, line 2")
    assert [line.split(":")[0].strip() for line in lines] == ["found", "wanted", "cure"]
    assert not found.folder.exists() or not list(found.folder.iterdir())


def test_a_gzip_file_cut_short_stops_the_run(tmp_path):
    cut = gzip.compress(WHOLE.encode())[:-9]
    found = raw_run(tmp_path, {"interactions.csv.gz": cut}, files={"interactions": as_they_are(path="interactions.csv.gz")})
    assert found.code == 2
    assert "gzip data that is cut short or damaged" in found.err


def parquet(**columns: list[object]) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.table(columns), written)
    return written.getvalue()


PARQUET = {"files": {"interactions": as_they_are(path="a.parquet", format="parquet")}}
ROWS = {"interaction_id": ["00123", "1e5"], "client_id": ["c1", "c2"], "occurred_at": ["2024-01-01", "2024-01-02"], "kind": ["order"] * 2}


@pytest.mark.parametrize("fault", ["footer", "page"])
def test_a_corrupt_parquet_file_stops_the_run(tmp_path, fault):
    whole = parquet(**ROWS)
    broken = whole[:-20] if fault == "footer" else whole[:4] + bytes(len(whole) // 3) + whole[4 + len(whole) // 3 :]
    found = raw_run(tmp_path, {"a.parquet": broken}, **PARQUET)
    assert found.code == 2
    assert "a.parquet" in found.err
    assert "not readable as Parquet" in found.err
    assert "export or copy it again" in found.err


@pytest.mark.parametrize(
    ("sql", "changes", "words"),
    [
        pytest.param(
            "SELECT _row, interaction_id, client_id, kind FROM lines",
            {},
            ["without occurred_at", "add it to the SELECT"],
            id="required column",
        ),
        pytest.param(TAKEN.replace("kind", "kind, kind AS mood"), {}, ["unknown column mood", "channel"], id="unknown column"),
        pytest.param(TAKEN.replace("_row, ", ""), {}, ["no column _row", "list(_row) where rows are grouped"], id="no _row"),
        pytest.param(TAKEN.replace("_row,", "_row + 1000000 AS _row,"), {}, ["is no raw row", "do not compute it"], id="_row computed"),
        pytest.param(TAKEN.replace("_row,", "_row::double AS _row,"), {}, ["_row of type DOUBLE"], id="_row of another type"),
        pytest.param(TAKEN.replace("kind", "knd"), {}, ['"knd"', "lines (_row, interaction_id"], id="SQL error"),
        pytest.param(
            TAKEN.replace("SELECT", "SELECT CAST(kind AS INT) AS text,"), {}, ["interactions.sql", "order"], id="SQL error at run time"
        ),
        pytest.param(f"{TAKEN}; SELECT 1", {}, ["2 statements"], id="two statements"),
        pytest.param("CREATE TABLE x AS SELECT 1", {}, ["no SELECT"], id="no SELECT"),
        pytest.param(
            f"{TAKEN} WHERE kind = 'order'",
            {},
            ["1 of 2 rows of lines are in no table; first: lines.csv, line 3", "_set_aside"],
            id="rows lost",
        ),
        pytest.param("SELECT * FROM read_csv('/etc/passwd')", {}, ["file system operations are disabled"], id="other files"),
        pytest.param("SELECT * FROM read_csv('lines.csv')", {}, ["file system operations are disabled"], id="own folder's files"),
        pytest.param(TAKEN, {"date_formats": ["%d/%m/%Y", "%Q"]}, ["date_formats: %Q", "%d/%m/%Y"], id="unknown date format"),
        pytest.param(TAKEN, {"numbers": {"decimal": ",", "thousands": ","}}, ["two different signs"], id="number format"),
        pytest.param(TAKEN, {"params": {"time": {"horizn_days": 3}}}, ["time.horizn_days = 3", "horizon_days"], id="unknown parameter"),
        pytest.param(TAKEN, {"exported": "2024-01-01"}, ["exported = '2024-01-01'"], id="unknown key"),
        pytest.param(
            TAKEN, {"files": {"../lines": as_they_are(path="lines.csv")}}, ["files.../lines", "rename the raw table"], id="table name"
        ),
        pytest.param(TAKEN, {"files": {"lines": as_they_are(path="lines.csv", delimiter='"')}}, ["files.lines.delimiter"], id="delimiter"),
        pytest.param(TAKEN, {"files": {"lines": as_they_are(path="none.csv")}}, ["none.csv: no such file"], id="missing file"),
        pytest.param(
            TAKEN,
            {"files": {"lines": as_they_are(path="lines.csv", encoding="windows-1256x")}},
            ["encoding: windows-1256x"],
            id="unknown encoding",
        ),
    ],
)
def test_a_broken_contract_stops_the_run_and_says_where(tmp_path, sql, changes, words):
    found = raw_run(tmp_path, {"lines.csv": WHOLE}, mapped(sql), **(LINES | changes))
    assert found.code == 2
    for word in [*words, "wanted:", "cure:"]:
        assert word in found.err
    assert "Traceback" not in found.err


def test_a_raw_table_that_no_mapping_reads_stops_the_run(tmp_path):
    files = {"lines": as_they_are(path="lines.csv"), "notes": {"path": "notes.csv", "columns": {"Note": "note"}}}
    found = raw_run(tmp_path, {"lines.csv": WHOLE, "notes.csv": "Note\nhello\n"}, mapped(TAKEN), files=files)
    assert found.code == 2
    assert "1 of 1 rows of notes are in no table; first: notes.csv, line 2" in found.err


def test_two_declared_formats_that_contradict_each_other_stop_the_run(tmp_path):
    raw = WHOLE.replace("2024-01-02 11:00", "03/04/2024")
    found = raw_run(tmp_path, {"interactions.csv": raw}, date_formats=["%d/%m/%Y", "%m/%d/%Y"])
    assert found.code == 2
    assert "interactions.csv, line 3" in found.err
    assert "leave one of the contradicting formats" in found.err


# ---- what is read exactly ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "changes", "said"),
    [
        pytest.param(b"\xef\xbb\xbf" + WHOLE.encode(), {}, "", id="BOM"),
        pytest.param(WHOLE.encode("utf-16"), {}, "", id="UTF-16 by its mark"),
        pytest.param(WHOLE.replace("\n", "\r\n"), {}, "", id="CRLF"),
        pytest.param(WHOLE.replace("\n", "\r"), {}, "", id="CR"),
        pytest.param(WHOLE.replace("\n", "\n\n"), {}, "3 blank lines", id="blank lines"),
        pytest.param(WHOLE.removesuffix("\n"), {}, "line 3, the last, has no line end", id="no last line end"),
        pytest.param(
            f"x,{HEAD},x\n" + GOOD.replace("i", "1,i").replace("\n", ",9\n"), {}, "columns not read: x, x", id="extra and repeated columns"
        ),
        pytest.param(
            "kind,occurred_at,client_id,interaction_id\norder,2024-01-01 10:00,c1,i1\nmessage,2024-01-02 11:00,c2,i2\n",
            {},
            "",
            id="permuted columns",
        ),
        pytest.param(WHOLE.replace(",", ";"), {"files": {"interactions": as_they_are(delimiter=";")}}, "", id="semicolon"),
        pytest.param(WHOLE.replace(",", "\t"), {"files": {"interactions": as_they_are(delimiter="\t")}}, "", id="tab"),
        pytest.param(gzip.compress(WHOLE.encode()), {}, "", id="gzip by its mark"),
    ],
)
def test_the_same_rows_come_out_of_every_way_to_write_them(tmp_path, raw, changes, said):
    found = raw_run(tmp_path, {"interactions.csv": raw}, **changes)
    assert found.code == 0, found.err
    assert [
        (*row[:2], row[2].isoformat(), row[3]) for row in found.rows("interactions", "interaction_id", "client_id", "occurred_at", "kind")
    ] == [
        ("i1", "c1", "2024-01-01T08:00:00+00:00", "order"),
        ("i2", "c2", "2024-01-02T09:00:00+00:00", "message"),
    ]
    assert said in found.out


def test_windows_1255_is_exact_where_it_is_declared(tmp_path):
    found = raw_run(
        tmp_path, {"interactions.csv": HEBREW.encode("windows-1255")}, files={"interactions": as_they_are(encoding="windows-1255")}
    )
    assert found.rows("interactions", "client_id") == [("c2",), ("דנה כהן",)]


def test_a_header_alone_is_no_rows(tmp_path):
    found = raw_run(tmp_path, {"interactions.csv": f"{HEAD}\n"})
    assert found.code == 0
    assert found.rows("interactions", "interaction_id") == found.rows("clients", "client_id") == []


STRANGE = [
    "00123",
    "1e5",
    "NA",
    "null",
    "TRUE",
    "-7",
    "=1+1",
    "a,b",
    'say "so"',
    "דנה",
    "two\nlines",
    " padded ",
    "it's",
    "'); DROP TABLE lines; --",
]


def test_ids_stay_as_they_are_written(tmp_path):
    quoted = ['"' + name.replace('"', '""') + '"' for name in STRANGE]
    raw = f"{HEAD}\n" + "".join(f"{name},{name},2024-01-01,order\n" for name in quoted)
    found = raw_run(tmp_path, {"interactions.csv": raw})
    assert found.code == 0, found.err
    assert found.ids() == sorted(STRANGE)
    assert sorted(row[0] for row in found.rows("clients", "client_id")) == sorted(STRANGE)


def test_a_parquet_file_keeps_its_types_and_its_texts(tmp_path):
    rows = ROWS | {"occurred_at": pa.array([1704096000, 1704182400], pa.timestamp("s"))}
    found = raw_run(tmp_path, {"a.parquet": parquet(**rows)}, **PARQUET)
    assert found.ids() == ["00123", "1e5"]
    assert [row[0].isoformat() for row in found.rows("interactions", "occurred_at")] == [
        "2024-01-01T06:00:00+00:00",
        "2024-01-02T06:00:00+00:00",
    ]


# ---- what is quarantined ------------------------------------------------------------------------------------------------------------

BAD_ROWS = """\
interaction_id,client_id,occurred_at,kind,duration_minutes,tone,recorded_at
good,c1,2024-01-01 10:00,order,30,0.5,
i02,,2024-01-01 10:00,order,,,
i03,"   ",2024-01-01 10:00,order,,,
,c1,2024-01-01 10:00,order,,,
i05,c1,,order,,,
i06,c1,2024-02-30 10:00,order,,,
i07,c1,soon,order,,,
i08,c1,0001-01-01,order,,,
i09,c1,9999-12-31,order,,,
i10,c1,1704103200,order,,,
i11,c1,2024-06-02 12:00:01,order,,,
i12,c1,2024-03-29 02:30,order,,,
i13,c1,2024-01-01 10:00,purchase,,,
i14,c1,2024-01-01 10:00,,,,
i15,c1,2024-01-01 10:00,order,-5,,
i16,c1,2024-01-01 10:00,order,ten,,
i17,c1,2024-01-01 10:00,order,2.5,,
i18,c1,2024-01-01 10:00,order,,NaN,
i19,c1,2024-01-01 10:00,order,,inf,
i20,c1,2024-01-01 10:00,order,,1.01,
i21,c1,2024-01-01 10:00,order,,,2024-07-01
i22,c1,2024-01-01 10:00,order
=2+3,c1,2024-01-01 10:00,order,@SUM(A1),,
i24,c1,2024-01-01 10:00,order,,,,,
i25,c1,2024-01-01 25:00,order,,,
"""
REASONS = {
    3: "blank_client_id",
    4: "blank_client_id",
    5: "blank_interaction_id",
    6: "blank_occurred_at",
    7: "bad_date_occurred_at",
    8: "bad_date_occurred_at",
    9: "out_of_range_occurred_at",
    10: "out_of_range_occurred_at",
    11: "bad_date_occurred_at",
    12: "future_occurred_at",
    13: "nonexistent_local_time",
    14: "unknown_kind",
    15: "blank_kind",
    16: "out_of_range_duration_minutes",
    17: "bad_duration_minutes",
    18: "bad_duration_minutes",
    19: "bad_tone",
    20: "bad_tone",
    21: "out_of_range_tone",
    22: "future_recorded_at",
    23: "ragged_row",
    24: "bad_duration_minutes",
    25: "ragged_row",
    26: "bad_date_occurred_at",
}


def test_each_bad_row_is_quarantined_with_its_reason_file_and_line(tmp_path):
    columns = BAD_ROWS.splitlines()[0].split(",")
    folder = write_source(tmp_path, {"interactions.csv": BAD_ROWS}, files={"interactions": as_they_are(*columns)})
    found = run_in_processes(tmp_path, folder)
    assert found.code == 0, found.err
    assert found.ids() == ["good"]
    assert {int(row["line"]): row["reason"] for row in found.quarantine()} == REASONS
    assert {row["file"] for row in found.quarantine()} == {"interactions.csv"}
    by_line = {int(row["line"]): row for row in found.quarantine()}
    assert by_line[7] | {} == {
        "reason": "bad_date_occurred_at",
        "column": "occurred_at",
        "found": "2024-02-30 10:00",
        "file": "interactions.csv",
        "line": "7",
        "interaction_id": "i06",
        "client_id": "c1",
        "occurred_at": "2024-02-30 10:00",
        "kind": "order",
        "duration_minutes": "",
        "tone": "",
        "recorded_at": "",
    }
    assert by_line[23]["found"] == "i22,c1,2024-01-01 10:00,order"
    assert (by_line[24]["interaction_id"], by_line[24]["found"]) == ("'=2+3", "'@SUM(A1)")  # no formula for a spreadsheet
    assert by_line[16]["found"] == "-5"  # a plain number stays one
    raw = found.account["raw"]["interactions"]
    assert (raw["rows_in"], raw["used"], sum(raw["quarantined"].values())) == (25, 1, 24)
    assert "quarantined 4: bad_date_occurred_at" in found.out


AMOUNTS = """\
invoice_id,client_id,issued_on,amount
a,c1,2024-01-01,1234.5
b,c1,2024-01-01,-12.30
c,c1,2024-01-01,0.1
d,c1,2024-01-01,12.345
e,c1,2024-01-01,.5
f,c1,2024-01-01,NaN
g,c1,2024-01-01,inf
h,c1,2024-01-01,"1,234.50"
i,c1,2024-01-01,1e3
j,c1,2024-01-01,₪12
k,c1,2024-01-01,99999999999999999999
l,c1,2024-01-01,
m,c1,2024-01-01,12 000
n,c1,2024-01-01,"1.234,50"
"""
INVOICES = {"interactions": as_they_are(), "invoices": as_they_are("invoice_id", "client_id", "issued_on", "amount", path="invoices.csv")}


def test_amounts_are_exact_hundredths_or_quarantined(tmp_path):
    found = raw_run(tmp_path, {"interactions.csv": WHOLE, "invoices.csv": AMOUNTS}, files=INVOICES)
    assert found.rows("invoices", "invoice_id", "amount") == [("a", 123450), ("b", -1230), ("c", 10), ("d", 1235), ("e", 50)]
    assert {row["invoice_id"]: row["reason"] for row in found.quarantine("invoices")} == {
        **dict.fromkeys("fghijkmn", "bad_amount"),
        "l": "blank_amount",
    }
    assert "1 amounts with more than two decimals" in found.out


@pytest.mark.parametrize(
    ("numbers", "amounts", "kept"),
    [
        ({"thousands": ","}, ['"1,234,567.50"', '"1,23"', '"12,345"', "7"], {"a": 123456750, "c": 1234500, "d": 700}),
        ({"decimal": ",", "thousands": "."}, ['"1.234,50"', "12.5", '"0,5"', "1.234"], {"a": 123450, "c": 50, "d": 123400}),
        ({"decimal": ",", "thousands": " "}, ['"12 345,6"', '"12\u00a0345,6"', "1.5", '"1,5"'], {"a": 1234560, "b": 1234560, "d": 150}),
    ],
)
def test_thousands_are_read_where_they_are_declared(tmp_path, numbers, amounts, kept):
    rows = "".join(f"{key},c1,2024-01-01,{amount}\n" for key, amount in zip("abcd", amounts, strict=True))
    raw = {"interactions.csv": WHOLE, "invoices.csv": f"invoice_id,client_id,issued_on,amount\n{rows}"}
    found = raw_run(tmp_path, raw, files=INVOICES, numbers=numbers)
    assert dict(found.rows("invoices", "invoice_id", "amount")) == kept


def test_a_stop_leaves_the_former_output_as_it_was(tmp_path):
    assert raw_run(tmp_path, {"interactions.csv": WHOLE}).code == 0
    found = raw_run(tmp_path, {"interactions.csv": WHOLE.replace("c2", "c\0")})
    assert found.code == 2
    assert found.ids() == ["i1", "i2"]
    assert sorted(path.name for path in found.folder.iterdir()) == ["ingest", "validate"]
