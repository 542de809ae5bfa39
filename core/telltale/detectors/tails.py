"""How far out a number lies among those of natural images: on one side, or on either."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from telltale.base.settings import parameter

UPPER, BOTH = "upper", "both"
TAILS = (UPPER, BOTH)


def which_tails() -> str:
    """Declare `tails`, in the body of a detector's settings."""
    return parameter(
        UPPER,
        choices=TAILS,
        help="Whether only high values are suspicious, or unusually low ones as well.",
    )


def position(natural: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Place values among natural ones: their mid-rank quantile, continued beyond both ends.

    Parameters
    ----------
    natural : array of float64, shape (m,)
        Ascending.
    values : array of float64, shape (n,)

    Returns
    -------
    array of float64, shape (n,)
        In [0, 1] among the natural values, linear between them; up to one below 0 or above 1 beyond them, so that
        order is kept there too.
    """
    distinct = np.unique(natural)
    quantiles = 0.5 * (np.searchsorted(natural, distinct, "left") + np.searchsorted(natural, distinct, "right"))
    inside = np.interp(values, distinct, quantiles / len(natural))
    above, below = np.maximum(values - distinct[-1], 0.0), np.maximum(distinct[0] - values, 0.0)
    return np.where(above > 0.0, 1.0 + above / (1.0 + above), np.where(below > 0.0, -below / (1.0 + below), inside))


def outwardness(natural: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how far values lie from the natural median on either side: 0 there, 1 at both ends, more beyond."""
    return np.abs(2.0 * position(natural, values) - 1.0)


def tail_surprises(natural: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how surprising it is that values lie so low, and so high, each tail by itself.

    Parameters
    ----------
    natural : array of float64, shape (m,)
        Ascending.
    values : array of float64, shape (n,)

    Returns
    -------
    array of float64, shape (n, 2)
        Nats: -log of the smoothed one-sided p-value (m q + 1/2) / (m + 1), q the share of natural values below, or
        above. Beyond either end, where p-values are equal, up to one more, so that order is kept there too.
    """
    above = position(natural, values)
    tails = np.stack([above, 1.0 - above], axis=1)
    p = (len(natural) * np.clip(tails, 0.0, 1.0) + 0.5) / (len(natural) + 1)
    return np.asarray(np.maximum(-tails, 0.0) - np.log(p))
