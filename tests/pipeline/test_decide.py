"""A small firm drawn in text -> its decisions and their files: what the evidence is made of, what is written, and poor data."""

import json
from datetime import date

import pyarrow.parquet as pq
import pytest
import yaml
from histories import AS_OF, history
from raw_sources import HEAD, as_they_are, raw_run
from small_business import PROJECT
from small_firm import CLIENTS, MONEY, PAPERS, by_client, champions, contacts, decided, firm, write_decisions

from features.engine import measure
from features.measures import every_row, state
from pipeline import decide
from pipeline.judge import look, seen
from pipeline.known import rows_at
from pipeline.source import SOURCES
from pipeline.tables import read_json

ALL = dict(MONEY | PAPERS)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return firm(tmp_path_factory.mktemp("firm"))


@pytest.fixture(scope="module")
def rows(source):
    return by_client(decided(source))


def given(tmp_path, *tables: str, **drawn: str):
    """The firm with its contacts, these of its other tables, and more drawn here."""
    return firm(tmp_path, {"interactions": contacts()} | {name: ALL[name] for name in tables} | drawn)


def test_each_client_gets_its_quadrant_and_action(rows):
    assert {client: (row["quadrant"], row["action"]) for client, row in rows.items()} == {
        "calm": ("stay", "wait_and_watch"),
        "leaver": ("leaving", "win_back"),
        "tough": ("misfit", "reprice"),
    }


def test_the_evidence_is_that_of_the_tables_as_they_were_known(rows):
    tough, leaver, calm = (rows[client]["evidence"] for client in ("tough", "leaver", "calm"))
    assert (tough["open_balance"], tough["overdue_balance"], tough["unbilled_minutes"]) == (200_000, 200_000, 120)
    assert (tough["their_open"], tough["their_overdue"], tough["our_open"], leaver["our_open"]) == (1, 1, 0, 1)
    assert (calm["delay_share_ours"], tough["delay_share_ours"], leaver["delay_share_ours"]) == (0, 0, 1)
    assert (tough["notice_days"], tough["all_ended_on"]) == (90, "2024-09-29")
    assert tough["agreements"] == [
        {
            "service": "s2",
            "notice_days": 90,
            "renews": True,
            "ends_on": "2024-09-29",
            "notice_by": "2024-07-01",  # today
            "notice_by_in_days": 0,
            "can_end_in_days": 90,
        }
    ]
    assert (tough["account_owner"], tough["other_services"], calm["other_services"]) == ("avi", ["Advice", "Audits"], ["Audits"])
    assert [(each["reviewer"], each["verdict"]) for each in tough["opinions"]] == [("avi", "misfit"), ("dana", "misfit")]  # her newest
    assert [(tie["client_id"], tie["kind"], tie["contribution"]) for tie in tough["ties"]] == [("calm", "referral", 660_000)]
    assert tough["misfit"]["seen"] == [0.4, 0.4, 0.4]
    assert leaver["churn"]["seen"] == [0.05, 0.4, 0.4]  # one complaint by May, three by June


def test_a_client_is_grown_where_that_is_worth_its_hours(tmp_path):
    source = firm(tmp_path, ALL | {"interactions": contacts()}, decide={"grow_share": 1.0})
    calm = by_client(decided(source))["calm"]
    assert (calm["action"], calm["because"]["code"]) == ("keep_and_grow", "grow")
    hour_cost, year = decided(source).economics.portfolio["hour"]["cost"], calm["evidence"]
    assert year["growth"][-1] == pytest.approx(year["contribution"] / (12 * hour_cost), rel=0.05)
    assert len(year["growth"]) == len(year["margins"]) == 3


def test_where_no_margin_is_known_only_who_brings_no_less_than_the_median_client_is_grown(tmp_path):
    source = firm(tmp_path, {name: MONEY[name] for name in ("invoices", "payments")} | {"interactions": contacts()})
    evidence = {client: row["evidence"] for client, row in by_client(decided(source)).items()}
    assert all(len(own["growth"]) == 3 and own["margins"] == [None] * 3 for own in evidence.values())
    by_revenue = sorted(evidence.values(), key=lambda own: own["revenue"])
    assert by_revenue[1]["growth"][-1] == 1
    assert by_revenue[2]["growth"][-1] == pytest.approx(by_revenue[2]["revenue"] / by_revenue[1]["revenue"])


def test_hours_without_a_cost_are_valued_by_the_knob_for_what_has_held(tmp_path):
    head, *lines = MONEY["work"].splitlines()
    place = head.split().index("cost")
    costless = "\n".join([head, *(" ".join("-" if at == place else cell for at, cell in enumerate(line.split())) for line in lines)])
    source = firm(tmp_path, ALL | {"interactions": contacts(), "work": costless}, economics={"hourly_cost": 50})
    evidence = by_client(decided(source))["tough"]["evidence"]
    assert all(margin is not None for margin in evidence["margins"])
    assert evidence["margins"][-1] == pytest.approx(evidence["margin"], abs=0.05)


def test_what_fell_due_too_long_ago_is_forgotten_and_blames_nobody(tmp_path):
    drawing = """
        client id owed_by kind ago due_ago done_ago cancelled_ago
        calm p1 us deliverable 400 366 - -
        calm p2 us deliverable 400 365 - -
        calm p3 client task 400 180 90 -
        calm p4 client task 400 190 181 -
        calm p5 us task 400 50 - 40
        leaver p6 us deliverable 900 800 - -
        leaver p7 client task 900 800 - -
        tough p8 us deliverable 900 800 10 -
    """
    rows = by_client(decided(given(tmp_path, commitments=drawing)))
    calm, leaver, tough = (rows[client]["evidence"] for client in ("calm", "leaver", "tough"))
    assert (calm["our_open"], calm["our_overdue"], calm["our_forgotten"]) == (2, 1, 1)
    assert calm["delay_share_ours"] == pytest.approx(180 / (180 + 90))  # of the 180 days: p2 all of them, p3 until it was done
    assert (leaver["our_open"], leaver["our_overdue"], leaver["our_forgotten"], leaver["their_forgotten"]) == (1, 0, 1, 1)
    assert (leaver["delay_share_ours"], tough["delay_share_ours"]) == (0, 1)


def test_where_promises_are_fresh_the_blame_is_the_signals_own(source, rows):
    looked = seen(champions("churn", "misfit"), look(source, [AS_OF])).set_index("client_id")["delay_share_ours_180"].fillna(0)
    assert {client: row["evidence"]["delay_share_ours"] for client, row in rows.items()} == looked.to_dict()


def test_each_agreement_has_its_own_last_day_and_one_that_renews_too_soon_has_no_known_end(tmp_path):
    drawing = """
        client service ago ends_ago renews notice_days
        calm s1 400 -60 no 90
        calm s3 400 -10 yes 10
        leaver s1 400 -60 yes 61
        leaver s2 400 - yes 30
        tough s1 400 - yes 30
        tough s2 400 -60 yes -
    """
    rows = by_client(decided(given(tmp_path, "clients", agreements=drawing)))
    found = {
        client: [(a["notice_by_in_days"], a["can_end_in_days"]) for a in row["evidence"]["agreements"]] for client, row in rows.items()
    }
    assert found == {"calm": [(-30, 60), (0, 10)], "leaver": [(-1, None), (None, 30)], "tough": [(None, 30), (None, None)]}
    assert [rows[client]["evidence"]["all_ended_on"] for client in CLIENTS] == ["2024-08-30", None, None]
    assert "is already past" not in json.dumps(rows["calm"])


def test_what_tied_clients_bring_is_theirs_in_all_and_what_staff_costs_idle_is_told(rows):
    calm, tough = rows["calm"]["evidence"], rows["tough"]["evidence"]
    assert (tough["tied_contribution"], calm["tied_contribution"]) == (calm["contribution"], tough["contribution"])
    assert rows["leaver"]["evidence"]["tied_contribution"] == 0
    assert tough["what_if"]["idle_cost"] > 0


def test_a_new_client_brings_revenue_and_contribution_at_the_pace_of_its_days(tmp_path):
    def since(drawing: str, place: int) -> str:
        head, *lines = drawing.splitlines()
        return "\n".join([head, *(line for line in lines if int(line.split()[place]) <= 200)])

    recent = {"interactions": since(contacts(), 1), "invoices": since(MONEY["invoices"], 2), "work": since(MONEY["work"], 1)}
    calm = by_client(decided(firm(tmp_path, recent)))["calm"]["evidence"]
    assert 180 < calm["tenure_days"] < 201
    for name in ("revenue", "contribution"):
        assert calm[f"{name}_a_day"] == pytest.approx(calm[name] / calm["tenure_days"])


def test_what_comes_to_be_known_later_changes_nothing(tmp_path, rows):
    late = "tough r9 -5 eva keep"
    later = PAPERS["reviews"] + "\n" + late
    payment = MONEY["payments"] + "\ntough-75 -3 1000"
    again = by_client(decided(firm(tmp_path, ALL | {"interactions": contacts(), "reviews": later, "payments": payment})))
    assert json.dumps(again) == json.dumps(rows)


@pytest.mark.parametrize(
    ("actions", "action"),
    [
        ("tough reprice 30 -", "wait_and_watch"),
        ("tough set_boundaries 30 agreed", "reprice"),  # at a loss: its price need not wait for the talk to work
        ("tough reprice 120 agreed", "set_boundaries"),
        ("tough reprice 10 Refused", "set_boundaries"),
        ("tough set_boundaries 120 -\ntough reprice 100 -", "refer_out"),
        ("tough reprice -1 -", "reprice"),  # recorded for tomorrow: not known today
    ],
)
def test_steps_on_record_move_a_client_up_the_ladder(tmp_path, actions, action):
    steps = "client kind ago outcome\n" + actions
    assert by_client(decided(given(tmp_path, *ALL, actions=steps)))["tough"]["action"] == action


def test_without_a_misfit_model_the_written_policy_judges_and_that_is_said(source):
    tough = by_client(decided(source, "churn"))["tough"]
    assert (tough["quadrant"], tough["evidence"]["misfit_basis"]) == ("misfit", "policy")
    assert "note_policy_basis" in [note["code"] for note in tough["notes"]]
    assert tough["evidence"]["misfit"]["seen"] == [None]


# ---- files ------------------------------------------------------------------------------------------------------------------------


def test_the_files_are_written_whole_and_only_where_they_differ(source, tmp_path):
    folder = tmp_path / "as_of"
    first = write_decisions(folder, decided(source))
    at = (folder / "decisions.jsonl").stat().st_mtime_ns
    assert write_decisions(folder, decided(source)) == first
    assert (folder / "decisions.jsonl").stat().st_mtime_ns == at
    assert sorted(first["files"]) == ["actions_to_record.csv", "decisions.jsonl", "economics.parquet", "portfolio.json", "whale.csv"]
    lines = (folder / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["client_id"] for line in lines] == sorted(CLIENTS)
    assert pq.read_table(folder / "economics.parquet").num_rows == 9
    (folder / "decisions.jsonl").write_text("spoiled", encoding="utf-8")
    assert write_decisions(folder, decided(source)) == first
    assert len((folder / "decisions.jsonl").read_text(encoding="utf-8").splitlines()) == 3


def test_a_failed_writing_leaves_the_earlier_files(source, tmp_path, monkeypatch):
    folder = tmp_path / "as_of"
    write_decisions(folder, decided(source))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(decide, "write_spreadsheet", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_decisions(folder, decided(source, churn_note="x"), "other")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_scores_get_their_columns(source):
    columns = decided(source).columns
    assert list(columns) == ["client_id", "quadrant", "action", "margin_at_risk", "policy_score"]
    assert columns.set_index("client_id").loc["leaver", "margin_at_risk"] == round(0.4 * 660_000 * 90 / 365)


def test_the_terminal_tells_counts_and_the_most_urgent(source, tmp_path, capsys):
    decide.tell(decided(source), tmp_path)
    said = capsys.readouterr().out
    assert "to be decided by a person" in said
    assert "win back: leaver (dana)" in said
    assert "reprice: tough (avi)" in said
    assert "check that all invoices" not in said
    assert "policy sources/policy.yaml: 1 of 3 clients meet a rule of it" in " ".join(said.split())
    assert "no table actions" in said
    assert "no table reviews" not in said


# ---- hold-out ---------------------------------------------------------------------------------------------------------------------


def test_who_is_held_out_is_recorded_once_in_the_form_of_actions_and_stays_so(tmp_path):
    everyone = {"decide": {"hold_out_share": 0.99999}}
    source = firm(tmp_path / "a", ALL | {"interactions": contacts()}, **everyone)
    found = decided(source)
    row = by_client(found)["leaver"]
    assert (row["action"], row["choice"], row["because"]["code"]) == ("wait_and_watch", "held_out", "held_out")
    [record] = found.to_record.to_pylist()
    assert (record["client_id"], record["kind"], str(record["done_on"])) == ("leaver", "hold_out", "2024-07-01")
    actions = "client kind ago\nleaver hold_out 40"
    on_record = firm(tmp_path / "b", ALL | {"interactions": contacts(), "actions": actions}, decide={"hold_out_share": 0.0})
    found = decided(on_record)
    assert by_client(found)["leaver"]["choice"] == "held_out"
    assert found.to_record.num_rows == 0
    again = firm(tmp_path / "d", ALL | {"interactions": contacts(), "actions": "client kind ago\nleaver hold_out 110\nleaver hold_out 90"})
    assert by_client(decided(again))["leaver"]["choice"] == "chosen"  # drawn twice before it was on record: it lasts no longer
    over = firm(tmp_path / "c", ALL | {"interactions": contacts(), "actions": "client kind ago\nleaver hold_out 104"})
    assert by_client(decided(over))["leaver"]["choice"] == "chosen"  # gap and horizon have passed


def test_the_hold_outs_are_safe_to_open_in_a_spreadsheet(tmp_path):
    name = "=HYPERLINK(1)"
    drawing = contacts().replace("leaver", name)
    source = firm(tmp_path, {"interactions": drawing}, decide={"hold_out_share": 0.99999})
    write_decisions(tmp_path / "out", decided(source))
    head, row = (tmp_path / "out" / "actions_to_record.csv").read_text(encoding="utf-8-sig").splitlines()
    assert head == "action_id,client_id,kind,done_on,outcome"
    assert row.split(",") == [f"hold-out-2024-07-01.{name.encode().hex()}", f"'{name}", "hold_out", "2024-07-01", ""]


@pytest.mark.parametrize("is_appended", [False, True])
def test_the_hold_outs_come_back_as_actions_with_the_exact_ids(tmp_path, is_appended):
    """Written, saved by a spreadsheet that makes numbers of ids and other dates of dates, and brought in as the shipped SQL says."""
    drawing = contacts("\n".join(f"0012486 {ago} complaint email inbound - 12:00" for ago in (5, 20, 40)), clients=(*CLIENTS, "0012486"))
    source = firm(tmp_path / "firm", {"interactions": drawing.replace("leaver", "=A1")}, decide={"hold_out_share": 0.99999})
    write_decisions(tmp_path / "out", decided(source))
    text = (tmp_path / "out" / "actions_to_record.csv").read_text(encoding="utf-8-sig")
    spoiled = text.replace(",0012486,", ",12486,").replace(",2024-07-01,", ",7/1/2024,")
    assert spoiled.count("12486,hold_out,7/1/2024") == 1
    sql = (PROJECT / decide.READ_BACK).read_text(encoding="utf-8")
    entry = yaml.safe_load("\n".join(line.removeprefix("--   ") for line in sql.splitlines() if line.startswith("--   ")))["hold_outs"]
    raw = {"interactions.csv": f"{HEAD}\n1,0012486,2024-06-01T10:00:00,order\n", "drawn_1.csv": spoiled, "drawn_2.csv": spoiled}
    files = {"interactions": as_they_are(), "hold_outs": entry | {"path": "drawn_*.csv"}}
    expected = [("0012486", "hold_out", date(2024, 7, 1)), ("=A1", "hold_out", date(2024, 7, 1))]
    if is_appended:  # to the shipped source's own steps
        raw["steps.csv"] = "step,account,done,what,outcome,entered_at\nH1,007,01/06/2024,Parting,Agreed,02/06/2024 10:00\n"
        files["steps_taken"] = as_they_are(*raw["steps.csv"].splitlines()[0].split(","), path="steps.csv")
        sql = (SOURCES / "simulated" / "actions.sql").read_text(encoding="utf-8") + "UNION ALL BY NAME\n" + sql
        expected.insert(1, ("007", "part_respectfully", date(2024, 6, 1)))
    outcome = raw_run(
        tmp_path / "raw",
        raw,
        sql={"actions": sql},
        files=files,
        tables={"actions": {"history": "full"}},
        exported_at="2024-07-02T12:00:00",
        date_formats=["%d/%m/%Y %H:%M", "%d/%m/%Y"],
    )
    assert outcome.code == 0, outcome.err
    assert sorted(outcome.rows("actions", "client_id", "kind", "done_on")) == expected


def test_the_whale_curve_is_written_in_whole_minor_units_with_its_currency(source, tmp_path):
    write_decisions(tmp_path / "out", decided(source))
    head, first, *_ = (tmp_path / "out" / "whale.csv").read_text(encoding="utf-8-sig").splitlines()
    assert head == "rank,client_id,contribution_minor,cumulative_minor,currency"
    assert first == "1,calm,660000,660000,EUR"


# ---- poor data --------------------------------------------------------------------------------------------------------------------


def test_contacts_alone_are_enough_and_what_is_not_known_is_said(tmp_path):
    source = given(tmp_path)
    found = decided(source)
    rows = by_client(found)
    assert {client: row["action"] for client, row in rows.items()} == {
        "calm": "wait_and_watch",
        "leaver": "win_back",
        "tough": "set_boundaries",
    }
    assert rows["leaver"]["because"]["code"] == "win_back_unvalued"
    assert {item["state"] for item in rows["tough"]["exit_check"]} == {"unknown"}
    assert all("unknown" in item["sentence"] for item in rows["tough"]["exit_check"] if item["name"] != "second_opinion")
    assert rows["tough"]["account_owner"] is None
    assert found.columns["margin_at_risk"].isna().all()
    assert "revenue" in found.economics.missing
    assert set(found.facts["not_on_record"]) == {"actions", "reviews", "ties"}
    assert found.facts["policy"]["unmeasurable"]["unpaid_bills"] == "needs invoices"
    write_decisions(tmp_path / "out", found)
    assert read_json(tmp_path / "out" / "portfolio.json")["n_clients"] == 3


def test_where_everyone_costs_more_than_it_brings_the_books_are_doubted_and_nobody_is_asked_for_a_price(tmp_path, capsys):
    dear = MONEY["work"].replace(" 480 400 ", " 480 4000 ")
    found = decided(firm(tmp_path, ALL | {"interactions": contacts(), "work": dear}))
    rows = by_client(found)
    assert {client: row["action"] for client, row in rows.items()} == {
        "calm": "wait_and_watch",
        "leaver": "wait_and_watch",
        "tough": "set_boundaries",
    }
    assert (rows["calm"]["because"]["code"], rows["leaver"]["because"]["code"]) == ("books_doubted", "no_value")
    [warning] = found.facts["warnings"]
    assert "3 of 3 clients cost more than they brought in the last year: check that all invoices are there" in warning
    decide.tell(found, tmp_path)
    assert "note: 3 of 3 clients cost more" in capsys.readouterr().out


def test_where_everyone_is_a_misfit_the_cut_follows_the_average(source):
    rows = by_client(decided(source, prevalence=0.9))
    assert {row["quadrant"] for row in rows.values()} == {"stay"}  # nobody stands out


def test_no_client_left_gives_empty_files(tmp_path):
    gone = "client ago ended_ago ended_by\n" + "\n".join(f"{client} 5 3 client" for client in CLIENTS)
    source = given(tmp_path, endings=gone)
    found = decided(source)
    assert found.rows == []
    write_decisions(tmp_path / "out", found)
    assert (tmp_path / "out" / "decisions.jsonl").read_text(encoding="utf-8") == ""


# ---- rows as they were known ------------------------------------------------------------------------------------------------------


def test_rows_at_a_day_are_those_that_the_engine_counts(tmp_path):
    drawing = """
        client id ago known superseded owed_by due_ago done_ago
        a p1 50 50 - us 40 -
        a p2 50 50 20 us 40 -
        a p2 50 20 - us 10 -
        a p3 50 -5 - us 40 -
        a p4 50 50 - us 40 -3
        a p5 50 50 - us 40 12
        a p6 -2 -2 - us -9 -
    """
    pq.write_table(history("commitments", drawing), tmp_path / "commitments.parquet")
    rows = rows_at(tmp_path, "commitments", AS_OF, ["client_id", "commitment_id", "due_on", "done_on"])
    assert list(rows["commitment_id"]) == ["p1", "p2", "p4", "p5"]
    assert (AS_OF - rows["due_on"]).tolist() == [40, 10, 40, 40]
    assert rows["done_on"].isna().tolist() == [True, True, True, False]  # done in three days is not done yet
    open_now = state("open", "commitments", every_row, until=("done_on",))
    counted = measure({"commitments": tmp_path / "commitments.parquet"}, [AS_OF], [open_now])
    assert counted["open"].tolist() == [int(rows["done_on"].isna().sum())]
    assert rows_at(tmp_path, "reviews", AS_OF, ["client_id"]) is None


def test_the_most_urgent_are_efforts_by_worth_then_partings_and_burdens_by_what_they_cost():
    def row(client, action, value=None, contribution=0.0):
        return {
            "client_id": client,
            "action": action,
            "expected_value": value,
            "evidence": {"contribution": contribution, "churn": {"seen": [0.5]}},
        }

    rows = [row(f"w{n}", "win_back", n) for n in range(9)] + [
        row("b", "reprice", None, -5.0),
        row("c", "reprice"),
        row("d", "part_respectfully", None, 9.0),
    ]
    assert [each["client_id"] for each in decide.urgent([*rows, row("k", "keep_and_grow")])] == [
        "w8",
        "w7",
        "w6",
        "w5",
        "w4",
        "w3",
        "w2",
        "d",
        "b",
        "c",
    ]
    assert len(decide.urgent(rows[:2])) == 2
