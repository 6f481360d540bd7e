"""Training rows, splits and members' texts -> columns too good to be true, splits that are not allowed, and what a figure rests on.

    screen, gain_shares       each column on the labelled rows: what it ranks by itself, how fast it ages, its share of the trees' gain
    check_split, check_judged, check_population, duplicates     who may learn from what, and who must be predicted
    check_blind               a model made at its origin does not change with the rows it is to predict; for tests, since it fits anew
    shift, memory             reported, never an error: are those judged like those scored; how much rests on knowing clients again

The eight types of leakage of Kapoor and Narayanan (Patterns 2023) are planted one by one in tests/models/test_leakage.py. No statistic can
find every leak: in the simulated portfolio columns that look a month too far rank no better than honest ones (0.70 both). That no
feature looks ahead at all is the contract's to prove (tests/contract_checks.py); this is the net below, for columns that carry the answer.

Measured (2026-11) on wholesaler, helpdesk and the simulated portfolio as they are set, honest columns and planted ones (label + noise):
    single-column AUC   honest at most 0.73
    fall by one step    honest at most 0.07; planted of AUC 0.90 and more are caught on all three, of 0.88 on one
    share of gain       honest at most 0.19; planted of AUC 0.81 and more are caught on all three
No false alarm there, in 25 other settings of them (horizons of 14 to 365 days, monthly and weekly), or in 371 samples of 40 to 150 clients.

Who is a misfit by the books this quarter mostly is one in the next, so there an honest column may rank with 0.96 and more, and no bar for
all tells it from a leak. But it knows the present at least as well as the future, and a leak does not: `already` is how well a column ranks
who meets the label's own rule on the last window, and the bar lies half-way from there to certainty, where that is higher. Measured on the
books of four simulated worlds in 35 settings (horizons of 30 to 180 days, floors, thresholds of effort): the best honest column 0.79 to
0.96, and from 0.9 on at most 0.01 above its `already`; planted ones 0.2 to 0.4 above. In nine settings honest columns lay above 0.95: no
alarm. In ledgers drawn ever steadier, to 98 % of the labels as a quarter before, honest columns reached 0.998 and passed, and each window
that lies ahead was caught. To judge those alone who do not meet the rule yet does not part them: honest columns reach 0.99 there too, since
who crosses a line is who stood beside it. What passes among misfits: a window that reaches as far back as ahead, and in steady books, where
a leaked label does not age, a planted column of AUC 0.92 and less (as before): no figure of it is beyond those of honest ones.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import UserError
from features.time import Calendar, age_days, to_date
from models.fitting import Columns, Snapshots
from models.misfit import SAME_RULE
from models.scorer import BadFrame, Floats, feature_matrix
from models.splits import client_folds

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.object_]

AUC_AT_MOST = 0.95  # of one column alone (facts, F6); the best honest one in 28 settings of three sources reached 0.81
FALL_AT_MOST = 0.10  # of a column's AUC, one step staler (facts, F6), beyond its error
STEP_SHARE = 0.3  # a step moves the outcome window by this share of the horizon: if it hardly moves, a leaked label hardly ages
GAIN_AT_MOST = 0.5  # share of all members' gain (facts, F6) …
GAIN_AUC_FROM = 0.8  # … that alarms only where the column also ranks this well alone: in a table of few columns one must carry half
LEAST_CLIENTS = 10  # churned clients, and others, behind any verdict: with five of each a column in 126 parts them by chance
LEAST_AS_OFS = 3  # as_ofs behind a fall: with fewer it may be a season
ERRORS = 3.0  # standard errors, with the client as unit, by which a difference must exceed its limit: there are some 70 columns to err on
ALIKE_VALUES = 12  # different values in a row that two ids share: chance made 8 alike, of clients with one contact on one day
MEMORY_AT_MOST = 0.05  # AUC that may rest on knowing clients again; 0.006 and less on the three sources
SHIFT_CLIENTS = 1_000  # clients at most that `shift` learns to tell apart by
SHIFT_FOLDS = 3
SHOWN = 5  # columns named in a report
NOT_THE_DATA = "this is a fault of the code that splits (models/splits.py, backtest.py), not of the data: do not believe its figures"

# how a column is read as a score: among the rows where it is known; with the unknown below all others, or above. Whether it is known at all
# is no reading of its own: as a score it never ranks better than the better of the last two
KNOWN, LOWEST, HIGHEST = "where known", "unknown lowest", "unknown highest"


# ---- one column against the label -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Screen:
    """One row per column, in their order: column, signal, auc (0.5 … 1, the better of both directions), read (how it was read).

    already: AUC of the column, read likewise, for who meets the label's own rule on the last window; NaN where the label has no such rule,
    or too few clients meet it or do not.
    fall: AUC minus the same column's one step of lag before, on the rows that have such a past; fall_error: its standard error by
    client, NaN unless the fall exceeds its limit.
    is_judged, is_lag_judged: whether there were clients and as_ofs enough for a verdict; else the figures are NaN.
    """

    table: pd.DataFrame
    is_judged: bool
    is_lag_judged: bool

    def suspects(self) -> dict[str, str]:
        """Column -> why it is too good to be true, in words."""
        found: dict[str, str] = {}
        for row in self.table.to_dict("records"):
            why = []
            if row["auc"] > (bar := bar_of(row["already"], AUC_AT_MOST)):
                why.append(f"alone ranks with AUC {row['auc']:.3f} ({row['read']}; at most {bar:.3g})")
            if row["fall"] - ERRORS * row["fall_error"] > FALL_AT_MOST:
                why.append(f"loses {row['fall']:.2f} ± {ERRORS * row['fall_error']:.2f} AUC when one step older (at most {FALL_AT_MOST})")
            if why:
                found[str(row["column"])] = " and ".join(why)
        return found

    def of(self, column: str, figure: str) -> float:
        """A figure of a column, NaN where it was not judged."""
        return float(self.table.loc[self.table["column"] == column, figure].iloc[0])


def bar_of(already: float, at_least: float) -> float:
    """The AUC up to which a column may be honest, given how well it ranks who meets the label's own rule already (NaN = not known).

    >>> bar_of(0.96, 0.95), bar_of(0.7, 0.95), bar_of(float("nan"), 0.95)
    (0.98, 0.95, 0.95)
    """
    return max(at_least, (1.0 + already) / 2) if not np.isnan(already) else at_least


def screen(rows: Snapshots, columns: Columns, calendar: Calendar) -> Screen:
    """Judges every column of the training rows by itself. 100,000 rows of 150 columns take about four seconds.

    NaN is a value too: a column is read in three ways (KNOWN, LOWEST, HIGHEST) and the best counts, so that one which is filled in only
    for those who left is found. The lag is the newest as_of of the same client by which the outcome window had moved STEP_SHARE of the
    horizon, read as it is read today, in the same direction. Raises UserError for columns that no model could be fitted on.
    """
    names = columns.names
    nothing = pd.DataFrame({"column": names, "signal": [columns.signals[name] for name in names], "auc": np.nan, "read": ""})
    nothing = nothing.assign(already=np.nan, fall=np.nan, fall_error=np.nan)
    _, client = np.unique(rows.client.astype(str), return_inverse=True)
    if not np.isin(rows.label, (0.0, 1.0)).all() or not _has_clients(rows.label, client):  # the fit refuses unknown labels, and says why
        return Screen(nothing, is_judged=False, is_lag_judged=False)
    try:
        values = feature_matrix(rows.features, names)
    except BadFrame as problem:
        raise UserError("training features", found=str(problem), wanted="finite numbers or NaN", cure="mend the feature") from problem
    today, before = lagged(rows, calendar)
    is_lag_judged = len(np.unique(rows.as_of[today])) >= LEAST_AS_OFS and _has_clients(rows.label[today], client[today])
    rule = rows.rules.get(SAME_RULE, np.full(len(rows), np.nan))
    is_rule_judged = _has_clients(rule, client)
    judged = []
    for place in range(len(names)):
        column = np.ascontiguousarray(values[:, place])
        auc, read = best_reading(column, rows.label, client)
        already = fall = fall_error = np.nan
        if is_rule_judged:
            already = already_auc(column, read, rows.label, rule)
        if is_lag_judged:
            score = as_score(column, read)
            fall, fall_error = fall_of(score[today], score[before], rows.label[today], client[today])
        judged.append((auc, read, already, fall, fall_error))
    table = nothing.assign(**dict(zip(("auc", "read", "already", "fall", "fall_error"), zip(*judged, strict=True), strict=True)))
    return Screen(table, is_judged=True, is_lag_judged=is_lag_judged)


def _has_clients(label: Floats, client: Ints) -> bool:
    return all(np.count_nonzero(np.bincount(client[label == kind])) >= LEAST_CLIENTS for kind in (0, 1))


def best_reading(column: Floats, label: Floats, client: Ints) -> tuple[float, str]:
    """(rows,) with NaN -> (AUC of the reading that ranks best, in its better direction; that reading). KNOWN needs LEAST_CLIENTS.

    >>> best_reading(np.array([np.nan, np.nan, 3.0]), np.array([0.0, 0.0, 1.0]), np.arange(3))
    (1.0, 'unknown lowest')
    """
    is_known, positive = ~np.isnan(column), label == 1
    n1, n0 = float(positive.sum()), float((~positive).sum())
    k1, k0 = float((is_known & positive).sum()), float((is_known & ~positive).sum())
    m1, m0 = n1 - k1, n0 - k0
    won = _pairs_won(column[is_known], positive[is_known])
    pairs, unknown_ties = n1 * n0, 0.5 * m1 * m0
    aucs = {LOWEST: (won + k1 * m0 + unknown_ties) / pairs}
    if m1 + m0:
        aucs[HIGHEST] = (won + m1 * k0 + unknown_ties) / pairs
        if _has_clients(label[is_known], client[is_known]):
            aucs[KNOWN] = won / (k1 * k0)
    best = max(aucs, key=lambda read: abs(aucs[read] - 0.5))
    return 0.5 + abs(aucs[best] - 0.5), best if m1 + m0 else KNOWN


def _pairs_won(score: Floats, positive: Flags) -> float:
    """Pairs of a positive and a negative row in which the positive has the higher score; ties count half."""
    return float(_below(score[positive], score[~positive]).sum())


def _below(score: Floats, others: Floats) -> Floats:
    """How many of `others` lie below each score, those that equal it by half."""
    ranked = np.sort(others)
    return np.asarray((np.searchsorted(ranked, score, "left") + np.searchsorted(ranked, score, "right")) / 2.0, np.float64)


def as_score(column: Floats, read: str) -> Floats:
    """The column as a score without NaN: unknown above all others, or below."""
    return np.where(np.isnan(column), np.inf if read == HIGHEST else -np.inf, column)


def already_auc(column: Floats, read: str, label: Floats, rule: Floats) -> float:
    """AUC of the column, read so and in the direction that ranks the label better, for the rule (1 met, 0 not, NaN = unknown: left out).

    >>> already_auc(np.array([4.0, 3, 2, 1]), KNOWN, np.array([0.0, 0, 1, 1]), np.array([0.0, 1, 1, np.nan]))
    1.0
    >>> [already_auc(np.array([np.nan, 3.0, 2, 1]), read, np.array([0.0, 1, 0, 0]), np.array([1.0, 1, 0, 0])) for read in (KNOWN, LOWEST)]
    [1.0, 0.5]
    """
    is_read = ~np.isnan(column) if read == KNOWN else np.ones(len(column), bool)
    score = as_score(column, read)
    of_label, of_rule = (_auc(score[chosen], truth[chosen] == 1) for truth, chosen in ((label, is_read), (rule, is_read & ~np.isnan(rule))))
    return of_rule if of_label >= 0.5 else 1.0 - of_rule


def _auc(score: Floats, positive: Flags) -> float:
    """NaN where one class is missing."""
    pairs = float(positive.sum()) * float((~positive).sum())
    return _pairs_won(score, positive) / pairs if pairs else float("nan")


def lagged(rows: Snapshots, calendar: Calendar) -> tuple[Ints, Ints]:
    """Places of the rows that have a past in the rows, and the place of that past: the same client one step earlier.

    A step is to the newest as_of that lies at least STEP_SHARE of the horizon back: a month for a quarter's horizon, two for half a year.
    """
    days, place = np.unique(rows.as_of, return_inverse=True)
    ages_days = age_days(days[None, :], days[:, None])  # of each as_of (columns) seen from each (rows)
    is_past = ages_days >= max(STEP_SHARE * calendar.horizon_days, 1)
    earlier = np.where(is_past.any(axis=1), is_past.sum(axis=1) - 1, -1)  # days ascend, so the newest of the first n is the n-th
    _, client = np.unique(rows.client.astype(str), return_inverse=True)
    at = pd.Series(np.arange(len(rows)), index=client * len(days) + place)
    past = at.reindex(client * len(days) + earlier[place]).to_numpy()
    has_past = (earlier[place] >= 0) & ~np.isnan(past)
    return np.flatnonzero(has_past), past[has_past].astype(np.int64)


def fall_of(today: Floats, before: Floats, label: Floats, client: Ints) -> tuple[float, float]:
    """Scores today and one step before, on the same rows -> (AUC today − AUC before, in today's better direction; its standard error).

    The error is reckoned only of a fall beyond FALL_AT_MOST, since it takes most of the time; else NaN.
    """
    positive = label == 1
    auc_today, auc_before = _auc(today, positive), _auc(before, positive)
    fall = auc_today - auc_before if auc_today >= 0.5 else auc_before - auc_today
    return fall, paired_difference(today, before, positive, client)[2] if fall > FALL_AT_MOST else np.nan


def paired_difference(score: Floats, other: Floats, positive: Flags, client: Ints) -> tuple[float, float, float]:
    """(AUC of `score`, AUC of `other`, standard error of their difference): DeLong's with the client as unit (Obuchowski 1997), since
    snapshots of one client are near copies."""
    auc, share = _auc_and_influence(score, positive)
    other_auc, other_share = _auc_and_influence(other, positive)
    return auc, other_auc, float(np.sqrt((np.bincount(client, weights=share - other_share) ** 2).sum()))


def _auc_and_influence(score: Floats, positive: Flags) -> tuple[float, Floats]:
    """AUC, and what each row adds to its deviation."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    beaten = np.empty(len(score), np.float64)  # share of the other class that a positive row beats, or that beats a negative one
    beaten[positive] = _below(score[positive], score[~positive]) / n_negative
    beaten[~positive] = 1.0 - _below(score[~positive], score[positive]) / n_positive
    auc = float(beaten[positive].mean())
    return auc, (beaten - auc) / np.where(positive, n_positive, n_negative)


# ---- one column in the members ----------------------------------------------------------------------------------------------------


def gain_shares(texts: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """LightGBM texts of the members -> each column's share of the gain of all their splits, adding up to 1 (all 0 without a split)."""
    total = np.zeros(len(names), np.float64)
    for text in texts:
        total += lgb.Booster(model_str=text).feature_importance(importance_type="gain")
    shares = total / total.sum() if total.sum() else total
    return dict(zip(names, shares.tolist(), strict=True))


def gain_suspects(shares: Mapping[str, float], screened: Screen) -> dict[str, str]:
    """The columns that carry the trees and rank well alone -> why, in words."""
    return {
        name: f"carries {share:.0%} of the trees' gain (at most {GAIN_AT_MOST:.0%}) and alone ranks with AUC {screened.of(name, 'auc'):.3f}"
        for name, share in shares.items()
        if share > GAIN_AT_MOST and screened.of(name, "auc") > bar_of(screened.of(name, "already"), GAIN_AUC_FROM)
    }


class TooGood(UserError):
    """Columns too good to be true, and not trusted."""


def check_suspects(suspects: Mapping[str, str], trusted: Collection[str], names: Collection[str]) -> None:
    """Raises UserError for suspicious columns that nobody vouches for, and for trusted names that are no columns."""
    unknown = sorted(set(trusted) - set(names))
    if unknown:
        raise UserError(
            "train.trusted_columns",
            found=f"{', '.join(unknown)}, of which this source's features know nothing",
            wanted=f"names of feature columns, such as {next(iter(names), 'recency_days')}",
            cure="correct or remove these names; featurize/columns.json lists all columns",
        )
    doubted = {name: why for name, why in suspects.items() if name not in trusted}
    if doubted:
        raise TooGood(
            "features",
            found="; ".join(f"{name} {why}" for name, why in doubted.items()),
            wanted="columns that know only what was known at as_of: none so good, or so short-lived, is to be expected",
            cure="see whether the column is written, or its rows are recorded, only once the client has left: mend recorded_at in the "
            "source's mapping or take the column out; if it is sound, name it under train.trusted_columns",
        )


# ---- who learns from what ---------------------------------------------------------------------------------------------------------


def check_rows(rows: Snapshots) -> None:
    """Raises UserError if a client stands twice at one as_of."""
    twice = _keys(rows).duplicated()
    if twice.any():
        first = int(np.flatnonzero(twice)[0])
        raise UserError(
            "training rows",
            found=f"{int(twice.sum())} snapshots that stand twice, the first of as_of {to_date(rows.as_of[first])}",
            wanted="one row per client and as_of",
            cure="run snapshot, label and featurize again: their files are of different runs, or were edited",
        )


def check_judged(as_of: Ints, *, origin: int, calendar: Calendar, what: str) -> None:
    """Raises UserError if `what` was learnt from as_ofs whose outcome nobody knew on day `origin`. For another horizon than the main one,
    and for calibration as for training, give its own calendar and as_ofs.

    Reckoned from the calendar's three lengths alone, so that a slip in `Calendar.is_mature` or `purged` cannot hide itself.
    """
    wait_days = calendar.gap_days + calendar.horizon_days + calendar.lateness_days
    unjudged = [int(day) for day in np.unique(as_of) if age_days(day, origin) < wait_days]
    if unjudged:
        raise UserError(
            f"split of {to_date(origin)}",
            found=f"{what} of as_ofs whose outcome was not judged by then: {_dates(unjudged)}",
            wanted=f"outcomes judged {wait_days} days after their as_of, before the model is made",
            cure=NOT_THE_DATA,
        )


def check_split(learnt: Snapshots, asked: Snapshots, *, origin: int, calendar: Calendar) -> None:
    """Raises UserError unless a model made on day `origin` may learn from `learnt` to predict `asked`."""
    check_rows(learnt)
    check_rows(asked)
    both = int(_keys(asked).isin(_keys(learnt)).sum())
    early = [int(day) for day in np.unique(asked.as_of) if age_days(day, origin) > 0]
    faults = {
        "no snapshot to learn from": not len(learnt),
        "no snapshot to predict": not len(asked),
        f"{both} snapshots both learnt from and predicted": both > 0,
        f"as_ofs to predict before the model was made: {_dates(early)}": bool(early),
    }
    found = [fault for fault, is_there in faults.items() if is_there]
    if found:
        raise UserError(
            f"split of {to_date(origin)}",
            found="; ".join(found),
            wanted="snapshots to learn from, and others from the day the model is made on to test it",
            cure=NOT_THE_DATA,
        )
    check_judged(learnt.as_of, origin=origin, calendar=calendar, what="labels")


def check_population(asked: Snapshots, rows: Snapshots) -> None:
    """Raises UserError unless those predicted are all eligible labelled snapshots (`rows`) of their as_ofs: a figure on some of them
    speaks of a portfolio that nobody scores."""
    everyone = _keys(rows.at(np.unique(asked.as_of).tolist()))
    lacking, strangers = int((~everyone.isin(_keys(asked))).sum()), int((~_keys(asked).isin(everyone)).sum())
    if lacking or strangers:
        raise UserError(
            "test rows",
            found=f"{lacking} of {len(everyone)} eligible labelled snapshots left out, {strangers} that are not among them",
            wanted="the whole portfolio at the as_ofs of the test",
            cure=NOT_THE_DATA,
        )


def _keys(rows: Snapshots) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([rows.client.astype(str), rows.as_of])


def _dates(days: Sequence[int]) -> str:
    return ", ".join(str(to_date(day)) for day in days[:SHOWN]) + (f" and {len(days) - SHOWN} more" if len(days) > SHOWN else "")


def duplicates(rows: Snapshots, learns: Collection[int], predicts: Collection[int]) -> list[tuple[str, str]]:
    """Pairs of ids that are one client: alike to the last bit at an as_of, one of them learnt from and the other predicted.

    Rows of fewer than ALIKE_VALUES different values are passed over: clients with a single contact on the same day are alike by nature.
    Reported, not refused: which of the ids is the client's, only its business knows.
    """
    values = np.ascontiguousarray(rows.features.to_numpy(np.float64)) + 0.0  # + 0.0: minus zero is zero
    values[np.isnan(values)] = np.nan  # one bit pattern
    rich = np.array([len(np.unique(row[~np.isnan(row)])) >= ALIKE_VALUES for row in values], bool)
    content = [(day, row.tobytes()) for day, row in zip(rows.as_of[rich].tolist(), values[rich], strict=True)]
    alike: dict[tuple[int, bytes], set[str]] = {}
    for key, client in zip(content, rows.client[rich].astype(str).tolist(), strict=True):
        alike.setdefault(key, set()).add(client)
    learnt, asked = (set(rows.client[np.isin(rows.as_of, list(days))].astype(str).tolist()) for days in (learns, predicts))
    pairs = {
        (one, other)
        for clients in alike.values()
        for one in clients
        for other in clients
        if one < other and ((one in learnt and other in asked) or (other in learnt and one in asked))
    }
    return sorted(pairs)


def check_blind(make: Callable[[Snapshots], str], rows: Snapshots, predicts: Collection[int]) -> None:
    """Raises UserError if what `make` gives (a model's hash) changes with features or labels of the rows to predict.

    The one check for whatever is learnt where it must not be: scaling, imputing, choosing columns, tuning, calibrating on the test.
    """
    is_asked = np.isin(rows.as_of, list(predicts))
    features = rows.features.copy()
    features.loc[is_asked] = -3.0 * features.loc[is_asked].iloc[::-1].to_numpy() + 7.0
    turned = {days: np.where(is_asked, 1.0 - label, label) for days, label in rows.horizon_labels.items()}
    changes = {
        "labels": replace(rows, label=np.where(is_asked, 1.0 - rows.label, rows.label), horizon_labels=turned),
        "features": replace(rows, features=features),
    }
    seen = make(rows)
    for part, changed in changes.items():
        if make(changed) != seen:
            raise UserError(
                "model",
                found=f"another model once the {part} of the snapshots to predict were changed",
                wanted="a model that knows nothing of them",
                cure="fit every step (scaling, imputing, choosing columns, tuning) on the learnt rows alone",
            )


# ---- reported ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Memory:
    """What rests on knowing clients again: AUC of the model, of its members that never saw the client, their difference and its error."""

    auc: float
    unseen_auc: float
    difference: float
    error: float

    @property
    def is_large(self) -> bool:
        return self.difference - ERRORS * self.error > MEMORY_AT_MOST

    @property
    def words(self) -> str:
        """For the report; NaN where one class or all members are missing."""
        if np.isnan(self.difference):
            return "Too few rows to say how much rests on knowing clients again."
        told = f"AUC {self.auc:.3f}; by members that never saw the client {self.unseen_auc:.3f}"
        if self.is_large:
            return f"{told}: much of this figure rests on knowing the same clients again. Expect the lower one for new clients."
        return f"{told}: the model does not need to know a client to judge it."


def memory(label: Floats, probability: Floats, unseen_probability: Floats, clients: Ids) -> Memory:
    """Compares both on the rows that have an unseen probability (NaN where every member saw the client)."""
    usable = ~np.isnan(unseen_probability)
    positive = label[usable] == 1
    if not positive.any() or positive.all():
        return Memory(np.nan, np.nan, np.nan, np.nan)
    _, client = np.unique(clients[usable].astype(str), return_inverse=True)
    auc, unseen_auc, error = paired_difference(probability[usable], unseen_probability[usable], positive, client)
    return Memory(auc, unseen_auc, auc - unseen_auc, error)


@dataclass(frozen=True)
class Shift:
    """How those who get a score differ from those the figures were measured on.

    auc: of a small client-grouped classifier that tells them apart; 0.5 = alike, 1 = nothing in common. NaN with too few clients.
    columns: one row per column, the most shifted first: column, difference (−1 … 1: how much more often a newest row is above a judged
    one than below), unknown (newest share of unknown − judged share).
    """

    auc: float
    columns: pd.DataFrame


def shift(judged: pd.DataFrame, judged_clients: Ids, newest: pd.DataFrame, newest_clients: Ids, *, seed: int) -> Shift:
    """Feature frames of the same columns. Ranks, not means: one enormous invoice moves no figure here."""
    both = pd.concat([judged, newest], ignore_index=True)
    is_newest = np.arange(len(both)) >= len(judged)
    found = []
    for name in judged.columns:
        column = both[name].to_numpy(np.float64)
        known = ~np.isnan(column)
        n1, n0 = float(is_newest[known].sum()), float((~is_newest[known]).sum())
        difference = 2.0 * _pairs_won(column[known], is_newest[known]) / (n1 * n0) - 1.0 if n1 and n0 else 0.0
        unknown = float(np.mean(~known[is_newest]) - np.mean(~known[~is_newest])) if len(judged) and len(newest) else 0.0
        found.append((str(name), difference, unknown))
    table = pd.DataFrame(found, columns=["column", "difference", "unknown"])
    size = table[["difference", "unknown"]].abs().max(axis=1).to_numpy()
    ordered = table.iloc[np.argsort(-size, kind="stable")].reset_index(drop=True)
    clients = np.concatenate([judged_clients, newest_clients]).astype(str)
    return Shift(_told_apart(both.to_numpy(np.float64), is_newest, clients, seed), ordered)


def _told_apart(values: Floats, is_newest: Flags, clients: npt.NDArray[np.str_], seed: int) -> float:
    """AUC over client-grouped folds, so that a client is never told by its own other row."""
    names, client = np.unique(clients, return_inverse=True)
    if len(names) < 2 * LEAST_CLIENTS or is_newest.all() or not is_newest.any():
        return float("nan")
    few = np.zeros(len(names), bool)
    few[np.random.default_rng([seed, 6]).permutation(len(names))[:SHIFT_CLIENTS]] = True
    is_used = few[client]
    fold = client_folds(np.zeros(len(names), np.bool_), SHIFT_FOLDS, seed)[client]
    score = np.zeros(len(values), np.float64)
    parameters = {"objective": "binary", "max_depth": 3, "num_leaves": 8, "min_data_in_leaf": 10, "seed": seed}
    parameters |= {"deterministic": True, "force_row_wise": True, "num_threads": 1, "verbosity": -1}
    for place in range(SHIFT_FOLDS):
        learnt, held = is_used & (fold != place), is_used & (fold == place)
        dataset = lgb.Dataset(values[learnt], label=is_newest[learnt].astype(np.float64))
        score[held] = lgb.train(parameters, dataset, num_boost_round=40).predict(values[held])
    positive = is_newest[is_used]
    if positive.all() or not positive.any():
        return float("nan")
    return _pairs_won(score[is_used], positive) / float(positive.sum()) / float((~positive).sum())
