"""States and traits of a week -> what is expected of it: contacts of each topic, shipments' fees, staff minutes. One value per column.

The laws by which events.py and money.py draw, taken in expectation rather than drawn. Exact but for two things. The overhead of a week is
entered only from half an hour on: how much of it falls below is reckoned as if its minutes were gamma distributed with their true mean and
variance. And a discount is that of the week, not that of the day on which the month is billed.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc

from pipeline.world import money
from pipeline.world.events import TOPICS, WRITTEN, Shown, bustle, they_never_answer, we_never_answer
from pipeline.world.states import Floats

WAVE_SHAPE = 12  # of the gamma distributed good and bad weeks of the phone (events.happened)
SECOND_MOMENT = 1.5  # of a contact's minutes over their mean: gamma of shape 2 (money._entries)
EXTRA_SECOND_MOMENT = 1 + 1 / 1.5


@dataclass(frozen=True)
class Week:
    """revenue: agorot billed for the week's shipments, after discount. minutes: of staff, as entered on the time sheet."""

    revenue: Floats
    minutes: Floats

    @property
    def contribution(self) -> Floats:
        """Agorot; in the mean an hour costs what the rates of the time sheet say, whoever works it."""
        found: Floats = self.revenue - money.RATE_AGOROT * self.minutes
        return found


def week(shown: Shown) -> Week:
    """Revenue and minutes of a week in which these states hold throughout."""
    rates = contacts(shown)
    n_orders = rates["Shipment order"]
    discount = np.clip(money.discount_given(shown["discount"], shown["friction"], shown["haggles"]), 0, 0.5)
    revenue = money.AGOROT * shown["fee"] * _mean(money.FEE_SPREAD) * (1 - discount) * n_orders
    shipping = money.MINUTES_PER_SHIPMENT * shown["effort"] * _mean(money.WORK_SPREAD) * n_orders
    own = {name: money.OVERHEAD_TOPICS.get(name, money.OTHER_MINUTES) for name in rates}
    overhead = _entered(
        shown["effort"] * sum(own[name] * rate for name, rate in rates.items()),
        SECOND_MOMENT * shown["effort"] ** 2 * sum(own[name] ** 2 * rate for name, rate in rates.items()),
        money.LEAST_NOTED,
    )
    extras = money.EXTRA_MINUTES * rates["Extra request"]
    extra = _entered(extras, EXTRA_SECOND_MOMENT * money.EXTRA_MINUTES * extras, money.LEAST_EXTRA)
    return Week(revenue, shipping + overhead + extra)


def contacts(shown: Shown) -> dict[str, Floats]:
    """Topic -> contacts expected in the week, replies included."""
    stir = bustle(shown)
    rates: dict[str, Floats] = {}
    replies: Floats = np.zeros(1)
    answered = {
        "In": 1 - we_never_answer(shown["our_lapse"]),
        "Out": 1 - they_never_answer(*(shown[name] for name in ("withdrawal", "breaks_agreements", "disaffection", "absence"))),
    }
    for topic in TOPICS:
        rate = np.maximum(topic.per_week(shown) * stir, 0)
        rates[topic.name] = rates.get(topic.name, 0) + rate
        written = np.mean([name in WRITTEN for name in topic.types])
        replies = replies + topic.asks * written * answered[topic.direction] * rate
    return rates | {"Reply": replies}


def _mean(spread: tuple[float, float]) -> float:
    """Of a lognormal variable."""
    return float(np.exp(spread[0] + spread[1] ** 2 / 2))


def _entered(mean: Floats, jumps: Floats, least: float) -> Floats:
    """What is expected of minutes that are entered only from `least` on in a week. jumps: rate × mean square of a contact's minutes."""
    variance = jumps + mean**2 / WAVE_SHAPE
    scale = variance / np.maximum(mean, 1e-12)
    lost = gammainc(mean / np.maximum(scale, 1e-12) + 1, least / np.maximum(scale, 1e-12))
    entered: Floats = mean * (1 - lost)
    return entered
