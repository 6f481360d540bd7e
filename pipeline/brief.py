"""Decisions + what is on record -> the conversation brief of each client, as data: what to say, show, offer, settle, and leave unsaid.

Keys: action; reasons (each with code, statements, values, sentence, `from`: history, policy or model, `for_the_talk`: whether it is fit to
be said to the client, else for our own eyes (D7), and `events`: dates, ids, amounts); n_documented: those of them that are fit to be said
and have dates and figures; too_few (said where a burden has fewer than three of these, D8); effect (D3); offers (A6, D8, E4); settle (D10);
how (D8); unsaid (D7); for those to be kept done (B4: what speaks for us), mend (E5: what does not), people (B2, B3), other_services (B5).
Codes and figures go with every English sentence, so that another language needs no new rule. Only facts of the tables as they were known at
the day; free text is never copied.

Reasons are those for what is asked: the burden that a client is, or why it may leave. Of a client that is neither there are none but the
written rules it meets. Contacts of a kind, and promises broken, are a reason from three in a year on: a client is seldom worth losing for
being demanding (D1); one late call is no habit.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from features import billing_friction, changing_mind, contact_frequency, criticism, off_hours, reporting_demand, scope_creep, tone
from features.contract import Signal, columns_in, discovered, spoken
from features.engine import measure
from features.measures import Floats, Interval, Seen, sequence, window
from features.our_promises import OURS, THEIRS
from features.time import age_days, days_past, in_window, to_date
from models.decision import Decision, wanted_price
from models.evidence import LADDER, Evidence
from models.exit_check import Item
from models.sayings import Said, say
from pipeline.evidence import Sight, by_client, known
from pipeline.known import rows_at
from pipeline.rates import with_rate
from pipeline.snapshot import canonical_tables

WANTED = 3  # documented reasons (D8)
LEAST = 3  # contacts of a kind, or promises broken, in a year, to be a reason
SHOWN = 3  # events, and people beside the decision makers, shown
YEAR = 365  # days
TO_SETTLE = ("open_balance", "unbilled_work", "our_promises", "their_promises", "notice")
# signals whose words are for our own eyes: feelings, hearsay, comparisons with other clients, and our own accounts (D1, D7)
INWARD = frozenset(("tone", "reputation", "ideal_client", "focus_fit", "first_meeting", "effort_value", "our_avoidance"))
HOW = {"win_back": "how_win_back", "reprice": "how_price", "refer_out": "how_refer", "part_respectfully": "how_part"}
LATE = {"client_responsiveness": "their_forgotten", "our_promises": "our_forgotten"}  # signals that count what was forgotten as late
ABOUT_US = frozenset(("reason_complaints",))  # the client's word against us: for our own ears, no reason to hold against it (B4, E2)
SIGNS = frozenset(
    ("reason_complaints", "reason_demands", "reason_missed", "reason_price_talk")
)  # of leaving: fit for a talk to win it back


@dataclass(frozen=True)
class Kind:
    """A kind of contact that can be a reason: `measure` is the signal's own, whose row expression says which contacts count."""

    code: str
    signal: Signal
    measure: str


KINDS = (
    Kind("complaints", criticism.SIGNAL, "criticism_90"),
    Kind("harsh", tone.SIGNAL, "hostile_180"),
    Kind("off_hours", off_hours.SIGNAL, "off_hours_90"),
    Kind("scope", scope_creep.SIGNAL, "requests_90"),
    Kind("changes", changing_mind.SIGNAL, "changes_90"),
    Kind("demands", reporting_demand.SIGNAL, "demands_90"),
    Kind("price_talk", billing_friction.SIGNAL, "price_talk_90"),
    Kind("missed", contact_frequency.SIGNAL, "missed_180"),
)


def briefs(sight: Sight, evidences: Mapping[str, Evidence], decisions: Mapping[str, Decision]) -> dict[str, dict[str, Any]]:
    """client_id -> its brief, for every client with a decision."""
    contacts, papers, scores = _contacts(sight), _papers(sight), by_client(sight.scores)
    now = by_client(sight.seen[sight.seen["as_of"] == sight.day])
    kept, people = _kept(sight), _people(sight)
    found = {}
    for client, decision in decisions.items():
        evidence = evidences[client]
        reasons = [
            *_from_policy(sight, evidence, now[client]),
            *(_from_history(sight, evidence, contacts.get(client, {}), papers.get(client, {}), decision) if _asked(decision) else ()),
            *_from_models(scores[client], decision, evidence),
        ]
        n_documented = sum(reason["from"] == "history" and reason["for_the_talk"] for reason in reasons)
        is_kept = not _is_burden(decision)
        found[client] = {
            "action": decision.action,
            "reasons": reasons,
            "n_documented": n_documented,
            "too_few": say("too_few_reasons", n=n_documented).as_data() if n_documented < WANTED and not is_kept else None,
            "effect": [said.as_data() for said in _effect(evidence)],
            "offers": [said.as_data() for said in _offers(evidence, decision, sight)],
            "settle": _settle(decision, papers.get(client, {})),
            "how": [said.as_data() for said in _how(evidence, decision)],
            "unsaid": [say(code).as_data() for code in ("unsaid_blame", "unsaid_scores", "unsaid_argument", "unsaid_heat")],
            "done": [said.as_data() for said in _done(evidence, now[client], kept.get(client))] if is_kept else [],
            "mend": [said.as_data() for said in _mend(evidence, now[client], kept.get(client))] if is_kept else [],
            "people": (people.get(client, []) if people is not None else None) if is_kept else [],
            "other_services": list(evidence.other_services or ()) if is_kept else [],
        }
    return found


# ---- reasons ----------------------------------------------------------------------------------------------------------------------


def _asked(decision: Decision) -> tuple[str, ...]:
    """Which risks the talk is about: misfit of a burden, churn of who is leaving; none of others."""
    is_leaving = decision.quadrant in ("leaving", "leaving_misfit")
    return (*(("misfit",) if _is_burden(decision) else ()), *(("churn",) if is_leaving else ()))


def _from_policy(sight: Sight, evidence: Evidence, now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rules met, in the words for the talk; those that have none, by their title."""
    words = {rule.name: rule.told for rule in sight.policy.rules}
    found = []
    for rule in evidence.rules or ():
        if rule.is_hit:
            told = words[rule.name]
            sentence = spoken(told, {name: now[name] for name in columns_in(told)}) if told else None
            said = (
                say("reason_policy", told=sentence)
                if sentence
                else say("reason_policy_unsaid", title=rule.title, evidence=rule.evidence, held=rule.held_snapshots)
            )
            own = {"statements": list(rule.statements), "rule": rule.name, "held_snapshots": rule.held_snapshots}
            found.append(said.as_data() | own | {"from": "policy", "for_the_talk": bool(sentence), "events": []})
    return found


def _from_models(scores: Mapping[str, Any], decision: Decision, evidence: Evidence) -> list[dict[str, Any]]:
    """The models' own reasons in words that raise the risk asked. They have figures but no dates; what rests on rows that nobody closed for
    years is not for the talk."""
    unsaid = INWARD | {signal for signal, forgotten in LATE.items() if getattr(evidence, forgotten)}
    statements = {signal.name: signal.statements for signal in discovered()}
    found = []
    for target in _asked(decision):
        for place in range(1, WANTED + 1):
            signal = scores.get(f"{target}_reason_{place}_signal")
            sentence = scores.get(f"{target}_reason_{place}_sentence")
            contribution = scores.get(f"{target}_reason_{place}_contribution")
            if signal and sentence and contribution is not None and contribution > 0:
                values = {"contribution": contribution}
                code = f"model_{target}_{signal}"
                found.append(
                    {"code": code, "statements": list(statements.get(signal, ())), "values": values, "sentence": sentence}
                    | {"from": "model", "for_the_talk": signal not in unsaid, "events": []}
                )
    return found


def _from_history(
    sight: Sight,
    evidence: Evidence,
    contacts: Mapping[str, tuple[int, list[int]]],
    papers: Mapping[str, list[dict[str, Any]]],
    decision: Decision,
) -> list[dict[str, Any]]:
    """What can be shown with dates and figures: the account, invoices, promises, and contacts of a kind. Fit for the talk with a burden is
    all but what the client says against us, with one that may leave only the signs of that."""
    is_burden = _is_burden(decision)
    found: list[tuple[Said, list[dict[str, Any]]]] = []
    is_thin = evidence.margin is not None and evidence.margin < sight.source.settings.decide.thin_margin
    if is_thin and evidence.contribution is not None:
        found.append((_account(evidence, sight.day), []))
    if overdue := papers.get("overdue"):
        amount = sum(row["unpaid"] for row in overdue)
        said = say("reason_overdue", n=len(overdue), amount=amount, currency=evidence.currency, first=overdue[0]["due_on"])
        found.append((said, overdue[:SHOWN]))
    if disputed := papers.get("disputed"):
        found.append((say("reason_disputed", n=len(disputed), last=disputed[0]["disputed_on"]), disputed[:SHOWN]))
    if len(broken := papers.get("broken", [])) >= LEAST:
        found.append((say("reason_broken", n=len(broken), last=broken[0]["due_on"]), broken[:SHOWN]))
    for kind in KINDS:
        n, days = contacts.get(kind.code, (0, []))
        if n >= LEAST:
            dates = [str(to_date(day)) for day in days]
            found.append((say(f"reason_{kind.code}", n=n, last=dates[0]), [{"on": on} for on in dates]))
    return [
        said.as_data() | {"from": "history", "for_the_talk": _is_fit(said.code, is_burden=is_burden), "events": events}
        for said, events in found
    ]


def _is_fit(code: str, *, is_burden: bool) -> bool:
    return code not in ABOUT_US if is_burden else code in SIGNS


def _account(evidence: Evidence, day: int) -> Said:
    """The last year's revenue, and what was left of it or what it cost."""
    since, until = str(to_date(day - YEAR)), str(to_date(day))
    told = {"since": since, "until": until, "revenue": evidence.revenue, "currency": evidence.currency}
    if evidence.revenue is not None and evidence.contribution is not None and evidence.contribution < 0:
        return say("reason_account_loss", cost=evidence.revenue - evidence.contribution, **told)
    return say("reason_account", contribution=evidence.contribution, **told)


def _contacts(sight: Sight) -> dict[str, dict[str, tuple[int, list[int]]]]:
    """client_id -> kind -> (number in the last year, the newest days)."""
    path = canonical_tables(sight.validated)["interactions"]
    measures = [
        sequence(
            (f"{kind.code}_n", *(f"{kind.code}_{place}" for place in range(SHOWN))),
            "interactions",
            _newest,
            where=_declared(kind, sight).value,
        )
        for kind in KINDS
    ]
    counted = measure({"interactions": path}, [sight.day], measures, clients=pa.array(sight.clients, pa.string()))
    return {
        client: {
            kind.code: (
                int(row[f"{kind.code}_n"]),
                [int(day) for place in range(SHOWN) if (day := row[f"{kind.code}_{place}"]) is not None],
            )
            for kind in KINDS
        }
        for client, row in by_client(counted).items()
    }


def _declared(kind: Kind, sight: Sight) -> Interval:
    declared = [m for m in kind.signal.measures(sight.source.business) if isinstance(m, Interval) and m.name == kind.measure]
    return declared[0]


def _newest(seen: Seen) -> tuple[Floats, ...]:
    """How many in the last year, and the days of the newest of them, the last first."""
    recent = in_window(seen.day, seen.as_of, YEAR)
    client, day = seen.client[recent], seen.day[recent]
    counts = np.bincount(client, minlength=seen.n_clients)
    ends = counts.cumsum()
    found = [counts.astype(np.float64)]
    for place in range(SHOWN):
        days = np.full(seen.n_clients, np.nan)
        has = counts > place
        days[has] = day[ends[has] - 1 - place]
        found.append(days)
    return tuple(found)


# ---- papers -----------------------------------------------------------------------------------------------------------------------


def _papers(sight: Sight) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """client_id -> overdue and disputed invoices, promises broken by the client, open ones of either side, with ids and dates."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for name, rows in (*_invoices(sight), *_commitments(sight)):
        for row in rows.to_dict("records"):
            own = {str(column): _plain(str(column), value) for column, value in row.items() if column not in ("client_id", "day")}
            found[row["client_id"]][name].append(own)
    return found


def _plain(column: str, value: Any) -> Any:
    """A cell for JSON: a day as a date, an amount as an integer."""
    value = known(value)
    if value is None or isinstance(value, str | bool):
        return value
    return str(to_date(value)) if column.endswith("_on") else int(value)


def _invoices(sight: Sight) -> list[tuple[str, pd.DataFrame]]:
    """`amount` is in `currency`, as on the invoice; `unpaid` in ours, as in the balance: of an invoice without a rate it is unknown."""
    own = sight.source.business.currency
    columns = ["client_id", "invoice_id", "due_on", "amount", "currency", "disputed_on"]
    given = with_rate(sight.validated / "invoices.parquet", *columns)
    rows = rows_at(sight.validated, "invoices", sight.day, given, of=sight.clients)
    if rows is None:
        return []
    is_own = rows["currency"].fillna(own) == own
    rate = rows["rate"] if "rate" in rows else is_own.astype(np.float64).where(is_own)
    rows = rows[[*columns, "day"]]
    disputed = rows[age_days(rows["disputed_on"], sight.day) <= YEAR].sort_values(["disputed_on", "invoice_id"], ascending=[False, True])
    found = [("disputed", disputed.drop(columns=["due_on"]))]
    paid = rows_at(sight.validated, "payments", sight.day, ["invoice_id", "amount"], of=set(rows["invoice_id"]), key="invoice_id")
    if paid is not None:
        settled = rows["invoice_id"].map(paid.groupby("invoice_id")["amount"].sum()).fillna(0)
        unpaid = np.rint(rows["amount"] * rate) - np.rint(settled * rate)
        overdue = rows.assign(unpaid=unpaid, days_overdue=age_days(rows["due_on"], sight.day))
        overdue = overdue[(unpaid > 0) & (overdue["days_overdue"] > 0)].sort_values(["due_on", "invoice_id"])
        found.append(("overdue", overdue.drop(columns=["disputed_on"])))
    return found


def _commitments(sight: Sight) -> list[tuple[str, pd.DataFrame]]:
    columns = ["client_id", "commitment_id", "owed_by", "kind", "due_on", "done_on", "cancelled_on"]
    rows = rows_at(sight.validated, "commitments", sight.day, columns, of=sight.clients)
    if rows is None:
        return []
    is_open = rows["done_on"].isna() & rows["cancelled_on"].isna()
    past_days = age_days(rows["due_on"], sight.day)
    forgotten = past_days > sight.source.settings.decide.overdue_within_days  # rows that nobody closed
    is_past = (past_days > 0) & ~forgotten
    was_late = (age_days(rows["due_on"], rows["done_on"]) > 0) & (age_days(rows["done_on"], sight.day) <= YEAR)
    broken = rows[(rows["owed_by"] == THEIRS) & ((is_open & is_past) | was_late)]
    standing = rows[is_open].assign(forgotten=forgotten).sort_values(["forgotten", "due_on", "commitment_id"])
    standing = standing.drop(columns=["done_on", "cancelled_on", "forgotten"])
    return [
        ("broken", broken.drop(columns=["owed_by", "cancelled_on"]).sort_values(["due_on", "commitment_id"], ascending=[False, True])),
        *((name, standing[standing["owed_by"] == side].drop(columns="owed_by")) for name, side in (("ours", OURS), ("theirs", THEIRS))),
    ]


# ---- the talk ---------------------------------------------------------------------------------------------------------------------


def _effect(evidence: Evidence) -> list[Said]:
    """D3: what the client means to us in hours and money, and to others."""
    found = []
    if evidence.hours is not None:
        found.append(say("effect_hours", hours=evidence.hours))
    if evidence.hours_share is not None and evidence.revenue_share is not None and evidence.hours_share > evidence.revenue_share:
        found.append(say("effect_share", hours=evidence.hours_share, revenue=evidence.revenue_share))
    if evidence.contribution is not None and evidence.contribution < 0:
        found.append(say("effect_loss", loss=-evidence.contribution, currency=evidence.currency))
    elif evidence.contribution is not None and evidence.margin is not None:
        found.append(say("effect_money", contribution=evidence.contribution, margin=evidence.margin, currency=evidence.currency))
    return found or [say("effect_unknown")]


def _offers(evidence: Evidence, decision: Decision, sight: Sight) -> list[Said]:
    """A6, D8, E4: what can be offered instead, but for what was tried already."""
    if not _is_burden(decision):
        return []
    tried = {step.kind for step in evidence.steps or ()}
    knobs = sight.source.settings.decide
    is_thin = evidence.margin is not None and evidence.margin < knobs.thin_margin
    price = say("offer_price", price=wanted_price(evidence, knobs), currency=evidence.currency)
    offers = {
        "reprice": [price, say("offer_extras")] if is_thin else [say("offer_extras")],
        "set_boundaries": [say("offer_scope")],
        "refer_out": [say("offer_colleague")],
    }
    return [offer for kind, own in offers.items() if kind not in tried or kind in (decision.action, "refer_out") for offer in own]


def _is_burden(decision: Decision) -> bool:
    """Whether the talk is about what the client costs us, not about keeping it."""
    return decision.action in LADDER or bool(decision.exit_check)


def _settle(decision: Decision, papers: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """D10: what is open or unknown of the exit check, with its rows; nothing where no exit is near."""
    rows = {"open_balance": "overdue", "our_promises": "ours", "their_promises": "theirs"}
    items: Sequence[Item] = [item for item in decision.exit_check if item.name in TO_SETTLE and item.state != "known"]
    return [
        item.said.as_data() | {"name": item.name, "state": item.state, "rows": papers.get(rows.get(item.name, ""), [])[:SHOWN]}
        for item in items
    ]


def _how(evidence: Evidence, decision: Decision) -> list[Said]:
    if evidence.is_held_out and decision.action not in LADDER:
        return []  # no contact on our own account
    found = [say(HOW.get(decision.action, "how_boundaries"))] if decision.action in (*HOW, *LADDER) else []
    return [*found, say("how_mend")] if evidence.our_overdue else found


def _done(evidence: Evidence, now: Mapping[str, Any], kept: Mapping[str, Any] | None) -> list[Said]:
    """B4: what was done for the client and speaks for us, in hard figures."""
    found = []
    if kept and (in_time := kept["kept_365"] - kept["late_365"]):
        found.append(say("done_promises", in_time=in_time))
    if evidence.hours:
        found.append(say("done_hours", hours=evidence.hours))
    hours, longer = now.get("our_reply_hours_90"), now.get("our_reply_lag_hours_90")
    if hours is not None and longer is not None and longer <= 0:
        found.append(say("done_replies", hours=hours))
    if talks := now.get("talks_90"):
        found.append(say("done_talks", talks=talks))
    return found or [say("done_unknown")]


def _mend(evidence: Evidence, now: Mapping[str, Any], kept: Mapping[str, Any] | None) -> list[Said]:
    """E1, E5: what does not speak for us."""
    found = []
    if evidence.our_overdue:
        found.append(say("mend_overdue", overdue=evidence.our_overdue))
    if kept and kept["late_365"]:
        found.append(say("mend_late", late=kept["late_365"]))
    hours, longer = now.get("our_reply_hours_90"), now.get("our_reply_lag_hours_90")
    if hours is not None and longer is not None and longer >= 1:
        found.append(say("mend_replies", hours=hours, longer=longer))
    return found


def _kept(sight: Sight) -> dict[str, dict[str, Any]]:
    """Promises of ours kept in the last year, and those of them kept late."""
    tables = canonical_tables(sight.validated)
    if "commitments" not in tables:
        return {}

    def late(rows: Any) -> Any:
        return (rows.owed_by == OURS) & (days_past(rows.due_on, rows.day) > 0)

    measures = [*window("kept", "fulfilments", lambda rows: rows.owed_by == OURS, YEAR), *window("late", "fulfilments", late, YEAR)]
    counted = measure({"commitments": tables["commitments"]}, [sight.day], measures, clients=pa.array(sight.clients, pa.string()))
    return by_client(counted)


def _people(sight: Sight) -> dict[str, list[dict[str, Any]]] | None:
    """B2, B3: who is there, those who decide first; None = not on record."""
    columns = ["client_id", "contact_id", "role", "is_decision_maker", "until_on"]
    rows = rows_at(sight.validated, "contacts", sight.day, columns, of=sight.clients)
    if rows is None:
        return None
    rows = rows[rows["until_on"].isna()]
    decides = rows["is_decision_maker"].fillna(value=False).astype(bool)
    rows = rows.assign(decides=decides).sort_values(["client_id", "decides", "day", "contact_id"], ascending=[True, False, True, True])
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.to_dict("records"):
        own = found[row["client_id"]]
        if row["decides"] or len(own) < SHOWN:
            role, since = known(row["role"]), str(to_date(row["day"]))
            own.append({"contact_id": row["contact_id"], "role": role, "is_decision_maker": bool(row["decides"]), "since": since})
    return found
