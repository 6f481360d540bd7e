"""A small made-up portfolio of snapshots whose causes of leaving are known, and the bag fitted on it once for all tests of this folder."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from models.bag import Recipe
from models.calibration import Calibration
from models.fitting import Columns, FittedModel, Snapshots, calibrated, fit

COLUMNS = Columns(
    signals={
        "recency_days": "contact_frequency",
        "contacts_90": "contact_frequency",
        "days_overdue": "billing_friction",
        "invoices": "billing_friction",
        "complaints": "criticism",
        "noise": "weather",
        "constant": "weather",
        "never_known": "weather",
    },
    signs={"recency_days": 1, "contacts_90": -1, "days_overdue": 1, "complaints": 1},
)
MONTH = 30


@dataclass(frozen=True)
class World:
    """Snapshots whose true log-odds of leaving are known."""

    rows: Snapshots
    log_odds: np.ndarray


def portfolio(n_clients: int = 250, n_as_ofs: int = 12, seed: int = 0, base: float = -2.2) -> World:
    """Clients over months: silence, overdue days and complaints raise the risk, contacts lower it; `noise` does nothing."""
    random = np.random.default_rng(seed)
    n_rows = n_clients * n_as_ofs
    client = np.repeat(np.arange(n_clients), n_as_ofs)
    temper = random.normal(size=(n_clients, 3))[client] * 0.7 + random.normal(size=(n_rows, 3)) * 0.7
    features = pd.DataFrame(
        {
            "recency_days": np.exp(2.5 + temper[:, 0]).round(),
            "contacts_90": random.poisson(np.exp(1.5 - 0.5 * temper[:, 0])).astype(float),
            "days_overdue": np.maximum(temper[:, 1] * 20, 0).round(),
            "invoices": random.poisson(3, n_rows).astype(float),
            "complaints": random.poisson(np.exp(-1 + temper[:, 2])).astype(float),
            "noise": random.normal(size=n_rows),
            "constant": 7.0,
            "never_known": np.nan,
        }
    )
    log_odds = base + 0.9 * temper[:, 0] + 0.7 * np.maximum(temper[:, 1], 0) + 0.5 * features["complaints"].clip(upper=4).to_numpy()
    label = (random.random(n_rows) < 1 / (1 + np.exp(-log_odds))).astype(np.float64)
    features.loc[random.random(n_rows) < 0.1, "days_overdue"] = np.nan
    ids = np.array([f"client {number:04d}" for number in client], object)
    return World(Snapshots(features, label, ids, np.tile(np.arange(n_as_ofs) * MONTH, n_clients).astype(np.int64)), log_odds)


@pytest.fixture(scope="session")
def make_portfolio():
    return portfolio


@pytest.fixture(scope="session")
def columns() -> Columns:
    return COLUMNS


@pytest.fixture(scope="session")
def world() -> World:
    return portfolio()


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe(members=4, seed=1)


@pytest.fixture(scope="session")
def model(world: World, recipe: Recipe) -> FittedModel:
    """Fitted on the whole portfolio, with a calibration that is not the neutral one."""
    return calibrated(fit(world.rows, COLUMNS, recipe), Calibration(1.2, -0.1, "a test", 0, 0, ()), question={"target": "churn"})
