"""Tone and respect (A3, D2, D7, C3): tone as the source marks it, hostile contacts, a fall of tone, and the staff's morale after contact.

The tone of a contact is taken as the source gives it, from −1 (hostile) to 1 (friendly): a colleague's mark or the source's own score. It
is not read from text here. A contact without a mark counts nothing: it is neither friendly nor neutral. The mark belongs to the contact,
whoever began it, so a call that we placed counts; but what we wrote ourselves (outbound by email, chat …) does not, since there a score
would be of our own words.
"""

from typing import Any

import numpy as np

from features.contract import Business, Column, Signal, View
from features.measures import Floats, Measure, Peer, state, thousandths, window
from features.ratios import share, shrunk

HOSTILE = -0.5  # and below
WRITTEN = ("email", "chat", "ticket", "portal", "order")
STRENGTH = 5.0  # marks: how strongly a mean is drawn to the usual one
MEAN_WORDS = "The tone of the marked contacts of the last {days} days is {{tone_mean_{days}:.1f}} on average (−1 = hostile, 1 = friendly)."
FALL_WORDS = (
    "The tone of the marked contacts is {tone_mean_90:.1f} on average in the last 90 days and {tone_mean_365:.1f} in the last year"
    " (−1 = hostile, 1 = friendly)."
)
HOSTILE_WORDS = (
    "Contacts of the last 180 days marked with a tone of −0.5 or lower: {hostile_180:.0f}, {hostile_share_180:.0%} of all marked ones."
)


def measures(_: Business) -> list[Measure]:
    """Marks and their sums in thousandths; the peers of the segment; morale."""

    def is_marked(rows: Any) -> Any:
        our_words = (rows.direction == "outbound").fill_null(False) & rows.channel.isin(WRITTEN).fill_null(False)
        return rows.tone.notnull() & ~our_words

    def tone(rows: Any) -> Any:
        return is_marked(rows).ifelse(thousandths(rows.tone), 0)

    def is_morale(rows: Any) -> Any:
        return rows.kind == "staff_morale"

    return [
        *window("marked", "interactions", is_marked, 90, 180, 365),
        *window("tone", "interactions", tone, 90, 365),
        *window("hostile", "interactions", lambda rows: is_marked(rows) & (rows.tone <= HOSTILE), 180),
        *window("morale", "surveys", lambda rows: is_morale(rows).ifelse(thousandths(rows.score), 0), 365),
        *window("morale_marks", "surveys", is_morale, 365),
        state("segment", "clients", lambda rows: rows.segment),
        Peer("peer_tone", of="tone_365", by="segment"),
        Peer("peer_marked", of="marked_365", by="segment"),
    ]


def _fall(view: View) -> Floats:
    """Usual less recent mean: the usual drawn to the segment's, the recent to the usual; exactly 0 without a recent mark."""
    typical = np.nan_to_num(share(view["peer_tone"], view["peer_marked"]))
    usual = shrunk(view["tone_365"] - view["tone_90"], view["marked_365"] - view["marked_90"], typical, STRENGTH)
    return (view["marked_90"] * usual - view["tone_90"]) / (view["marked_90"] + STRENGTH) / 1_000


COLUMNS = (
    *(
        Column(
            f"tone_mean_{days}",
            lambda view, days=days: share(view[f"tone_{days}"], view[f"marked_{days}"]) / 1_000,  # type: ignore[misc]
            "tone",
            f"mean tone, −1 to 1, of the contacts of the last {days} days whose tone was marked",
            None,
            churn=-1,
            misfit=-1,
            raises=MEAN_WORDS.format(days=days),
            lowers=MEAN_WORDS.format(days=days),
        )
        for days in (90, 365)
    ),
    Column("hostile_180", "hostile_180", "count", f"contacts of the last 180 days marked with a tone of {HOSTILE} or below", 0),
    Column(
        "hostile_share_180",
        lambda view: share(view["hostile_180"], view["marked_180"]),
        "share",
        "their share of the contacts of the last 180 days whose tone was marked",
        None,
        churn=1,
        misfit=1,
        raises=HOSTILE_WORDS,
        lowers=HOSTILE_WORDS,
    ),
    Column(
        "tone_fall_90",
        _fall,
        "tone",
        "the client's mean tone of the 275 days before less that of the last 90; that shrunk to its segment's, this to that",
        0,
        churn=1,
        misfit=1,
        yardstick=0,
        raises=FALL_WORDS,
        lowers=FALL_WORDS,
    ),
    Column(
        "staff_morale_365",
        lambda view: share(view["morale_365"], view["morale_marks_365"]) / 1_000,
        "mark",
        "mean mark, 1 to 5, that our staff gave their own morale after contact with the client in the last 365 days",
        None,
        churn=-1,
        misfit=-1,
        raises="Our staff's morale after contact with the client was marked {staff_morale_365:.1f} of 5 on average in the last year.",
        lowers="Our staff's morale after contact with the client was marked {staff_morale_365:.1f} of 5 on average in the last year.",
    ),
)

SIGNAL = Signal(
    name="tone",
    title="Tone and respect",
    statements=("A3", "D2", "D7", "C3"),
    tables=("interactions",),
    also=("clients", "surveys"),
    measures=measures,
    columns=COLUMNS,
)
