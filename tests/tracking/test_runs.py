"""The MLflow run of a training: what it holds, how it ends, and what happens without its store."""

import getpass
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from tests.support.tiny_records import REPOSITORY

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.core.process import Stopped
from tiny_imagenet.core.run_record import RunRecord, flatten
from tiny_imagenet.tracking import runs
from tiny_imagenet.tracking.runs import TrackedRun, experiment_tags

SOURCE = str(REPOSITORY / "src")


RECORD = RunRecord(
    model="vgg",
    architecture="vgg",
    arguments={"filters": [4, 8]},
    recipe="paper",
    recipe_epochs=40,
    dataset="digits",
    seed=1,
    optimizer="sgd",
    lr=0.01,
    epochs=3,
    batch_size=8,
    device="CPU (2 cores)",
    versions={"python": "3.11.7"},
    data_sha256="ab" * 32,
)


def new_run(root: Path, run_id: str | None = None, **changes: Any) -> TrackedRun:
    return TrackedRun(root, RECORD.model_copy(update=changes), stage="train@vgg", run_id=run_id)


def epoch(number: int) -> dict[str, float]:
    return {"epoch": number, "loss": 1 / number, "val_loss": 2 / number}


def logged(run: TrackedRun, key: str = "loss") -> list[tuple[int, float]]:
    return [(metric.step, metric.value) for metric in run.client.get_metric_history(run.run_id, key)]


def status(run: TrackedRun) -> str:
    return str(run.client.get_run(run.run_id).info.status)


def run_and_raise(run: TrackedRun, error: BaseException) -> None:
    with run:
        raise error


def test_a_run_holds_inputs_metrics_and_tags(root: Path) -> None:
    with new_run(root) as run:
        run.log_inputs(Path("data/records"))
        for number in (1, 2, 3):
            run.log_epoch(epoch(number))
        assert run.logged_epochs() == 3
        assert status(run) == "RUNNING"
    found = run.client.get_run(run.run_id)
    assert (found.info.run_name, found.info.status) == ("vgg", "FINISHED")
    params = {key: str(value) for key, value in flatten(RECORD.model_dump()).items() if key != "data_sha256"}
    assert found.data.params == params
    expected = {"lr": "0.01", "augmentation.rescale_max": "False", "arguments.filters": "[4, 8]"}
    assert {key: params[key] for key in [*expected, "versions.python"]} == expected | {"versions.python": "3.11.7"}
    assert (found.data.tags["dvc.stage"], found.data.tags["dataset.sha256"]) == ("train@vgg", RECORD.data_sha256)
    assert found.data.tags["mlflow.note.content"] == (
        "`vgg` (vgg) on digits by recipe `paper`: 3 epochs of sgd at learning rate 0.01, batch size 8."
    )
    assert (found.data.tags["mlflow.source.name"], found.info.user_id) == ("dvc repro train@vgg", getpass.getuser())
    (entry,) = found.inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.source) == ("digits", "data/records")
    assert len(entry.dataset.digest) == 36
    assert RECORD.data_sha256.startswith(entry.dataset.digest)
    assert logged(run) == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert "epoch" not in found.data.metrics


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (Stopped("at step 3"), "KILLED"),
        (KeyboardInterrupt(), "KILLED"),
        (PipelineError("lr", "is too high", "lower it"), "FAILED"),
        (ZeroDivisionError(), "FAILED"),
    ],
)
def test_the_status_follows_from_how_the_run_ended(root: Path, error: BaseException, end: str) -> None:
    run = new_run(root)
    with pytest.raises(type(error)):
        run_and_raise(run, error)
    assert status(run) == end


def test_the_cost_is_logged_at_the_last_epoch(root: Path) -> None:
    with new_run(root) as run:
        run.log_result("cd" * 32, 1.5, {"train_flops": 7})
    assert logged(run, "train_seconds") == [(3, 1.5)]
    assert logged(run, "train_flops") == [(3, 7.0)]
    assert run.client.get_run(run.run_id).data.tags["model.sha256"] == "cd" * 32


def test_a_user_without_a_name_is_unknown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", fail)
    with new_run(root) as run:
        assert run.client.get_run(run.run_id).info.user_id == "unknown"


def test_a_model_that_cannot_be_logged_is_a_warning(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with new_run(root) as run:
        run.log_model(root / "missing.keras")
    assert capsys.readouterr().err.startswith("warning: tracking: ")
    assert status(run) == "FINISHED"


def test_a_run_is_resumed(root: Path) -> None:
    first = new_run(root)
    with pytest.raises(Stopped):
        run_and_raise(first, Stopped("at step 3"))
    with new_run(root, run_id=first.run_id, model="another") as second:
        assert second.run_id == first.run_id
        assert status(second) == "RUNNING"
    assert status(first) == "FINISHED"
    assert len(second.client.search_runs(["1"])) == 1


def test_the_same_inputs_can_be_logged_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with new_run(root) as run:
        run.log_inputs(Path("data/records"))
        before = run.client.get_run(run.run_id)
        run.log_inputs(Path("data/records"))
        after = run.client.get_run(run.run_id)
    assert capsys.readouterr().err == ""
    assert after.data.params == before.data.params
    assert len(after.inputs.dataset_inputs) == 1


def test_the_name_of_a_run_holds_the_dvc_experiment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "nutty-ibis")
    with new_run(root) as run:
        assert run.client.get_run(run.run_id).info.run_name == "vgg nutty-ibis"


def test_a_run_that_is_not_in_the_store_is_created_anew(root: Path) -> None:
    with new_run(root, run_id="0" * 32) as run:
        assert run.run_id != "0" * 32
        assert run.logged_epochs() == 0
    assert status(run) == "FINISHED"


def refuse(*_: Any, **__: Any) -> None:
    raise MlflowException("the store is\non fire")


def test_metrics_are_kept_until_the_store_answers(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with new_run(root) as run:
        run.log_epoch(epoch(1))
        with monkeypatch.context() as patch:
            patch.setattr(run.client, "log_batch", refuse)
            run.log_epoch(epoch(2))
            run.log_epoch(epoch(3))
        assert run.logged_epochs() == 1
        run.log_epoch(epoch(4))
        assert capsys.readouterr().err == "warning: tracking: the store is\n" * 2
    for key, factor in (("loss", 1), ("val_loss", 2)):
        assert logged(run, key) == [(number, factor / number) for number in (1, 2, 3, 4)]


def test_each_metric_is_sent_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, int]] = []

    def record(_: str, metrics: Any = ()) -> None:
        sent.extend((metric.key, metric.step) for metric in metrics)

    with new_run(root) as run:
        monkeypatch.setattr(run.client, "log_batch", record)
        run.log_epoch(epoch(1))
        run.log_epoch(epoch(2))
    assert sent == [("loss", 1), ("val_loss", 1), ("loss", 2), ("val_loss", 2)]


def test_kept_metrics_are_logged_at_the_end(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with new_run(root) as run:
        with monkeypatch.context() as patch:
            patch.setattr(run.client, "log_batch", refuse)
            run.log_epoch(epoch(1))
        assert logged(run) == []
    assert logged(run) == [(1, 1.0)]


def test_metrics_that_are_lost_are_counted_in_a_warning(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with new_run(root) as run:
        monkeypatch.setattr(run.client, "log_batch", refuse)
        monkeypatch.setattr(run.client, "log_inputs", refuse)
        monkeypatch.setattr(run.client, "set_terminated", refuse)
        run.log_inputs(Path("data/records"))
        run.log_epoch(epoch(1))
    assert "warning: tracking: 2 values were not logged; history.csv has them\n" in capsys.readouterr().err


@contextmanager
def locked_database(root: Path) -> Iterator[None]:
    with closing(
        sqlite3.connect(root / "mlruns" / "mlflow.db", isolation_level=None, check_same_thread=False)
    ) as other:
        other.execute("BEGIN EXCLUSIVE")
        unlock = threading.Timer(1.0, other.execute, ["ROLLBACK"])
        unlock.start()
        yield
        unlock.join()


def test_a_run_waits_for_a_locked_database(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with new_run(root) as run:
        with locked_database(root):
            run.log_epoch(epoch(1))
        assert capsys.readouterr().err == ""
    assert logged(run) == [(1, 1.0)]


@pytest.mark.slow
def test_a_database_locked_for_long_does_not_end_the_run(root: Path) -> None:
    with new_run(root) as run:
        with closing(sqlite3.connect(root / "mlruns" / "mlflow.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            run.log_epoch(epoch(1))
            other.execute("ROLLBACK")
        run.log_epoch(epoch(2))
    assert logged(run) == [(1, 1.0), (2, 0.5)]


def test_tags_name_stage_data_and_dvc_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_EXP_BASELINE_REV", raising=False)
    plain = experiment_tags("train@vgg", "ab")
    assert (plain["dvc.stage"], plain["dataset.sha256"]) == ("train@vgg", "ab")
    assert not plain.keys() & {"dvc.experiment", "dvc.baseline"}
    monkeypatch.setenv("DVC_EXP_NAME", "nutty-ibis")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "c0ffee")
    tags = experiment_tags("train@vgg", "ab")
    assert tags == plain | {"dvc.experiment": "nutty-ibis", "dvc.baseline": "c0ffee"}


@contextmanager
def server(folder: Path, port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--allowed-hosts", f"127.0.0.1:{port}", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, start_new_session=True, **quiet) as process:
        try:
            deadline = time.monotonic() + 90
            while not answers(port) and time.monotonic() < deadline:
                time.sleep(0.3)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
            return True
    except OSError:
        return False


@pytest.mark.slow
def test_a_server_that_is_down_for_a_while_gets_all_metrics(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with server(root / "mlruns", port):
        run = new_run(root)
        run.monitor_system()
        run.log_epoch(epoch(1))
    with run:
        run.log_epoch(epoch(2))
        with server(root / "mlruns", port):
            run.log_epoch(epoch(3))
            assert logged(run) == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
            run.__exit__(None)
            assert status(run) == "FINISHED"


def test_kept_metrics_have_the_time_of_their_epoch(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Metric] = []
    with new_run(root) as run:
        with monkeypatch.context() as patch:
            patch.setattr(run.client, "log_batch", refuse)
            patch.setattr(runs, "now_ms", lambda: 1000)
            run.log_epoch(epoch(1))
        monkeypatch.setattr(runs, "now_ms", lambda: 2000)
        run.log_epoch(epoch(2))
        sent = run.client.get_metric_history(run.run_id, "loss")
    assert [(metric.step, metric.timestamp) for metric in sent] == [(1, 1000), (2, 2000)]
