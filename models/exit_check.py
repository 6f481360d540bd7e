"""One client's Evidence -> what to know and settle before an exit, item by item (A4, B0, C2, D4, D5, D10, E5)."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from models.evidence import Agreement, Evidence, WhatIf
from models.sayings import Said, say


class KeyAccounts(Protocol):
    """Which clients are key accounts: knobs of `decide` in params.yaml."""

    @property
    def key_account_share(self) -> float: ...
    @property
    def key_account_rank(self) -> int: ...


@dataclass(frozen=True)
class Item:
    """One item of the exit check. known = nothing to settle; open = to be settled or weighed first; unknown = find out."""

    name: str
    state: Literal["known", "open", "unknown"]
    said: Said


def is_key_account(evidence: Evidence, knobs: KeyAccounts) -> bool:
    """B0: one that brings a large share of revenue or, in a portfolio where none does, is among the most valuable."""
    is_large = evidence.revenue_share is not None and evidence.revenue_share >= knobs.key_account_share
    return is_large or (evidence.value_rank is not None and evidence.value_rank <= knobs.key_account_rank)


def exit_check(evidence: Evidence, knobs: KeyAccounts) -> tuple[Item, ...]:
    """What to know and settle before an exit, each with its figure (A4, B0, C2, D4, D5, D10, E5)."""
    e = evidence
    keep, against, unsure = (e.n_opinions(verdict) for verdict in ("keep", "misfit", "unsure"))
    pays_back = None if e.what_if is None or e.what_if.pays_back == "unknown" else e.what_if.pays_back
    n_ties, ids = (None, "unknown") if e.ties is None else (len(e.ties), ", ".join(tie.client_id for tie in e.ties) or "none")
    hours = None if e.unbilled_minutes is None else e.unbilled_minutes / 60
    unbilled = say("exit_unbilled", hours=hours, cost=e.unbilled_cost, currency=e.currency)
    ours = say("exit_our_promises", open=e.our_open, overdue=e.our_overdue, forgotten=e.our_forgotten)
    theirs = say("exit_their_promises", open=e.their_open, overdue=e.their_overdue, forgotten=e.their_forgotten)
    ties = say("exit_ties", n=n_ties, ids=ids, brings=e.tied_contribution, referred=e.referral_contribution, currency=e.currency)
    opinion = say("exit_opinion", keep=keep, misfit=against, unsure=unsure)
    return (
        _item("revenue_share", e.revenue_share, _share(e), is_open=is_key_account(e, knobs)),
        _item("what_if", pays_back, _what_if(e), is_open=not e.pays_back),
        _item("open_balance", e.open_balance, _balance(e), is_open=bool(e.open_balance)),
        _item("unbilled_work", e.unbilled_minutes, unbilled, is_open=bool(e.unbilled_minutes)),
        _item("our_promises", e.our_open, ours, is_open=bool(e.our_open)),
        _item("their_promises", e.their_open, theirs, is_open=bool(e.their_open)),
        _item("notice", e.notice_days, _notice(e), is_open=bool(e.notice_days)),
        _item("ties", e.ties, ties, is_open=bool(e.ties)),
        _item("second_opinion", e.opinions or None, opinion, is_open=bool(keep or unsure)),
    )


def _share(evidence: Evidence) -> Said:
    if evidence.contribution_share is not None and evidence.contribution_share < 0:
        return say("exit_share_loss", share=evidence.revenue_share)
    return say("exit_share", share=evidence.revenue_share, contribution=evidence.contribution_share)


def _item(name: str, known: Any, said: Said, *, is_open: bool) -> Item:
    return Item(name, "unknown" if known is None else "open" if is_open else "known", said)


def _what_if(evidence: Evidence) -> Said:
    found = evidence.what_if or WhatIf()
    pays = {
        "at once": "nothing is lost",
        "later": f"it pays back after {found.pays_back_days} days",
        "never": "it would lose money",
        "unknown": "whether that pays back is unknown",
    }
    is_spoiled = found.pays_back in ("at once", "later") and found.gain is not None and not found.is_gain
    told = {
        "revenue": found.revenue,
        "hours": found.hours,
        "earned": found.reuse,
        "idle": found.idle_cost,
        "currency": evidence.currency,
        "payback": pays[found.pays_back],
        "kept": ", and then it would not pay" if is_spoiled else "",
    }
    if found.contribution is not None and found.contribution < 0:
        return say("exit_what_if_loss", loss=-found.contribution, **told)
    return say("exit_what_if", contribution=found.contribution, **told)


def _balance(evidence: Evidence) -> Said:
    balance, overdue, currency = evidence.open_balance, evidence.overdue_balance, evidence.currency
    if balance is not None and balance < 0:
        return say("exit_paid_ahead", ahead=-balance, overdue=overdue, currency=currency)
    return say("exit_balance", open=balance, overdue=overdue, currency=currency)


def _notice(evidence: Evidence) -> Said:
    """A4: each running agreement by itself, and when the last of them can have ended."""
    if not evidence.agreements:
        return say("exit_notice_unknown")
    each = tuple(_agreement(agreement) for agreement in evidence.agreements)
    if evidence.all_ended_on is None:
        return say("exit_notice_no_end", agreements=each)
    return say("exit_notice", agreements=each, ended=evidence.all_ended_on)


def _agreement(agreement: Agreement) -> Said:
    told = {"service": agreement.service, "notice": agreement.notice_days}
    if agreement.ends_on is None:
        return say("exit_agreement_any_day", **told)
    is_past = agreement.notice_by_in_days is not None and agreement.notice_by_in_days < 0
    if not agreement.renews:
        return say("exit_agreement_ends", **told, ends=agreement.ends_on)
    return say("exit_agreement_too_late" if is_past else "exit_agreement_renews", **told, ends=agreement.ends_on, by=agreement.notice_by)
