"""A model's spec and texts + a feature frame -> one row per row of the frame: calibrated probability, its range, contributions by signal.

This one file is what the registry ships (models-from-code), so it needs only the standard library, NumPy, pandas and LightGBM, and nothing
of this repository. It is also the only place where the arithmetic of a prediction stands: training, the backtest and explain import it.

    margin of member b   m_b = w · trees_b(x) + (1 − w) · (intercept_b + coefficients_b · z(x) + flag_coefficients_b · is_missing(x))
    calibrated log-odds  slope · mean_b(m_b) + intercept          probability = 1 / (1 + exp(−log-odds))
    low, high            log-odds ∓ z · √((widening · slope · spread of the m_b)² + extra_sd²), as probabilities (models/interval.py)
    z(x)                 asinh(clip(x) / typical), centred and scaled; a missing value stands at the training median

Contributions are exact: TreeSHAP of each member's trees (`pred_contrib`) and coefficient · (z − mean z of that member's training rows),
averaged over members, scaled by the calibrator and summed within each signal. Base value + contributions = calibrated log-odds.

Columns are taken by name: order does not matter and extra columns are ignored; a missing column, one that is not numeric and an infinite
value are errors (LightGBM would score all three without a word). NaN is a value that is not known. A row's score does not depend on the
rows beside it, nor on the number of threads, to the last bit: sums run in a fixed order, column by column.

The text of each member is compared with the sha256 in the spec before LightGBM sees it: a damaged text can end the whole process.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd

FORMAT = 2  # of the spec; a scorer refuses any other
BLOCK_ROWS = 20_000  # rows explained at once: bounds memory to about rows · columns · members · 8 bytes

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class BadFrame(ValueError):  # says what is bad, as UserError's kin in features/errors.py do
    """The feature frame does not suit the model; the message says what was found, what was wanted and the cure."""


class BadModel(ValueError):
    """The stored model is damaged, incomplete or of another format."""


def probability_of(log_odds: Floats) -> Floats:
    """1 / (1 + exp(−log-odds)), without overflow.

    >>> probability_of(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    shrunk = np.exp(-np.abs(log_odds))
    return np.asarray(np.where(log_odds >= 0, 1.0, shrunk) / (1.0 + shrunk), np.float64)


def text_hash(text: str) -> str:
    """sha256 of a member's text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def content_hash(spec: Mapping[str, Any]) -> str:
    """sha256 of the whole model: of the spec's canonical JSON, which holds the hash of every member's text."""
    return text_hash(json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False))


def feature_matrix(frame: pd.DataFrame, columns: Sequence[str]) -> Floats:
    """The named columns as float64, in this order, shape (rows, columns). Raises BadFrame for what would be scored wrongly in silence."""
    lacking = [name for name in columns if name not in frame.columns]
    if lacking:
        raise BadFrame(
            f"found a frame without {_some(lacking)}; wanted the {len(columns)} columns the model was fitted on; "
            "score a feature frame made by the same version of the pipeline"
        )
    chosen = frame.loc[:, list(columns)]
    if chosen.shape[1] != len(columns):
        twice = sorted({str(name) for name in chosen.columns[chosen.columns.duplicated()]})
        raise BadFrame(f"found more than one column named {_some(twice)}; wanted each name once; drop the surplus columns")
    textual = [name for name in columns if not _is_numeric(chosen[name])]
    if textual:
        raise BadFrame(f"found no numbers in {_some(textual)}; wanted float64 with NaN for unknown; convert before scoring")
    values = np.empty((len(chosen), len(columns)), np.float64)
    for place, name in enumerate(columns):
        values[:, place] = chosen[name].to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = [name for place, name in enumerate(columns) if np.isinf(values[:, place]).any()]
    if infinite:
        raise BadFrame(f"found an infinite value in {_some(infinite)}; wanted finite numbers, or NaN for unknown; mend the feature")
    return values


def _is_numeric(column: "pd.Series[Any]") -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) or bool(column.isna().all())


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(str, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


@dataclass(frozen=True)
class LinearMap:
    """How columns enter the linear part; one value per column, in the spec's order.

    typical: the scale on which asinh turns from linear to logarithmic, in the column's unit. low, high: the range seen in training.
    median: stands in for a missing value, in the column's unit. center, scale: mean and spread of asinh(x / typical) in training.
    flags: places of the columns whose being missing is an input of its own (0 or 1).
    """

    typical: Floats
    low: Floats
    high: Floats
    median: Floats
    center: Floats
    scale: Floats
    flags: tuple[int, ...]

    def __call__(self, values: Floats) -> tuple[Floats, Floats]:
        """(rows, columns) with NaN -> (z of the same shape, is_missing of shape (rows, flags)). Column-major: read column by column."""
        z = np.empty(values.shape, np.float64, order="F")
        for place in range(values.shape[1]):
            column = np.ascontiguousarray(values[:, place])
            filled = np.where(np.isnan(column), self.median[place], column)
            within = np.clip(filled, self.low[place], self.high[place])
            z[:, place] = (np.arcsinh(within / self.typical[place]) - self.center[place]) / self.scale[place]
        missing = np.asfortranarray(np.isnan(values[:, list(self.flags)]), dtype=np.float64)
        return z, missing

    def to_spec(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name).tolist() for name in ("typical", "low", "high", "median", "center", "scale")}
        return numbers | {"flags": list(self.flags)}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "LinearMap":
        numbers = {name: np.array(spec[name], np.float64) for name in ("typical", "low", "high", "median", "center", "scale")}
        return cls(**numbers, flags=tuple(spec["flags"]))


@dataclass(frozen=True)
class Explained:
    """Contributions in calibrated log-odds. `base + by_signal.sum(axis=1)` = `log_odds`, for every row.

    by_signal: (rows, signals). by_column: (rows, columns), a column's missing flag included.
    agreement: (rows, signals), the share of members whose own contribution of that signal has the sign of `by_signal`.
    """

    base: float
    log_odds: Floats
    by_signal: Floats
    by_column: Floats
    agreement: Floats


class Model:
    """A spec and its members' texts, ready to score. Raises BadModel where they do not belong together."""

    def __init__(self, spec: Mapping[str, Any], texts: Sequence[str]) -> None:
        if spec.get("format") != FORMAT:
            found_format = f"found a spec of format {spec.get('format')!r}"
            raise BadModel(f"{found_format}; wanted {FORMAT}; train again, or use the scorer shipped with it")
        stated = [member["sha256"] for member in spec["members"]]
        found = [text_hash(text) for text in texts]
        if found != stated:
            first = next((place for place, pair in enumerate(zip(found, stated, strict=False)) if pair[0] != pair[1]), len(stated))
            raise BadModel(
                f"found {len(found)} texts, the first that differs being member {first}; wanted the {len(stated)} texts whose sha256 stand "
                "in the spec; fetch the model again, or train again"
            )
        self.spec = spec
        self.columns: tuple[str, ...] = tuple(column["name"] for column in spec["columns"])
        self.signals: tuple[str, ...] = tuple(spec["signals"])
        self.column_signals = tuple(self.signals.index(column["signal"]) for column in spec["columns"])
        self.tree_weight = float(spec["tree_weight"])
        self.linear = LinearMap.from_spec(spec["linear"])
        self.trees = [lgb.Booster(model_str=text) for text in texts]
        # arrays of shape (members, columns), (members, flags) and (members,)
        self._coefficients, self._means, self._flag_coefficients, self._flag_means = (
            np.array([member[name] for member in spec["members"]], np.float64).reshape(len(texts), -1)
            for name in ("coefficients", "means", "flag_coefficients", "flag_means")
        )
        self._intercepts = np.array([member["intercept"] for member in spec["members"]], np.float64)

    @property
    def calibration(self) -> tuple[float, float]:
        """Platt's (slope, intercept) on the mean margin."""
        return float(self.spec["calibration"]["slope"]), float(self.spec["calibration"]["intercept"])

    def part_margins(self, frame: pd.DataFrame) -> tuple[Floats, Floats]:
        """Uncalibrated log-odds of the members' trees and of their linear parts, each of shape (rows, members)."""
        values = feature_matrix(frame, self.columns)
        return self._tree_margins(values), self._linear_margins(*self.linear(values))

    def _tree_margins(self, values: Floats) -> Floats:
        margins = np.zeros((len(values), len(self.trees)), np.float64)
        for place, booster in enumerate(self.trees if len(values) else []):  # LightGBM refuses a frame without rows
            margins[:, place] = booster.predict(values, raw_score=True)
        return margins

    def _linear_margins(self, z: Floats, missing: Floats) -> Floats:
        margins = np.tile(self._intercepts, (len(z), 1))
        for inputs, coefficients in ((z, self._coefficients), (missing, self._flag_coefficients)):
            for place in range(inputs.shape[1]):  # not a matrix product: its sums would depend on the batch and on the threads
                margins += inputs[:, place, None] * coefficients[None, :, place]
        return margins

    def member_margins(self, frame: pd.DataFrame) -> Floats:
        """Uncalibrated log-odds of each member, shape (rows, members)."""
        return self._blend(*self.part_margins(frame))

    def _blend(self, trees: Floats, linear: Floats) -> Floats:
        return self.tree_weight * trees + (1.0 - self.tree_weight) * linear

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """`probability` and its interval `low` … `high`, which the spec says how often holds what unlimited data would say."""
        return self.calibrated(self.member_margins(frame)).set_axis(frame.index)

    def calibrated(self, margins: Floats) -> pd.DataFrame:
        """Members' margins (rows, members) -> probability, low, high: one row per row."""
        slope, intercept = self.calibration
        interval = self.spec["interval"]
        log_odds = slope * mean_over_members(margins) + intercept
        spread = slope * margins.std(axis=1, ddof=1) if len(margins) else log_odds
        reach = interval["z"] * np.sqrt((interval["widening"] * spread) ** 2 + interval["extra_sd"] ** 2)
        return pd.DataFrame(
            {"probability": probability_of(log_odds), "low": probability_of(log_odds - reach), "high": probability_of(log_odds + reach)}
        )

    def at_horizons(self, probability: Floats) -> dict[int, Floats]:
        """Main probabilities (rows,) -> horizon in days -> probability there, the main horizon among them, in ascending order."""
        return at_horizons(self.spec["horizons"], probability)

    def explain(self, frame: pd.DataFrame) -> Explained:
        """Contributions by signal and by column, in blocks of rows; about 1 ms per row with 10 members of 200 trees."""
        values = feature_matrix(frame, self.columns)
        if not len(values):
            unknown = self._explain(np.full((1, len(self.columns)), np.nan))
            return Explained(unknown.base, unknown.log_odds[:0], unknown.by_signal[:0], unknown.by_column[:0], unknown.agreement[:0])
        blocks = [self._explain(values[start : start + BLOCK_ROWS]) for start in range(0, len(values), BLOCK_ROWS)]
        base = blocks[0].base
        by_signal, by_column, agreement, log_odds = (
            np.concatenate([getattr(block, name) for block in blocks]) for name in ("by_signal", "by_column", "agreement", "log_odds")
        )
        return Explained(base, log_odds, by_signal, by_column, agreement)

    def _explain(self, values: Floats) -> Explained:
        slope, intercept = self.calibration
        z, missing = self.linear(values)
        members = len(self.trees)
        by_column = np.zeros(values.shape, np.float64)
        of_members = np.zeros((members, len(values), len(self.signals)), np.float64)
        base = 0.0
        for member in range(members):
            shares, start = self._member_contributions(member, values, z, missing)
            by_column += shares / members
            base += start / members
            for column, signal in enumerate(self.column_signals):
                of_members[member, :, signal] += shares[:, column]
        by_signal = np.zeros((len(values), len(self.signals)), np.float64)
        for column, signal in enumerate(self.column_signals):
            by_signal[:, signal] += by_column[:, column]
        agreement = (np.sign(of_members) == np.sign(by_signal)[None]).mean(axis=0)
        by_column, by_signal, base = slope * by_column, slope * by_signal, slope * base + intercept
        margins = self._blend(self._tree_margins(values), self._linear_margins(z, missing))
        return Explained(base, slope * mean_over_members(margins) + intercept, by_signal, by_column, agreement)

    def _member_contributions(self, member: int, values: Floats, z: Floats, missing: Floats) -> tuple[Floats, float]:
        """One member's contributions (rows, columns) and base value, uncalibrated."""
        w = self.tree_weight
        shap = np.asarray(self.trees[member].predict(values, pred_contrib=True), np.float64)
        coefficients, means = self._coefficients[member], self._means[member]
        flag_coefficients, flag_means = self._flag_coefficients[member], self._flag_means[member]
        shares = w * shap[:, :-1] + (1.0 - w) * (z - means) * coefficients
        for place, column in enumerate(self.linear.flags):
            shares[:, column] += (1.0 - w) * (missing[:, place] - flag_means[place]) * flag_coefficients[place]
        linear_base = self._intercepts[member] + float(means @ coefficients) + float(flag_means @ flag_coefficients)
        return shares, w * float(shap[0, -1]) + (1.0 - w) * linear_base


def at_horizons(horizons: Mapping[str, Any], probability: Floats) -> dict[int, Floats]:
    """The main horizon's probabilities and the spec's steps -> probabilities at every horizon (models/horizons.py has the why).

    >>> step = {"horizon_days": 30, "neighbour_days": 90, "is_likelier": False, "slope": 0.0, "intercept": 0.0}
    >>> {days: p.tolist() for days, p in at_horizons({"main_days": 90, "steps": [step]}, np.array([0.4])).items()}
    {30: [0.2], 90: [0.4]}
    """
    inside = np.clip(probability, 1e-12, 1 - 1e-12)
    log_odds = np.log(inside) - np.log1p(-inside)
    found = {int(horizons["main_days"]): probability}
    for step in horizons["steps"]:
        share = probability_of(step["slope"] * log_odds + step["intercept"])
        there = found[int(step["neighbour_days"])]
        found[int(step["horizon_days"])] = there + (1.0 - there) * share if step["is_likelier"] else there * share
    return dict(sorted(found.items()))


def mean_over_members(margins: Floats) -> Floats:
    """(rows, members) -> (rows,), added in the members' order."""
    total = np.zeros(len(margins), np.float64)
    for member in range(margins.shape[1]):
        total += margins[:, member]
    return np.asarray(total / margins.shape[1], np.float64)


def load(spec_path: Path, members_folder: Path) -> Model:
    """The model stored as spec.json and its members' texts. Raises BadModel if a file is missing or differs from the spec."""
    try:
        spec = json.loads(spec_path.read_text(encoding="utf-8"))
        texts = [(members_folder / member["file"]).read_bytes().decode("utf-8") for member in spec["members"]]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as problem:
        wanted = f"{spec_path.name} and the texts it names"
        raise BadModel(f"found {type(problem).__name__}: {problem}; wanted {wanted}; fetch the model again, or train again") from problem
    return Model(spec, texts)


def answer(model: Model, frame: pd.DataFrame, *, with_reasons: bool = False, with_horizons: bool = False) -> pd.DataFrame:
    """probability, low, high; with horizons also `probability_<days>_days` for each; with reasons also `base` and, per signal,
    `contribution_<signal>` and `agreement_<signal>`."""
    scores = model.predict(frame)
    if with_horizons:
        for days, probability in model.at_horizons(scores["probability"].to_numpy(np.float64)).items():
            scores[f"probability_{days}_days"] = probability
    if with_reasons:
        explained = model.explain(frame)
        scores["base"] = explained.base
        for place, signal in enumerate(model.signals):
            scores[f"contribution_{signal}"] = explained.by_signal[:, place]
            scores[f"agreement_{signal}"] = explained.agreement[:, place]
    return scores


def _serve_through_mlflow() -> None:
    import mlflow

    class ClientfitModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
        """Artifacts `spec` (spec.json) and `members` (a folder of texts); params={"reasons": True} adds contributions by signal,
        {"horizons": True} the probability at every horizon."""

        def load_context(self, context: Any) -> None:
            self.model = load(Path(context.artifacts["spec"]), Path(context.artifacts["members"]))

        def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
            asked = params or {}
            return answer(
                self.model,
                model_input,
                with_reasons=bool(asked.get("reasons", False)),
                with_horizons=bool(asked.get("horizons", False)),
            )

    mlflow.models.set_model(ClientfitModel())


if __name__ != "models.scorer":  # MLflow runs this file under a name of its own; an import in the pipeline does not pay for MLflow
    _serve_through_mlflow()
