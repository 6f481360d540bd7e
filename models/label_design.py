"""Contact days, endings and judged snapshots -> what a horizon and the eligibility thresholds do to the label, and what the data propose.

Without a contract silence is all there is, and the question is when it means loss. A *spell* is the silence between two successive days
with a qualifying contact; a client's last one is still open. *Silent for s days* = s whole days without contact since the last; *comes back
within f days* = a contact on one of the f days after those. Open spells count for as long as they were watched (the product-limit estimate
of Kaplan and Meier, 1958), else the newest silences would all look final. A client with many silences has many voices, so the bands are
drawn over clients, not over spells.

We ask for the share that comes back after being called lost (as Indeed's "D-curve" does) rather than take a percentile of the gaps, because
that is the label's own error, in a unit a manager can judge. A fitted purchase model (BG/NBD) would extrapolate past the data's end; here
what was not watched stays unknown, and where no horizon meets the tolerance that is the answer.

With a contract an ending is on record; the design tells who ends it and why, and of eligible snapshots how often each ending happens within
each horizon. These shares are direct cumulative incidences: mature windows were watched to their end, so nothing is censored.

Nothing here decides: the knobs stand in params.yaml. Nothing here reads or writes files.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array

from features.time import Calendar, days_to_next
from models.metrics import figure_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Draws = npt.NDArray[np.uint8]
Record = dict[str, Any]

STEP_DAYS = 15  # the curve's grid; finer than anyone plans
BLOCK_CELLS = 2_000_000  # resamples · clients held as floats at once: 16 MB
DECIMALS = 6  # of what is reported
TABLES = ("return_curve", "eligibility_gaps", "eligibility_floors", "sensitivity", "outcomes", "leavers", "notice", "unseen_endings")
QUANTILES = (10, 25, 50, 75, 90)  # percent, of the length of notice

# why a proposal is what it is
REACHED, NO_ROOM, NONE_REACHES, TOO_LITTLE = "reached", "reached_without_room", "none_reaches", "too_little_data"


# ---- silences ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contacts:
    """Days on which something happened with a client: `client` = place in `clients`, `day` = local day; each pair once, any order."""

    clients: list[str]
    client: Ints
    day: Ints


@dataclass(frozen=True)
class Spells:
    """Silences, one row each, by client and time.

    client: 0 … n_clients − 1. length_days: days to the next contact (1 = the very next day) or, where none came, whole days watched without
    one. has_returned: which of the two. watched_days: how many days the spell could have been watched for, returned or not.
    own_gap_days: the median of the client's gaps before (what `silent_gaps` multiplies); NaN at its first contact.
    """

    n_clients: int
    client: Ints
    length_days: Ints
    has_returned: Flags
    watched_days: Ints
    own_gap_days: Floats


def spells(contacts: Contacts, endings: Contacts, until: int) -> Spells:
    """The silences after each contact before the day `until`, from which on nobody watched; an ending stops the watch too."""
    order = np.lexsort((contacts.day, contacts.client))
    client, day = contacts.client[order], contacts.day[order]
    wait_days = days_to_next(client, day, client, day + 1) + 1
    to_end_days = np.minimum(until - day, days_to_next(endings.client, endings.day, client, day))
    has_returned = wait_days < to_end_days
    length_days = np.where(has_returned, wait_days, to_end_days - 1)
    is_watched = to_end_days > 0
    return Spells(
        len(contacts.clients),
        client[is_watched],
        length_days[is_watched],
        has_returned[is_watched],
        to_end_days[is_watched] - 1,
        _own_gaps(client, wait_days)[is_watched],
    )


def _own_gaps(client: Ints, wait_days: Ints) -> Floats:
    """Per contact the median of the client's gaps up to it, as the snapshot's typical gap was on the days that followed it."""
    if not len(client):
        return np.empty(0)
    medians = pd.Series(wait_days.astype(np.float64)).groupby(client).expanding().median().to_numpy()
    before = np.full(len(client), np.nan)
    follows = client[1:] == client[:-1]
    before[1:][follows] = medians[:-1][follows]
    return before


def draws(n_clients: int, *, resamples: int, seed: int) -> Draws:
    """How many times each client is drawn, shape (1 + resamples, clients); resample 0 is the data itself."""
    random = np.random.default_rng([seed, 11])  # 11: this stage's own stream
    drawn = np.ones((1 + resamples, n_clients), np.uint8)
    for at in range(1, 1 + resamples if n_clients else 1):
        drawn[at] = np.bincount(random.integers(0, n_clients, n_clients), minlength=n_clients)
    return drawn


def _blocks(drawn: Draws) -> Iterator[Floats]:
    step = max(BLOCK_CELLS // max(drawn.shape[1], 1), 1)
    for first in range(0, len(drawn), step):
        yield drawn[first : first + step].astype(np.float64)


def _sums(drawn: Draws, client: Ints, column: Ints, n_columns: int) -> Floats:
    """Number of rows per resample and column: shape (1 + resamples, n_columns)."""
    cells = csr_array((np.ones(len(client)), (client, column)), shape=(drawn.shape[1], n_columns))
    return np.concatenate([np.asarray(weight @ cells, np.float64) for weight in _blocks(drawn)])


def still_silent(client: Ints, length_days: Ints, has_returned: Flags, drawn: Draws, up_to_days: int) -> Floats:
    """Kaplan–Meier: the chance that a spell lasts at least x days, x = 0 … up_to_days; shape (1 + resamples, up_to_days + 1).

    An open spell of length l was seen not to end on its days 1 … l. NaN from where on nobody was watched any more.

    >>> one_of_each = np.ones((1, 3), np.uint8)
    >>> still_silent(np.array([0, 1, 2]), np.array([1, 2, 3]), np.array([True, False, True]), one_of_each, 4)[0].round(3).tolist()
    [1.0, 1.0, 0.667, 0.667, 0.0]
    """
    n_columns = up_to_days + 1
    is_back = has_returned & (length_days < n_columns)
    lasting = _sums(drawn, client, np.minimum(length_days, up_to_days), n_columns)
    at_risk = lasting[:, ::-1].cumsum(axis=1)[:, ::-1]
    back = _sums(drawn, client[is_back], length_days[is_back], n_columns)
    staying = np.full(at_risk.shape, np.nan)
    np.divide(at_risk - back, at_risk, out=staying, where=at_risk > 0)
    chance = np.concatenate([np.ones((len(staying), 1)), staying[:, :-1].cumprod(axis=1)], axis=1)
    all_back = np.logical_or.accumulate(chance == 0, axis=1)
    return np.where(all_back, 0.0, chance)


def return_curve(found: Spells, silent_days: Sequence[int], within_days: int, drawn: Draws) -> pd.DataFrame:
    """One row per length of silence: silent_days, n_silences, n_clients, n_followed, returned, low, high.

    returned: of those silent for so many whole days, the share that comes back within `within_days` more, with its 95 % band over clients
    (none where nobody was watched for so long). n_followed: clients that reached that silence and were, or could have been, watched for
    all of it.
    """
    chance = still_silent(found.client, found.length_days, found.has_returned, drawn, max(silent_days) + 1 + within_days)
    rows = []
    for silent in silent_days:
        rate = _returned(chance[:, silent + 1], chance[:, silent + 1 + within_days])
        rows.append({"silent_days": silent, **_at_risk(found, np.full(len(found.client), silent), within_days), **_figure(rate)})
    return pd.DataFrame(rows)


def eligibility_curve(found: Spells, silent_gaps: Sequence[float], floor_days: int, within_days: int, drawn: Draws) -> pd.DataFrame:
    """return_curve by silence in own typical gaps: past `floor_days` and so many of them; only spells of clients with a gap before."""
    rows = []
    for multiple in silent_gaps:
        threshold = np.floor(np.fmax(floor_days, multiple * found.own_gap_days))
        has_passed = np.isfinite(found.own_gap_days) & (found.length_days > threshold)
        # days counted from the threshold on, for each spell its own
        beyond = np.where(has_passed, found.length_days - np.nan_to_num(threshold) - 1, 0).astype(np.int64)
        chance = still_silent(found.client[has_passed], beyond[has_passed], found.has_returned[has_passed], drawn, within_days)
        counts = _at_risk(found, np.where(np.isfinite(found.own_gap_days), threshold, np.inf), within_days)
        rows.append({"silent_gaps": multiple, **counts, **_figure(_returned(chance[:, 0], chance[:, within_days]))})
    return pd.DataFrame(rows)


def _returned(reached: Floats, outlasted: Floats) -> Floats:
    rate = np.full(len(reached), np.nan)
    np.divide(reached - outlasted, reached, out=rate, where=reached > 0)
    return rate


def _at_risk(found: Spells, silent_days: npt.NDArray[Any], within_days: int) -> Record:
    has_passed = found.length_days > silent_days
    is_followed = has_passed & (found.watched_days >= silent_days + within_days)
    return {
        "n_silences": int(has_passed.sum()),
        "n_clients": _n_distinct(found.client[has_passed]),
        "n_followed": _n_distinct(found.client[is_followed]),
    }


def _figure(rate: Floats) -> Record:
    found = figure_of(rate)
    return {"returned": found["value"], "low": found["low"], "high": found["high"]}


# ---- proposals --------------------------------------------------------------------------------------------------------------------


def room(as_ofs: Sequence[int], calendar: Calendar, until: int, test_periods: int) -> tuple[int, int]:
    """(mature as_ofs, as_ofs to learn from before the test's): what a horizon leaves of the history.

    >>> room([0, 30, 60, 90, 120], Calendar(gap_days=0, horizon_days=60, lateness_days=0), until=150, test_periods=1)
    (4, 2)
    """
    mature = [on for on in as_ofs if calendar.is_mature(on, until)]
    return len(mature), len(calendar.purged(mature, mature[-test_periods:][0])) if mature else 0


def proposed(curve: pd.DataFrame, by: str, *, at_most: float, at_least: int, has_room: Mapping[Any, bool] | None = None) -> Record:
    """The smallest value of column `by` at which at most a share `at_most` comes back; never one that the data do not support.

    at_least: clients followed to the end behind a figure. has_room: whether a value leaves anything to learn from (default: all do).
    -> proposed (None = none reaches it), compromise (then: the one with the least coming back, among those with room), because, and the
    figures of whichever it is.
    """
    is_known = (curve["n_followed"] >= at_least) & curve["returned"].notna()
    is_usable = curve[by].map(has_room).astype(bool) if has_room is not None else pd.Series(True, index=curve.index)
    reaching = curve[is_known & (curve["returned"] <= at_most)]
    usable = curve[is_known & is_usable]
    answer: Record = {"at_most": at_most, "clients_at_least": at_least, "proposed": None, "compromise": None, "because": TOO_LITTLE}
    if len(reaching[is_usable[reaching.index]]):
        best = reaching[is_usable[reaching.index]].iloc[0]
        answer |= {"proposed": _plain(best[by]), "because": REACHED}
    elif len(usable):
        best = usable.iloc[int(usable["returned"].astype(float).argmin())]
        answer |= {"compromise": _plain(best[by]), "because": NO_ROOM if len(reaching) else NONE_REACHES}
        answer |= {"would_reach": _plain(reaching.iloc[0][by])} if len(reaching) else {}
    else:
        return answer
    return answer | {name: _plain(best[name]) for name in ("returned", "low", "high", "n_clients", "n_followed")}


# ---- sensitivity ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidates:
    """Snapshots that some choice of thresholds makes eligible; arrays of one entry each.

    client: place in the list of clients. silence_days, typical_gap_days: as the snapshot has them (NaN = unknown). wait_days: from the
    outcome window's beginning to the next contact. watched_days: how long that could have been watched. label: shape (snapshots, horizons),
    1 churned, 0 stayed, −1 unknown. is_flat: one flat rule decides eligibility, so that all are eligible whatever the thresholds.
    """

    client: Ints
    silence_days: Floats
    typical_gap_days: Floats
    wait_days: Ints
    watched_days: Ints
    label: npt.NDArray[np.int8]
    horizons: list[int]
    is_flat: bool = False

    def is_eligible(self, horizon_days: int, silent_gaps: float, silent_floor_days: int) -> Flags:
        """The rule of pipeline/snapshot.py under another choice: not silent by its own measure, and not rarer than the horizon."""
        if self.is_flat:
            return np.ones(len(self.client), bool)
        threshold = np.fmax(silent_floor_days, silent_gaps * np.nan_to_num(self.typical_gap_days))
        return ~((self.silence_days > threshold) | (self.typical_gap_days > horizon_days))


@dataclass(frozen=True)
class Choice:
    """Horizon and thresholds."""

    horizon_days: int
    silent_gaps: float
    silent_floor_days: int


def sensitivity(rows: Candidates, choices: Sequence[Choice], follow_up_days: int, rooms: Mapping[int, tuple[int, int]]) -> pd.DataFrame:
    """One row per choice: what the label would be like.

    n_as_ofs, n_learnable: mature as_ofs, and those whose outcome was known before the test's. n_labelled: eligible snapshots with a known
    label; base_rate: the share churned; n_churned_clients: distinct. came_back: of the churned that could be watched for follow_up_days
    after their silent window (n_followed snapshots), the share that had a contact in them.
    """
    found = []
    for choice in choices:
        n_as_ofs, n_learnable = rooms[choice.horizon_days]
        found.append({**_consequences(rows, choice, follow_up_days), "n_as_ofs": n_as_ofs, "n_learnable": n_learnable})
    return pd.DataFrame(found)


def _consequences(rows: Candidates, choice: Choice, follow_up_days: int) -> Record:
    label = rows.label[:, rows.horizons.index(choice.horizon_days)]
    is_labelled = rows.is_eligible(choice.horizon_days, choice.silent_gaps, choice.silent_floor_days) & (label >= 0)
    has_churned = is_labelled & (label == 1)
    is_followed = has_churned & (rows.watched_days >= choice.horizon_days + follow_up_days)
    came_back = is_followed & (rows.wait_days < choice.horizon_days + follow_up_days)
    return {
        "horizon_days": choice.horizon_days,
        "silent_gaps": choice.silent_gaps,
        "silent_floor_days": choice.silent_floor_days,
        "n_labelled": int(is_labelled.sum()),
        "n_clients": _n_distinct(rows.client[is_labelled]),
        "base_rate": _share(has_churned, is_labelled),
        "n_churned_clients": _n_distinct(rows.client[has_churned]),
        "n_followed": int(is_followed.sum()),
        "came_back": _share(came_back, is_followed),
    }


def _n_distinct(client: Ints) -> int:
    return int(np.count_nonzero(np.bincount(client)))


def _share(part: Flags, whole: Flags) -> float | None:
    return float(part.sum() / whole.sum()) if whole.any() else None


# ---- the whole, without a contract ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What is tried and asked for; the knobs of params.yaml. window_days: gap + horizon, in which who is past a threshold may return."""

    follow_up_days: int
    window_days: int
    tolerated_returns: float
    lost_returns: float
    clients_at_least: int
    horizons_days: list[int]
    silent_gaps: list[float]
    silent_floors_days: list[int]
    chosen: Choice


def silence_design(found: Spells, drawn: Draws, asked: Asked, rows: Candidates, rooms: Mapping[int, tuple[int, int]]) -> Record:
    """Curves, proposals and sensitivity of a non-contractual source, ready for JSON."""
    chosen, at_least = asked.chosen, asked.clients_at_least
    grid = sorted({*range(STEP_DAYS, max(asked.horizons_days) + 1, STEP_DAYS), *asked.horizons_days})
    curve = return_curve(found, grid, asked.follow_up_days, drawn)
    floors = return_curve(found, asked.silent_floors_days, asked.window_days, drawn)
    gaps = eligibility_curve(found, asked.silent_gaps, chosen.silent_floor_days, asked.window_days, drawn)
    tried = curve[curve["silent_days"].isin(asked.horizons_days)]
    has_room = {horizon: n_learnable > 0 for horizon, (_, n_learnable) in rooms.items()}
    by_gaps = [Choice(h, m, chosen.silent_floor_days) for h in asked.horizons_days for m in asked.silent_gaps]
    by_floor = [Choice(h, chosen.silent_gaps, f) for h in asked.horizons_days for f in asked.silent_floors_days]
    choices = sorted({*by_gaps, *by_floor}, key=lambda choice: (choice.horizon_days, choice.silent_gaps, choice.silent_floor_days))
    return {
        "asked": {"follow_up_days": asked.follow_up_days, "window_days": asked.window_days},
        "silences": {"n_clients": _n_distinct(found.client), "n": len(found.client), "n_open": int((~found.has_returned).sum())},
        "horizon": proposed(tried, "silent_days", at_most=asked.tolerated_returns, at_least=at_least, has_room=has_room),
        "silent_gaps": proposed(gaps, "silent_gaps", at_most=asked.lost_returns, at_least=at_least),
        "silent_floor_days": proposed(floors, "silent_days", at_most=asked.lost_returns, at_least=at_least),
        "return_curve": records(curve),
        "eligibility_gaps": records(gaps),
        "eligibility_floors": records(floors),
        "sensitivity": records(sensitivity(rows, choices, asked.follow_up_days, rooms)),
    }


# ---- the whole, with a contract ---------------------------------------------------------------------------------------------------


def ending_design(
    endings: pd.DataFrame, seen: pd.DataFrame, outcomes: Mapping[int, npt.NDArray[Any]], client: Ints, drawn: Draws, window: tuple[int, int]
) -> Record:
    """Leavers, competing outcomes, notice and the endings no label shows, of a contractual source, ready for JSON.

    endings: client_id, day (decided), notice_days, ended_by, reason. seen: client_id, day (as_of), status of every snapshot.
    outcomes: horizon -> what became of each eligible snapshot, "" = unknown yet. client: of each eligible snapshot. window: gap and
    horizon in days.
    """
    return {
        "outcomes": records(outcome_shares(outcomes, client, drawn)),
        "leavers": records(leavers(endings)),
        "notice": records(notice(endings)),
        "unseen_endings": records(unseen_endings(endings, seen, *window)),
    }


def outcome_shares(outcomes: Mapping[int, npt.NDArray[Any]], client: Ints, drawn: Draws) -> pd.DataFrame:
    """One row per horizon and outcome: horizon_days, outcome, n_snapshots (known), n (with it), share, low, high (95 % over clients)."""
    rows = []
    names = sorted({str(name) for found in outcomes.values() for name in np.unique(found)} - {""})
    for horizon_days, found in outcomes.items():
        is_known = found != ""
        place = np.searchsorted(names, found[is_known]).astype(np.int64)
        sums = _sums(drawn, client[is_known], place, len(names))
        shares = np.full(sums.shape, np.nan)
        np.divide(sums, sums.sum(axis=1, keepdims=True), out=shares, where=sums.sum(axis=1, keepdims=True) > 0)
        for at, name in enumerate(names):
            figure = figure_of(shares[:, at])
            counts = {"n_snapshots": int(is_known.sum()), "n": int(sums[0, at])}
            rows.append(
                {
                    "horizon_days": horizon_days,
                    "outcome": name,
                    **counts,
                    "share": figure["value"],
                    "low": figure["low"],
                    "high": figure["high"],
                }
            )
    return pd.DataFrame(rows)


def leavers(endings: pd.DataFrame) -> pd.DataFrame:
    """One row per ended_by and reason: n_endings, n_clients; the most frequent first."""
    named = endings.assign(reason=endings["reason"].fillna("not stated"))
    grouped = named.groupby(["ended_by", "reason"])["client_id"].agg(n_endings="size", n_clients="nunique").reset_index()
    return grouped.sort_values(["n_endings", "ended_by", "reason"], ascending=[False, True, True], ignore_index=True)


def notice(endings: pd.DataFrame) -> pd.DataFrame:
    """One row per ended_by: days from decision to end, as n, n_without_end, n_ended_before_decision and quantiles of the rest."""
    rows = []
    for ended_by, some in endings.groupby("ended_by"):
        days = some["notice_days"].to_numpy(np.float64)
        usable = days[days >= 0]
        quantiles = np.percentile(usable, QUANTILES) if len(usable) else [None] * len(QUANTILES)
        counts = {"n": len(days), "n_without_end": int(np.isnan(days).sum()), "n_ended_before_decision": int((days < 0).sum())}
        rows.append({"ended_by": ended_by, **counts, **{f"p{q}_days": value for q, value in zip(QUANTILES, quantiles, strict=True)}})
    return pd.DataFrame(rows)


def unseen_endings(endings: pd.DataFrame, seen: pd.DataFrame, gap_days: int, horizon_days: int) -> pd.DataFrame:
    """One row per ended_by and how it was met: ended_by, met, n.

    met: `labelled` – decided in the outcome window of an as_of at which the client was eligible; else `in_gap` – eligible, but decided
    within every such as_of's gap; else the status at the newest as_of up to the decision (`gone`, `too_new`, …; `eligible` = only longer
    before), or `never_looked_at` – no as_of before it.
    """
    numbered = endings.reset_index(drop=True).rename_axis("ending").reset_index()
    pairs = numbered.merge(seen, on="client_id", suffixes=("", "_as_of"))
    lead_days = pairs["day"] - pairs["day_as_of"]
    pairs = pairs.assign(lead_days=lead_days)[lead_days >= 0]
    newest = pairs.sort_values("lead_days").drop_duplicates("ending").set_index("ending")["status"]
    met = newest.reindex(numbered.index).fillna("never_looked_at").astype(object)
    eligible = pairs[pairs["status"] == "eligible"]
    met[eligible.loc[eligible["lead_days"] < gap_days, "ending"].unique()] = "in_gap"
    in_window = (eligible["lead_days"] >= gap_days) & (eligible["lead_days"] < gap_days + horizon_days)
    met[eligible.loc[in_window, "ending"].unique()] = "labelled"
    counted = numbered.assign(met=met).groupby(["ended_by", "met"]).size().rename("n").reset_index()
    return counted.sort_values(["ended_by", "n", "met"], ascending=[True, False, True], ignore_index=True)


# ---- to JSON ----------------------------------------------------------------------------------------------------------------------


def records(frame: pd.DataFrame) -> list[Record]:
    """Rows as plain values; unknown = None, floats to six decimals."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def as_frame(rows: Sequence[Record]) -> pd.DataFrame:
    """The rows of `records` as a table again."""
    return pd.DataFrame(list(rows))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    number = float(value)
    if np.isnan(number):
        return None
    return int(value) if isinstance(value, int | np.integer) or number.is_integer() else round(number, DECIMALS)
