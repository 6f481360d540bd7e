"""The same rows give the same model to the last byte: over runs, processes, numbers of threads, time zones, hash seeds."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from features.time import Calendar
from models import bag, trees
from models.backtest import Setup, Yardsticks, backtest
from models.bag import Recipe
from models.fitting import fit, margins
from models.scorer import content_hash

TESTS = Path(__file__).parent
FIT = """
import sys
sys.path.insert(0, {folder!r})
from conftest import COLUMNS, portfolio
from models.bag import Recipe
from models.fitting import fit
from models.scorer import content_hash
print(content_hash(fit(portfolio(n_clients=80, n_as_ofs=5).rows, COLUMNS, Recipe(members=3, seed=1)).spec))
"""


def hash_in_a_process(**environment: str) -> str:
    """The content hash of a small bag (it holds the sha256 of every text), fitted in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", FIT.format(folder=str(TESTS))],
        env={**os.environ, **environment},
        cwd=TESTS.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def usual() -> str:
    return hash_in_a_process()


@pytest.mark.parametrize(
    "environment",
    [
        {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"},
        {"PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland", "LC_ALL": "C"},
    ],
    ids=lambda environment: " ".join(environment),
)
def test_other_processes_make_the_same_bytes(usual, environment):
    assert hash_in_a_process(**environment) == usual


def test_members_fitted_one_after_another_or_side_by_side_are_the_same(world, columns, recipe, model, monkeypatch):
    monkeypatch.setattr(bag, "WORKERS", 1)
    found = fit(world.rows, columns, recipe)
    assert found.texts == model.texts
    assert content_hash(found.spec) == content_hash(model.bag.spec)


def test_lightgbms_own_threads_change_nothing_but_the_number_it_writes_down(world, columns, recipe, model, monkeypatch):
    monkeypatch.setattr(trees, "THREADS", 2)
    found = fit(world.rows, columns, recipe)
    assert found.texts != model.texts  # [num_threads: 2] stands in the block of parameters
    assert [text.partition("\nparameters:")[0] for text in found.texts] == [text.partition("\nparameters:")[0] for text in model.texts]
    asked = world.rows.features
    assert np.array_equal(margins(found, asked), margins(model.bag, asked))


def test_the_order_of_the_frames_columns_changes_nothing(world, columns, recipe, model):
    turned = world.rows.features[world.rows.features.columns[::-1]]
    assert fit(type(world.rows)(turned, world.rows.label, world.rows.client, world.rows.as_of), columns, recipe).texts == model.texts


def test_many_rows_and_more_blas_threads_make_the_same_model(make_portfolio, columns):
    """From some ten thousand rows on a BLAS shares out its sums, and their last bits follow the number of threads."""
    rows = make_portfolio(n_clients=2_000, n_as_ofs=16, seed=4).rows
    rows = replace(rows, horizon_labels={60: rows.label, 120: np.maximum(rows.label, np.arange(len(rows)) % 7 == 0)})
    setup = Setup(
        columns=columns,
        yardsticks=Yardsticks("recency_days", ("recency_days",)),
        question={"target": "churn"},
        grows=True,
        calendar=Calendar(gap_days=0, horizon_days=60, lateness_days=0),
        recipe=Recipe(members=2, seed=1),
    )
    hashes = set()
    for threads in (1, 2):
        with threadpool_limits(limits=threads, user_api="blas"):
            hashes.add(backtest(rows, setup, test_periods=1, origins=1, tell=lambda _: None).shipped.content_hash)
    assert len(hashes) == 1
