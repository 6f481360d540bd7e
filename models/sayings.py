"""A code and its figures -> a plain sentence and the statements it rests on: every word that the decision and the brief say, in one place.

What leaves the pipeline is the code, the figures and this English sentence, so that another language needs another table and no rule.
In a sentence `{x:money}` is an amount in minor units, `{x:share}` a share of one, `{x:n}` a number, `{x:said}` several
sayings one after the other; one that is None reads "unknown".
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MINOR_UNITS = 100  # of a unit of currency
WHOLE_PERCENTS_FROM = 0.1  # a share below it is told to a tenth of a percent: most clients of a large portfolio are "0 %" of it


class _Plain(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None:
            return "unknown"
        if format_spec == "money":
            return f"{value / MINOR_UNITS:z,.0f}"  # z: no "-0"
        if format_spec == "share":
            return f"{value:.0%}" if abs(value) >= WHOLE_PERCENTS_FROM or value == 0 else f"{value:z.1%}"
        if format_spec == "n":
            return f"{value:z,.0f}"
        if format_spec == "said":
            return " ".join(each.sentence for each in value)
        return str(super().format_field(value, format_spec))


@dataclass(frozen=True)
class Said:
    """One thing said: its code in WORDS, and the figures of its sentence."""

    code: str
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def statements(self) -> tuple[str, ...]:
        return tuple(WORDS[self.code][0].split())

    @property
    def sentence(self) -> str:
        return _Plain().vformat(WORDS[self.code][1], (), self.values)

    def as_data(self) -> dict[str, Any]:
        """For JSON: code, statements, values (sayings among them in the same form), sentence."""
        values = {name: [each.as_data() for each in value] if isinstance(value, tuple) else value for name, value in self.values.items()}
        return {"code": self.code, "statements": list(self.statements), "values": values, "sentence": self.sentence}


def say(code: str, **values: Any) -> Said:
    """A saying; a code or a figure that WORDS does not know is our own mistake, found at once."""
    known = {name for _, name, _, _ in string.Formatter().parse(WORDS[code][1]) if name}
    assert known == set(values), f"{code}: the sentence has {sorted(known)}, given {sorted(values)}"
    return Said(code, values)


# code -> (statements, sentence)
WORDS: Mapping[str, tuple[str, str]] = {
    # is it us or them?
    "ours_explains": (
        "E1 E5 D2",
        "Our own lateness explains this: {share:share} of all delay of the last half year was ours; promises of ours overdue: {overdue:n}."
        " Mend it first.",
    ),
    "ours_does_not_explain": (
        "E1 E5 D2",
        "Our own lateness does not explain it: {share:share} of all delay of the last half year was ours; promises of ours overdue:"
        " {overdue:n}.",
    ),
    "ours_none": (
        "E1 E5 D2",
        "Our own lateness does not explain it: no promise of ours was late in the last half year, and none is overdue.",
    ),
    "ours_too_little": (
        "E1 E5 D2",
        "Our own lateness does not explain it: what delay there was is mostly ours, but comes to {days:n} days in the last half year.",
    ),
    "ours_unknown": (
        "E1 E5 D4",
        "Whether our own lateness plays a part is not known: no promises are on record; ask the client and our own people before anything"
        " that ends or hands over the work.",
    ),
    # expectations and boundaries
    "boundaries_unwritten": (
        "A2 C9 E3 D2",
        "Set out in writing what we do, when and for what. Running agreements whose terms were sent: {sent:share}; of the four terms in"
        " writing: {terms:.1f}.{crossed}",
    ),
    "boundaries_crossed": (
        "C4 C6 D2 E2 E4",
        "Rules of ours are crossed ({rules}): speak of it frankly, send the terms again and quote what goes beyond them.",
    ),
    "talk_frankly": ("C11 D2 D3", "Talk frankly first: what weighs on us, what the client needs, and what both expect, put in writing."),
    # price
    "price_too_low": (
        "A5 D4 E4",
        "The price is too low for what it buys: of the last year's revenue {margin:share} is left after the cost to serve, less than"
        " {floor:share}. The same work for {price:money} {currency} (it was {revenue:money}) would leave that: quote it so, or the"
        " extras far above it.",
    ),
    "price_below_cost": (
        "A5 D4 E4",
        "The price is too low for what it buys: in the last year it cost {loss:money} {currency} more than it brought. The same work for"
        " {price:money} (it was {revenue:money}) would leave {floor:share}: quote it so, or the extras far above it; a client that declines"
        " has chosen.",
    ),
    "price_first": ("A5 D4 E4", "The price comes first, since no talk covers a loss: put the terms in writing with the new quote."),
    "price_in_order": (
        "A5 D4",
        "The price is not the trouble: after the cost to serve a margin of {margin:share} is left, in the last year.",
    ),
    "price_unbilled": (
        "A5 D4",
        "On balance nothing was invoiced in the last year: check whether it is billed under another id, and agree on what is billed,"
        " before the next step.",
    ),
    "price_unknown": (
        "A5 D4",
        "Whether the price covers the cost to serve is not known; record what is billed, and hours and what they cost, before the next"
        " step.",
    ),
    # referring out
    "refer_off_focus": (
        "A1 A6 D8 E4",
        "What the client buys is less of what we are building than the portfolio's average (by {gap:share} of its value): offer a provider"
        " or a colleague who wants it.",
    ),
    "refer_unknown_focus": (
        "A6 D4 D8 E4",
        "Ask whether a colleague or another provider would serve the client better; how far it fits our focus is not known.",
    ),
    "refer_on_focus": (
        "A1 A6 D4 E4",
        "What the client buys is as strategic as the portfolio's average or more so: hand it to a colleague who wants it, or offer a"
        " provider.",
    ),
    "refer_after_price": (
        "A6 D2 D4 E4",
        "It costs more than it brings, and a price that would cover it was declined or changed nothing ({days:n} days ago): hand it to a"
        " colleague who wants it, or offer a provider.",
    ),
    # parting
    "part": (
        "A4 C11 D1",
        "The verdict has held on {held:n} snapshots in a row and every milder step is on record as tried or ruled out: part, with respect"
        " and after the exit check.",
    ),
    "part_lacks": ("A4 D1 D4", "Parting is not advised as things stand; see what is lacking."),
    "parting_begun": ("D8", "Parting was begun {days:n} days ago: see it through, by the terms, and settle what is open."),
    "lacks_cooling_off": ("A4", "The verdict must hold on {wanted:n} snapshots in a row; so far it has on the last {held:n}."),
    "lacks_no_overdue": ("E5 D10", "Overdue promises of ours: {overdue:n}, of the client's: {theirs:n}. Keep our word first."),
    "lacks_overdue_known": ("E5", "Whether any promise of ours is overdue is not known."),
    "lacks_certainty": (
        "D4",
        "The misfit probability of {probability:share} {confidence}, and no reviewers agree on it: get a second opinion.",
    ),
    "lacks_agreement": (
        "D4",
        "Of those who reviewed the client, {keep:n} would keep it and {misfit:n} would let it go: settle that first.",
    ),
    "lacks_opinions_known": ("D4", "Whether anybody else has judged the client is not known."),
    "lacks_share": ("A4 B0", "What share of revenue would go with the client is not known."),
    "lacks_ties": (
        "D5 A6",
        "Clients tied to it ({n:n}) bring {brings:money} {currency} a year, and half of that may go with it, which is more than parting is"
        " known to gain: speak with them first.",
    ),
    "lacks_ties_known": ("D5 A6", "Which other clients are tied to it, and what they bring, is not known."),
    "lacks_balance": ("D10", "What the client owes us is not known."),
    "lacks_affordable": (
        "A4 B0",
        "It brings {share:share} of all revenue, and it is not known that the hours freed would earn back what is lost: win new business"
        " first.",
    ),
    # steps on record, and what waits
    "tried": ("A4", "On record: done {days:n} days ago{outcome}."),
    "step_working": ("A4 C11", "On record: {step}, {days:n} days ago; it is given {patience:n} days to work before the next step."),
    "steps_unknown": ("A4 C11", "Which steps were taken already is not known."),
    "earlier_first": ("A4", "A milder step comes first."),
    "not_called_for": ("D1", "Not called for: the client is not judged a misfit."),
    "beyond_new": ("A4 E3", "New client: wait. It has been ours for {tenure:n} days; nobody is judged before {settled:n}."),
    "beyond_verdict": ("D1 D9", "A rule of the written policy is hit, but the client is not judged a misfit: nothing beyond a new price."),
    "beyond_gain": (
        "A4 D1 D4 D9",
        "Neither a written rule nor most reviewers speak against it, and no lasting loss is known that a price could not cure: nothing"
        " beyond a new price on a model's word alone.",
    ),
    "see_through": ("A4 D8", "On record: {step}, begun {days:n} days ago. See that through; nothing else is advised."),
    "lacks_terms_known": ("A2 C9 E3", "Whether the terms of its running agreements were sent is not known."),
    "lacks_terms": ("A2 C9 E3", "The terms of only {sent:share} of the running agreements were sent: expectations come before parting."),
    "note_against": ("D4 D9", "To be weighed: {rules}."),
    # winning back
    "win_back": (
        "B0 B4",
        "Above the cut for leaving ({probability:share}), and worth the effort: an expected {value:money} {currency}, at the stated save"
        " rate and after the cost of {hours:n} hours.",
    ),
    "win_back_unvalued": (
        "B0 B4",
        "Above the cut for leaving ({probability:share}). What it contributes is not known, so it was ranked by {by}, after those of known"
        " value.",
    ),
    "held_out": (
        "",
        "Left alone on purpose: drawn by lot among those chosen for an effort, so that its effect can be measured. Record it in `actions`.",
    ),
    "beyond_capacity": (
        "B0",
        "Above the cut for leaving ({probability:share}), but there is capacity for so many efforts only, and others rank before it.",
    ),
    "no_value": (
        "B0 D4",
        "Above the cut for leaving ({probability:share}), but an effort would cost more than it can be expected to save,"
        " by {short:money} {currency}.",
    ),
    "no_revenue": (
        "B0 D4",
        "Above the cut for leaving ({probability:share}), but it brought no revenue in the last year: there is nothing to win back.",
    ),
    "unweighed": ("B0", "Above the cut for leaving ({probability:share}); not yet weighed against the others."),
    "win_back_declined": (
        "B0",
        "An effort to win the client back was declined or changed nothing ({days:n} days ago): no other is made for now.",
    ),
    "effort_against_rules": ("D4 D9", "No effort to keep or to grow it while this stands against it: {rules}. Settle that first."),
    "not_leaving": (
        "",
        "Not called for: the risk of leaving is {probability:share}, below the {cut:share} from which a client is called leaving.",
    ),
    "no_save": ("A5 D1", "Do not spend a save here: the client is likelier to leave than most ({churn:share}) and judged a misfit."),
    # keeping and waiting
    "grow": ("B5 C8", "A client to keep: after the cost to serve a margin of {margin:share} is left, in the last year. {services}"),
    "grow_unknown_margin": ("B5 C8", "A client to keep; what is left of its revenue after the cost to serve is not known. {services}"),
    "bill_first": (
        "A5 D10",
        "Its account shows too little left, but work that cost us {cost:money} {currency} is on no invoice: billed, it would be in order.",
    ),
    "books_doubted": (
        "A5 D4",
        "Its account shows too little left, but so do those of most clients: check the invoices and what an hour costs before its price.",
    ),
    "price_waits": ("A5 B0", "Its price is too low for what it buys, but its risk of leaving is near the cut: watch that first."),
    "price_tried": (
        "A5 D4",
        "Its price is too low for what it buys, and a new one was asked for {days:n} days ago: see what came of it, and record it.",
    ),
    "price_agreed": ("A5 D4", "A new price was agreed {days:n} days ago; the year's account does not show it yet."),
    "price_declined": (
        "A5 D4",
        "Its price is too low for what it buys, and a new one was declined or changed nothing ({days:n} days ago). Nothing harsher is"
        " advised as things stand: serve it for less work, or ask again once the step is a year old.",
    ),
    "grow_no_revenue": ("B5", "Nothing was invoiced in the last year: there is nothing to grow yet."),
    "grow_unknown_revenue": ("B5", "What it brings is not known: no invoice of it is on record, or some are in a currency without a rate."),
    "grow_not": ("B5", "Other things come first."),
    "watch_not": ("", "A step is advised."),
    "risk_unknown": ("", "Neither risk is known: look at the client yourself."),
    # notes
    "note_counsel": ("A4 D6 D8", "Check with counsel before an exit: notice, terms, and what is owed."),
    "note_hold_out_ends": ("", "It was held out: from this step on leave it out when the effect of efforts is measured."),
    "note_steep": (
        "D2 D8",
        "A price more than {rise:share} higher is a parting for most clients: see the exit check first, and offer a narrower scope beside"
        " it.",
    ),
    "note_unbilled": ("D10", "Work that cost us {cost:money} {currency} is on no invoice: bill it first."),
    "note_ties": (
        "D5 A6",
        "Weigh the chain: clients tied to it ({n:n}) bring {brings:money} {currency} a year, and up to half of them may follow it.",
    ),
    "note_ownership": ("D6", "A tie of ownership is on record: take professional advice before any exit."),
    "note_key_account": (
        "B0",
        "Key account: {share:share} of revenue. At risk over {days:n} days: revenue of {revenue_at_risk:money} and a contribution of"
        " {margin_at_risk:money} {currency}; its revenue of the last year is that of {replacements:.1f} median clients.",
    ),
    "grow_below_median": (
        "B5 C8",
        "What is left of its revenue ({revenue:money} {currency} a year) is not known, and it is below the median client's"
        " ({typical:money}): growing others comes first.",
    ),
    "grow_small": (
        "B5 C8",
        "Profitable, but to grow it by {share:share} would bring less than the {hours:n} hours a year that this is taken to cost: others"
        " come first.",
    ),
    "note_mend": (
        "E1 E5",
        "{share:share} of all delay of the last half year was ours; promises of ours overdue: {overdue:n}. Mend that.",
    ),
    "note_avoided": (
        "E1",
        "We answer this client {ratio:.1f} times as slowly as its peers: is somebody avoiding it?",
    ),
    "note_new": ("A4 E3", "New client ({tenure:n} days): wait and set expectations; it may settle yet."),
    "note_policy_basis": ("D9", "Judged by the written policy alone: there is no misfit model, and its score is no probability."),
    "note_unsure": ("D4", "The {risk} probability {confidence}: it says little about this client."),
    "note_held_out": ("", "No contact on our own account until the draw's time is over; answer the client as always."),
    # exit check
    "exit_share": ("A4 B0", "Its share of revenue: {share:share}; of contribution: {contribution:share}."),
    "exit_share_loss": ("A4 B0", "Its share of revenue: {share:share}; it contributes nothing, but costs more than it brings."),
    "exit_what_if": (
        "A4 B0",
        "A year without it: {revenue:money} {currency} of revenue and {contribution:money} of contribution less, {hours:n} hours freed,"
        " which would earn {earned:money} elsewhere; {payback}. If the freed staff cannot be used or let go, that costs {idle:money}"
        " more{kept}.",
    ),
    "exit_what_if_loss": (
        "A4 B0",
        "A year without it: {revenue:money} {currency} of revenue less, but it costs {loss:money} more than it brings; {hours:n} hours"
        " freed, which would earn {earned:money} elsewhere; {payback}. If the freed staff cannot be used or let go, that costs {idle:money}"
        " more{kept}.",
    ),
    "exit_balance": ("D10", "Open balance, after what it has paid ahead: {open:money} {currency}, of which overdue: {overdue:money}."),
    "exit_paid_ahead": ("D10", "Open balance: none, it has paid {ahead:money} {currency} ahead. Overdue after that: {overdue:money}."),
    "exit_unbilled": ("D10", "Unbilled work: {hours:.1f} hours, which cost us {cost:money} {currency}."),
    "exit_our_promises": (
        "D10 E5",
        "Our promises: {open:n} open, of which overdue: {overdue:n}; older ones: {forgotten:n} (close or cancel).",
    ),
    "exit_their_promises": (
        "D10 C2",
        "The client's promises: {open:n} open, of which overdue: {overdue:n}; older ones: {forgotten:n} (close or cancel).",
    ),
    "exit_notice": ("A4", "{agreements:said} All can have ended by {ended} at the earliest."),
    "exit_notice_no_end": (
        "A4",
        "{agreements:said} When all can have ended is unknown: see the agreements for the notice, and for how long they renew.",
    ),
    "exit_notice_unknown": ("A4", "What notice is owed is unknown: no running agreement is on record."),
    "exit_agreement_any_day": ("A4", "{service}: notice of {notice:n} days, which can be given any day; no end is on record."),
    "exit_agreement_ends": (
        "A4",
        "{service}: notice of {notice:n} days; ends on {ends} and does not renew: no notice is needed by then.",
    ),
    "exit_agreement_renews": ("A4", "{service}: notice of {notice:n} days; renews on {ends} unless notice is given by {by}, its last day."),
    "exit_agreement_too_late": (
        "A4",
        "{service}: notice of {notice:n} days; renews on {ends}, since the last day to give notice ({by}) is already past.",
    ),
    "exit_ties": (
        "D5 A6",
        "Other clients tied to it: {n:n} ({ids}). Together they bring {brings:money} {currency} a year, those that it"
        " referred {referred:money}.",
    ),
    "exit_opinion": ("D4", "Second opinion: {keep:n} keep, {misfit:n} misfit, {unsure:n} unsure."),
    # the conversation: reasons with dates and figures (D8)
    "reason_account": (
        "A5 D4",
        "From {since} until {until}: revenue of {revenue:money} {currency}, of which {contribution:money} was left after cost to serve.",
    ),
    "reason_account_loss": (
        "A5 D4",
        "From {since} until {until}: revenue of {revenue:money} {currency}, while serving it cost {cost:money}.",
    ),
    "reason_overdue": ("A5 D10", "Invoices overdue: {n:n}, with {amount:money} {currency} unpaid; the oldest was due on {first}."),
    "reason_disputed": ("A5 D1", "Invoices disputed in the last year: {n:n}, the last on {last}."),
    "reason_broken": (
        "A5 C2 D3",
        "Tasks and materials past their agreed date, or sent after it in the last year: {n:n}; the last was due on {last}.",
    ),
    "reason_complaints": ("B4 E2", "Complaints and escalations in the last year: {n:n}, the last on {last}."),
    "reason_harsh": ("A3 D2 D7", "Contacts marked as tense by our staff in the last year: {n:n}, the last on {last}."),
    "reason_off_hours": ("A2 C4 E2", "Contacts outside service hours in the last year: {n:n}, the last on {last}."),
    "reason_scope": ("D2 E4", "Requests beyond the order in the last year: {n:n}, the last on {last}."),
    "reason_changes": ("C6", "Changes of what had been agreed in the last year: {n:n}, the last on {last}."),
    "reason_demands": ("B4", "Reports asked for and instructions given in the last year: {n:n}, the last on {last}."),
    "reason_price_talk": ("C5", "Contacts about price, discounts or terms in the last year: {n:n}, the last on {last}."),
    "reason_missed": ("B1 D3", "Meetings declined or missed in the last year: {n:n}, the last on {last}."),
    "reason_policy": ("D9", "{told}"),
    "reason_policy_unsaid": ("D9", "{title}: {evidence} It has held on {held:n} snapshots in a row."),
    "too_few_reasons": (
        "D8",
        "Reasons that can be documented with dates and figures and are fit to be said: {n:n}. At least three are wanted before a client is"
        " told to go.",
    ),
    # what it does to us
    "effect_hours": ("D3 A3", "Hours worked for it in the last year: {hours:n}."),
    "effect_share": (
        "A3 D2",
        "It takes {hours:share} of all our hours and brings {revenue:share} of all revenue: other clients get the less.",
    ),
    "effect_money": (
        "D3 D4",
        "What is left of its revenue after the cost to serve, in the last year: {contribution:money} {currency} ({margin:share}).",
    ),
    "effect_loss": ("D3 D4", "In the last year it cost {loss:money} {currency} more than it brought."),
    "effect_unknown": ("D3", "What the client costs us in hours and money is not on record."),
    # what to offer
    "offer_price": ("D8 E4", "A price at which the work is worth it to us: {price:money} {currency} for work like the last year's."),
    "offer_extras": ("D8 E4", "What goes beyond the order, priced far above it."),
    "offer_scope": ("A6 E4", "A narrower scope: what we do well for it, and no more."),
    "offer_colleague": ("A6 D4 D8 E4", "A colleague, a subcontractor or another provider who wants the work, with a proper hand-over."),
    # how it is told, and what is left unsaid
    "how_part": ("D8", "By telephone or in person, then in writing; with at least three reasons, respect, and a decision that stands."),
    "how_price": (
        "A5 D8 E4",
        "In person, then in writing: what the work took and what was billed, the new price and from which renewal or notice it holds, and"
        " what could be left out for less.",
    ),
    "how_refer": ("A6 D8 E4", "In person: who would serve it better and why, an introduction, and a date for the hand-over."),
    "how_boundaries": ("C11 E3 E4", "Talk it over frankly, then send the terms in writing; say sorry if they were not sent before."),
    "how_win_back": ("B2 B4", "In person, with its senior people; bring the record of what was done, in figures."),
    "how_mend": ("E5", "Tell our own delays before they are asked about, with a new date that will be kept."),
    "unsaid_blame": ("D7", "No word of blame: speak of needs, of terms and of what changed with us."),
    "unsaid_scores": ("D1", "No word of scores, models or of what other clients do."),
    "unsaid_argument": ("D8", "Listen, and do not argue."),
    "unsaid_heat": ("A4", "Not in the heat of a quarrel: another day."),
    # what was done for it (B4)
    "done_promises": ("B4 E5", "Promises of ours kept in time in the last year: {in_time:n}."),
    "done_hours": ("B4", "Hours worked for it in the last year: {hours:n}."),
    "done_replies": ("B4", "Our replies took {hours:.0f} hours on average in the last 90 days, no longer than to its peers."),
    "done_talks": ("B4", "Calls, meetings and visits in the last 90 days: {talks:n}."),
    "done_unknown": ("B4", "What was done for the client is not on record: collect it before the talk."),
    # what did not go well with us, to be mended before the talk
    "mend_overdue": ("E5", "Promises of ours that are overdue: {overdue:n}."),
    "mend_late": ("E1 E5", "Promises of ours kept late in the last year: {late:n}."),
    "mend_replies": ("B4 E1", "Our replies took {hours:.0f} hours on average in the last 90 days, {longer:.0f} more than to its peers."),
}
