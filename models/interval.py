"""Number of distinct churned clients in training -> how far low and high lie from a probability, so that they hold what they should.

low … high answers: what might the same recipe have said of this client, had it learned from a portfolio without end? Measured so, on
simulated portfolios (tests/benchmarks/size_curve.py: the recipe on thousands of other clients stands for the endless one), the 10th to 90th
percentile of the members held it in 8 to 47 % of the clients instead of 80 %: members share one sample, one penalty and one calibration,
and all of them are drawn towards the average. So the interval is the members' spread, widened, and an extra for what they share.
On worlds not used for its numbers the interval covers 75 % at 50 clients, 83 to 85 % from 200 to 1,000, and 70 % at 5,000.
It does not hold the client's own chance of leaving, which depends on much that no column tells.
"""

import math
from typing import Any

import numpy as np

COVERAGE = 0.8  # share of clients whose interval is to hold it
Z = 1.2816  # of a normal distribution, for COVERAGE
WIDENING = 1.5  # of the members' spread, in log-odds
EXTRA = ((10, 1.1), (30, 0.5), (130, 0.32), (250, 0.2))  # churned clients -> spread that the members share, in log-odds


def to_spec(n_churned_clients: int) -> dict[str, Any]:
    """What the scorer reads: z, widening, extra_sd; and the coverage that they were chosen for."""
    extra = np.interp(math.log(max(n_churned_clients, 1)), np.log([at for at, _ in EXTRA]), [sd for _, sd in EXTRA])
    return {"coverage": COVERAGE, "z": Z, "widening": WIDENING, "extra_sd": round(float(extra), 4)}
