import io
import os
import shutil
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
from mlflow.tracking import MlflowClient
from PIL import Image
from tests.support.tiny_records import REPOSITORY

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.core.process import Stopped
from tiny_imagenet.tracking import runs as tracking
from tiny_imagenet.tracking.evaluations import log_evaluation
from tiny_imagenet.tracking.runs import Run, experiment_tags

SOURCE = str(REPOSITORY / "src")


@pytest.fixture
def root(tmp_path: Path, empty_store: Path) -> Path:
    shutil.copytree(empty_store, tmp_path / "mlruns")
    return tmp_path


def new_run(root: Path, **arguments: Any) -> Run:
    return Run(root, "digits", **{"name": "vgg", "tags": {"dvc.stage": "train@vgg"}} | arguments)


def epoch(number: int) -> dict[str, float]:
    return {"epoch": number, "loss": 1 / number, "val_loss": 2 / number}


def logged(run: Run, key: str = "loss") -> list[tuple[int, float]]:
    return [(metric.step, metric.value) for metric in run.client.get_metric_history(run.run_id, key)]


def status(run: Run) -> str:
    return str(run.client.get_run(run.run_id).info.status)


def run_and_raise(run: Run, error: BaseException) -> None:
    with run:
        raise error


def test_a_run_holds_inputs_metrics_and_tags(root: Path) -> None:
    with new_run(root) as run:
        run.log_inputs({"lr": 0.01, "augmentation.stretch": False}, "digits", "ab" * 32, "data/records")
        for number in (1, 2, 3):
            run.log_epoch(epoch(number))
        assert run.logged_epochs() == 3
        assert status(run) == "RUNNING"
    found = run.client.get_run(run.run_id)
    assert (found.info.run_name, found.info.status) == ("vgg", "FINISHED")
    assert found.data.params == {"lr": "0.01", "augmentation.stretch": "False"}
    assert found.data.tags["dvc.stage"] == "train@vgg"
    (entered,) = found.inputs.dataset_inputs
    assert entered.dataset.name == "digits"
    assert ("ab" * 32).startswith(entered.dataset.digest)
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
def test_the_status_tells_how_a_run_ended(root: Path, error: BaseException, end: str) -> None:
    run = new_run(root)
    with pytest.raises(type(error)):
        run_and_raise(run, error)
    assert status(run) == end


def test_a_run_is_gone_on_with(root: Path) -> None:
    first = new_run(root)
    with pytest.raises(Stopped):
        run_and_raise(first, Stopped("at step 3"))
    with new_run(root, run_id=first.run_id, name="another") as second:
        assert second.run_id == first.run_id
        assert status(second) == "RUNNING"
        second.log_inputs({"lr": 0.01}, "digits", "ab" * 32, "data/records")
        second.log_inputs({"lr": 0.01}, "digits", "ab" * 32, "data/records")
    assert status(first) == "FINISHED"
    assert len(second.client.search_runs(["1"])) == 1


def test_a_run_that_the_store_lacks_is_begun_anew(root: Path) -> None:
    with new_run(root, run_id="0" * 32) as run:
        assert run.run_id != "0" * 32
        assert run.logged_epochs() == 0
    assert status(run) == "FINISHED"


def test_the_store_lies_below_the_root_with_absolute_paths(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(root)
    with new_run(Path()) as run:
        pass
    location = run.client.get_experiment_by_name("digits").artifact_location
    assert location == (root / "mlruns" / "artifacts").as_uri()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))  # as `dvc exp run --temp` does, with DVC_ROOT
    with new_run(root) as other:
        pass
    assert len(other.client.search_runs(["1"])) == 2
    assert not Path("mlruns").exists()


def refuse(*_: Any, **__: Any) -> None:
    raise MlflowException("the store is\non fire")


def test_metrics_wait_until_the_store_is_back(
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


def test_metrics_that_wait_are_logged_at_the_end(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with new_run(root) as run:
        with monkeypatch.context() as patch:
            patch.setattr(run.client, "log_batch", refuse)
            run.log_epoch(epoch(1))
        assert logged(run) == []
    assert logged(run) == [(1, 1.0)]


def test_what_is_lost_is_said(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with new_run(root) as run:
        monkeypatch.setattr(run.client, "log_batch", refuse)
        monkeypatch.setattr(run.client, "log_inputs", refuse)
        monkeypatch.setattr(run.client, "set_terminated", refuse)
        run.log_inputs({}, "digits", "ab" * 32, "data/records")
        run.log_epoch(epoch(1))
    assert "warning: tracking: 2 values were not logged; history.csv has them\n" in capsys.readouterr().err


@contextmanager
def locked(root: Path) -> Iterator[None]:
    with closing(
        sqlite3.connect(root / "mlruns" / "mlflow.db", isolation_level=None, check_same_thread=False)
    ) as other:
        other.execute("BEGIN EXCLUSIVE")
        unlock = threading.Timer(1.0, other.execute, ["ROLLBACK"])
        unlock.start()
        yield
        unlock.join()


def test_a_locked_database_is_waited_for(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with new_run(root) as run:
        with locked(root):
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


def test_a_store_that_does_not_answer_at_the_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(
        PipelineError, match=r"http://127\.0\.0\.1:9: does not answer .*unset MLFLOW_TRACKING_URI"
    ) as caught:
        new_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_evaluation_is_added_to_its_run(root: Path) -> None:
    with new_run(root) as run:
        for number, loss in enumerate((3.0, 1.0, 2.0), start=1):
            run.log_epoch({"epoch": number, "val_loss": loss, "val_top_1_accuracy": 1 / loss, "lr": 0.1})
    folder = root / "metrics"
    folder.mkdir()
    (folder / "per_class.csv").write_text("a\n")
    png = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(png, "PNG")
    log_evaluation(root, "digits", run.run_id, {"loss": 0.5}, folder, {"confusion": png.getvalue()})
    found = run.client.get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert logged(run, "final_val_loss") == [(3, 0.5)]
    assert logged(run, "best_val_loss") == [(2, 1.0)]
    assert logged(run, "best_val_top_1_accuracy") == [(2, 1.0)]
    assert not {"best_val_top_5_accuracy", "best_lr"} & found.data.metrics.keys()
    files = [file.path for file in run.client.list_artifacts(run.run_id, "evaluation")]
    assert files == ["evaluation/confusion.png", "evaluation/per_class.csv"]
    with Image.open(run.client.download_artifacts(run.run_id, files[0])) as picture:
        assert picture.size == (40, 30)
    assert any("confusion" in file.path for file in run.client.list_artifacts(run.run_id, "images"))  # in the charts
    assert len(list((root / "mlruns" / "artifacts").rglob("per_class.csv"))) == 1


def test_an_evaluation_without_its_run_is_a_warning(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_evaluation(root, "digits", "0" * 32, {"loss": 0.5}, root, {})
    assert capsys.readouterr().err.startswith("warning: tracking: the evaluation was not logged (")


def test_tags_tell_where_a_run_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_EXP_BASELINE_REV", raising=False)
    plain = experiment_tags("train@vgg", "ab")
    assert (plain["dvc.stage"], plain["dataset.sha256"]) == ("train@vgg", "ab")
    assert not plain.keys() & {"dvc.experiment", "dvc.baseline"}
    monkeypatch.setenv("DVC_EXP_NAME", "nutty-ibis")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "c0ffee")
    tags = experiment_tags("train@vgg", "ab")
    assert tags == plain | {"dvc.experiment": "nutty-ibis", "dvc.baseline": "c0ffee"}


def test_several_processes_make_the_store_once(tmp_path: Path) -> None:
    """No store is there yet: each would create its tables and its experiment."""
    code = (
        "import sys, time; from pathlib import Path; from tiny_imagenet.tracking.runs import Run\n"
        "print('ready', flush=True); input()\n"
        "with Run(Path(sys.argv[1]), 'digits', name='vgg', tags={}) as run: run.log_epoch({'epoch': 1, 'loss': 0.5})"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            env=os.environ | {"PYTHONPATH": SOURCE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    assert not any("warning" in error for error in errors), errors
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    names = sorted(each.name for each in client.search_experiments())
    assert names == ["Default", "digits"]
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    assert [(run.info.status, run.data.metrics["loss"]) for run in runs] == [("FINISHED", 0.5)] * 3


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
def test_a_server_that_dies_in_mid_run_gets_the_metrics_when_it_is_back(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_metrics_are_stamped_with_the_time_of_their_epoch(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Metric] = []
    with new_run(root) as run:
        with monkeypatch.context() as patch:
            patch.setattr(run.client, "log_batch", refuse)
            patch.setattr(tracking, "now_ms", lambda: 1000)
            run.log_epoch(epoch(1))
        monkeypatch.setattr(tracking, "now_ms", lambda: 2000)
        run.log_epoch(epoch(2))
        sent = run.client.get_metric_history(run.run_id, "loss")
    assert [(metric.step, metric.timestamp) for metric in sent] == [(1, 1000), (2, 2000)]
