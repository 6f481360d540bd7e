"""Main log-odds and labels at several horizons -> links from horizon to horizon; main log-odds + links -> a probability at every horizon.

The main horizon's number is the model's own and is shown everywhere. Every other horizon is one step away from a neighbour nearer the main
one, and a step is a conditional probability s = 1 / (1 + exp(−(slope · L + intercept))) of the main log-odds L, slope >= 0:

    a rarer outcome     P(h) = P(neighbour) · s                          s = share of the neighbour's positives that are positive at h
    a likelier outcome  P(h) = P(neighbour) + (1 − P(neighbour)) · s     s = share of the neighbour's negatives that are positive at h

Leaving within h days becomes likelier as h grows, silence for all of h days rarer. Horizons can therefore never contradict each other, and
more main risk never means less at another horizon, whatever the numbers fitted: a continuation-ratio (discrete-time hazard) model whose
middle interval is the main model.

We chose this over one bag on person-period rows: there the main horizon's number is a product of hazards that no contribution adds up to,
and every client costs as many rows as there are intervals. The price: the order of clients is the same at every horizon. Bags of their
own for 30 and 180 days ranked within 0.005 AUC of the chain, to either side (tests/benchmarks/horizon_chain.py).

Steps are fitted on out-of-bag log-odds of the training rows whose labels at both horizons were known by the origin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.calibration import fit_platt
from models.scorer import Floats

Ids = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Step:
    """How to get from the neighbour's probability to that of `horizon_days`; see the module. n_rows: what it was fitted on."""

    horizon_days: int
    neighbour_days: int
    is_likelier: bool
    slope: float
    intercept: float
    n_rows: int


def to_spec(main_days: int, steps: Sequence[Step]) -> dict[str, Any]:
    """What the scorer reads: {"main_days", "steps"}, steps in the order in which they are taken."""
    return {"main_days": main_days, "steps": [asdict(step) for step in steps]}


def fit_steps(log_odds: Floats, labels: Mapping[int, Floats], clients: Ids, *, main_days: int, grows: bool) -> tuple[Step, ...]:
    """Steps to every horizon of `labels` but the main one, outwards from it.

    log_odds: the main horizon's, one per row. labels: horizon in days -> 0, 1 or NaN (unknown) per row. clients: one per row.
    grows: whether the outcome becomes likelier with a longer horizon (leaving does, silence becomes rarer).
    A step's prior: slope 1 and intercept log(days added / days there) where likelier (an equal hazard), slope 0 and intercept
    log(days kept / days lost) where rarer. A horizon of which nothing is known yet gets no step, nor any beyond it.
    """
    later = sorted(days for days in labels if days > main_days)
    sooner = sorted((days for days in labels if days < main_days), reverse=True)
    steps = []
    for way, is_likelier in ((later, grows), (sooner, not grows)):
        for neighbour, days in zip([main_days, *way], way, strict=False):
            step = _fit_step(log_odds, labels[neighbour], labels[days], clients, days, neighbour, is_likelier=is_likelier)
            if not step.n_rows:
                break
            steps.append(step)
    return tuple(steps)


def _fit_step(log_odds: Floats, there: Floats, here: Floats, clients: Ids, days: int, neighbour: int, *, is_likelier: bool) -> Step:
    concerned = (there == (0.0 if is_likelier else 1.0)) & np.isfinite(here)
    shorter, longer = sorted((days, neighbour))
    intercept = float(np.log((longer - shorter) / shorter))
    slope, intercept = fit_platt(
        log_odds[concerned],
        here[concerned],
        clients[concerned],
        slope_prior=1.0 if is_likelier else 0.0,
        intercept_prior=intercept if is_likelier else -intercept,
        least_slope=0.0,
    )
    return Step(days, neighbour, is_likelier, slope, intercept, int(concerned.sum()))
