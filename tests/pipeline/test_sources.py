"""The mappings under data/sources: drawn raw rows become the rows we want; the real files give the counts that are known of them."""

import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from benchmarks.strong_baseline import Question, population, silent

from features.time import to_day
from pipeline.ingest import ingest
from pipeline.source import load_source
from pipeline.validate import validate

PROJECT = Path(__file__).parents[2]
SOURCES = PROJECT / "data" / "sources"


def mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, drawn: str) -> dict[str, pd.DataFrame]:
    """The candidate rows per table that a source's mapping makes of drawn raw rows (columns apart by |, header first)."""
    folder = tmp_path / name
    shutil.copytree(SOURCES / name, folder)
    rows = [[cell.strip() for cell in line.split("|")] for line in drawn.strip().splitlines()]
    pd.DataFrame(rows[1:], columns=rows[0]).to_csv(folder / "raw.csv", index=False)
    text = (folder / "source.yaml").read_text(encoding="utf-8")
    path = next(line for line in text.splitlines() if line.strip().startswith("path:"))
    (folder / "source.yaml").write_text(text.replace(path, "    path: raw.csv"), encoding="utf-8")
    monkeypatch.chdir(PROJECT)
    ingest(load_source(str(folder)), tmp_path / "ingest")
    return {path.stem: pq.read_table(path).to_pandas() for path in (tmp_path / "ingest").glob("*.parquet")}


def drawn(found: pd.DataFrame, columns: str) -> list[tuple[object, ...]]:
    chosen = found.astype(object).where(found.notna(), None)
    return [tuple(row) for row in chosen[columns.split()].itertuples(index=False)]


# ---- wholesaler -----------------------------------------------------------------------------------------------------------------

ORDER_LINES = """
InvoiceNo | StockCode | Description | Quantity | InvoiceDate         | UnitPrice | CustomerID | Country
536365    | 85123A    | HOLDER      | 6        | 2011-06-01 08:26:00 | 2.55      | 17850.0    | United Kingdom
536365    | 85123A    | HOLDER      | 6        | 2011-06-01 08:27:00 | 2.55      | 17850.0    | United Kingdom
536366    | 22423     | CAKESTAND   | 3        | 2011-06-02 09:00:00 | 0.333     | 17850.0    | France
C536367   | 85123A    | HOLDER      | -6       | 2011-06-03 10:00:00 | 2.55      | 17850.0    | United Kingdom
C536368   | D         | Discount    | -1       | 2011-06-04 11:00:00 | 27.50     | 00012.0    | France
536369    | POST      | POSTAGE     | 1        | 2011-06-05 12:00:00 | 18.00     | 00012.0    | France
536370    | 85123A    | HOLDER      | 6        | 2011-06-06 13:00:00 | 2.55      |            | United Kingdom
536371    | 85123A    | HOLDER      | six      | 2011-06-07 14:00:00 | 2.55      | 00012.0    | France
"""


def test_order_lines_become_one_interaction_per_invoice(tmp_path, monkeypatch):
    found = mapped(tmp_path, monkeypatch, "wholesaler", ORDER_LINES)["interactions"].sort_values("interaction_id")
    assert drawn(found, "interaction_id client_id kind direction _set_aside") == [
        ("536365", "17850", "order", "inbound", None),
        ("536366", "17850", "order", "inbound", None),
        ("536369", "00012", "order", "inbound", None),
        ("536370", None, "order", "inbound", "no CustomerID: cannot be told whose order it is"),
        ("536371", "00012", "order", "inbound", None),
        ("C536367", "17850", "return", "inbound", None),
        ("C536368", "00012", "cancellation", "inbound", None),
    ]
    first = found.iloc[0]
    assert len(first["_rows"]) == 2  # equal lines are two lines
    assert first["occurred_at"] == 1_306_913_160_000_000  # 08:26 in London's summer is 07:26 UTC


def test_an_invoice_amounts_to_the_exact_sum_of_its_lines_in_pence(tmp_path, monkeypatch):
    found = mapped(tmp_path, monkeypatch, "wholesaler", ORDER_LINES)["invoices"].sort_values("invoice_id")
    assert drawn(found, "invoice_id amount currency") == [
        ("536365", 3_060, "GBP"),
        ("536366", 100, "GBP"),  # 3 × 0.333 = 0.999
        ("536369", 1_800, "GBP"),
        ("536371", None, "GBP"),  # "six": left to quarantine, not summed around
        ("C536367", -1_530, "GBP"),
        ("C536368", -2_750, "GBP"),
    ]


def test_a_wholesale_client_is_known_from_its_first_line_on(tmp_path, monkeypatch):
    found = mapped(tmp_path, monkeypatch, "wholesaler", ORDER_LINES)["clients"].sort_values("client_id")
    days = [to_day(date(2011, 6, 4)), to_day(date(2011, 6, 1))]
    assert drawn(found, "client_id country started_on known") == [
        ("00012", "France", days[0], days[0]),
        ("17850", "United Kingdom", days[1], days[1]),
    ]


# ---- helpdesk -------------------------------------------------------------------------------------------------------------------

TICKET_EVENTS = """
Case ID | Activity              | Resource | Complete Timestamp      | customer | product | seriousness_2 | service_level
Case 1  | Assign seriousness    | Value 1  | 2012/03/01 09:00:00.000 | Value 7  | Value 1 | Value 1       | Value 2
Case 1  | Take in charge ticket | Value 1  | 2012/03/01 09:05:00.000 | Value 7  | Value 1 | Value 1       | Value 2
Case 1  | Take in charge ticket | Value 1  | 2012/03/01 09:05:00.000 | Value 7  | Value 1 | Value 1       | Value 2
Case 1  | Wait                  | Value 1  | 2012/03/02 10:00:00.000 | Value 7  | Value 1 | Value 1       | Value 2
Case 1  | Resolve ticket        | Value 1  | 2012/03/03 10:00:00.000 | Value 7  | Value 1 | Value 1       | Value 2
Case 1  | Take in charge ticket | Value 2  | 2012/03/05 10:00:00.000 | Value 7  | Value 1 | Value 1       | Value 2
Case 1  | Require upgrade       | Value 2  | 2012/03/06 10:00:00.000 | Value 8  | Value 1 | Value 1       | Value 2
Case 1  | Take in charge ticket | Value 2  | 2012/03/07 10:00:00.000 | Value 8  | Value 1 | Value 4       | Value 2
Case 1  | Resolve ticket        | Value 2  | 2012/03/08 10:00:00.000 | Value 8  | Value 1 | Value 4       | Value 2
Case 1  | Closed                | Value 3  | 2012/04/01 10:00:00.000 | Value 8  | Value 1 | Value 4       | Value 2
Case 2  | Insert ticket         | Value 1  | 2012/03/04 08:00:00.000 | Value 8  | Value 1 | Value 3       | Value 2
Case 3  | Assign seriousness    | Value 1  | 2012/03/05 08:00:00.000 | Value 8  | Value 1 | Value 4       | Value 2
"""


def test_ticket_events_become_openings_answers_and_escalations(tmp_path, monkeypatch):
    found = mapped(tmp_path, monkeypatch, "helpdesk", TICKET_EVENTS)["interactions"].sort_values("_row")
    assert drawn(found[found["_set_aside"].isna()], "interaction_id client_id kind direction reply_to") == [
        ("Case 1 / 1", "Value 7", "message", "inbound", None),  # opened
        ("Case 1 / 3", "Value 7", "message", "outbound", None),  # we wait for the client
        ("Case 1 / 4", "Value 7", "message", "outbound", "Case 1 / 1"),  # resolved
        ("Case 1 / 5", "Value 7", "escalation", "inbound", None),  # taken up again
        ("Case 1 / 6", "Value 8", "escalation", "outbound", None),  # an upgrade; now another customer's
        ("Case 1 / 7", "Value 8", "escalation", "inbound", None),  # raised to the highest seriousness
        ("Case 1 / 8", "Value 8", "message", "outbound", "Case 1 / 1"),
        ("Case 2 / 1", "Value 8", "message", "inbound", None),
        ("Case 3 / 1", "Value 8", "complaint", "inbound", None),  # opened at the highest seriousness
    ]
    assert found["_set_aside"].value_counts().to_dict() == {
        "a step of our own work on a ticket: no contact with the client": 2,
        "the same event exported twice": 1,
    }


def test_a_tickets_waiting_time_runs_from_opening_to_the_last_resolution(tmp_path, monkeypatch):
    found = mapped(tmp_path, monkeypatch, "helpdesk", TICKET_EVENTS)["commitments"].sort_values("commitment_id")
    march = to_day(date(2012, 3, 1))
    assert drawn(found, "commitment_id client_id owed_by promised_on done_on") == [
        ("Case 1", "Value 7", "us", march, march + 7),
        ("Case 2", "Value 8", "us", march + 3, None),
        ("Case 3", "Value 8", "us", march + 4, None),
    ]


# ---- the real files -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    """name -> the validated folder and the account of a real source; skips where its files are absent."""
    done = {}

    def run(name: str):
        if name not in done:
            source = load_source(str(SOURCES / name))
            absent = [raw.path for raw in source.spec.files.values() if not (source.folder / raw.path).exists()]
            if absent:
                pytest.skip(f"{absent[0]} absent")
            out = tmp_path_factory.mktemp(name)
            ingest(source, out / "ingest")
            done[name] = (out / "validate", validate(source, out / "ingest", out / "validate"))
        return done[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        yield run


def table(folder: Path, name: str) -> pd.DataFrame:
    return pq.read_table(folder / f"{name}.parquet").to_pandas()


def test_the_wholesalers_book_comes_out_as_published(validated):
    folder, _ = validated("wholesaler")
    interactions, invoices, clients = (table(folder, name) for name in ("interactions", "invoices", "clients"))
    assert interactions["kind"].value_counts().to_dict() == {"order": 18_536, "return": 3_383, "cancellation": 271}
    assert len(clients) == 4_372
    assert int(invoices["amount"].sum()) == 830_006_581  # 8,300,065.81: Quantity × UnitPrice over all lines with a CustomerID
    assert not [client for client in clients["client_id"] if "." in client]


def test_every_order_line_and_ticket_event_is_accounted_for(validated):
    assert validated("wholesaler")[1]["raw"]["order_lines"] == {
        "rows_in": 541_909,
        "used": 406_829,
        "set_aside": {"no CustomerID: cannot be told whose order it is": 135_080},
        "quarantined": {},
        "exact_duplicates": 0,
    }
    events = validated("helpdesk")[1]["raw"]["ticket_events"]
    assert events["rows_in"] == events["used"] == 21_348  # each is part of a ticket's waiting time


@pytest.mark.parametrize(
    ("name", "qualifying", "question", "n_clients", "n_silent"),
    [
        ("wholesaler", {"kind": ["order"]}, Question(to_day(date(2011, 9, 10)), 160, 90), 2_603, 954),
        (
            "helpdesk",
            {"kind": ["message", "complaint"], "direction": ["inbound"]},
            Question(to_day(date(2012, 12, 1)), 365, 180),
            244,
            131,
        ),
    ],
)
def test_the_populations_of_the_published_figures_are_met_exactly(validated, name, qualifying, question, n_clients, n_silent):
    contacts = table(validated(name)[0], "interactions")
    assert load_source(str(SOURCES / name)).spec.qualifying == qualifying
    for column, values in qualifying.items():
        contacts = contacts[contacts[column].isin(values)]
    clients = population(contacts, question.as_of, question.history_days)
    assert (len(clients), int(silent(contacts, clients, question.as_of, question.horizon_days).sum())) == (n_clients, n_silent)


def test_help_desk_tickets_are_each_opened_once(validated):
    folder, _ = validated("helpdesk")
    interactions = table(folder, "interactions")
    opened = interactions[(interactions["direction"] == "inbound") & interactions["kind"].isin(["message", "complaint"])]
    assert len(opened) == 4_580
    assert (opened["kind"] == "complaint").sum() == 203
    assert (interactions["kind"] == "escalation").sum() == 283
    assert len(table(folder, "clients")) == 397


def test_help_desk_outcomes_end_before_openings_thin_out(monkeypatch):
    monkeypatch.chdir(PROJECT)
    settings = load_source("helpdesk").settings
    last = max(settings.time.as_ofs)
    assert to_day(last) + settings.time.gap_days + settings.time.horizon_days <= to_day(date(2013, 6, 30))


def test_every_committed_source_reads_and_names_its_tables(monkeypatch):
    monkeypatch.chdir(PROJECT)
    assert {path.parent.name: sorted(load_source(path.parent.name).sql) for path in SOURCES.glob("*/source.yaml")} == {
        "helpdesk": ["clients", "commitments", "interactions"],
        "simulated": [
            *(
                "actions",
                "agreements",
                "clients",
                "commitments",
                "contacts",
                "endings",
                "industry_index",
                "interactions",
                "invoices",
                "payments",
            ),
            *("reviews", "services", "surveys", "ties", "work"),
        ],
        "wholesaler": ["clients", "interactions", "invoices"],
    }
