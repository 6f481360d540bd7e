"""A small business trained once per session for both targets; copies of it to register, score and explain in, each with its own store."""

import shutil
from pathlib import Path

import pytest
from small_business import Small, retrain, trained

from pipeline import mlstore, register
from pipeline.source import load_source


@pytest.fixture(scope="session")
def business(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project folder of a business named alpha, trained and evaluated, with an empty store; to be read or copied, not written."""
    root = tmp_path_factory.mktemp("business")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(mlstore.VARIABLE, raising=False)
        patch.chdir(root)
        retrain(trained(root, "alpha").source, "misfit")
        mlstore.open_store()
    return root


@pytest.fixture
def small(business: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A copy of the trained business to work in, and its folder as the working folder."""
    root = tmp_path / "project"
    shutil.copytree(business, root)
    monkeypatch.delenv(mlstore.VARIABLE, raising=False)
    monkeypatch.chdir(root)
    return Small(root, load_source(str(root / "sources" / "alpha")))


@pytest.fixture(scope="session")
def shelf(business: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project folder of the business with its models registered; what tests write there does not touch model, tables or registry."""
    root = tmp_path_factory.mktemp("shelf") / "project"
    shutil.copytree(business, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(mlstore.VARIABLE, raising=False)
        patch.chdir(root)
        source = load_source(str(root / "sources" / "alpha"))
        for target in ("churn", "misfit"):
            register.register(source, register.read_trained(source, target), mlstore.open_store())
    return root


@pytest.fixture
def champion_there(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """The registered business, its folder as the working folder; to be scored and explained, not changed."""
    monkeypatch.delenv(mlstore.VARIABLE, raising=False)
    monkeypatch.chdir(shelf)
    return Small(shelf, load_source(str(shelf / "sources" / "alpha")))
