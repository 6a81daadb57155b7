"""Fixtures that several tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.tiny_records import import_stage, write_project


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An `mlruns` folder whose database has its tables and nothing else; copy it."""
    from mlflow.tracking import MlflowClient

    folder = tmp_path_factory.mktemp("store") / "mlruns"
    folder.mkdir()
    MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
    return folder


def forget_stores(patch: pytest.MonkeyPatch) -> None:
    """Unsets what names a store: of the shell that started the tests, or (MLflow sets it) of the test before."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "DVC_ROOT", "DVC_EXP_NAME"):
        patch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_inherited_store(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_stores(monkeypatch)


@contextmanager
def former_handlers() -> Iterator[None]:
    """Puts back the signals' handlers that a stage run in this process has set."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    kept = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, kept, strict=True):
            signal.signal(number, handler)


@pytest.fixture
def signals() -> Iterator[None]:
    """Leaves the signals' handlers as they were."""
    with former_handlers():
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A project after `train tiny` and `evaluate tiny`: to look at, and to copy before it is spoilt."""
    folder = write_project(tmp_path_factory.mktemp("trained") / "project", empty_store)
    with former_handlers(), pytest.MonkeyPatch.context() as patch:
        forget_stores(patch)
        patch.chdir(folder)
        import_stage("train").main("tiny")
        import_stage("evaluate").main("tiny")
    return folder
