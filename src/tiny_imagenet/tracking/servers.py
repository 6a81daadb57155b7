"""Servers of MLflow on this machine: its UI, and a registered model over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.tracking.store import check_database, reported_errors, store_path, store_uri
from tiny_imagenet.tracking.store_errors import first_line
from tiny_imagenet.tracking.views import GROUPED, TRAINING, view_link, write_views

HOST = "127.0.0.1"
POLL_SECONDS = 0.3


def serve_ui(root: Path, port: int) -> int:
    """Starts the UI on a main checkout's store, and prints the link of its newest experiment; returns its exit status.

    A store that is a server has a UI already: prints the link only.
    """
    uri = store_uri(root.resolve())
    if uri.startswith(("http://", "https://")):
        with reported_errors(root):
            print(ui_links(uri, uri))
        return 0
    (root / "mlruns").mkdir(exist_ok=True)
    address = f"http://{HOST}:{port}"
    with reported_errors(root):
        if path := store_path(uri):
            check_database(path)
        links = ui_links(uri, address)
    command = [
        "server",
        "--backend-store-uri",
        uri,
        "--default-artifact-root",
        str(root.resolve() / "mlruns/artifacts"),
    ]
    command += ["--host", HOST, "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning"]
    # MLflow's default of allowed hosts also takes names that begin like a private address.
    command += ["--allowed-hosts", f"{HOST}:{port},localhost:{port}"]
    return _serve(command, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}, f"{address}/health", links)


def serve_model(root: Path, model: str, port: int) -> int:
    """Starts a server of a registered model; returns its exit status.

    Args:
        root: The main checkout, whose store has the model.
        model: Such as "models:/NAME@champion".
        port: On 127.0.0.1.

    Raises:
        InputError: The store has no such model.
    """
    uri = store_uri(root.resolve())
    with reported_errors(root):
        _require_model(uri, model)
    command = ["models", "serve", "--model-uri", model, "--env-manager", "local", "--workers", "1"]
    command += ["--host", HOST, "--port", str(port)]
    address = f"http://{HOST}:{port}"
    text = f"\n{model} answers pictures that are posted to {address}/invocations\n"
    return _serve(command, {"MLFLOW_TRACKING_URI": uri}, f"{address}/ping", text)


def ui_links(uri: str, address: str) -> str:
    """Sets the views of a store's experiments; returns the links of the one with the newest run.

    Args:
        uri: The store.
        address: Of the UI.
    """
    client = MlflowClient(uri)
    ids = [each.experiment_id for each in client.search_experiments()]
    newest = client.search_runs(ids, order_by=["attributes.start_time DESC"], max_results=1)
    for run in newest:
        for experiment_id in ids:
            write_views(client, experiment_id)
        links = {key: view_link(address, run.info.experiment_id, key) for key in (TRAINING, GROUPED)}
        return f"\nTraining runs, best first: {links[TRAINING]}\nGrouped by DVC experiment: {links[GROUPED]}\n"
    return f"\nNo runs yet: `make demo` or `dvc repro` logs some. The UI: {address}\n"


def _require_model(uri: str, model: str) -> None:
    name, _, alias = model.removeprefix("models:/").partition("@")
    if not alias:
        return  # a version or a logged model: MLflow's own message names it
    try:
        MlflowClient(uri).get_model_version_by_alias(name, alias)
    except MlflowException as error:
        todo = "register one with `report.champion: true` in params.yaml and `dvc repro`, or name another with --model"
        raise InputError(model, f"no such model in the store ({first_line(error)})", todo) from None


def _serve(command: Sequence[str], environment: Mapping[str, str], health: str, text: str) -> int:
    """Runs a command of MLflow until it ends; prints a text once it answers.

    Args:
        command: The arguments of `mlflow`.
        environment: Variables to set.
        health: The address that answers once the server is ready.
        text: What to print then.
    """
    words = [sys.executable, "-m", "mlflow", *command]
    with subprocess.Popen(words, env=os.environ | environment, start_new_session=True) as process:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the server too
        try:
            while process.poll() is None and not _answers(health):
                time.sleep(POLL_SECONDS)
            if process.poll() is None:
                print(text, flush=True)
            return process.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # MLflow starts workers of its own


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
