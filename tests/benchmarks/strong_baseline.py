"""Dated, priced contacts -> the probability of falling silent: what a good analyst builds for such data, as yardsticks on the same rows.

strong  windowed recency, frequency and monetary features written by hand in pandas; seven training slices 30 days apart, the newest where
        its outcome was just known; LightGBM and logistic regression on all slices together, their log-odds averaged
rich    the same with the client's own rhythm and lifetime totals added
plain   logistic regression on recency and counts alone
Nothing was tuned on a test snapshot: windows, depths and penalties are what one would write down first.
"""

from dataclasses import dataclass

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Floats = npt.NDArray[np.float64]

SLICES, SLICE_DAYS = 7, 30
TREES = {"objective": "binary", "learning_rate": 0.03, "num_leaves": 8, "min_data_in_leaf": 40, "lambda_l2": 1.0}
TREES |= {
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "seed": 1,
    "deterministic": True,
    "num_threads": 2,
    "verbosity": -1,
}
N_TREES = 250
RICH = ("mean_gap", "recency_to_gap", "recency_to_age", "money_per_contact", "contacts_ever", "money_ever")


@dataclass(frozen=True)
class Question:
    """Who of those active in the `history_days` before as_of falls silent for the `horizon_days` after it? Days are local days."""

    as_of: int
    history_days: int
    horizon_days: int

    @property
    def slices(self) -> list[int]:
        """Training as_ofs, newest first: every outcome had been seen before as_of."""
        return [self.as_of - self.horizon_days - SLICE_DAYS * i for i in range(SLICES)]

    @property
    def windows(self) -> list[int]:
        """Look-back windows in days, up to the history."""
        return [*(days for days in (7, 14, 30, 60, 90, 180) if days < self.history_days), self.history_days]


def population(contacts: pd.DataFrame, as_of: int, history_days: int) -> pd.Index:
    """Clients with a contact in [as_of − history, as_of). contacts: client_id, day, amount – one row per qualifying contact."""
    recent = contacts[(contacts.day < as_of) & (contacts.day >= as_of - history_days)]
    return pd.Index(sorted(recent.client_id.unique()), name="client_id")


def silent(contacts: pd.DataFrame, clients: pd.Index, as_of: int, horizon_days: int) -> npt.NDArray[np.int8]:
    """1 where a client has no contact in [as_of, as_of + horizon)."""
    later = contacts[(contacts.day >= as_of) & (contacts.day < as_of + horizon_days)]
    return (~clients.isin(later.client_id.unique())).astype(np.int8)


def features(contacts: pd.DataFrame, clients: pd.Index, as_of: int, windows: list[int]) -> pd.DataFrame:
    """One row per client: recency, age, and per window frequency, active days, money; gaps; second half against first."""
    past = contacts[(contacts.day < as_of) & contacts.client_id.isin(clients)]
    past = past.assign(ago=as_of - past.day)
    by_client = past.groupby("client_id")
    columns = {
        "recency": by_client.ago.min(),
        "age": by_client.ago.max(),
        "contacts_ever": by_client.size(),
        "money_ever": by_client.amount.sum(),
    }
    for days in windows:
        window = past[past.ago <= days].groupby("client_id")
        columns |= {f"contacts_{days}": window.size(), f"days_{days}": window.day.nunique(), f"money_{days}": window.amount.sum()}
    found = pd.DataFrame(columns).reindex(clients).fillna(0)  # -> one row per client
    longest = windows[-1]
    first_half = past[(past.ago <= longest) & (past.ago > longest // 2)].groupby("client_id").size().reindex(clients).fillna(0)
    found["halves"] = (found[f"contacts_{longest}"] - first_half + 1) / (first_half + 1)
    found["mean_gap"] = (found.age - found.recency) / (by_client.day.nunique().reindex(clients) - 1).clip(lower=1)
    found["recency_to_gap"] = found.recency / found.mean_gap.clip(lower=1)
    found["recency_to_age"] = found.recency / found.age.clip(lower=1)
    found["money_per_contact"] = found.money_ever / found.contacts_ever.clip(lower=1)
    return found.astype(np.float64)


def training(contacts: pd.DataFrame, question: Question) -> tuple[pd.DataFrame, npt.NDArray[np.int8]]:
    """The slices under one another: features and labels."""
    parts, labels = [], []
    for as_of in question.slices:
        clients = population(contacts, as_of, question.history_days)
        parts.append(features(contacts, clients, as_of, question.windows))
        labels.append(silent(contacts, clients, as_of, question.horizon_days))
    return pd.concat(parts), np.concatenate(labels)


def strong(contacts: pd.DataFrame, question: Question) -> "pd.Series[float]":
    """Windowed RFM, trees and line blended: probability of silence per client of the population at as_of."""
    return _blend(contacts, question, without=RICH)


def rich(contacts: pd.DataFrame, question: Question) -> "pd.Series[float]":
    """The same with rhythm and lifetime totals."""
    return _blend(contacts, question, without=())


def plain(contacts: pd.DataFrame, question: Question) -> "pd.Series[float]":
    """Logistic regression on recency and counts."""
    known, label, asked = _rows(contacts, question)
    columns = ["recency", *(f"contacts_{days}" for days in question.windows)]
    line = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5_000)).fit(_logs(known[columns]), label)
    return pd.Series(line.predict_proba(_logs(asked[columns]))[:, 1], index=asked.index)


def _rows(contacts: pd.DataFrame, question: Question) -> tuple[pd.DataFrame, npt.NDArray[np.int8], pd.DataFrame]:
    clients = population(contacts, question.as_of, question.history_days)
    return *training(contacts, question), features(contacts, clients, question.as_of, question.windows)


def _blend(contacts: pd.DataFrame, question: Question, without: tuple[str, ...]) -> "pd.Series[float]":
    known, label, asked = _rows(contacts, question)
    columns = [name for name in known if name not in without]
    trees = lightgbm.train(TREES, lightgbm.Dataset(known[columns], label), num_boost_round=N_TREES)
    line = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5_000)).fit(_logs(known[columns]), label)
    log_odds = (trees.predict(asked[columns], raw_score=True) + line.decision_function(_logs(asked[columns]))) / 2
    return pd.Series(1 / (1 + np.exp(-log_odds)), index=asked.index)


def _logs(frame: pd.DataFrame) -> Floats:
    values = frame.to_numpy(np.float64)
    return np.sign(values) * np.log1p(np.abs(values))
