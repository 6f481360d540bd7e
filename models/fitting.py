"""Labelled snapshots -> a calibrated model: spec (JSON), LightGBM texts, and the resamples behind them.

rows = Snapshots(features, label, client, as_of)          one row per client and as_of with a known outcome
bag = fit(rows, columns, recipe)                          members fitted, not yet calibrated
model = calibrated(bag, calibration, steps, question=…)   model.spec and model.texts are what is stored and shipped
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models import horizons, interval, scorer
from models.bag import Bag, Recipe, fit_bag
from models.calibration import Calibration
from models.horizons import Step
from models.rows import rows_of
from models.scorer import Floats, mean_over_members

Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Columns:
    """The feature columns a model uses, in order: name -> signal, and name -> direction of risk (−1, 0, 1)."""

    signals: Mapping[str, str]
    signs: Mapping[str, int]

    @property
    def names(self) -> list[str]:
        return list(self.signals)


@dataclass(frozen=True)
class Snapshots:
    """One row per client and as_of: features (float64, NaN = unknown), label (0, 1), client id and as_of (local day).

    horizon_labels: horizon in days -> 0, 1 or NaN (unknown) per row; without any, the model answers for the main horizon alone.
    rules: name -> whether the row meets it at as_of (0, 1, NaN = unknown): yes-or-no baselines that the target has.
    """

    features: pd.DataFrame
    label: Floats
    client: Ids
    as_of: Ints
    horizon_labels: Mapping[int, Floats] = field(default_factory=dict)
    rules: Mapping[str, Floats] = field(default_factory=dict)

    def at(self, as_ofs: Sequence[int]) -> "Snapshots":
        """The rows of these as_ofs."""
        return self.where(np.isin(self.as_of, list(as_ofs)))

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Snapshots":
        """The rows where `chosen` holds."""
        return Snapshots(
            self.features.loc[chosen].reset_index(drop=True),
            self.label[chosen],
            self.client[chosen],
            self.as_of[chosen],
            {days: label[chosen] for days, label in self.horizon_labels.items()},
            {name: is_met[chosen] for name, is_met in self.rules.items()},
        )

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True)
class FittedModel:
    """spec and texts are the model; bag holds what stays in the training process."""

    spec: dict[str, Any]
    texts: tuple[str, ...]
    bag: Bag

    @property
    def scorer(self) -> scorer.Model:
        """The model ready to score, exactly as the registry's consumer runs it."""
        return scorer.Model(self.spec, self.texts)

    @property
    def content_hash(self) -> str:
        return scorer.content_hash(self.spec)


def fit(rows: Snapshots, columns: Columns, recipe: Recipe) -> Bag:
    """Fits the bag on these rows; raises UserError for rows it cannot learn from."""
    packed = rows_of(rows.features, columns.names, rows.label, rows.client)
    return fit_bag(packed, columns.names, signs=columns.signs, signals=columns.signals, recipe=recipe)


def calibrated(bag: Bag, calibration: Calibration, steps: Sequence[Step] = (), *, question: Mapping[str, Any]) -> FittedModel:
    """The bag with Platt's numbers, the interval and the steps to other horizons in its spec, and what it was asked: at least the
    question's `target`, and `horizon_days` where there are steps."""
    head = {"format": bag.spec["format"], "target": question["target"], "question": dict(question)}
    spec = head | bag.spec | {"calibration": calibration.to_spec()}
    spec["interval"] = interval.to_spec(bag.spec["training"]["n_churned_clients"])
    spec["horizons"] = horizons.to_spec(int(question.get("horizon_days", 0)), steps)
    return FittedModel(spec, bag.texts, bag)


def margins(bag: Bag, features: pd.DataFrame) -> Floats:
    """Uncalibrated log-odds of each member, shape (rows, members)."""
    return scorer.Model(bag.spec, bag.texts).member_margins(features)


def bag_margin(of_members: Floats) -> Floats:
    """The bag's margin: the mean over members."""
    return mean_over_members(of_members)


def unseen_margin(bag: Bag, of_members: Floats, clients: Ids) -> Floats:
    """The mean over only those members that never saw the row's client: how the bag judges a client it does not know. NaN if all saw it.

    About a third of the members, so a little noisier than the bag: this figure errs towards modesty, and costs no further fit.
    """
    place = {name: index for index, name in enumerate(bag.clients)}
    known = np.array([place.get(str(name), -1) for name in clients], np.int64)
    is_unseen = np.where(known[:, None] >= 0, bag.in_bag.T[known] == 0, True)
    count = is_unseen.sum(axis=1)
    total = np.where(is_unseen, of_members, 0.0).sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0), np.float64)


def importance(signals: Sequence[str], by_signal: Floats) -> pd.DataFrame:
    """Contributions (rows, signals) -> one row per signal, the weightiest first: signal, mean_contribution_size (log-odds), share."""
    sizes = np.abs(by_signal).mean(axis=0) if len(by_signal) else np.zeros(len(signals))
    shares = sizes / sizes.sum() if sizes.sum() > 0 else np.zeros(len(signals))
    table = pd.DataFrame({"signal": list(signals), "mean_contribution_size": sizes, "share": shares})
    return table.sort_values(["mean_contribution_size", "signal"], ascending=[False, True], kind="stable", ignore_index=True)


def out_of_bag_margin(bag: Bag, rows: Snapshots) -> Floats:
    """What the members say of the clients they did not see, per training row; NaN where all saw the client."""
    return unseen_margin(bag, margins(bag, rows.features), rows.client)
