"""The registered model in an environment without this repository: it loads by its alias and scores the same, bit for bit.

The environment holds only what the model's own requirements need, at the versions and sums of requirements.lock, installed afresh. Where
no package index can be reached, the project's own packages are lent to it instead, without the repository, and the test says so.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import warnings
from importlib.metadata import requires
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from small_business import PROJECT, Small, stored_files

from pipeline import explain, mlstore, register

# mlflow-skinny, SQLAlchemy and Alembic are the parts of mlflow that load a model from a registry
NEEDED = ("lightgbm", "numpy", "pandas", "mlflow-skinny", "sqlalchemy", "alembic")
NO_INDEX = re.compile(r"No matching distribution found|NewConnectionError|Could not fetch URL|Temporary failure in name resolution")

CONSUMER = """
import importlib.util, json, sys
import numpy as np, pandas as pd, mlflow

given = np.load("features.npz")
frame = pd.DataFrame(given["values"], columns=given["names"].tolist())
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/clientfit-alpha@champion")
np.save("scores.npy", model.predict(frame)[["probability", "low", "high"]].to_numpy())
explained = model.predict(frame.iloc[:5], params={"reasons": True})
parts = [name for name in explained if name.startswith("contribution_")]
log_odds = explained["base"] + explained[parts].sum(axis=1)
found = {name: importlib.util.find_spec(name) is not None for name in ("pipeline", "features", "models", "duckdb", "sklearn", "mlflow")}
off = float(np.abs(1 / (1 + np.exp(-log_odds)) - explained["probability"]).max())
horizons = model.predict(frame, params={"horizons": True})
days = [name for name in horizons if name.startswith("probability_")]
grows = bool((horizons[days].diff(axis=1).iloc[:, 1:] > 0).any().any())
shuffled = model.predict(frame[frame.columns[::-1]])["probability"].to_numpy()
print(json.dumps({"found": found, "off": off, "order_matters": not np.array_equal(shuffled, np.load("scores.npy")[:, 0]),
                  "horizons": days, "silence_grows": grows}))
"""


def locked(names: tuple[str, ...]) -> str:
    """The lines of requirements.lock for these packages and all that they need here."""
    wanted, needed = list(names), set()
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name in needed:
            continue
        needed.add(name)
        found = [Requirement(line) for line in requires(name) or []]
        wanted += [one.name for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]
    blocks = re.split(r"\n(?=\S)", (PROJECT / "requirements.lock").read_text(encoding="utf-8"))
    return "\n".join(block for block in blocks if canonicalize_name(re.split(r"[=\[ ;]", block)[0]) in needed) + "\n"


def bare_environment(folder: Path) -> tuple[Path, str]:
    """A fresh virtual environment's python, and how its packages came: `installed` or `lent`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    lock = folder / "subset.lock"
    lock.write_text(locked(NEEDED), encoding="utf-8")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    install += ["--require-hashes", "--only-binary", ":all:", "--no-compile", "--retries", "1", "-r", str(lock)]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return python, "installed"
    assert NO_INDEX.search(done.stderr), done.stderr
    site = next((folder / "lib").glob("python*/site-packages"))
    # a path in a .pth file is searched, but its own .pth files, the editable install of this repository among them, are not run
    (site / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python, "lent"


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return bare_environment(tmp_path_factory.mktemp("bare") / "venv")


def test_the_champion_scores_the_same_in_a_bare_environment(champion_there: Small, bare: tuple[Path, str], tmp_path: Path):
    python, how = bare
    if how == "lent":
        warnings.warn("no package index: the bare environment borrowed the project's packages (not the repository)", stacklevel=1)
    model = register.read_trained_model(champion_there.source, "churn")
    known = explain.newest(champion_there.source)[1]
    features = pd.concat([known, known.assign(**{model.columns[0]: np.nan})], ignore_index=True)
    np.savez(tmp_path / "features.npz", values=features.to_numpy(np.float64), names=np.array(features.columns.tolist()))
    address = mlstore.open_store().uri
    strict = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | strict
    command = [str(python), "-I", "-c", CONSUMER, address]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    absent = ("pipeline", "features", "models") + (("duckdb", "sklearn") if how == "installed" else ())
    assert {name: told["found"][name] for name in absent} == dict.fromkeys(absent, False)
    assert told["off"] < 1e-9
    assert not told["order_matters"]
    assert told["horizons"] == [f"probability_{days}_days" for days in (30, 60, 90, 180)]
    assert not told["silence_grows"]
    ours = np.ascontiguousarray(model.predict(features).to_numpy())
    assert np.load(tmp_path / "scores.npy").tobytes() == ours.tobytes()


@pytest.mark.nightly  # a server takes ten seconds and more to start
def test_the_champion_serves_its_own_example_over_http(champion_there: Small):
    champion = mlstore.open_store().with_alias("clientfit-alpha", mlstore.CHAMPION)
    folder = stored_files(mlstore.open_store(), champion)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder), "--env-manager", "local", "--port", str(port)]
    found = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # where it looks for uvicorn
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, start_new_session=True, stdout=quiet, stderr=quiet, env=os.environ | found)
    try:
        answer = json.loads(_asked(port, (folder / "serving_input_example.json").read_bytes()))
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    ours = register.read_trained_model(champion_there.source, "churn")
    expected = ours.predict(register.input_example(ours))
    assert [row["probability"] for row in answer["predictions"]] == expected["probability"].tolist()


def _asked(port: int, body: bytes) -> bytes:
    """The server's answer, once it is up."""
    for _ in range(240):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            return connection.getresponse().read()
        except ConnectionError:
            time.sleep(0.5)
        finally:
            connection.close()
    pytest.fail("the server did not come up")
