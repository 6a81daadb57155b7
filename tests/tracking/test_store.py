"""The MLflow store: one for all runs of a checkout, created once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from tests.support.tiny_records import REPOSITORY

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.tracking.store import connect, first_line, open_store, store_uri


def test_the_store_is_a_database_in_mlruns_unless_the_environment_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store_uri(tmp_path) == f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert store_uri(tmp_path) == "http://server:5000"


def test_the_store_has_absolute_paths(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(root)
    with open_store(Path(), "digits") as (client, experiment_id):
        location = client.get_experiment(experiment_id).artifact_location
    assert location == (root / "mlruns" / "artifacts").as_uri()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # which MLflow sets
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))  # as `dvc exp run --temp` does, with DVC_ROOT
    with open_store(root, "digits") as (_, other_id):
        assert other_id == experiment_id
    assert not Path("mlruns").exists()


def test_a_deleted_experiment_is_restored(root: Path) -> None:
    client, experiment_id = connect(root, "digits")
    client.delete_experiment(experiment_id)
    assert connect(root, "digits")[1] == experiment_id
    assert client.get_experiment(experiment_id).lifecycle_stage == "active"


def test_a_store_that_does_not_answer_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    message = r"http://127\.0\.0\.1:9: does not answer .*unset MLFLOW_TRACKING_URI"
    with pytest.raises(PipelineError, match=message) as caught, open_store(tmp_path, "digits"):
        pass
    assert "\n" not in str(caught.value)


def test_an_error_inside_the_block_is_one_line_too(root: Path) -> None:
    with pytest.raises(PipelineError, match=r"mlflow\.db: does not answer \(refused\)"), open_store(root, "digits"):
        raise MlflowException("refused\nand more")


@pytest.mark.parametrize(
    ("error", "line"), [(ValueError("one\ntwo"), "one"), (ValueError(" \n"), "ValueError"), (OSError(), "OSError")]
)
def test_the_first_line_of_an_error_or_its_type(error: Exception, line: str) -> None:
    assert first_line(error) == line


CODE = """
import sys
from pathlib import Path
from tiny_imagenet.tracking.store import open_store

print("ready", flush=True)
input()
with open_store(Path(sys.argv[1]), "digits") as (client, experiment_id):
    run = client.create_run(experiment_id)
    client.log_metric(run.info.run_id, "loss", 0.5)
"""


def test_several_processes_create_the_store_once(tmp_path: Path) -> None:
    """There is no store yet: each process would create its tables and its experiment."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CODE, str(tmp_path)],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
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
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    assert sorted(each.name for each in client.search_experiments()) == ["Default", "digits"]
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    assert [run.data.metrics["loss"] for run in runs] == [0.5] * 3
