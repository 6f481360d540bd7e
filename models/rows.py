"""A feature frame, labels and clients -> checked training rows: a float64 matrix, and per row its label and the place of its client."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import NotEnoughHistory, UserError
from models.scorer import BadFrame, Floats, feature_matrix

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Training rows. values: (rows, columns), NaN = unknown. label: 0 or 1. client: place in `clients`, one per row."""

    values: Floats
    label: Floats
    client: Ints
    clients: npt.NDArray[np.object_]

    @property
    def has_churned(self) -> npt.NDArray[np.bool_]:
        """(clients,): whether any row of the client is positive."""
        return np.bincount(self.client, weights=self.label, minlength=len(self.clients)) > 0


def rows_of(frame: pd.DataFrame, columns: Sequence[str], labels: npt.ArrayLike, clients: npt.ArrayLike) -> Rows:
    """Checks and packs training rows. Raises UserError for labels other than 0 and 1, infinite or non-numeric columns, unequal
    lengths; NotEnoughHistory for fewer than two classes."""
    label = np.asarray(pd.Series(labels).to_numpy(dtype=np.float64, na_value=np.nan))
    ids = np.asarray(clients, dtype=object)
    if not len(frame) == len(label) == len(ids):
        raise UserError(
            "training rows",
            found=f"{len(frame)} rows, {len(label)} labels, {len(ids)} clients",
            wanted="as many of each",
            cure="align them",
        )
    unknown = int((~np.isin(label, (0.0, 1.0))).sum())
    if unknown:
        raise UserError(
            "training labels",
            found=f"{unknown} of {len(label)} labels that are neither 0 nor 1",
            wanted="known outcomes only",
            cure="drop the rows whose outcome is unknown before fitting; unknown is not negative",
        )
    try:
        values = feature_matrix(frame, columns)
    except BadFrame as problem:
        raise UserError("training features", found=str(problem), wanted="finite numbers or NaN", cure="mend the feature") from problem
    if len(np.unique(label)) < 2:
        raise NotEnoughHistory(
            "training rows",
            found=f"{len(label)} rows, {int(label.sum())} of them positive",
            wanted="some positive and some not",
            cure="ingest a longer history, or check how the outcome is recorded",
        )
    unique, client = np.unique(ids.astype(str), return_inverse=True)
    return Rows(values, label, client.astype(np.int64), unique.astype(object))
