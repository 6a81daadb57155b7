"""Logs the evaluation of a model to the MLflow run of its training, and downloads it."""

from __future__ import annotations

import io
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from PIL import Image
from sqlalchemy.exc import SQLAlchemyError

from tiny_imagenet.core.errors import InputError, first_line
from tiny_imagenet.scoring.metrics import STEP_METRICS
from tiny_imagenet.tracking.logged_models import find_logged_model
from tiny_imagenet.tracking.runs import now_ms
from tiny_imagenet.tracking.store import check_database, connect, store_path, store_uri
from tiny_imagenet.tracking.trained_runs import TRAIN_SECONDS, find_run
from tiny_imagenet.tracking.views import write_views

BEST = {
    f"val_{metric.key}": max if metric.higher_is_better else min for metric in STEP_METRICS
}  # of the epochs: the best value


def log_evaluation(
    root: Path,
    experiment: str,
    model_sha256: str,
    results: Mapping[str, float | str],
    folder: Path,
    images: Mapping[str, bytes],
) -> None:
    """Logs an evaluation to the finished run of its training; a failure, or no such run, is a warning.

    Logs floats as the metrics `final_val_*` at the last epoch, of the run and of its model; other results, such as
    counts, as tags `evaluation.*`; the best values of the epochs as `best_val_*`; the files of `folder`; and `images`
    both as files and in the charts.

    Args:
        root: The main checkout.
        experiment: The name of the dataset.
        model_sha256: Of the model's file.
        results: By name.
        folder: The files.
        images: PNG, by name.
    """
    try:
        client, experiment_id = connect(root.resolve(), experiment)
        run = find_run(client, experiment_id, model_sha256)
        if run is None:
            print(
                "warning: tracking: the evaluation was not logged: the store has no run of this model", file=sys.stderr
            )
            return
        run_id = run.run_id
        best, last = _best_epochs(client, run_id)
        final = _final_metrics(client, run_id, {k: v for k, v in results.items() if isinstance(v, float)}, last)
        tags = [RunTag(f"evaluation.{k}", str(v)) for k, v in results.items() if not isinstance(v, float)]
        client.log_batch(run_id, metrics=[*final, *best], tags=tags)
        write_views(client, experiment_id)
        client.log_artifacts(run_id, str(folder), "evaluation")
        for name, png in images.items():
            image = Image.open(io.BytesIO(png))
            client.log_image(run_id, image, artifact_file=f"evaluation/{name}.png")
            client.log_image(run_id, image, key=name, step=last)
    except Exception as error:  # the values are in files: no error of the store may end the stage
        print(f"warning: tracking: the evaluation was not logged ({first_line(error)})", file=sys.stderr)


def _final_metrics(client: MlflowClient, run_id: str, scores: Mapping[str, float], step: int) -> list[Metric]:
    """Returns the metrics of a run and, with the dataset, of its model."""
    run = client.get_run(run_id)
    model = find_logged_model(client, run.info.experiment_id, run_id)
    origin = {"model_id": model.model_id, "run_id": run_id} if model else {}
    for each in run.inputs.dataset_inputs[:1] if model else []:
        origin |= {"dataset_name": each.dataset.name, "dataset_digest": each.dataset.digest}
    return [Metric(f"final_val_{key}", value, now_ms(), step, **origin) for key, value in scores.items()]


def _best_epochs(client: MlflowClient, run_id: str) -> tuple[list[Metric], int]:
    """Returns the best value of each metric in BEST, the first among equals, and the last epoch."""
    found, last = [], 0
    for key, choose in BEST.items():
        if history := client.get_metric_history(run_id, key):
            best = choose(history, key=lambda metric: metric.value)
            found.append(Metric(f"best_{key}", best.value, now_ms(), best.step))
            last = max(metric.step for metric in history)
    return found, last


def download_evaluation(root: Path, run_id: str, folder: Path) -> tuple[Path, str, float | None]:
    """Downloads the files that `log_evaluation` logged.

    Returns:
        Their folder, the SHA-256 of the data's manifest, and the seconds of training if they were logged.

    Raises:
        InputError: There is no such store or run, or no evaluation was logged to it.
    """
    uri = store_uri(root.resolve())
    todo = "name a run that was evaluated, and with --root the checkout whose store has it"
    database = store_path(uri)
    if database and not database.is_file():
        raise InputError(database, "no such store", todo)  # the client would create one
    try:
        if database:
            check_database(database)
        client = MlflowClient(uri)
        path = client.download_artifacts(run_id, "evaluation", str(folder))
        data = client.get_run(run_id).data
        return Path(path), data.tags.get("dataset.sha256", ""), data.metrics.get(TRAIN_SECONDS)
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise InputError(f"run {run_id}", f"no evaluation of it is in the store ({first_line(error)})", todo) from None
