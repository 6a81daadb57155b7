"""The MLflow store: one for all runs of a checkout, created once."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import OperationalError
from tests.support.tiny_records import REPOSITORY

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.tracking import store
from tiny_imagenet.tracking.store import check_database, connect, open_store, store_path, store_uri
from tiny_imagenet.tracking.store_errors import first_line


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


def test_a_relative_database_is_the_same_from_any_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """DVC runs a stage of a temporary experiment in another folder, with DVC_ROOT."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlruns/mlflow.db")
    monkeypatch.chdir(root)
    with open_store(Path(), "digits") as (client, experiment_id):
        assert client.get_experiment(experiment_id).artifact_location == (root / "mlruns" / "artifacts").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlruns/mlflow.db")  # MLflow sets it
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with open_store(root, "digits") as (_, other_id):
        assert other_id == experiment_id
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ("sqlite:///runs.db", "{root}/runs.db"),
        ("sqlite:///../a/runs.db", "{root}/../a/runs.db"),
        ("sqlite:////a%20b/100%25/runs.db", "/a b/100%/runs.db"),
        ("sqlite:///a?timeout=5", "{root}/a"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("http://server:5000", None),
        ("postgresql://ann:word@server/db", None),
        ("https://[::1", None),
    ],
)
def test_the_file_of_a_store(tmp_path: Path, named: str, path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", named)
    expected = path and Path(os.path.normpath(path.format(root=tmp_path)))
    uri = store_uri(tmp_path)
    assert store_path(uri) == expected
    assert path or uri == named
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert store_uri(tmp_path) == uri


def test_any_character_may_stand_in_the_path(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "100%25 ?#&: \u0142'"
    shutil.copytree(empty_store, root / "mlruns")
    monkeypatch.chdir(tmp_path)
    with open_store(root, "digits") as (client, experiment_id):
        run_id = client.create_run(experiment_id).info.run_id
        client.log_text(run_id, "text", "file.txt")
    assert (root / "mlruns" / "artifacts" / run_id / "artifacts" / "file.txt").read_text() == "text"
    assert list(tmp_path.iterdir()) == [root]


def files_in(folder: Path) -> list[Path]:
    """Returns the files, without that of the lock, which stays."""
    return sorted(each for each in folder.rglob("*") if each.is_file() and each.name != ".lock")


def respond(status: int) -> HTTPServer:
    """Starts a server that answers every request with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "asks for credentials, or refuses them .*; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        (403, "denies access .*; check the credentials in MLFLOW_TRACKING_USERNAME"),
        (404, "is not the address of an MLflow server .*; set MLFLOW_TRACKING_URI to http"),
        (500, "reports an error of its own .*; see its log"),
        (None, "does not answer .*; start it, or unset MLFLOW_TRACKING_URI"),
    ],
)
def test_a_server_that_refuses(
    tmp_path: Path, status: int | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with respond(status or 0) as server:
        port = server.server_port if status else 9  # nothing listens there
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:s3cret@127.0.0.1:{port}")
        match = rf"http://\*\*\*@127\.0\.0\.1:{port}: {message}"
        with pytest.raises(PipelineError, match=match) as caught, open_store(tmp_path, "digits"):
            pass
        server.shutdown()
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("sqlite:///{root}/text.db", "is damaged, or not a database .*; restore a copy of it, or move it away"),
        ("sqlite:///{root}/folder", "cannot be opened .*; name a file in a folder that can be written"),
        ("sqlite:///{root}/text.db/mlflow.db", "cannot be opened .*; name a file in a folder that can be written"),
        ("sqlite:///other.db", "is a database of another program; name another file in MLFLOW_TRACKING_URI"),
        ("postgresql+nodriver://ann:s3cret@host/db", "is not the address of a store .*; set MLFLOW_TRACKING_URI to"),
        (
            "postgresql+pg8000://ann:s3cret@host/db",
            "needs a database driver that is not installed .*'pg8000'.*; install",
        ),
        ("ftp://ann:s3cret@host/runs", "is not the address of a store"),
        ("./mlruns", "is not the address of a store"),
        ("https://[::1", "is not the address of an MLflow server"),
    ],
)
def test_a_store_that_cannot_be_opened(
    tmp_path: Path, address: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.db").write_text("not a database" * 100)
    (tmp_path / "folder").mkdir()
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")
    before = files_in(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(root=tmp_path))
    with pytest.raises(PipelineError, match=message) as caught, open_store(tmp_path, "digits"):
        pass
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert files_in(tmp_path) == before


def test_a_locked_database(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.05)
    with closing(sqlite3.connect(root / "mlruns" / "mlflow.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        message = r"mlflow\.db: is locked by another process \(database is locked\); end that process"
        with pytest.raises(PipelineError, match=message), open_store(root, "digits"):
            pass
    check_database(root / "mlruns" / "mlflow.db")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MlflowException("refused\nand more"), r"does not answer \(refused\); start it$"),
        (MlflowException("(sqlite3.DatabaseError) database disk image is malformed"), "is damaged"),
        (
            OperationalError("x", {}, Exception("attempt to write a readonly database")),
            "is read-only .*; make the file",
        ),
        (MlflowException("Detected out-of-date database schema (found"), "another MLflow version .*mlflow db upgrade"),
    ],
)
def test_an_error_inside_the_block_is_one_line_too(root: Path, error: Exception, message: str) -> None:
    with pytest.raises(PipelineError, match=rf"mlflow\.db: .*{message}"), open_store(root, "digits"):
        raise error


@pytest.mark.parametrize(
    ("error", "line"), [(ValueError("one\ntwo"), "one"), (ValueError(" \n"), "ValueError"), (OSError(), "OSError")]
)
def test_the_first_line_of_an_error_or_its_type(error: Exception, line: str) -> None:
    assert first_line(error) == line


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MlflowException("refused")])
def test_a_first_try_that_fails_leaves_no_database(
    tmp_path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        for name in ("mlflow.db", "mlflow.db-journal", "mlflow.db-other"):
            (tmp_path / "mlruns" / name).touch()
        raise error

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", fail)
    with pytest.raises(type(error)):
        connect(tmp_path, "digits")
    assert [each.name for each in files_in(tmp_path)] == ["mlflow.db-other"]


def test_an_interrupt_before_the_lock_leaves_the_database_of_another(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both started without a database; the other created it while this one waited for the lock."""

    def wait(*_: object) -> None:
        shutil.copy(empty_store / "mlflow.db", tmp_path / "mlruns" / "mlflow.db")
        raise KeyboardInterrupt

    monkeypatch.setattr("fcntl.flock", wait)
    with pytest.raises(KeyboardInterrupt):
        connect(tmp_path, "digits")
    assert (tmp_path / "mlruns" / "mlflow.db").is_file()
    assert (tmp_path / "mlruns" / ".lock").is_file()


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
