"""An amount in another currency and a rate -> the same in the business's currency, in whole minor units (D10).

The rule is bookkeeping's. A row is entered at the rate of its own day: the newest that was quoted on that day or in the STALE_DAYS before
it, as one knew it when the row came to be seen (`features.time.newest_quote`). There it stays: a rate that becomes known later, or is
corrected, changes nothing that was entered before, so no past as_of sees it. A payment counts at the rate of its invoice
(`features.derived.settlements`), so that what is paid in full nets to exactly nothing: what exchange rates did in the meantime is not the
client's doing.

Where a source has the table `rates`, validate writes each row's rate beside its currency, in a column `rate`: 1 = our own, null = none was
found. `Business.money` and `Business.is_unrated` read it, and nothing else converts.

Amounts are in hundredths of the unit whatever the currency (pipeline/readsql.py), hence so is what comes out, and no exponent of ISO 4217
is needed: yen are kept with two noughts too many, of a dinar the third decimal is rounded when it is read, which is counted.
"""

from typing import Any

import ibis

STALE_DAYS = 31  # one rate a month will do; whatever is older is a gap in the table and no rate


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]  # ibis does not declare it
def round_even(value: float, digits: int) -> float:  # type: ignore[empty-body]
    """To the nearest, halves to the even neighbour: halves up would add up over many rows."""


def exchanged(amount: Any, rate: Any) -> Any:
    """Ibis columns: whole minor units of another currency × rate -> whole minor units of our own; null where either is.

    rate: units of our currency for one unit of the other. One multiplication and one rounding, hence the same on every machine.
    """
    return round_even(amount.cast("float64") * rate, 0).cast("int64")
