"""The store: made once however many start together, opened where the environment says, quiet."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_business import Small

from features.errors import UserError
from pipeline import mlstore

STARTERS, MODELS = 8, 7

# One process imports everything and becomes eight, so that they reach the store in the same instant, and imports are paid once.
START_TOGETHER = """
import os, sys, shutil
from dataclasses import replace
from pathlib import Path
import mlflow, mlflow.pyfunc, mlflow.store.tracking.sqlalchemy_store
from models import scorer
from pipeline import mlstore, register
from pipeline.source import load_source
from pipeline.tables import read_json, write_json

def start(place, number):
    source = load_source("sources/alpha")
    trained = register.read_trained(source, "churn")
    spec = read_json(trained.training / "spec.json")
    spec["calibration"]["intercept"] += number
    own = Path(f"variant-{place}")
    shutil.copytree(trained.training / "members", own / "members")
    write_json(own / "spec.json", spec)
    model = scorer.load(own / "spec.json", own / "members")
    variant = replace(trained, model=model, model_hash=scorer.content_hash(spec), training=own)
    found, _ = register.register(source, variant, mlstore.open_store())
    Path(f"version-{place}").write_text(str(found.version))

starters = []
for place in range(int(sys.argv[1])):
    child = os.fork()
    if not child:
        start(place, place % int(sys.argv[2]))
        os._exit(0)
    starters.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in starters))
"""


def test_eight_processes_start_together_on_a_fresh_store_and_none_fails(small: Small):
    (small.root / ".mlflow" / "mlflow.db").unlink()
    command = [sys.executable, "-c", START_TOGETHER, str(STARTERS), str(MODELS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{done.returncode} of {STARTERS} failed\n{done.stderr}"
    numbers = [int((small.root / f"version-{place}").read_text()) for place in range(STARTERS)]
    assert sorted(set(numbers)) == [1, 2, 3, 4, 5, 6, 7]
    assert numbers[0] == numbers[7], "the model that two brought is registered once"
    store = mlstore.open_store()
    assert len({version.model_hash for version in store.versions("clientfit-alpha")}) == MODELS
    champion = store.with_alias("clientfit-alpha", mlstore.CHAMPION)
    assert champion is not None
    assert champion.number == 1
    assert not (small.root / "mlruns").exists()


def test_what_a_process_left_that_died_while_making_the_store_is_swept_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    half_made = tmp_path / ".mlflow" / "building" / "mlflow.db"
    half_made.parent.mkdir(parents=True)
    half_made.write_bytes(b"half a database")
    store = mlstore.open_store()
    assert store.versions("clientfit-alpha") == []
    assert sorted(path.name for path in (tmp_path / ".mlflow").iterdir()) == ["mlflow.db", "store.lock"]


def test_the_store_is_private_to_its_owner(small: Small):
    assert (small.root / ".mlflow").stat().st_mode & 0o077 == 0


def test_the_environment_names_another_store(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    address = f"sqlite:///{small.root / '.mlflow' / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(mlstore.VARIABLE, address)
    assert mlstore.open_store().uri == address
    assert not (tmp_path / ".mlflow").exists()


def test_a_look_from_another_folder_finds_that_folders_store(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = mlstore.open_store().uri
    assert mlstore.VARIABLE not in os.environ
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / ".mlflow").mkdir(parents=True)
    (elsewhere / ".mlflow" / "mlflow.db").write_bytes((small.root / ".mlflow" / "mlflow.db").read_bytes())
    monkeypatch.chdir(elsewhere)
    assert mlstore.open_store().uri != first


def test_a_store_that_cannot_be_read_is_told_without_a_traceback(small: Small):
    (small.root / ".mlflow" / "mlflow.db").write_bytes(b"this is no database, but longer than a header" * 50)
    with pytest.raises(UserError, match="not a database"), mlstore.faults_told():
        mlstore.open_store().versions("clientfit-alpha")


def test_nothing_phones_home():
    script = "import pipeline.mlstore, os, json; print(json.dumps(dict(os.environ)))"
    bare = {"PATH": os.environ["PATH"]}
    told = subprocess.run([sys.executable, "-c", script], env=bare, capture_output=True, text=True, check=True).stdout
    environment = json.loads(told)
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == environment["DO_NOT_TRACK"] == "true"
    assert environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
