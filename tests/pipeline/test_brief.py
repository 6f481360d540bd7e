"""A small firm drawn in text -> its conversation briefs: reasons with dates and figures, what to settle, and what is not on record."""

import json

import pytest
import yaml
from histories import AS_OF
from small_business import PROJECT
from small_firm import CLIENTS, MONEY, PAPERS, by_client, contacts, decided, firm

from models.evidence import Evidence
from pipeline.brief import _account, _effect

ALL = dict(MONEY | PAPERS)
REPLIED = (12, 26, 40, 54)  # days ago on which a client wrote and had an answer
REASONS = {
    "churn_reason_1_signal": "criticism",
    "churn_reason_1_contribution": 0.5,
    "churn_reason_1_sentence": "4 complaints in 90 days.",
    "misfit_reason_1_signal": "tone",
    "misfit_reason_1_contribution": 0.7,
    "misfit_reason_1_sentence": "The tone is harsh.",
}


@pytest.fixture(scope="module")
def briefs(tmp_path_factory):
    source = firm(tmp_path_factory.mktemp("firm"))
    return {client: row["brief"] for client, row in by_client(decided(source, **REASONS)).items()}


def reason(brief, code):
    return next(each for each in brief["reasons"] if each["code"] == code)


def test_a_burden_is_told_with_at_least_three_reasons_of_its_own_history(briefs):
    tough = briefs["tough"]
    assert tough["n_documented"] == 4
    assert tough["too_few"] is None
    overdue = reason(tough, "reason_overdue")
    assert overdue["sentence"] == "Invoices overdue: 2, with 2,000 EUR unpaid; the oldest was due on 2024-05-17."
    assert [(event["invoice_id"], event["unpaid"], event["days_overdue"]) for event in overdue["events"]] == [
        ("tough-75", 100_000, 45),
        ("tough-45", 100_000, 15),
    ]
    assert reason(tough, "reason_harsh")["sentence"].startswith("Contacts marked as tense by our staff in the last year: 6")
    assert [event["on"] for event in reason(tough, "reason_harsh")["events"]] == ["2024-06-28", "2024-06-01", "2024-05-02"]


def test_the_policys_and_the_models_reasons_stand_beside_with_their_statements(briefs):
    tough = briefs["tough"]
    assert [each["from"] for each in tough["reasons"]] == ["policy"] * 2 + ["history"] * 4 + ["model"]
    assert reason(tough, "model_misfit_tone")["statements"] == ["A3", "D2", "D7", "C3"]


def test_the_models_reasons_are_those_that_raise_the_risk_asked(briefs, tmp_path):
    def told(found):
        return {client: [each["code"] for each in brief["reasons"] if each["from"] == "model"] for client, brief in found.items()}

    assert told(briefs) == {"tough": ["model_misfit_tone"], "leaver": ["model_churn_criticism"], "calm": []}
    lowers = REASONS | {"churn_reason_1_contribution": -0.5, "misfit_reason_1_contribution": -0.7}
    again = by_client(decided(firm(tmp_path), **lowers))
    assert set().union(*told({client: row["brief"] for client, row in again.items()}).values()) == set()


def test_what_is_meant_for_the_talk_blames_nobody_and_the_rest_is_marked(briefs, tmp_path):
    tough = briefs["tough"]
    rules = {each["rule"]: (each["sentence"], each["for_the_talk"]) for each in tough["reasons"] if each["from"] == "policy"}
    assert len(rules) == 2
    assert rules["free_work"] == ("In the last year 176 hours went into work beyond the order that was not invoiced.", True)
    assert [each["for_the_talk"] for each in tough["reasons"] if each["from"] == "history"] == [True] * 4
    assert not reason(tough, "model_misfit_tone")["for_the_talk"]  # a feeling: for our own eyes
    assert reason(briefs["leaver"], "model_churn_criticism")["for_the_talk"]
    source, shipped = firm(tmp_path), yaml.safe_load((PROJECT / "data/sources/policy.yaml").read_text(encoding="utf-8"))
    own = {key: value for key, value in shipped["rules"]["free_work"].items() if key != "told"}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump({"rules": {"free_work": own}}), encoding="utf-8")
    [rule] = [each for each in by_client(decided(source))["tough"]["brief"]["reasons"] if each["from"] == "policy"]
    assert (rule["code"], rule["for_the_talk"]) == ("reason_policy_unsaid", False)
    assert rule["sentence"].startswith("Takes work beyond the order for nothing: ")


def test_who_is_neither_a_burden_nor_leaving_has_no_faults_listed(tmp_path):
    calls = "\n".join(f"{client} {ago} message call inbound - 23:00" for client in ("calm", "leaver") for ago in range(20, 24))
    rows = by_client(decided(firm(tmp_path, ALL | {"interactions": contacts(calls)})))
    assert [each["from"] for each in rows["calm"]["brief"]["reasons"]] == []
    assert "reason_off_hours" in [each["code"] for each in rows["leaver"]["brief"]["reasons"]]


def test_broken_promises_are_a_reason_from_three_on_and_the_open_ones_are_settled_oldest_first(briefs, tmp_path):
    assert "reason_broken" not in [each["code"] for each in briefs["tough"]["reasons"]]  # two
    more = (
        PAPERS["commitments"]
        + "    tough p8 client task 90 70 -\n        tough p9 client task 9 - -\n        tough p0 client task 800 790 -\n"
    )
    tough = by_client(decided(firm(tmp_path, ALL | {"interactions": contacts(), "commitments": more})))["tough"]["brief"]
    assert [(event["commitment_id"], event["due_on"], event["done_on"]) for event in reason(tough, "reason_broken")["events"]] == [
        ("p6", "2024-05-22", None),
        ("p8", "2024-04-22", None),
        ("p5", "2024-04-12", "2024-05-02"),
    ]
    [owed] = [each for each in tough["settle"] if each["name"] == "their_promises"]
    assert (owed["values"]["open"], owed["values"]["overdue"]) == (4, 2)
    assert [row["commitment_id"] for row in owed["rows"]] == ["p8", "p6", "p9"]  # what nobody closed for years is told last, and no reason


def test_what_is_left_of_the_revenue_is_told_as_what_it_is():
    thin, loss = (Evidence("c", "ILS", revenue=100_000.0, contribution=left, margin=left / 1e5) for left in (10_000.0, -10_000.0))
    assert [said.sentence for said in _effect(thin)] == [
        "What is left of its revenue after the cost to serve, in the last year: 100 ILS (10%)."
    ]
    assert [said.sentence for said in _effect(loss)] == ["In the last year it cost 100 ILS more than it brought."]
    assert _account(thin, AS_OF).sentence.endswith("revenue of 1,000 ILS, of which 100 was left after cost to serve.")
    assert _account(loss, AS_OF).sentence.endswith("revenue of 1,000 ILS, while serving it cost 1,100.")


def test_a_burdens_brief_says_the_effect_the_offers_what_to_settle_and_what_not_to_say(briefs):
    tough = briefs["tough"]
    assert [each["code"] for each in tough["effect"]] == ["effect_hours", "effect_share", "effect_loss"]
    assert [each["code"] for each in tough["offers"]] == ["offer_price", "offer_extras", "offer_scope", "offer_colleague"]
    assert {each["name"]: each["state"] for each in tough["settle"]} == {
        "open_balance": "open",
        "unbilled_work": "open",
        "their_promises": "open",
        "notice": "open",
    }
    assert [row["commitment_id"] for each in tough["settle"] if each["name"] == "their_promises" for row in each["rows"]] == ["p6"]
    assert [each["code"] for each in tough["how"]] == ["how_price"]
    assert "D7" in [code for each in tough["unsaid"] for code in each["statements"]]
    assert tough["done"] == tough["people"] == tough["other_services"] == []


def test_a_win_back_shows_what_was_done_its_people_and_other_services(briefs):
    leaver = briefs["leaver"]
    assert leaver["action"] == "win_back"
    assert [each["sentence"] for each in leaver["done"]] == [
        "Promises of ours kept in time in the last year: 1.",
        "Hours worked for it in the last year: 88.",
    ]
    assert [each["sentence"] for each in leaver["mend"]] == ["Promises of ours kept late in the last year: 1."]
    assert briefs["tough"]["mend"] == []
    assert [(who["contact_id"], who["role"], who["is_decision_maker"]) for who in leaver["people"]] == [
        ("k1", "CEO", True),
        ("k2", "clerk", False),
    ]
    assert leaver["other_services"] == ["Audits"]
    assert [each["code"] for each in leaver["how"]] == ["how_win_back"]


def test_replies_are_shown_where_no_slower_than_to_peers_and_else_are_to_be_mended(tmp_path):
    def told(hours: str, others: str):
        asked = "\n".join(f"{client} {ago} message email inbound - 09:00 {client}{ago} -" for client in CLIENTS for ago in REPLIED)
        replies = "\n".join(
            f"{client} {ago} message email outbound - {hours if client == 'leaver' else others} r{client}{ago} {client}{ago}"
            for client in CLIENTS
            for ago in REPLIED
        )
        head, *rest = contacts().splitlines()
        plain = [f"{line} {client_at} -" for client_at, line in enumerate(rest)]
        drawing = "\n".join([f"{head} id reply_to", *plain, asked, replies])
        brief = by_client(decided(firm(tmp_path / hours[:2], ALL | {"interactions": drawing})))["leaver"]["brief"]
        return ["done_replies" in [each["code"] for each in brief["done"]], "mend_replies" in [each["code"] for each in brief["mend"]]]

    assert told("10:00", "16:00") == [True, False]
    assert told("16:00", "10:00") == [False, True]


def test_who_is_held_out_is_not_told_of_our_delays(tmp_path):
    late = PAPERS["commitments"].replace("leaver p4 us quote 20 -10 -", "leaver p4 us quote 20 10 -")
    tables = ALL | {"interactions": contacts(), "commitments": late}
    rows = by_client(decided(firm(tmp_path / "a", tables)))
    assert [each["code"] for each in rows["leaver"]["brief"]["how"]] == ["how_win_back", "how_mend"]
    rows = by_client(decided(firm(tmp_path / "b", tables, decide={"hold_out_share": 0.99999})))
    assert rows["leaver"]["choice"] == "held_out"
    assert rows["leaver"]["brief"]["how"] == []


def test_where_a_burden_has_fewer_than_three_reasons_to_be_said_that_is_said(briefs, tmp_path):
    tough = by_client(decided(firm(tmp_path, {"interactions": contacts()})))["tough"]["brief"]
    assert tough["n_documented"] == 2
    assert tough["too_few"]["sentence"].startswith("Reasons that can be documented with dates and figures and are fit to be said: 2.")
    assert briefs["calm"]["too_few"] is None  # nobody is told to go


def test_one_late_call_is_no_reason_but_the_third_is(tmp_path):
    def spoken(n: int) -> list[str]:
        calls = "\n".join(f"leaver {ago} message call inbound - 23:00" for ago in range(20, 20 + n))
        rows = by_client(decided(firm(tmp_path / str(n), {"interactions": contacts(calls)})))
        return [each["sentence"] for each in rows["leaver"]["brief"]["reasons"] if each["code"] == "reason_off_hours"]

    assert spoken(1) == []  # a complaint of the leaver's came on a day off
    assert spoken(2) == ["Contacts outside service hours in the last year: 3, the last on 2024-06-11."]


def test_nothing_on_record_is_said_not_guessed(tmp_path):
    rows = by_client(decided(firm(tmp_path, {"interactions": contacts()})))
    leaver, tough = rows["leaver"]["brief"], rows["tough"]["brief"]
    assert [each["code"] for each in tough["effect"]] == ["effect_unknown"]
    assert [each["code"] for each in leaver["done"]] == ["done_unknown"]
    assert leaver["people"] is None
    assert {each["state"] for each in tough["settle"]} == {"unknown"}


def test_free_text_of_messages_is_never_copied(tmp_path):
    calls = "tough 2 complaint call inbound -0.9 12:00"
    drawing = contacts(calls).splitlines()
    marked = "\n".join([drawing[0] + " text", *(line + " SECRET" for line in drawing[1:])])
    rows = by_client(decided(firm(tmp_path, ALL | {"interactions": marked})))
    assert "SECRET" not in json.dumps(rows)


def test_the_outcome_of_a_step_is_a_word_of_ours_and_never_the_text(tmp_path):
    steps = "client kind ago outcome\ntough set_boundaries 120 SECRET\ntough reprice 110 No_Change\ntough refer_out 100 -"
    rows = by_client(decided(firm(tmp_path, ALL | {"interactions": contacts(), "actions": steps})))
    assert [step["outcome"] for step in rows["tough"]["evidence"]["steps"]] == [None, "no_change", "other"]
    assert "SECRET" not in json.dumps(rows)
