"""as_ofs, labels and clients of the eligible snapshots -> who learns from what: test period, rolling origins, client folds.

Two rules. Time: a model made at `origin` learns only from as_ofs whose outcome had been judged by then (`Calendar.purged`: gap, horizon and
lateness all lie before it). Clients: a client that stays is in training and in test, since that is production; the figure for clients never
seen stands beside it, and everything chosen inside training is chosen on folds that keep a client's rows together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.errors import NotEnoughHistory
from features.time import Calendar, to_date

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

LEAST_SHARE = 1 / 3  # of the final training's churned clients: a model learnt from fewer has other slopes than the one it speaks for


@dataclass(frozen=True)
class Split:
    """One model to make: `origin` is the day it is made, `learns` and `predicts` are as_ofs; every test as_of lies at or after origin."""

    origin: int
    learns: tuple[int, ...]
    predicts: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """The test period's split, held out once, and the rolling origins before it, oldest first."""

    test: Split
    origins: tuple[Split, ...]


def held_out(days: Sequence[int], *, calendar: Calendar, test_periods: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """as_ofs with known outcomes -> (what the final test's model learns from, the test's as_ofs); both empty where there are too few."""
    in_order = sorted(days)
    if len(in_order) <= test_periods:
        return (), ()
    predicts = tuple(in_order[-test_periods:])
    return tuple(calendar.purged(in_order, predicts[0])), predicts


def plan_splits(
    as_of: Ints, label: npt.NDArray[np.float64], clients: npt.NDArray[np.object_], *, calendar: Calendar, test_periods: int, origins: int
) -> Plan:
    """Plans the backtest. as_of, label (0/1) and clients: one per labelled row.

    The newest `test_periods` as_ofs are the test; at most `origins` as_ofs before them, evenly spaced, are the rolling origins.
    Raises NotEnoughHistory where there is nothing to learn from or nothing to test on.
    """
    days = [int(day) for day in np.unique(as_of)]
    _check_rows(days, label, clients)
    if len(days) <= test_periods:
        raise NotEnoughHistory(
            "labels",
            found=f"{len(days)} as_ofs with known outcomes ({_span(days)})",
            wanted=f"more than the {test_periods} that are held out for the test",
            cure="ingest a longer history, shorten time.horizon_days or time.gap_days, or lower train.test_periods",
        )
    learns, predicts = held_out(days, calendar=calendar, test_periods=test_periods)
    _check_training(learns, predicts[0], as_of=as_of, label=label, clients=clients, calendar=calendar)
    test = Split(predicts[0], learns, predicts)
    return Plan(test, _rolling(learns, as_of, label, clients, calendar=calendar, most=origins))


def _check_rows(days: Sequence[int], label: npt.NDArray[np.float64], clients: npt.NDArray[np.object_]) -> None:
    if not days:
        raise NotEnoughHistory(
            "labels",
            found="no eligible snapshot with a known outcome",
            wanted="snapshots whose outcome window lies before the export",
            cure="ingest a longer history, or shorten time.horizon_days, time.gap_days or time.lateness_days",
        )
    n_clients = len(set(clients.tolist()))
    if n_clients < 2:
        raise NotEnoughHistory(
            "labels", found="one single client", wanted="positive clients beside others", cure="ingest the whole portfolio"
        )
    if label.min() == label.max():
        is_nobody = label.max() == 0
        raise NotEnoughHistory(
            "labels",
            found=f"{n_clients} clients, "
            + ("none of them positive" if is_nobody else "all of them positive")
            + f" in {len(label)} snapshots",
            wanted="some that left, or proved misfits, and some that did not",
            cure="check how it is recorded (endings, reviews, or which interactions qualify in source.yaml), or ingest a longer history",
        )


def _check_training(
    learns: Sequence[int], origin: int, *, as_of: Ints, label: npt.NDArray[np.float64], clients: npt.NDArray[np.object_], calendar: Calendar
) -> None:
    past = np.isin(as_of, learns)
    positive, negative = int((label[past] == 1).sum()), int((label[past] == 0).sum())
    if positive and negative and len(set(clients[past].tolist())) > 1:
        return
    wait = calendar.gap_days + calendar.horizon_days + calendar.lateness_days
    raise NotEnoughHistory(
        "labels",
        found=f"{len(learns)} as_ofs judged by the test of {to_date(origin)} ({wait} days on), with {positive} positive snapshots and"
        f" {negative} others",
        wanted="some of both, of two clients or more, whose outcome was known before the test begins",
        cure="ingest a longer history, shorten time.horizon_days or time.gap_days, or lower train.test_periods",
    )


def _rolling(
    days: Sequence[int], as_of: Ints, label: npt.NDArray[np.float64], clients: npt.NDArray[np.object_], *, calendar: Calendar, most: int
) -> tuple[Split, ...]:
    """At most `most` of the training as_ofs, evenly spaced and ending with the newest, that have enough of a past of their own; if that
    leaves fewer than two, the two newest that have any past at all."""
    total = _n_churned(days, as_of, label, clients)
    usable = []
    for origin in days:
        learns = tuple(calendar.purged(days, origin))
        past = np.isin(as_of, learns)
        n_churned = _n_churned(learns, as_of, label, clients)
        if n_churned >= 2 and len(set(clients[past & (label == 0)].tolist())) >= 2:
            usable.append((n_churned, Split(origin, learns, (origin,))))
    alike = [split for n_churned, split in usable if n_churned >= LEAST_SHARE * total]
    chosen = alike if len(alike) >= 2 else [split for _, split in usable[-2:]]
    if not chosen:
        return ()
    places = np.unique(np.round(np.linspace(len(chosen) - 1, 0, min(most, len(chosen)))).astype(int))
    return tuple(chosen[place] for place in places)


def _n_churned(days: Sequence[int], as_of: Ints, label: npt.NDArray[np.float64], clients: npt.NDArray[np.object_]) -> int:
    return len(set(clients[np.isin(as_of, list(days)) & (label == 1)].tolist()))


def client_folds(has_churned: Flags, n_folds: int, seed: int) -> Ints:
    """(clients,) -> fold 0 … n_folds − 1 of each, the churned and the others dealt out evenly, in an order drawn by `seed`.

    >>> client_folds(np.array([True, True, False, False]), 2, seed=1).tolist()
    [0, 1, 0, 1]
    """
    fold = np.empty(len(has_churned), np.int64)
    random = np.random.default_rng([seed, 3])
    for group in (np.flatnonzero(has_churned), np.flatnonzero(~has_churned)):
        fold[random.permutation(group)] = np.arange(len(group)) % n_folds
    return fold


def _span(days: Sequence[int]) -> str:
    return f"{to_date(days[0])} to {to_date(days[-1])}"
