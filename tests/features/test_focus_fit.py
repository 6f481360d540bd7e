"""Focus fit (A1, A7), from drawn histories."""

import numpy as np
import pytest
from histories import columns_of

from features.focus_fit import SIGNAL

SERVICES = "id strategic_weight\n air 1\n sea 0.5\n clothes 0.25"
AGREEMENTS = """
    client  ago  service  ends_ago  monthly_value
    a       800  clothes  -         300
    a       100  sea      -200      100
    a       700  air      1         900
    a       50   unheard  -         500
    b       400  air      -         400
"""


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("focus_agreements", 2),  # air has ended; nothing is known of the other
        ("focus_share", (300 * 0.25 + 100 * 0.5) / 400),
        ("off_focus_share", 300 / 400),
        ("focus_gap", (300 * 0.25 + 100 * 0.5 + 400 * 1) / 800 - 125 / 400),
        ("focus_drift_365", 0.25 - 0.5),  # what it signed last lies nearer
    ],
)
def test_what_a_client_buys_is_weighed_by_todays_strategy(column, value):
    assert columns_of(SIGNAL, agreements=AGREEMENTS, services=SERVICES)[column] == pytest.approx(value)


def test_a_client_falls_out_of_focus_when_the_business_moves_on():
    agreements = "ago service monthly_value\n 500 clothes 100"
    shares = [
        columns_of(
            SIGNAL,
            agreements=agreements,
            services=f"id known superseded strategic_weight\n clothes 900 {moved} 1\n clothes {moved} - 0.1",
        )["focus_share"]
        for moved in (0, 1, 300)
    ]
    assert shares == [1, 0.1, 0.1]


@pytest.mark.parametrize(
    ("starts_ago", "ends_ago", "renews", "running"),
    [
        ("-", "-", "-", 1),
        (10, -30, "no", 1),
        (10, 0, "no", 1),  # on its last day an agreement still runs
        (10, 1, "no", 0),
        (10, 1, "yes", 1),
        (1, "-", "no", 1),
        (0, "-", "no", 0),
        (-30, "-", "yes", 0),  # signed, not begun
    ],
)
def test_an_agreement_runs_from_its_start_to_its_end_or_past_it_if_it_renews(starts_ago, ends_ago, renews, running):
    values = columns_of(
        SIGNAL,
        agreements=f"ago service starts_ago ends_ago renews monthly_value\n 30 sea {starts_ago} {ends_ago} {renews} 10",
        services=SERVICES,
    )
    assert values["focus_agreements"] == running
    assert values["focus_share"] == (0.5 if running else pytest.approx(np.nan, nan_ok=True))


def test_a_moved_end_or_value_counts_from_when_it_was_recorded():
    agreements = """
        id  ago  known  superseded  service  ends_ago  monthly_value
        1   500  500    40          air      30        100
        1   500  40     -           air      -300      300
        2   10   0      -           clothes  -         900
        3   90   90     -           sea      -         100
    """
    values = columns_of(SIGNAL, agreements=agreements, services=SERVICES)
    assert values["focus_agreements"] == 2
    assert values["focus_share"] == pytest.approx((300 * 1 + 100 * 0.5) / 400)
    assert values["focus_drift_365"] == pytest.approx(1 - 0.5)


def test_without_values_all_agreements_count_alike():
    agreements = "ago service monthly_value\n 400 air -\n 30 clothes -\n 20 clothes 0"
    values = columns_of(SIGNAL, agreements=agreements, services=SERVICES)
    assert values["focus_share"] == pytest.approx(1.5 / 3)
    assert values["off_focus_share"] == pytest.approx(2 / 3)
    assert values["focus_drift_365"] == 0.75


def test_other_currencies_count_no_value():
    agreements = "ago service monthly_value currency\n 30 air 100 EUR\n 20 clothes 900 USD"
    assert columns_of(SIGNAL, agreements=agreements, services=SERVICES)["focus_share"] == 1


def test_nothing_bought_is_unknown():
    values = columns_of(SIGNAL, client="c", agreements=AGREEMENTS + "c 5 unheard - 10", services=SERVICES)
    assert values.pop("focus_agreements") == 0
    assert np.isnan(list(values.values())).all()


def test_one_signing_tells_no_drift():
    values = columns_of(SIGNAL, agreements="ago service monthly_value\n 30 air 100", services=SERVICES)
    assert np.isnan(values["focus_drift_365"])
    assert (values["focus_share"], values["focus_gap"]) == (1, 0)
