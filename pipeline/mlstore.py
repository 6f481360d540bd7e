"""A place for models (`.mlflow/` here, or MLFLOW_TRACKING_URI) -> registered versions, found by content and read only when whole.

MLflow breaks a fresh SQLite store for good when several processes start on it at once (4 of 4 died, and every later start). So the store
is built under a temporary name, behind a lock, and takes its own name only when its tables stand; the lock goes with the process.

Loading a registered model runs its code, and a damaged LightGBM text can end the process. So a version carries, in the registry, the
sha256 of every file it consists of, and nothing is loaded that differs from it.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from features.errors import UserError
from pipeline.settings import QUIET
from pipeline.tables import sha256_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

STORE = Path(".mlflow")
VARIABLE = "MLFLOW_TRACKING_URI"
PATIENCE_SECONDS = 600  # how long a process waits for another that holds the store
CHAMPION, CHALLENGER = "champion", "challenger"
ADDED_BY_MLFLOW = "registered_model_meta"  # written into copies of a version, not part of it

# before mlflow is imported anywhere: nothing phones home, and no progress bars of single files
os.environ.update(QUIET | {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"})


@dataclass(frozen=True)
class Version:
    """A registered version. tags: model_hash, files_sha256, … ; source: where its files lie; created_at: when it was registered."""

    name: str
    number: int
    run_id: str
    source: str
    tags: dict[str, str]
    created_at: datetime

    @property
    def model_hash(self) -> str:
        return self.tags.get("model_hash", "")

    def __str__(self) -> str:
        return f"{self.name} version {self.number}"


@dataclass(frozen=True)
class Store:
    """An open store: its address and MLflow's client for it."""

    uri: str
    client: "MlflowClient"

    def experiment(self, name: str) -> str:
        """Id of the experiment of this name, made if it is not there yet. Call it while holding `alone`."""
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = (STORE / "artifacts" / name).absolute().as_uri() if self.uri == _embedded_uri() else None
        return str(self.client.create_experiment(name, artifact_location=place))

    def versions(self, name: str) -> list[Version]:
        """All versions of a registered model, oldest first; none if there is no such model."""
        found: list[Any] = []
        page = self.client.search_model_versions(f"name='{name}'", max_results=1_000)
        found += page
        while page.token:
            page = self.client.search_model_versions(f"name='{name}'", max_results=1_000, page_token=page.token)
            found += page
        return sorted((_version(item) for item in found), key=lambda version: version.number)

    def with_alias(self, name: str, alias: str) -> Version | None:
        """The version that bears the alias, if any."""
        from mlflow.exceptions import MlflowException

        try:
            return _version(self.client.get_model_version_by_alias(name, alias))
        except MlflowException as problem:
            if problem.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"):  # no such alias; no such model
                return None
            raise

    @contextmanager
    def files_of(self, version: Version) -> Iterator[Path]:
        """A copy of the version's files, compared with the sha256 in the registry. Raises UserError if they differ or are gone."""
        from mlflow.exceptions import MlflowException

        cure = (
            "run `make train`: what it registers takes the place of a damaged champion; "
            "if the project was moved, its registry still names the old place"
        )
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(copied(self.client.get_model_version_download_uri(version.name, str(version.number))))
            except (MlflowException, OSError) as problem:
                raise UserError(
                    str(version),
                    found=f"files that cannot be fetched ({_short(problem)})",
                    wanted=f"its files in {version.source}",
                    cure=cure,
                ) from problem
            found, wanted = files_sha256(folder), version.tags.get("files_sha256", "")
            if found != wanted:
                raise UserError(
                    str(version),
                    found=f"files whose sha256 is {found[:12]}…",
                    wanted=f"{wanted[:12]}…, as registered",
                    cure=f"the files were changed or damaged, so they are not loaded; {cure}",
                )
            yield folder

    def spec_of(self, version: Version) -> dict[str, Any] | None:
        """The version's spec, or None where its files are not all there as they were registered."""
        try:
            with self.files_of(version) as folder:
                spec: dict[str, Any] = json.loads((folder / "artifacts" / "spec.json").read_bytes())
                return spec
        except UserError:
            return None

    def is_whole(self, version: Version) -> bool:
        """Whether the version's files are there and are those that were registered."""
        try:
            with self.files_of(version):
                return True
        except UserError:
            return False


def open_store() -> Store:
    """The store of this project, made if it is not there yet; safe when many processes start at once."""
    given = os.environ.get(VARIABLE)
    uri = given or _made()
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)  # for the whole process: parts of MLflow's client look there, and would else make a store of their own
    if not given:
        os.environ.pop(VARIABLE, None)  # where MLflow writes it: a later look from another folder must not find it
    return Store(uri, mlflow.MlflowClient(tracking_uri=uri))


def store_exists() -> bool:
    """Whether there is a store to look into."""
    return bool(os.environ.get(VARIABLE)) or _database().exists()


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Waits until no other process of this project holds `what` (a model's name), and holds it; a process that dies lets go."""
    STORE.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = STORE / f"{what}.lock"
    try:
        with FileLock(lock, timeout=PATIENCE_SECONDS):
            yield
    except Timeout as problem:
        raise UserError(
            str(lock),
            found=f"another process has held it for {PATIENCE_SECONDS} seconds",
            wanted="one writer at a time",
            cure="wait for it, or end it",
        ) from problem


@contextmanager
def faults_told(uri: str = "") -> Iterator[None]:
    """What the store cannot do is told to the reader, not as a traceback."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except (MlflowException, DBAPIError) as problem:
        raise UserError(
            uri or os.environ.get(VARIABLE) or str(STORE),
            found=_short(problem),
            wanted="a readable and writable MLflow store of the locked version",
            cure=f"check {VARIABLE} and the disk; a store of another version: `mlflow db upgrade <address>`; what was registered stays",
        ) from problem


@contextmanager
def copied(address: str) -> Iterator[Path]:
    """A copy of a model's files for the time of the block, without bytecode.

    Whoever loads a model where it lies leaves `__pycache__` beside it, which Python would run instead of the code that we compared.
    """
    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory(prefix="clientfit-") as own:
        folder = Path(download_artifacts(artifact_uri=address, dst_path=own))
        for bytecode in list(folder.rglob("__pycache__")):
            shutil.rmtree(bytecode)
        yield folder


def files_sha256(folder: Path) -> str:
    """sha256 over the names and contents of every file of a version."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ADDED_BY_MLFLOW):
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _database() -> Path:
    return (STORE / "mlflow.db").absolute()


def _embedded_uri() -> str:
    return f"sqlite:///{_database()}"


def _made() -> str:
    """Address of the embedded store, after making sure that its tables stand."""
    database = _database()
    if not database.exists():
        with alone("store"):
            if not database.exists():
                _make(database)
    return _embedded_uri()


def _make(database: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    building = STORE / "building"  # we hold the lock: whatever lies here was left by a process that died
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(mode=0o700)
    made = SqlAlchemyStore(  # type: ignore[no-untyped-call]
        f"sqlite:///{(building / database.name).absolute()}", (STORE / "artifacts").absolute().as_uri()
    )
    made.engine.dispose()
    (building / database.name).rename(database)
    shutil.rmtree(building)


def _version(item: Any) -> Version:
    created = datetime.fromtimestamp(item.creation_timestamp / 1000, UTC)
    return Version(item.name, int(item.version), item.run_id or "", item.source or "", dict(item.tags), created)


def _short(problem: Exception) -> str:
    return " ".join(str(problem).split())[:300]
