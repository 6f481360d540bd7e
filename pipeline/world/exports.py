"""A block's records -> the firm's exports, still without blemish: a table of text per file; `_known` = day on which a line was entered.

Numbers run on from block to block (`Numbers`), as in systems that number by themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.world import papers
from pipeline.world.almanac import DAY, Almanac
from pipeline.world.events import NAMES, TYPES, Weeks
from pipeline.world.lives import SERVICES, Lives, client_ids
from pipeline.world.money import Money
from pipeline.world.people import DECIDES, ROLES, People
from pipeline.world.settings import INDUSTRIES
from pipeline.world.states import Ints

STAFF = ("dana", "yossi", "michal", "omer", "rina", "avi", "noa", "tamar")
MOODS = {-1.0: "Hostile", -0.5: "Curt", 0.0: "Neutral", 0.5: "Friendly", 1.0: "Delighted"}
HEBREW_NAMES = (
    "גליל",
    "כרמל",
    "נגב",
    "שרון",
    "ארז",
    "תבור",
    "ירדן",
    "גלבוע",
    "אלון",
    "ברק",
    "דקל",
    "חרמון",
    "יובל",
    "כנרת",
    "מוריה",
    "עומר",
)
HEBREW_TRADES = ("יבוא ושיווק", "טקסטיל", "אלקטרוניקה", "ריהוט", "מזון", "ציוד רפואי", "מתכת", "פלסטיק")
ENGLISH_NAMES = ("Atlas", "Beacon", "Cedar", "Delta", "Everest", "Falcon", "Granite", "Harbor", "Indigo", "Juniper", "Keystone", "Lumen")
ENGLISH_TRADES = ("Trading", "Textiles", "Electronics", "Furniture", "Foods", "Medical Supply", "Metals", "Plastics")


@dataclass
class Numbers:
    """The last number given in each series."""

    last: dict[str, int] = field(default_factory=dict)

    def take(self, series: str, many: int) -> Ints:
        first = self.last.get(series, 0)
        self.last[series] = first + many
        return np.arange(first + 1, first + many + 1)


def _numbered(letter: str, numbers: Ints, width: int, missing: Any = None) -> pa.Array:
    """`R000017`; empty where `missing`."""
    text = pc.binary_join_element_wise(letter, pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0"), "")
    return text if missing is None else pc.if_else(pa.array(missing), "", text)


def _words(codes: Any, names: Any) -> pa.Array:
    return pa.array(list(names)).take(pa.array(codes))


def _amounts(agorot: Ints) -> pa.Array:
    whole, rest = np.divmod(np.asarray(agorot, np.int64), 100)
    return pc.binary_join_element_wise(pa.array(whole).cast(pa.string()), pc.utf8_lpad(pa.array(rest).cast(pa.string()), 2, "0"), ".")


def _yes(flags: Any) -> pa.Array:
    return pc.if_else(pa.array(np.asarray(flags, bool)), "Y", "N")


def _table(known: Ints, columns: Mapping[str, Any]) -> pa.Table:
    return pa.table({**columns, "_known": pa.array(np.asarray(known, np.int64))})


@dataclass(frozen=True)
class Desk:
    """What every export needs: how dates are written, the numbers given so far, the block's account numbers."""

    almanac: Almanac
    numbers: Numbers
    lives: Lives

    def accounts(self, client: Ints) -> pa.Array:
        return pa.array(client_ids(self.lives.first + np.arange(self.lives.n)).tolist(), pa.string()).take(pa.array(client))

    def stamps(self, random: np.random.Generator, day: Ints) -> pa.Array:
        """Moments in office hours."""
        return self.almanac.text(day, self.almanac.office_minute(random, len(day)))


def exported(desk: Desk, weeks: Weeks, contacts: pd.DataFrame, people: People, money: Money) -> dict[str, pa.Table]:
    """Name of the file -> its lines. The same columns for every block."""
    persons = desk.numbers.take("person", len(people.rows))
    orders = np.full(len(contacts), -1, np.int64)
    is_order = (contacts.topic == "Shipment order").to_numpy()
    orders[is_order] = desk.numbers.take("shipment", int(is_order.sum()))
    invoices = desk.numbers.take("invoice", len(money.bills))
    crm, tickets = _contacts(desk, contacts, persons, orders)
    return {
        "crm": crm,
        "tickets": tickets,
        "accounts": _accounts(desk),
        "people": _people(desk, people, persons),
        "invoices": _invoices(desk, money.bills, invoices),
        "receipts": _receipts(desk, money.receipts, invoices),
        "timesheet": _timesheet(desk, money, invoices),
        "contracts": _contracts(desk),
        "tasks": _tasks(desk, weeks, contacts, orders),
        "endings": _endings(desk),
        "surveys": _surveys(desk, weeks),
        "reviews": _reviews(desk, weeks),
        "referrals": _referrals(desk),
        "steps": _steps(desk, weeks),
    }


def common_exports(desk: Desk) -> dict[str, pa.Table]:
    """What is written once for all clients."""
    lives = desk.lives
    index = papers.industry_index(lives.settings.seed, lives.first_day, lives.start_day, lives.end_day, lives.stress)
    lines = papers.services(lives.start_day, lives.settings.years)
    random = lives.random("common")
    names = {"air": "Air freight", "sea": "Sea freight", "customs": "Customs clearance", "warehousing": "Warehousing"}
    names |= {"insurance": "Cargo insurance", "consulting": "Trade consulting", "trucking": "Own trucking"}
    return {
        "services": _table(
            lines.known.to_numpy(),
            {"Service": pa.array(lines.service.to_list(), pa.string()), "Name": pa.array([names[name] for name in lines.service])}
            | {"Strategic weight": pa.array([f"{weight:.1f}" for weight in lines.weight])}
            | {"From": desk.almanac.day_text(lines.from_day.to_numpy()), "Updated": desk.stamps(random, lines.known.to_numpy())},
        ),
        "industry_index": _table(
            index.known.to_numpy(),
            {"Industry": pa.array(index.industry.to_list(), pa.string()), "Month": desk.almanac.day_text(index.month.to_numpy())}
            | {"Index": pa.array([f"{value:.1f}" for value in index.value])}
            | {"Published": desk.stamps(random, index.known.to_numpy())},
        ),
    }


# ---- contacts ---------------------------------------------------------------------------------------------------------------------


def _owners(client: Ints, day: Ints) -> Ints:
    """Who of us looks after the client: someone else every other year or so."""
    return (client * 7 + (day + 97 * client) // 700) % len(STAFF)


def _contacts(desk: Desk, contacts: pd.DataFrame, persons: Ints, orders: Ints) -> tuple[pa.Table, pa.Table]:
    """Contacts -> lines of the CRM, and events of the ticket system (opened, replied, closed)."""
    lives, random, n = desk.lives, desk.lives.random("crm"), len(contacts)
    moment, client, person = (contacts[name].to_numpy() for name in ("moment", "client", "person"))
    is_ticket = (contacts.type == "Ticket").to_numpy()
    promptly = random.integers(0, 240, n)
    late = (DAY * random.lognormal(1.6, 0.9, n)).astype(np.int64)  # a call typed up at the end of the week, or of the month
    logged = moment + np.where((random.random(n) < 0.9) | is_ticket, promptly * ~is_ticket, late)
    kept = logged < lives.end_day * DAY
    place = np.flatnonzero(kept)
    place = place[np.argsort(logged[place], kind="stable")]
    numbers = np.zeros(n, np.int64)
    activities, opened = place[~is_ticket[place]], place[is_ticket[place]]
    numbers[activities] = desk.numbers.take("activity", len(activities))
    answers = contacts.answers.to_numpy()
    first = opened[answers[opened] < 0]
    numbers[first] = desk.numbers.take("ticket", len(first))
    numbers[opened] = np.where(answers[opened] >= 0, numbers[answers[opened]], numbers[opened])
    when, entered = desk.almanac.text(moment // DAY, moment % DAY), desk.almanac.text(logged // DAY, logged % DAY)
    who = _numbered("P", np.where(person >= 0, persons[person], 0), 6, person < 0)
    of_order = contacts.order.to_numpy()
    shipment = _numbered("S", np.where(of_order >= 0, orders[of_order], 0), 7, of_order < 0)
    owner = _words(np.where(random.random(n) < 0.85, _owners(client, moment // DAY), random.integers(0, len(STAFF), n)), STAFF)
    tone = contacts.tone.to_numpy()
    mood = _words(np.where(np.isnan(tone), 5, np.nan_to_num(2 * tone + 2)).astype(np.int64), [*MOODS.values(), ""])
    minutes = contacts.minutes.to_numpy()
    spent = pc.if_else(pa.array(minutes > 0), pa.array(minutes).cast(pa.string()), "")
    is_in = contacts.is_in.to_numpy()
    account, topic = desk.accounts(client), _words(contacts.topic.cat.codes.to_numpy(), NAMES)
    answered = _numbered("A", np.where(answers >= 0, numbers[answers], 0), 8, (answers < 0) | (numbers[answers] == 0))
    crm = _table(
        logged // DAY,
        {"Activity ID": _numbered("A", numbers, 8), "Account": account, "Contact": who, "When": when, "Logged": entered}
        | {"Type": _words(contacts.type.cat.codes.to_numpy(), TYPES), "Direction": pc.if_else(pa.array(is_in), "In", "Out"), "Topic": topic}
        | {"Minutes": spent, "In reply to": answered, "Owner": owner, "Shipment": shipment, "Mood": mood},
    ).take(pa.array(activities))
    event = pc.if_else(pa.array(answers < 0), "Opened", "Replied")
    tickets = _table(
        moment // DAY,
        {"Ticket": _numbered("T", numbers, 7), "Event": event, "At": when, "Account": account, "Subject": topic, "Agent": owner}
        | {"Reporter": who, "Shipment": shipment},
    )
    tickets = tickets.set_column(5, "Agent", pc.if_else(pa.array(answers < 0), "", owner))
    return crm, _with_closings(desk, tickets, opened[numbers[opened] > 0], moment, answers)


def _with_closings(desk: Desk, tickets: pa.Table, rows: Ints, moment: Ints, answers: Ints) -> pa.Table:
    """The ticket system's log in its order; an answered ticket is closed some hours later."""
    random = desk.lives.random("closings")
    replied = rows[answers[rows] >= 0]
    closed = moment[replied] + random.integers(30, 4 * DAY, len(replied))
    replied, closed = replied[closed < desk.lives.end_day * DAY], closed[closed < desk.lives.end_day * DAY]
    lines = tickets.take(pa.array(replied))
    names = lines.column_names
    lines = lines.set_column(names.index("Event"), "Event", pa.array(["Closed"] * len(replied), pa.string()))
    lines = lines.set_column(names.index("At"), "At", desk.almanac.text(closed // DAY, closed % DAY))
    lines = lines.set_column(names.index("_known"), "_known", pa.array(closed // DAY))
    both = pa.concat_tables([tickets.take(pa.array(rows)), lines])
    order = np.argsort(np.concatenate([moment[rows], closed]), kind="stable")
    return both.take(pa.array(order))


# ---- accounts and people ----------------------------------------------------------------------------------------------------------


def _accounts(desk: Desk) -> pa.Table:
    lives, random, n = desk.lives, desk.lives.random("accounts"), desk.lives.n
    is_abroad = lives.country != "IL"
    in_hebrew = ~is_abroad & (random.random(n) < 0.65)
    pick, trade = random.integers(0, 1_000, n), lives.industry
    number = lives.first + np.arange(n) + 1
    names = [
        f'{HEBREW_NAMES[pick[i] % 16]} {HEBREW_TRADES[trade[i]]} {number[i]} בע"מ'
        if in_hebrew[i]
        else f"{ENGLISH_NAMES[pick[i] % 12]} {ENGLISH_TRADES[trade[i]]} {number[i]}, Ltd"
        for i in range(n)
    ]
    volume, joined = lives.traits["volume"], lives.joined_day
    referral = lives.ties[lives.ties.kind == "Referral"].drop_duplicates("client").set_index("client").other
    by = referral.reindex(np.arange(n)).fillna(-1).to_numpy().astype(np.int64)
    return _table(
        joined,
        {"Account": desk.accounts(np.arange(n)), "Name": pa.array(names)}
        | {"Size": _words((volume > 0.33).astype(np.int64) + (volume > 0.9), ("small", "medium", "large"))}
        | {
            "Industry": _words(trade, INDUSTRIES),
            "Country": pa.array(lives.country.tolist(), pa.string()),
            "Client since": desk.almanac.day_text(joined),
        }
        | {"Referred by": pc.if_else(pa.array(by < 0), "", desk.accounts(np.maximum(by, 0)))}
        | {"Owner": _words(_owners(np.arange(n), lives.joined_day), STAFF), "Created": desk.stamps(random, joined)},
    )


def _people(desk: Desk, people: People, persons: Ints) -> pa.Table:
    """A line when a person is entered, another when the leaving is noticed."""
    random, rows = desk.lives.random("people lines"), people.rows
    gone = np.flatnonzero((rows.left >= 0).to_numpy())
    place = np.concatenate([np.arange(len(rows)), gone])
    left = np.concatenate([np.full(len(rows), -1), rows.left.to_numpy()[gone]])
    known = np.concatenate([rows.entered.to_numpy(), rows.left_entered.to_numpy()[gone]])
    slot = rows.slot.to_numpy()[place]
    found = _table(
        known,
        {"Person": _numbered("P", persons[place], 6), "Account": desk.accounts(rows.client.to_numpy()[place]), "Role": _words(slot, ROLES)}
        | {"Decision maker": _yes(np.array(DECIDES)[slot]), "Since": desk.almanac.day_text(rows.since.to_numpy()[place])}
        | {"Left": desk.almanac.day_text(left), "Updated": desk.stamps(random, known)},
    )
    return _sorted(found)


def _sorted(table: pa.Table) -> pa.Table:
    return table.take(pa.array(np.argsort(table["_known"].to_numpy(), kind="stable")))


# ---- money ------------------------------------------------------------------------------------------------------------------------


def _invoices(desk: Desk, bills: pd.DataFrame, numbers: Ints) -> pa.Table:
    random = desk.lives.random("invoice lines")
    day = desk.almanac.day_text
    return _table(
        bills.issued.to_numpy(),
        {"Invoice": _numbered("", numbers, 6), "Account": desk.accounts(bills.client.to_numpy()), "Issued": day(bills.issued.to_numpy())}
        | {
            "Due": day(bills.due.to_numpy()),
            "Amount": _amounts(bills.agorot.to_numpy()),
            "Before discount": _amounts(bills.list_agorot.to_numpy()),
        }
        | {"Disputed": day(np.where(bills.disputed < desk.lives.end_day, bills.disputed, -1))}
        | {"Updated": desk.stamps(random, bills.issued.to_numpy())},
    )


def _receipts(desk: Desk, receipts: pd.DataFrame, invoices: Ints) -> pa.Table:
    random, n = desk.lives.random("receipt lines"), len(receipts)
    booked = receipts.paid.to_numpy() + random.choice([0, 1, 3], n, p=[0.5, 0.35, 0.15])  # the bank's list is read every few days
    return _table(
        booked,
        {"Receipt": _numbered("R", desk.numbers.take("receipt", n), 6), "Invoice": _numbered("", invoices[receipts.invoice.to_numpy()], 6)}
        | {"Paid": desk.almanac.day_text(receipts.paid.to_numpy()), "Amount": _amounts(receipts.agorot.to_numpy())}
        | {"Booked": desk.stamps(random, booked)},
    )


def _timesheet(desk: Desk, money: Money, invoices: Ints) -> pa.Table:
    """A line when the work is entered, another with the invoice once it is billed."""
    random, entries = desk.lives.random("timesheet"), money.entries
    n, billed = len(entries), entries.invoice.to_numpy()
    number = desk.numbers.take("entry", n)
    staff = np.where(random.random(n) < 0.8, _owners(entries.client.to_numpy(), entries.day.to_numpy()), random.integers(0, len(STAFF), n))
    entered = entries.day.to_numpy() + random.choice([0, 1, 4, 12], n, p=[0.5, 0.3, 0.15, 0.05])
    with_bill = np.flatnonzero(billed >= 0)
    place = np.concatenate([np.arange(n), with_bill])
    issued = money.bills.issued.to_numpy()[billed[with_bill]] if len(with_bill) else with_bill
    known = np.concatenate([entered, np.maximum(issued, entered[with_bill]) + 1])
    invoice = np.concatenate([np.full(n, -1), billed[with_bill]])
    rows = entries.iloc[place]
    found = _table(
        known,
        {"Entry": _numbered("W", number[place], 7), "Account": desk.accounts(rows.client.to_numpy()), "Staff": _words(staff[place], STAFF)}
        | {"Date": desk.almanac.day_text(rows.day.to_numpy()), "Minutes": pa.array(rows.minutes.to_numpy()).cast(pa.string())}
        | {"Billable": _yes(rows.is_billable), "In scope": _yes(rows.is_in_scope), "Cost": _amounts(rows.cost_agorot.to_numpy())}
        | {"Invoice": _numbered("", np.where(invoice >= 0, invoices[invoice], 0) if len(invoices) else invoice, 6, invoice < 0)}
        | {"Entered": desk.stamps(random, known)},
    )
    return _sorted(found)


# ---- the rest ---------------------------------------------------------------------------------------------------------------------


def _contracts(desk: Desk) -> pa.Table:
    lines = papers.contracts(desk.lives)
    random, day = desk.lives.random("contract lines"), desk.almanac.day_text
    number = desk.numbers.take("contract", int(lines.contract.max()) + 1 if len(lines) else 0)
    writing = {name: _yes(lines[name]) for name in papers.IN_WRITING}
    return _table(
        lines.known.to_numpy(),
        {"Contract": _numbered("K", number[lines.contract.to_numpy()], 6), "Account": desk.accounts(lines.client.to_numpy())}
        | {"Service": _words(lines.service.to_numpy(), SERVICES), "Signed": day(lines.signed.to_numpy())}
        | {"Terms sent": day(np.where(lines.terms < desk.lives.end_day, lines.terms, -1)), "From": day(lines.starts.to_numpy())}
        | {
            "To": day(lines.ends.to_numpy()),
            "Auto renew": _yes(lines.renews),
            "Notice days": pa.array(lines.notice.to_numpy()).cast(pa.string()),
        }
        | {"Monthly value": _amounts(lines.agorot.to_numpy()), "Currency": pa.array(["ILS"] * len(lines), pa.string()), **writing}
        | {"Updated": desk.stamps(random, lines.known.to_numpy())},
    )


def _tasks(desk: Desk, weeks: Weeks, contacts: pd.DataFrame, orders: Ints) -> pa.Table:
    lines = papers.tasks(weeks, contacts, desk.almanac)
    random, day = desk.lives.random("task lines"), desk.almanac.day_text
    number = desk.numbers.take("task", int(lines.task.max()) + 1 if len(lines) else 0)
    order = lines.order.to_numpy().astype(np.int64)
    entered = 9 * 60 + 150 * lines.stage.to_numpy() + random.integers(0, 150, len(lines))  # done later in the day than promised
    return _table(
        lines.known.to_numpy(),
        {"Task": _numbered("G", number[lines.task.to_numpy()], 7), "Account": desk.accounts(lines.client.to_numpy())}
        | {"Shipment": _numbered("S", np.where(order >= 0, orders[order], 0), 7, order < 0)}
        | {"Owed by": pc.if_else(pa.array(lines.by_us.to_numpy(bool)), "Us", "Client"), "Kind": pa.array(lines.kind.to_list(), pa.string())}
        | {"Promised": day(lines.promised.to_numpy()), "Due": day(lines.due.to_numpy()), "Done": day(lines.done.to_numpy())}
        | {"Cancelled": day(lines.cancelled.to_numpy()), "Updated": desk.almanac.text(lines.known.to_numpy(), entered)},
    )


def _endings(desk: Desk) -> pa.Table:
    lives, random = desk.lives, desk.lives.random("ending lines")
    ended = lives.spells[lives.spells.decided_day >= 0].sort_values(["decided_day", "client"], ignore_index=True)
    entered = (ended.decided_day + random.choice([0, 1, 4], len(ended), p=[0.6, 0.25, 0.15])).to_numpy(np.int64)
    return _table(
        entered,
        {"Notice": _numbered("C-", desk.numbers.take("ending", len(ended)), 4), "Account": desk.accounts(ended.client.to_numpy())}
        | {"Notice given": desk.almanac.day_text(ended.decided_day.to_numpy()), "Ends": desk.almanac.day_text(ended.ended_day.to_numpy())}
        | {
            "Given by": pa.array(ended.ended_by.to_list(), pa.string()),
            "Reason": pa.array(ended.reason.to_list(), pa.string()),
            "Entered": desk.stamps(random, entered),
        },
    )


def _surveys(desk: Desk, weeks: Weeks) -> pa.Table:
    lines = papers.surveys(weeks)
    return _table(
        lines.known.to_numpy(),
        {"Answer": _numbered("Q", desk.numbers.take("survey", len(lines)), 6), "Account": desk.accounts(lines.client.to_numpy())}
        | {"Asked": pa.array(lines.kind.to_list(), pa.string()), "Date": desk.almanac.day_text(lines.day.to_numpy())}
        | {"Score": pa.array(lines.score.to_numpy()).cast(pa.string())}
        | {"Entered": desk.stamps(desk.lives.random("survey lines"), lines.known.to_numpy())},
    )


def _reviews(desk: Desk, weeks: Weeks) -> pa.Table:
    lines = papers.reviews(weeks)
    return _table(
        lines.known.to_numpy(),
        {"Review": _numbered("V", desk.numbers.take("review", len(lines)), 5), "Account": desk.accounts(lines.client.to_numpy(np.int64))}
        | {"Date": desk.almanac.day_text(lines.day.to_numpy(np.int64)), "Reviewer": pa.array(lines.reviewer.to_list(), pa.string())}
        | {"Verdict": pa.array(lines.verdict.to_list(), pa.string()), "Why": pa.array(lines.reason.to_list(), pa.string())}
        | {"How chosen": pc.if_else(pa.array(lines.at_random.to_numpy(bool)), "At random", "Stood out")}
        | {"Entered": desk.stamps(desk.lives.random("review lines"), lines.known.to_numpy(np.int64))},
    )


def _steps(desk: Desk, weeks: Weeks) -> pa.Table:
    """A line when a step is entered, another with what came of it."""
    lines = papers.steps(weeks)
    random, client = desk.lives.random("step lines"), lines.client.to_numpy(np.int64)
    number = desk.numbers.take("step", int(lines.step.max()) + 1 if len(lines) else 0)
    return _table(
        lines.known.to_numpy(np.int64),
        {"Step": _numbered("H", number[lines.step.to_numpy(np.int64)], 5), "Account": desk.accounts(client)}
        | {"Done": desk.almanac.day_text(lines.day.to_numpy(np.int64)), "What": pa.array(lines.kind.to_list(), pa.string())}
        | {"Outcome": pa.array(lines.outcome.to_list(), pa.string()), "By": _words(_owners(client, lines.day.to_numpy(np.int64)), STAFF)}
        | {"Entered": desk.stamps(random, lines.known.to_numpy(np.int64))},
    )


def _referrals(desk: Desk) -> pa.Table:
    ties = desk.lives.ties.sort_values(["from_day", "client"], kind="stable")
    until = pa.array([""] * len(ties), pa.string())  # ties in the books do not end: nobody strikes out who once recommended whom
    return _table(
        ties.from_day.to_numpy(np.int64),
        {"Tie": _numbered("L", desk.numbers.take("tie", len(ties)), 5), "Account": desk.accounts(ties.client.to_numpy(np.int64))}
        | {"Other account": desk.accounts(ties.other.to_numpy(np.int64)), "Kind": pa.array(ties.kind.to_list(), pa.string())}
        | {"Since": desk.almanac.day_text(ties.from_day.to_numpy(np.int64)), "Until": until}
        | {"Entered": desk.stamps(desk.lives.random("tie lines"), ties.from_day.to_numpy(np.int64))},
    )
