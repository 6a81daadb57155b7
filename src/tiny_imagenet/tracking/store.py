"""The MLflow store: one for all runs of a checkout, whatever the command or folder that starts them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.core.files import locked

SQLITE = "sqlite:///"

logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # errors are reported here, in one line


def store_uri(root: Path) -> str:
    """Returns the URI of a main checkout's store: its `mlruns`, unless MLFLOW_TRACKING_URI names another."""
    path = root / "mlruns" / "mlflow.db"
    if {"?", "%"} & set(str(path)):  # special in a URI; a relative path rarely has them
        path = Path(os.path.relpath(path))
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{path}"


@contextmanager
def open_store(root: Path, experiment: str) -> Iterator[tuple[MlflowClient, str]]:
    """Yields a client of the store of a main checkout and the id of an experiment; creates both if missing.

    Raises:
        PipelineError: The store does not answer, or refuses a request inside the block.
    """
    try:
        yield connect(root.resolve(), experiment)
    except MlflowException as error:
        todo = "start it, or unset MLFLOW_TRACKING_URI"
        raise PipelineError(store_uri(root), f"does not answer ({first_line(error)})", todo) from None


def connect(root: Path, experiment: str) -> tuple[MlflowClient, str]:
    """Returns what `open_store` yields; under a lock, since processes that create a store together would race.

    Raises:
        MlflowException: The store does not answer.
    """
    uri = store_uri(root)
    is_file = uri.startswith(SQLITE)
    store = Path(uri.removeprefix(SQLITE)).parent.resolve() if is_file else root / "mlruns"
    with locked(store):
        mlflow.set_tracking_uri(uri)
        client = MlflowClient()
        found = client.get_experiment_by_name(experiment)
        if found:
            if found.lifecycle_stage == "deleted":
                client.restore_experiment(found.experiment_id)
            return client, found.experiment_id
        return client, client.create_experiment(experiment, (store / "artifacts").as_uri() if is_file else None)


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or its type's name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
