"""Arrays of numbers -> shares, shrunk rates and spikes, the same for every signal. What is not known is NaN, never a guess of zero."""

from typing import Protocol

import numpy as np

from features.measures import Floats


class Named(Protocol):
    """Measures by name, as a column's function sees them."""

    def __getitem__(self, name: str) -> Floats: ...


def share(part: Floats, whole: Floats) -> Floats:
    """part ÷ whole; NaN where there is no whole."""
    found = np.full(np.broadcast(part, whole).shape, np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def shrunk(part: Floats, whole: Floats, typical: Floats, strength: float) -> Floats:
    """The share, drawn towards a typical one as if `strength` more had been seen there: one complaint in one contact is not 100 %."""
    return (part + strength * typical) / (whole + strength)


def spike(now: Floats, of_now: Floats, before: Floats, of_before: Floats, typical: Floats, strength: float = 5.0) -> Floats:
    """How many times its own usual share the recent share is, both shrunk: the usual to the peers' (typical), the recent to the usual.

    1 = as usual, also where nothing was ever seen. Where peers have none at all the typical share is NaN or 0, and the spike 1.
    """
    usual = shrunk(before, of_before, np.nan_to_num(typical), strength)
    found = np.ones(np.broadcast(now, usual).shape)
    np.divide(shrunk(now, of_now, usual, strength), usual, out=found, where=usual > 0)
    return found


def own_spike(view: Named, part: str, whole: str, days: int) -> Floats:
    """`spike` of a part's share of a whole in the last so many days over the rest of the year, against the peers' of the year.

    Reads the measures <part>_<days>, <part>_365, peer_<part>, and those of the whole.
    """
    before, of_before = (view[f"{name}_365"] - view[f"{name}_{days}"] for name in (part, whole))
    typical = share(view[f"peer_{part}"], view[f"peer_{whole}"])
    return spike(view[f"{part}_{days}"], view[f"{whole}_{days}"], before, of_before, typical)


def against_usual(now: Floats, now_days: float, before: Floats, before_days: Floats) -> Floats:
    """A recent count against what the days before would lead one to expect, both plus one so that small counts do not shout.

    NaN where fewer days than that went before: there is no usual yet.
    """
    known = before_days >= now_days
    expected = np.full(np.broadcast(before, before_days).shape, np.nan)
    np.divide(before * now_days, before_days, out=expected, where=known)
    against: Floats = (now + 1) / (expected + 1)
    return against
