"""MLflow: the only file that imports it. One store for every run, whichever command or folder it was started from."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A lost server must not hold up a training.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import numpy as np
from mlflow.entities import Dataset as DatasetEntity
from mlflow.entities import DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from tiny_imagenet.errors import InputError, PipelineError
from tiny_imagenet.files import locked
from tiny_imagenet.lifecycle import Stopped

Row = Mapping[str, float]
GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE")  # the run was deleted
SQLITE = "sqlite:///"

logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # what goes wrong is told here, in one line


class Run:
    """A run in the tracking store.

    Args:
        root: The main checkout; its `mlruns` is the store unless MLFLOW_TRACKING_URI names another.
        experiment: The name of the experiment.
        run_id: An earlier run to go on with, or None for a new one.
        name: The name of a new run.
        tags: The tags of a new run.
    """

    def __init__(
        self,
        root: Path,
        experiment: str,
        *,
        run_id: str | None = None,
        name: str,
        tags: Mapping[str, str],
    ) -> None:
        self._pending: list[Metric] = []
        self._monitor: SystemMetricsMonitor | None = None
        try:
            self.client, experiment_id = _open_store(root.resolve(), experiment)
            if not run_id or not self._reopen(run_id):
                self.run_id = self.client.create_run(experiment_id, run_name=name, tags=dict(tags)).info.run_id
        except MlflowException as error:
            todo = "start it, or unset MLFLOW_TRACKING_URI"
            raise PipelineError(_store_uri(root), f"does not answer ({_first_line(error)})", todo) from None

    def __enter__(self) -> Run:
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends the run by what ended the block: FINISHED, KILLED (asked to stop) or FAILED."""
        if self._monitor:
            self._monitor.finish()
        if self._pending and not self._flush():
            print(
                f"warning: tracking: {len(self._pending)} values were not logged; history.csv has them", file=sys.stderr
            )
        stopped = kind is not None and issubclass(kind, (Stopped, KeyboardInterrupt))
        status = "KILLED" if stopped else "FAILED" if kind else "FINISHED"
        self._try(lambda: self.client.set_terminated(self.run_id, status))

    def _reopen(self, run_id: str) -> bool:
        """Goes on with an earlier run, if the store has it."""
        try:
            self.client.update_run(run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code not in GONE:
                raise
            return False
        self.run_id = run_id
        return True

    def log_inputs(self, params: Mapping[str, Any], dataset: str, digest: str, source: str) -> None:
        """Logs the parameters and, as an MLflow input, the dataset with the digest of its content."""
        entity = DatasetEntity(name=dataset, digest=digest[:36], source_type="tfrecord", source=source)
        tag = InputTag("mlflow.data.context", "training")
        self._try(lambda: self.client.log_inputs(self.run_id, [DatasetInput(entity, [tag])]))
        self._try(lambda: self.client.log_batch(self.run_id, params=[Param(k, str(v)) for k, v in params.items()]))

    def monitor_system(self) -> None:
        """Logs processor, memory and GPU use from now on to the run's end."""
        self._monitor = SystemMetricsMonitor(self.run_id, resume_logging=True)
        self._monitor.start()

    def log_epoch(self, row: Row) -> None:
        """Logs an epoch's metrics, the epoch as step, with those that could not be logged before.

        While the store does not answer, metrics are kept and the training goes on.
        """
        now = _now()
        self._pending += [
            Metric(key, float(value), now, int(row["epoch"])) for key, value in row.items() if key != "epoch"
        ]
        self._flush()

    def _flush(self) -> bool:
        if done := self._try(lambda: self.client.log_batch(self.run_id, metrics=self._pending)):
            self._pending = []
        return done

    def logged_epochs(self) -> int:
        """Returns the last epoch whose metrics the store holds."""
        history: list[Metric] = []
        self._try(lambda: history.extend(self.client.get_metric_history(self.run_id, "loss")))
        return max((metric.step for metric in history), default=0)

    def log_model(self, model: Any) -> None:
        """Logs a Keras model with its signature, as `mlflow.keras.load_model` reads it."""
        import keras
        import tensorflow

        signature = ModelSignature(
            Schema([TensorSpec(np.dtype(np.float32), (-1, *model.input_shape[1:]))]),
            Schema([TensorSpec(np.dtype(np.float32), (-1, *model.output_shape[1:]))]),
        )
        requirements = [f"keras=={keras.__version__}", f"tensorflow=={tensorflow.__version__}"]

        def log() -> None:
            with mlflow.start_run(run_id=self.run_id, log_system_metrics=False):
                mlflow.keras.log_model(model, name="model", signature=signature, pip_requirements=requirements)

        self._try(log)

    def _try(self, call: Any) -> bool:
        try:
            call()
        except Exception as error:  # whatever the store's client raises must not end a training
            print(f"warning: tracking: {_first_line(error)}", file=sys.stderr)
            return False
        return True


def experiment_tags(stage: str, dataset_digest: str) -> dict[str, str]:
    """Returns the tags that tell where a run comes from: DVC experiment, baseline commit, stage, data."""
    tags = {"dvc.stage": stage, "dataset.sha256": dataset_digest}
    for tag, variable in (("dvc.experiment", "DVC_EXP_NAME"), ("dvc.baseline", "DVC_EXP_BASELINE_REV")):
        if value := os.environ.get(variable):
            tags[tag] = value
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if commit.returncode == 0:
        tags["mlflow.source.git.commit"] = commit.stdout.strip()
    return tags


def log_evaluation(root: Path, experiment: str, run_id: str, metrics: Mapping[str, float], folder: Path) -> None:
    """Adds final values and the files of a folder to a run that has ended; warns if the store lacks it."""
    try:
        client, _ = _open_store(root.resolve(), experiment)
        client.log_batch(run_id, metrics=[Metric(f"final_val_{k}", float(v), _now(), 0) for k, v in metrics.items()])
        client.log_artifacts(run_id, str(folder), "evaluation")
    except Exception as error:  # the files have the values: a store that is gone must not fail the stage
        print(f"warning: tracking: the evaluation was not logged ({_first_line(error)})", file=sys.stderr)


def download_evaluation(root: Path, run_id: str, folder: Path) -> tuple[Path, str]:
    """Fetches what `log_evaluation` added to a run; returns where it lies, and the digest of the data's manifest.

    Raises:
        InputError: The store has no such run, or nothing was added to it.
    """
    uri = _store_uri(root.resolve())
    todo = "name a run that was evaluated, and with --root the checkout whose store has it"
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).is_file():
        raise InputError(uri.removeprefix(SQLITE), "no such store", todo)  # the client would make one
    try:
        client = MlflowClient(uri)
        path = client.download_artifacts(run_id, "evaluation", str(folder))
        return Path(path), client.get_run(run_id).data.tags.get("dataset.sha256", "")
    except (MlflowException, OSError) as error:
        raise InputError(f"run {run_id}", f"no evaluation of it is in the store ({_first_line(error)})", todo) from None


def _now() -> int:
    return int(time.time() * 1000)


def _store_uri(root: Path) -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{root / 'mlruns' / 'mlflow.db'}"


def _open_store(root: Path, experiment: str) -> tuple[MlflowClient, str]:
    """Opens the store and the experiment, making both once: two processes at it at the same time would race."""
    uri = _store_uri(root)
    is_file = uri.startswith(SQLITE)
    store = Path(uri.removeprefix(SQLITE)).parent if is_file else root / "mlruns"
    with locked(store):
        mlflow.set_tracking_uri(uri)
        client = MlflowClient()
        found = client.get_experiment_by_name(experiment)
        if found:
            if found.lifecycle_stage == "deleted":
                client.restore_experiment(found.experiment_id)
            return client, found.experiment_id
        return client, client.create_experiment(experiment, (store / "artifacts").as_uri() if is_file else None)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
