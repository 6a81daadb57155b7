"""The MLflow run of a training."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
from mlflow.entities import Dataset as DatasetEntity
from mlflow.entities import DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.types import Schema, TensorSpec

from tiny_imagenet.core.process import Stopped
from tiny_imagenet.core.run_record import RunRecord, flatten
from tiny_imagenet.core.streams import redact
from tiny_imagenet.tracking.store import open_store
from tiny_imagenet.tracking.store_errors import first_line
from tiny_imagenet.tracking.trained_runs import MODEL_SHA256, TRAIN_SECONDS

Row = Mapping[str, float]
GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE")  # the run was deleted


class TrackedRun:
    """A run in the MLflow store, in the experiment named after the dataset.

    Args:
        root: The main checkout; its `mlruns` is the store unless MLFLOW_TRACKING_URI names another.
        record: The record of the training.
        stage: The DVC stage, such as "train@vgg".
        run_id: The run to resume; None, or a run that the store lacks: a new one is created.
    """

    def __init__(self, root: Path, record: RunRecord, *, stage: str, run_id: str | None = None) -> None:
        self.record = record
        self._pending: list[Metric] = []
        self._monitor: SystemMetricsMonitor | None = None
        with open_store(root, record.dataset) as (self.client, experiment_id):
            if not run_id or not self._reopen(run_id):
                tags = experiment_tags(stage, record.data_sha256)
                title = " ".join(filter(None, (record.model, tags.get("dvc.experiment"))))  # shown in charts
                self.run_id = self.client.create_run(experiment_id, run_name=title, tags=tags).info.run_id

    def __enter__(self) -> TrackedRun:
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends the run as FINISHED, KILLED (after a request to stop) or FAILED."""
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
        """Resumes a run; returns whether the store has it."""
        try:
            self.client.update_run(run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code not in GONE:
                raise
            return False
        self.run_id = run_id
        return True

    def log_inputs(self, records: Path) -> None:
        """Logs the record as parameters, and the dataset in `records` with its digest as an input."""
        params = flatten(self.record.model_dump(exclude={"data_sha256"}))
        digest = self.record.data_sha256[:36]
        entity = DatasetEntity(name=self.record.dataset, digest=digest, source_type="tfrecord", source=str(records))
        tag = InputTag("mlflow.data.context", "training")
        self._try(lambda: self.client.log_inputs(self.run_id, [DatasetInput(entity, [tag])]))
        self._try(
            lambda: self.client.log_batch(self.run_id, params=[Param(k, redact(str(v))) for k, v in params.items()])
        )

    def monitor_system(self) -> None:
        """Logs CPU, memory and GPU use until the end of the run."""
        self._monitor = SystemMetricsMonitor(self.run_id, resume_logging=True)
        self._monitor.start()

    def log_epoch(self, row: Row) -> None:
        """Logs the metrics of an epoch, with the epoch as step.

        Metrics that the store does not accept are kept, and logged with those of the next epoch.
        """
        now = now_ms()
        self._pending += [
            Metric(key, float(value), now, int(row["epoch"])) for key, value in row.items() if key != "epoch"
        ]
        self._flush()

    def _flush(self) -> bool:
        if done := self._try(lambda: self.client.log_batch(self.run_id, metrics=self._pending)):
            self._pending = []
        return done

    def logged_epochs(self) -> int:
        """Returns the last epoch whose metrics are in the store, or 0."""
        history: list[Metric] = []
        self._try(lambda: history.extend(self.client.get_metric_history(self.run_id, "loss")))
        return max((metric.step for metric in history), default=0)

    def log_result(self, model_sha256: str, seconds: float) -> None:
        """Logs the digest of the model's file, by which `find_run` finds this run, and the time of all its steps."""
        self._try(lambda: self.client.set_tag(self.run_id, MODEL_SHA256, model_sha256))
        self._try(lambda: self.client.log_metric(self.run_id, TRAIN_SECONDS, seconds))

    def log_model(self, model: Any, image_size: int) -> None:
        """Logs a Keras model for `mlflow.keras.load_model`, with its signature and an input example.

        The example is synthetic: the license of a dataset may not allow its images in a model's files.
        """
        import keras
        import tensorflow

        signature = ModelSignature(
            Schema([TensorSpec(np.dtype(np.float32), (-1, image_size, image_size, 3))]),
            Schema([TensorSpec(np.dtype(np.float32), (-1, *model.output_shape[1:]))]),
        )
        requirements = [f"keras=={keras.__version__}", f"tensorflow=={tensorflow.__version__}"]

        def log() -> None:
            with mlflow.start_run(run_id=self.run_id, log_system_metrics=False):
                mlflow.models.Model.log(
                    None,
                    flavor=SimpleNamespace(__name__="mlflow.keras", save_model=_save_keras),
                    name="model",
                    model=model,
                    signature=signature,
                    input_example=_ramps(image_size),
                    pip_requirements=requirements,
                    validate_serving_input=False,  # it would load the model again
                )

        self._try(log)

    def _try(self, call: Any) -> bool:
        try:
            call()
        except Exception as error:  # no error of the store may end a training
            print(f"warning: tracking: {first_line(error)}", file=sys.stderr)
            return False
        return True


def experiment_tags(stage: str, dataset_digest: str) -> dict[str, str]:
    """Returns the tags of a run's origin: DVC stage, experiment and baseline, commit, and data."""
    tags = {"dvc.stage": stage, "dataset.sha256": dataset_digest}
    for tag, variable in (("dvc.experiment", "DVC_EXP_NAME"), ("dvc.baseline", "DVC_EXP_BASELINE_REV")):
        if value := os.environ.get(variable):
            tags[tag] = value
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if commit.returncode == 0:
        tags["mlflow.source.git.commit"] = commit.stdout.strip()
    return tags


def _save_keras(path: str, validate_serving_input: bool, **arguments: Any) -> None:
    """Calls `mlflow.keras.save_model` after creating the folder that it needs for the input example (mlflow#16183)."""
    Path(path).mkdir()
    mlflow.keras.save_model(path=path, **arguments)


def _ramps(size: int) -> np.ndarray:
    """Returns an image, float32 (1, size, size, 3): red increases to the right, green downwards."""
    ramp = np.linspace(0, 255, size).round().astype(np.float32)
    red, green = np.meshgrid(ramp, ramp)
    return np.stack([red, green, np.full_like(red, 128)], axis=-1)[np.newaxis]


def now_ms() -> int:
    """Returns the time in milliseconds, the unit of MLflow's timestamps."""
    return int(time.time() * 1000)
