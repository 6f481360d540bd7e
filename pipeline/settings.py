"""params.yaml, overridden by a source's `params:` -> one frozen Settings. No defaults live in code; an unknown key is an error."""

import os
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from features.errors import UserError
from features.time import Calendar

PARAMS = Path("params.yaml")  # every command runs from the project's root

# Nothing phones home and nothing is fetched at run time. Set before any of these libraries is imported, hence here: every command
# reads its settings first.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MPLBACKEND": "Agg",
}
os.environ.update(QUIET)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _ascending(values: list[Any]) -> list[Any]:
    if not values or any(later <= earlier for earlier, later in pairwise(values)):
        raise ValueError("at least one number, ascending, each once")
    return values


class TimeSettings(_Strict):
    cadence: Literal["monthly", "weekly", "listed"]
    as_ofs: list[date]
    gap_days: int = Field(ge=0, le=730)
    horizon_days: int = Field(ge=1, le=1_460)
    lateness_days: int = Field(ge=0, le=365)
    warm_up_days: int = Field(ge=0, le=3_650)
    horizons_days: list[Annotated[int, Field(ge=1, le=1_460)]]

    _ascending = field_validator("horizons_days")(_ascending)

    @property
    def calendar(self) -> Calendar:
        return Calendar(self.gap_days, self.horizon_days, self.lateness_days)

    @property
    def horizons(self) -> list[int]:
        """All horizons that are labelled, in days, ascending: those listed and the main one."""
        return sorted({*self.horizons_days, self.horizon_days})


class SnapshotSettings(_Strict):
    too_new_days: int = Field(ge=0)
    silent_floor_days: int = Field(ge=1)
    silent_gaps: float = Field(gt=0)
    gone_days: int = Field(ge=1)
    active_within_days: int = Field(ge=0)


class TrainSettings(_Strict):
    test_periods: int = Field(ge=1)
    origins: int = Field(ge=1)
    members: int = Field(ge=2, le=100)
    bootstrap_resamples: int = Field(ge=50, le=10_000)
    tuning_trials: int = Field(ge=0, le=1_000)
    trusted_columns: list[str]


class LabelSettings(_Strict):
    candidate_horizons_days: list[Annotated[int, Field(ge=1, le=1_460)]]
    candidate_silent_gaps: list[Annotated[float, Field(gt=0)]]
    candidate_silent_floors_days: list[Annotated[int, Field(ge=1, le=1_460)]]
    follow_up_days: int = Field(ge=1, le=1_460)
    tolerated_returns: float = Field(gt=0, lt=1)
    lost_returns: float = Field(gt=0, lt=1)
    clients_at_least: int = Field(ge=1)

    _ascending = field_validator("candidate_horizons_days", "candidate_silent_gaps", "candidate_silent_floors_days")(_ascending)


class EvaluateSettings(_Strict):
    capacity: int = Field(ge=1)
    slice_least_churned: int = Field(ge=2)
    tenure_bands_days: list[Annotated[int, Field(ge=1)]]
    contact_bands: list[Annotated[int, Field(ge=1)]]

    _ascending = field_validator("tenure_bands_days", "contact_bands")(_ascending)


class ScoreSettings(_Strict):
    little_data_contacts: int = Field(ge=0)


class ExplainSettings(_Strict):
    reasons: int = Field(ge=1, le=3)
    agreement: float = Field(gt=0.5, le=1)
    least_contribution: float = Field(gt=0, le=1)


class MisfitSettings(_Strict):
    basis: Literal["auto", "marked", "economics", "policy"]
    marked_clients_at_least: int = Field(ge=1)
    contribution_floor_per_day: float
    effort_quantile: float = Field(ge=0, lt=1)
    observed_share_at_least: float = Field(gt=0, le=1)


class EconomicsSettings(_Strict):
    hourly_cost: float | None = Field(gt=0)
    financing_rate_a_year: float = Field(ge=0, le=1)
    dispute_hours: float = Field(ge=0)
    reuse_share: float = Field(ge=0, le=1)
    reuse_after_days: int = Field(ge=0)


class DecideSettings(_Strict):
    leaving_times_base: float = Field(gt=0)
    misfit_times_base: float = Field(gt=0)
    released_at: float = Field(gt=0, le=1)
    cooling_off_snapshots: int = Field(ge=1, le=24)
    patience_days: int = Field(ge=0)
    settled_days: int = Field(ge=0)
    our_blame_share: float = Field(gt=0, le=1)
    our_blame_days: int = Field(ge=0)
    overdue_within_days: int = Field(ge=1, le=3_650)
    thin_margin: float = Field(ge=-1, lt=1)
    burden_hours: float = Field(ge=0)
    steep_rise: float = Field(ge=0)
    grow_share: float = Field(ge=0)
    grow_hours_a_month: float = Field(ge=0)
    save_rate: float = Field(gt=0, le=1)
    win_back_hours: float = Field(ge=0)
    saved_days: int = Field(ge=1, le=3_650)
    hold_out_share: float = Field(ge=0, lt=1)
    key_account_share: float = Field(gt=0, le=1)
    key_account_rank: int = Field(ge=0)
    tried_within_days: int = Field(ge=1)


class ReviewListSettings(_Strict):
    clients: int = Field(ge=2, le=1_000)
    passed_over_days: int = Field(ge=1, le=730)


class Settings(_Strict):
    """Every knob; see params.yaml for units and reasons."""

    seed: int
    time: TimeSettings
    snapshot: SnapshotSettings
    label: LabelSettings
    train: TrainSettings
    evaluate: EvaluateSettings
    score: ScoreSettings
    explain: ExplainSettings
    misfit: MisfitSettings
    economics: EconomicsSettings
    decide: DecideSettings
    review_list: ReviewListSettings
    targets: list[Literal["churn", "misfit"]]


class _OneOfEach(yaml.SafeLoader):
    """YAML in which no key stands twice: the later would silently replace the earlier."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for at, key in enumerate(keys) if key in keys[:at]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping. Raises UserError naming the line where it cannot be read."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_OneOfEach)  # noqa: S506  # a SafeLoader
    except FileNotFoundError as problem:
        raise UserError(str(path), found="no such file", wanted="a YAML file", cure="create it, or correct the path") from problem
    except UnicodeDecodeError as problem:
        raise UserError(
            str(path), found=f"a byte that is not UTF-8 at offset {problem.start}", wanted="UTF-8 text", cure="save it as UTF-8"
        ) from problem
    except yaml.YAMLError as problem:
        raise UserError(
            str(path), found=" ".join(str(problem).split()), wanted="well-formed YAML", cure="correct the place it names"
        ) from problem
    if not isinstance(content, dict):
        raise UserError(
            str(path), found=type(content).__name__, wanted="a mapping of keys to values", cure="see README, bring your own data"
        )
    return content


def checked(model: type[BaseModel], content: dict[str, Any], where: str) -> Any:
    """`content` as a `model`. Raises UserError that names each wrong key, what it holds and what is wanted."""
    try:
        return model.model_validate(content)
    except ValidationError as problem:
        faults = problem.errors(include_url=False, include_context=False)
        found = "; ".join(f"{_key(fault)} = {_shown(fault)}" for fault in faults)
        wanted = "; ".join(f"{_key(fault)}: {_wish(fault, model)}" for fault in faults)
        raise UserError(
            where, found=found, wanted=wanted, cure="correct these keys; the file's comments give each knob's unit"
        ) from problem


def _key(fault: Any) -> str:
    return ".".join(str(part) for part in fault["loc"]) or "(the whole)"


def _shown(fault: Any) -> str:
    return "nothing" if fault["type"] == "missing" else repr(fault["input"])[:80]


def _wish(fault: Any, model: type[BaseModel]) -> str:
    if fault["type"] != "extra_forbidden":
        return str(fault["msg"])
    known = model
    for part in fault["loc"][:-1]:
        field = known.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return "no such key"
        known = field.annotation
    return f"one of {', '.join(known.model_fields)}"


def _merged(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    return base | {
        key: _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in overrides.items()
    }


def load_settings(overrides: dict[str, Any] | None = None, where: str = "", params: Path = PARAMS) -> Settings:
    """The settings of params.yaml with a source's overrides on top (`where` names the file they stand in)."""
    base = read_yaml(params)
    settings: Settings = checked(Settings, _without_dates(base), params.name)
    if overrides:
        settings = checked(Settings, _without_dates(_merged(base, overrides)), f"{where} (params)")
    return settings


def _without_dates(content: dict[str, Any]) -> dict[str, Any]:
    """Checks the one list of dates by hand: strict mode takes YAML's dates, and we want a clear word for anything else."""
    listed = content.get("time", {}).get("as_ofs", []) if isinstance(content.get("time"), dict) else []
    wrong = [item for item in listed or [] if not isinstance(item, date)]
    if wrong:
        raise UserError(
            "time.as_ofs", found=repr(wrong[0]), wanted="dates such as 2024-01-31, without quotes", cure="write the list as YAML dates"
        )
    return content
