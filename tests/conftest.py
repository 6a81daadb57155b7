"""Fixtures shared by the tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.tiny_records import import_stage, write_project

# The tests may run in the background, where a shell ignores these.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An `mlruns` folder with the tables of an empty database; to be copied."""
    from mlflow.tracking import MlflowClient

    folder = tmp_path_factory.mktemp("store") / "mlruns"
    folder.mkdir()
    MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
    return folder


def unset_stores(patch: pytest.MonkeyPatch) -> None:
    """Unsets the variables that name a store: the shell may have set them, and MLflow sets one in a test."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "DVC_ROOT", "DVC_EXP_NAME"):
        patch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_inherited_store(monkeypatch: pytest.MonkeyPatch) -> None:
    unset_stores(monkeypatch)


@contextmanager
def restored_handlers() -> Iterator[None]:
    """Restores the signal handlers that a stage run in this process replaces."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    handlers = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


@pytest.fixture
def signals() -> Iterator[None]:
    """Restores the signal handlers after the test."""
    with restored_handlers():
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A project after `train tiny` and `evaluate tiny`; a test that changes it copies it first."""
    folder = write_project(tmp_path_factory.mktemp("trained") / "project", empty_store)
    with restored_handlers(), pytest.MonkeyPatch.context() as patch:
        unset_stores(patch)
        patch.chdir(folder)
        import_stage("train").main("tiny")
        import_stage("evaluate").main("tiny")
    return folder
