"""The MLflow store: one for all runs of a checkout, whatever the command or folder that starts them."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.files import locked
from tiny_imagenet.tracking.store_errors import VARIABLE, store_error

MEMORY = ":memory:"
LOCK_SECONDS = 20  # to wait for a database that another process has locked, as MLflow does
TABLES = {"alembic_version", "experiments"}  # of every database of MLflow

logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # errors are reported here, in one line


def store_uri(root: Path) -> str:
    """Returns the URI of a main checkout's store: its `mlruns`, unless MLFLOW_TRACKING_URI names another.

    A relative path in the variable is relative to the checkout: DVC also runs a stage in a temporary one.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return _default_uri(root)
    path = store_path(named)
    return _sqlite_uri(make_url(named), root.resolve() / path) if path else named


def store_path(uri: str) -> Path | None:
    """Returns the file of an SQLite database, or None for another store."""
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        return None
    is_file = url.drivername.startswith("sqlite") and url.database and url.database != MEMORY
    return Path(url.database) if is_file and url.database and not url.database.startswith("file:") else None


def _default_uri(root: Path) -> str:
    return _sqlite_uri(URL.create("sqlite"), root / "mlruns" / "mlflow.db")


def _sqlite_uri(url: URL, path: Path) -> str:
    """Returns the URI of an absolute path, in which `%` and `?` are encoded."""
    plain, encoded = (os.path.normpath(path), os.path.normpath(path).replace("%", "%25").replace("?", "%3F"))
    # MLflow creates the folders of a `sqlite:///` path as it stands, encoded; with the driver's name it does not.
    scheme = "sqlite" if plain == encoded else "sqlite+pysqlite"
    query = url.set(database=None).render_as_string().partition("?")[2]
    return f"{scheme}:///{encoded}" + (f"?{query}" if query else "")


@contextmanager
def open_store(root: Path, experiment: str) -> Iterator[tuple[MlflowClient, str]]:
    """Yields a client of the store of a main checkout and the id of an experiment; creates both if missing.

    Raises:
        PipelineError: The store cannot be opened, or refuses a request inside the block.
    """
    root = root.resolve()
    with reported_errors(root):
        opened = connect(root, experiment)
    with reported_errors(root, (MlflowException, SQLAlchemyError)):
        yield opened


@contextmanager
def reported_errors(root: Path, kinds: tuple[type[Exception], ...] = (Exception,)) -> Iterator[None]:
    """Turns errors of the store into one line; by default all: MLflow, drivers and requests each have their own.

    Raises:
        PipelineError: The line, with advice for its cause.
    """
    try:
        yield
    except (InputError, PipelineError):
        raise
    except kinds as error:
        uri = store_uri(root.resolve())
        raise store_error(uri, error, is_default=uri == _default_uri(root.resolve())) from None


def connect(root: Path, experiment: str) -> tuple[MlflowClient, str]:
    """Returns what `open_store` yields; under a lock, since processes that create a store together would race.

    A try that fails leaves no new database.

    Raises:
        PipelineError: The database is another program's.
        Exception: The store does not answer; the type depends on it.
    """
    uri = store_uri(root)
    path = store_path(uri)
    folder = path.parent if path else root / "mlruns"
    with locked(folder), _removed_if_failed(path):
        if path:
            check_database(path)
        mlflow.set_tracking_uri(uri)
        client = MlflowClient()
        found = client.get_experiment_by_name(experiment)
        if found:
            if found.lifecycle_stage == "deleted":
                client.restore_experiment(found.experiment_id)
            return client, found.experiment_id
        return client, client.create_experiment(experiment, (folder / "artifacts").as_uri() if path else None)


def check_database(path: Path) -> None:
    """Checks that a database can be written, if there is one: MLflow would try to open it for two minutes.

    Raises:
        PipelineError: It is another program's.
        OSError: The path is a folder.
        sqlite3.Error: It is no database, damaged, locked or read-only.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not path.exists():
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=LOCK_SECONDS)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and not tables & TABLES:
            raise PipelineError(path, "is a database of another program", f"name another file in {VARIABLE}")
        database.execute("BEGIN IMMEDIATE").connection.rollback()


@contextmanager
def _removed_if_failed(path: Path | None) -> Iterator[None]:
    """Removes a database after an exception if there was none; under the lock, since another may create it, too."""
    is_new = path is not None and not path.exists()
    try:
        yield
    except BaseException:
        if path is not None and is_new:
            for suffix in ("", "-journal", "-wal", "-shm"):  # SQLite would apply a journal to the next database
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        raise
