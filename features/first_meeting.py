"""First-meeting screen (C10, C5): how much of a client's first 60 days of contact was about price, discounts or terms: a score at intake.

The first days begin with the client's first contact, or the first talk of price whoever began it; contacts before that, of ours alone, are
none of its. A client of three days is judged by those three: `intake_score` sets what it said of price against what is usual among all
contacts of its segment, both plus one (the mean of a Gamma prior of shape 1), so that one price question in one contact is a hint (about 2)
and five in five a sign (about 5). After 60 days its own part is final (but for what is logged late or amended); what is usual may still
move, slowly, since it is reckoned from everything so far. First contacts hold more talk of price than later ones do: the score ranks
clients at intake, 1 is not its mean.

Where clients.started_on lies more than 60 days before the first contact, the first meeting was not recorded and all is unknown. Without a
start the beginning of a client cannot be told from the beginning of the data.
"""

from typing import Any

import numpy as np

from features.contract import Business, Column, NotMeasuredError, Signal, View
from features.measures import Floats, Measure, Peer, Seen, count_per_client, first_day, sequence, state
from features.ratios import share

PRICE_TALK = {"price_question": 1, "discount_request": 2, "terms_refused": 3}  # kind -> code; 0 = other contacts
FIRST_DAYS = 60
SHARE_WORDS = (
    "{first_price_talk_share:.0%} of the client's {first_contacts:.0f} contacts in its first 60 days were about price, discounts or terms."
)
SCORE_WORDS = SHARE_WORDS + " Discounts asked for: {first_discount_asks:.0f}; terms refused: {first_terms_refused:.0f}."


def measures(_: Business) -> list[Measure]:
    """The first days, replayed; all contacts and price talk of the segment so far."""

    def is_price_talk(rows: Any) -> Any:
        return rows.kind.isin(tuple(PRICE_TALK))

    def is_contact(rows: Any) -> Any:
        return (rows.direction == "inbound").fill_null(False) | is_price_talk(rows)

    return [
        sequence(
            ("first_day", "contacts", "price_talk", "discount_asks", "refusals"),
            "interactions",
            first_days,
            where=is_contact,
            values={"talk": lambda rows: rows.kind.cases(*PRICE_TALK.items(), else_=0)},
        ),
        state("contacts_ever", "interactions", is_contact),
        state("price_talk_ever", "interactions", is_price_talk),
        first_day("started", "clients", since="started_on"),
        state("segment", "clients", lambda rows: rows.segment),
        Peer("peer_contacts", of="contacts_ever", by="segment"),
        Peer("peer_price_talk", of="price_talk_ever", by="segment"),
    ]


def first_days(seen: Seen) -> tuple[Floats, ...]:
    """(first day, contacts, price talk, discount asks, refused terms) of each client's first 60 days; no day and zeros for one unseen."""
    is_new = np.ones(len(seen.client), bool)
    is_new[1:] = seen.client[1:] != seen.client[:-1]
    first = seen.day[is_new]
    began = np.full(seen.n_clients, np.nan)
    began[seen.client[is_new]] = first
    since_first = seen.day - first[np.cumsum(is_new) - 1]
    is_early = since_first < FIRST_DAYS
    talk = seen.values["talk"]
    kinds = (is_early, is_early & (talk > 0), is_early & (talk == 2), is_early & (talk == 3))
    return (began, *(count_per_client(seen, rows) for rows in kinds))


def _early(view: View, name: str) -> Floats:
    """A count of the first days; NaN where these were not recorded."""
    try:
        started = view["started"]
    except NotMeasuredError:  # no table of clients: no start is known
        started = np.full(view["first_day"].shape, np.nan)
    missed_days = view["first_day"] - started
    return np.where(missed_days > FIRST_DAYS, np.nan, view[name])


def _score(view: View) -> Floats:
    usual = np.nan_to_num(share(view["peer_price_talk"], view["peer_contacts"]))
    return (_early(view, "price_talk") + 1) / (_early(view, "contacts") * usual + 1)


COLUMNS = (
    Column("first_contacts", lambda view: _early(view, "contacts"), "count", "the client's contacts in its first 60 days", 0),
    Column(
        "first_price_talk_share",
        lambda view: share(_early(view, "price_talk"), _early(view, "contacts")),
        "share",
        "share of the client's contacts in its first 60 days that were price questions, discount asks or refused terms",
        None,
        misfit=1,
        raises=SHARE_WORDS,
        lowers=SHARE_WORDS.replace("{first_price", "Only {first_price", 1),
    ),
    Column("first_discount_asks", lambda view: _early(view, "discount_asks"), "count", "discounts asked for in the first 60 days", 0),
    Column("first_terms_refused", lambda view: _early(view, "refusals"), "count", "terms refused in the first 60 days", 0),
    Column(
        "intake_score",
        _score,
        "ratio",
        "that talk of price against what is usual in as many contacts of the segment so far, both plus one (1 = as usual)",
        1,
        misfit=1,
        raises=SCORE_WORDS,
        lowers=SCORE_WORDS,
    ),
)

SIGNAL = Signal(
    name="first_meeting",
    title="First-meeting screen",
    statements=("C10", "C5"),
    tables=("interactions",),
    also=("clients",),
    measures=measures,
    columns=COLUMNS,
)
