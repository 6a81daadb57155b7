"""The runs that trained the models of a checkout, found by the digests of the models' files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlflow.tracking import MlflowClient

from tiny_imagenet.core.errors import first_line
from tiny_imagenet.tracking.store import connect, store_path, store_uri

MODEL_SHA256 = "model.sha256"  # tag of a run: of its model.keras
TRAIN_SECONDS = "train_seconds"  # metric of a run: of all its steps, without validation


DIGEST_LENGTH = 36  # MLflow's limit for a dataset


def dataset_digest(data_sha256: str) -> str:
    """Returns the digest by which MLflow knows a dataset."""
    return data_sha256[:DIGEST_LENGTH]


@dataclass(frozen=True)
class TrainedRun:
    """A run that trained a model; `train_seconds` is None if it was not logged."""

    run_id: str
    train_seconds: float | None


def find_run(client: MlflowClient, experiment_id: str, model_sha256: str) -> TrainedRun | None:
    """Finds the newest run that trained a model with this digest: equal trainings give equal files."""
    which = f"tags.`{MODEL_SHA256}` = '{model_sha256}'"
    order = ["attributes.start_time DESC"]
    for run in client.search_runs([experiment_id], which, order_by=order, max_results=1):
        return TrainedRun(run.info.run_id, run.data.metrics.get(TRAIN_SECONDS))
    return None


def train_seconds(root: Path, experiment: str, digests: Mapping[str, str]) -> dict[str, float]:
    """Returns the time of each model's training, from the store of a main checkout; a failure is a warning.

    Args:
        root: The main checkout.
        experiment: Its experiment: the name of the dataset.
        digests: By model: the SHA-256 of its file.

    Returns:
        The seconds by model, without the models whose runs the store lacks.
    """
    database, digests = store_path(store_uri(root.resolve())), {m: digest for m, digest in digests.items() if digest}
    if not digests or (database and not database.is_file()):
        return {}
    try:
        client, experiment_id = connect(root.resolve(), experiment)
        found = {model: find_run(client, experiment_id, digest) for model, digest in digests.items()}
    except Exception as error:  # the times are shown, nothing depends on them
        print(f"warning: tracking: training times are not known ({first_line(error)})", file=sys.stderr)
        return {}
    return {model: run.train_seconds for model, run in found.items() if run and run.train_seconds is not None}
