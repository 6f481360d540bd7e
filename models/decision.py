"""One client's Evidence -> one advised action of seven, every rung considered with its reason, notes, and the check before an exit.

The rules are read from top to bottom; each thing said names its statements (models/sayings.py), each threshold is a knob of params.yaml.
Nothing is weighed against anything: a rung is passed or it is where the client stands. Advice to a named person, never an act.

What was begun comes first: parting and an accepted referral are seen through, any other step is given its time. A client known to cost more
than it brings, lastingly and with more than a trifle of work, is quoted the price that would cover it before anything else could be talked
about: no talk covers a loss, and each month adds to it. A price so steep that it parts most clients is asked for only where our own
lateness does not explain the trouble, with all that an exit needs shown. A client judged a misfit climbs the ladder of the documents:
understand whether it is us or them -> set expectations and boundaries -> reprice -> refer out or hand to a colleague -> part respectfully.
A rung is passed if it is on record as tried or declined; the price, also if a known margin is in order. To talk frankly and to offer
somebody else no fact rules out. The first rung that is not passed is advised. How far a client may climb has limits: a new one, and a
misfit whose trouble is our own lateness, gets expectations set and no more; one that is not known to cost more than it brings gets a new
price at most, unless a written deal-breaker or a reviewer speaks against it: a model alone gives nobody away. The others are won back,
given a new price where theirs is too low, kept and grown, or watched; no effort is made for one against whom a rule or the reviewers speak.

What is not known never leads to parting, which needs every one of its conditions known, nor to referring out, but for one: to offer
somebody else where it is not known whether the client fits our focus needs no proof. A new price rests on a margin known to be thin.

We chose a cut at a multiple of the average risk over a fixed probability because base rates differ from business to business; where the
average is high it is at most half way to certainty, else nobody could pass it. A verdict is let go only below a lower cut: risks tremble
from month to month, and advice that flips with them is not followed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from models.evidence import LADDER, Evidence, Risk, Rule, Step
from models.exit_check import Item, exit_check, is_key_account
from models.sayings import Said, say

Verdict = Literal["advised", "tried", "ruled_out", "not_needed", "not_yet", "unknown"]
QUADRANTS = ("stay", "leaving", "misfit", "leaving_misfit")
CLEAR = "clear"
POLICY = "policy"  # the basis of a verdict without a model
CONFIDENCES = {"unclear": "is unclear", "too_little_data": "rests on too little data", None: "is of unknown confidence"}
SLOW_REPLIES = 1.25  # times its peers' wait, from which our answers to a client are called slow
ALL_TERMS = 4  # scope, service hours, delivery time, payment terms
# rules on these statements speak of conduct, which boundaries answer
CONDUCT = frozenset(("A2", "C2", "C3", "C6", "C9", "D2", "D3", "D7", "E2", "E3", "E4"))
AGREED, NO_CHANGE, DECLINED = "agreed", "no_change", ("refused", "ruled_out")  # outcomes of steps; the last need no time to work
STEPS = {
    "win_back": "an effort to win it back",
    "set_boundaries": "the talk about boundaries",
    "reprice": "the new price",
    "refer_out": "referring it out",
    "part_respectfully": "parting",
}
EXITS = ("refer_out", "part_respectfully")  # after which the client is no longer ours
EFFORTS = ("win_back", "keep_and_grow")
OTHER_RUNGS = ("win_back", "keep_and_grow", "wait_and_watch")


class Knobs(Protocol):
    """The section `decide` of params.yaml."""

    @property
    def leaving_times_base(self) -> float: ...
    @property
    def misfit_times_base(self) -> float: ...
    @property
    def released_at(self) -> float: ...
    @property
    def cooling_off_snapshots(self) -> int: ...
    @property
    def patience_days(self) -> int: ...
    @property
    def settled_days(self) -> int: ...
    @property
    def our_blame_share(self) -> float: ...
    @property
    def thin_margin(self) -> float: ...
    @property
    def win_back_hours(self) -> float: ...
    @property
    def key_account_share(self) -> float: ...
    @property
    def key_account_rank(self) -> int: ...
    @property
    def our_blame_days(self) -> int: ...
    @property
    def burden_hours(self) -> float: ...
    @property
    def steep_rise(self) -> float: ...
    @property
    def grow_share(self) -> float: ...
    @property
    def grow_hours_a_month(self) -> float: ...
    @property
    def tried_within_days(self) -> int: ...


@dataclass(frozen=True)
class Rung:
    """One step considered. name: an action or `understand`."""

    name: str
    verdict: Verdict
    said: Said


@dataclass(frozen=True)
class Decision:
    """What is advised for one client, and all that led there.

    because: why this action. lacking: what parting would need; empty unless judged a misfit. exit_check: what to settle first; empty unless
    that or an exit is advised.
    """

    action: str
    quadrant: str
    because: Said
    rungs: tuple[Rung, ...]
    notes: tuple[Said, ...]
    lacking: tuple[Said, ...]
    exit_check: tuple[Item, ...]


def decide(evidence: Evidence, knobs: Knobs) -> Decision:
    """The advised action of one client."""
    leaving, misfit = is_leaving(evidence, knobs), is_misfit(evidence, knobs)
    quadrant = QUADRANTS[leaving + 2 * misfit]
    lacking = tuple(_lacking(evidence, knobs)) if misfit else ()
    burden = tuple(_burden_rungs(evidence, knobs, lacking=bool(lacking)))
    # D9: a written rule is answered without a verdict, too, as far as a new price; to one that leaves, with a talk
    is_called_by_rule = evidence.churn.probability is not None and bool(_hit_deal_breakers(evidence))
    if covers := _cover_cost(evidence, knobs):
        action, because = covers
    elif waits := under_way(evidence, knobs):
        action, because = "wait_and_watch", waits
    elif misfit or is_called_by_rule:
        action, because = _climb(burden, evidence, knobs, is_misfit=misfit)
    elif leaving:
        action, because = _win_back(evidence, knobs)
    else:
        action, because = _stay(burden, evidence, knobs)
    if evidence.is_held_out and action in EFFORTS:  # a hold-out on record holds, whatever the risk is by now
        action, because = "wait_and_watch", say("held_out")
    climbs = misfit or action in LADDER
    exits = exit_check(evidence, knobs) if misfit or action in LADDER[1:] else ()
    milder = say("price_first" if covers and action == "reprice" and misfit else "not_called_for")
    rungs = (*_told(burden, action, because, milder, climbs=climbs), *_other_rungs(evidence, knobs, action, because))
    notes = tuple(_notes(evidence, knobs, leaving=leaving, misfit=misfit, action=action))
    return Decision(action, quadrant, because, rungs, notes, lacking, exits)


# ---- verdicts ---------------------------------------------------------------------------------------------------------------------


def cut(base_rate: float, times: float) -> float:
    """The probability from which a client is called: so many times the average, at most half way from it to certainty.

    >>> cut(0.1, 2.0), cut(0.8, 2.0)
    (0.2, 0.9)
    """
    return min(times * base_rate, (1 + base_rate) / 2)


def held(seen: Sequence[float | None], called_from: float | None, released_at: float) -> tuple[bool, ...]:
    """At each as_of seen, the oldest first, whether the client was called: from the cut on, and then until below released_at × the cut.

    >>> held((0.3, 0.16, 0.14, None, 0.16), called_from=0.2, released_at=0.75)
    (True, True, False, False, False)
    """
    found: list[bool] = []
    for value in seen:
        was = bool(found) and found[-1]
        is_known = value is not None and called_from is not None
        found.append(is_known and value >= called_from * (released_at if was else 1))  # type: ignore[operator]
    return tuple(found)


def _called(risk: Risk, times: float, knobs: Knobs) -> tuple[bool, ...]:
    return held(risk.seen, None if risk.base_rate is None else cut(risk.base_rate, times), knobs.released_at)


def is_leaving(evidence: Evidence, knobs: Knobs) -> bool:
    """Whether the client is called leaving now."""
    return _called(evidence.churn, knobs.leaving_times_base, knobs)[-1]


def is_misfit(evidence: Evidence, knobs: Knobs) -> bool:
    """Whether the client is judged a misfit now: by the model or, where the basis is `policy`, by a deal-breaker past its grace (D9)."""
    return misfit_held_snapshots(evidence, knobs) > 0


def misfit_held_snapshots(evidence: Evidence, knobs: Knobs) -> int:
    """On how many snapshots in a row, the present one last, the verdict has held."""
    if evidence.misfit_basis == POLICY:
        return max((rule.held_snapshots for rule in _hit_deal_breakers(evidence)), default=0)
    n = 0
    for was in reversed(_called(evidence.misfit, knobs.misfit_times_base, knobs)):
        if not was:
            break
        n += 1
    return n


def _hit_deal_breakers(evidence: Evidence) -> list[Rule]:
    return [rule for rule in evidence.rules or () if rule.kind == "deal_breaker" and rule.is_hit]


# ---- the ladder -------------------------------------------------------------------------------------------------------------------


def under_way(evidence: Evidence, knobs: Knobs, but: str = "") -> Said | None:
    """What was begun and is seen through, or given its time, before anything else is advised; None = nothing. but: a step that may run
    beside it."""
    for name in ("part_respectfully", "refer_out"):
        begun = _last(evidence, knobs, name)
        if begun and (begun.outcome == AGREED or (name == "part_respectfully" and begun.outcome not in DECLINED)):
            return say("see_through", step=STEPS[name], days=begun.days_ago)
    steps = [step for name in ("win_back", *LADDER) if name != but and (step := _last(evidence, knobs, name))]
    working = [step for step in steps if step.days_ago < knobs.patience_days and step.outcome not in (*DECLINED, NO_CHANGE)]
    if not working:
        return None
    newest = min(working, key=lambda step: step.days_ago)
    return say("step_working", step=STEPS[newest.kind], days=newest.days_ago, patience=knobs.patience_days)


def _burden_rungs(evidence: Evidence, knobs: Knobs, *, lacking: bool) -> Iterator[Rung]:
    """Each rung by itself: `advised` stands for "would be, if nothing milder were"."""
    yield _understand(evidence, knobs)
    for name, judged in (("set_boundaries", _boundaries), ("reprice", _price), ("refer_out", _refer)):
        step = _last(evidence, knobs, name)
        yield Rung(name, "tried", _on_record(step)) if step else Rung(name, *judged(evidence, knobs))
    begun = _last(evidence, knobs, "part_respectfully")
    if begun:
        yield Rung("part_respectfully", "tried", say("parting_begun", days=begun.days_ago))
    elif lacking:
        yield Rung("part_respectfully", "not_yet", say("part_lacks"))
    else:
        yield Rung("part_respectfully", "advised", say("part", held=misfit_held_snapshots(evidence, knobs)))


def _understand(evidence: Evidence, knobs: Knobs) -> Rung:
    """E1, E5: whose lateness is it? Expectations that nobody set are the next rung's question."""
    share, overdue, days = evidence.delay_share_ours, evidence.our_overdue, evidence.our_late_days
    if share is None:
        return Rung("understand", "unknown", say("ours_unknown"))
    if _is_ours(evidence, knobs):
        return Rung("understand", "advised", say("ours_explains", share=share, overdue=overdue))
    if days == 0 and overdue == 0:
        return Rung("understand", "ruled_out", say("ours_none"))
    if share >= knobs.our_blame_share:
        return Rung("understand", "ruled_out", say("ours_too_little", days=days))
    return Rung("understand", "ruled_out", say("ours_does_not_explain", share=share, overdue=overdue))


def _is_ours(evidence: Evidence, knobs: Knobs) -> bool:
    """Whether most of the delay is ours, and enough of it to explain anything: one promise kept a day late is all delay, too."""
    if evidence.delay_share_ours is None or evidence.delay_share_ours < knobs.our_blame_share:
        return False
    return bool(evidence.our_overdue) or evidence.our_late_days is None or evidence.our_late_days >= knobs.our_blame_days


def _boundaries(evidence: Evidence, _: Knobs) -> tuple[Verdict, Said]:
    """A2, C9, E3: terms that are not in writing, or rules that are crossed; where neither is so a frank talk is still the first step, and
    no fact rules it out (C11, D2, D3): only people can, on record."""
    sent, terms = evidence.terms_sent_share, evidence.terms_in_writing
    if (sent is not None and sent < 1) or (terms is not None and terms < ALL_TERMS):
        titles = ", ".join(rule.title for rule in _hit_deal_breakers(evidence))
        return "advised", say("boundaries_unwritten", sent=sent, terms=terms, crossed=f" Crossed: {titles}." if titles else "")
    crossed = [rule.title for rule in evidence.rules or () if rule.is_hit and CONDUCT & set(rule.statements)]
    if crossed:
        return "advised", say("boundaries_crossed", rules=", ".join(crossed))
    return "advised", say("talk_frankly")


def _price(evidence: Evidence, knobs: Knobs) -> tuple[Verdict, Said]:
    """A5, D4, E4: a margin too thin for the trouble is first a question of price."""
    if evidence.margin is None:
        return "unknown", say("price_unknown")
    if evidence.revenue is not None and evidence.revenue <= 0:
        return "unknown", say("price_unbilled")
    told = {"floor": knobs.thin_margin, "price": wanted_price(evidence, knobs), "revenue": evidence.revenue}
    if evidence.margin < min(knobs.thin_margin, 0) and evidence.contribution is not None:
        return "advised", say("price_below_cost", loss=-evidence.contribution, currency=evidence.currency, **told)
    if evidence.margin < knobs.thin_margin:
        return "advised", say("price_too_low", margin=evidence.margin, currency=evidence.currency, **told)
    return "ruled_out", say("price_in_order", margin=evidence.margin)


def wanted_price(evidence: Evidence, knobs: Knobs) -> float | None:
    """What the last year's work would have had to bring to leave the margin of `thin_margin`, in minor units; None = unknown."""
    if evidence.revenue is None or evidence.contribution is None:
        return None
    return (evidence.revenue - evidence.contribution) / (1 - knobs.thin_margin)


def _is_steep(evidence: Evidence, knobs: Knobs) -> bool:
    """Whether the wanted price is so much higher that asking for it is a parting for most clients (D2)."""
    price = wanted_price(evidence, knobs)
    return price is not None and price > max(evidence.revenue or 0, 0) * (1 + knobs.steep_rise)


def _cover_cost(evidence: Evidence, knobs: Knobs) -> tuple[str, Said] | None:
    """A5, D2, D4, E4: what is done first about a known loss; None = there is none, or nothing of the kind can be done now.

    The price first, whoever is late, but a steep one only where we are not. If it was declined, somebody else is offered: to a client
    against which more than the books speaks, which is known to be no gain, even with its ties, and which no reviewers would keep.
    """
    if not _is_known_loss(evidence, knobs) or _is_new(evidence, knobs) or under_way(evidence, knobs, but="set_boundaries"):
        return None
    asked, (verdict, said) = _last(evidence, knobs, "reprice"), _price(evidence, knobs)
    is_not_ours = _understand(evidence, knobs).verdict == "ruled_out"
    if asked is None:
        return ("reprice", said) if verdict == "advised" and (is_not_ours or not _is_steep(evidence, knobs)) else None
    is_declined = asked.outcome in (*DECLINED, NO_CHANGE) and not under_way(evidence, knobs)
    is_spoken_against = is_misfit(evidence, knobs) or _speaks_against(evidence)
    keep, against = evidence.n_opinions("keep"), evidence.n_opinions("misfit")
    is_no_gain = evidence.pays_back and (evidence.tied_contribution == 0 or evidence.gain_outweighs_ties)
    if _last(evidence, knobs, "refer_out") or not (is_declined and is_not_ours and is_spoken_against and is_no_gain):
        return None
    return None if keep and keep >= against else ("refer_out", say("refer_after_price", days=asked.days_ago))


def _is_known_loss(evidence: Evidence, knobs: Knobs) -> bool:
    """Whether it is known to cost more than it brings: in the last year, with open work billed at its cost, and on each snapshot of the
    cooling-off; of work that is no trifle; with steps on record, and no new price agreed that the account does not show yet."""
    if evidence.contribution is None or evidence.hours is None or not evidence.revenue or evidence.revenue < 0 or evidence.steps is None:
        return False
    has_held = bool(evidence.margins) and all(margin is not None and margin < 0 for margin in evidence.margins)
    is_loss = evidence.contribution + (evidence.unbilled_cost or 0) < 0 and has_held and evidence.hours >= knobs.burden_hours
    recent = [step for step in evidence.steps if step.kind == "reprice" and step.days_ago <= knobs.tried_within_days]
    return is_loss and not evidence.is_books_doubted and not any(step.outcome == AGREED for step in recent)


def _refer(evidence: Evidence, _: Knobs) -> tuple[Verdict, Said]:
    """A6, D4, D8, E4: somebody else may serve it better: a provider or, where it buys just what we are building (A1, A7), a colleague."""
    if evidence.focus_gap is None:
        return "advised", say("refer_unknown_focus")
    if evidence.focus_gap > 0:
        return "advised", say("refer_off_focus", gap=evidence.focus_gap)
    return "advised", say("refer_on_focus")


def _lacking(evidence: Evidence, knobs: Knobs) -> Iterator[Said]:
    """What parting needs beside the milder rungs, and what is not so or not known (A4, B0, D1, D4, D10, E5)."""
    n_held = misfit_held_snapshots(evidence, knobs)
    if n_held < knobs.cooling_off_snapshots:
        yield say("lacks_cooling_off", wanted=knobs.cooling_off_snapshots, held=n_held)
    if _is_new(evidence, knobs):
        yield say("beyond_new", tenure=evidence.tenure_days, settled=knobs.settled_days)
    if evidence.delay_share_ours is None:
        yield say("ours_unknown")
    elif _is_ours(evidence, knobs):
        yield say("ours_explains", share=evidence.delay_share_ours, overdue=evidence.our_overdue)
    if evidence.our_overdue is None:
        yield say("lacks_overdue_known")
    elif evidence.our_overdue > 0 and (evidence.their_overdue is None or evidence.our_overdue >= evidence.their_overdue):
        yield say("lacks_no_overdue", overdue=evidence.our_overdue, theirs=evidence.their_overdue)
    keep, against = (evidence.n_opinions(verdict) for verdict in ("keep", "misfit"))
    if evidence.opinions is None:
        yield say("lacks_opinions_known")
    elif keep and keep >= against:
        yield say("lacks_agreement", keep=keep, misfit=against)
    if evidence.terms_sent_share is None:
        yield say("lacks_terms_known")
    elif evidence.terms_sent_share < 1:
        yield say("lacks_terms", sent=evidence.terms_sent_share)
    if evidence.misfit_basis != POLICY and evidence.misfit.confidence != CLEAR and not against:
        yield say("lacks_certainty", probability=evidence.misfit.probability, confidence=CONFIDENCES[evidence.misfit.confidence])
    if evidence.revenue_share is None or evidence.value_rank is None:
        yield say("lacks_share")
    elif is_key_account(evidence, knobs) and not evidence.pays_back:
        yield say("lacks_affordable", share=evidence.revenue_share)
    if evidence.tied_contribution is None:
        yield say("lacks_ties_known")
    elif evidence.tied_contribution > 0 and not evidence.gain_outweighs_ties:
        yield say("lacks_ties", n=len(evidence.ties or ()), brings=evidence.tied_contribution, currency=evidence.currency)
    if evidence.open_balance is None:
        yield say("lacks_balance")


def _climb(rungs: Sequence[Rung], evidence: Evidence, knobs: Knobs, *, is_misfit: bool) -> tuple[str, Said]:
    """The first rung that is not passed, if the client may climb so far."""
    for rung in rungs[1:]:
        if rung.verdict == "ruled_out" or (rung.verdict == "tried" and rung.name != "part_respectfully"):
            continue
        limit = _limit(rung.name, rungs[0], evidence, knobs, is_misfit=is_misfit)
        if limit or rung.verdict != "advised":
            return "wait_and_watch", limit or rung.said
        return rung.name, rung.said
    raise AssertionError("parting is never passed")


def _limit(name: str, understand: Rung, evidence: Evidence, knobs: Knobs, *, is_misfit: bool) -> Said | None:
    """Why this client may not climb as far as this rung; None = it may."""
    height = LADDER.index(name)
    if height > LADDER.index("set_boundaries") and evidence.steps is None:
        return say("steps_unknown")
    if height > LADDER.index("set_boundaries") and understand.verdict == "advised":
        return understand.said
    if height > LADDER.index("set_boundaries") and _is_new(evidence, knobs):
        return say("beyond_new", tenure=evidence.tenure_days, settled=knobs.settled_days)
    if height > LADDER.index("set_boundaries") and not is_misfit and is_leaving(evidence, knobs):
        return say("effort_against_rules", rules=", ".join(_against(evidence)))
    if name == "reprice" and understand.verdict == "unknown" and _is_steep(evidence, knobs):
        return understand.said
    if height > LADDER.index("reprice") and not is_misfit:
        return say("beyond_verdict")
    if height > LADDER.index("reprice") and understand.verdict == "unknown":
        return understand.said
    if height > LADDER.index("reprice") and not _speaks_against(evidence) and not _is_known_loss(evidence, knobs):
        return say("beyond_gain")
    return None


def _speaks_against(evidence: Evidence) -> bool:
    """D4, D9: whether a written rule or a person does, and not a model alone."""
    return bool(_hit_deal_breakers(evidence)) or evidence.n_opinions("misfit") > evidence.n_opinions("keep")


def _is_new(evidence: Evidence, knobs: Knobs) -> bool:
    """B7 of practice, E3: a new client may yet settle; one of unknown tenure counts as new."""
    return evidence.tenure_days is None or evidence.tenure_days < knobs.settled_days


def _last(evidence: Evidence, knobs: Knobs, kind: str) -> Step | None:
    """The newest step of a kind on record that still counts."""
    steps = [step for step in evidence.steps or () if step.kind == kind and step.days_ago <= knobs.tried_within_days]
    return min(steps, key=lambda step: step.days_ago, default=None)


def _on_record(step: Step) -> Said:
    return say("tried", days=step.days_ago, outcome=f", outcome: {step.outcome}" if step.outcome else "")


def _told(rungs: Sequence[Rung], action: str, because: Said, milder: Said, *, climbs: bool) -> Iterator[Rung]:
    """The rungs as they are shown: of those that would be advised only the action is; the others wait, or nothing calls for them (`milder`:
    what is said of those below the action)."""
    for rung in rungs:
        if rung.name == action:
            yield Rung(rung.name, "advised", because)
        elif rung.verdict == "tried" or (climbs and (rung.verdict != "advised" or rung.name == "understand")):
            yield rung
        elif climbs and (action not in LADDER or LADDER.index(rung.name) > LADDER.index(action)):
            yield Rung(rung.name, "not_yet", say("earlier_first") if action in LADDER else because)
        else:
            yield Rung(rung.name, "not_needed", milder if climbs else say("not_called_for"))


# ---- the other side ---------------------------------------------------------------------------------------------------------------


def _win_back(evidence: Evidence, knobs: Knobs) -> tuple[str, Said]:
    """B0: as models/capacity.py chose among all who are leaving; an effort under way has its time first."""
    probability, value = evidence.churn.probability, evidence.expected_value
    if against := no_effort(evidence, knobs):
        return "wait_and_watch", against
    if evidence.choice == "chosen":
        if value is None:
            by = "probability alone" if evidence.revenue is None else "its revenue and probability"
            return "win_back", say("win_back_unvalued", probability=probability, by=by)
        return "win_back", say("win_back", probability=probability, value=value, currency=evidence.currency, hours=knobs.win_back_hours)
    if evidence.choice == "held_out":
        return "wait_and_watch", say("held_out")
    if evidence.choice == "no_value" and value is None:
        return "wait_and_watch", say("no_revenue", probability=probability)
    if evidence.choice == "no_value":
        return "wait_and_watch", say(
            "no_value", probability=probability, short=None if value is None else -value, currency=evidence.currency
        )
    return "wait_and_watch", say("unweighed" if evidence.choice is None else "beyond_capacity", probability=probability)


def no_effort(evidence: Evidence, knobs: Knobs) -> Said | None:
    """Why no effort is made to keep or to grow this client, whatever it is worth; None = nothing speaks against one (D4, D9)."""
    if waits := under_way(evidence, knobs):
        return waits
    if _speaks_against(evidence):
        return say("effort_against_rules", rules=", ".join(_against(evidence)))
    tried = _last(evidence, knobs, "win_back")
    if tried and (tried.outcome in DECLINED or (tried.outcome == NO_CHANGE and tried.days_ago < knobs.patience_days)):
        return say("win_back_declined", days=tried.days_ago)
    return None


def _against(evidence: Evidence) -> list[str]:
    """What speaks against the client, in words: rules of the policy, and reviewers."""
    n = evidence.n_opinions("misfit") if evidence.n_opinions("misfit") > evidence.n_opinions("keep") else 0
    return [rule.title for rule in _hit_deal_breakers(evidence)] + ([f"reviewers who would let it go: {n}"] if n else [])


def _stay(burden: Sequence[Rung], evidence: Evidence, knobs: Knobs) -> tuple[str, Said]:
    """B5, C8: who neither leaves nor weighs is kept and grown where it earns its price and is not small, and else watched or repriced."""
    if evidence.churn.probability is None or evidence.churn.base_rate is None:
        return "wait_and_watch", say("risk_unknown")
    if evidence.revenue is None:
        return "wait_and_watch", say("grow_unknown_revenue")
    if evidence.revenue <= 0:
        return "wait_and_watch", say("grow_no_revenue")
    if evidence.margin is not None and evidence.margin < knobs.thin_margin:
        return _price_alone(burden, evidence, knobs)
    if against := no_effort(evidence, knobs):
        return "wait_and_watch", against
    services = f"It does not use: {', '.join(evidence.other_services)}." if evidence.other_services else ""
    is_small = bool(evidence.growth) and evidence.growth[-1] is not None and not held(evidence.growth, 1.0, knobs.released_at)[-1]
    if evidence.margin is None and is_small:
        told = {"revenue": evidence.revenue, "typical": evidence.typical_revenue, "currency": evidence.currency}
        return "wait_and_watch", say("grow_below_median", **told)
    if evidence.margin is None:
        return "keep_and_grow", say("grow_unknown_margin", services=services)
    if is_small:
        return "wait_and_watch", say("grow_small", hours=12 * knobs.grow_hours_a_month, share=knobs.grow_share)
    return "keep_and_grow", say("grow", margin=evidence.margin, services=services)


def _price_alone(burden: Sequence[Rung], evidence: Evidence, knobs: Knobs) -> tuple[str, Said]:
    """A5, C11, D4: a price below what it buys is too low whoever is late and whatever else could be talked about."""
    priced = next(rung for rung in burden if rung.name == "reprice")
    probability, base = evidence.churn.probability, evidence.churn.base_rate
    if probability is None or base is None or probability >= knobs.released_at * cut(base, knobs.leaving_times_base):
        return "wait_and_watch", say("price_waits")
    if evidence.is_books_doubted:
        return "wait_and_watch", say("books_doubted")
    if evidence.steps is None:
        return "wait_and_watch", say("steps_unknown")
    if _is_new(evidence, knobs):
        return "wait_and_watch", say("beyond_new", tenure=evidence.tenure_days, settled=knobs.settled_days)
    if asked := _last(evidence, knobs, "reprice"):
        codes = {AGREED: "price_agreed", NO_CHANGE: "price_declined"} | dict.fromkeys(DECLINED, "price_declined")
        return "wait_and_watch", say(codes.get(asked.outcome or "", "price_tried"), days=asked.days_ago)
    if _is_cured_by_billing(evidence, knobs):
        return "wait_and_watch", say("bill_first", cost=evidence.unbilled_cost, currency=evidence.currency)
    understand = _understand(evidence, knobs)
    if understand.verdict != "ruled_out" and _is_steep(evidence, knobs):
        return "wait_and_watch", understand.said
    return "reprice", priced.said


def _is_cured_by_billing(evidence: Evidence, knobs: Knobs) -> bool:
    """D10: whether the work that is on no invoice, billed at its cost, would bring the margin in order."""
    if evidence.revenue is None or evidence.contribution is None or not evidence.unbilled_cost:
        return False
    return evidence.contribution + evidence.unbilled_cost >= knobs.thin_margin * (evidence.revenue + evidence.unbilled_cost)


def _other_rungs(evidence: Evidence, knobs: Knobs, action: str, because: Said) -> Iterator[Rung]:
    """win_back, keep_and_grow and wait_and_watch, as considered."""
    leaving, misfit = is_leaving(evidence, knobs), is_misfit(evidence, knobs)
    probability, base = evidence.churn.probability, evidence.churn.base_rate
    for name in OTHER_RUNGS:
        if name == action:
            yield Rung(name, "advised", because)
        elif name == "win_back" and leaving and misfit:
            yield Rung(name, "ruled_out", say("no_save", churn=probability))
        elif name == "win_back" and leaving:
            is_tried = _last(evidence, knobs, "win_back")
            is_ruled_out = evidence.choice == "no_value" or no_effort(evidence, knobs)
            yield Rung(name, "tried" if is_tried else "ruled_out" if is_ruled_out else "not_yet", _win_back(evidence, knobs)[1])
        elif name == "win_back":
            called_from = None if base is None else cut(base, knobs.leaving_times_base)
            verdict: Verdict = "unknown" if probability is None or base is None else "not_needed"
            yield Rung(name, verdict, say("not_leaving", probability=probability, cut=called_from))
        elif name == "keep_and_grow":
            is_other = leaving or misfit or action in LADDER
            yield Rung(name, "not_yet" if is_other else "ruled_out", say("grow_not") if is_other else because)
        else:
            yield Rung(name, "not_needed", say("watch_not"))


# ---- notes -----------------------------------------------------------------------------------------------------


def _notes(evidence: Evidence, knobs: Knobs, *, leaving: bool, misfit: bool, action: str) -> Iterator[Said]:
    """What a person should hear beside the action."""
    if leaving and misfit:
        yield say("no_save", churn=evidence.churn.probability)
    if leaving and is_key_account(evidence, knobs) and not (evidence.contribution or 0) < 0:
        yield _key_account(evidence)
    if (against := _against(evidence)) and not misfit:
        yield say("note_against", rules=", ".join(against))
    is_late = _is_ours(evidence, knobs) or (leaving and bool(evidence.our_overdue))
    if is_late and not misfit and not evidence.is_held_out:
        yield say("note_mend", share=evidence.delay_share_ours, overdue=evidence.our_overdue)
    if misfit and _is_new(evidence, knobs):
        yield say("note_new", tenure=evidence.tenure_days)
    lag, initiative = evidence.our_reply_lag_ratio, evidence.our_initiative_change
    if (leaving or misfit) and lag is not None and lag >= SLOW_REPLIES and initiative is not None and initiative < 1:
        yield say("note_avoided", ratio=evidence.our_reply_lag_ratio)
    if misfit and evidence.misfit_basis == POLICY:
        yield say("note_policy_basis")
    for name, risk, is_called in (("churn", evidence.churn, leaving), ("misfit", evidence.misfit, misfit)):
        if is_called and risk.confidence not in (None, CLEAR):
            yield say("note_unsure", risk=name, confidence=CONFIDENCES[risk.confidence])
    if evidence.is_held_out and action == "wait_and_watch":
        yield say("note_held_out")
    if evidence.is_held_out and action in LADDER:
        yield say("note_hold_out_ends")
    is_steep = action == "reprice" and _is_steep(evidence, knobs)
    if is_steep:
        yield say("note_steep", rise=knobs.steep_rise)
    if action == "reprice" and evidence.unbilled_cost:
        yield say("note_unbilled", cost=evidence.unbilled_cost, currency=evidence.currency)
    if action in EXITS or is_steep:
        yield say("note_counsel")
    if action in LADDER and evidence.tied_contribution is not None and evidence.tied_contribution > 0:
        yield say("note_ties", n=len(evidence.ties or ()), brings=evidence.tied_contribution, currency=evidence.currency)
    if (misfit or action in EXITS) and any(tie.kind == "ownership" for tie in evidence.ties or ()):
        yield say("note_ownership")


def _key_account(evidence: Evidence) -> Said:
    """B0: what is at risk, and how much new business would replace it."""
    revenue, typical, days = evidence.revenue, evidence.typical_revenue, evidence.horizon_days
    replacements = revenue / typical if revenue is not None and typical is not None and typical > 0 else None
    return say(
        "note_key_account",
        share=evidence.revenue_share,
        days=days,
        revenue_at_risk=_at_risk(evidence, evidence.revenue_a_day),
        margin_at_risk=margin_at_risk(evidence),
        currency=evidence.currency,
        replacements=replacements,
    )


def margin_at_risk(evidence: Evidence) -> float | None:
    """Probability of leaving × contribution over the horizon, in minor units; None = unknown."""
    return _at_risk(evidence, evidence.contribution_a_day)


def _at_risk(evidence: Evidence, a_day: float | None) -> float | None:
    probability, days = evidence.churn.probability, evidence.horizon_days
    return None if probability is None or a_day is None or days is None else probability * a_day * days
