"""The MLflow run of a training."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset as DatasetEntity
from mlflow.entities import DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from tiny_imagenet.core.errors import first_line
from tiny_imagenet.core.process import Stopped
from tiny_imagenet.core.run_record import RunRecord, flatten
from tiny_imagenet.core.streams import redact
from tiny_imagenet.tracking.logged_models import DESCRIPTION, log_keras_file
from tiny_imagenet.tracking.store import open_store
from tiny_imagenet.tracking.trained_runs import MODEL_SHA256, TRAIN_SECONDS, dataset_digest

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
                tags = experiment_tags(stage, record.data_sha256) | {DESCRIPTION: describe_training(record)}
                tags |= {"debug": str(record.debug)} if record.debug else {}
                mark = "(debug)" if record.debug else None
                title = " ".join(filter(None, (record.model, tags.get("dvc.experiment"), mark)))  # shown in charts
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
        params = [Param(key, value) for key, value in self._params().items()]
        digest = dataset_digest(self.record.data_sha256)
        entity = DatasetEntity(name=self.record.dataset, digest=digest, source_type="tfrecord", source=str(records))
        tag = InputTag("mlflow.data.context", "training")
        self._try(lambda: self.client.log_inputs(self.run_id, [DatasetInput(entity, [tag])]))
        self._try(lambda: self.client.log_batch(self.run_id, params=params))

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

    def log_result(self, model_sha256: str, seconds: float, costs: Mapping[str, float] | None = None) -> None:
        """Logs the digest of the model's file, by which `find_run` finds this run, and the training's cost.

        Args:
            model_sha256: Of the model's file.
            seconds: Of all steps.
            costs: Counts that do not depend on the machine, by name.
        """
        values = {TRAIN_SECONDS: seconds, **(costs or {})}
        metrics = [Metric(key, float(value), now_ms(), self.record.epochs) for key, value in values.items()]
        self._try(lambda: self.client.set_tag(self.run_id, MODEL_SHA256, model_sha256))
        self._try(lambda: self.client.log_batch(self.run_id, metrics=metrics))

    def log_model(self, path: Path) -> None:
        """Logs the model's `.keras` file as a model that answers pictures with classes, named like the model."""
        record, text = self.record, describe_training(self.record)
        self._try(lambda: log_keras_file(self.run_id, record.model, path, text, self._params(), record.epochs))

    def _params(self) -> dict[str, str]:
        params = flatten(self.record.model_dump(exclude={"data_sha256"}))
        return {key: redact(str(value)) for key, value in params.items()}

    def _try(self, call: Any) -> bool:
        try:
            call()
        except Exception as error:  # no error of the store may end a training
            print(f"warning: tracking: {first_line(error)}", file=sys.stderr)
            return False
        return True


def describe_training(record: RunRecord) -> str:
    """Returns the description of a run: a sentence on its model, recipe and data."""
    recipe = f"recipe `{record.recipe}`: {record.epochs} epochs of {record.optimizer} at learning rate {record.lr:g}"
    return f"`{record.model}` ({record.architecture}) on {record.dataset} by {recipe}, batch size {record.batch_size}."


def experiment_tags(stage: str, data_sha256: str) -> dict[str, str]:
    """Returns the tags of a run's origin: user, DVC stage, experiment and baseline, commit, and data."""
    tags = {"dvc.stage": stage, "dataset.sha256": data_sha256}
    tags |= {"mlflow.user": _user(), "mlflow.source.name": f"dvc repro {stage}", "mlflow.source.type": "LOCAL"}
    for tag, variable in (("dvc.experiment", "DVC_EXP_NAME"), ("dvc.baseline", "DVC_EXP_BASELINE_REV")):
        if value := os.environ.get(variable):
            tags[tag] = value
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if commit.returncode == 0:
        tags["mlflow.source.git.commit"] = commit.stdout.strip()
    return tags


def _user() -> str:
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (ImportError, KeyError, OSError):  # a user without an entry in the user database
        return "unknown"


def now_ms() -> int:
    """Returns the time in milliseconds, the unit of MLflow's timestamps."""
    return int(time.time() * 1000)
