"""A simulated portfolio's exports and truth, read as frames: what tests of the world look at."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from benchmarks.worlds import source_of

from pipeline.settings import checked
from pipeline.simulate import ensure_exports
from pipeline.world.settings import Simulate

PROJECT = Path(__file__).parents[1]
READ = {
    "accounts": {"encoding": "windows-1255"},
    "receipts": {"sep": ";"},
    "invoices": {"encoding": "utf-8-sig"},
    "contracts": {"encoding": "utf-8-sig"},
}


def moments(text: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    return pd.to_datetime(text, format="%d/%m/%Y %H:%M", errors="coerce")


def days(text: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    return pd.to_datetime(text, format="%d/%m/%Y", errors="coerce")


@dataclass(frozen=True)
class Exports:
    """folder: data/simulated of a project."""

    folder: Path
    settings: Simulate
    read: dict[str, pd.DataFrame] = field(default_factory=dict)

    def lines(self, name: str) -> pd.DataFrame:
        """All lines of an export, as text, as they stand."""
        if name not in self.read:
            paths = sorted((self.folder / "raw").glob(f"{name}*.csv"))
            parts = [pd.read_csv(path, dtype=str, keep_default_na=False, **READ.get(name, {})) for path in paths]
            self.read[name] = pd.concat(parts, ignore_index=True)
        return self.read[name]

    def newest(self, name: str) -> pd.DataFrame:
        """The last line of each number (the first column)."""
        lines = self.lines(name)
        return lines.drop_duplicates(lines.columns[0], keep="last")

    def truth(self) -> pd.DataFrame:
        """client_id, month_on (Timestamp) …"""
        if "truth" not in self.read:
            found = pq.read_table(self.folder / "truth" / "months.parquet").to_pandas()
            self.read["truth"] = found.assign(month_on=pd.to_datetime(found["month_on"]))
        return self.read["truth"]

    def with_truth(self, account: "pd.Series[str]", when: "pd.Series[pd.Timestamp]") -> pd.DataFrame:
        """The truth at the beginning of each row's month, on the rows' index; missing where the client was not with us then."""
        asked = pd.DataFrame(
            {"client_id": account.to_numpy(), "month_on": when.dt.to_period("M").dt.to_timestamp().astype("datetime64[s]").to_numpy()}
        )
        truth = self.truth().assign(month_on=lambda found: found["month_on"].astype("datetime64[s]"))
        return asked.merge(truth, on=["client_id", "month_on"], how="left").set_index(account.index)


def exports_of(root: Path, seed: int, n_clients: int, world: str = "ordinary") -> Exports:
    """The portfolio's exports in the project folder `root`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        source = source_of(root, seed, n_clients, world)
        ensure_exports(source)
    return Exports(root / "data" / "simulated", checked(Simulate, source.spec.simulate, ""))
