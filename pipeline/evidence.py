"""Scores, features, economics, policy and canonical tables at one day -> each eligible client's Evidence (models/evidence.py).

A table that a source does not have leaves its fields unknown; but without `actions` or `reviews` nothing of the kind is on record, and that
is known. Figures of behaviour are the signals' own; the papers are read as they were known then (pipeline/known.py).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.contact_frequency import VALUE_COLUMN
from features.economics import MINOR_UNITS, margin
from features.effort_value import HOURS_COLUMN, MARGIN_COLUMN
from features.focus_fit import OFF_FOCUS_MILLI
from features.our_promises import OURS, THEIRS, WINDOW_DAYS
from features.time import age_days, to_date
from models.evidence import Agreement, Evidence, Opinion, Risk, Rule, Step, Tie
from pipeline.economics import Economics
from pipeline.judge import CHURN, MISFIT, Champions
from pipeline.known import rows_at
from pipeline.policy import Policy
from pipeline.policy import score as policy_score
from pipeline.source import Source

YEAR = 365  # days
SERVICES_OFFERED = 3  # other services named per client
OUTCOMES = frozenset(("agreed", "refused", "no_change", "ruled_out"))  # of a step, that the decision tells apart
POLICY = "policy"  # the basis of misfit's verdict where it has no model
# Evidence's field -> the feature column that tells it
COLUMNS = {
    "tenure_days": "tenure_days",
    "our_reply_lag_ratio": "our_reply_lag_ratio_90",
    "our_initiative_change": "our_initiative_change_90",
    "terms_sent_share": "terms_sent_share",
    "terms_in_writing": "terms_in_writing",
    "off_hours_90": "off_hours_90",
    "scope_requests_90": "scope_requests_90",
    "free_out_of_scope_hours_365": "out_of_scope_free_hours_365",
    "hostile_180": "hostile_180",
    "demands_90": "demands_90",
    "changes_90": "changes_90",
    "broken_by_client_90": "client_broken_90",
    "focus_gap": "focus_gap",
}
ACCOUNT = ("revenue", "contribution", "margin", "hours", "revenue_share", "contribution_share", "hours_share")
STANDING = ("open_balance", "overdue_balance", "unbilled_minutes", "unbilled_cost", "referral_contribution")


@dataclass(frozen=True)
class Sight:
    """All that is known at `day`.

    scores: the contract's rows of the eligible clients (pipeline/score.py). seen: pipeline/judge.seen for the cooling-off days, `day` the
    last. hits: pipeline/policy.hits at `day`.
    """

    source: Source
    day: int
    scores: pd.DataFrame
    seen: pd.DataFrame
    economics: Economics
    policy: Policy
    hits: pd.DataFrame
    champions: Champions

    @property
    def validated(self) -> Path:
        return self.source.output / "validate"

    @property
    def clients(self) -> list[str]:
        return sorted(self.scores["client_id"])


def evidences(sight: Sight, cooling_off: Sequence[int]) -> dict[str, Evidence]:
    """client_id -> Evidence, by client_id; `choice`, `expected_value` and `what_if` are left for the decision to fill.

    cooling_off: the days on which a verdict must have held, the last one `sight.day`.
    """
    now = by_client(sight.seen[sight.seen["as_of"] == sight.day])
    parts: Sequence[Mapping[str, dict[str, Any]]] = (
        _risks(sight, cooling_off),
        _columns(now),
        _accounts(sight, now),
        _years(sight, cooling_off),
        _rules(sight),
        _promises(sight),
        _contracts(sight),
        _steps(sight),
        _opinions(sight),
        _ties(sight),
        _owners(sight),
    )
    currency = sight.source.business.currency
    return {
        client: Evidence(client, currency, **{name: value for part in parts for name, value in part.get(client, {}).items()})
        for client in sight.clients
    }


def known(value: Any) -> Any:
    """The value; None where it is NaN or null."""
    return None if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) else value


def by_client(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """client_id -> its one row, None where a value is unknown."""
    rows = frame.to_dict("records")
    return {str(row["client_id"]): {str(name): known(value) for name, value in row.items()} for row in rows}


# ---- risks, features, money -------------------------------------------------------------------------------------------------------


def _risks(sight: Sight, days: Sequence[int]) -> dict[str, dict[str, Any]]:
    scores = by_client(sight.scores)
    found: dict[str, dict[str, Any]] = {client: {"misfit_basis": POLICY} for client in scores}
    for target in (CHURN, MISFIT):
        champion = sight.champions.get(target)
        if champion is None:
            continue
        base_rate = float(champion.model.spec["training"]["prevalence"])
        probabilities = sight.seen.pivot(index="client_id", columns="as_of", values=f"{target}_probability").reindex(columns=list(days))
        past = {str(client): tuple(known(each) for each in row) for client, *row in probabilities.itertuples()}
        for client, row in scores.items():
            parts = (row[f"{target}_{part}"] for part in ("low", "high", "confidence"))
            found[client][target] = Risk(past[client], base_rate, *parts)
            if target == MISFIT:
                found[client]["misfit_basis"] = champion.question["basis"]
    return found


def _columns(now: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {client: {field: row.get(column) for field, column in COLUMNS.items()} for client, row in now.items()}


def _accounts(sight: Sight, now: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the client brings and costs, and what stands open."""
    year = sight.economics.clients[sight.economics.clients["window"] == str(YEAR)]
    ranked_by = "contribution" if year["contribution"].notna().any() else "revenue"
    ranks = by_client(year[["client_id"]].assign(rank=year[ranked_by].rank(ascending=False, method="min")))
    horizon_days = sight.source.settings.time.horizon_days
    earning = year.loc[year["revenue"] > 0, "revenue"]
    common = {
        "horizon_days": horizon_days,
        "typical_revenue": known(float(earning.median())),
        "is_books_doubted": sight.economics.is_doubted,
    }
    accounts, standing = by_client(year), by_client(sight.economics.standing)
    found: dict[str, dict[str, Any]] = {}
    for client in sight.clients:
        own = {name: accounts[client][name] for name in ACCOUNT} | {name: standing[client][name] for name in STANDING} | common
        served_days = min(YEAR, max(now[client]["tenure_days"] or YEAR, 1))  # a client of three months has brought it in three
        for name in ("revenue", "contribution"):
            own[f"{name}_a_day"] = None if own[name] is None else own[name] / served_days
        rank = ranks[client]["rank"]
        found[client] = own | {"value_rank": None if rank is None else int(rank)}
    return found


def _years(sight: Sight, days: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Margin and `growth` of the year before each of the days; work without a cost at what an hour costs (economics.hourly_cost)."""
    if VALUE_COLUMN not in sight.seen:
        return {}

    def over(column: str) -> pd.DataFrame:
        seen = sight.seen.assign(value=sight.seen.get(column, np.nan))
        return seen.pivot(index="client_id", columns="as_of", values="value").reindex(columns=list(days)).astype(float)

    knobs, hour_cost = sight.source.settings.decide, sight.economics.portfolio["hour"]["cost"]
    revenue, margins = over(VALUE_COLUMN) * MINOR_UNITS, over(MARGIN_COLUMN)
    if hour_cost is not None:
        valued = margin(revenue.to_numpy(), over(HOURS_COLUMN).to_numpy() * hour_cost)
        margins = margins.fillna(pd.DataFrame(valued, margins.index, margins.columns))
    growing_cost = 12 * knobs.grow_hours_a_month * (hour_cost or 0)
    growth = revenue / revenue.where(revenue > 0).median()
    if growing_cost and margins.notna().any(axis=None):
        growth = knobs.grow_share * revenue * margins.clip(lower=0) / growing_cost
    found: dict[str, dict[str, Any]] = {str(client): {} for client in margins.index}
    for name, values in (("margins", margins), ("growth", growth)):
        for client, *row in values.itertuples():
            found[str(client)][name] = tuple(known(each) for each in row)
    return found


def _rules(sight: Sight) -> dict[str, dict[str, Any]]:
    declared = {rule.name: rule for rule in sight.policy.rules}
    rules: dict[str, list[Rule]] = defaultdict(list)
    for row in sight.hits.to_dict("records"):
        rule = declared[row["rule"]]
        is_hit = bool(row["is_hit"]) if row["is_measurable"] else None
        said = known(row["evidence"])
        rules[row["client_id"]].append(Rule(rule.name, rule.title, rule.kind, rule.statements, is_hit, int(row["held_snapshots"]), said))
    votes = policy_score(sight.hits)
    return {client: {"rules": tuple(own), "policy_score": known(float(votes[client]))} for client, own in rules.items()}


# ---- the papers -------------------------------------------------------------------------------------------------------------------


def _promises(sight: Sight) -> dict[str, dict[str, Any]]:
    """Open, overdue and forgotten promises of either side, and our share of the delay.

    The share is the signal's (features/our_promises.py), of what was done late in the window or is overdue; what fell due longer ago than
    decide.overdue_within_days and was never closed is most often a row that nobody closed, and blames nobody.
    """
    columns = ["client_id", "commitment_id", "owed_by", "due_on", "done_on", "cancelled_on"]
    rows = rows_at(sight.validated, "commitments", sight.day, columns, of=sight.clients)
    if rows is None:
        return {}
    within_days = sight.source.settings.decide.overdue_within_days
    due_days, done_days = (age_days(rows[name], sight.day) for name in ("due_on", "done_on"))
    is_open = rows["done_on"].isna() & rows["cancelled_on"].isna()
    is_overdue = is_open & (due_days > 0) & (due_days <= within_days)
    was_late = (due_days > done_days) & (done_days <= WINDOW_DAYS)
    late_days = due_days.clip(upper=WINDOW_DAYS) - done_days.fillna(0)  # those that fell in the window
    each = {"open": is_open, "overdue": is_overdue, "forgotten": is_open & (due_days > within_days)}
    each["late_days"] = late_days.where(is_overdue | was_late, 0)
    sums = pd.DataFrame(each).groupby([rows["client_id"], rows["owed_by"]]).sum().to_dict("index")
    on_record, nothing = set(rows["client_id"]), dict.fromkeys(each, 0)
    found: dict[str, dict[str, Any]] = {}
    for client in sight.clients:
        ours, theirs = (sums.get((client, who), nothing) for who in (OURS, THEIRS))
        delay_days = ours["late_days"] + theirs["late_days"]
        counts = {
            f"{whose}_{name}": int(own[name]) for whose, own in (("our", ours), ("their", theirs)) for name in each if name != "late_days"
        }
        share = ours["late_days"] / delay_days if delay_days else 0.0
        is_known = client in on_record
        blame = {"delay_share_ours": share, "our_late_days": float(ours["late_days"])}
        found[client] = counts | {name: value if is_known else None for name, value in blame.items()}
    return found


def running_agreements(sight: Sight) -> pd.DataFrame | None:
    """The agreements that run at the day: client_id, service, notice_days, renews, ends_in_days (NaN = no planned end)."""
    columns = ["client_id", "service", "starts_on", "ends_on", "renews", "notice_days"]
    rows = rows_at(sight.validated, "agreements", sight.day, columns, of=sight.clients)
    if rows is None:
        return None
    rows["renews"] = rows["renews"].fillna(value=False).astype(bool)
    rows["ends_in_days"] = -age_days(rows["ends_on"], sight.day)
    has_begun = age_days(rows["starts_on"].fillna(rows["day"]), sight.day) > 0
    running: pd.DataFrame = rows[has_begun & (rows["renews"] | ~(rows["ends_in_days"] < 0))]
    return running


def _contracts(sight: Sight) -> dict[str, dict[str, Any]]:
    """The running agreements, the longest notice, when all can have ended; services of today's focus that the client does not use (B5)."""
    running = running_agreements(sight)
    if running is None:
        return {}
    offered = _offered(sight)
    rows: dict[str, list[dict[str, Any]]] = {client: [] for client in sight.clients}
    for row in running.to_dict("records"):
        rows[row["client_id"]].append({str(name): known(value) for name, value in row.items()})
    return {client: _contract(own, offered, sight.day) for client, own in rows.items()}


def _contract(rows: Sequence[Mapping[str, Any]], offered: Mapping[str, str] | None, day: int) -> dict[str, Any]:
    """The same of one client's running agreements."""
    agreements = tuple(_agreement(row, day) for row in rows)
    notices = [each.notice_days for each in agreements if each.notice_days is not None]
    ends = [each.can_end_in_days for each in agreements]
    latest = max((days for days in ends if days is not None), default=None)
    used = {row["service"] for row in rows}
    others = None if offered is None else tuple(name for service, name in offered.items() if service not in used)[:SERVICES_OFFERED]
    return {
        "notice_days": max(notices, default=None),
        "agreements": agreements,
        "all_ended_on": None if latest is None or None in ends else str(to_date(day + latest)),
        "other_services": others,
    }


def _agreement(row: Mapping[str, Any], day: int) -> Agreement:
    """A4: one that renews ends on its planned day only if notice is given in time; too late for that, its next end is not on record."""
    notice_days, ends_in_days = (None if row[name] is None else int(row[name]) for name in ("notice_days", "ends_in_days"))
    by = None if notice_days is None or ends_in_days is None else ends_in_days - notice_days
    is_in_time = by is not None and by >= 0
    return Agreement(
        service=row["service"],
        notice_days=notice_days,
        renews=row["renews"],
        ends_on=None if ends_in_days is None else str(to_date(day + ends_in_days)),
        notice_by=None if by is None else str(to_date(day + by)),
        notice_by_in_days=by,
        can_end_in_days=notice_days if ends_in_days is None else ends_in_days if is_in_time or not row["renews"] else None,
    )


def _offered(sight: Sight) -> dict[str, str] | None:
    """service_id -> name of the services that belong to where the business is going, the most strategic first."""
    rows = rows_at(sight.validated, "services", sight.day, ["service_id", "name", "strategic_weight"])
    if rows is None:
        return None
    rows = rows[rows["strategic_weight"] * 1_000 > OFF_FOCUS_MILLI].sort_values(["strategic_weight", "service_id"], ascending=[False, True])
    return {row["service_id"]: known(row["name"]) or row["service_id"] for row in rows.to_dict("records")}


def _steps(sight: Sight) -> dict[str, dict[str, Any]]:
    """Steps on record, the newest first; without the table none is."""
    rows = rows_at(sight.validated, "actions", sight.day, ["client_id", "kind", "outcome"], of=sight.clients)
    steps: dict[str, list[Step]] = {client: [] for client in sight.clients}
    for row in [] if rows is None else rows.to_dict("records"):
        steps[row["client_id"]].append(Step(row["kind"], int(age_days(row["day"], sight.day)), _outcome(known(row["outcome"]))))
    return {client: {"steps": tuple(sorted(own, key=lambda step: (step.days_ago, step.kind)))} for client, own in steps.items()}


def _outcome(text: str | None) -> str | None:
    """What came of a step, as one of a few words: free text is never copied."""
    if text is None:
        return None
    word = "_".join(text.casefold().split())
    return word if word in OUTCOMES else "other"


def _opinions(sight: Sight) -> dict[str, dict[str, Any]]:
    """Each reviewer's newest verdict that still counts; a review without a reviewer stands for itself."""
    rows = rows_at(sight.validated, "reviews", sight.day, ["client_id", "review_id", "reviewer", "verdict"], of=sight.clients)
    newest: dict[str, dict[str, Opinion]] = {client: {} for client in sight.clients}
    for row in [] if rows is None else rows.sort_values(["day", "review_id"]).to_dict("records"):
        days_ago = int(age_days(row["day"], sight.day))
        if days_ago <= sight.source.settings.decide.tried_within_days:
            reviewer = known(row["reviewer"])
            newest[row["client_id"]][reviewer or row["review_id"]] = Opinion(reviewer, row["verdict"], days_ago)
    return {client: {"opinions": tuple(own[name] for name in sorted(own))} for client, own in newest.items()}


def _ties(sight: Sight) -> dict[str, dict[str, Any]]:
    """Ties to clients with us, each with what the other brings; an ownership outweighs another kind of tie to the same client.

    A neighbour that no tie on record names was referred (clients.referred_by).
    """
    year = sight.economics.clients[sight.economics.clients["window"] == str(YEAR)]
    brings = {client: row["contribution"] for client, row in by_client(year[["client_id", "contribution"]]).items()}
    rows = rows_at(sight.validated, "ties", sight.day, ["client_id", "other_client_id", "kind", "until_on"])
    lasting = [] if rows is None else rows[~(age_days(rows["until_on"], sight.day) > 0)].to_dict("records")
    kinds: dict[frozenset[str], str | None] = {}
    for row in lasting:
        pair, kind = frozenset((row["client_id"], row["other_client_id"])), known(row["kind"])
        if kinds.get(pair) != "ownership" and (kind or pair not in kinds):
            kinds[pair] = kind
    found: dict[str, dict[str, Any]] = {}
    for client, row in by_client(sight.economics.standing).items():
        if row["neighbours"] is None:
            continue
        ties = tuple(
            Tie(other, kinds.get(frozenset((client, other)), "referral"), other in row["referred"], brings[other])
            for other in row["neighbours"]
        )
        each = [tie.contribution for tie in ties]
        found[client] = {"ties": ties, "tied_contribution": None if None in each else sum(filter(None, each))}
    return found


def _owners(sight: Sight) -> dict[str, dict[str, Any]]:
    rows = rows_at(sight.validated, "clients", sight.day, ["client_id", "account_owner"], of=sight.clients)
    return {} if rows is None else {client: {"account_owner": row["account_owner"]} for client, row in by_client(rows).items()}
