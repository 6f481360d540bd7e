"""Verdicts drawn at random -> honest shares: who counts, what the model is held to, and a planted rate of marking found again."""

import numpy as np
import pandas as pd
import pytest
from drawn import drawn

from features.time import Calendar
from models.review_estimate import Honest, Share, honest_precision

CALENDAR = Calendar(gap_days=14, horizon_days=90, lateness_days=7)
NOTHING = pd.DataFrame(columns=["client_id", "as_of", "is_above"])
NO_LABELS = pd.DataFrame(columns=["client_id", "as_of", "label"])


def table(text: str) -> pd.DataFrame:
    rows = pd.DataFrame(drawn(text))
    for name in {"day", "as_of", "label", "is_above"} & set(rows):
        rows[name] = rows[name].astype(float if name in ("label", "is_above") else int)
    return rows


def found(reviews: str, said: str = "", labels: str = "") -> Honest | None:
    return honest_precision(table(reviews), table(said) if said else NOTHING, table(labels) if labels else NO_LABELS, CALENDAR)


def test_only_clients_drawn_at_random_count():
    honest = found("""
        client_id  day  sampled    verdict
        a          100  random     misfit
        b          100  random     keep
        c          100  uncertain  misfit
        d          100  -          misfit
    """)
    assert honest is not None
    assert honest.misfits == Share(n_positive=1, n=2)


def test_a_client_counts_once_by_its_latest_verdict_either_way():
    honest = found("""
        client_id  day  sampled  verdict
        a          400  random   keep
        a          100  random   misfit
        b          100  random   misfit
        b          400  random   unsure
        c          100  random   unsure
    """)
    assert honest is not None
    assert honest.misfits == Share(n_positive=1, n=2)
    assert honest.n_unsure == 1


def test_without_a_verdict_at_random_there_is_no_estimate():
    assert found("client_id day sampled verdict \n a 100 uncertain misfit") is None
    assert found("client_id day sampled verdict \n a 100 random unsure") is None


def test_the_model_is_held_to_what_it_had_said_before_the_verdict():
    """a: the last as_of before, not the one after. b: said on the day of the verdict, before it. c, d: said too late, or too long ago."""
    honest = found(
        """
        client_id  day  sampled  verdict
        a          100  random   misfit
        b          100  random   keep
        c          100  random   misfit
        d          200  random   misfit
        """,
        said="""
        client_id  as_of  is_above
        a          60     0
        a          90     1
        a          110    0
        b          100    0
        c          101    1
        d          96     1
        """,
    )
    assert honest is not None
    assert honest.misfits == Share(n_positive=3, n=4)
    assert honest.above == Share(n_positive=1, n=1)
    assert honest.below == Share(n_positive=0, n=1)


def test_labels_are_those_of_clients_not_drawn_at_the_verdicts_as_ofs():
    honest = found(
        """
        client_id  day  sampled  verdict
        a          100  random   misfit
        b          100  random   keep
        """,
        labels="""
        client_id  as_of  label
        a          90     1
        c          90     1
        d          90     0
        e          90     0
        f          90     0
        g          90     -
        c          30     0
        c          120    1
        """,
    )
    assert honest is not None
    assert honest.labelled == Share(n_positive=1, n=4)
    assert honest.misfits_per_labelled == pytest.approx((2.0, 4 * 0.0608, 4 * 0.9392), abs=0.001)


def test_marks_that_a_list_solicited_are_no_marks_as_usual():
    honest = found(
        """
        client_id  day  sampled    verdict
        a          100  random     misfit
        c          100  uncertain  misfit
        d          100  -          misfit
        """,
        labels="client_id as_of label \n c 90 1 \n d 90 1 \n e 90 0",
    )
    assert honest is not None
    assert honest.labelled == Share(n_positive=1, n=2)


def test_as_numbers_it_is_the_same():
    verdicts = "client_id day sampled verdict \n a 100 random misfit \n b 100 random keep"
    honest = found(verdicts, labels="client_id as_of label \n c 90 1 \n d 90 0")
    assert honest is not None
    told = honest.to_json()
    assert (told["misfits"]["value"], told["misfits"]["n"], told["labelled"]["value"], told["above"]) == (0.5, 2, 0.5, None)
    assert tuple(told["misfits_per_labelled"].values()) == honest.misfits_per_labelled
    silent = found("client_id day sampled verdict \n a 100 random misfit")
    assert silent is not None
    assert (silent.to_json()["labelled"], silent.to_json()["misfits_per_labelled"]) == (None, None)


def test_nothing_is_said_of_the_unmarked_where_nobody_is_marked():
    honest = found("client_id day sampled verdict \n a 100 random misfit", labels="client_id as_of label \n c 90 0")
    assert honest is not None
    assert honest.labelled == Share(n_positive=0, n=1)
    assert honest.misfits_per_labelled is None


@pytest.mark.parametrize(
    ("n_positive", "n", "low", "high"),
    [(2, 10, 0.0441, 0.5028), (0, 10, 0.0, 0.2172), (10, 10, 0.7828, 1.0)],  # Brown, Cai, DasGupta 2001: Jeffreys, and 0 or 1 at the ends
)
def test_intervals_are_those_of_the_books(n_positive: int, n: int, low: float, high: float):
    share = Share(n_positive, n)
    assert (share.low, share.high) == pytest.approx((low, high), abs=0.0005)


def test_a_planted_rate_of_marking_is_found_again():
    """3,000 clients, a fifth misfits, one in four of them ever marked: labels say 5 %, the random half 20 %: four to each marked one."""
    random = np.random.default_rng(7)
    is_misfit = random.random(3_000) < 0.2
    is_marked = is_misfit & (random.random(3_000) < 0.25)
    clients = [f"c{number}" for number in range(3_000)]
    chosen = random.choice(3_000, 400, replace=False)
    reviews = pd.DataFrame(
        {
            "client_id": [clients[c] for c in chosen],
            "day": 100,
            "sampled": "random",
            "verdict": np.where(is_misfit[chosen], "misfit", "keep"),
        }
    )
    labels = pd.DataFrame({"client_id": clients, "as_of": 90, "label": is_marked.astype(float)})
    honest = honest_precision(reviews, NOTHING, labels, CALENDAR)
    assert honest is not None
    assert honest.misfits_per_labelled is not None
    value, low, high = honest.misfits_per_labelled
    assert low < 4 < high
    assert 3.2 < value < 4.8
