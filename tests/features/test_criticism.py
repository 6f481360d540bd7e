"""Criticism (B4, E2), from drawn histories; the trickle's false alarms, measured."""

import numpy as np
import pytest
from histories import columns_of

from features.criticism import BLOCK_DAYS, BLOCKS, SIGNAL, trickle
from features.measures import Seen


def test_criticism_is_counted_shared_and_dated():
    found = columns_of(
        SIGNAL,
        interactions="""
        ago  kind
        4    complaint
        20   escalation
        50   availability_complaint
        60   message
        200  return
        300  complaint
        """,
    )
    assert (found["criticism_30"], found["criticism_90"], found["criticism_365"]) == (2, 3, 4)
    assert found["criticism_share_90"] == 0.75
    assert found["criticism_share_365"] == pytest.approx(4 / 6)
    assert found["escalation_share_365"] == 0.25
    assert found["availability_complaints_365"] == 1
    assert found["returned_share_365"] == pytest.approx(1 / 6)
    assert found["days_since_criticism"] == 4


def blocks(*counts: int) -> str:
    """A drawing with so many complaints in each block of 28 days, oldest first, beside one message a block."""
    rows = []
    for number, count in enumerate(reversed(counts)):
        rows += [f"{number * BLOCK_DAYS + 14} message", *[f"{number * BLOCK_DAYS + 3 + place} complaint" for place in range(count)]]
    return "ago kind\n" + "\n".join(rows)


def test_a_slow_trickle_climbs_though_no_month_stands_out():
    steady = columns_of(SIGNAL, interactions=blocks(*[0, 0, 0, 1] * 6))
    trickling = columns_of(SIGNAL, interactions=blocks(*[0, 0, 0, 1] * 3, *[1] * 12))
    assert steady["criticism_trickle"] < 1
    # Own mean (3 + 0.5) / (12 + 6.5) per block; twelve blocks of one, each less 1.4427 means.
    assert trickling["criticism_trickle"] == pytest.approx(12 * (1 - 3.5 / 18.5 / np.log(2)))
    assert trickling["criticism_30"] == 1


def test_the_same_complaints_long_ago_are_no_trickle():
    assert columns_of(SIGNAL, interactions=blocks(*[1] * 12, *[0] * 12))["criticism_trickle"] == 0


def test_a_first_month_is_no_trickle():
    assert columns_of(SIGNAL, interactions="ago kind\n 3 complaint\n 5 complaint\n 9 complaint")["criticism_trickle"] == 0


@pytest.mark.parametrize(("growth", "share_at_4"), [(1, 0.14), (2, 0.75)])
def test_false_and_true_alarms_of_the_trickle_are_as_its_docstring_says(growth, share_at_4):
    chance = np.random.default_rng(3)
    n_clients, per_block = 4_000, 0.5
    rates = np.where(np.arange(BLOCKS) < BLOCKS // 2, per_block * growth, per_block)  # block 0 is the newest
    counts = chance.poisson(rates, (n_clients, BLOCKS))
    client = np.repeat(np.arange(n_clients), counts.sum(axis=1) + 1)
    ages, complaint = [], []
    for own in counts:
        ages += [BLOCK_DAYS * BLOCKS, *np.repeat(np.arange(BLOCKS) * BLOCK_DAYS + 5, own)]
        complaint += [0, *[1] * own.sum()]
    (total,) = trickle(Seen(10_000, n_clients, client, 10_000 - np.array(ages), {"is_criticism": np.array(complaint)}))
    assert (total >= 4).mean() == pytest.approx(share_at_4, abs=0.02)
